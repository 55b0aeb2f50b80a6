// Token buckets of very many keys in fixed memory: GCRA (one timestamp per key) in a
// set-associative table. One cache line per set, so Admit touches one line, whatever the load.
//
// A key that the table does not know has a full bucket. In a full set the entry with the fullest
// bucket makes room: in most cases that bucket has filled up again and nothing is lost. Under a
// flood of new keys it is another newcomer, because those have spent the least; a key that is held
// at its limit has spent the most, and stays.
//
// What an attacker gets: packets from ever new keys free none that is held at its limit. For that,
// four other keys of its set must have spent as much within the same burst; which keys share a set
// he cannot know, since they are keyed hashes, so he needs about as many active addresses as the
// table has places. Beyond that it forgets keys in turn and limits nobody any more: size it for the
// attack (a quarter full, one set in 270 has more keys than places), and have overload control
// behind it. It fails open on purpose: nobody is ever refused for what others did, and a flood of
// forged sources locks nobody out.
//
// Shard: one thread. All memory is reserved by the constructor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/clock.h"
#include "core/mapped_memory.h"

namespace sallyport::core {

// A rate and a burst, as nanoseconds. Made when configuration is read, not per message.
class RateLimit {
 public:
  // `rate` tokens a second, greater than 0; at most `burst` (at least 1) at once.
  static RateLimit PerSecond(double rate, uint32_t burst);

  int64_t interval_ns() const { return interval_ns_; }    // One token.
  int64_t tolerance_ns() const { return tolerance_ns_; }  // burst - 1 tokens.

 private:
  RateLimit(int64_t interval_ns, int64_t tolerance_ns)
      : interval_ns_(interval_ns), tolerance_ns_(tolerance_ns) {}

  int64_t interval_ns_;
  int64_t tolerance_ns_;
};

class RateTable {
 public:
  // `keys` is rounded up to a power of two, at least one set; 16 bytes each.
  explicit RateTable(uint32_t keys);
  RateTable(const RateTable&) = delete;
  RateTable& operator=(const RateTable&) = delete;

  // Takes one token of `key`, a keyed hash; false: there is none. A refusal costs no token. The
  // same key may come with another limit (after a reload): what it spent, as time, stays.
  [[nodiscard]] bool Admit(uint64_t key, MonotonicTime now, const RateLimit& limit);

  uint32_t capacity() const { return (set_mask_ + 1) * kWays; }
  uint64_t forgotten() const { return forgotten_; }  // Pushed out before the bucket was full again.

 private:
  struct Entry {
    uint64_t key;
    int64_t full_at_ns;  // When the bucket is full again. 0: nobody's.
  };
  static constexpr uint32_t kWays = 4;
  struct alignas(64) Set {
    Entry entries[kWays];
  };
  static_assert(sizeof(Set) == 64);

  Entry& FindOrReplace(uint64_t key, int64_t now_ns);

  const uint32_t set_mask_;
  const MappedMemory memory_;
  uint64_t forgotten_ = 0;
};

}  // namespace sallyport::core
