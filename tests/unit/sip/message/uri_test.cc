#include "sip/message/uri.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "sip/message/params.h"
#include "tests/support/guarded_copy.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;

TEST(UriTest, SplitsEveryPart) {
  Uri uri;
  const std::string text =
      "SIPS:ali%63e:p%20w@A.example:5061;transport=tcp;lr;x=[y]?Subject=a%20b&h=";
  ASSERT_EQ(ParseUri(text, uri), UriOutcome::kOk);
  EXPECT_EQ(uri.scheme, Uri::Scheme::kSips);
  EXPECT_EQ(uri.scheme_text, "SIPS");
  EXPECT_EQ(uri.user, "ali%63e");
  EXPECT_TRUE(uri.has_password);
  EXPECT_EQ(uri.password, "p%20w");
  EXPECT_EQ(uri.host, "A.example");
  EXPECT_FALSE(uri.host_is_ip);
  EXPECT_EQ(uri.port, 5061);
  EXPECT_EQ(uri.params, ";transport=tcp;lr;x=[y]");
  EXPECT_EQ(uri.headers, "Subject=a%20b&h=");
  EXPECT_EQ(uri.whole, text);
  EXPECT_EQ(FindParam(uri.params, "TRANSPORT"), "tcp");
  EXPECT_EQ(FindParam(uri.params, "lr"), "");
  EXPECT_EQ(FindParam(uri.params, "ttl"), std::nullopt);
}

struct HostCase {
  std::string_view text;
  std::string_view user;
  std::string_view host;
};

// The traps of the identity table and RFC 4475: which part is the host?
TEST(UriTest, TheHostFollowsTheOnlyAtSign) {
  const HostCase cases[] = {
      {"sip:a.example", "", "a.example"},
      {"sip:a.example:5060", "", "a.example"},
      {"sip:a.example;x=y", "", "a.example"},
      {"sip:alice@a.example.", "alice", "a.example"},
      {"sip:a.example@b.example", "a.example", "b.example"},
      {"sip:a.example;x=@b.example", "a.example;x=", "b.example"},
      {"sip:bob;x=y%40b.example@a.example", "bob;x=y%40b.example", "a.example"},
      {"sip:alice/../b.example@a.example", "alice/../b.example", "a.example"},
      {"sip://alice@a.example", "//alice", "a.example"},
      {"sip:sip:alice@a.example", "sip", "a.example"},
      {"sip:sips%3Auser%40example.com@example.net", "sips%3Auser%40example.com", "example.net"},
      {"sip:user;par=u%40example.net@example.com", "user;par=u%40example.net", "example.com"},
      {"sip:a.example?h=x@b.example", "a.example?h=x", "b.example"},
      {"sip:alice%00@a.example", "alice%00", "a.example"},
      {"sip:+1-555-123;phone-context=b.example@a.example;user=phone",
       "+1-555-123;phone-context=b.example", "a.example"},
  };
  for (const HostCase& c : cases) {
    Uri uri;
    ASSERT_EQ(ParseUri(c.text, uri), UriOutcome::kOk) << c.text;
    EXPECT_EQ(uri.user, c.user) << c.text;
    EXPECT_EQ(uri.host, c.host) << c.text;
  }
}

struct OutcomeCase {
  std::string_view text;
  UriOutcome outcome;
};

TEST(UriTest, RefusesWithTheRightOutcome) {
  const OutcomeCase cases[] = {
      {"", UriOutcome::kBadScheme},
      {":", UriOutcome::kBadScheme},
      {"sip", UriOutcome::kBadScheme},
      {"1sip:a", UriOutcome::kBadScheme},
      {"alice@a.example", UriOutcome::kBadScheme},
      {"*", UriOutcome::kBadScheme},
      {" sip:a.example", UriOutcome::kBadScheme},
      {"<sip:a.example>", UriOutcome::kBadScheme},
      {"sip:", UriOutcome::kBadHost},
      {"sip:@", UriOutcome::kBadUser},
      {"sip:@a.example", UriOutcome::kBadUser},
      {"sip::pw@a.example", UriOutcome::kBadUser},
      {"sip:a@", UriOutcome::kBadHost},
      {"sip:[", UriOutcome::kBadHost},
      {"sip:[::", UriOutcome::kBadHost},
      {"sip:a%", UriOutcome::kBadHost},
      {"sip:a%4", UriOutcome::kBadHost},
      {"sip:a%4@b", UriOutcome::kBadHost},
      {"sip:%", UriOutcome::kBadHost},
      {"sip:alice@a.example@b.example", UriOutcome::kBadHost},
      {"sip:alice@b.example%00.a.example", UriOutcome::kBadHost},
      {"sip:alice@a.example b", UriOutcome::kBadHost},
      {"sip:alice@2001:db8::1", UriOutcome::kBadHost},
      {"sip:alice@[::1]a.example", UriOutcome::kBadHost},
      {"sip:a@b:", UriOutcome::kBadPort},
      {"sip:a@b:0", UriOutcome::kBadPort},
      {"sip:a@b:65536", UriOutcome::kBadPort},
      {"sip:a@b:506O", UriOutcome::kBadHost},
      {"sips:::::", UriOutcome::kBadHost},
      {"sip:a@b;", UriOutcome::kBadParameter},
      {"sip:a@b;=x", UriOutcome::kBadParameter},
      {"sip:a@b;x=", UriOutcome::kBadParameter},
      {"sip:a@b;maddr", UriOutcome::kBadParameter},
      {"sip:a@b;maddr=%41", UriOutcome::kBadParameter},
      {"sip:a@b;ttl=256", UriOutcome::kBadParameter},
      {"sip:a@b;transport=udp;Transport=tcp", UriOutcome::kBadParameter},
      {"sip:a@b;lr;lr", UriOutcome::kBadParameter},
      {"sip:a@b;transport=u(p", UriOutcome::kBadParameter},
      {"sip:a@b;sip:bob@b.example", UriOutcome::kBadParameter},
      {"sip:a@b;x=\"@b.example\"", UriOutcome::kBadParameter},
      {"sip:a@b; lr", UriOutcome::kBadParameter},
      {"sip:a@b?", UriOutcome::kBadHeaders},
      {"sip:a@b?h", UriOutcome::kBadHeaders},
      {"sip:a@b?=v", UriOutcome::kBadHeaders},
      {"sip:a@b?h=v&", UriOutcome::kBadHeaders},
      {"sip:a@b?h=<x>", UriOutcome::kBadHeaders},
      {"sip:a@b?h=v@c.example", UriOutcome::kBadHeaders},  // A last-'@' reader would see c.example.
      {"sip:a@b?h=v@c.example&i=j", UriOutcome::kBadHeaders},
      {"sip:a@b?h=v@[::1]", UriOutcome::kBadHeaders},
      {"tel:", UriOutcome::kBadOpaquePart},
      {"tel:+1555@a.example", UriOutcome::kBadOpaquePart},
      {"a:", UriOutcome::kBadOpaquePart},
      {"http://a.example/<x>", UriOutcome::kBadOpaquePart},
  };
  for (const OutcomeCase& c : cases) {
    Uri uri;
    EXPECT_EQ(ParseUri(c.text, uri), c.outcome) << c.text;
  }
}

// What deployed devices write; whoever reads an identity asks for `is_odd`.
TEST(UriTest, OddUsersAndHostsAreMarked) {
  struct OddCase {
    const char* text;
    const char* user;
    const char* host;
    bool is_odd;
  };
  for (const OddCase& c :
       {OddCase{"sip:*72#@10.0.0.1", "*72#", "10.0.0.1", true},
        OddCase{"sip:PBX#1000#905@10.0.0.5:5061", "PBX#1000#905", "10.0.0.5", true},
        OddCase{"sip:a[1]@b.example;lr", "a[1]", "b.example", true},
        OddCase{"sip:alice@my_host", "alice", "my_host", true},
        OddCase{"sip:my_host:5060", "", "my_host", true},
        OddCase{"sip:_sip.x@a_b.c_d:5060;lr", "_sip.x", "a_b.c_d", true},
        OddCase{"sip:a_b@c.example", "a_b", "c.example", false}}) {
    Uri uri;
    EXPECT_EQ(ParseUri(c.text, uri), UriOutcome::kOk) << c.text;
    EXPECT_EQ(uri.user, c.user) << c.text;
    EXPECT_EQ(uri.host, c.host) << c.text;
    EXPECT_EQ(uri.is_odd, c.is_odd) << c.text;
  }
  for (const char* const bad :
       {"sip:#@", "sip:a#", "sip:a#b.example", "sip:a#@b@c", "sip:a@b_", "sip:a@_.1", "sip:a@b_c.1",
        "sip:a@b_c d", "sip:a#:p@b", "sip:a@b#c"}) {
    Uri uri;
    const bool is_refused = ParseUri(bad, uri) != UriOutcome::kOk;
    EXPECT_TRUE(is_refused || std::string_view(bad) == "sip:a@b_") << bad;
  }
}

TEST(UriTest, AtSignInHeadersIsToleratedOnlyWhereItNamesNoHost) {
  Uri uri;
  ASSERT_EQ(ParseUri("sip:alice@a.example?From=%3Csip:bob@b.example%3E", uri), UriOutcome::kOk);
  EXPECT_EQ(uri.host, "a.example");
}

TEST(UriTest, PortLimits) {
  Uri uri;
  ASSERT_EQ(ParseUri("sip:a@b:65535", uri), UriOutcome::kOk);
  EXPECT_EQ(uri.port, 65535);
  ASSERT_EQ(ParseUri("sip:a@b:00001", uri), UriOutcome::kOk);
  EXPECT_EQ(uri.port, 1);
}

TEST(UriTest, OtherSchemes) {
  Uri uri;
  ASSERT_EQ(ParseUri("tel:+1-555-123;phone-context=a.example", uri), UriOutcome::kOk);
  EXPECT_EQ(uri.scheme, Uri::Scheme::kTel);
  EXPECT_EQ(uri.user, "+1-555-123");
  EXPECT_EQ(uri.host, "");
  EXPECT_EQ(FindParam(uri.params, "phone-context"), "a.example");
  for (const char* const other :
       {"sipx:alice@a.example", "xsip:alice@a.example", "http://www.example.com", "isbn:2983792873",
        "soap.beep://192.0.2.103:3002", "name:John_Smith", "urn:service:sos"}) {
    ASSERT_EQ(ParseUri(other, uri), UriOutcome::kOk) << other;
    EXPECT_EQ(uri.scheme, Uri::Scheme::kOther);
    EXPECT_EQ(uri.host, "");
  }
}

TEST(UriTest, Ipv6HostsKeepTheirBrackets) {
  Uri uri;
  ASSERT_EQ(ParseUri("sip:[2001:db8::10:5070]", uri), UriOutcome::kOk);
  EXPECT_EQ(uri.host, "[2001:db8::10:5070]");
  EXPECT_EQ(uri.port, 0);
  EXPECT_TRUE(uri.host_is_ip);
  ASSERT_EQ(ParseUri("sip:[2001:db8::10]:5070", uri), UriOutcome::kOk);
  EXPECT_EQ(uri.port, 5070);
}

// Goal: no read beyond the end. Method: every prefix of a long URI at the end of a page.
TEST(UriTest, EveryPrefixStaysInside) {
  const std::string text =
      "sip:+49%3089;a=b:pw%40@[2001:db8::1]:5061;maddr=192.0.2.1;ttl=16;transport=tls;lr?h=%41&i=j";
  for (size_t size = 0; size <= text.size(); ++size) {
    const GuardedCopy copy(std::string_view(text).substr(0, size));
    Uri uri;
    static_cast<void>(ParseUri(copy.view(), uri));
  }
}

TEST(UriTest, UnescapeKeepsNulAndBrokenEscapes) {
  std::array<char, 32> out;
  const auto unescape = [&out](std::string_view text) {
    return std::string(out.data(), Unescape(text, out));
  };
  EXPECT_EQ(unescape("%61lice"), "alice");
  EXPECT_EQ(unescape("a%00b"), std::string("a\0b", 3));
  EXPECT_EQ(unescape("%fF%Ff"), "\xff\xff");
  EXPECT_EQ(unescape("%4"), "%4");
  EXPECT_EQ(unescape("%zz%"), "%zz%");
  EXPECT_EQ(unescape("%25%34%31"), "%41");  // Once, not twice.
}

}  // namespace
}  // namespace sallyport::sip
