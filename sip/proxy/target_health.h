// The health of one target of a next-hop group, as one shard sees it: a circuit breaker fed by
// requests, OPTIONS probes with hysteresis, Retry-After, and slow start.
//
//            kBroken                kTryAgain
//   kUp ---------------> kDown -----------------> kHalfOpen --kAlive--> kUp
//    ^                    |  ^                        |
//    +------- kAlive -----+  +-------- kBroken -------+
//
// Without probes, an open circuit lets a trial request through after a back-off that doubles from
// 250 ms to 8 s; its answer decides. With probes, kHalfOpen is not used: the target comes back when
// enough probes succeeded in a row.
//
// A sign of life is any response to a request but 503, also a 4xx or 5xx.
//
// Whoever sends requests must not be able to take the target from others. What the target itself
// does (it refuses, does not connect, has the wrong certificate) counts. What may be the doing of
// one request (silence, a lost connection, 503: the telephone behind the target says nothing, too)
// makes it suspect: the caller then asks it by an OPTIONS of our own, and that answer decides
// (OnAsked). Silence makes nothing suspect while the target has answered anything else since.
//
// A 503 with Retry-After, once OPTIONS confirms it, takes the target out until then (RFC 3261
// §21.5.4); without one it says nothing about the next request, and only fails a trial.
//
// Time is passed in and never goes back. No allocation. Shard: one thread.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "core/check.h"
#include "core/clock.h"

namespace sallyport::sip {

enum class HealthState : uint8_t {
  kUp,
  kDown,      // The circuit is open.
  kHalfOpen,  // A trial request is on its way; it decides.
};

enum class HealthEvent : uint8_t {
  kAlive,     // A sign of life; with probes: enough of them in a row.
  kBroken,    // Enough failures in a row, or the trial failed.
  kTryAgain,  // The back-off is over and a request goes there.
};

constexpr HealthState AdvanceHealth(HealthState state, HealthEvent event) {
  switch (event) {
    case HealthEvent::kAlive:
      return HealthState::kUp;
    case HealthEvent::kBroken:
      return HealthState::kDown;
    case HealthEvent::kTryAgain:
      return state == HealthState::kDown ? HealthState::kHalfOpen : state;
  }
  UNREACHABLE();
}

enum class TargetFailure : uint8_t {
  kRefused,  // RST to the SYN, ICMP unreachable: nobody is there. Opens the circuit at once.
  kConnectTimeout,
  kTls,      // Handshake failed or the certificate does not prove the target.
  kSilence,  // No response to a request within its deadline.
  kLost,     // The connection broke while transactions waited on it.
};

// What the caller logs and mails.
enum class HealthChange : uint8_t {
  kNone,
  kCameUp,
  kWentDown,
  kHeldOff,    // By Retry-After.
  kSuspected,  // Ask it: an OPTIONS of ours; its answer goes to OnAsked.
};

// What came of an OPTIONS of ours.
enum class ProbeAnswer : uint8_t {
  kAlive,
  kUnavailable,  // 503.
  kSilent,       // Nothing in time on a connection for OPTIONS alone, none at all, or 408.
  kUnknown,      // It did not leave: other events say why.
};

struct HealthOptions {
  bool has_probes = false;
  uint32_t failures_to_open = 3;  // In a row.
  uint32_t probes_to_open = 2;    // Failed ones in a row.
  uint32_t probes_to_close = 2;   // Good ones in a row.
  uint32_t trials_max = 1;        // Unanswered trial requests in kHalfOpen.
  absl::Duration backoff_min = absl::Milliseconds(250);
  absl::Duration backoff_max = absl::Seconds(8);
  absl::Duration trial = absl::Seconds(32);            // Then a trial counts as never sent: 64*T1.
  absl::Duration ask_pause = absl::Seconds(4);         // Between two suspicions; not in kHalfOpen.
  absl::Duration retry_after_max = absl::Seconds(60);  // A next hop may not silence itself longer.
  absl::Duration slow_start = absl::Seconds(10);
  double slow_start_weight = 0.1;
};

class TargetHealth {
 public:
  // Up, with full weight, until something says otherwise.
  explicit TargetHealth(const HealthOptions& options) : options_(options) {}
  // At a reload: what is known about the target stays.
  void set_options(const HealthOptions& options) { options_ = options; }

  // May a request go there: up, or due for a trial; and not held off.
  [[nodiscard]] bool IsUsable(core::MonotonicTime now) const;
  // When IsUsable becomes true if nothing else happens: `now` if it is, kInfiniteFuture if only a
  // probe can tell. What a 503 of our own may promise.
  [[nodiscard]] core::MonotonicTime UsableAt(core::MonotonicTime now) const;
  // By which its weight is multiplied (RFC 2782 weights are shares): below 1 after it came up.
  [[nodiscard]] double WeightFactor(core::MonotonicTime now) const;

  // A request goes there now; also when it was not usable. Here a trial begins.
  void OnRequestSent(core::MonotonicTime now);

  // What OnRequestSent said came to nothing: another may be the trial.
  void OnRequestWithdrawn();

  // Any response but 503. That a connection was established says nothing yet.
  HealthChange OnSuccess(core::MonotonicTime now);
  // Once per cause: a broken connection counts once, however many transactions waited on it.
  // kSilence and kLost end in kSuspected at worst.
  // `sent`: when the request or the dialling began. What began before the last change of state says
  // nothing about the target as it is now, and is ignored.
  HealthChange OnFailure(core::MonotonicTime now, TargetFailure failure, core::MonotonicTime sent);
  // A 503; zero: without Retry-After. kSuspected at worst.
  HealthChange OnUnavailable(core::MonotonicTime now, absl::Duration retry_after);
  // What came of the OPTIONS that kSuspected asked for, once for each; `retry_after` of its own
  // answer. What was heard of the target meanwhile outweighs its silence. A 503 of others counts
  // only if the answer is 503, too.
  HealthChange OnAsked(core::MonotonicTime now, ProbeAnswer answer, absl::Duration retry_after);
  // An OPTIONS of the schedule. Requires has_probes.
  HealthChange OnProbe(core::MonotonicTime now, bool ok);

  HealthState state() const { return state_; }

 private:
  [[nodiscard]] bool MayTry(core::MonotonicTime now) const;
  HealthChange Advance(core::MonotonicTime now, HealthEvent event);
  HealthChange OnGood(core::MonotonicTime now);
  void ScheduleRetry(core::MonotonicTime now, HealthState previous);
  HealthChange Suspect(core::MonotonicTime now);
  HealthChange HoldOff(core::MonotonicTime now, absl::Duration retry_after);

  HealthOptions options_;
  HealthState state_ = HealthState::kUp;
  bool was_down_ = false;        // Since the start: without it there is no slow start.
  uint32_t failures_ = 0;        // Requests that failed in a row.
  uint32_t bad_probes_ = 0;      // In a row, while up.
  uint32_t good_probes_ = 0;     // In a row, while down.
  uint32_t trials_ = 0;          // In kHalfOpen, unanswered.
  absl::Duration backoff_;       // Of the last opening; zero: none, or long forgotten.
  core::MonotonicTime changed_;  // Last change of state.
  core::MonotonicTime retry_at_;
  core::MonotonicTime trial_sent_;
  core::MonotonicTime held_until_;  // By Retry-After.
  core::MonotonicTime alive_at_;    // The last sign of life.
  core::MonotonicTime asked_at_;    // The last suspicion.
  bool is_asked_ = false;           // OnAsked will come for it.
  absl::Duration unconfirmed_;      // Retry-After of a 503 since.
};

}  // namespace sallyport::sip
