// Names a connection of one shard; a flow in the sense of RFC 5626 as long as it is open. And who
// is at its other end.
#pragma once

#include <cstdint>

namespace sallyport::sip {

struct ConnectionId {
  uint32_t slot = 0;
  uint32_t generation = 0;  // Changes when the slot is reused, so a late response finds nobody.
  friend bool operator==(const ConnectionId&, const ConnectionId&) = default;
};

// Who is at the other end: the same for all connections of one set of proven identities, on every
// instance that shares the secret.
using PeerKey = uint64_t;
inline constexpr PeerKey kInsidePeer = 0;
inline constexpr PeerKey kAnonymousPeer = 1;  // Of the outside, and proves nothing.

}  // namespace sallyport::sip
