#include "sip/proxy/seal_keys.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using test::SecretOf;

constexpr std::string_view kLabel = "test use";

TEST(SealKeysTest, TheFirstKeySignsAndAllAreKnown) {
  const SealKeys old_keys(SecretOf(test::kOldKey), kLabel);
  const SealKeys rotated(test::RotatedSecret(), kLabel);
  ASSERT_EQ(old_keys.all().size(), 1U);
  ASSERT_EQ(rotated.all().size(), 2U);
  EXPECT_EQ(rotated.signing().bytes, SealKeys(SecretOf(test::kNewKey), kLabel).signing().bytes);
  EXPECT_EQ(rotated.all()[1].bytes, old_keys.signing().bytes);
  for (const SealKey& key : rotated.all()) EXPECT_TRUE(rotated.Knows(key.id));
  EXPECT_FALSE(old_keys.Knows(rotated.signing().id));
}

// The id is the key's, not its place: rotation moves keys down the list.
TEST(SealKeysTest, IdFollowsTheKeyThroughRotation) {
  EXPECT_EQ(SealKeys(test::RotatedSecret(), kLabel).all()[1].id,
            SealKeys(SecretOf(test::kOldKey), kLabel).signing().id);
}

TEST(SealKeysTest, EachUseHasKeysOfItsOwn) {
  const tls::Secret secret = SecretOf(test::kOldKey);
  EXPECT_NE(SealKeys(secret, kLabel).signing().bytes, SealKeys(secret, "other").signing().bytes);
}

TEST(SealKeysTest, MacCoversTheMessageUnderTheKey) {
  const SealKeys keys(test::RotatedSecret(), kLabel);
  const std::array<uint8_t, 3> message{1, 2, 3};
  const std::array<uint8_t, 3> other{1, 2, 4};
  EXPECT_EQ(SealKeys::MacOf(keys.all()[0], message), SealKeys::MacOf(keys.all()[0], message));
  EXPECT_NE(SealKeys::MacOf(keys.all()[0], message), SealKeys::MacOf(keys.all()[0], other));
  EXPECT_NE(SealKeys::MacOf(keys.all()[0], message), SealKeys::MacOf(keys.all()[1], message));
  EXPECT_NE(SealKeys::MacOf(keys.all()[0], message),
            SealKeys::MacOf(keys.all()[0], std::span(message).first(2)));
}

}  // namespace
}  // namespace sallyport::sip
