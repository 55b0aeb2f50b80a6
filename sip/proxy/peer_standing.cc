#include "sip/proxy/peer_standing.h"

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "sip/policy/judge.h"
#include "sip/policy/sip_identities.h"
#include "sip/proxy/party.h"
#include "tls/certificate_reader.h"
#include "tls/identity_cache.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
PeerKey PeerKeyOf(const SipIdentities& identities, const tls::Sha256Digest& fingerprint,
                  const tls::MacKey& key) {
  std::string text;
  if (identities.domains_size() + identities.users_size() == 0) {
    text.append("certificate ").append(fingerprint.begin(), fingerprint.end());
  }
  for (size_t i = 0; i < identities.domains_size(); ++i) {
    text.append(identities.domain(i)).push_back(';');
  }
  for (size_t i = 0; i < identities.users_size(); ++i) {
    const UserIdentity user = identities.user(i);
    text.append(std::to_string(user.user.size())).append(":").append(user.user);
    text.append("@").append(user.host).push_back(';');
  }
  const PeerKey peer = tls::KeyedMac64(key, std::as_bytes(std::span(text)));
  return peer <= kAnonymousPeer ? kAnonymousPeer + 1 : peer;
}

tls::PeerIdentityRef GiveStanding(ShardContext& context, const TlsProfileConfig& profile,
                                  Connection& connection) {
  auto standing = std::make_unique<PeerStanding>();
  tls::Session& session = *connection.session();
  tls::PeerIdentityRef certificate;
  PeerKey key = kAnonymousPeer;
  if (session.peer().verified) {
    tls::IdentityLookup lookup =
        context.identities.FindOrRead(session.peer().leaf_der, session.peer().fingerprint);
    context.Count(context.metrics.tls_identity_cache_lookups.Slot(lookup.hit ? CacheResult::kHit
                                                                             : CacheResult::kMiss));
    session.DropLeaf();
    if (lookup.fault != tls::CertificateFault::kNone) {
      context.log.Write(core::LogLevel::kWarning, "certificate-unreadable",
                        tls::CertificateFaultText(lookup.fault),
                        {{"address", connection.peer().ToString()}});
      return {};
    }
    certificate = std::move(lookup.identity);
    standing->identities = DeriveSipIdentities(*certificate, profile.identity);
    standing->has_identity = true;
    standing->profile_id = ProfilePartyId(profile.name);
    standing->leaf_id = LeafPartyId(standing->profile_id, session.peer().fingerprint);
    standing->not_after = session.peer().not_after;
    standing->refused = context.snapshot->config.unmatched == UnmatchedPeer::kRefuse;
    key = PeerKeyOf(standing->identities, session.peer().fingerprint, context.peer_key);
  }
  connection.set_standing(std::move(standing), key);
  return certificate;
}

void GiveNoStanding(Connection& connection) {
  connection.set_standing(std::make_unique<PeerStanding>(), kAnonymousPeer);
}

}  // namespace sallyport::sip
