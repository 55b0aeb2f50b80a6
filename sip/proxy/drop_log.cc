#include "sip/proxy/drop_log.h"

#include <span>
#include <string>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/log_rate_limiter.h"
#include "sip/proxy/request_log.h"
#include "tls/failure_reason.h"

namespace sallyport::sip {
namespace {

// Kinds of their own, behind those of refusals and of failed handshakes.
constexpr uint32_t kResponseKinds = kReasonCodeCount + 64;
constexpr uint32_t kAckKinds = kResponseKinds + 16;
static_assert(tls::kFailureReasons <= 64);

struct DropText {
  std::string_view label;
  std::string_view text;
};

DropText TextOf(ResponseDropReason reason) {
  switch (reason) {
    case ResponseDropReason::kBranch:
      return {"branch", "its Via branch is not one that this process has written"};
    case ResponseDropReason::kNoTransaction:
      return {"no_transaction", "no transaction waits for it any more"};
    case ResponseDropReason::kSource:
      return {"source", "it does not come from where the request went"};
    case ResponseDropReason::kFlowGone:
      return {"flow_gone", "the connection that the request came on is gone"};
    case ResponseDropReason::kMalformed:
      return {"malformed", "it is malformed"};
    case ResponseDropReason::kWayBack:
      return {"way_back", "below ours it has other Via values than its request"};
    case ResponseDropReason::kOverload:
      return {"overload", "the shard of its transaction takes no more mail"};
  }
  UNREACHABLE();
}

DropText TextOf(AckDropReason reason) {
  switch (reason) {
    case AckDropReason::kNoTransaction:
      return {"no_transaction", "it matches no transaction and cannot be forwarded"};
    case AckDropReason::kRefused:
      return {"refused", "its sender may not send it"};
  }
  UNREACHABLE();
}

uint64_t LimitKey(const DroppedMessage& dropped) {
  return dropped.zone == Zone::kOutside
             ? dropped.peer
             : static_cast<uint64_t>(absl::HashOf(dropped.address.WithPort(0)));
}

std::string TextOf(ConnectionId connection) {
  if (connection == ConnectionId()) return {};
  return absl::StrCat(connection.slot, ".", connection.generation);
}

void Write(const ShardContext& context, core::LogName event, uint32_t kind, size_t suppressed_label,
           const DropText& text, const DroppedMessage& dropped) {
  const core::LogAdmission admission =
      context.log_limits.Admit(kind, LimitKey(dropped), context.reactor().now().nanoseconds);
  if (!admission.write) {
    return context.Count(context.metrics.log_records_suppressed.Slot(suppressed_label));
  }
  if (!context.log.Enabled(core::LogLevel::kInfo)) return;
  const CallIdText call_id(dropped.call_id, *context.snapshot);
  const std::string address = dropped.address.ToString();
  const std::string connection = TextOf(dropped.connection);
  LogFields fields;
  fields.push_back({"reason", text.label});
  fields.push_back({"cause", dropped.cause});
  fields.push_back({"status", dropped.status});
  call_id.AppendTo(fields);
  fields.push_back({"cseq", CSeqText(dropped.cseq)});
  fields.push_back({"zone", ZoneName(dropped.zone)});
  fields.push_back({"address", address});
  fields.push_back({"connection", connection});
  fields.push_back({"next_hop", dropped.next_hop});
  fields.push_back({"suppressed", admission.suppressed});
  context.log.Write(core::LogLevel::kInfo, event, text.text,
                    std::span<const core::LogField>(fields));
}

}  // namespace

void LogDroppedResponse(const ShardContext& context, ResponseDropReason reason,
                        const DroppedMessage& dropped) {
  Write(context, "response-dropped", kResponseKinds + static_cast<uint32_t>(reason),
        kSuppressedResponseDrops, TextOf(reason), dropped);
}

void LogDroppedAck(const ShardContext& context, AckDropReason reason,
                   const DroppedMessage& dropped) {
  Write(context, "ack-dropped", kAckKinds + static_cast<uint32_t>(reason), kSuppressedAckDrops,
        TextOf(reason), dropped);
}

}  // namespace sallyport::sip
