// Goal: a rule about a user cannot be dodged by another spelling of the same user, and takes no
// other user. Method: one pattern against every spelling; each pair of patterns for Covers.
#include "sip/proxy/user_pattern.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sallyport::sip {
namespace {

UserPattern Pattern(std::string_view text) {
  const absl::StatusOr<UserPattern> pattern = UserPattern::Parse(text);
  EXPECT_TRUE(pattern.ok()) << text << ": " << pattern.status();
  return pattern.value_or(UserPattern());
}

bool Matches(std::string_view pattern, std::string_view text) {
  Uri uri;
  EXPECT_EQ(ParseUri(text, uri), UriOutcome::kOk) << text;
  return Pattern(pattern).Matches(uri);
}

TEST(UserPatternTest, ANumberIsKnownInEverySpelling) {
  for (const char* text : {
           "sip:+1900555@a.example",
           "sips:+1900555@a.example",
           "tel:+1900555",
           "TEL:+1900555",
           "tel:+1-900-555",
           "tel:+1.(900)555;isub=1",
           "sip:+1%39005%355@a.example",
           "sip:%2B1900555@a.example",
           "sip:%2b%31%39%30%30@a.example",
           "sip:+1-900-555@a.example",
           "sip:+1(900)555@a.example",
           "sip:+1.900.555@a.example",
           "sip:+1%2D900%2e555@a.example",
           "sip:-+1900@a.example",
           "sip:+1-900-555@a.example;user=phone",
           "sip:+1-900-555@a.example;User=Phone",
           "sip:+1900555;isub=1@a.example",
           "sip:+1-900;phone-context=example.com@a.example",
           "sip:+1900%3Bisub=1@a.example",
           "sip:+1900555:secret@a.example",
           "sip:+1-900-FLOWERS@a.example",
           "sip:+1-900-555@192.0.2.1:5060;transport=tcp",
       }) {
    EXPECT_TRUE(Matches("+1900*", text)) << text;
    EXPECT_TRUE(Matches("+1-900*", text)) << text;
    EXPECT_TRUE(Matches("%2B1(900)*", text)) << text;
  }
}

TEST(UserPatternTest, OtherNumbersAreOthers) {
  for (const char* text : {
           "sip:1900555@a.example",
           "sip:001900555@a.example",
           "sip:+190@a.example",
           "sip:+1;x=900@a.example",
           "sip:+1%2539005@a.example",
           "tel:900555;phone-context=+1",
           "tel:+2900",
           "sip:a.example",
           "sip:alice@a.example;x=+1900",
           "urn:service:+1900",
       }) {
    EXPECT_FALSE(Matches("+1900*", text)) << text;
  }
}

TEST(UserPatternTest, AWholeNumberIsExact) {
  for (const char* text : {"sip:112@a", "sip:1-1-2@a", "sip:112;x@a", "tel:112;phone-context=a.b",
                           "sip:%31%31%32@a"}) {
    EXPECT_TRUE(Matches("112", text)) << text;
  }
  for (const char* text : {"sip:1120@a", "sip:11@a", "sip:112x@a", "sip:+112@a", "sip:a"}) {
    EXPECT_FALSE(Matches("112", text)) << text;
  }
  EXPECT_TRUE(Matches("%2A97", "sip:*97@a"));
  EXPECT_TRUE(Matches("%2A97", "sip:*9-7@a"));
  EXPECT_TRUE(Matches("#31*", "sip:%2331%30@a"));
}

TEST(UserPatternTest, ANameIsComparedAsItStands) {
  EXPECT_TRUE(Matches("alice", "sip:alice@a"));
  EXPECT_TRUE(Matches("alice", "sip:%61lic%65@a"));
  EXPECT_TRUE(Matches("%61lice", "sip:alice@a"));
  EXPECT_TRUE(Matches("al.ice", "sip:al.ice@a"));
  EXPECT_TRUE(Matches("alice;x=1", "sip:alice;x=1@a"));
  EXPECT_TRUE(Matches("j\xc3\xb6rg", "sip:j%C3%B6rg@a"));
  for (const char* text : {"sip:Alice@a", "sip:alicea@a", "sip:alic@a", "sip:al.ice@a",
                           "sip:alice;x=1@a", "sip:alice%00@a", "sip:alice%20@a", "sip:a"}) {
    EXPECT_FALSE(Matches("alice", text)) << text;
  }
}

TEST(UserPatternTest, APrefixTakesWhatBeginsSo) {
  EXPECT_TRUE(Matches("sup*", "sip:support@a"));
  EXPECT_TRUE(Matches("sup*", "sip:sup@a"));
  EXPECT_TRUE(Matches("sup*", "sip:s%75p;x@a"));
  EXPECT_FALSE(Matches("sup*", "sip:su@a"));
  EXPECT_FALSE(Matches("sup*", "sip:Support@a"));
  EXPECT_TRUE(Matches("+*", "tel:+49"));
  EXPECT_FALSE(Matches("+*", "sip:49@a"));
}

// Whoever adds ;user=phone matches what he matched without.
TEST(UserPatternTest, SayingPhoneEscapesNoRule) {
  for (const char* pattern : {"alice", "al.ice", "Al*", "a-1*", "1-800-x", "a;b"}) {
    const std::string user = std::string(pattern).substr(0, std::string(pattern).find('*'));
    EXPECT_TRUE(Matches(pattern, "sip:" + user + "@a")) << pattern;
    EXPECT_TRUE(Matches(pattern, "sip:" + user + "@a;user=phone")) << pattern;
  }
  EXPECT_TRUE(Matches("1-800-flowers", "sip:1800FLOWERS@a;user=phone"));
  EXPECT_FALSE(Matches("1-800-flowers", "sip:1800FLOWERS@a"));
}

TEST(UserPatternTest, AnyTakesAllAndNone) {
  for (const char* pattern : {"", "*"}) {
    EXPECT_TRUE(Pattern(pattern).is_any());
    for (const char* text : {"sip:a", "sip:b@a", "tel:112", "urn:service:sos"}) {
      EXPECT_TRUE(Matches(pattern, text)) << text;
    }
  }
  EXPECT_EQ(UserPattern(), Pattern("*"));
}

TEST(UserPatternTest, WhatIsNoUserIsRefused) {
  for (const char* text : {"**", "a*b", "*a", "a@b", "a b", "a:b", "<a", "a%", "a%4", "a%4g*", "-",
                           "(*", "a\n", "\x7f", ";x", "a%%41"}) {
    EXPECT_FALSE(UserPattern::Parse(text).ok()) << text;
  }
}

// RFC 5031 §3, RFC 8141 §3.2: one service in every spelling.
TEST(UserPatternTest, AUrnIsComparedAsAWholeWithoutCase) {
  for (const char* text : {"urn:service:sos", "URN:service:sos", "urn:SERVICE:Sos",
                           "urn:service:%73os", "urn:service:sos?=x=1", "urn:service:sos?+r"}) {
    EXPECT_TRUE(Matches("urn:service:sos", text)) << text;
    EXPECT_TRUE(Matches("urn:service:*", text)) << text;
    EXPECT_TRUE(Matches("URN:Service:*", text)) << text;
    EXPECT_TRUE(Matches("urn:*", text)) << text;
    EXPECT_TRUE(Matches("*", text)) << text;
    EXPECT_FALSE(Matches("urn:service:sos.fire", text)) << text;
    EXPECT_FALSE(Matches("urn:service:counseling*", text)) << text;
  }
  EXPECT_TRUE(Matches("urn:service:sos*", "urn:service:sos.fire"));
  EXPECT_FALSE(Matches("urn:service:sos", "urn:service:sos.fire"));
  EXPECT_FALSE(Matches("urn:service:sos", "urn:service:so"));
  EXPECT_FALSE(Matches("urn:service:sos", "urn:service:sos%3Fx"));
  EXPECT_TRUE(Matches("urn:x:a%2A@b", "urn:x:a*@b"));
}

// A user that spells a URN is none, and a URN has no user.
TEST(UserPatternTest, AUrnAndAUserAreNeverTheSame) {
  for (const char* text :
       {"sip:urn%3Aservice%3Asos@a.example", "sip:urn:service@a.example", "tel:112",
        "sip:sos@a.example", "urns:service:sos", "http:service:sos", "sip:service:sos@urn"}) {
    EXPECT_FALSE(Matches("urn:service:sos", text)) << text;
    EXPECT_FALSE(Matches("urn:*", text)) << text;
  }
  for (const char* pattern : {"urn*", "sos", "u*", "service*", "112"}) {
    EXPECT_FALSE(Matches(pattern, "urn:service:sos")) << pattern;
  }
}

TEST(UserPatternTest, MalformedUrnsAreRefused) {
  for (const char* text :
       {"urn:", "urn:a b", "urn:service:<sos>", "urn:x%4", "urn:a?b", "urn:a#b", "urn:a*b"}) {
    EXPECT_FALSE(UserPattern::Parse(text).ok()) << text;
  }
  EXPECT_TRUE(UserPattern::Parse("urn:*").ok());
}

TEST(UserPatternTest, UrnsAreCoveredByUrnsAndByAny) {
  const auto covers = [](std::string_view earlier, std::string_view later) {
    return Pattern(earlier).Covers(Pattern(later));
  };
  EXPECT_TRUE(covers("", "urn:service:*"));
  EXPECT_TRUE(covers("urn:*", "URN:service:sos"));
  EXPECT_TRUE(covers("urn:service:*", "urn:SERVICE:sos"));
  EXPECT_FALSE(covers("urn:service:sos", "urn:service:*"));
  EXPECT_FALSE(covers("urn*", "urn:service:*"));
  EXPECT_FALSE(covers("urn:*", "urn*"));
  EXPECT_FALSE(covers("urn:*", "*"));
}

TEST(UserPatternTest, CoversWhatItWouldTakeFirst) {
  const auto covers = [](std::string_view earlier, std::string_view later) {
    return Pattern(earlier).Covers(Pattern(later));
  };
  EXPECT_TRUE(covers("", ""));
  EXPECT_TRUE(covers("", "alice"));
  EXPECT_TRUE(covers("+1*", "+1900*"));
  EXPECT_TRUE(covers("+1-9*", "+1900"));
  EXPECT_TRUE(covers("+19*", "+1-900"));
  EXPECT_TRUE(covers("100", "1-00"));
  EXPECT_TRUE(covers("al*", "alice*"));
  EXPECT_TRUE(covers("alice", "%61lice"));
  EXPECT_FALSE(covers("alice", ""));
  EXPECT_FALSE(covers("alice", "alice*"));
  EXPECT_FALSE(covers("alice", "Alice"));
  EXPECT_FALSE(covers("+1900*", "+1*"));
  EXPECT_FALSE(covers("al.ice", "alice")) << "one is not a number";
}

}  // namespace
}  // namespace sallyport::sip
