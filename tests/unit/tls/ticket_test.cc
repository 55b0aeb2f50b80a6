#include "tls/ticket.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <string>
#include <vector>

namespace sallyport::tls {
namespace {

constexpr int64_t kNow = 1'800'000'000;
constexpr size_t kStateBytes = 108;
constexpr std::string_view kKey =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
constexpr std::string_view kOtherKey =
    "f0e1d2c3b4a5968778695a4b3c2d1e0ff1e2d3c4b5a69788796a5b4c3d2e1f00\n";

struct Sealed {
  std::array<uint8_t, 16> name{};
  std::array<uint8_t, 16> iv{};
  std::array<uint8_t, 32> mac{};
  std::vector<uint8_t> bytes;

  TicketEnvelope envelope() { return {name, iv, mac}; }
};

class TicketTest : public testing::Test {
 protected:
  TicketTest() {
    identity_.has_peer = true;
    identity_.authenticated_at = kNow - 100;
    identity_.not_after = kNow + 1000;
    identity_.fingerprint.fill(1);
    identity_.issuer_key_sha256.fill(2);
    identity_.anchor_key_sha256.fill(3);
    identity_.leaf_bytes = 600;
    for (size_t i = 0; i < identity_.leaf_bytes; ++i)
      identity_.leaf_der[i] = static_cast<uint8_t>(i);
    binding_.fill(9);
  }

  Sealed Seal(TicketSealer& sealer, int64_t now = kNow) {
    Sealed sealed;
    sealed.bytes.assign(kStateBytes + 2176, 0x55);
    const size_t bytes =
        sealer.Seal(sealed.bytes, kStateBytes, identity_, binding_, now, sealed.envelope());
    EXPECT_EQ(bytes, kStateBytes + TicketSealer::Overhead(identity_.leaf_bytes));
    sealed.bytes.resize(bytes);
    return sealed;
  }
  size_t Open(TicketSealer& sealer, Sealed sealed, int64_t now = kNow) {
    const size_t bytes = sealer.Open(sealed.bytes, sealed.envelope(), binding_, now, opened_);
    if (bytes != 0) {
      EXPECT_TRUE(std::all_of(sealed.bytes.begin(),
                              sealed.bytes.begin() + static_cast<ptrdiff_t>(bytes),
                              [](uint8_t b) { return b == 0x55; }));
    }
    return bytes;
  }

  static Secret Parse(std::string_view text) { return *Secret::Parse(text, "test"); }

  Secret secret_ = Parse(kKey);
  TicketSealer sealer_{secret_};
  TicketIdentity identity_;
  TicketIdentity opened_;
  Sha256Digest binding_{};
};

TEST_F(TicketTest, OpensWhatItSealed) {
  const Sealed sealed = Seal(sealer_);
  ASSERT_EQ(Open(sealer_, sealed), kStateBytes);
  EXPECT_TRUE(opened_.has_peer);
  EXPECT_EQ(opened_.authenticated_at, identity_.authenticated_at);
  EXPECT_EQ(opened_.not_after, identity_.not_after);
  EXPECT_EQ(opened_.fingerprint, identity_.fingerprint);
  EXPECT_EQ(opened_.issuer_key_sha256, identity_.issuer_key_sha256);
  EXPECT_EQ(opened_.anchor_key_sha256, identity_.anchor_key_sha256);
  EXPECT_TRUE(std::ranges::equal(opened_.leaf(), identity_.leaf()));
  TicketSealer elsewhere(secret_);
  EXPECT_EQ(Open(elsewhere, sealed), kStateBytes);
}

TEST_F(TicketTest, SaysNothingInTheClear) {
  const Sealed a = Seal(sealer_);
  const Sealed b = Seal(sealer_);
  EXPECT_NE(a.bytes, b.bytes);
  const std::array<uint8_t, 8> leaf_part{8, 9, 10, 11, 12, 13, 14, 15};
  EXPECT_EQ(std::search(a.bytes.begin(), a.bytes.end(), leaf_part.begin(), leaf_part.end()),
            a.bytes.end());
}

TEST_F(TicketTest, EveryBitCounts) {
  const Sealed good = Seal(sealer_);
  for (size_t bit = 0; bit < 8; ++bit) {
    const auto flip = static_cast<uint8_t>(1 << bit);
    const auto expect_refused = [&](auto member, size_t size) {
      for (size_t i = 0; i < size; ++i) {
        Sealed bad = good;
        (bad.*member)[i] ^= flip;
        EXPECT_EQ(Open(sealer_, bad), 0u) << i;
      }
    };
    expect_refused(&Sealed::name, 16);
    expect_refused(&Sealed::iv, 16);
    expect_refused(&Sealed::mac, 32);
    expect_refused(&Sealed::bytes, good.bytes.size());
  }
  for (size_t size = 0; size < good.bytes.size(); ++size) {
    Sealed cut = good;
    cut.bytes.resize(size);
    EXPECT_EQ(Open(sealer_, cut), 0u);
  }
}

TEST_F(TicketTest, LeavesTheBufferAloneUntilTheTagVerified) {
  Sealed bad = Seal(sealer_);
  bad.mac[0] ^= 1;
  const std::vector<uint8_t> before = bad.bytes;
  EXPECT_EQ(sealer_.Open(bad.bytes, bad.envelope(), binding_, kNow, opened_), 0u);
  EXPECT_EQ(bad.bytes, before);
}

TEST_F(TicketTest, AnotherBindingDoesNotOpen) {
  const Sealed sealed = Seal(sealer_);
  binding_[31] ^= 1;
  EXPECT_EQ(Open(sealer_, sealed), 0u);
}

TEST_F(TicketTest, SlicesEndWithTheLifetime) {
  const Sealed sealed = Seal(sealer_);
  EXPECT_EQ(Open(sealer_, sealed, kNow + kTicketLifetimeSeconds), kStateBytes);
  EXPECT_EQ(Open(sealer_, sealed, kNow + kTicketLifetimeSeconds + kTicketSliceSeconds), 0u);
  EXPECT_EQ(Open(sealer_, sealed, kNow - kTicketSliceSeconds), 0u);  // From the future.
}

TEST_F(TicketTest, KeysChangeWithTheSlice) {
  EXPECT_NE(Seal(sealer_, kNow).name, Seal(sealer_, kNow + kTicketSliceSeconds).name);
  EXPECT_EQ(Seal(sealer_, kNow).name, Seal(sealer_, kNow).name);
}

TEST_F(TicketTest, OldSecretsOpenAndTheFirstSeals) {
  TicketSealer rotated(Parse(std::string(kOtherKey) + std::string(kKey)));
  TicketSealer only_new(Parse(kOtherKey));
  EXPECT_EQ(Open(rotated, Seal(sealer_)), kStateBytes);
  EXPECT_EQ(Open(only_new, Seal(sealer_)), 0u);
  EXPECT_EQ(Open(only_new, Seal(rotated)), kStateBytes);
  EXPECT_EQ(Open(sealer_, Seal(rotated)), 0u);
}

TEST_F(TicketTest, WhatDoesNotFitIsNotSealed) {
  Sealed sealed;
  sealed.bytes.assign(kStateBytes + TicketSealer::Overhead(identity_.leaf_bytes) - 1, 0x55);
  EXPECT_EQ(sealer_.Seal(sealed.bytes, kStateBytes, identity_, binding_, kNow, sealed.envelope()),
            0u);
}

// One run of AES-256-GCM over `bytes`, in place, with OpenSSL.
void Gcm(bool encrypts, const DerivedKey& key, Sealed& sealed, const Sha256Digest& binding) {
  EVP_CIPHER_CTX* const gcm = EVP_CIPHER_CTX_new();
  int written = 0;
  ASSERT_EQ(EVP_CipherInit_ex(gcm, EVP_aes_256_gcm(), nullptr, key.data(), sealed.iv.data(),
                              encrypts ? 1 : 0),
            1);
  for (const std::span<const uint8_t> clear :
       {std::span<const uint8_t>(sealed.name), std::span<const uint8_t>(sealed.iv),
        std::span<const uint8_t>(binding)}) {
    ASSERT_EQ(
        EVP_CipherUpdate(gcm, nullptr, &written, clear.data(), static_cast<int>(clear.size())), 1);
  }
  ASSERT_EQ(EVP_CipherUpdate(gcm, sealed.bytes.data(), &written, sealed.bytes.data(),
                             static_cast<int>(sealed.bytes.size())),
            1);
  if (encrypts) {
    EVP_CipherFinal_ex(gcm, nullptr, &written);
    ASSERT_EQ(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_GET_TAG, 16, sealed.mac.data()), 1);
  }
  EVP_CIPHER_CTX_free(gcm);
}

// Goal: a ticket of an earlier version, whose fields mean something else, is declined. Method: give
// a ticket another format under the right key.
TEST_F(TicketTest, AnotherFormatDoesNotOpen) {
  std::array<std::byte, 8> slice{};
  uint64_t number = kNow / kTicketSliceSeconds;
  for (auto out = slice.rbegin(); out != slice.rend(); ++out, number >>= 8) {
    *out = static_cast<std::byte>(number);
  }
  const DerivedKey key = secret_.Derive(0, kTicketLabel, slice);
  for (uint8_t format = 0; format < 4; ++format) {
    Sealed sealed = Seal(sealer_);
    Gcm(false, key, sealed, binding_);
    uint8_t& written = sealed.bytes[sealed.bytes.size() - TicketSealer::Overhead(0)];
    ASSERT_EQ(written, 2);
    written = format;
    Gcm(true, key, sealed, binding_);
    EXPECT_EQ(Open(sealer_, sealed), format == 2 ? kStateBytes : 0u) << int{format};
  }
}

TEST_F(TicketTest, AnonymousTicketsSaySo) {
  identity_ = TicketIdentity{};
  identity_.authenticated_at = kNow;
  ASSERT_EQ(Open(sealer_, Seal(sealer_)), kStateBytes);
  EXPECT_FALSE(opened_.has_peer);
  EXPECT_EQ(opened_.leaf_bytes, 0);
}

}  // namespace
}  // namespace sallyport::tls
