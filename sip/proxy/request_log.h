// What log lines say of a message, in the same words on each line: `call_id`, `cseq`, `method`,
// `request_uri_host`, `from_host`, and with [log] users the user parts. Also two of these lines:
// `request-refused`, limited for each reason and peer, and `request`, one for each request at level
// debug.
//
// A message need not have parsed: what cannot be read is empty. Texts may hold any bytes; the log
// bounds and escapes them.
// Shard: one thread. Nothing is read or allocated where a line is held back or below the level.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "core/log_record.h"
#include "core/socket_address.h"
#include "sip/message/message_view.h"
#include "sip/policy/judge.h"
#include "sip/policy/reason_code.h"
#include "sip/proxy/edge_snapshot.h"
#include "sip/proxy/shard_context.h"

namespace sallyport::sip {

using LogFields = absl::InlinedVector<core::LogField, 24>;

// A Call-ID as [log] call-id wants it: sixteen hexadecimal digits, itself, or nothing.
class CallIdText {
 public:
  CallIdText(std::string_view call_id, const EdgeSnapshot& snapshot);
  CallIdText(const CallIdText&) = delete;
  CallIdText& operator=(const CallIdText&) = delete;

  // `call_id`, unless it is off. Borrows this.
  void AppendTo(LogFields& fields) const;

 private:
  const bool is_shown_;
  std::array<char, 16> digits_{};
  std::string_view text_;
};

// The value of CSeq as it may stand on a line: not what is folded behind it, and not more than
// belongs there.
[[nodiscard]] std::string_view CSeqText(std::string_view value);

// Also of a message that did not parse; empty: it has none.
[[nodiscard]] std::string_view RawValueOf(const MessageView& message, HeaderId id);

// Where a request came from, and as far as that is known, where it was to go. Borrowed.
struct RequestWay {
  Zone zone = Zone::kOutside;
  uint32_t listener = 0;
  const PeerStanding* standing = nullptr;  // Null: of a datagram, or gone.
  core::SocketAddress address = {};
  std::string_view next_hop = {};   // Name of the [[next-hop]]; "": none.
  core::SocketAddress target = {};  // Of family kNone: none was chosen, or it is a flow.
  std::string_view dns_name = {};   // That DNS was asked for, to find a target.
};

struct RefusedRequest {
  PeerKey peer = 0;  // Lines are limited for each.
  ReasonCode reason = ReasonCode::kMalformed;
  uint16_t status = 0;
  std::string_view phrase = {};
  std::string_view cause = {};  // More than the reason says.
};

void LogRefusedRequest(const ShardContext& context, const MessageView& request,
                       const RefusedRequest& refused, const RequestWay& way);

// The request is over; `status` is that of its final response, 0: an ACK, which has none. Call it
// where context.log is enabled for debug, so that above it not even `way` costs anything.
void LogRequest(const ShardContext& context, const MessageView& request, const RequestWay& way,
                uint16_t status);

}  // namespace sallyport::sip
