#include "core/timer_wheel.h"

#include <deque>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

constexpr MonotonicTime kStart{1'000'000'000'123};
constexpr uint32_t kUnbounded = UINT32_MAX;

struct Alarm {
  Alarm() : timer(Timer::Calling<&Alarm::OnFired>(this)) {}
  void OnFired() { ++fired; }
  Timer timer;
  int fired = 0;
};

TEST(TimerWheelTest, FiresAtItsDeadlineAndNotBefore) {
  for (const absl::Duration delay :
       {absl::Milliseconds(1), absl::Milliseconds(4), absl::Milliseconds(1023), absl::Seconds(2),
        absl::Seconds(262), absl::Minutes(90), absl::Hours(18.7), absl::Hours(24 * 7)}) {
    TimerWheel wheel(kStart);
    Alarm alarm;
    wheel.Schedule(alarm.timer, kStart + delay);
    wheel.Advance(kStart + (delay - absl::Nanoseconds(1)), kUnbounded);
    EXPECT_EQ(alarm.fired, 0) << delay;
    wheel.Advance(kStart + delay + TimerWheel::kTick, kUnbounded);
    EXPECT_EQ(alarm.fired, 1) << delay;
    EXPECT_FALSE(alarm.timer.scheduled());
  }
}

TEST(TimerWheelTest, CancelledAndRescheduledTimersKeepTheirWord) {
  TimerWheel wheel(kStart);
  Alarm cancelled;
  Alarm moved;
  wheel.Schedule(cancelled.timer, kStart + absl::Seconds(1));
  wheel.Schedule(moved.timer, kStart + absl::Seconds(1));
  cancelled.timer.Cancel();
  wheel.Schedule(moved.timer, kStart + absl::Seconds(3));
  wheel.Advance(kStart + absl::Seconds(2), kUnbounded);
  EXPECT_EQ(cancelled.fired + moved.fired, 0);
  wheel.Advance(kStart + absl::Seconds(4), kUnbounded);
  EXPECT_EQ(cancelled.fired, 0);
  EXPECT_EQ(moved.fired, 1);
}

TEST(TimerWheelTest, ADeadlineInThePastFiresWhenTimeMovesOn) {
  TimerWheel wheel(kStart);
  Alarm alarm;
  wheel.Schedule(alarm.timer, kStart + absl::Seconds(-9));
  wheel.Advance(kStart, kUnbounded);
  EXPECT_EQ(alarm.fired, 0);
  wheel.Advance(kStart + TimerWheel::kTick, kUnbounded);
  EXPECT_EQ(alarm.fired, 1);
}

TEST(TimerWheelTest, TheInfiniteFutureIsCapped) {
  TimerWheel wheel(kStart);
  Alarm alarm;
  wheel.Schedule(alarm.timer, kInfiniteFuture);
  EXPECT_TRUE(alarm.timer.scheduled());
  wheel.Advance(kStart + absl::Hours(24 * 199), kUnbounded);
  EXPECT_EQ(alarm.fired, 1);
}

TEST(TimerWheelTest, WorkPerTurnIsBounded) {
  TimerWheel wheel(kStart);
  std::deque<Alarm> alarms(1000);
  for (Alarm& alarm : alarms) wheel.Schedule(alarm.timer, kStart + absl::Seconds(300));
  const MonotonicTime late = kStart + absl::Seconds(301);
  uint32_t fired = 0;
  int turns = 0;
  while (fired < alarms.size()) {
    EXPECT_LE(wheel.NextDeadline(), late);  // It does not sleep on unfinished work.
    fired += wheel.Advance(late, 100);
    ASSERT_LT(++turns, 50);
  }
  EXPECT_GE(turns, 20);  // Each was moved down once and fired once: 2000 steps.
  EXPECT_EQ(wheel.NextDeadline(), kInfiniteFuture);
}

// A timer that schedules itself again and again must not keep one Advance busy.
struct Perpetual {
  explicit Perpetual(TimerWheel& wheel_in)
      : wheel(wheel_in), timer(Timer::Calling<&Perpetual::OnFired>(this)) {}
  void OnFired() {
    ++fired;
    wheel.Schedule(timer, kStart);
  }
  TimerWheel& wheel;
  Timer timer;
  int fired = 0;
};

TEST(TimerWheelTest, ATimerThatSchedulesItselfFiresOncePerTick) {
  TimerWheel wheel(kStart);
  Perpetual perpetual(wheel);
  wheel.Schedule(perpetual.timer, kStart);
  wheel.Advance(kStart + 10 * TimerWheel::kTick, kUnbounded);
  EXPECT_EQ(perpetual.fired, 10);
}

struct Killer {
  explicit Killer(Alarm& victim_in)
      : victim(victim_in), timer(Timer::Calling<&Killer::OnFired>(this)) {}
  void OnFired() { victim.timer.Cancel(); }
  Alarm& victim;
  Timer timer;
};

TEST(TimerWheelTest, ACallbackMayCancelItsNeighbour) {
  TimerWheel wheel(kStart);
  Alarm victim;
  Killer killer(victim);
  wheel.Schedule(killer.timer, kStart + absl::Seconds(1));
  wheel.Schedule(victim.timer, kStart + absl::Seconds(1));
  wheel.Advance(kStart + absl::Seconds(2), kUnbounded);
  EXPECT_EQ(victim.fired, 0);
}

// Goal: against a plain model, with random schedules, cancels, jumps and budgets, every timer fires
// in its tick's window, and NextDeadline is never late.
TEST(TimerWheelTest, AgreesWithAModel) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    TimerWheel wheel(kStart);
    std::deque<Alarm> alarms(200);
    std::vector<MonotonicTime> deadlines(alarms.size());
    MonotonicTime now = kStart;
    for (int step = 0; step < 2000; ++step) {
      const size_t index = random() % alarms.size();
      const int magnitude = static_cast<int>(random() % 36);
      const absl::Duration delay =
          absl::Microseconds(static_cast<int64_t>(random() % (uint64_t{1} << (magnitude + 5))));
      if (random() % 4 == 0) {
        alarms[index].timer.Cancel();
      } else {
        deadlines[index] = now + delay;
        wheel.Schedule(alarms[index].timer, deadlines[index]);
      }
      MonotonicTime earliest = kInfiniteFuture;
      for (size_t i = 0; i < alarms.size(); ++i) {
        if (alarms[i].timer.scheduled()) earliest = std::min(earliest, deadlines[i]);
      }
      if (earliest < kInfiniteFuture) {
        ASSERT_LE(wheel.NextDeadline(), earliest + TimerWheel::kTick + TimerWheel::kTick);
      }
      std::vector<bool> were(alarms.size());
      for (size_t i = 0; i < alarms.size(); ++i) were[i] = alarms[i].timer.scheduled();
      now = now + absl::Microseconds(
                      static_cast<int64_t>(random() % (uint64_t{1} << (5 + random() % 36))));
      wheel.Advance(now, kUnbounded);
      for (size_t i = 0; i < alarms.size(); ++i) {
        if (!were[i]) continue;
        const bool fired = !alarms[i].timer.scheduled();
        ASSERT_TRUE(!fired || deadlines[i] <= now) << seed << " " << step;
        const bool overdue = deadlines[i] + 2 * TimerWheel::kTick <= now;
        ASSERT_TRUE(fired || !overdue) << seed << " " << step;
      }
    }
  }
}

}  // namespace
}  // namespace sallyport::core
