#include "sip/proxy/base64url.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace sallyport::sip {
namespace {

std::string Encode(const std::vector<uint8_t>& octets) {
  std::string text(Base64UrlBytes(octets.size()), '\0');
  WriteBase64Url(octets, text.data());
  return text;
}

std::optional<std::vector<uint8_t>> Decode(std::string_view text) {
  std::array<uint8_t, 64> room;
  const std::optional<size_t> size = ReadBase64Url(text, room);
  if (!size.has_value()) return std::nullopt;
  return std::vector<uint8_t>(room.begin(), room.begin() + static_cast<ptrdiff_t>(*size));
}

TEST(Base64UrlTest, Rfc4648_10_TestVectorsWithoutPadding) {
  const auto encode = [](std::string_view text) {
    return Encode(std::vector<uint8_t>(text.begin(), text.end()));
  };
  EXPECT_EQ(encode(""), "");
  EXPECT_EQ(encode("f"), "Zg");
  EXPECT_EQ(encode("fo"), "Zm8");
  EXPECT_EQ(encode("foo"), "Zm9v");
  EXPECT_EQ(encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Encode({0xfb, 0xff, 0xfe}), "-__-");  // The two that plain base64 spells otherwise.
}

TEST(Base64UrlTest, EveryLengthReadsBack) {
  std::vector<uint8_t> octets;
  for (unsigned size = 0; size <= 48; ++size) {
    EXPECT_EQ(Decode(Encode(octets)), octets) << size;
    octets.push_back(static_cast<uint8_t>(size * 37 + 200));
  }
}

// Goal: one spelling. Method: every text of two and three characters that decodes is what its
// octets encode to.
TEST(Base64UrlTest, WhatDecodesIsWhatTheEncoderWrites) {
  const std::string all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= %";
  size_t decoded = 0;
  for (const char a : all) {
    for (const char b : all) {
      for (const std::string& text : {std::string{a, b}, std::string{'Z', a, b}}) {
        const auto octets = Decode(text);
        if (!octets.has_value()) continue;
        ++decoded;
        EXPECT_EQ(Encode(*octets), text);
      }
    }
  }
  EXPECT_EQ(decoded, 64U * 4 + 64 * 16);
}

TEST(Base64UrlTest, RefusesLengthsThatNothingEncodesToAndTooSmallRoom) {
  EXPECT_EQ(Decode("A"), std::nullopt);
  EXPECT_EQ(Decode("AAAAA"), std::nullopt);
  std::array<uint8_t, 2> room;
  EXPECT_EQ(ReadBase64Url("AAAA", room), std::nullopt);
  EXPECT_EQ(ReadBase64Url("AAA", room), 2U);
}

}  // namespace
}  // namespace sallyport::sip
