#include "tls/verify.h"

namespace sallyport::tls {

bool IsWeak(const CertificateFacts& certificate) {
  if (certificate.weak_signature) return true;
  switch (certificate.key_algorithm) {
    case KeyAlgorithm::kRsa:
    case KeyAlgorithm::kRsaPss:
      return certificate.key_bits < 2048;
    case KeyAlgorithm::kEcP256:
    case KeyAlgorithm::kEcP384:
    case KeyAlgorithm::kEcP521:
    case KeyAlgorithm::kEd25519:
      return false;
    case KeyAlgorithm::kEcOther:
    case KeyAlgorithm::kEd448:
    case KeyAlgorithm::kOther:
      return true;  // Not weak perhaps, but nothing that we can judge.
  }
  return true;
}

bool EkuAllows(const ExtendedKeyUsage& eku, EkuPolicy policy, PeerRole role) {
  const bool own_purpose = role == PeerRole::kClient ? eku.client_auth : eku.server_auth;
  const bool tls = !eku.present || own_purpose || eku.sip_domain || eku.any;
  switch (policy) {
    case EkuPolicy::kTls:
      return tls;
    case EkuPolicy::kTlsAnyRole:
      return tls || eku.client_auth || eku.server_auth;
    case EkuPolicy::kSipDomain:
      return eku.sip_domain;
    case EkuPolicy::kIgnore:
      return true;
  }
  return false;
}

FailureReason JudgeLeaf(const CertificateFacts& leaf, EkuPolicy policy, PeerRole role,
                        int64_t now_seconds) {
  if (now_seconds > leaf.not_after) return FailureReason::kExpired;
  if (now_seconds < leaf.not_before) return FailureReason::kNotYetValid;
  if (IsWeak(leaf)) return FailureReason::kWeak;
  // RFC 5280 §4.2. The library says so too, for those that it does not take for others.
  if (leaf.has_unknown_critical) return FailureReason::kCriticalExtension;
  // Every suite on offer proves possession with a signature (RFC 8446 §4.4.2.2, RFC 5246 §7.4.6).
  if (leaf.key_usage.present && !leaf.key_usage.digital_signature) return FailureReason::kKeyUsage;
  if (!EkuAllows(leaf.extended_key_usage, policy, role)) return FailureReason::kKeyUsage;
  return FailureReason::kNone;
}

}  // namespace sallyport::tls
