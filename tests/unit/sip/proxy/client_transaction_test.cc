#include "sip/proxy/client_transaction.h"

#include <gtest/gtest.h>

namespace sallyport::sip {
namespace {

using State = ClientState;
using Event = ClientEvent;
using Action = ClientAction;

struct Row {
  State from;
  Event event;
  State to;
  Action action;
};

// RFC 3261 figure 5 with RFC 6026 figure 3, every arrow.
constexpr Row kInviteRows[] = {
    {State::kCalling, Event::kRetransmitTimer, State::kCalling, Action::kRetransmit},
    {State::kCalling, Event::kProvisional, State::kProceeding, Action::kForward},
    {State::kCalling, Event::kSuccess, State::kAccepted, Action::kForward},
    {State::kCalling, Event::kFailure, State::kCompleted, Action::kForwardAndAck},
    {State::kCalling, Event::kTimeout, State::kTerminated, Action::kReportTimeout},
    {State::kCalling, Event::kTransportError, State::kTerminated, Action::kReportFailure},
    {State::kProceeding, Event::kRetransmitTimer, State::kProceeding, Action::kNone},
    {State::kProceeding, Event::kProvisional, State::kProceeding, Action::kForward},
    {State::kProceeding, Event::kSuccess, State::kAccepted, Action::kForward},
    {State::kProceeding, Event::kFailure, State::kCompleted, Action::kForwardAndAck},
    {State::kProceeding, Event::kTimeout, State::kTerminated, Action::kReportTimeout},
    {State::kCompleted, Event::kFailure, State::kCompleted, Action::kAck},
    {State::kCompleted, Event::kProvisional, State::kCompleted, Action::kNone},
    {State::kCompleted, Event::kSuccess, State::kCompleted, Action::kNone},
    {State::kCompleted, Event::kLinger, State::kTerminated, Action::kNone},
    {State::kCompleted, Event::kTransportError, State::kTerminated, Action::kNone},
    {State::kAccepted, Event::kSuccess, State::kAccepted, Action::kForward},
    {State::kAccepted, Event::kFailure, State::kAccepted, Action::kNone},
    {State::kAccepted, Event::kProvisional, State::kAccepted, Action::kNone},
    {State::kAccepted, Event::kLinger, State::kTerminated, Action::kNone},
};

TEST(ClientTransactionTest, InviteFollowsEveryArrow) {
  for (const Row& row : kInviteRows) {
    const ClientStep step = AdvanceInviteClient(row.from, row.event);
    EXPECT_EQ(step.next, row.to) << int(row.from) << " " << int(row.event);
    EXPECT_EQ(step.action, row.action) << int(row.from) << " " << int(row.event);
  }
}

constexpr Row kNonInviteRows[] = {
    {State::kTrying, Event::kRetransmitTimer, State::kTrying, Action::kRetransmit},
    {State::kTrying, Event::kProvisional, State::kProceeding, Action::kForward},
    {State::kTrying, Event::kSuccess, State::kTerminated, Action::kForward},
    {State::kTrying, Event::kFailure, State::kTerminated, Action::kForward},
    {State::kTrying, Event::kTimeout, State::kTerminated, Action::kReportTimeout},
    {State::kTrying, Event::kTransportError, State::kTerminated, Action::kReportFailure},
    {State::kProceeding, Event::kRetransmitTimer, State::kProceeding, Action::kRetransmit},
    {State::kProceeding, Event::kProvisional, State::kProceeding, Action::kForward},
    {State::kProceeding, Event::kFailure, State::kTerminated, Action::kForward},
    {State::kProceeding, Event::kTimeout, State::kTerminated, Action::kReportTimeout},
};

TEST(ClientTransactionTest, NonInviteFollowsEveryArrow) {
  for (const Row& row : kNonInviteRows) {
    const ClientStep step = AdvanceNonInviteClient(row.from, row.event);
    EXPECT_EQ(step.next, row.to) << int(row.from) << " " << int(row.event);
    EXPECT_EQ(step.action, row.action) << int(row.from) << " " << int(row.event);
  }
}

TEST(ClientTransactionTest, TerminatedIsFinal) {
  for (int event = 0; event <= static_cast<int>(Event::kTransportError); ++event) {
    for (const auto advance : {AdvanceInviteClient, AdvanceNonInviteClient}) {
      const ClientStep step = advance(State::kTerminated, static_cast<Event>(event));
      EXPECT_EQ(step.next, State::kTerminated);
      EXPECT_EQ(step.action, Action::kNone);
    }
  }
}

// §17.1.1.2: 500 ms, 1 s, 2 s, 4 s, 8 s … ; §17.1.2.2: capped at T2, and T2 in Proceeding.
TEST(ClientTransactionTest, RetransmitIntervalsDoubleAsTheTimersSay) {
  EXPECT_EQ(NextRetransmitInterval(State::kCalling, kT2), 2 * kT2);
  EXPECT_EQ(NextRetransmitInterval(State::kTrying, kT1), 2 * kT1);
  EXPECT_EQ(NextRetransmitInterval(State::kTrying, kT2), kT2);
  EXPECT_EQ(NextRetransmitInterval(State::kProceeding, kT1), kT2);
}

}  // namespace
}  // namespace sallyport::sip
