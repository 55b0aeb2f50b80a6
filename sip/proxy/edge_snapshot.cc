#include "sip/proxy/edge_snapshot.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace sallyport::sip {
namespace {

ServedNames NamesOf(const EdgeConfig& config) {
  std::vector<ServedNames::Advertised> advertised;
  for (const ListenerConfig& listener : config.listeners) {
    advertised.push_back({listener.advertise_host, listener.advertise_port});
  }
  std::vector<std::string> domains = config.domains;
  domains.push_back(config.domain);
  return ServedNames(std::move(domains), std::move(advertised));
}

std::string SentBy(const EdgeConfig& config, const NextHopTarget& target) {
  if (config.listeners.empty()) return std::string();
  const ListenerConfig& listener =
      config.listeners[target.listener == NextHopTarget::kNoListener ? 0 : target.listener];
  return absl::StrCat(listener.advertise_host, ":", listener.advertise_port);
}

std::vector<ForwardTarget> TargetsOf(const EdgeConfig& config) {
  std::vector<ForwardTarget> targets;
  const std::optional<size_t> next_hop = config.DefaultNextHop();
  if (!next_hop.has_value()) return targets;
  for (const NextHopTarget& target : config.next_hops[*next_hop].targets) {
    if (target.is_named() || target.transport == TransportProtocol::kTls) continue;
    const bool is_udp = target.transport == TransportProtocol::kUdp;
    targets.push_back({target.transport, target.address, target.listener,
                       absl::StrCat("Via: SIP/2.0/", is_udp ? "UDP" : "TCP", " ",
                                    SentBy(config, target), ";branch="),
                       is_udp ? ";rport\r\n" : "\r\n"});
  }
  return targets;
}

}  // namespace

EdgeSnapshot::EdgeSnapshot(EdgeConfig loaded, uint64_t snapshot_version)
    : config(std::move(loaded)),
      version(snapshot_version),
      names(NamesOf(config)),
      targets(TargetsOf(config)) {}

bool EdgeSnapshot::IsNextHop(const core::SocketAddress& source) const {
  return std::any_of(targets.begin(), targets.end(), [&source](const ForwardTarget& target) {
    return target.address.HasSameHost(source);
  });
}

}  // namespace sallyport::sip
