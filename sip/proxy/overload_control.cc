#include "sip/proxy/overload_control.h"

#include <algorithm>

namespace sallyport::sip {
namespace {

constexpr int kAllFactor = 4;  // kSheddingAll begins at this many times queue_delay_max.
// Kept even in the worst case: somebody notices that we are back, and no class dies out.
constexpr uint32_t kShareMin = 32;             // 3 %
constexpr uint32_t kShareStep = 64;            // 6 % of the whole each interval: back within 1.6 s.
constexpr uint32_t kGoldenRatio = 0x9E3779B9;  // 2^32 / phi: the most evenly spread multiples.
constexpr int64_t kCalmIntervalsMax = 64;      // After so many everything has come back.

}  // namespace

OverloadControl::OverloadControl(const OverloadOptions& options, core::MonotonicTime now)
    : options_(options), interval_end_(now + options.interval) {
  shares_.fill(kWhole);
}

bool OverloadControl::OnDelay(core::MonotonicTime now, absl::Duration delay) {
  const OverloadState before = state_;
  const core::MonotonicTime waiting_since = now + -delay;
  if (waiting_since >= interval_end_) {  // The loop was idle when the interval ended.
    EndInterval(has_delay() ? least_delay_ : absl::ZeroDuration());
    int64_t calm = (waiting_since - interval_end_) / options_.interval;
    for (calm = std::min(calm, kCalmIntervalsMax); calm > 0; --calm) {
      EndInterval(absl::ZeroDuration());
    }
    BeginInterval(waiting_since);
  }
  least_delay_ = std::min(least_delay_, delay);
  if (now >= interval_end_) {
    EndInterval(least_delay_);
    BeginInterval(now);
  }
  return state_ != before;
}

void OverloadControl::BeginInterval(core::MonotonicTime now) {
  interval_end_ = now + options_.interval;
  least_delay_ = absl::InfiniteDuration();
}

void OverloadControl::EndInterval(absl::Duration least_delay) {
  state_ = NextState(least_delay);
  constexpr auto kOther = static_cast<size_t>(RequestClass::kOther);
  switch (state_) {
    case OverloadState::kNormal:
      return;
    case OverloadState::kSheddingNewDialogs:
      if (least_delay > options_.queue_delay_max) Shrink(1);
      if (least_delay <= options_.queue_delay_max / 2) Grow(0);
      return;
    case OverloadState::kSheddingAll:
      if (least_delay > kAllFactor * options_.queue_delay_max) Shrink(kClasses);
      if (least_delay <= kAllFactor * options_.queue_delay_max / 2) Grow(kOther);
      return;
  }
}

OverloadState OverloadControl::NextState(absl::Duration least_delay) const {
  const absl::Duration bound = options_.queue_delay_max;
  if (least_delay > kAllFactor * bound) return OverloadState::kSheddingAll;
  switch (state_) {
    case OverloadState::kNormal:
      return least_delay > bound ? OverloadState::kSheddingNewDialogs : OverloadState::kNormal;
    case OverloadState::kSheddingNewDialogs:
      return least_delay <= bound / 2 && AllWhole(0) ? OverloadState::kNormal : state_;
    case OverloadState::kSheddingAll:
      return least_delay <= kAllFactor * bound / 2 && AllWhole(1)
                 ? OverloadState::kSheddingNewDialogs
                 : state_;
  }
  return state_;
}

// Halves the share of the first of those classes that can still give something.
void OverloadControl::Shrink(size_t classes) {
  for (size_t index = 0; index < classes; ++index) {
    if (shares_[index] == kShareMin) continue;
    shares_[index] = std::max(shares_[index] / 2, kShareMin);
    return;
  }
}

// The class that was refused last comes back first.
void OverloadControl::Grow(size_t first_class) {
  for (size_t index = kClasses; index-- > first_class;) {
    if (shares_[index] == kWhole) continue;
    shares_[index] = std::min(shares_[index] + kShareStep, kWhole);
    return;
  }
}

bool OverloadControl::AllWhole(size_t first_class) const {
  return std::all_of(shares_.begin() + static_cast<ptrdiff_t>(first_class), shares_.end(),
                     [](uint32_t share) { return share == kWhole; });
}

bool OverloadControl::Admit(RequestClass request_class) {
  const auto index = static_cast<size_t>(request_class);
  if (shares_[index] == kWhole) return true;
  sequence_[index] += kGoldenRatio;
  return sequence_[index] < shares_[index] * (UINT32_MAX / kWhole);
}

double OverloadControl::share(RequestClass request_class) const {
  return static_cast<double>(shares_[static_cast<size_t>(request_class)]) / kWhole;
}

uint32_t OverloadControl::RetryAfterSeconds() {
  const uint32_t least = state_ == OverloadState::kSheddingAll ? 8 : 2;
  retry_sequence_ += kGoldenRatio;
  const auto spread = static_cast<uint32_t>((uint64_t{retry_sequence_} * (2 * least + 1)) >> 32);
  return least + spread;
}

}  // namespace sallyport::sip
