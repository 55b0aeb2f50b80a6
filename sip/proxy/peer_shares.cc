#include "sip/proxy/peer_shares.h"

#include "core/check.h"

namespace sallyport::sip {

bool PeerShares::HasRoom(uint64_t peer, uint64_t amount, ShareUse use) const {
  if (total_ + amount <= bound_ / 2) return true;  // No peer has more than what is free.
  if (total_ + amount > bound_) return false;
  const uint64_t free = bound_ - total_;
  return held_.Amount(peer) + amount <= (use == ShareUse::kInDialog ? 2 * free : free);
}

void PeerShares::Change(uint64_t peer, uint64_t before, uint64_t after) {
  total_ += after - before;
  if (after > before) {
    CHECK(held_.Add(peer, after - before));  // No more peers than transactions.
  } else {
    held_.Subtract(peer, before - after);
  }
}

}  // namespace sallyport::sip
