// Where a request went, and those octets of a token that say so: the same on every instance. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/socket_address.h"
#include "sip/proxy/listener_config.h"
#include "sip/proxy/octets.h"

namespace sallyport::sip {

struct TransportAddress {
  static constexpr size_t kOctetsMax = 1 + 2 + 2 + 16 + 4;

  TransportProtocol transport = TransportProtocol::kUdp;
  core::SocketAddress address;
  // TLS: IdentityHash of what its certificate had to prove; tells targets apart that DNS may have
  // found at one address.
  uint16_t identity = 0;

  [[nodiscard]] bool is_known() const { return address.family() != core::AddressFamily::kNone; }
  friend bool operator==(const TransportAddress&, const TransportAddress&) = default;
};

// 0: of nothing.
[[nodiscard]] uint16_t IdentityHash(std::string_view identity);

// `target` is known. `flag` is one bit that is left, for the caller.
void WriteTransportAddress(const TransportAddress& target, bool flag, OctetWriter& writer);
// Nothing, if that is no transport. Zeros where octets are missing: ask the reader.
[[nodiscard]] std::optional<TransportAddress> ReadTransportAddress(OctetReader& reader, bool& flag);

}  // namespace sallyport::sip
