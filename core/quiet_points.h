// When may what readers no longer find be freed? Readers of shared immutable things (policy
// snapshots, cached identities) take no lock and count no references; they only say, once per turn,
// "I hold nothing". A thing retired before that moment by everybody is free (quiescent-state-based
// reclamation).
//
// Rules: a reader uses shared pointers only between GoOnline and GoOffline, and drops all of them
// before Announce and GoOffline. A writer first makes the thing unreachable (release store or
// read-modify-write on the pointer), then retires it.
//
// Proof. Retire takes epoch E = ++epoch_ after the unlink. A reader's announcement stores the epoch
// it has just loaded. Reclaim frees a thing only if every reader's `seen` is 0 (offline) or >= E.
//   - seen >= E: the reader's acquire load of epoch_ read a value of the chain of
//   read-modify-writes
//     begun by Retire's (release), so the unlink happens before it, and later loads of the pointer
//     find the successor. What it held before, it dropped before the release store of `seen`, which
//     pairs with the acquire in Reclaim: its last use happens before the free.
//   - seen == 0: GoOffline's release store pairs with Reclaim's acquire, as above. Could the reader
//     come back unseen? GoOnline and Reclaim both use read-modify-writes on `seen`, so one is
//     first. Reclaim first: GoOnline's acquire synchronizes with Reclaim's release, hence with the
//     unlink (Reclaim holds the writers' lock after Retire), so the reader finds the successor.
//     GoOnline first: Reclaim reads its epoch, not 0.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

namespace sallyport::core {

class QuietPoints {
 public:
  using Deleter = void (*)(void* object);

  explicit QuietPoints(uint32_t readers);
  QuietPoints(const QuietPoints&) = delete;
  QuietPoints& operator=(const QuietPoints&) = delete;
  ~QuietPoints();  // Frees everything retired. No reader may be online.

  // Reader `reader` (a shard's index), on its thread. Offline at first. A reader that waits in the
  // kernel is offline, so an idle shard never delays anybody.
  void GoOnline(uint32_t reader);
  void Announce(uint32_t reader);  // Online and holding nothing at this moment.
  void GoOffline(uint32_t reader);

  // Any thread. Retire also reclaims what has become free, so memory is bounded by the rate of
  // retiring times the longest turn.
  void Retire(void* object, Deleter deleter);
  template <typename T>
  void Retire(std::unique_ptr<T> object) {
    Retire(const_cast<std::remove_const_t<T>*>(object.release()),
           [](void* retired) { delete static_cast<T*>(retired); });
  }
  // Frees what every reader has passed; returns how many are still waiting. Deleters run on the
  // calling thread, outside the lock.
  size_t Reclaim();

 private:
  struct Retired {
    void* object;
    Deleter deleter;
    uint64_t epoch;
  };
  struct alignas(64) Reader {
    std::atomic<uint64_t> seen{0};  // 0: offline.
  };

  uint64_t OldestSeen();

  const uint32_t readers_count_;
  const std::unique_ptr<Reader[]> readers_;
  alignas(64) std::atomic<uint64_t> epoch_{1};
  std::mutex mutex_;  // Writers only.
  std::deque<Retired> retired_;
};

}  // namespace sallyport::core
