#include "sip/tools/version_command.h"

#include <sys/utsname.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "core/uring_probe.h"
#include "tls/version.h"

namespace sallyport::sip {
namespace {

void PrintVersion() {
  std::cout << "sallyport " << kVersion << "\n"
            << "wolfSSL " << tls::WolfSslVersion()
            << ", crypto instructions: " << tls::CryptoInstructions() << "\n";
  utsname system{};
  uname(&system);
  const std::vector<std::string> features = core::KernelFeatures();
  if (features.empty()) {
    std::cout << "io_uring on " << system.sysname << " " << system.release
              << ": not usable here: " << core::ProbeKernel().message() << "\n";
  } else {
    std::cout << "io_uring on " << system.sysname << " " << system.release << ": "
              << absl::StrJoin(features, ", ") << "\n";
  }
}

}  // namespace

void AddVersionCommand(CLI::App& app, int& exit_code) {
  CLI::App* const command = app.add_subcommand(
      "version", "Print the version, the TLS library and the kernel features in use");
  command->callback([&exit_code] {
    PrintVersion();
    exit_code = 0;
  });
}

}  // namespace sallyport::sip
