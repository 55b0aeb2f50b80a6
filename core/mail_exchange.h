// The mailboxes between all parties (shards 0..n-1, and the control thread, which is party n), and
// who must be woken for what.
//
// A party that is about to sleep says so and then looks once more; a sender pushes and then looks
// whether the receiver sleeps. Proof that no mail sleeps with its receiver: `asleep` of a party is
// touched with read-modify-write operations only, by the receiver after "I sleep" (exchange true,
// R) and by a sender after its push (exchange false, S). Both are acq_rel on one atomic, so one
// comes first in its modification order. If R is first, S reads true and the sender wakes. If S is
// first, R synchronizes with it, so the push happens before the receiver's look at the mailboxes,
// which therefore finds the record. A sender whose relaxed look shows `asleep` false skips nothing:
// it always does the exchange.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/mailbox.h"

namespace sallyport::core {

// How one party wakes another. A shard's is its backend; the control thread's is a RingWaker.
class Waker {
 public:
  virtual void WakeParty(int wake_name) = 0;

 protected:
  ~Waker() = default;
};

class MailExchange {
 public:
  // `shards` parties and the control thread. `mailbox_bytes` each, untouched memory costs nothing.
  MailExchange(uint32_t shards, uint32_t mailbox_bytes);
  MailExchange(const MailExchange&) = delete;
  MailExchange& operator=(const MailExchange&) = delete;
  ~MailExchange();

  uint32_t shards() const { return shards_; }
  uint32_t control() const { return shards_; }  // The control thread's index.

  // Before any mail goes to that shard: what Waker::WakeParty takes (IoBackend::wake_name).
  void SetWakeName(uint32_t shard, int wake_name);

  // On the thread of `from`. False: the mailbox is full; nothing was sent.
  [[nodiscard]] bool Post(uint32_t from, uint32_t to, uint32_t kind,
                          std::span<const std::byte> record, Waker& waker);

  // On the thread of `party`. Before a wait that may block; false: there is mail, do not.
  [[nodiscard]] bool PrepareToSleep(uint32_t party);
  void Awake(uint32_t party);
  // Round robin over the senders. True: `records_max` was reached and there may be more.
  bool Deliver(uint32_t party, uint32_t records_max, MailHandler& handler);

  // Readable when there is mail for the control thread: for its poll(2). Deliver resets it.
  int control_event_fd() const { return control_event_fd_; }

 private:
  struct alignas(64) Party {
    std::atomic<bool> asleep{false};
    std::atomic<int> wake_name{-1};
    uint32_t next_sender = 0;  // The party's own: where Deliver goes on.
  };

  Mailbox& Box(uint32_t from, uint32_t to) { return *boxes_[from * parties() + to]; }
  uint32_t parties() const { return shards_ + 1; }
  bool HasMail(uint32_t party);

  const uint32_t shards_;
  std::vector<std::unique_ptr<Mailbox>> boxes_;  // [from][to]; nullptr on the diagonal.
  std::unique_ptr<Party[]> parties_;
  int control_event_fd_ = -1;
};

}  // namespace sallyport::core
