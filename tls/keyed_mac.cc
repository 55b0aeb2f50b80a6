#include "tls/keyed_mac.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/sha256.h>
#include <wolfssl/wolfcrypt/siphash.h>

#include <cstring>
#include <type_traits>

#include "core/check.h"

namespace sallyport::tls {
namespace {

const uint8_t* Bytes(std::span<const std::byte> message) {
  return reinterpret_cast<const uint8_t*>(message.data());
}

}  // namespace

uint64_t KeyedMac64(const MacKey& key, std::span<const std::byte> message) {
  std::array<uint8_t, 8> mac;
  CHECK(wc_SipHash(key.data(), Bytes(message), static_cast<word32>(message.size()), mac.data(),
                   mac.size()) == 0);
  uint64_t value = 0;
  for (size_t i = mac.size(); i-- > 0;) value = value << 8 | mac[i];  // SipHash is little-endian.
  return value;
}

std::array<uint8_t, 32> HmacSha256(std::span<const uint8_t> key,
                                   std::span<const std::byte> message) {
  std::array<uint8_t, 32> mac;
  Hmac hmac;
  CHECK(wc_HmacInit(&hmac, nullptr, INVALID_DEVID) == 0);
  CHECK(wc_HmacSetKey_ex(&hmac, WC_SHA256, key.data(), static_cast<word32>(key.size()),
                         1 /* short keys too */) == 0);
  CHECK(wc_HmacUpdate(&hmac, Bytes(message), static_cast<word32>(message.size())) == 0);
  CHECK(wc_HmacFinal(&hmac, mac.data()) == 0);
  wc_HmacFree(&hmac);
  return mac;
}

struct HmacKey::States {
  ~States() {
    wc_Sha256Free(&inner);
    wc_Sha256Free(&outer);
  }
  wc_Sha256 inner;
  wc_Sha256 outer;
};

HmacKey::HmacKey(std::span<const uint8_t> key) : states_(std::make_unique<States>()) {
  std::array<uint8_t, WC_SHA256_BLOCK_SIZE> block;
  CHECK(key.size() <= block.size());
  const auto begin = [&key, &block](uint8_t pad, wc_Sha256& state) {
    block.fill(pad);
    for (size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
    CHECK(wc_InitSha256(&state) == 0);
    CHECK(wc_Sha256Update(&state, block.data(), block.size()) == 0);
  };
  begin(0x36, states_->inner);  // RFC 2104 §2.
  begin(0x5C, states_->outer);
  explicit_bzero(block.data(), block.size());
}

HmacKey::HmacKey(HmacKey&& other) noexcept = default;
HmacKey& HmacKey::operator=(HmacKey&& other) noexcept = default;
HmacKey::~HmacKey() = default;

std::array<uint8_t, 32> HmacKey::Sign(std::span<const std::byte> message) const {
  std::array<uint8_t, 32> mac;
  // Not by wc_Sha256Copy, which frees its target first; as we build the library, a state owns
  // nothing.
  static_assert(std::is_trivially_copyable_v<wc_Sha256>);
  wc_Sha256 state = states_->inner;
  CHECK(wc_Sha256Update(&state, Bytes(message), static_cast<word32>(message.size())) == 0);
  CHECK(wc_Sha256Final(&state, mac.data()) == 0);
  state = states_->outer;
  CHECK(wc_Sha256Update(&state, mac.data(), mac.size()) == 0);
  CHECK(wc_Sha256Final(&state, mac.data()) == 0);
  wc_Sha256Free(&state);
  return mac;
}

std::array<uint8_t, 32> Sha256(std::span<const std::byte> message) {
  std::array<uint8_t, 32> digest;
  CHECK(wc_Sha256Hash(Bytes(message), static_cast<word32>(message.size()), digest.data()) == 0);
  return digest;
}

bool SameSecretBytes(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace sallyport::tls
