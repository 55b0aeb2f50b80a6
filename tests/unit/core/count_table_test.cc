#include "core/count_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace sallyport::core {
namespace {

TEST(CountTableTest, UpToTheMaximumAndNoFurther) {
  CountTable table(8);
  for (int count = 0; count < 3; ++count) EXPECT_TRUE(table.Increment(5, 3));
  EXPECT_FALSE(table.Increment(5, 3));
  EXPECT_EQ(table.Count(5), 3U);
  table.Decrement(5);
  EXPECT_TRUE(table.Increment(5, 3));
  EXPECT_FALSE(table.Increment(5, 3));
}

TEST(CountTableTest, MaximumOfZeroAdmitsNothing) {
  CountTable table(8);
  EXPECT_FALSE(table.Increment(5, 0));
  EXPECT_EQ(table.keys(), 0U);
}

TEST(CountTableTest, LoweredMaximumHoldsForNewOnes) {
  CountTable table(8);
  for (int count = 0; count < 5; ++count) EXPECT_TRUE(table.Increment(5, 10));
  EXPECT_FALSE(table.Increment(5, 3));
  EXPECT_EQ(table.Count(5), 5U);
}

TEST(CountTableTest, KeyWithNothingLeftIsForgotten) {
  CountTable table(1);
  for (uint64_t key = 0; key < 1000; ++key) {
    EXPECT_TRUE(table.Increment(key, 1));
    EXPECT_EQ(table.keys(), 1U);
    EXPECT_FALSE(table.Increment(key + 1, 1));  // The bound that the caller never reaches.
    table.Decrement(key);
    EXPECT_EQ(table.Count(key), 0U);
  }
  EXPECT_EQ(table.keys(), 0U);
}

TEST(CountTableTest, AmountsAddUpAndAreForgottenAtZero) {
  CountTable table(1);
  EXPECT_TRUE(table.Add(5, uint64_t{1} << 40));
  EXPECT_TRUE(table.Add(5, 3));
  EXPECT_TRUE(table.Add(6, 0)) << "nothing needs no place";
  EXPECT_FALSE(table.Add(6, 1));
  EXPECT_EQ(table.Amount(5), (uint64_t{1} << 40) + 3);
  table.Subtract(5, uint64_t{1} << 40);
  EXPECT_EQ(table.Amount(5), 3U);
  table.Subtract(5, 3);
  table.Subtract(6, 0);
  EXPECT_EQ(table.keys(), 0U);
}

TEST(CountTableTest, UnknownKeyHasNone) {
  CountTable table(0);
  EXPECT_EQ(table.Count(0), 0U);
  EXPECT_EQ(table.Count(1), 0U);
  EXPECT_FALSE(table.Increment(1, 1));
}

// The worst case, which keyed hashes rule out: all in one chain that wraps around the end.
TEST(CountTableTest, KeysOfOneChainStayExact) {
  constexpr uint32_t kKeys = 8;  // 16 places.
  CountTable table(kKeys);
  std::vector<uint64_t> keys;
  for (uint64_t key = 0; key < kKeys; ++key) keys.push_back(14 + 16 * key);
  for (size_t gone = 0; gone < kKeys; ++gone) {
    for (const uint64_t key : keys) EXPECT_TRUE(table.Increment(key, 1));
    table.Decrement(keys[gone]);
    for (size_t index = 0; index < kKeys; ++index) {
      EXPECT_EQ(table.Count(keys[index]), index == gone ? 0U : 1U);
    }
    for (size_t index = 0; index < kKeys; ++index) {
      if (index != gone) table.Decrement(keys[index]);
    }
  }
  EXPECT_EQ(table.keys(), 0U);
}

// Goal: it counts like a map does. Method: a million random steps on few, crowded keys.
TEST(CountTableTest, CountsLikeAMap) {
  constexpr uint32_t kKeysMax = 30;
  std::mt19937_64 random(11);
  CountTable table(kKeysMax);
  std::map<uint64_t, uint32_t> model;
  for (int step = 0; step < 1'000'000; ++step) {
    const uint64_t key = random() % 50 * (1 + random() % 2 * 63);  // Some share their home.
    if (random() % 2 == 0) {
      const bool expected = model.contains(key) ? model[key] < 4 : model.size() < kKeysMax;
      ASSERT_EQ(table.Increment(key, 4), expected);
      if (expected) ++model[key];
    } else if (model.contains(key)) {
      table.Decrement(key);
      if (--model[key] == 0) model.erase(key);
    }
    ASSERT_EQ(table.keys(), model.size());
    ASSERT_EQ(table.Count(key), model.contains(key) ? model[key] : 0);
  }
  for (const auto& [key, count] : model) EXPECT_EQ(table.Count(key), count);
}

}  // namespace
}  // namespace sallyport::core
