// Names a connection of one shard; a flow in the sense of RFC 5626 as long as it is open.
#pragma once

#include <cstdint>

namespace sallyport::sip {

struct ConnectionId {
  uint32_t slot = 0;
  uint32_t generation = 0;  // Changes when the slot is reused, so a late response finds nobody.
  friend bool operator==(const ConnectionId&, const ConnectionId&) = default;
};

}  // namespace sallyport::sip
