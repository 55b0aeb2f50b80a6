#include "sip/proxy/endpoint_pool.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/hash/hash.h"
#include "core/check.h"
#include "sip/policy/server_check.h"
#include "sip/proxy/mail_kinds.h"
#include "sip/proxy/peer_standing.h"

namespace sallyport::sip {
namespace {

// How long an endpoint that is not used is remembered, with what is known of its health.
constexpr absl::Duration kRememberIdle = absl::Minutes(2);
constexpr uint32_t kSweepSlots = 64;

constexpr FailureCause kLost{ReasonCode::kNextHopUnreachable,
                             "the connection to the next hop was lost"};
constexpr FailureCause kLeft{ReasonCode::kNextHopUnreachable,
                             "the next hop closed the connection without an answer", true};
constexpr FailureCause kStopped{ReasonCode::kOverload, "the edge stops"};
constexpr FailureCause kFlowGone{ReasonCode::kFlowGone, "the flow is gone"};

uint64_t HashOf(const EndpointKey& key) {
  return absl::HashOf(key.kind, key.transport, key.zone, key.listener, key.address, key.tls_profile,
                      key.version, key.identity, key.dn, key.shard, key.flow.slot,
                      key.flow.generation, key.is_probing);
}

// A session is continued only where everything is asked of the server that was asked before.
tls::Sha256Digest ResumptionKey(const Endpoint& endpoint) {
  std::string text = endpoint.key.address.ToString();
  for (const std::string_view part : {endpoint.key.identity, endpoint.key.dn}) {
    text.append("|").append(std::to_string(part.size())).append(":").append(part);
  }
  text.append("|").append(std::to_string(endpoint.key.tls_profile));
  text.append("|").append(std::to_string(endpoint.key.version));
  return tls::Sha256(std::as_bytes(std::span(text)));
}

// Also a connection that went away in the handshake.
bool HasFailedTls(const Connection& connection) { return !connection.tls_failure_text().empty(); }

ConnectResult ResultOf(const Connection& connection) {
  if (HasFailedTls(connection)) return ConnectResult::kTls;
  return connection.connect_error() == ETIMEDOUT ? ConnectResult::kTimeout
                                                 : ConnectResult::kRefused;
}

FailureCause CauseOf(const Connection& connection) {
  if (HasFailedTls(connection)) {
    return {ReasonCode::kNextHopTls, connection.tls_failure_text()};
  }
  switch (connection.connect_error()) {
    case ECONNREFUSED:
      return {ReasonCode::kNextHopUnreachable, "the next hop refuses connections"};
    case ETIMEDOUT:
      return {ReasonCode::kNextHopUnreachable, "the next hop does not answer in time"};
    case EHOSTUNREACH:
    case ENETUNREACH:
      return {ReasonCode::kNextHopUnreachable, "there is no way to the next hop"};
    default:
      return {ReasonCode::kNextHopUnreachable, "the next hop cannot be reached"};
  }
}

}  // namespace

std::string_view NextHopNameOf(const Endpoint* endpoint, const EdgeSnapshot& snapshot) {
  const std::vector<NextHopConfig>& next_hops = snapshot.config.next_hops;
  const bool is_claimed = endpoint != nullptr && endpoint->pinned == snapshot.version &&
                          endpoint->next_hop < next_hops.size();
  return is_claimed ? std::string_view(next_hops[endpoint->next_hop].name) : std::string_view();
}

void LogHealth(const ShardContext& context, HealthChange change, std::string_view next_hop,
               std::string_view target, TransportProtocol transport) {
  const bool came_up = change == HealthChange::kCameUp;
  context.log.Write(came_up ? core::LogLevel::kInfo : core::LogLevel::kWarning, "next-hop-health",
                    came_up                            ? "the target takes requests again"
                    : change == HealthChange::kHeldOff ? "the target asked to be left alone"
                                                       : "the target does not answer",
                    {{"state", came_up ? "up" : "down"},
                     {"next_hop", next_hop},
                     {"target", target},
                     {"transport", TransportName(transport)}});
}

EndpointPool::EndpointPool(ShardContext& context, ConnectionTable& connections,
                           EndpointHandler& handler, const EndpointPoolOptions& options)
    : context_(context),
      connections_(connections),
      handler_(handler),
      endpoints_(options.endpoints_max),
      aliases_max_(options.endpoints_max),
      connections_max_(options.connections_max) {
  index_.reserve(options.endpoints_max);
  aliases_.reserve(options.endpoints_max);
  by_connection_.reserve(2 * options.connections_max);
}

EndpointPool::~EndpointPool() = default;

void EndpointPool::AddSocket(size_t listener, core::DatagramSocket& socket) {
  if (sockets_.size() <= listener) sockets_.resize(listener + 1, nullptr);
  sockets_[listener] = &socket;
}

core::DatagramSocket* EndpointPool::socket(size_t listener) const {
  return listener < sockets_.size() ? sockets_[listener] : nullptr;
}

void EndpointPool::OnNewSnapshot() {
  aliases_.clear();  // Peers that want theirs say so in every request.
  endpoints_.ForEach([this](EndpointId, Endpoint& endpoint) { CloseIfOutdated(endpoint); });
}

bool EndpointPool::IsOutdated(const Endpoint& endpoint) const {
  const bool is_left =
      endpoint.key.kind == EndpointKind::kStream && endpoint.key.flow != ConnectionId();
  if (is_left) return true;
  return endpoint.key.version != 0 && endpoint.key.version != context_.snapshot->version;
}

// What is still in use serves to the end; Sweep comes back for it.
void EndpointPool::CloseIfOutdated(Endpoint& endpoint) {
  Connection* const connection = connections_.Find(endpoint.connection);
  if (connection == nullptr || !IsOutdated(endpoint) || IsInUse(*connection)) return;
  connection->Close(ConnectionCloseReason::kPolicy);
}

bool EndpointPool::IsInUse(const Connection& connection) {
  if (connection.transactions > 0 || connection.is_deferred()) return true;
  const Endpoint* const dialled = EndpointOf(connection);
  if (dialled != nullptr && !dialled->waiting.empty()) return true;
  if (connection.used_as_flow()) {
    const auto flow = index_.find(HashOf(FlowKey(static_cast<uint8_t>(context_.shard.index()),
                                                 connection.id(), connection.flow_listener())));
    if (flow != index_.end() && !endpoints_.Find(flow->second)->waiting.empty()) return true;
  }
  // Another shard may await an answer on it. How long, only that shard knows: a while.
  constexpr absl::Duration kQuiet = absl::Seconds(5);
  return connection.used_by_other_shards() &&
         context_.reactor().now() - connection.last_activity() < kQuiet;
}

// -- Finding -----------------------------------------------------------------------------------

Endpoint* EndpointPool::FindOrCreate(const EndpointKey& key) {
  const uint64_t hash = HashOf(key);
  const auto found = index_.find(hash);
  if (found != index_.end()) {
    Endpoint* const endpoint = endpoints_.Find(found->second);
    CHECK(endpoint != nullptr);
    if (endpoint->key != key) return nullptr;  // 64 bits collided: once in a universe's life.
    endpoint->used = context_.reactor().now();
    return endpoint;
  }
  if (endpoints_.full()) {
    Endpoint* oldest = nullptr;
    endpoints_.ForEach([&](EndpointId, Endpoint& endpoint) {
      if (IsForgettable(endpoint) && (oldest == nullptr || endpoint.used < oldest->used)) {
        oldest = &endpoint;
      }
    });
    if (oldest == nullptr) return nullptr;
    Erase(*oldest);
  }
  EndpointId id;
  Endpoint* const endpoint = endpoints_.Emplace(&id, key);
  endpoint->id = id;
  endpoint->hash = hash;
  endpoint->used = context_.reactor().now();
  endpoint->health.emplace(unprobed_);
  endpoint->label = context_.metrics.NextHopLabel({});
  index_.emplace(hash, id);
  return endpoint;
}

void EndpointPool::SetProbed(Endpoint& endpoint, bool is_probed) {
  if (endpoint.is_probed == is_probed) return;
  endpoint.is_probed = is_probed;
  endpoint.health.emplace(is_probed ? probed_ : unprobed_);
}

bool EndpointPool::IsForgettable(const Endpoint& endpoint) const {
  const bool is_dialled =
      endpoint.key.kind == EndpointKind::kStream && endpoint.connection != ConnectionId();
  return !is_dialled && endpoint.waiting.empty() && endpoint.pinned != context_.snapshot->version;
}

void EndpointPool::Erase(Endpoint& endpoint) {
  index_.erase(endpoint.hash);
  endpoints_.Erase(endpoint.id);
}

void EndpointPool::Sweep() {
  const core::MonotonicTime now = context_.reactor().now();
  sweep_at_ = endpoints_.Sweep(sweep_at_, kSweepSlots, [&](EndpointId, Endpoint& endpoint) {
    if (IsForgettable(endpoint)) {
      if (endpoint.is_lost || now - endpoint.used > kRememberIdle) Erase(endpoint);
      return;
    }
    CloseIfOutdated(endpoint);
  });
}

// -- Sending -----------------------------------------------------------------------------------

EndpointPool::Readiness EndpointPool::Prepare(Endpoint& endpoint) {
  endpoint.used = context_.reactor().now();
  switch (endpoint.key.kind) {
    case EndpointKind::kDatagram:
      if (socket(endpoint.key.listener) != nullptr && !stopping_) return Readiness::kReady;
      endpoint.failure = {ReasonCode::kNextHopUnreachable, "there is no UDP listener to send from"};
      return Readiness::kUnavailable;
    case EndpointKind::kFlow: {
      if (endpoint.is_lost) return Readiness::kUnavailable;
      if (endpoint.key.shard != context_.shard.index()) return Readiness::kReady;
      Connection* const connection = connections_.Find(endpoint.key.flow);
      if (connection != nullptr && connection->is_open()) {
        if (GiveUpExpired(*connection)) {
          endpoint.failure = kFlowGone;
          return Readiness::kUnavailable;
        }
        endpoint.peer = connection->peer_key();
        connection->note_used_as_flow(endpoint.key.listener);
        return Readiness::kReady;
      }
      endpoint.failure = kFlowGone;
      endpoint.is_lost = true;
      return Readiness::kUnavailable;
    }
    case EndpointKind::kStream:
      if (endpoint.is_open && !LeaveExpired(endpoint)) return Readiness::kUnavailable;
      if (endpoint.is_open) return Readiness::kReady;
      if (endpoint.connection != ConnectionId()) return Readiness::kConnecting;
      return Dial(endpoint) ? Readiness::kConnecting : Readiness::kUnavailable;
  }
  UNREACHABLE();
}

bool EndpointPool::Dial(Endpoint& endpoint) {
  if (IsOutdated(endpoint)) {  // Its numbers of profiles and listeners mean something else now.
    endpoint.failure = {ReasonCode::kNextHopUnreachable, "the configuration has changed meanwhile"};
    return false;
  }
  if (stopping_ || !MakeRoomToDial()) {
    endpoint.failure = {ReasonCode::kNextHopUnreachable, "no connection is free"};
    return false;
  }
  DialOptions options;
  if (endpoint.key.transport == TransportProtocol::kTls) {
    options.tls = endpoint.key.tls_profile < context_.client_contexts.size()
                      ? context_.client_contexts[endpoint.key.tls_profile]
                      : nullptr;
    if (options.tls == nullptr) {
      endpoint.failure = {ReasonCode::kNextHopTls, "there is no TLS profile for this connection"};
      return false;
    }
    endpoint.profile = std::make_unique<const TlsProfileConfig>(
        context_.snapshot->config.tls_profiles[endpoint.key.tls_profile]);
    options.server_name = endpoint.identity;
    options.resumption = {&context_.client_sessions, ResumptionKey(endpoint)};
  }
  ConnectionId id = connections_.NextId();
  Connection* const connection =
      connections_.Emplace(&id, context_, static_cast<ConnectionHandler&>(*this), id,
                           Connection::kNoListener, endpoint.key.zone, endpoint.key.address);
  endpoint.connection = id;
  endpoint.dialled = context_.reactor().now();
  by_connection_[id.slot] = endpoint.id;
  ++dialled_;
  const int error =
      connection->Dial(context_.snapshot->config.timeouts.connect, std::move(options));
  if (error == 0) return true;
  --dialled_;
  by_connection_.erase(id.slot);
  endpoint.connection = {};
  connections_.Erase(id);
  NoteFailure(endpoint, {ReasonCode::kNextHopUnreachable, "no connection can be opened"},
              ConnectResult::kRefused);
  return false;
}

// Nothing is awaited on the connection that goes: no request of ours, and none of its peer's.
bool EndpointPool::MakeRoomToDial() {
  if (dialled_ == 2 * connections_max_ || connections_.full()) return false;
  if (dialled() < connections_max_) return true;
  Connection* idle = nullptr;
  core::MonotonicTime idle_since;
  endpoints_.ForEach([&](EndpointId, Endpoint& endpoint) {
    if (endpoint.key.kind != EndpointKind::kStream) return;
    Connection* const connection = connections_.Find(endpoint.connection);
    if (connection == nullptr || IsInUse(*connection)) return;
    if (idle != nullptr && endpoint.used >= idle_since) return;
    idle = connection;
    idle_since = endpoint.used;
  });
  if (idle == nullptr) return false;
  idle->Close(ConnectionCloseReason::kPolicy);
  return dialled() < connections_max_ && !connections_.full();
}

// True: no new request leaves on it. Closes it unless a transaction waits there: what was asked in
// time may be answered.
bool EndpointPool::GiveUpExpired(Connection& connection) {
  if (!connection.has_expired()) return false;
  if (!IsInUse(connection)) connection.Close(ConnectionCloseReason::kPolicy);
  return true;
}

// Frees the endpoint of a connection that has expired. If transactions wait on that, it moves with
// them to an endpoint under a key that no target has, and Sweep closes it after them. False: no
// room for that endpoint.
bool EndpointPool::LeaveExpired(Endpoint& endpoint) {
  Connection* const connection = connections_.Find(endpoint.connection);
  if (connection == nullptr || !GiveUpExpired(*connection) || !endpoint.is_open) return true;
  EndpointKey key = endpoint.key;
  key.flow = connection->id();
  Endpoint* const left = FindOrCreate(key);
  if (left == nullptr) {
    endpoint.failure = {ReasonCode::kNextHopTls, "the certificate has expired"};
    return false;
  }
  left->connection = std::exchange(endpoint.connection, {});
  left->is_open = std::exchange(endpoint.is_open, false);
  left->peer = endpoint.peer;
  left->party = endpoint.party;
  left->waiting.TakeAll(endpoint.waiting);
  by_connection_[connection->id().slot] = left->id;
  return true;
}

Connection* EndpointPool::ConnectionOf(const Endpoint& endpoint) {
  switch (endpoint.key.kind) {
    case EndpointKind::kDatagram:
      return nullptr;
    case EndpointKind::kStream:
      return connections_.Find(endpoint.connection);
    case EndpointKind::kFlow:
      return endpoint.key.shard == context_.shard.index() ? connections_.Find(endpoint.key.flow)
                                                          : nullptr;
  }
  UNREACHABLE();
}

bool EndpointPool::HasRoomFor(Endpoint& endpoint, PeerKey peer, size_t bytes) {
  Connection* const connection = ConnectionOf(endpoint);
  return connection == nullptr || connection->HasRoomFor(peer, bytes);
}

bool EndpointPool::SendRequest(Endpoint& endpoint, const Transaction& transaction,
                               std::string_view message) {
  switch (endpoint.key.kind) {
    case EndpointKind::kDatagram:
      return Send(endpoint, message);
    case EndpointKind::kStream: {
      Connection* const connection = connections_.Find(endpoint.connection);
      return connection != nullptr && endpoint.is_open &&
             connection->SendFor(transaction.peer, message);
    }
    case EndpointKind::kFlow:
      return SendToFlow(endpoint, message, &transaction);
  }
  UNREACHABLE();
}

bool EndpointPool::Send(Endpoint& endpoint, std::string_view message) {
  switch (endpoint.key.kind) {
    case EndpointKind::kDatagram: {
      core::DatagramSocket* const from = socket(endpoint.key.listener);
      return from != nullptr && from->Send(endpoint.key.address, std::as_bytes(std::span(message)));
    }
    case EndpointKind::kStream: {
      Connection* const connection = connections_.Find(endpoint.connection);
      return connection != nullptr && endpoint.is_open && connection->Send(message);
    }
    case EndpointKind::kFlow:
      return SendToFlow(endpoint, message, nullptr);
  }
  UNREACHABLE();
}

bool EndpointPool::SendToFlow(Endpoint& endpoint, std::string_view message,
                              const Transaction* request) {
  if (endpoint.is_lost) return false;
  if (endpoint.key.shard == context_.shard.index()) {
    Connection* const connection = connections_.Find(endpoint.key.flow);
    if (connection == nullptr || !connection->is_open()) return false;
    return request == nullptr ? connection->Send(message)
                              : connection->SendFor(request->peer, message);
  }
  // The mail's record is one piece: header, then message.
  FlowMail header{endpoint.key.flow, context_.shard.index(), endpoint.key.listener};
  if (request != nullptr && !request->is_ack) {
    header.is_refusable = true;
    header.attempt = request->attempt;
    header.transaction = request->id;
    header.peer = request->peer;
  }
  return context_.PostMessage(endpoint.key.shard, kMailFlowRequest, header, message);
}

// -- Dialled connections -----------------------------------------------------------------------

Endpoint* EndpointPool::EndpointOf(const Connection& connection) {
  const auto found = by_connection_.find(connection.id().slot);
  if (found == by_connection_.end()) return nullptr;
  Endpoint* const endpoint = endpoints_.Find(found->second);
  return endpoint != nullptr && endpoint->connection == connection.id() ? endpoint : nullptr;
}

void EndpointPool::OnConnectionOpen(Connection& connection) {
  Endpoint* const endpoint = EndpointOf(connection);
  CHECK(endpoint != nullptr);
  if (connection.is_tls() && !ProvesIdentity(*endpoint, connection)) {
    return connection.Close(ConnectionCloseReason::kPolicy);
  }
  endpoint->is_open = true;
  endpoint->peer = connection.peer_key();
  if (connection.is_tls()) {
    endpoint->party = PartyOfServer(*connection.standing(), endpoint->identity);
  }
  context_.Count(context_.metrics.outbound_connects.Slot(endpoint->label, ConnectResult::kOk));
  context_.metrics.outbound_connect_duration.Observe(
      context_.stats,
      static_cast<uint64_t>(context_.reactor().now().nanoseconds - endpoint->dialled.nanoseconds));
  if (endpoint->waiting.empty()) endpoint->health->OnRequestWithdrawn();  // All were cancelled.
  core::IntrusiveList<Transaction> ready;
  ready.TakeAll(endpoint->waiting);
  while (Transaction* const transaction = ready.PopFront()) {
    handler_.OnEndpointOpen(*endpoint, *transaction);
  }
}

// RFC 5922 §7.3: the domain that was asked for, never what DNS said.
bool EndpointPool::ProvesIdentity(Endpoint& endpoint, Connection& connection) {
  CHECK(endpoint.profile != nullptr);  // Dial has set it.
  const TlsProfileConfig& profile = *endpoint.profile;
  const tls::PeerIdentityRef certificate = GiveStanding(context_, profile, connection);
  if (!certificate) {
    NoteFailure(endpoint, {ReasonCode::kNextHopTls, "its certificate cannot be read"},
                ConnectResult::kTls);
    return false;
  }
  const ServerExpectation expected{
      profile.check_target_name ? std::string_view(endpoint.identity) : std::string_view(),
      endpoint.dn};
  const ServerVerdict verdict =
      CheckServer(expected, connection.standing()->identities, *certificate);
  if (verdict == ServerVerdict::kAccepted) return true;
  context_.Count(context_.metrics.upstream_identity_mismatches.Slot(endpoint.label));
  context_.log.Write(
      core::LogLevel::kError, "next-hop-identity",
      "Certificate identity does not match requested domain",
      {{"next_hop", NextHopNameOf(&endpoint, *context_.snapshot)},
       {"expected", verdict == ServerVerdict::kDnMismatch ? endpoint.dn : endpoint.identity},
       {"found", connection.standing()->identities.List()},
       {"subject", certificate->subject_dn()},
       {"target", endpoint.key.address.ToString()}});
  NoteFailure(endpoint,
              {ReasonCode::kNextHopIdentity, verdict == ServerVerdict::kDnMismatch
                                                 ? "the certificate has another subject"
                                                 : "the certificate does not prove the domain"},
              ConnectResult::kTls);
  return false;
}

void EndpointPool::OnFrame(Connection& connection, const Frame& frame, std::string_view unread) {
  handler_.OnEndpointFrame(connection, EndpointOf(connection), frame, unread);
}

void EndpointPool::OnConnectionClosing(Connection& connection) {
  ++closing_;
  OnConnectionLost(connection);
  Endpoint* const endpoint = EndpointOf(connection);
  if (endpoint == nullptr) return;
  const bool was_open = std::exchange(endpoint->is_open, false);
  endpoint->connection = {};  // What it proved stays known: an answer may come on another one.
  const bool is_judged = connection.is_open() || connection.has_opened();
  // The server refused our certificate once the connection stood for us.
  const bool is_refused =
      was_open && !stopping_ && connection.tls_failure() != tls::FailureReason::kNone;
  bool is_suspect = false;
  if (is_refused || (!was_open && !is_judged && !stopping_)) {
    NoteFailure(*endpoint, CauseOf(connection), ResultOf(connection));
  } else if (was_open && !endpoint->waiting.empty()) {
    const core::MonotonicTime now = context_.reactor().now();
    is_suspect =
        endpoint->health->OnFailure(now, TargetFailure::kLost, now) == HealthChange::kSuspected;
  }
  const EndpointId id = endpoint->id;
  const FailureCause& lost = stopping_ ? kStopped : connection.was_left_by_peer() ? kLeft : kLost;
  LoseAll(*endpoint, was_open && !is_refused ? lost : endpoint->failure);
  if (!is_suspect || stopping_) return;
  if (Endpoint* const suspect = Find(id)) handler_.OnEndpointSuspected(*suspect);
}

void EndpointPool::OnConnectionClosed(Connection& connection) {
  by_connection_.erase(connection.id().slot);
  --dialled_;
  --closing_;
  connections_.Erase(connection.id());
}

void EndpointPool::NoteFailure(Endpoint& endpoint, const FailureCause& cause,
                               ConnectResult result) {
  endpoint.failure = cause;
  const TargetFailure failure = result == ConnectResult::kTimeout ? TargetFailure::kConnectTimeout
                                : result == ConnectResult::kTls   ? TargetFailure::kTls
                                                                  : TargetFailure::kRefused;
  const HealthChange change =
      endpoint.health->OnFailure(context_.reactor().now(), failure, endpoint.dialled);
  if (change == HealthChange::kWentDown && !endpoint.key.is_probing) {
    LogHealth(context_, change, NextHopNameOf(&endpoint, *context_.snapshot),
              endpoint.key.address.ToString(), endpoint.key.transport);
  }
  context_.Count(context_.metrics.outbound_connects.Slot(endpoint.label, result));
  context_.log.Write(core::LogLevel::kWarning, "next-hop-unreachable",
                     "could not connect to next hop",
                     {{"next_hop", NextHopNameOf(&endpoint, *context_.snapshot)},
                      {"target", endpoint.key.address.ToString()},
                      {"transport", TransportName(endpoint.key.transport)},
                      {"identity", endpoint.identity},
                      {"reason", CodeText(cause.reason)},
                      {"cause", cause.text}});
}

// Handlers may make other endpoints, for which this one is forgotten: it is not touched any more.
void EndpointPool::LoseAll(Endpoint& endpoint, FailureCause cause) {
  core::IntrusiveList<Transaction> lost;
  lost.TakeAll(endpoint.waiting);
  while (Transaction* const transaction = lost.PopFront()) {
    handler_.OnEndpointLost(*transaction, cause);
  }
}

bool EndpointPool::HasMoreTargets(const Transaction& transaction) const {
  if (transaction.has_unlisted) return true;
  for (uint8_t i = transaction.next_target; i < transaction.target_count; ++i) {
    const Endpoint* const endpoint = Find(transaction.targets[i]);
    if (endpoint == nullptr) continue;
    if (endpoint->key.kind == EndpointKind::kFlow ||
        endpoint->health->IsUsable(context_.reactor().now())) {
      return true;
    }
  }
  return false;
}

void EndpointPool::CloseProbing(EndpointId id) {
  const Endpoint* const endpoint = Find(id);
  if (endpoint == nullptr || !endpoint->key.is_probing || !endpoint->waiting.empty()) return;
  Connection* const connection = connections_.Find(endpoint->connection);
  if (connection != nullptr) connection->Close(ConnectionCloseReason::kIdle);
}

void EndpointPool::GiveUp(Endpoint& endpoint, const FailureCause& cause) {
  core::IntrusiveList<Transaction> all;
  core::IntrusiveList<Transaction> leaving;
  all.TakeAll(endpoint.waiting);
  while (Transaction* const transaction = all.PopFront()) {
    const bool stays = transaction->heard || !HasMoreTargets(*transaction) ||
                       transaction->cancel != CancelState::kNone;
    (stays ? endpoint.waiting : leaving).PushBack(*transaction);
  }
  while (Transaction* const transaction = leaving.PopFront()) {
    handler_.OnEndpointLost(*transaction, cause);
  }
}

// -- Flows -------------------------------------------------------------------------------------

EndpointKey EndpointPool::FlowKey(uint8_t shard, ConnectionId flow, size_t listener) const {
  const std::vector<ListenerConfig>& listeners = context_.snapshot->config.listeners;
  EndpointKey key;
  key.kind = EndpointKind::kFlow;
  key.listener = static_cast<uint16_t>(listener);
  // Without a listener it is one that we dialled; only flows of the outside have tokens.
  const bool has_listener = listener < listeners.size();
  key.transport = has_listener ? listeners[listener].transport : TransportProtocol::kTls;
  key.zone = has_listener ? listeners[listener].zone : Zone::kOutside;
  key.shard = shard;
  key.flow = flow;
  return key;
}

void EndpointPool::OnConnectionLost(Connection& connection) {
  ForgetAlias(connection);
  if (!connection.used_as_flow() && !connection.used_by_other_shards()) return;
  const FlowMail mail{connection.id(), context_.shard.index(), connection.flow_listener()};
  if (connection.used_as_flow()) OnFlowLostMail(mail);
  if (!connection.used_by_other_shards()) return;
  for (uint32_t shard = 0; shard < context_.shard.shards(); ++shard) {
    if (shard == context_.shard.index()) continue;
    // A full mailbox loses it; the transactions there end by their timers.
    static_cast<void>(
        context_.shard.Post(shard, kMailFlowLost, std::as_bytes(std::span(&mail, 1))));
  }
}

void EndpointPool::OnFlowMail(const FlowMail& mail, std::string_view message) {
  Connection* const connection = connections_.Find(mail.flow);
  if (connection != nullptr && connection->is_open() && !GiveUpExpired(*connection)) {
    connection->note_used_by_other_shard(mail.listener);
    if (!mail.is_refusable) {
      if (connection->Send(message)) return;
    } else if (!connection->HasRoomFor(mail.peer, message.size())) {
      // Without room for this the transaction ends by its timer.
      static_cast<void>(
          context_.shard.Post(mail.from_shard, kMailFlowFull, std::as_bytes(std::span(&mail, 1))));
      return;
    } else if (connection->SendFor(mail.peer, message)) {
      return;
    }
  }
  const FlowMail lost{mail.flow, context_.shard.index(), mail.listener};
  static_cast<void>(
      context_.shard.Post(mail.from_shard, kMailFlowLost, std::as_bytes(std::span(&lost, 1))));
}

void EndpointPool::OnFlowLostMail(const FlowMail& mail) {
  const auto found =
      index_.find(HashOf(FlowKey(static_cast<uint8_t>(mail.from_shard), mail.flow, mail.listener)));
  if (found == index_.end()) return;
  Endpoint& endpoint = *endpoints_.Find(found->second);
  endpoint.is_lost = true;
  endpoint.failure = kFlowGone;
  LoseAll(endpoint, kFlowGone);
}

// -- Aliases -----------------------------------------------------------------------------------

// One for each connection, and for each address the newest of the peer that has it: others may
// share that address.
void EndpointPool::NoteAlias(Connection& connection, uint16_t port) {
  if (connection.alias_port() != port) ForgetAlias(connection);
  const core::SocketAddress address = connection.peer().WithPort(port);
  const auto known = aliases_.find(address);
  if (known != aliases_.end()) {
    const Connection* const holder = connections_.Find(known->second);
    if (holder != nullptr && holder->is_open() && holder->peer_key() != connection.peer_key()) {
      return;
    }
    known->second = connection.id();
  } else if (aliases_.size() < aliases_max_) {
    aliases_.emplace(address, connection.id());
  } else {
    return;
  }
  connection.set_alias_port(port);
}

void EndpointPool::ForgetAlias(const Connection& connection) {
  if (connection.alias_port() == 0) return;
  const auto known = aliases_.find(connection.peer().WithPort(connection.alias_port()));
  if (known != aliases_.end() && known->second == connection.id()) aliases_.erase(known);
}

std::optional<EndpointKey> EndpointPool::AliasOf(const EndpointKey& key) const {
  if (key.kind != EndpointKind::kStream || key.transport != TransportProtocol::kTls ||
      key.identity.empty() || !key.dn.empty()) {
    return std::nullopt;
  }
  const auto alias = aliases_.find(key.address);
  if (alias == aliases_.end()) return std::nullopt;
  const auto dialled = index_.find(HashOf(key));
  if (dialled != index_.end() && endpoints_.Find(dialled->second)->is_open) return std::nullopt;
  const Connection* const connection = connections_.Find(alias->second);
  if (connection == nullptr || !connection->is_open() || connection->has_expired() ||
      connection->zone() != key.zone ||
      !connection->standing()->identities.CoversDomain(key.identity)) {
    return std::nullopt;
  }
  const EdgeConfig& config = context_.snapshot->config;
  const std::string& profile = config.listeners[connection->listener()].tls_profile;
  if (key.tls_profile >= config.tls_profiles.size() ||
      config.FindTlsProfile(profile) != &config.tls_profiles[key.tls_profile]) {
    return std::nullopt;
  }
  return FlowKey(static_cast<uint8_t>(context_.shard.index()), connection->id(),
                 connection->listener());
}

// -- End ---------------------------------------------------------------------------------------

void EndpointPool::Stop() {
  stopping_ = true;
  sockets_.clear();  // They close too; timers may still want to retransmit.
  endpoints_.ForEach([this](EndpointId, Endpoint& endpoint) {
    if (endpoint.key.kind != EndpointKind::kStream) return;
    if (Connection* const connection = connections_.Find(endpoint.connection)) {
      connection->Close(ConnectionCloseReason::kDrain);
    }
  });
}

}  // namespace sallyport::sip
