#include "tls/keyed_mac.h"

#include <gtest/gtest.h>

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"

namespace sallyport::tls {
namespace {

std::string Hex(std::span<const uint8_t> bytes) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// The reference's vectors: key 00..0f, message 00..(n-1).
TEST(KeyedMacTest, IsSipHash24) {
  MacKey key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(i);
  std::vector<std::byte> message;
  const auto mac_of = [&](size_t bytes) {
    message.clear();
    for (size_t i = 0; i < bytes; ++i) message.push_back(static_cast<std::byte>(i));
    return KeyedMac64(key, message);
  };
  EXPECT_EQ(mac_of(0), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(mac_of(1), 0x74f839c593dc67fdu);
  EXPECT_EQ(mac_of(15), 0xa129ca6149be45e5u);
}

TEST(KeyedMacTest, IsHmacSha256OfRfc4231) {
  const std::vector<uint8_t> key(20, 0x0b);
  const std::string_view message = "Hi There";
  EXPECT_EQ(Hex(HmacSha256(key, std::as_bytes(std::span(message)))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

TEST(KeyedMacTest, ShortHmacKeysWork) {
  const std::string_view key = "Jefe";
  const std::string_view message = "what do ya want for nothing?";
  EXPECT_EQ(Hex(HmacSha256(std::span(reinterpret_cast<const uint8_t*>(key.data()), key.size()),
                           std::as_bytes(std::span(message)))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(KeyedMacTest, AKeyThatSignsOftenSignsTheSame) {
  for (const size_t key_size : {0UL, 1UL, 32UL, 64UL}) {
    const std::vector<uint8_t> bytes(key_size, 0x5a);
    HmacKey made(bytes);
    const HmacKey key = std::move(made);
    for (size_t size = 0; size <= 200; ++size) {
      const std::vector<std::byte> message(size, static_cast<std::byte>(size));
      EXPECT_EQ(Hex(key.Sign(message)), Hex(HmacSha256(bytes, message))) << key_size << " " << size;
    }
  }
}

TEST(KeyedMacTest, IsSha256) {
  const std::string_view message = "abc";
  EXPECT_EQ(Hex(Sha256(std::as_bytes(std::span(message)))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(KeyedMacTest, ComparesWhole) {
  const std::vector<uint8_t> a{1, 2, 3};
  EXPECT_TRUE(SameSecretBytes(a, std::vector<uint8_t>{1, 2, 3}));
  EXPECT_FALSE(SameSecretBytes(a, std::vector<uint8_t>{1, 2, 4}));
  EXPECT_FALSE(SameSecretBytes(a, std::vector<uint8_t>{1, 2}));
}

}  // namespace
}  // namespace sallyport::tls
