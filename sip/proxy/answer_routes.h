// Record-Route of an answer that comes from outside to a dialog-forming request (RFC 3261 §16.7,
// §12.1.2): what the caller's side will make its route set from. Below the callee's side's own
// values it must be what we sent: our pair, and immediately below it exactly the values that the
// request had brought. Pure; borrows.
#pragma once

#include <string_view>

#include "sip/message/message_edit.h"
#include "sip/message/message_view.h"
#include "sip/proxy/dialog_pair.h"

namespace sallyport::sip {

struct AnswerRoutes {
  bool is_as_sent = false;  // But for the pair's fields, which are for the caller to compare.
  DialogPair pair;          // If so.
};

// `brought`: the values that the request brought, separated by commas; may be empty.
[[nodiscard]] AnswerRoutes ReadAnswerRoutes(const MessageView& response, std::string_view brought,
                                            const DialogId& dialog, const DialogPairSigner& pairs);

// All Record-Route of the answer becomes `lines` (whole lines of ours) and `brought`.
void ReplaceRecordRoutes(const MessageView& response, std::string_view lines,
                         std::string_view brought, MessageEdit& edit);

}  // namespace sallyport::sip
