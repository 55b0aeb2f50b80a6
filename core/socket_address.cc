#include "core/socket_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"

namespace sallyport::core {
namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

template <typename Number>
bool ParseNumber(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end && !text.empty();
}

// inet_pton wants a terminated string.
bool ParseBytes(int family, std::string_view text, void* bytes) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof(terminated) || text.find('\0') != std::string_view::npos) return false;
  *std::copy(text.begin(), text.end(), terminated) = '\0';
  return inet_pton(family, terminated, bytes) == 1;
}

std::optional<SocketAddress> ParseIpv6(std::string_view text, uint16_t port) {
  uint32_t scope = 0;
  if (const size_t percent = text.find('%'); percent != std::string_view::npos) {
    if (!ParseNumber(text.substr(percent + 1), scope)) return std::nullopt;
    text = text.substr(0, percent);
  }
  std::array<uint8_t, 16> bytes;
  if (!ParseBytes(AF_INET6, text, bytes.data())) return std::nullopt;
  return SocketAddress::Ipv6(bytes, port, scope);
}

// Keeps the first `bits` of `bytes`.
std::array<uint8_t, 16> Mask(std::array<uint8_t, 16> bytes, uint32_t bits) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const uint32_t kept = std::min<uint32_t>(8, bits);
    bytes[i] = static_cast<uint8_t>(bytes[i] & (0xFF00u >> kept));
    bits -= kept;
  }
  return bytes;
}

SocketAddress WithBytes(const SocketAddress& like, const std::array<uint8_t, 16>& bytes) {
  if (like.is_ipv4()) return SocketAddress::Ipv4({bytes[0], bytes[1], bytes[2], bytes[3]}, 0);
  return SocketAddress::Ipv6(bytes, 0);
}

}  // namespace

SocketAddress SocketAddress::Ipv4(const std::array<uint8_t, 4>& address, uint16_t port) {
  SocketAddress made;
  std::copy(address.begin(), address.end(), made.bytes_.begin());
  made.port_ = port;
  made.family_ = AddressFamily::kIpv4;
  return made;
}

SocketAddress SocketAddress::Ipv6(const std::array<uint8_t, 16>& address, uint16_t port,
                                  uint32_t scope) {
  SocketAddress made;
  made.bytes_ = address;
  made.scope_ = scope;
  made.port_ = port;
  made.family_ = AddressFamily::kIpv6;
  return made;
}

SocketAddress SocketAddress::Loopback(AddressFamily family, uint16_t port) {
  if (family == AddressFamily::kIpv6) {
    std::array<uint8_t, 16> bytes{};
    bytes[15] = 1;
    return Ipv6(bytes, port);
  }
  return Ipv4({127, 0, 0, 1}, port);
}

absl::StatusOr<SocketAddress> SocketAddress::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  uint16_t port = 0;
  if (colon == std::string_view::npos || !ParseNumber(text.substr(colon + 1), port)) {
    return absl::InvalidArgumentError(
        "expected ADDRESS:PORT with a port from 0 to 65535, such as 192.0.2.1:5061");
  }
  const std::string_view host = text.substr(0, colon);
  const bool bracketed = !host.empty() && host.front() == '[';
  if (!bracketed && host.find(':') != std::string_view::npos) {
    return absl::InvalidArgumentError("an IPv6 address needs brackets: [2001:db8::1]:5061");
  }
  const std::optional<SocketAddress> address = FromHost(host, port);
  if (!address) {
    return absl::InvalidArgumentError(
        "expected an IP address before the port, such as 192.0.2.1 or [2001:db8::1]");
  }
  return *address;
}

std::optional<SocketAddress> SocketAddress::FromHost(std::string_view host, uint16_t port) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    return ParseIpv6(host.substr(1, host.size() - 2), port);
  }
  if (host.find(':') != std::string_view::npos) return ParseIpv6(host, port);
  std::array<uint8_t, 4> bytes;
  if (!ParseBytes(AF_INET, host, bytes.data())) return std::nullopt;
  return Ipv4(bytes, port);
}

SocketAddress SocketAddress::FromSockaddr(const sockaddr* address, socklen_t length) {
  if (length >= sizeof(sockaddr_in) && address->sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof(in));
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    return Ipv4(bytes, ntohs(in.sin_port));
  }
  if (length >= sizeof(sockaddr_in6) && address->sa_family == AF_INET6) {
    sockaddr_in6 in6;
    std::memcpy(&in6, address, sizeof(in6));
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
    return Ipv6(bytes, ntohs(in6.sin6_port), in6.sin6_scope_id);
  }
  return {};
}

socklen_t SocketAddress::ToSockaddr(sockaddr_storage& storage) const {
  CHECK(family_ != AddressFamily::kNone);
  if (is_ipv4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port_);
    std::memcpy(&in.sin_addr, bytes_.data(), sizeof(in.sin_addr));
    std::memcpy(&storage, &in, sizeof(in));
    return sizeof(in);
  }
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port_);
  in6.sin6_scope_id = scope_;
  std::memcpy(&in6.sin6_addr, bytes_.data(), sizeof(in6.sin6_addr));
  std::memcpy(&storage, &in6, sizeof(in6));
  return sizeof(in6);
}

SocketAddress SocketAddress::WithPort(uint16_t port) const {
  SocketAddress other = *this;
  other.port_ = port;
  return other;
}

bool SocketAddress::IsLoopback() const {
  const SocketAddress plain = Unmapped();
  if (plain.is_ipv4()) return plain.bytes_[0] == 127;
  return plain.is_ipv6() && plain.HasSameHost(Loopback(AddressFamily::kIpv6, 0));
}

bool SocketAddress::IsUnspecified() const {
  return family_ != AddressFamily::kNone && bytes_ == std::array<uint8_t, 16>{};
}

SocketAddress SocketAddress::Unmapped() const {
  if (!is_ipv6() || !std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin())) {
    return *this;
  }
  return Ipv4({bytes_[12], bytes_[13], bytes_[14], bytes_[15]}, port_);
}

bool SocketAddress::HasSameHost(const SocketAddress& other) const {
  return WithPort(0) == other.WithPort(0);
}

std::string SocketAddress::ToString() const {
  std::array<char, kTextBytesMax> text;
  return std::string(text.data(), Print(text));
}

std::string SocketAddress::HostToString() const {
  std::array<char, kTextBytesMax> text;
  return std::string(text.data(), PrintHost(text));
}

size_t SocketAddress::Print(std::array<char, kTextBytesMax>& text) const {
  if (family_ == AddressFamily::kNone) return PrintHost(text);
  std::array<char, kTextBytesMax> host;
  host[PrintHost(host)] = '\0';
  return static_cast<size_t>(std::snprintf(
      text.data(), text.size(), is_ipv6() ? "[%s]:%u" : "%s:%u", host.data(), unsigned{port_}));
}

size_t SocketAddress::PrintHost(std::array<char, kTextBytesMax>& text) const {
  if (family_ == AddressFamily::kNone) {
    return static_cast<size_t>(std::snprintf(text.data(), text.size(), "none"));
  }
  if (is_ipv4()) {  // Each message from elsewhere than its Via says has one printed.
    char* end = text.data();
    for (size_t i = 0; i < 4; ++i) {
      if (i > 0) *end++ = '.';
      end = std::to_chars(end, text.data() + text.size(), unsigned{bytes_[i]}).ptr;
    }
    return static_cast<size_t>(end - text.data());
  }
  const char* const printed =
      inet_ntop(AF_INET6, bytes_.data(), text.data(), static_cast<socklen_t>(text.size()));
  CHECK(printed != nullptr);
  size_t length = std::strlen(text.data());
  if (scope_ != 0) {
    length += static_cast<size_t>(
        std::snprintf(text.data() + length, text.size() - length, "%%%u", scope_));
  }
  return length;
}

absl::StatusOr<CidrRange> CidrRange::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const std::optional<SocketAddress> base = SocketAddress::FromHost(text.substr(0, slash), 0);
  if (!base) {
    return absl::InvalidArgumentError("expected a network such as 192.0.2.0/24 or 2001:db8::/32");
  }
  const uint32_t bits_max = base->is_ipv4() ? 32 : 128;
  uint32_t bits = bits_max;
  if (slash != std::string_view::npos &&
      (!ParseNumber(text.substr(slash + 1), bits) || bits > bits_max)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a prefix length from 0 to ", bits_max, " after the slash"));
  }
  CidrRange range;
  range.base_ = WithBytes(*base, Mask(base->address_bytes(), bits));
  range.prefix_bits_ = static_cast<uint8_t>(bits);
  if (range.base_ != *base) {
    return absl::InvalidArgumentError(
        absl::StrCat("address bits behind the prefix; did you mean ", range.ToString(), "?"));
  }
  return range;
}

bool CidrRange::Contains(const SocketAddress& address) const {
  const SocketAddress plain = base_.is_ipv4() ? address.Unmapped() : address;
  return plain.family() == base_.family() &&
         Mask(plain.address_bytes(), prefix_bits_) == base_.address_bytes();
}

std::string CidrRange::ToString() const {
  return absl::StrCat(base_.HostToString(), "/", unsigned{prefix_bits_});
}

std::vector<SocketAddress> InterfaceAddresses() {
  ifaddrs* list = nullptr;
  std::vector<SocketAddress> addresses;
  if (getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    const SocketAddress address =
        SocketAddress::FromSockaddr(entry->ifa_addr, sizeof(sockaddr_in6));
    if (address.is_ipv4()) addresses.push_back(address);
    if (address.is_ipv6()) {
      addresses.push_back(SocketAddress::Ipv6(address.address_bytes(), address.port()));
    }
  }
  freeifaddrs(list);
  return addresses;
}

}  // namespace sallyport::core
