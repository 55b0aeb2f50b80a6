// Bytes on their way to a socket: a bounded chain of pool blocks. Empty, it holds no memory. The
// first block is 4 KiB, those behind it 16 KiB, so that one message stays small and a burst still
// goes out in few pieces.
// Bytes already gathered do not move and stay until consumed, so appending while the kernel is
// sending is safe.
// Shard: one thread. Destroyed before its pool, and not while the kernel holds its bytes.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/buffer_pool.h"

namespace sallyport::core {

class OutputQueue {
 public:
  OutputQueue(BufferPool& pool, uint32_t bytes_max) : pool_(pool), bytes_max_(bytes_max) {}
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;
  ~OutputQueue() { Clear(); }

  // All or nothing. False: the bound is reached or the pool is exhausted, and nothing was added;
  // the caller sheds or closes.
  [[nodiscard]] bool Append(std::span<const std::byte> bytes);

  // Describes bytes from the front; returns how many entries of `pieces` were filled.
  size_t Gather(std::span<iovec> pieces) const;

  // Drops `bytes` (<= size()) from the front and gives emptied blocks back.
  void Consume(uint32_t bytes);
  void Clear() { Consume(size_); }

  uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Since it was made: what has left it.
  uint64_t consumed_bytes() const { return consumed_bytes_; }
  uint32_t bytes_max() const { return bytes_max_; }

 private:
  struct Block {  // At the start of its own memory.
    Block* next;
    uint32_t capacity;  // Of the whole block, this header included.
    uint32_t begin;     // Offsets from the block's start.
    uint32_t end;

    std::byte* bytes() { return reinterpret_cast<std::byte*>(this); }
    uint32_t room() const { return capacity - end; }
  };

  static constexpr uint32_t kFirstBlockBytes = 4 * 1024;
  static constexpr uint32_t kBlockBytes = 16 * 1024;

  Block* AddBlock(uint32_t room);
  void DropFront();
  void TrimBack(Block* last);

  BufferPool& pool_;
  Block* front_ = nullptr;
  Block* back_ = nullptr;
  uint32_t size_ = 0;
  uint64_t consumed_bytes_ = 0;
  const uint32_t bytes_max_;
};

}  // namespace sallyport::core
