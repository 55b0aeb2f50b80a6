#include "tls/signature_memo.h"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::tls {
namespace {

using Bytes = std::vector<uint8_t>;

Sha256Digest KeyOf(int n) {
  return SignatureMemo::Key(Bytes{1}, Bytes{2},
                            Bytes{static_cast<uint8_t>(n), static_cast<uint8_t>(n >> 8)});
}

TEST(SignatureMemoTest, RemembersWhatItWasTold) {
  SignatureMemo memo(64);
  EXPECT_FALSE(memo.Verified(KeyOf(1)));
  memo.Remember(KeyOf(1));
  EXPECT_TRUE(memo.Verified(KeyOf(1)));
  EXPECT_FALSE(memo.Verified(KeyOf(2)));
  EXPECT_EQ(memo.hits(), 1u);
  EXPECT_EQ(memo.misses(), 2u);
}

TEST(SignatureMemoTest, PartsCannotRunIntoEachOther) {
  const Sha256Digest key = SignatureMemo::Key(Bytes{1, 2}, Bytes{3}, Bytes{4});
  EXPECT_NE(key, SignatureMemo::Key(Bytes{1}, Bytes{2, 3}, Bytes{4}));
  EXPECT_NE(key, SignatureMemo::Key(Bytes{1, 2}, Bytes{3, 4}, Bytes{}));
  EXPECT_NE(key, SignatureMemo::Key(Bytes{1, 2}, Bytes{3}, Bytes{5}));
}

TEST(SignatureMemoTest, IsBoundedAndKeepsTheLatest) {
  SignatureMemo memo(64);
  for (int i = 0; i < 10'000; ++i) {
    memo.Remember(KeyOf(i));
    EXPECT_TRUE(memo.Verified(KeyOf(i)));
  }
  int known = 0;
  for (int i = 0; i < 10'000; ++i) known += memo.Verified(KeyOf(i)) ? 1 : 0;
  EXPECT_LE(known, 64);
  EXPECT_GT(known, 32);
}

}  // namespace
}  // namespace sallyport::tls
