// Why there is no session: a closed set, the label of the handshake-failure counter.
#pragma once

#include <cstdint>
#include <string_view>

namespace sallyport::tls {

enum class FailureReason : uint8_t {
  kNone,
  kNoCertificate,  // Required and not sent.
  kUntrustedCa,    // Does not lead to a trust anchor: unknown, self-signed, same name with another
                   // key, not a CA.
  kExpired,
  kNotYetValid,
  kRevoked,
  kName,               // Unreadable certificate, a name with NUL, a violated name constraint.
  kSignature,          // A signature did not verify, or proof of possession failed.
  kProtocol,           // Not TLS, an illegal message, an unsupported version, a bad record.
  kCipher,             // No suite, group or signature scheme in common.
  kTimeout,            // Set by the connection, never by a session.
  kAlert,              // The peer sent a fatal alert.
  kKeyUsage,           // keyUsage or extendedKeyUsage does not allow this.
  kWeak,               // Key too short, or signed with SHA-1 or MD5.
  kInternal,           // Out of memory or output space.
  kCriticalExtension,  // One that nothing here knows (RFC 5280 §4.2).
  kTooLarge            // A handshake message, as a rule the one with the certificates.
};
inline constexpr int kFailureReasons = 17;

// "none", "no_cert", "untrusted_ca", "expired", "not_yet_valid", "revoked", "name", "signature",
// "protocol", "cipher", "timeout", "alert", "key_usage", "weak", "internal", "critical_extension",
// "too_large".
std::string_view FailureReasonName(FailureReason reason);

}  // namespace sallyport::tls
