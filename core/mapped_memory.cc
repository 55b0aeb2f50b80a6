#include "core/mapped_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "core/check.h"
#include "core/refuse_to_start.h"

#if defined(__SANITIZE_ADDRESS__)
#define SALLYPORT_LEAK_ROOTS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SALLYPORT_LEAK_ROOTS 1
#endif
#endif
#ifdef SALLYPORT_LEAK_ROOTS
#include <sanitizer/lsan_interface.h>
#endif

namespace sallyport::core {

MappedMemory::MappedMemory(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    RefuseToStart("reserve memory", errno,
                  "raise the limit of address space (ulimit -v, LimitAS=) or lower [limits]");
  }
  data_ = static_cast<std::byte*>(memory);
#ifdef SALLYPORT_LEAK_ROOTS
  // Objects that live here may own heap memory; the leak checker does not look here by itself.
  __lsan_register_root_region(data_, bytes_);
#endif
}

MappedMemory::MappedMemory(MappedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  if (this == &other) return *this;
  Unmap();
  data_ = std::exchange(other.data_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

MappedMemory::~MappedMemory() { Unmap(); }

void MappedMemory::Release(size_t offset, size_t bytes) {
  DCHECK(offset + bytes <= bytes_);
  CHECK(madvise(data_ + offset, bytes, MADV_DONTNEED) == 0);
}

void MappedMemory::Unmap() {
  if (data_ == nullptr) return;
#ifdef SALLYPORT_LEAK_ROOTS
  __lsan_unregister_root_region(data_, bytes_);
#endif
  // ENOMEM: too many mappings to split one. The pages go all the same.
  if (munmap(data_, bytes_) != 0) Release(0, bytes_);
  data_ = nullptr;
}

}  // namespace sallyport::core
