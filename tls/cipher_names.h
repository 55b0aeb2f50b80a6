// Names of cipher suites. What an operator writes is checked when the configuration is loaded,
// because the library drops unknown names in silence and a list that means nothing would only show
// in the field. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport::tls {

inline constexpr std::string_view kDefaultCiphersuites =
    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

// Translates `ciphersuites` (TLS 1.3): the five names of RFC 8446 §B.4, separated by colons; empty
// means the default. Returns the library's spelling. An error names the unknown name and lists the
// known ones; a repeated name is an error too.
[[nodiscard]] absl::StatusOr<std::string> TranslateCiphersuites(std::string_view text);

// Translates `cipher-list` (TLS 1.2): OpenSSL or IANA names, separated by colons, commas or spaces;
// empty means ECDHE with AEAD. Suites without forward secrecy and keywords such as ALL or !aNULL
// are refused with the reason.
[[nodiscard]] absl::StatusOr<std::string> TranslateCipherList(std::string_view text);

// The IANA name of a suite by its two bytes, such as "TLS_AES_256_GCM_SHA384"; "unknown" for one
// that is not on our lists. Static text.
std::string_view CipherName(unsigned char first, unsigned char second);

}  // namespace sallyport::tls
