#include "sip/proxy/target_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace sallyport::sip {
namespace {

constexpr int kCalls = 100'000;

OrderedTarget Target(int number, double weight = 1, uint16_t priority = 0, bool is_usable = true) {
  OrderedTarget target;
  target.priority = priority;
  target.is_usable = is_usable;
  target.weight = weight;
  target.hash_id = TargetHashId("udp:192.0.2." + std::to_string(number) + ":5060");
  return target;
}

std::vector<uint16_t> Order(const std::vector<OrderedTarget>& targets, uint64_t selector) {
  const TargetOrder order = OrderTargets(targets, selector);
  return {order.span().begin(), order.span().end()};
}

// As hashes of Call-IDs are.
std::vector<uint64_t> Selectors() {
  std::mt19937_64 random(1);
  std::vector<uint64_t> selectors(kCalls);
  for (uint64_t& selector : selectors) selector = random();
  return selectors;
}

std::map<uint16_t, int> Firsts(const std::vector<OrderedTarget>& targets) {
  std::map<uint16_t, int> firsts;
  for (const uint64_t selector : Selectors()) ++firsts[Order(targets, selector).at(0)];
  return firsts;
}

// Five standard deviations of a binomial share.
double Tolerance(double share) { return 5 * std::sqrt(kCalls * share * (1 - share)); }

TEST(TargetOrderTest, NoTargetsNoOrder) { EXPECT_TRUE(Order({}, 7).empty()); }

TEST(TargetOrderTest, OneTargetIsTheOrder) {
  EXPECT_EQ(Order({Target(1)}, 7), std::vector<uint16_t>{0});
  EXPECT_EQ(Order({Target(1, 0)}, 7), std::vector<uint16_t>{0});
  EXPECT_EQ(Order({Target(1, 1, 0, false)}, 7), std::vector<uint16_t>{0});
}

TEST(TargetOrderTest, CallsAreSharedByWeight) {
  const std::vector<OrderedTarget> targets = {Target(1, 1), Target(2, 2), Target(3, 7),
                                              Target(4, 0.1)};
  std::map<uint16_t, int> firsts = Firsts(targets);
  for (uint16_t index = 0; index < targets.size(); ++index) {
    const double share = targets[index].weight / 10.1;
    EXPECT_NEAR(firsts[index], kCalls * share, Tolerance(share)) << index;
  }
}

// A counter as selector (a weak hash) must do as well: mixing is ours.
TEST(TargetOrderTest, WeakSelectorsAreSharedByWeightToo) {
  const std::vector<OrderedTarget> targets = {Target(1), Target(2), Target(3)};
  std::map<uint16_t, int> firsts;
  for (uint64_t selector = 0; selector < kCalls; ++selector) {
    ++firsts[Order(targets, selector).at(0)];
  }
  for (uint16_t index = 0; index < 3; ++index) {
    EXPECT_NEAR(firsts[index], kCalls / 3.0, Tolerance(1 / 3.0));
  }
}

// Whoever comes second for the calls of a dead target is drawn by weight, too: its load spreads.
TEST(TargetOrderTest, SecondChoicesAreSharedByWeight) {
  const std::vector<OrderedTarget> targets = {Target(1, 5), Target(2, 1), Target(3, 3)};
  std::map<uint16_t, int> seconds;
  int of_first = 0;
  for (const uint64_t selector : Selectors()) {
    const std::vector<uint16_t> order = Order(targets, selector);
    if (order[0] != 0) continue;
    ++of_first;
    ++seconds[order[1]];
  }
  EXPECT_NEAR(seconds[1], of_first * 0.25, 1000);
  EXPECT_NEAR(seconds[2], of_first * 0.75, 1000);
}

TEST(TargetOrderTest, PriorityComesBeforeWeight) {
  const std::vector<OrderedTarget> targets = {Target(1, 100, 2), Target(2, 1, 1), Target(3, 1, 1),
                                              Target(4, 100, 3)};
  for (uint64_t selector = 0; selector < 1000; ++selector) {
    const std::vector<uint16_t> order = Order(targets, selector);
    ASSERT_EQ(order.size(), 4U);
    EXPECT_EQ(std::set<uint16_t>(order.begin(), order.begin() + 2), (std::set<uint16_t>{1, 2}));
    EXPECT_EQ(order[2], 0);
    EXPECT_EQ(order[3], 3);
  }
}

TEST(TargetOrderTest, UnusableTargetsComeLastButCome) {
  const std::vector<OrderedTarget> targets = {Target(1, 9, 0, false), Target(2, 1, 5),
                                              Target(3, 9, 1, false), Target(4, 1, 5)};
  for (uint64_t selector = 0; selector < 1000; ++selector) {
    const std::vector<uint16_t> order = Order(targets, selector);
    ASSERT_EQ(order.size(), 4U);
    EXPECT_EQ(std::set<uint16_t>(order.begin(), order.begin() + 2), (std::set<uint16_t>{1, 3}));
    EXPECT_EQ(order[2], 0);  // Among each other by priority.
    EXPECT_EQ(order[3], 2);
  }
}

TEST(TargetOrderTest, WeightZeroComesAfterTheOthersOfItsPriority) {
  const std::vector<OrderedTarget> targets = {Target(1, 0), Target(2, 0.001), Target(3, 0),
                                              Target(4, 1, 1)};
  std::map<uint16_t, int> seconds;
  for (const uint64_t selector : Selectors()) {
    const std::vector<uint16_t> order = Order(targets, selector);
    ASSERT_EQ(order[0], 1);
    ASSERT_EQ(order[3], 3);
    ++seconds[order[1]];
  }
  EXPECT_NEAR(seconds[0], kCalls / 2.0, Tolerance(0.5));
}

TEST(TargetOrderTest, OrderDoesNotDependOnHowTargetsAreListed) {
  std::vector<OrderedTarget> targets;
  for (int number = 0; number < 8; ++number) targets.push_back(Target(number, number + 1));
  std::vector<OrderedTarget> reversed(targets.rbegin(), targets.rend());
  for (uint64_t selector = 0; selector < 1000; ++selector) {
    const std::vector<uint16_t> order = Order(targets, selector);
    const std::vector<uint16_t> other = Order(reversed, selector);
    for (size_t place = 0; place < 8; ++place) EXPECT_EQ(order[place], 7 - other[place]);
  }
}

TEST(TargetOrderTest, RemovedTargetTakesOnlyItsOwnCalls) {
  const std::vector<OrderedTarget> four = {Target(1, 1), Target(2, 2), Target(3, 3), Target(4, 4)};
  const std::vector<OrderedTarget> three = {four[0], four[1], four[3]};
  for (const uint64_t selector : Selectors()) {
    std::vector<uint16_t> expected = Order(four, selector);
    std::erase(expected, 2);
    for (uint16_t& index : expected) index = index == 3 ? 2 : index;
    ASSERT_EQ(Order(three, selector), expected);
  }
}

// What the others share among them stays where it is, in both senses of a circuit breaker.
TEST(TargetOrderTest, UnusableTargetMovesOnlyItsOwnCalls) {
  const std::vector<OrderedTarget> all = {Target(1), Target(2), Target(3)};
  std::vector<OrderedTarget> without = all;
  without[1].is_usable = false;
  for (const uint64_t selector : Selectors()) {
    const std::vector<uint16_t> before = Order(all, selector);
    const std::vector<uint16_t> after = Order(without, selector);
    ASSERT_EQ(after[2], 1);
    ASSERT_EQ(after[0], before[0] == 1 ? before[1] : before[0]);
  }
}

// Slow start: with each step of the weight calls move to that target, none between the others.
TEST(TargetOrderTest, GrowingWeightOnlyDrawsCallsTowardsItself) {
  std::vector<OrderedTarget> targets = {Target(1), Target(2, 0.1), Target(3)};
  std::map<uint64_t, uint16_t> before;
  for (const uint64_t selector : Selectors()) before[selector] = Order(targets, selector)[0];
  for (const double weight : {0.2, 0.5, 1.0}) {
    targets[1].weight = weight;
    for (auto& [selector, first] : before) {
      const uint16_t now = Order(targets, selector)[0];
      ASSERT_TRUE(now == first || now == 1);
      first = now;
    }
  }
}

TEST(TargetOrderTest, TheBestEightOfManyAreKept) {
  std::vector<OrderedTarget> targets;
  for (int number = 0; number < 40; ++number) {
    targets.push_back(Target(number, 1, static_cast<uint16_t>(39 - number)));
  }
  EXPECT_EQ(Order(targets, 1), (std::vector<uint16_t>{39, 38, 37, 36, 35, 34, 33, 32}));
  targets.resize(kOrderedTargetsMax);
  EXPECT_EQ(Order(targets, 1).size(), kOrderedTargetsMax);
  targets.push_back(Target(40, 1, 100));
  EXPECT_EQ(Order(targets, 1), (std::vector<uint16_t>{7, 6, 5, 4, 3, 2, 1, 0}));
}

TEST(TargetOrderTest, EqualTargetsKeepTheirOrder) {
  EXPECT_EQ(Order({Target(1), Target(1), Target(1)}, 5), (std::vector<uint16_t>{0, 1, 2}));
}

// Written down, because instances of different versions share calls: these must never change.
TEST(TargetOrderTest, HashAndOrderAreFrozen) {
  EXPECT_EQ(TargetHashId(""), 0xF52A15E9A9B5E89Bu);
  EXPECT_EQ(TargetHashId("udp:127.0.0.1:5080"), 0x8A63F7823B218278u);
  const std::vector<OrderedTarget> targets = {Target(1), Target(2), Target(3)};
  EXPECT_EQ(Order(targets, 1), (std::vector<uint16_t>{0, 2, 1}));
  EXPECT_EQ(Order(targets, 2), (std::vector<uint16_t>{0, 1, 2}));
}

}  // namespace
}  // namespace sallyport::sip
