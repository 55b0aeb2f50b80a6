// May we use io_uring here, and everything of it that we need? By trying it, never by the kernel's
// version: distributions backport, and containers forbid.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sallyport::core {

// OK, or what is missing or forbidden and what to do about it, in words for an operator. Takes some
// milliseconds; call it once before shards start.
absl::Status ProbeKernel();

// For `sallyport version`: the features in use, such as "deferred task run", or the ones missing
// marked so. Empty if io_uring cannot be used at all.
std::vector<std::string> KernelFeatures();

}  // namespace sallyport::core
