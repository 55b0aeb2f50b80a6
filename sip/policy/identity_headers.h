// Which identity headers leave a message and which one we assert (RFC 3325 §5, §6, §9.1; charter: interface document,
// "Identity headers").
// Borrows: the edit keeps views into the message; the asserted value is copied into the edit's own storage.
// Pure: appends to the edit, nothing else; one shard.
#pragma once

#include <cstdint>
#include <string_view>

#include "sip/message/message_edit.h"
#include "sip/message/message_view.h"
#include "sip/message/uri.h"

namespace sallyport::sip {

// [identity-header] mode.
enum class AssertedHeader : uint8_t { kPAssertedIdentity, kPPreferredIdentity, kNone };

// Removes every P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID and X-Sallyport-* of a request or response: by
// parsed header id, so in all spellings, and all repetitions, whole.
void RemoveIdentityHeaders(const MessageView& message, MessageEdit& edit);

// Appends the asserted header to a request whose From was covered by the peer's certificate. Nothing on ACK and CANCEL
// (RFC 3325 §9.1 has none there), nothing in mode kNone. The value is "<" scheme ":" user "@" host [";user=phone"] ">":
// user part and host exactly as From writes them (escapes and case kept, one trailing dot of the host too), scheme
// in lower case; without display name, password, port, headers, and parameters other than user=phone. A From without user
// part gives "<sip:host>".
void AssertIdentity(const MessageView& request, const Uri& from, AssertedHeader mode,
                    MessageEdit& edit);

}  // namespace sallyport::sip
