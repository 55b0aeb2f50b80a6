// What everything on one shard works with. Made by EdgeShard, borrowed by the rest; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/log.h"
#include "core/log_rate_limiter.h"
#include "core/shard.h"
#include "core/stats.h"
#include "sip/proxy/byte_shares.h"
#include "sip/proxy/edge_metrics.h"
#include "sip/proxy/edge_snapshot.h"
#include "tls/client_sessions.h"
#include "tls/context.h"
#include "tls/identity_cache.h"

namespace sallyport::sip {

struct ShardContext {
  core::Shard& shard;
  core::LogWriter& log;
  core::LogRateLimiter& log_limits;
  core::StatsBlock& stats;
  const EdgeMetrics& metrics;
  const EdgeSnapshot* snapshot;  // Replaced between turns, never null.
  // By listener; null where no TLS is spoken. Replaced together with the snapshot.
  std::vector<std::shared_ptr<tls::Context>> tls_contexts;
  // By TLS profile, for connections that we dial; likewise.
  std::vector<std::shared_ptr<tls::Context>> client_contexts;
  tls::ClientSessions& client_sessions;
  tls::IdentityCache& identities;
  // The first snapshot's: who is equal to whom does not change while the process lives.
  tls::MacKey peer_key;

  // Room for one record's plaintext as it comes in, and for one message as it goes out. Both are
  // free again when the call that uses them returns; one never holds what the other reads.
  std::span<char> receive_scratch;
  std::span<char> send_scratch;
  std::span<char> mail_scratch;  // One record of mail as it is put together.

  // Leased for handshakes, and for incomplete messages and what waits for its turn.
  ByteShares handshake_shares{};
  ByteShares message_shares{};
  // One for each accepted connection from outside, closing ones included, of limits.connections.
  ByteShares connection_shares{};
  // Of the turn `wall_turn`.
  mutable uint64_t wall_turn = ~uint64_t{0};
  mutable int64_t wall_seconds = 0;

  core::Reactor& reactor() const { return shard.reactor(); }
  // Unix seconds by the wall clock, read once in a turn.
  [[nodiscard]] int64_t WallSeconds() const {
    if (wall_turn != reactor().counters().turns) {
      wall_turn = reactor().counters().turns;
      wall_seconds = absl::ToUnixSeconds(reactor().io().WallNow());
    }
    return wall_seconds;
  }
  void Count(uint32_t slot, uint64_t amount = 1) const { stats.Add(slot, amount); }
  // Mail of a header and a message behind it, put together in mail_scratch. False: no room.
  template <typename Header>
  [[nodiscard]] bool PostMessage(uint32_t to, uint32_t kind, const Header& header,
                                 std::string_view message,
                                 core::MailPriority priority = core::MailPriority::kNormal) const {
    const size_t size = sizeof header + message.size();
    if (size > mail_scratch.size()) return false;
    std::memcpy(mail_scratch.data(), &header, sizeof header);
    message.copy(mail_scratch.data() + sizeof header, message.size());
    return shard.Post(to, kind, std::as_bytes(mail_scratch.first(size)), priority);
  }
};

inline constexpr size_t kReceiveScratchBytes = 64 * 1024;     // Several TLS records.
inline constexpr size_t kSendScratchBytes = 128 * 1024;       // A message and what we add to it.
inline constexpr size_t kMailScratchBytes = 128 * 1024 - 64;  // What half a mailbox holds.

}  // namespace sallyport::sip
