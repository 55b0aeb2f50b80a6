#include "sip/message/grammar.h"

#include <gtest/gtest.h>

#include <cctype>
#include <string>

#include "sip/message/class_scan.h"
#include "sip/message/quoted_string.h"
#include "tests/support/guarded_copy.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;

bool SetHas(std::string_view set, char c) { return set.find(c) != std::string_view::npos; }

// Goal: the tables are the grammar's. Method: every byte against a second spelling of RFC 3261
// §25.1.
TEST(GrammarTest, ClassesAreTheGrammars) {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool alphanum = i < 128 && std::isalnum(i) != 0;
    const bool unreserved = alphanum || (i != 0 && SetHas("-_.!~*'()", c));
    const auto in = [&](bool base, std::string_view more) {
      return base || (i != 0 && SetHas(more, c));
    };
    EXPECT_EQ(IsIn(c, kTokenChar), in(alphanum, "-.!%*_+`'~")) << i;
    EXPECT_EQ(IsIn(c, kWordChar), in(alphanum, "-.!%*_+`'~()<>:\\\"/[]?{}")) << i;
    EXPECT_EQ(IsIn(c, kUserChar), in(unreserved, "&=+$,;?/")) << i;
    EXPECT_EQ(IsIn(c, kPasswordChar), in(unreserved, "&=+$,")) << i;
    EXPECT_EQ(IsIn(c, kUriParameterChar), in(unreserved, "[]/:&+$")) << i;
    EXPECT_EQ(IsIn(c, kUriHeaderChar), in(unreserved, "[]/?:+$")) << i;
    EXPECT_EQ(IsIn(c, kHostnameChar), in(alphanum, "-.")) << i;
    EXPECT_EQ(IsIn(c, kUriTokenChar), IsIn(c, kTokenChar) && IsIn(c, kUriParameterChar)) << i;
    EXPECT_EQ(IsIn(c, kHexChar), i < 128 && std::isxdigit(i) != 0) << i;
    EXPECT_EQ(IsIn(c, kQuotedTextChar),
              c == '\t' || (i >= 0x20 && i <= 0x7e && c != '"' && c != '\\'))
        << i;
  }
}

TEST(GrammarTest, LwsTakesFoldsAndNothingElse) {
  const auto skipped = [](std::string_view text) {
    return SkipLws(text.data(), text.data() + text.size()) - text.data();
  };
  EXPECT_EQ(skipped(" \tx"), 2);
  EXPECT_EQ(skipped("\r\n x"), 3);
  EXPECT_EQ(skipped(" \r\n\t\r\n x"), 7);
  EXPECT_EQ(skipped("\r\nx"), 0);
  EXPECT_EQ(skipped(" \rx"), 1);
  EXPECT_EQ(skipped("\n x"), 0);
  EXPECT_EQ(skipped(" \r\n"), 1);
  EXPECT_EQ(skipped("\vx"), 0);
  EXPECT_EQ(TrimLws(" \r\n a b\t\r\n "), "a b");
  EXPECT_EQ(TrimLws("a\r\n \r\n "), "a");
  EXPECT_EQ(TrimLws("a\r"), "a\r");
  EXPECT_EQ(TrimLws(" \t "), "");
  EXPECT_EQ(TrimLws(""), "");
}

TEST(GrammarTest, DecimalsStopAtTheirLimit) {
  uint32_t value = 7;
  EXPECT_TRUE(ReadDecimal("255", 255, value));
  EXPECT_EQ(value, 255U);
  EXPECT_TRUE(ReadDecimal("00000000000000000000000000000000255", 255, value));
  EXPECT_TRUE(ReadDecimal("4294967295", 0xffffffff, value));
  EXPECT_EQ(value, 0xffffffff);
  for (const char* const bad :
       {"", "256", "4294967296", "18446744073709551617", "-1", "+1", "1 ", " 1", "0x1", "1e1"}) {
    value = 7;
    EXPECT_FALSE(ReadDecimal(bad, 255, value)) << bad;
    EXPECT_EQ(value, 7U);
  }
}

// Goal: SIMD equals its scalar twin, and neither reads beyond the text. Method: every stop
// character at every length up to three blocks, at the end of a page, with and without readable
// slack.
TEST(ClassScanTest, RunsEqualTheScalarTwin) {
  for (size_t size = 0; size <= 50; ++size) {
    for (size_t stop = 0; stop <= size; ++stop) {
      std::string text(size, 'a');
      if (stop < size) text[stop] = ';';
      const GuardedCopy copy(text);
      const char* const begin = copy.view().data();
      const char* const end = begin + size;
      const char* const expected = SkipClass(begin, end, kTokenChar);
      ASSERT_EQ(SkipRun<kTokenChar>(begin, Bounds(copy.view())), expected) << size << ' ' << stop;
      // The same with the end in the middle of readable bytes.
      const std::string_view part = copy.view().substr(0, size / 2);
      ASSERT_EQ(SkipRun<kTokenChar>(begin, Bounds(part, end)),
                SkipClass(begin, begin + size / 2, kTokenChar));
    }
  }
}

TEST(ClassScanTest, EveryByteEqualsTheTable) {
  for (int i = 0; i < 256; ++i) {
    std::string text(32, 'a');
    text[3] = static_cast<char>(i);
    const auto length = [&text](auto skip) {
      return skip(text.data(), Bounds(text)) - text.data();
    };
    const auto expected = [i](unsigned cls) { return IsIn(static_cast<char>(i), cls) ? 32 : 3; };
    EXPECT_EQ(length(SkipRun<kTokenChar>), expected(kTokenChar)) << i;
    EXPECT_EQ(length(SkipRun<kWordChar>), expected(kWordChar)) << i;
    EXPECT_EQ(length(SkipRun<kUserChar>), expected(kUserChar)) << i;
    EXPECT_EQ(length(SkipRun<kHostnameChar>), expected(kHostnameChar)) << i;
    EXPECT_EQ(length(SkipRun<kUriParameterChar>), expected(kUriParameterChar)) << i;
    EXPECT_EQ(length(SkipRun<kQuotedTextChar>), expected(kQuotedTextChar)) << i;
  }
}

TEST(ClassScanTest, EscapesCountAsOneCharacter) {
  for (const char* const text :
       {"a%41b", "%", "%4", "%4g", "%41", "a%00%fF;", "%%41", "aaaaaaaaaaaaaaaaaaaaaa%4"}) {
    const GuardedCopy copy(text);
    const Bounds in(copy.view());
    EXPECT_EQ(SkipRunOrEscape<kUserChar>(copy.view().data(), in),
              SkipClassOrEscape(copy.view().data(), in.end, kUserChar))
        << text;
  }
}

TEST(ClassScanTest, PackedWordsIgnoreCaseAndNothingElse) {
  const auto pack = [](std::string_view word) {
    const GuardedCopy copy(word);
    return PackWord(copy.view().data(), copy.view().data() + word.size(), Bounds(copy.view()));
  };
  EXPECT_EQ(pack("RECEIVED"), PackWord("received"));
  EXPECT_EQ(pack("Tag"), PackWord("tag"));
  EXPECT_NE(pack("tagg"), PackWord("tag"));
  EXPECT_NE(pack("ta"), PackWord("tag"));
  EXPECT_EQ(pack("transport"), 0U);
  EXPECT_EQ(pack(""), 0U);
  const std::string slack = "tag=x;more";
  EXPECT_EQ(PackWord(slack.data(), slack.data() + 3, Bounds(slack)), PackWord("tag"));
}

struct QuotedCase {
  std::string text;
  int length;  // -1: refused.
};

TEST(QuotedStringTest, TakesWhatTheGrammarTakes) {
  const QuotedCase cases[] = {
      {"\"\"", 2},
      {"\"a\"b", 3},
      {"\"a\\\"b\"", 6},
      {"\"\\\\\"", 4},
      {"\"a\\\"", -1},  // The quote is escaped: not closed.
      {"\"", -1},
      {"\"a", -1},
      {"\"\\", -1},
      {std::string("\"\\\0\"", 4), 4},  // quoted-pair of NUL, RFC 4475 §3.1.1.2.
      {std::string("\"\0\"", 3), -1},
      {"\"\\\x7f\"", 4},
      {"\"\x7f\"", -1},
      {"\"\x01\"", -1},
      {"\"\t \"", 4},
      {"\"a\r\n b\"", 7},
      {"\"a\r\nb\"", -1},
      {"\"a\rb\"", -1},
      {"\"a\nb\"", -1},
      {"\"\\\r\n \"", -1},
      {"\"\xc3\xa4\"", 4},
      {"\"\xe2\x80\xae\"", 5},
      {"\"\xf0\x9f\x98\x80\"", 6},
      {"\"\xff\xfe\"", -1},
      {"\"\xc0\x80\"", -1},  // Overlong NUL.
      {"\"\xe0\x80\x80\"", -1},
      {"\"\xed\xa0\x80\"", -1},      // Surrogate.
      {"\"\xf4\x90\x80\x80\"", -1},  // Above U+10FFFF.
      {"\"\xc3\"", -1},
      {"\"\xe2\x80\"", -1},
      {"\"\xf0\x9f\x98\"", -1},
      {"\"\x80\"", -1},
      {"\"\\\xc3\xa4\"", -1},  // A quoted-pair is ASCII.
  };
  for (const QuotedCase& c : cases) {
    const GuardedCopy copy(c.text);
    const char* const end = SkipQuotedString(copy.view().data(), Bounds(copy.view()));
    EXPECT_EQ(end == nullptr ? -1 : end - copy.view().data(), c.length) << c.text;
  }
}

}  // namespace
}  // namespace sallyport::sip
