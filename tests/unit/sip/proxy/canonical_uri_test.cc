// Goal: two URIs count as one exactly where a stack may have reprinted one as the other. Method:
// classes of spellings; each is one URI, and no two are.
#include "sip/proxy/canonical_uri.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/guarded_copy.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using test::GuardedCopy;
using test::ParsedUri;

// Nothing: it has no canonical form, or does not fit into `room`.
std::optional<std::string> Canonical(std::string_view text, size_t room = 8192) {
  const GuardedCopy copy(text);
  std::string octets(room, '\0');
  OctetWriter writer({reinterpret_cast<uint8_t*>(octets.data()), octets.size()});
  if (!AddCanonicalUri(ParsedUri(copy.view()), writer)) return std::nullopt;
  octets.resize(writer.written().size());
  return octets;
}

bool IsSame(std::string_view a, std::string_view b) {
  return IsSameUri(ParsedUri(a), ParsedUri(b));
}

const std::vector<std::vector<std::string>>& Classes() {
  static const std::vector<std::vector<std::string>> classes = {
      {"sip:bob@b.example", "SIP:bob@B.EXAMPLE", "sip:%62o%62@b.example", "sip:bob@b.example."},
      {"sips:bob@b.example"},
      {"sip:Bob@b.example"},
      {"sip:b.example"},
      {"sip:bob@b.example:5060"},
      {"sip:bob@b.example:5061"},
      {"sip:bob@c.example"},
      {"sip:bob@b.example.com"},
      {"sip:bob@b.example;lr", "sip:bob@b.example;lr=on", "sip:bob@b.example;LR=1",
       "sip:bob@b.example;lr=x"},
      {"sip:bob@b.example;lr;transport=tcp", "sip:bob@b.example;transport=tcp;lr=on",
       "sip:bob@b.example;Transport=tcp;lr"},
      {"sip:bob@b.example;lr;transport=TCP"},
      {"sip:bob@b.example;lr;transport=tls"},
      {"sip:bob@b.example;lr;maddr=192.0.2.1"},
      {"sip:bob@b.example;lr;x", "sip:bob@b.example;X;lr"},
      {"sip:bob@b.example;lr;x=y"},
      {"sip:bob@b.example;lr;x=Y"},
      {"sip:bob@b.example;lr;x=y;x=z", "sip:bob@b.example;x=z;lr;x=y"},
      {"sip:bob@b.example;lr;x=y;x=y"},
      {"sip:bob@b.example;lr;xy"},
      {"sip:bob@[2001:db8::1]", "sip:bob@[2001:DB8::1]"},
      {"sip:bob@192.0.2.1"},
      {"sip:bob;x=y@b.example"},
      {"sip:bob%40b.example@b.example"},
      {"tel:+1-900-555", "TEL:+1900555", "tel:+1(900)5.55"},
      {"tel:1900555"},
      {"tel:+19005551"},
      {"tel:+1900555;ext=1", "tel:+1-900-555;EXT=1"},
      {"sip:+1900555@b.example"},
      {"tel:7042;phone-context=b.example"},
      {"tel:7042;phone-context=c.example"},
      {"tel:70aB", "tel:70Ab"},
  };
  return classes;
}

TEST(CanonicalUriTest, SpellingsOfOneUriAreOneAndNoTwoUrisAre) {
  for (size_t i = 0; i < Classes().size(); ++i) {
    for (size_t j = 0; j < Classes().size(); ++j) {
      for (const std::string& a : Classes()[i]) {
        for (const std::string& b : Classes()[j]) {
          EXPECT_EQ(IsSame(a, b), i == j) << a << " " << b;
          EXPECT_EQ(Canonical(a) == Canonical(b), i == j) << a << " " << b;
        }
      }
    }
  }
}

TEST(CanonicalUriTest, NothingIsBoundToWhatHasNoForm) {
  for (const char* uri :
       {"sip:bob:secret@b.example", "sip:bob:@b.example", "sip:bob@b.example?Subject=x",
        "mailto:bob@b.example", "urn:service:sos", "http://b.example/"}) {
    EXPECT_EQ(Canonical(uri), std::nullopt) << uri;
    EXPECT_FALSE(IsSame(uri, uri)) << uri;
  }
}

TEST(CanonicalUriTest, ParametersHaveABound) {
  std::string uri = "sip:b.example";
  for (size_t i = 0; i < kCanonicalParamsMax; ++i) uri += ";p" + std::to_string(i);
  EXPECT_NE(Canonical(uri), std::nullopt);
  EXPECT_EQ(Canonical(uri + ";q"), std::nullopt);
}

TEST(CanonicalUriTest, UserHasABound) {
  EXPECT_NE(Canonical("sip:" + std::string(1024, 'u') + "@b.example"), std::nullopt);
  EXPECT_EQ(Canonical("sip:" + std::string(1025, 'u') + "@b.example"), std::nullopt);
}

TEST(CanonicalUriTest, NeedsRoomForAllOfIt) {
  for (const char* uri : {"sip:bob@b.example;lr;x=y", "tel:+1-900;ext=1"}) {
    const size_t size = Canonical(uri)->size();
    EXPECT_NE(Canonical(uri, size), std::nullopt) << uri;
    for (size_t less = 0; less < size; ++less) {
      EXPECT_EQ(Canonical(uri, less), std::nullopt) << uri << less;
    }
  }
}

// Beyond kPartBytesMax a part is its digest: every octet still counts.
TEST(CanonicalUriTest, LongPartsAreComparedToTheirEnd) {
  for (const size_t size : {kPartBytesMax - 1, kPartBytesMax, kPartBytesMax + 1, size_t{1000}}) {
    for (const std::string& before :
         {std::string("sip:"), std::string("sip:b.example;x="), std::string("sip:b.example;lr;")}) {
      const std::string after = before == "sip:" ? "@b.example" : "";
      const std::string part(size, 'p');
      std::string other = part;
      other.back() = 'q';
      EXPECT_TRUE(IsSame(before + part + after, before + part + after)) << before << size;
      EXPECT_FALSE(IsSame(before + part + after, before + other + after)) << before << size;
      EXPECT_FALSE(IsSame(before + part + after, before + part + "p" + after)) << before << size;
    }
  }
}

// Goal: octets do not move between neighbours.
TEST(CanonicalUriTest, PartsHaveBorders) {
  EXPECT_FALSE(IsSame("sip:ab@c", "sip:a@bc"));
  EXPECT_FALSE(IsSame("sip:h;ab=c", "sip:h;a=bc"));
  EXPECT_FALSE(IsSame("sip:h;a=b;c", "sip:h;a;b=c"));
  EXPECT_FALSE(IsSame("tel:12;a=3", "tel:1;a=23"));
}

std::string DigestOf(const std::vector<std::string>& uris) {
  UriListDigest digest;
  for (const std::string& uri : uris) {
    if (!digest.Add(ParsedUri(uri))) return "";
  }
  const std::array<uint8_t, 32> octets = digest.digest();
  return std::string(octets.begin(), octets.end());
}

TEST(UriListDigestTest, ListIsItsUrisInOrder) {
  const std::string a = "sip:a.example;lr";
  const std::string b = "sip:b.example;lr";
  const std::vector<std::vector<std::string>> lists = {{},
                                                       {a},
                                                       {b},
                                                       {a, b},
                                                       {b, a},
                                                       {a, a},
                                                       {a, b, b},
                                                       {a, a, b},
                                                       {"sip:a.example"},
                                                       {"sips:a.example;lr"}};
  for (size_t i = 0; i < lists.size(); ++i) {
    for (size_t j = 0; j < lists.size(); ++j) {
      EXPECT_EQ(DigestOf(lists[i]) == DigestOf(lists[j]), i == j) << i << " " << j;
    }
  }
  EXPECT_EQ(DigestOf({"sip:A.example;lr=on", b}), DigestOf({a, b}));
}

TEST(UriListDigestTest, HoldsSixteenUris) {
  std::vector<std::string> uris(UriListDigest::kUrisMax, "sip:a.example;lr");
  EXPECT_NE(DigestOf(uris), "");
  uris.emplace_back("sip:a.example;lr");
  EXPECT_EQ(DigestOf(uris), "");
}

// After one that does not count there is none at all, whatever follows.
TEST(UriListDigestTest, OneWithoutAFormLeavesNone) {
  UriListDigest digest;
  EXPECT_TRUE(digest.ok());
  EXPECT_FALSE(digest.Add(ParsedUri("mailto:a@b.example")));
  EXPECT_FALSE(digest.ok());
  EXPECT_FALSE(digest.Add(ParsedUri("sip:a.example")));
  EXPECT_FALSE(digest.ok());
}

TEST(UriListDigestTest, LongListEndsWithoutADigest) {
  UriListDigest digest;
  std::string uri = "sip:" + std::string(120, 'u') + "@b.example";
  for (int i = 0; i < 14; ++i) uri += ";p" + std::to_string(i) + "=" + std::string(100, 'v');
  size_t added = 0;
  while (added < UriListDigest::kUrisMax && digest.Add(ParsedUri(uri))) ++added;
  EXPECT_GT(added, 1U);
  EXPECT_LT(added, UriListDigest::kUrisMax);
  EXPECT_FALSE(digest.ok());
}

}  // namespace
}  // namespace sallyport::sip
