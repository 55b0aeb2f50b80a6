// The effects of the transaction machines: what EdgeProxy does when a response comes, a timer fires
// or a connection is lost. What may happen when is in client_transaction.h and
// server_transaction.h.

#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"
#include "sip/message/message_writer.h"
#include "sip/proxy/edge_proxy.h"
#include "sip/proxy/forwarding.h"

namespace sallyport::sip {
namespace {

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
  return transaction.is_invite() ? AdvanceInviteServer(transaction.server, event)
                                 : AdvanceNonInviteServer(transaction.server, event);
}

bool IsAnswered(ClientState state) {
  return state == ClientState::kTerminated || state == ClientState::kCompleted ||
         state == ClientState::kAccepted;
}

bool OwesAnswer(ServerState state) {
  return state == ServerState::kTrying || state == ServerState::kProceeding;
}

TransactionKind KindOf(const Transaction& transaction) {
  return transaction.is_invite() ? TransactionKind::kInvite : TransactionKind::kNonInvite;
}

std::string_view StoredText(const Transaction& transaction) {
  return {reinterpret_cast<const char*>(transaction.request.data()), transaction.request_bytes};
}

}  // namespace

Transaction* EdgeProxy::CreateTransaction(Connection& connection, uint64_t key,
                                          NextHopPool::Place place) {
  Transaction* const transaction = transactions_.Create(key, OnRetransmitTimer, OnDeadlineTimer);
  CHECK(transaction != nullptr);  // OnRequest has looked.
  transaction->owner = this;
  transaction->flow = connection.id();
  transaction->method = view_.method();
  transaction->target = place;
  transaction->is_reliable = next_hops_.is_reliable(place);
  if (transaction->is_invite()) {
    transaction->server = ServerState::kProceeding;
    transaction->client = ClientState::kCalling;
  }
  ++connection.transactions;
  ++unanswered_;
  context_.Count(context_.metrics.sip_transactions_active.Slot(KindOf(*transaction)));
  return transaction;
}

bool EdgeProxy::SendToNextHop(Transaction& transaction) {
  if (!next_hops_.Send(transaction.target, StoredText(transaction))) return false;
  if (transaction.is_reliable) {
    next_hops_.Await(transaction.target, transaction);
  } else {
    transaction.retransmit_interval = kT1;
    context_.reactor().timers().Schedule(transaction.retransmit, context_.reactor().now() + kT1);
  }
  ScheduleDeadline(transaction, kTimerB);
  context_.Count(context_.metrics.next_hop_requests.Slot(0));
  context_.Count(context_.metrics.sip_requests.Slot(MetricDirection::kOut, transaction.method));
  return true;
}

bool EdgeProxy::SendToAnotherTarget(Transaction& transaction) {
  for (;;) {
    const std::optional<NextHopPool::Place> place = next_hops_.Pick(transaction.target);
    if (!place.has_value() || !Readdress(transaction, *place)) return false;
    if (SendToNextHop(transaction)) return true;
  }
}

// Nothing of the request has left us, so it keeps its branch; what our Via says of the transport
// and of where we can be reached is the new target's.
bool EdgeProxy::Readdress(Transaction& transaction, NextHopPool::Place place) {
  if (!ParseStored(transaction)) return false;
  const ForwardTarget& target = next_hops_.target(place);
  edit_.Reset(stored_.bytes());
  edit_.Replace(stored_.First(HeaderId::kVia)->line(),
                edit_.Store({target.via_begin, stored_.top_via().branch, target.via_end}));
  if (!edit_.ok()) return false;
  core::BufferLease request =
      context_.reactor().buffers().Lease(static_cast<uint32_t>(edit_.size()));
  if (!request) return false;
  const std::span<std::byte> room = request.bytes();
  transaction.request_bytes =
      static_cast<uint32_t>(edit_.CopyTo({reinterpret_cast<char*>(room.data()), room.size()}));
  transaction.request = std::move(request);
  transaction.target = place;
  transaction.is_reliable = next_hops_.is_reliable(place);
  return true;
}

// -- Responses ---------------------------------------------------------------------------------

void EdgeProxy::ApplyResponse(Transaction& transaction) {
  const uint16_t status = view_.status_code();
  const ClientStep step = AdvanceClient(transaction, ClientEventOf(status));
  if (step.next == ClientState::kProceeding && transaction.is_invite()) {
    transaction.retransmit.Cancel();  // Timer A ends with the first sign of life.
    if (transaction.cancel == CancelState::kNone) {
      ScheduleDeadline(transaction, context_.snapshot->config.timeouts.timer_c);
    }
  } else if (step.next == ClientState::kProceeding && !transaction.is_reliable) {
    transaction.retransmit_interval = kT2;
  }
  ApplyClientStep(transaction, step);
}

void EdgeProxy::ApplyClientStep(Transaction& transaction, const ClientStep& step) {
  transaction.client = step.next;
  // From a final response on no loss of the connection concerns it, not even one that our own ACK
  // brings about.
  if (IsAnswered(step.next)) transaction.core::ListLink::Unlink();
  switch (step.action) {
    case ClientAction::kNone:
      break;
    case ClientAction::kForward:
      SendResponseOn(transaction);
      break;
    case ClientAction::kForwardAndAck:
      Acknowledge(transaction);
      SendResponseOn(transaction);
      break;
    case ClientAction::kAck:
      Acknowledge(transaction);
      break;
    case ClientAction::kRetransmit:
      context_.Count(context_.metrics.sip_retransmissions.Slot(MetricDirection::kOut));
      static_cast<void>(next_hops_.Send(transaction.target, StoredText(transaction)));
      break;
    case ClientAction::kReportTimeout:
      return FinishLocally(transaction, ReasonCode::kTimeout, {});
    case ClientAction::kReportFailure:
      return FinishLocally(transaction, ReasonCode::kNextHopUnreachable,
                           "the connection to the next hop was lost");
  }
  if (transaction.cancel == CancelState::kWanted && step.next == ClientState::kProceeding) {
    return SendCancel(transaction);
  }
  SettleTransaction(transaction);
}

// The response in view_, towards the access side.
void EdgeProxy::SendResponseOn(Transaction& transaction) {
  const uint16_t status = view_.status_code();
  if (status == 100) return;  // Hop by hop (§16.7 step 5); ours has gone out.
  const ServerStep step = AdvanceServer(transaction, ServerEventOf(status));
  transaction.server = step.next;
  NoteAnswered(transaction);
  if (step.action != ServerAction::kSend) return;
  Connection* const connection = connections_.Find(transaction.flow);
  if (connection == nullptr || !connection->is_open()) {
    transaction.server = AdvanceServer(transaction, ServerEvent::kFlowLost).next;
    return DropResponse(ResponseDropReason::kFlowGone);
  }
  if (!view_.Has(HeaderId::kVia) ||
      (view_.Count(HeaderId::kVia) == 1 && view_.top_via_rest().empty())) {
    return DropResponse(ResponseDropReason::kMalformed);  // Nobody below us: not to this request.
  }
  edit_.Reset(view_.bytes());
  EditResponse(view_, edit_);
  if (!edit_.ok()) return DropResponse(ResponseDropReason::kMalformed);
  if (connection->Send(edit_)) {
    context_.Count(context_.metrics.sip_responses.Slot(MetricDirection::kOut, status / 100 - 1));
  }
}

void EdgeProxy::OnCancelResponse(Transaction& transaction) {
  if (view_.status_code() >= 200) transaction.retransmit.Cancel();  // Timer E of the CANCEL.
}

// -- Our own requests to the next hop ----------------------------------------------------------

bool EdgeProxy::ParseStored(const Transaction& transaction) {
  return transaction.request_bytes > 0 &&
         ParseMessage(StoredText(transaction), Framing::kStream, stored_) == ParseOutcome::kOk;
}

void EdgeProxy::Acknowledge(Transaction& transaction) {
  if (!ParseStored(transaction)) return;
  const size_t size =
      WriteHopByHop("ACK", stored_, view_.First(HeaderId::kTo)->value, context_.send_scratch);
  if (size > 0) {
    static_cast<void>(next_hops_.Send(transaction.target, {context_.send_scratch.data(), size}));
  }
}

void EdgeProxy::SendCancel(Transaction& transaction) {
  if (!ParseStored(transaction)) return;
  const size_t size =
      WriteHopByHop("CANCEL", stored_, stored_.First(HeaderId::kTo)->value, context_.send_scratch);
  if (size == 0) return;
  // Out of the list while sending, which may find that the connection is lost.
  transaction.core::ListLink::Unlink();
  const bool is_sent = next_hops_.Send(transaction.target, {context_.send_scratch.data(), size});
  if (transaction.is_reliable) {
    if (!is_sent) return OnNextHopLost(transaction, true);
    next_hops_.Await(transaction.target, transaction);
  }
  context_.Count(context_.metrics.sip_requests.Slot(MetricDirection::kOut, Method::kCancel));
  if (transaction.cancel == CancelState::kSent) return;
  transaction.cancel = CancelState::kSent;
  ScheduleDeadline(transaction, kTimerB);  // §9.1: then it counts as cancelled.
  transaction.retransmit_interval = kT1;
  if (!transaction.is_reliable) {
    context_.reactor().timers().Schedule(transaction.retransmit, context_.reactor().now() + kT1);
  }
}

// -- Timers and losses -------------------------------------------------------------------------

void EdgeProxy::OnRetransmitTimer(void* context) {
  auto& transaction = *static_cast<Transaction*>(context);
  static_cast<EdgeProxy*>(transaction.owner)->OnRetransmit(transaction);
}

void EdgeProxy::OnDeadlineTimer(void* context) {
  auto& transaction = *static_cast<Transaction*>(context);
  static_cast<EdgeProxy*>(transaction.owner)->OnDeadline(transaction);
}

// Timer A or E of the request; once it is cancelled, Timer E of the CANCEL.
void EdgeProxy::OnRetransmit(Transaction& transaction) {
  const bool is_cancel = transaction.cancel == CancelState::kSent;
  transaction.retransmit_interval = NextRetransmitInterval(
      is_cancel ? ClientState::kTrying : transaction.client, transaction.retransmit_interval);
  context_.reactor().timers().Schedule(transaction.retransmit,
                                       context_.reactor().now() + transaction.retransmit_interval);
  if (is_cancel) return SendCancel(transaction);
  ApplyClientStep(transaction, AdvanceClient(transaction, ClientEvent::kRetransmitTimer));
}

void EdgeProxy::OnDeadline(Transaction& transaction) {
  if (IsAnswered(transaction.client)) {
    if (transaction.server == ServerState::kCompleted) {
      context_.Count(context_.metrics.sip_transaction_timeouts.Slot(TransactionTimer::kH));
    }
    transaction.client = AdvanceClient(transaction, ClientEvent::kLinger).next;
    transaction.server = AdvanceServer(transaction, ServerEvent::kLinger).next;
    return SettleTransaction(transaction);
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

void EdgeProxy::OnNextHopLost(Transaction& transaction, bool was_open) {
  if (!was_open && SendToAnotherTarget(transaction)) return;
  ApplyClientStep(transaction, AdvanceClient(transaction, ClientEvent::kTransportError));
}

// -- The end -----------------------------------------------------------------------------------

void EdgeProxy::FinishLocally(Transaction& transaction, ReasonCode reason, std::string_view cause) {
  const ReasonText& text = TextOf(reason);
  context_.Count(context_.metrics.requests_rejected.Slot(reason));
  const ServerStep step = AdvanceServer(transaction, ServerEvent::kFailure);
  transaction.server = step.next;
  NoteAnswered(transaction);
  Connection* const connection = connections_.Find(transaction.flow);
  if (connection == nullptr || !connection->is_open()) {
    transaction.server = ServerState::kTerminated;
    return SettleTransaction(transaction);
  }
  if (step.action == ServerAction::kSend && ParseStored(transaction)) {
    LogRefusal(*connection, reason, stored_.method_text());
    // The request as the peer sent it: what we keep has our Via on top, in a line of its own.
    std::array<char, 512> storage;
    const std::string_view headers =
        RefusalHeaders(reason, stored_,
                       {.edge = context_.snapshot->config.domain,
                        .retry_after_seconds = text.retry_after ? RetryAfterSeconds() : 0,
                        .cause = cause},
                       storage);
    const HeaderField& our_via = *stored_.First(HeaderId::kVia);
    std::byte* const bytes = transaction.request.data();
    auto* const via_begin = bytes + (our_via.line().data() - reinterpret_cast<const char*>(bytes));
    std::byte* const rest = via_begin + our_via.line_bytes;
    std::copy(rest, bytes + transaction.request_bytes, via_begin);
    transaction.request_bytes -= our_via.line_bytes;
    if (ParseStored(transaction)) {
      const LocalTag::Text tag = local_tag_.Make(stored_.call_id(), stored_.top_via().branch);
      const size_t size = WriteResponse({.status = text.status,
                                         .reason = text.phrase,
                                         .to_tag = {tag.data(), tag.size()},
                                         .via_received = stored_.top_via().received,
                                         .via_rport = stored_.top_via().rport,
                                         .extra_headers = headers},
                                        stored_, context_.send_scratch);
      if (size > 0 && connection->Send(std::string_view(context_.send_scratch.data(), size))) {
        context_.Count(
            context_.metrics.sip_responses.Slot(MetricDirection::kOut, text.status / 100 - 1));
      }
    }
  }
  SettleTransaction(transaction);
}

// Gives back what no state needs any more and erases what both sides have left.
void EdgeProxy::SettleTransaction(Transaction& transaction) {
  // On a reliable transport nothing is retransmitted: Timer D is zero (§17.1.1.2).
  if (transaction.client == ClientState::kCompleted && transaction.is_reliable) {
    transaction.client = ClientState::kTerminated;
  }
  if (!IsAnswered(transaction.client)) return;
  transaction.retransmit.Cancel();
  if (transaction.client != ClientState::kCompleted) {
    transaction.request.Reset();  // kCompleted may have to acknowledge again.
    transaction.request_bytes = 0;
  }
  if (transaction.client == ClientState::kTerminated &&
      transaction.server == ServerState::kTerminated) {
    return EraseTransaction(transaction);
  }
  if (!transaction.lingers) {
    transaction.lingers = true;
    ScheduleDeadline(transaction, kTimerD);  // D, H, L or M: all the same time.
  }
}

void EdgeProxy::NoteAnswered(Transaction& transaction) {
  if (transaction.is_answered || OwesAnswer(transaction.server)) return;
  transaction.is_answered = true;
  --unanswered_;
  if (Connection* const connection = connections_.Find(transaction.flow)) {
    --connection->transactions;
  }
}

void EdgeProxy::EraseTransaction(Transaction& transaction) {
  transaction.server = ServerState::kTerminated;
  NoteAnswered(transaction);
  context_.stats.Subtract(context_.metrics.sip_transactions_active.Slot(KindOf(transaction)));
  transactions_.Erase(transaction);
}

void EdgeProxy::ScheduleDeadline(Transaction& transaction, absl::Duration delay) {
  context_.reactor().timers().Schedule(transaction.deadline, context_.reactor().now() + delay);
}

}  // namespace sallyport::sip
