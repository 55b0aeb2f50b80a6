// Max-Breadth (RFC 5393 §5.3): how many branches a request may still be split into. We forward to
// one target at a time, so nothing is ever divided: the whole breadth goes on, and returns before
// the next target is tried. Pure.
#pragma once

#include <cstdint>

#include "sip/message/message_edit.h"
#include "sip/message/message_view.h"

namespace sallyport::sip {

inline constexpr uint32_t kMaxBreadth = 60;  // §5.3.3: added where there is none; ours at most.

enum class MaxBreadthOutcome : uint8_t {
  kAbsent,
  kOk,         // 1 to kMaxBreadth.
  kAbove,      // More than we let through.
  kExhausted,  // 0: 440.
  kMalformed,  // Not digits, or repeated: 400. A guess could differ from the next hop's.
};

[[nodiscard]] MaxBreadthOutcome ReadMaxBreadth(const MessageView& request);

// On forwarding: 60 where there was none or more. Requires that kMalformed and kExhausted were
// refused.
void EditMaxBreadth(const MessageView& request, MessageEdit& edit);

}  // namespace sallyport::sip
