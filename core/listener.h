// A listening socket of one shard (SO_REUSEPORT gives each shard its own): multishot accept, pause
// and resume, and a drain that loses nobody.
// Out of descriptors it stops accepting for 100 ms, resets those who wait, and tries again: it
// never spins. Shard: one thread.
#pragma once

#include <cstdint>

#include "core/completion.h"
#include "core/reactor.h"
#include "core/socket_address.h"
#include "core/timer_wheel.h"

namespace sallyport::core {

class AcceptHandler {
 public:
  // `fd` is the callee's from now on (Stream::Adopt or IoBackend::Close).
  virtual void OnAccepted(int fd, const SocketAddress& peer) = 0;
  // After Drain: the backlog was empty, the listening socket is closed; the listener may be
  // destroyed inside this call.
  virtual void OnDrained() = 0;

 protected:
  ~AcceptHandler() = default;
};

struct ListenerCounters {
  uint64_t accepted = 0;
  uint64_t out_of_descriptors = 0;  // EMFILE, ENFILE, ENOBUFS, ENOMEM.
  uint64_t accept_errors = 0;       // Others: the peer gave up before we looked.
};

class Listener final : private CompletionHandler, private FlushNode {
 public:
  // Owns `fd`: from IoBackend::OpenListener, or inherited (LISTEN_FDS).
  Listener(Reactor& reactor, AcceptHandler& handler, int fd);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();  // After OnDrained, or before Start, or when the kernel is gone.

  // False: the reactor has no slot left.
  [[nodiscard]] bool Start();

  // Idempotent. Connections wait in the backlog meanwhile; a few may still be accepted.
  void Pause();
  void Resume();

  // Stops accepting once the backlog is empty (closing a SO_REUSEPORT socket resets what waits
  // there), closes the socket, and calls OnDrained from the reactor's turn.
  void Drain();

  SocketAddress LocalAddress() const;  // With the port that the kernel chose.
  bool paused() const { return paused_; }
  const ListenerCounters& counters() const { return counters_; }

 private:
  void OnCompletion(const Completion& done) override;
  void OnTurnEnd() override;

  void Arm();
  void Disarm();
  void OnFailed(int error);
  void OnRetry();
  void HandOver(int fd);
  void EmptyBacklog();

  static constexpr absl::Duration kRetryDelay = absl::Milliseconds(100);
  static constexpr uint32_t kRefusedPerRetryMax = 64;
  static constexpr uint32_t kDrainedPerTurnMax = 64;

  Reactor& reactor_;
  AcceptHandler& handler_;
  int fd_;
  HandlerId id_;
  Timer retry_;
  ListenerCounters counters_;
  bool armed_ = false;
  bool cancelled_ = false;  // A cancel is on its way to the kernel.
  bool paused_ = false;
  bool draining_ = false;
};

}  // namespace sallyport::core
