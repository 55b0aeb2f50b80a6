#include "sip/proxy/party_directory.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using test::StandingOf;

FlowRef Flow(uint32_t slot, uint8_t shard = 0) { return {7, shard, 0, {slot, 1}}; }
constexpr FlowRef kNoFlow;

struct Scene {
  PartySealer sealer{test::SecretOf(test::kOldKey)};
  PartyDirectory directory{16};

  void Add(uint32_t slot, const PeerStanding& standing, uint8_t shard = 0) {
    directory.Add(Flow(slot, shard), standing, sealer);
  }
  void Remove(uint32_t slot, const PeerStanding& standing) {
    directory.Remove(Flow(slot), standing, sealer);
  }
  SealedParty Domain(const std::string& domain) const {
    return sealer.Seal(test::DomainPartyOf(domain));
  }
  SealedParty Leaf(uint8_t leaf) const {
    return sealer.Seal(PartyOfServer(StandingOf({}, {}, leaf), {}));
  }
  std::optional<FlowRef> Find(const SealedParty& party, const FlowRef& not_this = kNoFlow) const {
    return directory.Find(party, not_this);
  }
};

TEST(PartyDirectoryTest, FindsTheConnectionsOfADomain) {
  Scene scene;
  EXPECT_EQ(scene.Find(scene.Domain("a.example")), std::nullopt);
  scene.Add(1, StandingOf({"a.example", "b.example"}));
  scene.Add(2, StandingOf({"a.example"}, {}, 2));
  EXPECT_EQ(scene.Find(scene.Domain("a.example")), Flow(2)) << "the newest";
  EXPECT_EQ(scene.Find(scene.Domain("b.example")), Flow(1));
  EXPECT_EQ(scene.Find(scene.Domain("c.example")), std::nullopt);
}

// The one that is gone may still be noted.
TEST(PartyDirectoryTest, FindsAnotherThanTheOneThatIsGone) {
  Scene scene;
  scene.Add(1, StandingOf({"a.example"}));
  const SealedParty party = scene.Domain("a.example");
  EXPECT_EQ(scene.Find(party, Flow(1)), std::nullopt);
  scene.Add(2, StandingOf({"a.example"}));
  EXPECT_EQ(scene.Find(party, Flow(2)), Flow(1));
  EXPECT_EQ(scene.Find(party, Flow(1)), Flow(2));
}

// A user's certificate speaks for its leaf; a domain's does not: its nodes have many.
TEST(PartyDirectoryTest, LeafCountsForUsersAndForWhatProvesNothing) {
  Scene scene;
  scene.Add(1, StandingOf({"a.example"}, {}, 1));
  scene.Add(2, StandingOf({}, {{"carol", "u.example"}}, 2));
  scene.Add(3, StandingOf({}, {}, 3));
  scene.Add(4, StandingOf({"a.example"}, {{"carol", "u.example"}}, 4));
  EXPECT_EQ(scene.Find(scene.Leaf(1)), std::nullopt);
  EXPECT_EQ(scene.Find(scene.Leaf(2)), Flow(2));
  EXPECT_EQ(scene.Find(scene.Leaf(3)), Flow(3));
  EXPECT_EQ(scene.Find(scene.Leaf(4)), Flow(4));
  EXPECT_EQ(scene.Find(scene.Domain("u.example")), std::nullopt) << "a user is no domain";
  EXPECT_EQ(scene.Find(scene.Domain("a.example")), Flow(4));
}

TEST(PartyDirectoryTest, AnonymousConnectionsAreNoParty) {
  Scene scene;
  scene.Add(1, PeerStanding());
  EXPECT_EQ(scene.directory.size(), 0U);
  EXPECT_EQ(scene.Find({}), std::nullopt);
}

TEST(PartyDirectoryTest, PartyIsOfItsProfile) {
  Scene scene;
  scene.Add(1, StandingOf({"a.example"}, {}, 1, "customers"));
  EXPECT_EQ(scene.Find(scene.Domain("a.example")), std::nullopt);
  EXPECT_EQ(scene.Find(scene.sealer.Seal(test::DomainPartyOf("a.example", "customers"))), Flow(1));
}

TEST(PartyDirectoryTest, ClosedConnectionsGo) {
  Scene scene;
  const PeerStanding both = StandingOf({"a.example", "b.example"});
  scene.Add(1, both);
  scene.Add(2, both);
  scene.Remove(2, both);
  EXPECT_EQ(scene.Find(scene.Domain("a.example")), Flow(1));
  EXPECT_EQ(scene.Find(scene.Domain("b.example")), Flow(1));
  scene.Remove(2, both);  // Once more: nothing.
  scene.Remove(1, both);
  EXPECT_EQ(scene.directory.size(), 0U);
  EXPECT_EQ(scene.Find(scene.Domain("a.example")), std::nullopt);
}

TEST(PartyDirectoryTest, OldestFlowOfAPartyGoesFirst) {
  Scene scene;
  const PeerStanding standing = StandingOf({"a.example"});
  constexpr uint32_t kFlows = PartyDirectory::kFlowsMax;
  for (uint32_t slot = 1; slot <= kFlows + 1; ++slot) scene.Add(slot, standing);
  // Slot 1 has gone: when the others close, none is left.
  for (uint32_t slot = kFlows + 1; slot >= 2; --slot) {
    EXPECT_EQ(scene.Find(scene.Domain("a.example")), Flow(slot));
    scene.Remove(slot, standing);
  }
  EXPECT_EQ(scene.directory.size(), 0U);
}

TEST(PartyDirectoryTest, BeyondItsPartiesItNotesNoNewOne) {
  const PartySealer sealer(test::SecretOf(test::kOldKey));
  PartyDirectory directory(2);
  for (const char* domain : {"a.example", "b.example", "c.example"}) {
    directory.Add(Flow(1), StandingOf({domain}), sealer);
  }
  EXPECT_EQ(directory.size(), 2U);
  const auto find = [&](const char* domain) {
    return directory.Find(sealer.Seal(test::DomainPartyOf(domain)), kNoFlow);
  };
  EXPECT_EQ(find("c.example"), std::nullopt);
  // What is noted already takes further flows; room that is given back is used.
  directory.Add(Flow(2), StandingOf({"a.example"}), sealer);
  EXPECT_EQ(find("a.example"), Flow(2));
  directory.Remove(Flow(1), StandingOf({"b.example"}), sealer);
  directory.Add(Flow(3), StandingOf({"c.example"}), sealer);
  EXPECT_EQ(find("c.example"), Flow(3));
}

TEST(PartyDirectoryTest, DomainsOfOneCertificateHaveABound) {
  std::vector<std::string> domains;
  for (size_t i = 0; i <= PartyDirectory::kDomainsMax; ++i) {
    domains.push_back(std::string(i + 1, 'a') + ".example");  // Shorter hosts come first.
  }
  const PartySealer sealer(test::SecretOf(test::kOldKey));
  PartyDirectory directory(100);
  directory.Add(Flow(1), StandingOf(domains), sealer);
  EXPECT_EQ(directory.size(), PartyDirectory::kDomainsMax);
  directory.Remove(Flow(1), StandingOf(domains), sealer);
  EXPECT_EQ(directory.size(), 0U);
}

// A party that was sealed before rotation is found under its own key.
TEST(PartyDirectoryTest, EveryKeyOfTheSecretFindsIt) {
  const PartySealer rotated(test::RotatedSecret());
  const PartySealer old_sealer(test::SecretOf(test::kOldKey));
  PartyDirectory directory(16);
  const PeerStanding standing = StandingOf({"a.example"});
  directory.Add(Flow(1), standing, rotated);
  const Party party = test::DomainPartyOf("a.example");
  EXPECT_EQ(directory.Find(rotated.Seal(party), kNoFlow), Flow(1));
  EXPECT_EQ(directory.Find(old_sealer.Seal(party), kNoFlow), Flow(1));
  directory.Remove(Flow(1), standing, rotated);
  EXPECT_EQ(directory.size(), 0U);
}

// What was sealed with an older key is sealed anew while a connection proves it.
TEST(PartyDirectoryTest, IdentifiesWhatAnOpenConnectionProves) {
  const PartySealer rotated(test::RotatedSecret());
  const PartySealer old_sealer(test::SecretOf(test::kOldKey));
  PartyDirectory directory(16);
  const PeerStanding a = StandingOf({"a.example"});
  const PeerStanding carol = StandingOf({}, {{"carol", "u.example"}}, 2);
  directory.Add(Flow(1), a, rotated);
  directory.Add(Flow(2), carol, rotated);
  const Party leaf = PartyOfServer(carol, {});
  for (const Party& party : {test::DomainPartyOf("a.example"), leaf}) {
    const std::optional<Party> known = directory.Identify(old_sealer.Seal(party));
    ASSERT_TRUE(known.has_value());
    EXPECT_EQ(rotated.Seal(*known), rotated.Seal(party));
  }
  EXPECT_FALSE(directory.Identify(old_sealer.Seal(test::DomainPartyOf("b.example"))).has_value());
  EXPECT_FALSE(directory.Identify({}).has_value());
  directory.Remove(Flow(2), carol, rotated);
  EXPECT_FALSE(directory.Identify(old_sealer.Seal(leaf)).has_value());
}

TEST(PartyDirectoryTest, ShardTakesItsConnectionsAlong) {
  Scene scene;
  const PeerStanding standing = StandingOf({"a.example"});
  scene.Add(1, standing, 0);
  scene.Add(2, standing, 1);
  scene.Add(3, StandingOf({"b.example"}), 1);
  scene.directory.RemoveShard(1);
  EXPECT_EQ(scene.Find(scene.Domain("a.example")), Flow(1, 0));
  EXPECT_EQ(scene.Find(scene.Domain("b.example")), std::nullopt);
  EXPECT_EQ(scene.directory.size(), 1U);
}

TEST(PartyDirectoryTest, ThreadsMayShareIt) {
  Scene scene;
  std::vector<std::thread> shards;
  for (uint8_t shard = 0; shard < 4; ++shard) {
    shards.emplace_back([&scene, shard] {
      const PeerStanding standing = StandingOf({"a.example"});
      for (uint32_t slot = 1; slot <= 200; ++slot) {
        scene.directory.Add(Flow(slot, shard), standing, scene.sealer);
        EXPECT_TRUE(scene.Find(scene.Domain("a.example")).has_value());
        scene.directory.Remove(Flow(slot, shard), standing, scene.sealer);
      }
    });
  }
  for (std::thread& shard : shards) shard.join();
  EXPECT_EQ(scene.directory.size(), 0U);
}

}  // namespace
}  // namespace sallyport::sip
