// `--name value` and `--name` flags of one subcommand. An unknown or malformed flag is an error
// that says which.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"

namespace sallyport::bench {

class CommandLine {
 public:
  // Targets are borrowed and hold the default until Parse writes them. A vector collects a flag
  // that may be repeated.
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*>;

  void Add(std::string_view name, Target target, std::string_view help);

  // `arguments` begin after the subcommand.
  absl::Status Parse(const std::vector<std::string>& arguments);

  // One line per flag, with its default.
  std::string Help() const;

 private:
  struct Flag {
    std::string name;
    Target target;
    std::string help;
  };

  std::vector<Flag> flags_;
};

}  // namespace sallyport::bench
