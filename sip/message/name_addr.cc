#include "sip/message/name_addr.h"

#include <utility>

#include "sip/message/grammar.h"
#include "sip/message/params.h"
#include "sip/message/quoted_string.h"

namespace sallyport::sip {
namespace {

// [ display-name ]; returns where '<' must be, or nullptr.
const char* ReadDisplayName(const char* begin, const Bounds& in, NameAddr& address) {
  const char* at = begin;
  if (*at == '"') {
    at = SkipQuotedString(at, in);
    if (at == nullptr) return nullptr;
    address.display = Between(begin, at);
    return SkipLws(at, in.end);
  }
  const char* display_end = at;
  while (at != in.end && IsIn(*at, kTokenChar)) {
    display_end = SkipRun<kTokenChar>(at, in);
    at = SkipLws(display_end, in.end);
  }
  address.display = Between(begin, display_end);
  return at;
}

// "<" addr-spec ">"; `at` is moved behind it. Between the brackets is nothing but the URI (RFC 4475
// §3.1.2.14).
NameAddrOutcome ReadBracketed(const char*& at, const Bounds& in, NameAddr& address) {
  const char* stop = nullptr;
  const char* const uri = at + 1;
  address.bracketed = true;
  if (ReadUri(uri, in, address.uri, stop) != UriOutcome::kOk) return NameAddrOutcome::kBadUri;
  if (stop == in.end) return NameAddrOutcome::kBadBrackets;
  if (*stop != '>') return NameAddrOutcome::kBadUri;
  address.uri_text = Between(uri, stop);
  at = stop + 1;
  return NameAddrOutcome::kOk;
}

// addr-spec without brackets: ends at ';', which begins the header's parameters, and may not hold
// '?'. A comma ends the value, whatever follows (RFC 3261 §20.10, RFC 8217).
NameAddrOutcome ReadBare(const char*& at, const Bounds& in, NameAddr& address) {
  const char* end = at;
  while (end != in.end && (IsIn(*end, kUriChar | kUriHeaderChar) || *end == '%')) {
    if (*end == ';' || *end == ',') break;
    if (*end == '?') return NameAddrOutcome::kNeedsBrackets;
    ++end;
  }
  address.uri_text = Between(at, end);
  const char* stop = nullptr;
  const UriOutcome outcome = ReadUri(at, Bounds(address.uri_text, in.readable), address.uri, stop);
  at = end;
  return outcome == UriOutcome::kOk && stop == end ? NameAddrOutcome::kOk
                                                   : NameAddrOutcome::kBadUri;
}

// *( SEMI generic-param ); `at` is moved behind it and behind LWS.
NameAddrOutcome ReadParameters(const char*& at, const Bounds& in, NameAddr& address) {
  at = SkipLws(at, in.end);
  const char* const begin = at;
  const char* params_end = at;
  Param param;
  bool tag_seen = false;
  while (at != in.end && *at == ';') {
    params_end = ReadParam(at, in, param);
    if (params_end == nullptr) return NameAddrOutcome::kBadParameter;
    at = SkipLws(params_end, in.end);
    if (param.name.size() != 3 || !EqualsIgnoreCase(param.name, "tag")) continue;
    if (tag_seen || !param.value_is_token) return NameAddrOutcome::kBadParameter;
    tag_seen = true;
    address.tag = param.value;
  }
  address.params = Between(begin, params_end);
  return NameAddrOutcome::kOk;
}

// -- What only has to be passed ------------------------------------------------------------------

// And has nothing that could end it for another reader.
bool BeginsWithScheme(std::string_view uri) {
  const size_t colon = uri.find(':');
  return colon != std::string_view::npos && IsToken(uri.substr(0, colon)) &&
         uri.find_first_of("<>\"\\ \t\r\n") == std::string_view::npos;
}

// A display name (one quoted string, or text without quotes) and a URI in brackets, or a URI
// without: where the header's parameters begin. nullptr: some server would end the connection for
// it.
const char* PassAddress(const char* at, const char* end) {
  const char* const begin = SkipLws(at, end);
  at = begin;
  if (at != end && *at == '"') {
    at = PassQuotes(at, end);
    if (at == nullptr) return nullptr;
    at = SkipLws(at, end);
    if (at == end || *at != '<') return nullptr;
  }
  while (at != end && *at != '<' && *at != ';') {
    if (std::string_view("\">,\\").find(*at) != std::string_view::npos) return nullptr;
    ++at;
  }
  if (at == end || *at == ';') return BeginsWithScheme(TrimLws(Between(begin, at))) ? at : nullptr;
  const size_t close = Between(at + 1, end).find('>');
  if (close == std::string_view::npos || !BeginsWithScheme({at + 1, close})) return nullptr;
  return at + close + 2;
}

}  // namespace

NameAddrOutcome ReadNameAddr(const char* begin, const Bounds& in, NameAddr& address,
                             const char*& stop) {
  address.display = {};
  address.params = {};
  address.tag = {};
  address.bracketed = false;
  begin = SkipLws(begin, in.end);
  if (begin == in.end) return NameAddrOutcome::kBadUri;
  const char* at = *begin == '<' ? begin : ReadDisplayName(begin, in, address);
  if (at == nullptr) return NameAddrOutcome::kBadDisplayName;
  NameAddrOutcome outcome;
  if (at != in.end && *at == '<') {
    outcome = ReadBracketed(at, in, address);
  } else if (at != in.end && *at == ':' && at == address.display.data() + address.display.size()) {
    // What looked like a display name of one token was the scheme.
    address.display = {};
    at = begin;
    outcome = ReadBare(at, in, address);
  } else {
    return address.display.empty() ? NameAddrOutcome::kBadUri : NameAddrOutcome::kBadDisplayName;
  }
  if (outcome == NameAddrOutcome::kOk) outcome = ReadParameters(at, in, address);
  stop = at;
  return outcome;
}

NameAddrOutcome ParseNameAddr(std::string_view value, NameAddr& address) {
  address.uri.Clear();
  address.uri_text = {};
  const char* stop = nullptr;
  const NameAddrOutcome outcome = ReadNameAddr(value.data(), Bounds(value), address, stop);
  if (outcome != NameAddrOutcome::kOk || stop == value.data() + value.size()) return outcome;
  if (address.bracketed) return NameAddrOutcome::kBadBrackets;
  return *stop == ',' ? NameAddrOutcome::kNeedsBrackets : NameAddrOutcome::kBadUri;
}

bool ReadTagAlone(std::string_view value, NameAddr& address) {
  address.uri.Clear();
  address.uri_text = address.display = address.params = address.tag = {};
  const char* const end = value.data() + value.size();
  const char* at = PassAddress(value.data(), end);
  const char* const begin = at;
  if (begin == value.data()) return false;
  bool tag_seen = false;
  while (at != nullptr && (at = SkipLws(at, end)) != end) {
    std::string_view name;
    std::string_view text;
    at = *at == ';' ? PassParam(at, end, name, text) : nullptr;
    if (at == nullptr || !EqualsIgnoreCase(name, "tag")) continue;
    if (std::exchange(tag_seen, true) || !IsToken(text)) return false;
    address.tag = text;
  }
  if (at == nullptr) return false;
  address.params = Between(begin, end);
  return true;
}

}  // namespace sallyport::sip
