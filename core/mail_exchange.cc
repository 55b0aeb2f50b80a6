#include "core/mail_exchange.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "core/check.h"
#include "core/refuse_to_start.h"

namespace sallyport::core {

MailExchange::MailExchange(uint32_t shards, uint32_t mailbox_bytes)
    : shards_(shards),
      mailbox_bytes_(mailbox_bytes),
      boxes_(size_t{parties()} * parties()),
      parties_(std::make_unique<Party[]>(parties())),
      control_event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (control_event_fd_ < 0) {
    RefuseToStart("make an eventfd", errno, "raise the limit of open files (LimitNOFILE=)");
  }
  for (uint32_t from = 0; from < parties(); ++from) {
    for (uint32_t to = 0; to < parties(); ++to) {
      if (from == to) continue;
      boxes_[size_t{from} * parties() + to] = std::make_unique<Mailbox>(from, mailbox_bytes);
    }
  }
  // The control thread is told by its descriptor from the start; Deliver is its only look.
  parties_[control()].signal.store(Signal::kAsleep, std::memory_order_relaxed);
}

MailExchange::~MailExchange() { close(control_event_fd_); }

void MailExchange::SetWakeName(uint32_t shard, int wake_name) {
  // Pairs with the acquire load in Post.
  parties_[shard].wake_name.store(wake_name, std::memory_order_release);
}

bool MailExchange::Post(uint32_t from, uint32_t to, uint32_t kind,
                        std::span<const std::byte> record, Waker& waker, MailPriority priority) {
  CHECK(from != to && from < parties() && to < parties());
  if (!Box(from, to).Push(kind, record, priority)) return false;
  Party& party = parties_[to];
  // Pairs with the exchanges of the receiver; see the proof in the header.
  if (party.signal.exchange(Signal::kMail, std::memory_order_acq_rel) != Signal::kAsleep) {
    return true;
  }
  if (to == control()) {
    const uint64_t one = 1;
    // EAGAIN would mean that the descriptor is readable already.
    const ssize_t written = write(control_event_fd_, &one, sizeof(one));
    CHECK(written == sizeof(one) || errno == EAGAIN);
    return true;
  }
  waker.WakeParty(party.wake_name.load(std::memory_order_acquire));  // Pairs with SetWakeName.
  return true;
}

bool MailExchange::PrepareToSleep(uint32_t party) {
  Signal expected = Signal::kIdle;
  // Pairs with the exchange in Post: fails if mail came since the last Deliver.
  return !parties_[party].more && parties_[party].signal.compare_exchange_strong(
                                      expected, Signal::kAsleep, std::memory_order_acq_rel);
}

void MailExchange::Awake(uint32_t party) {
  Signal expected = Signal::kAsleep;
  // Fails, rightly, if a sender has put kMail there.
  static_cast<void>(parties_[party].signal.compare_exchange_strong(expected, Signal::kIdle,
                                                                   std::memory_order_acq_rel));
}

bool MailExchange::Deliver(uint32_t party, uint32_t records_max, MailHandler& handler) {
  Party& own = parties_[party];
  // Relaxed: a look that comes too early is made good by PrepareToSleep.
  if (!own.more && own.signal.load(std::memory_order_relaxed) != Signal::kMail) return false;
  if (party == control()) {
    uint64_t count = 0;
    static_cast<void>(!read(control_event_fd_, &count, sizeof(count)));
  }
  own.signal.exchange(Signal::kIdle, std::memory_order_acq_rel);  // Pairs with Post's.
  uint32_t left = records_max;
  for (uint32_t looked_at = 0; looked_at < parties() && left > 0; ++looked_at) {
    const uint32_t sender = own.next_sender;
    own.next_sender = (sender + 1) % parties();
    if (sender != party) left -= Box(sender, party).Drain(left, handler);
  }
  own.more = left == 0;
  return own.more;
}

}  // namespace sallyport::core
