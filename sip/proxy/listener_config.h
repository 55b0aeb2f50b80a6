// [[listener]]: one address where connections or datagrams arrive, and what is believed there.
// Plain values; read and checked by ReadListeners, immutable afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config_document.h"
#include "core/socket_address.h"

namespace sallyport::sip {

enum class TransportProtocol : uint8_t { kTls, kTcp, kUdp };
std::string_view TransportName(TransportProtocol transport);  // "tls", "tcp", "udp"

// Outside: only certificates are believed. Inside: our trust domain (RFC 3325 §2.3).
enum class Zone : uint8_t { kOutside, kInside };
std::string_view ZoneName(Zone zone);

// Whether a TLS listener asks for a client certificate and insists on it.
enum class ClientCertificate : uint8_t { kIgnored, kOptional, kRequired };

enum class SipsPolicy : uint8_t { kOff, kAllowed, kRequired };

struct ListenerConfig {
  std::string name;
  core::ConfigPlace at;
  core::ConfigPlace transport_at;  // `at` where the key is absent.
  core::SocketAddress address;
  // Written into Via and Record-Route. A host name in lower case, or an IP literal (IPv6 in
  // brackets); the port is always written, so it is what the peer must connect to.
  bool is_advertise_written = false;  // Else it is the default.
  std::string advertise_host;
  uint16_t advertise_port = 0;
  TransportProtocol transport = TransportProtocol::kTls;
  Zone zone = Zone::kOutside;
  std::vector<core::CidrRange> allow;  // Empty: anybody (outside) or loopback only (inside).
  std::string tls_profile;             // Empty unless transport is kTls.
  ClientCertificate client_certificate = ClientCertificate::kIgnored;
  SipsPolicy sips = SipsPolicy::kAllowed;
};

// What the defaults of a listener depend on.
struct ListenerDefaults {
  std::string domain;                     // For advertise.
  std::vector<std::string> tls_profiles;  // In file order.
};

// Reads every [[listener]]; wrong values are reported in the tables' diagnostics.
std::vector<ListenerConfig> ReadListeners(core::ConfigTable& root,
                                          const ListenerDefaults& defaults);

}  // namespace sallyport::sip
