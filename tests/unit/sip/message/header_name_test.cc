#include "sip/message/header_name.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "sip/message/method.h"
#include "tests/support/guarded_copy.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;

// Goal: one line gives one name, however it is read. Method: SIMD with slack, without slack, and
// the scalar twin.
NameAtLine ReadEveryWay(const std::string& line) {
  const GuardedCopy copy(line);
  const NameAtLine scalar = ReadNameAtLineScalar(copy.view().data(), line.size());
  const NameAtLine tight = ReadNameAtLine(copy.view().data(), line.size(), line.size());
  const std::string padded = line + "\r\n" + std::string(64, ':');
  const NameAtLine loose = ReadNameAtLine(padded.data(), line.size(), padded.size());
  for (const NameAtLine& other : {tight, loose}) {
    EXPECT_EQ(other.colon, scalar.colon) << line;
    EXPECT_EQ(other.name_bytes, scalar.name_bytes) << line;
    EXPECT_EQ(other.id, scalar.id) << line;
  }
  return scalar;
}

TEST(HeaderNameTest, EveryKnownNameInAnyCase) {
  for (size_t i = 1; i < kHeaderIdCount; ++i) {
    const auto id = static_cast<HeaderId>(i);
    const std::string text(HeaderText(id));
    ASSERT_FALSE(text.empty()) << i;
    std::string upper = text;
    std::string lower = text;
    std::transform(text.begin(), text.end(), upper.begin(),
                   [](char c) { return static_cast<char>(std::toupper(c)); });
    std::transform(text.begin(), text.end(), lower.begin(),
                   [](char c) { return static_cast<char>(std::tolower(c)); });
    for (const std::string& name : {text, upper, lower}) {
      EXPECT_EQ(LookUpHeader(name), id) << name;
      const NameAtLine at_line = ReadEveryWay(name + ": value");
      EXPECT_EQ(at_line.id, id) << name;
      EXPECT_EQ(at_line.name_bytes, name.size());
      EXPECT_EQ(ReadEveryWay(name + " \t : value").id, id) << name;
      EXPECT_EQ(ReadEveryWay(name + "x: value").id,
                id == HeaderId::kSallyport ? id : HeaderId::kOther)
          << name;
    }
    // One changed byte makes another name: no folding of '-' or digits.
    for (size_t at = 0; at < text.size() && id != HeaderId::kSallyport; ++at) {
      for (const int flip : {0x20, 0x01, 0x40, 0x80}) {
        std::string changed = text;
        changed[at] = static_cast<char>(changed[at] ^ flip);
        if (flip == 0x20 && std::isalpha(static_cast<unsigned char>(text[at])) != 0) continue;
        EXPECT_NE(ReadEveryWay(changed + ": v").id, id) << changed;
        EXPECT_NE(LookUpHeader(changed), id) << changed;
      }
    }
  }
}

TEST(HeaderNameTest, CompactForms) {
  const std::pair<char, HeaderId> forms[] = {
      {'a', HeaderId::kOther},       {'b', HeaderId::kReferredBy},
      {'c', HeaderId::kContentType}, {'e', HeaderId::kContentEncoding},
      {'f', HeaderId::kFrom},        {'i', HeaderId::kCallId},
      {'k', HeaderId::kSupported},   {'l', HeaderId::kContentLength},
      {'m', HeaderId::kContact},     {'o', HeaderId::kEvent},
      {'r', HeaderId::kReferTo},     {'s', HeaderId::kSubject},
      {'t', HeaderId::kTo},          {'u', HeaderId::kAllowEvents},
      {'v', HeaderId::kVia},         {'x', HeaderId::kSessionExpires},
      {'y', HeaderId::kIdentity},    {'z', HeaderId::kOther},
  };
  for (const auto& [letter, id] : forms) {
    for (const char c : {letter, static_cast<char>(std::toupper(letter))}) {
      EXPECT_EQ(LookUpHeader({&c, 1}), id) << c;
      EXPECT_EQ(ReadEveryWay(std::string(1, c) + ":v").id, id) << c;
    }
  }
}

TEST(HeaderNameTest, OurOwnNamesInEverySpelling) {
  for (const char* const name : {"X-Sallyport-Peer", "x-sallyport-peer", "X_SALLYPORT_Peer",
                                 "X-Sallyport-", "x_sallyport-x"}) {
    EXPECT_EQ(LookUpHeader(name), HeaderId::kSallyport) << name;
    EXPECT_EQ(ReadEveryWay(std::string(name) + ": v").id, HeaderId::kSallyport) << name;
  }
  for (const char* const name : {"X-Sallyport", "XX-Sallyport-Peer", "X-Sallyp0rt-Peer"}) {
    EXPECT_EQ(LookUpHeader(name), HeaderId::kOther) << name;
  }
}

TEST(HeaderNameTest, LinesWithoutAName) {
  for (const char* const line :
       {"", "From", "From <sip:a>", ": v", " : v", " From: v", "Fr om: v", "From\v: v",
        "From\x01: v", "From\xa0: v", "From\x7f: v", "From\r: v", "From(: v", "Fro\"m: v"}) {
    EXPECT_EQ(ReadEveryWay(line).name_bytes, 0U) << line;
  }
  EXPECT_EQ(ReadEveryWay(std::string("To\0: v", 6)).name_bytes, 0U);
  const NameAtLine escaped = ReadEveryWay("Fro%6d: v");
  EXPECT_EQ(escaped.name_bytes, 6U);
  EXPECT_EQ(escaped.id, HeaderId::kOther);
}

TEST(HeaderNameTest, LongNames) {
  for (size_t size : {15U, 16U, 17U, 23U, 24U, 25U, 31U, 32U, 33U, 1000U}) {
    const NameAtLine name = ReadEveryWay(std::string(size, 'n') + ": v");
    EXPECT_EQ(name.name_bytes, size);
    EXPECT_EQ(name.colon, size);
    EXPECT_EQ(name.id, HeaderId::kOther);
  }
}

TEST(MethodTest, NamesAreCaseSensitive) {
  for (int i = 0; i < static_cast<int>(Method::kOther); ++i) {
    const auto method = static_cast<Method>(i);
    const std::string text(MethodText(method));
    EXPECT_EQ(ParseMethod(text), method);
    EXPECT_EQ(ParseMethod(text + "X"), Method::kOther);
    EXPECT_EQ(ParseMethod(text.substr(1)), Method::kOther);
    std::string lower = text;
    lower[0] = static_cast<char>(std::tolower(lower[0]));
    EXPECT_EQ(ParseMethod(lower), Method::kOther);
  }
  EXPECT_EQ(ParseMethod(""), Method::kOther);
  EXPECT_EQ(MethodText(Method::kOther), "");
}

}  // namespace
}  // namespace sallyport::sip
