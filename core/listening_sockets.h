// The sockets of one listening address, one for each shard, and for this process alone.
// The first socket is taken without SO_REUSEPORT, which fails if any other socket has the address,
// and shares it only afterwards: a second process is refused although shards share. TCP keeps
// SO_REUSEADDR, so a restart does not wait for TIME_WAIT; what excludes there is listen(2).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/file_descriptor.h"
#include "core/socket_address.h"

namespace sallyport::core {

enum class SocketKind : uint8_t { kStream, kDatagram };

// `is_shared`: this process has the wildcard address of that port already, which no other process
// can have then; the address itself is taken with SO_REUSEPORT from the start.
// Stream sockets listen. With port 0 all of them get the one port that the kernel chose for the
// first. An error names the action, the address and what to do; nothing stays open then.
absl::StatusOr<std::vector<FileDescriptor>> OpenListeningSockets(const SocketAddress& address,
                                                                 SocketKind kind, uint32_t shards,
                                                                 bool is_shared);

}  // namespace sallyport::core
