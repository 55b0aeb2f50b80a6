#include "sip/proxy/dns_cache.h"

#include <algorithm>
#include <bit>
#include <span>
#include <string_view>

#include "core/check.h"

namespace sallyport::sip {
namespace {

DnsLookup LookupOf(core::DnsStatus status) {
  switch (status) {
    case core::DnsStatus::kOk:
      return DnsLookup::kOk;
    case core::DnsStatus::kNoData:
    case core::DnsStatus::kNoName:
      return DnsLookup::kNx;
    case core::DnsStatus::kTimeout:
      return DnsLookup::kTimeout;
    case core::DnsStatus::kServerFailure:
    case core::DnsStatus::kMalformed:
    case core::DnsStatus::kTooMany:
      return DnsLookup::kError;
  }
  UNREACHABLE();
}

absl::Duration HoldsFor(core::DnsType type, const core::DnsAnswer& answer) {
  switch (LookupOf(answer.status())) {
    case DnsLookup::kOk:
      return std::clamp(answer.ttl(), DnsCache::kTtlMin, DnsCache::kTtlMax);
    case DnsLookup::kNx:
      return std::clamp(answer.ttl(), DnsCache::kTtlMin, DnsCache::kNegativeTtlMax);
    case DnsLookup::kTimeout:
      return type == core::DnsType::kNaptr ? DnsCache::kNaptrSilenceTtl : DnsCache::kFailureTtl;
    case DnsLookup::kError:
    case DnsLookup::kCached:
      return DnsCache::kFailureTtl;
  }
  UNREACHABLE();
}

}  // namespace

std::string_view DnsLookupName(DnsLookup lookup) {
  switch (lookup) {
    case DnsLookup::kOk:
      return "ok";
    case DnsLookup::kNx:
      return "nx";
    case DnsLookup::kTimeout:
      return "timeout";
    case DnsLookup::kError:
      return "error";
    case DnsLookup::kCached:
      return "cached";
  }
  UNREACHABLE();
}

DnsCache::DnsCache(core::Reactor& reactor, core::DnsQuerier& querier, uint32_t entries_max,
                   const tls::MacKey& key)
    : reactor_(reactor),
      querier_(querier),
      key_(key),
      asked_max_(entries_max / 2),
      entries_(entries_max),
      bucket_mask_(std::bit_ceil(size_t{entries_max}) - 1),
      buckets_(std::make_unique<EntryId[]>(bucket_mask_ + 1)) {
  CHECK(entries_max >= kEntriesMin);
}

const core::DnsAnswer* DnsCache::Find(core::DnsType type, const core::DnsName& name,
                                      core::MonotonicTime since) {
  Entry* const entry = FindEntry(type, name, HashOf(type, name));
  if (entry == nullptr || entry->is_asked) return nullptr;
  if (entry->expires <= reactor_.now() && entry->answered_at < since) return nullptr;
  entry->Unlink();
  answered_.PushBack(*entry);
  return &entry->answer;
}

bool DnsCache::Ask(core::DnsType type, const core::DnsName& name, DnsWaiter& waiter) {
  const uint64_t hash = HashOf(type, name);
  Entry* entry = FindEntry(type, name, hash);
  if (entry == nullptr || !entry->is_asked) {
    if (asked_ == asked_max_) {
      ++counters_.refused;
      return false;
    }
    if (entry == nullptr) entry = Create(type, name, hash);
    const uint64_t cookie = uint64_t{entry->id.slot} << 32 | entry->id.generation;
    if (!querier_.Query(type, name, *this, cookie)) {
      ++counters_.refused;
      return false;  // The entry holds nothing, or what it held has expired.
    }
    entry->Unlink();
    entry->is_asked = true;
    entry->asked_at = reactor_.now();
    ++asked_;
  }
  entry->waiters.PushBack(waiter);
  return true;
}

core::MonotonicTime DnsCache::SilentAt(const Entry& entry) {
  const bool was_silent = entry.answer.status() == core::DnsStatus::kTimeout;
  return was_silent ? entry.asked_at : entry.asked_at + kPatience;
}

core::MonotonicTime DnsCache::SilentAt(core::DnsType type, const core::DnsName& name) {
  const Entry* const entry = FindEntry(type, name, HashOf(type, name));
  return entry != nullptr && entry->is_asked ? SilentAt(*entry) : core::kInfiniteFuture;
}

bool DnsCache::IsSilent(core::DnsType type, const core::DnsName& name) {
  return SilentAt(type, name) <= reactor_.now();
}

void DnsCache::OnDnsAnswer(uint64_t cookie, const core::DnsAnswer& answer) {
  Entry* const entry = entries_.Find(
      {static_cast<uint32_t>(cookie >> 32), static_cast<uint32_t>(cookie & 0xFFFFFFFF)});
  if (entry == nullptr || !entry->is_asked) return;
  Count(entry->type, LookupOf(answer.status()));
  entry->is_asked = false;
  --asked_;
  entry->answer = answer;
  entry->answered_at = reactor_.now();
  entry->expires = reactor_.now() + HoldsFor(entry->type, answer);
  answered_.PushBack(*entry);
  core::IntrusiveList<DnsWaiter> waiters;  // The entry may go, or be asked again, meanwhile.
  waiters.TakeAll(entry->waiters);
  while (DnsWaiter* const waiter = waiters.PopFront()) waiter->OnDnsKnown();
}

uint64_t DnsCache::HashOf(core::DnsType type, const core::DnsName& name) const {
  std::array<std::byte, core::DnsName::kTextBytesMax + 1> bytes;
  const std::string_view text = name.text();
  bytes[0] = std::byte{static_cast<uint8_t>(type)};
  std::transform(text.begin(), text.end(), bytes.begin() + 1,
                 [](char c) { return static_cast<std::byte>(c); });
  return tls::KeyedMac64(key_, std::span(bytes.data(), text.size() + 1));
}

DnsCache::Entry* DnsCache::FindEntry(core::DnsType type, const core::DnsName& name, uint64_t hash) {
  for (EntryId id = Bucket(hash); id != EntryId{};) {
    Entry* const entry = entries_.Find(id);
    CHECK(entry != nullptr);  // Erase takes it out of its chain.
    if (entry->hash == hash && entry->type == type && entry->name == name) return entry;
    id = entry->next_in_bucket;
  }
  return nullptr;
}

// Expired until it is answered. There is always something to evict: not all may be asked.
DnsCache::Entry* DnsCache::Create(core::DnsType type, const core::DnsName& name, uint64_t hash) {
  if (entries_.full()) {
    Entry* const oldest = answered_.PopFront();
    CHECK(oldest != nullptr);
    Erase(*oldest);
    ++counters_.evicted;
  }
  EntryId id;
  Entry* const entry = entries_.Emplace(&id);
  entry->id = id;
  entry->hash = hash;
  entry->type = type;
  entry->name = name;
  entry->expires = entry->answered_at = core::MonotonicTime{INT64_MIN};
  entry->next_in_bucket = Bucket(hash);
  Bucket(hash) = id;
  answered_.PushBack(*entry);
  return entry;
}

void DnsCache::Erase(Entry& entry) {
  EntryId* link = &Bucket(entry.hash);
  while (*link != entry.id) link = &entries_.Find(*link)->next_in_bucket;
  *link = entry.next_in_bucket;
  entries_.Erase(entry.id);
}

}  // namespace sallyport::sip
