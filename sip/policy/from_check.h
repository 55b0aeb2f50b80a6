// Does the peer's certificate cover this addr-spec (RFC 5922 §7.2, RFC 3261 §26.3.2.2)? One pure
// function, one verdict, deny by default; the data path, the dry run and `explain` all call it.
// Borrows: everything, only during the call. Allocates nothing (ExplainFrom does). Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sip/message/uri.h"
#include "sip/policy/sip_identities.h"

namespace sallyport::sip {

enum class FromVerdict : uint8_t {
  kCoveredByDomain,  // The host is one of the domain identities.
  kCoveredByUser,    // User part and host are one of the user identities, and no password.
  kNotCovered,       // A host name, but no identity of this peer.
  kNamesNoDomain,    // tel:, another scheme, or an IP literal: nothing that a certificate could
                     // cover.
  kNoIdentity,       // The peer proved none at all: no certificate.
  kMalformed         // The addr-spec could not be read; the caller found that while parsing.
};

constexpr bool IsCovered(FromVerdict verdict) {
  return verdict == FromVerdict::kCoveredByDomain || verdict == FromVerdict::kCoveredByUser;
}

// "covered-by-domain" and so on, for log lines and `explain`.
std::string_view VerdictText(FromVerdict verdict);

// `identities` is null where the connection proved none. Only the DNS name is compared, and the
// user part where a user identity is at stake: sip and sips alike; port, parameters and headers of
// the URI say nothing about who sent it and are ignored (RFC 3261 §19.1.1). A URI with a password,
// even an empty one, is none that a user identity names (§19.1.4: it equals no URI without); a
// domain identity covers it. A To or Referred-By addr-spec is judged by the same function.
[[nodiscard]] FromVerdict CheckFrom(const SipIdentities* identities, const Uri& from);

// The same verdict by the same code, and one sentence per rule that was looked at.
struct FromExplanation {
  FromVerdict verdict;
  std::vector<std::string> steps;
};
[[nodiscard]] FromExplanation ExplainFrom(const SipIdentities* identities, const Uri& from);

}  // namespace sallyport::sip
