// The targets of a transaction: found by configuration, token or DNS, then tried one after the
// other (RFC 3261 §16.6 step 7, RFC 3263 §4.3), each under a branch of its own. Forking is
// sequential only: one target has the request at a time.

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "sip/message/params.h"
#include "sip/message/value_list.h"
#include "sip/proxy/edge_proxy.h"
#include "sip/proxy/forwarding.h"
#include "sip/proxy/record_route.h"
#include "sip/proxy/target_order.h"
#include "sip/proxy/transport_parameter.h"

namespace sallyport::sip {
namespace {

// RFC 3261 §18.1.1: a request that may not fit one packet goes over a congestion-controlled
// transport.
constexpr size_t kDatagramRequestBytesMax = 1300;

// The addresses of inside names are learnt anew so often; DNS is asked as its answers expire.
constexpr absl::Duration kLearnInterval = absl::Seconds(5);
constexpr LocationCookie kLearning = {};  // No transaction's.

constexpr FailureCause kFlowGone{ReasonCode::kFlowGone, "the flow is gone"};
constexpr FailureCause kNoRoom{ReasonCode::kOverload,
                               "the next hop takes no more of this peer now"};
constexpr FailureCause kNoTarget{ReasonCode::kNextHopUnreachable, "no next hop can be reached"};

std::string_view StoredText(const Transaction& transaction) {
  return {reinterpret_cast<const char*>(transaction.request.data()), transaction.request_bytes};
}

std::string_view TextOf(LocationFailure failure) {
  switch (failure) {
    case LocationFailure::kNone:
      return "no address was found";
    case LocationFailure::kNoSuchName:
      return "DNS knows no such name";
    case LocationFailure::kNoUsableService:
      return "DNS names no service that can be used";
    case LocationFailure::kTimeout:
      return "DNS did not answer in time";
    case LocationFailure::kServerFailure:
      return "DNS could not answer";
    case LocationFailure::kTooManyPending:
      return "too many questions to DNS are open";
  }
  UNREACHABLE();
}

uint64_t HashOf(const NextHopTarget& target) {
  return TargetHashId(absl::StrCat(std::string(TransportName(target.transport)), ":",
                                   target.host.empty() ? target.address.ToString() : target.host,
                                   ":", target.port));
}

// RFC 5923 §8: a server outside may send its own requests on a connection that we dial. They are
// judged by the certificate that it has shown.
std::string_view ViaEnd(const Endpoint& endpoint, const Egress& egress) {
  const bool is_alias = endpoint.key.kind == EndpointKind::kStream &&
                        endpoint.key.transport == TransportProtocol::kTls &&
                        endpoint.key.zone == Zone::kOutside;
  return is_alias ? ";alias\r\n" : egress.via_end[static_cast<size_t>(endpoint.key.transport)];
}

// A request that was too large for UDP went to the same address over TCP (§18.1.1).
bool SpeaksTo(const NextHopTarget& target, TransportProtocol transport) {
  return target.transport == transport ||
         (target.transport == TransportProtocol::kUdp && transport == TransportProtocol::kTcp);
}

TransportAddress WhereOf(const Endpoint& endpoint) {
  return {endpoint.key.transport, endpoint.key.address, IdentityHash(endpoint.key.identity)};
}

// The URI that says where a request from the inside goes next (§16.6 step 7).
Uri NextUri(const MessageView& request, bool next_is_strict) {
  const HeaderField* const field = next_is_strict ? nullptr : request.First(HeaderId::kRoute);
  std::string_view value;
  NameAddr route;
  if (field == nullptr) return request.parsed_request_uri();
  ValueList values(field->value);
  if (values.Next(value) && ParseNameAddr(value, route) == NameAddrOutcome::kOk) return route.uri;
  return request.parsed_request_uri();
}

}  // namespace

// -- Finding them ------------------------------------------------------------------------------

void EdgeProxy::FindTargets(Transaction& transaction) {
  transaction.listed_for = context_.snapshot->version;
  const Finding finding = ListTargets(transaction);
  transaction.awaits_location = finding == Finding::kPending;
  switch (finding) {
    case Finding::kFound:
      return TryNextTarget(transaction);
    case Finding::kPending:
      return ScheduleDeadline(transaction, kTimerB);
    case Finding::kNothing:
      return FinishLocally(transaction, transaction.failure.reason, transaction.failure.text);
  }
}

EdgeProxy::Finding EdgeProxy::ListTargets(Transaction& transaction) {
  switch (transaction.source) {
    case TargetSource::kNextHop: {
      // After a reload it may stand elsewhere, or be gone.
      const std::optional<size_t> next_hop =
          context_.snapshot->FindNextHop(transaction.next_hop_hash);
      if (next_hop.has_value()) return ListNextHop(transaction, *next_hop);
      transaction.failure = kNoTarget;
      return Finding::kNothing;
    }
    case TargetSource::kInsideTarget:
      return ListInsideTarget(transaction);
    case TargetSource::kParty:
      return ListParty(transaction);
    case TargetSource::kFlow:
      return ListFlow(transaction);
    case TargetSource::kLocate:
      return ListLocated(transaction);
  }
  UNREACHABLE();
}

// RFC 5626 §5.3: that flow, or 430.
EdgeProxy::Finding EdgeProxy::ListFlow(Transaction& transaction) {
  transaction.failure = kFlowGone;
  return AddFlow(transaction, transaction.far.flow) ? Finding::kFound : Finding::kNothing;
}

bool EdgeProxy::AddFlow(Transaction& transaction, const FlowRef& flow) {
  if (flow.process != context_.snapshot->process) return false;
  if (transaction.target_count == Transaction::kTargetsMax) return false;
  Endpoint* const endpoint =
      endpoints_.FindOrCreate(endpoints_.FlowKey(flow.shard, flow.connection, flow.listener));
  if (endpoint == nullptr) {
    transaction.failure = {ReasonCode::kOverload, "too many flows are in use"};
    return false;
  }
  if (endpoints_.Prepare(*endpoint) != EndpointPool::Readiness::kReady ||
      !IsProvedBy(*endpoint, transaction.far.party)) {
    return false;
  }
  const auto end = transaction.targets.begin() + transaction.target_count;
  if (std::find(transaction.targets.begin(), end, endpoint->id) != end) return false;
  transaction.targets[transaction.target_count++] = endpoint->id;
  return true;
}

// Of another shard's connection, what names it says so: our own token, or the directory.
bool EdgeProxy::IsProvedBy(const Endpoint& endpoint, const SealedParty& party) const {
  const bool is_flow = endpoint.key.kind == EndpointKind::kFlow;
  if (is_flow && endpoint.key.shard != context_.shard.index()) return true;
  const Connection* const connection =
      connections_.Find(is_flow ? endpoint.key.flow : endpoint.connection);
  return connection != nullptr && connection->standing() != nullptr &&
         context_.snapshot->pairs.parties().Proves(*connection->standing(), party);
}

// -- A party outside ---------------------------------------------------------------------------

// The ways to the party of a dialog, one after the other, each only when the earlier ones are
// exhausted. Nothing that a message says leads anywhere: not Contact, nor what is left of Route.
EdgeProxy::Finding EdgeProxy::ListParty(Transaction& transaction) {
  while (transaction.party_step != PartyStep::kNothing) {
    const PartyStep step = transaction.party_step;
    const Finding finding = ListPartyStep(transaction, step);
    // What DNS still has to say is of this step.
    if (finding == Finding::kPending) return finding;
    if (!transaction.has_unlisted) {
      transaction.party_step = static_cast<PartyStep>(static_cast<uint8_t>(step) + 1);
    }
    if (transaction.has_untried()) return Finding::kFound;
  }
  return Finding::kNothing;
}

EdgeProxy::Finding EdgeProxy::ListPartyStep(Transaction& transaction, PartyStep step) {
  const DialogSide& party = transaction.far;
  switch (step) {
    case PartyStep::kFlow:
      if (party.flow.is_known()) {
        transaction.failure = kFlowGone;
        static_cast<void>(AddFlow(transaction, party.flow));
      }
      return Finding::kNothing;
    case PartyStep::kTarget:
      return party.target.is_known() ? ListPartyTarget(transaction) : Finding::kNothing;
    case PartyStep::kOpen:
      if (const auto open = parties_.Find(party.party, party.flow)) {
        static_cast<void>(AddFlow(transaction, *open));
      }
      return Finding::kNothing;
    case PartyStep::kNextHop:
      return ListPartyNextHop(transaction);
    case PartyStep::kLocated:
      return ListPartyDomain(transaction);
    case PartyStep::kNothing:
      return Finding::kNothing;
  }
  UNREACHABLE();
}

// Whoever answers there is asked for the proof that the party gave (SendAttempt looks again).
bool EdgeProxy::MayProve(const EndpointKey& key, const SealedParty& party) const {
  if (party.kind == PartyKind::kNone) return true;  // A plain next hop: the configured target.
  if (key.transport != TransportProtocol::kTls) return false;
  return party.kind == PartyKind::kLeaf || key.identity == party.domain.view();
}

// The member that we had dialled, then the others of its next hop, which may share its state.
EdgeProxy::Finding EdgeProxy::ListPartyTarget(Transaction& transaction) {
  const DialogSide& party = transaction.far;
  if (party.next_hop == 0) return ListLocatedTarget(transaction);
  const std::optional<size_t> next_hop = context_.snapshot->FindNextHop(party.next_hop);
  if (!next_hop.has_value()) return Finding::kNothing;
  const NextHopConfig& config = context_.snapshot->config.next_hops[*next_hop];
  if (config.zone != Zone::kOutside) return Finding::kNothing;
  transaction.next_hop_hash = party.next_hop;
  BeginNextHop(transaction, *next_hop);
  const std::optional<EndpointKey> key = KeyOfMember(config, party.target);
  const bool is_listed = transaction.has_unlisted;  // When DNS is asked for others, it was tried.
  if (!is_listed && key.has_value() && MayProve(*key, party.party)) AddTarget(transaction, *key);
  return ListNextHop(transaction, *next_hop);
}

// A target that RFC 3263 had led to.
EdgeProxy::Finding EdgeProxy::ListLocatedTarget(Transaction& transaction) {
  const DialogSide& party = transaction.far;
  if (!MayDialOutside(party.target.address)) return Finding::kNothing;
  const EndpointKey key =
      KeyLike(OutboundKey(party.party.domain.view()), party.target.transport, party.target.address);
  const bool names_nothing = key.transport == TransportProtocol::kTls && key.identity.empty();
  if (!names_nothing && MayProve(key, party.party)) AddTarget(transaction, key);
  return Finding::kNothing;
}

EdgeProxy::Finding EdgeProxy::ListPartyNextHop(Transaction& transaction) {
  const SealedParty& party = transaction.far.party;
  if (party.kind != PartyKind::kDomain) return Finding::kNothing;
  const std::vector<NextHopConfig>& next_hops = context_.snapshot->config.next_hops;
  for (size_t i = 0; i < next_hops.size(); ++i) {
    if (next_hops[i].zone != Zone::kOutside) continue;
    const bool is_its = std::ranges::any_of(next_hops[i].targets, [&](const NextHopTarget& target) {
      return MayProve(KeyOf(next_hops[i], target), party);
    });
    if (!is_its || context_.snapshot->next_hop_hashes[i] == transaction.far.next_hop) continue;
    transaction.next_hop_hash = context_.snapshot->next_hop_hashes[i];
    return ListNextHop(transaction, i);
  }
  return Finding::kNothing;
}

EdgeProxy::Finding EdgeProxy::ListPartyDomain(Transaction& transaction) {
  const SealedParty& party = transaction.far.party;
  if (party.kind != PartyKind::kDomain) return Finding::kNothing;
  LocationRequest request;
  request.host = party.domain.view();
  request.secure = true;  // TLS and nothing else.
  request.support = Supported(Zone::kOutside);
  request.support.tls = true;
  request.selector = transaction.selector;
  transaction.next_hop_hash = 0;
  const FailureCause before = transaction.failure;
  const Finding finding = ListNamed(transaction, request, OutboundKey(party.domain.view()));
  if (finding == Finding::kNothing && transaction.target_count > 0) transaction.failure = before;
  return finding;
}

// -- Endpoints ---------------------------------------------------------------------------------

// A target of an OPTIONS of our own: on a connection of its own.
void EdgeProxy::AddProbed(Transaction& transaction, EndpointKey key) {
  if (transaction.target_count == Transaction::kTargetsMax) return;
  key.is_probing = key.kind == EndpointKind::kStream;
  Endpoint* const endpoint = endpoints_.FindOrCreate(key);
  if (endpoint == nullptr) return;
  const Endpoint* const suspect = endpoints_.Find(transaction.suspect);
  if (key.is_probing) {
    endpoint->label = suspect != nullptr
                          ? suspect->label
                          : context_.metrics.NextHopLabel(
                                context_.snapshot->config.next_hops[transaction.next_hop].name);
  }
  transaction.targets[transaction.target_count++] = endpoint->id;
}

void EdgeProxy::AddTarget(Transaction& transaction, const EndpointKey& key) {
  if (transaction.is_probe) return AddProbed(transaction, key);
  // RFC 5923: on the connection that the peer opened; if that is lost, the next one is dialled.
  if (const auto alias = endpoints_.AliasOf(key)) {
    if (key.identity.size() <= PartyDomain::kBytesMax) {
      transaction.alias_domain = PartyDomain(key.identity);
    }
    AddTarget(transaction, *alias);
  }
  if (transaction.target_count == Transaction::kTargetsMax || HasTried(transaction, key)) return;
  Endpoint* const endpoint = endpoints_.FindOrCreate(key);
  if (endpoint == nullptr) {
    transaction.failure = {ReasonCode::kOverload, "too many next hops are in use"};
    return;
  }
  const bool is_named = transaction.lists_next_hop() &&
                        transaction.source != TargetSource::kInsideTarget &&
                        endpoint->pinned != context_.snapshot->version;
  if (is_named && transaction.snapshot == context_.snapshot->version) {
    Claim(*endpoint, transaction.next_hop);
    endpoint->pinned = 0;  // DNS may say something else tomorrow.
  }
  const auto end = transaction.targets.begin() + transaction.target_count;
  if (std::find(transaction.targets.begin(), end, endpoint->id) != end) return;
  transaction.targets[transaction.target_count++] = endpoint->id;
}

// The same server, of an earlier configuration: it has had the request and would take a second one
// for a loop (RFC 3261 §8.2.2.2).
bool EdgeProxy::HasTried(const Transaction& transaction, const EndpointKey& key) const {
  for (uint8_t i = 0; i < transaction.next_target; ++i) {
    const Endpoint* const tried = endpoints_.Find(transaction.targets[i]);
    if (tried == nullptr || tried->key.version == key.version) continue;
    if (tried->key.kind == key.kind && tried->key.transport == key.transport &&
        tried->key.address == key.address && tried->key.identity == key.identity) {
      return true;
    }
  }
  return false;
}

void EdgeProxy::Claim(Endpoint& endpoint, size_t next_hop) {
  endpoint.pinned = context_.snapshot->version;
  endpoint.next_hop = static_cast<uint16_t>(next_hop);
  endpoint.next_hop_hash = context_.snapshot->next_hop_hashes[next_hop];
  endpoint.label =
      context_.metrics.NextHopLabel(context_.snapshot->config.next_hops[next_hop].name);
}

EndpointKey EdgeProxy::KeyAt(Zone zone, TransportProtocol transport,
                             const core::SocketAddress& address) const {
  EndpointKey key;
  key.kind = transport == TransportProtocol::kUdp ? EndpointKind::kDatagram : EndpointKind::kStream;
  key.transport = transport;
  key.zone = zone;
  key.listener = context_.snapshot->ListenerFor(zone, transport, address.family())
                     .value_or(EndpointKey::kNone);
  key.address = address;
  return key;
}

EndpointKey EdgeProxy::KeyLike(const EndpointKey& like, TransportProtocol transport,
                               const core::SocketAddress& address) const {
  EndpointKey key = KeyAt(like.zone, transport, address);
  if (transport != TransportProtocol::kTls) return key;
  key.tls_profile = like.tls_profile;
  key.version = like.version;
  key.identity = like.identity;
  key.dn = like.dn;
  return key;
}

EndpointKey EdgeProxy::KeyOf(const NextHopConfig& next_hop, const NextHopTarget& target) const {
  EndpointKey key = KeyAt(next_hop.zone, target.transport, target.address);
  key.listener = target.listener == NextHopTarget::kNoListener
                     ? EndpointKey::kNone
                     : static_cast<uint16_t>(target.listener);
  if (target.transport == TransportProtocol::kTls) {
    key.tls_profile = static_cast<uint16_t>(next_hop.tls_profile);
    key.version = context_.snapshot->version;
    key.identity = next_hop.identity.empty() ? std::string_view(target.host)
                                             : std::string_view(next_hop.identity);
    key.dn = next_hop.dn;
  }
  return key;
}

// The target that has this address, else one that DNS may have found there. Nothing: it is none of
// that next hop any more.
std::optional<EndpointKey> EdgeProxy::KeyOfMember(const NextHopConfig& next_hop,
                                                  const TransportAddress& member) const {
  for (const NextHopTarget& target : next_hop.targets) {
    if (!target.is_named() && target.address == member.address &&
        SpeaksTo(target, member.transport)) {
      return KeyOf(next_hop, target);
    }
  }
  for (const NextHopTarget& target : next_hop.targets) {
    if (!target.is_named() || !SpeaksTo(target, member.transport)) continue;
    const EndpointKey key = KeyOf(next_hop, target);
    if (IdentityHash(key.identity) == member.identity) {
      return KeyLike(key, member.transport, member.address);
    }
  }
  return std::nullopt;
}

// The endpoints of numeric targets are looked up once per configuration.
void EdgeProxy::PinEndpoints() {
  const std::vector<NextHopConfig>& next_hops = context_.snapshot->config.next_hops;
  pinned_.assign(next_hops.size(), {});
  next_probe_.assign(next_hops.size(), context_.reactor().now());
  absl::flat_hash_map<uint32_t, bool> is_probed;  // By slot: one may be a target of several.
  for (size_t i = 0; i < next_hops.size(); ++i) {
    const bool probes = next_hops[i].health_interval > absl::ZeroDuration();
    for (const NextHopTarget& target : next_hops[i].targets) {
      pinned_[i].push_back({{}, HashOf(target), std::nullopt});
      if (target.is_named()) {
        if (probes) pinned_[i].back().health.emplace(endpoints_.probed());
        continue;
      }
      Endpoint* const endpoint = endpoints_.FindOrCreate(KeyOf(next_hops[i], target));
      if (endpoint == nullptr) continue;
      if (endpoint->pinned != context_.snapshot->version) Claim(*endpoint, i);
      pinned_[i].back().endpoint = endpoint->id;
      is_probed[endpoint->id.slot] |= probes;
    }
  }
  endpoints_.ForEach([this, &is_probed](Endpoint& endpoint) {
    const auto pinned = is_probed.find(endpoint.id.slot);
    if (pinned != is_probed.end()) endpoints_.SetProbed(endpoint, pinned->second);
  });
}

void EdgeProxy::BeginNextHop(Transaction& transaction, size_t next_hop) const {
  if (transaction.next_hop == next_hop && transaction.snapshot == context_.snapshot->version)
    return;
  transaction.next_hop = static_cast<uint16_t>(next_hop);
  transaction.snapshot = context_.snapshot->version;
  transaction.looked_at = 0;
}

EdgeProxy::Finding EdgeProxy::ListNextHop(Transaction& transaction, size_t next_hop) {
  const NextHopConfig& config = context_.snapshot->config.next_hops[next_hop];
  const core::MonotonicTime now = context_.reactor().now();
  BeginNextHop(transaction, next_hop);
  std::array<OrderedTarget, kNextHopTargetsMax> candidates;
  const size_t count = std::min(config.targets.size(), candidates.size());
  for (size_t i = 0; i < count; ++i) {
    const NextHopTarget& target = config.targets[i];
    const TargetHealth* const health = HealthOf(pinned_[next_hop][i]);
    const double factor = health == nullptr ? 1.0 : health->WeightFactor(now);
    candidates[i] = {.priority = target.priority,
                     .is_usable = health == nullptr || health->IsUsable(now),
                     .weight = factor * target.weight,
                     .hash_id = pinned_[next_hop][i].hash};
  }
  const TargetOrder order = OrderTargets(std::span(candidates).first(count), transaction.selector);
  static_assert(kNextHopTargetsMax <= 64);
  transaction.has_unlisted = false;
  for (const uint16_t index : order.span()) {
    const NextHopTarget& target = config.targets[index];
    if ((transaction.looked_at >> index & 1) != 0) continue;
    transaction.looked_at |= uint64_t{1} << index;
    if (!MayProve(KeyOf(config, target), transaction.far.party)) continue;
    if (target.host.empty()) {
      AddTarget(transaction, KeyOf(config, target));
      continue;
    }
    transaction.asked_target = index;
    // What DNS still has to say is waited for only while there is no other target.
    if (ListNamedTarget(transaction, config, target) != Finding::kPending) continue;
    if (!transaction.has_untried()) return Finding::kPending;
    transaction.looked_at &= ~(uint64_t{1} << index);
    transaction.has_unlisted = true;
  }
  if (transaction.has_untried()) return Finding::kFound;
  if (config.targets.empty()) transaction.failure = kNoTarget;
  return Finding::kNothing;
}

EdgeProxy::Finding EdgeProxy::ListNamedTarget(Transaction& transaction,
                                              const NextHopConfig& next_hop,
                                              const NextHopTarget& target) {
  LocationRequest request = RequestFor(next_hop, target);
  request.selector = transaction.selector;
  return ListNamed(transaction, request, KeyOf(next_hop, target));
}

LocationRequest EdgeProxy::RequestFor(const NextHopConfig& next_hop,
                                      const NextHopTarget& target) const {
  LocationRequest request;
  request.host = target.host;
  request.port = target.port;
  request.transport = target.transport;
  request.support = Supported(next_hop.zone);
  if (target.transport == TransportProtocol::kTcp) request.support.tcp = true;  // So it is wanted.
  if (target.transport == TransportProtocol::kTls) request.support.tls = true;
  return request;
}

// In a dialog: where our pair says, and if that is down, to the others of its next hop, which may
// share its state. What the pair says must still be a place inside.
EdgeProxy::Finding EdgeProxy::ListInsideTarget(Transaction& transaction) {
  const DialogSide& side = transaction.far;
  const std::vector<NextHopConfig>& next_hops = context_.snapshot->config.next_hops;
  std::optional<EndpointKey> key;
  std::optional<size_t> home = context_.snapshot->FindNextHop(side.next_hop);
  if (home.has_value() && next_hops[*home].zone == Zone::kInside) {
    key = KeyOfMember(next_hops[*home], side.target);
  }
  for (size_t i = 0; i < next_hops.size() && !key.has_value(); ++i) {
    const auto has_address = [&side](const NextHopTarget& member) {
      return member.address == side.target.address && SpeaksTo(member, side.target.transport);
    };
    if (next_hops[i].zone != Zone::kInside) continue;
    if (std::ranges::none_of(next_hops[i].targets, has_address)) continue;
    key = KeyOfMember(next_hops[i], side.target);
    home = i;
  }
  const bool leads_inside = key.has_value()
                                ? !context_.snapshot->names.IsListeningOn(side.target.address)
                                : context_.snapshot->AdmitsInside(side.target.address);
  if (!leads_inside) {
    transaction.failure = {ReasonCode::kNextHopUnreachable,
                           "the target of this dialog is no place inside any more"};
    return Finding::kNothing;
  }
  if (!key.has_value() && side.target.transport == TransportProtocol::kTls) {
    transaction.failure = {ReasonCode::kNextHopTls, "that TLS next hop is not configured any more"};
    return Finding::kNothing;
  }
  // When DNS is asked for the others, it has been tried already.
  if (!transaction.has_unlisted) {
    AddTarget(transaction,
              key.value_or(KeyAt(Zone::kInside, side.target.transport, side.target.address)));
  }
  if (key.has_value()) {
    const Finding others = ListNextHop(transaction, *home);
    if (others == Finding::kPending) return others;
  }
  return transaction.has_untried() ? Finding::kFound : Finding::kNothing;
}

LocationSupport EdgeProxy::Supported(Zone zone) const {
  LocationSupport supported;
  for (const ListenerConfig& listener : context_.snapshot->config.listeners) {
    if (listener.zone != zone) continue;
    switch (listener.transport) {
      case TransportProtocol::kTls:
        supported.tls = true;
        break;
      case TransportProtocol::kTcp:
        supported.tcp = true;
        break;
      case TransportProtocol::kUdp:
        supported.udp = true;
        break;
    }
    (listener.address.is_ipv6() ? supported.ipv6 : supported.ipv4) = true;
  }
  if (zone == Zone::kInside) supported.tcp = supported.tls = true;  // Dialled without a listener.
  return supported;
}

EdgeProxy::Finding EdgeProxy::ListLocated(Transaction& transaction) {
  if (!ParseStored(transaction)) return Finding::kNothing;
  const Uri uri = NextUri(stored_, transaction.next_is_strict);
  if (!uri.is_sip_or_sips()) {
    transaction.failure = {ReasonCode::kUriScheme, "the URI names no host"};
    return Finding::kNothing;
  }
  transaction.is_secure = transaction.is_secure || uri.scheme == Uri::Scheme::kSips;
  LocationRequest request;
  request.host = uri.host;
  request.port = uri.port;
  request.secure = transaction.is_secure;
  request.support = Supported(Zone::kOutside);
  request.selector = transaction.selector;
  if (const auto transport = FindParam(uri.params, "transport")) {
    request.transport = TransportOf(*transport);
    if (!request.transport.has_value()) {
      transaction.failure = {ReasonCode::kNextHopUnreachable, "its transport is not spoken here"};
      return Finding::kNothing;
    }
  }
  return ListNamed(transaction, request, OutboundKey(LocatedName(uri).view()));
}

EndpointKey EdgeProxy::OutboundKey(std::string_view domain) const {
  EndpointKey key;
  key.zone = Zone::kOutside;
  key.tls_profile = static_cast<uint16_t>(context_.snapshot->config.outbound_tls);
  key.version = context_.snapshot->version;
  key.identity = domain;
  return key;
}

EdgeProxy::Finding EdgeProxy::ListNamed(Transaction& transaction, const LocationRequest& request,
                                        const EndpointKey& like) {
  const LocationOutcome outcome =
      locator_.Locate(request, locations_,
                      {transaction.id.slot, transaction.id.generation, transaction.asked_target});
  switch (outcome.status) {
    case LocationStatus::kPending:
      return Finding::kPending;
    case LocationStatus::kFailed:
      transaction.failure = {ReasonCode::kNextHopUnreachable, TextOf(outcome.failure)};
      return Finding::kNothing;
    case LocationStatus::kReady:
      AddLocations(transaction, locations_.view(), like);
      return transaction.has_untried() ? Finding::kFound : Finding::kNothing;
  }
  UNREACHABLE();
}

// What was asked for, not what DNS said, is what the certificate must prove (RFC 5922 §7.3).
void EdgeProxy::AddLocations(Transaction& transaction, std::span<const Location> locations,
                             const EndpointKey& like) {
  for (const Location& location : locations) {
    // DNS of the outside leads neither inside nor to ourselves. What the operator has named may
    // stand beside us.
    const bool is_to_trunk = location.transport != TransportProtocol::kTls &&
                             context_.snapshot->IsPlainTrunk(location.address);
    const bool may_dial = transaction.lists_next_hop()
                              ? !context_.snapshot->names.IsListeningOn(location.address)
                              : MayDialOutside(location.address) && !is_to_trunk;
    if (like.zone == Zone::kInside) NoteInsideHost(location.address);
    if (like.zone == Zone::kOutside && !may_dial) {
      transaction.failure = {ReasonCode::kNextHopUnreachable,
                             "its address is one of ours or of the inside"};
      continue;
    }
    const EndpointKey key = KeyLike(like, location.transport, location.address);
    if (key.transport == TransportProtocol::kTls && key.identity.empty() && key.dn.empty() &&
        ChecksName(key)) {
      transaction.failure = {ReasonCode::kNextHopIdentity,
                             "an address was asked for, and no certificate can prove that"};
      continue;
    }
    AddTarget(transaction, key);
  }
}

// DNS of the outside must not lead to an inside target before anything has been sent to it.
void EdgeProxy::LearnInsideHosts() {
  if (learning_ > 0 || context_.reactor().now() < learn_at_) return;
  learn_at_ = context_.reactor().now() + kLearnInterval;
  for (const NextHopConfig& next_hop : context_.snapshot->config.next_hops) {
    if (next_hop.zone != Zone::kInside) continue;
    for (const NextHopTarget& target : next_hop.targets) {
      if (!target.is_named()) continue;
      // One that DNS does not know now is asked for again, here and when it is needed.
      const LocationOutcome outcome =
          locator_.Locate(RequestFor(next_hop, target), locations_, kLearning);
      if (outcome.status == LocationStatus::kPending) ++learning_;
      if (outcome.status != LocationStatus::kReady) continue;
      for (const Location& location : locations_.view()) NoteInsideHost(location.address);
    }
  }
}

// What DNS has named for an inside target is inside, too.
void EdgeProxy::NoteInsideHost(const core::SocketAddress& address) {
  if (named_inside_.size() < kNamedInsideMax) named_inside_.insert(address.Unmapped().WithPort(0));
}

bool EdgeProxy::MayDialOutside(const core::SocketAddress& address) const {
  return context_.snapshot->MayDialOutside(address) &&
         !named_inside_.contains(address.Unmapped().WithPort(0));
}

bool EdgeProxy::ChecksName(const EndpointKey& key) const {
  const std::vector<TlsProfileConfig>& profiles = context_.snapshot->config.tls_profiles;
  return key.tls_profile >= profiles.size() || profiles[key.tls_profile].check_target_name;
}

void EdgeProxy::OnLocated(LocationCookie cookie, LocationFailure failure,
                          std::span<const Location> locations) {
  if (cookie == kLearning) {
    --learning_;
    for (const Location& location : locations) NoteInsideHost(location.address);
    return;
  }
  Transaction* const transaction = transactions_.Find({cookie.slot, cookie.generation});
  // Gone, cancelled, or served by another target meanwhile; or it waits for what another is called.
  if (transaction == nullptr || !transaction->awaits_location ||
      cookie.target != transaction->asked_target ||
      transaction->client == ClientState::kTerminated) {
    return;
  }
  transaction->awaits_location = false;
  if (failure != LocationFailure::kNone) {
    // What a target of the party has said tells more.
    const bool has_tried = transaction->source == TargetSource::kParty &&
                           !transaction->lists_next_hop() && transaction->target_count > 0;
    if (!has_tried) transaction->failure = {ReasonCode::kNextHopUnreachable, TextOf(failure)};
  } else if (transaction->lists_next_hop()) {
    if (transaction->snapshot == context_.snapshot->version) {
      const NextHopConfig& config = context_.snapshot->config.next_hops[transaction->next_hop];
      AddLocations(*transaction, locations,
                   KeyOf(config, config.targets[transaction->asked_target]));
    }  // Else it is listed anew.
  } else if (transaction->source == TargetSource::kParty) {
    transaction->party_step = PartyStep::kNothing;
    AddLocations(*transaction, locations, OutboundKey(transaction->far.party.domain.view()));
  } else if (ParseStored(*transaction)) {
    AddLocations(*transaction, locations,
                 OutboundKey(LocatedName(NextUri(stored_, transaction->next_is_strict)).view()));
  }
  if (transaction->lists_next_hop() && !transaction->is_probe) {
    return FindTargets(*transaction);  // The rest.
  }
  if (transaction->has_untried()) return TryNextTarget(*transaction);
  FinishLocally(*transaction, transaction->failure.reason, transaction->failure.text);
}

// The name that DNS was asked for last; empty: none was asked for.
std::string_view EdgeProxy::AskedNameOf(const Transaction& transaction) const {
  if (transaction.lists_next_hop()) {
    const bool has_asked = transaction.snapshot == context_.snapshot->version &&
                           (transaction.looked_at >> transaction.asked_target & 1) != 0;
    if (!has_asked) return {};
    const NextHopConfig& config = context_.snapshot->config.next_hops[transaction.next_hop];
    return config.targets[transaction.asked_target].host;
  }
  if (transaction.source == TargetSource::kParty) {
    const bool has_asked =
        transaction.awaits_location || transaction.party_step == PartyStep::kNothing;
    return has_asked ? transaction.far.party.domain.view() : std::string_view();
  }
  if (transaction.source != TargetSource::kLocate || transaction.request_bytes == 0) return {};
  const Uri uri = NextUri(stored_, transaction.next_is_strict);
  return uri.host_is_ip ? std::string_view() : uri.host;
}

RequestWay EdgeProxy::WayOf(const Transaction& transaction) const {
  const EdgeSnapshot& snapshot = *context_.snapshot;
  const Connection* const connection = connections_.Find(transaction.reply.connection);
  const Endpoint* const endpoint = endpoints_.Find(transaction.endpoint);
  RequestWay way{.zone = transaction.reply.zone,
                 .listener = transaction.reply.listener,
                 .standing = connection == nullptr ? nullptr : connection->standing(),
                 .address = connection == nullptr ? transaction.reply.address : connection->peer(),
                 .next_hop = NextHopNameOf(endpoint, snapshot),
                 .dns_name = AskedNameOf(transaction)};
  if (endpoint != nullptr) way.target = endpoint->key.address;
  if (way.next_hop.empty() && transaction.lists_next_hop()) {
    const auto wanted = snapshot.FindNextHop(transaction.source == TargetSource::kInsideTarget
                                                 ? transaction.far.next_hop
                                                 : transaction.next_hop_hash);
    if (wanted.has_value()) way.next_hop = snapshot.config.next_hops[*wanted].name;
  }
  return way;
}

// -- Trying them -------------------------------------------------------------------------------

void EdgeProxy::TryNextTarget(Transaction& transaction) {
  transaction.retransmit.Cancel();
  transaction.core::ListLink::Unlink();
  if (transaction.is_invite() && transaction.is_sent && !transaction.heard) {
    transaction.has_given_up = true;
  }
  transaction.is_sent = false;
  transaction.attempt = Transaction::kNoAttempt;  // What is heard of earlier ones comes late.
  while (transaction.has_untried()) {
    const uint8_t index = transaction.next_target++;
    Endpoint* const endpoint = endpoints_.Find(transaction.targets[index]);
    if (endpoint == nullptr) continue;  // Forgotten meanwhile.
    if (transaction.is_secure && endpoint->key.transport != TransportProtocol::kTls) {
      transaction.failure = {ReasonCode::kSips, "a sips request leaves over TLS alone"};
      continue;
    }
    if (!IsWorthTrying(transaction, *endpoint)) {
      transaction.failure = endpoint->failure;
      continue;
    }
    transaction.attempt = index;
    transaction.endpoint = endpoint->id;
    transaction.is_sent = false;
    transaction.heard = false;
    if (transaction.is_invite()) transaction.client = ClientState::kCalling;
    if (!transaction.is_invite()) transaction.client = ClientState::kTrying;
    switch (endpoints_.Prepare(*endpoint)) {
      case EndpointPool::Readiness::kReady:
        if (SendAttempt(transaction, *endpoint)) return;
        break;
      case EndpointPool::Readiness::kConnecting:
        // A trial begins with the dial. An ACK is none: nothing answers it.
        if (!transaction.is_ack) endpoint->health->OnRequestSent(context_.reactor().now());
        endpoints_.Await(*endpoint, transaction);
        transaction.deadline.Cancel();  // The connection has a deadline of its own.
        return;
      case EndpointPool::Readiness::kUnavailable:
        transaction.failure = endpoint->failure;
        break;
    }
  }
  // A reload came in between: TLS targets of before are not dialled any more, those of now may be.
  const bool is_outdated = transaction.listed_for != context_.snapshot->version;
  const bool may_list_more =
      (is_outdated || transaction.has_unlisted || HasMoreWays(transaction)) &&
      !transaction.is_probe && transaction.cancel == CancelState::kNone;
  if (may_list_more) {
    if (is_outdated) {  // Everything anew.
      transaction.has_unlisted = false;
      transaction.party_step = PartyStep::kFlow;
    }
    // Drops targets that were never sent to: no response can carry their branch.
    transaction.target_count = transaction.next_target = transaction.sent_targets;
    // No target has the request while DNS is asked (OnCancel, OnDeadline).
    transaction.client = transaction.is_invite() ? ClientState::kCalling : ClientState::kTrying;
    return FindTargets(transaction);
  }
  FinishLocally(transaction, transaction.failure.reason, transaction.failure.text);
}

// One that is known to be down is left to its back-off and its probes: whoever asks hears at once
// that nobody is there, instead of in half a minute. Unless there is no other and nothing to dial:
// a dialog is that target's alone, and while a trial is on its way nobody knows. A flow is as good
// as its connection.
bool EdgeProxy::IsWorthTrying(const Transaction& transaction, const Endpoint& endpoint) const {
  if (transaction.is_probe || endpoint.key.kind == EndpointKind::kFlow) return true;
  if (endpoint.health->IsUsable(context_.reactor().now())) return true;
  const bool must_dial = endpoint.key.kind == EndpointKind::kStream && !endpoint.is_open;
  if (must_dial || endpoints_.HasMoreTargets(transaction)) return false;
  return transaction.is_in_dialog || endpoint.health->state() == HealthState::kHalfOpen;
}

// Puts the same address over TCP in the place of this attempt and the datagram behind it, for the
// next attempt (RFC 3261 §18.1.1: UDP again only if TCP cannot be had). False: no room in the list,
// or TCP is known to fail there.
bool EdgeProxy::PreferStream(Transaction& transaction, const Endpoint& datagram) {
  if (transaction.target_count == Transaction::kTargetsMax) return false;
  EndpointKey key = datagram.key;
  key.kind = EndpointKind::kStream;
  key.transport = TransportProtocol::kTcp;
  Endpoint* const stream = endpoints_.FindOrCreate(key);
  if (stream == nullptr || !stream->health->IsUsable(context_.reactor().now())) return false;
  const auto at = transaction.targets.begin() + transaction.attempt;
  if (std::find(transaction.targets.begin(), at, stream->id) != at) return false;  // It failed.
  std::copy_backward(at, transaction.targets.begin() + transaction.target_count,
                     transaction.targets.begin() + transaction.target_count + 1);
  *at = stream->id;
  ++transaction.target_count;
  transaction.next_target = transaction.attempt;
  return true;
}

// False: it has not left; the next target is due.
bool EdgeProxy::SendAttempt(Transaction& transaction, Endpoint& endpoint) {
  // Where the party of a dialog is proved, its requests leave only towards what proves it.
  const bool is_bound = transaction.far.party.kind != PartyKind::kNone;
  if (is_bound && !IsProvedBy(endpoint, transaction.far.party)) {
    transaction.failure = {ReasonCode::kNextHopIdentity,
                           "the certificate does not prove the party of this dialog"};
    return false;
  }
  if (!transaction.is_ack && !endpoints_.HasRoomFor(endpoint, transaction.peer,
                                                    transaction.request_bytes + kHeadBytesMax)) {
    transaction.failure = kNoRoom;
    return false;
  }
  if (!WriteHead(transaction, endpoint)) {
    transaction.failure = {ReasonCode::kOverload, "no memory for the request"};
    return false;
  }
  if (!endpoint.is_reliable() && transaction.request_bytes > kDatagramRequestBytesMax &&
      PreferStream(transaction, endpoint)) {
    return false;
  }
  transaction.is_reliable = endpoint.is_reliable();
  const bool is_sent = endpoints_.SendRequest(endpoint, transaction, StoredText(transaction));
  if (!is_sent) {
    transaction.failure = endpoint.key.kind == EndpointKind::kFlow && endpoint.is_lost
                              ? endpoint.failure
                              : FailureCause{ReasonCode::kNextHopUnreachable,
                                             "the next hop takes no more requests now"};
    return false;
  }
  if (!transaction.is_ack) endpoint.health->OnRequestSent(context_.reactor().now());
  transaction.is_sent = true;
  transaction.sent_targets = static_cast<uint8_t>(transaction.attempt + 1);
  transaction.sent_at = context_.reactor().now();
  if (!transaction.is_probe) {
    context_.Count(context_.metrics.upstream_requests.Slot(endpoint.label));
  }
  context_.Count(context_.metrics.sip_requests.Slot(MetricDirection::kOut, transaction.method));
  if (transaction.is_ack) {
    LogOutcome(transaction, 0);
    EraseTransaction(transaction);
    return true;
  }
  endpoints_.Await(endpoint, transaction);
  if (!transaction.is_reliable) {
    transaction.retransmit_interval = kT1;
    context_.reactor().timers().Schedule(transaction.retransmit, context_.reactor().now() + kT1);
  }
  const absl::Duration silence_max = context_.snapshot->config.timeouts.target;
  ScheduleDeadline(transaction, transaction.is_probe ? transaction.probe_timeout
                                : endpoints_.HasMoreTargets(transaction)
                                    ? std::min(silence_max, kTimerB)
                                    : kTimerB);
  return true;
}

void EdgeProxy::OnEndpointOpen(Endpoint& endpoint, Transaction& transaction) {
  if (transaction.awaits_reply_path) {
    transaction.awaits_reply_path = false;
    static_cast<void>(endpoints_.Send(
        endpoint,
        {reinterpret_cast<const char*>(transaction.response.data()), transaction.response_bytes}));
    return SettleTransaction(transaction);
  }
  if (transaction.is_sent) return endpoints_.Await(endpoint, transaction);
  if (!SendAttempt(transaction, endpoint)) TryNextTarget(transaction);
}

void EdgeProxy::OnEndpointLost(Transaction& transaction, const FailureCause& cause) {
  if (transaction.awaits_reply_path) {
    transaction.awaits_reply_path = false;
    DropReply(
        ResponseDropReason::kFlowGone, transaction,
        {reinterpret_cast<const char*>(transaction.response.data()), transaction.response_bytes});
    return SettleTransaction(transaction);
  }
  transaction.failure = cause;
  if (transaction.is_probe) return FinishProbe(transaction, ProbeAnswer::kSilent);
  // RFC 3261 §16.9: as if it had answered 503, so the next one gets it. Not once it is cancelled.
  if (transaction.cancel == CancelState::kNone && endpoints_.HasMoreTargets(transaction)) {
    return TryNextTarget(transaction);
  }
  if (HasMoreWays(transaction)) return TryNextTarget(transaction);
  if (cause.may_still_answer && transaction.is_sent) {
    // In its list, or the endpoint would be forgotten, and the answer with it.
    Endpoint* const endpoint = endpoints_.Find(transaction.endpoint);
    if (endpoint != nullptr) endpoints_.Await(*endpoint, transaction);
    if (!std::exchange(transaction.is_left, true)) ScheduleDeadline(transaction, kT1);
    return;
  }
  ApplyClientStep(transaction,
                  transaction.is_invite()
                      ? AdvanceInviteClient(transaction.client, ClientEvent::kTransportError)
                      : AdvanceNonInviteClient(transaction.client, ClientEvent::kTransportError));
}

// As SendAttempt does where it finds no room itself.
void EdgeProxy::OnFlowFull(const FlowMail& mail) {
  Transaction* const transaction = transactions_.Find(mail.transaction);
  if (transaction == nullptr || !transaction->is_sent || transaction->heard ||
      transaction->attempt != mail.attempt) {
    return;
  }
  transaction->is_sent = false;
  transaction->core::ListLink::Unlink();
  OnEndpointLost(*transaction, kNoRoom);
}

// Another way to the party of a dialog is left, and the last one was lost before any answer. Of
// another shard's flow that is learnt only after the request has been mailed there.
bool EdgeProxy::HasMoreWays(const Transaction& transaction) const {
  return transaction.source == TargetSource::kParty &&
         transaction.party_step != PartyStep::kNothing && !transaction.heard &&
         transaction.cancel == CancelState::kNone;
}

// -- What we write in front --------------------------------------------------------------------

// Replaces our lines of an earlier attempt.
bool EdgeProxy::WriteHead(Transaction& transaction, Endpoint& endpoint) {
  std::array<char, kHeadBytesMax> head;
  const size_t size = WriteHeadLines(transaction, endpoint, head);
  if (size == 0) return false;
  const size_t rest_at = transaction.start_line_bytes + transaction.head_bytes;
  const size_t rest_bytes = transaction.request_bytes - rest_at;
  const size_t total = transaction.start_line_bytes + size + rest_bytes;
  core::BufferLease moved;
  if (total > transaction.request.capacity()) {
    if (!MayKeep(transaction, total, ShareUse::kInDialog)) return false;
    moved = context_.reactor().buffers().Lease(static_cast<uint32_t>(total));
    if (!moved) return false;
    std::memcpy(moved.data(), transaction.request.data(), transaction.start_line_bytes);
  }
  std::byte* const to = (moved ? moved : transaction.request).data();
  std::memmove(to + transaction.start_line_bytes + size, transaction.request.data() + rest_at,
               rest_bytes);
  std::memcpy(to + transaction.start_line_bytes, head.data(), size);
  if (moved) transaction.request = std::move(moved);
  NoteLeases(transaction);
  transaction.request_bytes = static_cast<uint32_t>(total);
  transaction.head_bytes = static_cast<uint32_t>(size);
  transaction.head_endpoint = endpoint.id;
  transaction.head_party = endpoint.party.id;
  return true;
}

// Via, and for what forms a dialog or a registration the lines by which its requests come back.
size_t EdgeProxy::WriteHeadLines(const Transaction& transaction, Endpoint& endpoint,
                                 std::span<char> out) {
  const Egress& egress = context_.snapshot->EgressOf(endpoint.key.listener);
  const auto transport = static_cast<size_t>(endpoint.key.transport);
  std::array<char, BranchSigner::kTextBytes> branch;
  context_.snapshot->branches.Write({.shard = static_cast<uint8_t>(context_.shard.index()),
                                     .slot = transaction.id.slot,
                                     .generation = transaction.id.generation,
                                     .attempt = transaction.attempt,
                                     .origin = transaction.reply.zone,
                                     .loop_hash = transaction.loop_hash},
                                    branch.data());
  size_t used = 0;
  for (const std::string_view part :
       {std::string_view(egress.via_begin[transport]),
        std::string_view(branch.data(), branch.size()), ViaEnd(endpoint, egress)}) {
    if (part.size() > out.size() - used) return 0;
    used += part.copy(out.data() + used, part.size());
  }
  if (!transaction.records_route && !transaction.adds_path) return used;
  const size_t lines =
      transaction.adds_path
          ? WritePathLine(transaction, UriOf(endpoint.key.listener, transaction.is_secure),
                          out.subspan(used))
          : WriteRouteLines(transaction, endpoint, out.subspan(used));
  return lines == 0 ? 0 : used + lines;
}

// The pair (dialog_pair.h): the egress side on top (RFC 5658 §3.2). Towards outside with what
// excuses the callee's From, where its connection has proved a party.
size_t EdgeProxy::WriteRouteLines(const Transaction& transaction, Endpoint& endpoint,
                                  std::span<char> out) {
  RecordRouteUri towards = UriOf(endpoint.key.listener, transaction.is_secure);
  RecordRouteUri back = UriOf(transaction.reply.listener, transaction.is_secure);
  DialogPair pair{transaction.near, FarSideOf(transaction, endpoint)};
  pair.caller.secure = pair.caller.zone == Zone::kInside && transaction.is_secure;
  if (pair.callee.zone == Zone::kOutside) pair.callee.party = PartyAt(transaction, endpoint);
  PairTexts texts;
  context_.snapshot->pairs.Write(pair, transaction.dialog, back, towards, texts);
  back.user = texts.caller();
  if (texts.callee_bytes == 0) return WriteRecordRoute(back, out);
  towards.user = texts.callee();
  std::array<char, DialogTokenSigner::kTextBytes> token;
  const bool is_excusing = transaction.grants_excuse && pair.callee.zone == Zone::kOutside &&
                           pair.callee.party.kind != PartyKind::kNone &&
                           context_.snapshot->dialog_tokens.Write(
                               transaction.excuse, texts.mac, context_.WallSeconds(), token.data());
  if (is_excusing) towards.dialog_token = {token.data(), token.size()};
  return WriteRecordRoutes(towards, back, out);
}

size_t EdgeProxy::WritePathLine(const Transaction& transaction, RecordRouteUri uri,
                                std::span<char> out) const {
  std::array<char, PathTokenSigner::kTextBytesMax> token;
  const size_t size = context_.snapshot->path_tokens.Write(
      {transaction.near.flow, transaction.near.party}, token.data());
  uri.user = {token.data(), size};
  uri.ob = transaction.is_outbound;
  return WritePath(uri, out);
}

RecordRouteUri EdgeProxy::UriOf(size_t listener, bool is_secure) const {
  const Egress& egress = context_.snapshot->EgressOf(listener);
  RecordRouteUri uri;
  uri.host = egress.host;
  uri.port = egress.port;
  uri.transport = egress.transport;
  uri.sips = is_secure && egress.transport == TransportProtocol::kTls;
  return uri;
}

DialogSide EdgeProxy::FarSideOf(const Transaction& transaction, const Endpoint& endpoint) const {
  DialogSide far;
  far.zone = endpoint.key.zone;
  if (endpoint.key.kind == EndpointKind::kFlow) {
    far.flow = {context_.snapshot->process, endpoint.key.shard, endpoint.key.listener,
                endpoint.key.flow};
    return far;
  }
  far.target = WhereOf(endpoint);
  far.secure = far.zone == Zone::kInside && transaction.is_secure;
  if (transaction.lists_next_hop()) {
    far.next_hop = transaction.next_hop_hash;
  } else if (far.zone == Zone::kInside) {
    far.next_hop = endpoint.next_hop_hash;
  }
  return far;
}

// What the endpoint has proved, also when its connection is gone: an answer may come on another.
SealedParty EdgeProxy::PartyAt(const Transaction& transaction, Endpoint& endpoint) {
  if (transaction.far.party.kind != PartyKind::kNone) return transaction.far.party;
  if (endpoint.key.kind == EndpointKind::kFlow) NoteAliasParty(transaction, endpoint);
  return context_.snapshot->pairs.parties().Seal(endpoint.party);
}

// A connection that its peer opened and that serves as one that we would have dialled (RFC 5923).
void EdgeProxy::NoteAliasParty(const Transaction& transaction, Endpoint& endpoint) {
  const Connection* const connection = connections_.Find(endpoint.key.flow);
  if (connection == nullptr || connection->standing() == nullptr) return;
  endpoint.party = PartyOfServer(*connection->standing(), transaction.alias_domain.view());
}

}  // namespace sallyport::sip
