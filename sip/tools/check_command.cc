#include "sip/tools/check_command.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sip/proxy/edge_config.h"

namespace sallyport::sip {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kOk = 0;
constexpr int kWarnings = 1;
constexpr int kErrors = 2;

struct CheckOptions {
  std::string config;
  bool json = false;
};

int ExitCode(const LoadedConfig& loaded) {
  if (!loaded.ok()) return kErrors;
  return loaded.diagnostics.empty() ? kOk : kWarnings;
}

Json AsJson(const core::Diagnostic& diagnostic) {
  Json json;
  json["severity"] = diagnostic.severity == core::Severity::kError ? "error" : "warning";
  json["file"] = diagnostic.place.file;
  if (diagnostic.place.line != 0) {
    json["line"] = diagnostic.place.line;
    json["column"] = diagnostic.place.column;
  }
  json["text"] = diagnostic.text;
  json["remedy"] = diagnostic.remedy;
  return json;
}

void PrintJson(const LoadedConfig& loaded) {
  Json json;
  json["file"] = loaded.config.file;
  json["result"] = loaded.diagnostics.empty() ? "ok" : loaded.ok() ? "warnings" : "errors";
  json["diagnostics"] = Json::array();
  for (const core::Diagnostic& entry : loaded.diagnostics) {
    json["diagnostics"].push_back(AsJson(entry));
  }
  // Names in a file need not be UTF-8: replaced, because dump() throws otherwise.
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

std::string Count(size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

void PrintText(const LoadedConfig& loaded) {
  size_t errors = 0;
  for (const core::Diagnostic& entry : loaded.diagnostics) {
    std::cout << FormatDiagnostic(entry) << "\n";
    if (entry.severity == core::Severity::kError) ++errors;
  }
  const size_t warnings = loaded.diagnostics.size() - errors;
  const EdgeConfig& config = loaded.config;
  if (errors > 0) {
    std::cout << config.file << ": " << Count(errors, "error") << ", " << Count(warnings, "warning")
              << "; \"run\" would not start and a reload would keep the old configuration\n";
    return;
  }
  std::cout << config.file << ": " << (warnings == 0 ? "ok" : Count(warnings, "warning")) << ": "
            << config.domain << ", " << Count(config.listeners.size(), "listener") << ", "
            << Count(config.tls_profiles.size(), "TLS profile") << ", "
            << Count(config.next_hops.size(), "next hop") << "\n";
}

}  // namespace

void AddCheckCommand(CLI::App& app, int& exit_code) {
  CLI::App* const command = app.add_subcommand(
      "check", "Read a configuration and open every file it names, as run and reload would");
  const auto options = std::make_shared<CheckOptions>();  // Lives as long as the callback.
  command->add_option("--config", options->config, "The configuration file")->required();
  command->add_flag("--json", options->json, "Print one JSON object instead of lines");
  command->footer("Exit status: 0 nothing found, 1 warnings, 2 errors.");
  command->callback([options, &exit_code] {
    const LoadedConfig loaded = LoadEdgeConfig(options->config);
    if (options->json) {
      PrintJson(loaded);
    } else {
      PrintText(loaded);
    }
    exit_code = ExitCode(loaded);
  });
}

}  // namespace sallyport::sip
