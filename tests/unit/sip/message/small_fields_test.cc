// CSeq, Call-ID, Content-Length: the fields of one line each.
#include <gtest/gtest.h>

#include <string>

#include "sip/message/call_id.h"
#include "sip/message/content_length.h"
#include "sip/message/cseq.h"
#include "tests/support/guarded_copy.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;

TEST(CSeqTest, NumberBelowTwoToThe31) {
  CSeq cseq;
  ASSERT_TRUE(ParseCSeq("2147483647 INVITE", cseq));
  EXPECT_EQ(cseq.number, kCSeqNumberMax);
  EXPECT_EQ(cseq.method, Method::kInvite);
  ASSERT_TRUE(ParseCSeq("00000000001\r\n  RE%47IST%45R", cseq));
  EXPECT_EQ(cseq.number, 1U);
  EXPECT_EQ(cseq.method, Method::kOther);
  EXPECT_EQ(cseq.method_text, "RE%47IST%45R");
  ASSERT_TRUE(ParseCSeq(" 0 ACK ", cseq));
  EXPECT_EQ(cseq.method, Method::kAck);
}

TEST(CSeqTest, Refuses) {
  for (const char* const bad :
       {"", " ", "1", "1 ", "INVITE", "1INVITE", "-1 INVITE", "+1 INVITE", "2147483648 INVITE",
        "4294967296 INVITE", "9292394834772304023312 OPTIONS", "1x INVITE", "1 INVITE x",
        "1 IN(VITE", "1\rINVITE", "1\r\nINVITE", "1 INVITE,"}) {
    const GuardedCopy copy(bad);
    CSeq cseq;
    EXPECT_FALSE(ParseCSeq(copy.view(), cseq)) << bad;
  }
}

TEST(CallIdTest, WordsRoundOneAtSign) {
  for (const char* const good :
       {"a", "a@b", "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{", "0ha0isndaksdj@192.0.2.1", "\"",
        "a-very-long-call-id-without-an-at-sign-0123456789"}) {
    EXPECT_TRUE(IsCallId(good)) << good;
  }
  for (const char* const bad :
       {"", "@", "a@", "@a", "a@b@c", "a b", "a,b", "a\r\n b", "a;b", "a=b", "\xc3\xa4"}) {
    const GuardedCopy copy(bad);
    EXPECT_FALSE(IsCallId(copy.view())) << bad;
  }
  EXPECT_FALSE(IsCallId(std::string_view("a\0b", 3)));
}

TEST(ContentLengthTest, DigitsBelowTwoToThe31) {
  uint32_t length = 0;
  EXPECT_TRUE(ReadContentLength("0", length));
  EXPECT_EQ(length, 0U);
  EXPECT_TRUE(ReadContentLength("00000000000000000000000000000005", length));
  EXPECT_EQ(length, 5U);
  EXPECT_TRUE(ReadContentLength("2147483647", length));
  EXPECT_EQ(length, kContentLengthMax);
  for (const char* const bad :
       {"", "2147483648", "4294967328", "9223372036854775807", "18446744073709551648",
        "99999999999", "-1", "+0", "0x10", "1e3", "0_0", "0,0", "1 0", "5\v"}) {
    EXPECT_FALSE(ReadContentLength(bad, length)) << bad;
  }
}

struct BlockCase {
  std::string_view headers;
  ContentLengthOutcome outcome;
  uint32_t length;
};

TEST(ContentLengthTest, FoundInABlockAsTheParserFindsIt) {
  using O = ContentLengthOutcome;
  const BlockCase cases[] = {
      {"Content-Length: 5\r\n", O::kOk, 5},
      {"l:5\r\n", O::kOk, 5},
      {"L : 5\r\n", O::kOk, 5},
      {"CONTENT-length \t :\r\n 5 \r\n", O::kOk, 5},
      {"X: 1\r\n Content-Length: 9\r\nl: 5\r\n", O::kOk, 5},  // The first is a continuation line.
      {"Content-Type: a/b\r\nl: 5\r\nLast: x\r\n", O::kOk, 5},
      {"", O::kMissing, 0},
      {"Content-Lengt: 5\r\n", O::kMissing, 0},
      {"Content-Length: 5\r\nContent-Length: 5\r\n", O::kOk, 5},  // They agree.
      {"l: 5\r\nX: y\r\nL: 05\r\n", O::kOk, 5},
      {"l: 5\r\nContent-Length: 6\r\n", O::kConflicting, 0},
      {"l: 5\r\nl: 5\r\nL: 6\r\n", O::kConflicting, 0},
      // To another reader they may be the field.
      {"l: 5\r\nContent-Length 6\r\n", O::kConflicting, 0},
      {"l: 5\r\nContent-Length\v: 6\r\n", O::kConflicting, 0},
      {"l: 5\r\nContent-Length x: 5\r\n", O::kConflicting, 0},
      {"content-length\r\nl: 5\r\n", O::kConflicting, 0},
      {"l\x01: 6\r\nl: 5\r\n", O::kConflicting, 0},
      {"Content-Lengthy: 6\r\nLine x: 1\r\nl: 5\r\n", O::kOk, 5},
      {"l:\r\n", O::kMalformed, 0},
      {"l: 5,5\r\n", O::kMalformed, 0},
      {"l: -1\r\n", O::kMalformed, 0},
      {"l: 1\r\n 0\r\n", O::kMalformed, 0},
  };
  for (const BlockCase& c : cases) {
    const std::string block = "OPTIONS sip:l:7 SIP/2.0\r\n" + std::string(c.headers) + "\r\n";
    const GuardedCopy copy(block);
    uint32_t length = 0;
    EXPECT_EQ(FindContentLength(copy.view(), length), c.outcome) << c.headers;
    if (c.outcome == O::kOk) {
      EXPECT_EQ(length, c.length) << c.headers;
    }
  }
}

// Found by header_fields_fuzz: a block without an end is no block, and nothing beyond it is read.
TEST(ContentLengthTest, UnfinishedBlocksHaveNone) {
  for (const char* const block :
       {"z4\r\nL:p", "z4\r\nL:5", "z4\r\nL:5\r", "z4\r\nL:5\r\n", "L:5\r\n\r\n"}) {
    const GuardedCopy copy(block);
    uint32_t length = 0;
    EXPECT_EQ(FindContentLength(copy.view(), length), ContentLengthOutcome::kMissing) << block;
  }
}

}  // namespace
}  // namespace sallyport::sip
