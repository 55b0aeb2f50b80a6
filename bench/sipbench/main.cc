// sipbench: load on a mutual-TLS SIP server, and what it costs that server. README.md of bench/
// says how to measure.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "bench/sipbench/subcommands.h"

namespace {

constexpr const char* kUsage =
    "usage: sipbench handshakes | requests | fairness | idle | sink [flags]\n"
    "A subcommand with --help lists its flags.\n";

}  // namespace

int main(int argc, char** argv) {
  using sallyport::bench::RunFairness;
  using sallyport::bench::RunHandshakes;
  using sallyport::bench::RunIdle;
  using sallyport::bench::RunRequests;
  using sallyport::bench::RunSink;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string_view subcommand = arguments.empty() ? std::string_view() : arguments.front();
  const std::vector<std::string> rest(arguments.begin() + (arguments.empty() ? 0 : 1),
                                      arguments.end());
  if (subcommand == "handshakes") return RunHandshakes(rest);
  if (subcommand == "requests") return RunRequests(rest);
  if (subcommand == "fairness") return RunFairness(rest);
  if (subcommand == "idle") return RunIdle(rest);
  if (subcommand == "sink") return RunSink(rest);
  std::fputs(kUsage, stderr);
  return 2;
}
