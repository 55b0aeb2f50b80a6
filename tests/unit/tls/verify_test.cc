#include "tls/verify.h"

#include <gtest/gtest.h>

namespace sallyport::tls {
namespace {

CertificateFacts GoodFacts() {
  CertificateFacts facts;
  facts.not_before = 1000;
  facts.not_after = 2000;
  facts.key_algorithm = KeyAlgorithm::kEcP256;
  facts.key_bits = 256;
  return facts;
}

FailureReason Judge(const CertificateFacts& facts, int64_t now = 1500) {
  return JudgeLeaf(facts, EkuPolicy::kTls, PeerRole::kClient, now);
}

TEST(VerifyTest, ValidityIsInclusive) {
  EXPECT_EQ(Judge(GoodFacts(), 999), FailureReason::kNotYetValid);
  EXPECT_EQ(Judge(GoodFacts(), 1000), FailureReason::kNone);
  EXPECT_EQ(Judge(GoodFacts(), 2000), FailureReason::kNone);
  EXPECT_EQ(Judge(GoodFacts(), 2001), FailureReason::kExpired);
}

TEST(VerifyTest, KeysBelowTheFloorAreWeak) {
  CertificateFacts facts = GoodFacts();
  facts.key_algorithm = KeyAlgorithm::kRsa;
  facts.key_bits = 2047;
  EXPECT_EQ(Judge(facts), FailureReason::kWeak);
  facts.key_bits = 2048;
  EXPECT_EQ(Judge(facts), FailureReason::kNone);
  facts.key_algorithm = KeyAlgorithm::kEcOther;
  EXPECT_EQ(Judge(facts), FailureReason::kWeak);
  facts = GoodFacts();
  facts.weak_signature = true;
  EXPECT_EQ(Judge(facts), FailureReason::kWeak);
}

TEST(VerifyTest, KeyUsageMustAllowSignatures) {
  CertificateFacts facts = GoodFacts();
  facts.key_usage.present = true;
  facts.key_usage.key_encipherment = true;
  EXPECT_EQ(Judge(facts), FailureReason::kKeyUsage);
  facts.key_usage.digital_signature = true;
  EXPECT_EQ(Judge(facts), FailureReason::kNone);
}

TEST(VerifyTest, UnknownCriticalExtensionIsToldBeforeThePurpose) {
  CertificateFacts facts = GoodFacts();
  facts.has_unknown_critical = true;
  EXPECT_EQ(Judge(facts), FailureReason::kCriticalExtension);
  facts.key_usage.present = true;
  EXPECT_EQ(Judge(facts), FailureReason::kCriticalExtension);
  EXPECT_EQ(Judge(facts, 2001), FailureReason::kExpired);
}

// Goal: the EKU rule is total. Method: all sets of purposes, all policies, both roles, against the
// rule in words.
TEST(VerifyTest, EkuTable) {
  for (int bits = 0; bits < 64; ++bits) {
    ExtendedKeyUsage eku;
    eku.present = (bits & 1) != 0;
    if (!eku.present && bits != 0) continue;
    eku.server_auth = (bits & 2) != 0;
    eku.client_auth = (bits & 4) != 0;
    eku.any = (bits & 8) != 0;
    eku.sip_domain = (bits & 16) != 0;
    eku.other = (bits & 32) != 0;
    const bool common = !eku.present || eku.any || eku.sip_domain;
    EXPECT_EQ(EkuAllows(eku, EkuPolicy::kTls, PeerRole::kClient), common || eku.client_auth);
    EXPECT_EQ(EkuAllows(eku, EkuPolicy::kTls, PeerRole::kServer), common || eku.server_auth);
    for (const PeerRole role : {PeerRole::kClient, PeerRole::kServer}) {
      EXPECT_EQ(EkuAllows(eku, EkuPolicy::kTlsAnyRole, role),
                common || eku.client_auth || eku.server_auth);
      EXPECT_EQ(EkuAllows(eku, EkuPolicy::kSipDomain, role), eku.sip_domain);
      EXPECT_TRUE(EkuAllows(eku, EkuPolicy::kIgnore, role));
    }
  }
}

}  // namespace
}  // namespace sallyport::tls
