// Character classes and small rules of RFC 3261 §25.1, shared by every field parser. Pure, no
// state.
//
// Values keep their folds: a view may hold CRLF followed by SP or HTAB (RFC 3261 §7.3.1). The
// functions here read such a fold as LWS; a CR or LF that is not part of a fold never is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sallyport::sip {

// Bits, because one character belongs to several classes.
enum CharClass : uint16_t {
  kAlphaChar = 1 << 0,
  kDigitChar = 1 << 1,
  kHexChar = 1 << 2,
  kTokenChar = 1 << 3,         // token
  kWordChar = 1 << 4,          // word, as in Call-ID
  kUserChar = 1 << 5,          // unreserved / user-unreserved (escapes are checked apart)
  kPasswordChar = 1 << 6,      // unreserved / "&" "=" "+" "$" ","
  kUriParameterChar = 1 << 7,  // unreserved / param-unreserved
  kUriHeaderChar = 1 << 8,     // unreserved / hnv-unreserved
  kHostnameChar = 1 << 9,      // alphanum / "-" / "."
  kUriChar = 1 << 10,          // reserved / unreserved: the rest of an absoluteURI
  kSchemeChar = 1 << 11,       // ALPHA / DIGIT / "+" / "-" / "."
  kQuotedTextChar =
      1 << 12,           // qdtext without folds and UTF-8: SP / HTAB / %x21 / %x23-5B / %x5D-7E
  kPhoneChar = 1 << 13,  // what a telephone-subscriber may hold before its parameters (RFC 3966 §3)
  kUriTokenChar = 1 << 14,  // token and legal in a URI parameter at once
};

namespace grammar_internal {

constexpr std::array<uint16_t, 256> MakeCharClasses() {
  std::array<uint16_t, 256> classes{};
  const auto add = [&classes](std::string_view chars, unsigned mask) {
    for (const char c : chars) {
      const auto index = static_cast<unsigned char>(c);
      classes[index] = static_cast<uint16_t>(classes[index] | mask);
    }
  };
  constexpr std::string_view kAlpha = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view kDigits = "0123456789";
  constexpr unsigned kAlphanum = kTokenChar | kWordChar | kUserChar | kPasswordChar |
                                 kUriParameterChar | kUriHeaderChar | kHostnameChar | kUriChar |
                                 kSchemeChar | kUriTokenChar;
  constexpr unsigned kUnreserved =
      kUserChar | kPasswordChar | kUriParameterChar | kUriHeaderChar | kUriChar;
  add(kAlpha, kAlphanum | kAlphaChar);
  add(kDigits, kAlphanum | kDigitChar | kPhoneChar);
  add("0123456789abcdefABCDEF", kHexChar | kPhoneChar);
  add("-_.!~*'()", kUnreserved);  // mark
  add("-.!%*_+`'~", kTokenChar);
  add("-.!%*_+`'~()<>:\\\"/[]?{}", kWordChar);
  add("&=+$,;?/", kUserChar);
  add("&=+$,", kPasswordChar);
  add("[]/:&+$", kUriParameterChar);
  add("-.!*_+'~", kUriTokenChar);
  add("[]/?:+$", kUriHeaderChar);
  add("-.", kHostnameChar);
  add(";/?:@&=+$,", kUriChar);
  add("+-.", kSchemeChar);
  add("+-.()*#", kPhoneChar);
  for (unsigned c = 0x21; c <= 0x7e; ++c) {
    if (c != '"' && c != '\\') classes[c] = static_cast<uint16_t>(classes[c] | kQuotedTextChar);
  }
  add(" \t", kQuotedTextChar);
  return classes;
}

}  // namespace grammar_internal

inline constexpr std::array<uint16_t, 256> kCharClasses = grammar_internal::MakeCharClasses();

constexpr bool IsIn(char c, unsigned classes) {
  return (kCharClasses[static_cast<unsigned char>(c)] & classes) != 0;
}

constexpr char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// The first character of [begin, end) outside `classes`, or end.
constexpr const char* SkipClass(const char* begin, const char* end, unsigned classes) {
  while (begin != end && IsIn(*begin, classes)) ++begin;
  return begin;
}

// As SkipClass, and "%" HEXDIG HEXDIG counts as one character. A broken escape ends the run.
constexpr const char* SkipClassOrEscape(const char* begin, const char* end, unsigned classes) {
  while (begin != end) {
    if (IsIn(*begin, classes)) {
      ++begin;
    } else if (*begin == '%' && end - begin >= 3 && IsIn(begin[1], kHexChar) &&
               IsIn(begin[2], kHexChar)) {
      begin += 3;
    } else {
      break;
    }
  }
  return begin;
}

constexpr bool IsAll(std::string_view text, unsigned classes) {
  return SkipClass(text.data(), text.data() + text.size(), classes) == text.data() + text.size();
}

constexpr bool IsToken(std::string_view text) { return !text.empty() && IsAll(text, kTokenChar); }

// The first character after SP, HTAB and folds. A CR that does not begin a fold stays where it is.
constexpr const char* SkipLws(const char* begin, const char* end) {
  while (begin != end && static_cast<unsigned char>(*begin) <= ' ') {
    if (*begin == ' ' || *begin == '\t') {
      ++begin;
    } else if (*begin == '\r' && end - begin >= 3 && begin[1] == '\n' &&
               (begin[2] == ' ' || begin[2] == '\t')) {
      begin += 3;
    } else {
      break;
    }
  }
  return begin;
}

// Without LWS at both ends. Meant for parts of a value that a parser cut at LWS boundaries.
constexpr std::string_view TrimLws(std::string_view text) {
  const char* const begin = SkipLws(text.data(), text.data() + text.size());
  const char* end = text.data() + text.size();
  while (end != begin) {
    const char last = end[-1];
    if (last != ' ' && last != '\t') break;
    --end;
    if (end - begin >= 2 && end[-1] == '\n' && end[-2] == '\r') end -= 2;
  }
  return {begin, static_cast<size_t>(end - begin)};
}

constexpr bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (ToLower(a[i]) != ToLower(b[i])) return false;
  }
  return true;
}

constexpr bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && EqualsIgnoreCase(text.substr(0, prefix.size()), prefix);
}

// 1*DIGIT with any number of leading zeros, not above `value_max`. False leaves `value` alone.
constexpr bool ReadDecimal(std::string_view text, uint32_t value_max, uint32_t& value) {
  if (text.empty()) return false;
  uint64_t sum = 0;
  for (const char c : text) {
    if (!IsIn(c, kDigitChar)) return false;
    sum = sum * 10 + static_cast<uint64_t>(c - '0');
    if (sum > value_max) return false;
  }
  value = static_cast<uint32_t>(sum);
  return true;
}

}  // namespace sallyport::sip
