// The canonical form of a URI as octets: two URIs have the same octets if and only if they count as
// one wherever a token binds or compares URIs. It holds the scheme, the unescaped user, the host in
// lower case, the port, and the parameters in the order of their names, which are in lower case.
// The value of `lr` does not count (stacks reprint it as "lr=on" and reorder parameters); every
// other value does, as it is written. tel: the number without visual separators (RFC 3966 §5.1.1).
// Pure; allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sip/message/message_view.h"
#include "sip/message/uri.h"
#include "sip/proxy/octets.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

// False: the URI has no canonical form (a password, headers, another scheme, more parameters than
// kCanonicalParamsMax) or does not fit; nothing may be bound to it then.
inline constexpr size_t kCanonicalParamsMax = 16;
[[nodiscard]] bool AddCanonicalUri(const Uri& uri, OctetWriter& writer);

// `part` with its length in front: two lists of parts never give the same octets. A part beyond
// kPartBytesMax stands there as its SHA-256.
inline constexpr size_t kPartBytesMax = 128;
void AddPart(std::string_view part, OctetWriter& writer);
void AddLoweredPart(std::string_view part, OctetWriter& writer);

// A line of ours has one spelling: whoever looks for one reads the user as it is written. So where
// lists of routes are compared, a user that escapes what needs no escape (RFC 3261 §19.1.2) is none
// that we compare.
[[nodiscard]] bool HasNeedlessEscape(std::string_view user);

// Both have a canonical form, and it is the same.
[[nodiscard]] bool IsSameUri(const Uri& a, const Uri& b);

// The ordered list of the URIs in Route or Record-Route values, as one digest.
class UriListDigest {
 public:
  static constexpr size_t kUrisMax = 16;

  // False: the URI has no canonical form or a needless escape, or the list is full: it has no
  // digest.
  bool Add(const Uri& uri);
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::array<uint8_t, 32> digest() const;

 private:
  static constexpr size_t kOctetsMax = 8192;

  std::array<uint8_t, kOctetsMax> octets_;
  size_t used_ = 0;
  size_t count_ = 0;
  bool ok_ = true;
};

}  // namespace sallyport::sip
