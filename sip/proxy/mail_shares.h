// Mail of which a peer may cause as much as it likes: responses from outside to another shard's
// transaction, CANCELs that look for their INVITE. It never takes the upper half of a mailbox
// (core::MailPriority::kLow), and of the lower half one sender has no more than is left for all
// others (queue_shares.h).
//
// Shard:   one thread, the one that posts.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "sip/proxy/queue_shares.h"
#include "sip/proxy/shard_context.h"

namespace sallyport::sip {

class MailShares {
 public:
  explicit MailShares(const ShardContext& context)
      : context_(context), boxes_(std::make_unique<QueueShares[]>(context.shard.shards())) {}

  // To another shard. `sender` is a keyed hash. False: there is no room for it; nothing was sent.
  template <typename Header>
  [[nodiscard]] bool Post(uint64_t sender, uint32_t to, uint32_t kind, const Header& header,
                          std::string_view message) {
    QueueShares& shares = boxes_[to];
    const QueueProgress before = ProgressOf(to);
    const uint64_t room = context_.shard.mailbox_bytes() / 2;
    if (!shares.HasRoom(sender, sizeof header + message.size(), before, room)) return false;
    if (!context_.PostMessage(to, kind, header, message, core::MailPriority::kLow)) return false;
    const QueueProgress after = ProgressOf(to);
    shares.Note(sender, after.put - before.put, after, room);
    return true;
  }

 private:
  [[nodiscard]] QueueProgress ProgressOf(uint32_t shard) const {
    const core::MailboxProgress progress = context_.shard.progress_of_mail(shard);
    return {.put = progress.written, .taken = progress.read};
  }

  const ShardContext& context_;
  const std::unique_ptr<QueueShares[]> boxes_;  // By shard.
};

}  // namespace sallyport::sip
