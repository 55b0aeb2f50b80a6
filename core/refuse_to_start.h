// What a start needs and the system does not give: words instead of a core file.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sallyport::core {

// Ends the process with the exit code of an error. `what` is the action that failed, `error` its
// errno; `remedy` says what an operator can do. Any thread, before anything is served.
[[noreturn]] inline void RefuseToStart(const char* what, int error, const char* remedy) {
  constexpr int kExitError = 2;
  std::fprintf(stderr, "sallyport: cannot %s: %s; %s\n", what, std::strerror(error), remedy);
  std::_Exit(kExitError);
}

}  // namespace sallyport::core
