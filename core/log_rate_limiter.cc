#include "core/log_rate_limiter.h"

#include "core/check.h"

namespace sallyport::core {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr uint32_t kProbesMax = 4;  // Places where one kind may be.

// Spreads the bits (the finalizer of SplitMix64); 0 marks an empty place and so is no key.
uint64_t KeyOf(uint32_t reason, uint64_t peer_key) {
  uint64_t key = peer_key + (uint64_t{reason} + 1) * 0x9e3779b97f4a7c15;
  key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9;
  key = (key ^ (key >> 27)) * 0x94d049bb133111eb;
  key ^= key >> 31;
  return key == 0 ? 1 : key;
}

}  // namespace

LogRateLimiter::LogRateLimiter(const LogRateLimits& limits)
    : limits_(limits), kinds_(std::make_unique<Kind[]>(limits.kinds_max)) {
  CHECK(limits.kinds_max >= kProbesMax && (limits.kinds_max & (limits.kinds_max - 1)) == 0);
}

LogRateLimiter::Kind& LogRateLimiter::FindOrReplace(uint64_t key) {
  Kind* oldest = nullptr;
  for (uint32_t probe = 0; probe < kProbesMax; ++probe) {
    Kind& kind = kinds_[(key + probe) & (limits_.kinds_max - 1)];
    if (kind.key == key) return kind;
    if (kind.key == 0) {
      kind.key = key;
      return kind;
    }
    if (oldest == nullptr || kind.second < oldest->second) oldest = &kind;
  }
  *oldest = Kind{.key = key};
  return *oldest;
}

LogAdmission LogRateLimiter::Admit(uint32_t reason, uint64_t peer_key, int64_t now_ns) {
  const int64_t second = now_ns / kSecondNs;
  if (second != total_second_) {
    total_second_ = second;
    total_lines_ = 0;
  }
  Kind& kind = FindOrReplace(KeyOf(reason, peer_key));
  if (second != kind.second) {
    kind.second = second;
    kind.lines = 0;
  }
  if (kind.lines >= limits_.lines_per_second_max ||
      total_lines_ >= limits_.lines_per_second_total_max) {
    ++kind.suppressed;
    ++suppressed_total_;
    return {};
  }
  ++kind.lines;
  ++total_lines_;
  const LogAdmission admission{.write = true, .suppressed = kind.suppressed};
  kind.suppressed = 0;
  return admission;
}

}  // namespace sallyport::core
