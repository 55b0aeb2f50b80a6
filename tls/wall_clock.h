// The wall clock as it is passed in: certificates, tickets and wolfSSL itself read this one and no
// other, so a test or a simulation can move it.
#pragma once

#include <cstdint>

namespace sallyport::tls {

struct WallClock {
  // Milliseconds since the Unix epoch. Null: the system's clock.
  int64_t (*now_milliseconds)(void* owner) = nullptr;
  void* owner = nullptr;

  int64_t Milliseconds() const;
  int64_t Seconds() const { return Milliseconds() / 1000; }
};

// While it lives, wolfSSL calls made on this thread read `clock`.
class ScopedWallClock {
 public:
  explicit ScopedWallClock(const WallClock& clock);
  ~ScopedWallClock();
  ScopedWallClock(const ScopedWallClock&) = delete;
  ScopedWallClock& operator=(const ScopedWallClock&) = delete;

 private:
  const WallClock* const previous_;
};

}  // namespace sallyport::tls
