#include "sip/proxy/dialog_pair.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "sip/message/grammar.h"
#include "sip/message/params.h"
#include "sip/proxy/base64url.h"
#include "sip/proxy/canonical_uri.h"
#include "sip/proxy/octets.h"
#include "sip/proxy/token_seal.h"

namespace sallyport::sip {
namespace {

// The second octet of a line; each side of a single line has one of its own.
constexpr unsigned kIsCallee = 1;
constexpr unsigned kIsOutside = 2;
constexpr unsigned kIsSingle = 4;
constexpr unsigned kHasMac = 8;
constexpr unsigned kHasFlow = 16;
constexpr unsigned kHasTarget = 32;
constexpr unsigned kHasDomainParty = 64;
constexpr unsigned kHasLeafParty = 128;

constexpr size_t kSideOctetsMax =
    FlowRef::kOctets + TransportAddress::kOctetsMax + 4 + 1 + 8 + 1 + PartyDomain::kBytesMax;
constexpr size_t kLineOctetsMax = 4 + 2 * kSideOctetsMax + SealKeys::kMacBytes;
constexpr size_t kLineOctetsMin = 2 + 7;  // An IPv4 target is the least that a side holds.
static_assert(Base64UrlBytes(kLineOctetsMax) <= PairTexts::kTextBytesMax);
// Scheme, host, port and transport.
constexpr size_t kPlaceOctetsMax = 280;
// The dialog, both lines, and the place of each.
constexpr size_t kMessageOctetsMax =
    sizeof(DialogId) + 2 + 2 * kLineOctetsMax + 2 * kPlaceOctetsMax;

unsigned FlagsOf(const DialogSide& side, bool is_callee) {
  unsigned flags = is_callee ? kIsCallee : 0;
  if (side.zone == Zone::kOutside) flags |= kIsOutside;
  if (side.flow.is_known()) flags |= kHasFlow;
  if (side.target.is_known()) flags |= kHasTarget;
  if (side.party.kind == PartyKind::kDomain) flags |= kHasDomainParty;
  if (side.party.kind == PartyKind::kLeaf) flags |= kHasLeafParty;
  return flags;
}

void WriteSide(const DialogSide& side, OctetWriter& writer) {
  if (side.flow.is_known()) WriteFlowRef(side.flow, writer);
  if (side.target.is_known()) {
    WriteTransportAddress(side.target, side.secure, writer);
    writer.AddNumber(side.next_hop, 4);
  }
  if (side.party.kind == PartyKind::kNone) return;
  writer.AddNumber(side.party.key_id, 1);
  writer.AddNumber(side.party.hash, 8);
  if (side.party.kind != PartyKind::kDomain) return;
  const std::string_view domain = side.party.domain.view();
  writer.AddNumber(domain.size(), 1);
  writer.Add({reinterpret_cast<const uint8_t*>(domain.data()), domain.size()});
}

// False: it does not hold what its flags say.
bool ReadParty(OctetReader& reader, unsigned flags, SealedParty& party) {
  const bool is_domain = (flags & kHasDomainParty) != 0;
  const bool is_leaf = (flags & kHasLeafParty) != 0;
  if (is_domain && is_leaf) return false;
  if (!is_domain && !is_leaf) return true;
  party.kind = is_domain ? PartyKind::kDomain : PartyKind::kLeaf;
  party.key_id = static_cast<uint8_t>(reader.Number(1));
  party.hash = reader.Number(8);
  if (!is_domain) return true;
  const auto size = static_cast<size_t>(reader.Number(1));
  const std::span<const uint8_t> domain = reader.Take(size);
  if (domain.empty() || domain.size() > PartyDomain::kBytesMax) return false;
  party.domain = PartyDomain({reinterpret_cast<const char*>(domain.data()), domain.size()});
  return true;
}

bool ReadSide(OctetReader& reader, unsigned flags, DialogSide& side) {
  side.zone = (flags & kIsOutside) != 0 ? Zone::kOutside : Zone::kInside;
  if ((flags & kHasFlow) != 0) side.flow = ReadFlowRef(reader);
  if ((flags & kHasTarget) != 0) {
    const auto target = ReadTransportAddress(reader, side.secure);
    if (!target.has_value()) return false;
    side.target = *target;
    side.next_hop = static_cast<uint32_t>(reader.Number(4));
  }
  return ReadParty(reader, flags, side.party) && reader.complete();
}

void AddPlace(bool is_sips, std::string_view host, uint16_t port, std::string_view transport,
              OctetWriter& writer) {
  writer.AddNumber(is_sips ? 1 : 0, 1);
  AddLoweredPart(host, writer);
  writer.AddNumber(port, 2);
  AddLoweredPart(transport, writer);
}

void AddPlace(const RecordRouteUri& uri, OctetWriter& writer) {
  AddPlace(uri.sips, uri.host, uri.port, TransportParameterOf(uri), writer);
}

// As we write a line, but for order and spelling. Another parameter (a maddr, say) or headers would
// make it lead elsewhere.
bool HasOurFormOnly(const Uri& uri) {
  if (uri.has_password || !uri.headers.empty()) return false;
  bool is_loose = false;
  ParamReader reader(uri.params);
  for (Param param; reader.Next(param);) {
    const bool is_lr = EqualsIgnoreCase(param.name, "lr");
    if (!is_lr && !EqualsIgnoreCase(param.name, "transport") && param.name != "dt") return false;
    is_loose = is_loose || is_lr;
  }
  return is_loose && !reader.malformed();
}

void AddPlace(const Uri& uri, OctetWriter& writer) {
  AddPlace(uri.scheme == Uri::Scheme::kSips, uri.host, uri.port,
           FindParam(uri.params, "transport").value_or(std::string_view()), writer);
}

// A line before it is known to be ours.
struct RawLine {
  std::array<uint8_t, kLineOctetsMax> octets;
  size_t size = 0;  // Without the MAC.
  SealKeys::Mac mac;

  [[nodiscard]] unsigned flags() const { return octets[1]; }
  [[nodiscard]] bool has(unsigned flag) const { return (flags() & flag) != 0; }
  [[nodiscard]] uint8_t key_id() const { return octets[2]; }
  [[nodiscard]] std::span<const uint8_t> covered() const { return std::span(octets).first(size); }
  [[nodiscard]] std::span<const uint8_t> fields() const {
    return covered().subspan(has(kHasMac) ? 3 : 2);
  }
};

bool ReadRaw(std::string_view user, RawLine& line) {
  const std::optional<size_t> size = ReadBase64Url(user, line.octets);
  if (!size.has_value() || *size < kLineOctetsMin ||
      line.octets[0] != static_cast<uint8_t>(TokenKind::kPairLine)) {
    return false;
  }
  line.size = *size;
  if (!line.has(kHasMac)) return !line.has(kIsSingle);
  if (*size < 3 + SealKeys::kMacBytes) return false;
  line.size -= SealKeys::kMacBytes;
  std::memcpy(line.mac.data(), line.octets.data() + line.size, SealKeys::kMacBytes);
  return true;
}

// Where the MAC stands: in the outside line if there is one, else in the caller's.
bool CarriesMac(const RawLine& line, const RawLine& other) {
  if (line.has(kIsOutside) != other.has(kIsOutside)) return line.has(kIsOutside);
  return !line.has(kIsCallee);
}

bool ReadSides(const RawLine& caller, const RawLine* callee, DialogPair& pair) {
  OctetReader reader(caller.fields());
  if (!ReadSide(reader, caller.flags(), pair.caller)) return false;
  if (callee == nullptr) {
    const auto flags = static_cast<unsigned>(reader.Number(1));
    return ReadSide(reader, flags, pair.callee) && reader.exhausted();
  }
  if (!reader.exhausted()) return false;
  OctetReader other(callee->fields());
  return ReadSide(other, callee->flags(), pair.callee) && other.exhausted();
}

size_t WriteText(std::span<const uint8_t> octets, std::span<char> out) {
  WriteBase64Url(octets, out.data());
  return Base64UrlBytes(octets.size());
}

}  // namespace

DialogPairSigner::DialogPairSigner(const tls::Secret& secret)
    : keys_(secret, tls::kDialogPairLabel), parties_(secret) {}

DialogId DialogIdOf(std::string_view call_id, std::string_view tag) {
  std::array<uint8_t, 2 * (2 + kPartBytesMax)> octets;
  OctetWriter writer(octets);
  AddPart(call_id, writer);
  AddPart(tag, writer);
  return tls::Sha256(std::as_bytes(writer.written()));
}

bool IsSamePlace(const RecordRouteUri& a, const RecordRouteUri& b) {
  return a.sips == b.sips && a.port == b.port && a.transport == b.transport && a.host == b.host;
}

void DialogPairSigner::Write(const DialogPair& pair, const DialogId& dialog,
                             const RecordRouteUri& caller, const RecordRouteUri& callee,
                             PairTexts& texts) const {
  const bool is_single = IsSamePlace(caller, callee);
  unsigned caller_flags = FlagsOf(pair.caller, false);
  unsigned callee_flags = FlagsOf(pair.callee, true);
  if (is_single) caller_flags |= kIsSingle;
  const bool mac_is_callees =
      !is_single && pair.callee.zone == Zone::kOutside && pair.caller.zone == Zone::kInside;
  (mac_is_callees ? callee_flags : caller_flags) |= kHasMac;

  std::array<uint8_t, kLineOctetsMax> caller_octets;
  OctetWriter caller_line(caller_octets);
  caller_line.AddNumber(static_cast<uint8_t>(TokenKind::kPairLine), 1);
  caller_line.AddNumber(caller_flags, 1);
  if (!mac_is_callees) caller_line.AddNumber(keys_.signing().id, 1);
  WriteSide(pair.caller, caller_line);
  std::array<uint8_t, kLineOctetsMax> callee_octets;
  OctetWriter callee_line(callee_octets);
  OctetWriter& callee_out = is_single ? caller_line : callee_line;
  if (!is_single) callee_out.AddNumber(static_cast<uint8_t>(TokenKind::kPairLine), 1);
  callee_out.AddNumber(callee_flags, 1);
  if (mac_is_callees) callee_out.AddNumber(keys_.signing().id, 1);
  WriteSide(pair.callee, callee_out);

  std::array<uint8_t, kMessageOctetsMax> message_octets;
  OctetWriter message(message_octets);
  message.Add(dialog);
  AddPlace(caller, message);
  message.AddNumber(caller_line.written().size(), 2);
  message.Add(caller_line.written());
  if (!is_single) {
    AddPlace(callee, message);
    message.Add(callee_line.written());
  }
  CHECK(message.fits() && caller_line.fits() && callee_line.fits());
  texts.mac = SealKeys::MacOf(keys_.signing(), message.written());
  (mac_is_callees ? callee_line : caller_line).Add(texts.mac);
  texts.caller_bytes = WriteText(caller_line.written(), texts.caller_text);
  texts.callee_bytes = is_single ? 0 : WriteText(callee_line.written(), texts.callee_text);
}

PairReading DialogPairSigner::Read(const PairLines& lines, const DialogId& dialog) const {
  PairReading reading;
  RawLine first;
  RawLine second;
  if (lines.first == nullptr || !ReadRaw(lines.first->user, first)) return reading;
  for (const Uri* const line : {lines.first, lines.second}) {
    if (line != nullptr && !HasOurFormOnly(*line)) return reading;
  }
  reading.is_single = first.has(kIsSingle);
  if (reading.is_single != (lines.second == nullptr)) return reading;
  if (!reading.is_single) {
    const bool is_pair = ReadRaw(lines.second->user, second) && !second.has(kIsSingle) &&
                         first.has(kIsCallee) != second.has(kIsCallee) &&
                         first.has(kHasMac) != second.has(kHasMac);
    if (!is_pair ||
        !CarriesMac(first.has(kHasMac) ? first : second, first.has(kHasMac) ? second : first)) {
      return reading;
    }
  }
  reading.caller_is_first = !first.has(kIsCallee);
  const RawLine& caller = reading.caller_is_first ? first : second;
  const RawLine& callee = reading.caller_is_first ? second : first;
  if (reading.is_single && !reading.caller_is_first) return reading;

  std::array<uint8_t, kMessageOctetsMax> message_octets;
  OctetWriter message(message_octets);
  message.Add(dialog);
  AddPlace(reading.caller_is_first ? *lines.first : *lines.second, message);
  message.AddNumber(caller.covered().size(), 2);
  message.Add(caller.covered());
  if (!reading.is_single) {
    AddPlace(reading.caller_is_first ? *lines.second : *lines.first, message);
    message.Add(callee.covered());
  }
  if (!message.fits()) return reading;
  const RawLine& signed_line = caller.has(kHasMac) ? caller : callee;
  if (!keys_.Knows(signed_line.key_id())) {
    reading.outcome = PairReading::Outcome::kUnknownKey;
    return reading;
  }
  for (size_t i = 0; i < keys_.all().size(); ++i) {
    const SealKey& key = keys_.all()[i];
    if (key.id != signed_line.key_id()) continue;
    const SealKeys::Mac mac = SealKeys::MacOf(key, message.written());
    if (!tls::SameSecretBytes(mac, signed_line.mac)) continue;
    if (!ReadSides(caller, reading.is_single ? nullptr : &callee, reading.pair)) return reading;
    reading.key = i;
    reading.mac = mac;
    reading.outcome = PairReading::Outcome::kValid;
    return reading;
  }
  return reading;
}

bool IsSameLine(const Uri& returned, const Uri& written) {
  std::array<uint8_t, kPlaceOctetsMax> returned_octets;
  std::array<uint8_t, kPlaceOctetsMax> written_octets;
  OctetWriter returned_place(returned_octets);
  OctetWriter written_place(written_octets);
  AddPlace(returned, returned_place);
  AddPlace(written, written_place);
  return returned.user == written.user && HasOurFormOnly(returned) && returned_place.fits() &&
         std::ranges::equal(returned_place.written(), written_place.written());
}

PairLineForm PairLineFormOf(std::string_view user) {
  RawLine line;
  if (!ReadRaw(user, line)) return PairLineForm::kNone;
  if (line.has(kIsSingle)) return PairLineForm::kSingle;
  return line.has(kIsCallee) ? PairLineForm::kCallee : PairLineForm::kCaller;
}

}  // namespace sallyport::sip
