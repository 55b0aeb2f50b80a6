// quoted-string of RFC 3261 §25.1: display names and parameter values.
#pragma once

#include "sip/message/class_scan.h"

namespace sallyport::sip {

// The end of the quoted-string that begins at `begin` (a DQUOTE): one past the closing DQUOTE, or
// nullptr if it is not closed or holds what the grammar forbids: bare CR or LF, control characters
// outside a quoted-pair, invalid UTF-8 (RFC 3629). Folds are LWS.
[[nodiscard]] const char* SkipQuotedString(const char* begin, const Bounds& in);

}  // namespace sallyport::sip
