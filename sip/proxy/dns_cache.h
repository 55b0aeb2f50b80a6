// What DNS said, for as long as it holds, and who waits for what it will say. One question is asked
// once, however many want to know.
//
// How long: as the server says, within [1 s, 1 h]; that something does not exist (RFC 2308), within
// [1 s, 30 s]; that no server could say, one second, so that a dead server is not asked for every
// request, nor believed dead for long. Silence about NAPTR is held for 30 s and remembered longer
// (IsSilent): some networks drop what they do not know, and RFC 3263 has a way on without it.
// Bounds: entries have a limit; the least recently used makes room. At most half of them may be
//         outstanding questions, so that what was looked at last always stays where it is.
// Shard:  one thread. All memory is reserved at the start (and touched when used).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/clock.h"
#include "core/dns_answer.h"
#include "core/dns_name.h"
#include "core/dns_querier.h"
#include "core/intrusive_list.h"
#include "core/reactor.h"
#include "core/slot_map.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

// What became of a lookup: the label `result` of dns_queries_total.
enum class DnsLookup : uint8_t { kOk, kNx, kTimeout, kError, kCached };
inline constexpr size_t kDnsLookups = 5;
std::string_view DnsLookupName(DnsLookup lookup);  // "ok", "nx", "timeout", "error", "cached"

// Written by the cache, read by its owner.
struct DnsCounters {
  std::array<std::array<uint64_t, kDnsLookups>, core::kDnsTypes> lookups{};
  uint64_t refused = 0;  // Too many questions outstanding.
  uint64_t evicted = 0;

  uint64_t of(core::DnsType type, DnsLookup lookup) const {
    return lookups[static_cast<size_t>(type)][static_cast<size_t>(lookup)];
  }
};

// Linked while it waits; destroying or unlinking it ends the wait.
class DnsWaiter : public core::ListLink {
 public:
  // Unlinked when called. May ask, and may destroy this and others.
  virtual void OnDnsKnown() = 0;

 protected:
  ~DnsWaiter() = default;
};

class DnsCache final : private core::DnsAnswerHandler {
 public:
  static constexpr uint32_t kEntriesMin = 128;
  static constexpr absl::Duration kTtlMin = absl::Seconds(1);
  static constexpr absl::Duration kTtlMax = absl::Hours(1);
  static constexpr absl::Duration kNegativeTtlMax = absl::Seconds(30);
  static constexpr absl::Duration kFailureTtl = absl::Seconds(1);
  static constexpr absl::Duration kNaptrSilenceTtl = absl::Seconds(30);
  static constexpr absl::Duration kPatience = absl::Seconds(1);  // IsSilent.

  // Borrows the reactor (for its clock) and the querier. The key keeps strangers, who choose the
  // names, from choosing the buckets.
  DnsCache(core::Reactor& reactor, core::DnsQuerier& querier, uint32_t entries_max,
           const tls::MacKey& key);
  DnsCache(const DnsCache&) = delete;
  DnsCache& operator=(const DnsCache&) = delete;

  // What holds now, or came at or after `since`: who has waited for an answer gets to use it, even
  // if it holds for no time at all. nullptr: unknown. Stays in place during the next kEntriesMin /
  // 2 calls.
  [[nodiscard]] const core::DnsAnswer* Find(core::DnsType type, const core::DnsName& name,
                                            core::MonotonicTime since);
  // After Find gave nullptr: has it asked, if nobody has, and links the waiter. False: too many
  // questions are outstanding; the waiter is not linked.
  [[nodiscard]] bool Ask(core::DnsType type, const core::DnsName& name, DnsWaiter& waiter);

  // The question is outstanding, and its answer need not be waited for: it has not come within
  // kPatience, or nothing answered the same question before.
  [[nodiscard]] bool IsSilent(core::DnsType type, const core::DnsName& name);
  // When the outstanding question becomes silent. kInfiniteFuture: it is not outstanding.
  [[nodiscard]] core::MonotonicTime SilentAt(core::DnsType type, const core::DnsName& name);

  void Count(core::DnsType type, DnsLookup lookup) {
    ++counters_.lookups[static_cast<size_t>(type)][static_cast<size_t>(lookup)];
  }
  const DnsCounters& counters() const { return counters_; }
  uint32_t size() const { return entries_.size(); }
  uint32_t questions_outstanding() const { return asked_; }

 private:
  struct EntryId {
    uint32_t slot = 0;
    uint32_t generation = 0;
    friend bool operator==(const EntryId&, const EntryId&) = default;
  };
  // In the list of answered ones, least recently used first; while a question is outstanding, in
  // none.
  struct Entry : core::ListLink {
    EntryId id;
    EntryId next_in_bucket;
    uint64_t hash = 0;
    core::DnsType type = core::DnsType::kA;
    bool is_asked = false;
    core::DnsName name;
    core::MonotonicTime asked_at;
    core::MonotonicTime answered_at;
    core::MonotonicTime expires;
    core::DnsAnswer answer;
    core::IntrusiveList<DnsWaiter> waiters;
  };

  void OnDnsAnswer(uint64_t cookie, const core::DnsAnswer& answer) override;
  uint64_t HashOf(core::DnsType type, const core::DnsName& name) const;
  EntryId& Bucket(uint64_t hash) { return buckets_[hash & bucket_mask_]; }
  Entry* FindEntry(core::DnsType type, const core::DnsName& name, uint64_t hash);
  [[nodiscard]] static core::MonotonicTime SilentAt(const Entry& entry);
  Entry* Create(core::DnsType type, const core::DnsName& name, uint64_t hash);
  void Erase(Entry& entry);

  core::Reactor& reactor_;
  core::DnsQuerier& querier_;
  const tls::MacKey key_;
  const uint32_t asked_max_;
  uint32_t asked_ = 0;
  core::SlotMap<Entry, EntryId> entries_;
  core::IntrusiveList<Entry> answered_;
  const size_t bucket_mask_;
  const std::unique_ptr<EntryId[]> buckets_;  // First in the chain; zero: empty.
  DnsCounters counters_;
};

}  // namespace sallyport::sip
