#include "sip/proxy/source_key.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace sallyport::sip {

uint64_t SourceKey(const tls::MacKey& key, const core::SocketAddress& source) {
  constexpr size_t kIpv4Bytes = 4;
  constexpr size_t kIpv6PrefixBytes = 8;
  const core::SocketAddress address = source.Unmapped();
  // The family first: 192.0.2.1 and c000:201::/64 are two.
  std::array<uint8_t, 1 + kIpv6PrefixBytes> text{static_cast<uint8_t>(address.family())};
  std::copy_n(address.address_bytes().begin(), address.is_ipv4() ? kIpv4Bytes : kIpv6PrefixBytes,
              text.begin() + 1);
  return tls::KeyedMac64(key, std::as_bytes(std::span(text)));
}

}  // namespace sallyport::sip
