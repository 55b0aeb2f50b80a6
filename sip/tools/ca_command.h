// `sallyport ca init | issue | export`: the private CA on the command line. Prints what was written
// and what next.
#pragma once

namespace CLI {
class App;
}

namespace sallyport::sip {

// Adds the subcommand `ca` to `app`. When it runs, `exit_code` becomes 0, or 2 after an error
// printed on stderr; both arguments must outlive the parse.
void AddCaCommand(CLI::App& app, int& exit_code);

}  // namespace sallyport::sip
