// Remembers signatures over certificates that verified. Such a signature is a pure function of
// issuer key, digest and signature value, so the answer can be remembered; dates, names, CRLs and
// path rules are evaluated every time all the same. The proof of possession in a handshake
// (CertificateVerify, ServerKeyExchange) is never remembered. Bounded: a fixed table; a new entry
// replaces an old one. Keys are full SHA-256 digests: an entry is true or absent. Thread: one
// shard. Outlives the contexts that use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tls/peer_identity.h"

namespace sallyport::tls {

class SignatureMemo {
 public:
  // Rounded up to a power of two; 32 bytes each.
  explicit SignatureMemo(uint32_t entries_max = 8192);
  SignatureMemo(const SignatureMemo&) = delete;
  SignatureMemo& operator=(const SignatureMemo&) = delete;

  // Identifies one verification; the lengths are part of it.
  static Sha256Digest Key(std::span<const uint8_t> issuer_key, std::span<const uint8_t> digest,
                          std::span<const uint8_t> signature);

  bool Verified(const Sha256Digest& key) const;
  void Remember(const Sha256Digest& key);

  uint64_t hits() const { return hits_; }
  uint64_t misses() const { return misses_; }

 private:
  static constexpr uint32_t kWays = 4;

  size_t SetOf(const Sha256Digest& key) const;

  const uint32_t sets_;
  uint32_t next_victim_ = 0;
  mutable uint64_t hits_ = 0;
  mutable uint64_t misses_ = 0;
  std::vector<Sha256Digest> table_;  // sets_ * kWays; all zeros: empty.
};

}  // namespace sallyport::tls
