// The files that a configuration names, opened and judged: certificates, keys, CAs, the secret.
#pragma once

#include <string_view>

#include "absl/time/time.h"
#include "core/config_document.h"
#include "sip/proxy/edge_config.h"

namespace sallyport::sip {

inline constexpr absl::Duration kExpiryWarning = absl::Hours(14 * 24);

// A message of core or tls, "what is wrong; what to do about it", as the two halves of a
// diagnostic.
void ReportMessage(core::Severity severity, const core::ConfigPlace& at, std::string_view message,
                   core::Diagnostics& diagnostics);

// Fills loaded.credentials and loaded.secret from loaded.config. What is wrong is reported at the
// key that names the file. Reports everything: a broken key does not hide a broken CA. Warns
// where others than the owner may write to the configuration, a key, a secret or the CAs.
void OpenEdgeFiles(absl::Time now, const core::ConfigPlace& secret_at, LoadedConfig& loaded,
                   core::Diagnostics& diagnostics);

}  // namespace sallyport::sip
