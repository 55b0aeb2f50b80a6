#include "core/count_table.h"

#include <algorithm>
#include <bit>

#include "core/check.h"

namespace sallyport::core {

CountTable::CountTable(uint32_t keys_max)
    : keys_max_(keys_max),
      place_mask_(std::bit_ceil(2 * std::max<size_t>(keys_max, 1)) - 1),
      memory_((place_mask_ + 1) * sizeof(Place)) {}

bool CountTable::Increment(uint64_t key, uint32_t count_max) {
  return Amount(key) < count_max && Add(key, 1);
}

bool CountTable::Add(uint64_t key, uint64_t amount) {
  if (amount == 0) return true;
  Place& place = places()[Find(key)];
  if (place.count == 0) {
    if (keys_ == keys_max_) return false;
    ++keys_;
    place.key = key;
  }
  place.count += amount;
  return true;
}

void CountTable::Subtract(uint64_t key, uint64_t amount) {
  if (amount == 0) return;
  const size_t index = Find(key);
  CHECK(places()[index].count >= amount);
  places()[index].count -= amount;
  if (places()[index].count == 0) Remove(index);
}

// Its place, or the empty one where it would go: there is one, since half of them are.
size_t CountTable::Find(uint64_t key) const {
  size_t index = Home(key);
  while (places()[index].count > 0 && places()[index].key != key) {
    index = (index + 1) & place_mask_;
  }
  return index;
}

// Moves those behind the hole forward that could not be found across it: no tombstones, so chains
// are never longer than what lives now makes them.
void CountTable::Remove(size_t hole) {
  --keys_;
  for (size_t index = (hole + 1) & place_mask_; places()[index].count > 0;
       index = (index + 1) & place_mask_) {
    const size_t distance_from_home = (index - Home(places()[index].key)) & place_mask_;
    const size_t distance_from_hole = (index - hole) & place_mask_;
    if (distance_from_home < distance_from_hole) continue;
    places()[hole] = places()[index];
    hole = index;
  }
  places()[hole].count = 0;
}

}  // namespace sallyport::core
