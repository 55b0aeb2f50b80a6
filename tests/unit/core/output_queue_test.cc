#include "core/output_queue.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string Gathered(const OutputQueue& queue, size_t pieces_max = 64) {
  std::array<iovec, 64> pieces;
  const size_t count = queue.Gather(std::span(pieces).first(pieces_max));
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    text.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  }
  return text;
}

TEST(OutputQueueTest, HoldsNoMemoryWhenEmpty) {
  BufferPool pool(1 << 20);
  OutputQueue queue(pool, 100000);
  ASSERT_TRUE(queue.Append(BytesOf("hello")));
  EXPECT_EQ(pool.bytes_in_use(), 4096u);
  EXPECT_EQ(Gathered(queue), "hello");
  queue.Consume(2);
  EXPECT_EQ(Gathered(queue), "llo");
  queue.Consume(3);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(OutputQueueTest, TheBoundIsExact) {
  BufferPool pool(1 << 20);
  OutputQueue queue(pool, 10);
  EXPECT_TRUE(queue.Append(BytesOf("0123456789")));
  EXPECT_FALSE(queue.Append(BytesOf("x")));
  EXPECT_TRUE(queue.Append({}));
  queue.Consume(1);
  EXPECT_TRUE(queue.Append(BytesOf("x")));
  EXPECT_EQ(Gathered(queue), "123456789x");
}

TEST(OutputQueueTest, AFailedAppendLeavesNothingBehind) {
  BufferPool pool(BufferPool::kBlockBytesMax);
  OutputQueue queue(pool, 10 << 20);
  ASSERT_TRUE(queue.Append(BytesOf("kept")));
  const std::string large(300000, 'x');
  EXPECT_FALSE(queue.Append(BytesOf(large)));
  EXPECT_EQ(Gathered(queue), "kept");
  EXPECT_EQ(pool.bytes_in_use(), 4096u);
  EXPECT_TRUE(queue.Append(BytesOf(" still")));
  EXPECT_EQ(Gathered(queue), "kept still");
}

TEST(OutputQueueTest, GathersWhatFitsIntoThePieces) {
  BufferPool pool(1 << 20);
  OutputQueue queue(pool, 1 << 20);
  const std::string large(100000, 'x');
  ASSERT_TRUE(queue.Append(BytesOf(large)));
  EXPECT_LT(Gathered(queue, 2).size(), large.size());
  EXPECT_EQ(Gathered(queue), large);
}

// Goal: gathered bytes do not move while more is appended, as the kernel may be reading them.
TEST(OutputQueueTest, AppendingMovesNothing) {
  BufferPool pool(4 << 20);
  OutputQueue queue(pool, 1 << 20);
  ASSERT_TRUE(queue.Append(BytesOf("first")));
  std::array<iovec, 1> before;
  ASSERT_EQ(queue.Gather(before), 1u);
  ASSERT_TRUE(queue.Append(BytesOf(std::string(50000, 'y'))));
  EXPECT_EQ(std::memcmp(before[0].iov_base, "first", 5), 0);
  std::array<iovec, 1> after;
  ASSERT_EQ(queue.Gather(after), 1u);
  EXPECT_EQ(after[0].iov_base, before[0].iov_base);
}

TEST(OutputQueueTest, AgreesWithAString) {
  std::mt19937 random(3);
  BufferPool pool(4 << 20);
  OutputQueue queue(pool, 200000);
  std::string model;
  for (int step = 0; step < 5000; ++step) {
    const uint32_t size =
        static_cast<uint32_t>(random() % 5 == 0 ? random() % 30000 : random() % 600);
    const std::string text(size, static_cast<char>('a' + step % 26));
    switch (random() % 2) {
      case 0:
        if (queue.Append(BytesOf(text))) model += text;
        break;
      default: {
        const uint32_t gone = std::min(size, queue.size());
        queue.Consume(gone);
        model.erase(0, gone);
      }
    }
    ASSERT_EQ(queue.size(), model.size());
    if (step % 50 == 0) {
      ASSERT_EQ(Gathered(queue), model);
    }
  }
  queue.Clear();
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

}  // namespace
}  // namespace sallyport::core
