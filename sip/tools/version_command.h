// `sallyport version`: this build, its TLS library and crypto instructions, the kernel's features.
#pragma once

#include <string_view>

namespace CLI {
class App;
}

namespace sallyport::sip {

inline constexpr std::string_view kVersion = "0.1.0";

// Adds the subcommand `version` to `app`. When it runs, `exit_code` becomes 0; both arguments must
// outlive the parse.
void AddVersionCommand(CLI::App& app, int& exit_code);

}  // namespace sallyport::sip
