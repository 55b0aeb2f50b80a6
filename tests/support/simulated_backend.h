// A kernel and a network in memory, on a clock of its own, driven by one seed: the test plays the
// remote peers, and the code under test cannot tell the difference. The same seed and the same
// calls give the same run.
//
//   SimulatedNetwork network(seed);
//   SimulatedBackend io(network);                 // One per shard.
//   Reactor reactor(io, options);
//   RemoteConnection& peer = *network.Connect(address);
//   peer.Send("OPTIONS ...");
//   reactor.RunTurn();                            // Never blocks.
//   network.Advance(absl::Seconds(5));            // Time moves only here.
//
// It is stricter than a real kernel: closing an fd with operations outstanding, recycling a buffer
// twice and two operations of one kind for one owner stop the test; a recycled buffer is
// overwritten; and bytes of a send are read as late as possible. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/io_backend.h"

namespace sallyport::core {

// How unkind the world is: each a probability per occasion.
struct SimulatedFaults {
  double partial_read = 0;     // Fewer bytes than are there.
  double short_send = 0;       // Fewer bytes taken than would fit.
  double late_completion = 0;  // A result shows up to `late_max` later.
  double reordered = 0;        // Results of different operations change places.
  double no_buffers = 0;       // -ENOBUFS although there are some.
  double multishot_end = 0;    // A good result, but the operation has ended.
  double datagram_loss = 0;
  double datagram_twice = 0;
  absl::Duration late_max = absl::Milliseconds(30);
};

class SimulatedNetwork;
class SimulatedBackend;

// One direction of a connection.
struct SimulatedPipe {
  std::string bytes;  // Sent, not yet received.
  bool finished = false;
};

// The remote end of a TCP connection: the test's.
class RemoteConnection {
 public:
  void Send(std::string_view bytes) { to_backend_.bytes += bytes; }
  void Finish() { to_backend_.finished = true; }  // FIN.
  void Reset() { reset_ = true; }
  // A peer that stops reading: what is sent to it piles up to `window_bytes` and no further.
  void set_reading(bool reading) { reading_ = reading; }

  const std::string& received() const { return received_; }
  std::string TakeReceived() { return std::exchange(received_, {}); }
  bool saw_end() const { return saw_end_; }                  // FIN, or the socket was closed.
  bool saw_reset() const { return saw_reset_; }              // RST.
  const SocketAddress& address() const { return address_; }  // Its own.
  const SocketAddress& backend_address() const { return backend_address_; }

 private:
  friend class SimulatedNetwork;
  friend class SimulatedBackend;

  SocketAddress address_;
  SocketAddress backend_address_;
  SimulatedPipe to_backend_;
  std::string in_window_;  // Taken from the backend while the peer was not reading.
  std::string received_;
  bool reading_ = true;
  bool reset_ = false;
  bool saw_end_ = false;
  bool saw_reset_ = false;
};

struct RemoteDatagram {
  SocketAddress from;
  std::string bytes;
};

class SimulatedNetwork {
 public:
  explicit SimulatedNetwork(uint64_t seed);
  SimulatedNetwork(const SimulatedNetwork&) = delete;
  SimulatedNetwork& operator=(const SimulatedNetwork&) = delete;

  // -- Time.
  MonotonicTime now() const { return now_; }
  absl::Time wall_now() const { return wall_now_; }
  void Advance(absl::Duration duration);
  void SetWallTime(absl::Time time) { wall_now_ = time; }

  // -- The test as clients. A listener at `to` (of any backend; one is drawn if several share the
  // address) finds the connection in its backlog. nullptr: nobody listens there.
  RemoteConnection* Connect(const SocketAddress& to);
  RemoteConnection* Connect(const SocketAddress& to, const SocketAddress& from);

  // -- The test as servers, for what backends dial. Without one of these a connect is refused.
  void Listen(const SocketAddress& at) { servers_[at]; }
  void StopListening(const SocketAddress& at) { servers_.erase(at); }
  void Blackhole(const SocketAddress& at) { blackholes_.push_back(at); }  // Never answers.
  // The next connection that a backend made to `at`; nullptr: none.
  RemoteConnection* Accept(const SocketAddress& at);
  // Wherever backends have sent a datagram or tried to connect.
  const std::set<SocketAddress>& reached() const { return reached_; }

  // -- Datagrams. Bind makes a remote endpoint; what backends send to it collects there.
  void Bind(const SocketAddress& at) { endpoints_[at]; }
  void SendDatagram(const SocketAddress& from, const SocketAddress& to, std::string_view bytes);
  std::optional<RemoteDatagram> ReceiveDatagram(const SocketAddress& at);

  // -- Chance.
  void set_faults(const SimulatedFaults& faults) { faults_ = faults; }
  const SimulatedFaults& faults() const { return faults_; }
  bool Chance(double probability);
  uint64_t Draw(uint64_t bound);  // Below `bound`, which is not 0.

  // What a peer that does not read still takes.
  void set_window_bytes(size_t bytes) { window_bytes_ = bytes; }
  size_t window_bytes() const { return window_bytes_; }

 private:
  friend class SimulatedBackend;

  struct Server {
    std::deque<RemoteConnection*> waiting;
  };
  struct Endpoint {
    std::deque<RemoteDatagram> received;
  };

  RemoteConnection* NewConnection(const SocketAddress& remote, const SocketAddress& backend);
  uint16_t NextPort() { return next_port_ = next_port_ == 65535 ? 32768 : next_port_ + 1; }

  std::mt19937_64 random_;
  SimulatedFaults faults_;
  MonotonicTime now_{1'000'000'000};
  absl::Time wall_now_ = absl::FromUnixSeconds(1'800'000'000);
  size_t window_bytes_ = 65536;
  uint16_t next_port_ = 32768;
  std::vector<SimulatedBackend*> backends_;
  std::vector<std::unique_ptr<RemoteConnection>> connections_;
  std::map<SocketAddress, Server> servers_;
  std::vector<SocketAddress> blackholes_;
  std::map<SocketAddress, Endpoint> endpoints_;
  std::set<SocketAddress> reached_;
};

struct SimulatedOptions {
  uint32_t stream_buffers = 16;
  uint32_t stream_buffer_bytes = 2048;
  uint32_t datagram_buffers = 8;
  uint32_t datagram_buffer_bytes = 66 * 1024;
  uint32_t completion_entries = 64;
  uint32_t descriptors_max = 1000;
};

class SimulatedBackend final : public IoBackend {
 public:
  explicit SimulatedBackend(SimulatedNetwork& network, const SimulatedOptions& options = {});
  ~SimulatedBackend() override;

  // -- For the test.
  uint32_t descriptors_open() const { return static_cast<uint32_t>(sockets_.size()); }
  uint32_t buffers_out() const;  // Filled and not yet recycled.
  void set_descriptors_max(uint32_t descriptors) { options_.descriptors_max = descriptors; }
  void CompletePoll(int fd, uint32_t events);  // Fires the poll on `fd`, if there is one.
  bool woken() const { return woken_; }        // Since the last SubmitAndWait.
  absl::Duration last_timeout() const { return last_timeout_; }  // Of SubmitAndWait.
  size_t operations_outstanding() const { return operations_.size() + submissions_.size(); }

  // -- IoBackend.
  absl::StatusOr<int> OpenListener(const SocketAddress& address,
                                   const ListenerOptions& options) override;
  absl::StatusOr<int> OpenDatagram(const SocketAddress& address,
                                   const DatagramOptions& options) override;
  int OpenStreamSocket(AddressFamily family, const std::optional<SocketAddress>& local) override;
  SocketAddress LocalAddress(int fd) override;
  SocketAddress PeerAddress(int fd) override;
  int AcceptNow(int listener_fd) override;
  bool RefuseOne(int listener_fd) override;
  void ShutdownSend(int fd) override;
  void Close(int fd) override;
  void CloseWithReset(int fd) override;
  void Accept(int listener_fd, HandlerId owner) override;
  void Receive(int fd, HandlerId owner) override;
  void ReceiveDatagram(int fd, HandlerId owner) override;
  void Send(int fd, std::span<const iovec> pieces, HandlerId owner) override;
  void SendDatagram(int fd, const SocketAddress& to, std::span<const iovec> pieces, HandlerId owner,
                    uint8_t tag) override;
  void Connect(int fd, const SocketAddress& to, HandlerId owner) override;
  void Poll(int fd, uint32_t events, HandlerId owner) override;
  void Cancel(HandlerId owner, Operation operation) override;
  int wake_name() const override { return wake_name_; }
  void Wake(int wake_name) override;
  void Submit() override;
  void SubmitAndWait(absl::Duration timeout) override;
  size_t Harvest(std::span<Completion> completions) override;
  std::span<const std::byte> ReceivedBytes(const Completion& done) override;
  DatagramView ReceivedDatagram(const Completion& done) override;
  void Recycle(BufferRef buffer) override;
  void Quiesce() override;
  MonotonicTime MonotonicNow() override { return network_.now(); }
  absl::Time WallNow() override { return network_.wall_now(); }

 private:
  friend class SimulatedNetwork;

  enum class SocketKind : uint8_t { kListener, kDatagram, kStream };
  struct Socket {
    SocketKind kind = SocketKind::kStream;
    SocketAddress local;
    SocketAddress peer;
    RemoteConnection* remote = nullptr;     // A connected stream's.
    std::deque<RemoteConnection*> backlog;  // A listener's.
    std::deque<RemoteDatagram> datagrams;   // A datagram socket's.
    bool send_shut = false;
  };
  // Queued by us (submission) or held by the kernel.
  struct Pending {
    OperationKey key;
    int fd = -1;
    std::vector<iovec> pieces;  // Point into the caller's memory until completed.
    SocketAddress to;
    bool cancelled = false;
    MonotonicTime not_before;
  };
  struct Result {
    Completion completion;
    MonotonicTime ready_at;
  };
  struct Buffers {
    std::vector<std::vector<std::byte>> memory;
    std::vector<size_t> filled;
    std::vector<DatagramView> datagrams;
    std::deque<uint16_t> free;
  };

  int NewDescriptor(const Socket& socket);
  Socket& SocketOf(int fd);
  void Queue(Operation operation, int fd, HandlerId owner, uint8_t tag = 0);
  void TakeSubmissions();
  void CancelPending(const OperationKey& target);
  void Progress();
  // Each true: the operation has ended.
  bool ProgressOne(Pending& pending);
  bool ProgressAccept(const Pending& pending);
  bool ProgressReceive(const Pending& pending);
  bool ProgressReceiveDatagram(const Pending& pending);
  bool ProgressSend(const Pending& pending);
  bool ProgressSendDatagram(const Pending& pending);
  bool ProgressConnect(Pending& pending);
  int TakeFromBacklog(Socket& listener);
  void Complete(const OperationKey& key, int32_t result, bool more = false, BufferRef buffer = {});
  bool EndsMultishot(const OperationKey& key);
  std::optional<BufferRef> TakeBuffer(BufferGroup group);
  Buffers& BuffersOf(BufferGroup group);
  bool HasOperations(int fd) const;
  void CloseSocket(int fd, bool reset);

  SimulatedNetwork& network_;
  SimulatedOptions options_;
  const int wake_name_;
  int next_fd_;
  std::map<int, Socket> sockets_;
  std::vector<Pending> submissions_;
  std::vector<Pending> operations_;
  std::deque<Result> results_;
  Buffers stream_buffers_;
  Buffers datagram_buffers_;
  absl::Duration last_timeout_;
  bool woken_ = false;
  bool quiesced_ = false;
};

}  // namespace sallyport::core
