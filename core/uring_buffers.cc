#include "core/uring_buffers.h"

#include <liburing.h>

#include <bit>

#include "core/check.h"

namespace sallyport::core {

UringBuffers::UringBuffers(uint16_t group, uint32_t count, uint32_t buffer_bytes)
    : group_(group),
      count_(count),
      buffer_bytes_(buffer_bytes),
      memory_(size_t{count} * buffer_bytes),
      entries_(count * sizeof(io_uring_buf)),
      ring_(reinterpret_cast<io_uring_buf_ring*>(entries_.data())) {
  CHECK(std::has_single_bit(count) && count <= 32768);
}

int UringBuffers::Register(io_uring& ring) {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uintptr_t>(ring_);
  registration.ring_entries = count_;
  registration.bgid = group_;
  const int error = io_uring_register_buf_ring(&ring, &registration, 0);
  if (error < 0) return error;
  io_uring_buf_ring_init(ring_);
  for (uint32_t id = 0; id < count_; ++id) Recycle(static_cast<uint16_t>(id));
  return 0;
}

void UringBuffers::Recycle(uint16_t id) {
  DCHECK(id < count_);
  io_uring_buf_ring_add(ring_, memory_.data() + size_t{id} * buffer_bytes_, buffer_bytes_, id,
                        io_uring_buf_ring_mask(count_), 0);
  io_uring_buf_ring_advance(ring_, 1);
}

}  // namespace sallyport::core
