#include "tls/identity_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/check.h"

namespace sallyport::tls {
namespace {

// User-space addresses fit 48 bits on x86-64 and aarch64 unless a program asks for more; the rest
// of the word is a tag that spares following most pointers of other fingerprints.
constexpr int kTagShift = 48;
constexpr uint64_t kPointerMask = (uint64_t{1} << kTagShift) - 1;

const PeerIdentity* IdentityOf(uint64_t way) {
  return reinterpret_cast<const PeerIdentity*>(way & kPointerMask);
}

uint64_t WordOf(const Sha256Digest& fingerprint, size_t offset) {
  uint64_t word;
  std::memcpy(&word, fingerprint.data() + offset, sizeof(word));
  return word;
}

uint64_t TagOf(const Sha256Digest& fingerprint) { return WordOf(fingerprint, 8) & ~kPointerMask; }

// The reference that a way owned.
void DropOwned(const PeerIdentity* identity) { PeerIdentityRef::Adopt(identity); }

}  // namespace

IdentityCache::IdentityCache(size_t capacity, core::QuietPoints& quiet_points)
    : set_count_(std::max<size_t>(1, (capacity + kWays - 1) / kWays)),
      sets_(std::make_unique<Set[]>(set_count_)),
      quiet_points_(quiet_points) {}

IdentityCache::~IdentityCache() {
  for (size_t i = 0; i < set_count_; ++i) {
    for (std::atomic<uint64_t>& way : sets_[i].ways) {
      // Acquire pairs with the release of the swap in Insert; nobody else is here any more.
      DropOwned(IdentityOf(way.load(std::memory_order_acquire)));
    }
  }
}

IdentityCache::Set& IdentityCache::SetOf(const Sha256Digest& fingerprint) {
  // Scales the hash to the number of sets without a division.
  const auto product = static_cast<unsigned __int128>(WordOf(fingerprint, 0)) * set_count_;
  return sets_[static_cast<size_t>(product >> 64)];
}

size_t IdentityCache::Search(const Set& set, const Sha256Digest& fingerprint,
                             const PeerIdentity*& identity) const {
  const uint64_t tag = TagOf(fingerprint);
  for (size_t i = 0; i < kWays; ++i) {
    // Acquire pairs with the release of the swap in Insert: what Create wrote is visible here.
    const uint64_t way = set.ways[i].load(std::memory_order_acquire);
    if (way == 0 || (way & ~kPointerMask) != tag) continue;
    identity = IdentityOf(way);
    if (identity->fingerprint() == fingerprint) return i;
  }
  identity = nullptr;
  return kWays;
}

PeerIdentityRef IdentityCache::Find(const Sha256Digest& fingerprint) {
  Set& set = SetOf(fingerprint);
  const PeerIdentity* identity = nullptr;
  const size_t way = Search(set, fingerprint, identity);
  if (way == kWays) return {};
  const auto bit = static_cast<uint8_t>(1u << way);
  // Written only when it changes, so that peers who come often do not make the line travel between
  // cores.
  if ((set.used.load(std::memory_order_relaxed) & bit) == 0)
    set.used.fetch_or(bit, std::memory_order_relaxed);
  return PeerIdentityRef::Share(identity);  // Invariant 3.
}

IdentityLookup IdentityCache::FindOrRead(std::span<const uint8_t> der,
                                         const Sha256Digest& fingerprint) {
  if (PeerIdentityRef found = Find(fingerprint)) return {.identity = std::move(found), .hit = true};
  CertificateReading reading = ReadCertificate(der, fingerprint);
  if (reading.fault != CertificateFault::kNone) return {.identity = {}, .fault = reading.fault};
  const bool evicted = Insert(reading.identity);
  return {.identity = std::move(reading.identity), .evicted = evicted};
}

// An empty way, else the first that the clock finds unused since its last round.
size_t IdentityCache::ChooseWay(Set& set) {
  for (size_t i = 0; i < kWays; ++i) {
    if (set.ways[i].load(std::memory_order_relaxed) == 0)
      return i;  // The swap decides; this is a guess.
  }
  const uint8_t used = set.used.load(std::memory_order_relaxed);
  const size_t start = set.hand.load(std::memory_order_relaxed) % kWays;
  uint8_t passed = 0;
  size_t way = start;
  for (size_t step = 0; step < kWays && (used >> way & 1) != 0; ++step) {
    passed = static_cast<uint8_t>(passed | 1u << way);
    way = (way + 1) % kWays;
  }
  if (passed != 0) set.used.fetch_and(static_cast<uint8_t>(~passed), std::memory_order_relaxed);
  set.hand.store(static_cast<uint8_t>((way + 1) % kWays), std::memory_order_relaxed);
  return way;
}

bool IdentityCache::Insert(const PeerIdentityRef& identity) {
  // Writers that collide here lose at most the saving of one read, so nobody tries for long.
  constexpr int kAttemptsMax = 4;
  const auto address = reinterpret_cast<uintptr_t>(identity.get());
  if (identity->memory_bytes() > kCachedIdentityBytesMax || (address & ~kPointerMask) != 0)
    return false;
  const Sha256Digest& fingerprint = identity->fingerprint();
  const uint64_t word = TagOf(fingerprint) | address;
  Set& set = SetOf(fingerprint);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const PeerIdentity* present = nullptr;
    if (Search(set, fingerprint, present) != kWays) return false;
    const size_t way = ChooseWay(set);
    // Acquire pairs with the release of the swap that put it there: the one we may evict is
    // complete for us too.
    uint64_t before = set.ways[way].load(std::memory_order_acquire);
    PeerIdentityRef owned = identity;
    // Release pairs with the acquire in Search.
    if (!set.ways[way].compare_exchange_strong(before, word, std::memory_order_acq_rel,
                                               std::memory_order_relaxed)) {
      continue;
    }
    owned.Release();  // The way owns it now (invariant 1).
    set.used.fetch_and(static_cast<uint8_t>(~(1u << way)), std::memory_order_relaxed);
    if (before == 0) return false;
    quiet_points_.Retire(const_cast<PeerIdentity*>(IdentityOf(before)), [](void* retired) {
      DropOwned(static_cast<const PeerIdentity*>(retired));
    });
    return true;
  }
  return false;
}

}  // namespace sallyport::tls
