#include "sip/proxy/edge_snapshot.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"

namespace sallyport::sip {
namespace {

ServedNames NamesOf(const EdgeConfig& config) {
  std::vector<ServedNames::Advertised> advertised;
  std::vector<core::SocketAddress> addresses;
  for (const ListenerConfig& listener : config.listeners) {
    advertised.push_back({listener.advertise_host, listener.advertise_port});
    addresses.push_back(listener.address);
    if (!listener.address.IsUnspecified()) continue;
    for (const core::SocketAddress& own : core::InterfaceAddresses()) {
      addresses.push_back(own.WithPort(listener.address.port()));
    }
  }
  std::vector<std::string> domains = config.domains;
  domains.push_back(config.domain);
  return ServedNames(std::move(domains), std::move(advertised), std::move(addresses));
}

std::vector<Egress> AllEgress(const EdgeConfig& config) {
  std::vector<Egress> all;
  for (const ListenerConfig& listener : config.listeners) {
    Egress egress;
    egress.host = listener.advertise_host;
    egress.port = listener.advertise_port;
    egress.transport = listener.transport;
    for (const TransportProtocol transport :
         {TransportProtocol::kTls, TransportProtocol::kTcp, TransportProtocol::kUdp}) {
      const auto index = static_cast<size_t>(transport);
      const std::string name = absl::AsciiStrToUpper(std::string(TransportName(transport)));
      egress.via_begin[index] =
          absl::StrCat("Via: SIP/2.0/", name, " ", egress.host, ":", egress.port, ";branch=");
      egress.via_end[index] = transport == TransportProtocol::kUdp ? ";rport\r\n" : "\r\n";
    }
    all.push_back(std::move(egress));
  }
  return all;
}

std::vector<uint32_t> NameHashes(const EdgeConfig& config) {
  std::vector<uint32_t> hashes;
  for (const NextHopConfig& next_hop : config.next_hops) {
    hashes.push_back(NextHopNameHash(next_hop.name));
  }
  return hashes;
}

}  // namespace

EdgeSnapshot::EdgeSnapshot(EdgeConfig loaded, uint64_t snapshot_version,
                           const EdgeIdentity& identity)
    : config(std::move(loaded)),
      version(snapshot_version),
      names(NamesOf(config)),
      egress(AllEgress(config)),
      next_hop_hashes(NameHashes(config)),
      inside_next_hop(config.DefaultNextHop()),
      flow_tokens(identity.secret, config.instance, identity.boot_epoch),
      route_tokens(identity.secret),
      dialog_tokens(identity.secret),
      hop_tokens(identity.secret),
      peer_key(identity.secret.DeriveMacKey(identity.secret.size() - 1, tls::kPeerKeyLabel)) {}

bool EdgeSnapshot::IsNextHop(const core::SocketAddress& source) const {
  return std::any_of(config.next_hops.begin(), config.next_hops.end(),
                     [&source](const NextHopConfig& next_hop) {
                       return next_hop.zone == Zone::kInside &&
                              std::any_of(next_hop.targets.begin(), next_hop.targets.end(),
                                          [&source](const NextHopTarget& target) {
                                            return target.address.HasSameHost(source);
                                          });
                     });
}

std::optional<uint16_t> EdgeSnapshot::ListenerFor(Zone zone, TransportProtocol transport,
                                                  core::AddressFamily family) const {
  std::optional<uint16_t> best;
  int best_score = -1;
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& listener = config.listeners[i];
    const bool same_transport = listener.transport == transport;
    const bool same_family = listener.address.family() == family;
    if (listener.zone != zone) continue;
    if (transport == TransportProtocol::kUdp && (!same_transport || !same_family)) continue;
    const int score = (same_transport ? 2 : 0) + (same_family ? 1 : 0);
    if (score <= best_score) continue;
    best_score = score;
    best = static_cast<uint16_t>(i);
  }
  return best;
}

std::optional<size_t> EdgeSnapshot::FindNextHop(uint32_t name_hash) const {
  const auto found = std::find(next_hop_hashes.begin(), next_hop_hashes.end(), name_hash);
  if (name_hash == 0 || found == next_hop_hashes.end()) return std::nullopt;
  return static_cast<size_t>(found - next_hop_hashes.begin());
}

const Egress& EdgeSnapshot::EgressOf(size_t listener) const {
  CHECK(!egress.empty());  // A configuration without listeners is refused.
  return egress[listener < egress.size() ? listener : 0];
}

}  // namespace sallyport::sip
