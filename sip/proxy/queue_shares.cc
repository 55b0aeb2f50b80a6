#include "sip/proxy/queue_shares.h"

#include <algorithm>

#include "core/check.h"

namespace sallyport::sip {

bool QueueShares::HasRoom(PeerKey peer, uint64_t bytes, const QueueProgress& queue, uint64_t room) {
  if (queue.waiting() == 0) {
    Clear();
    return true;
  }
  if (queue.waiting() + bytes > room) return false;
  if (IsShort(queue, room)) {
    Clear();
    return true;
  }
  Forget(queue.taken);
  const auto held = held_.find(peer);
  const uint64_t own = held == held_.end() ? 0 : held->second;
  return own + bytes <= room - queue.waiting();
}

void QueueShares::Note(PeerKey peer, uint64_t bytes, const QueueProgress& queue, uint64_t room) {
  if (bytes == 0 || IsShort(queue, room)) return;
  Forget(queue.taken);
  held_[peer] += bytes;
  if (!parts_.empty() && parts_.back().peer == peer) {
    parts_.back().bytes += bytes;
    parts_.back().end = queue.put;
  } else {
    parts_.push_back({peer, bytes, queue.put});
  }
}

// Between parts there may be bytes of none, so a part is never longer than what it still spans.
void QueueShares::Forget(uint64_t taken) {
  while (!parts_.empty()) {
    Part& first = parts_.front();
    const uint64_t waiting = first.end > taken ? std::min(first.bytes, first.end - taken) : 0;
    if (waiting == first.bytes) return;
    Release(first.peer, first.bytes - waiting);
    first.bytes = waiting;
    if (waiting > 0) return;
    parts_.pop_front();
  }
}

void QueueShares::Release(PeerKey peer, uint64_t bytes) {
  const auto held = held_.find(peer);
  DCHECK(held != held_.end() && held->second >= bytes);
  held->second -= bytes;
  if (held->second == 0) held_.erase(held);
}

void QueueShares::Clear() {
  parts_.clear();
  held_.clear();
}

}  // namespace sallyport::sip
