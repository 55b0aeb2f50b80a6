// Structured, asynchronous log: one event, one line, to standard error.
//
// Each writing thread owns a LogWriter: a ring of fixed-size records. Write copies the event into
// the next record and returns; it never allocates, locks, blocks or calls the kernel (but for the
// clock page). A full ring drops the record and counts it. One log thread drains all rings, puts
// the lines in time order and writes them: text on a terminal, JSON lines elsewhere.
//
// Names (event, field keys) are literals. Values are copied, shortened to kLogValueBytesMax, and
// escaped when written, so peer bytes can forge neither a line nor a field.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/log_record.h"

namespace sallyport::core {

enum class LogFormat : uint8_t { kAuto, kText, kJson };  // kAuto: text on a terminal, else JSON.

struct LogOptions {
  LogFormat format = LogFormat::kAuto;
  LogLevel level = LogLevel::kInfo;
  uint32_t writers = 1;                // Shards 0..N-1, then the control thread.
  uint32_t records_per_writer = 1024;  // Rounded up to a power of two; 1.5 kB each.
  int file_descriptor = 2;             // Borrowed.
  int64_t (*now_ns)() = nullptr;       // Wall clock for records; nullptr: the system's.
};

class Log;

// One producer. Which thread it belongs to is fixed by whoever hands it out. Each side has cache
// lines of its own, hence the padding.
class LogWriter {  // NOLINT(clang-analyzer-optin.performance.Padding)
 public:
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  ~LogWriter();

  bool Enabled(LogLevel level) const {
    return level >=
           level_->load(std::memory_order_relaxed);  // Pairs with Log::set_level; stale is fine.
  }

  // Below the level: nothing. `message` is words for people, the fields are for machines.
  //   log.Write(LogLevel::kInfo, "request-refused", "From not covered by certificate",
  //             {{"reason", "from-not-covered"}, {"listener", name}, {"suppressed", 3}});
  void Write(LogLevel level, LogName event, std::string_view message,
             std::initializer_list<LogField> fields = {}) {
    Write(level, event, message, std::span(fields.begin(), fields.size()));
  }
  // The same for fields that depend on what there is to tell.
  void Write(LogLevel level, LogName event, std::string_view message,
             std::span<const LogField> fields);

  // Records lost because the ring was full. Any thread.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  friend class Log;
  LogWriter(const std::atomic<LogLevel>* level, uint32_t index, uint32_t records,
            int64_t (*now_ns)());

  const std::atomic<LogLevel>* const level_;
  int64_t (*const now_ns_)();
  const uint32_t index_;
  const uint32_t mask_;
  const std::unique_ptr<LogRecord[]> records_;
  std::atomic<uint64_t> dropped_{0};  // Written by the producer alone.

  // head_ counts records written (producer), tail_ records drained (log thread). The release store
  // of each pairs with the acquire load on the other side; record i is the producer's from
  // tail_ + size on and the drainer's below head_.
  alignas(64) std::atomic<uint64_t> head_{0};
  uint64_t tail_seen_ = 0;  // The producer's last look at tail_.
  alignas(64) std::atomic<uint64_t> tail_{0};
};

class Log {
 public:
  // Starts the log thread. Fails only if the thread cannot be made.
  static absl::StatusOr<std::unique_ptr<Log>> Start(const LogOptions& options);

  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();  // Stops and joins the log thread after it has drained every ring.

  // `index` below options.writers. Each to one thread.
  LogWriter& writer(uint32_t index) { return *writers_[index]; }

  // Live: takes effect for the next Write on each thread.
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }

  // Returns when everything written before the call is out. Any thread but a shard's.
  void Flush();

  // What no ring had room for and what could not be written, for a metric.
  uint64_t dropped() const;

 private:
  class Drain;

  explicit Log(const LogOptions& options);

  std::atomic<LogLevel> level_;
  int64_t (*const now_ns_)();
  std::vector<std::unique_ptr<LogWriter>> writers_;
  std::unique_ptr<Drain> drain_;
};

}  // namespace sallyport::core
