// The user part of our Record-Route URI that faces the outside: names the inside target to which
// the in-dialog requests that bring it go. Nothing else from outside chooses a target: what is
// resolved or dialled never comes out of a Route, Contact or maddr that a peer could have written.
// Authentic for every instance that shares the secret, before and after a restart. It binds no
// dialog: whoever saw one can send requests to that target, if they pass the judgement of From.
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/socket_address.h"
#include "sip/proxy/listener_config.h"
#include "sip/proxy/token_seal.h"
#include "sip/proxy/transport_address.h"

namespace sallyport::sip {

struct InsideTarget {
  TransportProtocol transport = TransportProtocol::kUdp;
  core::SocketAddress address;
  bool secure = false;    // The dialog began with a sips URI and stays on TLS (RFC 5630 §3.1.1).
  uint32_t next_hop = 0;  // NextHopNameHash of the next hop that the address belongs to: its TLS
                          // profile and the identity to expect; 0: of none.
  uint16_t identity = 0;  // As in TransportAddress.

  [[nodiscard]] TransportAddress where() const { return {transport, address, identity}; }
  friend bool operator==(const InsideTarget&, const InsideTarget&) = default;
};

// Never 0. The same on every instance and after a reload, whatever the order of the file.
[[nodiscard]] uint32_t NextHopNameHash(std::string_view name);

class RouteTokenSigner {
 public:
  static constexpr size_t kFieldBytesMax = 4 + TransportAddress::kOctetsMax;
  static constexpr size_t kTextBytesMax = TokenSeal::TextBytes(kFieldBytesMax);

  explicit RouteTokenSigner(const tls::Secret& secret);

  // Writes at most kTextBytesMax at `out` and returns how many. The address has a family.
  size_t Write(const InsideTarget& target, char* out) const;
  // Nothing, if no instance of ours wrote it.
  [[nodiscard]] std::optional<InsideTarget> Read(std::string_view text) const;

 private:
  const TokenSeal seal_;
};

}  // namespace sallyport::sip
