// The Record-Route and Path lines that we add (RFC 3261 §16.6 step 4, RFC 3327 §5.2, RFC 5626
// §5.1). Every URI has lr, a host that our certificate proves, and in its user part a token that
// only we can make. Pure: writes into the caller's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sip/proxy/listener_config.h"

namespace sallyport::sip {

// One listener's address, as the side that it faces must write it to come back.
struct RecordRouteUri {
  bool sips = false;           // The Request-URI or the topmost Route is a sips URI; over TLS only.
  std::string_view user = {};  // The token; empty: none.
  std::string_view host = {};  // IPv6 in brackets.
  uint16_t port = 0;
  TransportProtocol transport = TransportProtocol::kTls;
  std::string_view dialog_token = {};  // Value of `dt`; empty: none.
  bool ob = false;  // Requests for this URI use the flow and no other (RFC 5626 §5.1).
};

// The value of its transport parameter; empty: it has none.
[[nodiscard]] std::string_view TransportParameterOf(const RecordRouteUri& uri);

// "Record-Route: <...>" CRLF. Returns the characters written; 0 if they do not fit, or if a sips
// URI is asked for on a transport that is not TLS.
//
// transport= is tcp or tls, and absent where it is the scheme's own: UDP for sip, TLS for sips (RFC
// 3261 §26.2.2 deprecates transport=tls there; in a sip URI nothing else says that our port speaks
// TLS).
[[nodiscard]] size_t WriteRecordRoute(const RecordRouteUri& uri, std::span<char> out);

// Both sides of a request that passes between transports or zones (RFC 5658 §3.2). The next element
// sees the side that faces it on top: `egress`, then `ingress`. The caller puts the text above
// every Record-Route that came with the request.
[[nodiscard]] size_t WriteRecordRoutes(const RecordRouteUri& egress, const RecordRouteUri& ingress,
                                       std::span<char> out);

// "Path: <...>" CRLF.
[[nodiscard]] size_t WritePath(const RecordRouteUri& uri, std::span<char> out);

}  // namespace sallyport::sip
