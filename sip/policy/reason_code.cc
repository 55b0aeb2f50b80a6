#include "sip/policy/reason_code.h"

#include <array>

namespace sallyport::sip {
namespace {

// In the order of the enum.
constexpr std::array<ReasonText, kReasonCodeCount> kReasonTexts = {{
    {"from-not-covered", 403, "From Not Covered By Certificate", false, false},
    {"no-identity", 403, "Mutual TLS Required", false, false},
    {"from-malformed", 400, "Malformed From Header", false, false},
    {"register-for-another", 403, "Registration For Another", false, false},
    {"referred-by-not-covered", 403, "Referred-By Not Covered By Certificate", false, false},
    {"referred-by-malformed", 400, "Malformed Referred-By Header", false, false},
    {"malformed", 400, "Bad Request", false, false},
    {"framing", 400, "Message Length Unknown", true, false},
    {"too-large", 513, "Message Too Large", false, false},
    {"version", 505, "Version Not Supported", false, false},
    {"uri-scheme", 416, "Unsupported URI Scheme", false, false},
    {"max-forwards", 483, "Too Many Hops", false, false},
    {"loop", 482, "Loop Detected", false, false},
    {"proxy-require", 420, "Bad Extension", false, false},
    {"max-breadth", 440, "Max-Breadth Exceeded", false, false},
    {"relay", 403, "Relaying Forbidden", false, false},
    {"permission", 403, "Requires Permission", false, false},
    {"sips", 480, "Temporarily Unavailable", false, false},
    {"peer-refused", 403, "Peer Not Permitted", false, false},
    {"flow-token", 403, "Bad Flow Token", false, false},
    {"flow-gone", 430, "Flow Failed", false, false},
    {"overload", 503, "Service Unavailable", false, true},
    {"limit", 503, "Service Unavailable", false, true},
    {"next-hop-unreachable", 503, "Service Unavailable", false, true},
    {"next-hop-tls", 503, "Service Unavailable", false, false},
    {"next-hop-identity", 502, "Certificate identity does not match requested domain", false,
     false},
    {"timeout", 408, "Request Timeout", false, false},
}};

}  // namespace

const ReasonText& TextOf(ReasonCode reason) { return kReasonTexts[static_cast<size_t>(reason)]; }

}  // namespace sallyport::sip
