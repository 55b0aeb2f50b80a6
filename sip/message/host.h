// host of RFC 3261 §25.1: hostname / IPv4address / IPv6reference. Used by URIs and by Via. Pure, no
// state.
#pragma once

#include <cstdint>
#include <string_view>

#include "sip/message/class_scan.h"

namespace sallyport::sip {

enum class HostKind : uint8_t {
  kInvalid,
  kName,
  kIpv4,
  kIpv6,  // In brackets, as the grammar wants it in a URI and in sent-by.
};

// Decides about the whole of `text`. No escapes, no zone ids, labels of at most 63 and names of at
// most 253 characters. One trailing dot is legal in a name. A last label without any letter is
// refused unless the whole is an IPv4 address: "a.123" is neither, while "0xc0000201" is an (odd)
// name and is never read as an address.
[[nodiscard]] HostKind ClassifyHost(std::string_view text);

// Reads the host that begins at `begin`: where it ends (nullptr: there is none) and what it is,
// decided the same way.
struct HostAt {
  const char* end;
  HostKind kind;
};
[[nodiscard]] HostAt ReadHost(const char* begin, const Bounds& in);

// For hosts that prove nothing: a name in which '_' is a letter too (Docker, some DNS zones). Where
// it ends; nullptr: it is no such name.
[[nodiscard]] const char* ReadOddName(const char* begin, const Bounds& in);
// ReadHost, which ended at `end`, has not seen the whole of one.
[[nodiscard]] inline bool MayBeOddName(const char* end, const Bounds& in) {
  return end == nullptr || (end != in.end && *end == '_');
}

// IPv6address without brackets (RFC 5954 §4.1: "::" at most once).
[[nodiscard]] bool IsIpv6Address(std::string_view text);

// ASCII case-insensitive. One trailing dot on either side does not count.
[[nodiscard]] bool EqualsHost(std::string_view a, std::string_view b);

}  // namespace sallyport::sip
