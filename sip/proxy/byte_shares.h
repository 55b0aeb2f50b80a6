// What connections hold of a bound that all of them share, by holder: the source address before a
// certificate is proved, the identity after. Where the bound is reached the holder of the most
// loses first, and of what it holds the oldest; a holder of nothing is always admitted. So a crowd
// that fills the bound pays for it itself, whatever address it shares with others. Shard: one
// thread. Allocates only for more holders than it has ever had at once.
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

 private:
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

  absl::flat_hash_map<uint64_t, std::unique_ptr<Holder>> holders_;
  std::vector<std::unique_ptr<Holder>> spare_;
  std::array<core::IntrusiveList<Holder>, kBuckets> by_size_;
  uint64_t total_ = 0;
};

}  // namespace sallyport::sip
