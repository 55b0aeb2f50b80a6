#include "sip/proxy/path_token.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "sip/message/uri.h"
#include "sip/proxy/dialog_pair.h"
#include "tests/support/guarded_copy.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using test::SecretOf;

PathTokenSigner Signer() { return PathTokenSigner(SecretOf(test::kOldKey)); }

std::string Text(const PathTokenSigner& signer, const PathToken& token) {
  std::string text(PathTokenSigner::kTextBytesMax, '\0');
  text.resize(signer.Write(token, text.data()));
  return text;
}

PathToken Token() {
  return {{7, 3, 2, {4711, 12}},
          {PartyKind::kDomain, 5, 0x0123456789abcdef, PartyDomain("b.example")}};
}

template <typename Change>
PathToken Changed(Change change) {
  PathToken token = Token();
  change(token);
  return token;
}

// The default, everything at its largest, and each field alone changed.
std::vector<PathToken> Tokens() {
  return {
      PathToken(),
      {{~0U, 0xff, 0xffff, {~0U, ~0U}},
       {PartyKind::kDomain, 0xff, ~uint64_t{0},
        PartyDomain(std::string(PartyDomain::kBytesMax, 'z'))}},
      Token(),
      Changed([](PathToken& token) { token.flow.process = 8; }),
      Changed([](PathToken& token) { token.flow.shard = 4; }),
      Changed([](PathToken& token) { token.flow.listener = 3; }),
      Changed([](PathToken& token) { token.flow.connection.slot = 4712; }),
      Changed([](PathToken& token) { token.flow.connection.generation = 13; }),
      Changed([](PathToken& token) { token.party.kind = PartyKind::kLeaf; }),
      Changed([](PathToken& token) { token.party.key_id = 6; }),
      Changed([](PathToken& token) { token.party.hash ^= 1; }),
      Changed([](PathToken& token) { token.party.domain = PartyDomain("c.example"); }),
      Changed([](PathToken& token) { token.party.domain = {}; }),
  };
}

TEST(PathTokenTest, ReadsBackWhatItWroteAndNoTwoAreAlike) {
  const PathTokenSigner signer = Signer();
  std::set<std::string> texts;
  for (const PathToken& token : Tokens()) {
    const std::string text = Text(signer, token);
    EXPECT_TRUE(texts.insert(text).second);
    EXPECT_EQ(signer.Read(text), token);
    EXPECT_TRUE(LooksLikeToken(text, TokenKind::kPath));
  }
}

TEST(PathTokenTest, StandsInAUriWithoutEscapes) {
  const std::string text = Text(Signer(), Token());
  Uri uri;
  ASSERT_EQ(ParseUri("sip:" + text + "@edge.example:5061;lr;ob", uri), UriOutcome::kOk);
}

// Goal: only we can make or change one (RFC 5626 §5.2). Method: change each character to every
// other of the alphabet, and to some outside it.
TEST(PathTokenTest, Rfc5626_5_2_EveryChangedCharacterIsForged) {
  const PathTokenSigner signer = Signer();
  for (const PathToken& token : {Token(), PathToken()}) {
    const std::string text = Text(signer, token);
    for (size_t at = 0; at < text.size(); ++at) {
      for (const char c : std::string(test::kBase64UrlAlphabet) + "+/=%." + '\0') {
        std::string changed = text;
        if (changed[at] == c) continue;
        changed[at] = c;
        EXPECT_EQ(signer.Read(changed), std::nullopt) << at << " " << c;
      }
    }
  }
}

TEST(PathTokenTest, EveryOtherLengthIsForged) {
  const PathTokenSigner signer = Signer();
  const std::string text = Text(signer, Token());
  for (size_t size = 0; size < text.size(); ++size) {
    const test::GuardedCopy cut(text.substr(0, size));
    EXPECT_EQ(signer.Read(cut.view()), std::nullopt) << size;
  }
  for (const char* more : {"A", "AA", "=", "AAAA"}) {
    EXPECT_EQ(signer.Read(text + more), std::nullopt) << more;
  }
}

// The flow is of one process; the token is authentic for all, so that a dead flow can be told from
// a forged one.
TEST(PathTokenTest, Rfc5626_5_3_AnotherProcessReadsItAndKnowsThatTheFlowIsElsewhere) {
  const std::optional<PathToken> read = Signer().Read(Text(Signer(), Token()));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->flow.process, 7U);
  EXPECT_TRUE(read->flow.is_known());
}

TEST(PathTokenTest, AnotherSecretIsForgedAndRotationIsNot) {
  const std::string text = Text(Signer(), Token());
  EXPECT_EQ(PathTokenSigner(SecretOf(test::kNewKey)).Read(text), std::nullopt);
  const PathTokenSigner rotated(test::RotatedSecret());
  EXPECT_EQ(rotated.Read(text), Token());
  EXPECT_NE(Text(rotated, Token()), text);
}

TEST(PathTokenTest, LinesOfPairsAreNone) {
  const DialogPairSigner pairs(SecretOf(test::kOldKey));
  const RecordRouteUri place{.host = "edge.example", .port = 5061};
  const test::PairUris single =
      test::WritePair(pairs, {test::OutsideSide({}), test::OutsideSide({})}, {}, place, place);
  const Uri uri = test::ParsedUri(single.caller);
  EXPECT_EQ(Signer().Read(uri.user), std::nullopt);
  EXPECT_FALSE(LooksLikeToken(uri.user, TokenKind::kPath));
}

}  // namespace
}  // namespace sallyport::sip
