#include "sip/proxy/edge_snapshot.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "sip/proxy/octets.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
namespace {

ServedNames NamesOf(const EdgeConfig& config, const std::vector<core::SocketAddress>& hosts) {
  std::vector<ServedNames::Advertised> advertised;
  std::vector<ServedNames::Listening> listening;
  for (const ListenerConfig& listener : config.listeners) {
    advertised.push_back({listener.advertise_host, listener.advertise_port, listener.zone});
    listening.push_back({listener.address, listener.zone});
    if (!listener.address.IsUnspecified()) continue;
    for (const core::SocketAddress& own : hosts) {
      listening.push_back({own.WithPort(listener.address.port()), listener.zone});
    }
  }
  std::vector<std::string> domains = config.domains;
  domains.push_back(config.domain);
  return ServedNames(std::move(domains), std::move(advertised), std::move(listening), hosts);
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

// Of instance and boot epoch.
uint32_t ProcessOf(const EdgeConfig& config, uint64_t boot_epoch) {
  std::string text(reinterpret_cast<const char*>(&boot_epoch), sizeof boot_epoch);
  text.append(config.instance);
  const std::array<uint8_t, 32> digest = tls::Sha256(std::as_bytes(std::span(text)));
  const auto process = static_cast<uint32_t>(OctetReader(digest).Number(4));
  return process == 0 ? 1 : process;
}

}  // namespace

EdgeSnapshot::EdgeSnapshot(EdgeConfig loaded, uint64_t snapshot_version,
                           const EdgeIdentity& identity)
    : config(std::move(loaded)),
      version(snapshot_version),
      names(NamesOf(config, identity.hosts)),
      egress(AllEgress(config)),
      next_hop_hashes(NameHashes(config)),
      inside_next_hop(config.DefaultNextHop()),
      process(ProcessOf(config, identity.boot_epoch)),
      branches(identity.secret, process),
      path_tokens(identity.secret),
      pairs(identity.secret),
      dialog_tokens(identity.secret),
      peer_key(identity.secret.DeriveMacKey(identity.secret.size() - 1, tls::kPeerKeyLabel)),
      logged_call_id_key(
          identity.secret.DeriveMacKey(identity.secret.size() - 1, tls::kLoggedCallIdLabel)) {}

bool EdgeSnapshot::IsNextHop(const core::SocketAddress& source) const {
  return std::any_of(
      config.next_hops.begin(), config.next_hops.end(), [&source](const NextHopConfig& next_hop) {
        return next_hop.zone == Zone::kInside &&
               std::any_of(next_hop.targets.begin(), next_hop.targets.end(),
                           [&source](const NextHopTarget& target) {
                             return target.address.Unmapped().HasSameHost(source.Unmapped());
                           });
      });
}

// A trunk in clear trusts our address: what comes from it may make any call.
bool EdgeSnapshot::IsPlainTrunk(const core::SocketAddress& address) const {
  const auto is_there = [&address](const NextHopTarget& target) {
    return target.transport != TransportProtocol::kTls && !target.is_named() &&
           target.address.Unmapped().HasSameHost(address.Unmapped());
  };
  return std::ranges::any_of(config.next_hops, [&is_there](const NextHopConfig& next_hop) {
    return next_hop.zone == Zone::kOutside && std::ranges::any_of(next_hop.targets, is_there);
  });
}

// What an inside listener lets in: its `allow`, else loopback.
bool EdgeSnapshot::IsAllowedInside(const core::SocketAddress& address) const {
  return std::ranges::any_of(config.listeners, [&address](const ListenerConfig& listener) {
    if (listener.zone != Zone::kInside) return false;
    if (listener.allow.empty()) return address.IsLoopback();
    return std::ranges::any_of(listener.allow, [&address](const core::CidrRange& range) {
      return range.Contains(address);
    });
  });
}

bool EdgeSnapshot::AdmitsInside(const core::SocketAddress& address) const {
  const core::SocketAddress plain = address.Unmapped();
  if (plain.IsUnspecified() || names.IsListeningOn(plain)) return false;
  const auto has_target = [&plain](const NextHopConfig& next_hop) {
    return next_hop.zone == Zone::kInside &&
           std::ranges::any_of(next_hop.targets, [&plain](const NextHopTarget& target) {
             return !target.is_named() && target.address.Unmapped() == plain;
           });
  };
  return std::ranges::any_of(config.next_hops, has_target) || IsAllowedInside(plain);
}

bool EdgeSnapshot::MayDialOutside(const core::SocketAddress& address) const {
  const core::SocketAddress plain = address.Unmapped();
  return !plain.IsUnspecified() && !plain.IsLoopback() && !names.IsOwnHost(plain) &&
         !IsNextHop(plain) && !IsAllowedInside(plain);
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
