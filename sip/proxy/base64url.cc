#include "sip/proxy/base64url.h"

#include <array>

namespace sallyport::sip {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr uint8_t kNoDigit = 64;

constexpr std::array<uint8_t, 256> MakeDigits() {
  std::array<uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    digits[static_cast<unsigned char>(kAlphabet[i])] = static_cast<uint8_t>(i);
  }
  return digits;
}
constexpr std::array<uint8_t, 256> kDigits = MakeDigits();

}  // namespace

void WriteBase64Url(std::span<const uint8_t> octets, char* out) {
  uint32_t bits = 0;
  unsigned bit_count = 0;
  for (const uint8_t octet : octets) {
    bits = bits << 8 | octet;
    bit_count += 8;
    while (bit_count >= 6) {
      bit_count -= 6;
      *out++ = kAlphabet[bits >> bit_count & 63];
    }
  }
  if (bit_count > 0) *out = kAlphabet[bits << (6 - bit_count) & 63];
}

std::optional<size_t> ReadBase64Url(std::string_view text, std::span<uint8_t> out) {
  const size_t octets = text.size() * 3 / 4;
  if (text.size() % 4 == 1 || octets > out.size()) return std::nullopt;
  uint32_t bits = 0;
  unsigned bit_count = 0;
  size_t written = 0;
  for (const char c : text) {
    const uint8_t digit = kDigits[static_cast<unsigned char>(c)];
    if (digit == kNoDigit) return std::nullopt;
    bits = bits << 6 | digit;
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      out[written++] = static_cast<uint8_t>(bits >> bit_count);
    }
  }
  if ((bits & ((1U << bit_count) - 1)) != 0) return std::nullopt;  // A second spelling.
  return written;
}

}  // namespace sallyport::sip
