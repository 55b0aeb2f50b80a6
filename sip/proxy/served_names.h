// Which names are ours: the domains served behind the edge, and the names that the edge itself is
// reached by (RFC 3261 §16.4, §16.5). From outside, the host and port of an inside listener name
// nothing, unless an outside listener has the same: they would lead back to us as if from inside.
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/socket_address.h"
#include "sip/message/uri.h"
#include "sip/proxy/listener_config.h"

namespace sallyport::sip {

// The domains served behind the edge and the names that the edge itself is reached by.
class ServedNames {
 public:
  struct Advertised {
    std::string host;
    uint16_t port;
    Zone zone = Zone::kOutside;  // Of the listener.
  };
  struct Listening {
    core::SocketAddress address;
    Zone zone = Zone::kOutside;
  };

  // `listening`: where we listen. Whoever knows us by address may write one in Route.
  // `own_hosts`: further addresses of this machine; the ports do not count.
  ServedNames(std::vector<std::string> domains, std::vector<Advertised> advertised,
              std::vector<Listening> listening = {},
              std::vector<core::SocketAddress> own_hosts = {});

  // In each case `from` is the zone that the request came from.
  // A request for this URI is for the inside: its host is one of the domains or advertised names.
  [[nodiscard]] bool Serves(const Uri& uri, Zone from) const;
  // The URI names the edge itself, whatever its user (our Record-Route and Path URIs carry a token
  // there): an advertised name with its port or none, or an address that we listen on.
  [[nodiscard]] bool IsEdgeHost(const Uri& uri, Zone from) const;
  // A Route value that brought the request to us: the edge, or a domain of ours without a port.
  // Whatever its user: one that is no token of ours is still addressed to us.
  [[nodiscard]] bool IsOwnRoute(const Uri& uri, Zone from) const;
  // What a maddr says (§16.4): this host, reached by this port (0: none was written), is us.
  [[nodiscard]] bool IsOwnAddress(std::string_view host, uint16_t port, Zone from) const;

  // The URI leads to us, or its host is a domain of ours: the host and effective port of a listener
  // or of an advertised name, of any zone. Another server may share our address.
  [[nodiscard]] bool LeadsToUs(const Uri& uri) const;

  // An address on which we listen, whatever the zone.
  [[nodiscard]] bool IsListeningOn(const core::SocketAddress& address) const;
  // One of our hosts, whatever the port.
  [[nodiscard]] bool IsOwnHost(const core::SocketAddress& address) const;

 private:
  [[nodiscard]] bool IsAdvertised(std::string_view host, uint16_t port, Zone from) const;
  [[nodiscard]] bool IsDomain(std::string_view host) const;
  [[nodiscard]] bool IsListening(const Uri& uri, Zone from) const;
  [[nodiscard]] static uint16_t EffectivePort(const Uri& uri);
  [[nodiscard]] bool IsInsideAlone(const Uri& uri) const;

  const std::vector<std::string> domains_;
  const std::vector<Advertised> advertised_;
  const std::vector<Listening> listening_;
  const std::vector<core::SocketAddress> own_hosts_;
};

}  // namespace sallyport::sip
