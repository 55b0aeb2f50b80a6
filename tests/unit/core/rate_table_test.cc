#include "core/rate_table.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace sallyport::core {
namespace {

constexpr MonotonicTime kStart{5'000'000'000};

MonotonicTime After(int64_t nanoseconds) { return {kStart.nanoseconds + nanoseconds}; }

TEST(RateLimitTest, RateAndBurstAsNanoseconds) {
  const RateLimit limit = RateLimit::PerSecond(1000, 5);
  EXPECT_EQ(limit.interval_ns(), 1'000'000);
  EXPECT_EQ(limit.tolerance_ns(), 4'000'000);
  EXPECT_EQ(RateLimit::PerSecond(0.5, 1).interval_ns(), 2'000'000'000);
  EXPECT_EQ(RateLimit::PerSecond(0.5, 1).tolerance_ns(), 0);
  EXPECT_EQ(RateLimit::PerSecond(1e12, 1).interval_ns(), 1);  // The clock has nothing finer.
}

TEST(RateLimitTest, ExtremesStayInRange) {
  RateTable table(4);
  const RateLimit limit = RateLimit::PerSecond(1e-30, 0xFFFFFFFF);
  EXPECT_TRUE(table.Admit(1, kStart, limit));
  EXPECT_TRUE(table.Admit(1, kStart, limit));  // The tolerance is as long as an interval.
  EXPECT_FALSE(table.Admit(1, kStart, limit));
}

TEST(RateTableTest, CapacityIsRoundedUpToWholeSets) {
  EXPECT_EQ(RateTable(0).capacity(), 4U);
  EXPECT_EQ(RateTable(4).capacity(), 4U);
  EXPECT_EQ(RateTable(5).capacity(), 8U);
  EXPECT_EQ(RateTable(1000).capacity(), 1024U);
}

TEST(RateTableTest, BurstAndNoMore) {
  RateTable table(64);
  const RateLimit limit = RateLimit::PerSecond(10, 3);
  for (int token = 0; token < 3; ++token) EXPECT_TRUE(table.Admit(7, kStart, limit));
  for (int more = 0; more < 100; ++more) EXPECT_FALSE(table.Admit(7, kStart, limit));
}

TEST(RateTableTest, TokenComesBackAfterExactlyOneInterval) {
  RateTable table(64);
  const RateLimit limit = RateLimit::PerSecond(10, 1);
  EXPECT_TRUE(table.Admit(7, kStart, limit));
  EXPECT_FALSE(table.Admit(7, After(99'999'999), limit));  // Refusals cost nothing:
  EXPECT_TRUE(table.Admit(7, After(100'000'000), limit));
  EXPECT_FALSE(table.Admit(7, After(100'000'000), limit));
}

TEST(RateTableTest, BucketFillsUpToItsBurstAndNotBeyond) {
  RateTable table(64);
  const RateLimit limit = RateLimit::PerSecond(10, 3);
  for (int token = 0; token < 3; ++token) EXPECT_TRUE(table.Admit(7, kStart, limit));
  const MonotonicTime later = After(3'600'000'000'000);
  for (int token = 0; token < 3; ++token) EXPECT_TRUE(table.Admit(7, later, limit));
  EXPECT_FALSE(table.Admit(7, later, limit));
}

TEST(RateTableTest, LongRunKeepsToTheRate) {
  RateTable table(64);
  const RateLimit limit = RateLimit::PerSecond(1000, 10);
  int admitted = 0;
  for (int64_t ns = 0; ns < 1'000'000'000; ns += 100'000)
    admitted += table.Admit(7, After(ns), limit);
  EXPECT_GE(admitted, 1000);
  EXPECT_LE(admitted, 1000 + 10);
}

TEST(RateTableTest, KeysDoNotShareTheirTokens) {
  RateTable table(1024);
  const RateLimit limit = RateLimit::PerSecond(1, 1);
  for (uint64_t key = 0; key < 1024; ++key) EXPECT_TRUE(table.Admit(key, kStart, limit)) << key;
  for (uint64_t key = 0; key < 1024; ++key) EXPECT_FALSE(table.Admit(key, kStart, limit)) << key;
  EXPECT_EQ(table.forgotten(), 0U);
}

TEST(RateTableTest, KeyZeroIsAKeyLikeOthers) {
  RateTable table(4);
  const RateLimit limit = RateLimit::PerSecond(1, 2);
  EXPECT_TRUE(table.Admit(4, kStart, limit));
  EXPECT_TRUE(table.Admit(0, kStart, limit));
  EXPECT_TRUE(table.Admit(8, kStart, limit));
  EXPECT_TRUE(table.Admit(0, kStart, limit));
  EXPECT_FALSE(table.Admit(0, kStart, limit));
}

TEST(RateTableTest, BucketsThatAreFullAgainMakeRoomWithoutLoss) {
  RateTable table(4);
  const RateLimit limit = RateLimit::PerSecond(10, 1);
  for (uint64_t key = 1; key <= 1000; ++key) {
    const MonotonicTime now = After(static_cast<int64_t>(key) * 50'000'000);  // Two at a time.
    EXPECT_TRUE(table.Admit(key, now, limit));
    EXPECT_FALSE(table.Admit(key, now, limit));
  }
  EXPECT_EQ(table.forgotten(), 0U);
}

// A flood of new keys does not free one that is held at its limit: the newcomers push each other
// out.
TEST(RateTableTest, FloodOfNewKeysDoesNotFreeALimitedOne) {
  RateTable table(4);
  const RateLimit limit = RateLimit::PerSecond(10, 5);
  const uint64_t limited = 1'000'000;
  for (int token = 0; token < 5; ++token) EXPECT_TRUE(table.Admit(limited, kStart, limit));
  for (uint64_t key = 1; key <= 10'000; ++key) {
    EXPECT_TRUE(table.Admit(key, kStart, limit));
    EXPECT_FALSE(table.Admit(limited, kStart, limit));
  }
  EXPECT_EQ(table.forgotten(), 10'000U - 3);
}

// The price of freeing a limited key: the set's other keys have to spend as much.
TEST(RateTableTest, LimitedKeyIsForgottenOnlyAfterOthersSpentAsMuch) {
  constexpr int kBurst = 5;
  RateTable table(4);
  const RateLimit limit = RateLimit::PerSecond(10, kBurst);
  const uint64_t limited = 1'000'000;
  for (int token = 0; token < kBurst; ++token) EXPECT_TRUE(table.Admit(limited, kStart, limit));
  const MonotonicTime later = After(1);  // Theirs are full again after its bucket is.
  for (uint64_t other = 1; other <= 3; ++other) {
    for (int token = 0; token < kBurst; ++token) EXPECT_TRUE(table.Admit(other, later, limit));
  }
  EXPECT_FALSE(table.Admit(limited, later, limit));
  EXPECT_TRUE(table.Admit(4, later, limit));
  EXPECT_TRUE(table.Admit(limited, later, limit));
  EXPECT_EQ(table.forgotten(), 2U);
}

// What the header says about its size: a quarter full, hardly any limit is lost.
TEST(RateTableTest, QuarterFullTableLimitsNearlyEverybody) {
  RateTable table(1u << 14);
  const RateLimit limit = RateLimit::PerSecond(0.001, 2);
  std::mt19937_64 random(5);
  std::vector<uint64_t> keys(1u << 12);
  for (uint64_t& key : keys) key = random();
  size_t admitted = 0;
  for (int round = 0; round < 100; ++round) {
    for (const uint64_t key : keys) admitted += table.Admit(key, kStart, limit);
  }
  EXPECT_GE(admitted, 2 * keys.size());
  EXPECT_LE(admitted, 4 * keys.size());  // Of fifty times their due.
}

TEST(RateTableTest, AnotherLimitAfterAReloadCountsFromWhatWasSpent) {
  RateTable table(4);
  EXPECT_TRUE(table.Admit(1, kStart, RateLimit::PerSecond(1, 1)));
  EXPECT_FALSE(table.Admit(1, After(1'000'000), RateLimit::PerSecond(1, 1)));
  EXPECT_TRUE(table.Admit(1, After(1'000'000), RateLimit::PerSecond(1, 2)));
}

}  // namespace
}  // namespace sallyport::core
