#include "sip/message/name_addr.h"

#include <cstddef>

#include "sip/message/grammar.h"
#include "sip/message/params.h"

namespace sallyport::sip {
namespace {

std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

// [ display-name ]; returns where '<' must be, or nullptr.
const char* ReadDisplayName(const char* begin, const char* end, NameAddr& address) {
  const char* at = begin;
  if (at != end && *at == '"') {
    at = SkipQuotedString(begin, end);
    if (at == nullptr) return nullptr;
    address.display = Between(begin, at);
    return SkipLws(at, end);
  }
  const char* display_end = at;
  while (at != end && IsIn(*at, kTokenChar)) {
    display_end = SkipClass(at, end, kTokenChar);
    at = SkipLws(display_end, end);
  }
  address.display = Between(begin, display_end);
  return at;
}

// "<" addr-spec ">"; returns what follows. Between the brackets is nothing but the URI (RFC 4475
// §3.1.2.14).
NameAddrOutcome ReadBracketed(const char*& at, const char* end, NameAddr& address) {
  const char* const begin = ++at;
  while (at != end && *at != '>') ++at;
  if (at == end) return NameAddrOutcome::kBadBrackets;
  address.uri_text = Between(begin, at);
  address.bracketed = true;
  ++at;
  return ParseUri(address.uri_text, address.uri) == UriOutcome::kOk ? NameAddrOutcome::kOk
                                                                    : NameAddrOutcome::kBadUri;
}

// addr-spec without brackets: ends at ';', which begins the header's parameters, and may not hold
// '?' or ','.
NameAddrOutcome ReadBare(const char*& at, const char* end, NameAddr& address) {
  const char* const begin = at;
  while (at != end && (IsIn(*at, kUriChar | kUriHeaderChar) || *at == '%')) {
    if (*at == ';') break;
    if (*at == '?' || *at == ',') return NameAddrOutcome::kNeedsBrackets;
    ++at;
  }
  address.uri_text = Between(begin, at);
  return ParseUri(address.uri_text, address.uri) == UriOutcome::kOk ? NameAddrOutcome::kOk
                                                                    : NameAddrOutcome::kBadUri;
}

NameAddrOutcome ReadParameters(const char* at, const char* end, NameAddr& address) {
  at = SkipLws(at, end);
  if (at == end) return NameAddrOutcome::kOk;
  if (*at != ';')
    return address.bracketed ? NameAddrOutcome::kBadBrackets : NameAddrOutcome::kBadUri;
  address.params = Between(at, end);
  ParamReader reader(address.params);
  Param param;
  bool tag_seen = false;
  while (reader.Next(param)) {
    if (param.name.size() != 3 || !EqualsIgnoreCase(param.name, "tag")) continue;
    if (tag_seen || !IsToken(param.value)) return NameAddrOutcome::kBadParameter;
    tag_seen = true;
    address.tag = param.value;
  }
  return reader.malformed() ? NameAddrOutcome::kBadParameter : NameAddrOutcome::kOk;
}

}  // namespace

NameAddrOutcome ParseNameAddr(std::string_view value, NameAddr& address) {
  address = NameAddr();
  const char* const end = value.data() + value.size();
  const char* at = SkipLws(value.data(), end);
  const char* const begin = at;
  at = ReadDisplayName(at, end, address);
  if (at == nullptr) return NameAddrOutcome::kBadDisplayName;
  NameAddrOutcome outcome = NameAddrOutcome::kOk;
  if (at != end && *at == '<') {
    outcome = ReadBracketed(at, end, address);
  } else if (at != end && *at == ':' && at == address.display.data() + address.display.size()) {
    // What looked like a display name of one token was the scheme.
    address.display = {};
    at = begin;
    outcome = ReadBare(at, end, address);
  } else {
    outcome = address.display.empty() ? NameAddrOutcome::kBadUri : NameAddrOutcome::kBadDisplayName;
  }
  return outcome == NameAddrOutcome::kOk ? ReadParameters(at, end, address) : outcome;
}

}  // namespace sallyport::sip
