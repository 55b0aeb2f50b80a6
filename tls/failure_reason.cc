#include "tls/failure_reason.h"

#include "core/check.h"

namespace sallyport::tls {

std::string_view FailureReasonName(FailureReason reason) {
  switch (reason) {
    case FailureReason::kNone:
      return "none";
    case FailureReason::kNoCertificate:
      return "no_cert";
    case FailureReason::kUntrustedCa:
      return "untrusted_ca";
    case FailureReason::kExpired:
      return "expired";
    case FailureReason::kNotYetValid:
      return "not_yet_valid";
    case FailureReason::kRevoked:
      return "revoked";
    case FailureReason::kName:
      return "name";
    case FailureReason::kSignature:
      return "signature";
    case FailureReason::kProtocol:
      return "protocol";
    case FailureReason::kCipher:
      return "cipher";
    case FailureReason::kTimeout:
      return "timeout";
    case FailureReason::kAlert:
      return "alert";
    case FailureReason::kKeyUsage:
      return "key_usage";
    case FailureReason::kWeak:
      return "weak";
    case FailureReason::kInternal:
      return "internal";
    case FailureReason::kCriticalExtension:
      return "critical_extension";
    case FailureReason::kTooLarge:
      return "too_large";
  }
  UNREACHABLE();
}

}  // namespace sallyport::tls
