#include "core/buffer_pool.h"

#include <cstring>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

TEST(BufferPoolTest, GivesTheNextPowerOfTwo) {
  BufferPool pool(1 << 20);
  for (const auto& [asked, given] : std::vector<std::pair<uint32_t, uint32_t>>{
           {0, 1024}, {1, 1024}, {1024, 1024}, {1025, 2048}, {16384, 16384}, {262144, 262144}}) {
    const BufferLease lease = pool.Lease(asked);
    ASSERT_TRUE(lease);
    EXPECT_EQ(lease.capacity(), given);
    EXPECT_EQ(pool.bytes_in_use(), given);
    std::memset(lease.data(), 1, lease.capacity());
  }
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(BufferPoolTest, ExhaustionIsAnOutcomeAndPasses) {
  BufferPool pool(BufferPool::kBlockBytesMax);
  std::vector<BufferLease> leases;
  for (int i = 0; i < 256; ++i) leases.push_back(pool.Lease(1024));
  EXPECT_TRUE(leases.back());
  EXPECT_FALSE(pool.Lease(1024));
  EXPECT_EQ(pool.exhausted(), 1u);
  leases.pop_back();
  EXPECT_TRUE(pool.Lease(1024));
}

// Goal: no mix of sizes strands memory: after everything came back, the largest blocks fit again.
TEST(BufferPoolTest, EverySizeCanBecomeEveryOther) {
  BufferPool pool(4 * BufferPool::kBlockBytesMax);
  for (uint32_t bytes = 1024; bytes <= BufferPool::kBlockBytesMax; bytes *= 2) {
    std::vector<BufferLease> leases;
    while (BufferLease lease = pool.Lease(bytes)) leases.push_back(std::move(lease));
    EXPECT_EQ(leases.size(), 4 * BufferPool::kBlockBytesMax / bytes);
    EXPECT_EQ(pool.bytes_in_use(), pool.bytes_max());
  }
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(BufferPoolTest, AMovedLeaseHasOneOwner) {
  BufferPool pool(1 << 20);
  BufferLease first = pool.Lease(1024);
  BufferLease second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): the promise under test.
  first = std::move(second);
  EXPECT_TRUE(first);
  BufferLease third = pool.Lease(2048);
  third = std::move(first);
  EXPECT_EQ(third.capacity(), 1024u);
  EXPECT_EQ(pool.bytes_in_use(), 1024u);
}

// Goal: blocks never overlap and keep their bytes, whatever the order of leases.
TEST(BufferPoolTest, BlocksKeepTheirBytes) {
  std::mt19937 random(11);
  BufferPool pool(8 << 20, 2);
  struct Held {
    BufferLease lease;
    uint8_t mark;
  };
  std::vector<Held> held;
  for (int step = 0; step < 5000; ++step) {
    if (random() % 2 == 0) {
      const auto mark = static_cast<uint8_t>(random());
      BufferLease lease = pool.Lease(static_cast<uint32_t>(random() % 70000));
      if (!lease) continue;
      std::memset(lease.data(), mark, lease.capacity());
      held.push_back({std::move(lease), mark});
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      const Held& last = held.back();
      const std::vector<std::byte> expected(last.lease.capacity(), std::byte{last.mark});
      ASSERT_EQ(std::memcmp(last.lease.data(), expected.data(), expected.size()), 0);
      held.pop_back();
    }
  }
}

}  // namespace
}  // namespace sallyport::core
