#include "core/buffer_pool.h"

#include <bit>

#include "core/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define SALLYPORT_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SALLYPORT_POISON 1
#endif
#endif
#ifdef SALLYPORT_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace sallyport::core {
namespace {

// A block that is not leased faults under AddressSanitizer.
void Poison([[maybe_unused]] const std::byte* memory, [[maybe_unused]] size_t bytes) {
#ifdef SALLYPORT_POISON
  __asan_poison_memory_region(memory, bytes);
#endif
}

void Unpoison([[maybe_unused]] const std::byte* memory, [[maybe_unused]] size_t bytes) {
#ifdef SALLYPORT_POISON
  __asan_unpoison_memory_region(memory, bytes);
#endif
}

size_t WholeChunks(size_t bytes) {
  return (bytes + BufferPool::kBlockBytesMax - 1) / BufferPool::kBlockBytesMax;
}

}  // namespace

BufferPool::BufferPool(size_t bytes_max, uint32_t warm_chunks_max)
    : memory_(WholeChunks(bytes_max) * kBlockBytesMax),
      chunks_(WholeChunks(bytes_max)),
      warm_chunks_max_(warm_chunks_max) {
  partial_.fill(kNoChunk);
  for (size_t index = chunks_.size(); index-- > 0;) {
    Link(cold_stock_, static_cast<uint32_t>(index));
  }
  Poison(memory_.data(), memory_.size());
}

BufferPool::~BufferPool() {
  CHECK(bytes_in_use_ == 0);
  Unpoison(memory_.data(), memory_.size());
}

BufferLease BufferPool::Lease(uint32_t bytes) {
  uint32_t block_bytes = 0;
  std::byte* const block = Allocate(bytes, &block_bytes);
  if (block == nullptr) return {};
  return BufferLease(this, block, block_bytes);
}

std::byte* BufferPool::Allocate(uint32_t bytes, uint32_t* block_bytes) {
  const uint32_t size_class = ClassOf(bytes);
  uint32_t index = partial_[size_class];
  if (index == kNoChunk) index = TakeFromStock(size_class);
  if (index == kNoChunk) {
    ++exhausted_;
    return nullptr;
  }
  Chunk& chunk = chunks_[index];
  *block_bytes = BlockBytes(size_class);
  std::byte* block = nullptr;
  if (chunk.free_blocks != nullptr) {
    block = reinterpret_cast<std::byte*>(chunk.free_blocks);
    Unpoison(block, *block_bytes);
    chunk.free_blocks = chunk.free_blocks->next;
  } else {
    block = memory_.data() + size_t{index} * kBlockBytesMax +
            size_t{chunk.fresh_blocks++} * *block_bytes;
    Unpoison(block, *block_bytes);
  }
  ++chunk.used_blocks;
  if (chunk.used_blocks == BlocksPerChunk(size_class)) Unlink(partial_[size_class], index);
  bytes_in_use_ += *block_bytes;
  return block;
}

void BufferPool::Free(std::byte* block, uint32_t block_bytes) {
  const auto offset = static_cast<size_t>(block - memory_.data());
  DCHECK(offset < memory_.size());
  const auto index = static_cast<uint32_t>(offset / kBlockBytesMax);
  Chunk& chunk = chunks_[index];
  DCHECK(BlockBytes(chunk.size_class) == block_bytes && offset % block_bytes == 0);
  DCHECK(chunk.used_blocks > 0);
  if (chunk.used_blocks == BlocksPerChunk(chunk.size_class))
    Link(partial_[chunk.size_class], index);
  auto* const free_block = reinterpret_cast<FreeBlock*>(block);
  free_block->next = chunk.free_blocks;
  chunk.free_blocks = free_block;
  Poison(block, block_bytes);
  --chunk.used_blocks;
  bytes_in_use_ -= block_bytes;
  if (chunk.used_blocks == 0) ReturnToStock(index);
}

uint32_t BufferPool::ClassOf(uint32_t bytes) {
  DCHECK(bytes <= kBlockBytesMax);
  const uint32_t rounded = std::bit_ceil(bytes < kBlockBytesMin ? kBlockBytesMin : bytes);
  return static_cast<uint32_t>(std::countr_zero(rounded / kBlockBytesMin));
}

uint32_t BufferPool::TakeFromStock(uint32_t size_class) {
  uint32_t index = resident_stock_;
  if (index != kNoChunk) {
    Unlink(resident_stock_, index);
    --resident_stock_size_;
  } else {
    index = cold_stock_;
    if (index == kNoChunk) return kNoChunk;
    Unlink(cold_stock_, index);
  }
  Chunk& chunk = chunks_[index];
  chunk.free_blocks = nullptr;
  chunk.fresh_blocks = 0;
  chunk.size_class = static_cast<uint8_t>(size_class);
  Link(partial_[size_class], index);
  return index;
}

void BufferPool::ReturnToStock(uint32_t index) {
  Unlink(partial_[chunks_[index].size_class], index);
  if (resident_stock_size_ < warm_chunks_max_) {
    ++resident_stock_size_;
    Link(resident_stock_, index);
    return;
  }
  memory_.Release(size_t{index} * kBlockBytesMax, kBlockBytesMax);
  Link(cold_stock_, index);
}

void BufferPool::Link(uint32_t& head, uint32_t index) {
  chunks_[index].previous = kNoChunk;
  chunks_[index].next = head;
  if (head != kNoChunk) chunks_[head].previous = index;
  head = index;
}

void BufferPool::Unlink(uint32_t& head, uint32_t index) {
  const Chunk& chunk = chunks_[index];
  if (chunk.previous != kNoChunk) {
    chunks_[chunk.previous].next = chunk.next;
  } else {
    head = chunk.next;
  }
  if (chunk.next != kNoChunk) chunks_[chunk.next].previous = chunk.previous;
}

}  // namespace sallyport::core
