// Question: can any text, however broken, crash the reader of the configuration or make it hang?
// What it reports must be one printable line each, with a place inside the file.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "sip/proxy/edge_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using sallyport::core::Diagnostic;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sallyport::sip::LoadOptions options;
  options.open_files = false;  // Values only: no file of this machine is touched.
  options.host_name = "fuzz";
  const auto loaded = sallyport::sip::LoadEdgeConfigText(text, "f.toml", options);
  for (const Diagnostic& entry : loaded.diagnostics) {
    const std::string line = FormatDiagnostic(entry);
    CHECK(line.find('\n') == std::string::npos && line.find('\x1b') == std::string::npos);
    CHECK(entry.place.line <= size + 1);
  }
  if (loaded.ok()) {
    CHECK(!loaded.config.domain.empty() && !loaded.config.listeners.empty());
    CHECK(RestartOnlyDifferences(loaded.config, loaded.config).empty());
  }
  return 0;
}
