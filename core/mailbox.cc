#include "core/mailbox.h"

#include <bit>
#include <cstring>

#include "core/check.h"

namespace sallyport::core {
namespace {

constexpr uint64_t kAlignment = 8;

uint64_t Aligned(uint64_t bytes) { return (bytes + kAlignment - 1) & ~(kAlignment - 1); }

}  // namespace

Mailbox::Mailbox(uint32_t from, uint32_t capacity_bytes)
    : from_(from), capacity_(capacity_bytes), memory_(capacity_bytes) {
  CHECK(capacity_bytes >= 4096 && std::has_single_bit(capacity_bytes));
}

bool Mailbox::Push(uint32_t kind, std::span<const std::byte> record, MailPriority priority) {
  DCHECK(kind != kFillerKind);
  if (record.size() > record_bytes_max()) return false;
  const uint64_t needed = Aligned(kHeaderBytes + record.size());
  const uint64_t written = written_.load(std::memory_order_relaxed);  // Our own.
  const uint64_t offset = written & (capacity_ - 1);
  const uint64_t to_end = capacity_ - offset;
  const uint64_t filler = needed > to_end ? to_end : 0;
  const auto has_room = [&] {
    const uint64_t used = written - read_seen_;
    if (used + filler + needed > capacity_) return false;
    return priority == MailPriority::kNormal || used + needed <= capacity_ / 2;
  };
  if (!has_room()) {
    read_seen_ = read_.load(std::memory_order_acquire);  // Pairs with Drain's release store.
    if (!has_room()) return false;
  }
  if (filler != 0) {
    const Header skip{kFillerKind, static_cast<uint32_t>(filler - kHeaderBytes)};
    std::memcpy(memory_.data() + offset, &skip, sizeof(skip));
  }
  std::byte* const place = memory_.data() + ((written + filler) & (capacity_ - 1));
  const Header header{kind, static_cast<uint32_t>(record.size())};
  std::memcpy(place, &header, sizeof(header));
  if (!record.empty()) std::memcpy(place + kHeaderBytes, record.data(), record.size());
  // Pairs with the acquire loads in Drain and empty.
  written_.store(written + filler + needed, std::memory_order_release);
  return true;
}

MailboxProgress Mailbox::progress() const {
  // Pairs with Drain's release store. written_ is the producer's own.
  return {written_.load(std::memory_order_relaxed), read_.load(std::memory_order_acquire)};
}

uint32_t Mailbox::Drain(uint32_t records_max, MailHandler& handler) {
  const uint64_t written = written_.load(std::memory_order_acquire);  // Pairs with Push.
  uint64_t read = read_.load(std::memory_order_relaxed);              // Our own.
  uint32_t delivered = 0;
  while (read != written && delivered < records_max) {
    const std::byte* const place = memory_.data() + (read & (capacity_ - 1));
    Header header;
    std::memcpy(&header, place, sizeof(header));
    if (header.kind != kFillerKind) {
      handler.OnMail(from_, header.kind, {place + kHeaderBytes, header.bytes});
      ++delivered;
    }
    read += Aligned(kHeaderBytes + header.bytes);
    // Pairs with the acquire loads in Push and progress.
    read_.store(read, std::memory_order_release);
  }
  return delivered;
}

bool Mailbox::empty() const {
  // Pairs with Push's release store. read_ is the consumer's own.
  return written_.load(std::memory_order_acquire) == read_.load(std::memory_order_relaxed);
}

}  // namespace sallyport::core
