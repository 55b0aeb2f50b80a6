// The turn of one shard: submit, wait, harvest, dispatch, timers, mail, deferred work, flush,
// budgeted steps. The whole loop is Reactor::RunTurn, on one screen.
//
// Completions are harvested into a queue first and run from it: a handler never runs inside the
// harvest, never re-enters the ring, and reaches another shard only by mail.
// Shard: everything on the shard's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "core/buffer_pool.h"
#include "core/clock.h"
#include "core/completion.h"
#include "core/intrusive_list.h"
#include "core/io_backend.h"
#include "core/slot_map.h"
#include "core/timer_wheel.h"

namespace sallyport::core {

struct ReactorOptions {
  uint32_t handlers_max = 1u << 20;         // Attached at once: sockets, watches.
  uint32_t completions_per_turn_max = 512;  // More wait in the ring for the next turn.
  uint32_t timer_steps_per_turn_max = 1024;
  uint32_t mail_per_turn_max = 256;
  uint32_t deferred_per_turn_max = 256;
  uint32_t steps_per_turn_max = 1;  // TLS handshake steps.
  absl::Duration wait_max = absl::Seconds(10);
  size_t buffer_bytes_max = size_t{256} << 20;
};

// Written by the reactor, read by its owner.
struct ReactorCounters {
  uint64_t turns = 0;
  uint64_t completions = 0;
  uint64_t stale_completions = 0;  // For a handler that is gone.
  uint64_t timers_fired = 0;
  uint64_t flushes = 0;
  uint64_t steps = 0;
  uint64_t deferred = 0;
  int64_t busy_nanoseconds = 0;          // Outside the wait.
  int64_t longest_turn_nanoseconds = 0;  // Loop delay: how long a completion may have waited.
};

// Run once at the end of the turn in which it was handed to AtEndOfTurn: where several writes of
// one turn become one.
class FlushNode : public ListLink {
 public:
  // May hand in other nodes (they run in the same pass), not itself.
  virtual void OnTurnEnd() = 0;

 protected:
  ~FlushNode() = default;
};

// One piece of work that can wait: an expensive one, which runs after everything else within the
// budget (QueueStep), or what was left over for another turn (QueueDeferred). In one queue at a
// time.
class StepNode : public ListLink {
 public:
  // Out of the queue when called. To go on, queue it again: it goes to the back.
  virtual void OnStep() = 0;

 protected:
  ~StepNode() = default;
};

// What a shard adds to the turn. A reactor without one sleeps and wakes by itself.
class TurnHooks {
 public:
  // Before a wait that may block. False: do not block, mail has come in.
  virtual bool BeforeWait() = 0;
  virtual void AfterWait() = 0;
  // Delivers at most `records_max` records. True: there is more.
  virtual bool DeliverMail(uint32_t records_max) = 0;
  virtual void AfterTurn() = 0;

 protected:
  ~TurnHooks() = default;
};

class Reactor {
 public:
  // Borrows the backend and the hooks (may be nullptr), which outlive it.
  Reactor(IoBackend& io, const ReactorOptions& options, TurnHooks* hooks = nullptr);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  ~Reactor();

  // A zero HandlerId when all slots are taken: an outcome.
  [[nodiscard]] HandlerId Attach(CompletionHandler& handler);
  // From here on completions for the id are dropped: their buffer is recycled, an accepted fd
  // closed. Operations that use the handler's memory must have ended before.
  void Detach(HandlerId id);

  IoBackend& io() { return io_; }
  BufferPool& buffers() { return buffers_; }
  TimerWheel& timers() { return timers_; }
  // The time of this turn; read once after the wait.
  MonotonicTime now() const { return now_; }

  // Idempotent within a turn.
  void AtEndOfTurn(FlushNode& node) {
    if (!node.linked()) flushes_.PushBack(node);
  }
  // Idempotent while queued.
  void QueueStep(StepNode& node) {
    if (node.linked()) return;
    steps_.PushBack(node);
    ++steps_queued_;
  }
  // Work that had its share of this turn: goes on in the next one, before that turn's flushes, so
  // it neither waits for steps nor takes their budget. Idempotent while queued.
  void QueueDeferred(StepNode& node) {
    if (!node.linked()) deferred_.PushBack(node);
  }
  // The same for work that had no share of this turn: it comes before what had one.
  void QueueOverdue(StepNode& node) {
    if (!node.linked()) overdue_.PushBack(node);
  }
  // Queued and not yet run (an upper bound: nodes destroyed meanwhile still count until their
  // turn).
  uint32_t steps_queued() const { return steps_queued_; }

  // One turn. Blocks in the wait only if there is nothing to do.
  void RunTurn();

  // The owner has quiesced the backend: streams may be destroyed with operations outstanding.
  void set_kernel_gone() { kernel_gone_ = true; }
  bool kernel_gone() const { return kernel_gone_; }

  // How long the work of the last turn may have waited and taken: its length, or, while turns leave
  // completions or mail for the next, the time since when there was always something left.
  absl::Duration queue_delay() const { return queue_delay_; }

  const ReactorCounters& counters() const { return counters_; }
  void ResetLongestTurn() { counters_.longest_turn_nanoseconds = 0; }

 private:
  absl::Duration WaitTime();
  void Wait();
  void RunCompletions();
  void Dispatch(const Completion& done);
  void DropStale(const Completion& done);
  void RunDeferred();
  void RunFlushes();
  void RunSteps();

  IoBackend& io_;
  const ReactorOptions options_;
  TurnHooks* const hooks_;
  SlotMap<CompletionHandler*, HandlerId, kHandlerGenerationMask> handlers_;
  BufferPool buffers_;
  MonotonicTime now_;
  TimerWheel timers_;
  std::vector<Completion> completions_;  // Sized once.
  IntrusiveList<FlushNode> flushes_;
  IntrusiveList<StepNode> steps_;
  IntrusiveList<StepNode> overdue_;   // For the next turn, first.
  IntrusiveList<StepNode> deferred_;  // For the next turn.
  IntrusiveList<StepNode> due_;       // Deferred by earlier turns.
  uint32_t steps_queued_ = 0;
  bool more_completions_ = false;
  bool more_mail_ = false;
  bool kernel_gone_ = false;
  MonotonicTime behind_since_;  // Beginning of the first of the turns that left something.
  absl::Duration queue_delay_;
  ReactorCounters counters_;
};

}  // namespace sallyport::core
