#include "tls/wall_clock.h"

#include <ctime>
#include <type_traits>

#include "tls/wolfssl_hooks.h"

namespace sallyport::tls {
namespace {

thread_local const WallClock* current_clock = nullptr;

int64_t SystemMilliseconds() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

int64_t WallClock::Milliseconds() const {
  return now_milliseconds != nullptr ? now_milliseconds(owner) : SystemMilliseconds();
}

ScopedWallClock::ScopedWallClock(const WallClock& clock) : previous_(current_clock) {
  current_clock = &clock;
}
ScopedWallClock::~ScopedWallClock() { current_clock = previous_; }

}  // namespace sallyport::tls

extern "C" long long SallyportWallMilliseconds(void*) {
  using sallyport::tls::current_clock;
  return current_clock != nullptr ? current_clock->Milliseconds()
                                  : sallyport::tls::SystemMilliseconds();
}

static_assert(std::is_same_v<time_t, long>);  // As wolfssl_hooks.h says.

extern "C" long SallyportWallTime(long* result) {
  const long now = SallyportWallMilliseconds(nullptr) / 1000;
  if (result != nullptr) *result = now;
  return now;
}
