// Goal: what leaves is read the same by everybody, and nothing but the odd lines changes. Method:
// messages with one odd thing each.
#include "sip/message/plain_message.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

constexpr char kBegin[] =
    "OPTIONS sip:b.example SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
    "From: <sip:a@a.example>;tag=1\r\nTo: <sip:b@b.example>\r\n";
constexpr char kEnd[] = "Call-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 2\r\n\r\n\r\n";

struct Written {
  std::string text;
  bool has_odd_lines = false;
  bool has_unusual_names = false;
  size_t removed = 0;
};

Written Write(const std::string& wire, bool removes = true) {
  MessageView view;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk) << wire;
  Written written{std::string(wire.size() + kPlainGrowthMax, '\0'), view.has_odd_lines(),
                  view.has_unusual_names()};
  const PlainMessage plain = WritePlain(view, removes, written.text);
  written.text.resize(plain.bytes);
  written.removed = plain.removed;
  return written;
}

std::string With(const std::string& lines) { return std::string(kBegin) + lines + kEnd; }

TEST(PlainMessageTest, PlainMessagesStayAsTheyAre) {
  for (const std::string lines : {"", "X:a\r\n", "X :  a  b \r\n", "Max-Forwards:70\r\n",
                                  "X_a.b-1: \r\n", "Subject:\tx\r\n", "Contact : <sip:a>\r\n"}) {
    const Written written = Write(With(lines));
    EXPECT_FALSE(written.has_odd_lines) << lines;
    EXPECT_FALSE(written.has_unusual_names) << lines;
    EXPECT_EQ(written.text.size(), With(lines).size() + (lines == "Max-Forwards:70\r\n" ? 1 : 0));
  }
}

TEST(PlainMessageTest, OddLinesBecomePlain) {
  const std::pair<const char*, const char*> cases[] = {
      {"Max-Forwards : 70\r\n", "Max-Forwards: 70\r\n"},
      {"Max-Forwards:\t70\r\n", "Max-Forwards: 70\r\n"},
      {"Max-Forwards:  70\r\n", "Max-Forwards: 70\r\n"},
      {"max-forwards: 70 \r\n", "max-forwards: 70\r\n"},
      {"Max-Forwards:\r\n 70\r\n", "Max-Forwards: 70\r\n"},
      {"Via: SIP/2.0/UDP\r\n x\r\n", "Via: SIP/2.0/UDP x\r\n"},
      {"l: 2\r\n", ""},  // Again.
      {"X: a\r\n\t b\r\n c\r\n", "X: a b c\r\n"},
      {"X:\r\n a  b\r\n", "X: a  b\r\n"},
      {"X: \"a\r\n b\"\r\n", "X: \"a b\"\r\n"},
  };
  for (const auto& [odd, plain] : cases) {
    const Written written = Write(With(odd));
    EXPECT_TRUE(written.has_odd_lines) << odd;
    // Of two lengths the first stays, where it stands.
    const std::string expected =
        std::string(odd) == "l: 2\r\n"
            ? std::string(kBegin) + odd + "Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n\r\n"
            : With(plain);
    EXPECT_EQ(written.text, expected) << odd;
    EXPECT_FALSE(Write(written.text).has_odd_lines) << odd;
  }
}

TEST(PlainMessageTest, CSeqHasOneSpace) {
  for (const char* const cseq :
       {"1  OPTIONS", "1\tOPTIONS", "1\r\n OPTIONS", " 1 OPTIONS", "1 OPTIONS "}) {
    const std::string wire =
        std::string(kBegin) + "Call-ID: c\r\nCSeq: " + cseq + "\r\nContent-Length: 2\r\n\r\n\r\n";
    const Written written = Write(wire);
    EXPECT_TRUE(written.has_odd_lines) << cseq;
    EXPECT_EQ(written.text, With("")) << cseq;
  }
}

TEST(PlainMessageTest, UnusualNamesGoWhereThatIsAsked) {
  const std::string wire = With("X!: a\r\nX-%41: b\r\nX`: c\r\nX: d\r\n");
  const Written written = Write(wire);
  EXPECT_TRUE(written.has_unusual_names);
  EXPECT_EQ(written.removed, 3U);
  EXPECT_EQ(written.text, With("X: d\r\n"));
  EXPECT_EQ(Write(wire, false).text, wire);
}

// As some server reads them: the length of another body, and so a request that nobody has judged.
TEST(PlainMessageTest, KnownNamesWithUnderscoresAreUnusual) {
  for (const char* const name : {"content_length", "Content_Length", "CONTENT_TYPE", "Record_Route",
                                 "Max_Forwards", "Call_ID", "P_Asserted-Identity"}) {
    const Written written = Write(With(std::string(name) + ": 1\r\n"));
    EXPECT_TRUE(written.has_unusual_names) << name;
    EXPECT_EQ(written.text, With("")) << name;
  }
  for (const char* const name :
       {"X_Own", "_", "Content_Lengths", "a_name_of_more_than_32_characters_", "Content.Length"}) {
    EXPECT_FALSE(Write(With(std::string(name) + ": 1\r\n")).has_unusual_names) << name;
  }
}

TEST(PlainMessageTest, WhatDoesNotFitIsNotWritten) {
  const std::string wire = With("X: a\r\n b\r\n");
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk);
  std::string out(wire.size() + kPlainGrowthMax, '\0');
  const size_t bytes = WritePlain(view, true, out).bytes;
  for (size_t size = 0; size <= bytes; ++size) {
    EXPECT_EQ(WritePlain(view, true, std::span(out).first(size)).bytes, size == bytes ? bytes : 0);
  }
}

}  // namespace
}  // namespace sallyport::sip
