// IPv4 addresses as the command line writes them: 127.0.0.1:5061.
#pragma once

#include <netinet/in.h>

#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport::bench {

absl::StatusOr<sockaddr_in> ParseSocketAddress(std::string_view text);

}  // namespace sallyport::bench
