#include "sip/proxy/fair_turns.h"

#include <gtest/gtest.h>

namespace sallyport::sip {
namespace {

constexpr core::MonotonicTime kNow{1'000'000'000};

int TakeAll(FairTurns& turns, uint64_t key, uint64_t turn) {
  int taken = 0;
  while (taken < 1000 && turns.Take(key, turn, kNow)) ++taken;
  return taken;
}

TEST(FairTurnsTest, EachIdentityHasItsMessagesInEachTurn) {
  FairTurns turns({.share = {.messages_max = 64}, .identities_max = 8});
  for (uint64_t turn = 0; turn < 100; ++turn) {
    for (uint64_t key = 0; key < 8; ++key) EXPECT_EQ(TakeAll(turns, key, turn), 64);
    for (uint64_t key = 0; key < 8; ++key) EXPECT_FALSE(turns.Take(key, turn, kNow));
  }
}

TEST(FairTurnsTest, OneThatIsThroughDoesNotHoldUpAnother) {
  FairTurns turns({.share = {.messages_max = 2}, .identities_max = 8});
  EXPECT_EQ(TakeAll(turns, 1, 5), 2);
  EXPECT_TRUE(turns.Take(2, 5, kNow));
  EXPECT_FALSE(turns.Take(1, 5, kNow));
  EXPECT_TRUE(turns.Take(2, 5, kNow));
}

TEST(FairTurnsTest, WhatWasNotTakenIsNotSaved) {
  FairTurns turns({.share = {.messages_max = 4}, .identities_max = 8});
  EXPECT_TRUE(turns.Take(1, 1, kNow));
  EXPECT_EQ(TakeAll(turns, 1, 1000), 4);
}

TEST(FairTurnsTest, IdentitiesBeyondTheBoundWait) {
  FairTurns turns({.share = {.messages_max = 1}, .identities_max = 4});
  for (uint64_t key = 0; key < 4; ++key) EXPECT_TRUE(turns.Take(key, 1, kNow));
  EXPECT_FALSE(turns.Take(4, 1, kNow));
  EXPECT_TRUE(turns.Take(4, 2, kNow));
}

TEST(FairTurnsTest, IdentitiesOfOnePlaceAreKeptApart) {
  FairTurns turns({.share = {.messages_max = 3}, .identities_max = 4});  // 8 places.
  for (uint64_t turn = 1; turn < 4; ++turn) {
    for (uint64_t key = 0; key < 4; ++key) EXPECT_EQ(TakeAll(turns, 7 + 8 * key, turn), 3);
  }
}

TEST(FairTurnsTest, TimeEndsAShareAsWell) {
  FairTurns turns(
      {.share = {.messages_max = 32, .time_max = absl::Microseconds(250)}, .identities_max = 4});
  for (uint64_t turn = 1; turn < 4; ++turn) {
    core::MonotonicTime now = kNow + absl::Seconds(turn);
    for (int message = 0; message < 3; ++message) {
      EXPECT_TRUE(turns.Take(1, turn, now));
      now = now + absl::Microseconds(100);
    }
    EXPECT_FALSE(turns.Take(1, turn, now));
    EXPECT_TRUE(turns.Take(2, turn, now)) << "somebody else's time";
  }
}

TEST(FairTurnsTest, OneMessageOfATurnIsServedHoweverLongTheyTake) {
  FairTurns turns(
      {.share = {.messages_max = 32, .time_max = absl::Microseconds(250)}, .identities_max = 4});
  core::MonotonicTime now = kNow;
  for (uint64_t turn = 1; turn < 4; ++turn) {
    EXPECT_TRUE(turns.Take(1, turn, now));
    now = now + absl::Seconds(1);
    EXPECT_FALSE(turns.Take(1, turn, now));
    now = now + absl::Seconds(1);  // Waiting for the next turn costs nothing.
  }
}

TEST(FairTurnsTest, TimeIsOfWhoTookTheMessage) {
  FairTurns turns(
      {.share = {.messages_max = 32, .time_max = absl::Microseconds(250)}, .identities_max = 4});
  EXPECT_TRUE(turns.Take(1, 1, kNow));
  EXPECT_TRUE(turns.Take(2, 1, kNow + absl::Microseconds(240)));
  EXPECT_TRUE(turns.Take(1, 1, kNow + absl::Microseconds(300))) << "60 of that were the other's";
  EXPECT_FALSE(turns.Take(1, 1, kNow + absl::Microseconds(310)));
  EXPECT_TRUE(turns.Take(2, 1, kNow + absl::Microseconds(900))) << "nothing was served for it";
}

TEST(FairTurnsTest, WhatHappensAfterStopIsNobodys) {
  FairTurns turns(
      {.share = {.messages_max = 32, .time_max = absl::Microseconds(250)}, .identities_max = 4});
  EXPECT_TRUE(turns.Take(1, 1, kNow));
  EXPECT_TRUE(turns.is_serving());
  turns.Stop(kNow + absl::Microseconds(100));
  EXPECT_FALSE(turns.is_serving());
  turns.Stop(kNow + absl::Seconds(1));
  EXPECT_TRUE(turns.Take(1, 1, kNow + absl::Seconds(2)));
  EXPECT_FALSE(turns.Take(1, 1, kNow + absl::Seconds(2) + absl::Microseconds(150)));
}

TEST(FairTurnsTest, WhoIsAloneForAWhileHasMore) {
  FairTurns turns({.share = {.messages_max = 2},
                   .share_alone = {.messages_max = 5},
                   .alone_after = absl::Seconds(10)});
  core::MonotonicTime now = kNow + absl::Seconds(100);
  const auto take_all = [&](uint64_t key, uint64_t turn) {
    int taken = 0;
    while (taken < 100 && turns.Take(key, turn, now)) ++taken;
    return taken;
  };
  EXPECT_EQ(take_all(1, 1), 5) << "nobody else has ever come";
  EXPECT_EQ(take_all(2, 2), 2);
  EXPECT_EQ(take_all(1, 2), 2);
  now = now + absl::Seconds(9);
  EXPECT_EQ(take_all(1, 3), 2);
  now = now + absl::Seconds(1);
  EXPECT_EQ(take_all(1, 4), 5);
  EXPECT_EQ(take_all(2, 4), 2);
  EXPECT_EQ(take_all(1, 4), 0) << "it had more than its share of this turn";
  EXPECT_EQ(take_all(1, 5), 2);
}

TEST(FairTurnsTest, NobodyIsServedWhereNothingMayBe) {
  FairTurns none({.share = {.messages_max = 0}, .identities_max = 4});
  EXPECT_FALSE(none.Take(1, 1, kNow));
  FairTurns nobody({.share = {.messages_max = 4}, .identities_max = 0});
  EXPECT_FALSE(nobody.Take(1, 1, kNow));
}

}  // namespace
}  // namespace sallyport::sip
