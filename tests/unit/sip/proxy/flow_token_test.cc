#include "sip/proxy/flow_token.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "sip/message/uri.h"

namespace sallyport::sip {
namespace {

using Outcome = FlowTokenSigner::Outcome;

constexpr char kOldKey[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
constexpr char kNewKey[] = "ffeeddccbbaa99887766554433221100f0e0d0c0b0a090807060504030201000";

tls::Secret SecretOf(const std::string& lines) { return *tls::Secret::Parse(lines, "test"); }

FlowTokenSigner Signer() { return FlowTokenSigner(SecretOf(kOldKey), "edge-1", 7); }

std::string Text(const FlowTokenSigner& signer, const FlowToken& token) {
  std::string text(FlowTokenSigner::kTextBytes, '\0');
  signer.Write(token, text.data());
  return text;
}

constexpr FlowToken kToken{3, {4711, 12}, 2, 0x0123456789abcdef, true};

// The default, everything at its largest, and each field alone changed.
std::vector<FlowToken> Tokens() {
  return {FlowToken(),
          {255, {0xffffffff, 0xffffffff}, 255, ~uint64_t{0}, true},
          kToken,
          {4, {4711, 12}, 2, 0x0123456789abcdef, true},
          {3, {4712, 12}, 2, 0x0123456789abcdef, true},
          {3, {4711, 13}, 2, 0x0123456789abcdef, true},
          {3, {4711, 12}, 3, 0x0123456789abcdef, true},
          {3, {4711, 12}, 2, 0x0123456789abcdee, true},
          {3, {4711, 12}, 2, 0x0123456789abcdef, false}};
}

TEST(FlowTokenTest, ReadsBackWhatItWroteAndNoTwoAreAlike) {
  const FlowTokenSigner signer = Signer();
  std::set<std::string> texts;
  for (const FlowToken& token : Tokens()) {
    const std::string text = Text(signer, token);
    EXPECT_TRUE(texts.insert(text).second);
    FlowToken read;
    EXPECT_EQ(signer.Read(text, read), Outcome::kOk);
    EXPECT_EQ(read, token);
  }
}

TEST(FlowTokenTest, StandsInAUriWithoutEscapes) {
  const std::string text = Text(Signer(), kToken);
  const std::string whole = "sip:" + text + "@edge.example:5061;lr;ob;dt=" + text;
  Uri uri;
  ASSERT_EQ(ParseUri(whole, uri), UriOutcome::kOk);
  EXPECT_EQ(uri.user, text);
}

// Goal: nobody can make or change one (RFC 5626 §5.2). Method: change each character to every other
// of the alphabet, and to some outside it.
TEST(FlowTokenTest, Rfc5626_5_2_EveryChangedCharacterIsForged) {
  const FlowTokenSigner signer = Signer();
  const std::string text = Text(signer, kToken);
  const std::string others =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=%.";
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char c : others + '\0') {
      std::string changed = text;
      if (changed[at] == c) continue;
      changed[at] = c;
      FlowToken read;
      EXPECT_EQ(signer.Read(changed, read), Outcome::kForged) << at << " " << c;
    }
  }
}

TEST(FlowTokenTest, EveryOtherLengthIsForged) {
  const FlowTokenSigner signer = Signer();
  const std::string text = Text(signer, kToken);
  FlowToken read;
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(signer.Read(std::string_view(text).substr(0, size), read), Outcome::kForged) << size;
  }
  for (const char* more : {"A", "AA", "=", "AAAA"}) {
    EXPECT_EQ(signer.Read(text + more, read), Outcome::kForged) << more;
  }
}

TEST(FlowTokenTest, Rfc5626_5_3_AnotherProcessIsElsewhereAndTellsWhatToDo) {
  const FlowTokenSigner signer = Signer();
  for (const bool falls_back : {false, true}) {
    FlowToken token = kToken;
    token.falls_back = falls_back;
    const std::string text = Text(signer, token);
    for (const auto& [instance, boot_epoch] :
         {std::pair("edge-1", 8), std::pair("edge-2", 7), std::pair("", 7)}) {
      const FlowTokenSigner other(SecretOf(kOldKey), instance, static_cast<uint64_t>(boot_epoch));
      FlowToken read;
      EXPECT_EQ(other.Read(text, read), Outcome::kElsewhere);
      EXPECT_EQ(read.falls_back, falls_back);
      EXPECT_EQ(read.peer_key, token.peer_key);
    }
  }
}

TEST(FlowTokenTest, AnotherSecretIsForgedAndRotationIsNot) {
  const std::string text = Text(Signer(), kToken);
  FlowToken read;
  EXPECT_EQ(FlowTokenSigner(SecretOf(kNewKey), "edge-1", 7).Read(text, read), Outcome::kForged);
  const FlowTokenSigner rotated(SecretOf(std::string(kNewKey) + "\n" + kOldKey), "edge-1", 7);
  EXPECT_EQ(rotated.Read(text, read), Outcome::kOk);
  EXPECT_NE(Text(rotated, kToken), text);
}

}  // namespace
}  // namespace sallyport::sip
