// One configuration as the shards use it: immutable, made whole by a reload, shared by all shards.
// Policy is per message: the newest snapshot counts. TLS material is per new handshake.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/socket_address.h"
#include "sip/proxy/branch.h"
#include "sip/proxy/dialog_pair.h"
#include "sip/proxy/dialog_token.h"
#include "sip/proxy/edge_config.h"
#include "sip/proxy/path_token.h"
#include "sip/proxy/served_names.h"
#include "tls/secret.h"

namespace sallyport::sip {

// How we are named to those who are sent something from a listener of ours: in Via (RFC 3261
// §18.1.1) and in Record-Route and Path.
struct Egress {
  // By TransportProtocol: "Via: SIP/2.0/UDP edge.example:5070;branch=" and what follows the branch.
  std::array<std::string, 3> via_begin;
  std::array<std::string_view, 3> via_end;
  std::string host;
  uint16_t port = 0;
  TransportProtocol transport = TransportProtocol::kUdp;
};

// What identifies one run of one instance, and the keys that all instances share.
struct EdgeIdentity {
  const tls::Secret& secret;
  uint64_t boot_epoch;
  std::vector<core::SocketAddress> hosts = {};  // Of this machine; ports do not count.
};

struct EdgeSnapshot {
  EdgeSnapshot(EdgeConfig loaded, uint64_t snapshot_version, const EdgeIdentity& identity);

  // The address, whatever the port, is one of our inside next hops'.
  [[nodiscard]] bool IsNextHop(const core::SocketAddress& source) const;
  // Where a token may lead inside: to a target of an inside next hop, or to what an inside listener
  // admits, and never to a listener of ours.
  [[nodiscard]] bool AdmitsInside(const core::SocketAddress& address) const;
  // The host of a target outside that is reached in clear: only a [[route]] or its own dialog leads
  // there, not DNS of others.
  [[nodiscard]] bool IsPlainTrunk(const core::SocketAddress& address) const;
  // An address outside that DNS or a message has named may be dialled: it is no loopback, none of
  // our hosts or of an inside target's, and none that an inside listener admits.
  [[nodiscard]] bool MayDialOutside(const core::SocketAddress& address) const;
  // The listener that sends there, or at least gives its name: of that zone, best of that transport
  // and family. A datagram can leave only from a socket of its own transport and family.
  [[nodiscard]] std::optional<uint16_t> ListenerFor(Zone zone, TransportProtocol transport,
                                                    core::AddressFamily family) const;
  // What we are called there; where that zone has no listener, as the first of all is called.
  [[nodiscard]] const Egress& EgressOf(size_t listener) const;
  // Index of the next hop with this NextHopNameHash; 0 is none's.
  [[nodiscard]] std::optional<size_t> FindNextHop(uint32_t name_hash) const;

  const EdgeConfig config;
  const uint64_t version;  // Counts reloads from 1.
  const ServedNames names;
  const std::vector<Egress> egress;             // By listener.
  const std::vector<uint32_t> next_hop_hashes;  // By next hop: NextHopNameHash.
  const std::optional<size_t> inside_next_hop;  // Where requests from outside go without a route.
  const uint32_t process;  // Tells this process from others in tokens and branches; never 0.
  const BranchSigner branches;
  const PathTokenSigner path_tokens;
  const DialogPairSigner pairs;
  const DialogTokenSigner dialog_tokens;
  // For PeerKey. Of the oldest key of the secret: so instances agree while it is rotated.
  const tls::MacKey peer_key;
  const tls::MacKey logged_call_id_key;  // Likewise of the oldest.

 private:
  [[nodiscard]] bool IsAllowedInside(const core::SocketAddress& address) const;
};

}  // namespace sallyport::sip
