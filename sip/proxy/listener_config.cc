#include "sip/proxy/listener_config.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "sip/proxy/config_values.h"
#include "sip/proxy/tls_profile_config.h"

namespace sallyport::sip {
namespace {

enum class Require : uint8_t { kCertificate, kDigest, kEither, kCertificateAndDigest };

core::SocketAddress ReadAddress(core::ConfigTable& table) {
  constexpr std::string_view kExample =
      "write IP:port, such as \"0.0.0.0:5061\" (IPv4) or \"[::]:5061\" (IPv6 only)";
  if (!table.Require("address", kExample)) return {};
  const std::string text = table.String("address");
  const core::ConfigValue& value = *table.Find("address");
  absl::StatusOr<core::SocketAddress> address = core::SocketAddress::Parse(text);
  if (!address.ok()) {
    // Another kind than a string was reported above.
    if (value.kind == core::ConfigKind::kString) {
      value.Reject(table.diagnostics(), "not an IP address with a port", kExample);
    }
    return {};
  }
  if (address->port() == 0) {
    value.Warn(table.diagnostics(), "port 0 lets the system choose another one at every start",
               "write the port that peers connect to");
  }
  return *address;
}

// The default is our domain and the listener's port.
void ReadAdvertise(core::ConfigTable& table, const std::string& domain, ListenerConfig& listener) {
  listener.advertise_host = domain;
  listener.advertise_port = listener.address.port();
  const std::string text = table.String("advertise");
  if (text.empty()) return;
  std::optional<HostPort> parsed = ParseHostPort(text);
  if (!parsed.has_value() || parsed->port == uint16_t{0}) {
    table.Find("advertise")
        ->Reject(table.diagnostics(), "not host:port",
                 "write what peers connect to, such as \"edge.example:5061\" or "
                 "\"[2001:db8::1]:5061\"");
    return;
  }
  listener.is_advertise_written = true;
  listener.advertise_host = std::move(parsed->host);
  if (parsed->port.has_value()) listener.advertise_port = *parsed->port;
}

std::vector<core::CidrRange> ReadNetworks(core::ConfigTable& table, std::string_view key) {
  std::vector<core::CidrRange> networks;
  for (const core::ConfigValue* value : table.Strings(key)) {
    absl::StatusOr<core::CidrRange> network = core::CidrRange::Parse(value->text);
    if (network.ok()) {
      networks.push_back(*network);
    } else {
      value->Reject(table.diagnostics(), std::string(network.status().message()),
                    "write a network such as \"10.0.0.0/8\" or \"2001:db8::/32\", or one address");
    }
  }
  return networks;
}

// An inside listener believes what it is told, so who may reach it must be said.
void CheckReach(core::ConfigTable& table, const ListenerConfig& listener) {
  const core::ConfigValue* allow = table.Find("allow");
  const bool listed = allow != nullptr && !allow->members.empty();
  if (listener.zone != Zone::kInside || listed || listener.address.IsLoopback() ||
      listener.address.family() == core::AddressFamily::kNone) {
    return;
  }
  table.diagnostics().Error(
      allow != nullptr ? allow->at : table.at(),
      table.path() + ": an inside listener on " + listener.address.HostToString() +
          " must say who may connect, because everything said there is believed",
      "write allow = [\"10.0.0.0/8\"] with the networks of your own servers, or listen on "
      "127.0.0.1");
}

// The profile's name, which exists; empty after an error.
std::string ReadProfileName(core::ConfigTable& table, const std::vector<std::string>& profiles) {
  const std::vector<const core::ConfigValue*> names = table.StringOrStrings("tls");
  if (names.size() > 1) {
    names[1]->Reject(table.diagnostics(),
                     "several profiles on one listener are not available in this version",
                     "use one listener, with an address of its own, per profile");
    return std::string();
  }
  if (names.empty() || (names.size() == 1 && names.front()->text.empty())) {
    if (profiles.size() == 1) return profiles.front();
    ReportNoProfile(table.at(), table.path(), "a TLS listener", profiles, table.diagnostics());
    return std::string();
  }
  const std::optional<size_t> found = FindProfile(*names.front(), profiles, table.diagnostics());
  return found.has_value() ? profiles[*found] : std::string();
}

ClientCertificate ReadClientCertificate(core::ConfigTable& table, const ListenerConfig& listener) {
  const ClientCertificate missing =
      listener.transport == TransportProtocol::kTls && listener.zone == Zone::kOutside
          ? ClientCertificate::kRequired
          : ClientCertificate::kIgnored;
  const ClientCertificate chosen =
      table.Choice<ClientCertificate>("client-certificate",
                                      {{"ignored", ClientCertificate::kIgnored},
                                       {"optional", ClientCertificate::kOptional},
                                       {"required", ClientCertificate::kRequired}},
                                      missing);
  if (listener.transport == TransportProtocol::kTls || chosen == ClientCertificate::kIgnored) {
    return chosen;
  }
  table.Find("client-certificate")
      ->Reject(table.diagnostics(),
               "only a TLS listener sees certificates, and this one is " +
                   std::string(TransportName(listener.transport)),
               "write transport = \"tls\" or leave it out");
  return ClientCertificate::kIgnored;
}

// Legal pairs of client-certificate and require: ignored with digest only; optional with all;
// required with certificate and certificate+digest.
void CheckRequire(core::ConfigTable& table, const ListenerConfig& listener) {
  const Require require =
      table.Choice<Require>("require",
                            {{"certificate", Require::kCertificate},
                             {"digest", Require::kDigest},
                             {"either", Require::kEither},
                             {"certificate+digest", Require::kCertificateAndDigest}},
                            Require::kCertificate);
  const core::ConfigValue* written = table.Find("require");
  const bool required = listener.client_certificate == ClientCertificate::kRequired;
  if (require != Require::kCertificate) {
    const bool never = required && require != Require::kCertificateAndDigest;
    written->Reject(table.diagnostics(),
                    never ? "does not go with client-certificate = \"required\", and digest is not "
                            "available in this version"
                          : "digest is not available in this version",
                    "write \"certificate\" or leave it out");
    return;
  }
  const bool ignored = listener.client_certificate == ClientCertificate::kIgnored;
  if (listener.zone != Zone::kOutside || listener.transport != TransportProtocol::kTls ||
      !ignored) {
    return;
  }
  table.Find("client-certificate")
      ->Reject(
          table.diagnostics(),
          "goes with require = \"digest\" only, and digest is not available in this version",
          "write \"required\", or \"optional\" to answer those without a certificate with 403");
}

SipsPolicy ReadSips(core::ConfigTable& table, const ListenerConfig& listener) {
  const SipsPolicy sips = table.Choice<SipsPolicy>("sips",
                                                   {{"off", SipsPolicy::kOff},
                                                    {"allowed", SipsPolicy::kAllowed},
                                                    {"required", SipsPolicy::kRequired}},
                                                   SipsPolicy::kAllowed);
  if (sips == SipsPolicy::kRequired && listener.transport != TransportProtocol::kTls) {
    table.Find("sips")->Reject(table.diagnostics(),
                               "a sips request never comes without TLS, so all would be refused",
                               "write transport = \"tls\" or sips = \"allowed\"");
  }
  return sips;
}

ListenerConfig ReadListener(core::ConfigTable& table, const ListenerDefaults& defaults) {
  ListenerConfig listener;
  listener.at = table.at();
  if (table.Require("name", "write name = \"federation\"; it appears in logs and metrics")) {
    listener.name = table.String("name");
    CheckName(table.diagnostics(), table.Find("name")->at, table.path() + ".name", listener.name);
  }
  listener.transport = table.Choice<TransportProtocol>("transport",
                                                       {{"tls", TransportProtocol::kTls},
                                                        {"tcp", TransportProtocol::kTcp},
                                                        {"udp", TransportProtocol::kUdp}},
                                                       TransportProtocol::kTls);
  const core::ConfigValue* transport = table.Find("transport");
  listener.transport_at = transport != nullptr ? transport->at : table.at();
  table.Require("zone",
                "write zone = \"outside\" (believe only certificates) or \"inside\" (our "
                "own servers)");
  listener.zone = table.Choice<Zone>(
      "zone", {{"outside", Zone::kOutside}, {"inside", Zone::kInside}}, Zone::kOutside);
  listener.address = ReadAddress(table);
  ReadAdvertise(table, defaults.domain, listener);
  listener.allow = ReadNetworks(table, "allow");
  CheckReach(table, listener);
  if (listener.transport == TransportProtocol::kTls) {
    listener.tls_profile = ReadProfileName(table, defaults.tls_profiles);
  } else if (const core::ConfigValue* tls = table.Find("tls")) {
    tls->Reject(table.diagnostics(), "this listener does not speak TLS",
                "write transport = \"tls\" or leave it out");
  }
  listener.client_certificate = ReadClientCertificate(table, listener);
  CheckRequire(table, listener);
  listener.sips = ReadSips(table, listener);
  table.NotAvailable("proxy-protocol", "write [] or leave it out", "");
  table.RefuseUnknown();
  return listener;
}

bool SameSocket(const ListenerConfig& a, const ListenerConfig& b) {
  const bool datagrams_a = a.transport == TransportProtocol::kUdp;
  const bool datagrams_b = b.transport == TransportProtocol::kUdp;
  return a.address == b.address && a.address.port() != 0 && datagrams_a == datagrams_b;
}

void CheckUnique(core::ConfigTable& table, const std::vector<ListenerConfig>& earlier,
                 const ListenerConfig& listener) {
  for (const ListenerConfig& other : earlier) {
    if (!listener.name.empty() && other.name == listener.name) {
      table.Find("name")->Reject(table.diagnostics(), "another listener has this name",
                                 "give each listener a name of its own");
    }
    if (SameSocket(other, listener)) {
      table.Find("address")->Reject(table.diagnostics(),
                                    "the listener \"" + other.name + "\" has this address",
                                    "use another port");
    }
  }
}

}  // namespace

std::string_view TransportName(TransportProtocol transport) {
  switch (transport) {
    case TransportProtocol::kTls:
      return "tls";
    case TransportProtocol::kTcp:
      return "tcp";
    case TransportProtocol::kUdp:
      return "udp";
  }
  UNREACHABLE();
}

std::string_view ZoneName(Zone zone) { return zone == Zone::kOutside ? "outside" : "inside"; }

std::vector<ListenerConfig> ReadListeners(core::ConfigTable& root,
                                          const ListenerDefaults& defaults) {
  std::vector<ListenerConfig> listeners;
  for (core::ConfigTable& table : root.Tables("listener")) {
    ListenerConfig listener = ReadListener(table, defaults);
    CheckUnique(table, listeners, listener);
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

}  // namespace sallyport::sip
