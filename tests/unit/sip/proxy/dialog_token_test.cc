#include "sip/proxy/dialog_token.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::sip {
namespace {

constexpr char kOldKey[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
constexpr char kNewKey[] = "ffeeddccbbaa99887766554433221100f0e0d0c0b0a090807060504030201000";
constexpr int64_t kNow = 1'800'000'000;

tls::Secret SecretOf(const std::string& lines) { return *tls::Secret::Parse(lines, "test"); }

Uri Parsed(std::string_view text) {
  Uri uri;
  EXPECT_EQ(ParseUri(text, uri), UriOutcome::kOk) << text;
  return uri;
}

struct Dialog {
  std::string call_id = "call-1@10.0.0.1";
  std::string tag = "tag-1";
  std::string remote = "sip:bob@b.example";
  std::string identity = "c.example";
};

std::string Write(const DialogTokenSigner& signer, const Dialog& dialog, int64_t now = kNow) {
  const Uri remote = Parsed(dialog.remote);
  std::string text(DialogTokenSigner::kTextBytesMax, '\0');
  text.resize(signer.Write({dialog.call_id, dialog.tag, &remote, dialog.identity}, now, text));
  return text;
}

// The identity that the token asks for; empty: it excuses nothing.
std::string Check(const DialogTokenSigner& signer, std::string_view text, const Dialog& dialog,
                  int64_t now = kNow) {
  const auto found = signer.Check(text, dialog.call_id, dialog.tag, Parsed(dialog.remote), now);
  return found.has_value() ? std::string(found->view()) : "";
}

TEST(DialogTokenTest, ExcusesThatFromAndTellsTheIdentity) {
  const DialogTokenSigner signer(SecretOf(kOldKey));
  for (const std::string& identity :
       {std::string("c.example"), std::string("#0123456789abcdef"), std::string("x"),
        std::string(DialogTokenSigner::kIdentityBytesMax, 'a')}) {
    const std::string text = Write(signer, {.identity = identity});
    ASSERT_FALSE(text.empty());
    EXPECT_LE(text.size(), DialogTokenSigner::kTextBytesMax);
    EXPECT_EQ(Check(signer, text, {}), identity);
    // As a parameter of a URI it needs no escapes.
    EXPECT_EQ(Parsed("sip:edge.example;lr;dt=" + text).params, ";lr;dt=" + text);
  }
}

TEST(DialogTokenTest, ExcusesNoOtherDialogTagOrFrom) {
  const DialogTokenSigner signer(SecretOf(kOldKey));
  const std::string text = Write(signer, {});
  for (const Dialog& other : std::vector<Dialog>{
           {.call_id = "call-2@10.0.0.1"},
           {.call_id = "CALL-1@10.0.0.1"},
           {.call_id = "call-1@10.0.0.1tag-1", .tag = "x"},
           {.call_id = ""},
           {.tag = "tag-2"},
           {.tag = "tag-1 "},
           {.tag = ""},
           {.remote = "sip:carol@b.example"},
           {.remote = "sip:Bob@b.example"},
           {.remote = "sip:bob@c.example"},
           {.remote = "sip:bob@b.example.com"},
           {.remote = "sip:bob@b.example:5060"},
           {.remote = "sip:b.example"},
           {.remote = "sip:bob:secret@b.example"},
           {.remote = "tel:+1900"},
           {.remote = "mailto:bob@b.example"},
       }) {
    EXPECT_EQ(Check(signer, text, other), "") << other.call_id << other.tag << other.remote;
  }
}

TEST(DialogTokenTest, OneAddrSpecHasManySpellings) {
  const DialogTokenSigner signer(SecretOf(kOldKey));
  const std::string text = Write(signer, {});
  for (const char* remote :
       {"sip:bob@B.EXAMPLE", "sips:bob@b.example", "SIP:%62o%62@b.example", "sip:bob@b.example.",
        "sip:bob@b.example;user=phone;x=y", "sip:bob@b.example?Subject=x"}) {
    EXPECT_EQ(Check(signer, text, {.remote = remote}), "c.example") << remote;
  }
  const std::string address = Write(signer, {.remote = "sip:bob@[2001:DB8::1]:5070"});
  EXPECT_EQ(Check(signer, address, {.remote = "sip:bob@[2001:db8::1]:5070"}), "c.example");
  EXPECT_EQ(Check(signer, address, {.remote = "sip:bob@[2001:db8::1]"}), "");
}

TEST(DialogTokenTest, Rfc3966_4_TelIsExcusedOnlyAsThatNumber) {
  const DialogTokenSigner signer(SecretOf(kOldKey));
  const std::string global = Write(signer, {.remote = "tel:+1-900-555"});
  EXPECT_EQ(Check(signer, global, {.remote = "tel:+1900555"}), "c.example");
  EXPECT_EQ(Check(signer, global, {.remote = "TEL:+1(900)555"}), "c.example");
  for (const char* other : {"tel:1900555", "tel:+19005550", "tel:+1900555;ext=1",
                            "sip:+1900555@b.example", "sip:+1-900-555@b.example"}) {
    EXPECT_EQ(Check(signer, global, {.remote = other}), "") << other;
  }
  const std::string local = Write(signer, {.remote = "tel:7042;phone-context=B.example"});
  EXPECT_EQ(Check(signer, local, {.remote = "tel:7042;phone-context=b.example"}), "c.example");
  EXPECT_EQ(Check(signer, local, {.remote = "tel:7042;phone-context=c.example"}), "");
  EXPECT_EQ(Check(signer, local, {.remote = "tel:7042"}), "");
}

TEST(DialogTokenTest, LivesForSevenDaysAndNotBeforeItsTime) {
  const DialogTokenSigner signer(SecretOf(kOldKey));
  const std::string text = Write(signer, {});
  constexpr int64_t kWeek = 7 * 24 * 3600;
  EXPECT_EQ(Check(signer, text, {}, kNow + kWeek), "c.example");
  EXPECT_EQ(Check(signer, text, {}, kNow + kWeek + 1), "");
  EXPECT_EQ(Check(signer, text, {}, kNow - 60), "c.example");
  EXPECT_EQ(Check(signer, text, {}, kNow - 61), "");
  EXPECT_EQ(Check(signer, text, {}, 0), "");
  EXPECT_EQ(Check(signer, text, {}, int64_t{1} << 40), "");
}

TEST(DialogTokenTest, EveryChangedOrMissingCharacterExcusesNothing) {
  const DialogTokenSigner signer(SecretOf(kOldKey));
  const std::string others = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=%";
  for (const char* identity : {"c.example", "cc.example", "ccc.example"}) {
    const std::string text = Write(signer, {.identity = identity});
    for (size_t at = 0; at < text.size(); ++at) {
      EXPECT_EQ(Check(signer, text.substr(0, at), {}), "") << at;
      for (const char c : others) {
        std::string changed = text;
        if (changed[at] == c) continue;
        changed[at] = c;
        EXPECT_EQ(Check(signer, changed, {}), "") << at << " " << c;
      }
    }
    EXPECT_EQ(Check(signer, text + "A", {}), "");
    EXPECT_EQ(Check(signer, text + "AA", {}), "");
    EXPECT_EQ(Check(signer, text + text, {}), "");
  }
}

TEST(DialogTokenTest, SurvivesRotationAndNoOtherSecret) {
  const std::string text = Write(DialogTokenSigner(SecretOf(kOldKey)), {});
  EXPECT_EQ(Check(DialogTokenSigner(SecretOf(std::string(kNewKey) + "\n" + kOldKey)), text, {}),
            "c.example");
  EXPECT_EQ(Check(DialogTokenSigner(SecretOf(kNewKey)), text, {}), "");
}

TEST(DialogTokenTest, IsNotIssuedForWhatItCannotCarry) {
  const DialogTokenSigner signer(SecretOf(kOldKey));
  for (const Dialog& dialog : std::vector<Dialog>{
           {.call_id = ""},
           {.tag = ""},
           {.remote = "mailto:bob@b.example"},
           {.remote = "sip:bob:secret@b.example"},
           {.identity = ""},
           {.identity = "C.example"},
           {.identity = "sip:c.example"},
           {.identity = "c.example "},
           {.identity = "#"},
           {.identity = "#0123456789abcde"},
           {.identity = "#0123456789abcdef0"},
           {.identity = "#0123456789ABCDEF"},
           {.identity = std::string(DialogTokenSigner::kIdentityBytesMax + 1, 'a')},
       }) {
    EXPECT_EQ(Write(signer, dialog), "") << dialog.remote << " " << dialog.identity;
  }
  EXPECT_EQ(Write(signer, {}, -1), "");
  EXPECT_EQ(Write(signer, {}, int64_t{1} << 32), "");
  EXPECT_NE(Write(signer, {}, (int64_t{1} << 32) - 1), "");
}

// The parts and 2 octets before each of Call-ID, tag, user and host, one for the scheme, two for
// the port: 1024 at most, together.
TEST(DialogTokenTest, IsNotIssuedBeyondItsBound) {
  const DialogTokenSigner signer(SecretOf(kOldKey));
  const size_t rest = std::string("tag-1bobb.example").size() + 4 * 2 + 1 + 2;
  const Dialog most = {.call_id = std::string(TokenSeal::kContextBytesMax - rest, 'c')};
  EXPECT_EQ(Check(signer, Write(signer, most), most), "c.example");
  const Dialog beyond = {.call_id = most.call_id + "c"};
  EXPECT_EQ(Write(signer, beyond), "");
  EXPECT_EQ(Check(signer, Write(signer, most), beyond), "");
  for (const size_t size : {1000UL, 1024UL, 1025UL, 70000UL, 65536UL + 5}) {
    const std::string text(size, 'x');
    EXPECT_EQ(Write(signer, {.call_id = text + text}), "");
    EXPECT_EQ(Write(signer, {.tag = text + text}), "");
    EXPECT_EQ(Write(signer, {.remote = "sip:" + text + "@b.example"}), "");
    EXPECT_EQ(Write(signer, {.remote = "tel:" + std::string(size + 24, '1')}), "");
  }
}

TEST(DialogTokenTest, NeedsRoom) {
  const DialogTokenSigner signer(SecretOf(kOldKey));
  const Uri remote = Parsed("sip:bob@b.example");
  const DialogClaim claim{"call", "tag", &remote, "c.example"};
  std::string room(DialogTokenSigner::kTextBytesMax, '\0');
  const size_t size = signer.Write(claim, kNow, room);
  ASSERT_GT(size, 0U);
  EXPECT_EQ(signer.Write(claim, kNow, std::span(room).first(size)), size);
  EXPECT_EQ(signer.Write(claim, kNow, std::span(room).first(size - 1)), 0U);
}

}  // namespace
}  // namespace sallyport::sip
