#include "sip/proxy/source_key.h"

#include <gtest/gtest.h>

#include <string_view>

namespace sallyport::sip {
namespace {

uint64_t KeyOf(std::string_view address, uint8_t fill = 7) {
  tls::MacKey key;
  key.fill(fill);
  return SourceKey(key, *core::SocketAddress::Parse(address));
}

TEST(SourceKeyTest, Ipv4AddressesCountWholeAndWithoutPort) {
  EXPECT_EQ(KeyOf("192.0.2.1:1"), KeyOf("192.0.2.1:65535"));
  EXPECT_NE(KeyOf("192.0.2.1:1"), KeyOf("192.0.2.0:1"));
  EXPECT_NE(KeyOf("192.0.2.1:1"), KeyOf("192.0.3.1:1"));
}

TEST(SourceKeyTest, Ipv6AddressesCountByTheir64) {
  EXPECT_EQ(KeyOf("[2001:db8:1:2::1]:1"), KeyOf("[2001:db8:1:2:ffff:ffff:ffff:ffff]:2"));
  EXPECT_NE(KeyOf("[2001:db8:1:2::1]:1"), KeyOf("[2001:db8:1:3::1]:1"));
  EXPECT_NE(KeyOf("[2001:db8:1:2::1]:1"), KeyOf("[2001:db9:1:2::1]:1"));
}

TEST(SourceKeyTest, MappedAddressIsItsIpv4Address) {
  EXPECT_EQ(KeyOf("[::ffff:192.0.2.1]:1"), KeyOf("192.0.2.1:1"));
  EXPECT_NE(KeyOf("[::ffff:192.0.2.1]:1"), KeyOf("[::ffff:192.0.2.2]:1"));
}

TEST(SourceKeyTest, FamiliesDoNotMeet) {
  EXPECT_NE(KeyOf("192.0.2.1:1"), KeyOf("[c000:201::1]:1"));
}

TEST(SourceKeyTest, AnotherKeyIsAnotherHash) {
  EXPECT_NE(KeyOf("192.0.2.1:1", 7), KeyOf("192.0.2.1:1", 8));
}

}  // namespace
}  // namespace sallyport::sip
