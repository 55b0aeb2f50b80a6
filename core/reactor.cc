#include "core/reactor.h"

#include <algorithm>

#include "core/check.h"

namespace sallyport::core {

Reactor::Reactor(IoBackend& io, const ReactorOptions& options, TurnHooks* hooks)
    : io_(io),
      options_(options),
      hooks_(hooks),
      handlers_(options.handlers_max),
      buffers_(options.buffer_bytes_max),
      now_(io.MonotonicNow()),
      timers_(now_),
      completions_(options.completions_per_turn_max) {
  CHECK(options.handlers_max <= kHandlerSlotsMax);
}

Reactor::~Reactor() = default;

HandlerId Reactor::Attach(CompletionHandler& handler) {
  HandlerId id;
  return handlers_.Emplace(&id, &handler) == nullptr ? HandlerId{} : id;
}

void Reactor::Detach(HandlerId id) { handlers_.Erase(id); }

void Reactor::RunTurn() {
  const bool was_behind = more_completions_ || more_mail_;
  Wait();
  if (!was_behind) behind_since_ = now_;
  due_.TakeAll(overdue_);
  due_.TakeAll(deferred_);
  RunCompletions();
  counters_.timers_fired += timers_.Advance(now_, options_.timer_steps_per_turn_max);
  if (hooks_ != nullptr) more_mail_ = hooks_->DeliverMail(options_.mail_per_turn_max);
  RunDeferred();
  RunFlushes();
  RunSteps();
  if (hooks_ != nullptr) hooks_->AfterTurn();

  const MonotonicTime end = io_.MonotonicNow();
  queue_delay_ = end - behind_since_;
  const int64_t busy = end.nanoseconds - now_.nanoseconds;
  counters_.busy_nanoseconds += busy;
  counters_.longest_turn_nanoseconds = std::max(counters_.longest_turn_nanoseconds, busy);
  ++counters_.turns;
  now_ = end;
}

void Reactor::Wait() {
  absl::Duration timeout = WaitTime();
  const bool may_block = timeout > absl::ZeroDuration();
  const bool sleeping = may_block && (hooks_ == nullptr || hooks_->BeforeWait());
  if (may_block && !sleeping) timeout = absl::ZeroDuration();
  io_.SubmitAndWait(timeout);
  if (sleeping && hooks_ != nullptr) hooks_->AfterWait();
  now_ = io_.MonotonicNow();
}

absl::Duration Reactor::WaitTime() {
  if (more_completions_ || more_mail_ || !steps_.empty() || !flushes_.empty() || !due_.empty() ||
      !deferred_.empty() || !overdue_.empty()) {
    return absl::ZeroDuration();
  }
  const MonotonicTime deadline = timers_.NextDeadline();
  if (deadline == kInfiniteFuture) return options_.wait_max;
  return std::clamp(deadline - now_, absl::ZeroDuration(), options_.wait_max);
}

void Reactor::RunCompletions() {
  const size_t count = io_.Harvest(completions_);
  more_completions_ = count == completions_.size();
  counters_.completions += count;
  for (size_t index = 0; index < count; ++index) Dispatch(completions_[index]);
}

void Reactor::Dispatch(const Completion& done) {
  CompletionHandler** const handler = handlers_.Find(done.owner);
  if (handler == nullptr) return DropStale(done);
  (*handler)->OnCompletion(done);
}

void Reactor::DropStale(const Completion& done) {
  ++counters_.stale_completions;
  if (done.buffer.present()) io_.Recycle(done.buffer);
  if (done.operation == Operation::kAccept && done.result >= 0) io_.Close(done.result);
}

void Reactor::RunDeferred() {
  for (uint32_t left = options_.deferred_per_turn_max; left > 0; --left) {
    StepNode* const node = due_.PopFront();
    if (node == nullptr) return;
    ++counters_.deferred;
    node->OnStep();
  }
}

void Reactor::RunFlushes() {
  while (FlushNode* const node = flushes_.PopFront()) {
    ++counters_.flushes;
    node->OnTurnEnd();
  }
}

void Reactor::RunSteps() {
  if (steps_.empty()) {
    steps_queued_ = 0;
    return;
  }
  io_.Submit();  // What this turn produced goes out before anybody's expensive step.
  for (uint32_t left = options_.steps_per_turn_max; left > 0; --left) {
    StepNode* const node = steps_.PopFront();
    if (node == nullptr) break;
    --steps_queued_;
    ++counters_.steps;
    node->OnStep();
  }
  RunFlushes();
}

}  // namespace sallyport::core
