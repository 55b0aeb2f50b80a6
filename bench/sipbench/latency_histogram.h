// Latencies in log-linear buckets: within 1.6 % of the true value from nanoseconds to minutes, at a
// fixed 20 kB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sallyport::bench {

class LatencyHistogram {
 public:
  void Add(int64_t nanoseconds);

  uint64_t count() const { return count_; }

  // The smallest bucket bound that `share` (0..1) of the values do not exceed; 0 when there are
  // none.
  int64_t Percentile(double share) const;

  int64_t max() const { return max_; }

 private:
  static constexpr size_t kLinearBits = 6;  // 64 buckets for each power of two.
  static constexpr size_t kBuckets = 42 << kLinearBits;

  static size_t BucketOf(uint64_t value);
  static int64_t UpperBound(size_t bucket);

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  int64_t max_ = 0;
};

}  // namespace sallyport::bench
