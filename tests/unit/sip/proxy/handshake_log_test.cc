// Goal: subjectAltName is told as it stands in the certificate, each name with its type, and no
// certificate makes it long.
#include "sip/proxy/handshake_log.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/test_certificates.h"
#include "tls/certificate_reader.h"

namespace sallyport::sip {
namespace {

std::string SanOf(const std::string& names) {
  sallyport::test::TestCertificateSpec spec;
  spec.common_name = "no name of it";
  spec.subject_alt_name = names;
  const std::string der = sallyport::test::MintSelfSigned(spec).Der();
  const tls::CertificateReading read =
      tls::ReadCertificate({reinterpret_cast<const uint8_t*>(der.data()), der.size()});
  EXPECT_EQ(read.fault, tls::CertificateFault::kNone);
  return read.identity ? SanText(*read.identity) : "unreadable";
}

TEST(SanTextTest, EveryNameHasItsType) {
  EXPECT_EQ(
      SanOf("URI:sip:a.example,DNS:*.a.example,email:alice@a.example,IP:192.0.2.1,IP:2001:db8::1"),
      "URI:sip:a.example, DNS:*.a.example, email:alice@a.example, IP:192.0.2.1, "
      "IP:2001:db8::1");
  EXPECT_EQ(SanOf(""), "");
}

// The log cuts it and says so, so a little more than fits must be there.
TEST(SanTextTest, ManyNamesAndLongOnesAreCut) {
  std::string many = "DNS:first.example";
  for (int i = 0; i < 500; ++i) many += ",DNS:host" + std::to_string(i) + ".a.example";
  const std::string text = SanOf(many);
  EXPECT_TRUE(text.starts_with("DNS:first.example, DNS:host0.a.example, "));
  EXPECT_GT(text.size(), core::kLogValueBytesMax);
  EXPECT_LT(text.size(), 2 * core::kLogValueBytesMax);
  const std::string one = SanOf("URI:sip:" + std::string(4000, 'x') + ".example");
  EXPECT_GT(one.size(), core::kLogValueBytesMax);
  EXPECT_LT(one.size(), 2 * core::kLogValueBytesMax);
}

}  // namespace
}  // namespace sallyport::sip
