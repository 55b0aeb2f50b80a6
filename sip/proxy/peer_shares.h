// What open transactions hold of a bound that all peers of a shard share, by peer: places in the
// table, or bytes of the buffer pool. A peer may hold as much as is still free for all others: one
// peer gets half of the bound, two get a third each, and a peer that holds nothing is admitted.
// ByteShares is for what can be taken away again; an open transaction is never given up, so here
// only the next one is refused.
//
// Cost: one cache line of a table when a share begins, changes and ends; no allocation.
// Shard: one thread. All memory is reserved by the constructor.
#pragma once

#include <cstdint>
#include <utility>

#include "core/count_table.h"

namespace sallyport::sip {

// What a peer asks for room for.
enum class ShareUse : uint8_t {
  kNew,
  kInDialog,  // It may hold twice as much: such requests end work that is there already.
};

class PeerShares {
 public:
  // `holders_max`: peers that hold something at once, at most.
  PeerShares(uint64_t bound, uint32_t holders_max) : bound_(bound), held_(holders_max) {}
  PeerShares(const PeerShares&) = delete;
  PeerShares& operator=(const PeerShares&) = delete;

  // One transaction's. It is given back when it is destroyed. The shares outlive it.
  class Share {
   public:
    Share() = default;
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() { Set(0); }

    // Once, before Set: whose share it is. Without that it counts nowhere.
    void Begin(PeerShares& shares, uint64_t peer) {
      shares_ = &shares;
      peer_ = peer;
    }
    // From now on it is so much. The caller has asked HasRoom where it can do without.
    void Set(uint64_t amount) {
      if (amount == amount_ || shares_ == nullptr) return;
      shares_->Change(peer_, std::exchange(amount_, amount), amount);
    }
    // `amount` more than it has now.
    [[nodiscard]] bool MayGrow(uint64_t amount, ShareUse use) const {
      return shares_ == nullptr || shares_->HasRoom(peer_, amount, use);
    }

   private:
    PeerShares* shares_ = nullptr;
    uint64_t peer_ = 0;
    uint64_t amount_ = 0;
  };

  [[nodiscard]] bool HasRoom(uint64_t peer, uint64_t amount, ShareUse use) const;
  [[nodiscard]] uint64_t total() const { return total_; }

 private:
  void Change(uint64_t peer, uint64_t before, uint64_t after);

  const uint64_t bound_;
  uint64_t total_ = 0;
  core::CountTable held_;
};

}  // namespace sallyport::sip
