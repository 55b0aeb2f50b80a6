// The metric families of a process and their Prometheus text (exposition format 0.0.4).
//
// A registry is filled at start. Each family gets consecutive slots of core::StatsBlock; a shard
// updates its own block (one relaxed load and store, core/stats.h), and Render sums the blocks. A
// family with labels has one series for every combination of label values, all of them shown from
// the start with 0, the last label varying fastest. What is not a slot (process figures, dates) is
// asked for at scrape by a callback.
//
// Thread: fill it on one thread before shards run; const functions on any thread afterwards.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/check.h"
#include "core/stats.h"

namespace sallyport::core {

inline constexpr size_t kMetricLabelsMax = 4;
inline constexpr size_t kHistogramBucketsMax = 12;  // Without +Inf.

enum class MetricType : uint8_t { kCounter, kGauge, kHistogram };

// `values` is the closed vocabulary: a label value that is not here cannot be written.
struct MetricLabel {
  std::string name;
  std::vector<std::string> values;
};

// The slots of one counter or gauge family. Slot(i, j): the i-th value of the first label, the j-th
// of the second; enums whose values follow the vocabulary may be passed as they are.
class MetricSlots {
 public:
  MetricSlots() = default;
  MetricSlots(uint32_t first, std::span<const MetricLabel> labels);

  template <typename... Indexes>
  uint32_t Slot(Indexes... indexes) const {
    DCHECK(sizeof...(indexes) == labels_);
    uint32_t slot = 0;
    size_t label = 0;
    ((slot = slot * sizes_[label] + Checked(static_cast<uint32_t>(indexes), label), ++label), ...);
    return first_ + slot;
  }

 private:
  uint32_t Checked(uint32_t index, [[maybe_unused]] size_t label) const {
    DCHECK(index < sizes_[label]);
    return index;
  }

  uint32_t first_ = 0;
  uint32_t labels_ = 0;
  std::array<uint32_t, kMetricLabelsMax> sizes_{};
};

// One histogram family. Values are integers of a small unit (nanoseconds); the text shows them
// divided (seconds).
class HistogramSlots {
 public:
  HistogramSlots() = default;
  HistogramSlots(uint32_t first, std::span<const MetricLabel> labels,
                 std::span<const uint64_t> bounds);

  template <typename... Indexes>
  void Observe(StatsBlock& stats, uint64_t value, Indexes... indexes) const {
    const uint32_t series = series_.Slot(indexes...) * (buckets_ + 2);
    uint32_t bucket = 0;
    while (bucket < buckets_ && value > bounds_[bucket]) ++bucket;
    stats.Add(first_ + series + bucket, 1);
    stats.Add(first_ + series + buckets_ + 1, value);  // After +Inf: the sum.
  }

 private:
  uint32_t first_ = 0;
  uint32_t buckets_ = 0;
  MetricSlots series_;  // Counts series from 0.
  std::array<uint64_t, kHistogramBucketsMax> bounds_{};
};

// Counters or gauges of rare events that happen off the shards (reloads, admin requests). Any
// thread may write; Index() is as MetricSlots::Slot.
class SharedMetric {
 public:
  explicit SharedMetric(std::span<const MetricLabel> labels);

  template <typename... Indexes>
  void Add(int64_t amount, Indexes... indexes) {
    values_[series_.Slot(indexes...)].fetch_add(amount, std::memory_order_relaxed);
  }
  template <typename... Indexes>
  void Set(int64_t value, Indexes... indexes) {
    values_[series_.Slot(indexes...)].store(value, std::memory_order_relaxed);
  }
  template <typename... Indexes>
  int64_t Value(Indexes... indexes) const {
    return At(series_.Slot(indexes...));
  }
  int64_t At(uint32_t series) const { return values_[series].load(std::memory_order_relaxed); }

 private:
  MetricSlots series_;
  std::vector<std::atomic<int64_t>> values_;
};

// What a callback reports: one series of its family.
struct MetricSample {
  std::vector<std::string> label_values;  // As many as the family has labels.
  double value = 0;
};

class MetricRegistry {
 public:
  // Put before each family name but those that are standard everywhere ("process_...").
  explicit MetricRegistry(std::string prefix);
  MetricRegistry(const MetricRegistry&) = delete;
  MetricRegistry& operator=(const MetricRegistry&) = delete;
  ~MetricRegistry();

  // Names, help and labels are checked as Prometheus and our own rules want them (snake_case,
  // counters end in _total); a breach is our mistake and stops the process.
  // `divisor` turns the integer of the slot into the unit of the name: 1e9 for ns to seconds.
  MetricSlots AddCounter(std::string_view name, std::string_view help,
                         std::vector<MetricLabel> labels = {}, double divisor = 1);
  // A gauge is the sum over the shards; each shard adds and subtracts its own part.
  MetricSlots AddGauge(std::string_view name, std::string_view help,
                       std::vector<MetricLabel> labels = {}, double divisor = 1);
  // One series per shard, label `shard`, no other labels.
  MetricSlots AddShardCounter(std::string_view name, std::string_view help, double divisor = 1);
  MetricSlots AddShardGauge(std::string_view name, std::string_view help, double divisor = 1);
  // `bounds` rise strictly, kHistogramBucketsMax at most, in the slot's unit.
  HistogramSlots AddHistogram(std::string_view name, std::string_view help,
                              std::vector<MetricLabel> labels, std::span<const uint64_t> bounds,
                              double divisor);

  // The registry owns it; valid as long as the registry.
  SharedMetric& AddShared(MetricType type, std::string_view name, std::string_view help,
                          std::vector<MetricLabel> labels = {});

  // Asked at every scrape, on the scraping thread.
  void AddCallback(MetricType type, std::string_view name, std::string_view help,
                   std::vector<std::string> label_names,
                   std::function<std::vector<MetricSample>()> sample);
  // Standard names without our prefix: process_cpu_seconds_total, process_open_fds, ...
  void AddProcessMetrics();

  // How many slots a StatsBlock needs.
  uint32_t slots() const { return next_slot_; }

  // One block per shard, in shard order.
  std::string Render(std::span<const StatsBlock* const> blocks) const;

  // The sum over the blocks of one slot: for status pages and tests.
  static uint64_t Sum(std::span<const StatsBlock* const> blocks, uint32_t slot);

 private:
  struct Family;

  Family& Add(MetricType type, std::string_view name, std::string_view help,
              std::vector<MetricLabel> labels, uint32_t slots_per_series);

  static void RenderSlots(const Family& family, std::span<const StatsBlock* const> blocks,
                          std::string& out);
  static void RenderShardSlots(const Family& family, std::span<const StatsBlock* const> blocks,
                               std::string& out);
  static void RenderHistogram(const Family& family, std::span<const StatsBlock* const> blocks,
                              std::string& out);
  static void RenderShared(const Family& family, std::string& out);
  static void RenderCallback(const Family& family, std::string& out);

  const std::string prefix_;
  std::vector<Family> families_;
  uint32_t next_slot_ = 0;
};

}  // namespace sallyport::core
