// [limits] and [timeouts]: every bound that an operator may move. Each has a default that serves.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "core/config_document.h"
#include "sip/message/message_view.h"

namespace sallyport::sip {

// header-bytes and body-bytes together. A message and what we add to it has room in
// kSendScratchBytes and in half a mailbox (shard_context.h).
inline constexpr uint32_t kMessageBytesMax = 120 * 1024;

// Per process unless said; a shard gets its part (total / shards, rounded up). All are live but
// those marked R, which need a restart because memory is reserved for them at start. 0 means no
// limit where 0 is the default.
struct LimitsConfig {
  // Of one message; together at most kMessageBytesMax.
  uint32_t header_bytes_max = 16384;           // header-bytes: start line and headers. Beyond: 513.
  uint32_t body_bytes_max = 65536;             // body-bytes. Beyond: 513.
  uint32_t headers_max = kReceivedHeadersMax;  // headers: header fields of a message. Beyond: 513.

  // connections (R): accepted ones, all listeners together. Beyond: closed at once and counted.
  uint32_t connections_max = 20000;
  // transactions (R): server transactions. Beyond: 503 with Retry-After.
  uint32_t transactions_max = 65536;
  // queue-bytes: unsent bytes towards one connection. Beyond: a slow reader is closed.
  uint64_t queue_bytes_max = uint64_t{1} << 20;
  // partial-bytes: messages not yet complete, all connections together. Beyond: that one closes.
  uint64_t partial_bytes_max = uint64_t{64} << 20;
  // handshakes-per-turn: TLS handshake steps in one turn of a shard's loop.
  uint32_t handshakes_per_turn_max = 4;
  // peer-identities (R): certificates whose names are remembered.
  uint32_t peer_identities_max = 65536;
  // receive-buffers (R): of each shard, 16 KiB each; a power of two.
  uint32_t receive_buffers = 1024;
  // outbound-connections (R): that we opened, to all next hops together. Beyond: of those that
  // nobody uses the one used least recently is closed, else the next target is tried.
  uint32_t outbound_connections_max = 4096;

  // The next four are for the outside, and each shard enforces them whole: a connection stays on
  // its shard, so who has one gets exactly this, who spreads over n shards n times as much at most.
  // A second's worth may come at once.
  // source-messages-per-second: requests from one source address (IPv6: its /64). Beyond: 503.
  uint32_t source_messages_per_second_max = 0;
  // identity-messages-per-second: requests from one proven set of identities. Beyond: 503.
  uint32_t identity_messages_per_second_max = 0;
  // source-connections: accepted ones of one source address. Beyond: closed at once.
  uint32_t source_connections_max = 0;
  // source-handshakes-per-second: TLS handshakes begun by one source address. Beyond: closed.
  uint32_t source_handshakes_per_second_max = 0;
  // queue-delay: a shard whose work waits longer refuses new dialogs; other requests, in-dialog
  // ones last, beyond four times that. Requests of both zones. 503.
  absl::Duration queue_delay_max = absl::Milliseconds(50);

  // log-lines-per-second: for each (reason, peer); the rest is counted and told later.
  uint32_t log_lines_per_second_max = 5;

  friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

struct TimeoutsConfig {
  absl::Duration first_byte = absl::Seconds(5);  // first-byte: from accept to the first byte.
  absl::Duration handshake = absl::Seconds(10);  // handshake: from accept to the end of TLS's.
  absl::Duration message = absl::Seconds(10);  // message: from a message's first byte to its last.
  absl::Duration idle = absl::Seconds(3600);   // idle: neither message nor keep-alive.
  absl::Duration close = absl::Seconds(5);     // close: from close_notify to closing anyway.
  absl::Duration connect = absl::Seconds(5);   // connect: to a next hop, TCP and TLS together.
  // target: silence of a target before the next one is tried, where there is one.
  absl::Duration target = absl::Seconds(4);
  absl::Duration drain = absl::Seconds(40);     // drain: from SIGTERM to the end.
  absl::Duration timer_c = absl::Seconds(190);  // timer-c: RFC 3261 §16.6 step 11, over 3 minutes.

  friend bool operator==(const TimeoutsConfig&, const TimeoutsConfig&) = default;
};

LimitsConfig ReadLimits(core::ConfigTable table);
TimeoutsConfig ReadTimeouts(core::ConfigTable table);

}  // namespace sallyport::sip
