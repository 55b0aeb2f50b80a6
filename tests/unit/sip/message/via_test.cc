#include "sip/message/via.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/support/guarded_copy.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;

TEST(ViaTest, ReadsEveryPart) {
  Via via;
  ASSERT_TRUE(ParseVia(
      " SIP/2.0/TLS "
      "[2001:db8::9:1]:5061;branch=z9hG4bK1;rport;received=2001:db8::9:255;maddr=a.example;"
      "ttl=16;alias;x=\"y\" ",
      via));
  EXPECT_EQ(via.protocol, "SIP");
  EXPECT_EQ(via.version, "2.0");
  EXPECT_EQ(via.transport, "TLS");
  EXPECT_EQ(via.host, "[2001:db8::9:1]");
  EXPECT_EQ(via.port, 5061);
  EXPECT_EQ(via.branch, "z9hG4bK1");
  EXPECT_TRUE(via.has_rport);
  EXPECT_EQ(via.rport, "");
  EXPECT_EQ(via.rport_param, ";rport");
  EXPECT_EQ(via.received, "2001:db8::9:255");
  EXPECT_EQ(via.received_param, ";received=2001:db8::9:255");
  EXPECT_EQ(via.maddr, "a.example");
  EXPECT_EQ(via.ttl, "16");
  EXPECT_TRUE(via.has_alias);
}

// RFC 4475 §3.1.1.1.
TEST(ViaTest, WhitespaceAndFoldsRoundEverySeparator) {
  Via via;
  ASSERT_TRUE(
      ParseVia("SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5060 ; branch=\r\n 390skdjuw", via));
  EXPECT_EQ(via.transport, "UDP");
  EXPECT_EQ(via.host, "192.0.2.2");
  EXPECT_EQ(via.port, 5060);
  EXPECT_EQ(via.branch, "390skdjuw");
  EXPECT_EQ(via.whole.substr(via.whole.size() - 9), "390skdjuw");
}

TEST(ViaTest, Accepts) {
  for (const char* const good :
       {"SIP/2.0/UDP a", "sip/2.0/udp a.example",
        "SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en",
        "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111",
        "SIP/2.0/TCP a;rport=1", "SIP/2.0/TCP a;rport=65535",
        "SIP/2.0/UDP a;branch=z9hG4bK-.!%66*_+`'~", "SIP/3.0/UDP a", "SIP/2.0/UDP a;x;y=z"}) {
    Via via;
    EXPECT_TRUE(ParseVia(good, via)) << good;
  }
}

TEST(ViaTest, Refuses) {
  for (const char* const bad : {"",
                                " ",
                                "SIP",
                                "SIP/2.0",
                                "SIP/2.0/",
                                "SIP/2.0/UDP",
                                "SIP/2.0/UDP ",
                                "SIP/2.0/TLS ;branch=z9hG4bK1",
                                ",,,,",
                                "SIP/2.0/UDP 192.0.2.15;;,;,,",
                                "SIP/2.0/UDP a;;b",
                                "SIP/2.0/UDP a,b",
                                "SIP/2.0/UDP a:",
                                "SIP/2.0/UDP a:0",
                                "SIP/2.0/UDP a:65536",
                                "SIP/2.0/UDP a:x",
                                "SIP/2.0/UDP a b",
                                "SIP/2.0/UDP a_b.1",
                                "SIP/2.0/UDP a;x=\"y",
                                "SIP/2.0/UDP a;x=y z",
                                "SIP/2.0/UDP a;received=1.2.3.4x",
                                "SIP/2.0/UDP 2001:db8::1",
                                "SIP/2.0/UDPa",
                                "SIP/2.0/UDP a;branch",
                                "SIP/2.0/UDP a;branch=",
                                "SIP/2.0/UDP a;branch=\"x\"",
                                "SIP/2.0/UDP a;branch=1;branch=2",
                                "SIP/2.0/UDP a;rport;rport=1",
                                "SIP/2.0/UDP a;rport=",
                                "SIP/2.0/UDP a;rport=0",
                                "SIP/2.0/UDP a;rport=65536",
                                "SIP/2.0/UDP a;received=a.example",
                                "SIP/2.0/UDP a;received",
                                "SIP/2.0/UDP a;ttl=256",
                                "SIP/2.0/UDP a;maddr=a..b",
                                "SIP /2.0/UDP/ a",
                                "/2.0/UDP a"}) {
    const GuardedCopy copy(bad);
    Via via;
    EXPECT_FALSE(ParseVia(copy.view(), via)) << bad;
  }
}

// Parameters that nothing depends on, and hosts that no DNS has.
TEST(ViaTest, OddPartsThatDecideNothingPass) {
  for (const char* const odd :
       {"SIP/2.0/UDP a;branch=z9hG4bK1;", "SIP/2.0/UDP my_phone;branch=z9hG4bK1",
        "SIP/2.0/UDP a;thinfo=\"\xff;,\";branch=z9hG4bK1", "SIP/2.0/UDP a;x=a/b;branch=z9hG4bK1",
        "SIP/2.0/UDP a;x=a:b;branch=z9hG4bK1", "SIP/2.0/UDP a;\xe9;branch=z9hG4bK1"}) {
    const GuardedCopy copy(odd);
    Via via;
    EXPECT_TRUE(ParseVia(copy.view(), via)) << odd;
    EXPECT_EQ(via.branch, "z9hG4bK1") << odd;
  }
}

TEST(ViaTest, EveryPrefixStaysInside) {
  const std::string text =
      "SIP / 2.0 / UDP [2001:db8::1] : 5060 "
      ";rport;received=[::1];branch=z9hG4bK1;ttl=1;maddr=192.0.2.1;x=\"y\"";
  for (size_t size = 0; size <= text.size(); ++size) {
    const GuardedCopy copy(std::string_view(text).substr(0, size));
    Via via;
    static_cast<void>(ParseVia(copy.view(), via));
  }
}

std::string Marked(const std::string& value, std::string_view received, std::string_view rport) {
  Via via;
  EXPECT_TRUE(ParseVia(value, via));
  std::array<ViaPatch, kViaPatchesMax> patches;
  const size_t count = MarkVia(via, received, rport, patches);
  std::string marked;
  const char* kept = value.data();
  for (size_t i = 0; i < count; ++i) {
    EXPECT_LE(kept, patches[i].begin);
    marked.append(kept, patches[i].begin);
    marked += patches[i].text;
    kept = patches[i].end;
  }
  return marked.append(kept, value.data() + value.size());
}

// What Kamailio 5.6 was seen to read, and to end the connection for.
TEST(ViaTest, PlainIsWhatEveryServerReads) {
  for (const char* const plain :
       {"SIP/2.0/TLS h", "sip/2.0/tls h:5061;branch=z9hG4bK1;rport",
        "SIP / 2.0 / UDP h : 5 ; x = 1 ;y", "SIP/2.0/UDP my_phone;branch=z9hG4bKx",
        "SIP/2.0/TLS [::1]:5;received=::1", "SIP/2.0/UDP h;sigcomp-id=\"<urn:uuid:0>\"",
        "SIP/2.0/UDP h;alias;i=1;x=", "SIP/2.0/TLS h;a",
        "SIP/2.0/UDP h;\xe9=\xe9;@=<b>{c}/d:e'f'"}) {
    EXPECT_TRUE(IsPlainVia(plain)) << plain;
  }
  for (const char* const odd : {"",
                                "garbage",
                                "SIP/2.0/TLS",
                                "SIP/2.0/TLS ",
                                "SIP/3.0/TLS h",
                                "HTTP/1.1/TLS h",
                                "SIP/2.0 TLS h",
                                "SIP/2.0/T LS h",
                                "SIP/2.0/TLS ::1",
                                "SIP/2.0/TLS [::1",
                                "SIP/2.0/TLS h]",
                                "SIP/2.0/TLS h:",
                                "SIP/2.0/TLS h:abc",
                                "SIP/2.0/TLS a b",
                                "SIP/2.0/TLS h (c)",
                                "SIP/2.0/TLS h;",
                                "SIP/2.0/TLS h;;x",
                                "SIP/2.0/TLS h;=",
                                "SIP/2.0/TLS h;x=a b",
                                "SIP/2.0/TLS h;x y",
                                "SIP/2.0/TLS h;x=\"a,b\"",
                                "SIP/2.0/TLS h;x=\"a\\\"b\"",
                                "SIP/2.0/TLS h;x=\"a",
                                "SIP/2.0/TLS h;alias=1",
                                "SIP/2.0/TLS h;A=1",
                                "SIP/2.0/TLS h;branch",
                                "SIP/2.0/TLS h;branch=;x",
                                "SIP/2.0/TLS h;maddr="}) {
    EXPECT_FALSE(IsPlainVia(odd)) << odd;
  }
}

TEST(ViaTest, Rfc3261_18_2_1_MarkNotesTheSourceOnce) {
  EXPECT_EQ(Marked("SIP/2.0/UDP a;branch=1", "192.0.2.1", "4711"),
            "SIP/2.0/UDP a;branch=1;received=192.0.2.1");
  EXPECT_EQ(Marked("SIP/2.0/UDP a;rport;branch=1", "192.0.2.1", "4711"),
            "SIP/2.0/UDP a;rport=4711;branch=1;received=192.0.2.1");
  EXPECT_EQ(Marked("SIP/2.0/UDP a;branch=1;rport", "192.0.2.1", "4711"),
            "SIP/2.0/UDP a;branch=1;rport=4711;received=192.0.2.1");
  EXPECT_EQ(Marked("SIP/2.0/UDP a;rport = 1;received=6.6.6.6;b", "192.0.2.1", "4711"),
            "SIP/2.0/UDP a;rport = 4711;b;received=192.0.2.1");
  EXPECT_EQ(Marked("SIP/2.0/UDP a;received=6.6.6.6;rport", "", "4711"), "SIP/2.0/UDP a;rport=4711");
  EXPECT_EQ(Marked("SIP/2.0/UDP a;received=6.6.6.6", "192.0.2.1", ""),
            "SIP/2.0/UDP a;received=192.0.2.1");
  EXPECT_EQ(Marked("SIP/2.0/UDP a;rport", "", ""), "SIP/2.0/UDP a;rport");
}

}  // namespace
}  // namespace sallyport::sip
