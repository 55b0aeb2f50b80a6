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
      case FrameOutcome::kTooLarge:
        seen.push_back({frame.outcome, std::string(frame.bytes)});
        consumed += frame.bytes.size();
        break;
      case FrameOutcome::kFarTooLarge:
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
        "INVITE <sip:a> SIP/2.0", "OPTIONS tel:1 SIP/7.0", "SIP/2.0 200", "INVITE SIPS:a x",
        "SIP/2.0 200 a\x01z", "INVITE sip:a\x7fz SIP/2.0"}) {
    const std::string wire = std::string(start) + "\r\nl: 0\r\n\r\n";
    EXPECT_EQ(Framer(kLimits).Next(wire).outcome, FrameOutcome::kMessage) << start;
  }
}

TEST(FramerTest, Rfc3261_18_3_LengthMustBeThereOnceAndReadable) {
  for (const char* const headers :
       {"", "l: 1\r\nContent-Length: 2\r\n", "l: 1\r\nl 1\r\n", "l: x\r\n", "l:\r\n", "l: -1\r\n",
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

// The whole message or, one byte more, its refusal and the next message.
TEST(FramerTest, HeaderLimitAndLimitPlusOne) {
  const std::string frame = Message("l: 0\r\nX: \r\n", "");
  for (const size_t extra : {0U, 1U}) {
    const std::string padding(kLimits.header_bytes_max - frame.size() + extra, 'x');
    const std::string wire = Message("l: 0\r\nX: " + padding + "\r\n", "");
    for (const size_t piece : {size_t{1}, size_t{100}, wire.size()}) {
      const std::vector<Seen> seen = FrameAll(wire, piece);
      ASSERT_FALSE(seen.empty());
      EXPECT_EQ(seen[0].outcome, extra == 0 ? FrameOutcome::kMessage : FrameOutcome::kTooLarge)
          << piece;
      EXPECT_TRUE(wire.starts_with(seen[0].bytes)) << "for a 513";
      EXPECT_TRUE(seen[0].bytes.starts_with("OPTIONS sip:a SIP/2.0\r\nl: 0\r\n")) << piece;
    }
  }
}

// Found by framer_fuzz: what lies beyond the bound must not decide, because a slow peer never gets
// there.
TEST(FramerTest, BytesBeyondTheHeaderLimitDoNotCount) {
  const std::string wire = std::string(kLimits.header_bytes_max, 'x') + std::string(1, '\0');
  for (const size_t piece : {size_t{1}, size_t{100}, wire.size()}) {
    EXPECT_EQ(FrameAll(wire, piece), (std::vector<Seen>{{FrameOutcome::kFarTooLarge, ""}}))
        << piece;
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

// -- Messages beyond the limits
// --------------------------------------------------------------------

std::string Line(size_t bytes) { return "X: " + std::string(bytes - 5, 'x') + "\r\n"; }
std::string Lines(size_t count, size_t bytes) {
  std::string lines;
  for (size_t i = 0; i < count; ++i) lines += Line(bytes);
  return lines;
}

// What is read past counts once; then comes the next message.
TEST(FramerTest, OversizedMessagesAreReadPastInAnyPieces) {
  const std::string next = Message("l: 1\r\n", "y");
  const std::string folded =
      "X: " + std::string(900, 'x') + "\r\n " + std::string(900, 'x') + "\r\n";
  for (const std::string& wire : {
           Message("l: 513\r\n", std::string(513, 'x')),
           Message("l: 8192\r\n", std::string(8192, '\n')),
           Message(Lines(20, 100) + "l: 3\r\n", "abc"),
           Message("l: 3\r\n" + Lines(20, 100), "abc"),
           Message("l: 3\r\nL: 3\r\n" + Lines(20, 100) + "Content-Length:\r\n 3\r\n", "abc"),
           Message("l: 3\r\n" + Line(5000), "abc"),
           Message("l: 3\r\n" + folded, "abc"),
           Message(Line(5000) + Line(900) + "l: 600\r\n", std::string(600, '\r')),
           Message("l: 3\r\n" + Lines(160, 100), "abc"),
       }) {
    for (const size_t piece :
         {size_t{1}, size_t{2}, size_t{3}, size_t{97}, size_t{1023}, wire.size()}) {
      const std::vector<Seen> seen = FrameAll(wire + next, piece);
      ASSERT_GE(seen.size(), 2U) << piece;
      EXPECT_EQ(seen.front().outcome, FrameOutcome::kTooLarge) << piece;
      EXPECT_EQ(seen.back(), (Seen{FrameOutcome::kMessage, next})) << piece;
      std::string passed;
      for (size_t i = 0; i + 1 < seen.size(); ++i) {
        passed += seen[i].bytes;
        EXPECT_EQ(seen[i].outcome, i == 0 ? FrameOutcome::kTooLarge : FrameOutcome::kIgnored);
      }
      EXPECT_EQ(passed, wire) << piece;
    }
  }
}

TEST(FramerTest, OversizedMessagesWithoutAKnownEndEndTheFlow) {
  const std::pair<std::string, FrameOutcome> cases[] = {
      {Message(Lines(20, 100), ""), FrameOutcome::kBadFraming},
      {Message("l: 1\r\n" + Lines(20, 100) + "l: 2\r\n", ""), FrameOutcome::kBadFraming},
      {Message("l: 1\r\n" + Lines(20, 100) + "Content-Length 1\r\n", ""),
       FrameOutcome::kBadFraming},
      {Message("l: 1\r\n" + Lines(20, 100) + "X: a\nb\r\n", ""), FrameOutcome::kBadFraming},
      {Message("l: 1\r\n" + Lines(20, 100) + "X: a\rb\r\n", ""), FrameOutcome::kBadFraming},
      {Message("l: 1\r\nl:" + std::string(5000, ' ') + "1\r\n", ""), FrameOutcome::kBadFraming},
      {Message("l: 1\r\nX: " + std::string(5000, 'x') + "\r" + std::string(5000, 'x'), ""),
       FrameOutcome::kBadFraming},
      {Message("l: 1\r\n" + Lines(170, 100), ""), FrameOutcome::kFarTooLarge},
      {Message("l: 1\r\n" + Line(17000), ""), FrameOutcome::kFarTooLarge},
      {Message("l: 8705\r\n", ""), FrameOutcome::kFarTooLarge},
      {Message(Lines(20, 100) + "l: 9000\r\n", ""), FrameOutcome::kFarTooLarge},
  };
  for (const auto& [wire, outcome] : cases) {
    for (const size_t piece : {size_t{1}, size_t{97}, wire.size()}) {
      const std::vector<Seen> seen = FrameAll(wire, piece);
      ASSERT_FALSE(seen.empty()) << piece;
      EXPECT_EQ(seen.back().outcome, outcome) << piece << wire.substr(0, 60);
    }
  }
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
