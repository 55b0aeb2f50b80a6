// What a proxy checks of a request before it acts on it (RFC 3261 §16.3), in that section's order:
// URI scheme (tel and URNs pass: they are a matter of routes), Max-Forwards, loops, Proxy-Require,
// then Max-Breadth (RFC 5393 §5.3.3). Identity was judged before, and syntax, but for Max-Breadth:
// a malformed one is refused here, before the rest. Pure; borrows the request during the call.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sip/message/message_view.h"
#include "sip/policy/reason_code.h"
#include "sip/proxy/branch.h"
#include "sip/proxy/listener_config.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

// What routing depends on, and nothing that a loop changes: Request-URI, tags, Call-ID, CSeq
// number, Proxy-Require and Route (§16.6 step 8). Not the method: a CANCEL or ACK gets its
// INVITE's. Everybody below can read it in our Via; `key`, of this process, hides how it is made
// (the hash is seeded with an address).
[[nodiscard]] uint32_t LoopHash(const MessageView& request, const tls::MacKey& key);

// Nothing: go on. `loop_hash` is LoopHash of the request, `from` the zone that it came from. From
// inside a topmost Via of ours, whichever instance's, is a loop: an edge has sent to an edge, and
// what began outside would be taken for the inside's own.
[[nodiscard]] std::optional<ReasonCode> ValidateRequest(const MessageView& request, Zone from,
                                                        uint32_t loop_hash,
                                                        const BranchSigner& signer);

}  // namespace sallyport::sip
