#include "core/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace sallyport::core {
namespace {

constexpr int64_t kTickNanoseconds = 4'000'000;
static_assert(TimerWheel::kTick == absl::Nanoseconds(kTickNanoseconds));

constexpr uint64_t kNever = UINT64_MAX;

uint64_t TickAt(MonotonicTime time) {
  return static_cast<uint64_t>(std::max<int64_t>(time.nanoseconds, 0) / kTickNanoseconds);
}

// Rounded up, so that a timer never fires early.
uint64_t TickAfter(MonotonicTime time) {
  const uint64_t tick = TickAt(time);
  return static_cast<int64_t>(tick) * kTickNanoseconds < time.nanoseconds ? tick + 1 : tick;
}

}  // namespace

TimerWheel::TimerWheel(MonotonicTime now) : current_tick_(TickAt(now)) {}

void TimerWheel::Schedule(Timer& timer, MonotonicTime deadline) {
  timer.Cancel();
  timer.expiry_tick_ =
      std::clamp(TickAfter(deadline), current_tick_ + 1, current_tick_ + kTicksMax);
  Place(timer);
}

void TimerWheel::Place(Timer& timer) {
  DCHECK(timer.expiry_tick_ >= current_tick_);
  const uint64_t ticks_left = timer.expiry_tick_ - current_tick_;
  uint32_t level = 0;
  while (ticks_left >> (kSlotBits * (level + 1)) != 0) ++level;
  DCHECK(level < kLevels);
  const auto slot = static_cast<uint32_t>(timer.expiry_tick_ >> (kSlotBits * level)) & (kSlots - 1);
  levels_[level].slots[slot].PushBack(timer);
  levels_[level].occupied[slot / 64] |= uint64_t{1} << (slot % 64);
}

uint32_t TimerWheel::Advance(MonotonicTime now, uint32_t budget) {
  const uint64_t target = TickAt(now);
  uint32_t fired = 0;
  while (true) {
    if (tick_finished_) {
      if (current_tick_ >= target) break;
      const uint64_t next = NextTick();
      if (next > target) {
        current_tick_ = target;  // Nothing lives in between.
        break;
      }
      current_tick_ = next;
      tick_finished_ = false;
    }
    // A tick interrupted here is resumed by the next call: what was done is out of its slots.
    if (!Cascade(budget) || !FireSlot(budget, fired)) break;
    tick_finished_ = true;
  }
  return fired;
}

bool TimerWheel::Cascade(uint32_t& budget) {
  for (uint32_t level = 1; level < kLevels; ++level) {
    const uint64_t below = (uint64_t{1} << (kSlotBits * level)) - 1;
    if ((current_tick_ & below) != 0) return true;  // Not at a border of this level.
    if (!CascadeSlot(level, budget)) return false;
  }
  return true;
}

// Timers scheduled meanwhile never land in the slot being emptied: at its border every timer that
// is far enough for this level belongs to one of the other 255.
bool TimerWheel::CascadeSlot(uint32_t level, uint32_t& budget) {
  const auto slot = static_cast<uint32_t>(current_tick_ >> (kSlotBits * level)) & (kSlots - 1);
  IntrusiveList<Timer>& timers = levels_[level].slots[slot];
  while (!timers.empty()) {
    if (budget == 0) return false;
    --budget;
    Place(*timers.PopFront());
  }
  return true;
}

bool TimerWheel::FireSlot(uint32_t& budget, uint32_t& fired) {
  IntrusiveList<Timer>& timers = levels_[0].slots[current_tick_ & (kSlots - 1)];
  while (!timers.empty()) {
    if (budget == 0) return false;
    --budget;
    ++fired;
    Timer& timer = *timers.PopFront();
    timer.callback_(timer.context_);  // May destroy the timer.
  }
  return true;
}

MonotonicTime TimerWheel::NextDeadline() {
  const uint64_t tick = tick_finished_ ? NextTick() : current_tick_;
  if (tick == kNever) return kInfiniteFuture;
  return {static_cast<int64_t>(tick) * kTickNanoseconds};
}

uint64_t TimerWheel::NextTick() {
  uint64_t next = kNever;
  for (uint32_t level = 0; level < kLevels; ++level) next = std::min(next, NextTickOf(level));
  return next;
}

uint64_t TimerWheel::NextTickOf(uint32_t level) {
  Level& wheel = levels_[level];
  const uint64_t turns = current_tick_ >> (kSlotBits * level);
  const auto here = static_cast<uint32_t>(turns) & (kSlots - 1);
  // From the slot behind this one around to this one itself: 256 steps, a word of bits at a time.
  for (uint32_t distance = 1; distance <= kSlots;) {
    const uint32_t slot = (here + distance) & (kSlots - 1);
    const uint64_t bits = wheel.occupied[slot / 64] >> (slot % 64);
    if (bits == 0) {
      distance += 64 - slot % 64;
      continue;
    }
    const auto ahead = static_cast<uint32_t>(std::countr_zero(bits));
    const uint32_t found = slot + ahead;
    distance += ahead;
    if (distance > kSlots) break;
    if (!wheel.slots[found].empty()) return (turns + distance) << (kSlotBits * level);
    wheel.occupied[found / 64] &= ~(uint64_t{1} << (found % 64));  // Its timers were cancelled.
  }
  return kNever;
}

}  // namespace sallyport::core
