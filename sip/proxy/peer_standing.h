// Gives a connection whose certificate was verified its standing: which identities its peer proves,
// whichever side dialled (RFC 5922 §7.1). Once per connection.
// Shard: one thread.
#pragma once

#include "sip/policy/sip_identities.h"
#include "sip/proxy/connection.h"
#include "sip/proxy/shard_context.h"
#include "sip/proxy/tls_profile_config.h"
#include "tls/keyed_mac.h"
#include "tls/peer_identity.h"

namespace sallyport::sip {

// Equal for all certificates that prove the same identities; another for everybody else. One that
// proves none is equal to itself only. Never kAnonymousPeer.
[[nodiscard]] PeerKey PeerKeyOf(const SipIdentities& identities,
                                const tls::Sha256Digest& fingerprint, const tls::MacKey& key);

// Sets standing and peer key. Returns the certificate's facts; empty if there is no certificate
// (the standing is then that of an anonymous peer) or it cannot be read (then there is no standing
// at all, and the connection is to be closed).
tls::PeerIdentityRef GiveStanding(ShardContext& context, const TlsProfileConfig& profile,
                                  Connection& connection);

// The standing of a plain connection from outside: nobody.
void GiveNoStanding(Connection& connection);

}  // namespace sallyport::sip
