#include "sip/proxy/target_health.h"

#include <algorithm>
#include <utility>

namespace sallyport::sip {

bool TargetHealth::IsUsable(core::MonotonicTime now) const {
  if (now < held_until_) return false;
  return state_ == HealthState::kUp || (!options_.has_probes && MayTry(now));
}

// kDown: the back-off is over. kHalfOpen: a trial is free, or was forgotten by whoever sent it.
bool TargetHealth::MayTry(core::MonotonicTime now) const {
  if (state_ == HealthState::kDown) return now >= retry_at_;
  return trials_ < options_.trials_max || now - trial_sent_ >= options_.trial;
}

core::MonotonicTime TargetHealth::UsableAt(core::MonotonicTime now) const {
  if (IsUsable(now)) return now;
  switch (state_) {
    case HealthState::kUp:
      return held_until_;
    case HealthState::kDown:
      return options_.has_probes ? core::kInfiniteFuture : std::max(held_until_, retry_at_);
    case HealthState::kHalfOpen:
      return trials_ < options_.trials_max ? held_until_
                                           : std::max(held_until_, trial_sent_ + options_.trial);
  }
  UNREACHABLE();
}

double TargetHealth::WeightFactor(core::MonotonicTime now) const {
  if (!was_down_) return 1;
  if (state_ != HealthState::kUp) return options_.slow_start_weight;
  const absl::Duration up = now - changed_;
  if (up >= options_.slow_start) return 1;
  const double passed = absl::FDivDuration(up, options_.slow_start);
  return options_.slow_start_weight + (1 - options_.slow_start_weight) * passed;
}

void TargetHealth::OnRequestSent(core::MonotonicTime now) {
  if (state_ == HealthState::kUp || options_.has_probes || !MayTry(now)) return;
  if (state_ == HealthState::kDown || trials_ >= options_.trials_max) trials_ = 0;
  static_cast<void>(Advance(now, HealthEvent::kTryAgain));
  ++trials_;
  trial_sent_ = now;
}

void TargetHealth::OnRequestWithdrawn() {
  if (state_ == HealthState::kHalfOpen && trials_ > 0) --trials_;
}

HealthChange TargetHealth::OnSuccess(core::MonotonicTime now) { return OnGood(now); }

// A request or a probe was answered.
HealthChange TargetHealth::OnGood(core::MonotonicTime now) {
  alive_at_ = now;
  failures_ = 0;
  bad_probes_ = 0;
  if (state_ == HealthState::kUp) return HealthChange::kNone;
  ++good_probes_;
  if (options_.has_probes && good_probes_ < options_.probes_to_close) return HealthChange::kNone;
  return Advance(now, HealthEvent::kAlive);
}

HealthChange TargetHealth::OnFailure(core::MonotonicTime now, TargetFailure failure,
                                     core::MonotonicTime sent) {
  if (sent < changed_) return HealthChange::kNone;
  if (failure == TargetFailure::kSilence && sent < alive_at_) return HealthChange::kNone;
  good_probes_ = 0;
  if (state_ == HealthState::kDown) return HealthChange::kNone;  // Tried for want of others.
  ++failures_;
  const bool is_broken = state_ == HealthState::kHalfOpen || failure == TargetFailure::kRefused ||
                         failures_ >= options_.failures_to_open;
  if (!is_broken) return HealthChange::kNone;
  const bool is_its_own = failure != TargetFailure::kSilence && failure != TargetFailure::kLost;
  return is_its_own ? Advance(now, HealthEvent::kBroken) : Suspect(now);
}

HealthChange TargetHealth::OnUnavailable(core::MonotonicTime now, absl::Duration retry_after) {
  if (state_ == HealthState::kDown) return HealthChange::kNone;
  if (state_ == HealthState::kUp && retry_after <= absl::ZeroDuration()) return HealthChange::kNone;
  const HealthChange change = Suspect(now);
  unconfirmed_ = std::max(unconfirmed_, retry_after);
  return change;
}

// One question at a time.
HealthChange TargetHealth::Suspect(core::MonotonicTime now) {
  const bool pauses = state_ == HealthState::kUp && asked_at_ != core::MonotonicTime() &&
                      now - asked_at_ < options_.ask_pause;
  if (is_asked_ || pauses) return HealthChange::kNone;
  is_asked_ = true;
  asked_at_ = now;
  unconfirmed_ = absl::ZeroDuration();
  return HealthChange::kSuspected;
}

HealthChange TargetHealth::OnAsked(core::MonotonicTime now, ProbeAnswer answer,
                                   absl::Duration retry_after) {
  const absl::Duration hold = std::max(std::exchange(unconfirmed_, {}), retry_after);
  is_asked_ = false;
  switch (answer) {
    case ProbeAnswer::kUnknown:
      // A trial that failed leaves the circuit open.
      return state_ == HealthState::kHalfOpen ? Advance(now, HealthEvent::kBroken)
                                              : HealthChange::kNone;
    case ProbeAnswer::kAlive:
      return OnGood(now);
    case ProbeAnswer::kUnavailable:
      return HoldOff(now, hold);
    case ProbeAnswer::kSilent:
      if (alive_at_ > asked_at_ || state_ == HealthState::kDown) return HealthChange::kNone;
      return Advance(now, HealthEvent::kBroken);
  }
  UNREACHABLE();
}

HealthChange TargetHealth::HoldOff(core::MonotonicTime now, absl::Duration retry_after) {
  const bool was_usable = IsUsable(now);
  if (state_ == HealthState::kHalfOpen) static_cast<void>(Advance(now, HealthEvent::kBroken));
  if (retry_after > absl::ZeroDuration()) {
    held_until_ = std::max(held_until_, now + std::min(retry_after, options_.retry_after_max));
  }
  return was_usable && now < held_until_ ? HealthChange::kHeldOff : HealthChange::kNone;
}

HealthChange TargetHealth::OnProbe(core::MonotonicTime now, bool ok) {
  DCHECK(options_.has_probes);
  if (ok) {
    held_until_ = {};
    return OnGood(now);
  }
  good_probes_ = 0;
  if (state_ != HealthState::kUp || ++bad_probes_ < options_.probes_to_open) {
    return HealthChange::kNone;
  }
  return Advance(now, HealthEvent::kBroken);
}

HealthChange TargetHealth::Advance(core::MonotonicTime now, HealthEvent event) {
  const HealthState previous = state_;
  state_ = AdvanceHealth(previous, event);
  if (state_ == previous) return HealthChange::kNone;
  if (state_ == HealthState::kDown) ScheduleRetry(now, previous);
  changed_ = now;
  failures_ = bad_probes_ = good_probes_ = trials_ = 0;
  switch (state_) {
    case HealthState::kUp:
      return HealthChange::kCameUp;
    case HealthState::kHalfOpen:
      return HealthChange::kNone;
    case HealthState::kDown:
      was_down_ = true;
      // A trial that failed changes nothing for others: it was down all the time.
      return previous == HealthState::kUp ? HealthChange::kWentDown : HealthChange::kNone;
  }
  UNREACHABLE();
}

// The back-off begins anew only for a target that had stayed up for a while: one that flaps is left
// alone for longer each time. Called before `changed_` moves.
void TargetHealth::ScheduleRetry(core::MonotonicTime now, HealthState previous) {
  const bool had_recovered = previous == HealthState::kUp && now - changed_ >= options_.slow_start;
  backoff_ = had_recovered || backoff_ == absl::ZeroDuration()
                 ? options_.backoff_min
                 : std::min(2 * backoff_, options_.backoff_max);
  retry_at_ = now + backoff_;
}

}  // namespace sallyport::sip
