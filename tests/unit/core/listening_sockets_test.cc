// Goal: all shards share an address, and nothing else does. Loopback, port chosen by the kernel.
#include "core/listening_sockets.h"

#include "core/kernel_sockets.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

using ::testing::HasSubstr;

SocketAddress AnyPort(AddressFamily family = AddressFamily::kIpv4) {
  return SocketAddress::Loopback(family, 0);
}

class ListeningSocketsTest : public ::testing::TestWithParam<SocketKind> {};

TEST_P(ListeningSocketsTest, EveryShardHasTheOnePort) {
  for (const AddressFamily family : {AddressFamily::kIpv4, AddressFamily::kIpv6}) {
    const auto sockets = OpenListeningSockets(AnyPort(family), GetParam(), 4, false);
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    ASSERT_EQ(sockets->size(), 4u);
    const SocketAddress first = LocalAddressOf(sockets->front().get());
    EXPECT_NE(first.port(), 0);
    for (const FileDescriptor& socket : *sockets) {
      EXPECT_EQ(LocalAddressOf(socket.get()), first);
    }
  }
}

TEST_P(ListeningSocketsTest, ASecondOwnerIsRefusedAndTheAddressNamed) {
  for (const uint32_t shards : {1u, 3u}) {
    const auto sockets = OpenListeningSockets(AnyPort(), GetParam(), shards, false);
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    const SocketAddress address = LocalAddressOf(sockets->front().get());
    const auto second = OpenListeningSockets(address, GetParam(), shards, false);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_THAT(std::string(second.status().message()), HasSubstr(address.ToString()));
  }
}

TEST_P(ListeningSocketsTest, AWildcardKeepsOthersFromEachAddress) {
  const auto wildcard =
      OpenListeningSockets(SocketAddress::Ipv4({0, 0, 0, 0}, 0), GetParam(), 2, false);
  ASSERT_TRUE(wildcard.ok()) << wildcard.status();
  const uint16_t port = LocalAddressOf(wildcard->front().get()).port();
  const SocketAddress loopback = AnyPort().WithPort(port);
  EXPECT_FALSE(OpenListeningSockets(loopback, GetParam(), 2, false).ok());
  EXPECT_TRUE(OpenListeningSockets(loopback, GetParam(), 2, true).ok());  // Its own process.
}

TEST_P(ListeningSocketsTest, TheAddressIsFreeOnceItsOwnerIsGone) {
  SocketAddress address;
  {
    const auto sockets = OpenListeningSockets(AnyPort(), GetParam(), 2, false);
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    address = LocalAddressOf(sockets->front().get());
  }
  const auto again = OpenListeningSockets(address, GetParam(), 2, false);
  EXPECT_TRUE(again.ok()) << again.status();
}

TEST_P(ListeningSocketsTest, AForeignAddressSaysSo) {
  // TEST-NET-1 (RFC 5737) is on no interface.
  const auto sockets =
      OpenListeningSockets(SocketAddress::Ipv4({192, 0, 2, 1}, 5061), GetParam(), 1, false);
  ASSERT_FALSE(sockets.ok());
  EXPECT_EQ(sockets.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(sockets.status().message()), HasSubstr("not on any interface"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, ListeningSocketsTest,
                         ::testing::Values(SocketKind::kStream, SocketKind::kDatagram));

}  // namespace
}  // namespace sallyport::core
