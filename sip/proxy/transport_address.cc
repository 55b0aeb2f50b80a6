#include "sip/proxy/transport_address.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>

#include "core/check.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
namespace {

// The first octet.
constexpr uint8_t kTransportBits = 3;
constexpr uint8_t kFlagBit = 4;
constexpr uint8_t kIpv6Bit = 8;

uint8_t TransportNumber(TransportProtocol transport) {  // On the wire: never renumbered.
  switch (transport) {
    case TransportProtocol::kUdp:
      return 0;
    case TransportProtocol::kTcp:
      return 1;
    case TransportProtocol::kTls:
      return 2;
  }
  UNREACHABLE();
}

std::optional<TransportProtocol> TransportOf(uint8_t number) {
  for (const auto transport :
       {TransportProtocol::kUdp, TransportProtocol::kTcp, TransportProtocol::kTls}) {
    if (TransportNumber(transport) == number) return transport;
  }
  return std::nullopt;
}

uint32_t ScopeOf(const core::SocketAddress& address) {
  sockaddr_storage storage;
  address.ToSockaddr(storage);
  return reinterpret_cast<const sockaddr_in6&>(storage).sin6_scope_id;
}

template <size_t kBytes>
std::array<uint8_t, kBytes> TakeArray(OctetReader& reader) {
  std::array<uint8_t, kBytes> octets{};
  std::ranges::copy(reader.Take(kBytes), octets.begin());
  return octets;
}

}  // namespace

uint16_t IdentityHash(std::string_view identity) {
  if (identity.empty()) return 0;
  const std::array<uint8_t, 32> digest = tls::Sha256(std::as_bytes(std::span(identity)));
  return static_cast<uint16_t>(OctetReader(digest).Number(2));
}

void WriteTransportAddress(const TransportAddress& target, bool flag, OctetWriter& writer) {
  const core::SocketAddress& address = target.address;
  DCHECK(address.is_ipv4() || address.is_ipv6());
  unsigned head = TransportNumber(target.transport);
  if (flag) head |= kFlagBit;
  if (address.is_ipv6()) head |= kIpv6Bit;
  writer.AddNumber(head, 1);
  if (target.transport == TransportProtocol::kTls) writer.AddNumber(target.identity, 2);
  writer.AddNumber(address.port(), 2);
  writer.Add(std::span(address.address_bytes()).first(address.is_ipv6() ? 16 : 4));
  if (address.is_ipv6()) writer.AddNumber(ScopeOf(address), 4);
}

std::optional<TransportAddress> ReadTransportAddress(OctetReader& reader, bool& flag) {
  const auto head = static_cast<uint8_t>(reader.Number(1));
  const std::optional<TransportProtocol> transport = TransportOf(head & kTransportBits);
  if (!transport.has_value()) return std::nullopt;
  TransportAddress target;
  target.transport = *transport;
  flag = (head & kFlagBit) != 0;
  if (target.transport == TransportProtocol::kTls) {
    target.identity = static_cast<uint16_t>(reader.Number(2));
  }
  const auto port = static_cast<uint16_t>(reader.Number(2));
  if ((head & kIpv6Bit) != 0) {
    const std::array<uint8_t, 16> address = TakeArray<16>(reader);
    const auto scope = static_cast<uint32_t>(reader.Number(4));
    target.address = core::SocketAddress::Ipv6(address, port, scope);
  } else {
    target.address = core::SocketAddress::Ipv4(TakeArray<4>(reader), port);
  }
  return target;
}

}  // namespace sallyport::sip
