#include "sip/proxy/overload_control.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sallyport::sip {
namespace {

using State = OverloadState;
using Class = RequestClass;

constexpr absl::Duration kTurn = absl::Milliseconds(10);

class OverloadControlTest : public testing::Test {
 protected:
  // Turns that follow each other for `duration`, each with that delay.
  void Run(absl::Duration delay, absl::Duration duration) {
    for (absl::Duration passed; passed < duration; passed += kTurn) {
      now_ = now_ + kTurn;
      changes_ += control_.OnDelay(now_, delay);
    }
  }
  void RunUntilShare(absl::Duration delay, Class request_class, double share) {
    for (int turn = 0; turn < 10'000 && control_.share(request_class) != share; ++turn) {
      Run(delay, kTurn);
    }
    ASSERT_EQ(control_.share(request_class), share);
  }
  int Admitted(Class request_class, int requests) {
    int admitted = 0;
    for (int request = 0; request < requests; ++request) admitted += control_.Admit(request_class);
    return admitted;
  }

  core::MonotonicTime now_{1'000'000'000'000};
  OverloadControl control_{OverloadOptions{}, now_};
  int changes_ = 0;
};

TEST_F(OverloadControlTest, AdmitsEverythingWhileNothingWaits) {
  Run(absl::Milliseconds(1), absl::Seconds(10));
  EXPECT_EQ(control_.state(), State::kNormal);
  for (const Class request_class : {Class::kNewDialog, Class::kOther, Class::kInDialog}) {
    EXPECT_EQ(Admitted(request_class, 10'000), 10'000);
  }
  EXPECT_EQ(changes_, 0);
}

TEST_F(OverloadControlTest, DelayAtTheBoundIsAllowedAndAboveItIsNot) {
  Run(absl::Milliseconds(20), absl::Seconds(5));
  EXPECT_EQ(control_.state(), State::kNormal);
  Run(absl::Milliseconds(20) + absl::Nanoseconds(1), absl::Milliseconds(200));
  EXPECT_EQ(control_.state(), State::kSheddingNewDialogs);
  EXPECT_EQ(changes_, 1);
}

// A burst is not overload: one moment without a queue in each interval is enough.
TEST_F(OverloadControlTest, BurstsPass) {
  for (int interval = 0; interval < 100; ++interval) {
    Run(absl::Milliseconds(500), 9 * kTurn);
    Run(absl::Milliseconds(1), kTurn);
  }
  EXPECT_EQ(changes_, 0);
}

TEST_F(OverloadControlTest, StandingQueueShedsNewDialogsOnly) {
  Run(absl::Milliseconds(50), absl::Seconds(20));
  EXPECT_EQ(control_.state(), State::kSheddingNewDialogs);
  EXPECT_EQ(control_.share(Class::kNewDialog), 1 / 32.0);
  EXPECT_EQ(Admitted(Class::kOther, 10'000), 10'000);
  EXPECT_EQ(Admitted(Class::kInDialog, 10'000), 10'000);
  EXPECT_NEAR(Admitted(Class::kNewDialog, 10'000), 10'000 / 32.0, 10);
}

TEST_F(OverloadControlTest, ShareHalvesInEachIntervalOfOverload) {
  Run(absl::Milliseconds(50), absl::Milliseconds(100));
  for (const double share : {0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125}) {
    EXPECT_EQ(control_.share(Class::kNewDialog), share);
    Run(absl::Milliseconds(50), absl::Milliseconds(100));
  }
}

// New dialogs first, in-dialog requests last.
TEST_F(OverloadControlTest, SevereOverloadShedsClassAfterClass) {
  RunUntilShare(absl::Milliseconds(81), Class::kNewDialog, 1 / 32.0);
  EXPECT_EQ(control_.state(), State::kSheddingAll);
  EXPECT_EQ(control_.share(Class::kOther), 1);
  RunUntilShare(absl::Milliseconds(81), Class::kOther, 1 / 32.0);
  EXPECT_EQ(control_.share(Class::kInDialog), 1);
  RunUntilShare(absl::Milliseconds(81), Class::kInDialog, 1 / 32.0);
  Run(absl::Milliseconds(81), absl::Seconds(1));
  for (const Class request_class : {Class::kNewDialog, Class::kOther, Class::kInDialog}) {
    EXPECT_GT(Admitted(request_class, 1000), 0);  // No class dies out.
  }
}

TEST_F(OverloadControlTest, FourTimesTheBoundIsNotSevere) {
  Run(absl::Milliseconds(80), absl::Seconds(20));
  EXPECT_EQ(control_.state(), State::kSheddingNewDialogs);
  EXPECT_EQ(control_.share(Class::kOther), 1);
}

TEST_F(OverloadControlTest, WhatWasRefusedLastComesBackFirst) {
  RunUntilShare(absl::Milliseconds(100), Class::kInDialog, 1 / 32.0);
  RunUntilShare(absl::Milliseconds(40), Class::kInDialog, 1);
  EXPECT_EQ(control_.state(), State::kSheddingAll);
  EXPECT_EQ(control_.share(Class::kOther), 1 / 32.0);
  RunUntilShare(absl::Milliseconds(40), Class::kOther, 1);
  Run(absl::Milliseconds(40), absl::Seconds(1));
  EXPECT_EQ(control_.state(), State::kSheddingNewDialogs);  // 40 ms is still twice the bound.
  EXPECT_EQ(control_.share(Class::kNewDialog), 1 / 32.0);
  RunUntilShare(absl::Milliseconds(10), Class::kNewDialog, 1);
  Run(absl::Milliseconds(10), absl::Milliseconds(200));
  EXPECT_EQ(control_.state(), State::kNormal);
  EXPECT_EQ(changes_, 3);
}

// Between half the bound and the bound nothing moves: no swinging about one value.
TEST_F(OverloadControlTest, HoldsBetweenItsBounds) {
  Run(absl::Milliseconds(50), absl::Milliseconds(250));
  const double share = control_.share(Class::kNewDialog);
  EXPECT_LT(share, 1);
  Run(absl::Milliseconds(20), absl::Seconds(10));
  Run(absl::Milliseconds(11), absl::Seconds(10));
  EXPECT_EQ(control_.share(Class::kNewDialog), share);
  EXPECT_EQ(control_.state(), State::kSheddingNewDialogs);
  Run(absl::Milliseconds(10), absl::Seconds(3));
  EXPECT_EQ(control_.state(), State::kNormal);
  EXPECT_EQ(control_.share(Class::kNewDialog), 1);
}

TEST_F(OverloadControlTest, SharesGrowBySteadySteps) {
  Run(absl::Milliseconds(50), absl::Seconds(1));
  Run(absl::Milliseconds(1), absl::Milliseconds(100));
  const double first = control_.share(Class::kNewDialog);
  Run(absl::Milliseconds(1), absl::Milliseconds(100));
  EXPECT_DOUBLE_EQ(control_.share(Class::kNewDialog) - first, 1 / 16.0);
}

// A loop that sleeps reports nothing: that time was calm.
TEST_F(OverloadControlTest, IdleTimeCountsAsCalm) {
  RunUntilShare(absl::Milliseconds(100), Class::kInDialog, 1 / 32.0);
  now_ = now_ + absl::Hours(1);
  EXPECT_TRUE(control_.OnDelay(now_, absl::Milliseconds(1)));
  EXPECT_EQ(control_.state(), State::kNormal);
  EXPECT_EQ(control_.share(Class::kNewDialog), 1);
}

// A turn that took longer than an interval is not idle time: its work has waited.
TEST_F(OverloadControlTest, OneLongTurnIsOneLongDelay) {
  now_ = now_ + absl::Seconds(1);
  EXPECT_TRUE(control_.OnDelay(now_, absl::Seconds(1)));
  EXPECT_EQ(control_.state(), State::kSheddingAll);
  EXPECT_EQ(control_.share(Class::kNewDialog), 0.5);
}

TEST_F(OverloadControlTest, LongTurnAfterIdleTimeCountsOnce) {
  Run(absl::Milliseconds(1), absl::Seconds(1));
  now_ = now_ + absl::Seconds(5);
  control_.OnDelay(now_, absl::Milliseconds(200));
  EXPECT_EQ(control_.state(), State::kSheddingAll);
  EXPECT_EQ(control_.share(Class::kNewDialog), 0.5);
}

// Two peers that take turns are refused alike: a plain accumulator at one half would refuse one of
// them always.
TEST_F(OverloadControlTest, RegularArrivalsAreRefusedAlike) {
  for (const int share_interval : {1, 2, 3}) {
    OverloadControl control(OverloadOptions{}, now_);
    for (int interval = 0; interval < share_interval; ++interval) {
      now_ = now_ + absl::Milliseconds(100);
      control.OnDelay(now_, absl::Milliseconds(50));
    }
    for (const size_t peers : std::array<size_t, 4>{2, 3, 4, 7}) {
      std::array<int, 7> admitted{};
      for (size_t request = 0; request < peers * 1000; ++request) {
        admitted[request % peers] += control.Admit(Class::kNewDialog);
      }
      for (size_t peer = 0; peer < peers; ++peer) {
        EXPECT_NEAR(admitted[peer], 1000 * control.share(Class::kNewDialog), 12) << peers;
      }
    }
  }
}

TEST_F(OverloadControlTest, RetryAfterIsSpreadAndLongerWhenItIsWorse) {
  const auto range = [this] {
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (int refusal = 0; refusal < 1000; ++refusal) {
      const uint32_t seconds = control_.RetryAfterSeconds();
      least = std::min(least, seconds);
      most = std::max(most, seconds);
    }
    return std::pair(least, most);
  };
  Run(absl::Milliseconds(50), absl::Seconds(1));
  EXPECT_EQ(range(), std::pair(2U, 6U));
  Run(absl::Milliseconds(100), absl::Seconds(1));
  EXPECT_EQ(range(), std::pair(8U, 24U));
}

}  // namespace
}  // namespace sallyport::sip
