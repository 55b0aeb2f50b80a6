// A configuration in memory as the shards would use it; no file is opened.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

#include "core/check.h"
#include "core/config_document.h"
#include "sip/proxy/edge_config.h"
#include "sip/proxy/edge_snapshot.h"
#include "tls/secret.h"

namespace sallyport::test {

// `boot_epoch` tells one process from another, of the same secret.
inline std::unique_ptr<const sip::EdgeSnapshot> SnapshotOf(std::string_view text,
                                                           const tls::Secret& secret,
                                                           uint64_t boot_epoch = 9) {
  sip::LoadOptions options;
  options.open_files = false;
  options.host_name = "edge-1";
  sip::LoadedConfig loaded = sip::LoadEdgeConfigText(text, "test.toml", options);
  for (const core::Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity != core::Severity::kError) continue;
    std::fprintf(stderr, "%s\n", core::FormatDiagnostic(diagnostic).c_str());
  }
  CHECK(loaded.ok());
  return std::make_unique<const sip::EdgeSnapshot>(
      std::move(loaded.config), 1, sip::EdgeIdentity{.secret = secret, .boot_epoch = boot_epoch});
}

}  // namespace sallyport::test
