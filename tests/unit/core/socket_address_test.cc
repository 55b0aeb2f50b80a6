#include "core/socket_address.h"

#include <vector>

#include "absl/hash/hash_testing.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

TEST(SocketAddressTest, ParsesAndPrintsTheSame) {
  for (const char* text : {"192.0.2.1:5060", "0.0.0.0:0", "[2001:db8::1]:5061", "[::]:65535",
                           "[fe80::1%2]:5060", "[::ffff:192.0.2.1]:1"}) {
    const absl::StatusOr<SocketAddress> address = SocketAddress::Parse(text);
    ASSERT_TRUE(address.ok()) << text << ": " << address.status();
    EXPECT_EQ(address->ToString(), text);
    sockaddr_storage storage;
    const socklen_t length = address->ToSockaddr(storage);
    EXPECT_EQ(SocketAddress::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length), *address);
  }
}

TEST(SocketAddressTest, RefusesWhatIsNotOne) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,
                                      "192.0.2.1"sv,
                                      "192.0.2.1:"sv,
                                      "192.0.2.1:65536"sv,
                                      "192.0.2.1:-1"sv,
                                      "192.0.2.1:5060x"sv,
                                      "192.0.2:5060"sv,
                                      "192.0.2.256:1"sv,
                                      "01.2.3.4:1"sv,
                                      "2001:db8::1:5060"sv,
                                      "[2001:db8::1:5060"sv,
                                      "[]:1"sv,
                                      "[1.2.3.4]:1"sv,
                                      "host.example:5060"sv,
                                      " 192.0.2.1:1"sv,
                                      "192.0.2.1\0:1"sv,
                                      "[::1%]:1"sv,
                                      "[::1%x]:1"sv,
                                      ":5060"sv,
                                      "1.2.3.4: 5"sv}) {
    EXPECT_FALSE(SocketAddress::Parse(text).ok()) << text;
  }
}

TEST(SocketAddressTest, AddressesAreValues) {
  const SocketAddress a = *SocketAddress::Parse("192.0.2.1:5060");
  const SocketAddress b = *SocketAddress::Parse("192.0.2.1:5061");
  EXPECT_NE(a, b);
  EXPECT_LT(a, b);
  EXPECT_TRUE(a.HasSameHost(b));
  EXPECT_EQ(a, b.WithPort(5060));
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly(
      std::vector<SocketAddress>{a, b, {}, *SocketAddress::Parse("[::1]:5060")}));
}

TEST(SocketAddressTest, KnowsLoopbackUnspecifiedAndMapped) {
  EXPECT_TRUE(SocketAddress::Parse("127.3.2.1:1")->IsLoopback());
  EXPECT_TRUE(SocketAddress::Parse("[::1]:1")->IsLoopback());
  EXPECT_TRUE(SocketAddress::Parse("[::ffff:127.0.0.1]:1")->IsLoopback());
  EXPECT_FALSE(SocketAddress::Parse("[::2]:1")->IsLoopback());
  EXPECT_FALSE(SocketAddress().IsLoopback());
  EXPECT_TRUE(SocketAddress::Parse("0.0.0.0:1")->IsUnspecified());
  EXPECT_TRUE(SocketAddress::Parse("[::]:1")->IsUnspecified());
  EXPECT_FALSE(SocketAddress().IsUnspecified());
  EXPECT_EQ(SocketAddress::Parse("[::ffff:192.0.2.1]:9")->Unmapped(),
            *SocketAddress::Parse("192.0.2.1:9"));
  EXPECT_EQ(SocketAddress().ToString(), "none");
}

TEST(CidrRangeTest, ContainsExactlyItsAddresses) {
  struct Case {
    const char* range;
    const char* address;
    bool inside;
  };
  for (const Case& c :
       {Case{"10.0.0.0/8", "10.255.255.255", true}, Case{"10.0.0.0/8", "11.0.0.0", false},
        Case{"192.0.2.128/25", "192.0.2.128", true}, Case{"192.0.2.128/25", "192.0.2.127", false},
        Case{"192.0.2.1", "192.0.2.1", true}, Case{"192.0.2.1/32", "192.0.2.2", false},
        Case{"0.0.0.0/0", "255.255.255.255", true}, Case{"0.0.0.0/0", "::1", false},
        Case{"10.0.0.0/8", "::ffff:10.1.2.3", true},
        Case{"2001:db8::/33", "2001:db8:7fff::1", true},
        Case{"2001:db8::/33", "2001:db8:8000::1", false}, Case{"::/0", "2001:db8::1", true},
        Case{"::/0", "192.0.2.1", false}}) {
    const absl::StatusOr<CidrRange> range = CidrRange::Parse(c.range);
    ASSERT_TRUE(range.ok()) << c.range;
    EXPECT_EQ(range->Contains(*SocketAddress::FromHost(c.address, 5060)), c.inside)
        << c.range << " " << c.address;
  }
  EXPECT_FALSE(CidrRange::Parse("0.0.0.0/0")->Contains(SocketAddress()));
}

TEST(CidrRangeTest, RefusesWhatIsNotOne) {
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10/8", "::/129", "x/8",
                           "10.0.0.0/8/8", "10.0.0.0/8 "}) {
    EXPECT_FALSE(CidrRange::Parse(text).ok()) << text;
  }
  EXPECT_EQ(CidrRange::Parse("10.1.2.3/8").status().message(),
            "address bits behind the prefix; did you mean 10.0.0.0/8?");
}

}  // namespace
}  // namespace sallyport::core
