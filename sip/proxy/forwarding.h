// What the edge changes in a message that passes it (RFC 3261 §16.6, §16.7): edits over the
// original bytes; everything not named here goes on as it came. Pure: appends to the edit; the edit
// borrows the message and the texts given.
#pragma once

#include <span>
#include <string_view>

#include "sip/message/message_edit.h"
#include "sip/message/message_view.h"
#include "sip/policy/identity_headers.h"
#include "sip/proxy/own_routes.h"

namespace sallyport::sip {

struct ForwardedRequest {
  bool withholds_vias = false;     // One plain Via instead of all (HasPlainVias).
  std::string_view received = {};  // For the peer's Via; empty: none (RFC 3261 §18.2.1).
  std::string_view rport = {};     // Fills an rport that stands there (RFC 3581 §4).
  IdentityCrossing identity = IdentityCrossing::kEnters;
  bool removes_path = false;         // From outside: only what we have written leads to a flow.
  bool removes_referred_by = false;  // It names a party that nothing covers.
  // Of From, which a certificate covers; kNone where it does not, and towards the outside.
  AssertedHeader asserted_header = AssertedHeader::kPAssertedIdentity;
};

// A request on its way: the sender's Via marked, Max-Forwards lowered (or 70 added), identity
// headers removed and ours put there, Content-Length added if it came without. Our own Via is not
// written here: it depends on the target.
void EditRequest(const MessageView& request, const ForwardedRequest& forwarded, MessageEdit& edit);

// A NOTIFY that passes by a pair may be what its subscriber makes the route set from (RFC 6665
// §4.3): the same lines as Record-Route, in the order in which the next element writes them.
// `routes.token` is kPair.
void RecordPairAgain(const MessageView& request, const OwnRoutes& routes, MessageEdit& edit);

// Every Via value of the request is one that every server reads. Others are withheld: Kamailio
// closes the connection for them, and with it all calls. Their answers get them back.
[[nodiscard]] bool HasPlainVias(const MessageView& request);

// A response on its way back: our Via popped, or all replaced by the lines that were `withheld`;
// identity headers removed by the border that it crosses, Content-Length added if it came without.
void EditResponse(const MessageView& response, IdentityCrossing identity, MessageEdit& edit,
                  std::string_view withheld = {});

// A 503 becomes a 500 (§16.7 step 6).
void HideOverload(const MessageView& response, MessageEdit& edit);

// The edge's own hop-by-hop request in the transaction of `sent`, a request that we forwarded:
// CANCEL (§9.1), or the ACK of a failure (§17.1.1.3) with the response's To in `to`. Our Via alone,
// the Request-URI, Route, From, To, Call-ID and CSeq number of `sent`, then `headers`. Returns the
// bytes written, 0 if they do not fit. `sent` parsed kOk.
struct HopByHop {
  std::string_view method;
  std::string_view via_line;  // With its CRLF.
  std::string_view to;
  std::string_view headers = {};  // Whole lines.
};
[[nodiscard]] size_t WriteHopByHop(const HopByHop& parts, const MessageView& sent,
                                   std::span<char> out);

// What another shard needs of a CANCEL to find its transaction, and to answer it: the start line,
// Via, Max-Forwards, From, To, Call-ID, CSeq, and Reason unless its lines are longer than
// kMailedReasonBytesMax. Returns the bytes written, 0 if they do not fit. `cancel` parsed kOk.
inline constexpr size_t kMailedReasonBytesMax = 512;
[[nodiscard]] size_t WriteMailedCancel(const MessageView& cancel, std::span<char> out);

// The lines of that name, one behind the other. Returns the bytes written, 0 if there are none or
// they do not fit.
[[nodiscard]] size_t CopyLines(const MessageView& message, HeaderId id, std::span<char> out);

}  // namespace sallyport::sip
