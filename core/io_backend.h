// The kernel as a reactor sees it: the seam between us and io_uring, and the place where the
// simulation puts a kernel and a clock of its own.
//
// Asynchronous operations are queued by the calls below, handed to the kernel by Submit or
// SubmitAndWait, and come back through Harvest. Nothing here calls back.
// Memory:  what Send and SendDatagram point at belongs to the kernel until the completion has been
//          harvested; the iovec arrays and addresses themselves are copied at once.
// Closing: Close does not end operations on an fd. Cancel them, wait for every one to come back
//          without `more`, then close (wolfssl-iouring trap: an armed receive keeps the socket).
// Shard:   every call on the thread that made the backend.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/completion.h"
#include "core/socket_address.h"

namespace sallyport::core {

struct ListenerOptions {
  int backlog = 4096;      // The kernel caps it at net.core.somaxconn.
  bool reuse_port = true;  // SO_REUSEPORT: one listening socket per shard.
};

struct DatagramOptions {
  bool reuse_port = true;
  int receive_bytes = 4 << 20;  // SO_RCVBUF; the kernel caps it at net.core.rmem_max.
  int send_bytes = 1 << 20;     // SO_SNDBUF; likewise.
};

// A received datagram. Borrows the buffer of its completion.
struct DatagramView {
  SocketAddress source;
  std::span<const std::byte> bytes;
  bool truncated = false;  // It was longer than a buffer: not to be trusted, only counted.
};

// Plain numbers, written by the backend, read by the shard's thread.
struct IoCounters {
  uint64_t submit_calls = 0;           // System calls made for the ring.
  uint64_t submitted = 0;              // Operations handed over.
  uint64_t submit_retries = 0;         // The kernel could not take them yet.
  uint64_t submission_queue_full = 0;  // Had to submit in mid-turn.
  uint64_t completions = 0;
  uint64_t completion_overflows = 0;   // Harvests that found results kept back by the kernel.
  uint64_t stream_buffers_out = 0;     // -ENOBUFS on a stream.
  uint64_t datagram_buffers_out = 0;   // -ENOBUFS on a datagram socket.
  uint64_t multishot_ended_early = 0;  // A good result without `more`: re-armed by its owner.
  uint64_t accepts_refused = 0;        // Connections that RefuseOne reset.
};

class IoBackend {
 public:
  virtual ~IoBackend() = default;

  // -- Sockets. Synchronous, never blocking. All sockets are close-on-exec; TCP sockets have
  // TCP_NODELAY and TCP_NOTSENT_LOWAT (accepted ones inherit both); IPv6 sockets are IPv6 only.
  virtual absl::StatusOr<int> OpenListener(const SocketAddress& address,
                                           const ListenerOptions& options) = 0;
  virtual absl::StatusOr<int> OpenDatagram(const SocketAddress& address,
                                           const DatagramOptions& options) = 0;
  // For Connect. `local` (port 0 or fixed) is bound if given. An fd, or -errno.
  virtual int OpenStreamSocket(AddressFamily family, const std::optional<SocketAddress>& local) = 0;
  virtual SocketAddress LocalAddress(int fd) = 0;  // kNone if the kernel will not say.
  virtual SocketAddress PeerAddress(int fd) = 0;
  // One connection from the backlog without waiting: an fd, or -errno (-EAGAIN: none is there).
  virtual int AcceptNow(int listener_fd) = 0;
  // Out of descriptors: spends the reserve one to take a connection and reset it, so that its peer
  // hears at once. False: nobody was waiting.
  virtual bool RefuseOne(int listener_fd) = 0;
  virtual void ShutdownSend(int fd) = 0;  // FIN.
  virtual void Close(int fd) = 0;
  virtual void CloseWithReset(int fd) = 0;  // RST, and the kernel forgets what it had to send.

  // -- Asynchronous operations. `owner` is a HandlerId that the reactor gave out. At most one of
  // each kind per owner at a time, except SendDatagram (one per tag).
  virtual void Accept(int listener_fd, HandlerId owner) = 0;
  virtual void Receive(int fd, HandlerId owner) = 0;          // Into buffers of kStream.
  virtual void ReceiveDatagram(int fd, HandlerId owner) = 0;  // Into buffers of kDatagram.
  // Up to kGatherPiecesMax pieces; may take fewer bytes than given.
  virtual void Send(int fd, std::span<const iovec> pieces, HandlerId owner) = 0;
  virtual void SendDatagram(int fd, const SocketAddress& to, std::span<const iovec> pieces,
                            HandlerId owner, uint8_t tag) = 0;
  virtual void Connect(int fd, const SocketAddress& to, HandlerId owner) = 0;
  virtual void Poll(int fd, uint32_t events, HandlerId owner) = 0;  // poll(2) events.
  // Ends the owner's operations of that kind; each comes back with -ECANCELED, or with what it had
  // already done. Harmless if there are none.
  virtual void Cancel(HandlerId owner, Operation operation) = 0;

  // -- Waking. A backend waits under a name; another backend wakes it by that name.
  virtual int wake_name() const = 0;
  virtual void Wake(int wake_name) = 0;  // Queued like an operation; takes effect at submission.

  // -- The turn.
  virtual void Submit() = 0;  // Hands over what is queued; does not look for results.
  // Hands over, then returns when a completion is there or `timeout` has passed. Zero: no waiting.
  virtual void SubmitAndWait(absl::Duration timeout) = 0;
  // Fills `completions` from the front, returns how many. Fewer than asked: nothing is left.
  virtual size_t Harvest(std::span<Completion> completions) = 0;

  // -- Provided buffers.
  // Stream completions with a buffer: the bytes received. Valid until Recycle.
  virtual std::span<const std::byte> ReceivedBytes(const Completion& done) = 0;
  virtual DatagramView ReceivedDatagram(const Completion& done) = 0;
  virtual void Recycle(BufferRef buffer) = 0;

  // Ends everything: afterwards the kernel holds none of our memory and no completion comes. Only
  // Close may be called then. For a shard that must stop although connections are still open.
  virtual void Quiesce() = 0;

  // -- Clocks.
  virtual MonotonicTime MonotonicNow() = 0;
  virtual absl::Time WallNow() = 0;

  const IoCounters& counters() const { return counters_; }

  static constexpr size_t kGatherPiecesMax = 16;

 protected:
  IoCounters counters_;
};

}  // namespace sallyport::core
