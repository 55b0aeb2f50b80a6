// The mailboxes between all parties (shards 0..n-1, and the control thread, which is party n), and
// who must be woken for what.
//
// Each party has one word, `signal`: kIdle, kMail (look into your mailboxes) or kAsleep (and then
// you must be woken). Proof that no record sleeps with its receiver: `signal` is changed by
// read-modify-write operations only, all acq_rel, so they have one order and each synchronizes with
// the ones before it.
//   - A sender pushes, then exchanges kMail (S). If S found kAsleep, it wakes the receiver.
//   - The receiver delivers after exchanging kIdle for kMail (R). If S comes before R, the push
//     happens before the look into the mailboxes, which finds it. If S comes after R, the word is
//     kMail again.
//   - The receiver sleeps only after changing kIdle into kAsleep by compare-exchange, which fails
//   if
//     the word is kMail; and an S after it finds kAsleep.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/mailbox.h"

namespace sallyport::core {

// How one party wakes another. A shard's is its backend; the control thread's is a UringWaker.
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
  uint32_t mailbox_bytes() const { return mailbox_bytes_; }

  // Before any mail goes to that shard: what Waker::WakeParty takes (IoBackend::wake_name).
  void SetWakeName(uint32_t shard, int wake_name);

  // On the thread of `from`. False: the mailbox is full; nothing was sent.
  [[nodiscard]] bool Post(uint32_t from, uint32_t to, uint32_t kind,
                          std::span<const std::byte> record, Waker& waker,
                          MailPriority priority = MailPriority::kNormal);

  // On the thread of `from`: how far its mailbox at `to` is.
  [[nodiscard]] MailboxProgress progress(uint32_t from, uint32_t to) {
    return Box(from, to).progress();
  }

  // On the thread of `party`. Before a wait that may block; false: there is mail, do not.
  [[nodiscard]] bool PrepareToSleep(uint32_t party);
  void Awake(uint32_t party);
  // Round robin over the senders. True: `records_max` was reached and there may be more.
  bool Deliver(uint32_t party, uint32_t records_max, MailHandler& handler);

  // Readable when there is mail for the control thread: for its poll(2). Deliver resets it.
  int control_event_fd() const { return control_event_fd_; }

 private:
  enum class Signal : uint8_t { kIdle, kMail, kAsleep };
  struct alignas(64) Party {
    std::atomic<Signal> signal{Signal::kIdle};
    std::atomic<int> wake_name{-1};
    // The party's own: where Deliver goes on, and whether it stopped before the end.
    uint32_t next_sender = 0;
    bool more = false;
  };

  Mailbox& Box(uint32_t from, uint32_t to) { return *boxes_[from * parties() + to]; }
  uint32_t parties() const { return shards_ + 1; }

  const uint32_t shards_;
  const uint32_t mailbox_bytes_;
  std::vector<std::unique_ptr<Mailbox>> boxes_;  // [from][to]; nullptr on the diagonal.
  std::unique_ptr<Party[]> parties_;
  int control_event_fd_ = -1;
};

}  // namespace sallyport::core
