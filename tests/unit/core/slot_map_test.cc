#include "core/slot_map.h"

#include <map>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

struct ThingId {
  uint32_t slot = 0;
  uint32_t generation = 0;
  friend bool operator==(const ThingId&, const ThingId&) = default;
};
using ThingMap = SlotMap<std::string, ThingId>;

TEST(SlotMapTest, ALateIdFindsNobody) {
  ThingMap map(2);
  ThingId first;
  ASSERT_NE(map.Emplace(&first, "first"), nullptr);
  ASSERT_EQ(*map.Find(first), "first");
  map.Erase(first);
  EXPECT_EQ(map.Find(first), nullptr);
  ThingId second;
  ASSERT_NE(map.Emplace(&second, "second"), nullptr);
  EXPECT_EQ(second.slot, first.slot);  // Reused, but told apart.
  EXPECT_EQ(map.Find(first), nullptr);
  EXPECT_EQ(*map.Find(second), "second");
}

TEST(SlotMapTest, AZeroIdIsNeverLive) {
  ThingMap map(1);
  EXPECT_EQ(map.Find({}), nullptr);
  ThingId id;
  ASSERT_NE(map.Emplace(&id, "x"), nullptr);
  EXPECT_EQ(map.Find({}), nullptr);
}

TEST(SlotMapTest, FullIsAnOutcome) {
  ThingMap map(2);
  ThingId id;
  ASSERT_NE(map.Emplace(&id, "a"), nullptr);
  ASSERT_NE(map.Emplace(&id, "b"), nullptr);
  EXPECT_TRUE(map.full());
  EXPECT_EQ(map.Emplace(&id, "c"), nullptr);
  map.Erase(id);
  EXPECT_NE(map.Emplace(&id, "d"), nullptr);
}

TEST(SlotMapTest, NextIdIsTheOneGiven) {
  ThingMap map(3);
  for (int round = 0; round < 10; ++round) {
    const ThingId expected = map.NextId();
    ThingId id;
    ASSERT_NE(map.Emplace(&id, "x"), nullptr);
    EXPECT_EQ(id, expected);
    if (round % 2 == 0 || map.full()) map.Erase(id);
  }
}

TEST(SlotMapTest, GenerationsWrapInsideTheirMask) {
  SlotMap<int, ThingId, 7> map(1);
  for (int round = 0; round < 20; ++round) {
    ThingId id;
    ASSERT_NE(map.Emplace(&id, round), nullptr);
    EXPECT_LE(id.generation, 7u);
    EXPECT_NE(id.generation, 0u);
    EXPECT_EQ(*map.Find(id), round);
    map.Erase(id);
    EXPECT_EQ(map.Find(id), nullptr);
  }
}

TEST(SlotMapTest, SweepsInBoundedSteps) {
  ThingMap map(10);
  ThingId id;
  for (int i = 0; i < 7; ++i) ASSERT_NE(map.Emplace(&id, std::to_string(i)), nullptr);
  std::string seen;
  uint32_t next = 0;
  int steps = 0;
  do {
    next = map.Sweep(next, 3, [&](ThingId at, std::string& text) {
      seen += text;
      if (text == "3") map.Erase(at);
    });
    ++steps;
  } while (next != 0);
  EXPECT_EQ(seen, "0123456");
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(map.size(), 6u);
}

// Goal: the map agrees with a std::map whatever happens to it.
TEST(SlotMapTest, AgreesWithAModel) {
  std::mt19937 random(7);
  ThingMap map(50);
  std::map<std::pair<uint32_t, uint32_t>, std::string> model;
  for (int step = 0; step < 20000; ++step) {
    if (random() % 2 == 0) {
      ThingId id;
      const std::string text = std::to_string(step);
      if (map.Emplace(&id, text) == nullptr) {
        ASSERT_EQ(model.size(), 50u);
        continue;
      }
      ASSERT_TRUE(model.emplace(std::pair(id.slot, id.generation), text).second);
    } else if (!model.empty()) {
      auto victim = std::next(model.begin(), static_cast<int>(random() % model.size()));
      const ThingId id{victim->first.first, victim->first.second};
      ASSERT_EQ(*map.Find(id), victim->second);
      map.Erase(id);
      model.erase(victim);
    }
    ASSERT_EQ(map.size(), model.size());
  }
}

}  // namespace
}  // namespace sallyport::core
