// Monotonic time as a type of its own, so that it cannot be mistaken for the wall clock. Timers and
// deadlines use it; certificates use the wall clock, which is absl::Time everywhere.
#pragma once

#include <compare>
#include <cstdint>

#include "absl/time/time.h"

namespace sallyport::core {

struct MonotonicTime {
  int64_t nanoseconds = 0;  // Since an arbitrary origin; never goes back.

  friend constexpr auto operator<=>(const MonotonicTime&, const MonotonicTime&) = default;
  friend constexpr absl::Duration operator-(MonotonicTime later, MonotonicTime earlier) {
    return absl::Nanoseconds(later.nanoseconds - earlier.nanoseconds);
  }
  // Saturates: an infinite delay is the infinite future.
  friend MonotonicTime operator+(MonotonicTime time, absl::Duration delay);
};

inline constexpr MonotonicTime kInfiniteFuture{INT64_MAX};

inline MonotonicTime operator+(MonotonicTime time, absl::Duration delay) {
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(delay);
  MonotonicTime sum;
  if (__builtin_add_overflow(time.nanoseconds, nanoseconds, &sum.nanoseconds)) {
    return nanoseconds > 0 ? kInfiniteFuture : MonotonicTime{INT64_MIN};
  }
  return sum;
}

}  // namespace sallyport::core
