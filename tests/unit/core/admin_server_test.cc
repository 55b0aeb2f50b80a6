// Goal: the four pages answer what they are given, with the status that a probe reads; a silent
// client stops nobody. Loopback, port chosen by the kernel.
#include "core/admin_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

using ::testing::HasSubstr;
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
  return Ask(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
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
    };
    auto server =
        AdminServer::Start(SocketAddress::Loopback(AddressFamily::kIpv4, 0), std::move(content));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::atomic<bool> ready_{true};
  std::atomic<int> refused_{0};
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
                  "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: "
                  "close\r\n\r\n"),
              StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask(server_->port(), "nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

TEST_F(AdminServerTest, SilentClientsStopNobodyForLong) {
  std::vector<int> silent;
  for (int i = 0; i < 8; ++i) silent.push_back(Connect(server_->port()));
  EXPECT_THAT(Get(server_->port(), "/livez"), StartsWith("HTTP/1.1 200"));
  for (const int descriptor : silent) close(descriptor);
}

TEST_F(AdminServerTest, AnAddressInUseIsAnError) {
  AdminContent content;
  content.metrics = [] { return std::string(); };
  content.readiness = [] { return Readiness{}; };
  content.status = [] { return StatusPage{}; };
  const auto second = AdminServer::Start(
      SocketAddress::Loopback(AddressFamily::kIpv4, server_->port()), std::move(content));
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(server_->port())));
}

}  // namespace
}  // namespace sallyport::core
