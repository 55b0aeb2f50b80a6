#include "core/rate_table.h"

#include <algorithm>
#include <bit>

#include "core/check.h"

namespace sallyport::core {
namespace {

constexpr double kLongestNanoseconds = 1e18;  // 31 years: sums with any clock stay in range.

}  // namespace

RateLimit RateLimit::PerSecond(double rate, uint32_t burst) {
  CHECK(rate > 0 && burst > 0);
  const double interval = std::clamp(1e9 / rate, 1.0, kLongestNanoseconds);
  const double tolerance = std::min(interval * (burst - 1), kLongestNanoseconds);
  return {static_cast<int64_t>(interval), static_cast<int64_t>(tolerance)};
}

RateTable::RateTable(uint32_t keys)
    : set_mask_(std::bit_ceil((std::max(keys, kWays) + kWays - 1) / kWays) - 1),
      memory_(size_t{capacity()} * sizeof(Entry)) {
  CHECK(keys <= 1u << 30);
}

// GCRA: a token moves the moment at which the bucket will be full by one interval; it may lie at
// most the tolerance ahead before.
bool RateTable::Admit(uint64_t key, MonotonicTime now, const RateLimit& limit) {
  Entry& entry = FindOrReplace(key, now.nanoseconds);
  const int64_t full_at = std::max(entry.full_at_ns, now.nanoseconds);
  if (full_at - now.nanoseconds > limit.tolerance_ns()) return false;
  entry.full_at_ns = full_at + limit.interval_ns();
  return true;
}

RateTable::Entry& RateTable::FindOrReplace(uint64_t key, int64_t now_ns) {
  Set& set = reinterpret_cast<Set*>(memory_.data())[key & set_mask_];
  Entry* fullest = &set.entries[0];
  for (Entry& entry : set.entries) {
    if (entry.key == key) return entry;  // Also key 0 in an entry of nobody: full, as it should be.
    if (entry.full_at_ns < fullest->full_at_ns) fullest = &entry;
  }
  forgotten_ += fullest->full_at_ns > now_ns;
  *fullest = {key, 0};
  return *fullest;
}

}  // namespace sallyport::core
