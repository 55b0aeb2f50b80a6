// A copy of some bytes that ends where an inaccessible page begins: reading one byte past the end
// faults, with and without sanitizers. For parsers of borrowed bytes.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string_view>

#include "core/check.h"

namespace sallyport::test {

class GuardedCopy {
 public:
  explicit GuardedCopy(std::string_view bytes) : size_(bytes.size()) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    data_bytes_ = (size_ + page - 1) / page * page;
    mapped_bytes_ = data_bytes_ + page;
    void* const mapping =
        mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapping != MAP_FAILED);
    mapping_ = static_cast<char*>(mapping);
    CHECK(mprotect(mapping_ + data_bytes_, page, PROT_NONE) == 0);
    if (size_ > 0) std::memcpy(begin(), bytes.data(), size_);
  }
  ~GuardedCopy() { munmap(mapping_, mapped_bytes_); }
  GuardedCopy(const GuardedCopy&) = delete;
  GuardedCopy& operator=(const GuardedCopy&) = delete;

  [[nodiscard]] std::string_view view() const { return {begin(), size_}; }

 private:
  [[nodiscard]] char* begin() const { return mapping_ + data_bytes_ - size_; }

  size_t size_;
  size_t data_bytes_ = 0;
  size_t mapped_bytes_ = 0;
  char* mapping_ = nullptr;
};

}  // namespace sallyport::test
