// Mints certificates for tests, good ones and every kind of bad one, with OpenSSL: a TLS stack that
// shares nothing with ours.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

struct evp_pkey_st;
struct x509_st;

namespace sallyport::test {

enum class TestKey : uint8_t { kP256, kP384, kRsa1024, kRsa2048, kEd25519 };
enum class TestDigest : uint8_t { kSha256, kSha1, kMd5 };

// Extension texts are OpenSSL's (x509v3_config(5)), such as "URI:sip:a.example,DNS:a.example";
// empty leaves the extension out.
struct TestCertificateSpec {
  std::string common_name = "peer";
  std::string subject_alt_name;
  std::string key_usage = "critical,digitalSignature";
  std::string extended_key_usage = "serverAuth,clientAuth";
  std::string basic_constraints;
  std::string name_constraints;
  std::string unknown_critical_extension;  // The text becomes an extension that no reader knows,
  std::string unknown_extension_oid = "1.3.6.1.4.1.55555.1";  // under this name.
  TestKey key = TestKey::kP256;
  TestDigest digest = TestDigest::kSha256;
  bool key_identifiers = true;
  std::optional<int64_t> serial = {};  // Nothing: a random one.
  int64_t not_before = 0;              // Unix seconds; 0: an hour ago.
  int64_t not_after = 0;               // 0: in a year.
  const struct TestCertificate* same_key_as = nullptr;
};

struct TestCertificate {
  std::string pem;
  std::string key_pem;
  std::shared_ptr<x509_st> certificate;
  std::shared_ptr<evp_pkey_st> key;

  std::string Der() const;
};

// CA:TRUE with keyCertSign and cRLSign.
TestCertificateSpec CaSpec(const std::string& common_name);
// A leaf with URI:sip:DOMAIN and DNS:DOMAIN.
TestCertificateSpec DomainSpec(const std::string& domain);

TestCertificate MintSelfSigned(const TestCertificateSpec& spec);
TestCertificate MintSignedBy(const TestCertificate& issuer, const TestCertificateSpec& spec);

}  // namespace sallyport::test
