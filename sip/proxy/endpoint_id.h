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
  // The peer has closed the connection in order: its answer may come on another (RFC 3261 §18.2.2).
  bool may_still_answer = false;
};

}  // namespace sallyport::sip
