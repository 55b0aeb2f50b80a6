#include "sip/proxy/edge_shard.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "sip/proxy/mail_kinds.h"
#include "sip/proxy/peer_standing.h"
#include "sip/proxy/source_key.h"

namespace sallyport::sip {
namespace {

// How often gauges that are not counted along the way are refreshed, and a drain looks for idlers.
constexpr absl::Duration kTick = absl::Milliseconds(100);

core::LogRateLimits LogLimits(const EdgeConfig& config) {
  core::LogRateLimits limits;
  limits.lines_per_second_max = config.limits.log_lines_per_second_max;
  return limits;
}

// Sessions that a shard may continue as a client (tls::ClientSessions).
constexpr size_t kClientSessionsMax = 256;

uint32_t PerShard(uint64_t total, uint32_t shards) {
  return static_cast<uint32_t>((total + shards - 1) / shards);
}

// Most certificates prove one or two.
size_t PartiesMax(uint32_t connections_max) { return size_t{4} * connections_max; }

// Connections that were aborted for others and have not gone yet, beyond limits.connections.
constexpr uint32_t kGivingWayMax = 256;
// A connection with traffic since then is not idle.
constexpr absl::Duration kIdleAfter = absl::Seconds(1);

uint32_t OutboundMax(const EdgeConfig& config, uint32_t shards) {
  return PerShard(config.limits.outbound_connections_max, shards);
}

void AddTo(tls::ContextCounters& sum, const tls::ContextCounters& more) {
  sum.tickets_issued += more.tickets_issued;
  sum.tickets_opened += more.tickets_opened;
  sum.tickets_unreadable += more.tickets_unreadable;
  sum.tickets_declined += more.tickets_declined;
}

}  // namespace

// Tells the shard which of its listeners a connection came from.
class EdgeShard::ListenerEntry final : private core::AcceptHandler {
 public:
  ListenerEntry(EdgeShard& shard, uint32_t index, int fd)
      : shard_(shard), index_(index), listener_(shard.context_.reactor(), *this, fd) {}

  core::Listener& listener() { return listener_; }
  bool drained() const { return drained_; }

 private:
  void OnAccepted(int fd, const core::SocketAddress& peer) override {
    shard_.OnAccepted(index_, fd, peer);
  }
  void OnDrained() override { drained_ = true; }

  EdgeShard& shard_;
  const uint32_t index_;
  core::Listener listener_;
  bool drained_ = false;
};

class EdgeShard::DatagramEntry final : private core::DatagramHandler {
 public:
  DatagramEntry(EdgeShard& shard, uint32_t index, int fd)
      : shard_(shard), index_(index), socket_(shard.context_.reactor(), *this, fd) {}

  core::DatagramSocket& socket() { return socket_; }
  bool closed() const { return closed_; }

 private:
  void OnDatagram(std::span<const std::byte> bytes, const core::SocketAddress& source) override {
    const EdgeSnapshot& snapshot = *shard_.context_.snapshot;
    const ListenerConfig& config = snapshot.config.listeners[index_];
    // Next hops are let in without being listed; where others are listed, with their answers only.
    const bool is_welcome =
        config.zone == Zone::kInside && snapshot.IsNextHop(source) &&
        (config.allow.empty() ||
         std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
             .starts_with("SIP/2.0 "));
    if (!is_welcome && shard_.RejectionOf(config, source).has_value()) {
      return shard_.context_.Count(
          shard_.context_.metrics.connections_rejected.Slot(ConnectionRejectReason::kAcl));
    }
    // A source that is not configured gets a share of the turn like any; here nothing waits for
    // more, so their number counts and not the time.
    const core::Reactor& reactor = shard_.context_.reactor();
    if (config.zone == Zone::kOutside && !snapshot.IsNextHop(source) &&
        !shard_.admission_.MayServe({config.zone, source}, reactor.counters().turns,
                                    reactor.now())) {
      return shard_.context_.Count(
          shard_.context_.metrics.connections_rejected.Slot(ConnectionRejectReason::kRate));
    }
    shard_.admission_.StopServing(reactor.now());
    shard_.proxy_.OnDatagram({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, source,
                             index_, socket_);
  }
  void OnDatagramSocketClosed() override { closed_ = true; }

  EdgeShard& shard_;
  const uint32_t index_;
  core::DatagramSocket socket_;
  bool closed_ = false;
};

// -- Start and end -----------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<core::ShardApplication>> EdgeShard::Start(
    core::Shard& shard, const EdgeShardOptions& options, ShardMaterial material) {
  std::unique_ptr<core::Resolver> resolver;
  if (options.dns == nullptr) {
    core::ResolverOptions resolver_options;
    resolver_options.servers = material.snapshot->config.dns_servers;
    auto created = core::Resolver::Create(shard.reactor(), resolver_options);
    if (!created.ok()) return created.status();
    resolver = *std::move(created);
  }
  std::unique_ptr<EdgeShard> edge(
      new EdgeShard(shard, options, std::move(material), std::move(resolver)));
  if (absl::Status status = edge->StartListeners(); !status.ok()) {
    // Some listen already: nothing of theirs may be in the kernel when they go.
    shard.reactor().io().Quiesce();
    shard.reactor().set_kernel_gone();
    return status;
  }
  return edge;
}

EdgeShard::EdgeShard(core::Shard& shard, const EdgeShardOptions& options, ShardMaterial material,
                     std::unique_ptr<core::Resolver> resolver)
    : options_(options),
      material_(std::move(material)),
      log_limits_(LogLimits(material_.snapshot->config)),
      receive_scratch_(std::make_unique<char[]>(kReceiveScratchBytes)),
      send_scratch_(std::make_unique<char[]>(kSendScratchBytes)),
      mail_scratch_(std::make_unique<char[]>(kMailScratchBytes)),
      client_sessions_(kClientSessionsMax),
      context_{.shard = shard,
               .log = *options.log,
               .log_limits = log_limits_,
               .stats = *options.stats,
               .metrics = *options.metrics,
               .snapshot = material_.snapshot.get(),
               .tls_contexts = material_.tls_contexts,
               .client_contexts = material_.client_contexts,
               .client_sessions = client_sessions_,
               .identities = *options.identities,
               .peer_key = material_.snapshot->peer_key,
               .receive_scratch = {receive_scratch_.get(), kReceiveScratchBytes},
               .send_scratch = {send_scratch_.get(), kSendScratchBytes},
               .mail_scratch = {mail_scratch_.get(), kMailScratchBytes}},
      resolver_(std::move(resolver)),
      accepted_max_(PerShard(
          std::min(material_.snapshot->config.limits.connections_max, options.connections_max),
          shard.shards())),
      connections_(accepted_max_ + kGivingWayMax +
                   2 * OutboundMax(material_.snapshot->config, shard.shards())),
      own_parties_(PartiesMax(accepted_max_)),
      parties_(options.parties == nullptr ? own_parties_ : *options.parties),
      admission_(options.keys.transaction, accepted_max_ + kGivingWayMax,
                 material_.snapshot->config.limits, shard.reactor().now()),
      proxy_(context_, connections_,
             {.keys = options.keys,
              .transactions_max =
                  PerShard(material_.snapshot->config.limits.transactions_max, shard.shards()),
              .endpoints_max =
                  accepted_max_ + 2 * OutboundMax(material_.snapshot->config, shard.shards()) + 256,
              .outbound_connections_max = OutboundMax(material_.snapshot->config, shard.shards()),
              .dns = options.dns == nullptr ? resolver_.get() : options.dns,
              .admission = &admission_,
              .parties = &parties_}),
      tick_(core::Timer::Calling<&EdgeShard::OnTick>(this)) {
  options_.progress->snapshot_version = context_.snapshot->version;
  OnTick();
}

EdgeShard::~EdgeShard() = default;

absl::Status EdgeShard::StartListeners() {
  const std::vector<ListenerConfig>& configs = context_.snapshot->config.listeners;
  CHECK(material_.sockets.size() == configs.size());
  for (uint32_t index = 0; index < configs.size(); ++index) {
    const int fd = material_.sockets[index].Release();
    bool is_started = false;
    if (configs[index].transport == TransportProtocol::kUdp) {
      sockets_.push_back(std::make_unique<DatagramEntry>(*this, index, fd));
      is_started = sockets_.back()->socket().Start();
      proxy_.endpoints().AddSocket(index, sockets_.back()->socket());
    } else {
      listeners_.push_back(std::make_unique<ListenerEntry>(*this, index, fd));
      is_started = listeners_.back()->listener().Start();
    }
    if (!is_started) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no room for the listener \"", configs[index].name,
                       "\" among all connections; lower limits.connections"));
    }
  }
  return absl::OkStatus();
}

void EdgeShard::TakeMaterial(ShardMaterial material) {
  for (const auto& context : context_.tls_contexts) {
    if (context != nullptr) AddTo(past_contexts_, context->counters());
  }
  const std::shared_ptr<const EdgeSnapshot> before = material_.snapshot;
  material_ = std::move(material);
  context_.snapshot = material_.snapshot.get();
  context_.tls_contexts = material_.tls_contexts;
  context_.client_contexts = material_.client_contexts;
  if (resolver_ != nullptr) {
    const absl::Status status = resolver_->SetServers(context_.snapshot->config.dns_servers);
    if (!status.ok()) {
      context_.log.Write(core::LogLevel::kError, "dns-servers",
                         {status.message().data(), status.message().size()});
    }
  }
  admission_.SetLimits(context_.snapshot->config.limits);
  NoteParties(before->pairs.parties());
  proxy_.OnNewSnapshot();
  options_.progress->snapshot_version = context_.snapshot->version;
}

// Tokens name parties by hashes under the keys of the secret.
void EdgeShard::NoteParties(const PartySealer& before) {
  const PartySealer& parties = context_.snapshot->pairs.parties();
  if (parties.HasSameKeys(before)) return;
  parties_.RemoveShard(static_cast<uint8_t>(context_.shard.index()));
  connections_.ForEach([this, &parties](ConnectionId, const Connection& connection) {
    if (connection.is_dialled() || !connection.is_open() || connection.standing() == nullptr)
      return;
    parties_.Add(FlowOf(connection), *connection.standing(), parties);
  });
}

FlowRef EdgeShard::FlowOf(const Connection& connection) const {
  return {context_.snapshot->process, static_cast<uint8_t>(context_.shard.index()),
          static_cast<uint16_t>(connection.listener()), connection.id()};
}

void EdgeShard::OnMail(uint32_t, uint32_t kind, std::span<const std::byte> record) {
  switch (kind) {
    case kMailSnapshot: {
      ShardMaterial* material = nullptr;
      CHECK(record.size() == sizeof material);
      std::memcpy(&material, record.data(), sizeof material);
      TakeMaterial(std::move(*material));
      delete material;
      return;
    }
    case kMailDrain:
      return BeginDrain();
    default:
      return proxy_.OnMail(kind, record);
  }
}

// -- Connections -------------------------------------------------------------------------------

std::optional<ConnectionRejectReason> EdgeShard::RejectionOf(
    const ListenerConfig& listener, const core::SocketAddress& peer) const {
  const bool is_allowed =
      listener.allow.empty()
          ? listener.zone == Zone::kOutside || peer.IsLoopback()
          : std::any_of(listener.allow.begin(), listener.allow.end(),
                        [&peer](const core::CidrRange& range) { return range.Contains(peer); });
  if (!is_allowed) return ConnectionRejectReason::kAcl;
  return std::nullopt;
}

void EdgeShard::OnAccepted(uint32_t listener, int fd, const core::SocketAddress& peer) {
  const ListenerConfig& config = context_.snapshot->config.listeners[listener];
  std::optional<ConnectionRejectReason> rejection = RejectionOf(config, peer);
  const AdmissionSource source{config.zone, peer};
  if (!rejection.has_value()) {
    rejection = admission_.MayConnect(source, config.transport == TransportProtocol::kTls,
                                      context_.reactor().now());
    if (!rejection.has_value() && !MakeRoomFor(peer)) {
      rejection = ConnectionRejectReason::kLimit;
      admission_.OnConnectionClosed(source);
    }
  }
  if (rejection.has_value()) {
    context_.Count(context_.metrics.connections_rejected.Slot(*rejection));
    LogRejection(config, peer, *rejection);
    return context_.reactor().io().CloseWithReset(fd);
  }
  ConnectionId id = connections_.NextId();
  Connection* const connection = connections_.Emplace(
      &id, context_, static_cast<ConnectionHandler&>(*this), id, listener, config.zone, peer);
  context_.Count(context_.metrics.connections_accepted.Slot(listener));
  ++accepted_;
  if (!connection->Accept(fd)) {
    connections_.Erase(id);
    --accepted_;
    admission_.OnConnectionClosed(source);
    context_.Count(
        context_.metrics.connections_rejected.Slot(ConnectionRejectReason::kDescriptors));
    LogRejection(config, peer, ConnectionRejectReason::kDescriptors);
    context_.reactor().io().CloseWithReset(fd);
  }
}

// A newcomer has proved nothing yet, so it counts by its address, beside others that have not.
// Connections with a proved identity count by that. The one that gives way is gone a turn or two
// later.
bool EdgeShard::MakeRoomFor(const core::SocketAddress& peer) {
  if (connections_.full()) return false;
  if (accepted_ - giving_way_ < accepted_max_) return true;
  if (giving_way_ == kGivingWayMax) return false;
  const ByteShares::Part* const loser = context_.connection_shares.LoserOfMore(
      SourceKey(context_.peer_key, peer), 1, [this](const ByteShares::Part& part) {
        return IsIdle(*static_cast<const Connection*>(part.owner()));
      });
  if (loser == nullptr) return false;
  ++giving_way_;
  static_cast<Connection*>(loser->owner())->GiveWay();
  return true;
}

bool EdgeShard::IsIdle(const Connection& connection) {
  if (connection.state() == Connection::State::kClosing) return true;
  return context_.reactor().now() - connection.last_activity() >= kIdleAfter &&
         !proxy_.IsInUse(connection);
}

void EdgeShard::LogRejection(const ListenerConfig& listener, const core::SocketAddress& peer,
                             ConnectionRejectReason reason) {
  // Kinds of their own, behind those of refused requests.
  const core::LogAdmission admission =
      log_limits_.Admit(kReasonCodeCount + static_cast<uint32_t>(reason), admission_.KeyOf(peer),
                        context_.reactor().now().nanoseconds);
  if (!admission.write) {
    return context_.Count(context_.metrics.log_records_suppressed.Slot(ReasonCode::kLimit));
  }
  context_.log.Write(core::LogLevel::kInfo, "connection-refused", "a connection was closed at once",
                     {{"reason", ConnectionRejectText(reason)},
                      {"listener", listener.name},
                      {"address", peer.ToString()},
                      {"suppressed", admission.suppressed}});
}

void EdgeShard::OnConnectionOpen(Connection& connection) {
  if (connection.is_tls()) {
    const EdgeConfig& config = context_.snapshot->config;
    static_cast<void>(GiveStanding(
        context_, *config.FindTlsProfile(config.listeners[connection.listener()].tls_profile),
        connection));
  } else {
    GiveNoStanding(connection);
  }
  if (connection.standing() == nullptr) {
    connection.Close(ConnectionCloseReason::kPolicy);
  } else {
    parties_.Add(FlowOf(connection), *connection.standing(), context_.snapshot->pairs.parties());
  }
  if (draining_) CloseIdleConnections();
}

void EdgeShard::OnFrame(Connection& connection, const Frame& frame, std::string_view unread) {
  proxy_.OnFrame(connection, frame, unread);
}

bool EdgeShard::MayServe(Connection& connection) {
  return MayServeNow(admission_, AdmissionSourceOf(connection), context_.reactor());
}

void EdgeShard::OnServed(Connection&) { StopServingNow(admission_, context_.reactor()); }

void EdgeShard::OnConnectionClosing(Connection& connection) {
  if (connection.standing() != nullptr) {
    parties_.Remove(FlowOf(connection), *connection.standing(), context_.snapshot->pairs.parties());
  }
  proxy_.OnConnectionLost(connection);
}

void EdgeShard::OnConnectionClosed(Connection& connection) {
  --accepted_;
  if (connection.gave_way()) --giving_way_;
  admission_.OnConnectionClosed(AdmissionSourceOf(connection));
  connections_.Erase(connection.id());
}

// -- Drain, stop, gauges -----------------------------------------------------------------------

void EdgeShard::BeginDrain() {
  draining_ = true;
  proxy_.BeginDrain();
  for (const auto& entry : listeners_) entry->listener().Drain();
  CloseIdleConnections();
}

void EdgeShard::CloseIdleConnections() {
  // Of a flow's transactions on other shards we know only that there are some.
  const bool others_wait =
      std::ranges::any_of(options_.all_progress, [this](const std::unique_ptr<ShardProgress>& one) {
        return one.get() != options_.progress && one->unanswered > 0;
      });
  connections_.ForEach([this, others_wait](ConnectionId, Connection& connection) {
    if (!connection.is_open() || connection.is_deferred() || proxy_.IsInUse(connection)) return;
    if (others_wait && connection.used_by_other_shards()) return;
    connection.Close(ConnectionCloseReason::kDrain);
  });
}

void EdgeShard::OnTick() {
  const auto open_listeners =
      std::count_if(listeners_.begin(), listeners_.end(),
                    [](const std::unique_ptr<ListenerEntry>& entry) { return !entry->drained(); });
  options_.progress->listeners = static_cast<uint32_t>(open_listeners);
  options_.progress->connections = connections_.size();
  options_.progress->unanswered = proxy_.unanswered();
  options_.progress->healthy_next_hops = proxy_.HealthyNextHops();
  proxy_.OnTick();
  if (draining_) CloseIdleConnections();
  NoteOverload();
  PublishFigures();
  context_.reactor().timers().Schedule(tick_, context_.reactor().now() + kTick);
}

// A state that came and went between two ticks is in the counters of refusals.
void EdgeShard::NoteOverload() {
  admission_.ObserveDelay(AdmissionTurnOf(context_.reactor()));
  const OverloadState state = admission_.overload_state();
  context_.stats.Set(context_.metrics.overload_state.Slot(), static_cast<uint64_t>(state));
  if (state == overload_told_) return;
  overload_told_ = state;
  const bool is_over = state == OverloadState::kNormal;
  context_.log.Write(is_over ? core::LogLevel::kInfo : core::LogLevel::kWarning, "overload",
                     is_over                                       ? "work waits no more"
                     : state == OverloadState::kSheddingNewDialogs ? "new dialogs are refused"
                                                                   : "requests are refused",
                     {{"shard", context_.shard.index()}, {"state", static_cast<uint64_t>(state)}});
}

// Figures that others count: copied, not counted again.
void EdgeShard::PublishFigures() {
  core::StatsBlock& stats = context_.stats;
  const EdgeMetrics& metrics = context_.metrics;
  core::Reactor& reactor = context_.reactor();
  const core::IoCounters& io = reactor.io().counters();
  stats.Set(metrics.worker_busy.Slot(), static_cast<uint64_t>(reactor.counters().busy_nanoseconds));
  stats.Set(metrics.worker_connections.Slot(), connections_.size());
  stats.Set(metrics.worker_completions.Slot(), reactor.counters().completions);
  stats.Set(metrics.worker_submit_calls.Slot(), io.submit_calls);
  stats.Set(metrics.io_buffers_exhausted.Slot(BufferPool::kReceive), io.stream_buffers_out);
  stats.Set(metrics.io_buffers_exhausted.Slot(BufferPool::kSend), reactor.buffers().exhausted());
  stats.Set(metrics.memory.Slot(MemoryArea::kBuffers), reactor.buffers().bytes_in_use());
  stats.Set(metrics.memory.Slot(MemoryArea::kTransactions),
            proxy_.transactions() * sizeof(Transaction));
  stats.Set(metrics.sources_connected.Slot(), admission_.sources_connected());
  stats.Set(metrics.rate_limiter_forgotten.Slot(), admission_.forgotten());
  PublishWaysOut();
  metrics.worker_loop_delay.Observe(
      stats, static_cast<uint64_t>(reactor.counters().longest_turn_nanoseconds));
  reactor.ResetLongestTurn();
  stats.Set(metrics.tls_verify_cache_lookups.Slot(CacheResult::kHit), options_.memo->hits());
  stats.Set(metrics.tls_verify_cache_lookups.Slot(CacheResult::kMiss), options_.memo->misses());
  tls::ContextCounters tickets = past_contexts_;
  for (const auto& context : context_.tls_contexts) {
    if (context != nullptr) AddTo(tickets, context->counters());
  }
  stats.Set(metrics.tls_tickets_issued.Slot(), tickets.tickets_issued);
  stats.Set(metrics.tls_ticket_decrypts.Slot(TicketDecryptResult::kAccepted),
            tickets.tickets_opened);
  stats.Set(metrics.tls_ticket_decrypts.Slot(TicketDecryptResult::kUnreadable),
            tickets.tickets_unreadable);
  stats.Set(metrics.tls_ticket_decrypts.Slot(TicketDecryptResult::kDeclined),
            tickets.tickets_declined);
}

void EdgeShard::PublishWaysOut() {
  core::StatsBlock& stats = context_.stats;
  const EdgeMetrics& metrics = context_.metrics;
  const EndpointPool& endpoints = proxy_.endpoints();
  stats.Set(metrics.endpoints.Slot(), endpoints.size());
  stats.Set(metrics.memory.Slot(MemoryArea::kEndpoints), endpoints.size() * sizeof(Endpoint));
  stats.Set(metrics.outbound_connections.Slot(), endpoints.dialled());
  const DnsCounters& dns = proxy_.locator().counters();
  for (size_t type = 0; type < core::kDnsTypes; ++type) {
    for (size_t lookup = 0; lookup < kDnsLookups; ++lookup) {
      stats.Set(metrics.dns_queries.Slot(type, lookup), dns.lookups[type][lookup]);
    }
  }
}

void EdgeShard::BeginStop() {
  tick_.Cancel();
  proxy_.endpoints().Stop();
  for (const auto& entry : sockets_) entry->socket().Close();
  connections_.ForEach([](ConnectionId, Connection& connection) {
    connection.Close(ConnectionCloseReason::kDrain);
  });
}

bool EdgeShard::IsQuiet() const { return connections_.size() == 0; }

}  // namespace sallyport::sip
