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

// Which border of the trust domain a message crosses.
enum class IdentityCrossing : uint8_t {
  kWithin,  // None: everything stays.
  kLeaves,  // Towards outside: P-Asserted-Identity stays if Privacy is "none" (RFC 3325 §7).
  kEnters,  // From outside, wherever it goes: nothing of it is believed.
};
[[nodiscard]] constexpr IdentityCrossing CrossingOf(bool comes_from_inside, bool goes_inside) {
  if (!comes_from_inside) return IdentityCrossing::kEnters;
  return goes_inside ? IdentityCrossing::kWithin : IdentityCrossing::kLeaves;
}

// Removes P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID and X-Sallyport-* of a request
// or response that crosses that border: by parsed header id, so in all spellings, and all
// repetitions, whole. "none" counts only as the one value of one Privacy line (RFC 3323 §4.2): what
// says more than that, or says it twice, may also ask for privacy.
void RemoveIdentityHeaders(const MessageView& message, IdentityCrossing crossing,
                           MessageEdit& edit);

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
