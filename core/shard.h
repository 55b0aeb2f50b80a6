// One shard: what one thread owns alone (reactor, buffers, timers, counters) and its place in the
// mail; and the group of all of them with their threads.
//
// A Shard itself knows no thread: a simulation makes shards on simulated backends and runs their
// turns by hand. ShardGroup makes the real ones, each pinned to a CPU with its own io_uring.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/io_backend.h"
#include "core/mail_exchange.h"
#include "core/quiet_points.h"
#include "core/reactor.h"
#include "core/stats.h"
#include "core/uring_backend.h"
#include "core/uring_waker.h"

namespace sallyport::core {

// What runs on a shard. Made, called and destroyed in the shard's thread.
class ShardApplication {
 public:
  virtual ~ShardApplication() = default;

  // Mail from another shard or from the control thread (index = number of shards). Kinds below
  // kMailKindsReserved are the shard's own.
  virtual void OnMail(uint32_t from, uint32_t kind, std::span<const std::byte> record) = 0;

  // The group stops: close everything soon. Turns go on until IsQuiet or the deadline. A graceful
  // drain is the application's own affair, by mail, before that.
  virtual void BeginStop() {}
  virtual bool IsQuiet() const { return true; }
};

inline constexpr uint32_t kMailKindsReserved = 16;

// Indices of Shard::machine_stats(): totals, except where the comment says gauge.
enum class MachineStat : uint8_t {
  kTurns,
  kBusyNanoseconds,
  kLongestTurnNanoseconds,  // Gauge: since the previous publication, at least a second apart.
  kCompletions,
  kStaleCompletions,
  kTimersFired,
  kFlushes,
  kSteps,
  kStepsQueued,     // Gauge.
  kBufferBytes,     // Gauge: in use.
  kBufferBytesMax,  // Gauge: the bound.
  kBuffersExhausted,
  kSubmitCalls,
  kSubmitted,
  kSubmitRetries,
  kSubmissionQueueFull,
  kCompletionOverflows,
  kStreamBuffersOut,
  kDatagramBuffersOut,
  kMultishotEndedEarly,
  kAcceptsRefused,
  kMailSent,
  kMailReceived,
  kMailRefused,  // A mailbox was full.
  kCount,
};

class Shard final : private TurnHooks, private MailHandler, private Waker {
 public:
  // Borrows everything. `quiet_points` may be nullptr (tests).
  Shard(uint32_t index, IoBackend& io, MailExchange& mail, QuietPoints* quiet_points,
        const ReactorOptions& options);
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard();

  uint32_t index() const { return index_; }
  Reactor& reactor() { return reactor_; }
  uint32_t shards() const { return mail_.shards(); }
  uint32_t control() const { return mail_.control(); }
  QuietPoints* quiet_points() { return quiet_points_; }
  // Any thread may read it; refreshed every 100 ms while busy and before each sleep.
  const StatsBlock& machine_stats() const { return machine_stats_; }

  // To another shard or the control thread; kind >= kMailKindsReserved. False: full, nothing sent.
  [[nodiscard]] bool Post(uint32_t to, uint32_t kind, std::span<const std::byte> record,
                          MailPriority priority = MailPriority::kNormal);

  // Of the mailbox at another shard that this one fills.
  [[nodiscard]] MailboxProgress progress_of_mail(uint32_t to) { return mail_.progress(index_, to); }
  [[nodiscard]] uint32_t mailbox_bytes() const { return mail_.mailbox_bytes(); }

  void SetApplication(std::unique_ptr<ShardApplication> application);
  ShardApplication* application() { return application_.get(); }

  void RunTurn() { reactor_.RunTurn(); }
  // Turns until a stop arrives by mail, then stops the application and destroys it.
  void Run(absl::Duration stop_deadline);
  bool stop_requested() const { return stop_requested_; }

  // True on the thread that made the shard.
  bool IsCurrent() const { return std::this_thread::get_id() == thread_; }

  static constexpr uint32_t kMailStop = 1;  // Control thread to shard.

 private:
  bool BeforeWait() override;
  void AfterWait() override;
  bool DeliverMail(uint32_t records_max) override;
  void AfterTurn() override;
  void OnMail(uint32_t from, uint32_t kind, std::span<const std::byte> record) override;
  void WakeParty(int wake_name) override;
  void PublishStats();
  void PublishIoStats(const IoCounters& io);
  void SetStat(MachineStat stat, uint64_t value) {
    machine_stats_.Set(static_cast<size_t>(stat), value);
  }

  const uint32_t index_;
  const std::thread::id thread_;
  MailExchange& mail_;
  QuietPoints* const quiet_points_;
  Reactor reactor_;
  StatsBlock machine_stats_;
  std::unique_ptr<ShardApplication> application_;
  uint64_t mail_sent_ = 0;
  uint64_t mail_received_ = 0;
  uint64_t mail_refused_ = 0;
  MonotonicTime published_;
  MonotonicTime longest_turn_reset_;
  bool stop_requested_ = false;
};

struct ShardGroupOptions {
  uint32_t shards = 0;  // 0: one per CPU that we may run on.
  bool pin = true;      // Shard i runs on the i-th of those CPUs only.
  ReactorOptions reactor;
  UringOptions uring;
  uint32_t mailbox_bytes = 256 * 1024;
  absl::Duration stop_deadline = absl::Seconds(1);
};

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): destroyed in the reverse order.
class ShardGroup {
 public:
  // Makes the application of a shard, in its thread. An error stops the group.
  using Factory = std::function<absl::StatusOr<std::unique_ptr<ShardApplication>>(Shard& shard)>;

  // Starts every shard and waits until all have their application; the first error stops all. The
  // calling thread is the control thread from then on. Signals should be blocked before.
  static absl::StatusOr<std::unique_ptr<ShardGroup>> Start(const ShardGroupOptions& options,
                                                           const Factory& factory);
  ShardGroup(const ShardGroup&) = delete;
  ShardGroup& operator=(const ShardGroup&) = delete;
  ~ShardGroup();  // Stops.

  uint32_t size() const { return static_cast<uint32_t>(members_.size()); }
  QuietPoints& quiet_points() { return quiet_points_; }
  // Any thread. Lives as long as the group.
  const StatsBlock& machine_stats(uint32_t shard) const;

  // Control thread. Kinds from kMailKindsReserved on. False: full.
  [[nodiscard]] bool Post(uint32_t shard, uint32_t kind, std::span<const std::byte> record);
  // Control thread: mail that shards sent here. Poll control_event_fd() for it.
  void DeliverMail(MailHandler& handler);
  int control_event_fd() const { return mail_.control_event_fd(); }

  // Stops all shards and joins their threads. Idempotent.
  void Stop();

 private:
  struct Member;

  ShardGroup(const ShardGroupOptions& options, uint32_t shards, std::unique_ptr<UringWaker> waker);
  absl::Status StartAll(uint32_t shards, const std::vector<int>& cpus, const Factory& factory);

  const ShardGroupOptions options_;
  QuietPoints quiet_points_;
  MailExchange mail_;
  std::unique_ptr<UringWaker> waker_;
  std::vector<std::unique_ptr<Member>> members_;
};

// The CPUs that this process may run on (sched_getaffinity), in order.
std::vector<int> AllowedCpus();

}  // namespace sallyport::core
