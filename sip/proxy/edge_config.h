// The whole configuration of one edge: plain values, immutable once loaded. LoadEdgeConfig is the
// one way to them, for `run`, `check` and reload alike, so what `check` accepts, `run` starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/config_document.h"
#include "core/log.h"
#include "core/socket_address.h"
#include "sip/policy/identity_headers.h"
#include "sip/proxy/limits_config.h"
#include "sip/proxy/listener_config.h"
#include "sip/proxy/next_hop_config.h"
#include "sip/proxy/route_config.h"
#include "sip/proxy/tls_profile_config.h"
#include "tls/credentials.h"
#include "tls/secret.h"

namespace sallyport::sip {

// [edge] unmatched: a certificate that no [[peer]] matches.
enum class UnmatchedPeer : uint8_t { kOwnIdentities, kRefuse };

// [path] when: which REGISTERs from outside get our Path.
enum class PathWhen : uint8_t { kAlways, kSupported };

// [log] call-id: how log lines show Call-IDs. A hash is keyed by the secret: all instances show the
// same one, and it does not tell the Call-ID to a reader without the secret.
enum class LoggedCallId : uint8_t { kHash, kPlain, kOff };

struct LogConfig {
  core::LogFormat format = core::LogFormat::kAuto;
  core::LogLevel level = core::LogLevel::kInfo;
  bool users = false;  // User parts of Request-URI, From and To in log lines.
  LoggedCallId call_id = LoggedCallId::kHash;
};

struct EdgeConfig {
  std::string file;    // As given to LoadEdgeConfig.
  std::string folder;  // Relative paths of the file start here; "." at the least.

  std::string domain;                // Lower case.
  std::vector<std::string> domains;  // Lower case; never empty.
  std::string instance;
  uint32_t shards = 0;                   // 0: one for each CPU that we may run on.
  core::SocketAddress admin;             // Loopback; family kNone: `admin = ""`, no admin server.
  std::vector<std::string> admin_hosts;  // What Host may say besides the address.
  UnmatchedPeer unmatched = UnmatchedPeer::kOwnIdentities;
  // "file:PATH" (made relative to the folder), "env:NAME" or "credential:NAME"; empty: make one for
  // this process.
  std::string secret;

  std::vector<TlsProfileConfig> tls_profiles;
  std::vector<ListenerConfig> listeners;
  std::vector<NextHopConfig> next_hops;
  std::vector<RouteConfig> routes;  // The first that matches wins.
  // Index into tls_profiles: for requests that leave by RFC 3263. kNoProfile: these cannot use TLS.
  size_t outbound_tls = kNoProfile;
  std::vector<core::SocketAddress> dns_servers;  // Empty: the system's.
  PathWhen path_when = PathWhen::kAlways;
  AssertedHeader identity_header = AssertedHeader::kPAssertedIdentity;
  LimitsConfig limits;
  TimeoutsConfig timeouts;
  LogConfig log;

  // nullptr if there is none of that name.
  const TlsProfileConfig* FindTlsProfile(std::string_view name) const;
  // The first inside one, where requests from outside for our domains go without a route; nothing
  // if there is none.
  std::optional<size_t> DefaultNextHop() const;
};

inline constexpr size_t kDnsServersMax = 8;

// Usable only if ok(). What was opened is handed on, so that the files that were judged are the
// files that are used.
struct LoadedConfig {
  EdgeConfig config;
  // For each of config.tls_profiles; nullptr if it could not be loaded.
  std::vector<std::unique_ptr<const tls::Credentials>> credentials;
  std::optional<tls::Secret> secret;  // Empty: none is configured (or it could not be loaded).
  std::vector<core::Diagnostic> diagnostics;  // In file order.

  bool ok() const;  // No diagnostic is an error.
};

struct LoadOptions {
  absl::Time now = absl::Now();
  std::string host_name;  // Default of `instance`; empty: asked of the system.
  bool open_files =
      true;  // False: values only; no certificate, key, CA or secret is opened (fuzzing).
};

// Reads, checks and opens everything that the file names. Blocks on the file system: never on a
// shard's thread.
LoadedConfig LoadEdgeConfig(const std::string& path, const LoadOptions& options = {});

// The same for a text in memory; `path` gives places and the folder of relative paths.
LoadedConfig LoadEdgeConfigText(std::string_view text, const std::string& path,
                                const LoadOptions& options = {});

// Keys whose values differ and that a running process cannot take over, such as "edge.shards" or
// "listener \"federation\" address". Empty: a reload may swap `next` in.
std::vector<std::string> RestartOnlyDifferences(const EdgeConfig& running, const EdgeConfig& next);

}  // namespace sallyport::sip
