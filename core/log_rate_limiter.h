// How many lines of one kind may be written: at most `lines_per_second_max` for each (reason, peer)
// and `lines_per_second_total_max` altogether. What is held back is counted and told on the next
// line of that kind. Pure: the clock is passed in. One per shard; no locks, no allocation after
// construction.
#pragma once

#include <cstdint>
#include <memory>

namespace sallyport::core {

struct LogRateLimits {
  uint32_t lines_per_second_max = 5;          // Per (reason, peer).
  uint32_t lines_per_second_total_max = 200;  // All kinds together.
  uint32_t kinds_max = 1024;                  // Remembered (reason, peer) pairs; a power of two.
};

struct LogAdmission {
  bool write = false;
  uint64_t suppressed = 0;  // With `write`: lines of this kind held back since its last line.
};

class LogRateLimiter {
 public:
  explicit LogRateLimiter(const LogRateLimits& limits);

  // `peer_key` is any hash that names the peer (certificate fingerprint, address). `now_ns` is
  // monotonic. A kind that the table forgot starts afresh; its count stays in suppressed_total.
  LogAdmission Admit(uint32_t reason, uint64_t peer_key, int64_t now_ns);

  uint64_t suppressed_total() const { return suppressed_total_; }

 private:
  struct Kind {
    uint64_t key = 0;  // 0: empty.
    int64_t second = 0;
    uint32_t lines = 0;
    uint64_t suppressed = 0;
  };

  Kind& FindOrReplace(uint64_t key);

  const LogRateLimits limits_;
  const std::unique_ptr<Kind[]> kinds_;
  int64_t total_second_ = 0;
  uint32_t total_lines_ = 0;
  uint64_t suppressed_total_ = 0;
};

}  // namespace sallyport::core
