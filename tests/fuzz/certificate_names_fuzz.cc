// Target: every byte of a peer's certificate that we read ourselves, and what the policy makes of
// it. Asserted: a fault and an identity exclude each other; every identity found is a host name in
// normal form; it covers itself and no subdomain; no subjectAltName ever lets the CN in;
// the subject as we print it is the subject that is encoded.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/check.h"
#include "sip/message/uri.h"
#include "sip/policy/distinguished_name.h"
#include "sip/policy/from_check.h"
#include "sip/policy/sip_identities.h"
#include "tls/certificate_reader.h"

namespace {

using sallyport::sip::FromVerdict;
using sallyport::sip::IdentityOptions;
using sallyport::sip::SipIdentities;
using sallyport::tls::PeerIdentity;

void CheckDomain(const SipIdentities& identities, const std::string& domain) {
  CHECK(!domain.empty() && sallyport::sip::NormalDnsName(domain) == domain);
  CHECK(domain.find_first_of(std::string("*%@:[]\0", 7)) == std::string::npos);
  const std::string text = "sip:somebody@" + domain;
  sallyport::sip::Uri uri;
  CHECK(sallyport::sip::ParseUri(text, uri) == sallyport::sip::UriOutcome::kOk);
  CHECK(sallyport::sip::CheckFrom(&identities, uri) == FromVerdict::kCoveredByDomain);
  CHECK(sallyport::sip::ExplainFrom(&identities, uri).verdict == FromVerdict::kCoveredByDomain);
}

void CheckIdentities(const PeerIdentity& leaf, const IdentityOptions& options) {
  const SipIdentities identities = sallyport::sip::DeriveSipIdentities(leaf, options);
  for (size_t i = 0; i < identities.domains_size(); ++i)
    CheckDomain(identities, std::string(identities.domain(i)));
  if (identities.domains_size() == 1) {
    CHECK(!identities.CoversDomain("x." + std::string(identities.domain(0))));
    CHECK(!identities.CoversDomain("x" + std::string(identities.domain(0))));
  }
  for (size_t i = 0; i < identities.users_size(); ++i) {
    const sallyport::sip::UserIdentity user = identities.user(i);
    CHECK(!user.user.empty() && sallyport::sip::NormalDnsName(user.host) == user.host);
  }
  if (leaf.facts().has_subject_alt_name) {
    IdentityOptions without_cn = options;
    without_cn.cn_identity = false;
    CHECK(sallyport::sip::DeriveSipIdentities(leaf, without_cn).List(5000) ==
          identities.List(5000));
  }
  CHECK(!identities.List().empty());
}

void CheckName(std::string_view text, std::string_view der) {
  using sallyport::sip::DistinguishedName;
  const auto printed = DistinguishedName::Parse(text);
  const auto encoded = DistinguishedName::Decode(der);
  if (printed.ok() && encoded.ok()) CHECK(*printed == *encoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto reading = sallyport::tls::ReadCertificate(std::span(data, size));
  CHECK(static_cast<bool>(reading.identity) ==
        (reading.fault == sallyport::tls::CertificateFault::kNone));
  if (!reading.identity) return 0;
  const PeerIdentity& leaf = *reading.identity;
  CHECK(leaf.names_size() <= sallyport::tls::kCertificateNamesMax);
  for (size_t i = 0; i < leaf.names_size(); ++i) {
    const sallyport::tls::CertificateName name = leaf.name(i);
    if (name.type == sallyport::tls::NameType::kIpAddress) continue;
    CHECK(name.text.find('\0') == std::string_view::npos);
  }
  CHECK(leaf.subject_dn().find('\n') == std::string_view::npos);
  CheckName(leaf.subject_dn(), leaf.subject_der());
  CheckName(leaf.issuer_dn(), leaf.issuer_der());
  CheckIdentities(leaf, {});
  CheckIdentities(leaf, {.cn_identity = true, .use_email_as_sip = true});
  return 0;
}
