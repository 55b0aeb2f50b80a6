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
  const auto digit_at = [&text](size_t i) -> uint32_t {
    return kDigits[static_cast<unsigned char>(text[i])];
  };
  uint32_t seen = 0;
  size_t written = 0;
  size_t i = 0;
  for (; i + 4 <= text.size(); i += 4) {
    const uint32_t a = digit_at(i), b = digit_at(i + 1), c = digit_at(i + 2), d = digit_at(i + 3);
    seen |= a | b | c | d;
    const uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    out[written++] = static_cast<uint8_t>(bits >> 16);
    out[written++] = static_cast<uint8_t>(bits >> 8);
    out[written++] = static_cast<uint8_t>(bits);
  }
  uint32_t bits = 0;
  unsigned bit_count = 0;
  for (; i < text.size(); ++i) {
    const uint32_t digit = digit_at(i);
    seen |= digit;
    bits = bits << 6 | digit;
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      out[written++] = static_cast<uint8_t>(bits >> bit_count);
    }
  }
  if ((seen & kNoDigit) != 0) return std::nullopt;
  if ((bits & ((1U << bit_count) - 1)) != 0) return std::nullopt;  // A second spelling.
  return written;
}

}  // namespace sallyport::sip
