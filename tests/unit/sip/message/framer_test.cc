#include "sip/message/framer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/guarded_copy.h"
#include "tests/unit/sip/message/corpus.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;

constexpr FramerLimits kLimits = {1024, 512};

std::string Message(std::string_view headers, std::string_view body) {
  return "OPTIONS sip:a SIP/2.0\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

struct Seen {
  FrameOutcome outcome;
  std::string bytes;
  friend bool operator==(const Seen&, const Seen&) = default;
};

// Everything that comes out of `wire` when it arrives in pieces of `piece` bytes, up to the first
// refusal.
std::vector<Seen> FrameAll(std::string_view wire, size_t piece, FramerLimits limits = kLimits) {
  Framer framer(limits);
  std::vector<Seen> seen;
  size_t consumed = 0;
  size_t arrived = 0;
  while (true) {
    const GuardedCopy unread(wire.substr(consumed, arrived - consumed));
    const Frame frame = framer.Next(unread.view());
    switch (frame.outcome) {
      case FrameOutcome::kMessage:
      case FrameOutcome::kKeepAlive:
      case FrameOutcome::kIgnored:
        seen.push_back({frame.outcome, std::string(frame.bytes)});
        consumed += frame.bytes.size();
        break;
      case FrameOutcome::kTooLarge:
      case FrameOutcome::kBadFraming:
        seen.push_back({frame.outcome, {}});
        return seen;
      case FrameOutcome::kNeedMore:
        if (arrived == wire.size()) return seen;
        arrived = std::min(wire.size(), arrived + piece);
        break;
    }
  }
}

// Goal: a message frames identically wherever TCP cuts it. Method: try every proper prefix.
TEST(FramerTest, EveryProperPrefixNeedsMore) {
  const std::string wire = ReadCorpus("messages/invite_typical.sip");
  for (size_t cut = 0; cut < wire.size(); ++cut) {
    const GuardedCopy unread(std::string_view(wire).substr(0, cut));
    Framer framer(FramerLimits{});
    ASSERT_EQ(framer.Next(unread.view()).outcome, FrameOutcome::kNeedMore) << cut;
    const Frame whole = framer.Next(wire);
    ASSERT_EQ(whole.outcome, FrameOutcome::kMessage) << cut;
    ASSERT_EQ(whole.bytes, wire);
    ASSERT_EQ(whole.message_bytes, wire.size());
  }
}

TEST(FramerTest, PipelinedAndPaddedMessagesInAnyPieces) {
  const std::string first = Message("l: 3\r\n", "abc");
  const std::string second = Message("Content-Length : 4\r\n", "\r\n\r\n");
  const std::string wire = "\r\n" + first + second + "\r\n\r\n\r\n" + first;
  const std::vector<Seen> expected = {
      {FrameOutcome::kIgnored, "\r\n"},   {FrameOutcome::kMessage, first},
      {FrameOutcome::kMessage, second},   {FrameOutcome::kIgnored, "\r\n"},
      {FrameOutcome::kKeepAlive, "\r\n"}, {FrameOutcome::kIgnored, "\r\n"},
      {FrameOutcome::kMessage, first},
  };
  for (size_t piece = 1; piece <= wire.size(); ++piece)
    EXPECT_EQ(FrameAll(wire, piece), expected) << piece;
}

TEST(FramerTest, Rfc5626_4_4_1_PongAndPing) {
  Framer framer(kLimits);
  EXPECT_EQ(framer.Next("\r").outcome, FrameOutcome::kNeedMore);
  EXPECT_EQ(framer.Next("\r\n").outcome, FrameOutcome::kIgnored);
  EXPECT_TRUE(framer.is_between_messages());
  EXPECT_EQ(framer.Next("\r\n").outcome, FrameOutcome::kKeepAlive);
  EXPECT_EQ(framer.Next("\r\n\r\n").outcome, FrameOutcome::kIgnored);
  // A message between two CRLF: they make no ping.
  const std::string message = Message("l: 0\r\n", "");
  EXPECT_EQ(framer.Next(message).outcome, FrameOutcome::kMessage);
  EXPECT_EQ(framer.Next("\r\n").outcome, FrameOutcome::kIgnored);
}

TEST(FramerTest, BareLineEndsBetweenMessagesAreRefused) {
  for (const char* const bad : {"\n", "\rX", "\r\r\n", "\n\n"}) {
    EXPECT_EQ(Framer(kLimits).Next(bad).outcome, FrameOutcome::kBadFraming) << bad;
  }
}

// What cannot be SIP is refused before its "header block" is complete.
TEST(FramerTest, OtherProtocolsAreRefusedEarly) {
  const std::string bad[] = {
      std::string("\x16\x03\x01\x02\x00\x01", 6),
      std::string("HEP3\x00\x06", 6),
      "GET / HTTP/1.1\r\n",
      "EHLO a.example\r\n",
      std::string("O\0P\0T\0", 6),
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
      std::string("\x80\x2e\x01", 3),
  };
  for (const std::string& wire : bad) {
    for (size_t piece = 1; piece <= wire.size(); ++piece) {
      const std::vector<Seen> seen = FrameAll(wire, piece);
      ASSERT_EQ(seen.size(), 1U) << wire;
      EXPECT_EQ(seen[0].outcome, FrameOutcome::kBadFraming) << wire;
    }
  }
}

// What names SIP is left to the parser, which says what is wrong.
TEST(FramerTest, BrokenStartLinesStillFrame) {
  for (const char* const start :
       {"INVITE sip:alan@jasomi.com", "INVITE  sip:a  SIP/2.0", "INVITE sip:a SIP/2.0  ",
        "INVITE <sip:a> SIP/2.0", "OPTIONS tel:1 SIP/7.0", "SIP/2.0 200", "INVITE SIPS:a x"}) {
    const std::string wire = std::string(start) + "\r\nl: 0\r\n\r\n";
    EXPECT_EQ(Framer(kLimits).Next(wire).outcome, FrameOutcome::kMessage) << start;
  }
}

TEST(FramerTest, Rfc3261_18_3_LengthMustBeThereOnceAndReadable) {
  for (const char* const headers :
       {"", "l: 1\r\nl: 1\r\n", "l: 1\r\nContent-Length: 2\r\n", "l: x\r\n", "l:\r\n", "l: -1\r\n",
        "l: 4294967328\r\n", "Content-Length: 1 0\r\n", "X: y\r\n l: 1\r\n"}) {
    const std::string wire = Message(headers, "");
    for (const size_t piece : {size_t{1}, size_t{7}, wire.size()}) {
      const std::vector<Seen> seen = FrameAll(wire, piece);
      ASSERT_EQ(seen.size(), 1U) << headers;
      EXPECT_EQ(seen[0].outcome, FrameOutcome::kBadFraming) << headers;
    }
    const Frame frame = Framer(kLimits).Next(wire);
    EXPECT_EQ(frame.bytes, wire) << "the header block is there, so that a 400 can be written";
    EXPECT_EQ(frame.header_bytes, wire.size());
  }
}

TEST(FramerTest, HeaderLimitAndLimitPlusOne) {
  const std::string frame = Message("l: 0\r\nX: \r\n", "");
  for (const size_t extra : {0U, 1U}) {
    const std::string padding(kLimits.header_bytes_max - frame.size() + extra, 'x');
    const std::string wire = Message("l: 0\r\nX: " + padding + "\r\n", "");
    const FrameOutcome expected = extra == 0 ? FrameOutcome::kMessage : FrameOutcome::kTooLarge;
    for (const size_t piece : {size_t{1}, size_t{100}, wire.size()}) {
      const std::vector<Seen> seen = FrameAll(wire, piece);
      ASSERT_EQ(seen.size(), 1U);
      EXPECT_EQ(seen[0].outcome, expected) << extra << ' ' << piece;
    }
    EXPECT_EQ(Framer(kLimits).Next(wire).bytes.empty(), extra == 1);
  }
}

// Found by framer_fuzz: what lies beyond the bound must not decide, because a slow peer never gets
// there.
TEST(FramerTest, BytesBeyondTheHeaderLimitDoNotCount) {
  const std::string wire = std::string(kLimits.header_bytes_max, 'x') + std::string(1, '\0');
  for (const size_t piece : {size_t{1}, size_t{100}, wire.size()}) {
    EXPECT_EQ(FrameAll(wire, piece), (std::vector<Seen>{{FrameOutcome::kTooLarge, ""}})) << piece;
  }
}

TEST(FramerTest, BodyLimitAndLimitPlusOne) {
  const std::string at_limit = Message("l: 512\r\n", std::string(512, 'x'));
  EXPECT_EQ(FrameAll(at_limit, 1), (std::vector<Seen>{{FrameOutcome::kMessage, at_limit}}));
  const std::string above = Message("l: 513\r\n", "");
  const Frame frame = Framer(kLimits).Next(above);
  EXPECT_EQ(frame.outcome, FrameOutcome::kTooLarge);
  EXPECT_EQ(frame.bytes, above) << "the header block, so that a 513 can be written";
}

TEST(FramerTest, SaysHowMuchWillCome) {
  const std::string wire = Message("l: 10\r\n", "");
  const Frame frame = Framer(kLimits).Next(wire);
  EXPECT_EQ(frame.outcome, FrameOutcome::kNeedMore);
  EXPECT_EQ(frame.header_bytes, wire.size());
  EXPECT_EQ(frame.message_bytes, wire.size() + 10);
}

// Goal: a peer that sends single bytes cannot make us search again. Method: a header block at the
// bound, one byte at a time; quadratic work would take minutes.
TEST(FramerTest, SingleBytesCostNoMoreThanOnce) {
  const FramerLimits limits = {1 << 20, 0};
  const std::string wire = Message("X: " + std::string((1 << 20) - 100, 'x') + "\r\nl: 0\r\n", "");
  Framer framer(limits);
  for (size_t size = 1; size < wire.size(); ++size) {
    ASSERT_EQ(framer.Next(std::string_view(wire).substr(0, size)).outcome, FrameOutcome::kNeedMore);
  }
  EXPECT_EQ(framer.Next(wire).outcome, FrameOutcome::kMessage);
}

}  // namespace
}  // namespace sallyport::sip
