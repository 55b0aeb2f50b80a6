// What connections hold of a bound that all of them share (bytes, or places of which each
// connection has one), by holder: the source address before a certificate is proved, the identity
// after. Where the bound is reached the holder of the most loses first, and of what it holds the
// oldest; a holder of nothing is always admitted. So a crowd that fills the bound pays for it
// itself, whatever address it shares with others. Shard: one thread. Allocates only for more
// holders than it has ever had at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/intrusive_list.h"

namespace sallyport::sip {

class ByteShares {
 public:
  ByteShares() = default;
  ByteShares(const ByteShares&) = delete;
  ByteShares& operator=(const ByteShares&) = delete;

 private:
  struct Holder;

 public:
  // One connection's; it gives up what it holds when it ends. The shares outlive it.
  class Part : public core::ListLink {
   public:
    // `owner` comes back from Loser.
    explicit Part(void* owner) : owner_(owner) {}
    ~Part() { Release(); }

    [[nodiscard]] uint64_t bytes() const { return bytes_; }
    // Of all parts of its holder.
    [[nodiscard]] uint64_t holder_bytes() const;
    [[nodiscard]] void* owner() const { return owner_; }
    void Release();

   private:
    friend class ByteShares;

    void* const owner_;
    Holder* holder_ = nullptr;  // Null: it holds nothing.
    uint64_t bytes_ = 0;
  };

  // From now on `part` holds so many bytes, here and as that holder's; 0: none.
  void Set(Part& part, uint64_t holder, uint64_t bytes);

  [[nodiscard]] uint64_t total() const { return total_; }
  // Which part gives way so that `holder` may have `bytes` more. nullptr: none; `holder` would have
  // the most itself, and holds nothing that could go.
  [[nodiscard]] Part* Loser(uint64_t holder, uint64_t bytes);
  // The same where the parts of others have a worth of their own: only a holder of more than
  // `holder` would have loses, its oldest part that `is_idle`, else its oldest. If there is none,
  // an idle one of `holder` gives way, or nullptr.
  template <typename IsIdle>
  [[nodiscard]] Part* LoserOfMore(uint64_t holder, uint64_t bytes, IsIdle is_idle);

 private:
  // Of the oldest parts, so many are asked whether they are idle.
  static constexpr int kAskedMax = 32;

  struct Holder : core::ListLink {
    ByteShares* shares = nullptr;
    uint64_t key = 0;
    uint64_t bytes = 0;
    core::IntrusiveList<Part> parts;  // The oldest first.
  };

  // Holders of 2^(i-1) up to 2^i - 1 bytes are in list i.
  static constexpr size_t kBuckets = 65;

  [[nodiscard]] Holder& HolderOf(uint64_t key);
  void Change(Holder& holder, uint64_t bytes);
  [[nodiscard]] Holder* Greatest();
  template <typename IsIdle>
  [[nodiscard]] static Part* OldestIdle(Holder& holder, IsIdle is_idle);

  absl::flat_hash_map<uint64_t, std::unique_ptr<Holder>> holders_;
  std::vector<std::unique_ptr<Holder>> spare_;
  std::array<core::IntrusiveList<Holder>, kBuckets> by_size_;
  uint64_t total_ = 0;
};

inline uint64_t ByteShares::Part::holder_bytes() const {
  return holder_ == nullptr ? 0 : holder_->bytes;
}

template <typename IsIdle>
ByteShares::Part* ByteShares::LoserOfMore(uint64_t holder, uint64_t bytes, IsIdle is_idle) {
  Holder* const greatest = Greatest();
  if (greatest == nullptr) return nullptr;
  const auto asking = holders_.find(holder);
  const uint64_t own = asking == holders_.end() ? 0 : asking->second->bytes;
  if (greatest->bytes <= own + bytes) {
    return own == 0 ? nullptr : OldestIdle(*asking->second, is_idle);
  }
  Part* const idle = OldestIdle(*greatest, is_idle);
  return idle != nullptr ? idle : greatest->parts.front();
}

// A busy one goes to the back, so that the next call asks others. If all are asked, the oldest is
// in front again.
template <typename IsIdle>
ByteShares::Part* ByteShares::OldestIdle(Holder& holder, IsIdle is_idle) {
  Part* const first = holder.parts.front();
  for (int asked = 0; asked < kAskedMax; ++asked) {
    Part& oldest = *holder.parts.front();
    if (asked > 0 && &oldest == first) break;
    if (is_idle(oldest)) return &oldest;
    oldest.core::ListLink::Unlink();
    holder.parts.PushBack(oldest);
  }
  return nullptr;
}

}  // namespace sallyport::sip
