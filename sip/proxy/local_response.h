// Responses that the edge makes itself (RFC 3261 §8.2.6, §16.3): status, phrase and headers that a
// verdict carries, and the To-tag by which the ACK of such a response is known again without state.
// Pure.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "sip/message/message_view.h"
#include "sip/policy/reason_code.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

// A To-tag of ours is a MAC over Call-ID and topmost branch. The ACK of a failure carries all three
// (§17.1.1.3), so it is recognised whoever of us answered, and it is not mistaken for the ACK of a
// 2xx, which goes on to the next hop.
class LocalTag {
 public:
  static constexpr size_t kTextBytes = 16;
  using Text = std::array<char, kTextBytes>;

  explicit LocalTag(const tls::MacKey& key) : key_(key) {}

  [[nodiscard]] Text Make(std::string_view call_id, std::string_view branch) const;
  // `ack` parsed kOk.
  [[nodiscard]] bool IsAckOfOurs(const MessageView& ack) const;

 private:
  const tls::MacKey key_;
};

struct RefusalContext {
  std::string_view edge = {};  // Our domain, the warn-agent of Warning (§20.43).
  unsigned retry_after_seconds = 0;
  std::string_view cause = {};  // In words: for the Warning of next-hop reasons, without quotes.
  bool sips_required = false;   // kSips: Warning 381 instead of 380 (RFC 5630 §5.3.3).
};

// The header lines that a refusal carries: Retry-After, Warning, Unsupported (§21.4.15). Written
// into `storage`; what does not fit is left out.
[[nodiscard]] std::string_view RefusalHeaders(ReasonCode reason, const MessageView& request,
                                              const RefusalContext& context,
                                              std::span<char> storage);

}  // namespace sallyport::sip
