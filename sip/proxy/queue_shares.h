// What each peer has in a queue that several peers fill: the unsent bytes of one connection, or a
// mailbox. The more peers fill it, the less each may have there: one alone half of the room, two a
// third each. So there is always room for a peer that has nothing in it. A short queue needs no
// shares: below a quarter of the room nothing is counted.
//
// What counts is what still waits. The queue is a FIFO, so the parts of it are kept in the order
// in which they were put there, and one ends where the queue has given out what it had up to there.
//
// Bounds:  as many parts as messages wait in the queue; neighbours of the same peer are one.
// Shard:   one thread.
#pragma once

#include <cstdint>
#include <deque>

#include "absl/container/flat_hash_map.h"
#include "sip/proxy/connection_id.h"

namespace sallyport::sip {

// How far a queue is: bytes put into it, and taken out of it, since it was made.
struct QueueProgress {
  uint64_t put = 0;
  uint64_t taken = 0;
  [[nodiscard]] uint64_t waiting() const { return put - taken; }
};

class QueueShares {
 public:
  QueueShares() = default;
  QueueShares(const QueueShares&) = delete;
  QueueShares& operator=(const QueueShares&) = delete;

  // `bytes` more of that peer may be put into a queue that has room for `room`.
  [[nodiscard]] bool HasRoom(PeerKey peer, uint64_t bytes, const QueueProgress& queue,
                             uint64_t room);
  // The last `bytes` that were put there are that peer's.
  void Note(PeerKey peer, uint64_t bytes, const QueueProgress& queue, uint64_t room);

  [[nodiscard]] static bool IsShort(const QueueProgress& queue, uint64_t room) {
    return queue.waiting() < room / 4;
  }
  [[nodiscard]] size_t parts() const { return parts_.size(); }

 private:
  struct Part {
    PeerKey peer;
    uint64_t bytes;
    uint64_t end;  // As QueueProgress::put counts.
  };

  void Forget(uint64_t taken);
  void Release(PeerKey peer, uint64_t bytes);
  void Clear();

  std::deque<Part> parts_;
  absl::flat_hash_map<PeerKey, uint64_t> held_;  // The sum of each peer's parts.
};

}  // namespace sallyport::sip
