// Goal: the four pages answer what they are given, with the status that a probe reads; clients that
// are slow hold up no other, and a name that is not ours reads nothing. Loopback, port chosen by
// the kernel.
#include "core/admin_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "core/listening_sockets.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

int Connect(uint16_t port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{10, 0};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return descriptor;
}

std::string Ask(uint16_t port, const std::string& request) {
  const int descriptor = Connect(port);
  EXPECT_EQ(send(descriptor, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char chunk[4096];
  ssize_t bytes = 0;
  while ((bytes = recv(descriptor, chunk, sizeof(chunk), 0)) > 0) {
    answer.append(chunk, static_cast<size_t>(bytes));
  }
  close(descriptor);
  return answer;
}

std::string Get(uint16_t port, const std::string& path) {
  return Ask(port, "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
}

std::string GetWithHost(uint16_t port, const std::string& host) {
  return Ask(port, "GET /livez HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
}

class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest() {
    AdminContent content;
    content.metrics = [] { return std::string("x_up 1\n"); };
    content.readiness = [this] {
      return ready_ ? Readiness{true, {}} : Readiness{false, {"draining"}};
    };
    content.status = [] {
      StatusPage page;
      page.title = "edge.example";
      return page;
    };
    content.on_request = [this](AdminEndpoint endpoint, int status) {
      if (endpoint == AdminEndpoint::kReadyz && status == 503) ++refused_;
      if (status == 421) ++misdirected_;
    };
    content.on_drop = [this](HttpDrop drop) { ++(drop == HttpDrop::kSlow ? slow_ : limited_); };
    auto sockets = OpenListeningSockets(SocketAddress::Loopback(AddressFamily::kIpv4, 0),
                                        SocketKind::kStream, 1, false);
    EXPECT_TRUE(sockets.ok()) << sockets.status();
    auto server =
        AdminServer::Start(std::move(sockets->front()), {"edge1.example"}, std::move(content));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::atomic<bool> ready_{true};
  std::atomic<int> refused_{0};
  std::atomic<int> misdirected_{0};
  std::atomic<int> slow_{0};
  std::atomic<int> limited_{0};
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, ServesTheFourPages) {
  const std::string metrics = Get(server_->port(), "/metrics");
  EXPECT_THAT(metrics, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(metrics, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics, HasSubstr("\r\n\r\nx_up 1\n"));
  EXPECT_THAT(Get(server_->port(), "/livez"), HasSubstr("\r\n\r\nok\n"));
  EXPECT_THAT(Get(server_->port(), "/readyz"), HasSubstr("{\"ready\":true"));
  const std::string page = Get(server_->port(), "/");
  EXPECT_THAT(page, HasSubstr("text/html"));
  EXPECT_THAT(page, HasSubstr("<h1>edge.example</h1>"));
}

TEST_F(AdminServerTest, NotReadyIs503WithReasonsAndStaysAlive) {
  ready_ = false;
  const std::string answer = Get(server_->port(), "/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("{\"ready\":false,\"reasons\":[\"draining\"]}"));
  EXPECT_THAT(Get(server_->port(), "/livez"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(refused_, 1);
}

TEST_F(AdminServerTest, NothingElseIsServed) {
  EXPECT_THAT(Get(server_->port(), "/etc/passwd"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask(server_->port(),
                  "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: "
                  "close\r\n\r\n"),
              StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask(server_->port(), "nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

TEST_F(AdminServerTest, HeadHasNoBodyAndAConnectionServesSeveralRequests) {
  const std::string answer = Ask(server_->port(),
                                 "HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                 "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                 "GET /metrics HTTP/1.0\r\n\r\n");
  EXPECT_THAT(answer, MatchesRegex("HTTP/1.1 200 .*Content-Length: 3\r\n.*\r\n\r\n"
                                   "HTTP/1.1 200 .*\r\n\r\nok\n"
                                   "HTTP/1.1 200 .*\r\n\r\nx_up 1\n"));
}

TEST_F(AdminServerTest, ServesTheAddressLocalhostAndTheNamesOfTheConfiguration) {
  const std::string port = std::to_string(server_->port());
  for (const std::string host : {"127.0.0.1", "localhost", "edge1.example"}) {
    EXPECT_THAT(GetWithHost(server_->port(), host), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(GetWithHost(server_->port(), host + ":" + port), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_THAT(GetWithHost(server_->port(), "LOCALHOST"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(misdirected_, 0);
}

TEST_F(AdminServerTest, AnotherHostReadsNothing) {
  int asked = 0;
  for (const std::string host : {"evil.example", "evil.example:9090", "127.0.0.1.evil.example",
                                 "localhost.evil.example", "127.0.0.2", "[::1]"}) {
    const std::string answer = GetWithHost(server_->port(), host);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 421")) << host;
    EXPECT_THAT(answer, HasSubstr("admin-hosts")) << host;
    EXPECT_THAT(answer, Not(HasSubstr("ok\n"))) << host;
    EXPECT_EQ(misdirected_, ++asked);
  }
}

// More of them than may be connected: the newest is answered all the same.
TEST_F(AdminServerTest, SlowClientsHoldUpNoOther) {
  std::vector<int> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(Connect(server_->port()));
    EXPECT_EQ(send(slow.back(), "GET /livez HT", 13, MSG_NOSIGNAL), 13);
    if (i % 50 != 49) continue;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_THAT(Get(server_->port(), "/livez"), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(Get(server_->port(), "/metrics"), StartsWith("HTTP/1.1 200"));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  }
  EXPECT_GT(limited_, 200 - 96);
  for (const int descriptor : slow) close(descriptor);
}

TEST_F(AdminServerTest, AHeadThatDoesNotComeEndsTheConnection) {
  const int descriptor = Connect(server_->port());
  EXPECT_EQ(send(descriptor, "GET ", 4, MSG_NOSIGNAL), 4);
  char byte = 0;
  EXPECT_EQ(recv(descriptor, &byte, 1, 0), 0);  // Within ten seconds; see Connect.
  EXPECT_EQ(slow_, 1);
  close(descriptor);
}

}  // namespace
}  // namespace sallyport::core
