#include "core/quiet_points.h"

#include <algorithm>
#include <vector>

#include "core/check.h"

namespace sallyport::core {

QuietPoints::QuietPoints(uint32_t readers)
    : readers_count_(readers), readers_(std::make_unique<Reader[]>(readers)) {}

QuietPoints::~QuietPoints() { CHECK(Reclaim() == 0); }

void QuietPoints::GoOnline(uint32_t reader) {
  // Pairs with Retire (epoch_) and with Reclaim (seen); see the proof in the header.
  const uint64_t epoch = epoch_.load(std::memory_order_acquire);
  readers_[reader].seen.exchange(epoch, std::memory_order_acq_rel);
}

void QuietPoints::Announce(uint32_t reader) {
  const uint64_t epoch = epoch_.load(std::memory_order_acquire);  // Pairs with Retire.
  readers_[reader].seen.store(epoch, std::memory_order_release);  // Pairs with OldestSeen.
}

void QuietPoints::GoOffline(uint32_t reader) {
  readers_[reader].seen.store(0, std::memory_order_release);  // Pairs with OldestSeen.
}

void QuietPoints::Retire(void* object, Deleter deleter) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Release: the unlink before it; acquire: later Retires carry it on. Pairs with the readers'
    // acquire loads.
    const uint64_t epoch = epoch_.fetch_add(1, std::memory_order_acq_rel) + 1;
    retired_.push_back({object, deleter, epoch});
  }
  Reclaim();
}

size_t QuietPoints::Reclaim() {
  std::vector<Retired> free;
  size_t waiting = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (retired_.empty()) return 0;
    const uint64_t oldest = OldestSeen();
    while (!retired_.empty() && retired_.front().epoch <= oldest) {
      free.push_back(retired_.front());
      retired_.pop_front();
    }
    waiting = retired_.size();
  }
  for (const Retired& retired : free) retired.deleter(retired.object);
  return waiting;
}

// Under the lock. The epoch that every online reader has announced; everything if all are offline.
uint64_t QuietPoints::OldestSeen() {
  uint64_t oldest = UINT64_MAX;
  for (uint32_t reader = 0; reader < readers_count_; ++reader) {
    // A read-modify-write that changes nothing, so that it has a place in the modification order
    // (pairs with GoOnline's exchange) and synchronizes with the reader's stores.
    const uint64_t seen = readers_[reader].seen.fetch_add(0, std::memory_order_acq_rel);
    if (seen != 0) oldest = std::min(oldest, seen);
  }
  return oldest;
}

}  // namespace sallyport::core
