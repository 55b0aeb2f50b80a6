// A bound UDP socket of one shard: multishot receive into provided buffers, and sends that own a
// copy of their bytes until the kernel has taken them. UDP may lose, so a full send queue is an
// outcome, not a wait.
// Shard: one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/time/time.h"
#include "core/buffer_pool.h"
#include "core/completion.h"
#include "core/reactor.h"
#include "core/socket_address.h"
#include "core/timer_wheel.h"

namespace sallyport::core {

class DatagramHandler {
 public:
  // `bytes` is borrowed for the call.
  virtual void OnDatagram(std::span<const std::byte> bytes, const SocketAddress& source) = 0;
  // A send failed later (ECONNREFUSED is an ICMP answer to an earlier one and names nobody).
  virtual void OnSendError(int error) { static_cast<void>(error); }
  // After Close: the socket is gone and nothing is in flight; may be destroyed inside this call.
  virtual void OnDatagramSocketClosed() = 0;

 protected:
  ~DatagramHandler() = default;
};

struct DatagramCounters {
  uint64_t received = 0;
  uint64_t truncated = 0;  // Longer than a buffer: dropped.
  uint64_t receive_errors = 0;
  uint64_t sent = 0;
  uint64_t send_queue_full = 0;
  uint64_t send_errors = 0;
};

class DatagramSocket final : private CompletionHandler, private FlushNode {
 public:
  static constexpr uint32_t kSendsMax = 128;  // In flight at once.
  static constexpr size_t kDatagramBytesMax = 65507;

  // Owns `fd`, from IoBackend::OpenDatagram or inherited.
  DatagramSocket(Reactor& reactor, DatagramHandler& handler, int fd);
  DatagramSocket(const DatagramSocket&) = delete;
  DatagramSocket& operator=(const DatagramSocket&) = delete;
  ~DatagramSocket();  // After OnDatagramSocketClosed, or before Start, or when the kernel is gone.

  // False: the reactor has no slot left.
  [[nodiscard]] bool Start();

  // Copies the pieces; they are free again on return. False: the queue or the pool is full, or the
  // datagram is too long; it was not sent, and a transaction's retransmission will try again.
  [[nodiscard]] bool Send(const SocketAddress& to,
                          std::span<const std::span<const std::byte>> pieces);
  [[nodiscard]] bool Send(const SocketAddress& to, std::span<const std::byte> bytes) {
    return Send(to, std::span(&bytes, 1));
  }

  // Stops receiving, lets sends in flight end, closes. Idempotent.
  void Close();

  SocketAddress LocalAddress() const;
  uint32_t sends_in_flight() const { return kSendsMax - free_tags_; }
  const DatagramCounters& counters() const { return counters_; }

 private:
  void OnCompletion(const Completion& done) override;
  void OnTurnEnd() override;
  void OnReceiveDone(const Completion& done);
  void OnSendDone(const Completion& done);
  void Deliver(const Completion& done);
  void ArmReceive();

  static constexpr absl::Duration kRetryDelay = absl::Milliseconds(100);

  Reactor& reactor_;
  DatagramHandler& handler_;
  int fd_;
  HandlerId id_;
  Timer retry_;
  bool receive_armed_ = false;
  bool closing_ = false;
  uint32_t free_tags_ = kSendsMax;
  std::array<uint8_t, kSendsMax> tags_;  // The first free_tags_ are free.
  std::array<BufferLease, kSendsMax> in_flight_;
  DatagramCounters counters_;
};

}  // namespace sallyport::core
