// Does a server's certificate prove what we dialled for? RFC 5922 §7.3: the identity is the domain
// that was asked for (or that the configuration names), never what the DNS answered; whole names
// only, no wildcards, no suffixes. The chain, its dates and its purpose were verified before, by
// tls. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "sip/policy/sip_identities.h"
#include "tls/peer_identity.h"

namespace sallyport::sip {

// What must be proved: everything that is not empty.
struct ServerExpectation {
  std::string_view identity;  // A domain, lower case. Empty: not checked by name.
  std::string_view dn;        // The subject, RFC 4514 (see distinguished_name.h). Empty: any.
};

enum class ServerVerdict : uint8_t {
  kAccepted,
  kNameMismatch,  // It proves other domains than the one asked for.
  kDnMismatch,    // Its subject is another.
  kNoIdentity     // It proves no SIP domain at all.
};

// `identities` are those of `certificate`, derived with the profile's IdentityOptions. A `dn` that
// is no distinguished name matches nothing: the configuration refuses it earlier.
[[nodiscard]] ServerVerdict CheckServer(const ServerExpectation& expectation,
                                        const SipIdentities& identities,
                                        const tls::PeerIdentity& certificate);

// For log lines and `explain`. Static.
std::string_view ServerVerdictText(ServerVerdict verdict);

}  // namespace sallyport::sip
