// Responses in, and what the transaction machines make of them: forwarding, failing over, timers
// and losses. What may happen when is in client_transaction.h and server_transaction.h.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "core/check.h"
#include "sip/message/message_writer.h"
#include "sip/proxy/answer_routes.h"
#include "sip/proxy/edge_proxy.h"
#include "sip/proxy/forwarding.h"
#include "sip/proxy/mail_kinds.h"
#include "sip/proxy/way_back.h"

namespace sallyport::sip {
namespace {

// What HideOverload and the like may add.
constexpr size_t kResponseRoomBytes = 512;
static_assert(kMessageBytesMax + kResponseRoomBytes <= kSendScratchBytes);
static_assert(kMessageBytesMax + kHeadBytesMax + kResponseRoomBytes <= kMailScratchBytes);

ServerEvent ServerEventOf(uint16_t status) {
  if (status < 200) return ServerEvent::kProvisional;
  return status < 300 ? ServerEvent::kSuccess : ServerEvent::kFailure;
}

ClientEvent ClientEventOf(uint16_t status) {
  if (status < 200) return ClientEvent::kProvisional;
  return status < 300 ? ClientEvent::kSuccess : ClientEvent::kFailure;
}

ClientStep AdvanceClient(const Transaction& transaction, ClientEvent event) {
  return transaction.is_invite() ? AdvanceInviteClient(transaction.client, event)
                                 : AdvanceNonInviteClient(transaction.client, event);
}

ServerStep AdvanceServer(const Transaction& transaction, ServerEvent event) {
  return transaction.is_invite()
             ? AdvanceInviteServer(transaction.server, event, transaction.reply_is_reliable)
             : AdvanceNonInviteServer(transaction.server, event, transaction.reply_is_reliable);
}

bool IsAnswered(ClientState state) {
  return state == ClientState::kTerminated || state == ClientState::kCompleted ||
         state == ClientState::kAccepted;
}

bool OwesAnswer(ServerState state) {
  return state == ServerState::kTrying || state == ServerState::kProceeding;
}

// Timer G runs (RFC 3261 §17.2.1): a final that the access side has not acknowledged yet.
bool RetransmitsFinal(const Transaction& transaction) {
  return transaction.is_invite() && !transaction.reply_is_reliable &&
         transaction.server == ServerState::kCompleted;
}

std::string_view RequestText(const Transaction& transaction) {
  return {reinterpret_cast<const char*>(transaction.request.data()), transaction.request_bytes};
}

// Our own lines; none any more once we have answered the request ourselves.
std::string_view HeadText(const Transaction& transaction) {
  return RequestText(transaction).substr(transaction.start_line_bytes, transaction.head_bytes);
}

SentVias SentViasOf(const Transaction& transaction) {
  return {RequestText(transaction).substr(transaction.start_line_bytes + transaction.head_bytes),
          transaction.via_lines};
}

// Each is a line of its own.
uint32_t CountRecordRoutes(std::string_view head) {
  constexpr std::string_view kName = "\r\nRecord-Route: ";
  uint32_t count = 0;
  for (size_t at = head.find(kName); at != std::string_view::npos; at = head.find(kName, at + 1)) {
    ++count;
  }
  return count;
}

std::string_view ResponseText(const Transaction& transaction) {
  return {reinterpret_cast<const char*>(transaction.response.data()), transaction.response_bytes};
}

std::string_view CancelReason(const Transaction& transaction) {
  return {reinterpret_cast<const char*>(transaction.cancel_reason.data()),
          transaction.cancel_reason_bytes};
}

std::string_view BroughtRoutes(const Transaction& transaction) {
  return {reinterpret_cast<const char*>(transaction.brought_routes.data()),
          transaction.brought_routes_bytes};
}

// Seconds; nothing where there is none (RFC 3261 §20.33: a comment or parameters may follow).
std::optional<uint32_t> RetryAfterOf(const MessageView& response) {
  const HeaderField* const field = response.First(HeaderId::kRetryAfter);
  if (field == nullptr) return std::nullopt;
  uint32_t seconds = 0;
  const char* const begin = field->value.data();
  const auto [end, error] = std::from_chars(begin, begin + field->value.size(), seconds);
  if (error != std::errc() || end == begin) return std::nullopt;
  return seconds;
}

ProbeAnswer ProbeAnswerOf(uint16_t status) {
  if (status == 503) return ProbeAnswer::kUnavailable;
  return status == 408 ? ProbeAnswer::kSilent : ProbeAnswer::kAlive;
}

}  // namespace

// -- Responses in ------------------------------------------------------------------------------

std::optional<Branch> EdgeProxy::OwnBranch(std::string_view text) const {
  const std::optional<Branch> branch = branches_.ReadOwn(text);
  return branch.has_value() ? branch : branches_before_.ReadOwn(text);
}

// §16.7: matched by the branch that we wrote, wherever it arrived.
void EdgeProxy::OnResponse(const ResponseSource& source) {
  const std::optional<Branch> branch = OwnBranch(view_.top_via().branch);
  if (!branch.has_value()) return DropResponse(ResponseDropReason::kBranch, source);
  if (branch->shard != context_.shard.index()) {
    // One that came by mail is where its branch says, or nowhere.
    const bool has_travelled = source.shard != context_.shard.index();
    if (has_travelled || branch->shard >= context_.shard.shards()) {
      return DropResponse(ResponseDropReason::kNoTransaction, source);
    }
    if (!MailResponse(branch->shard, source)) DropResponse(ResponseDropReason::kOverload, source);
    return;
  }
  Transaction* const transaction = transactions_.Find({branch->slot, branch->generation});
  if (transaction == nullptr || branch->attempt >= transaction->target_count) {
    return DropResponse(ResponseDropReason::kNoTransaction, source);
  }
  Endpoint* const endpoint = endpoints_.Find(transaction->targets[branch->attempt]);
  if (endpoint == nullptr || !IsExpected(*endpoint, source)) {
    return DropResponse(ResponseDropReason::kSource, source, endpoint);
  }
  if (transaction->is_invite() && view_.cseq().method == Method::kCancel) {
    // Timer E of the CANCEL, as long as the timer is that.
    if (view_.status_code() >= 200 && transaction->cancel == CancelState::kSent &&
        branch->attempt == transaction->attempt && !IsAnswered(transaction->client)) {
      transaction->retransmit.Cancel();
    }
    return;
  }
  // Without another Via there is no element below us: it is not for this request (§16.7 step 3).
  const bool has_way_back = view_.Count(HeaderId::kVia) > 1 || !view_.top_via_rest().empty();
  const bool is_its = view_.cseq().method == transaction->method;
  if (!is_its || (!has_way_back && !transaction->is_probe)) {
    return DropResponse(ResponseDropReason::kMalformed, source, endpoint,
                        is_its ? "it has no Via below ours" : "CSeq names another method");
  }
  if (source.zone == Zone::kOutside && !KnowsItsWayBack(*transaction)) {
    return DropResponse(ResponseDropReason::kWayBack, source, endpoint);
  }
  if (branch->attempt != transaction->attempt) {
    return OnLateResponse(source, *transaction, *endpoint);
  }
  if (!transaction->is_sent) {
    return DropResponse(ResponseDropReason::kNoTransaction, source, endpoint);
  }
  ApplyResponse(*transaction);
}

bool EdgeProxy::KnowsItsWayBack(const Transaction& transaction) const {
  if (transaction.is_probe) return true;
  return transaction.request ? HasViasAsSent(view_, SentViasOf(transaction))
                             : HashOfVias(view_, loop_key_) == transaction.kept_vias;
}

// Any peer outside that has ever seen a branch of ours can send as much of this as it likes.
bool EdgeProxy::MailResponse(uint32_t shard, const ResponseSource& source) {
  return source.zone == Zone::kOutside
             ? mail_shares_.Post(MailSenderOf(source), shard, kMailResponse, source, view_.bytes())
             : context_.PostMessage(shard, kMailResponse, source, view_.bytes());
}

// From the outside a response counts on the connection that the request left on, or on one that
// proves the same identity; from the inside, from a next hop's address, whatever the connection.
bool EdgeProxy::IsExpected(const Endpoint& endpoint, const ResponseSource& source) const {
  if (endpoint.key.zone != source.zone) return false;
  if (source.zone == Zone::kInside) {
    return endpoint.key.address.HasSameHost(source.address) ||
           context_.snapshot->IsNextHop(source.address);
  }
  switch (endpoint.key.kind) {
    case EndpointKind::kDatagram:
      return source.connection == ConnectionId() &&
             endpoint.key.address.HasSameHost(source.address);
    case EndpointKind::kFlow:
      if (source.shard == endpoint.key.shard && source.connection == endpoint.key.flow) return true;
      break;
    case EndpointKind::kStream:
      if (source.connection != ConnectionId() && source.shard == context_.shard.index() &&
          source.connection == endpoint.connection) {
        return true;
      }
      break;
  }
  return endpoint.key.transport == TransportProtocol::kTls && endpoint.peer > kAnonymousPeer &&
         endpoint.peer == source.peer;
}

// Of a target that we have given up: its 2xx counts nevertheless, since a person has answered the
// call (§16.7 step 5); its failure is acknowledged, so that it need not be sent again; and what
// rings there need not, now that a CANCEL may follow (§9.1): once for each provisional.
void EdgeProxy::OnLateResponse(const ResponseSource& source, Transaction& transaction,
                               Endpoint& endpoint) {
  const uint16_t status = view_.status_code();
  constexpr std::string_view kGivenUp = "another target has the request now";
  if (!transaction.is_invite()) {
    return DropResponse(ResponseDropReason::kNoTransaction, source, &endpoint, kGivenUp);
  }
  if (status >= 200 && status < 300) {
    SendResponseOn(transaction, &endpoint);
    return AbandonAttempt(transaction);
  }
  DropResponse(ResponseDropReason::kNoTransaction, source, &endpoint, kGivenUp);
  if (!ParseStored(transaction)) return;
  const Egress& egress = context_.snapshot->EgressOf(endpoint.key.listener);
  const auto transport = static_cast<size_t>(endpoint.key.transport);
  edit_.Reset({});
  const std::string_view via_line =
      edit_.Store({egress.via_begin[transport], view_.top_via().branch, egress.via_end[transport]});
  const bool cancels = status < 200;
  const size_t size =
      WriteHopByHop({.method = cancels ? "CANCEL" : "ACK",
                     .via_line = via_line,
                     .to = (cancels ? stored_ : view_).First(HeaderId::kTo)->value,
                     .headers = cancels ? CancelReason(transaction) : std::string_view()},
                    stored_, context_.send_scratch);
  Endpoint* const target = endpoints_.Find(endpoint.id);
  if (size > 0 && target != nullptr &&
      endpoints_.Prepare(*target) == EndpointPool::Readiness::kReady) {
    static_cast<void>(endpoints_.Send(*target, {context_.send_scratch.data(), size}));
  }
}

// §16.7 step 10: the access side has its answer; whoever else has the request is not wanted.
void EdgeProxy::AbandonAttempt(Transaction& transaction) {
  if (IsAnswered(transaction.client) || transaction.cancel != CancelState::kNone) return;
  if (transaction.client == ClientState::kProceeding) return SendCancel(transaction);
  transaction.cancel = CancelState::kWanted;  // And no further target is tried.
  // §9.1: once it has shown that it has the INVITE.
  if (transaction.is_left) return;
  if (transaction.is_sent) return ScheduleDeadlineAt(transaction, transaction.sent_at + kTimerB);
  transaction.core::ListLink::Unlink();
  transaction.client = ClientState::kTerminated;
  SettleTransaction(transaction);
}

void EdgeProxy::ApplyResponse(Transaction& transaction) {
  const uint16_t status = view_.status_code();
  if (!std::exchange(transaction.heard, true) && !transaction.is_probe) {
    ObserveResponseTime(transaction);
  }
  const bool was_left = std::exchange(transaction.is_left, false);
  if (Endpoint* const endpoint = endpoints_.Find(transaction.endpoint)) {
    const core::MonotonicTime now = context_.reactor().now();
    if (transaction.is_probe) {
      // FinishProbe tells its health.
    } else if (status != 503) {
      NoteHealth(*endpoint, endpoint->health->OnSuccess(now));
    } else {
      // Its own fate is decided below.
      if (!transaction.awaits_reply_path) transaction.core::ListLink::Unlink();
      NoteHealth(*endpoint, endpoint->health->OnUnavailable(
                                now, absl::Seconds(RetryAfterOf(view_).value_or(0))));
    }
  }
  if (transaction.is_probe) {
    if (status < 200) return;
    return FinishProbe(transaction, ProbeAnswerOf(status),
                       absl::Seconds(RetryAfterOf(view_).value_or(0)));
  }
  if (status == 503 && FailsOver(transaction)) return;
  const ClientStep step = AdvanceClient(transaction, ClientEventOf(status));
  if (step.next == ClientState::kProceeding && transaction.is_invite()) {
    // Timer A ends with the first sign of life; once there is a CANCEL the timer is its Timer E.
    if (transaction.cancel != CancelState::kSent) transaction.retransmit.Cancel();
    // §16.7 step 2: a 100 begins Timer C, but does not prolong it.
    if (transaction.cancel == CancelState::kNone &&
        (status > 100 || was_left || transaction.client == ClientState::kCalling)) {
      ScheduleDeadline(transaction, context_.snapshot->config.timeouts.timer_c);
    }
  } else if (step.next == ClientState::kProceeding) {
    if (!transaction.is_reliable) transaction.retransmit_interval = kT2;
    // The target works on it: the next one can wait. Timer F goes on (§17.1.2.2).
    ScheduleDeadlineAt(transaction, transaction.sent_at + kTimerB);
  }
  ApplyClientStep(transaction, step);
}

// RFC 3263 §4.3: a 503 is a target's own affair as long as there is another.
bool EdgeProxy::FailsOver(Transaction& transaction) {
  const Endpoint* const endpoint = endpoints_.Find(transaction.endpoint);
  const bool is_alias = endpoint != nullptr && endpoint->key.kind == EndpointKind::kFlow &&
                        transaction.source != TargetSource::kFlow;
  if (is_alias) ++transaction.next_target;  // That one would be the same server, dialled.
  if (transaction.cancel != CancelState::kNone || !endpoints_.HasMoreTargets(transaction) ||
      IsAnswered(transaction.client)) {
    return false;
  }
  if (transaction.is_invite()) Acknowledge(transaction);
  transaction.failure = {ReasonCode::kNextHopUnreachable, "the next hop is overloaded"};
  TryNextTarget(transaction);
  return true;
}

void EdgeProxy::ApplyClientStep(Transaction& transaction, const ClientStep& step) {
  transaction.client = step.next;
  // From a final response on no loss of the connection concerns it, not even one that our own ACK
  // brings about.
  if (IsAnswered(step.next) && !transaction.awaits_reply_path) {
    transaction.core::ListLink::Unlink();
  }
  switch (step.action) {
    case ClientAction::kNone:
      break;
    case ClientAction::kForward:
      SendResponseOn(transaction, endpoints_.Find(transaction.endpoint));
      break;
    case ClientAction::kForwardAndAck:
      Acknowledge(transaction);
      SendResponseOn(transaction, endpoints_.Find(transaction.endpoint));
      break;
    case ClientAction::kAck:
      Acknowledge(transaction);
      break;
    case ClientAction::kRetransmit:
      context_.Count(context_.metrics.sip_retransmissions.Slot(MetricDirection::kOut));
      if (Endpoint* const endpoint = endpoints_.Find(transaction.endpoint)) {
        static_cast<void>(endpoints_.Send(*endpoint, RequestText(transaction)));
      }
      break;
    case ClientAction::kReportTimeout:
      return FinishLocally(transaction, ReasonCode::kTimeout, {});
    case ClientAction::kReportFailure:
      return FinishLocally(transaction, transaction.failure.reason, transaction.failure.text);
  }
  if (transaction.cancel == CancelState::kWanted && step.next == ClientState::kProceeding) {
    return SendCancel(transaction);
  }
  SettleTransaction(transaction);
}

// The response in view_, towards the access side.
void EdgeProxy::SendResponseOn(Transaction& transaction, Endpoint* endpoint) {
  const uint16_t status = view_.status_code();
  if (status == 100) return;  // Hop by hop (§16.7 step 5); ours has gone out.
  // §16.7 step 5: a 2xx of the INVITE passes even after a failure was sent.
  const bool is_late_success =
      transaction.is_invite() && status >= 200 && status < 300 && !OwesAnswer(transaction.server);
  if (!is_late_success) {
    const ServerStep step = AdvanceServer(transaction, ServerEventOf(status));
    transaction.server = step.next;
    NoteAnswered(transaction);
    if (step.action != ServerAction::kSend) return;
  }
  edit_.Reset(view_.bytes());
  const bool is_from_outside = endpoint == nullptr || endpoint->key.zone == Zone::kOutside;
  EditResponse(view_, CrossingOf(!is_from_outside, transaction.reply.zone == Zone::kInside), edit_,
               transaction.withheld_via_lines());
  // What may become a route set inside (RFC 3261 §12.1.2) is what we sent, or is made so.
  const bool forms_dialog = transaction.records_route && status < 300;
  if (forms_dialog && is_from_outside && endpoint != nullptr) {
    EditAnswerRoutes(transaction, *endpoint);
  }
  // §16.7 step 6: a 503 would say that all we could be asked is in vain.
  const bool hides_overload = status == 503 && OthersAreHealthy(transaction);
  if (hides_overload) HideOverload(view_, edit_);
  if (!edit_.ok()) return DropReply(ResponseDropReason::kMalformed, transaction, view_.bytes());
  const size_t size = edit_.CopyTo(context_.send_scratch);
  static_cast<void>(SendReply(transaction, {context_.send_scratch.data(), size},
                              hides_overload ? uint16_t{500} : status, FinalSource::kForwarded));
}

// Our pair must come back as it was written for the endpoint that answers (answer_routes.h); else
// the whole of it is replaced by that pair and what the request had brought.
void EdgeProxy::EditAnswerRoutes(Transaction& transaction, Endpoint& endpoint) {
  KeepBroughtRoutes(transaction);
  std::array<char, kHeadBytesMax> room;
  const std::string_view lines = RouteLinesFor(transaction, endpoint, room);
  const std::string_view brought = BroughtRoutes(transaction);
  if (!HasRoutesAsSent(view_, lines, brought)) ReplaceRecordRoutes(view_, lines, brought, edit_);
}

// As they were sent. Written once more where the request has been given back or has gone elsewhere
// since, and for a party that has changed.
std::string_view EdgeProxy::RouteLinesFor(const Transaction& transaction, Endpoint& endpoint,
                                          std::span<char> room) {
  const bool is_same_party =
      transaction.far.party.kind != PartyKind::kNone || transaction.head_party == endpoint.party.id;
  if (transaction.request && transaction.head_bytes > 0 &&
      transaction.head_endpoint == endpoint.id && is_same_party) {
    const std::string_view head = HeadText(transaction);
    return head.substr(head.find("\r\n") + 2);  // Behind our Via.
  }
  return {room.data(), WriteRouteLines(transaction, endpoint, room)};
}

// Kept apart from the request, which is given back with the first final answer: more may follow.
void EdgeProxy::KeepBroughtRoutes(Transaction& transaction) {
  if (std::exchange(transaction.has_kept_routes, true) || !ParseStored(transaction)) return;
  const uint32_t to_skip = CountRecordRoutes(HeadText(transaction));
  size_t bytes = 0;
  const auto for_each = [&](auto visit) {
    uint32_t number = 0;
    for (const HeaderField* line = stored_.First(HeaderId::kRecordRoute); line != nullptr;
         line = stored_.NextSame(line)) {
      if (number++ >= to_skip) visit(line->value);
    }
  };
  for_each([&bytes](std::string_view value) { bytes += value.size() + 2; });
  if (bytes == 0 || bytes > core::BufferPool::kBlockBytesMax) return;
  transaction.brought_routes = context_.reactor().buffers().Lease(static_cast<uint32_t>(bytes));
  if (!transaction.brought_routes) return;
  auto* const out = reinterpret_cast<char*>(transaction.brought_routes.data());
  NoteLeases(transaction);
  for_each([&](std::string_view value) {
    uint32_t& used = transaction.brought_routes_bytes;
    if (used > 0) used += static_cast<uint32_t>(std::string_view(", ").copy(out + used, 2));
    used += static_cast<uint32_t>(value.copy(out + used, value.size()));
  });
}

// -- Towards the access side -------------------------------------------------------------------

bool EdgeProxy::SendReply(Transaction& transaction, std::string_view response, uint16_t status,
                          FinalSource source) {
  if (status >= 200) LogOutcome(transaction, status);
  const bool is_success = status >= 200 && status < 300;
  const bool is_kept = !response.empty() && !transaction.reply_is_reliable &&
                       !(transaction.is_invite() && is_success);
  if (is_kept) KeepResponse(transaction, response);
  if (RetransmitsFinal(transaction)) {  // Timer G.
    transaction.retransmit_interval = kT1;
    context_.reactor().timers().Schedule(transaction.retransmit, context_.reactor().now() + kT1);
  }
  if (!response.empty() && SendOn(transaction.reply, response)) {
    CountResponse(status, source);
    return true;
  }
  // RFC 3261 §18.2.2: the connection is gone. Inside we may open another to where Via says.
  if (status >= 200 && transaction.reply.zone == Zone::kInside &&
      !transaction.reply.is_datagram() && !transaction.reply.is_tls &&
      KeepResponse(transaction, response)) {
    DialReplyPath(transaction);
    return false;
  }
  if (!response.empty() && SendToParty(transaction, response)) {
    CountResponse(status, source);
    return true;
  }
  DropReply(ResponseDropReason::kFlowGone, transaction, response);
  // After a provisional the final response may still find a way.
  if (status >= 200 && transaction.is_invite() && transaction.server != ServerState::kAccepted) {
    transaction.server = AdvanceServer(transaction, ServerEvent::kFlowLost).next;
  }
  return false;
}

// The connection of a party outside is gone; nothing is dialled for its answers.
bool EdgeProxy::SendToParty(const Transaction& transaction, std::string_view response) {
  if (transaction.reply.zone == Zone::kInside || transaction.reply.is_datagram()) return false;
  const auto open = parties_.Find(transaction.near.party, transaction.near.flow);
  if (!open.has_value()) return false;
  Endpoint* const endpoint =
      endpoints_.FindOrCreate(endpoints_.FlowKey(open->shard, open->connection, open->listener));
  return endpoint != nullptr && endpoints_.Prepare(*endpoint) == EndpointPool::Readiness::kReady &&
         IsProvedBy(*endpoint, transaction.near.party) && endpoints_.Send(*endpoint, response);
}

bool EdgeProxy::KeepResponse(Transaction& transaction, std::string_view response) {
  if (response.empty()) return false;
  if (response.size() > transaction.response.capacity()) {
    if (!MayKeep(transaction, response.size(), ShareUse::kInDialog)) return false;
    transaction.response =
        context_.reactor().buffers().Lease(static_cast<uint32_t>(response.size()));
    transaction.response_bytes = 0;
    NoteLeases(transaction);
    if (!transaction.response) return false;
  }
  std::memcpy(transaction.response.data(), response.data(), response.size());
  transaction.response_bytes = static_cast<uint32_t>(response.size());
  return true;
}

bool EdgeProxy::SendOn(const ReplyPath& path, std::string_view message) {
  if (path.is_datagram()) {
    core::DatagramSocket* const socket = endpoints_.socket(path.listener);
    return socket != nullptr && socket->Send(path.address, std::as_bytes(std::span(message)));
  }
  Connection* const connection = connections_.Find(path.connection);
  return connection != nullptr && connection->is_open() && connection->Send(message);
}

void EdgeProxy::DialReplyPath(Transaction& transaction) {
  EndpointKey key;
  key.kind = EndpointKind::kStream;
  key.transport = TransportProtocol::kTcp;
  key.zone = Zone::kInside;
  key.listener = transaction.reply.listener;
  key.address = transaction.reply.address;
  Endpoint* const endpoint = endpoints_.FindOrCreate(key);
  const auto drop = [&] {
    DropReply(ResponseDropReason::kFlowGone, transaction, ResponseText(transaction));
  };
  if (endpoint == nullptr) return drop();
  switch (endpoints_.Prepare(*endpoint)) {
    case EndpointPool::Readiness::kReady:
      if (!endpoints_.Send(*endpoint, ResponseText(transaction))) drop();
      return;
    case EndpointPool::Readiness::kConnecting:
      transaction.core::ListLink::Unlink();
      transaction.awaits_reply_path = true;
      return endpoints_.Await(*endpoint, transaction);
    case EndpointPool::Readiness::kUnavailable:
      return drop();
  }
}

// -- Our own requests to the next hop ----------------------------------------------------------

bool EdgeProxy::ParseStored(const Transaction& transaction) {
  return transaction.request_bytes > 0 &&
         ParseMessage(RequestText(transaction), Framing::kStream, stored_) == ParseOutcome::kOk;
}

void EdgeProxy::Acknowledge(Transaction& transaction) {
  Endpoint* const endpoint = endpoints_.Find(transaction.endpoint);
  if (endpoint == nullptr || !ParseStored(transaction)) return;
  const size_t size = WriteHopByHop({.method = "ACK",
                                     .via_line = stored_.First(HeaderId::kVia)->line(),
                                     .to = view_.First(HeaderId::kTo)->value},
                                    stored_, context_.send_scratch);
  if (size > 0) {
    static_cast<void>(endpoints_.Send(*endpoint, {context_.send_scratch.data(), size}));
    context_.Count(context_.metrics.sip_requests.Slot(MetricDirection::kOut, Method::kAck));
  }
}

// To the hop that has the INVITE (§9.1, §16.10).
void EdgeProxy::SendCancel(Transaction& transaction) {
  Endpoint* const endpoint = endpoints_.Find(transaction.endpoint);
  size_t size = 0;
  if (endpoint != nullptr && ParseStored(transaction)) {
    size = WriteHopByHop({.method = "CANCEL",
                          .via_line = stored_.First(HeaderId::kVia)->line(),
                          .to = stored_.First(HeaderId::kTo)->value,
                          .headers = CancelReason(transaction)},
                         stored_, context_.send_scratch);
  }
  // §16.8: what cannot be cancelled is answered as if it had timed out, and ends.
  if (size == 0) return FinishLocally(transaction, ReasonCode::kTimeout, {});
  // Out of the list while sending, which may find that the connection is lost. Where it waits for
  // the way back to the caller it stays there.
  if (!transaction.awaits_reply_path) transaction.core::ListLink::Unlink();
  const bool is_sent = endpoints_.Send(*endpoint, {context_.send_scratch.data(), size});
  if (!is_sent && transaction.is_reliable && !transaction.awaits_reply_path) {
    transaction.cancel = CancelState::kSent;
    return OnEndpointLost(
        transaction, {ReasonCode::kNextHopUnreachable, "the connection to the next hop was lost"});
  }
  if (!transaction.awaits_reply_path) endpoints_.Await(*endpoint, transaction);
  context_.Count(context_.metrics.sip_requests.Slot(MetricDirection::kOut, Method::kCancel));
  if (transaction.cancel == CancelState::kSent) return;
  transaction.cancel = CancelState::kSent;
  ScheduleDeadline(transaction, kTimerB);  // §9.1: then it counts as cancelled.
  transaction.retransmit_interval = kT1;
  if (!transaction.is_reliable) {
    context_.reactor().timers().Schedule(transaction.retransmit, context_.reactor().now() + kT1);
  }
}

// -- Timers ------------------------------------------------------------------------------------

void EdgeProxy::OnRetransmitTimer(void* context) {
  auto& transaction = *static_cast<Transaction*>(context);
  static_cast<EdgeProxy*>(transaction.owner)->OnRetransmit(transaction);
}

void EdgeProxy::OnDeadlineTimer(void* context) {
  auto& transaction = *static_cast<Transaction*>(context);
  static_cast<EdgeProxy*>(transaction.owner)->OnDeadline(transaction);
}

// Timer A or E of the request; once it is cancelled, Timer E of the CANCEL; once it is answered,
// Timer G of the final response.
void EdgeProxy::OnRetransmit(Transaction& transaction) {
  if (IsAnswered(transaction.client)) {
    if (!RetransmitsFinal(transaction)) return;
    transaction.retransmit_interval = std::min(2 * transaction.retransmit_interval, kT2);
    context_.reactor().timers().Schedule(
        transaction.retransmit, context_.reactor().now() + transaction.retransmit_interval);
    context_.Count(context_.metrics.sip_retransmissions.Slot(MetricDirection::kOut));
    static_cast<void>(SendOn(transaction.reply, ResponseText(transaction)));
    return;
  }
  const bool is_cancel = transaction.cancel == CancelState::kSent;
  transaction.retransmit_interval = NextRetransmitInterval(
      is_cancel ? ClientState::kTrying : transaction.client, transaction.retransmit_interval);
  context_.reactor().timers().Schedule(transaction.retransmit,
                                       context_.reactor().now() + transaction.retransmit_interval);
  if (is_cancel) return SendCancel(transaction);
  ApplyClientStep(transaction, AdvanceClient(transaction, ClientEvent::kRetransmitTimer));
}

void EdgeProxy::OnDeadline(Transaction& transaction) {
  if (transaction.is_probe) return FinishProbe(transaction, ProbeAnswer::kSilent);
  if (IsAnswered(transaction.client)) {
    if (transaction.server == ServerState::kCompleted && transaction.is_invite()) {
      context_.Count(context_.metrics.sip_transaction_timeouts.Slot(TransactionTimer::kH));
    }
    transaction.awaits_reply_path = false;
    transaction.has_given_up = false;
    transaction.core::ListLink::Unlink();
    transaction.client = AdvanceClient(transaction, ClientEvent::kLinger).next;
    transaction.server = AdvanceServer(transaction, ServerEvent::kLinger).next;
    return SettleTransaction(transaction);
  }
  if (transaction.is_left) {
    transaction.is_left = false;
    return ApplyClientStep(transaction, AdvanceClient(transaction, ClientEvent::kTransportError));
  }
  if (transaction.is_sent && !transaction.heard) {
    transaction.core::ListLink::Unlink();  // It is not among those that NoteHealth may give up.
    if (Endpoint* const endpoint = endpoints_.Find(transaction.endpoint)) {
      NoteHealth(*endpoint,
                 endpoint->health->OnFailure(context_.reactor().now(), TargetFailure::kSilence,
                                             transaction.sent_at));
    }
    if (transaction.cancel == CancelState::kNone && endpoints_.HasMoreTargets(transaction)) {
      transaction.failure = {ReasonCode::kTimeout, "the next hop does not answer"};
      return TryNextTarget(transaction);
    }
  }
  const bool is_timer_c = transaction.is_invite() &&
                          transaction.client == ClientState::kProceeding &&
                          transaction.cancel == CancelState::kNone;
  context_.Count(context_.metrics.sip_transaction_timeouts.Slot(
      is_timer_c ? TransactionTimer::kC
                 : (transaction.is_invite() ? TransactionTimer::kB : TransactionTimer::kF)));
  if (is_timer_c) return SendCancel(transaction);  // §16.8.
  ApplyClientStep(transaction, AdvanceClient(transaction, ClientEvent::kTimeout));
}

// -- The end -----------------------------------------------------------------------------------

// Gives back what no state needs any more and erases what both sides have left.
void EdgeProxy::SettleTransaction(Transaction& transaction) {
  // On a reliable transport nothing is retransmitted: Timer D is zero (§17.1.1.2).
  if (transaction.client == ClientState::kCompleted && transaction.is_reliable) {
    transaction.client = ClientState::kTerminated;
  }
  if (!IsAnswered(transaction.client)) return;
  if (!RetransmitsFinal(transaction)) transaction.retransmit.Cancel();
  // kCompleted may have to acknowledge again, and a target that was given up may still answer.
  if (transaction.client != ClientState::kCompleted && !transaction.has_given_up) {
    if (transaction.records_route && transaction.reply.zone == Zone::kInside) {
      KeepBroughtRoutes(transaction);
    }
    if (transaction.request && transaction.is_invite()) {
      transaction.kept_vias = HashOfVias(SentViasOf(transaction), loop_key_);
    }
    transaction.request.Reset();
    transaction.request_bytes = 0;
    transaction.cancel_reason.Reset();
    transaction.cancel_reason_bytes = 0;
    NoteLeases(transaction);
  }
  if (transaction.client == ClientState::kTerminated &&
      transaction.server == ServerState::kTerminated && !transaction.awaits_reply_path &&
      !transaction.has_given_up) {
    return EraseTransaction(transaction);
  }
  if (!transaction.lingers) {
    transaction.lingers = true;
    ScheduleDeadline(transaction, kTimerD);  // D, H, J, L or M: all the same time.
  }
}

void EdgeProxy::NoteAnswered(Transaction& transaction) {
  if (transaction.is_answered || OwesAnswer(transaction.server)) return;
  transaction.is_answered = true;
  --unanswered_;
  if (Connection* const connection = connections_.Find(transaction.reply.connection)) {
    --connection->transactions;
  }
}

void EdgeProxy::EraseTransaction(Transaction& transaction) {
  transaction.server = ServerState::kTerminated;
  NoteAnswered(transaction);
  if (!transaction.is_ack && !transaction.is_probe) {
    context_.stats.Subtract(context_.metrics.sip_transactions_active.Slot(
        transaction.is_invite() ? TransactionKind::kInvite : TransactionKind::kNonInvite));
  }
  transactions_.Erase(transaction);
}

void EdgeProxy::ScheduleDeadline(Transaction& transaction, absl::Duration delay) {
  ScheduleDeadlineAt(transaction, context_.reactor().now() + delay);
}

void EdgeProxy::ScheduleDeadlineAt(Transaction& transaction, core::MonotonicTime at) {
  context_.reactor().timers().Schedule(transaction.deadline, at);
}

}  // namespace sallyport::sip
