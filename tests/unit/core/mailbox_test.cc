#include "core/mailbox.h"

#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

struct Letter {
  uint32_t from;
  uint32_t kind;
  std::string text;
  friend bool operator==(const Letter&, const Letter&) = default;
};

class Recorder final : public MailHandler {
 public:
  void OnMail(uint32_t from, uint32_t kind, std::span<const std::byte> record) override {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(record.data()) % 8, 0u);
    letters.push_back(
        {from, kind, std::string(reinterpret_cast<const char*>(record.data()), record.size())});
  }
  std::deque<Letter> letters;
};

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(MailboxTest, DeliversInOrderAndAtMostWhatIsAsked) {
  Mailbox box(3, 4096);
  EXPECT_TRUE(box.empty());
  ASSERT_TRUE(box.Push(20, BytesOf("one")));
  ASSERT_TRUE(box.Push(21, {}));
  ASSERT_TRUE(box.Push(22, BytesOf("three")));
  EXPECT_FALSE(box.empty());
  Recorder recorder;
  EXPECT_EQ(box.Drain(2, recorder), 2u);
  EXPECT_EQ(box.Drain(2, recorder), 1u);
  EXPECT_EQ(box.Drain(2, recorder), 0u);
  EXPECT_EQ(recorder.letters, (std::deque<Letter>{{3, 20, "one"}, {3, 21, ""}, {3, 22, "three"}}));
  EXPECT_TRUE(box.empty());
}

TEST(MailboxTest, FullIsAnOutcomeAndPasses) {
  Mailbox box(0, 4096);
  const std::string text(100, 'x');
  int pushed = 0;
  while (box.Push(20, BytesOf(text))) ++pushed;
  EXPECT_EQ(pushed, 4096 / 112);
  Recorder recorder;
  box.Drain(1, recorder);
  EXPECT_TRUE(box.Push(20, BytesOf(text)));
  EXPECT_FALSE(box.Push(20, BytesOf(text)));
}

TEST(MailboxTest, LowPriorityLeavesHalfOfItToOthers) {
  Mailbox box(0, 4096);
  const std::string text(100, 'x');
  Recorder recorder;
  for (int round = 0; round < 5; ++round) {
    int low = 0;
    while (box.Push(20, BytesOf(text), MailPriority::kLow)) ++low;
    EXPECT_GE(low, 2048 / 112 - 1);  // A filler at the end of the ring may take the place of one.
    EXPECT_LE(low, 2048 / 112);
    int others = 0;
    while (box.Push(21, BytesOf(text))) ++others;
    EXPECT_GE(others, 2048 / 112 - 1);
    EXPECT_FALSE(box.Push(20, BytesOf(text), MailPriority::kLow));
    while (box.Drain(100, recorder) > 0) {
    }
  }
  // The longest fits an empty one, wherever the ring stands.
  const std::string longest(box.record_bytes_max(), 'l');
  for (uint32_t offset = 0; offset < 600; ++offset) {
    ASSERT_TRUE(box.Push(21, BytesOf("y")));
    box.Drain(1, recorder);
    ASSERT_TRUE(box.Push(20, BytesOf(longest), MailPriority::kLow)) << offset;
    box.Drain(1, recorder);
    recorder.letters.clear();
  }
}

TEST(MailboxTest, TheLongestRecordFitsWhereverTheRingStands) {
  Mailbox box(0, 4096);
  const std::string longest(box.record_bytes_max(), 'l');
  EXPECT_FALSE(box.Push(20, BytesOf(longest + "x")));
  Recorder recorder;
  for (uint32_t offset = 0; offset < 600; ++offset) {
    ASSERT_TRUE(box.Push(21, BytesOf("y")));
    box.Drain(1, recorder);
    ASSERT_TRUE(box.Push(20, BytesOf(longest))) << offset;
    box.Drain(1, recorder);
    ASSERT_EQ(recorder.letters.back().text, longest);
    recorder.letters.clear();
  }
}

// Goal: two threads, random sizes, nothing lost, doubled, disordered or torn (ThreadSanitizer runs
// this too).
TEST(MailboxTest, TwoThreadsAgree) {
  constexpr uint32_t kRecords = 50000;
  Mailbox box(0, 8192);
  std::thread producer([&box] {
    std::mt19937 random(5);
    for (uint32_t number = 0; number < kRecords; ++number) {
      std::string text(random() % 300, static_cast<char>('a' + number % 26));
      while (!box.Push(16 + number, BytesOf(text))) std::this_thread::yield();
    }
  });
  class Checker final : public MailHandler {
   public:
    void OnMail(uint32_t, uint32_t kind, std::span<const std::byte> record) override {
      ASSERT_EQ(kind, 16 + next);
      ASSERT_EQ(record.size(), random() % 300);
      for (const std::byte byte : record) {
        ASSERT_EQ(static_cast<char>(byte), static_cast<char>('a' + next % 26));
      }
      ++next;
    }
    std::mt19937 random{5};
    uint32_t next = 0;
  } checker;
  while (checker.next < kRecords && !testing::Test::HasFatalFailure()) {
    if (box.Drain(64, checker) == 0) std::this_thread::yield();
  }
  producer.join();
  EXPECT_TRUE(box.empty());
}

}  // namespace
}  // namespace sallyport::core
