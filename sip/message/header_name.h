// Header field names: long and compact forms, any case -> one id (RFC 3261 §7.3.1, §7.3.3). Pure,
// no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sallyport::sip {

enum class HeaderId : uint8_t {
  kOther,  // Any name that is not below; its text is in the field.
  kAccept,
  kAlertInfo,
  kAllow,
  kAllowEvents,  // u
  kAuthenticationInfo,
  kAuthorization,
  kCallId,  // i
  kCallInfo,
  kContact,  // m
  kContentDisposition,
  kContentEncoding,  // e
  kContentLanguage,
  kContentLength,  // l
  kContentType,    // c
  kCSeq,
  kDate,
  kDiversion,
  kErrorInfo,
  kEvent,  // o
  kExpires,
  kFlowTimer,
  kFrom,  // f
  kHistoryInfo,
  kIdentity,  // y
  kInReplyTo,
  kMaxBreadth,
  kMaxForwards,
  kMinExpires,
  kMinSe,
  kPAssertedIdentity,
  kPPreferredIdentity,
  kPath,
  kPrivacy,
  kProxyAuthenticate,
  kProxyAuthorization,
  kProxyRequire,
  kRAck,
  kRSeq,
  kReason,
  kRecordRoute,
  kReferTo,     // r
  kReferredBy,  // b
  kRemotePartyId,
  kReplaces,
  kRequire,
  kRetryAfter,
  kRoute,
  kSallyport,  // Any name that begins with X-Sallyport- (also with '_' for '-').
  kServer,
  kServiceRoute,
  kSessionExpires,  // x
  kSubject,         // s
  kSubscriptionState,
  kSupported,  // k
  kTimestamp,
  kTo,  // t
  kUnsupported,
  kUserAgent,
  kVia,  // v
  kWarning,
  kWwwAuthenticate,
  kCount,
};

inline constexpr size_t kHeaderIdCount = static_cast<size_t>(HeaderId::kCount);

// `name` is the text before the colon without the whitespace there. Never fails: unknown (or
// malformed) is kOther.
[[nodiscard]] HeaderId LookUpHeader(std::string_view name);

// The name at the start of a header line, found and looked up in one step: what the parser does for
// each line.
struct NameAtLine {
  uint32_t colon = 0;  // Offset of the first colon; the line's length: there is none.
  uint32_t name_bytes =
      0;  // Without SP and HTAB before the colon. 0: no name, or a byte that no name may hold.
  HeaderId id = HeaderId::kOther;
};

// `line` is the line (at least), `readable` how many bytes may be read from its beginning: more
// than the line is faster.
[[nodiscard]] NameAtLine ReadNameAtLine(const char* line, size_t line_bytes, size_t readable);
[[nodiscard]] NameAtLine ReadNameAtLineScalar(const char* line, size_t line_bytes);

// The canonical long form, such as "Call-ID". kOther is "", kSallyport is "X-Sallyport-".
[[nodiscard]] std::string_view HeaderText(HeaderId id);

}  // namespace sallyport::sip
