#include "bench/sipbench/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sallyport::bench {

size_t LatencyHistogram::BucketOf(uint64_t value) {
  constexpr uint64_t kLinear = 1U << kLinearBits;
  if (value < kLinear) return static_cast<size_t>(value);
  const size_t shift = static_cast<size_t>(std::bit_width(value)) - 1 - kLinearBits;
  const size_t bucket =
      ((shift + 1) << kLinearBits) + static_cast<size_t>((value >> shift) - kLinear);
  return std::min(bucket, kBuckets - 1);
}

int64_t LatencyHistogram::UpperBound(size_t bucket) {
  const size_t group = bucket >> kLinearBits;
  const size_t offset = bucket & ((1U << kLinearBits) - 1);
  if (group == 0) return static_cast<int64_t>(bucket);
  const uint64_t base = (uint64_t{1} << kLinearBits) + offset + 1;
  return static_cast<int64_t>((base << (group - 1)) - 1);
}

void LatencyHistogram::Add(int64_t nanoseconds) {
  const int64_t value = std::max<int64_t>(nanoseconds, 0);
  ++buckets_[BucketOf(static_cast<uint64_t>(value))];
  ++count_;
  max_ = std::max(max_, value);
}

int64_t LatencyHistogram::Percentile(double share) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(share * static_cast<double>(count_));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += buckets_[bucket];
    if (static_cast<double>(seen) >= wanted) return std::min(UpperBound(bucket), max_);
  }
  return max_;
}

}  // namespace sallyport::bench
