// name-addr / addr-spec with parameters: one value of From, To, Contact, Route, Record-Route,
// Referred-By, Refer-To, P-Asserted-Identity (RFC 3261 §20.10, §20.20; RFC 8217). Borrows the value
// that was given.
#pragma once

#include <cstdint>
#include <string_view>

#include "sip/message/class_scan.h"
#include "sip/message/uri.h"

namespace sallyport::sip {

struct NameAddr {
  std::string_view display;   // As written, with its quotes; empty: none.
  std::string_view uri_text;  // The addr-spec: without < > and without header parameters.
  std::string_view params;    // Header parameters from the first ';' on; empty: none. Valid for
                              // ParamReader and FindParam.
  std::string_view tag;       // Value of the parameter tag; empty: none.
  bool bracketed = false;
  Uri uri;  // `uri_text`, parsed.
};

enum class NameAddrOutcome : uint8_t {
  kOk,
  kBadDisplayName,  // Not tokens and not one quoted string.
  kBadBrackets,     // '<' without '>', or something other than parameters after '>'.
  kNeedsBrackets,   // A URI with '?' or ',' outside < > (RFC 8217); ';' there begins the header's
                    // parameters.
  kBadUri,
  kBadParameter,  // Also a repeated or empty tag.
};

// `value` is one whole value, LWS around it allowed. "*" (Contact) is not an address: test for it
// before.
[[nodiscard]] NameAddrOutcome ParseNameAddr(std::string_view value, NameAddr& address);

// Reads the value that begins at `begin`; after kOk `stop` is where it ends, LWS skipped: the end,
// or a character for the caller to judge (the comma of a list; ParseNameAddr refuses any).
[[nodiscard]] NameAddrOutcome ReadNameAddr(const char* begin, const Bounds& in, NameAddr& address,
                                           const char*& stop);

// The tag of a value that ReadNameAddr refuses, where its other parts decide nothing: a display
// name in Latin-1, '#' in the user, an odd parameter. `address` then has no URI (Scheme::kOther).
// False: two readers could see two tags, because brackets or quotes do not match, a parameter has
// no end that is plain, or the tag itself is no token or stands there twice.
[[nodiscard]] bool ReadTagAlone(std::string_view value, NameAddr& address);

}  // namespace sallyport::sip
