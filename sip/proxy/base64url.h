// base64url without padding (RFC 4648 §5): letters, digits, '-' and '_', so a token stands
// unescaped in a SIP user part and in the value of a URI parameter. Every octet string has one
// spelling: what decodes is what the encoder would write. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sallyport::sip {

constexpr size_t Base64UrlBytes(size_t octets) { return (octets * 4 + 2) / 3; }

// Writes exactly Base64UrlBytes(octets.size()) at `out`.
void WriteBase64Url(std::span<const uint8_t> octets, char* out);

// The number of octets; nothing if `text` holds another character, has a length that nothing
// encodes to or tail bits that are not zero, or if `out` is too small.
[[nodiscard]] std::optional<size_t> ReadBase64Url(std::string_view text, std::span<uint8_t> out);

}  // namespace sallyport::sip
