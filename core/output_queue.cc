#include "core/output_queue.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"

namespace sallyport::core {

bool OutputQueue::Append(std::span<const std::byte> bytes) {
  if (bytes.size() > bytes_max_ - size_) return false;
  Block* const last = back_;
  const uint32_t last_end = last == nullptr ? 0 : last->end;
  std::span<const std::byte> rest = bytes;
  while (!rest.empty()) {
    if (back_ == nullptr || back_->room() == 0) {
      constexpr size_t kRoomMax = kBlockBytes - sizeof(Block);
      if (AddBlock(static_cast<uint32_t>(std::min(rest.size(), kRoomMax))) == nullptr) {
        TrimBack(last);
        if (last != nullptr) last->end = last_end;
        return false;
      }
    }
    const size_t part = std::min<size_t>(rest.size(), back_->room());
    std::memcpy(back_->bytes() + back_->end, rest.data(), part);
    back_->end += static_cast<uint32_t>(part);
    rest = rest.subspan(part);
  }
  size_ += static_cast<uint32_t>(bytes.size());
  return true;
}

size_t OutputQueue::Gather(std::span<iovec> pieces) const {
  size_t count = 0;
  for (Block* block = front_; block != nullptr && count < pieces.size(); block = block->next) {
    if (block->begin == block->end) continue;
    pieces[count++] = {block->bytes() + block->begin, block->end - block->begin};
  }
  return count;
}

void OutputQueue::Consume(uint32_t bytes) {
  DCHECK(bytes <= size_);
  size_ -= bytes;
  consumed_bytes_ += bytes;
  while (bytes > 0) {
    const uint32_t part = std::min(bytes, front_->end - front_->begin);
    front_->begin += part;
    bytes -= part;
    if (front_->begin == front_->end && front_ != back_) DropFront();
  }
  if (size_ == 0) TrimBack(nullptr);
}

OutputQueue::Block* OutputQueue::AddBlock(uint32_t room) {
  const uint32_t needed = room + static_cast<uint32_t>(sizeof(Block));
  const uint32_t usual = front_ == nullptr ? kFirstBlockBytes : kBlockBytes;
  uint32_t capacity = 0;
  std::byte* const memory = pool_.Allocate(std::max(needed, usual), &capacity);
  if (memory == nullptr) return nullptr;
  auto* const block = new (memory) Block{nullptr, capacity, sizeof(Block), sizeof(Block)};
  (back_ == nullptr ? front_ : back_->next) = block;
  back_ = block;
  return block;
}

void OutputQueue::DropFront() {
  Block* const block = front_;
  front_ = block->next;
  if (front_ == nullptr) back_ = nullptr;
  pool_.Free(block->bytes(), block->capacity);
}

// Gives back every block behind `last`; all of them if it is nullptr.
void OutputQueue::TrimBack(Block* last) {
  Block* block = last == nullptr ? front_ : last->next;
  while (block != nullptr) {
    Block* const next = block->next;
    pool_.Free(block->bytes(), block->capacity);
    block = next;
  }
  back_ = last;
  if (last == nullptr) {
    front_ = nullptr;
  } else {
    last->next = nullptr;
  }
}

}  // namespace sallyport::core
