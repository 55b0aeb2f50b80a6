// An IPv4 or IPv6 address with a port, as a value; and a range of addresses for `allow` lists.
#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport::core {

enum class AddressFamily : uint8_t { kNone, kIpv4, kIpv6 };

class SocketAddress {
 public:
  constexpr SocketAddress() = default;  // Family kNone.

  static SocketAddress Ipv4(const std::array<uint8_t, 4>& address, uint16_t port);
  static SocketAddress Ipv6(const std::array<uint8_t, 16>& address, uint16_t port,
                            uint32_t scope = 0);
  static SocketAddress Loopback(AddressFamily family, uint16_t port);

  // "192.0.2.1:5060", "[2001:db8::1]:5060", "[fe80::1%2]:5060" (scope as a number). The port is
  // required; 0 is allowed (the kernel picks). No names are resolved.
  static absl::StatusOr<SocketAddress> Parse(std::string_view text);
  // "192.0.2.1", "2001:db8::1" or "[2001:db8::1]"; nothing if it is not an IP literal.
  static std::optional<SocketAddress> FromHost(std::string_view host, uint16_t port);
  // Families other than the two give a kNone address.
  static SocketAddress FromSockaddr(const sockaddr* address, socklen_t length);

  // Returns the length to pass to the kernel. Requires a family.
  socklen_t ToSockaddr(sockaddr_storage& storage) const;

  AddressFamily family() const { return family_; }
  bool is_ipv4() const { return family_ == AddressFamily::kIpv4; }
  bool is_ipv6() const { return family_ == AddressFamily::kIpv6; }
  uint16_t port() const { return port_; }
  SocketAddress WithPort(uint16_t port) const;
  // Network order; IPv4 in the first four.
  const std::array<uint8_t, 16>& address_bytes() const { return bytes_; }
  bool IsLoopback() const;
  bool IsUnspecified() const;  // 0.0.0.0 or [::].
  // ::ffff:192.0.2.1 becomes 192.0.2.1; everything else stays.
  SocketAddress Unmapped() const;
  bool HasSameHost(const SocketAddress& other) const;  // Everything but the port.

  std::string ToString() const;      // With port, IPv6 in brackets. "none" for kNone.
  std::string HostToString() const;  // Without port, without brackets.
  // The same into caller's memory, no allocation; returns the length. Up to kTextBytesMax.
  static constexpr size_t kTextBytesMax = 64;
  size_t Print(std::array<char, kTextBytesMax>& text) const;
  size_t PrintHost(std::array<char, kTextBytesMax>& text) const;

  friend auto operator<=>(const SocketAddress&, const SocketAddress&) = default;

  template <typename H>
  friend H AbslHashValue(H state, const SocketAddress& address) {
    return H::combine(std::move(state), address.bytes_, address.scope_, address.port_,
                      address.family_);
  }

 private:
  std::array<uint8_t, 16> bytes_{};
  uint32_t scope_ = 0;
  uint16_t port_ = 0;
  AddressFamily family_ = AddressFamily::kNone;
};

// A network: "10.0.0.0/8", "2001:db8::/32", or one address without a length.
class CidrRange {
 public:
  // Bits behind the prefix must be zero: "10.1.0.0/8" is an error that names "10.0.0.0/8".
  static absl::StatusOr<CidrRange> Parse(std::string_view text);

  // Mapped IPv4 addresses are compared as IPv4.
  bool Contains(const SocketAddress& address) const;
  std::string ToString() const;

  friend bool operator==(const CidrRange&, const CidrRange&) = default;

 private:
  SocketAddress base_;
  uint8_t prefix_bits_ = 0;
};

// Of this machine's interfaces, IPv6 without scope; port 0. Empty if the kernel does not say.
std::vector<SocketAddress> InterfaceAddresses();

}  // namespace sallyport::core
