#include "sip/proxy/distinguished_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace sallyport::sip {
namespace {

bool IsAlpha(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)); }
bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsHex(char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); }
bool IsOneOf(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

constexpr std::string_view kEscaped = "\"+,;<>";  // RFC 4514 §3 `escaped`.

// descr = keystring: ALPHA *( ALPHA / DIGIT / "-" )
bool IsKeyString(std::string_view text) {
  return !text.empty() && IsAlpha(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlpha(c) || IsDigit(c) || c == '-'; });
}

// numericoid = number 1*( "." number ), without leading zeros.
bool IsObjectIdentifier(std::string_view text) {
  size_t numbers = 0;
  while (true) {
    const size_t end = std::min(text.find('.'), text.size());
    const std::string_view number = text.substr(0, end);
    if (number.empty() || !std::all_of(number.begin(), number.end(), IsDigit)) return false;
    if (number.size() > 1 && number.front() == '0') return false;
    ++numbers;
    if (end == text.size()) return numbers > 1;
    text.remove_prefix(end + 1);
  }
}

bool IsHexString(std::string_view text) {
  return text.size() > 1 && text.size() % 2 == 1 &&
         std::all_of(text.begin() + 1, text.end(), IsHex);
}

// Bytes of the escape that begins at the front of `text`, its backslash included; 0: none.
size_t EscapeBytes(std::string_view text) {
  if (text.size() >= 2 && IsOneOf(text[1], "\\\"+,;<> #=")) return 2;
  return text.size() >= 3 && IsHex(text[1]) && IsHex(text[2]) ? 3 : 0;
}

// Takes the value up to "," or "+", or the end. False: not a value.
bool TakeValue(std::string_view& rest) {
  if (!rest.empty() && rest.front() == '#') {
    const size_t end = std::min(rest.find_first_of(",+"), rest.size());
    const bool is_hex = IsHexString(rest.substr(0, end));
    rest.remove_prefix(end);
    return is_hex;
  }
  bool is_first = true;
  bool ends_in_space = false;
  while (!rest.empty() && rest.front() != ',' && rest.front() != '+') {
    const char c = rest.front();
    size_t bytes = 1;
    if (c == '\\') {
      bytes = EscapeBytes(rest);
      if (bytes == 0) return false;
    } else if (IsOneOf(c, kEscaped) || c == '\0' || (is_first && c == ' ')) {
      return false;
    }
    ends_in_space = c == ' ';
    is_first = false;
    rest.remove_prefix(bytes);
  }
  return !ends_in_space;
}

}  // namespace

bool IsDistinguishedName(std::string_view text) {
  while (true) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view type = text.substr(0, equals);
    if (!IsKeyString(type) && !IsObjectIdentifier(type)) return false;
    text.remove_prefix(equals + 1);
    if (!TakeValue(text)) return false;
    if (text.empty()) return true;
    text.remove_prefix(1);  // "," or "+"
  }
}

}  // namespace sallyport::sip
