#include "core/quiet_points.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

class Counted {
 public:
  Counted(int number_in, std::atomic<int>& living) : number(number_in), living_(living) {
    ++living_;
  }
  ~Counted() {
    number = -1;
    --living_;
  }
  int number;

 private:
  std::atomic<int>& living_;
};

TEST(QuietPointsTest, WaitsForEveryOnlineReader) {
  std::atomic<int> living{0};
  QuietPoints points(3);
  points.GoOnline(0);
  points.GoOnline(1);  // Reader 2 stays offline: it delays nobody.
  points.Retire(std::make_unique<Counted>(1, living));
  EXPECT_EQ(living, 1);
  points.Announce(0);
  EXPECT_EQ(points.Reclaim(), 1u);
  points.Announce(1);
  EXPECT_EQ(points.Reclaim(), 0u);
  EXPECT_EQ(living, 0);
}

TEST(QuietPointsTest, AnAnnouncementBeforeTheRetirementDoesNotCount) {
  std::atomic<int> living{0};
  QuietPoints points(1);
  points.GoOnline(0);
  points.Announce(0);
  points.Retire(std::make_unique<const Counted>(1, living));
  EXPECT_EQ(points.Reclaim(), 1u);
  points.GoOffline(0);
  EXPECT_EQ(points.Reclaim(), 0u);
  EXPECT_EQ(living, 0);
}

TEST(QuietPointsTest, DestructionFreesTheRest) {
  std::atomic<int> living{0};
  {
    QuietPoints points(1);
    points.GoOnline(0);
    points.Retire(std::make_unique<Counted>(1, living));
    points.GoOffline(0);
  }
  EXPECT_EQ(living, 0);
}

// Goal: readers that come and go never see a freed object while writers swap as fast as they can.
// A use after free shows as number == -1, and under both sanitizers.
TEST(QuietPointsTest, ReadersNeverMeetTheDead) {
  constexpr uint32_t kReaders = 3;
  constexpr int kSwaps = 5000;
  std::atomic<int> living{0};
  {
    QuietPoints points(kReaders);
    std::atomic<Counted*> current{new Counted(0, living)};
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (uint32_t reader = 0; reader < kReaders; ++reader) {
      threads.emplace_back([&, reader] {
        uint32_t turn = 0;
        while (!stop.load(std::memory_order_relaxed)) {
          points.GoOnline(reader);
          for (int use = 0; use < 8; ++use) {
            const Counted* const held = current.load(std::memory_order_acquire);
            ASSERT_GE(held->number, 0);
            if (use % 3 == 2) points.Announce(reader);
          }
          points.GoOffline(reader);
          if (++turn % 64 == 0) std::this_thread::yield();
        }
      });
    }
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 2; ++writer) {
      writers.emplace_back([&] {
        for (int swap = 0; swap < kSwaps; ++swap) {
          Counted* const old =
              current.exchange(new Counted(swap, living), std::memory_order_acq_rel);
          points.Retire(std::unique_ptr<Counted>(old));
          if (swap % 16 == 0) std::this_thread::yield();
        }
      });
    }
    for (std::thread& writer : writers) writer.join();
    stop = true;
    for (std::thread& thread : threads) thread.join();
    delete current.load();
  }
  EXPECT_EQ(living, 0);
}

}  // namespace
}  // namespace sallyport::core
