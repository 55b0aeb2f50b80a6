#include "tls/profile.h"

#include "absl/status/status.h"

namespace sallyport::tls {

absl::StatusOr<SecProtocol> ParseSecProtocol(std::string_view text) {
  if (text.empty() || text == "SSLv23") return SecProtocol::kTls12AndLater;
  if (text == "TLSv12") return SecProtocol::kTls12Only;
  if (text == "TLSv13") return SecProtocol::kTls13Only;
  if (text == "SSLv3" || text == "TLSv1" || text == "TLSv11") {
    return absl::InvalidArgumentError(
        "versions before TLS 1.2 are not offered (RFC 8996): leave it empty, or write TLSv12 or "
        "TLSv13");
  }
  return absl::InvalidArgumentError(
      "expected \"\" (TLS 1.2 and later), \"TLSv12\", \"TLSv13\", or the old \"SSLv23\"");
}

std::string_view SecProtocolWarning(std::string_view text) {
  if (text != "SSLv23") return "";
  return "\"SSLv23\" means TLS 1.2 and later here, as if it were empty; no SSL version is spoken";
}

absl::StatusOr<EkuPolicy> ParseEkuPolicy(std::string_view text) {
  if (text == "tls") return EkuPolicy::kTls;
  if (text == "tls-any-role") return EkuPolicy::kTlsAnyRole;
  if (text == "sip-domain") return EkuPolicy::kSipDomain;
  if (text == "ignore") return EkuPolicy::kIgnore;
  return absl::InvalidArgumentError("expected tls, tls-any-role, sip-domain or ignore");
}

}  // namespace sallyport::tls
