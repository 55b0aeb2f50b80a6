// Why a request was refused: the closed set of the verdict table in the interface document. The
// text is the label of sallyport_requests_rejected_total{reason=}, the `reason` field of the log
// line and what `explain` prints. Pure: constant tables; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sallyport::sip {

enum class ReasonCode : uint8_t {
  kFromNotCovered,
  kNoIdentity,
  kFromMalformed,
  kRegisterForAnother,
  kReferredByNotCovered,
  kReferredByMalformed,
  kMalformed,
  kFraming,
  kTooLarge,
  kVersion,
  kUriScheme,
  kMaxForwards,
  kLoop,
  kProxyRequire,
  kMaxBreadth,
  kRelay,
  kPermission,
  kSips,
  kPeerRefused,
  kFlowToken,
  kFlowGone,
  kOverload,
  kLimit,
  kNextHopUnreachable,
  kNextHopTls,
  kNextHopIdentity,
  kTimeout
};

inline constexpr size_t kReasonCodeCount = static_cast<size_t>(ReasonCode::kTimeout) + 1;

struct ReasonText {
  std::string_view code;  // "from-not-covered"
  uint16_t status;        // 403
  std::string_view
      phrase;  // Reason-Phrase (RFC 3261 §7.2) unless the caller knows a better one: kMalformed
               // puts the broken rule there, kPermission "Requires <permission>".
  bool closes_connection;  // The next message boundary is unknown or not worth finding.
  bool retry_after;        // The response carries Retry-After (RFC 3261 §20.33).
};

// The status is the one towards the outside; where the table gives two (next-hop-unreachable: 500
// while other targets of ours live, 503 when all are dead) it is the latter.
const ReasonText& TextOf(ReasonCode reason);

// For the response line and the counter, without going through the struct.
inline std::string_view CodeText(ReasonCode reason) { return TextOf(reason).code; }

}  // namespace sallyport::sip
