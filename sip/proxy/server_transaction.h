// Server transactions towards the access side, which is always a reliable transport here (TLS or
// TCP): pure transition functions (RFC 3261 §17.2, RFC 6026 §8.5). Timer G (retransmitting a final)
// and the waits of Timer I and J are zero on a reliable transport, so the states they guard are
// left at once.
#pragma once

#include <cstdint>

#include "core/check.h"

namespace sallyport::sip {

enum class ServerState : uint8_t {
  kTrying,      // Other methods than INVITE: nothing answered yet.
  kProceeding,  // INVITE starts here: 100 is sent with its creation.
  kCompleted,   // INVITE only: a failure was sent, its ACK is awaited (Timer H).
  kAccepted,    // INVITE only: a 2xx was sent; retransmitted 2xx pass (Timer L).
  kTerminated,
};

enum class ServerEvent : uint8_t {
  kRequest,      // The same request again.
  kProvisional,  // From the next hop.
  kSuccess,      // 2xx
  kFailure,      // 300 to 699, from the next hop or our own.
  kAck,          // Matches this transaction, so it belongs to a failure (§17.2.3).
  kLinger,       // Timer H or L.
  kFlowLost,     // The connection that the request came on is gone.
};

enum class ServerAction : uint8_t {
  kNone,
  kSend,    // Pass the response to the access side.
  kAbsorb,  // A retransmission: count it, answer nothing.
};

struct ServerStep {
  ServerState next;
  ServerAction action;
};

constexpr ServerStep AdvanceInviteServer(ServerState state, ServerEvent event) {
  using enum ServerState;
  using enum ServerAction;
  if (state == kTerminated || event == ServerEvent::kFlowLost) return {kTerminated, kNone};
  if (event == ServerEvent::kRequest) return {state, kAbsorb};
  switch (state) {
    case kTrying:
    case kProceeding:
      if (event == ServerEvent::kProvisional) return {kProceeding, kSend};
      if (event == ServerEvent::kSuccess) return {kAccepted, kSend};
      if (event == ServerEvent::kFailure) return {kCompleted, kSend};
      return {state, kNone};
    case kCompleted:
      if (event == ServerEvent::kAck || event == ServerEvent::kLinger) return {kTerminated, kNone};
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

constexpr ServerStep AdvanceNonInviteServer(ServerState state, ServerEvent event) {
  using enum ServerState;
  using enum ServerAction;
  if (state != kTrying && state != kProceeding) return {kTerminated, kNone};
  switch (event) {
    case ServerEvent::kRequest:
      return {state, kAbsorb};
    case ServerEvent::kProvisional:
      return {kProceeding, kSend};
    case ServerEvent::kSuccess:
    case ServerEvent::kFailure:
      return {kTerminated, kSend};
    case ServerEvent::kAck:
    case ServerEvent::kLinger:
      return {state, kNone};
    case ServerEvent::kFlowLost:
      return {kTerminated, kNone};
  }
  UNREACHABLE();
}

static_assert(AdvanceNonInviteServer(ServerState::kTerminated, ServerEvent::kFailure).action ==
              ServerAction::kNone);
static_assert(AdvanceInviteServer(ServerState::kCompleted, ServerEvent::kAck).next ==
              ServerState::kTerminated);

}  // namespace sallyport::sip
