#include "sip/proxy/seal_keys.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
namespace {

uint8_t KeyId(const tls::DerivedKey& key) {
  constexpr std::string_view kText = "key id";
  return tls::HmacSha256(key, std::as_bytes(std::span(kText)))[0];
}

}  // namespace

SealKeys::SealKeys(const tls::Secret& secret, std::string_view label) {
  CHECK(secret.size() > 0);
  keys_.reserve(secret.size());
  for (size_t i = 0; i < secret.size(); ++i) {
    const tls::DerivedKey bytes = secret.Derive(i, label);
    keys_.push_back({.bytes = bytes, .id = KeyId(bytes), .hmac = tls::HmacKey(bytes)});
  }
}

SealKeys::~SealKeys() {
  for (SealKey& key : keys_) explicit_bzero(key.bytes.data(), key.bytes.size());
}

bool SealKeys::Knows(uint8_t id) const {
  return std::ranges::any_of(all(), [id](const SealKey& key) { return key.id == id; });
}

SealKeys::Mac SealKeys::MacOf(const SealKey& key, std::span<const uint8_t> message) {
  const std::array<uint8_t, 32> whole = key.hmac.Sign(std::as_bytes(message));
  Mac mac;
  std::memcpy(mac.data(), whole.data(), mac.size());
  return mac;
}

}  // namespace sallyport::sip
