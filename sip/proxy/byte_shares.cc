#include "sip/proxy/byte_shares.h"

#include <bit>
#include <utility>

namespace sallyport::sip {
namespace {

// Of those that hold about the most, so many are compared.
constexpr int kComparedMax = 16;

}  // namespace

ByteShares::Holder& ByteShares::HolderOf(uint64_t key) {
  std::unique_ptr<Holder>& slot = holders_[key];
  if (slot == nullptr && !spare_.empty()) {
    slot = std::move(spare_.back());
    spare_.pop_back();
  }
  if (slot == nullptr) slot = std::make_unique<Holder>();
  slot->shares = this;
  slot->key = key;
  return *slot;
}

void ByteShares::Change(Holder& holder, uint64_t bytes) {
  total_ += bytes - holder.bytes;
  holder.bytes = bytes;
  holder.core::ListLink::Unlink();
  if (bytes > 0) return by_size_[static_cast<size_t>(std::bit_width(bytes))].PushBack(holder);
  const auto found = holders_.find(holder.key);
  spare_.push_back(std::move(found->second));
  holders_.erase(found);
}

void ByteShares::Part::Release() {
  if (holder_ == nullptr) return;
  core::ListLink::Unlink();
  holder_->shares->Change(*holder_, holder_->bytes - bytes_);
  holder_ = nullptr;
  bytes_ = 0;
}

void ByteShares::Set(Part& part, uint64_t holder, uint64_t bytes) {
  const bool stays = part.holder_ != nullptr && part.holder_->shares == this &&
                     part.holder_->key == holder && bytes > 0;
  if (!stays) part.Release();
  if (bytes == 0) return;
  if (part.holder_ == nullptr) {
    part.holder_ = &HolderOf(holder);
    part.holder_->parts.PushBack(part);
  }
  const uint64_t before = std::exchange(part.bytes_, bytes);
  Change(*part.holder_, part.holder_->bytes - before + bytes);
}

ByteShares::Holder* ByteShares::Greatest() {
  for (size_t i = kBuckets; i-- > 0;) {
    Holder* greatest = nullptr;
    int compared = 0;
    for (Holder* holder = by_size_[i].front(); holder != nullptr && compared < kComparedMax;
         holder = by_size_[i].Next(*holder), ++compared) {
      if (greatest == nullptr || holder->bytes > greatest->bytes) greatest = holder;
    }
    if (greatest != nullptr) return greatest;
  }
  return nullptr;
}

ByteShares::Part* ByteShares::Loser(uint64_t holder, uint64_t bytes) {
  Holder* const greatest = Greatest();
  if (greatest == nullptr) return nullptr;
  const auto asking = holders_.find(holder);
  if (asking == holders_.end()) return greatest->parts.front();  // It holds nothing.
  Holder& own = *asking->second;
  return greatest->bytes > own.bytes + bytes ? greatest->parts.front() : own.parts.front();
}

}  // namespace sallyport::sip
