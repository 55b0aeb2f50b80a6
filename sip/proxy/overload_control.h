// When to refuse work because it waits too long: CoDel's measure (the least delay over an interval:
// a burst passes, a standing queue shows), and a share per class of requests that shrinks
// multiplicatively while it is too long and grows additively when it is not.
//
//   least delay > queue_delay_max      kSheddingNewDialogs: new dialogs are refused, more each time
//   least delay > 4 * queue_delay_max  kSheddingAll: then other requests, in-dialog ones last
//   below half of each bound           one class after the other comes back, last refused first
//
// Responses, ACK and CANCEL are never asked about: they end work. What is refused gets 503 with
// Retry-After (RFC 3261 §21.5.4).
//
// Which requests of a class pass is decided by a golden-ratio sequence instead of chance: it hits
// every regular pattern in the arrivals evenly, so two peers that take turns are refused alike.
// Time is passed in. No allocation. Shard: one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "core/clock.h"

namespace sallyport::sip {

enum class OverloadState : uint8_t { kNormal = 0, kSheddingNewDialogs = 1, kSheddingAll = 2 };

enum class RequestClass : uint8_t {
  kNewDialog,  // INVITE, SUBSCRIBE and REFER without a To tag.
  kOther,      // Outside of dialogs: REGISTER, OPTIONS, MESSAGE.
  kInDialog,   // With a To tag.
};

struct OverloadOptions {
  absl::Duration queue_delay_max = absl::Milliseconds(20);
  absl::Duration interval = absl::Milliseconds(100);
};

class OverloadControl {
 public:
  OverloadControl(const OverloadOptions& options, core::MonotonicTime now);

  // Once per turn of the loop: how long the work of this turn has waited at most
  // (core::Reactor::queue_delay). Returns true if state() changed.
  // Time in which nothing is reported and nothing can have waited (an idle loop) counts as calm.
  bool OnDelay(core::MonotonicTime now, absl::Duration delay);

  // Counts against the share of its class.
  [[nodiscard]] bool Admit(RequestClass request_class);

  OverloadState state() const { return state_; }
  void set_queue_delay_max(absl::Duration bound) { options_.queue_delay_max = bound; }
  // The share of a class that is admitted, 0 to 1.
  double share(RequestClass request_class) const;
  // For the 503: longer the worse it is, and spread, so that those refused do not come back as one.
  uint32_t RetryAfterSeconds();

 private:
  static constexpr uint32_t kWhole = 1024;  // Shares are 1024ths.
  static constexpr size_t kClasses = 3;     // In the order in which they are refused.

  void BeginInterval(core::MonotonicTime now);
  void EndInterval(absl::Duration least_delay);
  OverloadState NextState(absl::Duration least_delay) const;
  void Shrink(size_t classes);
  void Grow(size_t first_class);
  bool AllWhole(size_t first_class) const;
  bool has_delay() const { return least_delay_ != absl::InfiniteDuration(); }

  OverloadOptions options_;
  OverloadState state_ = OverloadState::kNormal;
  std::array<uint32_t, kClasses> shares_;
  std::array<uint32_t, kClasses> sequence_{};
  uint32_t retry_sequence_ = 0;
  core::MonotonicTime interval_end_;
  absl::Duration least_delay_ = absl::InfiniteDuration();
};

}  // namespace sallyport::sip
