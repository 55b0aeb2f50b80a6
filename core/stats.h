// A block of numbers that one thread writes and others read: counters and gauges of a shard, summed
// by the scrape. What each index means is the owner's business.
//
// Invariant: one writer. Add is therefore a relaxed load and a relaxed store, not a locked
// read-modify-write. Each relaxed store pairs with the relaxed load in Get: a reader may be a
// moment late and sees no order between two numbers, which is all that a scrape asks for.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/check.h"

namespace sallyport::core {

class StatsBlock {
 public:
  explicit StatsBlock(size_t size)
      : size_(size), values_(std::make_unique<std::atomic<uint64_t>[]>(size)) {}
  StatsBlock(const StatsBlock&) = delete;
  StatsBlock& operator=(const StatsBlock&) = delete;

  size_t size() const { return size_; }

  // The writer's thread.
  void Add(size_t index, uint64_t amount = 1) {
    DCHECK(index < size_);
    std::atomic<uint64_t>& value = values_[index];
    value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void Subtract(size_t index, uint64_t amount = 1) { Add(index, ~amount + 1); }
  void Set(size_t index, uint64_t number) {
    DCHECK(index < size_);
    values_[index].store(number, std::memory_order_relaxed);
  }

  // Any thread.
  uint64_t Get(size_t index) const {
    DCHECK(index < size_);
    return values_[index].load(std::memory_order_relaxed);
  }

 private:
  const size_t size_;
  const std::unique_ptr<std::atomic<uint64_t>[]> values_;
};

}  // namespace sallyport::core
