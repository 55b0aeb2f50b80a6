// The transport parameter of a SIP URI (RFC 3261 §19.1.1), compared without case.
#pragma once

#include <optional>
#include <string_view>

#include "absl/strings/match.h"
#include "sip/proxy/listener_config.h"

namespace sallyport::sip {

// Nothing: one that is not spoken here (sctp, ws).
[[nodiscard]] inline std::optional<TransportProtocol> TransportOf(std::string_view text) {
  for (const TransportProtocol transport :
       {TransportProtocol::kTls, TransportProtocol::kTcp, TransportProtocol::kUdp}) {
    const std::string_view name = TransportName(transport);
    if (absl::EqualsIgnoreCase({text.data(), text.size()}, {name.data(), name.size()})) {
      return transport;
    }
  }
  return std::nullopt;
}

}  // namespace sallyport::sip
