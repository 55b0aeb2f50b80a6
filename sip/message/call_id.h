// Call-ID (RFC 3261 §20.8): word [ "@" word ]. Compared byte by byte, case included.
#pragma once

#include <string_view>

#include "sip/message/class_scan.h"

namespace sallyport::sip {

// `value` without LWS around it.
[[nodiscard]] bool IsCallId(std::string_view value, const Bounds& in);
[[nodiscard]] inline bool IsCallId(std::string_view value) {
  return IsCallId(value, Bounds(value));
}

}  // namespace sallyport::sip
