#include "sip/proxy/route_token.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "sip/proxy/flow_token.h"

namespace sallyport::sip {
namespace {

constexpr char kOldKey[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
constexpr char kNewKey[] = "ffeeddccbbaa99887766554433221100f0e0d0c0b0a090807060504030201000";

tls::Secret SecretOf(const std::string& lines) { return *tls::Secret::Parse(lines, "test"); }

std::string Text(const RouteTokenSigner& signer, const InsideTarget& target) {
  std::string text(RouteTokenSigner::kTextBytesMax, '\0');
  text.resize(signer.Write(target, text.data()));
  return text;
}

core::SocketAddress Address(std::string_view text) { return *core::SocketAddress::Parse(text); }

std::vector<InsideTarget> Targets() {
  std::vector<InsideTarget> targets;
  for (const char* address :
       {"192.0.2.1:5060", "192.0.2.2:5060", "192.0.2.1:5061", "0.0.0.0:0", "255.255.255.255:65535",
        "[2001:db8::1]:5060", "[2001:db8::2]:5060", "[2001:db8::1]:5061", "[fe80::1%2]:5060",
        "[::ffff:192.0.2.1]:5060"}) {
    for (const auto transport :
         {TransportProtocol::kUdp, TransportProtocol::kTcp, TransportProtocol::kTls}) {
      targets.push_back({transport, Address(address), false, 0});
      targets.push_back({transport, Address(address), true, NextHopNameHash("core")});
      if (transport != TransportProtocol::kTls) continue;
      targets.push_back({transport, Address(address), true, 7, IdentityHash("sip.example")});
    }
  }
  return targets;
}

TEST(RouteTokenTest, ReadsBackWhatItWroteAndNoTwoAreAlike) {
  const RouteTokenSigner signer(SecretOf(kOldKey));
  std::set<std::string> texts;
  for (const InsideTarget& target : Targets()) {
    const std::string text = Text(signer, target);
    EXPECT_TRUE(texts.insert(text).second);
    EXPECT_EQ(signer.Read(text), target) << target.address.ToString();
  }
}

// Goal: nobody from outside chooses an inside target. Method: every other character at every place,
// every shorter text, of the shortest and the longest token.
TEST(RouteTokenTest, ChangedOrCutTokensNameNothing) {
  const RouteTokenSigner signer(SecretOf(kOldKey));
  const std::string others = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=%";
  for (const InsideTarget& target :
       {InsideTarget{TransportProtocol::kUdp, Address("192.0.2.1:5060"), false, 0},
        InsideTarget{TransportProtocol::kTls, Address("[2001:db8::1]:5061"), true, 7}}) {
    const std::string text = Text(signer, target);
    for (size_t at = 0; at < text.size(); ++at) {
      EXPECT_EQ(signer.Read(std::string_view(text).substr(0, at)), std::nullopt) << at;
      for (const char c : others) {
        std::string changed = text;
        if (changed[at] == c) continue;
        changed[at] = c;
        EXPECT_EQ(signer.Read(changed), std::nullopt) << at << " " << c;
      }
    }
    EXPECT_EQ(signer.Read(text + "A"), std::nullopt);
    EXPECT_EQ(signer.Read(text + "AA"), std::nullopt);
  }
}

TEST(RouteTokenTest, SurvivesRotationAndNoOtherSecret) {
  const InsideTarget target{TransportProtocol::kTcp, Address("192.0.2.1:5060"), false, 0};
  const std::string text = Text(RouteTokenSigner(SecretOf(kOldKey)), target);
  EXPECT_EQ(RouteTokenSigner(SecretOf(std::string(kNewKey) + "\n" + kOldKey)).Read(text), target);
  EXPECT_EQ(RouteTokenSigner(SecretOf(kNewKey)).Read(text), std::nullopt);
}

TEST(RouteTokenTest, TokensOfOtherUsesAreNone) {
  const tls::Secret secret = SecretOf(kOldKey);
  const FlowTokenSigner flows(secret, "edge-1", 1);
  std::string flow(FlowTokenSigner::kTextBytes, '\0');
  flows.Write({}, flow.data());
  EXPECT_EQ(RouteTokenSigner(secret).Read(flow), std::nullopt);
  FlowToken read;
  EXPECT_EQ(flows.Read(Text(RouteTokenSigner(secret),
                            {TransportProtocol::kUdp, Address("[2001:db8::1]:5060"), false, 0}),
                       read),
            FlowTokenSigner::Outcome::kForged);
}

TEST(RouteTokenTest, NamesOfNextHopsHashToOneValueForEver) {
  EXPECT_EQ(NextHopNameHash("core"), NextHopNameHash("core"));
  EXPECT_NE(NextHopNameHash("core"), NextHopNameHash("core2"));
  EXPECT_EQ(NextHopNameHash("abc"), 0xba7816bfU);  // The first octets of SHA-256, FIPS 180-2 B.1.
}

}  // namespace
}  // namespace sallyport::sip
