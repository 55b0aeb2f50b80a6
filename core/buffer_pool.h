// One shard's memory for bytes in flight: power-of-two blocks from 1 KiB to 256 KiB out of one
// reservation. Nothing is allocated after construction, every request is O(1), and the total is
// bounded. The reservation is cut into 256 KiB chunks; a chunk serves one size at a time and goes
// back to the common stock when its last block returns, so no mix of sizes can strand memory.
// Shard: one thread. A lease must not outlive its pool.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/mapped_memory.h"

namespace sallyport::core {

class BufferPool;

// Move-only; gives its block back when destroyed. Empty when the pool was exhausted.
class BufferLease {
 public:
  BufferLease() = default;
  BufferLease(BufferLease&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  BufferLease& operator=(BufferLease&& other) noexcept {
    BufferLease moved(std::move(other));
    std::swap(pool_, moved.pool_);
    std::swap(data_, moved.data_);
    std::swap(capacity_, moved.capacity_);
    return *this;
  }
  ~BufferLease() { Reset(); }

  explicit operator bool() const { return data_ != nullptr; }
  std::byte* data() const { return data_; }
  uint32_t capacity() const { return capacity_; }
  std::span<std::byte> bytes() const { return {data_, capacity_}; }
  void Reset();

 private:
  friend class BufferPool;
  BufferLease(BufferPool* pool, std::byte* data, uint32_t capacity)
      : pool_(pool), data_(data), capacity_(capacity) {}

  BufferPool* pool_ = nullptr;
  std::byte* data_ = nullptr;
  uint32_t capacity_ = 0;
};

class BufferPool {
 public:
  static constexpr uint32_t kBlockBytesMin = 1024;
  static constexpr uint32_t kBlockBytesMax = 256 * 1024;

  // `bytes_max` is rounded up to whole chunks of kBlockBytesMax. Free chunks beyond
  // `warm_chunks_max` are given back to the kernel, so that a burst does not stay resident.
  explicit BufferPool(size_t bytes_max, uint32_t warm_chunks_max = 16);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();  // CHECKs that every block is back.

  // A block of at least `bytes` (<= kBlockBytesMax), not cleared. An empty lease if the pool is
  // exhausted: the caller sheds work.
  [[nodiscard]] BufferLease Lease(uint32_t bytes);

  // What a lease of `bytes` (<= kBlockBytesMax) takes of the pool.
  static uint32_t BlockBytesFor(uint32_t bytes) { return BlockBytes(ClassOf(bytes)); }

  // The same without RAII, for chains that hold their blocks themselves. nullptr if exhausted;
  // `block_bytes` is the real capacity, which Free wants again.
  [[nodiscard]] std::byte* Allocate(uint32_t bytes, uint32_t* block_bytes);
  void Free(std::byte* block, uint32_t block_bytes);

  size_t bytes_in_use() const { return bytes_in_use_; }
  size_t bytes_max() const { return memory_.size(); }
  uint64_t exhausted() const { return exhausted_; }  // Requests that got nothing.

 private:
  static constexpr uint32_t kClasses = 9;
  static constexpr uint32_t kNoChunk = 0xFFFFFFFF;

  struct FreeBlock {
    FreeBlock* next;
  };
  // A chunk is in the stock, or in the list of its class if it has free blocks, or in no list.
  struct Chunk {
    FreeBlock* free_blocks = nullptr;  // Given back; the blocks from `fresh_blocks` on never used.
    uint32_t fresh_blocks = 0;
    uint32_t used_blocks = 0;
    uint32_t next = kNoChunk;
    uint32_t previous = kNoChunk;
    uint8_t size_class = 0;
  };

  static uint32_t ClassOf(uint32_t bytes);
  static uint32_t BlockBytes(uint32_t size_class) { return kBlockBytesMin << size_class; }
  static uint32_t BlocksPerChunk(uint32_t size_class) {
    return kBlockBytesMax / BlockBytes(size_class);
  }
  uint32_t TakeFromStock(uint32_t size_class);
  void ReturnToStock(uint32_t index);
  void Link(uint32_t& head, uint32_t index);
  void Unlink(uint32_t& head, uint32_t index);

  MappedMemory memory_;
  std::vector<Chunk> chunks_;  // Sized once.
  std::array<uint32_t, kClasses> partial_;
  uint32_t resident_stock_ = kNoChunk;  // Free chunks whose pages are still ours.
  uint32_t resident_stock_size_ = 0;
  uint32_t cold_stock_ = kNoChunk;
  const uint32_t warm_chunks_max_;
  size_t bytes_in_use_ = 0;
  uint64_t exhausted_ = 0;
};

inline void BufferLease::Reset() {
  if (data_ == nullptr) return;
  pool_->Free(std::exchange(data_, nullptr), std::exchange(capacity_, 0));
  pool_ = nullptr;
}

}  // namespace sallyport::core
