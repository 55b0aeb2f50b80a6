// [tls.NAME]: a certificate with its key, whom we trust, and how TLS is spoken.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config_document.h"
#include "sip/policy/sip_identities.h"
#include "tls/profile.h"

namespace sallyport::sip {

// In the place of an index into EdgeConfig::tls_profiles.
inline constexpr size_t kNoProfile = static_cast<size_t>(-1);

struct TlsProfileConfig {
  std::string name;      // Also profile.name.
  tls::Profile profile;  // Paths are made relative to the configuration's folder.
  IdentityOptions identity;
  // tls-target-name-check: as a client, the certificate must prove the domain that was asked for
  // (RFC 5922 §7.3). False: any that trusted-ca vouches for will do.
  bool check_target_name = true;

  // Where to point when one of these is at fault; the table where the key is absent.
  core::ConfigPlace at;
  core::ConfigPlace certificate_at;
  core::ConfigPlace key_at;
  core::ConfigPlace trusted_ca_at;
};

// Reads every [tls.NAME] in file order. `folder` is where relative paths start. Opens nothing.
std::vector<TlsProfileConfig> ReadTlsProfiles(core::ConfigTable& root, const std::string& folder);

std::vector<std::string> ProfileNames(const std::vector<TlsProfileConfig>& profiles);

// The profile that `value` names; what is not among `names` is reported with the nearest one.
std::optional<size_t> FindProfile(const core::ConfigValue& value,
                                  const std::vector<std::string>& names,
                                  core::Diagnostics& diagnostics);

// Reports that `table_path` has to say which profile it uses, or that there is none. `what` needs
// it: "a TLS listener".
void ReportNoProfile(const core::ConfigPlace& at, std::string_view table_path,
                     std::string_view what, const std::vector<std::string>& names,
                     core::Diagnostics& diagnostics);

}  // namespace sallyport::sip
