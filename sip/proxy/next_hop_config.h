// [[next-hop]]: where requests go on the inside. Static numeric targets in this version.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config_document.h"
#include "core/socket_address.h"
#include "sip/proxy/listener_config.h"

namespace sallyport::sip {

// One "udp:127.0.0.1:5080;weight=10;priority=2". Lower priority numbers are tried first, equals
// in file order. The weight (the share among equals, as in RFC 2782) is read, and not used yet.
struct NextHopTarget {
  TransportProtocol transport = TransportProtocol::kUdp;  // kUdp or kTcp.
  core::SocketAddress address;
  uint16_t weight = 1;
  uint16_t priority = 0;
  // Index into EdgeConfig::listeners. UDP: always set, the socket we send from. TCP: the inside tcp
  // listener if there is one; a connection of ours is bound to no listener.
  size_t listener = kNoListener;
  std::string sent_by;  // host:port for our Via.

  static constexpr size_t kNoListener = static_cast<size_t>(-1);
};

struct NextHopConfig {
  std::string name;
  core::ConfigPlace at;
  std::vector<NextHopTarget> targets;  // At least one; by priority, then in file order.
};

// Reads every [[next-hop]]; `listeners` are those already read.
std::vector<NextHopConfig> ReadNextHops(core::ConfigTable& root,
                                        const std::vector<ListenerConfig>& listeners);

}  // namespace sallyport::sip
