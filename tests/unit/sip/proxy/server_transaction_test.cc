#include "sip/proxy/server_transaction.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

namespace sallyport::sip {
namespace {

using State = ServerState;
using Event = ServerEvent;
using Action = ServerAction;

constexpr bool kReliable = true;
constexpr bool kUnreliable = false;

constexpr State kStates[] = {State::kTrying,    State::kProceeding, State::kCompleted,
                             State::kConfirmed, State::kAccepted,   State::kTerminated};

struct Row {
  State from;
  Event event;
  State to;
  Action action;
};

// Every event in every state that `rows` names a transition for; where they name none the event
// changes nothing and has no effect.
template <size_t size>
void ExpectTable(ServerStep (*advance)(State, Event, bool), bool is_reliable,
                 const std::vector<State>& states, const Row (&rows)[size]) {
  for (const State state : states) {
    for (int index = 0; index <= static_cast<int>(Event::kFlowLost); ++index) {
      const Event event = static_cast<Event>(index);
      Row expected{state, event, state, Action::kNone};
      for (const Row& row : rows) {
        if (row.from == state && row.event == event) expected = row;
      }
      const ServerStep step = advance(state, event, is_reliable);
      EXPECT_EQ(step.next, expected.to) << int(state) << " " << index;
      EXPECT_EQ(step.action, expected.action) << int(state) << " " << index;
    }
  }
}

// Figure 7 with RFC 6026 figure 5. On a reliable transport there is no Confirmed.
TEST(ServerTransactionTest, Rfc6026_7_1_InviteReliable) {
  constexpr Row kRows[] = {
      {State::kProceeding, Event::kRequest, State::kProceeding, Action::kAbsorb},
      {State::kProceeding, Event::kProvisional, State::kProceeding, Action::kSend},
      {State::kProceeding, Event::kSuccess, State::kAccepted, Action::kSend},
      {State::kProceeding, Event::kFailure, State::kCompleted, Action::kSend},
      {State::kProceeding, Event::kFlowLost, State::kTerminated, Action::kNone},
      {State::kCompleted, Event::kRequest, State::kCompleted, Action::kAbsorb},
      {State::kCompleted, Event::kAck, State::kTerminated, Action::kNone},
      {State::kCompleted, Event::kLinger, State::kTerminated, Action::kNone},
      {State::kCompleted, Event::kFlowLost, State::kTerminated, Action::kNone},
      {State::kAccepted, Event::kRequest, State::kAccepted, Action::kAbsorb},
      {State::kAccepted, Event::kSuccess, State::kAccepted, Action::kSend},
      {State::kAccepted, Event::kLinger, State::kTerminated, Action::kNone},
      {State::kAccepted, Event::kFlowLost, State::kTerminated, Action::kNone},
  };
  ExpectTable(AdvanceInviteServer, kReliable,
              {State::kProceeding, State::kCompleted, State::kAccepted, State::kTerminated}, kRows);
}

// The same figures with Timers G and I.
TEST(ServerTransactionTest, Rfc6026_7_1_InviteUnreliable) {
  constexpr Row kRows[] = {
      // "If a request retransmission is received while in the Proceeding state, the most recent
      // provisional response ... MUST be passed to the transport layer."
      {State::kProceeding, Event::kRequest, State::kProceeding, Action::kResend},
      {State::kProceeding, Event::kProvisional, State::kProceeding, Action::kSend},
      {State::kProceeding, Event::kSuccess, State::kAccepted, Action::kSend},
      {State::kProceeding, Event::kFailure, State::kCompleted, Action::kSend},
      {State::kProceeding, Event::kFlowLost, State::kTerminated, Action::kNone},
      // "Furthermore, while in the Completed state, if a request retransmission is received, the
      // server SHOULD pass the response to the transport".
      {State::kCompleted, Event::kRequest, State::kCompleted, Action::kResend},
      {State::kCompleted, Event::kRetransmitTimer, State::kCompleted, Action::kResend},
      {State::kCompleted, Event::kAck, State::kConfirmed, Action::kNone},
      {State::kCompleted, Event::kLinger, State::kTerminated, Action::kNone},
      {State::kCompleted, Event::kFlowLost, State::kTerminated, Action::kNone},
      // "The purpose of the Confirmed state is to absorb any additional ACK messages".
      {State::kConfirmed, Event::kRequest, State::kConfirmed, Action::kAbsorb},
      {State::kConfirmed, Event::kLinger, State::kTerminated, Action::kNone},
      {State::kConfirmed, Event::kFlowLost, State::kTerminated, Action::kNone},
      // RFC 6026 §7.1: retransmitted INVITEs are absorbed, retransmitted 2xx pass.
      {State::kAccepted, Event::kRequest, State::kAccepted, Action::kAbsorb},
      {State::kAccepted, Event::kSuccess, State::kAccepted, Action::kSend},
      {State::kAccepted, Event::kLinger, State::kTerminated, Action::kNone},
      {State::kAccepted, Event::kFlowLost, State::kTerminated, Action::kNone},
  };
  ExpectTable(AdvanceInviteServer, kUnreliable,
              {State::kProceeding, State::kCompleted, State::kConfirmed, State::kAccepted,
               State::kTerminated},
              kRows);
}

// Figure 8. On a reliable transport Timer J is zero and Completed is absent.
TEST(ServerTransactionTest, Rfc3261Section17_2_2NonInviteReliable) {
  constexpr Row kRows[] = {
      {State::kTrying, Event::kRequest, State::kTrying, Action::kAbsorb},
      {State::kTrying, Event::kProvisional, State::kProceeding, Action::kSend},
      {State::kTrying, Event::kSuccess, State::kTerminated, Action::kSend},
      {State::kTrying, Event::kFailure, State::kTerminated, Action::kSend},
      {State::kTrying, Event::kFlowLost, State::kTerminated, Action::kNone},
      {State::kProceeding, Event::kRequest, State::kProceeding, Action::kAbsorb},
      {State::kProceeding, Event::kProvisional, State::kProceeding, Action::kSend},
      {State::kProceeding, Event::kSuccess, State::kTerminated, Action::kSend},
      {State::kProceeding, Event::kFailure, State::kTerminated, Action::kSend},
      {State::kProceeding, Event::kFlowLost, State::kTerminated, Action::kNone},
  };
  ExpectTable(AdvanceNonInviteServer, kReliable,
              {State::kTrying, State::kProceeding, State::kTerminated}, kRows);
}

TEST(ServerTransactionTest, Rfc3261Section17_2_2NonInviteUnreliable) {
  constexpr Row kRows[] = {
      // "Once in the Trying state, any further request retransmissions are discarded."
      {State::kTrying, Event::kRequest, State::kTrying, Action::kAbsorb},
      {State::kTrying, Event::kProvisional, State::kProceeding, Action::kSend},
      {State::kTrying, Event::kSuccess, State::kCompleted, Action::kSend},
      {State::kTrying, Event::kFailure, State::kCompleted, Action::kSend},
      {State::kTrying, Event::kFlowLost, State::kTerminated, Action::kNone},
      {State::kProceeding, Event::kRequest, State::kProceeding, Action::kResend},
      {State::kProceeding, Event::kProvisional, State::kProceeding, Action::kSend},
      {State::kProceeding, Event::kSuccess, State::kCompleted, Action::kSend},
      {State::kProceeding, Event::kFailure, State::kCompleted, Action::kSend},
      {State::kProceeding, Event::kFlowLost, State::kTerminated, Action::kNone},
      {State::kCompleted, Event::kRequest, State::kCompleted, Action::kResend},
      {State::kCompleted, Event::kLinger, State::kTerminated, Action::kNone},
      {State::kCompleted, Event::kFlowLost, State::kTerminated, Action::kNone},
  };
  ExpectTable(AdvanceNonInviteServer, kUnreliable,
              {State::kTrying, State::kProceeding, State::kCompleted, State::kTerminated}, kRows);
}

// No sequence of events leads to a state in which nothing ever ends it: each has a timer, or waits
// for a response that the client transaction's own timers make.
TEST(ServerTransactionTest, EveryStateEnds) {
  for (const bool is_reliable : {kReliable, kUnreliable}) {
    for (const auto advance : {AdvanceInviteServer, AdvanceNonInviteServer}) {
      for (const State state : kStates) {
        const bool awaits_response = state == State::kTrying || state == State::kProceeding;
        const ServerStep step =
            advance(state, awaits_response ? Event::kFailure : Event::kLinger, is_reliable);
        if (awaits_response) {
          EXPECT_TRUE(step.next == State::kTerminated ||
                      ServerLinger(step.next) > absl::ZeroDuration());
        } else {
          EXPECT_EQ(step.next, State::kTerminated);
        }
        EXPECT_EQ(advance(state, Event::kFlowLost, is_reliable).next, State::kTerminated);
      }
    }
  }
}

// The states of an unreliable transport cannot be reached on a reliable one.
TEST(ServerTransactionTest, ReliableTransportNeverResends) {
  for (const auto advance : {AdvanceInviteServer, AdvanceNonInviteServer}) {
    for (const State state : kStates) {
      for (int index = 0; index <= static_cast<int>(Event::kFlowLost); ++index) {
        const ServerStep step = advance(state, static_cast<Event>(index), kReliable);
        EXPECT_NE(step.action, Action::kResend);
        EXPECT_TRUE(step.next != State::kConfirmed || state == State::kConfirmed);
      }
    }
  }
}

TEST(ServerTransactionTest, TerminatedSendsNothing) {
  for (const bool is_reliable : {kReliable, kUnreliable}) {
    for (int event = 0; event <= static_cast<int>(Event::kFlowLost); ++event) {
      for (const auto advance : {AdvanceInviteServer, AdvanceNonInviteServer}) {
        const ServerStep step = advance(State::kTerminated, static_cast<Event>(event), is_reliable);
        EXPECT_EQ(step.next, State::kTerminated);
        EXPECT_EQ(step.action, Action::kNone);
      }
    }
  }
}

// RFC 3261 §17.2.1: T1, then MIN(2*T1, T2), ... with H at 64*T1.
TEST(ServerTransactionTest, Rfc3261Section17_2_1TimerGDoublesFromT1ToT2) {
  std::vector<absl::Duration> at;
  absl::Duration interval = kT1;
  for (absl::Duration time = interval; time < ServerLinger(State::kCompleted); time += interval) {
    at.push_back(time);
    interval = NextTimerG(interval);
  }
  const auto seconds = [](double value) { return absl::Seconds(value); };
  EXPECT_EQ(at, (std::vector<absl::Duration>{seconds(0.5), seconds(1.5), seconds(3.5), seconds(7.5),
                                             seconds(11.5), seconds(15.5), seconds(19.5),
                                             seconds(23.5), seconds(27.5), seconds(31.5)}));
}

// RFC 3261 table 4, RFC 6026 §7.1.
TEST(ServerTransactionTest, TimersHIJAndL) {
  EXPECT_EQ(ServerLinger(State::kCompleted), 64 * kT1);  // H, J
  EXPECT_EQ(ServerLinger(State::kAccepted), 64 * kT1);   // L
  EXPECT_EQ(ServerLinger(State::kConfirmed), kT4);       // I
  EXPECT_EQ(ServerLinger(State::kTrying), absl::ZeroDuration());
  EXPECT_EQ(ServerLinger(State::kProceeding), absl::ZeroDuration());
  EXPECT_EQ(ServerLinger(State::kTerminated), absl::ZeroDuration());
}

}  // namespace
}  // namespace sallyport::sip
