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

// RFC 5923 §8: whom we dial outside may send its own requests on the connection. They are judged by
// the certificate that it has shown.
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
    case TargetSource::kFlow: {
      const FlowToken& flow = transaction.flow;
      Endpoint* const endpoint =
          endpoints_.FindOrCreate(endpoints_.FlowKey(flow.shard, flow.connection, flow.listener));
      const bool is_usable =
          endpoint != nullptr && endpoints_.Prepare(*endpoint) == EndpointPool::Readiness::kReady;
      // Of another shard's flow we know the peer only by the token, which that shard's proxy wrote.
      if (is_usable && flow.shard != context_.shard.index()) endpoint->peer = flow.peer_key;
      if (is_usable && endpoint->peer == flow.peer_key) {
        transaction.targets[transaction.target_count++] = endpoint->id;
        return Finding::kFound;
      }
      if (endpoint == nullptr) {
        transaction.failure = {ReasonCode::kOverload, "too many flows are in use"};
        return Finding::kNothing;
      }
      if (flow.falls_back) {  // A dialog without RFC 5626: route on.
        transaction.source = TargetSource::kLocate;
        return ListLocated(transaction);
      }
      transaction.failure = {ReasonCode::kFlowGone, "the flow is gone"};
      return Finding::kNothing;
    }
    case TargetSource::kLocate:
      return ListLocated(transaction);
  }
  UNREACHABLE();
}

void EdgeProxy::AddTarget(Transaction& transaction, const EndpointKey& key) {
  // RFC 5923: on the connection that the peer opened; if that is lost, the next one is dialled.
  if (const auto alias = endpoints_.AliasOf(key)) AddTarget(transaction, *alias);
  if (transaction.target_count == Transaction::kTargetsMax || HasTried(transaction, key)) return;
  Endpoint* const endpoint = endpoints_.FindOrCreate(key);
  if (endpoint == nullptr) {
    transaction.failure = {ReasonCode::kOverload, "too many next hops are in use"};
    return;
  }
  const bool is_named = transaction.source == TargetSource::kNextHop &&
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

EdgeProxy::Finding EdgeProxy::ListNextHop(Transaction& transaction, size_t next_hop) {
  const NextHopConfig& config = context_.snapshot->config.next_hops[next_hop];
  const core::MonotonicTime now = context_.reactor().now();
  if (transaction.next_hop != next_hop || transaction.snapshot != context_.snapshot->version) {
    transaction.next_hop = static_cast<uint16_t>(next_hop);
    transaction.snapshot = context_.snapshot->version;
    transaction.looked_at = 0;
  }
  if (const TransportAddress member = std::exchange(transaction.member, {}); member.is_known()) {
    const std::optional<EndpointKey> key = KeyOfMember(config, member);
    if (key.has_value()) AddTarget(transaction, *key);
  }
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
    if (target.host.empty()) {
      AddTarget(transaction, KeyOf(config, target));
      continue;
    }
    transaction.asked_target = index;
    // What DNS still has to say is waited for only while there is nobody else.
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
  LocationRequest request;
  request.host = target.host;
  request.port = target.port;
  request.transport = target.transport;
  request.support = Supported(next_hop.zone);
  if (target.transport == TransportProtocol::kTcp) request.support.tcp = true;  // So it is wanted.
  if (target.transport == TransportProtocol::kTls) request.support.tls = true;
  request.selector = transaction.selector;
  return ListNamed(transaction, request, KeyOf(next_hop, target));
}

// In a dialog: where our Record-Route says, and if that is down, to the others of its next hop,
// which may share its state.
EdgeProxy::Finding EdgeProxy::ListInsideTarget(Transaction& transaction) {
  const InsideTarget& target = transaction.inside_target;
  const std::vector<NextHopConfig>& next_hops = context_.snapshot->config.next_hops;
  std::optional<EndpointKey> key;
  std::optional<size_t> home = context_.snapshot->FindNextHop(target.next_hop);
  if (home.has_value() && next_hops[*home].zone == Zone::kInside) {
    key = KeyOfMember(next_hops[*home], target.where());
  }
  for (size_t i = 0; i < next_hops.size() && !key.has_value(); ++i) {
    const auto has_address = [&target](const NextHopTarget& member) {
      return member.address == target.address && SpeaksTo(member, target.transport);
    };
    if (next_hops[i].zone != Zone::kInside) continue;
    if (std::ranges::none_of(next_hops[i].targets, has_address)) continue;
    key = KeyOfMember(next_hops[i], target.where());
    home = i;
  }
  if (!key.has_value() && target.transport == TransportProtocol::kTls) {
    transaction.failure = {ReasonCode::kNextHopTls, "that TLS next hop is not configured any more"};
    return Finding::kNothing;
  }
  // When DNS is asked for the others, it has been tried already.
  if (!transaction.has_unlisted) {
    AddTarget(transaction, key.value_or(KeyAt(Zone::kInside, target.transport, target.address)));
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
  return ListNamed(transaction, request, OutboundKey(LocatedName(uri, PeerOf(transaction))));
}

// Who must be found at an address that proves nothing: whom our own Record-Route names; else in a
// dialog (a gone flow, say) the domain of the remote party, whom this side means by To.
std::string_view EdgeProxy::PeerOf(const Transaction& transaction) const {
  if (!transaction.identity().empty()) return transaction.identity();
  const NameAddr& to = stored_.to();
  return to.tag.empty() || to.uri.host_is_ip ? std::string_view() : to.uri.host;
}

EndpointKey EdgeProxy::OutboundKey(const LocatedName& name) const {
  EndpointKey key;
  key.zone = Zone::kOutside;
  key.tls_profile = static_cast<uint16_t>(context_.snapshot->config.outbound_tls);
  key.version = context_.snapshot->version;
  key.identity = name.view();
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

bool EdgeProxy::ChecksName(const EndpointKey& key) const {
  const std::vector<TlsProfileConfig>& profiles = context_.snapshot->config.tls_profiles;
  return key.tls_profile >= profiles.size() || profiles[key.tls_profile].check_target_name;
}

void EdgeProxy::OnLocated(LocationCookie cookie, LocationFailure failure,
                          std::span<const Location> locations) {
  Transaction* const transaction = transactions_.Find({cookie.slot, cookie.generation});
  // Gone, cancelled, or served by another target meanwhile; or it waits for what another is called.
  if (transaction == nullptr || !transaction->awaits_location ||
      cookie.target != transaction->asked_target ||
      transaction->client == ClientState::kTerminated) {
    return;
  }
  transaction->awaits_location = false;
  if (failure != LocationFailure::kNone) {
    transaction->failure = {ReasonCode::kNextHopUnreachable, TextOf(failure)};
  } else if (transaction->source == TargetSource::kLocate) {
    if (ParseStored(*transaction)) {
      AddLocations(*transaction, locations,
                   OutboundKey(LocatedName(NextUri(stored_, transaction->next_is_strict),
                                           PeerOf(*transaction))));
    }
  } else if (transaction->snapshot == context_.snapshot->version) {
    const NextHopConfig& config = context_.snapshot->config.next_hops[transaction->next_hop];
    AddLocations(*transaction, locations, KeyOf(config, config.targets[transaction->asked_target]));
  }  // Else it is listed anew.
  if (transaction->source != TargetSource::kLocate && !transaction->is_probe) {
    return FindTargets(*transaction);  // The rest.
  }
  if (transaction->has_untried()) return TryNextTarget(*transaction);
  FinishLocally(*transaction, transaction->failure.reason, transaction->failure.text);
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
  const bool may_list_more = (is_outdated || transaction.has_unlisted) && !transaction.is_probe &&
                             transaction.cancel == CancelState::kNone;
  if (may_list_more) {
    if (is_outdated) transaction.has_unlisted = false;  // Everything anew.
    // Whom nothing was sent to makes room; its branch has never been seen.
    transaction.target_count = transaction.next_target = transaction.sent_targets;
    // Nobody has the request while DNS is asked (OnCancel, OnDeadline).
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
  if (!WriteHead(transaction, endpoint)) {
    transaction.failure = {ReasonCode::kOverload, "no memory for the request"};
    return false;
  }
  if (!endpoint.is_reliable() && transaction.request_bytes > kDatagramRequestBytesMax &&
      PreferStream(transaction, endpoint)) {
    return false;
  }
  transaction.is_reliable = endpoint.is_reliable();
  const bool is_sent = endpoints_.Send(endpoint, StoredText(transaction));
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
    DropResponse(ResponseDropReason::kFlowGone);
    return SettleTransaction(transaction);
  }
  transaction.failure = cause;
  if (transaction.is_probe) return FinishProbe(transaction, false);
  // RFC 3261 §16.9: as if it had answered 503, so the next one gets it. Not once it is cancelled.
  if (transaction.cancel == CancelState::kNone && endpoints_.HasMoreTargets(transaction)) {
    return TryNextTarget(transaction);
  }
  if (FallsBack(transaction)) return FindTargets(transaction);
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

// A dialog without RFC 5626 whose flow is gone: route on. Of another shard's flow we learn that
// only after the request has been mailed there.
bool EdgeProxy::FallsBack(Transaction& transaction) {
  if (transaction.source != TargetSource::kFlow || !transaction.flow.falls_back ||
      transaction.heard || transaction.cancel != CancelState::kNone) {
    return false;
  }
  transaction.source = TargetSource::kLocate;
  transaction.is_sent = false;
  return true;
}

// -- What we write in front --------------------------------------------------------------------

// Replaces our lines of an earlier attempt.
bool EdgeProxy::WriteHead(Transaction& transaction, const Endpoint& endpoint) {
  std::array<char, kHeadBytesMax> head;
  const size_t size = WriteHeadLines(transaction, endpoint, head);
  if (size == 0) return false;
  const size_t rest_at = transaction.start_line_bytes + transaction.head_bytes;
  const size_t rest_bytes = transaction.request_bytes - rest_at;
  const size_t total = transaction.start_line_bytes + size + rest_bytes;
  core::BufferLease moved;
  if (total > transaction.request.capacity()) {
    if (total > core::BufferPool::kBlockBytesMax) return false;
    moved = context_.reactor().buffers().Lease(static_cast<uint32_t>(total));
    if (!moved) return false;
    std::memcpy(moved.data(), transaction.request.data(), transaction.start_line_bytes);
  }
  std::byte* const to = (moved ? moved : transaction.request).data();
  std::memmove(to + transaction.start_line_bytes + size, transaction.request.data() + rest_at,
               rest_bytes);
  std::memcpy(to + transaction.start_line_bytes, head.data(), size);
  if (moved) transaction.request = std::move(moved);
  transaction.request_bytes = static_cast<uint32_t>(total);
  transaction.head_bytes = static_cast<uint32_t>(size);
  return true;
}

// Via, and for what forms a dialog or a registration the URIs by which its requests come back:
//
//   facing outside  the inside target, and what excuses its callee's From (route and dialog token)
//   facing inside   the peer's flow, or who the peer was (flow or hop token)
size_t EdgeProxy::WriteHeadLines(Transaction& transaction, const Endpoint& endpoint,
                                 std::span<char> out) {
  const Egress& egress = context_.snapshot->EgressOf(endpoint.key.listener);
  const auto transport = static_cast<size_t>(endpoint.key.transport);
  std::array<char, BranchSigner::kTextBytes> branch;
  signer_.Write({static_cast<uint8_t>(context_.shard.index()), transaction.id.slot,
                 transaction.id.generation, transaction.attempt, transaction.loop_hash},
                branch.data());
  size_t used = 0;
  for (const std::string_view part :
       {std::string_view(egress.via_begin[transport]),
        std::string_view(branch.data(), branch.size()), ViaEnd(endpoint, egress)}) {
    if (part.size() > out.size() - used) return 0;
    used += part.copy(out.data() + used, part.size());
  }
  if (!transaction.records_route && !transaction.adds_path) return used;
  const size_t routes = WriteRouteLines(transaction, endpoint, out.subspan(used));
  return routes == 0 ? 0 : used + routes;
}

size_t EdgeProxy::WriteRouteLines(Transaction& transaction, const Endpoint& endpoint,
                                  std::span<char> out) {
  RouteSide towards = SideOf(endpoint.key.listener);
  RouteSide back = SideOf(transaction.reply.listener);
  towards.uri.sips = transaction.is_secure && towards.uri.transport == TransportProtocol::kTls;
  back.uri.sips = transaction.is_secure && back.uri.transport == TransportProtocol::kTls;
  const Zone to = endpoint.key.zone;
  const Zone from = transaction.reply.zone;
  if (transaction.adds_path) {
    NameFlow(transaction, false, towards);
    towards.uri.ob = transaction.is_outbound;
    return WritePath(towards.uri, out);
  }
  if (to == Zone::kOutside) {
    NameInsideTarget(transaction.inside_target, towards);
    if (from == Zone::kInside) NameDialog(transaction, endpoint, towards);
  } else if (from == Zone::kOutside) {
    NameFlow(transaction, !transaction.is_outbound, towards);
  }
  if (from == Zone::kOutside) {
    NameInsideTarget(
        {.transport = endpoint.key.transport,
         .address = endpoint.key.address,
         .secure = transaction.is_secure,
         .next_hop = transaction.source == TargetSource::kNextHop ? transaction.next_hop_hash
                                                                  : endpoint.next_hop_hash,
         .identity = IdentityHash(endpoint.key.identity)},
        back);
  } else if (to == Zone::kOutside) {
    NamePeer(transaction, endpoint, back);
  }
  if (transaction.reply.listener == endpoint.key.listener) return WriteRecordRoute(back.uri, out);
  return WriteRecordRoutes(towards.uri, back.uri, out);
}

EdgeProxy::RouteSide EdgeProxy::SideOf(size_t listener) const {
  const Egress& egress = context_.snapshot->EgressOf(listener);
  RouteSide side;
  side.uri.host = egress.host;
  side.uri.port = egress.port;
  side.uri.transport = egress.transport;
  return side;
}

void EdgeProxy::NameInsideTarget(const InsideTarget& target, RouteSide& side) const {
  if (target.address.family() == core::AddressFamily::kNone) return;
  side.uri.user = {side.token.data(),
                   context_.snapshot->route_tokens.Write(target, side.token.data())};
}

// The connection that the request came on.
void EdgeProxy::NameFlow(const Transaction& transaction, bool falls_back, RouteSide& side) const {
  if (transaction.reply.is_datagram()) return;
  context_.snapshot->flow_tokens.Write(
      {.shard = static_cast<uint8_t>(context_.shard.index()),
       .connection = transaction.reply.connection,
       .listener = static_cast<uint8_t>(transaction.reply.listener),
       .peer_key = transaction.peer,
       .falls_back = falls_back},
      side.token.data());
  side.uri.user = {side.token.data(), FlowTokenSigner::kTextBytes};
}

// Whom the request goes to: the flow, or who proved what where we dialled.
void EdgeProxy::NamePeer(const Transaction& transaction, const Endpoint& endpoint,
                         RouteSide& side) const {
  if (endpoint.key.kind == EndpointKind::kFlow) {
    context_.snapshot->flow_tokens.Write({.shard = endpoint.key.shard,
                                          .connection = endpoint.key.flow,
                                          .listener = static_cast<uint8_t>(endpoint.key.listener),
                                          .peer_key = endpoint.peer,
                                          .falls_back = !transaction.flow_is_only_way},
                                         side.token.data());
    side.uri.user = {side.token.data(), FlowTokenSigner::kTextBytes};
    return;
  }
  const uint32_t next_hop =
      transaction.source == TargetSource::kNextHop ? transaction.next_hop_hash : 0;
  if (next_hop == 0 && endpoint.identity.empty()) return;
  side.uri.user = {side.token.data(),
                   context_.snapshot->hop_tokens.Write(next_hop, WhereOf(endpoint),
                                                       endpoint.identity, side.token.data())};
}

// Architecture §4. Only where the connection has proved somebody: then that is who may use it.
void EdgeProxy::NameDialog(const Transaction& transaction, const Endpoint& endpoint,
                           RouteSide& side) {
  if (endpoint.peer <= kAnonymousPeer || endpoint.key.transport != TransportProtocol::kTls) return;
  if (!ParseStored(transaction)) return;
  const PeerKeyText peer(endpoint.peer);
  const bool proves_name = !endpoint.identity.empty() && ChecksName(endpoint.key);
  const DialogClaim claim{
      .call_id = stored_.call_id(),
      .local_tag = stored_.from().tag,
      .remote = &stored_.to().uri,
      .identity = proves_name ? std::string_view(endpoint.identity) : peer.view()};
  const int64_t now = absl::ToUnixSeconds(context_.reactor().io().WallNow());
  const size_t size = context_.snapshot->dialog_tokens.Write(claim, now, side.dialog);
  side.uri.dialog_token = {side.dialog.data(), size};
}

}  // namespace sallyport::sip
