// In which order servers are tried: RFC 2782 priorities and weights, and addresses of one name, as
// a pure function of a selector. One selector (a call) always gets the same order, whatever order
// DNS answers in; over many selectors the first places go by weight.
//
// Weighted rendezvous hashing: each server draws a waiting time from its name and the selector,
// exponentially distributed with its weight as rate, and the shortest wait goes first. That is RFC
// 2782's draw without replacement, and when a server comes or goes, only calls that were its own
// move.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/dns_answer.h"
#include "core/socket_address.h"

namespace sallyport::sip {

struct SrvServer {
  uint16_t priority = 0;
  uint16_t weight = 0;  // 0: chosen rarely, unless all of its priority are 0.
  uint16_t port = 0;
  std::string_view target;
};

// The servers of an SRV answer, in the order in which to try them. Left out: ".", which is none,
// and port 0, which cannot be reached. Borrows the answer.
struct SrvServers {
  std::array<SrvServer, core::DnsAnswer::kRecordsMax> servers;
  size_t size = 0;

  std::span<const SrvServer> view() const { return {servers.data(), size}; }
};
[[nodiscard]] SrvServers OrderServers(const core::DnsAnswer& answer, uint64_t selector);

// Equal weights.
void OrderAddresses(std::span<core::SocketAddress> addresses, uint64_t selector);

}  // namespace sallyport::sip
