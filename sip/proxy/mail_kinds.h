// What the shards of the edge, and the control thread, send each other by mail.
#pragma once

#include <cstdint>

#include "core/shard.h"

namespace sallyport::sip {

enum MailKind : uint32_t {
  kMailResponse =
      core::kMailKindsReserved,  // ResponseMail, then the bytes: its transaction lives there.
  kMailSnapshot,                 // ShardMaterial*, which the shard takes.
  kMailDrain,                    // Nothing.
  kMailFlowRequest,              // FlowMail, then the bytes: send them on that flow.
  kMailFlowLost,                 // FlowMail: that flow is gone.
  kMailFlowFull,                 // FlowMail of a request: it found no room and was not sent.
  kMailHealth,                   // HealthMail: what the prober found.
  kMailCancel,                   // CancelMail, then what is needed of a CANCEL.
};

// Which target the prober has heard of. Of a configuration, so that indices mean the same.
struct HealthMail {
  uint64_t snapshot = 0;
  uint16_t next_hop = 0;
  uint16_t target = 0;
  uint32_t is_alive = 0;
};

}  // namespace sallyport::sip
