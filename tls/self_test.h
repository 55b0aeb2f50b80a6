// What must hold whatever version of the library we were built with, tried at every start (tens of
// milliseconds): a CA of the same name with another key is refused, and a ticket that an anonymous
// peer got is no way past a listener that requires a certificate. In memory, with freshly minted
// certificates.
#pragma once

#include "absl/status/status.h"

namespace sallyport::tls {

// An error means: do not serve. Blocks the caller; any thread.
[[nodiscard]] absl::Status RunSelfTest();

}  // namespace sallyport::tls
