#include "sip/message/via.h"

#include <algorithm>

#include "core/check.h"
#include "sip/message/grammar.h"
#include "sip/message/host.h"
#include "sip/message/params.h"

namespace sallyport::sip {
namespace {

enum KnownParameter : unsigned {
  kUnknown = 0,
  kBranch = 1 << 0,
  kReceived = 1 << 1,
  kRport = 1 << 2,
  kMaddr = 1 << 3,
  kTtl = 1 << 4,
  kAlias = 1 << 5,
};

// token, then SLASH or, for the last, LWS. Returns what follows, or nullptr.
const char* ReadToken(const char* at, const Bounds& in, char separator, std::string_view& token) {
  const char* const token_end = SkipRun<kTokenChar>(at, in);
  if (token_end == at) return nullptr;
  token = Between(at, token_end);
  const char* const after = SkipLws(token_end, in.end);
  if (separator == ' ') return after == token_end ? nullptr : after;
  return after == in.end || *after != separator ? nullptr : SkipLws(after + 1, in.end);
}

// sent-protocol LWS. Returns where sent-by begins, or nullptr.
const char* ReadProtocol(const char* at, const Bounds& in, Via& via) {
  if (Between(at, in.end).starts_with("SIP/2.0/")) {
    via.protocol = {at, 3};
    via.version = {at + 4, 3};
    return ReadToken(at + 8, in, ' ', via.transport);
  }
  at = ReadToken(at, in, '/', via.protocol);
  if (at != nullptr) at = ReadToken(at, in, '/', via.version);
  return at == nullptr ? nullptr : ReadToken(at, in, ' ', via.transport);
}

// sent-by = host [ COLON port ]; LWS may stand round the colon. Returns its end, or nullptr.
const char* ReadSentBy(const char* begin, const Bounds& in, Via& via) {
  const char* host_end = ReadHost(begin, in).end;
  if (MayBeOddName(host_end, in)) host_end = ReadOddName(begin, in);
  if (host_end == nullptr) return nullptr;
  via.host = Between(begin, host_end);
  const char* const colon = SkipLws(host_end, in.end);
  if (colon == in.end || *colon != ':') return host_end;
  const char* const digits = SkipLws(colon + 1, in.end);
  const char* const digits_end = SkipClass(digits, in.end, kDigitChar);
  uint32_t port = 0;
  if (!ReadDecimal(Between(digits, digits_end), 65535, port) || port == 0) return nullptr;
  via.port = static_cast<uint16_t>(port);
  return digits_end;
}

bool IsAddress(std::string_view text) {
  const HostKind kind = ClassifyHost(text);
  return kind == HostKind::kIpv4 || kind == HostKind::kIpv6 || IsIpv6Address(text);
}

KnownParameter ClassifyParameter(std::string_view name, const Bounds& in) {
  switch (PackWord(name.data(), name.data() + name.size(), in)) {
    case PackWord("branch"):
      return kBranch;
    case PackWord("received"):
      return kReceived;
    case PackWord("rport"):
      return kRport;
    case PackWord("maddr"):
      return kMaddr;
    case PackWord("ttl"):
      return kTtl;
    case PackWord("alias"):
      return kAlias;
    default:
      return kUnknown;
  }
}

// Notes a known parameter; false: its value is not what the grammar wants.
bool Keep(KnownParameter known, const Param& param, Via& via) {
  uint32_t number = 0;
  switch (known) {
    case kBranch:
      via.branch = param.value;
      return param.value_is_token;
    case kReceived:
      via.received = param.value;
      via.received_param = param.whole;
      return IsAddress(param.value);
    case kRport:
      via.has_rport = true;
      via.rport = param.value;
      via.rport_param = param.whole;
      return !param.has_value || (ReadDecimal(param.value, 65535, number) && number != 0);
    case kMaddr:
      via.maddr = param.value;
      return ClassifyHost(param.value) != HostKind::kInvalid;
    case kTtl:
      via.ttl = param.value;
      return ReadDecimal(param.value, 255, number);
    case kAlias:
      via.has_alias = true;
      return true;
    case kUnknown:
      return true;
  }
  UNREACHABLE();
}

// Of those that IsPlainVia takes, the ones that nearly all Via values have.
bool HasUsualTransport(const Via& via) {
  return via.version == "2.0" &&
         (via.transport == "TLS" || via.transport == "TCP" || via.transport == "UDP");
}

bool IsUsual(const Param& param) {
  const bool begins_with_a = ToLower(param.name.front()) == 'a';  // "a" and "alias": no value.
  return param.has_value ? param.value_is_token && !begins_with_a
                         : !EqualsIgnoreCase(param.name, "branch");
}

bool EndsParam(const char* at, const Bounds& in) {
  at = SkipLws(at, in.end);
  return at == in.end || *at == ';' || *at == ',';
}

// A parameter outside the grammar, at its ';': its end. nullptr: it is one that we know, or where
// it ends is not plain. It may be empty at the end of a value.
const char* SkipOddParam(const char* begin, const Bounds& in) {
  std::string_view name;
  std::string_view value;
  const char* const end = PassParam(begin, in.end, name, value);
  if (end == nullptr || ClassifyParameter(name, in) != kUnknown) return nullptr;
  const char* const next = SkipLws(end, in.end);
  const bool is_last = next == in.end || *next == ',';
  return name.empty() && !is_last ? nullptr : end;
}

}  // namespace

const char* ReadVia(const char* begin, const Bounds& in, Via& via) {
  via.Clear();
  begin = SkipLws(begin, in.end);
  const char* at = ReadProtocol(begin, in, via);
  if (at == nullptr) return nullptr;
  const char* value_end = ReadSentBy(at, in, via);
  if (value_end == nullptr) return nullptr;
  at = SkipLws(value_end, in.end);
  const char* const params = at;
  bool is_plain = at == value_end && HasUsualTransport(via);
  Param param;
  unsigned seen = 0;
  while (at != in.end && *at == ';') {
    const char* end = ReadParam(at, in, param);
    if (end == nullptr || !EndsParam(end, in)) {
      is_plain = false;
      end = SkipOddParam(at, in);
      if (end == nullptr) return nullptr;
      if (end != SkipLws(at + 1, in.end)) value_end = end;  // A last ';' alone is no part of it.
      at = SkipLws(end, in.end);
      continue;
    }
    value_end = end;
    const KnownParameter known = ClassifyParameter(param.name, in);
    if ((seen & known) != 0 || !Keep(known, param, via)) return nullptr;
    seen |= known;
    is_plain = is_plain && IsUsual(param);
    at = SkipLws(value_end, in.end);
  }
  if (value_end > params) via.params = Between(params, value_end);
  via.whole = Between(begin, value_end);
  via.is_plain = is_plain && at == value_end;
  return at;
}

bool ParseVia(std::string_view value, Via& via) {
  return ReadVia(value.data(), Bounds(value), via) == value.data() + value.size();
}

bool IsPlainTransport(std::string_view transport) {
  constexpr std::string_view kPlain[] = {"UDP", "TCP", "TLS", "WS", "WSS", "SCTP", "TLS-SCTP"};
  return std::any_of(std::begin(kPlain), std::end(kPlain), [transport](std::string_view plain) {
    return EqualsIgnoreCase(transport, plain);
  });
}

namespace {

// What is left of a value; each step takes what it names from the front. False: it is not there.
struct PlainScan {
  std::string_view rest;

  bool Take(std::string_view text) {
    if (rest.size() < text.size() || !EqualsIgnoreCase(rest.substr(0, text.size()), text)) {
      return false;
    }
    rest.remove_prefix(text.size());
    return true;
  }
  void TakeLws() { rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size())); }
  std::string_view TakeUntil(std::string_view stops) {
    const std::string_view taken = rest.substr(0, rest.find_first_of(stops));
    rest.remove_prefix(taken.size());
    return taken;
  }
  bool TakeProtocol() {
    for (const std::string_view part : {"SIP", "/", "2.0", "/"}) {
      if (!Take(part)) return false;
      TakeLws();
    }
    return IsPlainTransport(TakeUntil(" \t"));
  }
  bool TakeSentBy() {
    TakeLws();
    const bool is_bracketed = rest.starts_with('[');
    if (TakeUntil(is_bracketed ? "] \t" : " \t,;:\"\\()[]").empty()) return false;
    if (is_bracketed && !Take("]")) return false;
    TakeLws();
    if (Take(":")) {
      TakeLws();
      uint32_t port = 0;
      if (!ReadDecimal(TakeUntil(" \t;,"), 99999, port)) return false;
      TakeLws();
    }
    return true;
  }
  bool TakeParam() {
    if (!Take(";")) return false;
    TakeLws();
    const std::string_view name = TakeUntil(":=; \t,\"\\()");
    if (name.empty()) return false;
    TakeLws();
    std::string_view value;
    const bool has_value = Take("=");
    if (has_value) TakeLws();
    if (has_value && rest.starts_with('"')) {
      const size_t quote_end = rest.find_first_of("\",\\", 1);
      if (quote_end == std::string_view::npos || rest[quote_end] != '"') return false;
      value = rest.substr(0, quote_end + 1);
      rest.remove_prefix(value.size());
    } else if (has_value) {
      value = TakeUntil("; \t,\"\\()");
    }
    TakeLws();
    if (EqualsIgnoreCase(name, "a") || EqualsIgnoreCase(name, "alias")) return !has_value;
    for (const std::string_view known : {"branch", "maddr", "received", "ttl"}) {
      if (EqualsIgnoreCase(name, known)) return !value.empty();
    }
    return true;
  }
};

}  // namespace

bool IsPlainVia(std::string_view value) {
  PlainScan scan{value};
  if (!scan.TakeProtocol() || !scan.TakeSentBy()) return false;
  while (!scan.rest.empty()) {
    if (!scan.TakeParam()) return false;
  }
  return true;
}

size_t MarkVia(const Via& via, std::string_view received, std::string_view rport,
               std::span<ViaPatch, kViaPatchesMax> patches) {
  size_t count = 0;
  const bool fill_rport = via.has_rport && !rport.empty();
  const bool received_is_first = via.received_param.data() < via.rport_param.data();
  const auto remove_received = [&] {
    if (via.received_param.empty()) return;
    const char* const begin = via.received_param.data();
    patches[count++] = {begin, begin + via.received_param.size(), {}};
  };
  if (received_is_first) remove_received();
  if (fill_rport) {
    const char* const end = via.rport_param.data() + via.rport_param.size();
    if (via.rport.empty()) patches[count++] = {end, end, "="};
    patches[count++] = {end - via.rport.size(), end, rport};
  }
  if (!received_is_first) remove_received();
  if (!received.empty()) {
    const char* const end = via.whole.data() + via.whole.size();
    patches[count++] = {end, end, ";received="};
    patches[count++] = {end, end, received};
  }
  return count;
}

}  // namespace sallyport::sip
