// The one clock of the generator: latencies and schedules are differences of it.
#pragma once

#include <time.h>

#include <cstdint>

namespace sallyport::bench {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

inline int64_t MonotonicNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * kNanosecondsPerSecond + now.tv_nsec;
}

}  // namespace sallyport::bench
