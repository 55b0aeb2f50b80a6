// What a TLS profile asks for ([tls.NAME]). Plain values that the configuration fills in; immutable
// once loaded.
#pragma once

#include <cstdint>
#include <string>

namespace sallyport::tls {

// Versions on offer. TLS 1.0 and 1.1 do not exist here (RFC 8996).
enum class SecProtocol : uint8_t { kTls12AndLater, kTls12Only, kTls13Only };

// Which extendedKeyUsage a peer's leaf may carry (RFC 5280 §4.2.1.12, RFC 5924). "Own purpose" is
// clientAuth for a peer that connects to us and serverAuth for one that we connect to.
enum class EkuPolicy : uint8_t {
  kTls,         // No EKU at all, its own purpose, id-kp-sipDomain, or anyExtendedKeyUsage.
  kTlsAnyRole,  // As kTls; serverAuth and clientAuth are both enough for either role.
  kSipDomain,   // id-kp-sipDomain must be there (RFC 5924 §4, strict).
  kIgnore
};

// Each of the three is a file, or PEM text that was put here instead (tests, self-test); the text
// wins if not empty.
struct Profile {
  std::string name;

  std::string
      certificate_file;  // PEM: leaf first, then its intermediates; the key may be in here too.
  std::string certificate_pem;
  std::string key_file;  // Empty: the key is with the certificate.
  std::string key_pem;
  std::string trusted_ca;  // File or directory. Empty (and no text): nobody is trusted.
  std::string trusted_ca_pem;

  SecProtocol sec_protocol = SecProtocol::kTls12AndLater;
  std::string cipher_list;   // TLS 1.2; empty: ECDHE with AEAD only.
  std::string ciphersuites;  // TLS 1.3; empty: kDefaultCiphersuites.
  EkuPolicy eku = EkuPolicy::kTls;
  bool resumption = true;
};

}  // namespace sallyport::tls
