#include "sip/message/uri.h"

#include "core/check.h"
#include "sip/message/grammar.h"
#include "sip/message/host.h"

namespace sallyport::sip {
namespace {

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

KnownParameter ClassifyParameter(const char* begin, const char* end, const Bounds& in) {
  switch (PackWord(begin, end, in)) {
    case PackWord("lr"):
      return kLr;
    case PackWord("ttl"):
      return kTtl;
    case PackWord("user"):
      return kUser;
    case PackWord("maddr"):
      return kMaddr;
    case PackWord("method"):
      return kMethod;
    default:
      break;
  }
  const bool is_transport = end - begin == 9 &&
                            PackWord(begin, begin + 8, in) == PackWord("transpor") &&
                            ToLower(begin[8]) == 't';
  return is_transport ? kTransport : kUnknown;
}

// 1*DIGIT up to 255. Returns its end, or nullptr.
const char* SkipTtl(const char* begin, const Bounds& in) {
  const char* const end = SkipClass(begin, in.end, kDigitChar);
  uint32_t ttl = 0;
  return ReadDecimal(Between(begin, end), 255, ttl) ? end : nullptr;
}

// The value of a parameter. Returns its end, or nullptr.
const char* SkipParameterValue(KnownParameter known, const char* begin, const Bounds& in) {
  const char* end = nullptr;
  switch (known) {
    case kTtl:
      return SkipTtl(begin, in);
    case kMaddr:
      return ReadHost(begin, in).end;
    case kTransport:
    case kUser:
    case kMethod:
      end = SkipRun<kUriTokenChar>(begin, in);
      break;
    case kUnknown:
    case kLr:
      end = SkipRunOrEscape<kUriParameterChar>(begin, in);
      break;
  }
  return end == begin ? nullptr : end;
}

// *( ";" uri-parameter ) as far as they go. Returns where it stopped, or nullptr.
const char* SkipParameters(const char* at, const Bounds& in) {
  unsigned seen = 0;
  while (at != in.end && *at == ';') {
    const char* const name = at + 1;
    at = SkipRunOrEscape<kUriParameterChar>(name, in);
    if (at == name) return nullptr;
    const KnownParameter known = ClassifyParameter(name, at, in);
    if ((seen & known) != 0) return nullptr;
    seen |= known;
    if (at != in.end && *at == '=') {
      at = SkipParameterValue(known, at + 1, in);
      if (at == nullptr) return nullptr;
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

// hname "=" hvalue *( "&" hname "=" hvalue ) as far as they go. Returns where it stopped, or
// nullptr.
const char* SkipHeaders(const char* at, const Bounds& in) {
  const char* last_at_sign = nullptr;
  while (true) {
    const char* const name = at;
    at = SkipClassOrEscape(at, in.end, kUriHeaderChar);
    if (at == name || at == in.end || *at != '=') return nullptr;
    ++at;
    while ((at = SkipClassOrEscape(at, in.end, kUriHeaderChar)) != in.end && *at == '@')
      last_at_sign = at++;
    if (at == in.end || *at != '&') break;
    ++at;
  }
  return last_at_sign == nullptr || !LooksLikeHost(last_at_sign + 1, at) ? at : nullptr;
}

// A user with characters that it should escape. Its end, which is an '@'; nullptr: it is none.
const char* SkipOddUser(const char* at, const Bounds& in) {
  constexpr std::string_view kOdd = "#[]{}|^";
  while (at != in.end && kOdd.find(*at) != std::string_view::npos) {
    at = SkipRunOrEscape<kUserChar>(at + 1, in);
  }
  return at != in.end && *at == '@' ? at : nullptr;
}

// [ userinfo "@" ]. Returns where the host begins, or nullptr.
const char* ReadUserinfo(const char* begin, const Bounds& in, Uri& uri) {
  const char* user_end = SkipRunOrEscape<kUserChar>(begin, in);
  if (user_end == in.end) return begin;
  if (*user_end != '@' && *user_end != ':') {
    const char* const odd_end = SkipOddUser(user_end, in);
    uri.is_odd = odd_end != nullptr;
    if (uri.is_odd) user_end = odd_end;
  }
  if (*user_end == '@') {
    uri.user = Between(begin, user_end);
    return user_end == begin ? nullptr : user_end + 1;
  }
  if (*user_end != ':') return begin;
  const char* const password_end = SkipRunOrEscape<kPasswordChar>(user_end + 1, in);
  if (password_end == in.end || *password_end != '@') return begin;  // It was host ":" port.
  if (user_end == begin) return nullptr;
  uri.user = Between(begin, user_end);
  uri.password = Between(user_end + 1, password_end);
  uri.has_password = true;
  return password_end + 1;
}

// hostport; `at` is moved behind it.
UriOutcome ReadHostPort(const char*& at, const Bounds& in, Uri& uri) {
  HostAt host = ReadHost(at, in);
  if (MayBeOddName(host.end, in)) {
    host = {ReadOddName(at, in), HostKind::kName};
    if (host.end == nullptr) return UriOutcome::kBadHost;
    uri.is_odd = true;
  }
  uri.host = Between(at, host.end);
  uri.host_is_ip = host.kind != HostKind::kName;
  if (uri.host.back() == '.') uri.host.remove_suffix(1);
  at = host.end;
  if (at == in.end || *at != ':') return UriOutcome::kOk;
  const char* const digits = at + 1;
  at = SkipClass(digits, in.end, kDigitChar);
  uint32_t port = 0;
  if (!ReadDecimal(Between(digits, at), 65535, port) || port == 0) return UriOutcome::kBadPort;
  uri.port = static_cast<uint16_t>(port);
  return UriOutcome::kOk;
}

UriOutcome ReadSipUri(const char* begin, const Bounds& in, Uri& uri, const char*& stop) {
  const char* at = ReadUserinfo(begin, in, uri);
  if (at == nullptr) return UriOutcome::kBadUser;
  const UriOutcome outcome = ReadHostPort(at, in, uri);
  if (outcome != UriOutcome::kOk) return outcome;
  if (at != in.end && *at == ';') {
    const char* const params = at;
    at = SkipParameters(params, in);
    if (at == nullptr) return UriOutcome::kBadParameter;
    uri.params = Between(params, at);
  }
  if (at != in.end && *at == '?') {
    const char* const headers = at + 1;
    at = SkipHeaders(headers, in);
    if (at == nullptr) return UriOutcome::kBadHeaders;
    uri.headers = Between(headers, at);
  }
  stop = at;
  return UriOutcome::kOk;
}

UriOutcome ReadTelUri(const char* begin, const Bounds& in, Uri& uri, const char*& stop) {
  const char* const number_end = SkipClass(begin, in.end, kPhoneChar);
  if (number_end == begin) return UriOutcome::kBadOpaquePart;
  uri.user = Between(begin, number_end);
  const char* const params_end = SkipParameters(number_end, in);
  if (params_end == nullptr) return UriOutcome::kBadParameter;
  uri.params = Between(number_end, params_end);
  stop = params_end;
  return UriOutcome::kOk;
}

UriOutcome ReadOpaqueUri(const char* begin, const Bounds& in, const char*& stop) {
  stop = SkipClassOrEscape(begin, in.end, kUriChar);
  return stop == begin ? UriOutcome::kBadOpaquePart : UriOutcome::kOk;
}

// scheme ":". Returns what follows, or nullptr.
const char* ReadScheme(const char* begin, const Bounds& in, Uri& uri) {
  if (Between(begin, in.end).starts_with("sip:")) {
    uri.scheme = Uri::Scheme::kSip;
    uri.scheme_text = {begin, 3};
    return begin + 4;
  }
  const char* const colon = SkipClass(begin, in.end, kSchemeChar);
  if (colon == in.end || *colon != ':' || colon == begin || !IsIn(*begin, kAlphaChar))
    return nullptr;
  uri.scheme_text = Between(begin, colon);
  switch (PackWord(begin, colon, in)) {
    case PackWord("sip"):
      uri.scheme = Uri::Scheme::kSip;
      break;
    case PackWord("sips"):
      uri.scheme = Uri::Scheme::kSips;
      break;
    case PackWord("tel"):
      uri.scheme = Uri::Scheme::kTel;
      break;
    default:
      uri.scheme = Uri::Scheme::kOther;
      break;
  }
  return colon + 1;
}

// What the character after a whole URI says about it.
UriOutcome OutcomeOfRest(const Uri& uri) {
  if (!uri.is_sip_or_sips()) return UriOutcome::kBadOpaquePart;
  if (!uri.headers.empty()) return UriOutcome::kBadHeaders;
  return uri.params.empty() ? UriOutcome::kBadHost : UriOutcome::kBadParameter;
}

}  // namespace

UriOutcome ReadUri(const char* begin, const Bounds& in, Uri& uri, const char*& stop) {
  uri.Clear();
  const char* const rest = ReadScheme(begin, in, uri);
  if (rest == nullptr) return UriOutcome::kBadScheme;
  const char* end = begin;
  UriOutcome outcome = UriOutcome::kOk;
  switch (uri.scheme) {
    case Uri::Scheme::kSip:
    case Uri::Scheme::kSips:
      outcome = ReadSipUri(rest, in, uri, end);
      break;
    case Uri::Scheme::kTel:
      outcome = ReadTelUri(rest, in, uri, end);
      break;
    case Uri::Scheme::kOther:
      outcome = ReadOpaqueUri(rest, in, end);
      break;
  }
  uri.whole = Between(begin, end);
  stop = end;
  return outcome;
}

UriOutcome ParseUri(std::string_view text, Uri& uri) {
  const char* stop = nullptr;
  const UriOutcome outcome = ReadUri(text.data(), Bounds(text), uri, stop);
  uri.whole = text;
  return outcome == UriOutcome::kOk && stop != text.data() + text.size() ? OutcomeOfRest(uri)
                                                                         : outcome;
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
