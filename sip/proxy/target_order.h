// In which order a request tries the targets of its next-hop group: usable before unusable, then by
// priority, within one priority by weighted rendezvous hashing on the Call-ID. Every draw is a pure
// function of selector and target, so the requests of one call meet the same target on every shard
// and every instance and after every reload; a target that goes takes only its own calls with it,
// and one whose weight grows only draws calls towards itself.
//
// Unusable targets come last instead of not at all: they may be usable when their turn comes.
// Pure: no state, no chance, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sallyport::sip {

struct OrderedTarget {
  uint16_t priority = 0;  // Lower is tried first (RFC 2782).
  bool is_usable = true;
  // Configured weight times the health's factor. The share of calls within a priority is
  // proportional to it; 0 (or less) means: only after all others of the priority.
  double weight = 1;
  uint64_t hash_id = 0;  // TargetHashId of its transport and address.
};

// Stable over reloads, instances and versions: of a text such as "udp:127.0.0.1:5080".
[[nodiscard]] uint64_t TargetHashId(std::string_view text);

inline constexpr size_t kOrderedTargetsMax = 8;

struct TargetOrder {
  std::array<uint16_t, kOrderedTargetsMax> indexes{};  // Into the targets given.
  uint8_t size = 0;

  std::span<const uint16_t> span() const { return {indexes.data(), size}; }
};

// The first kOrderedTargetsMax in order. `selector` is a hash of the Call-ID; the caller keys it
// (with a key that all instances share) where peers must not be able to choose their target.
// Targets of equal hash_id keep the order in which they were given. At most 65,535 targets.
[[nodiscard]] TargetOrder OrderTargets(std::span<const OrderedTarget> targets, uint64_t selector);

}  // namespace sallyport::sip
