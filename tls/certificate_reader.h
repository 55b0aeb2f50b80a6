// Reads one leaf certificate into a PeerIdentity (RFC 5280 §4.1, §4.2) by our own length-aware walk
// over the DER. It reads, it never verifies: signature, chain, dates, CRL and key purposes are
// judged elsewhere, every time. Input: hostile. Every length is checked against what encloses it;
// indefinite and non-minimal lengths, repeated
//        extensions, names that are not IA5 (RFC 5280 §4.2.1.6) and names with an embedded NUL are
//        refused, so what is read here cannot be read as a shorter name by anybody else.
// Cost:  linear in the bytes, bounded by kCertificateBytesMax and kCertificateNamesMax; two SHA-256
// and one allocation kept. Pure:  any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tls/peer_identity.h"

namespace sallyport::tls {

inline constexpr size_t kCertificateBytesMax = 65535;
inline constexpr size_t kCertificateExtensionsMax = 64;

enum class CertificateFault : uint8_t {
  kNone,
  kTooLarge,            // More than kCertificateBytesMax.
  kBadEncoding,         // A tag, length or value that DER or RFC 5280 does not allow there.
  kUnsupportedVersion,  // Version 2, or extensions in version 1.
  kRepeatedExtension,   // RFC 5280 §4.2: no extension twice.
  kBadName,       // A NUL, a byte outside IA5, an IP address that is not 4 or 16 bytes, an empty
                  // subjectAltName.
  kTooManyNames,  // More than kCertificateNamesMax.
  kTooManyExtensions  // More than kCertificateExtensionsMax.
};

// Fixed English text for log lines and `check`.
std::string_view CertificateFaultText(CertificateFault fault);

struct CertificateReading {
  CertificateFault fault = CertificateFault::kBadEncoding;
  PeerIdentityRef identity;  // Set if and only if fault is kNone.
};

// `der` is exactly one certificate; trailing bytes are a fault. Hashes it for the fingerprint.
[[nodiscard]] CertificateReading ReadCertificate(std::span<const uint8_t> der);

// For a caller that has the fingerprint already. It must be the SHA-256 of `der`.
[[nodiscard]] CertificateReading ReadCertificate(std::span<const uint8_t> der,
                                                 const Sha256Digest& fingerprint);

// SHA-256 of `der`, the key of the identity cache.
[[nodiscard]] Sha256Digest CertificateFingerprint(std::span<const uint8_t> der);

}  // namespace sallyport::tls
