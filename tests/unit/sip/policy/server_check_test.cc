#include "sip/policy/server_check.h"

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/test_certificates.h"
#include "tls/certificate_reader.h"

namespace sallyport::sip {
namespace {

// A certificate with that subjectAltName (OpenSSL syntax; empty: none).
tls::PeerIdentityRef Certificate(const std::string& subject_alt_name,
                                 const std::string& common_name = "cn.example") {
  test::TestCertificateSpec spec;
  spec.common_name = common_name;
  spec.subject_alt_name = subject_alt_name;
  const std::string der = test::MintSelfSigned(spec).Der();
  tls::CertificateReading reading =
      tls::ReadCertificate({reinterpret_cast<const uint8_t*>(der.data()), der.size()});
  EXPECT_TRUE(reading.identity);
  return std::move(reading.identity);
}

ServerVerdict Check(const std::string& subject_alt_name, std::string_view identity,
                    std::string_view dn = "", const IdentityOptions& options = {}) {
  const tls::PeerIdentityRef certificate = Certificate(subject_alt_name);
  return CheckServer({identity, dn}, DeriveSipIdentities(*certificate, options), *certificate);
}

TEST(ServerCheckTest, TheDomainAskedForMustBeProved) {
  EXPECT_EQ(Check("URI:sip:a.example", "a.example"), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("URI:sip:A.Example", "a.example"), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("DNS:a.example", "a.example"), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("DNS:b.example,DNS:a.example", "a.example"), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("DNS:b.example", "a.example"), ServerVerdict::kNameMismatch);
}

// RFC 5922 §7.2: no suffixes either way, no wildcards.
TEST(ServerCheckTest, OnlyWholeNamesMatch) {
  EXPECT_EQ(Check("DNS:a.example", "sip.a.example"), ServerVerdict::kNameMismatch);
  EXPECT_EQ(Check("DNS:sip.a.example", "a.example"), ServerVerdict::kNameMismatch);
  EXPECT_EQ(Check("DNS:a.example.evil.example", "a.example"), ServerVerdict::kNameMismatch);
  EXPECT_EQ(Check("DNS:*.a.example", "sip.a.example"), ServerVerdict::kNoIdentity);
  EXPECT_EQ(Check("DNS:*.a.example,DNS:b.example", "sip.a.example"), ServerVerdict::kNameMismatch);
}

// RFC 5922 §7.1: a URI entry silences the DNS entries; users are no domains.
TEST(ServerCheckTest, UriEntriesSilenceDnsEntries) {
  EXPECT_EQ(Check("URI:sip:b.example,DNS:a.example", "a.example"), ServerVerdict::kNameMismatch);
  EXPECT_EQ(Check("URI:https://b.example,DNS:a.example", "a.example"), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("URI:sip:alice@a.example", "a.example"), ServerVerdict::kNoIdentity);
  EXPECT_EQ(Check("IP:192.0.2.1", "192.0.2.1"), ServerVerdict::kNoIdentity);
}

TEST(ServerCheckTest, TheCommonNameCountsAsTheProfileSays) {
  EXPECT_EQ(Check("", "cn.example"), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("DNS:a.example", "cn.example"), ServerVerdict::kNameMismatch);
  EXPECT_EQ(Check("", "cn.example", "", {.cn_identity = false}), ServerVerdict::kNoIdentity);
  // An address of a user names no domain, whatever the profile makes of it.
  EXPECT_EQ(Check("email:alice@a.example", "a.example", "", {.use_email_as_sip = true}),
            ServerVerdict::kNoIdentity);
}

TEST(ServerCheckTest, TheSubjectIsComparedByValue) {
  EXPECT_EQ(Check("DNS:a.example", "", "CN=cn.example"), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("DNS:a.example", "", "2.5.4.3 = CN.EXAMPLE"), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("DNS:a.example", "", "CN=a.example"), ServerVerdict::kDnMismatch);
  EXPECT_EQ(Check("DNS:a.example", "", "CN=cn.example,O=Example"), ServerVerdict::kDnMismatch);
  EXPECT_EQ(Check("DNS:a.example", "", "not a name"), ServerVerdict::kDnMismatch);
}

TEST(ServerCheckTest, NameAndSubjectMustBothHold) {
  EXPECT_EQ(Check("DNS:a.example", "a.example", "CN=cn.example"), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("DNS:a.example", "b.example", "CN=cn.example"), ServerVerdict::kNameMismatch);
  EXPECT_EQ(Check("DNS:a.example", "a.example", "CN=other"), ServerVerdict::kDnMismatch);
}

TEST(ServerCheckTest, WithoutAnExpectationAnyVerifiedCertificateWillDo) {
  EXPECT_EQ(Check("DNS:b.example", ""), ServerVerdict::kAccepted);
  EXPECT_EQ(Check("IP:192.0.2.1", ""), ServerVerdict::kAccepted);
}

TEST(ServerCheckTest, EveryVerdictHasAText) {
  for (const ServerVerdict verdict : {ServerVerdict::kAccepted, ServerVerdict::kNameMismatch,
                                      ServerVerdict::kDnMismatch, ServerVerdict::kNoIdentity}) {
    EXPECT_FALSE(ServerVerdictText(verdict).empty());
  }
}

}  // namespace
}  // namespace sallyport::sip
