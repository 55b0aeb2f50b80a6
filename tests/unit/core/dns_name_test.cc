#include "core/dns_name.h"

#include <string>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

TEST(DnsNameTest, IsLowerCaseWithoutTheLastDot) {
  EXPECT_EQ(DnsName::FromText("_SIPS._tcp.Example.COM.")->text(), "_sips._tcp.example.com");
  EXPECT_EQ(DnsName::FromText("localhost")->text(), "localhost");
  EXPECT_TRUE(DnsName().is_root());
}

TEST(DnsNameTest, RefusesWhatNamesNoHost) {
  for (const std::string_view text : {"", ".", "..", "a..b", ".a", "a b", "a.b..", "ä.example",
                                      "a/b", "a\\.b", "*.example.com", "[::1]"}) {
    EXPECT_FALSE(DnsName::FromText(text).has_value()) << text;
  }
  EXPECT_FALSE(DnsName::FromText(std::string_view("a\0b", 3)).has_value());
}

TEST(DnsNameTest, LabelsAndNamesHaveLimits) {
  const std::string label(63, 'a');
  EXPECT_TRUE(DnsName::FromText(label).has_value());
  EXPECT_FALSE(DnsName::FromText(label + "a").has_value());
  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'b');
  ASSERT_EQ(longest.size(), DnsName::kTextBytesMax);
  EXPECT_TRUE(DnsName::FromText(longest).has_value());
  EXPECT_FALSE(DnsName::FromText(longest + 'b').has_value());
}

TEST(DnsNameTest, NamesAreJoinedWithinTheLimit) {
  DnsName service = *DnsName::FromText("_sip._udp");
  EXPECT_TRUE(service.Append(*DnsName::FromText("Example.com")));
  EXPECT_EQ(service.text(), "_sip._udp.example.com");
  const std::string label(63, 'a');
  DnsName prefix = *DnsName::FromText("_sip._udp");
  EXPECT_FALSE(prefix.Append(
      *DnsName::FromText(label + '.' + label + '.' + label + '.' + std::string(60, 'b'))));
}

}  // namespace
}  // namespace sallyport::core
