// The Via values below ours: where an answer goes from us on (RFC 3261 §16.7 step 3, §18.2.2). A
// server inside may send an answer that it does not know to where they say (§16.7, stateless), so
// those of an answer from outside must be the ones that the request left with. Pure; borrows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sip/message/message_view.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

// A request as it left, from behind our own lines: its Via lines are `via_lines` in number, on
// plain lines (plain_message.h).
struct SentVias {
  std::string_view text;
  size_t via_lines;
};

// Values may come back in another spelling that every server reads, but not lead elsewhere.
[[nodiscard]] bool HasViasAsSent(const MessageView& response, const SentVias& sent);

// The same once the request is gone, by the text alone: never 0.
[[nodiscard]] uint64_t HashOfVias(const SentVias& sent, const tls::MacKey& key);
[[nodiscard]] uint64_t HashOfVias(const MessageView& response, const tls::MacKey& key);

}  // namespace sallyport::sip
