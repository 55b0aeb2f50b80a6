// Pairs. Any two URIs: what is read as a pair is what the signer writes for it. Any fields: they
// read back, in either order of the lines, and in no other dialog; with any one octet changed they
// are no pair. The first byte chooses; the rest is four lines (Call-ID, tag, URI, URI), or fields
// and the change.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "sip/message/params.h"
#include "sip/proxy/dialog_pair.h"
#include "sip/proxy/octets.h"
#include "sip/proxy/transport_parameter.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using Outcome = PairReading::Outcome;

const DialogPairSigner& Signer() {
  static const DialogPairSigner signer(test::RotatedSecret());
  return signer;
}

std::string TakeLine(std::string_view& rest) {
  const size_t end = rest.find('\n');
  const std::string line(rest.substr(0, end));
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return line;
}

RecordRouteUri PlaceOf(const Uri& uri) {
  RecordRouteUri place{.sips = uri.scheme == Uri::Scheme::kSips,
                       .host = uri.host,
                       .port = uri.port,
                       .transport = TransportProtocol::kUdp};
  const auto transport = FindParam(uri.params, "transport");
  if (transport.has_value()) place.transport = *TransportOf(*transport);
  if (place.sips && !transport.has_value()) place.transport = TransportProtocol::kTls;
  return place;
}

// Of what was accepted; signed with the first key only if it is that one's.
void CheckAccepted(const PairReading& reading, const Uri& first, const Uri& second,
                   const DialogId& dialog) {
  if (reading.key != 0) return;
  const Uri& caller = reading.caller_is_first ? first : second;
  const Uri& callee = reading.caller_is_first ? second : first;
  PairTexts texts;
  const RecordRouteUri caller_place = PlaceOf(caller);
  Signer().Write(reading.pair, dialog, caller_place,
                 reading.is_single ? caller_place : PlaceOf(callee), texts);
  CHECK(texts.caller() == caller.user && texts.mac == reading.mac);
  CHECK(reading.is_single ? texts.callee().empty() : texts.callee() == callee.user);
}

void CheckText(std::string_view rest) {
  const std::string call_id = TakeLine(rest);
  const std::string tag = TakeLine(rest);
  const std::string first_text = TakeLine(rest);
  const std::string second_text = TakeLine(rest);
  Uri first;
  Uri second;
  if (ParseUri(first_text, first) != UriOutcome::kOk) return;
  const bool has_second = ParseUri(second_text, second) == UriOutcome::kOk;
  const DialogId dialog = DialogIdOf(call_id, tag);
  const PairLineForm form = PairLineFormOf(first.user);
  for (const bool with_second : {false, true}) {
    if (with_second && !has_second) continue;
    const PairReading reading = Signer().Read({&first, with_second ? &second : nullptr}, dialog);
    if (reading.outcome == Outcome::kForged) continue;
    CHECK(form != PairLineForm::kNone);
    CHECK(with_second == (form != PairLineForm::kSingle));
    if (reading.outcome == Outcome::kValid) CheckAccepted(reading, first, second, dialog);
  }
}

TransportAddress ReadTarget(OctetReader& in) {
  TransportAddress target;
  const uint64_t head = in.Number(1);
  target.transport = static_cast<TransportProtocol>(head % 3);
  const auto port = static_cast<uint16_t>(in.Number(2));
  if (target.transport == TransportProtocol::kTls) {
    target.identity = static_cast<uint16_t>(in.Number(2));
  }
  std::array<uint8_t, 4> ipv4{};
  std::array<uint8_t, 16> ipv6{};
  if ((head & 0x80) != 0) {
    std::ranges::copy(in.Take(ipv6.size()), ipv6.begin());
    target.address = core::SocketAddress::Ipv6(ipv6, port, static_cast<uint32_t>(in.Number(4)));
  } else {
    std::ranges::copy(in.Take(ipv4.size()), ipv4.begin());
    target.address = core::SocketAddress::Ipv4(ipv4, port);
  }
  return target;
}

// Always with a target: a side that nothing reaches is never written.
DialogSide ReadSide(OctetReader& in) {
  DialogSide side;
  const uint64_t head = in.Number(1);
  side.zone = (head & 1) != 0 ? Zone::kOutside : Zone::kInside;
  side.secure = (head & 2) != 0;
  side.target = ReadTarget(in);
  side.next_hop = static_cast<uint32_t>(in.Number(4));
  if ((head & 4) != 0) side.flow = ReadFlowRef(in);
  if (!side.flow.is_known()) side.flow = {};
  if ((head & 8) == 0) return side;
  side.party.kind = (head & 16) != 0 ? PartyKind::kDomain : PartyKind::kLeaf;
  side.party.key_id = static_cast<uint8_t>(in.Number(1));
  side.party.hash = in.Number(8);
  if (side.party.kind == PartyKind::kDomain) {
    const size_t size = 1 + in.Number(1) % PartyDomain::kBytesMax;
    side.party.domain = PartyDomain(std::string(size, 'a'));
  }
  return side;
}

bool IsPair(const std::string& first, const std::string& second, const DialogId& dialog) {
  Uri first_uri;
  Uri second_uri;
  if (ParseUri(first, first_uri) != UriOutcome::kOk) return false;
  if (!second.empty() && ParseUri(second, second_uri) != UriOutcome::kOk) return false;
  return Signer().Read({&first_uri, second.empty() ? nullptr : &second_uri}, dialog).outcome ==
         Outcome::kValid;
}

// Another octet of the user part, at a place of the input's choice.
std::string Changed(std::string uri, OctetReader& in) {
  const size_t at = 4 + in.Number(1) % (uri.find('@') - 4);
  const auto c = static_cast<char>(in.Number(1));
  uri[at] = uri[at] == c ? static_cast<char>(c ^ 1) : c;
  return uri;
}

void CheckFields(OctetReader in) {
  const bool is_single = (in.Number(1) & 1) != 0;
  const DialogSide caller = ReadSide(in);
  const DialogSide callee = ReadSide(in);
  const DialogPair pair{caller, callee};
  const RecordRouteUri caller_place{.host = "edge.example", .port = 5061};
  const RecordRouteUri callee_place{
      .host = "[2001:db8::1]", .port = 5070, .transport = TransportProtocol::kUdp};
  const test::PairUris uris =
      test::WritePair(Signer(), pair, {}, caller_place, is_single ? caller_place : callee_place);
  const DialogId dialog = DialogIdOf("call-1", "caller-tag");
  const Uri first = test::ParsedUri(uris.caller);
  const Uri second = is_single ? Uri() : test::ParsedUri(uris.callee);
  const PairReading reading = Signer().Read({&first, is_single ? nullptr : &second}, dialog);
  CHECK(reading.outcome == Outcome::kValid && reading.is_single == is_single);
  CHECK(reading.pair.caller == caller && reading.pair.callee == callee);
  CHECK(is_single || IsPair(uris.callee, uris.caller, dialog));
  CHECK(!IsPair(uris.caller, uris.callee, DialogIdOf("call-1", "callee-tag")));
  CHECK(is_single || (!IsPair(uris.caller, "", dialog) && !IsPair(uris.callee, "", dialog)));
  CHECK(!IsPair(Changed(uris.caller, in), uris.callee, dialog));
  CHECK(is_single || !IsPair(uris.caller, Changed(uris.callee, in), dialog));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A heap copy of exactly this size: the sanitizer sees a read beyond it.
  const std::string copy(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    CheckText(copy);
  } else {
    CheckFields(OctetReader({reinterpret_cast<const uint8_t*>(copy.data()), copy.size()}));
  }
  return 0;
}

}  // namespace sallyport::sip
