// A queue of variable-size records from one party to one other: single producer, single consumer,
// no locks, nothing allocated after construction. Full is an outcome for the producer.
//
// Invariants. `written_` and `read_` count bytes since the beginning and never go back;
// read_ <= written_ <= read_ + capacity. Bytes in [read_, written_) belong to the consumer, all
// others to the producer. Each count has one writer. A record is contiguous and 8-byte aligned:
// where it would wrap, a filler record takes the rest of the ring.
//   - written_: release store in Push pairs with the acquire load in Drain and empty: whoever sees
//     the count sees the bytes.
//   - read_: release store in Drain pairs with the acquire load in Push and progress: whoever sees
//   the space
//   free
//     has the consumer's last read of it behind it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/mapped_memory.h"

namespace sallyport::core {

// kLow leaves half of the mailbox to others: what a peer may send as much of as it likes.
enum class MailPriority : uint8_t { kNormal, kLow };

// Bytes since the beginning, records' headers and fillers included.
struct MailboxProgress {
  uint64_t written = 0;
  uint64_t read = 0;
};

// Receives records in Drain.
class MailHandler {
 public:
  // `record` is borrowed for the call, aligned to 8 bytes. May push into other mailboxes.
  virtual void OnMail(uint32_t from, uint32_t kind, std::span<const std::byte> record) = 0;

 protected:
  ~MailHandler() = default;
};

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): each side has a cache line of its own.
class Mailbox {
 public:
  // `capacity_bytes` is a power of two of at least 4096. `from` is the producer's index, passed on.
  Mailbox(uint32_t from, uint32_t capacity_bytes);
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  uint32_t record_bytes_max() const { return capacity_ / 2 - kHeaderBytes; }

  // Producer. False: no room now (or the record is longer than record_bytes_max); nothing changed.
  [[nodiscard]] bool Push(uint32_t kind, std::span<const std::byte> record,
                          MailPriority priority = MailPriority::kNormal);

  // Producer. What it has written, and how far the consumer has come.
  [[nodiscard]] MailboxProgress progress() const;

  // Consumer. Delivers at most `records_max`; returns how many.
  uint32_t Drain(uint32_t records_max, MailHandler& handler);
  bool empty() const;

 private:
  struct Header {
    uint32_t kind;
    uint32_t bytes;
  };
  static constexpr uint32_t kHeaderBytes = sizeof(Header);
  static constexpr uint32_t kFillerKind = 0xFFFFFFFF;

  const uint32_t from_;
  const uint32_t capacity_;
  MappedMemory memory_;

  // On cache lines of their own: the producer's, then the consumer's.
  alignas(64) std::atomic<uint64_t> written_{0};
  uint64_t read_seen_ = 0;  // The producer's last look at read_.
  alignas(64) std::atomic<uint64_t> read_{0};
};

}  // namespace sallyport::core
