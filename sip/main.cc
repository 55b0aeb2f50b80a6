// The composition root: command line, configuration, signals; then the edge serves until a signal
// ends it.

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/str_split.h"
#include "sip/proxy/edge.h"
#include "sip/proxy/edge_config.h"
#include "sip/tools/ca_command.h"
#include "sip/tools/check_command.h"
#include "sip/tools/version_command.h"

namespace sallyport::sip {
namespace {

constexpr int kExitDrained = 0;
constexpr int kExitError = 2;
constexpr int kExitCutOff = 3;

bool Hold(std::initializer_list<int> numbers, sigset_t& signals) {
  sigemptyset(&signals);
  for (const int number : numbers) sigaddset(&signals, number);
  return pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0;
}

// Before any thread starts: signals arrive at the control loop alone. -1 if that failed.
int TakeSignals() {
  sigset_t signals;
  if (!Hold({SIGHUP, SIGTERM, SIGINT}, signals)) return -1;
  return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int RunEdge(const std::string& config_file) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // A limit of file size costs lines of the log, not the calls.
  // SIGTERM and SIGINT end a process that waits for a file; SIGHUP is kept for later.
  sigset_t reload;
  static_cast<void>(Hold({SIGHUP}, reload));
  RaiseDescriptorLimit();
  LoadedConfig loaded = LoadEdgeConfig(config_file);
  for (const core::Diagnostic& diagnostic : loaded.diagnostics) {
    std::fprintf(stderr, "%s\n", core::FormatDiagnostic(diagnostic).c_str());
  }
  if (!loaded.ok()) return kExitError;
  const int signal_fd = TakeSignals();
  if (signal_fd < 0) {
    std::fprintf(stderr, "sallyport: cannot take signals: %s\n", std::strerror(errno));
    return kExitError;
  }
  auto edge = Edge::Start(std::move(loaded), std::string(kVersion));
  if (!edge.ok()) {
    for (const auto line : absl::StrSplit(edge.status().message(), '\n')) {
      std::fprintf(stderr, "sallyport: %s\n", std::string(line).c_str());
    }
    return kExitError;
  }
  const int code = (*edge)->Run(signal_fd) == EdgeExit::kDrained ? kExitDrained : kExitCutOff;
  const bool is_loading = (*edge)->is_loading();
  edge->reset();
  close(signal_fd);
  if (is_loading) std::_Exit(code);  // A thread is left behind.
  return code;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Sallyport: a SIP edge proxy that admits every request by the identity its sender proved.",
      "sallyport");
  app.require_subcommand(1);
  app.set_version_flag("--version", "sallyport " + std::string(kVersion));
  int exit_code = 0;

  std::string config_file;
  CLI::App* const run = app.add_subcommand(
      "run", "Serve in the foreground; SIGHUP reloads, SIGTERM drains and exits.");
  run->add_option("--config", config_file, "The configuration (TOML)")->required();
  run->callback([&] { exit_code = RunEdge(config_file); });
  AddCheckCommand(app, exit_code);
  AddCaCommand(app, exit_code);
  AddVersionCommand(app, exit_code);

  if (argc < 2) {
    std::fputs(app.help().c_str(), stderr);
    return kExitError;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitError;
  }
  return exit_code;
}

}  // namespace
}  // namespace sallyport::sip

int main(int argc, char** argv) { return sallyport::sip::Main(argc, argv); }
