// Anonymous memory straight from the kernel: zeroed, page aligned, and free of charge until
// touched. What is sized for the worst case lives here, so that an idle process stays small.
#pragma once

#include <cstddef>
#include <span>

namespace sallyport::core {

class MappedMemory {
 public:
  MappedMemory() = default;
  explicit MappedMemory(size_t bytes);  // Only a start reserves; ends the process if it cannot.
  MappedMemory(MappedMemory&& other) noexcept;
  MappedMemory& operator=(MappedMemory&& other) noexcept;
  ~MappedMemory();

  std::byte* data() const { return data_; }
  size_t size() const { return bytes_; }

  // Gives whole pages back to the kernel; they read as zero afterwards. `offset` and `bytes` are
  // multiples of the page size.
  void Release(size_t offset, size_t bytes);

 private:
  void Unmap();

  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace sallyport::core
