#include "sip/proxy/server_transaction.h"

#include <gtest/gtest.h>

namespace sallyport::sip {
namespace {

using State = ServerState;
using Event = ServerEvent;
using Action = ServerAction;

struct Row {
  State from;
  Event event;
  State to;
  Action action;
};

// RFC 3261 figure 7 with RFC 6026 figure 1, for a reliable transport.
constexpr Row kInviteRows[] = {
    {State::kProceeding, Event::kRequest, State::kProceeding, Action::kAbsorb},
    {State::kProceeding, Event::kProvisional, State::kProceeding, Action::kSend},
    {State::kProceeding, Event::kSuccess, State::kAccepted, Action::kSend},
    {State::kProceeding, Event::kFailure, State::kCompleted, Action::kSend},
    {State::kProceeding, Event::kAck, State::kProceeding, Action::kNone},
    {State::kProceeding, Event::kFlowLost, State::kTerminated, Action::kNone},
    {State::kCompleted, Event::kRequest, State::kCompleted, Action::kAbsorb},
    {State::kCompleted, Event::kAck, State::kTerminated, Action::kNone},
    {State::kCompleted, Event::kLinger, State::kTerminated, Action::kNone},
    {State::kCompleted, Event::kFailure, State::kCompleted, Action::kNone},
    {State::kCompleted, Event::kSuccess, State::kCompleted, Action::kNone},
    {State::kAccepted, Event::kRequest, State::kAccepted, Action::kAbsorb},
    {State::kAccepted, Event::kSuccess, State::kAccepted, Action::kSend},
    {State::kAccepted, Event::kFailure, State::kAccepted, Action::kNone},
    {State::kAccepted, Event::kProvisional, State::kAccepted, Action::kNone},
    {State::kAccepted, Event::kAck, State::kAccepted, Action::kNone},
    {State::kAccepted, Event::kLinger, State::kTerminated, Action::kNone},
};

TEST(ServerTransactionTest, InviteFollowsEveryArrow) {
  for (const Row& row : kInviteRows) {
    const ServerStep step = AdvanceInviteServer(row.from, row.event);
    EXPECT_EQ(step.next, row.to) << int(row.from) << " " << int(row.event);
    EXPECT_EQ(step.action, row.action) << int(row.from) << " " << int(row.event);
  }
}

constexpr Row kNonInviteRows[] = {
    {State::kTrying, Event::kRequest, State::kTrying, Action::kAbsorb},
    {State::kTrying, Event::kProvisional, State::kProceeding, Action::kSend},
    {State::kTrying, Event::kFailure, State::kTerminated, Action::kSend},
    {State::kProceeding, Event::kSuccess, State::kTerminated, Action::kSend},
    {State::kProceeding, Event::kRequest, State::kProceeding, Action::kAbsorb},
    {State::kTrying, Event::kFlowLost, State::kTerminated, Action::kNone},
};

TEST(ServerTransactionTest, NonInviteFollowsEveryArrow) {
  for (const Row& row : kNonInviteRows) {
    const ServerStep step = AdvanceNonInviteServer(row.from, row.event);
    EXPECT_EQ(step.next, row.to) << int(row.from) << " " << int(row.event);
    EXPECT_EQ(step.action, row.action) << int(row.from) << " " << int(row.event);
  }
}

TEST(ServerTransactionTest, TerminatedSendsNothing) {
  for (int event = 0; event <= static_cast<int>(Event::kFlowLost); ++event) {
    for (const auto advance : {AdvanceInviteServer, AdvanceNonInviteServer}) {
      const ServerStep step = advance(State::kTerminated, static_cast<Event>(event));
      EXPECT_EQ(step.next, State::kTerminated);
      EXPECT_EQ(step.action, Action::kNone);
    }
  }
}

}  // namespace
}  // namespace sallyport::sip
