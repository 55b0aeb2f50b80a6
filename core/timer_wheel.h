// Deadlines: a hierarchical timer wheel of four levels with 256 slots each and ticks of 4 ms
// (1 s, 4 min, 18 h, 198 days). Scheduling, re-scheduling and cancelling are O(1) and allocate
// nothing; a timer fires at or up to one tick after its deadline, never before.
// Work per turn is bounded: what does not fit into Advance's budget is done in the next turn.
// Shard: one thread.
#pragma once

#include <array>
#include <cstdint>

#include "absl/time/time.h"
#include "core/clock.h"
#include "core/intrusive_list.h"

namespace sallyport::core {

// Embedded in its owner; destroying it cancels it.
//   Timer idle_ = Timer::Calling<&Connection::OnIdle>(this);
class Timer : public ListLink {
 public:
  using Callback = void (*)(void* context);

  Timer(Callback callback, void* context) : callback_(callback), context_(context) {}

  template <auto method, typename Owner>
  static Timer Calling(Owner* owner) {
    return Timer([](void* context) { (static_cast<Owner*>(context)->*method)(); }, owner);
  }

  bool scheduled() const { return linked(); }
  void Cancel() { Unlink(); }

 private:
  friend class TimerWheel;

  const Callback callback_;
  void* const context_;
  uint64_t expiry_tick_ = 0;
};

class TimerWheel {
 public:
  static constexpr absl::Duration kTick = absl::Milliseconds(4);

  explicit TimerWheel(MonotonicTime now);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Replaces an earlier schedule of the same timer. A deadline in the past fires in the next
  // Advance that moves time on; one beyond 198 days is taken as 198 days.
  void Schedule(Timer& timer, MonotonicTime deadline);

  // Fires what is due at `now`, at most `budget` steps (a fired timer or one moved between levels).
  // Callbacks may schedule and cancel any timer. Returns how many fired.
  uint32_t Advance(MonotonicTime now, uint32_t budget);

  // When Advance has something to do next; kInfiniteFuture if never. May be earlier than the next
  // deadline (a level needs moving), never later.
  MonotonicTime NextDeadline();

 private:
  static constexpr uint32_t kLevels = 4;
  static constexpr uint32_t kSlotBits = 8;
  static constexpr uint32_t kSlots = 1u << kSlotBits;
  static constexpr uint64_t kTicksMax = (uint64_t{1} << (kLevels * kSlotBits)) - 1;

  // Slots of one level, and a bit for each that may hold a timer (cleared lazily, since a timer
  // that cancels itself does not know its wheel).
  struct Level {
    std::array<IntrusiveList<Timer>, kSlots> slots;
    std::array<uint64_t, kSlots / 64> occupied{};
  };

  void Place(Timer& timer);
  // The first tick after `current_tick_` at which a slot must be looked at.
  uint64_t NextTick();
  // The same for one level; UINT64_MAX if it is empty.
  uint64_t NextTickOf(uint32_t level);
  // Moves timers of the slots that begin at current_tick_ one level down. False: budget used up.
  bool Cascade(uint32_t& budget);
  bool CascadeSlot(uint32_t level, uint32_t& budget);
  bool FireSlot(uint32_t& budget, uint32_t& fired);

  std::array<Level, kLevels> levels_;
  uint64_t current_tick_;      // Everything before it has fired.
  bool tick_finished_ = true;  // current_tick_'s own slots are done.
};

}  // namespace sallyport::core
