// Which names are ours: the domains served behind the edge, and the names that the edge itself is
// reached by (RFC 3261 §16.4, §16.5).
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/socket_address.h"
#include "sip/message/uri.h"

namespace sallyport::sip {

// The domains served behind the edge and the names that the edge itself is reached by.
class ServedNames {
 public:
  struct Advertised {
    std::string host;
    uint16_t port;
  };

  // `addresses`: where we listen. Whoever knows us by address may write one in Route.
  ServedNames(std::vector<std::string> domains, std::vector<Advertised> advertised,
              std::vector<core::SocketAddress> addresses = {});

  // A request for this URI is for the inside: its host is one of the domains or advertised names.
  [[nodiscard]] bool Serves(const Uri& uri) const;
  // The URI names the edge itself, whatever its user (our Record-Route and Path URIs carry a token
  // there): an advertised name with its port or none, or an address that we listen on.
  [[nodiscard]] bool IsEdgeHost(const Uri& uri) const;
  // A Route value that brought the request to us: the edge, or a domain of ours without a port.
  // Whatever its user: one that is no token of ours is still addressed to us.
  [[nodiscard]] bool IsOwnRoute(const Uri& uri) const;
  // What a maddr says (§16.4): this host, reached by this port (0: none was written), is us.
  [[nodiscard]] bool IsOwnAddress(std::string_view host, uint16_t port) const;

 private:
  [[nodiscard]] bool IsAdvertised(std::string_view host, uint16_t port) const;
  [[nodiscard]] bool IsDomain(std::string_view host) const;
  [[nodiscard]] bool IsListening(const Uri& uri) const;

  const std::vector<std::string> domains_;
  const std::vector<Advertised> advertised_;
  const std::vector<core::SocketAddress> addresses_;
};

}  // namespace sallyport::sip
