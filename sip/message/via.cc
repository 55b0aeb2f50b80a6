#include "sip/message/via.h"

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

std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

// token SLASH or, for the last, token LWS. Returns what follows, or nullptr.
const char* ReadToken(const char* at, const char* end, char separator, std::string_view& token) {
  const char* const token_end = SkipClass(at, end, kTokenChar);
  if (token_end == at) return nullptr;
  token = Between(at, token_end);
  const char* const after = SkipLws(token_end, end);
  if (separator == ' ') return after == token_end ? nullptr : after;
  return after == end || *after != separator ? nullptr : SkipLws(after + 1, end);
}

// sent-by = host [ COLON port ]; LWS may stand round the colon. Returns what follows, or nullptr.
const char* ReadSentBy(const char* at, const char* end, Via& via) {
  const char* const host = at;
  if (at != end && *at == '[') {
    while (at != end && *at != ']') ++at;
    if (at == end) return nullptr;
    ++at;
  } else {
    at = SkipClass(at, end, kHostnameChar);
  }
  via.host = Between(host, at);
  if (ClassifyHost(via.host) == HostKind::kInvalid) return nullptr;
  at = SkipLws(at, end);
  if (at == end || *at != ':') return at;
  const char* const digits = SkipLws(at + 1, end);
  at = SkipClass(digits, end, kDigitChar);
  uint32_t port = 0;
  if (!ReadDecimal(Between(digits, at), 65535, port) || port == 0) return nullptr;
  via.port = static_cast<uint16_t>(port);
  return SkipLws(at, end);
}

bool IsAddress(std::string_view text) {
  const HostKind kind = ClassifyHost(text);
  return kind == HostKind::kIpv4 || kind == HostKind::kIpv6 || IsIpv6Address(text);
}

KnownParameter ClassifyParameter(std::string_view name) {
  switch (name.size()) {
    case 3:
      return EqualsIgnoreCase(name, "ttl") ? kTtl : kUnknown;
    case 5:
      return EqualsIgnoreCase(name, "rport")   ? kRport
             : EqualsIgnoreCase(name, "maddr") ? kMaddr
             : EqualsIgnoreCase(name, "alias") ? kAlias
                                               : kUnknown;
    case 6:
      return EqualsIgnoreCase(name, "branch") ? kBranch : kUnknown;
    case 8:
      return EqualsIgnoreCase(name, "received") ? kReceived : kUnknown;
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
      return IsToken(param.value);
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

}  // namespace

bool ParseVia(std::string_view value, Via& via) {
  via = Via();
  via.whole = TrimLws(value);
  const char* const end = via.whole.data() + via.whole.size();
  const char* at = ReadToken(via.whole.data(), end, '/', via.protocol);
  if (at == nullptr) return false;
  at = ReadToken(at, end, '/', via.version);
  if (at == nullptr) return false;
  at = ReadToken(at, end, ' ', via.transport);
  if (at == nullptr) return false;
  at = ReadSentBy(at, end, via);
  if (at == nullptr) return false;
  via.params = Between(at, end);
  ParamReader reader(via.params);
  Param param;
  unsigned seen = 0;
  while (reader.Next(param)) {
    const KnownParameter known = ClassifyParameter(param.name);
    if ((seen & known) != 0 || !Keep(known, param, via)) return false;
    seen |= known;
  }
  return !reader.malformed();
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
