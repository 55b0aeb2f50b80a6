#include "sip/proxy/edge_files.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/regular_file.h"
#include "sip/policy/sip_identities.h"
#include "sip/proxy/config_values.h"

namespace sallyport::sip {
namespace {

bool Mentions(std::string_view message, const std::string& path) {
  return !path.empty() && message.find(path) != std::string_view::npos;
}

// The key whose file the message names; the longest path wins where one contains another.
const core::ConfigPlace& PlaceOf(std::string_view message, const TlsProfileConfig& config) {
  const std::pair<const std::string&, const core::ConfigPlace&> files[] = {
      {config.profile.key_file, config.key_at},
      {config.profile.trusted_ca, config.trusted_ca_at},
      {config.profile.certificate_file, config.certificate_at}};
  const core::ConfigPlace* place = &config.at;
  size_t longest = 0;
  for (const auto& [path, at] : files) {
    if (!Mentions(message, path) || path.size() <= longest) continue;
    place = &at;
    longest = path.size();
  }
  return *place;
}

void ReportStatus(const absl::Status& status, const TlsProfileConfig& config,
                  core::Diagnostics& diagnostics) {
  const std::string_view message(status.message().data(), status.message().size());
  ReportMessage(core::Severity::kError, PlaceOf(message, config), message, diagnostics);
}

// The loader stops at its first error. Our certificate and whom we trust are separate questions, so
// each is asked by itself; equal answers are dropped when the diagnostics are sorted.
void ReportBothHalves(const TlsProfileConfig& config, int64_t now_seconds,
                      core::Diagnostics& diagnostics) {
  tls::Profile ours = config.profile;
  ours.trusted_ca.clear();
  tls::Profile theirs = config.profile;
  theirs.certificate_file.clear();
  theirs.key_file.clear();
  for (const tls::Profile& half : {ours, theirs}) {
    const auto loaded = tls::Credentials::Load(half, now_seconds);
    if (!loaded.ok()) ReportStatus(loaded.status(), config, diagnostics);
  }
}

// The dates of our own certificate are judged below, with what an operator needs to plan.
bool IsAboutOurDates(std::string_view warning, const TlsProfileConfig& config) {
  return warning.starts_with(config.profile.certificate_file + ": ") &&
         warning.find("expire") != std::string_view::npos;
}

void CheckExpiry(const TlsProfileConfig& config, const tls::Credentials& credentials,
                 absl::Time now, core::Diagnostics& diagnostics) {
  const absl::Time end = absl::FromUnixSeconds(credentials.certificate()->facts().not_after);
  const std::string date = absl::FormatTime("%Y-%m-%d %H:%M", end, absl::UTCTimeZone()) + " UTC";
  if (end < now) {
    diagnostics.Error(config.certificate_at,
                      config.profile.certificate_file + ": our certificate has expired on " + date +
                          ", so every peer will refuse us",
                      "put a new one in its place");
  } else if (end <= now + kExpiryWarning) {
    diagnostics.Warning(config.certificate_at,
                        config.profile.certificate_file + ": our certificate expires in " +
                            std::to_string(absl::ToInt64Hours(end - now) / 24) + " days, on " +
                            date,
                        "put a new one in its place and reload with SIGHUP");
  }
}

// Record-Route and Path say the advertised name, and whoever follows them looks for it in the
// certificate of that listener.
void CheckAdvertisedNames(const EdgeConfig& edge, const TlsProfileConfig& config,
                          const SipIdentities& names, core::Diagnostics& diagnostics) {
  for (const ListenerConfig& listener : edge.listeners) {
    if (listener.zone != Zone::kOutside || listener.tls_profile != config.name ||
        listener.advertise_host == edge.domain || names.CoversDomain(listener.advertise_host)) {
      continue;
    }
    diagnostics.Warning(listener.at,
                        "listener \"" + listener.name + "\" advertises \"" +
                            listener.advertise_host + "\", which " +
                            config.profile.certificate_file +
                            " does not prove; it proves: " + names.List(),
                        "get a certificate with that name too, or advertise one that it has");
  }
}

// RFC 5922 §7.1: peers that dial our domain look for it in this certificate.
void CheckNames(const EdgeConfig& edge, const TlsProfileConfig& config,
                const tls::Credentials& credentials, core::Diagnostics& diagnostics) {
  const auto faces_peers = [&config](const ListenerConfig& listener) {
    return listener.zone == Zone::kOutside && listener.tls_profile == config.name;
  };
  if (edge.domain.empty() ||
      std::none_of(edge.listeners.begin(), edge.listeners.end(), faces_peers)) {
    return;
  }
  const SipIdentities names = DeriveSipIdentities(*credentials.certificate(), config.identity);
  CheckAdvertisedNames(edge, config, names, diagnostics);
  if (names.CoversDomain(edge.domain)) return;
  diagnostics.Error(config.certificate_at,
                    config.profile.certificate_file + " does not prove edge.domain \"" +
                        edge.domain + "\"; it proves: " + names.List(),
                    "get a certificate with subjectAltName URI:sip:" + edge.domain +
                        " or DNS:" + edge.domain + ", or correct edge.domain");
}

// A CA may issue a certificate for any name, and nothing in it says for which it should.
void CheckAnchors(const EdgeConfig& edge, const TlsProfileConfig& config,
                  const tls::Credentials& credentials, core::Diagnostics& diagnostics) {
  if (credentials.anchors().size() < 2) return;
  diagnostics.Warning(
      config.trusted_ca_at,
      absl::StrCat("tls.", config.name, ": ", credentials.anchors().size(),
                   " CAs are trusted, and each of them may vouch for every domain, also for ",
                   edge.domain, ", until [[authority]] limits it"),
      "name one CA for each profile, or only CAs that you would believe about every peer");
}

// What to write for it; a wildcard is none.
std::string ReachableAddress(const core::SocketAddress& address) {
  return address.IsUnspecified() ? absl::StrCat("IP:", address.port()) : address.ToString();
}

// The inside finds us by what we advertise. Our domain leads peers to the outside listener.
void CheckInsideNames(const EdgeConfig& edge, core::Diagnostics& diagnostics) {
  for (const ListenerConfig& listener : edge.listeners) {
    if (listener.zone != Zone::kInside || listener.is_advertise_written) continue;
    diagnostics.Warning(
        listener.at,
        absl::StrCat("listener \"", listener.name,
                     "\" has no advertise, so servers inside are told ", listener.advertise_host,
                     ":", listener.advertise_port,
                     "; where they cannot resolve that, each call to a phone fails"),
        absl::StrCat("write advertise = \"", ReachableAddress(listener.address), "\", or \"",
                     listener.advertise_host, ":", listener.advertise_port,
                     "\" if it leads them here"));
  }
}

void OpenProfile(absl::Time now, size_t index, LoadedConfig& loaded,
                 core::Diagnostics& diagnostics) {
  const TlsProfileConfig& config = loaded.config.tls_profiles[index];
  if (config.profile.certificate_file.empty()) return;  // Reported when it was read.
  auto credentials = tls::Credentials::Load(config.profile, absl::ToUnixSeconds(now));
  if (!credentials.ok()) {
    ReportStatus(credentials.status(), config, diagnostics);
    ReportBothHalves(config, absl::ToUnixSeconds(now), diagnostics);
    return;
  }
  for (const std::string& warning : (*credentials)->warnings()) {
    if (IsAboutOurDates(warning, config)) continue;
    ReportMessage(core::Severity::kWarning, PlaceOf(warning, config), warning, diagnostics);
  }
  CheckAnchors(loaded.config, config, **credentials, diagnostics);
  if ((*credentials)->has_certificate()) {
    CheckExpiry(config, **credentials, now, diagnostics);
    CheckNames(loaded.config, config, **credentials, diagnostics);
  }
  loaded.credentials[index] = *std::move(credentials);
}

// Who may write there may decide whom this edge trusts and who it is.
void WarnOfWriters(const std::string& path, const core::ConfigPlace& at, const char* what,
                   core::Diagnostics& diagnostics) {
  const std::string writers = core::WritersBesideOwner(path);
  if (writers.empty()) return;
  diagnostics.Warning(at, absl::StrCat(path, ": ", writers, " may change ", what),
                      absl::StrCat("do: chmod go-w ", path));
}

void WarnOfWritersOfFile(const std::string& file, const core::ConfigPlace& at, const char* what,
                         core::Diagnostics& diagnostics) {
  if (file.empty()) return;
  WarnOfWriters(file, at, what, diagnostics);
  WarnOfWriters(FolderOf(file), at, absl::StrCat("what is in the folder of ", what).c_str(),
                diagnostics);
}

void CheckWriters(const LoadedConfig& loaded, const core::ConfigPlace& secret_at,
                  core::Diagnostics& diagnostics) {
  constexpr std::string_view kFile = "file:";
  const EdgeConfig& config = loaded.config;
  WarnOfWritersOfFile(config.file, {config.file, 0, 0}, "the configuration", diagnostics);
  if (config.secret.starts_with(kFile)) {
    WarnOfWritersOfFile(config.secret.substr(kFile.size()), secret_at, "the secret", diagnostics);
  }
  for (const TlsProfileConfig& profile : config.tls_profiles) {
    const bool has_own_key = !profile.profile.key_file.empty();
    WarnOfWritersOfFile(has_own_key ? profile.profile.key_file : profile.profile.certificate_file,
                        has_own_key ? profile.key_at : profile.certificate_at, "the key",
                        diagnostics);
    WarnOfWritersOfFile(profile.profile.trusted_ca, profile.trusted_ca_at, "the CAs", diagnostics);
  }
}

}  // namespace

void ReportMessage(core::Severity severity, const core::ConfigPlace& at, std::string_view message,
                   core::Diagnostics& diagnostics) {
  const size_t semicolon = message.rfind("; ");
  std::string text(message.substr(0, semicolon));
  std::string remedy(semicolon == std::string_view::npos ? std::string_view()
                                                         : message.substr(semicolon + 2));
  if (severity == core::Severity::kError) {
    diagnostics.Error(at, std::move(text), std::move(remedy));
  } else {
    diagnostics.Warning(at, std::move(text), std::move(remedy));
  }
}

void OpenEdgeFiles(absl::Time now, const core::ConfigPlace& secret_at, LoadedConfig& loaded,
                   core::Diagnostics& diagnostics) {
  loaded.credentials.resize(loaded.config.tls_profiles.size());
  for (size_t i = 0; i < loaded.config.tls_profiles.size(); ++i) {
    OpenProfile(now, i, loaded, diagnostics);
  }
  CheckWriters(loaded, secret_at, diagnostics);
  CheckInsideNames(loaded.config, diagnostics);
  if (loaded.config.secret.empty()) return;
  absl::StatusOr<tls::Secret> secret = tls::Secret::Load(loaded.config.secret);
  if (secret.ok()) {
    loaded.secret = *std::move(secret);
  } else {
    ReportMessage(core::Severity::kError, secret_at,
                  {secret.status().message().data(), secret.status().message().size()},
                  diagnostics);
  }
}

}  // namespace sallyport::sip
