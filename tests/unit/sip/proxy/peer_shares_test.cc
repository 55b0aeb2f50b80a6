// Goal: no peer takes the last room of a bound from the others. Method: peers that take all they
// get, one by one, many, and at random.
#include "sip/proxy/peer_shares.h"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <random>
#include <vector>

namespace sallyport::sip {
namespace {

using Share = PeerShares::Share;

// What `peer` gets if it asks again and again for `amount`.
uint64_t TakeAll(PeerShares& shares, std::list<Share>& taken, uint64_t peer, uint64_t amount,
                 ShareUse use = ShareUse::kNew) {
  uint64_t sum = 0;
  while (shares.HasRoom(peer, amount, use)) {
    taken.emplace_back().Begin(shares, peer);
    taken.back().Set(amount);
    sum += amount;
  }
  return sum;
}

TEST(PeerSharesTest, OnePeerGetsHalfAndTheNextHalfOfTheRest) {
  PeerShares shares(100);
  std::list<Share> taken;
  EXPECT_EQ(TakeAll(shares, taken, 1, 1), 50U);
  EXPECT_EQ(TakeAll(shares, taken, 2, 1), 25U);
  EXPECT_EQ(TakeAll(shares, taken, 1, 1), 0U);
  EXPECT_TRUE(shares.HasRoom(3, 1, ShareUse::kNew));
  taken.clear();
  EXPECT_EQ(shares.total(), 0U);
  EXPECT_EQ(TakeAll(shares, taken, 1, 1), 50U);
}

TEST(PeerSharesTest, WithinDialogsAPeerMayHoldTwiceWhatIsFree) {
  PeerShares shares(90);
  std::list<Share> taken;
  EXPECT_EQ(TakeAll(shares, taken, 1, 1), 45U);
  EXPECT_EQ(TakeAll(shares, taken, 1, 1, ShareUse::kInDialog), 15U);
  EXPECT_EQ(TakeAll(shares, taken, 2, 1), 15U);
}

TEST(PeerSharesTest, PeersThatTakeInTurnsHoldTheSameAndLeaveAsMuch) {
  PeerShares shares(1000);
  std::list<Share> taken;
  std::map<uint64_t, int> held;
  for (bool grew = true; grew;) {
    grew = false;
    for (uint64_t peer = 1; peer <= 9; ++peer) {
      if (!shares.HasRoom(peer, 1, ShareUse::kNew)) continue;
      taken.emplace_back().Begin(shares, peer);
      taken.back().Set(1);
      ++held[peer];
      grew = true;
    }
  }
  for (const auto& [peer, count] : held) EXPECT_NEAR(count, 100, 1) << peer;
  EXPECT_NEAR(static_cast<double>(shares.total()), 900, 9);
  EXPECT_TRUE(shares.HasRoom(10, 90, ShareUse::kNew));
}

TEST(PeerSharesTest, TheBoundHoldsWhateverGrows) {
  PeerShares shares(100);
  Share one, other;
  one.Begin(shares, 1);
  other.Begin(shares, 2);
  one.Set(40);
  EXPECT_TRUE(one.MayGrow(10, ShareUse::kNew));
  EXPECT_FALSE(one.MayGrow(21, ShareUse::kNew));
  one.Set(120);  // What is under way may be beyond it.
  EXPECT_FALSE(other.MayGrow(1, ShareUse::kInDialog));
  one.Set(30);
  EXPECT_TRUE(other.MayGrow(70, ShareUse::kNew));
  EXPECT_FALSE(other.MayGrow(71, ShareUse::kNew));
}

// More peers than are remembered without a share.
TEST(PeerSharesTest, PeersThatHoldNothingAreForgotten) {
  PeerShares shares(100);
  for (uint64_t peer = 1; peer <= 5000; ++peer) {
    Share share;
    share.Begin(shares, peer % 3000);
    share.Set(60);
  }
  EXPECT_EQ(shares.total(), 0U);
  Share share;
  share.Begin(shares, 1);
  share.Set(60);
  EXPECT_FALSE(shares.HasRoom(1, 1, ShareUse::kNew));
  EXPECT_TRUE(shares.HasRoom(2, 1, ShareUse::kNew));
}

TEST(PeerSharesTest, AShareWithoutAPeerCountsNowhere) {
  Share share;
  share.Set(7);
  EXPECT_TRUE(share.MayGrow(1000, ShareUse::kNew));
}

TEST(PeerSharesTest, SumsStayTrue) {
  std::mt19937_64 random(1);
  constexpr size_t kShares = 50;
  PeerShares shares(1000);
  std::vector<Share> all(kShares);
  std::vector<uint64_t> amounts(kShares);
  for (size_t i = 0; i < kShares; ++i) all[i].Begin(shares, i % 7);
  for (int step = 0; step < 20000; ++step) {
    const size_t which = random() % kShares;
    all[which].Set(amounts[which] = random() % 3 == 0 ? 0 : random() % 40);
    uint64_t total = 0, own = 0;
    for (size_t i = 0; i < kShares; ++i) total += amounts[i];
    for (size_t i = which % 7; i < kShares; i += 7) own += amounts[i];
    ASSERT_EQ(shares.total(), total);
    if (total > 500 && total < 1000) {
      const uint64_t room = own > 1000 - total ? 0 : 1000 - total - own;
      ASSERT_EQ(shares.HasRoom(which % 7, 1, ShareUse::kNew), room >= 1);
    }
  }
}

}  // namespace
}  // namespace sallyport::sip
