// The keys of one use of our secret, each with an id that a token carries in clear. The id is a
// hash of the key, not its place in the secret's list: rotation moves keys down that list. It only
// says which key is worth trying; two keys may share one. The first key signs.
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tls/keyed_mac.h"
#include "tls/secret.h"

namespace sallyport::sip {

struct SealKey {
  tls::DerivedKey bytes;
  uint8_t id;
  tls::HmacKey hmac;  // Of `bytes`.
};

class SealKeys {
 public:
  static constexpr size_t kMacBytes = 16;
  using Mac = std::array<uint8_t, kMacBytes>;

  // `label` is this use's own, see tls/secret.h.
  SealKeys(const tls::Secret& secret, std::string_view label);
  SealKeys(const SealKeys&) = delete;
  SealKeys& operator=(const SealKeys&) = delete;
  ~SealKeys();

  [[nodiscard]] std::span<const SealKey> all() const { return keys_; }
  [[nodiscard]] const SealKey& signing() const { return keys_[0]; }
  [[nodiscard]] bool Knows(uint8_t id) const;

  // HMAC-SHA256, its first 16 octets.
  [[nodiscard]] static Mac MacOf(const SealKey& key, std::span<const uint8_t> message);

 private:
  std::vector<SealKey> keys_;
};

}  // namespace sallyport::sip
