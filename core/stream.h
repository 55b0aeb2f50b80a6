// One connected socket. Receives into provided buffers, sends from its output queue with one gather
// in flight at a time, and closes only when the kernel holds nothing of it any more.
//
//   kClosed --Connect--> kConnecting --> kOpen --Close--> kFlushing --> kLingering --> kCancelling
//   kClosed --Adopt----------------------> kOpen                                        --> kClosed
//   Abort and errors lead from any state straight to kCancelling.
//
// Callbacks come from the reactor's turn, never from inside a call on the stream, and each says
// what it obliges the handler to do. The stream may be destroyed only in kClosed, which OnClosed
// reports; it may also be used again from there (Adopt, Connect). Shard: one thread. An idle stream
// holds no buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/time/time.h"
#include "core/clock.h"
#include "core/completion.h"
#include "core/output_queue.h"
#include "core/reactor.h"
#include "core/socket_address.h"
#include "core/timer_wheel.h"

namespace sallyport::core {

class StreamHandler {
 public:
  // After Connect: 0, or an errno (ETIMEDOUT by our own deadline), and then OnClosed follows.
  virtual void OnConnected(int error) = 0;
  // Borrowed for the call: consume or copy all of it. May still come after PauseReceive, with what
  // the kernel had taken already; never after Close or Abort.
  virtual void OnReceived(std::span<const std::byte> bytes) = 0;
  // The kernel took bytes: there is room in the output again.
  virtual void OnSent() {}
  // FIN: nothing more will be received; sending still works. Usually the answer is Close.
  virtual void OnPeerClosed() = 0;
  // The connection broke (errno). Nothing to do: OnClosed follows.
  virtual void OnError(int error) = 0;
  // The socket is gone and nothing is in flight: the stream may be destroyed inside this call.
  virtual void OnClosed() = 0;

 protected:
  ~StreamHandler() = default;
};

class Stream final : private CompletionHandler, private FlushNode {
 public:
  enum class State : uint8_t {
    kClosed,  // No socket.
    kConnecting,
    kOpen,
    kFlushing,    // Close: what is in the output still goes out.
    kLingering,   // FIN sent; waiting for the peer's, so that it does not lose what we sent.
    kCancelling,  // Waiting for the kernel to give everything back.
  };

  // `output_bytes_max` bounds what one slow reader can hold.
  Stream(Reactor& reactor, StreamHandler& handler, uint32_t output_bytes_max);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  // Takes a connected socket and starts to receive. False: the reactor has no slot left; the socket
  // stays the caller's.
  [[nodiscard]] bool Adopt(int fd);

  // Opens a socket (bound to `local` if given) and connects. Returns 0, then OnConnected will come;
  // or an errno (EMFILE, EADDRNOTAVAIL, ENFILE for no reactor slot), then nothing happened.
  [[nodiscard]] int Connect(const SocketAddress& peer, const std::optional<SocketAddress>& local,
                            absl::Duration timeout);

  // Backpressure. Idempotent. Bytes wait in the socket meanwhile.
  void PauseReceive();
  void ResumeReceive();

  // Append here; what the turn has gathered goes out in one send at its end. Requires kOpen (or
  // kConnecting: it goes out once connected).
  OutputQueue& output();
  // The same in one call. False: see OutputQueue::Append.
  [[nodiscard]] bool Write(std::span<const std::byte> bytes) { return output().Append(bytes); }

  // Flush, FIN, wait for the peer's FIN, close; everything within `deadline`, then hard.
  // Idempotent.
  void Close(absl::Duration deadline);
  // At once, with a reset. Idempotent.
  void Abort();

  State state() const { return state_; }
  bool open() const { return state_ == State::kOpen; }
  int fd() const { return fd_; }
  bool receive_paused() const { return receive_paused_; }
  uint32_t output_bytes() const { return output_.size(); }

 private:
  void OnCompletion(const Completion& done) override;
  void OnTurnEnd() override;

  void OnConnectDone(const Completion& done);
  void OnReceiveDone(const Completion& done);
  void OnSendDone(const Completion& done);
  void OnDeadline();
  void DiscardReceived(uint32_t bytes);
  void ArmReceive();
  void Flush();
  void Fail(int error);
  void BeginLinger();
  void BeginCancel(bool reset);
  bool Quiet() const { return !receive_armed_ && !send_in_flight_ && !connect_in_flight_; }
  void FinishClose();
  bool Attach(int fd);

  // What a peer may still send after our FIN before we stop being polite.
  static constexpr uint32_t kLingerBytesMax = 256 * 1024;

  Reactor& reactor_;
  StreamHandler& handler_;
  OutputQueue output_;
  Timer deadline_;
  HandlerId id_;
  int fd_ = -1;
  uint32_t lingered_bytes_ = 0;
  State state_ = State::kClosed;
  bool receive_armed_ : 1 = false;
  bool receive_paused_ : 1 = false;
  bool receive_cancelled_ : 1 = false;  // A pause is on its way to the kernel.
  bool peer_closed_ : 1 = false;
  bool send_in_flight_ : 1 = false;
  bool connect_in_flight_ : 1 = false;
  bool connect_timed_out_ : 1 = false;
  bool reset_ : 1 = false;
};

}  // namespace sallyport::core
