// Shards with their real threads and rings, over loopback. Every wait has an end.
#include "core/shard.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/time/clock.h"
#include "core/listener.h"
#include "core/stream.h"
#include "gtest/gtest.h"
#include "tests/support/simulated_backend.h"

namespace sallyport::core {
namespace {

constexpr uint32_t kMailEcho = 16;   // Bytes of a connection of the sender, to be sent back.
constexpr uint32_t kMailReply = 17;  // And back again.
constexpr uint32_t kMailPing = 18;
constexpr uint32_t kMailPong = 19;

struct ConnectionId {
  uint32_t slot = 0;
  uint32_t generation = 0;
};

class EchoApplication;

class EchoConnection final : public StreamHandler {
 public:
  EchoConnection(EchoApplication& application, Reactor& reactor, ConnectionId id)
      : stream(reactor, *this, 4 << 20), application_(application), id_(id) {}

  void OnConnected(int) override {}
  void OnReceived(std::span<const std::byte> bytes) override;
  void OnPeerClosed() override { stream.Close(absl::Seconds(1)); }
  void OnError(int) override {}
  void OnClosed() override;

  Stream stream;

 private:
  EchoApplication& application_;
  const ConnectionId id_;
};

// Every chunk goes to the next shard by mail, which sends it back; then it goes out.
class EchoApplication final : public ShardApplication, public AcceptHandler {
 public:
  explicit EchoApplication(Shard& shard) : shard_(shard), connections_(4096) {}

  absl::Status Start(const SocketAddress& address) {
    absl::StatusOr<int> fd = shard_.reactor().io().OpenListener(address, {});
    if (!fd.ok()) return fd.status();
    listener_ = std::make_unique<Listener>(shard_.reactor(), *this, *fd);
    return listener_->Start() ? absl::OkStatus() : absl::ResourceExhaustedError("no slot");
  }

  void OnAccepted(int fd, const SocketAddress&) override {
    ConnectionId id;
    EchoConnection* const connection =
        connections_.Emplace(&id, *this, shard_.reactor(), connections_.NextId());
    ASSERT_NE(connection, nullptr);
    ASSERT_TRUE(connection->stream.Adopt(fd));
  }
  void OnDrained() override { drained_ = true; }

  void Received(ConnectionId id, std::span<const std::byte> bytes) {
    ASSERT_TRUE(shard_.IsCurrent());
    std::vector<std::byte> record(sizeof(id) + bytes.size());
    std::memcpy(record.data(), &id, sizeof(id));
    std::memcpy(record.data() + sizeof(id), bytes.data(), bytes.size());
    const uint32_t other = (shard_.index() + 1) % shard_.shards();
    ASSERT_TRUE(shard_.Post(other, kMailEcho, record));
  }
  void Closed(ConnectionId id) { connections_.Erase(id); }

  void OnMail(uint32_t from, uint32_t kind, std::span<const std::byte> record) override {
    if (kind == kMailPing) {
      ASSERT_TRUE(shard_.Post(shard_.control(), kMailPong, record));
    } else if (kind == kMailEcho) {
      ASSERT_TRUE(shard_.Post(from, kMailReply, record));
    } else {
      ConnectionId id;
      std::memcpy(&id, record.data(), sizeof(id));
      EchoConnection* const connection = connections_.Find(id);
      if (connection == nullptr || !connection->stream.open()) return;
      ASSERT_TRUE(connection->stream.Write(record.subspan(sizeof(id))));
    }
  }

  void BeginStop() override {
    listener_->Drain();
    connections_.ForEach([](ConnectionId, EchoConnection& one) { one.stream.Abort(); });
  }
  bool IsQuiet() const override { return drained_ && connections_.size() == 0; }

 private:
  Shard& shard_;
  SlotMap<EchoConnection, ConnectionId> connections_;
  std::unique_ptr<Listener> listener_;
  bool drained_ = false;
};

void EchoConnection::OnReceived(std::span<const std::byte> bytes) {
  application_.Received(id_, bytes);
}
void EchoConnection::OnClosed() { application_.Closed(id_); }

ShardGroupOptions TwoShards() {
  ShardGroupOptions options;
  options.shards = 2;
  options.reactor.handlers_max = 4096;
  options.reactor.buffer_bytes_max = size_t{64} << 20;
  return options;
}

int ConnectTo(const SocketAddress& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_storage storage;
  const socklen_t length = address.ToSockaddr(storage);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
  return fd;
}

bool ReadExactly(int fd, std::string& text) {
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = recv(fd, text.data() + have, text.size() - have, 0);
    // A socket with a timeout is not restarted behind a signal or the work of a ring.
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      ADD_FAILURE() << "after " << have << " bytes: " << (got == 0 ? "end" : strerror(errno));
      return false;
    }
    have += static_cast<size_t>(got);
  }
  return true;
}

// A port that is free now, so that both shards can share it.
// Below the ephemeral ports, so that no client of another test has it by the time it is used.
SocketAddress FreeAddress() {
  std::random_device random;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const SocketAddress address = SocketAddress::Loopback(
        AddressFamily::kIpv4, static_cast<uint16_t>(10000 + random() % 5000));
    sockaddr_storage storage;
    const socklen_t length = address.ToSockaddr(storage);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_free = bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) == 0;
    close(fd);
    if (is_free) return address;
  }
  ADD_FAILURE() << "no port is free";
  return {};
}

// Goal: two shards on one port, every message through the other shard and back: all arrive, whole.
TEST(ShardTest, TwoShardsEchoThroughEachOther) {
  const SocketAddress address = FreeAddress();
  absl::StatusOr<std::unique_ptr<ShardGroup>> group =
      ShardGroup::Start(TwoShards(), [&](Shard& shard) {
        auto application = std::make_unique<EchoApplication>(shard);
        const absl::Status status = application->Start(address);
        return status.ok()
                   ? absl::StatusOr<std::unique_ptr<ShardApplication>>(std::move(application))
                   : absl::StatusOr<std::unique_ptr<ShardApplication>>(status);
      });
  ASSERT_TRUE(group.ok()) << group.status();
  std::vector<int> clients;
  clients.reserve(50);
  for (int i = 0; i < 50; ++i) clients.push_back(ConnectTo(address));
  for (int round = 0; round < 20; ++round) {
    for (size_t i = 0; i < clients.size(); ++i) {
      const std::string text(100 + i * 7,
                             static_cast<char>('a' + (round + static_cast<int>(i)) % 26));
      ASSERT_EQ(send(clients[i], text.data(), text.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(text.size()));
    }
    for (size_t i = 0; i < clients.size(); ++i) {
      const std::string text(100 + i * 7,
                             static_cast<char>('a' + (round + static_cast<int>(i)) % 26));
      std::string got(text.size(), '\0');
      ASSERT_TRUE(ReadExactly(clients[i], got));
      ASSERT_EQ(got, text);
    }
  }
  (*group)->Stop();
  for (const int client : clients) {
    char byte;
    EXPECT_LE(recv(client, &byte, 1, 0), 0);  // Closed or reset, not left hanging.
    close(client);
  }
  uint64_t mail = 0;
  for (uint32_t shard = 0; shard < 2; ++shard) {
    const StatsBlock& stats = (*group)->machine_stats(shard);
    mail += stats.Get(static_cast<size_t>(MachineStat::kMailSent));
    EXPECT_EQ(stats.Get(static_cast<size_t>(MachineStat::kBufferBytes)), 0u);
    EXPECT_GT(stats.Get(static_cast<size_t>(MachineStat::kTurns)), 0u);
  }
  EXPECT_GE(mail, 2u * 50 * 20);
}

class PongCounter final : public MailHandler {
 public:
  void OnMail(uint32_t, uint32_t kind, std::span<const std::byte> record) override {
    EXPECT_EQ(kind, kMailPong);
    EXPECT_EQ(record.size(), 4u);
    ++pongs;
  }
  int pongs = 0;
};

// Goal: the control thread wakes sleeping shards and hears them.
TEST(ShardTest, TheControlThreadTalksToSleepingShards) {
  absl::StatusOr<std::unique_ptr<ShardGroup>> group =
      ShardGroup::Start(TwoShards(), [](Shard& shard) {
        auto application = std::make_unique<EchoApplication>(shard);
        EXPECT_TRUE(application->Start(SocketAddress::Loopback(AddressFamily::kIpv4, 0)).ok());
        return absl::StatusOr<std::unique_ptr<ShardApplication>>(std::move(application));
      });
  ASSERT_TRUE(group.ok()) << group.status();
  PongCounter counter;
  const std::array<std::byte, 4> record{};
  for (int round = 1; round <= 10; ++round) {
    absl::SleepFor(absl::Milliseconds(5));  // They go to sleep.
    ASSERT_TRUE((*group)->Post(0, kMailPing, record));
    ASSERT_TRUE((*group)->Post(1, kMailPing, record));
    while (counter.pongs < 2 * round) {
      pollfd watched{(*group)->control_event_fd(), POLLIN, 0};
      ASSERT_EQ(poll(&watched, 1, 5000), 1);
      (*group)->DeliverMail(counter);
    }
  }
}

// Goal: what a reload retires goes although every shard sleeps.
TEST(ShardTest, SleepingShardsDelayNoReclamation) {
  absl::StatusOr<std::unique_ptr<ShardGroup>> group = ShardGroup::Start(
      TwoShards(), [](Shard&) -> absl::StatusOr<std::unique_ptr<ShardApplication>> {
        class Idle final : public ShardApplication {
          void OnMail(uint32_t, uint32_t, std::span<const std::byte>) override {}
        };
        return std::make_unique<Idle>();
      });
  ASSERT_TRUE(group.ok()) << group.status();
  (*group)->quiet_points().Retire(std::make_unique<std::string>("old snapshot"));
  size_t waiting = 1;
  for (int attempt = 0; attempt < 500 && waiting > 0; ++attempt) {
    waiting = (*group)->quiet_points().Reclaim();
    if (waiting > 0) absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(waiting, 0u);
}

TEST(ShardTest, OneFailingShardStopsTheGroup) {
  absl::StatusOr<std::unique_ptr<ShardGroup>> group = ShardGroup::Start(
      TwoShards(), [](Shard& shard) -> absl::StatusOr<std::unique_ptr<ShardApplication>> {
        if (shard.index() == 1) return absl::NotFoundError("no certificate");
        auto application = std::make_unique<EchoApplication>(shard);
        EXPECT_TRUE(application->Start(SocketAddress::Loopback(AddressFamily::kIpv4, 0)).ok());
        return application;
      });
  EXPECT_EQ(group.status(), absl::NotFoundError("no certificate"));
}

class MailCounter final : public ShardApplication {
 public:
  void OnMail(uint32_t from, uint32_t, std::span<const std::byte>) override { last_from = from; }
  uint32_t last_from = 99;
};

// Goal: shards need no threads: a simulation runs their turns by hand, and they wake each other.
TEST(ShardTest, SimulatedShardsExchangeMail) {
  SimulatedNetwork network(1);
  MailExchange mail(2, 4096);
  SimulatedBackend left_io(network);
  SimulatedBackend right_io(network);
  ReactorOptions options;
  options.handlers_max = 16;
  options.buffer_bytes_max = 1 << 20;
  Shard left(0, left_io, mail, nullptr, options);
  Shard right(1, right_io, mail, nullptr, options);
  auto made = std::make_unique<MailCounter>();
  const MailCounter& counter = *made;
  right.SetApplication(std::move(made));
  right.RunTurn();
  ASSERT_TRUE(left.Post(1, kMailPing, {}));
  EXPECT_FALSE(right_io.woken());  // It was between turns, not asleep: no wake-up is spent.
  right.RunTurn();
  EXPECT_EQ(counter.last_from, 0u);
}

TEST(ShardTest, AtLeastOneCpuIsAllowed) { EXPECT_GE(AllowedCpus().size(), 1u); }

}  // namespace
}  // namespace sallyport::core
