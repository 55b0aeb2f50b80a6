#include "tls/signature_memo.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/wolfcrypt/sha256.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/check.h"

namespace sallyport::tls {
namespace {

void Update(wc_Sha256& hash, std::span<const uint8_t> part) {
  const auto bytes = static_cast<uint32_t>(part.size());
  CHECK(wc_Sha256Update(&hash, reinterpret_cast<const uint8_t*>(&bytes), sizeof bytes) == 0);
  CHECK(wc_Sha256Update(&hash, part.data(), bytes) == 0);
}

}  // namespace

SignatureMemo::SignatureMemo(uint32_t entries_max)
    : sets_(std::bit_ceil(std::max(entries_max, kWays)) / kWays), table_(size_t{sets_} * kWays) {}

Sha256Digest SignatureMemo::Key(std::span<const uint8_t> issuer_key,
                                std::span<const uint8_t> digest,
                                std::span<const uint8_t> signature) {
  Sha256Digest key;
  wc_Sha256 hash;
  CHECK(wc_InitSha256(&hash) == 0);
  Update(hash, issuer_key);
  Update(hash, digest);
  Update(hash, signature);
  CHECK(wc_Sha256Final(&hash, key.data()) == 0);
  wc_Sha256Free(&hash);
  return key;
}

size_t SignatureMemo::SetOf(const Sha256Digest& key) const {
  uint32_t bits;
  std::memcpy(&bits, key.data(), sizeof bits);
  return size_t{bits & (sets_ - 1)} * kWays;
}

bool SignatureMemo::Verified(const Sha256Digest& key) const {
  const auto set = table_.begin() + static_cast<ptrdiff_t>(SetOf(key));
  const bool known = std::find(set, set + kWays, key) != set + kWays;
  ++(known ? hits_ : misses_);
  return known;
}

void SignatureMemo::Remember(const Sha256Digest& key) {
  const auto set = table_.begin() + static_cast<ptrdiff_t>(SetOf(key));
  auto place = std::find(set, set + kWays, Sha256Digest{});
  // No order of use is kept: a peer that still connects is verified once more and is back.
  if (place == set + kWays) place = set + next_victim_++ % kWays;
  *place = key;
}

}  // namespace sallyport::tls
