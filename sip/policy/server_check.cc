#include "sip/policy/server_check.h"

#include "core/check.h"
#include "sip/policy/distinguished_name.h"

namespace sallyport::sip {
namespace {

bool MatchesSubject(std::string_view dn, std::string_view subject_der) {
  const absl::StatusOr<DistinguishedName> expected = DistinguishedName::Parse(dn);
  const absl::StatusOr<DistinguishedName> subject = DistinguishedName::Decode(subject_der);
  return expected.ok() && subject.ok() && *expected == *subject;
}

}  // namespace

ServerVerdict CheckServer(const ServerExpectation& expectation, const SipIdentities& identities,
                          const tls::PeerIdentity& certificate) {
  if (!expectation.identity.empty()) {
    if (identities.domains_size() == 0) return ServerVerdict::kNoIdentity;
    if (!identities.CoversDomain(expectation.identity)) return ServerVerdict::kNameMismatch;
  }
  if (!expectation.dn.empty() && !MatchesSubject(expectation.dn, certificate.subject_der())) {
    return ServerVerdict::kDnMismatch;
  }
  return ServerVerdict::kAccepted;
}

std::string_view ServerVerdictText(ServerVerdict verdict) {
  switch (verdict) {
    case ServerVerdict::kAccepted:
      return "the certificate proves what was dialled for";
    case ServerVerdict::kNameMismatch:
      return "the certificate is for another domain";
    case ServerVerdict::kDnMismatch:
      return "the certificate has another subject";
    case ServerVerdict::kNoIdentity:
      return "the certificate proves no SIP domain";
  }
  UNREACHABLE();
}

}  // namespace sallyport::sip
