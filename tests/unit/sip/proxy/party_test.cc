#include "sip/proxy/party.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using test::ParsedUri;
using test::SecretOf;
using test::StandingOf;

PartySealer Sealer() { return PartySealer(SecretOf(test::kOldKey)); }

Party For(const PeerStanding& standing, std::string_view addr_spec) {
  return PartyFor(standing, ParsedUri(addr_spec));
}

std::string LongDomain(size_t size) {
  std::string domain = std::string(size - 8, 'a') + ".example";
  for (size_t at = 50; at < size - 8; at += 50) domain[at] = '.';
  return domain;
}

TEST(PartyTest, DomainThatCoversTheAddressIsThePartyBeforeTheLeaf) {
  const PeerStanding standing = StandingOf({"a.example", "b.example"}, {{"carol", "a.example"}});
  for (const char* addr_spec :
       {"sip:alice@a.example", "sips:bob@A.EXAMPLE", "sip:carol@a.example", "sip:a.example:5061"}) {
    const Party party = For(standing, addr_spec);
    EXPECT_EQ(party.kind, PartyKind::kDomain) << addr_spec;
    EXPECT_EQ(party.domain.view(), "a.example") << addr_spec;
    EXPECT_EQ(party.id, For(standing, "sip:alice@a.example").id) << addr_spec;
  }
  EXPECT_EQ(For(standing, "sip:x@b.example").domain.view(), "b.example");
  EXPECT_NE(For(standing, "sip:x@b.example").id, For(standing, "sip:x@a.example").id);
}

TEST(PartyTest, WithoutACoveringDomainItIsTheLeaf) {
  const PeerStanding domain = StandingOf({"a.example"});
  const PeerStanding user = StandingOf({}, {{"carol", "u.example"}});
  for (const auto& [standing, addr_spec] :
       std::vector<std::pair<const PeerStanding*, const char*>>{{&domain, "sip:x@c.example"},
                                                                {&domain, "sip:x@x.a.example"},
                                                                {&domain, "tel:+1900"},
                                                                {&domain, "urn:x:a.example"},
                                                                {&user, "sip:carol@u.example"}}) {
    const Party party = For(*standing, addr_spec);
    EXPECT_EQ(party.kind, PartyKind::kLeaf) << addr_spec;
    EXPECT_EQ(party.domain.view(), "") << addr_spec;
    EXPECT_EQ(party.id, standing->leaf_id) << addr_spec;
  }
}

TEST(PartyTest, NoCertificateIsNoParty) {
  EXPECT_EQ(For(PeerStanding(), "sip:x@a.example").kind, PartyKind::kNone);
  EXPECT_EQ(PartyOfServer(PeerStanding(), "a.example").kind, PartyKind::kNone);
}

TEST(PartyTest, ServerIsTheDomainThatItProvedElseItsLeaf) {
  const PeerStanding standing = StandingOf({"a.example"});
  EXPECT_EQ(PartyOfServer(standing, "A.example").kind, PartyKind::kDomain);
  EXPECT_EQ(PartyOfServer(standing, "A.example").id, For(standing, "sip:x@a.example").id);
  for (const char* domain : {"", "b.example", "x.a.example"}) {
    EXPECT_EQ(PartyOfServer(standing, domain).kind, PartyKind::kLeaf) << domain;
  }
}

// A domain is every node of it; a leaf is one certificate. Both are of one profile.
TEST(PartyTest, IdIsOfTheProfileAndTheDomainOrLeaf) {
  const auto domain_id = [](uint8_t leaf, std::string_view profile) {
    return For(StandingOf({"a.example"}, {}, leaf, profile), "sip:x@a.example").id;
  };
  const auto leaf_id = [](uint8_t leaf, std::string_view profile) {
    return For(StandingOf({}, {}, leaf, profile), "sip:x@a.example").id;
  };
  EXPECT_EQ(domain_id(1, "federation"), domain_id(2, "federation"));
  EXPECT_NE(domain_id(1, "federation"), domain_id(1, "customers"));
  EXPECT_EQ(leaf_id(1, "federation"), leaf_id(1, "federation"));
  EXPECT_NE(leaf_id(1, "federation"), leaf_id(2, "federation"));
  EXPECT_NE(leaf_id(1, "federation"), leaf_id(1, "customers"));
  EXPECT_NE(domain_id(1, "federation"), leaf_id(1, "federation"));
}

TEST(PartyTest, LongDomainsCountByTheirLeaf) {
  const std::string longest = LongDomain(PartyDomain::kBytesMax);
  const std::string longer = LongDomain(PartyDomain::kBytesMax + 1);
  const PeerStanding standing = StandingOf({longest, longer});
  EXPECT_EQ(For(standing, "sip:x@" + longest).kind, PartyKind::kDomain);
  EXPECT_EQ(For(standing, "sip:x@" + longer).kind, PartyKind::kLeaf);
  EXPECT_EQ(PartyOfServer(standing, longer).kind, PartyKind::kLeaf);
}

TEST(PartyTest, SealedPartyIsProvedByItsOwnConnectionsAlone) {
  const PartySealer sealer = Sealer();
  const SealedParty domain = sealer.Seal(For(StandingOf({"a.example"}), "sip:alice@a.example"));
  EXPECT_EQ(domain.domain.view(), "a.example");
  EXPECT_TRUE(sealer.Proves(StandingOf({"a.example"}), domain));
  EXPECT_TRUE(sealer.Proves(StandingOf({"b.example", "a.example"}, {}, 2), domain));
  for (const PeerStanding& other :
       {StandingOf({"b.example"}), StandingOf({"x.a.example"}), StandingOf({}),
        StandingOf({}, {{"alice", "a.example"}}), StandingOf({"a.example"}, {}, 1, "customers")}) {
    EXPECT_FALSE(sealer.Proves(other, domain));
  }
  EXPECT_FALSE(sealer.Proves(PeerStanding(), domain));

  const PeerStanding carol = StandingOf({}, {{"carol", "u.example"}});
  const SealedParty leaf = sealer.Seal(For(carol, "sip:carol@u.example"));
  EXPECT_EQ(leaf.kind, PartyKind::kLeaf);
  EXPECT_TRUE(sealer.Proves(carol, leaf));
  for (const PeerStanding& other :
       {StandingOf({}, {{"carol", "u.example"}}, 2), StandingOf({"u.example"}, {}, 2),
        StandingOf({}, {{"carol", "u.example"}}, 1, "customers"), StandingOf({}, {}, 2)}) {
    EXPECT_FALSE(sealer.Proves(other, leaf));
  }
  EXPECT_FALSE(sealer.Proves(PeerStanding(), leaf));
}

TEST(PartyTest, NoPartyIsProvedByNothing) {
  const PartySealer sealer = Sealer();
  EXPECT_EQ(sealer.Seal(Party()), SealedParty());
  EXPECT_FALSE(sealer.Proves(StandingOf({"a.example"}), {}));
  EXPECT_FALSE(sealer.Proves(PeerStanding(), {}));
  EXPECT_TRUE(sealer.IsSame({}, Party()));
}

// An anonymous standing has zeros for its ids: they are no leaf's.
TEST(PartyTest, ZerosAreNoLeaf) {
  const PartySealer sealer = Sealer();
  const SealedParty zeros = sealer.Seal({.kind = PartyKind::kLeaf, .id = {}, .domain = {}});
  EXPECT_FALSE(sealer.Proves(PeerStanding(), zeros));
}

// Each field counts.
TEST(PartyTest, ChangedSealIsAnotherParty) {
  const PartySealer sealer = Sealer();
  const Party party = For(StandingOf({"a.example"}), "sip:x@a.example");
  const SealedParty sealed = sealer.Seal(party);
  EXPECT_TRUE(sealer.IsSame(sealed, party));
  SealedParty other = sealed;
  other.hash ^= 1;
  EXPECT_FALSE(sealer.IsSame(other, party));
  other = sealed;
  other.key_id ^= 1;
  EXPECT_FALSE(sealer.IsSame(other, party));
  other = sealed;
  other.kind = PartyKind::kLeaf;
  EXPECT_FALSE(sealer.IsSame(other, party));
  other = sealed;
  other.domain = PartyDomain("b.example");
  EXPECT_FALSE(sealer.IsSame(other, party));
  EXPECT_FALSE(sealer.Proves(StandingOf({"a.example", "b.example"}), other));
}

TEST(PartyTest, SealHidesTheIdAndLivesAsLongAsItsKey) {
  const PartySealer before = Sealer();
  const PartySealer during(test::RotatedSecret());
  const PartySealer after(SecretOf(test::kNewKey));
  const PeerStanding standing = StandingOf({"a.example"});
  const Party party = For(standing, "sip:x@a.example");
  const SealedParty old_seal = before.Seal(party);
  EXPECT_NE(old_seal.hash, after.Seal(party).hash);
  EXPECT_TRUE(during.Proves(standing, old_seal));
  EXPECT_TRUE(during.Proves(standing, after.Seal(party)));
  EXPECT_FALSE(after.Proves(standing, old_seal));
  EXPECT_EQ(during.keys(), 2U);
  EXPECT_EQ(during.Seal(party, 0), after.Seal(party));
  EXPECT_EQ(during.Seal(party, 1), old_seal);
  EXPECT_TRUE(during.IsSealedNow(during.Seal(party)));
  EXPECT_FALSE(during.IsSealedNow(old_seal));
}

TEST(PartyTest, KeysAreComparedInOrder) {
  EXPECT_TRUE(Sealer().HasSameKeys(Sealer()));
  EXPECT_FALSE(Sealer().HasSameKeys(PartySealer(SecretOf(test::kNewKey))));
  EXPECT_FALSE(Sealer().HasSameKeys(PartySealer(test::RotatedSecret())));
  const std::string swapped = std::string(test::kOldKey) + "\n" + test::kNewKey;
  EXPECT_FALSE(PartySealer(test::RotatedSecret()).HasSameKeys(PartySealer(SecretOf(swapped))));
}

TEST(PartyDomainTest, IsLowerCaseOfBoundedSize) {
  EXPECT_EQ(PartyDomain("A.Example").view(), "a.example");
  EXPECT_EQ(PartyDomain("A.Example"), PartyDomain("a.EXAMPLE"));
  EXPECT_EQ(PartyDomain().view(), "");
  const std::string longest(PartyDomain::kBytesMax, 'a');
  EXPECT_EQ(PartyDomain(longest).view(), longest);
}

}  // namespace
}  // namespace sallyport::sip
