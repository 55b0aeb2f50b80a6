#include "sip/proxy/token_seal.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::sip {
namespace {

constexpr char kOldKey[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
constexpr char kNewKey[] = "ffeeddccbbaa99887766554433221100f0e0d0c0b0a090807060504030201000";

tls::Secret SecretOf(const std::string& lines) { return *tls::Secret::Parse(lines, "test"); }

std::string Write(const TokenSeal& seal, const std::vector<uint8_t>& fields,
                  const std::vector<uint8_t>& context) {
  std::string text(TokenSeal::TextBytes(fields.size()), '\0');
  seal.Write(fields, context, text.data());
  return text;
}

std::optional<std::vector<uint8_t>> Read(const TokenSeal& seal, std::string_view text,
                                         const std::vector<uint8_t>& context) {
  std::array<uint8_t, TokenSeal::kFieldBytesMax> fields;
  const std::optional<size_t> size = seal.Read(text, context, fields);
  if (!size.has_value()) return std::nullopt;
  return std::vector<uint8_t>(fields.begin(), fields.begin() + static_cast<ptrdiff_t>(*size));
}

const std::vector<uint8_t> kFields = {1, 2, 3, 4, 5};
const std::vector<uint8_t> kContext = {9, 8, 7};

TEST(TokenSealTest, ReadsBackFieldsOfEveryLength) {
  const TokenSeal seal(SecretOf(kOldKey), "a", TokenKind::kPath);
  std::vector<uint8_t> fields;
  for (size_t size = 0; size <= TokenSeal::kFieldBytesMax; ++size) {
    EXPECT_EQ(Read(seal, Write(seal, fields, kContext), kContext), fields) << size;
    fields.push_back(static_cast<uint8_t>(size));
  }
}

TEST(TokenSealTest, NeedsKeyLabelKindAndContext) {
  const TokenSeal seal(SecretOf(kOldKey), "a", TokenKind::kPath);
  const std::string text = Write(seal, kFields, kContext);
  ASSERT_EQ(Read(seal, text, kContext), kFields);
  EXPECT_EQ(Read(TokenSeal(SecretOf(kNewKey), "a", TokenKind::kPath), text, kContext),
            std::nullopt);
  EXPECT_EQ(Read(TokenSeal(SecretOf(kOldKey), "b", TokenKind::kPath), text, kContext),
            std::nullopt);
  EXPECT_EQ(Read(TokenSeal(SecretOf(kOldKey), "a", TokenKind::kPairLine), text, kContext),
            std::nullopt);
  EXPECT_EQ(Read(seal, text, {9, 8}), std::nullopt);
  EXPECT_EQ(Read(seal, text, {}), std::nullopt);
  EXPECT_EQ(Read(seal, text, std::vector<uint8_t>(TokenSeal::kContextBytesMax + 1)), std::nullopt);
}

// Goal: octets cannot move between fields and context.
TEST(TokenSealTest, FieldsAndContextHaveOneBorder) {
  const TokenSeal seal(SecretOf(kOldKey), "a", TokenKind::kPath);
  std::array<uint8_t, 64> octets;
  const size_t size = *ReadBase64Url(Write(seal, {1, 2}, {3, 4}), octets);
  // The same MAC behind {1, 2, 3}, to be read with the context {4}.
  std::vector<uint8_t> moved(octets.begin(), octets.begin() + static_cast<ptrdiff_t>(size));
  moved.insert(moved.begin() + 4, 3);
  std::string text(Base64UrlBytes(moved.size()), '\0');
  WriteBase64Url(moved, text.data());
  EXPECT_EQ(Read(seal, text, {4}), std::nullopt);
}

TEST(TokenSealTest, RotationKeepsOldTokensUntilTheirKeyGoes) {
  const TokenSeal before(SecretOf(kOldKey), "a", TokenKind::kPath);
  const TokenSeal during(SecretOf(std::string(kNewKey) + "\n" + kOldKey), "a", TokenKind::kPath);
  const TokenSeal after(SecretOf(kNewKey), "a", TokenKind::kPath);
  const std::string old_text = Write(before, kFields, {});
  const std::string new_text = Write(during, kFields, {});
  EXPECT_EQ(Read(during, old_text, {}), kFields);
  EXPECT_EQ(Read(during, new_text, {}), kFields);
  EXPECT_EQ(Read(after, new_text, {}), kFields);
  EXPECT_EQ(Read(after, old_text, {}), std::nullopt);
  EXPECT_EQ(Read(before, new_text, {}), std::nullopt);
}

TEST(TokenSealTest, ShapeIsKindAlphabetAndLength) {
  const TokenSeal seal(SecretOf(kOldKey), "a", TokenKind::kPath);
  const std::string text = Write(seal, {}, {});
  EXPECT_TRUE(LooksLikeToken(text, TokenKind::kPath));
  EXPECT_FALSE(LooksLikeToken(text, TokenKind::kPairLine));
  EXPECT_FALSE(LooksLikeToken(text.substr(0, text.size() - 1), TokenKind::kPath));
  EXPECT_FALSE(LooksLikeToken("%" + text.substr(1), TokenKind::kPath));
  EXPECT_FALSE(LooksLikeToken("", TokenKind::kPath));
  EXPECT_FALSE(LooksLikeToken("alice", TokenKind::kPath));
}

}  // namespace
}  // namespace sallyport::sip
