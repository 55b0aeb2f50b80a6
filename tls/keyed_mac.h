// Short keyed MACs for what we hand out and must recognise (Via branch, tokens), and the two hash
// primitives that others need. Pure; any thread; no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sallyport::tls {

using MacKey = std::array<uint8_t, 16>;

// SipHash-2-4. 64 bits that nobody can guess without the key: enough for an online guess, not for a
// signature.
uint64_t KeyedMac64(const MacKey& key, std::span<const std::byte> message);

// HMAC-SHA256 (RFC 2104).
std::array<uint8_t, 32> HmacSha256(std::span<const uint8_t> key,
                                   std::span<const std::byte> message);

std::array<uint8_t, 32> Sha256(std::span<const std::byte> message);

// Constant time in the content. False if the lengths differ.
bool SameSecretBytes(std::span<const uint8_t> a, std::span<const uint8_t> b);

}  // namespace sallyport::tls
