// Under which key a source address is counted: an IPv4 address whole, an IPv6 address by its /64,
// which is what one subscriber has at least. Ports do not matter. Keyed, so that nobody can choose
// addresses that meet in one place of a table.
// Pure.
#pragma once

#include <cstdint>

#include "core/socket_address.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

// ::ffff:192.0.2.1 is 192.0.2.1. Equal for all addresses without a family.
[[nodiscard]] uint64_t SourceKey(const tls::MacKey& key, const core::SocketAddress& source);

}  // namespace sallyport::sip
