#include "tls/identity_cache.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/quiet_points.h"
#include "gtest/gtest.h"
#include "tls/certificate_reader.h"

namespace sallyport::tls {
namespace {

std::string Tlv(int tag, const std::string& content) {
  std::string der(1, static_cast<char>(tag));
  if (content.size() >= 0x100) der += {'\x82', static_cast<char>(content.size() >> 8)};
  if (content.size() >= 0x80 && content.size() < 0x100) der += '\x81';
  return der + static_cast<char>(content.size() & 0xff) + content;
}

// The smallest thing that reads as a certificate (version 1), told apart by its common name.
std::string Certificate(const std::string& common_name) {
  const std::string name =
      Tlv(0x30, Tlv(0x31, Tlv(0x30, Tlv(0x06, "\x55\x04\x03") + Tlv(0x0c, common_name))));
  const std::string algorithm = Tlv(0x30, Tlv(0x06, "\x2b\x65\x70"));
  const std::string validity = Tlv(0x30, Tlv(0x17, "250101000000Z") + Tlv(0x17, "350101000000Z"));
  const std::string key = Tlv(0x30, algorithm + Tlv(0x03, std::string(33, '\0')));
  return Tlv(0x30, Tlv(0x30, Tlv(0x02, "\x01") + algorithm + name + validity + name + key) +
                       algorithm + Tlv(0x03, std::string("\0s", 2)));
}

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

struct Leaf {
  explicit Leaf(const std::string& common_name)
      : name(common_name),
        der(Certificate(common_name)),
        fingerprint(CertificateFingerprint(Bytes(der))) {}

  std::string name;
  std::string der;
  Sha256Digest fingerprint;
};

std::vector<Leaf> Leaves(size_t count) {
  std::vector<Leaf> leaves;
  for (size_t i = 0; i < count; ++i) leaves.emplace_back("peer" + std::to_string(i));
  return leaves;
}

class IdentityCacheTest : public ::testing::Test {
 protected:
  IdentityCacheTest() { quiet_points_.GoOnline(0); }
  ~IdentityCacheTest() override { quiet_points_.GoOffline(0); }

  static IdentityLookup Look(IdentityCache& cache, const Leaf& leaf) {
    return cache.FindOrRead(Bytes(leaf.der), leaf.fingerprint);
  }

  core::QuietPoints quiet_points_{1};
};

TEST_F(IdentityCacheTest, FirstLookReadsSecondFinds) {
  IdentityCache cache(100, quiet_points_);
  const Leaf leaf("alice");
  EXPECT_FALSE(cache.Find(leaf.fingerprint));
  const IdentityLookup first = Look(cache, leaf);
  EXPECT_FALSE(first.hit);
  ASSERT_TRUE(first.identity);
  EXPECT_EQ(first.identity->subject_dn(), "CN=alice");
  const IdentityLookup second = Look(cache, leaf);
  EXPECT_TRUE(second.hit);
  EXPECT_EQ(second.identity.get(), first.identity.get());
  EXPECT_EQ(cache.Find(leaf.fingerprint).get(), first.identity.get());
}

TEST_F(IdentityCacheTest, FaultIsReportedAndNotKept) {
  IdentityCache cache(100, quiet_points_);
  std::string broken = Certificate("alice");
  broken.pop_back();
  const Sha256Digest fingerprint = CertificateFingerprint(Bytes(broken));
  for (int i = 0; i < 2; ++i) {
    const IdentityLookup look = cache.FindOrRead(Bytes(broken), fingerprint);
    EXPECT_EQ(look.fault, CertificateFault::kBadEncoding);
    EXPECT_FALSE(look.identity);
    EXPECT_FALSE(look.hit);
  }
}

TEST_F(IdentityCacheTest, CapacityIsRoundedUpToWholeSets) {
  EXPECT_EQ(IdentityCache(0, quiet_points_).capacity(), 7u);
  EXPECT_EQ(IdentityCache(7, quiet_points_).capacity(), 7u);
  EXPECT_EQ(IdentityCache(8, quiet_points_).capacity(), 14u);
}

// Goal: the bound holds, and what was in use lately survives what was not.
TEST_F(IdentityCacheTest, FullSetEvictsTheUnused) {
  IdentityCache cache(7, quiet_points_);
  const std::vector<Leaf> leaves = Leaves(20);
  for (size_t i = 0; i < 7; ++i) EXPECT_FALSE(Look(cache, leaves[i]).evicted);
  EXPECT_TRUE(cache.Find(leaves[3].fingerprint));  // Used; the six others are not.
  for (size_t i = 7; i < 13; ++i) EXPECT_TRUE(Look(cache, leaves[i]).evicted);
  EXPECT_TRUE(cache.Find(leaves[3].fingerprint));
  size_t kept = 0;
  for (const Leaf& leaf : leaves) kept += cache.Find(leaf.fingerprint) ? 1 : 0;
  EXPECT_EQ(kept, 7u);
}

TEST_F(IdentityCacheTest, AllUsedStillEvictsOne) {
  IdentityCache cache(7, quiet_points_);
  const std::vector<Leaf> leaves = Leaves(8);
  for (size_t i = 0; i < 7; ++i) (void)Look(cache, leaves[i]);
  for (size_t i = 0; i < 7; ++i) EXPECT_TRUE(cache.Find(leaves[i].fingerprint));
  EXPECT_TRUE(Look(cache, leaves[7]).evicted);
  EXPECT_TRUE(cache.Find(leaves[7].fingerprint));
}

TEST_F(IdentityCacheTest, HolderOutlivesEvictionAndCache) {
  PeerIdentityRef held;
  {
    IdentityCache cache(7, quiet_points_);
    const Leaf leaf("alice");
    held = Look(cache, leaf).identity;
    for (const Leaf& other : Leaves(50)) (void)Look(cache, other);
    EXPECT_FALSE(cache.Find(leaf.fingerprint));
    quiet_points_.Announce(0);
    quiet_points_.Reclaim();
    EXPECT_EQ(held->subject_dn(), "CN=alice");
  }
  EXPECT_EQ(held->subject_dn(), "CN=alice");
}

TEST_F(IdentityCacheTest, EvictedIsReclaimedAtAQuietPoint) {
  IdentityCache cache(7, quiet_points_);
  for (const Leaf& leaf : Leaves(17)) (void)Look(cache, leaf);
  EXPECT_EQ(quiet_points_.Reclaim(), 10u);  // This reader might still hold them.
  quiet_points_.Announce(0);
  EXPECT_EQ(quiet_points_.Reclaim(), 0u);
}

TEST_F(IdentityCacheTest, OversizedIdentityIsReadEveryTime) {
  IdentityCache cache(100, quiet_points_);
  const Leaf big(std::string(kCachedIdentityBytesMax / 2, 'x'));
  for (int i = 0; i < 2; ++i) {
    const IdentityLookup look = Look(cache, big);
    ASSERT_TRUE(look.identity);
    EXPECT_GT(look.identity->memory_bytes(), kCachedIdentityBytesMax);
    EXPECT_FALSE(look.hit);
  }
}

// Goal: readers and writers on a cache much too small never see a wrong or freed identity.
// ThreadSanitizer and AddressSanitizer are the judges; every thread reads the text of everything it
// gets.
TEST(IdentityCacheStressTest, ReadersAndWritersOnASmallCache) {
  constexpr uint32_t kThreads = 4;
  constexpr int kTurns = 2000;
  core::QuietPoints quiet_points(kThreads);
  const auto cache = std::make_unique<IdentityCache>(28, quiet_points);
  const std::vector<Leaf> leaves = Leaves(64);
  std::atomic<int> wrong{0};
  const auto run = [&](uint32_t self) {
    uint32_t random = self * 2654435761u + 1;
    std::vector<PeerIdentityRef> held(8);
    for (int turn = 0; turn < kTurns; ++turn) {
      quiet_points.GoOnline(self);
      for (int look = 0; look < 16; ++look) {
        random = random * 1664525u + 1013904223u;
        // Half of the looks go to a few: these should stay, the rest fight for room.
        const Leaf& leaf = leaves[(random & 0x10000) != 0 ? random >> 29 : random >> 26];
        IdentityLookup found = cache->FindOrRead(Bytes(leaf.der), leaf.fingerprint);
        if (!found.identity || found.identity->subject_dn() != "CN=" + leaf.name) ++wrong;
        held[random >> 8 & 7] = std::move(found.identity);
        if (look % 4 == 0) quiet_points.Announce(self);
      }
      quiet_points.GoOffline(self);
      for (const PeerIdentityRef& identity : held) {
        if (identity && identity->subject_dn() != identity->issuer_dn()) ++wrong;
      }
    }
  };
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kThreads; ++i) threads.emplace_back(run, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(quiet_points.Reclaim(), 0u);
}

}  // namespace
}  // namespace sallyport::tls
