// Call-ID (RFC 3261 §20.8): word [ "@" word ]. Compared byte by byte, case included.
#pragma once

#include <string_view>

namespace sallyport::sip {

[[nodiscard]] bool IsCallId(std::string_view value);

}  // namespace sallyport::sip
