// Server transactions towards the access side: pure transition functions (RFC 3261 §17.2, RFC 6026
// §8.5). The caller owns timers and effects: it feeds an event, stores `next` and carries out
// `action`; after each step that enters another state it asks ServerLinger how long that lasts.
//
// `is_reliable`: of the transport that the request came on. On a reliable one (TLS, TCP) a final
// response is not retransmitted (Timer G) and the waits of Timer I and J are zero, so the states
// that they guard (Confirmed, and Completed of other methods) are left as soon as entered; they are
// absent there. A request that comes again can only be a mistake and is absorbed.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "core/check.h"
#include "sip/proxy/client_transaction.h"

namespace sallyport::sip {

// RFC 3261 §17.1.2.2 and table 4. T1 and T2 are in client_transaction.h.
inline constexpr absl::Duration kT4 = absl::Seconds(5);
inline constexpr absl::Duration kTimerH = absl::Seconds(32);  // 64*T1; also J and L.
inline constexpr absl::Duration kTimerI = kT4;

enum class ServerState : uint8_t {
  kTrying,      // Other methods than INVITE: nothing answered yet.
  kProceeding,  // INVITE starts here: 100 is sent with its creation.
  kCompleted,   // INVITE: a failure was sent, its ACK is awaited (Timer G, H). Others, unreliable:
                // a final response was sent, the request may come again (Timer J).
  kConfirmed,   // INVITE, unreliable: the ACK has come and may come again (Timer I).
  kAccepted,    // INVITE only: a 2xx was sent; retransmitted 2xx pass (Timer L).
  kTerminated,
};

enum class ServerEvent : uint8_t {
  kRequest,          // The same request again.
  kProvisional,      // From the next hop.
  kSuccess,          // 2xx
  kFailure,          // 300 to 699, from the next hop or our own.
  kAck,              // Matches this transaction, so it belongs to a failure (§17.2.3).
  kRetransmitTimer,  // Timer G; never armed on a reliable transport.
  kLinger,           // Timer H, I, J or L.
  kFlowLost,         // The connection that the request came on is gone; ICMP on a datagram.
};

enum class ServerAction : uint8_t {
  kNone,
  kSend,    // Pass the response to the access side.
  kResend,  // Send the last response again, as it was.
  kAbsorb,  // A retransmission: count it, answer nothing.
};

struct ServerStep {
  ServerState next;
  ServerAction action;
};

constexpr ServerStep AdvanceInviteServer(ServerState state, ServerEvent event, bool is_reliable) {
  using enum ServerState;
  using enum ServerAction;
  if (state == kTerminated || event == ServerEvent::kFlowLost) return {kTerminated, kNone};
  if (event == ServerEvent::kRequest) {
    const bool resends = !is_reliable && (state == kProceeding || state == kCompleted);
    return {state, resends ? kResend : kAbsorb};
  }
  switch (state) {
    case kTrying:
    case kProceeding:
      if (event == ServerEvent::kProvisional) return {kProceeding, kSend};
      if (event == ServerEvent::kSuccess) return {kAccepted, kSend};
      if (event == ServerEvent::kFailure) return {kCompleted, kSend};
      return {state, kNone};
    case kCompleted:
      if (event == ServerEvent::kAck) return {is_reliable ? kTerminated : kConfirmed, kNone};
      if (event == ServerEvent::kLinger) return {kTerminated, kNone};
      if (event == ServerEvent::kRetransmitTimer) return {state, is_reliable ? kNone : kResend};
      return {state, kNone};
    case kConfirmed:
      if (event == ServerEvent::kLinger) return {kTerminated, kNone};
      return {state, kNone};
    case kAccepted:
      if (event == ServerEvent::kSuccess) return {state, kSend};
      if (event == ServerEvent::kLinger) return {kTerminated, kNone};
      return {state, kNone};
    case kTerminated:
      return {kTerminated, kNone};
  }
  UNREACHABLE();
}

constexpr ServerStep AdvanceNonInviteServer(ServerState state, ServerEvent event,
                                            bool is_reliable) {
  using enum ServerState;
  using enum ServerAction;
  if (state == kCompleted && !is_reliable) {
    switch (event) {
      case ServerEvent::kRequest:
        return {state, kResend};
      case ServerEvent::kProvisional:
      case ServerEvent::kSuccess:  // Another final response is discarded (§17.2.2).
      case ServerEvent::kFailure:
      case ServerEvent::kAck:
      case ServerEvent::kRetransmitTimer:
        return {state, kNone};
      case ServerEvent::kLinger:
      case ServerEvent::kFlowLost:
        return {kTerminated, kNone};
    }
    UNREACHABLE();
  }
  if (state != kTrying && state != kProceeding) return {kTerminated, kNone};
  switch (event) {
    case ServerEvent::kRequest:
      return {state, !is_reliable && state == kProceeding ? kResend : kAbsorb};
    case ServerEvent::kProvisional:
      return {kProceeding, kSend};
    case ServerEvent::kSuccess:
    case ServerEvent::kFailure:
      return {is_reliable ? kTerminated : kCompleted, kSend};
    case ServerEvent::kAck:
    case ServerEvent::kRetransmitTimer:
    case ServerEvent::kLinger:
      return {state, kNone};
    case ServerEvent::kFlowLost:
      return {kTerminated, kNone};
  }
  UNREACHABLE();
}

// How long the state lasts before kLinger: Timer H, I, J or L. Zero: it is not left by a timer (or,
// kTerminated, it is over).
constexpr absl::Duration ServerLinger(ServerState state) {
  switch (state) {
    case ServerState::kCompleted:
    case ServerState::kAccepted:
      return kTimerH;
    case ServerState::kConfirmed:
      return kTimerI;
    case ServerState::kTrying:
    case ServerState::kProceeding:
    case ServerState::kTerminated:
      return absl::ZeroDuration();
  }
  UNREACHABLE();
}

// Timer G begins at T1 and doubles up to T2 (§17.2.1).
inline absl::Duration NextTimerG(absl::Duration previous) {
  return 2 * previous < kT2 ? 2 * previous : kT2;
}

static_assert(AdvanceNonInviteServer(ServerState::kTerminated, ServerEvent::kFailure, true)
                  .action == ServerAction::kNone);
static_assert(AdvanceInviteServer(ServerState::kCompleted, ServerEvent::kAck, true).next ==
              ServerState::kTerminated);

}  // namespace sallyport::sip
