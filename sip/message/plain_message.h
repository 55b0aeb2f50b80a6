// A message as others get it from us: what decided something and came folded or oddly spaced stands
// on one plain line, other folds are unfolded. Two readers may take an odd line for different
// things, and some servers close the connection that all of us share for it. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "sip/message/header_name.h"
#include "sip/message/message_view.h"

namespace sallyport::sip {

// Fields that every element on the way reads.
[[nodiscard]] constexpr bool DecidesEverywhere(HeaderId id) {
  return id == HeaderId::kContentLength || id == HeaderId::kCSeq || id == HeaderId::kMaxForwards ||
         id == HeaderId::kCallId || id == HeaderId::kVia;
}

// What deployed devices write field names with. Others are legal (RFC 3261 §25.1, token), and
// servers were seen to close the connection for them. A known name with _ for - is none: a server
// was seen to take its value for the length of the body, and what follows for another request.
[[nodiscard]] bool IsUsualFieldName(std::string_view name);

// ";" with nothing behind it, which To may have.
[[nodiscard]] bool HasEmptyParam(std::string_view params);

// The most by which the plain text is longer: a SP behind a colon here and there.
inline constexpr size_t kPlainGrowthMax = kHeadersMax;

struct PlainMessage {
  size_t bytes = 0;    // Written; 0: they do not fit.
  size_t removed = 0;  // Fields with an unusual name.
};

// `message` parsed kOk. A Content-Length that stands there again is left out.
[[nodiscard]] PlainMessage WritePlain(const MessageView& message, bool removes_unusual_fields,
                                      std::span<char> out);

}  // namespace sallyport::sip
