#include "tls/client_hello.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/tls_client.h"

namespace sallyport::tls {
namespace {

std::string RealHello(const std::string& name, int max_version = 0x0304) {
  test::TlsClientOptions options;
  options.max_version = max_version;
  options.server_name = name;
  return test::TlsClient(options).TakeOutput();
}

ServerNameReading Read(std::string_view bytes) {
  // On the heap and of exact size, so that the sanitizer sees a read past the end.
  const std::vector<std::byte> copy(
      reinterpret_cast<const std::byte*>(bytes.data()),
      reinterpret_cast<const std::byte*>(bytes.data()) + bytes.size());
  return ReadServerName(copy);
}

// The same handshake message in records of `piece` bytes.
std::string Split(const std::string& hello, size_t piece) {
  std::string out;
  for (size_t at = 5; at < hello.size(); at += piece) {
    const std::string part = hello.substr(at, piece);
    out += std::string{'\x16', '\x03', '\x01', static_cast<char>(part.size() >> 8),
                       static_cast<char>(part.size())};
    out += part;
  }
  return out;
}

TEST(ClientHelloTest, FindsTheName) {
  for (const int version : {0x0303, 0x0304}) {
    const ServerNameReading reading = Read(RealHello("Edge.Example", version));
    EXPECT_EQ(reading.outcome, ServerNameOutcome::kName);
    EXPECT_EQ(reading.name.text(), "edge.example");
    EXPECT_EQ(Read(RealHello("", version)).outcome, ServerNameOutcome::kNone);
  }
}

TEST(ClientHelloTest, EveryPrefixNeedsMoreUntilTheNameIsThere) {
  const std::string hello = RealHello("edge.example");
  const size_t name_end = hello.find("edge.example") + 12;
  for (size_t cut = 0; cut < hello.size(); ++cut) {
    EXPECT_EQ(Read(hello.substr(0, cut)).outcome,
              cut < name_end ? ServerNameOutcome::kNeedMore : ServerNameOutcome::kName)
        << cut;
  }
}

TEST(ClientHelloTest, RecordsMayCutItAnywhere) {
  const std::string hello = RealHello("edge.example");
  for (size_t piece = 1; piece < hello.size(); ++piece) {
    const ServerNameReading reading = Read(Split(hello, piece));
    EXPECT_EQ(reading.outcome, ServerNameOutcome::kName) << piece;
    EXPECT_EQ(reading.name.text(), "edge.example");
  }
}

TEST(ClientHelloTest, EveryDamagedByteGivesAnAnswer) {
  const std::string hello = RealHello("edge.example");
  for (size_t i = 0; i < hello.size(); ++i) {
    for (const int value : {0x00, 0x01, 0x7f, 0xff}) {
      std::string damaged = hello;
      damaged[i] = static_cast<char>(value);
      const ServerNameReading reading = Read(damaged);
      EXPECT_EQ(reading.outcome == ServerNameOutcome::kName, !reading.name.empty());
    }
  }
}

TEST(ClientHelloTest, WhatIsNoClientHelloHasNoName) {
  EXPECT_EQ(Read("GET / HTTP/1.1\r\n").outcome, ServerNameOutcome::kNone);
  EXPECT_EQ(Read(std::string("\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9)).outcome,
            ServerNameOutcome::kNone);
  EXPECT_EQ(Read(std::string("\x16\x03\x01\x00\x00", 5)).outcome, ServerNameOutcome::kNone);
  EXPECT_EQ(Read("").outcome, ServerNameOutcome::kNeedMore);
}

TEST(ClientHelloTest, IsDecidedWithinItsBound) {
  std::string endless;
  while (endless.size() < kClientHelloBytesMax) {
    endless += std::string("\x16\x03\x01\x00\x01", 5) + (endless.empty() ? "\x01" : "a");
  }
  EXPECT_EQ(Read(endless).outcome, ServerNameOutcome::kNone);
}

TEST(ServerNameTest, TakesHostNamesOnly) {
  EXPECT_EQ(ServerName("A-1.example").text(), "a-1.example");
  EXPECT_TRUE(ServerName("a b").empty());
  EXPECT_TRUE(ServerName(std::string("a\0b", 3)).empty());
  EXPECT_TRUE(ServerName("a/b").empty());
  EXPECT_EQ(ServerName(std::string(255, 'a')).text().size(), 255u);
  EXPECT_TRUE(ServerName(std::string(256, 'a')).empty());
}

}  // namespace
}  // namespace sallyport::tls
