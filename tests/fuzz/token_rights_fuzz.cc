// What our own lines are good for, in any request. As it came it holds nothing that this edge has
// signed: no right, no excuse, no token above a mark. Then the words of kPlaceholders become lines
// that it has signed, for one dialog: a right is for that dialog, its direction and its party, and
// an excuse for its From and To alone.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/check.h"
#include "sip/message/message_parser.h"
#include "sip/proxy/canonical_uri.h"
#include "sip/proxy/forwarding.h"
#include "sip/proxy/route_decision.h"
#include "sip/proxy/token_rights.h"
#include "tests/support/signed_lines.h"
#include "tests/support/snapshot_of.h"

namespace sallyport::sip {
namespace {

constexpr int64_t kNow = 1'800'000'000;
constexpr char kNear[] = "sip:carol@c.example";
constexpr char kFar[] = "sip:ceo@edge.example";
constexpr char kContact[] = "sip:carol@10.0.0.5";
constexpr char kList[] = "sip:k.example;lr";

constexpr char kConfig[] = R"(
[edge]
domain = "edge.example"
admin = ""
[tls.federation]
certificate = "edge.pem"
trusted-ca = "ca.pem"
[[listener]]
name = "federation"
address = "192.0.2.10:5061"
zone = "outside"
[[listener]]
name = "core"
address = "10.0.0.1:5070"
transport = "udp"
zone = "inside"
allow = ["10.0.0.0/24"]
[[next-hop]]
name = "core"
zone = "inside"
targets = ["udp:10.0.0.5:5060"]
)";

// The seeds are signed with neither of these.
const EdgeSnapshot& Snapshot() {
  static const std::unique_ptr<const EdgeSnapshot> snapshot =
      test::SnapshotOf(kConfig, test::RotatedSecret());
  return *snapshot;
}

const PeerStanding& Standing() {
  static const PeerStanding standing = test::StandingOf({"b.example"});
  return standing;
}

std::string DialogToken(const SealKeys::Mac& pair) {
  const Uri near = test::ParsedUri(kNear);
  const Uri far = test::ParsedUri(kFar);
  const Uri contact = test::ParsedUri(kContact);
  UriListDigest list;
  CHECK(list.Add(test::ParsedUri(kList)));
  std::string text(DialogTokenSigner::kTextBytes, '\0');
  const std::array<uint8_t, 32> route_set = list.digest();
  const std::optional<DialogClaim> claim = Snapshot().dialog_tokens.ClaimOf(
      {.near = &near, .far = &far, .contact = &contact, .route_set = &route_set});
  CHECK(claim && Snapshot().dialog_tokens.Write(*claim, pair, kNow, text.data()));
  return text;
}

using Replacement = std::pair<std::string, std::string>;

// IN1 and IN2: a call of b.example to the inside. OUT1 and OUT2: of the inside to b.example; DT is
// its dialog token. PATH: of a phone of b.example. VIA: a branch of a pass from outside.
std::vector<Replacement> MakeReplacements() {
  const EdgeSnapshot& snapshot = Snapshot();
  const RecordRouteUri outside{.host = "edge.example", .port = 5061};
  const RecordRouteUri inside{
      .host = "edge.example", .port = 5070, .transport = TransportProtocol::kUdp};
  const SealedParty party = snapshot.pairs.parties().Seal(test::DomainPartyOf("b.example"));
  const DialogSide bob = test::OutsideSide(party);
  const DialogSide core = test::InsideSide("10.0.0.5:5060");
  const test::PairUris in = test::WritePair(snapshot.pairs, {bob, core}, {}, outside, inside);
  const test::PairUris out = test::WritePair(snapshot.pairs, {core, bob}, {}, inside, outside);
  const std::string path = test::PathUri(
      snapshot.path_tokens, {{.process = 7, .shard = 0, .listener = 0}, party}, inside);
  return {{"sip:IN1@x", in.caller},
          {"sip:IN2@x", in.callee},
          {"sip:OUT1@x", out.caller},
          {"sip:OUT2@x", out.callee},
          {"sip:PATH@x", path},
          {"=DT", "=" + DialogToken(out.mac)},
          {"VIA", test::BranchText(snapshot.branches, {.origin = Zone::kOutside})}};
}

std::string Signed(std::string text) {
  static const std::vector<Replacement> replacements = MakeReplacements();
  for (const auto& [word, line] : replacements) {
    size_t at = text.find(word);
    // A few are enough, and keep a run short.
    for (int count = 0; at != std::string::npos && count < 8; ++count) {
      text.replace(at, word.size(), line);
      at = text.find(word, at + line.size());
    }
  }
  return text;
}

void CheckRight(const MessageView& request, const OwnRoutes& own, const TokenRights& rights,
                Zone from) {
  if (rights.route == RouteRight::kNone) return CHECK(!rights.is_by_pair);
  CHECK(rights.fault == RouteFault::kNone && own.token != OwnRoutes::Token::kNone);
  if (rights.route == RouteRight::kToFlow) {
    return CHECK(from == Zone::kInside && request.to().tag.empty() && !rights.is_by_pair);
  }
  const std::string_view from_tag = request.from().tag;
  const std::string_view to_tag = request.to().tag;
  CHECK(rights.is_by_pair && request.call_id() == "call-1");
  CHECK(!to_tag.empty() && to_tag != from_tag);
  CHECK(from_tag == "caller-tag" || to_tag == "caller-tag");
  CHECK((rights.route == RouteRight::kToInsideTarget) == (from == Zone::kOutside));
  CHECK((rights.far.zone == Zone::kInside) == (from == Zone::kOutside));
}

bool MayBeExcused(const MessageView& request) {
  for (const char* method :
       {"INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY"}) {
    if (request.method() == ParseMethod(method)) return true;
  }
  return false;
}

void CheckExcuse(const MessageView& request, const OwnRoutes& own, const TokenRights& rights) {
  if (ReadExcuse(request, own, rights, Snapshot(), kNow) != ExcuseOutcome::kExcused) return;
  CHECK(rights.route == RouteRight::kToInsideTarget && MayBeExcused(request));
  CHECK(IsSameUri(request.from().uri, test::ParsedUri(kFar)));
  CHECK(IsSameUri(request.to().uri, test::ParsedUri(kNear)));
  const bool hangs_up = request.method() == Method::kBye || request.method() == Method::kAck;
  CHECK(hangs_up || IsSameUri(own.request_uri, test::ParsedUri(kContact)));
}

// What OnRequest does with it until it knows where it goes.
void Judge(const MessageView& request, Zone from, bool is_signed) {
  const EdgeSnapshot& snapshot = Snapshot();
  OwnRoutes own = ReadOwnRoutes(request, snapshot.names, from);
  if (own.malformed) return;
  const uint32_t listener = from == Zone::kOutside ? 0 : 1;
  const TokenRights rights = ReadTokenRights(request, own, {from, listener, &Standing()}, snapshot);
  CHECK(is_signed || rights.route == RouteRight::kNone);
  CheckRight(request, own, rights, from);
  CheckExcuse(request, own, rights);
  if (own.strict_fixup && rights.route == RouteRight::kNone) {
    own = ReadOwnRoutes(request, snapshot.names, from, StrictRoutes::kIgnored);
  }
  const RouteDecision decision = DecideRoute(request, from, own, rights, snapshot);
  const bool is_by_right = decision.kind == RouteKind::kInsideTarget ||
                           decision.kind == RouteKind::kParty || decision.kind == RouteKind::kFlow;
  CHECK(!is_by_right || rights.route != RouteRight::kNone);
  CHECK(decision.kind != RouteKind::kLocate || (from == Zone::kInside && request.to().tag.empty()));
  if (!rights.is_by_pair) return;
  static MessageEdit edit;
  edit.Reset(request.bytes());
  RecordPairAgain(request, own, edit);
}

void CheckGrant(const MessageView& request, bool is_signed) {
  const auto source = core::SocketAddress::Ipv4({10, 0, 0, 5}, 5060);
  const bool has_mark = BearsMark(request, Snapshot());
  const DialogTokenGrant grant =
      MayIssue(request, DialogIdOf(request.call_id(), request.from().tag), source, Snapshot());
  if (grant.is_granted) CHECK(request.Has(HeaderId::kContact) && (is_signed || !has_mark));
}

void Run(const std::string& wire, bool is_signed) {
  static MessageView request;
  if (ParseMessage(wire, Framing::kDatagram, request) != ParseOutcome::kOk) return;
  if (!request.is_request() || request.headers().size() >= kHeadersMax - 1) return;
  for (const Zone from : {Zone::kOutside, Zone::kInside}) Judge(request, from, is_signed);
  CheckGrant(request, is_signed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string wire(reinterpret_cast<const char*>(data), size);
  Run(wire, false);
  Run(Signed(wire), true);
  return 0;
}

}  // namespace sallyport::sip
