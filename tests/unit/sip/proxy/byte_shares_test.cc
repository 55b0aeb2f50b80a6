// Goal: the holder that fills the bound pays for it. Method: holders and parts by hand, then many
// at random against sums made anew.
#include "sip/proxy/byte_shares.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace sallyport::sip {
namespace {

using Part = ByteShares::Part;

TEST(ByteSharesTest, TheOldestOfTheGreatestHolderLoses) {
  ByteShares shares;
  EXPECT_EQ(shares.Loser(1, 10), nullptr);
  Part a1(nullptr), a2(nullptr), b(nullptr);
  shares.Set(a1, 1, 100);
  shares.Set(a2, 1, 2000);
  shares.Set(b, 2, 1500);
  EXPECT_EQ(shares.total(), 3600U);
  EXPECT_EQ(shares.Loser(2, 10), &a1);
  EXPECT_EQ(shares.Loser(2, 600), &b) << "with these it has the most itself";
  EXPECT_EQ(shares.Loser(1, 10), &a1);
  a1.Release();
  EXPECT_EQ(shares.total(), 3500U);
  EXPECT_EQ(shares.Loser(2, 10), &a2);
}

TEST(ByteSharesTest, AHolderOfNothingIsAlwaysAdmitted) {
  ByteShares shares;
  std::vector<std::unique_ptr<Part>> parts;
  for (uint64_t holder = 1; holder <= 100; ++holder) {
    parts.push_back(std::make_unique<Part>(nullptr));
    shares.Set(*parts.back(), holder, 2048);
  }
  EXPECT_NE(shares.Loser(1000, 60000), nullptr);
  EXPECT_EQ(shares.Loser(7, 2048), parts[6].get());
}

TEST(ByteSharesTest, APartMovesToAnotherHolderAndToOtherShares) {
  ByteShares handshakes, messages;
  Part part(nullptr);
  handshakes.Set(part, 1, 100);
  handshakes.Set(part, 2, 100);
  EXPECT_EQ(handshakes.Loser(3, 1), &part);
  EXPECT_EQ(handshakes.total(), 100U);
  messages.Set(part, 2, 50);
  EXPECT_EQ(handshakes.total(), 0U);
  EXPECT_EQ(handshakes.Loser(3, 1), nullptr);
  EXPECT_EQ(messages.total(), 50U);
  messages.Set(part, 2, 0);
  EXPECT_EQ(messages.total(), 0U);
  {
    Part gone(nullptr);
    messages.Set(gone, 1, 7);
  }
  EXPECT_EQ(messages.total(), 0U);
}

TEST(ByteSharesTest, OfMoreTheOldestIdlePartOfTheGreatestHolderLoses) {
  ByteShares shares;
  Part a1(nullptr), a2(nullptr), a3(nullptr), b1(nullptr), b2(nullptr);
  const auto idle = [](const Part&) { return true; };
  const auto busy = [](const Part&) { return false; };
  EXPECT_EQ(shares.LoserOfMore(1, 1, idle), nullptr);
  shares.Set(b1, 2, 1);
  EXPECT_EQ(shares.LoserOfMore(3, 1, idle), nullptr) << "it would have as many";
  for (Part* const part : {&a1, &a2, &a3}) shares.Set(*part, 1, 1);
  EXPECT_EQ(a2.holder_bytes(), 3U);
  EXPECT_EQ(shares.LoserOfMore(3, 1, idle), &a1);
  EXPECT_EQ(shares.LoserOfMore(2, 1, idle), &a1);
  EXPECT_EQ(shares.LoserOfMore(3, 1, busy), &a1) << "being busy is no way to keep all";
  EXPECT_EQ(shares.LoserOfMore(3, 1, [&a1](const Part& part) { return &part != &a1; }), &a2);
  EXPECT_EQ(shares.LoserOfMore(1, 1, busy), nullptr);
  EXPECT_NE(shares.LoserOfMore(1, 1, idle), nullptr) << "one of its own";
  shares.Set(b2, 2, 1);
  EXPECT_EQ(shares.LoserOfMore(2, 1, idle), &b1) << "it would have as many as the other";
}

TEST(ByteSharesTest, SumsStayTrueAndTheLoserHasAboutTheMost) {
  std::mt19937_64 random(1);
  ByteShares shares;
  std::vector<std::unique_ptr<Part>> parts;
  for (int i = 0; i < 200; ++i) parts.push_back(std::make_unique<Part>(nullptr));
  std::map<Part*, std::pair<uint64_t, uint64_t>> held;
  for (int step = 0; step < 20000; ++step) {
    Part* const part = parts[random() % parts.size()].get();
    const uint64_t holder = 1 + random() % 40;
    const uint64_t bytes = random() % 3 == 0 ? 0 : uint64_t{1} << random() % 17;
    shares.Set(*part, holder, bytes);
    held[part] = {holder, bytes};
    uint64_t total = 0;
    std::map<uint64_t, uint64_t> sums;
    for (const auto& [each, what] : held) {
      total += what.second;
      sums[what.first] += what.second;
    }
    ASSERT_EQ(shares.total(), total);
    uint64_t most = 0;
    for (const auto& [each, sum] : sums) most = std::max(most, sum);
    Part* const loser = shares.Loser(1000, 1);
    ASSERT_EQ(loser == nullptr, total == 0);
    if (loser != nullptr) {
      ASSERT_GE(2 * sums[held[loser].first], most);
    }
  }
}

}  // namespace
}  // namespace sallyport::sip
