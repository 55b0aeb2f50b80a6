#include "sip/message/uri.h"

#include "core/check.h"
#include "sip/message/grammar.h"

namespace sallyport::sip {
namespace {

std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

// Parameters that RFC 3261 §19.1.1 names: each at most once, and all but lr need a value.
enum KnownParameter : unsigned {
  kUnknown = 0,
  kTransport = 1 << 0,
  kUser = 1 << 1,
  kMethod = 1 << 2,
  kTtl = 1 << 3,
  kMaddr = 1 << 4,
  kLr = 1 << 5,
};

KnownParameter ClassifyParameter(std::string_view name) {
  switch (name.size()) {
    case 2:
      return EqualsIgnoreCase(name, "lr") ? kLr : kUnknown;
    case 3:
      return EqualsIgnoreCase(name, "ttl") ? kTtl : kUnknown;
    case 4:
      return EqualsIgnoreCase(name, "user") ? kUser : kUnknown;
    case 5:
      return EqualsIgnoreCase(name, "maddr") ? kMaddr : kUnknown;
    case 6:
      return EqualsIgnoreCase(name, "method") ? kMethod : kUnknown;
    case 9:
      return EqualsIgnoreCase(name, "transport") ? kTransport : kUnknown;
    default:
      return kUnknown;
  }
}

bool IsLegalValue(KnownParameter known, std::string_view value) {
  uint32_t ttl = 0;
  switch (known) {
    case kTtl:
      return ReadDecimal(value, 255, ttl);
    case kMaddr:
      return ClassifyHost(value) != HostKind::kInvalid;
    case kTransport:
    case kUser:
    case kMethod:
      return IsToken(value);
    case kUnknown:
    case kLr:
      return true;
  }
  UNREACHABLE();
}

// *( ";" uri-parameter ), up to '?' or the end. Returns where it stopped, or nullptr.
const char* SkipParameters(const char* at, const char* end) {
  unsigned seen = 0;
  while (at != end && *at == ';') {
    const char* const name = at + 1;
    at = SkipClassOrEscape(name, end, kUriParameterChar);
    if (at == name) return nullptr;
    const KnownParameter known = ClassifyParameter(Between(name, at));
    if ((seen & known) != 0) return nullptr;
    seen |= known;
    if (at != end && *at == '=') {
      const char* const value = at + 1;
      at = SkipClassOrEscape(value, end, kUriParameterChar);
      if (at == value || !IsLegalValue(known, Between(value, at))) return nullptr;
    } else if (known != kUnknown && known != kLr) {
      return nullptr;
    }
  }
  return at;
}

// Would a reader that splits at the last '@' find a host there?
bool LooksLikeHost(const char* begin, const char* end) {
  if (begin != end && *begin == '[') return true;
  const char* const stop = SkipClass(begin, end, kHostnameChar);
  return stop == end || *stop == ':' || *stop == ';' || *stop == '?' || *stop == '&';
}

// hname "=" hvalue *( "&" hname "=" hvalue ). True if all of it is.
bool AreHeaders(const char* at, const char* end) {
  const char* last_at_sign = nullptr;
  while (true) {
    const char* const name = at;
    at = SkipClassOrEscape(at, end, kUriHeaderChar);
    if (at == name || at == end || *at != '=') return false;
    ++at;
    while ((at = SkipClassOrEscape(at, end, kUriHeaderChar)) != end && *at == '@')
      last_at_sign = at++;
    if (at == end) break;
    if (*at++ != '&') return false;
  }
  return last_at_sign == nullptr || !LooksLikeHost(last_at_sign + 1, end);
}

// [ userinfo "@" ]. Returns where the host begins, or nullptr.
const char* ReadUserinfo(const char* begin, const char* end, Uri& uri) {
  const char* const user_end = SkipClassOrEscape(begin, end, kUserChar);
  if (user_end == end) return begin;
  if (*user_end == '@') {
    uri.user = Between(begin, user_end);
    return user_end == begin ? nullptr : user_end + 1;
  }
  if (*user_end != ':') return begin;
  const char* const password_end = SkipClassOrEscape(user_end + 1, end, kPasswordChar);
  if (password_end == end || *password_end != '@') return begin;  // It was host ":" port.
  if (user_end == begin) return nullptr;
  uri.user = Between(begin, user_end);
  uri.password = Between(user_end + 1, password_end);
  uri.has_password = true;
  return password_end + 1;
}

// Returns where the host ends, or nullptr.
const char* ReadHost(const char* begin, const char* end, Uri& uri) {
  const char* at = begin;
  if (at != end && *at == '[') {
    while (at != end && *at != ']') ++at;
    if (at == end) return nullptr;
    ++at;
  } else {
    at = SkipClass(at, end, kHostnameChar);
  }
  uri.host = Between(begin, at);
  const HostKind kind = ClassifyHost(uri.host);
  if (kind == HostKind::kInvalid) return nullptr;
  uri.host_is_ip = kind != HostKind::kName;
  if (uri.host.back() == '.') uri.host.remove_suffix(1);
  return at;
}

UriOutcome ParseSipUri(const char* at, const char* end, Uri& uri) {
  at = ReadUserinfo(at, end, uri);
  if (at == nullptr) return UriOutcome::kBadUser;
  at = ReadHost(at, end, uri);
  if (at == nullptr) return UriOutcome::kBadHost;
  if (at != end && *at == ':') {
    const char* const digits = at + 1;
    at = SkipClass(digits, end, kDigitChar);
    uint32_t port = 0;
    if (!ReadDecimal(Between(digits, at), 65535, port) || port == 0) return UriOutcome::kBadPort;
    uri.port = static_cast<uint16_t>(port);
  }
  if (at != end && *at == ';') {
    const char* const params = at;
    at = SkipParameters(at, end);
    if (at == nullptr) return UriOutcome::kBadParameter;
    uri.params = Between(params, at);
  }
  if (at == end) return UriOutcome::kOk;
  if (*at != '?') return uri.params.empty() ? UriOutcome::kBadHost : UriOutcome::kBadParameter;
  if (!AreHeaders(at + 1, end)) return UriOutcome::kBadHeaders;
  uri.headers = Between(at + 1, end);
  return UriOutcome::kOk;
}

UriOutcome ParseTelUri(const char* at, const char* end, Uri& uri) {
  const char* const number_end = SkipClass(at, end, kPhoneChar);
  if (number_end == at) return UriOutcome::kBadOpaquePart;
  uri.user = Between(at, number_end);
  const char* const params_end = SkipParameters(number_end, end);
  if (params_end == nullptr) return UriOutcome::kBadParameter;
  uri.params = Between(number_end, params_end);
  return params_end == end ? UriOutcome::kOk : UriOutcome::kBadOpaquePart;
}

Uri::Scheme ClassifyScheme(std::string_view text) {
  if (text.size() == 3 && EqualsIgnoreCase(text, "sip")) return Uri::Scheme::kSip;
  if (text.size() == 4 && EqualsIgnoreCase(text, "sips")) return Uri::Scheme::kSips;
  if (text.size() == 3 && EqualsIgnoreCase(text, "tel")) return Uri::Scheme::kTel;
  return Uri::Scheme::kOther;
}

}  // namespace

UriOutcome ParseUri(std::string_view text, Uri& uri) {
  uri = Uri();
  uri.whole = text;
  const char* const end = text.data() + text.size();
  const char* const colon = SkipClass(text.data(), end, kSchemeChar);
  if (colon == end || *colon != ':' || colon == text.data() || !IsIn(text.front(), kAlphaChar)) {
    return UriOutcome::kBadScheme;
  }
  uri.scheme_text = Between(text.data(), colon);
  uri.scheme = ClassifyScheme(uri.scheme_text);
  const char* const rest = colon + 1;
  switch (uri.scheme) {
    case Uri::Scheme::kSip:
    case Uri::Scheme::kSips:
      return ParseSipUri(rest, end, uri);
    case Uri::Scheme::kTel:
      return ParseTelUri(rest, end, uri);
    case Uri::Scheme::kOther:
      break;
  }
  const bool legal = rest != end && SkipClassOrEscape(rest, end, kUriChar) == end;
  return legal ? UriOutcome::kOk : UriOutcome::kBadOpaquePart;
}

size_t Unescape(std::string_view text, std::span<char> out) {
  const auto digit = [](char c) {
    return static_cast<unsigned>(IsIn(c, kDigitChar) ? c - '0' : ToLower(c) - 'a' + 10);
  };
  size_t written = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && text.size() - i >= 3 && IsIn(text[i + 1], kHexChar) &&
                        IsIn(text[i + 2], kHexChar);
    out[written++] =
        escape ? static_cast<char>(digit(text[i + 1]) << 4 | digit(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return written;
}

}  // namespace sallyport::sip
