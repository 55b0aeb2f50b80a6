#include "sip/proxy/target_order.h"

#include <cmath>
#include <limits>

#include "core/check.h"

namespace sallyport::sip {
namespace {

// The finalizer of SplitMix64: every bit of the input reaches every bit of the output.
constexpr uint64_t Mix(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
  return bits ^ (bits >> 31);
}

struct Rank {
  bool is_unusable;
  uint16_t priority;
  double distance;
  uint64_t draw;

  bool IsBefore(const Rank& other) const {
    if (is_unusable != other.is_unusable) return other.is_unusable;
    if (priority != other.priority) return priority < other.priority;
    if (distance != other.distance) return distance < other.distance;
    return draw < other.draw;  // Weights of zero among each other.
  }
};

// The least of exponential draws with rate w is target i's with probability w_i / sum of w: the
// smallest -ln(u)/w comes first. Another instance's libm may differ in the last bit, which could
// change an order once in some 2^50 calls.
Rank RankOf(const OrderedTarget& target, uint64_t selector) {
  const uint64_t draw = Mix(selector ^ Mix(target.hash_id + 0x9E3779B97F4A7C15u));
  const double uniform = (static_cast<double>(draw >> 11) + 0.5) * 0x1p-53;  // In (0, 1).
  const double distance = target.weight > 0 ? -std::log(uniform) / target.weight
                                            : std::numeric_limits<double>::infinity();
  return {!target.is_usable, target.priority, distance, draw};
}

}  // namespace

// FNV-1a, then mixed: short texts that differ in one digit must not stay near each other.
uint64_t TargetHashId(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return Mix(hash);
}

// Insertion into the best few: groups are small, and what is kept is smaller.
TargetOrder OrderTargets(std::span<const OrderedTarget> targets, uint64_t selector) {
  DCHECK(targets.size() <= std::numeric_limits<uint16_t>::max());
  TargetOrder order;
  std::array<Rank, kOrderedTargetsMax> ranks{};
  for (size_t index = 0; index < targets.size(); ++index) {
    const Rank rank = RankOf(targets[index], selector);
    size_t place = order.size;
    while (place > 0 && rank.IsBefore(ranks[place - 1])) --place;
    if (place == kOrderedTargetsMax) continue;
    if (order.size < kOrderedTargetsMax) ++order.size;
    for (size_t moved = order.size - size_t{1}; moved > place; --moved) {
      ranks[moved] = ranks[moved - 1];
      order.indexes[moved] = order.indexes[moved - 1];
    }
    ranks[place] = rank;
    order.indexes[place] = static_cast<uint16_t>(index);
  }
  return order;
}

}  // namespace sallyport::sip
