#include "tests/support/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "core/check.h"

namespace sallyport::test {
namespace {

std::shared_ptr<EVP_PKEY> MintKey(TestKey kind) {
  EVP_PKEY* key = nullptr;
  switch (kind) {
    case TestKey::kP256:
      key = EVP_EC_gen("P-256");
      break;
    case TestKey::kP384:
      key = EVP_EC_gen("P-384");
      break;
    case TestKey::kRsa1024:
      key = EVP_RSA_gen(1024);
      break;
    case TestKey::kRsa2048:
      key = EVP_RSA_gen(2048);
      break;
    case TestKey::kEd25519:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
  }
  CHECK(key != nullptr);
  return {key, &EVP_PKEY_free};
}

const EVP_MD* DigestFor(const EVP_PKEY* key, TestDigest digest) {
  if (EVP_PKEY_is_a(key, "ED25519")) return nullptr;
  switch (digest) {
    case TestDigest::kSha256:
      return EVP_sha256();
    case TestDigest::kSha1:
      return EVP_sha1();
    case TestDigest::kMd5:
      return EVP_md5();
  }
  return nullptr;
}

std::string ReadBio(BIO* bio) {
  char* data = nullptr;
  const long bytes = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(bytes));
  BIO_free(bio);
  return text;
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& text) {
  if (text.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str());
  CHECK(extension != nullptr);
  CHECK(X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

void AddUnknownCriticalExtension(X509* certificate, const std::string& text,
                                 const std::string& oid) {
  if (text.empty()) return;
  ASN1_OBJECT* const object = OBJ_txt2obj(oid.c_str(), 1);
  ASN1_OCTET_STRING* const value = ASN1_OCTET_STRING_new();
  ASN1_OCTET_STRING_set(value, reinterpret_cast<const unsigned char*>(text.data()),
                        static_cast<int>(text.size()));
  X509_EXTENSION* const extension = X509_EXTENSION_create_by_OBJ(nullptr, object, 1, value);
  CHECK(X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(value);
  ASN1_OBJECT_free(object);
}

void SetTimes(X509* certificate, const TestCertificateSpec& spec) {
  const int64_t now = std::time(nullptr);
  const int64_t from = spec.not_before != 0 ? spec.not_before : now - 3600;
  const int64_t until = spec.not_after != 0 ? spec.not_after : now + 365 * 86400;
  CHECK(ASN1_TIME_set(X509_getm_notBefore(certificate), from) != nullptr);
  CHECK(ASN1_TIME_set(X509_getm_notAfter(certificate), until) != nullptr);
}

// `issuer` null: self-signed.
TestCertificate Mint(const TestCertificateSpec& spec, const TestCertificate* issuer) {
  TestCertificate minted;
  minted.key = spec.same_key_as != nullptr ? spec.same_key_as->key : MintKey(spec.key);
  minted.certificate = std::shared_ptr<X509>(X509_new(), &X509_free);
  X509* const x509 = minted.certificate.get();
  X509* const issuer_x509 = issuer != nullptr ? issuer->certificate.get() : x509;
  EVP_PKEY* const signer = issuer != nullptr ? issuer->key.get() : minted.key.get();

  CHECK(X509_set_version(x509, X509_VERSION_3) == 1);
  uint64_t serial = 0;
  CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  const auto number = static_cast<int64_t>(serial >> 1 | 1);
  CHECK(ASN1_INTEGER_set_int64(X509_get_serialNumber(x509), spec.serial.value_or(number)) == 1);
  SetTimes(x509, spec);
  if (!spec.common_name.empty()) {
    CHECK(
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(spec.common_name.data()),
                                   static_cast<int>(spec.common_name.size()), -1, 0) == 1);
  }
  CHECK(X509_set_issuer_name(x509, X509_get_subject_name(issuer_x509)) == 1);
  CHECK(X509_set_pubkey(x509, minted.key.get()) == 1);
  AddExtension(x509, issuer_x509, NID_basic_constraints, spec.basic_constraints);
  AddExtension(x509, issuer_x509, NID_key_usage, spec.key_usage);
  AddExtension(x509, issuer_x509, NID_ext_key_usage, spec.extended_key_usage);
  AddExtension(x509, issuer_x509, NID_subject_alt_name, spec.subject_alt_name);
  AddExtension(x509, issuer_x509, NID_name_constraints, spec.name_constraints);
  if (spec.key_identifiers) {
    AddExtension(x509, issuer_x509, NID_subject_key_identifier, "hash");
    if (issuer != nullptr) AddExtension(x509, issuer_x509, NID_authority_key_identifier, "keyid");
  }
  AddUnknownCriticalExtension(x509, spec.unknown_critical_extension, spec.unknown_extension_oid);
  CHECK(X509_sign(x509, signer, DigestFor(signer, spec.digest)) > 0);

  BIO* bio = BIO_new(BIO_s_mem());
  CHECK(PEM_write_bio_X509(bio, x509) == 1);
  minted.pem = ReadBio(bio);
  bio = BIO_new(BIO_s_mem());
  CHECK(PEM_write_bio_PrivateKey(bio, minted.key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
        1);
  minted.key_pem = ReadBio(bio);
  return minted;
}

}  // namespace

std::string TestCertificate::Der() const {
  unsigned char* der = nullptr;
  const int bytes = i2d_X509(certificate.get(), &der);
  CHECK(bytes > 0);
  std::string text(reinterpret_cast<const char*>(der), static_cast<size_t>(bytes));
  OPENSSL_free(der);
  return text;
}

TestCertificateSpec CaSpec(const std::string& common_name) {
  TestCertificateSpec spec;
  spec.common_name = common_name;
  spec.basic_constraints = "critical,CA:TRUE";
  spec.key_usage = "critical,keyCertSign,cRLSign";
  spec.extended_key_usage.clear();
  return spec;
}

TestCertificateSpec DomainSpec(const std::string& domain) {
  TestCertificateSpec spec;
  spec.common_name = domain;
  spec.subject_alt_name = "URI:sip:" + domain + ",DNS:" + domain;
  return spec;
}

TestCertificate MintSelfSigned(const TestCertificateSpec& spec) { return Mint(spec, nullptr); }

TestCertificate MintSignedBy(const TestCertificate& issuer, const TestCertificateSpec& spec) {
  return Mint(spec, &issuer);
}

}  // namespace sallyport::test
