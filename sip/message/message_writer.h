// Builds a response to a request that we answer ourselves (RFC 3261 §8.2.6). Pure; works also on a
// partly parsed request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sip/message/message_view.h"

namespace sallyport::sip {

struct ResponseParts {
  uint16_t status = 500;
  std::string_view reason;  // Without CR and LF.
  std::string_view to_tag;  // Added to To where that has none; empty: never (100 Trying, §8.2.6.2).
  std::string_view vias;    // Whole lines instead of the request's, marked already; empty: those.
  std::string_view via_received;  // As in MarkTopVia; counts only if `request_parsed`.
  std::string_view via_rport;
  std::string_view extra_headers;  // Whole lines, each with its CRLF; may be empty.
  bool request_parsed = true;      // ParseMessage said kOk; else only texts are copied.
};

// Status line, every Via in order, From, To, Call-ID and CSeq as they came (first of each; what is
// missing is left out), extra headers, Content-Length: 0. Returns the bytes written, or 0 if they
// do not fit.
[[nodiscard]] size_t WriteResponse(const ResponseParts& parts, const MessageView& request,
                                   std::span<char> out);

// Every Via line of a request that parsed kOk, the topmost marked as MarkTopVia marks it. Returns
// the bytes written, or 0 if they do not fit.
[[nodiscard]] size_t WriteMarkedVias(const MessageView& request, std::string_view received,
                                     std::string_view rport, std::span<char> out);

}  // namespace sallyport::sip
