// What the edge says itself: refusals, its own final responses, and the OPTIONS by which it learns
// whether a target is alive.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "core/check.h"
#include "sip/message/message_parser.h"
#include "sip/message/message_writer.h"
#include "sip/proxy/drop_log.h"
#include "sip/proxy/edge_proxy.h"
#include "sip/proxy/mail_kinds.h"
#include "sip/proxy/request_log.h"
#include "sip/proxy/via_mark.h"
#include "tls/random.h"

namespace sallyport::sip {
namespace {

constexpr size_t kRefusalHeaderBytesMax = 1024;
// Only this shard sends health checks.
constexpr uint32_t kProberShard = 0;
// Of a suspect that is no [[next-hop]]'s: as the default of `health`.
constexpr absl::Duration kAskTimeout = absl::Seconds(2);

// The access side of a transaction, as far as it tells of what was dropped.
DroppedMessage DroppedOf(const Transaction& transaction) {
  return {.zone = transaction.reply.zone,
          .peer = transaction.peer,
          .address = transaction.reply.address,
          .connection = transaction.reply.connection};
}

// Where it was to go was not asked yet.
RequestWay WayFrom(const MessageSource& source) {
  return {.zone = source.zone,
          .listener = source.listener,
          .standing = source.connection == nullptr ? nullptr : source.connection->standing(),
          .address = source.address};
}

}  // namespace

// -- Refusals ----------------------------------------------------------------------------------

void EdgeProxy::Refuse(const MessageSource& source, ReasonCode reason,
                       const RefusalDetail& detail) {
  const ReasonText& text = TextOf(reason);
  context_.Count(context_.metrics.requests_rejected.Slot(reason));
  if (reason == ReasonCode::kFlowToken) {
    context_.Count(context_.metrics.sip_flow_failures.Slot(FlowFailure::kForged));
  }
  const uint16_t status = detail.status != 0 ? detail.status : text.status;
  LogRefusedRequest(context_, view_,
                    {.peer = source.peer(),
                     .reason = reason,
                     .status = status,
                     .phrase = detail.phrase,
                     .cause = detail.cause},
                    WayFrom(source));
  const bool is_answered =
      view_.is_request() && view_.method() != Method::kAck && view_.Has(HeaderId::kVia);
  if (view_.method() == Method::kAck) {  // It has its log line.
    context_.Count(context_.metrics.sip_acks_dropped.Slot(AckDropReason::kRefused));
  }
  if (is_answered) {
    std::array<char, kRefusalHeaderBytesMax> storage;
    // Another status than the table's is not for now only.
    const bool tells_time = text.retry_after && detail.status == 0;
    const std::string_view headers =
        RefusalHeaders(reason, view_,
                       {.edge = context_.snapshot->config.domain,
                        .retry_after_seconds = tells_time ? admission_.RetryAfterSeconds() : 0,
                        .cause = detail.cause,
                        .sips_required = detail.sips_required},
                       storage);
    Answer(source, status, detail.phrase.empty() ? text.phrase : detail.phrase, headers,
           detail.parsed);
  }
  if (source.connection != nullptr && (detail.closes || text.closes_connection)) {
    source.connection->Close(ConnectionCloseReason::kPolicy);
  }
}

void EdgeProxy::Answer(const MessageSource& source, uint16_t status, std::string_view phrase,
                       std::string_view headers, bool parsed) {
  ResponseParts parts;
  parts.status = status;
  parts.reason = phrase;
  parts.extra_headers = headers;
  parts.request_parsed = parsed;
  LocalTag::Text tag;
  std::optional<ViaMark> mark;
  if (parsed) {
    mark.emplace(view_.top_via(), source.address);
    parts.via_received = mark->received;
    parts.via_rport = mark->rport;
    tag = local_tag_.Make(view_.call_id(), view_.top_via().branch);
    if (status != 100) parts.to_tag = {tag.data(), tag.size()};
  } else {
    tag = local_tag_.Make({}, {});
    parts.to_tag = {tag.data(), tag.size()};
  }
  if (status >= 200 && context_.log.Enabled(core::LogLevel::kDebug)) {
    LogRequest(context_, view_, WayFrom(source), status);
  }
  const size_t size = WriteResponse(parts, view_, context_.send_scratch);
  const bool is_sent =
      size > 0 &&
      (source.connection != nullptr
           ? source.connection->Send(std::string_view(context_.send_scratch.data(), size))
           : SendOn(ReplyPathOf(source), {context_.send_scratch.data(), size}));
  if (!is_sent) return;
  CountResponse(status, FinalSource::kLocal);
}

// RFC 3261 §18.2.2, RFC 3581 §4: back over the connection, or to the source address; there to the
// port that it came from if rport asks for that, else to the one that Via names. The inside may
// name another address in maddr; the outside would make us shoot at others with that.
ReplyPath EdgeProxy::ReplyPathOf(const MessageSource& source) const {
  ReplyPath path;
  path.zone = source.zone;
  path.listener = static_cast<uint16_t>(source.listener);
  const bool has_via = view_.Has(HeaderId::kVia);
  const Via& via = view_.top_via();
  const uint16_t named = has_via && via.port != 0 ? via.port : uint16_t{5060};
  if (source.connection != nullptr) {
    path.connection = source.connection->id();
    path.address = source.address.WithPort(named);
    path.is_tls = source.connection->is_tls();
    return path;
  }
  if (has_via && !via.maddr.empty() && source.zone == Zone::kInside) {
    const auto wanted = core::SocketAddress::FromHost(via.maddr, named);
    if (wanted.has_value() && wanted->family() == source.address.family()) {
      path.address = *wanted;
      return path;
    }
  }
  path.address = source.address.WithPort(has_via && via.has_rport ? source.address.port() : named);
  return path;
}

// -- Final responses of a transaction ----------------------------------------------------------

void EdgeProxy::FinishLocally(Transaction& transaction, ReasonCode reason, std::string_view cause) {
  transaction.core::ListLink::Unlink();
  if (transaction.is_probe) return FinishProbe(transaction, ProbeAnswer::kUnknown);
  if (transaction.is_ack) {
    DropWaitingAck(transaction, cause);
    return EraseTransaction(transaction);
  }
  if (transaction.is_answered) return FinishWith(transaction, 0, {}, {});  // By another target.
  if (transaction.cancel != CancelState::kNone && reason != ReasonCode::kTimeout) {
    return FinishWith(transaction, 487, "Request Terminated", {});  // It was not wanted any more.
  }
  context_.Count(context_.metrics.requests_rejected.Slot(reason));
  if (reason == ReasonCode::kFlowGone) {
    const bool is_elsewhere = transaction.far.flow.is_known() &&
                              transaction.far.flow.process != context_.snapshot->process;
    context_.Count(context_.metrics.sip_flow_failures.Slot(is_elsewhere ? FlowFailure::kElsewhere
                                                                        : FlowFailure::kGone));
  }
  if (!ParseStored(transaction)) return FinishWith(transaction, 0, {}, {});
  const ReasonText& text = TextOf(reason);
  uint16_t status = text.status;
  std::string_view phrase = text.phrase;
  // §16.7 step 6: 503 only if nothing else that we could be asked would fare better.
  if (reason == ReasonCode::kNextHopUnreachable && transaction.reply.zone == Zone::kOutside &&
      OthersAreHealthy(transaction)) {
    status = 500;
    phrase = "Server Internal Error";
  }
  LogRefusedRequest(context_, stored_,
                    {.peer = transaction.peer,
                     .reason = reason,
                     .status = status,
                     .phrase = text.phrase,
                     .cause = cause},
                    WayOf(transaction));
  std::array<char, kRefusalHeaderBytesMax> storage;
  const std::string_view headers =
      RefusalHeaders(reason, stored_,
                     {.edge = context_.snapshot->config.domain,
                      .retry_after_seconds = text.retry_after ? admission_.RetryAfterSeconds() : 0,
                      .cause = cause},
                     storage);
  FinishWith(transaction, status, phrase, headers);
}

// Status 0: there is nothing to make an answer from.
void EdgeProxy::FinishWith(Transaction& transaction, uint16_t status, std::string_view phrase,
                           std::string_view headers) {
  transaction.client = ClientState::kTerminated;
  const ServerStep step = transaction.is_invite()
                              ? AdvanceInviteServer(transaction.server, ServerEvent::kFailure,
                                                    transaction.reply_is_reliable)
                              : AdvanceNonInviteServer(transaction.server, ServerEvent::kFailure,
                                                       transaction.reply_is_reliable);
  transaction.server = step.next;
  NoteAnswered(transaction);
  if (step.action == ServerAction::kSend && status != 0) {
    // The request as the peer sent it: without our lines in front.
    std::byte* const bytes = transaction.request.data();
    const size_t rest_at = transaction.start_line_bytes + transaction.head_bytes;
    std::memmove(bytes + transaction.start_line_bytes, bytes + rest_at,
                 transaction.request_bytes - rest_at);
    transaction.request_bytes -= transaction.head_bytes;
    transaction.head_bytes = 0;
    if (ParseStored(transaction)) {
      const LocalTag::Text tag = local_tag_.Make(stored_.call_id(), stored_.top_via().branch);
      const size_t size = WriteResponse({.status = status,
                                         .reason = phrase,
                                         .to_tag = {tag.data(), tag.size()},
                                         .vias = transaction.withheld_via_lines(),
                                         .via_received = stored_.top_via().received,
                                         .via_rport = stored_.top_via().rport,
                                         .extra_headers = headers},
                                        stored_, context_.send_scratch);
      static_cast<void>(SendReply(transaction, {context_.send_scratch.data(), size}, status,
                                  FinalSource::kLocal));
    }
  }
  SettleTransaction(transaction);
}

// -- What goes no further ----------------------------------------------------------------------

void EdgeProxy::DropResponse(ResponseDropReason reason, const ResponseSource& source,
                             const Endpoint* endpoint, std::string_view cause) {
  context_.Count(context_.metrics.sip_responses_dropped.Slot(reason));
  LogDroppedResponse(context_, reason,
                     {.status = view_.status_code(),
                      .call_id = RawValueOf(view_, HeaderId::kCallId),
                      .cseq = RawValueOf(view_, HeaderId::kCSeq),
                      .zone = source.zone,
                      .peer = source.peer,
                      .address = source.address,
                      .connection = source.connection,
                      .next_hop = NextHopNameOf(endpoint, *context_.snapshot),
                      .cause = cause});
}

void EdgeProxy::DropReply(ResponseDropReason reason, const Transaction& transaction,
                          std::string_view response) {
  context_.Count(context_.metrics.sip_responses_dropped.Slot(reason));
  MessageView dropped;
  static_cast<void>(ParseMessage(response, Framing::kDatagram, dropped));
  DroppedMessage message = DroppedOf(transaction);
  message.status = dropped.status_code();
  message.call_id = RawValueOf(dropped, HeaderId::kCallId);
  message.cseq = RawValueOf(dropped, HeaderId::kCSeq);
  message.next_hop = NextHopNameOf(endpoints_.Find(transaction.endpoint), *context_.snapshot);
  LogDroppedResponse(context_, reason, message);
}

void EdgeProxy::DropAck(AckDropReason reason, const MessageSource& source, std::string_view cause) {
  context_.Count(context_.metrics.sip_acks_dropped.Slot(reason));
  DroppedMessage message{.call_id = RawValueOf(view_, HeaderId::kCallId),
                         .cseq = RawValueOf(view_, HeaderId::kCSeq),
                         .zone = source.zone,
                         .peer = source.peer(),
                         .address = source.address,
                         .cause = cause};
  if (source.connection != nullptr) message.connection = source.connection->id();
  LogDroppedAck(context_, reason, message);
}

void EdgeProxy::DropWaitingAck(const Transaction& transaction, std::string_view cause) {
  context_.Count(context_.metrics.sip_acks_dropped.Slot(AckDropReason::kNoTransaction));
  DroppedMessage message = DroppedOf(transaction);
  if (ParseStored(transaction)) {
    message.call_id = RawValueOf(stored_, HeaderId::kCallId);
    message.cseq = RawValueOf(stored_, HeaderId::kCSeq);
  }
  message.next_hop = NextHopNameOf(endpoints_.Find(transaction.endpoint), *context_.snapshot);
  message.cause = cause;
  LogDroppedAck(context_, AckDropReason::kNoTransaction, message);
}

void EdgeProxy::LogOutcome(const Transaction& transaction, uint16_t status) {
  if (!context_.log.Enabled(core::LogLevel::kDebug) || transaction.is_probe) return;
  if (ParseStored(transaction)) LogRequest(context_, stored_, WayOf(transaction), status);
}

void EdgeProxy::CountResponse(uint16_t status, FinalSource source) {
  const EdgeMetrics& metrics = context_.metrics;
  context_.Count(metrics.sip_responses.Slot(MetricDirection::kOut, status / 100 - 1));
  if (status < 200) return;
  context_.Count(metrics.sip_final_responses.Slot(EdgeMetrics::FinalCodeLabel(status), source));
}

void EdgeProxy::ObserveResponseTime(const Transaction& transaction) {
  const Endpoint* const endpoint = endpoints_.Find(transaction.endpoint);
  if (endpoint == nullptr) return;
  const absl::Duration waited = context_.reactor().now() - transaction.sent_at;
  context_.metrics.upstream_response.Observe(
      context_.stats, static_cast<uint64_t>(absl::ToInt64Nanoseconds(waited)), endpoint->label);
}

// -- Health ------------------------------------------------------------------------------------

void EdgeProxy::OnTick() {
  endpoints_.Sweep();
  LearnInsideHosts();
  if (context_.shard.index() == kProberShard && !draining_) ProbeTargets();
}

uint64_t EdgeProxy::HealthyNextHops() const {
  uint64_t healthy = 0;
  const core::MonotonicTime now = context_.reactor().now();
  for (size_t i = 0; i < pinned_.size() && i < 64; ++i) {
    const bool is_healthy =
        std::any_of(pinned_[i].begin(), pinned_[i].end(), [this, now](const PinnedTarget& target) {
          const TargetHealth* const health = HealthOf(target);
          // A trial does not make it healthy; its answer does.
          return health == nullptr ||
                 (health->state() == HealthState::kUp && health->IsUsable(now));
        });
    if (is_healthy) healthy |= uint64_t{1} << i;
  }
  return healthy;
}

bool EdgeProxy::OthersAreHealthy(const Transaction& transaction) const {
  const std::vector<NextHopConfig>& next_hops = context_.snapshot->config.next_hops;
  const core::MonotonicTime now = context_.reactor().now();
  const auto end = transaction.targets.begin() + transaction.target_count;
  for (size_t i = 0; i < pinned_.size(); ++i) {
    if (next_hops[i].zone != Zone::kInside) continue;
    for (const PinnedTarget& target : pinned_[i]) {
      const Endpoint* const endpoint = endpoints_.Find(target.endpoint);
      if (endpoint == nullptr || !endpoint->health->IsUsable(now)) continue;
      if (std::find(transaction.targets.begin(), end, target.endpoint) == end) return true;
    }
  }
  return false;
}

const TargetHealth* EdgeProxy::HealthOf(const PinnedTarget& target) const {
  if (target.health.has_value()) return &*target.health;
  const Endpoint* const endpoint = endpoints_.Find(target.endpoint);
  return endpoint == nullptr ? nullptr : &*endpoint->health;
}

void EdgeProxy::NoteHealth(Endpoint& endpoint, HealthChange change) {
  if (change == HealthChange::kNone) return;
  if (change == HealthChange::kSuspected) return Ask(endpoint);
  LogHealth(context_, change, NextHopNameOf(&endpoint, *context_.snapshot),
            endpoint.key.address.ToString(), endpoint.key.transport);
  if (change != HealthChange::kWentDown) return;
  // Requests that wait for it may be served by another.
  endpoints_.GiveUp(endpoint, {ReasonCode::kNextHopUnreachable, "the next hop does not answer"});
}

void EdgeProxy::ProbeTargets() {
  const core::MonotonicTime now = context_.reactor().now();
  const std::vector<NextHopConfig>& next_hops = context_.snapshot->config.next_hops;
  for (size_t i = 0; i < next_hops.size(); ++i) {
    if (next_hops[i].health_interval <= absl::ZeroDuration() || now < next_probe_[i]) continue;
    next_probe_[i] = now + next_hops[i].health_interval;
    for (size_t target = 0; target < pinned_[i].size(); ++target) SendProbe(i, target);
  }
}

void EdgeProxy::SendProbe(size_t next_hop, size_t target) {
  const NextHopConfig& config = context_.snapshot->config.next_hops[next_hop];
  const NextHopTarget& asked = config.targets[target];
  const std::string place = asked.is_named()           ? asked.host
                            : !config.identity.empty() ? config.identity
                                                       : asked.address.ToString();
  Transaction* const transaction = CreateProbe(asked.listener, place, config.health_timeout);
  if (transaction == nullptr) return;
  transaction->next_hop = static_cast<uint16_t>(next_hop);
  transaction->asked_target = static_cast<uint16_t>(target);
  if (!asked.is_named()) {
    AddTarget(*transaction, KeyOf(config, asked));
    return TryNextTarget(*transaction);
  }
  switch (ListNamedTarget(*transaction, config, asked)) {
    case Finding::kFound:
      return TryNextTarget(*transaction);
    case Finding::kPending:
      return ScheduleDeadline(*transaction, config.health_timeout);
    case Finding::kNothing:
      return FinishProbe(*transaction, ProbeAnswer::kUnknown);
  }
}

// A flow is as good as its connection.
void EdgeProxy::Ask(Endpoint& suspect) {
  if (draining_ || suspect.key.kind == EndpointKind::kFlow) {
    return FinishAsked(suspect.id, ProbeAnswer::kUnknown, {});
  }
  const bool is_configured = suspect.pinned == context_.snapshot->version;
  const absl::Duration timeout =
      is_configured ? context_.snapshot->config.next_hops[suspect.next_hop].health_timeout
                    : kAskTimeout;
  Transaction* const transaction = CreateProbe(
      suspect.key.listener,
      suspect.identity.empty() ? suspect.key.address.ToString() : suspect.identity, timeout);
  if (transaction == nullptr) return FinishAsked(suspect.id, ProbeAnswer::kUnknown, {});
  transaction->suspect = suspect.id;
  AddTarget(*transaction, suspect.key);
  TryNextTarget(*transaction);
}

// Its timers, its branch and its endpoint are like any other's.
Transaction* EdgeProxy::CreateProbe(size_t listener, const std::string& place,
                                    absl::Duration timeout) {
  if (transactions_.full()) return nullptr;
  Transaction* const transaction = transactions_.Create(0, OnRetransmitTimer, OnDeadlineTimer);
  transaction->owner = this;
  transaction->method = Method::kOptions;
  transaction->is_probe = true;
  transaction->is_answered = true;
  transaction->server = ServerState::kTerminated;
  transaction->snapshot = context_.snapshot->version;
  transaction->probe_timeout = timeout;
  if (WriteProbe(listener, place, *transaction)) return transaction;
  EraseTransaction(*transaction);
  return nullptr;
}

// From and Contact name us by what our certificate proves: some peers insist on it.
bool EdgeProxy::WriteProbe(size_t listener, const std::string& place, Transaction& transaction) {
  constexpr uint32_t kProbeBytesMax = 2048;
  transaction.request = context_.reactor().buffers().Lease(kProbeBytesMax);
  if (!transaction.request) return false;
  const Egress& egress = context_.snapshot->EgressOf(listener);
  const std::string& domain = context_.snapshot->config.domain;
  const uint64_t random = tls::RandomUint64();
  const char* const transport = egress.transport == TransportProtocol::kTls   ? ";transport=tls"
                                : egress.transport == TransportProtocol::kTcp ? ";transport=tcp"
                                                                              : "";
  const int size =
      std::snprintf(reinterpret_cast<char*>(transaction.request.data()), kProbeBytesMax,
                    "OPTIONS sip:%s SIP/2.0\r\n"
                    "Max-Forwards: 70\r\n"
                    "From: <sip:%s>;tag=%016llx\r\n"
                    "To: <sip:%s>\r\n"
                    "Call-ID: %016llx@%s\r\n"
                    "CSeq: 1 OPTIONS\r\n"
                    "Contact: <sip:%s:%u%s>\r\n"
                    "User-Agent: Sallyport\r\n"
                    "Content-Length: 0\r\n\r\n",
                    place.c_str(), domain.c_str(), static_cast<unsigned long long>(random),
                    place.c_str(), static_cast<unsigned long long>(~random), domain.c_str(),
                    egress.host.c_str(), unsigned{egress.port}, transport);
  if (size <= 0 || static_cast<uint32_t>(size) >= kProbeBytesMax) return false;
  transaction.request_bytes = static_cast<uint32_t>(size);
  const std::string_view text(reinterpret_cast<const char*>(transaction.request.data()),
                              transaction.request_bytes);
  transaction.start_line_bytes = static_cast<uint32_t>(text.find("\r\n") + 2);
  return true;
}

void EdgeProxy::FinishProbe(Transaction& transaction, ProbeAnswer answer,
                            absl::Duration retry_after) {
  const bool is_alive = answer == ProbeAnswer::kAlive;
  const HealthMail mail{transaction.snapshot, transaction.next_hop, transaction.asked_target,
                        is_alive ? 1U : 0U};
  const EndpointId suspect = transaction.suspect;
  const EndpointId asked = transaction.endpoint;
  transaction.core::ListLink::Unlink();
  EraseTransaction(transaction);
  if (suspect != EndpointId()) {
    endpoints_.CloseProbing(asked);
    return FinishAsked(suspect, answer, retry_after);
  }
  if (mail.snapshot != context_.snapshot->version) return;
  const NextHopConfig& config = context_.snapshot->config.next_hops[mail.next_hop];
  CountProbe(context_.metrics.NextHopLabel(config.name), is_alive);
  ApplyProbe(mail.next_hop, mail.target, is_alive);
  for (uint32_t shard = 0; shard < context_.shard.shards(); ++shard) {
    if (shard == context_.shard.index()) continue;
    static_cast<void>(context_.shard.Post(shard, kMailHealth, std::as_bytes(std::span(&mail, 1))));
  }
}

void EdgeProxy::FinishAsked(EndpointId suspect, ProbeAnswer answer, absl::Duration retry_after) {
  Endpoint* const endpoint = endpoints_.Find(suspect);
  if (endpoint == nullptr) return;
  if (answer != ProbeAnswer::kUnknown) CountProbe(endpoint->label, answer == ProbeAnswer::kAlive);
  NoteHealth(*endpoint, endpoint->health->OnAsked(context_.reactor().now(), answer, retry_after));
}

void EdgeProxy::CountProbe(size_t label, bool is_alive) {
  context_.Count(context_.metrics.upstream_health_checks.Slot(
      label, is_alive ? ProbeResult::kOk : ProbeResult::kFailed));
}

void EdgeProxy::ApplyProbe(size_t next_hop, size_t target, bool is_alive) {
  if (next_hop >= pinned_.size() || target >= pinned_[next_hop].size()) return;
  const core::MonotonicTime now = context_.reactor().now();
  PinnedTarget& pinned = pinned_[next_hop][target];
  if (pinned.health.has_value()) {
    const HealthChange change = pinned.health->OnProbe(now, is_alive);
    const NextHopConfig& config = context_.snapshot->config.next_hops[next_hop];
    if (change == HealthChange::kNone) return;
    return LogHealth(context_, change, config.name, config.targets[target].host,
                     config.targets[target].transport);
  }
  Endpoint* const endpoint = endpoints_.Find(pinned.endpoint);
  if (endpoint == nullptr) return;
  NoteHealth(*endpoint, endpoint->health->OnProbe(now, is_alive));
}

}  // namespace sallyport::sip
