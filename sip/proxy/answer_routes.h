// Record-Route of an answer that comes from outside to a dialog-forming request (RFC 3261 §16.7,
// §12.1.2): what the caller's side will make its route set from. Below the callee's side's own
// values it must be what we sent: the lines of our pair, and immediately below them exactly the
// values that the request had brought. Pure; borrows.
#pragma once

#include <string_view>

#include "sip/message/message_edit.h"
#include "sip/message/message_view.h"

namespace sallyport::sip {

// `lines`: whole Record-Route lines of ours as they were sent, one value each. `brought`: the
// values that the request brought, separated by commas; may be empty. Parameters may come back in
// another order or spelling (canonical_uri.h), and the lines of the pair with any `dt`.
[[nodiscard]] bool HasRoutesAsSent(const MessageView& response, std::string_view lines,
                                   std::string_view brought);

// All Record-Route of the answer becomes `lines` and `brought`.
void ReplaceRecordRoutes(const MessageView& response, std::string_view lines,
                         std::string_view brought, MessageEdit& edit);

}  // namespace sallyport::sip
