// What Path (RFC 3327) and client-initiated connections (RFC 5626) want known of a request before
// an edge decides about Path, Record-Route and flow tokens. Facts only; the decision is the
// caller's. Pure; borrows the request during the call.
#pragma once

#include "sip/message/message_view.h"

namespace sallyport::sip {

// Of a REGISTER.
struct RegistrationFacts {
  bool is_first_hop = false;       // One Via: it comes from the user agent itself (RFC 5626 §5.1).
  bool supports_path = false;      // Supported, in any line and form, has `path` (RFC 3327 §5.1).
  bool supports_outbound = false;  // The same for `outbound` (RFC 5626 §4.2).
  bool registers_flow = false;  // One Contact has both reg-id and +sip.instance (RFC 5626 §4.2).
  friend bool operator==(const RegistrationFacts&, const RegistrationFacts&) = default;
};

// `request` parsed kOk.
[[nodiscard]] RegistrationFacts ReadRegistration(const MessageView& request);

// It begins a dialog, and its Contact has the URI parameter `ob`: what comes back in that dialog
// wants the flow on which this came (RFC 5626 §4.3, §5.1), so our Record-Route carries its token.
[[nodiscard]] bool WantsOutboundFlow(const MessageView& request);

}  // namespace sallyport::sip
