// IoBackend on io_uring (Linux 6.1 and later): one ring per shard, multishot accept and receive,
// provided buffer rings, one system call per turn, message-ring wake-ups. liburing stays in the
// .cc.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "core/io_backend.h"

namespace sallyport::core {

struct UringOptions {
  uint32_t submission_entries = 1024;  // Powers of two, all of them.
  uint32_t completion_entries = 8192;
  uint32_t stream_buffers = 256;
  uint32_t stream_buffer_bytes = 16 * 1024;
  uint32_t datagram_buffers = 64;
  uint32_t datagram_buffer_bytes = 66 * 1024;  // The largest datagram, its source and a header.
};

class UringBackend : public IoBackend {
 public:
  // In the thread that will use it (single issuer). The error says what the kernel refused and what
  // to do; ProbeKernel says more.
  static absl::StatusOr<std::unique_ptr<UringBackend>> Create(const UringOptions& options);
};

}  // namespace sallyport::core
