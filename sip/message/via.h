// One Via value (RFC 3261 §20.42; rport: RFC 3581). Borrows the value that was given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sip/message/class_scan.h"

namespace sallyport::sip {

struct Via {
  std::string_view whole;      // The value, without LWS around it.
  std::string_view protocol;   // "SIP"
  std::string_view version;    // "2.0"
  std::string_view transport;  // As written; compare without case. Unknown ones are legal.
  std::string_view host;       // sent-by, IPv6 with its brackets.
  std::string_view params;     // From the first ';' on; empty: none.
  std::string_view branch;     // Empty: none (RFC 2543 peers).
  std::string_view received;   // Value; IPv6 may come with or without brackets (RFC 5118 §4.5).
  std::string_view rport;      // Value; empty where the parameter stands alone.
  std::string_view maddr;
  std::string_view ttl;             // Digits, 0..255.
  std::string_view received_param;  // ";received=..." as written, for edits; empty: none.
  std::string_view rport_param;     // ";rport" or ";rport=..." as written; empty: none.
  uint16_t port = 0;                // 0: absent.
  bool has_rport = false;
  bool has_alias = false;  // RFC 5923 §4.
  bool is_plain = false;   // IsPlainVia, as far as that is seen at once.

  void Clear() {  // As Uri::Clear.
    whole = {};
    protocol = {};
    version = {};
    transport = {};
    host = {};
    params = {};
    branch = {};
    received = {};
    rport = {};
    maddr = {};
    ttl = {};
    received_param = {};
    rport_param = {};
    port = 0;
    has_rport = false;
    has_alias = false;
    is_plain = false;
  }
};

// False: malformed. Strict: known parameters are checked and must not be repeated.
[[nodiscard]] bool ParseVia(std::string_view value, Via& via);

// Reads the value that begins at `begin`. Returns where it ends, LWS skipped: the end or the
// comma of the list (for the caller to judge), or nullptr: malformed.
[[nodiscard]] const char* ReadVia(const char* begin, const Bounds& in, Via& via);

// Every server that we know can read this one value, be it legal or not. Kamailio 5.6 closes the
// connection for an empty parameter, for white space, comma or backslash in one, for a known one
// without its value, for a value of `a` or `alias`, and for some unknown transports.
[[nodiscard]] bool IsPlainVia(std::string_view value);
[[nodiscard]] bool IsPlainTransport(std::string_view transport);

// What to change in a Via value to note where its request came from (RFC 3261 §18.2.1, RFC 3581
// §4): `received` becomes the only received parameter (empty: none, and one that came in goes too,
// because only we know the source); `rport` becomes the value of an rport parameter that stands
// there (empty: left alone). Texts are borrowed.
struct ViaPatch {
  const char* begin;
  const char* end;  // begin == end: an insertion.
  std::string_view text;
};
inline constexpr size_t kViaPatchesMax = 5;

// Fills `patches` in ascending order of position and returns how many.
[[nodiscard]] size_t MarkVia(const Via& via, std::string_view received, std::string_view rport,
                             std::span<ViaPatch, kViaPatchesMax> patches);

}  // namespace sallyport::sip
