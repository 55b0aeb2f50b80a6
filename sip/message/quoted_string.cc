#include "sip/message/quoted_string.h"

#include "sip/message/grammar.h"

namespace sallyport::sip {
namespace {

constexpr bool IsContinuation(const char* at, const char* end) {
  return at < end && (static_cast<unsigned char>(*at) & 0xc0) == 0x80;
}

// One well-formed UTF-8 sequence of two to four octets (RFC 3629 §4), or nullptr.
const char* SkipUtf8(const char* begin, const char* end) {
  const auto lead = static_cast<unsigned char>(*begin);
  if (!IsContinuation(begin + 1, end)) return nullptr;
  const auto second = static_cast<unsigned char>(begin[1]);
  if (lead >= 0xc2 && lead <= 0xdf) return begin + 2;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool overlong = lead == 0xe0 && second < 0xa0;
    const bool surrogate = lead == 0xed && second > 0x9f;
    if (overlong || surrogate || !IsContinuation(begin + 2, end)) return nullptr;
    return begin + 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool overlong = lead == 0xf0 && second < 0x90;
    const bool too_high = lead == 0xf4 && second > 0x8f;
    if (overlong || too_high || !IsContinuation(begin + 2, end) ||
        !IsContinuation(begin + 3, end)) {
      return nullptr;
    }
    return begin + 4;
  }
  return nullptr;
}

}  // namespace

const char* SkipQuotedString(const char* begin, const Bounds& in) {
  const char* const end = in.end;
  const char* at = begin + 1;
  while (true) {
    at = SkipRun<kQuotedTextChar>(at, in);
    if (at == end) return nullptr;
    if (*at == '"') return at + 1;
    if (*at == '\\') {
      // quoted-pair: any ASCII character but CR and LF.
      if (end - at < 2 || at[1] == '\r' || at[1] == '\n' ||
          static_cast<unsigned char>(at[1]) > 0x7f) {
        return nullptr;
      }
      at += 2;
    } else if (static_cast<unsigned char>(*at) >= 0x80) {
      at = SkipUtf8(at, end);
      if (at == nullptr) return nullptr;
    } else {
      const char* const after = SkipLws(at, end);
      if (after == at) return nullptr;
      at = after;
    }
  }
}

}  // namespace sallyport::sip
