// What the edge changes in a message that passes it (RFC 3261 §16.6, §16.7): edits over the
// original bytes; everything not named here goes on as it came. Pure: appends to the edit; the edit
// borrows the message and the texts given.
#pragma once

#include <span>
#include <string_view>

#include "sip/message/message_edit.h"
#include "sip/message/message_view.h"
#include "sip/policy/identity_headers.h"

namespace sallyport::sip {

struct ForwardedRequest {
  std::string_view via_line = {};  // Our own, with its CRLF.
  std::string_view received = {};  // For the peer's Via; empty: none (RFC 3261 §18.2.1).
  std::string_view rport = {};     // Fills an rport that stands there (RFC 3581 §4).
  bool is_from_covered = true;     // By a certificate: only then is From asserted.
  bool removes_top_route = false;  // It names us (§16.4).
  AssertedHeader asserted_header = AssertedHeader::kPAssertedIdentity;
};

// A request from outside on its way to an inside next hop: Via pushed, the peer's Via marked,
// Max-Forwards lowered (or 70 added), identity headers removed and ours put there.
void EditRequest(const MessageView& request, const ForwardedRequest& forwarded, MessageEdit& edit);

// A response from the inside on its way out: our Via popped, identity headers removed.
void EditResponse(const MessageView& response, MessageEdit& edit);

// The edge's own hop-by-hop request in the transaction of `sent`, a request that we forwarded:
// CANCEL (§9.1), or the ACK of a failure (§17.1.1.3) with the response's To in `to`. Our Via alone,
// the Request-URI, Route, From, To, Call-ID and CSeq number of `sent`. Returns the bytes written, 0
// if they do not fit. `sent` parsed kOk and begins with our Via.
[[nodiscard]] size_t WriteHopByHop(std::string_view method, const MessageView& sent,
                                   std::string_view to, std::span<char> out);

}  // namespace sallyport::sip
