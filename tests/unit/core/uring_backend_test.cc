// The backend on the real kernel, over loopback: what the simulation cannot prove. Every wait has
// an end.
#include "core/uring_backend.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/datagram_socket.h"
#include "core/listener.h"
#include "core/reactor.h"
#include "core/stream.h"
#include "core/uring_waker.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string TextOf(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// A blocking client socket with a time-out, as any peer would use it.
class Client {
 public:
  explicit Client(const SocketAddress& server) {
    fd_ = socket(server.is_ipv6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{5, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    sockaddr_storage storage;
    const socklen_t length = server.ToSockaddr(storage);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&storage), length) == 0;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { Close(); }

  bool connected() const { return connected_; }
  int fd() const { return fd_; }
  bool Write(std::string_view text) {
    return send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // Up to `bytes`; shorter at the end of the stream or after the time-out.
  std::string Read(size_t bytes) {
    std::string text(bytes, '\0');
    size_t have = 0;
    while (have < bytes) {
      const ssize_t got = recv(fd_, text.data() + have, bytes - have, 0);
      if (got <= 0) break;
      have += static_cast<size_t>(got);
    }
    text.resize(have);
    return text;
  }
  // 0 at the peer's FIN, else an errno.
  int ReadEnd() {
    char byte;
    const ssize_t got = recv(fd_, &byte, 1, 0);
    return got == 0 ? 0 : got < 0 ? errno : -1;
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
  bool connected_ = false;
};

// Sends back what it gets, and closes when its peer does.
class EchoConnection final : public StreamHandler {
 public:
  explicit EchoConnection(Reactor& reactor) : stream(reactor, *this, 8 << 20) {}

  void OnConnected(int error) override { connect_result = error; }
  void OnReceived(std::span<const std::byte> bytes) override {
    received += bytes.size();
    if (echo) {
      ASSERT_TRUE(stream.Write(bytes));
    } else {
      text += TextOf(bytes);
    }
  }
  void OnPeerClosed() override {
    peer_closed = true;
    stream.Close(absl::Seconds(2));
  }
  void OnError(int error) override { failed = error; }
  void OnClosed() override { closed = true; }

  Stream stream;
  size_t received = 0;
  std::string text;
  int connect_result = -1;
  int failed = 0;
  bool echo = true;
  bool peer_closed = false;
  bool closed = false;
};

class UringBackendTest : public testing::Test, public AcceptHandler {
 protected:
  void Start(const UringOptions& options) {
    absl::StatusOr<std::unique_ptr<UringBackend>> made = UringBackend::Create(options);
    ASSERT_TRUE(made.ok()) << made.status();
    io_ = *std::move(made);
    ReactorOptions reactor_options;
    reactor_options.handlers_max = 4096;
    reactor_options.buffer_bytes_max = size_t{64} << 20;
    reactor_options.wait_max = absl::Milliseconds(20);
    reactor_ = std::make_unique<Reactor>(*io_, reactor_options);
  }

  void Listen() {
    absl::StatusOr<int> fd =
        io_->OpenListener(SocketAddress::Loopback(AddressFamily::kIpv4, 0), {});
    ASSERT_TRUE(fd.ok()) << fd.status();
    listener_ = std::make_unique<Listener>(*reactor_, *this, *fd);
    ASSERT_TRUE(listener_->Start());
    address_ = listener_->LocalAddress();
  }

  void OnAccepted(int fd, const SocketAddress& peer) override {
    EXPECT_TRUE(peer.IsLoopback());
    accepted_fd_ = fd;
    auto connection = std::make_unique<EchoConnection>(*reactor_);
    connection->echo = echo_;
    ASSERT_TRUE(connection->stream.Adopt(fd));
    connections_.push_back(std::move(connection));
  }
  void OnDrained() override { drained_ = true; }

  // Turns until `done`, five seconds at most.
  bool RunUntil(const std::function<bool()>& done) {
    const MonotonicTime limit = io_->MonotonicNow() + absl::Seconds(5);
    while (!done()) {
      if (io_->MonotonicNow() > limit) return false;
      reactor_->RunTurn();
    }
    return true;
  }

  bool AllClosed() const {
    for (const auto& connection : connections_) {
      if (!connection->closed) return false;
    }
    return true;
  }

  void TearDown() override {
    if (reactor_ == nullptr) return;
    io_->Quiesce();
    reactor_->set_kernel_gone();
    connections_.clear();
    listener_.reset();
    reactor_.reset();
  }

  std::unique_ptr<UringBackend> io_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<Listener> listener_;
  SocketAddress address_;
  std::vector<std::unique_ptr<EchoConnection>> connections_;
  int accepted_fd_ = -1;
  bool echo_ = true;
  bool drained_ = false;
};

TEST_F(UringBackendTest, EchoesAndClosesWhenThePeerDoes) {
  Start({});
  Listen();
  Client client(address_);
  ASSERT_TRUE(client.connected());
  ASSERT_TRUE(client.Write("hello"));
  ASSERT_TRUE(RunUntil([&] { return !connections_.empty() && connections_[0]->received == 5; }));
  reactor_->RunTurn();
  EXPECT_EQ(client.Read(5), "hello");
  client.Close();
  EXPECT_TRUE(RunUntil([&] { return AllClosed(); }));
  EXPECT_TRUE(connections_[0]->peer_closed);
}

TEST_F(UringBackendTest, AcceptedSocketsHaveNoDelayAndHoldLittle) {
  Start({});
  Listen();
  const Client client(address_);
  ASSERT_TRUE(RunUntil([&] { return accepted_fd_ >= 0; }));
  int no_delay = 0;
  socklen_t length = sizeof(no_delay);
  ASSERT_EQ(getsockopt(accepted_fd_, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length), 0);
  EXPECT_NE(no_delay, 0);
  int unsent_max = 0;
  ASSERT_EQ(getsockopt(accepted_fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, &length), 0);
  EXPECT_EQ(unsent_max, 512 * 1024);
  EXPECT_NE(fcntl(accepted_fd_, F_GETFD) & FD_CLOEXEC, 0);
}

// Goal: a large answer goes out in many short sends without loss or disorder.
TEST_F(UringBackendTest, SendsMoreThanTheSocketTakesAtOnce) {
  Start({});
  Listen();
  Client client(address_);
  ASSERT_TRUE(client.Write("x"));
  ASSERT_TRUE(RunUntil([&] { return !connections_.empty() && connections_[0]->received == 1; }));
  std::string large;
  for (int i = 0; large.size() < (size_t{6} << 20); ++i) large += std::to_string(i) + ",";
  ASSERT_TRUE(connections_[0]->stream.Write(BytesOf(large)));
  connections_[0]->stream.Close(absl::Seconds(5));
  std::string got;
  ASSERT_TRUE(RunUntil([&] {
    std::array<char, 65536> part;
    ssize_t bytes = 0;
    while ((bytes = recv(client.fd(), part.data(), part.size(), MSG_DONTWAIT)) > 0) {
      got.append(part.data(), static_cast<size_t>(bytes));
    }
    return got.size() == large.size() + 1;
  }));
  EXPECT_EQ(got, "x" + large);
  EXPECT_EQ(client.ReadEnd(), 0);
}

// Goal: with two buffers for twenty busy connections nothing is lost; the trouble is counted.
TEST_F(UringBackendTest, RunningOutOfBuffersLosesNothing) {
  UringOptions options;
  options.stream_buffers = 2;
  options.stream_buffer_bytes = 1024;
  Start(options);
  Listen();
  std::vector<std::unique_ptr<Client>> clients;
  clients.reserve(20);
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<Client>(address_));
  const std::string text(20000, 'b');
  for (const auto& client : clients) ASSERT_TRUE(client->Write(text));
  ASSERT_TRUE(RunUntil([&] {
    size_t total = 0;
    for (const auto& connection : connections_) total += connection->received;
    return total == clients.size() * text.size();
  }));
  EXPECT_GT(io_->counters().stream_buffers_out, 0u);
  ASSERT_TRUE(RunUntil([&] {
    for (const auto& connection : connections_) {
      if (connection->stream.output_bytes() > 0) return false;
    }
    return true;
  }));
  for (const auto& client : clients) EXPECT_EQ(client->Read(text.size()), text);
}

// Goal: a completion queue of sixteen entries under a flood of connections and messages: results
// held back by the kernel arrive, and operations it ended early are armed again.
TEST_F(UringBackendTest, AFullCompletionQueueLosesNothing) {
  UringOptions options;
  options.submission_entries = 8;
  options.completion_entries = 16;
  Start(options);
  Listen();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<Client>(address_));
    ASSERT_TRUE(clients.back()->Write("one"));
  }
  ASSERT_TRUE(RunUntil([&] {
    size_t total = 0;
    for (const auto& connection : connections_) total += connection->received;
    return total == clients.size() * 3;
  }));
  for (int round = 0; round < 3; ++round) {
    for (const auto& client : clients) ASSERT_TRUE(client->Write("two"));
    const size_t expected = clients.size() * 3 * static_cast<size_t>(round + 2);
    ASSERT_TRUE(RunUntil([&] {
      size_t total = 0;
      for (const auto& connection : connections_) total += connection->received;
      return total == expected;
    }));
  }
  const IoCounters& counters = io_->counters();
  EXPECT_GT(counters.completion_overflows + counters.multishot_ended_early, 0u);
  EXPECT_GT(counters.submission_queue_full, 0u);
}

TEST_F(UringBackendTest, PausedReceiveLeavesBytesInTheSocket) {
  Start({});
  Listen();
  Client client(address_);
  ASSERT_TRUE(RunUntil([&] { return !connections_.empty(); }));
  EchoConnection& connection = *connections_[0];
  connection.stream.PauseReceive();
  reactor_->RunTurn();
  reactor_->RunTurn();
  ASSERT_TRUE(client.Write("later"));
  EXPECT_FALSE(RunUntil([&, start = io_->MonotonicNow()] {
                 if (io_->MonotonicNow() - start > absl::Milliseconds(100)) return true;
                 return connection.received > 0;
               }) &&
               connection.received > 0);
  connection.stream.ResumeReceive();
  EXPECT_TRUE(RunUntil([&] { return connection.received == 5; }));
}

// Goal: the trap that closing does not end an armed receive is closed: the peer sees a FIN at once.
TEST_F(UringBackendTest, CloseEndsTheArmedReceive) {
  Start({});
  Listen();
  Client client(address_);
  ASSERT_TRUE(RunUntil([&] { return !connections_.empty(); }));
  connections_[0]->stream.Close(absl::Milliseconds(50));
  reactor_->RunTurn();
  reactor_->RunTurn();
  EXPECT_EQ(client.ReadEnd(), 0);
  EXPECT_TRUE(
      RunUntil([&] { return AllClosed(); }));  // The client never closes: the deadline does.
}

TEST_F(UringBackendTest, AbortResetsThePeer) {
  Start({});
  Listen();
  Client client(address_);
  ASSERT_TRUE(RunUntil([&] { return !connections_.empty(); }));
  connections_[0]->stream.Abort();
  ASSERT_TRUE(RunUntil([&] { return AllClosed(); }));
  EXPECT_EQ(client.ReadEnd(), ECONNRESET);
}

TEST_F(UringBackendTest, ConnectsAndReportsRefusal) {
  Start({});
  Listen();
  EchoConnection caller(*reactor_);
  caller.echo = false;
  ASSERT_EQ(caller.stream.Connect(address_, SocketAddress::Loopback(AddressFamily::kIpv4, 0),
                                  absl::Seconds(2)),
            0);
  ASSERT_TRUE(caller.stream.Write(BytesOf("early")));
  ASSERT_TRUE(RunUntil([&] { return caller.text == "early"; }));
  EXPECT_EQ(caller.connect_result, 0);
  caller.stream.Close(absl::Seconds(1));
  ASSERT_TRUE(RunUntil([&] { return caller.closed && AllClosed(); }));

  listener_->Drain();
  ASSERT_TRUE(RunUntil([&] { return drained_; }));
  caller.closed = false;
  ASSERT_EQ(caller.stream.Connect(address_, std::nullopt, absl::Seconds(2)), 0);
  ASSERT_TRUE(RunUntil([&] { return caller.closed; }));
  EXPECT_EQ(caller.connect_result, ECONNREFUSED);
}

// Goal: what waits in the backlog when the drain begins is served, not reset.
TEST_F(UringBackendTest, DrainEmptiesTheBacklog) {
  Start({});
  Listen();
  listener_->Pause();
  reactor_->RunTurn();
  reactor_->RunTurn();
  std::vector<std::unique_ptr<Client>> clients;
  clients.reserve(100);
  for (int i = 0; i < 100; ++i) clients.push_back(std::make_unique<Client>(address_));
  listener_->Drain();
  ASSERT_TRUE(RunUntil([&] { return drained_; }));
  EXPECT_EQ(connections_.size(), 100u);
  EXPECT_FALSE(Client(address_).connected());
}

// Goal: without descriptors the listener neither spins nor stops for good, and peers hear at once.
TEST_F(UringBackendTest, OutOfDescriptorsPausesAndRecovers) {
  Start({});
  Listen();
  listener_->Pause();  // The kernel takes the limit of the moment when the accept is armed.
  reactor_->RunTurn();
  reactor_->RunTurn();
  rlimit saved{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &saved), 0);
  std::vector<int> hogs;
  std::unique_ptr<Client> client;
  const rlimit low{80, saved.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  for (int fd = dup(0); fd >= 0; fd = dup(0)) hogs.push_back(fd);
  close(hogs.back());
  hogs.pop_back();
  client = std::make_unique<Client>(address_);
  listener_->Resume();
  const uint64_t turns = reactor_->counters().turns;
  EXPECT_TRUE(RunUntil([&] { return listener_->counters().out_of_descriptors > 0; }));
  EXPECT_EQ(client->ReadEnd(), ECONNRESET);
  EXPECT_EQ(io_->counters().accepts_refused, 1u);
  EXPECT_LT(reactor_->counters().turns - turns, 100u);
  for (const int fd : hogs) close(fd);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &saved), 0);
  const Client second(address_);
  EXPECT_TRUE(RunUntil([&] { return connections_.size() == 1; }));
}

class DatagramRecorder final : public DatagramHandler {
 public:
  void OnDatagram(std::span<const std::byte> bytes, const SocketAddress& source) override {
    datagrams.push_back(TextOf(bytes));
    last_source = source;
  }
  void OnDatagramSocketClosed() override { closed = true; }

  std::vector<std::string> datagrams;
  SocketAddress last_source;
  bool closed = false;
};

class UringDatagramTest : public UringBackendTest {
 protected:
  std::unique_ptr<DatagramSocket> Open(DatagramRecorder& recorder, AddressFamily family) {
    absl::StatusOr<int> fd = io_->OpenDatagram(SocketAddress::Loopback(family, 0), {});
    if (!fd.ok()) return nullptr;
    auto made = std::make_unique<DatagramSocket>(*reactor_, recorder, *fd);
    return made->Start() ? std::move(made) : nullptr;
  }
};

TEST_F(UringDatagramTest, DatagramsArriveWholeWithTheirSource) {
  for (const AddressFamily family : {AddressFamily::kIpv4, AddressFamily::kIpv6}) {
    Start({});
    DatagramRecorder left_recorder;
    DatagramRecorder right_recorder;
    const auto left = Open(left_recorder, family);
    const auto right = Open(right_recorder, family);
    if (left == nullptr && family == AddressFamily::kIpv6) continue;  // No IPv6 on this machine.
    ASSERT_TRUE(left != nullptr && right != nullptr);
    const std::string longest(DatagramSocket::kDatagramBytesMax, 'd');
    const std::string_view head = longest;
    const std::array<std::span<const std::byte>, 2> pieces = {BytesOf(head.substr(0, 1000)),
                                                              BytesOf(head.substr(1000))};
    ASSERT_TRUE(left->Send(right->LocalAddress(), BytesOf("first")));
    ASSERT_TRUE(left->Send(right->LocalAddress(), pieces));
    ASSERT_TRUE(RunUntil([&] { return right_recorder.datagrams.size() == 2; }));
    EXPECT_EQ(right_recorder.datagrams[0], "first");
    EXPECT_EQ(right_recorder.datagrams[1], longest);
    EXPECT_EQ(right_recorder.last_source, left->LocalAddress());
    left->Close();
    right->Close();
    ASSERT_TRUE(RunUntil([&] { return left_recorder.closed && right_recorder.closed; }));
  }
}

TEST_F(UringDatagramTest, AFloodIsServedAndTheQueueIsBounded) {
  UringOptions options;
  options.datagram_buffers = 4;
  Start(options);
  DatagramRecorder left_recorder;
  DatagramRecorder right_recorder;
  const auto left = Open(left_recorder, AddressFamily::kIpv4);
  const auto right = Open(right_recorder, AddressFamily::kIpv4);
  ASSERT_TRUE(left != nullptr && right != nullptr);
  uint32_t accepted = 0;
  for (uint32_t i = 0; i < DatagramSocket::kSendsMax + 10; ++i) {
    if (left->Send(right->LocalAddress(), BytesOf("datagram"))) ++accepted;
  }
  EXPECT_EQ(accepted, DatagramSocket::kSendsMax);
  EXPECT_EQ(left->counters().send_queue_full, 10u);
  ASSERT_TRUE(RunUntil([&] { return right_recorder.datagrams.size() == accepted; }));
  EXPECT_GT(io_->counters().datagram_buffers_out, 0u);
  EXPECT_EQ(left->sends_in_flight(), 0u);
  left->Close();
  right->Close();
  ASSERT_TRUE(RunUntil([&] { return left_recorder.closed && right_recorder.closed; }));
}

class PollRecorder final : public CompletionHandler {
 public:
  void OnCompletion(const Completion& done) override { results.push_back(done.result); }
  std::vector<int> results;
};

TEST_F(UringBackendTest, PollFiresOnceAndCanBeCancelled) {
  Start({});
  std::array<int, 2> pipe_fds;
  ASSERT_EQ(pipe2(pipe_fds.data(), O_CLOEXEC), 0);
  PollRecorder recorder;
  const HandlerId id = reactor_->Attach(recorder);
  io_->Poll(pipe_fds[0], POLLIN, id);
  reactor_->io().Submit();
  ASSERT_EQ(write(pipe_fds[1], "x", 1), 1);
  ASSERT_TRUE(RunUntil([&] { return recorder.results.size() == 1; }));
  EXPECT_NE(recorder.results[0] & POLLIN, 0);
  char byte;
  ASSERT_EQ(read(pipe_fds[0], &byte, 1), 1);
  io_->Poll(pipe_fds[0], POLLIN, id);
  io_->Cancel(id, Operation::kPoll);
  ASSERT_TRUE(RunUntil([&] { return recorder.results.size() == 2; }));
  EXPECT_EQ(recorder.results[1], -ECANCELED);
  reactor_->Detach(id);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST_F(UringBackendTest, AnotherRingWakesAWait) {
  Start({});
  absl::StatusOr<std::unique_ptr<UringWaker>> waker = UringWaker::Create();
  ASSERT_TRUE(waker.ok()) << waker.status();
  io_->SubmitAndWait(absl::ZeroDuration());
  (*waker)->WakeParty(io_->wake_name());
  const MonotonicTime start = io_->MonotonicNow();
  io_->SubmitAndWait(absl::Seconds(5));
  EXPECT_LT(io_->MonotonicNow() - start, absl::Seconds(1));
  std::array<Completion, 4> completions;
  EXPECT_EQ(io_->Harvest(completions), 0u);  // A wake is nobody's completion.
}

TEST_F(UringBackendTest, StaleCompletionsGiveTheirResourcesBack) {
  Start({});
  absl::StatusOr<int> fd = io_->OpenListener(SocketAddress::Loopback(AddressFamily::kIpv4, 0), {});
  ASSERT_TRUE(fd.ok());
  PollRecorder recorder;
  const HandlerId id = reactor_->Attach(recorder);
  io_->Accept(*fd, id);
  io_->Submit();
  Client client(io_->LocalAddress(*fd));
  ASSERT_TRUE(client.connected());
  reactor_->Detach(id);
  EXPECT_TRUE(RunUntil([&] { return reactor_->counters().stale_completions == 1; }));
  EXPECT_EQ(client.ReadEnd(), 0);  // The accepted socket was closed.
  EXPECT_TRUE(recorder.results.empty());
  io_->Close(*fd);
}

TEST_F(UringBackendTest, AnAddressInUseSaysSo) {
  Start({});
  ListenerOptions options;
  options.reuse_port = false;
  absl::StatusOr<int> first =
      io_->OpenListener(SocketAddress::Loopback(AddressFamily::kIpv4, 0), options);
  ASSERT_TRUE(first.ok());
  absl::StatusOr<int> second = io_->OpenListener(io_->LocalAddress(*first), options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  io_->Close(*first);
}

}  // namespace
}  // namespace sallyport::core
