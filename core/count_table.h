// How many of something each key has right now, such as connections of one source address. Exact:
// no key is ever forgotten, and none is refused for what others have.
//
// Open addressing at most half full. That many keys cannot have a count at once is the caller's
// bound (no more addresses than connections), so a table of that size never refuses for want of
// room, which a set-associative one would have to: strangers who share a full set would lock each
// other out. Keys are keyed hashes, so nobody can make long chains.
//
// Shard: one thread. All memory is reserved by the constructor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/mapped_memory.h"

namespace sallyport::core {

class CountTable {
 public:
  // `keys_max`: keys whose count is not zero, at most. 32 to 64 bytes for each.
  explicit CountTable(uint32_t keys_max);
  CountTable(const CountTable&) = delete;
  CountTable& operator=(const CountTable&) = delete;

  // False, and nothing changes: `key` has `count_max` already, or keys_max others have some.
  [[nodiscard]] bool Increment(uint64_t key, uint32_t count_max);
  // Takes back one that Increment granted.
  void Decrement(uint64_t key) { Subtract(key, 1); }

  // The same for amounts, such as bytes. False, and nothing changes: keys_max others have some.
  [[nodiscard]] bool Add(uint64_t key, uint64_t amount);
  void Subtract(uint64_t key, uint64_t amount);

  [[nodiscard]] uint32_t Count(uint64_t key) const { return static_cast<uint32_t>(Amount(key)); }
  [[nodiscard]] uint64_t Amount(uint64_t key) const { return places()[Find(key)].count; }
  uint32_t keys() const { return keys_; }  // Whose count is not zero.

 private:
  struct Place {
    uint64_t key;
    uint64_t count;  // 0: empty.
  };

  Place* places() const { return reinterpret_cast<Place*>(memory_.data()); }
  size_t Home(uint64_t key) const { return key & place_mask_; }
  size_t Find(uint64_t key) const;
  void Remove(size_t hole);

  const uint32_t keys_max_;
  const size_t place_mask_;
  const MappedMemory memory_;
  uint32_t keys_ = 0;
};

}  // namespace sallyport::core
