// What open transactions hold of a bound that all peers of a shard share, by peer: places in the
// table, or bytes of the buffer pool. A peer may hold as much as is still free for all others: one
// peer gets half of the bound, two get a third each, and a peer that holds nothing is admitted.
// ByteShares is for what can be taken away again; an open transaction is never given up, so here
// only the next one is refused.
//
// Cost: one lookup when a share begins. Allocates only for more peers than have ever held something
// at once. Shard: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace sallyport::sip {

// What a peer asks for room for.
enum class ShareUse : uint8_t {
  kNew,
  kInDialog,  // It may hold twice as much: such requests end work that is there already.
};

class PeerShares {
 private:
  struct Holder;

 public:
  explicit PeerShares(uint64_t bound) : bound_(bound) {}
  PeerShares(const PeerShares&) = delete;
  PeerShares& operator=(const PeerShares&) = delete;

  // One transaction's. It is given back when it is destroyed. The shares outlive it.
  class Share {
   public:
    Share() = default;
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() {
      if (shares_ != nullptr) shares_->End(*this);
    }

    // Once, before Set: the peer that it counts for. Without that it counts nowhere.
    void Begin(PeerShares& shares, uint64_t peer) {
      shares_ = &shares;
      holder_ = &shares.HolderOf(peer);
      ++holder_->shares;
    }
    // From now on it is so much. The caller has asked HasRoom where it can do without.
    void Set(uint64_t amount) {
      if (shares_ == nullptr) return;
      const uint64_t before = std::exchange(amount_, amount);
      shares_->total_ += amount - before;
      holder_->amount += amount - before;
    }
    // `amount` more than it has now.
    [[nodiscard]] bool MayGrow(uint64_t amount, ShareUse use) const {
      return shares_ == nullptr || shares_->HasRoomOf(holder_, amount, use);
    }

   private:
    friend class PeerShares;

    PeerShares* shares_ = nullptr;
    Holder* holder_ = nullptr;
    uint64_t amount_ = 0;
  };

  [[nodiscard]] bool HasRoom(uint64_t peer, uint64_t amount, ShareUse use) const;
  // Whatever the peer: less than half is taken, so none holds more than what is free.
  [[nodiscard]] bool HasPlenty(uint64_t amount) const { return total_ + amount <= bound_ / 2; }
  [[nodiscard]] uint64_t total() const { return total_; }

 private:
  struct Holder {
    uint64_t amount = 0;
    uint32_t shares = 0;
  };
  // So many that hold nothing at the moment stay in the map: most will soon hold something again.
  static constexpr size_t kIdleMax = 1024;

  [[nodiscard]] Holder& HolderOf(uint64_t peer);
  [[nodiscard]] bool HasRoomOf(const Holder* holder, uint64_t amount, ShareUse use) const;
  void End(Share& share);

  const uint64_t bound_;
  uint64_t total_ = 0;
  size_t idle_ = 0;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Holder>> holders_;
};

}  // namespace sallyport::sip
