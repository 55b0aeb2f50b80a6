#include "core/stats.h"

#include <thread>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

TEST(StatsTest, AddsSubtractsAndSets) {
  StatsBlock stats(3);
  EXPECT_EQ(stats.size(), 3u);
  stats.Add(0);
  stats.Add(0, 4);
  stats.Subtract(0, 2);
  stats.Set(2, 9);
  EXPECT_EQ(stats.Get(0), 3u);
  EXPECT_EQ(stats.Get(1), 0u);
  EXPECT_EQ(stats.Get(2), 9u);
}

TEST(StatsTest, AnyThreadMayRead) {
  StatsBlock stats(1);
  std::thread writer([&stats] {
    for (int i = 0; i < 100000; ++i) stats.Add(0);
  });
  uint64_t before = 0;
  while (before < 100000) {
    const uint64_t now = stats.Get(0);
    ASSERT_GE(now, before);
    before = now;
    std::this_thread::yield();
  }
  writer.join();
}

}  // namespace
}  // namespace sallyport::core
