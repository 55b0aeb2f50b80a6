// Goal: a request is read the same way wherever it is cut, and what could be read in two ways is
// not.
#include "core/http_request.h"

#include <string>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

const std::string kRequest =
    "GET /metrics?x=1 HTTP/1.1\r\nHost: 127.0.0.1:9090\r\nAccept: */*\r\n\r\n";

HttpOutcome Read(const std::string& text) {
  HttpRequest request;
  return ReadHttpRequest(text, request);
}

TEST(HttpRequestTest, ReadsARequestAndLeavesWhatFollows) {
  const std::string text = kRequest + "GET / HTTP/1.1\r\n";
  HttpRequest request;
  ASSERT_EQ(ReadHttpRequest(text, request), HttpOutcome::kRequest);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.path, "/metrics");
  EXPECT_EQ(request.host, "127.0.0.1");
  EXPECT_TRUE(request.keep_alive);
  EXPECT_EQ(request.bytes, kRequest.size());
}

TEST(HttpRequestTest, EveryProperPrefixNeedsMore) {
  for (size_t cut = 0; cut < kRequest.size(); ++cut) {
    EXPECT_EQ(Read(kRequest.substr(0, cut)), HttpOutcome::kNeedMore) << cut;
  }
}

TEST(HttpRequestTest, TheHeadIsBounded) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string end = "\r\n\r\n";
  const std::string fits(kHttpHeadBytesMax - start.size() - end.size(), 'x');
  EXPECT_EQ(Read(start + fits + end), HttpOutcome::kRequest);
  EXPECT_EQ(Read(start + fits + "x" + end), HttpOutcome::kTooLarge);
  EXPECT_EQ(Read(std::string(kHttpHeadBytesMax - 1, 'x')), HttpOutcome::kNeedMore);
  EXPECT_EQ(Read(std::string(kHttpHeadBytesMax, 'x')), HttpOutcome::kTooLarge);
}

TEST(HttpRequestTest, KeepsAConnectionAsTheVersionAndThePeerSay) {
  const auto keeps = [](const std::string& text) {
    HttpRequest request;
    EXPECT_EQ(ReadHttpRequest(text, request), HttpOutcome::kRequest) << text;
    return request.keep_alive;
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
}

TEST(HttpRequestTest, TheHostComesWithoutItsPort) {
  const std::pair<std::string, std::string> hosts[] = {{"localhost", "localhost"},
                                                       {"localhost:9090", "localhost"},
                                                       {"[::1]", "[::1]"},
                                                       {"[::1]:9090", "[::1]"},
                                                       {"evil.example:80", "evil.example"}};
  for (const auto& [value, host] : hosts) {
    const std::string text = "GET / HTTP/1.1\r\nhOST:" + value + "\r\n\r\n";
    HttpRequest request;
    ASSERT_EQ(ReadHttpRequest(text, request), HttpOutcome::kRequest) << value;
    EXPECT_EQ(request.host, host);
  }
}

TEST(HttpRequestTest, WhatCouldBeReadInTwoWaysIsMalformed) {
  for (const std::string text :
       {"nonsense\r\n\r\n", "\r\n\r\n", "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    EXPECT_EQ(Read(text), HttpOutcome::kMalformed) << text;
  }
}

}  // namespace
}  // namespace sallyport::core
