// Names an endpoint of one shard (endpoint_pool.h), and says why one could not serve a request.
#pragma once

#include <cstdint>
#include <string_view>

#include "sip/policy/reason_code.h"

namespace sallyport::sip {

struct EndpointId {
  uint32_t slot = 0;
  uint32_t generation = 0;
  friend bool operator==(const EndpointId&, const EndpointId&) = default;
};

// The text is static and becomes the Warning of our answer (RFC 3261 §20.43).
struct FailureCause {
  ReasonCode reason = ReasonCode::kNextHopUnreachable;
  std::string_view text = "no target can be reached";
};

}  // namespace sallyport::sip
