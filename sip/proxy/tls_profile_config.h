// [tls.NAME]: a certificate with its key, whom we trust, and how TLS is spoken.
#pragma once

#include <string>
#include <vector>

#include "core/config_document.h"
#include "sip/policy/sip_identities.h"
#include "tls/profile.h"

namespace sallyport::sip {

struct TlsProfileConfig {
  std::string name;      // Also profile.name.
  tls::Profile profile;  // Paths are made relative to the configuration's folder.
  IdentityOptions identity;

  // Where to point when one of these is at fault; the table where the key is absent.
  core::ConfigPlace at;
  core::ConfigPlace certificate_at;
  core::ConfigPlace key_at;
  core::ConfigPlace trusted_ca_at;
};

// Reads every [tls.NAME] in file order. `folder` is where relative paths start. Opens nothing.
std::vector<TlsProfileConfig> ReadTlsProfiles(core::ConfigTable& root, const std::string& folder);

}  // namespace sallyport::sip
