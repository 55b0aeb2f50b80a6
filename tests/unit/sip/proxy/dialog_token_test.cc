#include "sip/proxy/dialog_token.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sip/proxy/canonical_uri.h"
#include "tests/support/guarded_copy.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using Outcome = DialogTokenOutcome;
using test::SecretOf;

constexpr int64_t kNow = 1'800'000'000;
constexpr int64_t kWeek = 7 * 24 * 3600;

struct Claim {
  uint8_t pair = 1;
  std::string near = "sip:ceo@edge.example";
  std::string far = "sip:bob@b.example";
  std::string contact = "sip:ceo@10.0.0.5:5080;transport=tcp";
  uint8_t route_set = 2;
};

struct Facts {
  explicit Facts(const Claim& claim)
      : near(test::ParsedUri(claim.near)),
        far(test::ParsedUri(claim.far)),
        contact(test::ParsedUri(claim.contact)) {
    pair[0] = claim.pair;
    route_set[31] = claim.route_set;
  }

  [[nodiscard]] DialogFacts get() const {
    return {.near = &near, .far = &far, .contact = &contact, .route_set = &route_set};
  }

  Uri near;
  Uri far;
  Uri contact;
  SealKeys::Mac pair = {};
  std::array<uint8_t, 32> route_set = {};
};

DialogTokenSigner Signer() { return DialogTokenSigner(SecretOf(test::kOldKey)); }

// Empty: none was written.
std::string Write(const DialogTokenSigner& signer, const Claim& claim, int64_t now = kNow) {
  const Facts facts(claim);
  const std::optional<DialogClaim> made = signer.ClaimOf(facts.get());
  if (!made) return {};
  std::string text(DialogTokenSigner::kTextBytes, '\0');
  return signer.Write(*made, facts.pair, now, text.data()) ? text : std::string();
}

Outcome Check(const DialogTokenSigner& signer, std::string_view text, const Claim& claim,
              int64_t now = kNow, size_t key = 0) {
  const Facts facts(claim);
  const test::GuardedCopy copy(text);
  return signer.Check(copy.view(), facts.get(), facts.pair, key, now);
}

Outcome Check(std::string_view text, const Claim& claim) { return Check(Signer(), text, claim); }

TEST(DialogTokenTest, IsExactForItsOwnClaimAndNeedsNoEscapes) {
  const std::string text = Write(Signer(), {});
  ASSERT_EQ(text.size(), DialogTokenSigner::kTextBytes);
  EXPECT_EQ(Check(text, {}), Outcome::kExact);
  EXPECT_EQ(test::ParsedUri("sip:edge.example;lr;dt=" + text).params, ";lr;dt=" + text);
}

TEST(DialogTokenTest, ExcusesNoOtherPairRouteFromOrTo) {
  const std::string text = Write(Signer(), {});
  for (const Claim& other : std::vector<Claim>{
           {.pair = 2},
           {.route_set = 3},
           {.near = "sip:boss@edge.example"},
           {.near = "sip:CEO@edge.example"},
           {.near = "sip:ceo@voice.example"},
           {.near = "sips:ceo@edge.example"},
           {.near = "sip:ceo@edge.example:5060"},
           {.near = "sip:ceo@edge.example;user=phone"},
           {.near = "sip:edge.example"},
           {.near = "tel:+1900"},
           {.near = "sip:ceo:secret@edge.example"},
           {.near = "mailto:ceo@edge.example"},
           {.far = "sip:carol@b.example"},
           {.far = "sip:bob@c.example"},
           {.far = "sip:bob@b.example.com"},
           {.far = "sips:bob@b.example"},
           {.far = "sip:bob@b.example?Subject=x"},
           {.far = "tel:+1900"},
           {.near = "sip:bob@b.example", .far = "sip:ceo@edge.example"},  // Swapped.
       }) {
    EXPECT_EQ(Check(text, other), Outcome::kForged) << other.near << " " << other.far;
  }
}

TEST(DialogTokenTest, AnotherContactIsToldApart) {
  const std::string text = Write(Signer(), {});
  for (const char* contact :
       {"sip:ceo@10.0.0.6:5080;transport=tcp", "sip:ceo@10.0.0.5:5081;transport=tcp",
        "sip:ceo@10.0.0.5;transport=tcp", "sip:ceo@10.0.0.5:5080",
        "sip:10.0.0.5:5080;transport=tcp", "sip:boss@10.0.0.5:5080;transport=tcp",
        "sips:ceo@10.0.0.5:5080;transport=tcp", "sip:ceo@10.0.0.5:5080;transport=tls",
        "sip:ceo@10.0.0.5:5080;transport=tcp;x",
        "sip:ceo@10.0.0.5:5080;transport=tcp;maddr=10.0.0.5",
        "sip:ceo@10.0.0.5:5080;transport=tcp?Subject=x", "sip:ceo:pw@10.0.0.5:5080;transport=tcp",
        "tel:+1900", "mailto:ceo@edge.example"}) {
    EXPECT_EQ(Check(text, {.contact = contact}), Outcome::kOtherContact) << contact;
  }
}

// What a stack may write otherwise (canonical_uri.h).
TEST(DialogTokenTest, OneUriHasManySpellings) {
  const std::string text = Write(Signer(), {.near = "sip:ceo@edge.example;user=phone;lr"});
  for (const Claim& same : std::vector<Claim>{
           {.near = "SIP:%63eo@EDGE.example;lr=on;User=phone"},
           {.near = "sip:ceo@edge.example.;lr;user=phone"},
       }) {
    EXPECT_EQ(Check(text, same), Outcome::kExact) << same.near;
  }
  EXPECT_EQ(Check(Write(Signer(), {}), {.contact = "sip:ceo@10.0.0.5:5080;TRANSPORT=tcp"}),
            Outcome::kExact);
  const std::string tel = Write(Signer(), {.far = "tel:+1-900-555"});
  EXPECT_EQ(Check(tel, {.far = "TEL:+1(900)555"}), Outcome::kExact);
  for (const char* other : {"tel:1900555", "tel:+19005550", "tel:+1900555;ext=1",
                            "sip:+1900555@b.example", "sip:+1-900-555@b.example"}) {
    EXPECT_EQ(Check(tel, {.far = other}), Outcome::kForged) << other;
  }
}

TEST(DialogTokenTest, LivesForSevenDaysAndNotBeforeItsTime) {
  const std::string text = Write(Signer(), {});
  const auto check = [&text](int64_t now) { return Check(Signer(), text, {}, now); };
  EXPECT_EQ(check(kNow + kWeek), Outcome::kExact);
  EXPECT_EQ(check(kNow + kWeek + 1), Outcome::kExpired);
  EXPECT_EQ(check(kNow - 60), Outcome::kExact);
  EXPECT_EQ(check(kNow - 61), Outcome::kExpired);
  EXPECT_EQ(check(0), Outcome::kExpired);
  EXPECT_EQ(check(int64_t{1} << 40), Outcome::kExpired);
  // Only what is authentic expires, and it does whatever the Contact.
  EXPECT_EQ(Check(Signer(), text, {.pair = 2}, kNow + kWeek + 1), Outcome::kForged);
  EXPECT_EQ(Check(Signer(), text, {.contact = "sip:x@y.example"}, kNow + kWeek + 1),
            Outcome::kExpired);
}

TEST(DialogTokenTest, EveryChangedOrMissingCharacterExcusesNothing) {
  const std::string text = Write(Signer(), {});
  const DialogTokenSigner signer = Signer();
  for (size_t at = 0; at < text.size(); ++at) {
    EXPECT_EQ(Check(signer, text.substr(0, at), {}), Outcome::kForged) << at;
    for (const char c : std::string(test::kBase64UrlAlphabet) + "+/=%\"") {
      std::string changed = text;
      if (changed[at] == c) continue;
      changed[at] = c;
      EXPECT_EQ(Check(signer, changed, {}), Outcome::kForged) << at << " " << c;
    }
  }
  for (const std::string& longer : {text + "A", text + "AA", text + "AAAA", text + text}) {
    EXPECT_EQ(Check(longer, {}), Outcome::kForged);
  }
}

// The pair says which key; the token is signed with the same one.
TEST(DialogTokenTest, SurvivesRotationUnderTheKeyOfItsPair) {
  const std::string text = Write(Signer(), {});
  const DialogTokenSigner rotated(test::RotatedSecret());
  EXPECT_EQ(Check(rotated, text, {}, kNow, 1), Outcome::kExact);
  EXPECT_EQ(Check(rotated, text, {}, kNow, 0), Outcome::kForged);
  EXPECT_EQ(Check(rotated, text, {}, kNow, 2), Outcome::kForged);
  EXPECT_EQ(Check(DialogTokenSigner(SecretOf(test::kNewKey)), text, {}), Outcome::kForged);
  EXPECT_EQ(Check(rotated, Write(rotated, {}), {}, kNow, 0), Outcome::kExact);
}

TEST(DialogTokenTest, IsNotIssuedForWhatHasNoCanonicalForm) {
  for (const Claim& claim : std::vector<Claim>{
           {.near = "mailto:ceo@edge.example"},
           {.near = "sip:ceo:secret@edge.example"},
           {.near = "sip:ceo@edge.example?Subject=x"},
           {.far = "urn:service:sos"},
           {.far = "sip:bob:@b.example"},
           {.contact = "sip:ceo@10.0.0.5?Route=x"},
           {.contact = "mailto:ceo@edge.example"},
           {.contact = "sip:" + std::string(1025, 'c') + "@10.0.0.5"},
       }) {
    EXPECT_EQ(Write(Signer(), claim), "") << claim.near << claim.far;
  }
}

TEST(DialogTokenTest, IsNotIssuedOutsideItsTime) {
  EXPECT_EQ(Write(Signer(), {}, -1), "");
  EXPECT_EQ(Write(Signer(), {}, int64_t{1} << 32), "");
  const int64_t last = (int64_t{1} << 32) - 1;
  EXPECT_EQ(Check(Signer(), Write(Signer(), {}, last), {}, last), Outcome::kExact);
}

// The longest URIs that have a canonical form are claimed whole.
TEST(DialogTokenTest, LongUrisAreComparedToTheirEnd) {
  const std::string user(1024, 'u');
  std::string params;
  for (size_t i = 0; i < kCanonicalParamsMax; ++i) {
    params += ";p" + std::to_string(i) + "=" + std::string(400, 'v');
  }
  const Claim claim{.near = "sip:" + user + "@edge.example" + params,
                    .far = "sip:" + user + "@b.example" + params,
                    .contact = "sip:" + user + "@10.0.0.5" + params};
  const std::string text = Write(Signer(), claim);
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(Check(text, claim), Outcome::kExact);
  for (const auto member : {&Claim::near, &Claim::far, &Claim::contact}) {
    Claim other = claim;
    (other.*member).back() = 'w';
    EXPECT_EQ(Check(text, other),
              member == &Claim::contact ? Outcome::kOtherContact : Outcome::kForged);
  }
}

}  // namespace
}  // namespace sallyport::sip
