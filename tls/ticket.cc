#include "tls/ticket.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/wolfcrypt/aes.h>

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "tls/random.h"

namespace sallyport::tls {
namespace {

// Format 1 held the leaf's own end in the place of its path's.
constexpr uint8_t kFormat = 2;
constexpr uint8_t kHasPeer = 1;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr int64_t kClockSkewSeconds = 300;  // Between instances.

// What is authenticated beside the sealed bytes: all that travels in the clear, and the binding.
using AdditionalData = std::array<uint8_t, 16 + 16 + 32>;

AdditionalData MakeAdditionalData(const TicketEnvelope& envelope, const Sha256Digest& binding) {
  AdditionalData data;
  auto out = std::copy(envelope.key_name.begin(), envelope.key_name.end(), data.begin());
  out = std::copy(envelope.iv.begin(), envelope.iv.end(), out);
  std::copy(binding.begin(), binding.end(), out);
  return data;
}

class AesGcm {
 public:
  explicit AesGcm(const DerivedKey& key) {
    CHECK(wc_AesInit(&aes_, nullptr, INVALID_DEVID) == 0);
    CHECK(wc_AesGcmSetKey(&aes_, key.data(), sizeof(DerivedKey)) == 0);
  }
  ~AesGcm() { wc_AesFree(&aes_); }
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;
  Aes* get() { return &aes_; }

 private:
  Aes aes_;
};

void PutNumber(uint8_t*& out, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    *out++ = static_cast<uint8_t>(value >> shift);
}

uint64_t TakeNumber(const uint8_t*& in, int bytes) {
  uint64_t value = 0;
  while (bytes-- > 0) value = value << 8 | *in++;
  return value;
}

void PutDigest(uint8_t*& out, const Sha256Digest& digest) {
  out = std::copy(digest.begin(), digest.end(), out);
}

void TakeDigest(const uint8_t*& in, Sha256Digest& digest) {
  std::copy_n(in, digest.size(), digest.begin());
  in += digest.size();
}

uint64_t SliceAt(int64_t now_seconds) {
  return static_cast<uint64_t>(std::max<int64_t>(now_seconds, 0) / kTicketSliceSeconds);
}

// Name of a key: 8 bytes that tell secrets apart, then the slice. The time in it says no more than
// the ticket's arrival does.
uint64_t SliceOf(std::span<const uint8_t, 16> name) {
  const uint8_t* in = name.data() + 8;
  return TakeNumber(in, 8);
}

}  // namespace

const TicketSealer::SliceKey& TicketSealer::KeyFor(size_t secret_index, uint64_t slice) {
  SliceKey& entry = cache_[(secret_index + slice) % kCachedKeys];
  if (entry.set && entry.secret_index == secret_index && entry.slice == slice) return entry;
  std::array<uint8_t, 8> context;
  uint8_t* out = context.data();
  PutNumber(out, slice, 8);
  entry.key = secret_.Derive(secret_index, kTicketLabel, std::as_bytes(std::span(context)));
  const DerivedKey name = secret_.Derive(secret_index, "sallyport ticket name");
  std::copy_n(name.begin(), 8, entry.name.begin());
  std::copy(context.begin(), context.end(), entry.name.begin() + 8);
  entry.secret_index = secret_index;
  entry.slice = slice;
  entry.set = true;
  return entry;
}

size_t TicketSealer::Seal(std::span<uint8_t> buffer, size_t state_bytes,
                          const TicketIdentity& identity, const Sha256Digest& binding,
                          int64_t now_seconds, const TicketEnvelope& envelope) {
  const size_t total = state_bytes + Overhead(identity.leaf_bytes);
  if (total > buffer.size()) return 0;
  uint8_t* out = buffer.data() + state_bytes;
  out = std::copy_n(identity.leaf_der.data(), identity.leaf_bytes, out);
  PutNumber(out, kFormat, 1);
  PutNumber(out, identity.has_peer ? kHasPeer : 0, 1);
  PutNumber(out, static_cast<uint64_t>(identity.authenticated_at), 8);
  PutNumber(out, static_cast<uint64_t>(identity.not_after), 8);
  PutDigest(out, identity.fingerprint);
  PutDigest(out, identity.issuer_key_sha256);
  PutDigest(out, identity.anchor_key_sha256);
  PutNumber(out, identity.leaf_bytes, 2);

  const SliceKey& key = KeyFor(0, SliceAt(now_seconds));
  std::copy(key.name.begin(), key.name.end(), envelope.key_name.begin());
  RandomBytes(std::as_writable_bytes(envelope.iv));
  envelope.iv[15] |= 1;  // The library refuses an IV of zeros.
  std::fill(envelope.mac.begin(), envelope.mac.end(), uint8_t{0});
  const AdditionalData additional = MakeAdditionalData(envelope, binding);
  AesGcm gcm(key.key);
  const auto bytes = static_cast<word32>(total);
  CHECK(wc_AesGcmEncrypt(gcm.get(), buffer.data(), buffer.data(), bytes, envelope.iv.data(),
                         kNonceBytes, envelope.mac.data(), kTagBytes, additional.data(),
                         additional.size()) == 0);
  return total;
}

size_t TicketSealer::Open(std::span<uint8_t> sealed, const TicketEnvelope& envelope,
                          const Sha256Digest& binding, int64_t now_seconds,
                          TicketIdentity& identity) {
  std::array<uint8_t, kTicketLeafBytesMax + kTrailerBytes + 1024> plain;
  if (sealed.size() > plain.size() || sealed.size() < kTrailerBytes) return 0;
  // The tag fills half of its field; the rest is ours to hold still.
  if (std::any_of(envelope.mac.begin() + kTagBytes, envelope.mac.end(),
                  [](uint8_t b) { return b != 0; })) {
    return 0;
  }
  const uint64_t slice = SliceOf(envelope.key_name);
  if (slice > SliceAt(now_seconds + kClockSkewSeconds) ||
      slice < SliceAt(now_seconds - kTicketLifetimeSeconds)) {
    return 0;
  }
  const SliceKey* key = nullptr;
  for (size_t i = 0; i < secret_.size() && key == nullptr; ++i) {
    const SliceKey& candidate = KeyFor(i, slice);
    if (std::equal(candidate.name.begin(), candidate.name.end(), envelope.key_name.begin()))
      key = &candidate;
  }
  if (key == nullptr) return 0;
  const AdditionalData additional = MakeAdditionalData(envelope, binding);
  AesGcm gcm(key->key);
  const auto bytes = static_cast<word32>(sealed.size());
  if (wc_AesGcmDecrypt(gcm.get(), plain.data(), sealed.data(), bytes, envelope.iv.data(),
                       kNonceBytes, envelope.mac.data(), kTagBytes, additional.data(),
                       additional.size()) != 0) {
    return 0;
  }

  // Authentic from here on, so only another format of ours can disagree with these lengths.
  const uint8_t* in = plain.data() + sealed.size() - kTrailerBytes;
  if (TakeNumber(in, 1) != kFormat) return 0;
  identity.has_peer = (TakeNumber(in, 1) & kHasPeer) != 0;
  identity.authenticated_at = static_cast<int64_t>(TakeNumber(in, 8));
  identity.not_after = static_cast<int64_t>(TakeNumber(in, 8));
  TakeDigest(in, identity.fingerprint);
  TakeDigest(in, identity.issuer_key_sha256);
  TakeDigest(in, identity.anchor_key_sha256);
  identity.leaf_bytes = static_cast<uint16_t>(TakeNumber(in, 2));
  if (identity.leaf_bytes > kTicketLeafBytesMax || sealed.size() < Overhead(identity.leaf_bytes))
    return 0;
  const size_t state_bytes = sealed.size() - Overhead(identity.leaf_bytes);
  std::copy_n(plain.data() + state_bytes, identity.leaf_bytes, identity.leaf_der.data());
  std::copy_n(plain.data(), state_bytes, sealed.data());
  explicit_bzero(plain.data(), sealed.size());
  return state_bytes;
}

}  // namespace sallyport::tls
