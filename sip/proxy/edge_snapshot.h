// One configuration as the shards use it: immutable, made whole by a reload, shared by all shards.
// Policy is per message: the newest snapshot counts. TLS material is per new handshake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/socket_address.h"
#include "sip/proxy/edge_config.h"
#include "sip/proxy/route_selection.h"

namespace sallyport::sip {

// Where requests from outside go: one target of the first inside next hop.
struct ForwardTarget {
  TransportProtocol transport = TransportProtocol::kUdp;
  core::SocketAddress address;
  size_t listener = NextHopTarget::kNoListener;  // UDP: whose socket we send from.
  std::string via_begin;                         // "Via: SIP/2.0/UDP edge.example:5070;branch="
  std::string via_end;                           // ";rport\r\n" or "\r\n"
};

struct EdgeSnapshot {
  EdgeSnapshot(EdgeConfig loaded, uint64_t snapshot_version);

  // The address, whatever the port, is one of our next hops'.
  [[nodiscard]] bool IsNextHop(const core::SocketAddress& source) const;

  const EdgeConfig config;
  const uint64_t version;  // Counts reloads from 1.
  const ServedNames names;
  const std::vector<ForwardTarget> targets;  // By priority, then in file order.
};

}  // namespace sallyport::sip
