// Bytes of one message -> MessageView (RFC 3261 §7). One reading, at least as strict as any next
// hop's. Pure.
//
// Refused, not interpreted: repeated From, To, Call-ID, CSeq, Max-Forwards, and Content-Length that
// do not agree (also in compact form); anything but SP and HTAB between name and colon; a line
// without colon or name; bare CR, bare LF and control characters (NUL included) outside the body,
// save HTAB and quoted-pairs inside quoted strings (RFC 3261 §25.1, RFC 4475 §3.1.1.2); a start
// line that is not exactly `Method SP Request-URI SP SIP-Version`; a CSeq of another method.
//
// Only what decides something is read: the start line, the topmost Via, From, the tag of To (all of
// it in a REGISTER), Call-ID, CSeq, Max-Forwards, Content-Length. The rest passes as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sip/message/message_view.h"

namespace sallyport::sip {

// What the bytes came in. kStream: the framer cut them, and Content-Length is mandatory. kDatagram:
// octets after Content-Length are discarded, without it the body is the rest (RFC 3261 §18.3).
enum class Framing : uint8_t { kStream, kDatagram };

enum class ParseOutcome : uint8_t {
  kOk,
  kBadStartLine,
  kBadVersion,  // Not SIP/2.0: 505.
  kBadRequestUri,
  kBadLineEnd,         // Bare CR or LF, or a continuation line of whitespace alone.
  kBadHeaderLine,      // Control character, no colon, no name, a byte that no name may hold.
  kUnfinishedHeaders,  // No empty line.
  kTooManyHeaders,
  kMissingFrom,  // kMissingFrom, kRepeatedFrom, kBadFrom: `Malformed From Header`, see
                 // IsFromOutcome.
  kRepeatedFrom,
  kBadFrom,
  kMissingTo,
  kRepeatedTo,
  kBadTo,
  kMissingCallId,
  kRepeatedCallId,
  kBadCallId,
  kMissingCSeq,
  kRepeatedCSeq,
  kBadCSeq,  // Syntax, 2^31 and above, or not the request's method.
  kMissingVia,
  kBadVia,  // The topmost.
  kRepeatedMaxForwards,
  kBadMaxForwards,
  kMissingContentLength,
  kRepeatedContentLength,  // Two that agree. For the caller to judge: ParseMessage takes them as
                           // one.
  kBadContentLength,  // Syntax, two that do not agree, or on a stream not the number of bytes that
                      // follow.
  kBadBody,           // A datagram ends before its Content-Length.
};

// Fills `out` from `bytes`, at most `headers_max` (<= kHeadersMax) header fields.
//
// On failure `out` still holds what could be indexed, so that a response can be built: bytes(),
// header_block() and body() as far as they are known, the start line if that was readable, and in
// headers() every well-formed header line, also those after a broken one (broken lines are never in
// the index, so they are never echoed). First(), Count() and line() work. The parsed fields
// (from(), to(), top_via(), cseq(), ...) are then unspecified; use the texts. With several faults
// the first of: start line, version, header lines, then fields in the order of the enum is
// reported.
[[nodiscard]] ParseOutcome ParseMessage(std::string_view bytes, Framing framing, MessageView& out,
                                        size_t headers_max = kHeadersMax);

// Reason phrase for the 400, such as "Repeated Call-ID".
[[nodiscard]] std::string_view ParseOutcomeText(ParseOutcome outcome);

// The three that are answered `Malformed From Header`.
[[nodiscard]] constexpr bool IsFromOutcome(ParseOutcome outcome) {
  return outcome == ParseOutcome::kMissingFrom || outcome == ParseOutcome::kRepeatedFrom ||
         outcome == ParseOutcome::kBadFrom;
}

// True: on a stream answer and then close, because another reader could place the message's end
// elsewhere. All else costs this message alone.
[[nodiscard]] constexpr bool LosesFraming(ParseOutcome outcome) {
  return outcome == ParseOutcome::kBadLineEnd || outcome == ParseOutcome::kUnfinishedHeaders ||
         outcome == ParseOutcome::kMissingContentLength ||
         outcome == ParseOutcome::kBadContentLength;
}

}  // namespace sallyport::sip
