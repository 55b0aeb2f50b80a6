// `sallyport check --config F [--json]`: everything that `run` and a reload would find in the file.
#pragma once

namespace CLI {
class App;
}

namespace sallyport::sip {

// Adds the subcommand `check` to `app`. When it runs, `exit_code` becomes 0 (nothing found), 1
// (warnings) or 2 (errors); both arguments must outlive the parse.
void AddCheckCommand(CLI::App& app, int& exit_code);

}  // namespace sallyport::sip
