// Which identity headers leave a message and which one we assert (RFC 3325 §5, §6, §9.1; charter:
// interface document, "Identity headers"). Borrows: the edit keeps views into the message, also for
// the asserted value; nothing is copied. Pure: appends to the edit, nothing else; one shard.
#pragma once

#include <cstdint>
#include <string_view>

#include "sip/message/message_edit.h"
#include "sip/message/message_view.h"
#include "sip/message/uri.h"

namespace sallyport::sip {

// [identity-header] mode.
enum class AssertedHeader : uint8_t { kPAssertedIdentity, kPPreferredIdentity, kNone };

// Removes every P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID and X-Sallyport-* of a
// request or response: by parsed header id, so in all spellings, and all repetitions, whole.
void RemoveIdentityHeaders(const MessageView& message, MessageEdit& edit);

// Appends the asserted header after the last header of a request whose From the peer's certificate
// covers. Nothing on ACK and CANCEL (RFC 3325 §9.1 has none there), nothing in mode kNone. The
// value is
//   "<" ("sip:" / "sips:") [user "@"] host [";user=phone"] ">"
// user part and host as From writes them, escapes and case kept. Not taken over: display name,
// password, port, the trailing dot of the host, headers, every parameter but user=phone. So the
// text names what was judged and nothing else. `from` is request.from().uri and covered: sip or
// sips with a host name.
void AssertIdentity(const MessageView& request, const Uri& from, AssertedHeader mode,
                    MessageEdit& edit);

}  // namespace sallyport::sip
