#include "sip/message/host.h"

#include <cstddef>

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

// Reads 1*4HEXDIG at `at`, or returns false.
bool SkipHexGroup(std::string_view text, size_t& at) {
  size_t digits = 0;
  while (at < text.size() && IsIn(text[at], kHexChar)) {
    ++at;
    if (++digits > 4) return false;
  }
  return digits > 0;
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
  if (text.empty()) return HostKind::kInvalid;
  if (text.front() == '[') {
    const bool closed = text.size() > 2 && text.back() == ']';
    return closed && IsIpv6Address(text.substr(1, text.size() - 2)) ? HostKind::kIpv6
                                                                    : HostKind::kInvalid;
  }
  if (IsIn(text.front(), kDigitChar) && IsIpv4Address(text)) return HostKind::kIpv4;
  const size_t name_bytes = text.size() - (text.back() == '.' ? 1 : 0);
  return name_bytes <= kNameBytesMax && IsHostname(text) ? HostKind::kName : HostKind::kInvalid;
}

bool EqualsHost(std::string_view a, std::string_view b) {
  if (!a.empty() && a.back() == '.') a.remove_suffix(1);
  if (!b.empty() && b.back() == '.') b.remove_suffix(1);
  return EqualsIgnoreCase(a, b);
}

}  // namespace sallyport::sip
