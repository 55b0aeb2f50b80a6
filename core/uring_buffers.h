// Memory that the kernel picks receive buffers from: one provided buffer ring of io_uring with its
// buffers. Part of UringBackend; like it, the only place besides the .cc files that knows
// liburing's names, and only as forward declarations. Invariant: a buffer is in the ring (the
// kernel's) or out of it (ours, named by a BufferRef).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/mapped_memory.h"

struct io_uring;
struct io_uring_buf_ring;

namespace sallyport::core {

class UringBuffers {
 public:
  // `count` is a power of two, at most 32768.
  UringBuffers(uint16_t group, uint32_t count, uint32_t buffer_bytes);
  UringBuffers(const UringBuffers&) = delete;
  UringBuffers& operator=(const UringBuffers&) = delete;

  // Gives all buffers to the kernel. 0 or -errno. The ring must be gone before this is destroyed.
  int Register(io_uring& ring);

  const std::byte* bytes(uint16_t id) const { return memory_.data() + size_t{id} * buffer_bytes_; }
  uint32_t buffer_bytes() const { return buffer_bytes_; }
  void Recycle(uint16_t id);

 private:
  const uint16_t group_;
  const uint32_t count_;
  const uint32_t buffer_bytes_;
  MappedMemory memory_;
  MappedMemory entries_;
  io_uring_buf_ring* ring_;
};

}  // namespace sallyport::core
