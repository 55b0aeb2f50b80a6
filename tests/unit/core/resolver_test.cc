// The resolver on the real kernel, against a name server in a thread of the test: c-ares' sockets
// are real ones, so the simulation cannot carry them. Every wait has an end.
#include "core/resolver.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/uring_backend.h"
#include "gtest/gtest.h"
#include "tests/support/dns_message.h"

namespace sallyport::core {
namespace {

using test::DnsMessage;

// Answers over UDP and TCP on one port of 127.0.0.1, from a thread of its own.
class NameServer {
 public:
  // Gets the name that is asked for; an empty response is none.
  using Respond = std::function<std::string(std::string_view name, uint16_t id, bool over_tcp)>;

  explicit NameServer(Respond respond) : respond_(std::move(respond)) {
    // Another process may have the TCP port of the same number: then the next pair.
    for (int attempt = 0; attempt < 100 && !Open(); ++attempt) {
    }
    EXPECT_EQ(pipe(stop_.data()), 0);
    thread_ = std::thread([this] { Serve(); });
  }
  ~NameServer() {
    EXPECT_EQ(write(stop_[1], "x", 1), 1);
    thread_.join();
    for (const int fd : {udp_, tcp_, stop_[0], stop_[1]}) close(fd);
  }

  SocketAddress address() const { return address_; }
  int asked_over_udp() const { return asked_over_udp_; }
  int asked_over_tcp() const { return asked_over_tcp_; }

 private:
  bool Open() {
    udp_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    tcp_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage;
    socklen_t length = SocketAddress::Loopback(AddressFamily::kIpv4, 0).ToSockaddr(storage);
    auto* const any = reinterpret_cast<sockaddr*>(&storage);
    if (bind(udp_, any, length) == 0 && getsockname(udp_, any, &length) == 0 &&
        bind(tcp_, any, length) == 0 && listen(tcp_, 16) == 0) {
      address_ = SocketAddress::FromSockaddr(any, length);
      return true;
    }
    close(udp_);
    close(tcp_);
    return false;
  }

  static std::string NameIn(std::string_view query) {
    std::string name;
    for (size_t at = 12; at < query.size() && query[at] != 0;) {
      const auto size = static_cast<size_t>(query[at]);
      name += (name.empty() ? "" : ".") + std::string(query.substr(at + 1, size));
      at += size + 1;
    }
    return name;
  }
  std::string Answer(std::string_view query, bool over_tcp) {
    if (query.size() < 12) return {};
    const auto id =
        static_cast<uint16_t>(static_cast<uint8_t>(query[0]) << 8 | static_cast<uint8_t>(query[1]));
    ++(over_tcp ? asked_over_tcp_ : asked_over_udp_);
    return respond_(NameIn(query), id, over_tcp);
  }

  void Serve() {
    for (;;) {
      std::array<pollfd, 3> watched = {
          {{udp_, POLLIN, 0}, {tcp_, POLLIN, 0}, {stop_[0], POLLIN, 0}}};
      poll(watched.data(), watched.size(), -1);
      if (watched[2].revents != 0) return;
      if (watched[0].revents != 0) ServeDatagram();
      if (watched[1].revents != 0) ServeConnection();
    }
  }
  void ServeDatagram() {
    std::array<char, 4096> bytes;
    sockaddr_storage peer;
    socklen_t length = sizeof peer;
    auto* const from = reinterpret_cast<sockaddr*>(&peer);
    const ssize_t got = recvfrom(udp_, bytes.data(), bytes.size(), 0, from, &length);
    if (got <= 0) return;
    const std::string response = Answer({bytes.data(), static_cast<size_t>(got)}, false);
    if (!response.empty()) sendto(udp_, response.data(), response.size(), 0, from, length);
  }
  void ServeConnection() {
    const int fd = accept(tcp_, nullptr, nullptr);
    const timeval limit{5, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::array<char, 4096> bytes;
    if (recv(fd, bytes.data(), 2, MSG_WAITALL) == 2) {
      const size_t size =
          static_cast<size_t>(static_cast<uint8_t>(bytes[0])) << 8 | static_cast<uint8_t>(bytes[1]);
      const ssize_t got = recv(fd, bytes.data(), std::min(size, bytes.size()), MSG_WAITALL);
      if (got > 0) {
        const std::string response = Answer({bytes.data(), static_cast<size_t>(got)}, true);
        const std::string framed =
            DnsMessage::Number16(static_cast<uint16_t>(response.size())) + response;
        send(fd, framed.data(), framed.size(), MSG_NOSIGNAL);
      }
    }
    close(fd);
  }

  const Respond respond_;
  int udp_ = -1;
  int tcp_ = -1;
  std::array<int, 2> stop_{};
  SocketAddress address_;
  std::atomic<int> asked_over_udp_{0};
  std::atomic<int> asked_over_tcp_{0};
  std::thread thread_;
};

std::string OneAddress(std::string_view name, uint16_t id) {
  DnsMessage message(name, DnsType::kA, 0, id);
  message.A(name, 300, {192, 0, 2, 1});
  return std::string(message.text());
}

class ResolverTest : public testing::Test, public DnsAnswerHandler {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<UringBackend>> made = UringBackend::Create({});
    ASSERT_TRUE(made.ok()) << made.status();
    io_ = *std::move(made);
    ReactorOptions options;
    options.handlers_max = 64;
    options.buffer_bytes_max = 1 << 20;
    options.wait_max = absl::Milliseconds(20);
    reactor_ = std::make_unique<Reactor>(*io_, options);
  }
  // Where an answer comes, no machine is too slow for it; where none does, no test waits for it.
  void Start(std::vector<SocketAddress> servers, absl::Duration try_timeout = absl::Seconds(10)) {
    ResolverOptions options;
    options.servers = std::move(servers);
    options.try_timeout = try_timeout;
    options.questions_max = 64;
    absl::StatusOr<std::unique_ptr<Resolver>> made = Resolver::Create(*reactor_, options);
    ASSERT_TRUE(made.ok()) << made.status();
    resolver_ = *std::move(made);
  }
  void TearDown() override {
    resolver_.reset();
    if (reactor_ == nullptr) return;
    reactor_->RunTurn();  // Late completions find nobody.
    io_->Quiesce();
    reactor_->set_kernel_gone();
  }

  void OnDnsAnswer(uint64_t cookie, const DnsAnswer& answer) override {
    EXPECT_FALSE(inside_query_);
    EXPECT_FALSE(answers_.contains(cookie)) << cookie;
    answers_[cookie] = answer;
    if (then_) then_(cookie);
  }
  bool Ask(DnsType type, std::string_view name, uint64_t cookie) {
    inside_query_ = true;
    const bool asked = resolver_->Query(type, *DnsName::FromText(name), *this, cookie);
    inside_query_ = false;
    return asked;
  }
  // Turns until `done`, ten seconds at most.
  bool RunUntil(const std::function<bool()>& done) {
    const MonotonicTime limit = io_->MonotonicNow() + absl::Seconds(10);
    while (!done()) {
      if (io_->MonotonicNow() > limit) return false;
      reactor_->RunTurn();
    }
    return true;
  }
  bool RunUntilAnswers(size_t count) {
    return RunUntil([this, count] { return answers_.size() >= count; });
  }

  std::unique_ptr<UringBackend> io_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<Resolver> resolver_;
  std::map<uint64_t, DnsAnswer> answers_;
  std::function<void(uint64_t)> then_;
  bool inside_query_ = false;
};

TEST_F(ResolverTest, AnswersOverUdp) {
  NameServer server([](std::string_view name, uint16_t id, bool) { return OneAddress(name, id); });
  Start({server.address()});
  ASSERT_TRUE(Ask(DnsType::kA, "example.com", 7));
  ASSERT_TRUE(RunUntilAnswers(1));
  EXPECT_EQ(answers_[7].status(), DnsStatus::kOk);
  EXPECT_EQ(answers_[7].records().size(), 1u);
  EXPECT_EQ(resolver_->questions_outstanding(), 0u);
  EXPECT_EQ(server.asked_over_udp(), 1);
}

TEST_F(ResolverTest, ManyQuestionsShareTheSockets) {
  NameServer server([](std::string_view name, uint16_t id, bool) { return OneAddress(name, id); });
  Start({server.address()});
  for (uint64_t round = 0; round < 3; ++round) {
    for (uint64_t index = 0; index < 40; ++index) {
      ASSERT_TRUE(Ask(DnsType::kA, "n" + std::to_string(index) + ".example", round * 40 + index));
    }
    ASSERT_TRUE(RunUntilAnswers((round + 1) * 40));
  }
  for (const auto& [cookie, answer] : answers_) EXPECT_EQ(answer.status(), DnsStatus::kOk);
  EXPECT_EQ(resolver_->counters().sockets_refused, 0u);
}

TEST_F(ResolverTest, ATruncatedAnswerIsAskedForOverTcp) {
  NameServer server([](std::string_view name, uint16_t id, bool over_tcp) {
    if (over_tcp) return OneAddress(name, id);
    DnsMessage cut(name, DnsType::kA, 0, id);
    cut.Truncate();
    return std::string(cut.text());
  });
  Start({server.address()});
  ASSERT_TRUE(Ask(DnsType::kA, "example.com", 7));
  ASSERT_TRUE(RunUntilAnswers(1));
  EXPECT_EQ(answers_[7].status(), DnsStatus::kOk);
  EXPECT_EQ(server.asked_over_tcp(), 1);
}

TEST_F(ResolverTest, ANegativeAnswerKeepsItsTtl) {
  NameServer server([](std::string_view name, uint16_t id, bool) {
    DnsMessage message(name, DnsType::kSrv, 3, id);
    message.Soa("example.com", 600, 20);
    return std::string(message.text());
  });
  Start({server.address()});
  ASSERT_TRUE(Ask(DnsType::kSrv, "_sip._tcp.example.com", 7));
  ASSERT_TRUE(RunUntilAnswers(1));
  EXPECT_EQ(answers_[7].status(), DnsStatus::kNoName);
  EXPECT_EQ(answers_[7].ttl(), absl::Seconds(20));
}

TEST_F(ResolverTest, SilenceIsATimeout) {
  NameServer server([](std::string_view, uint16_t, bool) { return std::string(); });
  Start({server.address()}, absl::Milliseconds(50));
  ASSERT_TRUE(Ask(DnsType::kA, "example.com", 7));
  ASSERT_TRUE(RunUntilAnswers(1));
  EXPECT_EQ(answers_[7].status(), DnsStatus::kTimeout);
  EXPECT_TRUE(RunUntil([&server] { return server.asked_over_udp() == 2; }));
}

TEST_F(ResolverTest, TheNextServerIsAskedWhenOneFails) {
  NameServer broken([](std::string_view name, uint16_t id, bool) {
    return std::string(DnsMessage(name, DnsType::kA, 2, id).text());
  });
  NameServer working([](std::string_view name, uint16_t id, bool) { return OneAddress(name, id); });
  Start({broken.address(), working.address()});
  ASSERT_TRUE(Ask(DnsType::kA, "example.com", 7));
  ASSERT_TRUE(RunUntilAnswers(1));
  EXPECT_EQ(answers_[7].status(), DnsStatus::kOk);
}

TEST_F(ResolverTest, AnUnreachableServerIsAFailure) {
  SocketAddress gone;
  {
    NameServer server([](std::string_view, uint16_t, bool) { return std::string(); });
    gone = server.address();
  }
  Start({gone});
  ASSERT_TRUE(Ask(DnsType::kA, "example.com", 7));
  ASSERT_TRUE(RunUntilAnswers(1));
  EXPECT_EQ(answers_[7].status(), DnsStatus::kServerFailure);
}

// RFC 7686: c-ares answers at once, from inside the question.
TEST_F(ResolverTest, AnEndThatIsKnownAtOnceIsToldLater) {
  NameServer server([](std::string_view name, uint16_t id, bool) { return OneAddress(name, id); });
  Start({server.address()});
  ASSERT_TRUE(Ask(DnsType::kA, "example.onion", 7));
  EXPECT_TRUE(answers_.empty());
  ASSERT_TRUE(RunUntilAnswers(1));
  EXPECT_EQ(answers_[7].status(), DnsStatus::kNoName);
  EXPECT_EQ(server.asked_over_udp(), 0);
}

TEST_F(ResolverTest, AHandlerMayAskAgain) {
  NameServer server([](std::string_view name, uint16_t id, bool) { return OneAddress(name, id); });
  Start({server.address()});
  then_ = [this](uint64_t cookie) {
    const std::string name = cookie == 2 ? "next.onion" : "next.example";
    if (cookie == 4) return;
    ASSERT_TRUE(resolver_->Query(DnsType::kA, *DnsName::FromText(name), *this, cookie + 1));
  };
  ASSERT_TRUE(Ask(DnsType::kA, "example.com", 1));
  ASSERT_TRUE(RunUntilAnswers(4));
  EXPECT_EQ(answers_[3].status(), DnsStatus::kNoName);
  EXPECT_EQ(answers_[4].status(), DnsStatus::kOk);
}

TEST_F(ResolverTest, QuestionsAreBounded) {
  NameServer server([](std::string_view, uint16_t, bool) { return std::string(); });
  Start({server.address()}, absl::Milliseconds(50));
  for (uint64_t index = 0; index < 64; ++index) ASSERT_TRUE(Ask(DnsType::kA, "example.com", index));
  EXPECT_FALSE(Ask(DnsType::kA, "example.com", 64));
  EXPECT_EQ(resolver_->counters().refused, 1u);
  ASSERT_TRUE(RunUntilAnswers(64));
}

TEST_F(ResolverTest, NewServersAreAskedWhatIsOutstanding) {
  NameServer silent([](std::string_view, uint16_t, bool) { return std::string(); });
  NameServer working([](std::string_view name, uint16_t id, bool) { return OneAddress(name, id); });
  Start({silent.address()});
  ASSERT_TRUE(Ask(DnsType::kA, "example.com", 1));
  ASSERT_TRUE(Ask(DnsType::kA, "example.org", 2));
  ASSERT_TRUE(RunUntil([&silent] { return silent.asked_over_udp() >= 2; }));
  const std::array servers = {working.address()};
  ASSERT_TRUE(resolver_->SetServers(servers).ok());
  ASSERT_TRUE(RunUntilAnswers(2));
  EXPECT_EQ(answers_[1].status(), DnsStatus::kOk);
  EXPECT_EQ(answers_[2].status(), DnsStatus::kOk);
}

TEST_F(ResolverTest, ImpossibleServersAreRefused) {
  NameServer server([](std::string_view name, uint16_t id, bool) { return OneAddress(name, id); });
  Start({server.address()});
  const std::array none = {SocketAddress()};
  EXPECT_FALSE(resolver_->SetServers(none).ok());
  const std::vector<SocketAddress> many(Resolver::kServersMax + 1, server.address());
  EXPECT_FALSE(resolver_->SetServers(many).ok());
  ASSERT_TRUE(Ask(DnsType::kA, "example.com", 7));  // The old one still answers.
  ASSERT_TRUE(RunUntilAnswers(1));
  EXPECT_EQ(answers_[7].status(), DnsStatus::kOk);
}

TEST_F(ResolverTest, MayGoWhileQuestionsAreOutstanding) {
  NameServer server([](std::string_view, uint16_t, bool) { return std::string(); });
  Start({server.address()});
  ASSERT_TRUE(Ask(DnsType::kA, "example.com", 7));
  ASSERT_TRUE(RunUntil([&server] { return server.asked_over_udp() == 1; }));
  const uint64_t stale = reactor_->counters().stale_completions;
  resolver_.reset();
  ASSERT_TRUE(RunUntil([&] { return reactor_->counters().stale_completions > stale; }));
  EXPECT_TRUE(answers_.empty());
}

}  // namespace
}  // namespace sallyport::core
