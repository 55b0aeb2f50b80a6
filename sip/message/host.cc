#include "sip/message/host.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "sip/message/grammar.h"

namespace sallyport::sip {
namespace {

constexpr size_t kLabelBytesMax = 63;
constexpr size_t kNameBytesMax = 253;  // 255 octets on the wire of DNS (RFC 1035 §2.3.4).

bool IsIpv4Address(std::string_view text) {
  size_t at = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && (at == text.size() || text[at++] != '.')) return false;
    unsigned value = 0;
    size_t digits = 0;
    for (; at < text.size() && IsIn(text[at], kDigitChar); ++at, ++digits) {
      value = value * 10 + static_cast<unsigned>(text[at] - '0');
      if (digits == 3 || value > 255) return false;
    }
    if (digits == 0) return false;
    // A leading zero is octal to some readers and decimal to others.
    if (digits > 1 && text[at - digits] == '0') return false;
  }
  return at == text.size();
}

bool IsHostname(std::string_view text) {
  size_t label = 0;
  bool label_has_letter = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      if (label == 0 || text[i - 1] == '-') return false;
      // Only the last label's letters count, also when the name ends with a dot.
      if (i + 1 == text.size()) break;
      label = 0;
      label_has_letter = false;
      continue;
    }
    if (!IsIn(c, kHostnameChar) || (c == '-' && label == 0) || ++label > kLabelBytesMax)
      return false;
    label_has_letter |= IsIn(c, kAlphaChar);
  }
  return label != 0 && label_has_letter && text.back() != '-';
}

// A run of kHostnameChar.
HostKind ClassifyNameOrIpv4(std::string_view text) {
  if (IsIn(text.front(), kDigitChar) && IsIpv4Address(text)) return HostKind::kIpv4;
  const size_t name_bytes = text.size() - (text.back() == '.' ? 1 : 0);
  return name_bytes <= kNameBytesMax && IsHostname(text) ? HostKind::kName : HostKind::kInvalid;
}

#if defined(__SSSE3__)

constexpr size_t kFastNameBytesMax = 16;  // Shorter than a label may be.

// As ClassifyNameOrIpv4 for a short name, without a loop over its characters.
HostKind ClassifyShortName(std::string_view text) {
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data()));
  const auto mask = [](__m128i bytes) { return static_cast<uint32_t>(_mm_movemask_epi8(bytes)); };
  const uint32_t within = (uint32_t{1} << text.size()) - 1;
  const uint32_t last = uint32_t{1} << (text.size() - 1);
  const uint32_t dots = mask(_mm_cmpeq_epi8(block, _mm_set1_epi8('.'))) & within;
  const uint32_t hyphens = mask(_mm_cmpeq_epi8(block, _mm_set1_epi8('-'))) & within;
  // Digits, '.' and '-' lie below '@'.
  const uint32_t letters = mask(_mm_cmpgt_epi8(block, _mm_set1_epi8('@'))) & within;
  // No label is empty, begins or ends with a hyphen; one dot may be the last character.
  const uint32_t begins_label = dots << 1 | 1;
  const uint32_t ends_label = dots >> 1 | last;
  const bool well_formed = ((dots & begins_label) | (hyphens & (begins_label | ends_label))) == 0;
  const uint32_t inner_dots = dots & ~last;
  const uint32_t before_last_label =
      inner_dots == 0 ? 0 : ~uint32_t{0} >> std::countl_zero(inner_dots);
  if (well_formed && (letters & ~before_last_label) != 0) return HostKind::kName;
  return letters == 0 && IsIpv4Address(text) ? HostKind::kIpv4 : HostKind::kInvalid;
}

#endif

// Reads 1*4HEXDIG at `at`, or returns false.
bool SkipHexGroup(std::string_view text, size_t& at) {
  size_t digits = 0;
  while (at < text.size() && IsIn(text[at], kHexChar)) {
    ++at;
    if (++digits > 4) return false;
  }
  return digits > 0;
}

HostAt ReadIpv6Reference(const char* begin, const Bounds& in) {
  const char* at = begin + 1;
  while (at != in.end && (IsIn(*at, kHexChar) || *at == ':' || *at == '.')) ++at;
  if (at == in.end || *at != ']' || !IsIpv6Address(Between(begin + 1, at))) {
    return {nullptr, HostKind::kInvalid};
  }
  return {at + 1, HostKind::kIpv6};
}

}  // namespace

bool IsIpv6Address(std::string_view text) {
  int groups = 0;
  bool compressed = false;
  size_t at = 0;
  if (text.starts_with("::")) {
    compressed = true;
    at = 2;
    if (at == text.size()) return true;
  }
  while (true) {
    const std::string_view rest = text.substr(at);
    if (rest.find(':') == std::string_view::npos && rest.find('.') != std::string_view::npos) {
      groups += 2;
      return IsIpv4Address(rest) && (compressed ? groups < 8 : groups == 8);
    }
    if (!SkipHexGroup(text, at) || ++groups > 8) return false;
    if (at == text.size()) return compressed ? groups < 8 : groups == 8;
    if (text[at++] != ':') return false;
    if (at < text.size() && text[at] == ':') {
      if (compressed) return false;
      compressed = true;
      if (++at == text.size()) return groups < 8;
    }
  }
}

HostKind ClassifyHost(std::string_view text) {
  const HostAt host = ReadHost(text.data(), Bounds(text));
  return host.end == text.data() + text.size() ? host.kind : HostKind::kInvalid;
}

HostAt ReadHost(const char* begin, const Bounds& in) {
  constexpr HostAt kNone = {nullptr, HostKind::kInvalid};
  const char* const end = SkipRun<kHostnameChar>(begin, in);
  if (end == begin) return begin != in.end && *begin == '[' ? ReadIpv6Reference(begin, in) : kNone;
  const std::string_view name = Between(begin, end);
#if defined(__SSSE3__)
  const bool fast = name.size() <= kFastNameBytesMax && begin < in.load_end;
  const HostKind kind = fast ? ClassifyShortName(name) : ClassifyNameOrIpv4(name);
#else
  const HostKind kind = ClassifyNameOrIpv4(name);
#endif
  return kind == HostKind::kInvalid ? kNone : HostAt{end, kind};
}

const char* ReadOddName(const char* begin, const Bounds& in) {
  const char* end = begin;
  while (end != in.end && (IsIn(*end, kHostnameChar) || *end == '_')) ++end;
  std::array<char, kNameBytesMax + 1> plain;  // As IsHostname reads it.
  const auto size = static_cast<size_t>(end - begin);
  if (size == 0 || size > plain.size()) return nullptr;
  std::replace_copy(begin, end, plain.begin(), '_', 'x');
  return ClassifyNameOrIpv4({plain.data(), size}) == HostKind::kName ? end : nullptr;
}

bool EqualsHost(std::string_view a, std::string_view b) {
  if (!a.empty() && a.back() == '.') a.remove_suffix(1);
  if (!b.empty() && b.back() == '.') b.remove_suffix(1);
  return EqualsIgnoreCase(a, b);
}

}  // namespace sallyport::sip
