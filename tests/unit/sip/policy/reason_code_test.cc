#include "sip/policy/reason_code.h"

#include <cctype>
#include <set>
#include <string_view>

#include "gtest/gtest.h"

namespace sallyport::sip {
namespace {

ReasonCode At(size_t index) { return static_cast<ReasonCode>(index); }

TEST(ReasonCodeTest, EveryCodeIsDistinctLowerCaseAndAnswered) {
  std::set<std::string_view> codes;
  for (size_t i = 0; i < kReasonCodeCount; ++i) {
    const ReasonText& text = TextOf(At(i));
    EXPECT_TRUE(codes.insert(text.code).second) << text.code;
    EXPECT_FALSE(text.code.empty());
    for (const char byte : text.code)
      EXPECT_TRUE(byte == '-' || std::islower(byte) != 0) << text.code;
    EXPECT_GE(text.status, 400);
    EXPECT_LT(text.status, 600);
    EXPECT_FALSE(text.phrase.empty()) << text.code;
    for (const char byte : text.phrase) EXPECT_TRUE(byte >= ' ' && byte < '\x7f') << text.code;
  }
  EXPECT_EQ(codes.size(), 27u);
}

// The verdict table of the interface, row by row: what operators and peers rely on.
TEST(ReasonCodeTest, AgreesWithTheInterface) {
  const struct {
    ReasonCode reason;
    std::string_view code;
    int status;
  } rows[] = {
      {ReasonCode::kFromNotCovered, "from-not-covered", 403},
      {ReasonCode::kNoIdentity, "no-identity", 403},
      {ReasonCode::kFromMalformed, "from-malformed", 400},
      {ReasonCode::kRegisterForAnother, "register-for-another", 403},
      {ReasonCode::kReferredByNotCovered, "referred-by-not-covered", 403},
      {ReasonCode::kReferredByMalformed, "referred-by-malformed", 400},
      {ReasonCode::kMalformed, "malformed", 400},
      {ReasonCode::kFraming, "framing", 400},
      {ReasonCode::kTooLarge, "too-large", 513},
      {ReasonCode::kVersion, "version", 505},
      {ReasonCode::kUriScheme, "uri-scheme", 416},
      {ReasonCode::kMaxForwards, "max-forwards", 483},
      {ReasonCode::kLoop, "loop", 482},
      {ReasonCode::kProxyRequire, "proxy-require", 420},
      {ReasonCode::kMaxBreadth, "max-breadth", 440},
      {ReasonCode::kRelay, "relay", 403},
      {ReasonCode::kPermission, "permission", 403},
      {ReasonCode::kSips, "sips", 480},
      {ReasonCode::kPeerRefused, "peer-refused", 403},
      {ReasonCode::kFlowToken, "flow-token", 403},
      {ReasonCode::kFlowGone, "flow-gone", 430},
      {ReasonCode::kOverload, "overload", 503},
      {ReasonCode::kLimit, "limit", 503},
      {ReasonCode::kNextHopUnreachable, "next-hop-unreachable", 503},
      {ReasonCode::kNextHopTls, "next-hop-tls", 503},
      {ReasonCode::kNextHopIdentity, "next-hop-identity", 502},
      {ReasonCode::kTimeout, "timeout", 408},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(CodeText(row.reason), row.code);
    EXPECT_EQ(TextOf(row.reason).status, row.status) << row.code;
  }
  EXPECT_EQ(TextOf(ReasonCode::kFromNotCovered).phrase, "From Not Covered By Certificate");
  EXPECT_EQ(TextOf(ReasonCode::kNoIdentity).phrase, "Mutual TLS Required");
  EXPECT_EQ(TextOf(ReasonCode::kFromMalformed).phrase, "Malformed From Header");
  EXPECT_EQ(TextOf(ReasonCode::kRegisterForAnother).phrase, "Registration For Another");
  EXPECT_EQ(TextOf(ReasonCode::kRelay).phrase, "Relaying Forbidden");
  EXPECT_EQ(TextOf(ReasonCode::kPeerRefused).phrase, "Peer Not Permitted");
  EXPECT_EQ(TextOf(ReasonCode::kNextHopIdentity).phrase,
            "Certificate identity does not match requested domain");
}

TEST(ReasonCodeTest, OnlyLostFramingClosesAndOnlyLoadRetries) {
  for (size_t i = 0; i < kReasonCodeCount; ++i) {
    const ReasonCode reason = At(i);
    EXPECT_EQ(TextOf(reason).closes_connection, reason == ReasonCode::kFraming);
    EXPECT_EQ(TextOf(reason).retry_after, reason == ReasonCode::kOverload ||
                                              reason == ReasonCode::kLimit ||
                                              reason == ReasonCode::kNextHopUnreachable);
  }
}

}  // namespace
}  // namespace sallyport::sip
