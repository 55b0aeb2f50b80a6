// Client transactions towards the next hop: pure transition functions (RFC 3261 §17.1, RFC 6026
// §8.4). The caller owns timers and effects: it feeds an event, stores `next` and carries out
// `action`.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "core/check.h"

namespace sallyport::sip {

// RFC 3261 §17.1.1.1, table 4.
inline constexpr absl::Duration kT1 = absl::Milliseconds(500);
inline constexpr absl::Duration kT2 = absl::Seconds(4);
inline constexpr absl::Duration kTimerB = absl::Seconds(32);  // 64*T1; also F, H, L and M.
inline constexpr absl::Duration kTimerD = absl::Seconds(32);

enum class ClientState : uint8_t {
  kCalling,  // INVITE only: sent, nothing heard.
  kTrying,   // Other methods: sent, nothing heard.
  kProceeding,
  kCompleted,  // INVITE only: failed; retransmitted finals are acknowledged again (Timer D).
  kAccepted,   // INVITE only: 2xx seen; retransmitted 2xx are passed on (Timer M).
  kTerminated,
};

enum class ClientEvent : uint8_t {
  kProvisional,
  kSuccess,          // 2xx
  kFailure,          // 300 to 699
  kRetransmitTimer,  // Timer A or E; never armed on a reliable transport.
  kTimeout,          // Timer B or F, or Timer C after its CANCEL went unanswered.
  kLinger,           // Timer D or M.
  kTransportError,
};

enum class ClientAction : uint8_t {
  kNone,
  kForward,        // Give the response to the server transaction.
  kForwardAndAck,  // The same, and acknowledge it to the next hop (§17.1.1.3).
  kAck,            // A retransmitted final: acknowledge again, forward nothing.
  kRetransmit,
  kReportTimeout,  // Answer 408.
  kReportFailure,  // Answer 503: the transport is gone.
};

struct ClientStep {
  ClientState next;
  ClientAction action;
};

constexpr ClientStep AdvanceInviteClient(ClientState state, ClientEvent event) {
  using enum ClientState;
  using enum ClientAction;
  if (state == kCalling || state == kProceeding) {
    switch (event) {
      case ClientEvent::kProvisional:
        return {kProceeding, kForward};
      case ClientEvent::kSuccess:
        return {kAccepted, kForward};
      case ClientEvent::kFailure:
        return {kCompleted, kForwardAndAck};
      case ClientEvent::kRetransmitTimer:
        return {state, state == kCalling ? kRetransmit : kNone};
      case ClientEvent::kTimeout:
        return {kTerminated, kReportTimeout};
      case ClientEvent::kTransportError:
        return {kTerminated, kReportFailure};
      case ClientEvent::kLinger:
        return {state, kNone};
    }
    UNREACHABLE();
  }
  if (state == kCompleted || state == kAccepted) {
    switch (event) {
      case ClientEvent::kSuccess:
        return {state, state == kAccepted ? kForward : kNone};
      case ClientEvent::kFailure:
        return {state, state == kCompleted ? kAck : kNone};
      case ClientEvent::kLinger:
      case ClientEvent::kTransportError:
        return {kTerminated, kNone};
      case ClientEvent::kProvisional:
      case ClientEvent::kRetransmitTimer:
      case ClientEvent::kTimeout:
        return {state, kNone};
    }
    UNREACHABLE();
  }
  return {kTerminated, kNone};
}

// Completed (Timer K) is absent on purpose: it only absorbs retransmitted finals, and those name a
// slot generation that is gone, so they are dropped and counted without holding memory for them.
constexpr ClientStep AdvanceNonInviteClient(ClientState state, ClientEvent event) {
  using enum ClientState;
  using enum ClientAction;
  if (state != kTrying && state != kProceeding) return {kTerminated, kNone};
  switch (event) {
    case ClientEvent::kProvisional:
      return {kProceeding, kForward};
    case ClientEvent::kSuccess:
    case ClientEvent::kFailure:
      return {kTerminated, kForward};
    case ClientEvent::kRetransmitTimer:
      return {state, kRetransmit};
    case ClientEvent::kTimeout:
      return {kTerminated, kReportTimeout};
    case ClientEvent::kTransportError:
      return {kTerminated, kReportFailure};
    case ClientEvent::kLinger:
      return {state, kNone};
  }
  UNREACHABLE();
}

// Timer A doubles without a cap and stops at Timer B; Timer E doubles up to T2 and is T2 in
// Proceeding (§17.1.1.2, §17.1.2.2).
inline absl::Duration NextRetransmitInterval(ClientState state, absl::Duration previous) {
  if (state == ClientState::kCalling) return 2 * previous;
  if (state == ClientState::kProceeding) return kT2;
  return 2 * previous < kT2 ? 2 * previous : kT2;
}

static_assert(AdvanceInviteClient(ClientState::kCalling, ClientEvent::kSuccess).next ==
              ClientState::kAccepted);
static_assert(AdvanceNonInviteClient(ClientState::kTerminated, ClientEvent::kFailure).action ==
              ClientAction::kNone);

}  // namespace sallyport::sip
