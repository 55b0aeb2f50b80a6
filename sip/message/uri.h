// SIP and SIPS URI (RFC 3261 §19.1), tel (RFC 3966) and any other absoluteURI. Split first,
// unescape later: `user`, `params` and `headers` are raw; '%' is never legal in a host; exactly one
// '@' separates user and host. Borrows: all views point into the text that was given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sip/message/class_scan.h"

namespace sallyport::sip {

struct Uri {
  enum class Scheme : uint8_t { kSip, kSips, kTel, kOther };

  Scheme scheme = Scheme::kOther;
  bool host_is_ip = false;  // IPv4 or IPv6: names no domain.
  bool has_password = false;
  // Outside the grammar, as deployed devices write it: '#' or a bracket in the user, '_' in the
  // host. Never where an identity is read from it.
  bool is_odd = false;
  uint16_t port = 0;  // 0: absent.
  std::string_view whole;
  std::string_view scheme_text;  // As written, without the colon.
  std::string_view user;      // Raw, without password. tel: the subscriber number. Empty: absent.
  std::string_view password;  // Raw.
  std::string_view host;  // As written, IPv6 with its brackets, without the one trailing dot that a
                          // name may have (the same DNS name). Empty for tel and other schemes.
  std::string_view params;   // From the first ';' on, raw; empty: none.
  std::string_view headers;  // After '?', raw; empty: none.

  // One by one: `uri = Uri()` and `a = b = {}` store in halves what they then load whole, and that
  // stalls (measured: a third of a parse).
  void Clear() {
    scheme = Scheme::kOther;
    host_is_ip = false;
    has_password = false;
    is_odd = false;
    port = 0;
    whole = {};
    scheme_text = {};
    user = {};
    password = {};
    host = {};
    params = {};
    headers = {};
  }

  [[nodiscard]] bool is_sip_or_sips() const {
    return scheme == Scheme::kSip || scheme == Scheme::kSips;
  }
};

enum class UriOutcome : uint8_t {
  kOk,
  kBadScheme,  // No scheme, or not a scheme.
  kBadUser,    // Empty before '@', a character that must be escaped, a broken escape.
  kBadHost,
  kBadPort,       // Empty or not 1..65535.
  kBadParameter,  // Also a repeated transport, user, method, ttl, maddr or lr.
  kBadHeaders,
  kBadOpaquePart,  // tel and other schemes: a character that no URI may hold, or nothing after the
                   // colon.
};

// The whole of `text` is the URI: no brackets, no whitespace. On failure `uri` holds what was split
// so far.
//
// '@' inside `headers` is tolerated (RFC 3261 §19.1.1 lets From ignore them) only where what
// follows the last one is no host: else a reader that splits at the last '@' would see another
// domain than we do.
[[nodiscard]] UriOutcome ParseUri(std::string_view text, Uri& uri);

// Reads the URI that begins at `begin`; `stop` is where it ends: the first character that cannot
// belong to it, for the caller to judge ('>' in a name-addr, the end in a Request-URI). After kOk
// uri.whole is what was read.
[[nodiscard]] UriOutcome ReadUri(const char* begin, const Bounds& in, Uri& uri, const char*& stop);

// Replaces %HH by its octet, NUL included, and returns the number of octets; `out` must hold
// text.size(). A '%' that begins no escape is copied: ParseUri has refused it before.
size_t Unescape(std::string_view text, std::span<char> out);

}  // namespace sallyport::sip
