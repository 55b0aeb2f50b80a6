// The listening sockets of a whole configuration, opened before any shard starts: what cannot be
// opened is known at once and completely, and nothing has to be undone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/file_descriptor.h"
#include "sip/proxy/edge_config.h"

namespace sallyport::sip {

struct EdgeSockets {
  // By shard, then by listener; complete only without errors.
  std::vector<std::vector<core::FileDescriptor>> by_shard;
  core::FileDescriptor admin;  // Not open: there is no admin page.
  // One for each listener, or the admin page, that cannot listen: its name, address and the cause.
  std::vector<std::string> errors;
};

// Takes every address for this process alone (core/listening_sockets.h). Waits up to a second where
// one is in use: a process that was killed may be about to let go of it.
EdgeSockets OpenEdgeSockets(const EdgeConfig& config, uint32_t shards);

}  // namespace sallyport::sip
