// Short keyed MACs for what we hand out and must recognise (Via branch, tokens), and the two hash
// primitives that others need. Pure; any thread; only the making of an HmacKey allocates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace sallyport::tls {

using MacKey = std::array<uint8_t, 16>;

// SipHash-2-4. 64 bits that nobody can guess without the key: enough for an online guess, not for a
// signature.
uint64_t KeyedMac64(const MacKey& key, std::span<const std::byte> message);

// HMAC-SHA256 (RFC 2104).
std::array<uint8_t, 32> HmacSha256(std::span<const uint8_t> key,
                                   std::span<const std::byte> message);

// The same for a key that signs often: its two blocks are hashed once.
class HmacKey {
 public:
  explicit HmacKey(std::span<const uint8_t> key);  // At most 64 octets.
  HmacKey(HmacKey&& other) noexcept;
  HmacKey& operator=(HmacKey&& other) noexcept;
  ~HmacKey();

  [[nodiscard]] std::array<uint8_t, 32> Sign(std::span<const std::byte> message) const;

 private:
  struct States;
  std::unique_ptr<States> states_;  // Cleared when it ends.
};

std::array<uint8_t, 32> Sha256(std::span<const std::byte> message);

// Constant time in the content. False if the lengths differ.
bool SameSecretBytes(std::span<const uint8_t> a, std::span<const uint8_t> b);

}  // namespace sallyport::tls
