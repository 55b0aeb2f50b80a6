// [[next-hop]]: a group of targets where requests go: our own servers (inside), or a peer that we
// call (outside). Plain values; read and checked by ReadNextHops, immutable afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/config_document.h"
#include "core/socket_address.h"
#include "sip/proxy/listener_config.h"
#include "sip/proxy/tls_profile_config.h"

namespace sallyport::sip {

inline constexpr size_t kNextHopsMax = 256;
inline constexpr size_t kNextHopTargetsMax = 64;  // Of one next hop.

// One "udp:127.0.0.1:5080;weight=10;priority=2" or "tls:pbx.example". Lower priority numbers are
// tried first; the weight is the share among equals, as in RFC 2782.
struct NextHopTarget {
  TransportProtocol transport = TransportProtocol::kUdp;
  core::SocketAddress address;  // With its port; family kNone: `host` is resolved (RFC 3263).
  std::string host;             // Lower case; empty where the target is numeric.
  uint16_t port = 0;            // Of a named target; 0: none is written, so SRV applies.
  uint16_t weight = 1;
  uint16_t priority = 0;
  // Index into EdgeConfig::listeners. UDP: the socket we send from, of the next hop's zone; of the
  // same family where the target is numeric. TCP and TLS: a connection of ours is bound to no
  // listener; its advertised name is what we write into Via and Record-Route. kNoListener only
  // where the zone has no listener.
  size_t listener = kNoListener;

  static constexpr size_t kNoListener = static_cast<size_t>(-1);

  [[nodiscard]] bool is_named() const { return !host.empty(); }
};

struct NextHopConfig {
  std::string name;
  core::ConfigPlace at;
  Zone zone = Zone::kInside;
  std::vector<NextHopTarget> targets;  // At least one; by priority, then in file order.
  size_t tls_profile = kNoProfile;  // Index into EdgeConfig::tls_profiles; set iff a target is tls.
  // The domain that the certificate of a tls target must prove (RFC 5922 §7.3), lower case; empty:
  // the host of the target. Counts only where the profile has check_target_name.
  std::string identity;
  std::string dn;  // The subject that it must have (RFC 4514), always checked; empty: any.
  absl::Duration health_interval = absl::ZeroDuration();  // Zero: no health checks.
  absl::Duration health_timeout = absl::Seconds(2);
};

// By which tokens name a next hop: never 0, and the same on every instance and after a reload,
// whatever the order of the file.
[[nodiscard]] uint32_t NextHopNameHash(std::string_view name);

// Reads every [[next-hop]]; `listeners` and `profiles` are those already read.
std::vector<NextHopConfig> ReadNextHops(core::ConfigTable& root,
                                        const std::vector<ListenerConfig>& listeners,
                                        const std::vector<TlsProfileConfig>& profiles);

}  // namespace sallyport::sip
