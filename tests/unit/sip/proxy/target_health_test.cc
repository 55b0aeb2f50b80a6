#include "sip/proxy/target_health.h"

#include <gtest/gtest.h>

namespace sallyport::sip {
namespace {

using State = HealthState;
using Event = HealthEvent;
using Change = HealthChange;
using Failure = TargetFailure;

constexpr absl::Duration kNanosecond = absl::Nanoseconds(1);

class TargetHealthTest : public testing::Test {
 protected:
  static HealthOptions WithProbes() {
    HealthOptions options;
    options.has_probes = true;
    return options;
  }
  void Pass(absl::Duration duration) { now_ = now_ + duration; }
  Change Fail(TargetHealth& health, Failure failure = Failure::kConnectTimeout) {
    return health.OnFailure(now_, failure, now_);
  }
  Change Answer(TargetHealth& health, ProbeAnswer answer, absl::Duration retry_after = {}) {
    return health.OnAsked(now_, answer, retry_after);
  }
  // What one request may bring about: three times, so that the target is suspect.
  void Suspect(TargetHealth& health, Failure failure = Failure::kSilence) {
    ASSERT_EQ(Fail(health, failure), Change::kNone);
    ASSERT_EQ(Fail(health, failure), Change::kNone);
    ASSERT_EQ(Fail(health, failure), Change::kSuspected);
  }
  void BringDown(TargetHealth& health) {
    ASSERT_EQ(Fail(health, Failure::kRefused), Change::kWentDown);
  }
  // From kUp through kDown back to kUp, with the back-off at its least.
  void BringBack(TargetHealth& health) {
    BringDown(health);
    Pass(absl::Milliseconds(250));
    health.OnRequestSent(now_);
    ASSERT_EQ(health.OnSuccess(now_), Change::kCameUp);
  }

  core::MonotonicTime now_{1'000'000'000'000};
};

TEST(HealthMachineTest, EveryArrow) {
  struct Row {
    State from;
    Event event;
    State to;
  };
  constexpr Row kRows[] = {
      {State::kUp, Event::kAlive, State::kUp},
      {State::kUp, Event::kBroken, State::kDown},
      {State::kUp, Event::kTryAgain, State::kUp},
      {State::kDown, Event::kAlive, State::kUp},
      {State::kDown, Event::kBroken, State::kDown},
      {State::kDown, Event::kTryAgain, State::kHalfOpen},
      {State::kHalfOpen, Event::kAlive, State::kUp},
      {State::kHalfOpen, Event::kBroken, State::kDown},
      {State::kHalfOpen, Event::kTryAgain, State::kHalfOpen},
  };
  for (const Row& row : kRows) {
    EXPECT_EQ(AdvanceHealth(row.from, row.event), row.to) << int(row.from) << int(row.event);
  }
}

TEST_F(TargetHealthTest, BeginsUpWithItsFullWeight) {
  const TargetHealth health{HealthOptions{}};
  EXPECT_EQ(health.state(), State::kUp);
  EXPECT_TRUE(health.IsUsable(now_));
  EXPECT_EQ(health.UsableAt(now_), now_);
  EXPECT_EQ(health.WeightFactor(now_), 1);
  EXPECT_EQ(health.WeightFactor(core::MonotonicTime{}), 1);
}

TEST_F(TargetHealthTest, ThirdFailureInARowOpens) {
  for (const Failure failure : {Failure::kConnectTimeout, Failure::kTls}) {
    TargetHealth health{HealthOptions{}};
    EXPECT_EQ(Fail(health, failure), Change::kNone);
    EXPECT_EQ(Fail(health, failure), Change::kNone);
    EXPECT_TRUE(health.IsUsable(now_));
    EXPECT_EQ(Fail(health, failure), Change::kWentDown);
    EXPECT_EQ(health.state(), State::kDown);
    EXPECT_FALSE(health.IsUsable(now_));
    EXPECT_EQ(Fail(health, failure), Change::kNone);  // Told once.
  }
}

// -- What may be the doing of one request --------------------------------------------------------

TEST_F(TargetHealthTest, SilenceAndLossMakeASuspectAndItsAnswerDecides) {
  for (const Failure failure : {Failure::kSilence, Failure::kLost}) {
    TargetHealth silent{HealthOptions{}};
    Suspect(silent, failure);
    EXPECT_TRUE(silent.IsUsable(now_));  // Until it is known.
    Pass(absl::Seconds(2));
    EXPECT_EQ(Answer(silent, ProbeAnswer::kSilent), Change::kWentDown);
    EXPECT_EQ(silent.state(), State::kDown);
    TargetHealth alive{HealthOptions{}};
    Suspect(alive, failure);
    EXPECT_EQ(Answer(alive, ProbeAnswer::kAlive), Change::kNone);
    EXPECT_EQ(Fail(alive, failure), Change::kNone);  // Forgotten.
    EXPECT_EQ(alive.state(), State::kUp);
  }
}

// A telephone that says nothing, behind a target that serves others.
TEST_F(TargetHealthTest, SilenceIsNoneWhileTheTargetAnswersAnythingElse) {
  TargetHealth health{HealthOptions{}};
  const core::MonotonicTime sent = now_;
  Pass(absl::Seconds(30));
  ASSERT_EQ(health.OnSuccess(now_), Change::kNone);
  Pass(absl::Seconds(2));
  for (int request = 0; request < 10; ++request) {
    EXPECT_EQ(health.OnFailure(now_, Failure::kSilence, sent), Change::kNone);
  }
}

TEST_F(TargetHealthTest, SignOfLifeWhileItIsAskedOutweighsItsSilence) {
  TargetHealth health{HealthOptions{}};
  Suspect(health);
  Pass(absl::Seconds(1));
  EXPECT_EQ(health.OnSuccess(now_), Change::kNone);
  Pass(absl::Seconds(1));
  EXPECT_EQ(Answer(health, ProbeAnswer::kSilent), Change::kNone);
  EXPECT_EQ(health.state(), State::kUp);
}

TEST_F(TargetHealthTest, OneQuestionAtATime) {
  TargetHealth health{HealthOptions{}};
  Suspect(health);
  EXPECT_EQ(Fail(health, Failure::kSilence), Change::kNone);
  Pass(absl::Seconds(10));
  EXPECT_EQ(Fail(health, Failure::kSilence), Change::kNone);
  EXPECT_EQ(Answer(health, ProbeAnswer::kUnknown), Change::kNone);
  EXPECT_EQ(Fail(health, Failure::kSilence), Change::kSuspected);
}

TEST_F(TargetHealthTest, QuestionsKeepTheirDistance) {
  TargetHealth health{HealthOptions{}};
  Suspect(health);
  EXPECT_EQ(Answer(health, ProbeAnswer::kUnknown), Change::kNone);
  Pass(absl::Seconds(4) - kNanosecond);
  EXPECT_EQ(Fail(health, Failure::kSilence), Change::kNone);
  Pass(kNanosecond);
  EXPECT_EQ(Fail(health, Failure::kSilence), Change::kSuspected);
}

// Else nothing would end the trial before it is forgotten.
TEST_F(TargetHealthTest, FailedTrialThatCannotBeAskedAboutLeavesItDown) {
  TargetHealth health{HealthOptions{}};
  Suspect(health);
  EXPECT_EQ(Answer(health, ProbeAnswer::kSilent), Change::kWentDown);
  Pass(absl::Milliseconds(250));
  health.OnRequestSent(now_);
  EXPECT_EQ(Fail(health, Failure::kLost), Change::kSuspected);  // Without a pause.
  EXPECT_EQ(Answer(health, ProbeAnswer::kUnknown), Change::kNone);
  EXPECT_EQ(health.state(), State::kDown);
  EXPECT_EQ(health.UsableAt(now_), now_ + absl::Milliseconds(500));
}

TEST_F(TargetHealthTest, QuestionThatDidNotLeaveDecidesNothing) {
  TargetHealth health{HealthOptions{}};
  Suspect(health);
  EXPECT_EQ(Answer(health, ProbeAnswer::kUnknown), Change::kNone);
  EXPECT_EQ(health.state(), State::kUp);
}

TEST_F(TargetHealthTest, SilentTrialIsAsked) {
  for (const bool is_alive : {false, true}) {
    TargetHealth health{HealthOptions{}};
    BringDown(health);
    Pass(absl::Milliseconds(250));
    health.OnRequestSent(now_);
    EXPECT_EQ(Fail(health, Failure::kSilence), Change::kSuspected);
    EXPECT_FALSE(health.IsUsable(now_));
    EXPECT_EQ(Answer(health, is_alive ? ProbeAnswer::kAlive : ProbeAnswer::kSilent),
              is_alive ? Change::kCameUp : Change::kNone);
    EXPECT_EQ(health.state(), is_alive ? State::kUp : State::kDown);
  }
}

TEST_F(TargetHealthTest, RefusedConnectionOpensAtOnce) {
  TargetHealth health{HealthOptions{}};
  EXPECT_EQ(Fail(health, Failure::kRefused), Change::kWentDown);
}

TEST_F(TargetHealthTest, SignOfLifeForgetsFailures) {
  TargetHealth health{HealthOptions{}};
  for (int round = 0; round < 5; ++round) {
    Fail(health);
    Fail(health);
    EXPECT_EQ(health.OnSuccess(now_), Change::kNone);
  }
  EXPECT_EQ(health.state(), State::kUp);
}

// 250 ms, 500 ms, 1, 2, 4, 8, 8 s: each trial fails.
TEST_F(TargetHealthTest, BackOffDoublesUpToItsBound) {
  TargetHealth health{HealthOptions{}};
  BringDown(health);
  for (const int milliseconds : {250, 500, 1000, 2000, 4000, 8000, 8000, 8000}) {
    const core::MonotonicTime due = now_ + absl::Milliseconds(milliseconds);
    EXPECT_EQ(health.UsableAt(now_), due);
    now_ = due + -kNanosecond;
    EXPECT_FALSE(health.IsUsable(now_)) << milliseconds;
    health.OnRequestSent(now_);  // Tried for want of others: no trial.
    EXPECT_EQ(health.state(), State::kDown);
    Pass(kNanosecond);
    EXPECT_TRUE(health.IsUsable(now_)) << milliseconds;
    EXPECT_EQ(health.state(), State::kDown);  // Asking changes nothing.
    health.OnRequestSent(now_);
    EXPECT_EQ(health.state(), State::kHalfOpen);
    EXPECT_EQ(Fail(health), Change::kNone);  // It had not been up in between.
    EXPECT_EQ(health.state(), State::kDown);
  }
}

TEST_F(TargetHealthTest, OneTrialAtATime) {
  TargetHealth health{HealthOptions{}};
  BringDown(health);
  Pass(absl::Milliseconds(250));
  health.OnRequestSent(now_);
  EXPECT_FALSE(health.IsUsable(now_));
  EXPECT_EQ(health.UsableAt(now_), now_ + absl::Seconds(32));
  EXPECT_EQ(health.OnSuccess(now_), Change::kCameUp);
  EXPECT_TRUE(health.IsUsable(now_));
}

TEST_F(TargetHealthTest, WithdrawnTrialMakesRoomForAnother) {
  TargetHealth health{HealthOptions{}};
  BringDown(health);
  Pass(absl::Milliseconds(250));
  health.OnRequestSent(now_);
  health.OnRequestWithdrawn();
  EXPECT_TRUE(health.IsUsable(now_));
  health.OnRequestSent(now_);
  EXPECT_FALSE(health.IsUsable(now_));
}

TEST_F(TargetHealthTest, AsManyTrialsAsConfigured) {
  HealthOptions options;
  options.trials_max = 3;
  TargetHealth health{options};
  BringDown(health);
  Pass(absl::Milliseconds(250));
  for (int trial = 0; trial < 3; ++trial) {
    EXPECT_TRUE(health.IsUsable(now_)) << trial;
    health.OnRequestSent(now_);
  }
  EXPECT_FALSE(health.IsUsable(now_));
}

// Whoever sent it may be gone without a word: cancelled, or its flow was lost.
TEST_F(TargetHealthTest, ForgottenTrialIsReplaced) {
  TargetHealth health{HealthOptions{}};
  BringDown(health);
  Pass(absl::Milliseconds(250));
  health.OnRequestSent(now_);
  Pass(absl::Seconds(32) - kNanosecond);
  EXPECT_FALSE(health.IsUsable(now_));
  Pass(kNanosecond);
  EXPECT_TRUE(health.IsUsable(now_));
  health.OnRequestSent(now_);
  EXPECT_FALSE(health.IsUsable(now_));
  EXPECT_EQ(health.OnSuccess(now_), Change::kCameUp);
}

TEST_F(TargetHealthTest, AnswerWhileOpenCloses) {
  TargetHealth health{HealthOptions{}};
  BringDown(health);
  EXPECT_EQ(health.OnSuccess(now_), Change::kCameUp);
}

// Requests that were on their way when it went down time out later: not the fault of what came up.
TEST_F(TargetHealthTest, FailuresOfEarlierRequestsAreIgnored) {
  TargetHealth health{HealthOptions{}};
  const core::MonotonicTime before = now_;
  Pass(absl::Seconds(1));
  BringBack(health);
  for (int request = 0; request < 10; ++request) {
    EXPECT_EQ(health.OnFailure(now_, Failure::kConnectTimeout, before), Change::kNone);
  }
  EXPECT_EQ(health.state(), State::kUp);
  Fail(health);
  Fail(health);
  EXPECT_EQ(Fail(health), Change::kWentDown);
}

TEST_F(TargetHealthTest, FailureOfAnEarlierRequestDoesNotEndATrial) {
  TargetHealth health{HealthOptions{}};
  const core::MonotonicTime before = now_;
  Pass(absl::Seconds(1));
  BringDown(health);
  Pass(absl::Milliseconds(250));
  health.OnRequestSent(now_);
  EXPECT_EQ(health.OnFailure(now_, Failure::kConnectTimeout, before), Change::kNone);
  EXPECT_EQ(health.state(), State::kHalfOpen);
}

// A target that comes up only to fail again is left alone for longer each time.
TEST_F(TargetHealthTest, FlappingKeepsTheBackOffAndStayingUpForgetsIt) {
  TargetHealth health{HealthOptions{}};
  BringBack(health);
  BringDown(health);
  EXPECT_EQ(health.UsableAt(now_), now_ + absl::Milliseconds(500));
  Pass(absl::Milliseconds(500));
  health.OnRequestSent(now_);
  ASSERT_EQ(health.OnSuccess(now_), Change::kCameUp);
  Pass(absl::Seconds(10) - kNanosecond);
  BringDown(health);
  EXPECT_EQ(health.UsableAt(now_), now_ + absl::Seconds(1));
  ASSERT_EQ(health.OnSuccess(now_), Change::kCameUp);
  Pass(absl::Seconds(10));
  BringDown(health);
  EXPECT_EQ(health.UsableAt(now_), now_ + absl::Milliseconds(250));
}

TEST_F(TargetHealthTest, WeightRampsUpAfterItCameUp) {
  TargetHealth health{HealthOptions{}};
  BringBack(health);
  EXPECT_DOUBLE_EQ(health.WeightFactor(now_), 0.1);
  EXPECT_DOUBLE_EQ(health.WeightFactor(now_ + absl::Seconds(1)), 0.19);
  EXPECT_DOUBLE_EQ(health.WeightFactor(now_ + absl::Seconds(5)), 0.55);
  EXPECT_LT(health.WeightFactor(now_ + absl::Seconds(10) + -kNanosecond), 1);
  EXPECT_EQ(health.WeightFactor(now_ + absl::Seconds(10)), 1);
  EXPECT_EQ(health.WeightFactor(now_ + absl::Hours(10'000)), 1);
}

TEST_F(TargetHealthTest, TrialHasTheSmallestWeight) {
  TargetHealth health{HealthOptions{}};
  BringDown(health);
  Pass(absl::Milliseconds(250));
  EXPECT_DOUBLE_EQ(health.WeightFactor(now_), 0.1);
  health.OnRequestSent(now_);
  EXPECT_DOUBLE_EQ(health.WeightFactor(now_), 0.1);
}

// -- 503 (RFC 3261 §21.5.4) ----------------------------------------------------------------------

// The 503 of a request may be its callee's own; OPTIONS says whether it is the target's.
TEST_F(TargetHealthTest, ConfirmedRetryAfterHoldsItOffUntilThen) {
  TargetHealth health{HealthOptions{}};
  EXPECT_EQ(health.OnUnavailable(now_, absl::Seconds(5)), Change::kSuspected);
  EXPECT_TRUE(health.IsUsable(now_));
  EXPECT_EQ(Answer(health, ProbeAnswer::kUnavailable), Change::kHeldOff);
  EXPECT_EQ(health.state(), State::kUp);
  EXPECT_EQ(health.UsableAt(now_), now_ + absl::Seconds(5));
}

TEST_F(TargetHealthTest, SilenceDoesNotConfirmARetryAfter) {
  TargetHealth health{HealthOptions{}};
  ASSERT_EQ(health.OnUnavailable(now_, absl::Seconds(60)), Change::kSuspected);
  EXPECT_EQ(Answer(health, ProbeAnswer::kSilent), Change::kWentDown);
  EXPECT_EQ(health.UsableAt(now_), now_ + absl::Milliseconds(250));
}

TEST_F(TargetHealthTest, GoodProbeEndsAHoldOff) {
  TargetHealth health{WithProbes()};
  ASSERT_EQ(health.OnUnavailable(now_, absl::Seconds(60)), Change::kSuspected);
  ASSERT_EQ(Answer(health, ProbeAnswer::kUnavailable), Change::kHeldOff);
  EXPECT_EQ(health.OnProbe(now_, true), Change::kNone);
  EXPECT_TRUE(health.IsUsable(now_));
}

TEST_F(TargetHealthTest, RetryAfterOfACalleeHoldsNobodyOff) {
  TargetHealth health{HealthOptions{}};
  for (int request = 0; request < 10; ++request) {
    const Change change = health.OnUnavailable(now_, absl::Seconds(3600));
    EXPECT_EQ(change, request == 0 ? Change::kSuspected : Change::kNone);
  }
  EXPECT_EQ(Answer(health, ProbeAnswer::kAlive), Change::kNone);
  EXPECT_TRUE(health.IsUsable(now_));
}

TEST_F(TargetHealthTest, RetryAfterHoldsItOffUntilThen) {
  TargetHealth health{HealthOptions{}};
  ASSERT_EQ(health.OnUnavailable(now_, absl::Seconds(1)), Change::kSuspected);
  EXPECT_EQ(Answer(health, ProbeAnswer::kUnavailable, absl::Seconds(5)), Change::kHeldOff);
  EXPECT_EQ(health.UsableAt(now_), now_ + absl::Seconds(5));
  EXPECT_EQ(Answer(health, ProbeAnswer::kUnavailable, absl::Seconds(3)), Change::kNone);
  Pass(absl::Seconds(5) - kNanosecond);
  EXPECT_FALSE(health.IsUsable(now_));
  Pass(kNanosecond);
  EXPECT_TRUE(health.IsUsable(now_));
  EXPECT_EQ(health.WeightFactor(now_), 1);
}

TEST_F(TargetHealthTest, RetryAfterIsBounded) {
  TargetHealth health{HealthOptions{}};
  ASSERT_EQ(health.OnUnavailable(now_, absl::Hours(24)), Change::kSuspected);
  EXPECT_EQ(Answer(health, ProbeAnswer::kUnavailable), Change::kHeldOff);
  EXPECT_FALSE(health.IsUsable(now_ + absl::Seconds(60) + -kNanosecond));
  EXPECT_TRUE(health.IsUsable(now_ + absl::Seconds(60)));
  EXPECT_EQ(Answer(health, ProbeAnswer::kUnavailable, absl::InfiniteDuration()), Change::kNone);
  EXPECT_TRUE(health.IsUsable(now_ + absl::Seconds(60)));
}

// "If no Retry-After is given, the client MUST act as if it had received a 500": no sign against
// the target. It is not a sign of life, either.
TEST_F(TargetHealthTest, UnavailableWithoutRetryAfterSaysNothing) {
  TargetHealth health{HealthOptions{}};
  for (int count = 0; count < 10; ++count) {
    EXPECT_EQ(health.OnUnavailable(now_, absl::ZeroDuration()), Change::kNone);
  }
  EXPECT_TRUE(health.IsUsable(now_));
  Fail(health);
  Fail(health);
  health.OnUnavailable(now_, absl::ZeroDuration());
  EXPECT_EQ(Fail(health), Change::kWentDown);
}

TEST_F(TargetHealthTest, UnavailableFailsATrial) {
  for (const absl::Duration retry_after : {absl::ZeroDuration(), absl::Seconds(1)}) {
    TargetHealth health{HealthOptions{}};
    BringDown(health);
    Pass(absl::Milliseconds(250));
    health.OnRequestSent(now_);
    EXPECT_EQ(health.OnUnavailable(now_, retry_after), Change::kSuspected);
    EXPECT_EQ(Answer(health, ProbeAnswer::kUnavailable), Change::kNone);
    EXPECT_EQ(health.state(), State::kDown);
    EXPECT_EQ(health.UsableAt(now_), now_ + std::max(retry_after, absl::Milliseconds(500)));
  }
}

TEST_F(TargetHealthTest, HeldOffTargetThatAlsoFailsComesBackWhenBothAllow) {
  TargetHealth health{HealthOptions{}};
  health.OnUnavailable(now_, absl::Seconds(1));
  Answer(health, ProbeAnswer::kUnavailable);
  BringDown(health);
  EXPECT_EQ(health.UsableAt(now_), now_ + absl::Seconds(1));
  EXPECT_FALSE(health.IsUsable(now_ + absl::Milliseconds(999)));
  EXPECT_TRUE(health.IsUsable(now_ + absl::Seconds(1)));
}

// -- Probes --------------------------------------------------------------------------------------

TEST_F(TargetHealthTest, SecondFailedProbeOpensAndSecondGoodOneCloses) {
  TargetHealth health{WithProbes()};
  EXPECT_EQ(health.OnProbe(now_, false), Change::kNone);
  EXPECT_EQ(health.OnProbe(now_, true), Change::kNone);
  EXPECT_EQ(health.OnProbe(now_, false), Change::kNone);
  EXPECT_EQ(health.OnProbe(now_, false), Change::kWentDown);
  EXPECT_EQ(health.OnProbe(now_, false), Change::kNone);
  EXPECT_FALSE(health.IsUsable(now_ + absl::Hours(1)));  // Only a probe can tell.
  EXPECT_EQ(health.UsableAt(now_), core::kInfiniteFuture);
  EXPECT_EQ(health.OnProbe(now_, true), Change::kNone);
  EXPECT_EQ(health.OnProbe(now_, false), Change::kNone);
  EXPECT_EQ(health.OnProbe(now_, true), Change::kNone);
  EXPECT_FALSE(health.IsUsable(now_));
  EXPECT_EQ(health.OnProbe(now_, true), Change::kCameUp);
  EXPECT_TRUE(health.IsUsable(now_));
  EXPECT_DOUBLE_EQ(health.WeightFactor(now_), 0.1);
}

// A server that answers requests is alive, whatever it makes of OPTIONS.
TEST_F(TargetHealthTest, AnsweredRequestCountsAsAGoodProbe) {
  TargetHealth health{WithProbes()};
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(health.OnProbe(now_, false), Change::kNone);
    EXPECT_EQ(health.OnSuccess(now_), Change::kNone);
  }
  health.OnProbe(now_, false);
  EXPECT_EQ(health.OnProbe(now_, false), Change::kWentDown);
  EXPECT_EQ(health.OnSuccess(now_), Change::kNone);
  EXPECT_EQ(health.OnSuccess(now_), Change::kCameUp);
}

TEST_F(TargetHealthTest, FailingRequestsOpenInSpiteOfProbesAndOnlyProbesClose) {
  TargetHealth health{WithProbes()};
  Fail(health);
  Fail(health);
  EXPECT_EQ(Fail(health), Change::kWentDown);
  Pass(absl::Minutes(5));
  EXPECT_FALSE(health.IsUsable(now_));
  health.OnRequestSent(now_);
  EXPECT_EQ(health.state(), State::kDown);
  EXPECT_EQ(health.OnProbe(now_, true), Change::kNone);
  EXPECT_EQ(health.OnProbe(now_, true), Change::kCameUp);
}

TEST_F(TargetHealthTest, FailedRequestBreaksARowOfGoodProbes) {
  TargetHealth health{WithProbes()};
  BringDown(health);
  health.OnProbe(now_, true);
  Fail(health);
  EXPECT_EQ(health.OnProbe(now_, true), Change::kNone);
  EXPECT_EQ(health.OnProbe(now_, true), Change::kCameUp);
}

TEST_F(TargetHealthTest, ReloadThatTakesTheProbesAwayLetsTrialsThrough) {
  TargetHealth health{WithProbes()};
  BringDown(health);
  health.set_options(HealthOptions{});
  EXPECT_TRUE(health.IsUsable(now_ + absl::Milliseconds(250)));
}

}  // namespace
}  // namespace sallyport::sip
