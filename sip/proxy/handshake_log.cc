#include "sip/proxy/handshake_log.h"

#include <arpa/inet.h>

#include "core/check.h"
#include "core/log_rate_limiter.h"
#include "sip/policy/reason_code.h"
#include "tls/certificate_reader.h"

namespace sallyport::sip {
namespace {

std::string_view PrefixOf(tls::NameType type) {
  switch (type) {
    case tls::NameType::kDns:
      return "DNS:";
    case tls::NameType::kUri:
      return "URI:";
    case tls::NameType::kEmail:
      return "email:";
    case tls::NameType::kIpAddress:
      return "IP:";
    case tls::NameType::kCommonName:
      return {};
  }
  UNREACHABLE();
}

// 4 or 16 octets (tls::NameType).
std::string IpText(std::string_view octets) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(octets.size() == 4 ? AF_INET : AF_INET6, octets.data(), text, sizeof text);
  return text;
}

}  // namespace

std::string SanText(const tls::PeerIdentity& certificate) {
  std::string text;
  for (size_t i = 0; i < certificate.names_size(); ++i) {
    const tls::CertificateName name = certificate.name(i);
    if (name.type == tls::NameType::kCommonName) continue;
    if (text.size() > core::kLogValueBytesMax) break;
    if (!text.empty()) text.append(", ");
    text.append(PrefixOf(name.type));
    if (name.type == tls::NameType::kIpAddress) {
      text.append(IpText(name.text));
    } else {
      text.append(name.text.substr(0, core::kLogValueBytesMax + 1));
    }
  }
  return text;
}

void LogFailedHandshake(const ShardContext& context, const FailedHandshake& failed) {
  // Kinds of their own, behind those of refused requests.
  const core::LogAdmission admission = context.log_limits.Admit(
      static_cast<uint32_t>(kReasonCodeCount) + static_cast<uint32_t>(failed.reason),
      failed.listener, context.reactor().now().nanoseconds);
  if (!admission.write || !context.log.Enabled(core::LogLevel::kWarning)) return;
  tls::CertificateReading read;
  if (!failed.leaf.empty()) read = tls::ReadCertificate(failed.leaf);
  const tls::PeerIdentity* const certificate = read.identity.get();
  const auto text_of = [certificate](std::string_view (tls::PeerIdentity::*text)() const) {
    return certificate == nullptr ? std::string_view() : (certificate->*text)();
  };
  context.log.Write(core::LogLevel::kWarning, "handshake-failed", failed.text,
                    {{"reason", tls::FailureReasonName(failed.reason)},
                     {failed.place_key, failed.place},
                     {"zone", ZoneName(failed.zone)},
                     {"address", failed.address.ToString()},
                     {"subject", text_of(&tls::PeerIdentity::subject_dn)},
                     {"issuer", text_of(&tls::PeerIdentity::issuer_dn)},
                     {"serial", text_of(&tls::PeerIdentity::serial_hex)},
                     {"san", certificate == nullptr ? std::string() : SanText(*certificate)},
                     // Why there is nothing to say of a certificate that was shown.
                     {"cause", failed.leaf.empty() || certificate != nullptr
                                   ? std::string_view()
                                   : tls::CertificateFaultText(read.fault)},
                     {"suppressed", admission.suppressed}});
}

}  // namespace sallyport::sip
