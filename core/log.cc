#include "core/log.h"

#include <pthread.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <span>
#include <system_error>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "core/log_output.h"

namespace sallyport::core {
namespace {

constexpr auto kDrainInterval = std::chrono::milliseconds(20);
constexpr auto kTellInterval = std::chrono::milliseconds(500);
constexpr size_t kLinesPerDrainMax = 4096;  // Of one writer, before the others get their turn.

// Lines to a descriptor. spdlog brings formatting and buffering; its own stderr sink ignores EINTR,
// short writes and errors.
class DescriptorSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit DescriptorSink(int descriptor) : output_(descriptor) {
    set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
  }

  LogOutput& output() { return output_; }
  const LogOutput& output() const { return output_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    formatter_->format(message, pending_);
    if (pending_.size() >= kPendingBytesMax) flush_();
  }

  void flush_() override {
    if (pending_.size() > 0) output_.Write({pending_.data(), pending_.size()});
    pending_.clear();
  }

 private:
  static constexpr size_t kPendingBytesMax = size_t{64} * 1024;

  LogOutput output_;
  spdlog::memory_buf_t pending_;
};

}  // namespace

// ---- Writer

LogWriter::LogWriter(const std::atomic<LogLevel>* level, uint32_t index, uint32_t records,
                     int64_t (*now_ns)())
    : level_(level),
      now_ns_(now_ns),
      index_(index),
      mask_(std::bit_ceil(std::max<uint32_t>(records, 2)) - 1),
      records_(std::make_unique_for_overwrite<LogRecord[]>(mask_ + size_t{1})) {}

LogWriter::~LogWriter() = default;

void LogWriter::Write(LogLevel level, LogName event, std::string_view message,
                      std::span<const LogField> fields) {
  if (!Enabled(level)) return;
  const uint64_t head = head_.load(std::memory_order_relaxed);
  if (head - tail_seen_ > mask_) {
    tail_seen_ = tail_.load(std::memory_order_acquire);
    if (head - tail_seen_ > mask_) {
      dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return;
    }
  }
  records_[head & mask_].Fill(now_ns_(), level, index_, event.text(), message, fields);
  head_.store(head + 1, std::memory_order_release);
}

// ---- The log thread

class Log::Drain {
 public:
  Drain(const Log& log, const LogOptions& options)
      : log_(log),
        json_(options.format == LogFormat::kJson ||
              (options.format == LogFormat::kAuto && isatty(options.file_descriptor) == 0)),
        sink_(options.file_descriptor),
        thread_([this] { Run(); }) {
    pthread_setname_np(thread_.native_handle(), "sallyport-log");
  }

  ~Drain() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  // Any thread.
  uint64_t lost() const { return sink_.output().lost(); }

  void Flush() {
    std::unique_lock lock(mutex_);
    const uint64_t wanted = ++flushes_wanted_;
    wake_.notify_all();
    done_.wait(lock, [&] { return flushes_done_ >= wanted || stopping_; });
  }

 private:
  struct Line {
    int64_t time_ns;
    LogLevel level;
    std::string text;
  };

  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      const uint64_t wanted = flushes_wanted_;
      const bool stopping = stopping_;
      lock.unlock();
      bool more = DrainOnce();
      while (more && (stopping || wanted > flushes_done_)) more = DrainOnce();
      lock.lock();
      flushes_done_ = wanted;
      done_.notify_all();
      if (stopping) return;
      if (more) continue;
      wake_.wait_for(lock, kDrainInterval,
                     [&] { return stopping_ || flushes_wanted_ > flushes_done_; });
    }
  }

  // Takes what is there, in time order over all writers. True if more may be waiting.
  bool DrainOnce() {
    lines_.clear();
    bool more = false;
    for (const std::unique_ptr<LogWriter>& writer : log_.writers_) more |= Collect(*writer);
    std::stable_sort(lines_.begin(), lines_.end(),
                     [](const Line& a, const Line& b) { return a.time_ns < b.time_ns; });
    for (const Line& line : lines_) Print(line);
    if (!lines_.empty()) Guarded([this] { sink_.flush(); });
    if (sink_.output().untold() > 0) TellLosses();
    return more;
  }

  // Once it can be told, and tried rarely: a slow reader is waited for each time.
  void TellLosses() {
    const auto now = std::chrono::steady_clock::now();
    if (now < tell_again_) return;
    tell_again_ = now + kTellInterval;
    LogOutput& output = sink_.output();
    LogRecord record;
    const std::array<LogField, 2> fields = {LogField("lost", output.untold()),
                                            LogField("cause", std::strerror(output.error()))};
    record.Fill(log_.now_ns_(), LogLevel::kWarning, static_cast<uint32_t>(log_.writers_.size()),
                "log-resumed", "the log could not be written for a while", fields);
    static_cast<void>(output.WriteRecovery((json_ ? record.AsJson() : record.AsText()) + "\n"));
  }

  bool Collect(LogWriter& writer) {
    const uint64_t head = writer.head_.load(std::memory_order_acquire);
    uint64_t tail = writer.tail_.load(std::memory_order_relaxed);
    for (size_t taken = 0; tail != head && taken < kLinesPerDrainMax; ++taken, ++tail) {
      const LogRecord& record = writer.records_[tail & writer.mask_];
      lines_.push_back(
          {record.time_ns(), record.level(), json_ ? record.AsJson() : record.AsText()});
    }
    writer.tail_.store(tail, std::memory_order_release);
    return tail != head;
  }

  void Print(const Line& line) {
    Guarded([&] {
      sink_.log(spdlog::details::log_msg(spdlog::string_view_t(), spdlog::level::info,
                                         spdlog::string_view_t(line.text)));
    });
  }

  // spdlog throws (no memory, a bad pattern): a log that cannot write loses its line, not the edge.
  template <typename Action>
  static void Guarded(Action action) {
    try {
      action();
    } catch (const std::exception&) {
      return;
    }
  }

  const Log& log_;
  const bool json_;
  DescriptorSink sink_;
  std::vector<Line> lines_;
  std::chrono::steady_clock::time_point tell_again_;

  std::mutex mutex_;  // Guards the four below; never taken by a writer.
  std::condition_variable wake_;
  std::condition_variable done_;
  uint64_t flushes_wanted_ = 0;
  uint64_t flushes_done_ = 0;
  bool stopping_ = false;

  std::thread thread_;  // Last: it uses all of the above.
};

// ---- Log

Log::Log(const LogOptions& options)
    : level_(options.level), now_ns_(options.now_ns != nullptr ? options.now_ns : +[] {
        return absl::GetCurrentTimeNanos();
      }) {
  for (uint32_t i = 0; i < options.writers; ++i) {
    writers_.emplace_back(new LogWriter(&level_, i, options.records_per_writer, now_ns_));
  }
}

absl::StatusOr<std::unique_ptr<Log>> Log::Start(const LogOptions& options) {
  std::unique_ptr<Log> log(new Log(options));
  try {
    log->drain_ = std::make_unique<Drain>(*log, options);
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(std::string("cannot start the log thread: ") +
                                        error.what());
  }
  return log;
}

Log::~Log() { drain_.reset(); }

void Log::Flush() { drain_->Flush(); }

uint64_t Log::dropped() const {
  uint64_t sum = drain_->lost();
  for (const std::unique_ptr<LogWriter>& writer : writers_) sum += writer->dropped();
  return sum;
}

}  // namespace sallyport::core
