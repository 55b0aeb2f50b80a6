#include "sip/proxy/limits_config.h"

#include <bit>
#include <string>

namespace sallyport::sip {
namespace {

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;
constexpr uint64_t kGiB = 1024 * kMiB;

uint32_t Count(core::ConfigTable& table, std::string_view key, uint32_t missing, int64_t min,
               int64_t max) {
  return static_cast<uint32_t>(table.Integer(key, missing, min, max));
}

uint32_t MessageBytes(core::ConfigTable& table, std::string_view key, uint32_t missing,
                      uint64_t min, uint64_t max) {
  return static_cast<uint32_t>(table.Bytes(key, missing, min, max));
}

void ReadMessageLimits(core::ConfigTable& table, LimitsConfig& limits) {
  limits.header_bytes_max =
      MessageBytes(table, "header-bytes", limits.header_bytes_max, kKiB, 64 * kKiB);
  limits.body_bytes_max =
      MessageBytes(table, "body-bytes", limits.body_bytes_max, 0, kMessageBytesMax);
  if (limits.header_bytes_max + limits.body_bytes_max <= kMessageBytesMax) return;
  const core::ConfigValue* written = table.Find("body-bytes");
  if (written == nullptr) written = table.Find("header-bytes");
  written->Reject(table.diagnostics(), "too large a message",
                  "let header-bytes and body-bytes be 120KiB together at most");
}

// The kernel's provided-buffer rings have 2^n entries.
void CheckPowerOfTwo(core::ConfigTable& table, std::string_view key, uint32_t& value) {
  if (std::has_single_bit(value)) return;
  if (const core::ConfigValue* written = table.Find(key)) {
    written->Reject(table.diagnostics(), "not a power of two",
                    "use " + std::to_string(std::bit_floor(value)) + " or " +
                        std::to_string(std::bit_ceil(value)));
  }
  value = std::bit_ceil(value);
}

// 0: no limit.
void ReadSourceLimits(core::ConfigTable& table, LimitsConfig& limits) {
  constexpr int64_t kRateMax = 1'000'000;
  limits.source_messages_per_second_max = Count(table, "source-messages-per-second",
                                                limits.source_messages_per_second_max, 0, kRateMax);
  limits.identity_messages_per_second_max = Count(
      table, "identity-messages-per-second", limits.identity_messages_per_second_max, 0, kRateMax);
  limits.source_connections_max =
      Count(table, "source-connections", limits.source_connections_max, 0, 4'000'000);
  limits.source_handshakes_per_second_max = Count(
      table, "source-handshakes-per-second", limits.source_handshakes_per_second_max, 0, kRateMax);
}

}  // namespace

LimitsConfig ReadLimits(core::ConfigTable table) {
  LimitsConfig limits;
  ReadMessageLimits(table, limits);
  limits.headers_max = Count(table, "headers", limits.headers_max, 16, kReceivedHeadersMax);
  limits.connections_max = Count(table, "connections", limits.connections_max, 1, 4'000'000);
  limits.transactions_max = Count(table, "transactions", limits.transactions_max, 16, 16'777'216);
  limits.queue_bytes_max = table.Bytes("queue-bytes", limits.queue_bytes_max, 64 * kKiB, kGiB);
  limits.partial_bytes_max =
      table.Bytes("partial-bytes", limits.partial_bytes_max, kMiB, 64 * kGiB);
  limits.handshakes_per_turn_max =
      Count(table, "handshakes-per-turn", limits.handshakes_per_turn_max, 1, 1024);
  limits.peer_identities_max =
      Count(table, "peer-identities", limits.peer_identities_max, 16, 16'777'216);
  limits.receive_buffers = Count(table, "receive-buffers", limits.receive_buffers, 16, 32768);
  CheckPowerOfTwo(table, "receive-buffers", limits.receive_buffers);
  limits.outbound_connections_max =
      Count(table, "outbound-connections", limits.outbound_connections_max, 1, 4'000'000);
  ReadSourceLimits(table, limits);
  limits.queue_delay_max = table.Duration("queue-delay", limits.queue_delay_max,
                                          absl::Milliseconds(1), absl::Seconds(10));
  limits.log_lines_per_second_max =
      Count(table, "log-lines-per-second", limits.log_lines_per_second_max, 1, 1'000'000);
  table.RefuseUnknown();
  return limits;
}

TimeoutsConfig ReadTimeouts(core::ConfigTable table) {
  const absl::Duration tenth = absl::Milliseconds(100);
  TimeoutsConfig timeouts;
  timeouts.first_byte = table.Duration("first-byte", timeouts.first_byte, tenth, absl::Minutes(5));
  timeouts.handshake = table.Duration("handshake", timeouts.handshake, tenth, absl::Minutes(5));
  timeouts.message = table.Duration("message", timeouts.message, tenth, absl::Minutes(10));
  timeouts.idle = table.Duration("idle", timeouts.idle, absl::Seconds(1), absl::Hours(168));
  timeouts.close = table.Duration("close", timeouts.close, tenth, absl::Minutes(5));
  timeouts.connect = table.Duration("connect", timeouts.connect, tenth, absl::Minutes(5));
  // Timers B and F end a transaction after 64*T1 = 32 s (RFC 3261 §17.1).
  timeouts.target = table.Duration("target", timeouts.target, tenth, absl::Seconds(32));
  timeouts.drain = table.Duration("drain", timeouts.drain, absl::ZeroDuration(), absl::Hours(24));
  // RFC 3261 §16.6 step 11: "MUST be larger than 3 minutes".
  timeouts.timer_c =
      table.Duration("timer-c", timeouts.timer_c, absl::Seconds(181), absl::Hours(1));
  const core::ConfigValue* first_byte = table.Find("first-byte");
  if (first_byte != nullptr && timeouts.first_byte > timeouts.handshake) {
    first_byte->Warn(table.diagnostics(), "longer than timeouts.handshake, which ends first",
                     "make it shorter; both begin when the connection is accepted");
  }
  table.RefuseUnknown();
  return timeouts;
}

}  // namespace sallyport::sip
