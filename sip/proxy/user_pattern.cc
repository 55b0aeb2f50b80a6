#include "sip/proxy/user_pattern.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "sip/message/params.h"
#include "sip/proxy/hostless_uri.h"

namespace sallyport::sip {
namespace {

enum class Reading : uint8_t { kText, kNumber, kUrn };

bool IsVisualSeparator(char c) { return c == '-' || c == '.' || c == '(' || c == ')'; }

// What follows is no part of the name (RFC 8141 §2.3).
bool IsUrnEnd(char c) { return c == '?' || c == '#'; }

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// The characters of a user part or URN one by one, as they are compared.
class UserReader {
 public:
  UserReader(std::string_view raw, Reading reading) : rest_(raw), reading_(reading) {}

  // Nothing: the end.
  std::optional<char> Next() {
    while (!rest_.empty()) {
      if (reading_ == Reading::kUrn && IsUrnEnd(rest_.front())) break;
      const char c = TakeUnescaped();
      if (reading_ == Reading::kText) return c;
      const bool is_number = reading_ == Reading::kNumber;
      if (is_number && c == ';') break;
      if (is_number && IsVisualSeparator(c)) continue;
      return absl::ascii_tolower(static_cast<unsigned char>(c));
    }
    rest_ = {};
    return std::nullopt;
  }

 private:
  char TakeUnescaped() {
    constexpr size_t kEscapeBytes = 3;
    const std::string_view begin = rest_.substr(0, kEscapeBytes);
    char octets[kEscapeBytes];
    const bool is_escape = Unescape(begin, octets) == 1 && begin.size() == kEscapeBytes;
    rest_.remove_prefix(is_escape ? kEscapeBytes : 1);
    return octets[0];
  }

  std::string_view rest_;
  const Reading reading_;
};

std::string ReadAll(std::string_view raw, Reading reading) {
  UserReader reader(raw, reading);
  std::string all;
  while (const std::optional<char> c = reader.Next()) all.push_back(*c);
  return all;
}

bool SaysPhone(const Uri& uri) {
  if (uri.scheme == Uri::Scheme::kTel) return true;
  if (uri.params.empty()) return false;
  const std::optional<std::string_view> user = FindParam(uri.params, "user");
  return user.has_value() &&
         absl::EqualsIgnoreCase({user->data(), user->size()}, absl::string_view("phone"));
}

bool IsNumber(std::string_view literal) {
  return std::all_of(literal.begin(), literal.end(), [](char c) {
    return IsDigit(c) || IsVisualSeparator(c) || c == '+' || c == '*' || c == '#';
  });
}

bool BeginsOrIs(std::string_view text, std::string_view pattern, bool is_prefix) {
  return is_prefix ? text.starts_with(pattern) : text == pattern;
}

// An escape is "%" and two hexadecimal digits.
bool HasBrokenEscape(std::string_view text) {
  for (size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 3)) {
    const std::string_view digits = text.substr(at + 1, 2);
    if (digits.size() != 2 || !std::all_of(digits.begin(), digits.end(), [](char c) {
          return absl::ascii_isxdigit(static_cast<unsigned char>(c));
        })) {
      return true;
    }
  }
  return false;
}

bool IsForbiddenInUrn(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == 0x7f || IsUrnEnd(c) ||
         std::string_view("<>\"").find(c) != std::string_view::npos;
}

bool IsForbidden(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == 0x7f ||
         std::string_view("@:<>\"").find(c) != std::string_view::npos;
}

constexpr std::string_view kUrnScheme = "urn:";

}  // namespace

bool UserPattern::LooksLikeUrn(std::string_view text) {
  return absl::StartsWithIgnoreCase({text.data(), text.size()},
                                    {kUrnScheme.data(), kUrnScheme.size()});
}

absl::StatusOr<UserPattern> UserPattern::ParseUrn(UserPattern pattern, std::string_view text) {
  const bool names_nothing = text.size() == kUrnScheme.size() && !pattern.is_prefix_;
  if (names_nothing || std::any_of(text.begin(), text.end(), IsForbiddenInUrn) ||
      HasBrokenEscape(text)) {
    return absl::InvalidArgumentError(
        "not a URN; write it as in a Request-URI, such as \"urn:service:sos\" or "
        "\"urn:service:*\"");
  }
  pattern.is_urn_ = true;
  pattern.literal_ = ReadAll(text, Reading::kUrn);
  return pattern;
}

absl::StatusOr<UserPattern> UserPattern::Parse(std::string_view text) {
  UserPattern pattern;
  if (text.empty() || text == "*") return pattern;
  pattern.text_ = text;
  pattern.is_prefix_ = text.back() == '*';
  if (pattern.is_prefix_) text.remove_suffix(1);
  if (text.find('*') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        "a \"*\" in the middle of a user; it stands at the end, and the character itself is "
        "written %2A");
  }
  if (LooksLikeUrn(text)) return ParseUrn(std::move(pattern), text);
  if (text.find('@') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        "a user part has no \"@\"; write the user and the domain as keys of their own");
  }
  if (std::any_of(text.begin(), text.end(), IsForbidden) || HasBrokenEscape(text)) {
    return absl::InvalidArgumentError(
        "not a user part; write it as in a SIP URI, such as \"alice\" or \"+1900*\"");
  }
  pattern.literal_ = ReadAll(text, Reading::kText);
  pattern.number_ = ReadAll(text, Reading::kNumber);
  if (pattern.number_.empty()) {
    return absl::InvalidArgumentError(
        "nothing is left of it without visual separators; write at least one other character");
  }
  pattern.is_number_ = IsNumber(pattern.literal_);
  return pattern;
}

bool UserPattern::Matches(const Uri& uri) const {
  if (is_any()) return true;
  if (is_urn_ != IsUrn(uri) || (!is_urn_ && uri.user.empty())) return false;
  const bool as_number = !is_urn_ && (is_number_ || SaysPhone(uri));
  const Reading reading = is_urn_ ? Reading::kUrn : (as_number ? Reading::kNumber : Reading::kText);
  UserReader user(is_urn_ ? uri.whole : uri.user, reading);
  for (const char wanted : as_number ? number_ : literal_) {
    if (user.Next() != wanted) return false;
  }
  return is_prefix_ || !user.Next().has_value();
}

bool UserPattern::Covers(const UserPattern& other) const {
  if (is_any()) return true;
  if (is_urn_ != other.is_urn_ || (other.is_prefix_ && !is_prefix_)) return false;
  // Equal beginnings as text are equal as numbers, so the text decides for both readings.
  return is_number_ ? BeginsOrIs(other.number_, number_, is_prefix_)
                    : BeginsOrIs(other.literal_, literal_, is_prefix_);
}

}  // namespace sallyport::sip
