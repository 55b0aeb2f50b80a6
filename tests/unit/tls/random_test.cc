#include "tls/random.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <set>
#include <thread>
#include <vector>

namespace sallyport::tls {
namespace {

using Block = std::array<std::byte, 40>;

Block Draw() {
  Block block;
  RandomBytes(block);
  return block;
}

TEST(RandomTest, NeverRepeats) {
  std::set<Block> seen;
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(seen.insert(Draw()).second);
}

TEST(RandomTest, AnyLengthIsFilled) {
  std::vector<std::byte> large(5000);
  RandomBytes(large);
  std::array<int, 256> histogram{};
  for (const std::byte b : large) ++histogram[static_cast<size_t>(b)];
  for (const int count : histogram) EXPECT_GT(count, 0);
  RandomBytes({});
}

TEST(RandomTest, ThreadsHaveTheirOwn) {
  Block other{};
  std::thread([&other] { other = Draw(); }).join();
  EXPECT_NE(other, Draw());
}

TEST(RandomTest, AChildDoesNotRepeatItsParent) {
  Draw();
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const Block block = Draw();
    _exit(write(pipe_ends[1], block.data(), block.size()) == static_cast<ssize_t>(block.size())
              ? 0
              : 1);
  }
  const Block parents = Draw();
  Block childs{};
  ASSERT_EQ(read(pipe_ends[0], childs.data(), childs.size()), static_cast<ssize_t>(childs.size()));
  int status = 0;
  waitpid(child, &status, 0);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  EXPECT_NE(parents, childs);
}

TEST(RandomTest, ASeedMakesItRepeatable) {
  Block first, again, free;
  {
    const ScopedSeededRandom seeded(7);
    first = Draw();
  }
  {
    const ScopedSeededRandom seeded(7);
    again = Draw();
  }
  free = Draw();
  EXPECT_EQ(first, again);
  EXPECT_NE(first, free);
}

// RFC 8439 has no vector for our use, but the block function is its own: key 0, counter 1, nonce 0
// (§A.1, vector 2).
TEST(RandomTest, IsChaCha20) {
  const ScopedSeededRandom seeded(0);
  Block block;
  RandomBytes(block);
  EXPECT_EQ(block[0], std::byte{0x9f});
  EXPECT_EQ(block[1], std::byte{0x07});
  EXPECT_EQ(block[2], std::byte{0xe7});
  EXPECT_EQ(block[3], std::byte{0xbe});
}

}  // namespace
}  // namespace sallyport::tls
