#include "sip/message/host.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/guarded_copy.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;

// Goal: fast and careful reading of a host agree. Method: the same text alone at a page's end, and
// with readable slack.
void ExpectKind(std::string_view text, HostKind kind) {
  const GuardedCopy copy(text);
  EXPECT_EQ(ClassifyHost(copy.view()), kind) << text;
  const std::string padded = std::string(text) + std::string(40, ';');
  const HostAt at = ReadHost(padded.data(), Bounds(padded));
  const bool whole = at.end == padded.data() + text.size();
  EXPECT_EQ(whole ? at.kind : HostKind::kInvalid, kind) << text << " with slack";
}

TEST(HostTest, Names) {
  const std::string label63(63, 'a');
  const std::string name253 = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b');
  for (const std::string& name :
       {std::string("a"), std::string("a.example"), std::string("A.EXAMPLE"),
        std::string("a-b.example"), std::string("xn--80a.example"), std::string("a.example."),
        std::string("a."), std::string("3com.example"), std::string("1.2.3.4.example"),
        std::string("0xc0000201"), std::string("a.b.c.d.e.f.g.h.i.j.k.l.m.n"),
        std::string("very-long-host-name.provider.example.com"), label63 + ".example", name253,
        name253 + "."}) {
    ExpectKind(name, HostKind::kName);
  }
}

TEST(HostTest, NotNames) {
  const std::string label64(64, 'a');
  const std::string label63(63, 'a');
  const std::string name254 = label63 + "." + label63 + "." + label63 + "." + std::string(62, 'b');
  for (const std::string& name : {std::string(""),
                                  std::string("."),
                                  std::string(".."),
                                  std::string(".a"),
                                  std::string("a..example"),
                                  std::string("a.example.."),
                                  std::string("-a.example"),
                                  std::string("a-.example"),
                                  std::string("a.-example"),
                                  std::string("a.example-"),
                                  std::string("a.example-."),
                                  std::string("a.123"),
                                  std::string("a.123."),
                                  std::string("123"),
                                  std::string("1.2.3"),
                                  std::string("1.2.3.4.5"),
                                  std::string("*.a.example"),
                                  std::string("a_b.example"),
                                  std::string("a.example%00"),
                                  std::string("a b.example"),
                                  std::string("\xd0\xb0.example"),
                                  std::string("a.example\0", 10),
                                  label64 + ".example",
                                  name254}) {
    ExpectKind(name, HostKind::kInvalid);
  }
}

TEST(HostTest, Ipv4) {
  for (const char* const good : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "192.168.100.100"}) {
    ExpectKind(good, HostKind::kIpv4);
  }
  for (const char* const bad : {"256.0.0.1", "1.2.3", "1.2.3.", "1..2.3", "1.2.3.4.", "01.2.3.4",
                                "1.2.3.04", "1.2.3.1000"}) {
    ExpectKind(bad, HostKind::kInvalid);
  }
}

TEST(HostTest, Ipv6) {
  for (const char* const good :
       {"[::]", "[::1]", "[1::]", "[2001:db8::9:1]", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]",
        "[::2:3:4:5:6:7:8]", "[::ffff:192.0.2.1]", "[1:2:3:4:5:6:192.0.2.1]", "[2001:DB8::A]",
        "[2001:db8::10:5070]"}) {
    ExpectKind(good, HostKind::kIpv6);
  }
  for (const char* const bad : {"[]",
                                "[:]",
                                "[:::]",
                                "[1]",
                                "[1:2:3:4:5:6:7]",
                                "[1:2:3:4:5:6:7:8:9]",
                                "[1::2::3]",
                                "[12345::]",
                                "[::g]",
                                "[::1",
                                "::1",
                                "[::1%25eth0]",
                                "[::1%eth0]",
                                "[a.example]",
                                "[2001:db8:::192.0.2.1]",
                                "[::192.0.2]",
                                "[::192.0.2.256]",
                                "[192.0.2.1]",
                                "[1:2:3:4:5:6:7:192.0.2.1]",
                                "[::1]a.example",
                                "[::1].",
                                "[1:2:3:4:5:6:7:8::]",
                                "[:1::2]",
                                "[1::2:]"}) {
    ExpectKind(bad, HostKind::kInvalid);
  }
}

TEST(HostTest, ComparesWithoutCaseAndOneTrailingDot) {
  EXPECT_TRUE(EqualsHost("a.example", "A.Example"));
  EXPECT_TRUE(EqualsHost("a.example.", "a.example"));
  EXPECT_TRUE(EqualsHost("a.example.", "a.example."));
  EXPECT_FALSE(EqualsHost("a.example", "a.exampl"));
  EXPECT_FALSE(EqualsHost("evila.example", "a.example"));
  EXPECT_FALSE(EqualsHost("sub.a.example", "a.example"));
  EXPECT_FALSE(EqualsHost("", "a"));
}

}  // namespace
}  // namespace sallyport::sip
