#include "sip/proxy/edge_config.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "core/regular_file.h"
#include "sip/message/host.h"
#include "sip/proxy/config_values.h"
#include "sip/proxy/edge_files.h"

namespace sallyport::sip {
namespace {

constexpr int64_t kShardsMax = 256;
constexpr std::string_view kAdminDefault = "127.0.0.1:9090";

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

void ReadDomains(core::ConfigTable& table, EdgeConfig& config) {
  core::Diagnostics& diagnostics = table.diagnostics();
  if (table.Require("domain",
                    "write domain = \"edge.example\", the name that our certificate "
                    "proves")) {
    const std::string text = table.String("domain");
    const core::ConfigValue& value = *table.Find("domain");
    if (value.kind == core::ConfigKind::kString) {
      config.domain = ReadDomain(value, diagnostics).value_or("");
    }
  }
  for (const core::ConfigValue* value : table.Strings("domains")) {
    // Requests may name what is behind us by an address, too.
    const HostKind kind = ClassifyHost(value->text);
    if (kind == HostKind::kIpv4 || kind == HostKind::kIpv6) {
      config.domains.push_back(value->text);
      continue;
    }
    std::optional<std::string> domain = ReadDomain(*value, diagnostics);
    if (domain.has_value()) config.domains.push_back(*std::move(domain));
  }
  const core::ConfigValue* list = table.Find("domains");
  if (list != nullptr && list->kind == core::ConfigKind::kArray && list->members.empty()) {
    list->Reject(diagnostics, "no domain is served, so every request would be refused (relay)",
                 "list the domains behind this edge, or leave it out for edge.domain alone");
  }
  if (list == nullptr) config.domains = {config.domain};
}

// file: is read from the configuration's folder; the others have no path.
void ReadSecret(core::ConfigTable& table, EdgeConfig& config) {
  const std::string text = table.String("secret");
  const core::ConfigValue* value = table.Find("secret");
  if (value == nullptr) {
    if (!table.present()) return;
    table.diagnostics().Warning(
        table.at(),
        "edge: secret is missing, so this process makes its own: session tickets end with it, and "
        "no other instance accepts them",
        "make one with: (umask 077; head -c 32 /dev/urandom | base64 > edge.secret), then write "
        "secret = \"file:edge.secret\"");
    return;
  }
  constexpr std::string_view kFile = "file:";
  if (text.starts_with(kFile) && text.size() > kFile.size()) {
    config.secret = std::string(kFile) + PathFrom(config.folder, text.substr(kFile.size()));
  } else if (text.starts_with("env:") || text.starts_with("credential:")) {
    config.secret = text;
  } else if (value->kind == core::ConfigKind::kString) {
    // Not shown: it may be the secret itself.
    table.diagnostics().Error(value->at, "edge.secret does not say where the secret is",
                              "write \"file:PATH\", \"env:NAME\" or \"credential:NAME\"; never the "
                              "secret itself");
  }
}

void ReadAdmin(core::ConfigTable& table, EdgeConfig& config) {
  const std::string text = table.String("admin", kAdminDefault);
  if (text.empty()) return;
  const core::ConfigValue* value = table.Find("admin");
  const absl::StatusOr<core::SocketAddress> address = core::SocketAddress::Parse(text);
  if (!address.ok()) {
    value->Reject(table.diagnostics(), "not an IP address with a port",
                  "write \"127.0.0.1:9090\", or \"\" for no admin page");
  } else if (!address->IsLoopback()) {
    value->Reject(table.diagnostics(),
                  "not a loopback address, and admin-token is not available in this version",
                  "write \"127.0.0.1:9090\" and let a local agent scrape it");
  } else {
    config.admin = *address;
  }
}

std::vector<std::string> ReadAdminHosts(core::ConfigTable& table) {
  std::vector<std::string> hosts;
  for (const core::ConfigValue* value : table.Strings("admin-hosts")) {
    if (ClassifyHost(value->text) == HostKind::kInvalid) {
      value->Reject(table.diagnostics(), "not a host name or address",
                    "write what a client says in Host, without scheme and port, such as "
                    "\"edge1.example\"");
    } else {
      hosts.push_back(value->text);
    }
  }
  return hosts;
}

void ReadUnmatched(core::ConfigTable& table, EdgeConfig& config) {
  config.unmatched = table.Choice<UnmatchedPeer>(
      "unmatched",
      {{"own-identities", UnmatchedPeer::kOwnIdentities}, {"refuse", UnmatchedPeer::kRefuse}},
      UnmatchedPeer::kOwnIdentities);
  if (config.unmatched != UnmatchedPeer::kRefuse) return;
  table.Find("unmatched")
      ->Warn(table.diagnostics(),
             "there is no [[peer]] in this version, so every certificate is refused (peer-refused)",
             "write \"own-identities\"");
}

void ReadEdge(core::ConfigTable table, const LoadOptions& options, EdgeConfig& config) {
  ReadDomains(table, config);
  config.instance = table.String("instance");
  if (config.instance.empty()) {
    config.instance = options.host_name.empty() ? HostName() : options.host_name;
  } else {
    CheckName(table.diagnostics(), table.Find("instance")->at, "edge.instance", config.instance);
  }
  ReadSecret(table, config);
  config.shards = static_cast<uint32_t>(table.Integer("shards", 0, 0, kShardsMax));
  ReadAdmin(table, config);
  config.admin_hosts = ReadAdminHosts(table);
  ReadUnmatched(table, config);
  table.NotAvailable("control", "leave it out; SIGHUP reloads and SIGTERM drains", "");
  table.String("outbound-tls");  // Read by ReadOutboundTls, once the profiles are known.
  table.NotAvailable("admin-token", "leave it out and keep admin on a loopback address");
  table.RefuseUnknown();
}

AssertedHeader ReadIdentityHeader(core::ConfigTable table) {
  const AssertedHeader mode =
      table.Choice<AssertedHeader>("mode",
                                   {{"pai", AssertedHeader::kPAssertedIdentity},
                                    {"ppi", AssertedHeader::kPPreferredIdentity},
                                    {"none", AssertedHeader::kNone}},
                                   AssertedHeader::kPAssertedIdentity);
  table.RefuseUnknown();
  return mode;
}

PathWhen ReadPath(core::ConfigTable table) {
  const PathWhen when = table.Choice<PathWhen>(
      "when", {{"always", PathWhen::kAlways}, {"supported", PathWhen::kSupported}},
      PathWhen::kAlways);
  table.RefuseUnknown();
  return when;
}

LogConfig ReadLog(core::ConfigTable table) {
  LogConfig log;
  log.format = table.Choice<core::LogFormat>("format",
                                             {{"auto", core::LogFormat::kAuto},
                                              {"text", core::LogFormat::kText},
                                              {"json", core::LogFormat::kJson}},
                                             log.format);
  log.level = table.Choice<core::LogLevel>("level",
                                           {{"debug", core::LogLevel::kDebug},
                                            {"info", core::LogLevel::kInfo},
                                            {"warning", core::LogLevel::kWarning},
                                            {"error", core::LogLevel::kError}},
                                           log.level);
  log.users = table.Boolean("users", log.users);
  log.call_id = table.Choice<LoggedCallId>(
      "call-id",
      {{"hash", LoggedCallId::kHash}, {"plain", LoggedCallId::kPlain}, {"off", LoggedCallId::kOff}},
      log.call_id);
  table.RefuseUnknown();
  return log;
}

// Tables of the interface that this version does not serve.
void RefuseLaterTables(core::ConfigTable& root) {
  root.NotAvailable("peer", "remove [[peer]]; every peer has the identities of its certificate");
  root.NotAvailable("authority", "remove [[authority]]; trusted-ca says whom to trust");
  root.NotAvailable("mappings",
                    "remove [mappings]; every peer has the identities of its certificate");
}

// A request from inside that no route takes to a next hop leaves by RFC 3263.
bool CanLeaveByDns(const EdgeConfig& config) {
  const bool has_inside =
      std::any_of(config.listeners.begin(), config.listeners.end(),
                  [](const ListenerConfig& listener) { return listener.zone == Zone::kInside; });
  if (!has_inside) return false;
  for (const RouteConfig& route : config.routes) {
    if (route.zone == Zone::kOutside) continue;
    if (!route.next_hop.has_value()) return true;
    if (route.domain.empty() && route.user.is_any() && route.method.empty()) return false;
  }
  return true;
}

void ReadOutboundTls(core::ConfigTable& edge, EdgeConfig& config, core::Diagnostics& diagnostics) {
  const core::ConfigValue* const written = edge.Find("outbound-tls");
  const bool is_named =
      written != nullptr && written->kind == core::ConfigKind::kString && !written->text.empty();
  if (is_named) {
    config.outbound_tls =
        FindProfile(*written, ProfileNames(config.tls_profiles), diagnostics).value_or(kNoProfile);
  } else if (config.tls_profiles.size() == 1) {
    config.outbound_tls = 0;
  }
  const bool is_trusting = config.outbound_tls != kNoProfile &&
                           !config.tls_profiles[config.outbound_tls].profile.trusted_ca.empty();
  if (is_trusting) return;
  if (is_named && config.outbound_tls != kNoProfile) {
    written->Reject(diagnostics, "that profile has no trusted-ca, so nobody could be verified",
                    "write trusted-ca = \"ca.pem\" in [tls." + written->text + "]");
  } else if (!is_named && config.tls_profiles.size() > 1 && CanLeaveByDns(config)) {
    diagnostics.Warning(edge.at(),
                        "edge: outbound-tls is missing, and there are several profiles: requests "
                        "that leave by RFC 3263 cannot use TLS",
                        "write outbound-tls = \"NAME\" with one of: " +
                            absl::StrJoin(ProfileNames(config.tls_profiles), ", "));
  }
  config.outbound_tls = kNoProfile;
}

// "192.0.2.53", "2001:db8::53", "192.0.2.53:53", "[2001:db8::53]:53".
std::vector<core::SocketAddress> ReadDns(core::ConfigTable table) {
  constexpr uint16_t kDnsPort = 53;
  constexpr std::string_view kExample =
      "write IP addresses such as \"192.0.2.53\" or "
      "\"[2001:db8::53]:5353\"; without a port it is 53";
  std::vector<core::SocketAddress> servers;
  for (const core::ConfigValue* value : table.Strings("servers")) {
    std::optional<core::SocketAddress> server =
        core::SocketAddress::FromHost(value->text, kDnsPort);
    if (!server.has_value()) {
      const absl::StatusOr<core::SocketAddress> parsed = core::SocketAddress::Parse(value->text);
      if (parsed.ok()) server = *parsed;
    }
    if (!server.has_value() || server->port() == 0 || server->IsUnspecified()) {
      value->Reject(table.diagnostics(), "not the address of a DNS server", kExample);
    } else if (servers.size() == kDnsServersMax) {
      value->Reject(table.diagnostics(), "too many DNS servers",
                    "list at most " + std::to_string(kDnsServersMax));
    } else {
      servers.push_back(*server);
    }
  }
  table.RefuseUnknown();
  return servers;
}

void CheckNextHopsAsAWhole(const std::string& file, const EdgeConfig& config,
                           core::Diagnostics& diagnostics) {
  const std::optional<size_t> first_inside = config.DefaultNextHop();
  if (!first_inside.has_value()) {
    diagnostics.Warning({file, 0, 0},
                        "there is no inside [[next-hop]]: accepted requests are answered 503",
                        "add one with name, targets = [\"udp:127.0.0.1:5080\"] and zone = "
                        "\"inside\"");
  }
  for (size_t i = 0; i < config.next_hops.size(); ++i) {
    const bool is_routed =
        std::any_of(config.routes.begin(), config.routes.end(),
                    [i](const RouteConfig& route) { return route.next_hop == i; });
    if (i == first_inside || is_routed) continue;
    diagnostics.Warning(
        config.next_hops[i].at,
        "next-hop \"" + config.next_hops[i].name +
            "\" is not used: no [[route]] names it, and it is not the first inside "
            "one",
        "add [[route]] with next-hop = \"" + config.next_hops[i].name + "\", or remove it");
  }
}

// Only a certificate proves who is outside. Such a listener is of use to send from.
void CheckPlainListeners(const EdgeConfig& config, core::Diagnostics& diagnostics) {
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& listener = config.listeners[i];
    if (listener.zone != Zone::kOutside || listener.transport == TransportProtocol::kTls) continue;
    const auto sends_from = [i](const NextHopTarget& target) { return target.listener == i; };
    const bool is_used = std::any_of(
        config.next_hops.begin(), config.next_hops.end(), [&](const NextHopConfig& next_hop) {
          return std::any_of(next_hop.targets.begin(), next_hop.targets.end(), sends_from);
        });
    if (is_used) continue;
    diagnostics.Warning(listener.transport_at,
                        "listener \"" + listener.name + "\" is " +
                            std::string(TransportName(listener.transport)) +
                            " outside: without TLS nobody can prove who they are, so every request "
                            "is refused (no-identity)",
                        "write \"tls\", or remove this listener");
  }
}

void CheckAsAWhole(const std::string& file, const EdgeConfig& config,
                   core::Diagnostics& diagnostics) {
  if (config.listeners.empty()) {
    diagnostics.Error({file, 0, 0}, "there is no [[listener]]",
                      "add one with name, address = \"0.0.0.0:5061\" and zone = \"outside\"");
  }
  CheckNextHopsAsAWhole(file, config, diagnostics);
  CheckPlainListeners(config, diagnostics);
  for (const ListenerConfig& listener : config.listeners) {
    const TlsProfileConfig* profile = config.FindTlsProfile(listener.tls_profile);
    if (profile == nullptr || !profile->profile.trusted_ca.empty() ||
        listener.client_certificate == ClientCertificate::kIgnored) {
      continue;
    }
    diagnostics.Error(profile->trusted_ca_at,
                      "tls." + profile->name + ": trusted-ca is missing, so the listener \"" +
                          listener.name + "\" could accept no client certificate",
                      "write trusted-ca = \"ca.pem\" with the CAs of your peers");
  }
}

core::ConfigPlace SecretPlace(core::ConfigTable root) {
  const core::ConfigValue* value = root.Table("edge").Find("secret");
  return value == nullptr ? core::ConfigPlace{} : value->at;
}

void ReadDocument(const core::ConfigDocument& document, const LoadOptions& options,
                  LoadedConfig& loaded, core::Diagnostics& diagnostics) {
  EdgeConfig& config = loaded.config;
  core::ConfigTable root(&document.root(), &diagnostics);
  core::ConfigTable edge = root.Table("edge");
  if (root.Find("edge") == nullptr) {
    diagnostics.Error({config.file, 0, 0}, "[edge] is missing",
                      "add [edge] with domain = \"edge.example\"");
  }
  ReadEdge(edge, options, config);
  config.tls_profiles = ReadTlsProfiles(root, config.folder);
  config.listeners = ReadListeners(root, {config.domain, ProfileNames(config.tls_profiles)});
  config.next_hops = ReadNextHops(root, config.listeners, config.tls_profiles);
  config.routes = ReadRoutes(root, config.next_hops);
  config.dns_servers = ReadDns(root.Table("dns"));
  ReadOutboundTls(edge, config, diagnostics);
  config.path_when = ReadPath(root.Table("path"));
  config.identity_header = ReadIdentityHeader(root.Table("identity-header"));
  config.limits = ReadLimits(root.Table("limits"));
  config.timeouts = ReadTimeouts(root.Table("timeouts"));
  config.log = ReadLog(root.Table("log"));
  RefuseLaterTables(root);
  root.RefuseUnknown();
  CheckAsAWhole(config.file, config, diagnostics);
  if (options.open_files) OpenEdgeFiles(options.now, SecretPlace(root), loaded, diagnostics);
}

}  // namespace

const TlsProfileConfig* EdgeConfig::FindTlsProfile(std::string_view name) const {
  for (const TlsProfileConfig& profile : tls_profiles) {
    if (profile.name == name) return &profile;
  }
  return nullptr;
}

std::optional<size_t> EdgeConfig::DefaultNextHop() const {
  for (size_t i = 0; i < next_hops.size(); ++i) {
    if (next_hops[i].zone == Zone::kInside) return i;
  }
  return std::nullopt;
}

bool LoadedConfig::ok() const {
  return std::none_of(diagnostics.begin(), diagnostics.end(), [](const core::Diagnostic& found) {
    return found.severity == core::Severity::kError;
  });
}

LoadedConfig LoadEdgeConfigText(std::string_view text, const std::string& path,
                                const LoadOptions& options) {
  LoadedConfig loaded;
  loaded.config.file = path;
  loaded.config.folder = FolderOf(path);
  core::Diagnostics diagnostics;
  const std::optional<core::ConfigDocument> document =
      core::ConfigDocument::Parse(text, path, diagnostics);
  if (document.has_value()) ReadDocument(*document, options, loaded, diagnostics);
  diagnostics.Sort();
  loaded.diagnostics = diagnostics.Take();
  return loaded;
}

LoadedConfig LoadEdgeConfig(const std::string& path, const LoadOptions& options) {
  const auto file = core::ReadRegularFile(path, core::kConfigBytesMax);
  if (file.ok()) return LoadEdgeConfigText(file->text, path, options);
  LoadedConfig loaded;
  loaded.config.file = path;
  loaded.config.folder = FolderOf(path);
  core::Diagnostics diagnostics;
  // The place names the path already.
  const std::string message(file.status().message().substr(path.size() + 2));
  ReportMessage(core::Severity::kError, {path, 0, 0}, message, diagnostics);
  loaded.diagnostics = diagnostics.Take();
  return loaded;
}

}  // namespace sallyport::sip
