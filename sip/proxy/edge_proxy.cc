#include "sip/proxy/edge_proxy.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/check.h"
#include "sip/message/message_writer.h"
#include "sip/policy/judge.h"
#include "sip/proxy/forwarding.h"
#include "sip/proxy/request_validation.h"
#include "sip/proxy/route_selection.h"
#include "tls/random.h"

namespace sallyport::sip {
namespace {

constexpr size_t kRefusalHeaderBytesMax = 1024;

MessageKind KindOf(const MessageView& request) {
  if (request.method() == Method::kInvite) return MessageKind::kInvite;
  if (request.method() == Method::kRegister) return MessageKind::kRegister;
  return request.to().tag.empty() ? MessageKind::kOther : MessageKind::kInDialog;
}

ParseErrorReason LabelOf(ParseOutcome outcome) {
  switch (outcome) {
    case ParseOutcome::kBadStartLine:
    case ParseOutcome::kBadVersion:
      return ParseErrorReason::kStartLine;
    case ParseOutcome::kBadRequestUri:
      return ParseErrorReason::kUri;
    case ParseOutcome::kMissingContentLength:
    case ParseOutcome::kRepeatedContentLength:
    case ParseOutcome::kBadContentLength:
    case ParseOutcome::kBadBody:
      return ParseErrorReason::kLength;
    case ParseOutcome::kTooManyHeaders:
      return ParseErrorReason::kTooLarge;
    default:
      return ParseErrorReason::kHeader;
  }
}

// Which row of the verdict table a syntax error belongs to.
ReasonCode ReasonOf(ParseOutcome outcome) {
  if (IsFromOutcome(outcome)) return ReasonCode::kFromMalformed;
  switch (outcome) {
    case ParseOutcome::kBadVersion:
      return ReasonCode::kVersion;
    case ParseOutcome::kTooManyHeaders:
      return ReasonCode::kTooLarge;
    case ParseOutcome::kMissingContentLength:
    case ParseOutcome::kRepeatedContentLength:
    case ParseOutcome::kBadContentLength:
      return ReasonCode::kFraming;
    default:
      return ReasonCode::kMalformed;
  }
}

IdentityCheckResult LabelOf(const IdentityDecision& decision) {
  if (decision.accepted) return IdentityCheckResult::kPass;
  return decision.reason == ReasonCode::kNoIdentity ? IdentityCheckResult::kNoIdentity
                                                    : IdentityCheckResult::kMismatch;
}

// What the peer's Via is told about where its request came from.
struct ViaMark {
  std::array<char, core::SocketAddress::kTextBytesMax> host;
  std::array<char, 8> port;
  std::string_view received;  // Empty: sent-by says it already and no rport asks.
  std::string_view rport;

  ViaMark(const Via& via, const core::SocketAddress& source) {
    if (via.has_rport) {
      const int size = std::snprintf(port.data(), port.size(), "%u", unsigned{source.port()});
      rport = {port.data(), static_cast<size_t>(size)};
    }
    const std::optional<core::SocketAddress> sent_by = core::SocketAddress::FromHost(via.host, 0);
    if (via.has_rport || !sent_by.has_value() || !sent_by->HasSameHost(source)) {
      received = {host.data(), source.PrintHost(host)};
    }
  }
};

}  // namespace

EdgeProxy::EdgeProxy(ShardContext& context, ConnectionTable& connections, const ProxyKeys& keys,
                     uint32_t transactions_max)
    : context_(context),
      connections_(connections),
      signer_(keys.branch),
      local_tag_(keys.to_tag),
      transactions_(transactions_max, keys.transaction),
      next_hops_(context, *this) {}

EdgeProxy::~EdgeProxy() = default;

// -- Requests from outside ---------------------------------------------------------------------

void EdgeProxy::OnFrame(Connection& connection, const Frame& frame, std::string_view unread) {
  if (connection.zone() == Zone::kOutside) return OnOutsideFrame(connection, frame, unread);
  if (frame.outcome != FrameOutcome::kMessage) {
    context_.Count(context_.metrics.sip_parse_errors.Slot(ParseErrorReason::kFraming));
    return connection.Close(ConnectionCloseReason::kError);
  }
  OnInsideMessage(frame.bytes, Framing::kStream, {connection.peer(), &connection, nullptr});
}

void EdgeProxy::OnOutsideFrame(Connection& connection, const Frame& frame,
                               std::string_view unread) {
  if (frame.outcome != FrameOutcome::kMessage) return OnBadFraming(connection, frame, unread);
  const core::MonotonicTime begin = context_.reactor().io().MonotonicNow();
  const LimitsConfig& limits = context_.snapshot->config.limits;
  const ParseOutcome outcome =
      ParseMessage(frame.bytes, Framing::kStream, view_, limits.headers_max);
  if (!view_.is_request()) {
    // Nothing was asked on this connection, so no answer can belong to anything.
    DropResponse(outcome == ParseOutcome::kOk ? ResponseDropReason::kSource
                                              : ResponseDropReason::kMalformed);
    if (LosesFraming(outcome)) connection.Close(ConnectionCloseReason::kError);
    return;
  }
  context_.Count(context_.metrics.sip_requests.Slot(MetricDirection::kIn, view_.method()));
  if (outcome != ParseOutcome::kOk) {
    context_.Count(context_.metrics.sip_parse_errors.Slot(LabelOf(outcome)));
    const ReasonCode reason = ReasonOf(outcome);
    const std::string_view phrase =
        reason == ReasonCode::kMalformed ? ParseOutcomeText(outcome) : std::string_view();
    return Refuse(connection, reason,
                  {.phrase = phrase, .closes = LosesFraming(outcome), .parsed = false});
  }
  OnRequest(connection);
  const core::MonotonicTime end = context_.reactor().io().MonotonicNow();
  context_.metrics.sip_message_processing.Observe(
      context_.stats, static_cast<uint64_t>(end.nanoseconds - begin.nanoseconds), KindOf(view_));
}

// The next boundary is unknown: answer as well as the bytes that are there allow, then close.
void EdgeProxy::OnBadFraming(Connection& connection, const Frame& frame, std::string_view unread) {
  const bool is_too_large = frame.outcome == FrameOutcome::kTooLarge;
  context_.Count(context_.metrics.sip_parse_errors.Slot(is_too_large ? ParseErrorReason::kTooLarge
                                                                     : ParseErrorReason::kFraming));
  const std::string_view readable = frame.bytes.empty() ? unread : frame.bytes;
  static_cast<void>(ParseMessage(readable, Framing::kStream, view_,
                                 context_.snapshot->config.limits.headers_max));
  Refuse(connection, is_too_large ? ReasonCode::kTooLarge : ReasonCode::kFraming,
         {.closes = true, .parsed = false});
}

// The order of judging, one step after the other (the interface document, "The order of judging").
void EdgeProxy::OnRequest(Connection& connection) {
  if (!PassesJudgement(connection)) return;
  if (view_.method() == Method::kAck) return OnAck(connection);
  if (view_.method() == Method::kCancel) return OnCancel(connection);

  const uint64_t key = transactions_.KeyOf(connection.peer_key(), view_);
  if (transactions_.FindByKey(key) != nullptr) {  // The same request again: §17.2.
    return context_.Count(context_.metrics.sip_retransmissions.Slot(MetricDirection::kIn));
  }
  const uint32_t loop_hash = LoopHash(view_);
  const RouteSelection route = SelectRoute(view_, context_.snapshot->names);
  if (route.outcome == RouteOutcome::kAnswerItself) return Answer(connection, 200, "OK", {}, true);
  if (const auto reason = ValidateRequest(view_, loop_hash, signer_)) {
    return Refuse(connection, *reason);
  }
  if (route.outcome == RouteOutcome::kRelay) return Refuse(connection, ReasonCode::kRelay);
  const std::optional<NextHopPool::Place> place = next_hops_.Pick();
  if (!place.has_value()) {
    return Refuse(connection, ReasonCode::kNextHopUnreachable,
                  {.cause = "no next hop is reachable"});
  }
  if (!PassesSips(connection, *place)) return;
  if (draining_ && view_.to().tag.empty()) return Refuse(connection, ReasonCode::kOverload);
  if (transactions_.full()) return Refuse(connection, ReasonCode::kLimit);
  Forward(connection, *place, key, loop_hash, route.removes_top_route);
}

bool EdgeProxy::PassesJudgement(Connection& connection) {
  DCHECK(connection.standing() != nullptr);
  const IdentityDecision decision = JudgeRequest(*connection.standing(), view_);
  context_.Count(context_.metrics.identity_checks.Slot(LabelOf(decision)));
  if (decision.accepted) return true;
  Refuse(connection, decision.reason);
  return false;
}

void EdgeProxy::OnAck(Connection& connection) {
  Transaction* const transaction =
      transactions_.FindByKey(transactions_.KeyOf(connection.peer_key(), view_));
  if (transaction != nullptr && transaction->server != ServerState::kAccepted) {
    // It acknowledges a failure and ends here (§17.1.1.3); ours to the next hop has gone long ago.
    transaction->server = AdvanceInviteServer(transaction->server, ServerEvent::kAck).next;
    return SettleTransaction(*transaction);
  }
  if (transaction == nullptr && local_tag_.IsAckOfOurs(view_)) return;
  // The ACK of a 2xx is a request of its own (§13.2.2.4): judged above, forwarded without state.
  const RouteSelection route = SelectRoute(view_, context_.snapshot->names);
  if (ValidateRequest(view_, LoopHash(view_), signer_).has_value() ||
      route.outcome != RouteOutcome::kInside) {
    return DropAck(AckDropReason::kNoTransaction);
  }
  ForwardAck(connection, route.removes_top_route);
}

void EdgeProxy::ForwardAck(Connection& connection, bool removes_top_route) {
  const std::optional<NextHopPool::Place> place = next_hops_.Pick();
  // No transaction: the branch names no slot, and no response will want one (§16.11).
  const Branch branch{static_cast<uint8_t>(context_.shard.index()), 0, 0, LoopHash(view_)};
  if (!place.has_value() || !WriteForwarded(connection, *place, branch, removes_top_route)) {
    return DropAck(AckDropReason::kNoTransaction);
  }
  const size_t size = edit_.CopyTo(context_.send_scratch);
  if (size == 0 || !next_hops_.Send(*place, {context_.send_scratch.data(), size})) {
    return DropAck(AckDropReason::kNoTransaction);
  }
  context_.Count(context_.metrics.sip_requests.Slot(MetricDirection::kOut, Method::kAck));
}

void EdgeProxy::OnCancel(Connection& connection) {
  Transaction* const transaction =
      transactions_.FindByKey(transactions_.KeyOf(connection.peer_key(), view_));
  if (transaction == nullptr || !transaction->is_invite()) {
    return Answer(connection, 481, "Call/Transaction Does Not Exist", {}, true);
  }
  Answer(connection, 200, "OK", {}, true);  // §9.2: whatever becomes of the INVITE.
  if (transaction->cancel != CancelState::kNone) return;
  if (transaction->client == ClientState::kProceeding) return SendCancel(*transaction);
  // §9.1: not before the next hop has shown that it has the INVITE.
  if (transaction->client == ClientState::kCalling) transaction->cancel = CancelState::kWanted;
}

// A sips request never leaves on a hop that is not TLS, and no next hop is, so far (RFC 5630 §3.1).
bool EdgeProxy::PassesSips(Connection& connection, NextHopPool::Place place) {
  const SipsPolicy policy = context_.snapshot->config.listeners[connection.listener()].sips;
  const bool is_sips = view_.parsed_request_uri().scheme == Uri::Scheme::kSips;
  const bool is_secure_hop = next_hops_.target(place).transport == TransportProtocol::kTls;
  if (is_sips && (policy == SipsPolicy::kOff || !is_secure_hop)) {
    Refuse(connection, ReasonCode::kSips);
    return false;
  }
  if (!is_sips && policy == SipsPolicy::kRequired) {
    Refuse(connection, ReasonCode::kSips, {.sips_required = true});
    return false;
  }
  return true;
}

void EdgeProxy::Forward(Connection& connection, NextHopPool::Place place, uint64_t key,
                        uint32_t loop_hash, bool removes_top_route) {
  Transaction* const transaction = CreateTransaction(connection, key, place);
  const Branch branch{static_cast<uint8_t>(context_.shard.index()), transaction->id.slot,
                      transaction->id.generation, loop_hash};
  if (!WriteForwarded(connection, place, branch, removes_top_route)) {
    EraseTransaction(*transaction);
    return Refuse(connection, ReasonCode::kTooLarge);
  }
  transaction->request = context_.reactor().buffers().Lease(static_cast<uint32_t>(edit_.size()));
  if (!transaction->request) {
    EraseTransaction(*transaction);
    return Refuse(connection, ReasonCode::kOverload);
  }
  const std::span<std::byte> room = transaction->request.bytes();
  transaction->request_bytes =
      static_cast<uint32_t>(edit_.CopyTo({reinterpret_cast<char*>(room.data()), room.size()}));
  if (!SendToNextHop(*transaction) && !SendToAnotherTarget(*transaction)) {
    EraseTransaction(*transaction);
    return Refuse(connection, ReasonCode::kNextHopUnreachable,
                  {.cause = "the next hop takes no more requests now"});
  }
  if (transaction->is_invite()) Answer(connection, 100, "Trying", {}, true);
}

bool EdgeProxy::WriteForwarded(const Connection& connection, NextHopPool::Place place,
                               const Branch& branch, bool removes_top_route) {
  const ForwardTarget& target = next_hops_.target(place);
  const ViaMark mark(view_.top_via(), connection.peer());
  std::array<char, BranchSigner::kTextBytes> text;
  signer_.Write(branch, text.data());
  edit_.Reset(view_.bytes());
  const std::string_view via_line =
      edit_.Store({target.via_begin, {text.data(), text.size()}, target.via_end});
  EditRequest(view_,
              {.via_line = via_line,
               .received = edit_.Store({mark.received}),
               .rport = edit_.Store({mark.rport}),
               .removes_top_route = removes_top_route,
               .asserted_header = context_.snapshot->config.identity_header},
              edit_);
  return edit_.ok() && edit_.size() <= core::BufferPool::kBlockBytesMax;
}

// -- Messages from the inside ------------------------------------------------------------------

void EdgeProxy::OnDatagram(std::string_view bytes, const core::SocketAddress& source,
                           core::DatagramSocket& socket) {
  if (bytes.find_first_not_of("\r\n") == std::string_view::npos) return;  // A keep-alive.
  OnInsideMessage(bytes, Framing::kDatagram, {source, nullptr, &socket});
}

void EdgeProxy::OnNextHopFrame(Connection& connection, const Frame& frame) {
  if (frame.outcome != FrameOutcome::kMessage) {
    DropResponse(ResponseDropReason::kMalformed);
    return connection.Close(ConnectionCloseReason::kError);
  }
  OnInsideMessage(frame.bytes, Framing::kStream, {connection.peer(), &connection, nullptr});
}

void EdgeProxy::OnInsideMessage(std::string_view bytes, Framing framing,
                                const InsideSource& source) {
  const core::MonotonicTime begin = context_.reactor().io().MonotonicNow();
  const ParseOutcome outcome =
      ParseMessage(bytes, framing, view_, context_.snapshot->config.limits.headers_max);
  if (view_.is_request()) {
    if (outcome == ParseOutcome::kOk) return OnInsideRequest(source);
    return context_.Count(context_.metrics.sip_parse_errors.Slot(LabelOf(outcome)));
  }
  context_.Count(context_.metrics.sip_responses.Slot(MetricDirection::kIn,
                                                     std::max(view_.status_code() / 100, 1) - 1));
  if (outcome != ParseOutcome::kOk) return DropResponse(ResponseDropReason::kMalformed);
  if (!context_.snapshot->IsNextHop(source.address)) {
    return DropResponse(ResponseDropReason::kSource);
  }
  OnResponse(false);
  const core::MonotonicTime end = context_.reactor().io().MonotonicNow();
  context_.metrics.sip_message_processing.Observe(
      context_.stats, static_cast<uint64_t>(end.nanoseconds - begin.nanoseconds),
      MessageKind::kResponse);
}

// Requests towards the outside come with the next version; what probes us is answered.
void EdgeProxy::OnInsideRequest(const InsideSource& source) {
  context_.Count(context_.metrics.sip_requests.Slot(MetricDirection::kIn, view_.method()));
  if (view_.method() == Method::kAck) return DropAck(AckDropReason::kNoTransaction);
  const bool is_probe = view_.method() == Method::kOptions &&
                        view_.parsed_request_uri().user.empty() &&
                        context_.snapshot->names.Serves(view_.parsed_request_uri());
  const ViaMark mark(view_.top_via(), source.address);
  const LocalTag::Text tag = local_tag_.Make(view_.call_id(), view_.top_via().branch);
  std::array<char, kRefusalHeaderBytesMax> headers;
  ResponseParts parts;
  parts.status = 200;
  parts.reason = "OK";
  parts.to_tag = {tag.data(), tag.size()};
  parts.via_received = mark.received;
  parts.via_rport = mark.rport;
  if (!is_probe) {
    const ReasonText& refusal = TextOf(ReasonCode::kNextHopUnreachable);
    parts.status = refusal.status;
    parts.reason = refusal.phrase;
    parts.extra_headers =
        RefusalHeaders(ReasonCode::kNextHopUnreachable, view_,
                       {.edge = context_.snapshot->config.domain,
                        .retry_after_seconds = 3600,
                        .cause = "requests towards the outside are not available in this version"},
                       headers);
    context_.Count(context_.metrics.requests_rejected.Slot(ReasonCode::kNextHopUnreachable));
  }
  const size_t size = WriteResponse(parts, view_, context_.send_scratch);
  if (size == 0) return;
  const std::string_view response(context_.send_scratch.data(), size);
  context_.Count(
      context_.metrics.sip_responses.Slot(MetricDirection::kOut, parts.status / 100 - 1));
  if (source.connection != nullptr) {
    source.connection->Send(response);
    return;
  }
  // RFC 3261 §18.2.2, RFC 3581 §4: to the source address; its port if rport asks for that.
  const uint16_t port = view_.top_via().has_rport   ? source.address.port()
                        : view_.top_via().port != 0 ? view_.top_via().port
                                                    : uint16_t{5060};
  static_cast<void>(
      source.socket->Send(source.address.WithPort(port), std::as_bytes(std::span(response))));
}

void EdgeProxy::OnResponseMail(std::string_view bytes) {
  // The other shard has parsed it and checked where it came from.
  if (ParseMessage(bytes, Framing::kDatagram, view_,
                   context_.snapshot->config.limits.headers_max) == ParseOutcome::kOk) {
    OnResponse(true);
  }
}

// §16.7: matched by the branch that we wrote, wherever it arrived.
void EdgeProxy::OnResponse(bool is_own_shard_checked) {
  const std::optional<Branch> branch = signer_.Read(view_.top_via().branch);
  if (!branch.has_value()) return DropResponse(ResponseDropReason::kBranch);
  if (branch->shard != context_.shard.index()) {
    if (is_own_shard_checked || branch->shard >= context_.shard.shards() ||
        !context_.shard.Post(branch->shard, kMailResponse,
                             std::as_bytes(std::span(view_.bytes())))) {
      DropResponse(ResponseDropReason::kNoTransaction);
    }
    return;
  }
  Transaction* const transaction = transactions_.Find({branch->slot, branch->generation});
  if (transaction == nullptr) return DropResponse(ResponseDropReason::kNoTransaction);
  if (transaction->is_invite() && view_.cseq().method == Method::kCancel) {
    return OnCancelResponse(*transaction);
  }
  if (view_.cseq().method != transaction->method) {
    return DropResponse(ResponseDropReason::kMalformed);
  }
  ApplyResponse(*transaction);
}

// -- Answers -----------------------------------------------------------------------------------

void EdgeProxy::Refuse(Connection& connection, ReasonCode reason, const RefusalDetail& detail) {
  const ReasonText& text = TextOf(reason);
  context_.Count(context_.metrics.requests_rejected.Slot(reason));
  LogRefusal(connection, reason, view_.is_request() ? view_.method_text() : std::string_view());
  const bool is_answered =
      view_.is_request() && view_.method() != Method::kAck && view_.Has(HeaderId::kVia);
  if (view_.method() == Method::kAck) DropAck(AckDropReason::kRefused);
  if (is_answered) {
    std::array<char, kRefusalHeaderBytesMax> storage;
    const std::string_view headers =
        RefusalHeaders(reason, view_,
                       {.edge = context_.snapshot->config.domain,
                        .retry_after_seconds = text.retry_after ? RetryAfterSeconds() : 0,
                        .cause = detail.cause,
                        .sips_required = detail.sips_required},
                       storage);
    Answer(connection, text.status, detail.phrase.empty() ? text.phrase : detail.phrase, headers,
           detail.parsed);
  }
  if (detail.closes || text.closes_connection) connection.Close(ConnectionCloseReason::kPolicy);
}

void EdgeProxy::LogRefusal(const Connection& connection, ReasonCode reason,
                           std::string_view method) {
  const core::LogAdmission admission = context_.log_limits.Admit(
      static_cast<uint32_t>(reason), connection.peer_key(), context_.reactor().now().nanoseconds);
  if (!admission.write) {
    return context_.Count(context_.metrics.log_records_suppressed.Slot(reason));
  }
  const PeerStanding* const standing = connection.standing();
  context_.log.Write(
      core::LogLevel::kInfo, "request-refused", TextOf(reason).phrase,
      {{"reason", CodeText(reason)},
       {"status", TextOf(reason).status},
       {"method", method},
       {"listener", context_.snapshot->config.listeners[connection.listener()].name},
       {"identities", standing == nullptr ? std::string() : standing->identities.List()},
       {"address", connection.peer().ToString()},
       {"suppressed", admission.suppressed}});
}

void EdgeProxy::Answer(Connection& connection, uint16_t status, std::string_view phrase,
                       std::string_view headers, bool parsed) {
  ResponseParts parts;
  parts.status = status;
  parts.reason = phrase;
  parts.extra_headers = headers;
  parts.request_parsed = parsed;
  LocalTag::Text tag;
  std::optional<ViaMark> mark;
  if (parsed) {
    mark.emplace(view_.top_via(), connection.peer());
    parts.via_received = mark->received;
    parts.via_rport = mark->rport;
    tag = local_tag_.Make(view_.call_id(), view_.top_via().branch);
    if (status != 100) parts.to_tag = {tag.data(), tag.size()};
  } else {
    tag = local_tag_.Make({}, {});
    parts.to_tag = {tag.data(), tag.size()};
  }
  const size_t size = WriteResponse(parts, view_, context_.send_scratch);
  if (size == 0 || !connection.Send(std::string_view(context_.send_scratch.data(), size))) return;
  context_.Count(context_.metrics.sip_responses.Slot(MetricDirection::kOut, status / 100 - 1));
}

void EdgeProxy::DropResponse(ResponseDropReason reason) {
  context_.Count(context_.metrics.sip_responses_dropped.Slot(reason));
}

void EdgeProxy::DropAck(AckDropReason reason) {
  context_.Count(context_.metrics.sip_acks_dropped.Slot(reason));
}

// Spread over some seconds, so that those who were turned away do not come back all at once.
unsigned EdgeProxy::RetryAfterSeconds() {
  constexpr unsigned kLeast = 2;
  constexpr unsigned kSpread = 8;
  return kLeast + static_cast<unsigned>(tls::RandomUint64() % kSpread);
}

}  // namespace sallyport::sip
