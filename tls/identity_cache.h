// SHA-256 of a leaf -> its PeerIdentity, shared by all shards. Saves reading a certificate again;
// says nothing about trust: whoever asks has verified the chain, or opened a ticket that carries
// the leaf. Threads: Find and FindOrRead on a thread that is online at `quiet_points`
// (core/quiet_points.h), that is a shard in its
//          turn. Both are wait-free except for eviction, which takes the reclaimer's lock. What
//          they return is a counted reference and stays valid across quiet points and eviction.
// Bounds:  capacity() identities of at most kCachedIdentityBytesMax each; a larger one is read
// every time.
//
// Invariants of the lock-free part:
//  1. A way is 0 or (tag << 48 | pointer). The pointed-to identity is immutable, and the way owns
//  one reference to it.
//  2. A way changes only by compare-and-swap from the value that the writer has looked at. The
//  winner owns the reference
//     that was in there, and retires it: it is dropped when every online reader has announced a
//     quiet point.
//  3. Therefore an identity found in a way by an online reader has a count of at least one until
//  that reader's next quiet
//     point, and adding a reference to it is safe. A writer is such a reader, so the address it
//     compares with cannot be freed and used anew in the meantime (no ABA).
//  4. Two writers may insert one fingerprint at the same time into two ways. Both are right,
//  readers take the first, and
//     the other ages out.
//  5. `used` and `hand` steer eviction only; any value of theirs is safe, so their accesses are
//  relaxed and pair with none.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/quiet_points.h"
#include "tls/certificate_reader.h"
#include "tls/peer_identity.h"

namespace sallyport::tls {

// Far above every usual leaf (a few hundred bytes of facts).
inline constexpr size_t kCachedIdentityBytesMax = 16 * 1024;

struct IdentityLookup {
  PeerIdentityRef identity;  // Set if and only if fault is kNone.
  CertificateFault fault = CertificateFault::kNone;
  bool hit = false;      // For the caller's counters.
  bool evicted = false;  // Another identity had to go.
};

class IdentityCache {
 public:
  // Room for at least `capacity` identities (64 bytes for every seven). Borrows `quiet_points`,
  // which must outlive it.
  IdentityCache(size_t capacity, core::QuietPoints& quiet_points);
  IdentityCache(const IdentityCache&) = delete;
  IdentityCache& operator=(const IdentityCache&) = delete;
  ~IdentityCache();  // No reader may be inside.

  // Empty if it is not there.
  [[nodiscard]] PeerIdentityRef Find(const Sha256Digest& fingerprint);

  // `fingerprint` must be the SHA-256 of `der`; on a miss `der` is read and, if sound, kept. A
  // faulty certificate is not kept: it is rare, and its peer gets no session.
  [[nodiscard]] IdentityLookup FindOrRead(std::span<const uint8_t> der,
                                          const Sha256Digest& fingerprint);

  size_t capacity() const { return set_count_ * kWays; }

 private:
  static constexpr size_t kWays = 7;

  // One cache line: a miss touches nothing else, a hit one identity more.
  struct alignas(64) Set {
    std::array<std::atomic<uint64_t>, kWays> ways{};
    std::atomic<uint8_t> used{0};  // Bit i: way i was found since the hand passed.
    std::atomic<uint8_t> hand{0};  // Where the clock looks next.
  };

  Set& SetOf(const Sha256Digest& fingerprint);
  // Index of the way that holds the fingerprint, or kWays; `identity` is then the one found.
  size_t Search(const Set& set, const Sha256Digest& fingerprint,
                const PeerIdentity*& identity) const;
  size_t ChooseWay(Set& set);
  // True if another identity was evicted.
  bool Insert(const PeerIdentityRef& identity);

  const size_t set_count_;
  const std::unique_ptr<Set[]> sets_;
  core::QuietPoints& quiet_points_;
};

}  // namespace sallyport::tls
