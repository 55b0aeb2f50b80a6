#include "core/shard.h"

#include <pthread.h>
#include <sched.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/check.h"

namespace sallyport::core {

namespace {

constexpr absl::Duration kPublishInterval = absl::Milliseconds(100);
constexpr absl::Duration kLongestTurnInterval = absl::Seconds(1);
constexpr uint32_t kControlMailPerRound = 256;
constexpr int kAnyCpu = -1;

void NameAndPinThread(uint32_t index, int cpu) {
  pthread_setname_np(pthread_self(), absl::StrCat("shard-", index).c_str());
  if (cpu == kAnyCpu) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  // Refused means that the allowed set has just changed; the shard then runs where it may.
  static_cast<void>(sched_setaffinity(0, sizeof(set), &set));
}

}  // namespace

Shard::Shard(uint32_t index, IoBackend& io, MailExchange& mail, QuietPoints* quiet_points,
             const ReactorOptions& options)
    : index_(index),
      thread_(std::this_thread::get_id()),
      mail_(mail),
      quiet_points_(quiet_points),
      reactor_(io, options, this),
      machine_stats_(static_cast<size_t>(MachineStat::kCount)),
      published_(reactor_.now()),
      longest_turn_reset_(reactor_.now()) {
  mail_.SetWakeName(index, io.wake_name());
  if (quiet_points_ != nullptr) quiet_points_->GoOnline(index_);
}

Shard::~Shard() {
  application_.reset();
  if (quiet_points_ != nullptr) quiet_points_->GoOffline(index_);
}

bool Shard::Post(uint32_t to, uint32_t kind, std::span<const std::byte> record,
                 MailPriority priority) {
  DCHECK(kind >= kMailKindsReserved);
  const bool posted = mail_.Post(index_, to, kind, record, *this, priority);
  ++(posted ? mail_sent_ : mail_refused_);
  return posted;
}

void Shard::SetApplication(std::unique_ptr<ShardApplication> application) {
  application_ = std::move(application);
}

void Shard::Run(absl::Duration stop_deadline) {
  while (!stop_requested_) RunTurn();
  if (application_ != nullptr) application_->BeginStop();
  const MonotonicTime deadline = reactor_.now() + stop_deadline;
  // A timer, so that the last wait ends by itself.
  Timer wake([](void*) {}, nullptr);
  reactor_.timers().Schedule(wake, deadline);
  while (application_ != nullptr && !application_->IsQuiet() && reactor_.now() < deadline) {
    RunTurn();
  }
  reactor_.io().Quiesce();
  reactor_.set_kernel_gone();
  application_.reset();
  PublishStats();
  if (quiet_points_ != nullptr) quiet_points_->GoOffline(index_);
}

bool Shard::BeforeWait() {
  if (!mail_.PrepareToSleep(index_)) return false;
  PublishStats();
  if (quiet_points_ != nullptr) quiet_points_->GoOffline(index_);
  return true;
}

void Shard::AfterWait() {
  if (quiet_points_ != nullptr) quiet_points_->GoOnline(index_);
  mail_.Awake(index_);
}

bool Shard::DeliverMail(uint32_t records_max) { return mail_.Deliver(index_, records_max, *this); }

void Shard::AfterTurn() {
  if (quiet_points_ != nullptr) quiet_points_->Announce(index_);
  if (reactor_.now() - published_ >= kPublishInterval) PublishStats();
}

void Shard::OnMail(uint32_t from, uint32_t kind, std::span<const std::byte> record) {
  ++mail_received_;
  if (kind == kMailStop) {
    stop_requested_ = true;
    return;
  }
  if (application_ != nullptr) application_->OnMail(from, kind, record);
}

void Shard::WakeParty(int wake_name) { reactor_.io().Wake(wake_name); }

void Shard::PublishStats() {
  const MonotonicTime now = reactor_.now();
  published_ = now;
  const ReactorCounters& reactor = reactor_.counters();
  SetStat(MachineStat::kTurns, reactor.turns);
  SetStat(MachineStat::kBusyNanoseconds, static_cast<uint64_t>(reactor.busy_nanoseconds));
  if (now - longest_turn_reset_ >= kLongestTurnInterval) {
    SetStat(MachineStat::kLongestTurnNanoseconds,
            static_cast<uint64_t>(reactor.longest_turn_nanoseconds));
    reactor_.ResetLongestTurn();
    longest_turn_reset_ = now;
  }
  SetStat(MachineStat::kCompletions, reactor.completions);
  SetStat(MachineStat::kStaleCompletions, reactor.stale_completions);
  SetStat(MachineStat::kTimersFired, reactor.timers_fired);
  SetStat(MachineStat::kFlushes, reactor.flushes);
  SetStat(MachineStat::kSteps, reactor.steps);
  SetStat(MachineStat::kStepsQueued, reactor_.steps_queued());
  const BufferPool& buffers = reactor_.buffers();
  SetStat(MachineStat::kBufferBytes, buffers.bytes_in_use());
  SetStat(MachineStat::kBufferBytesMax, buffers.bytes_max());
  SetStat(MachineStat::kBuffersExhausted, buffers.exhausted());
  PublishIoStats(reactor_.io().counters());
  SetStat(MachineStat::kMailSent, mail_sent_);
  SetStat(MachineStat::kMailReceived, mail_received_);
  SetStat(MachineStat::kMailRefused, mail_refused_);
}

void Shard::PublishIoStats(const IoCounters& io) {
  SetStat(MachineStat::kSubmitCalls, io.submit_calls);
  SetStat(MachineStat::kSubmitted, io.submitted);
  SetStat(MachineStat::kSubmitRetries, io.submit_retries);
  SetStat(MachineStat::kSubmissionQueueFull, io.submission_queue_full);
  SetStat(MachineStat::kCompletionOverflows, io.completion_overflows);
  SetStat(MachineStat::kStreamBuffersOut, io.stream_buffers_out);
  SetStat(MachineStat::kDatagramBuffersOut, io.datagram_buffers_out);
  SetStat(MachineStat::kMultishotEndedEarly, io.multishot_ended_early);
  SetStat(MachineStat::kAcceptsRefused, io.accepts_refused);
}

// One shard with its thread. The thread makes everything and runs it; the objects stay until the
// group goes, so that their numbers can be read.
struct ShardGroup::Member {
  std::unique_ptr<UringBackend> backend;
  std::unique_ptr<Shard> shard;
  std::mutex mutex;
  std::condition_variable changed;
  bool started = false;  // Under the mutex, like status.
  absl::Status status;
  std::thread thread;

  absl::Status Build(uint32_t index, ShardGroup& group, const Factory& factory) {
    absl::StatusOr<std::unique_ptr<UringBackend>> made = UringBackend::Create(group.options_.uring);
    if (!made.ok()) return made.status();
    backend = *std::move(made);
    shard = std::make_unique<Shard>(index, *backend, group.mail_, &group.quiet_points_,
                                    group.options_.reactor);
    absl::StatusOr<std::unique_ptr<ShardApplication>> application = factory(*shard);
    if (!application.ok()) return application.status();
    shard->SetApplication(*std::move(application));
    return absl::OkStatus();
  }

  void RunThread(uint32_t index, ShardGroup& group, const Factory& factory) {
    const absl::Status built = Build(index, group, factory);
    {
      const std::lock_guard<std::mutex> lock(mutex);
      status = built;
      started = true;
      changed.notify_all();
    }
    // `factory` is the starter's and may be gone from here on.
    if (built.ok()) shard->Run(group.options_.stop_deadline);
  }

  absl::Status WaitUntilStarted() {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [this] { return started; });
    return status;
  }
};

ShardGroup::ShardGroup(const ShardGroupOptions& options, uint32_t shards,
                       std::unique_ptr<UringWaker> waker)
    : options_(options),
      quiet_points_(shards),
      mail_(shards, options.mailbox_bytes),
      waker_(std::move(waker)) {}

ShardGroup::~ShardGroup() { Stop(); }

absl::StatusOr<std::unique_ptr<ShardGroup>> ShardGroup::Start(const ShardGroupOptions& options,
                                                              const Factory& factory) {
  const std::vector<int> cpus = AllowedCpus();
  const uint32_t shards = options.shards != 0 ? options.shards : static_cast<uint32_t>(cpus.size());
  absl::StatusOr<std::unique_ptr<UringWaker>> waker = UringWaker::Create();
  if (!waker.ok()) return waker.status();
  std::unique_ptr<ShardGroup> group(new ShardGroup(options, shards, *std::move(waker)));
  if (absl::Status status = group->StartAll(shards, cpus, factory); !status.ok()) return status;
  return group;
}

absl::Status ShardGroup::StartAll(uint32_t shards, const std::vector<int>& cpus,
                                  const Factory& factory) {
  absl::Status first;
  for (uint32_t index = 0; index < shards; ++index) {
    Member& member = *members_.emplace_back(std::make_unique<Member>());
    const int cpu = options_.pin ? cpus[index % cpus.size()] : kAnyCpu;
    try {
      member.thread = std::thread([this, index, cpu, &member, &factory] {
        NameAndPinThread(index, cpu);
        member.RunThread(index, *this, factory);
      });
    } catch (const std::system_error& error) {
      members_.pop_back();
      first = absl::ResourceExhaustedError(
          absl::StrCat("cannot start the thread of shard ", index, ": ", error.what(),
                       "; raise the limit of tasks (TasksMax=, ulimit -u) or lower edge.shards"));
      break;
    }
  }
  for (const std::unique_ptr<Member>& member : members_) first.Update(member->WaitUntilStarted());
  if (!first.ok()) Stop();
  return first;
}

const StatsBlock& ShardGroup::machine_stats(uint32_t shard) const {
  return members_[shard]->shard->machine_stats();
}

bool ShardGroup::Post(uint32_t shard, uint32_t kind, std::span<const std::byte> record) {
  DCHECK(kind >= kMailKindsReserved);
  return mail_.Post(mail_.control(), shard, kind, record, *waker_);
}

void ShardGroup::DeliverMail(MailHandler& handler) {
  mail_.Awake(mail_.control());
  do {
    while (mail_.Deliver(mail_.control(), kControlMailPerRound, handler)) {
    }
  } while (!mail_.PrepareToSleep(mail_.control()));
}

void ShardGroup::Stop() {
  for (uint32_t index = 0; index < size(); ++index) {
    if (!members_[index]->thread.joinable()) continue;
    while (!mail_.Post(mail_.control(), index, Shard::kMailStop, {}, *waker_)) {
      absl::SleepFor(absl::Milliseconds(1));  // Its mailbox is full: it will empty it.
    }
  }
  for (const std::unique_ptr<Member>& member : members_) {
    if (member->thread.joinable()) member->thread.join();
  }
}

std::vector<int> AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
  }
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

}  // namespace sallyport::core
