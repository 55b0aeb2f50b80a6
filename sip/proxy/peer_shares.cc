#include "sip/proxy/peer_shares.h"

namespace sallyport::sip {

bool PeerShares::HasRoom(uint64_t peer, uint64_t amount, ShareUse use) const {
  if (HasPlenty(amount)) return true;
  const auto found = holders_.find(peer);
  return HasRoomOf(found == holders_.end() ? nullptr : found->second.get(), amount, use);
}

bool PeerShares::HasRoomOf(const Holder* holder, uint64_t amount, ShareUse use) const {
  if (HasPlenty(amount)) return true;
  if (total_ + amount > bound_) return false;
  const uint64_t held = holder == nullptr ? 0 : holder->amount;
  const uint64_t free = bound_ - total_;
  return held + amount <= (use == ShareUse::kInDialog ? 2 * free : free);
}

PeerShares::Holder& PeerShares::HolderOf(uint64_t peer) {
  std::unique_ptr<Holder>& holder = holders_[peer];
  if (holder == nullptr) {
    holder = std::make_unique<Holder>();
  } else if (holder->shares == 0) {
    --idle_;
  }
  return *holder;
}

void PeerShares::End(Share& share) {
  share.Set(0);
  if (--share.holder_->shares > 0 || ++idle_ <= kIdleMax) return;
  absl::erase_if(holders_, [](const auto& entry) { return entry.second->shares == 0; });
  idle_ = 0;
}

}  // namespace sallyport::sip
