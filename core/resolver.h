// DNS over c-ares, driven by the reactor: c-ares decides whom to ask, when to ask again, and when
// to change to TCP (RFC 1035, 7766; EDNS RFC 6891); the reactor tells it when a socket is ready or
// time is up; core/dns_answer reads what comes back. c-ares parses no records for us.
//
// The sockets are ours (ares_set_socket_functions): each is polled one shot at a time under a
// handler of its own, and a socket that c-ares gives up is closed when its poll has come back, so
// that a late completion never meets another socket with the same number.
// Only DNS is asked: no /etc/hosts, no search list.
// Bounds:  questions outstanding and sockets have limits; records see core/dns_answer.
// Shard:   one per shard, made, used and destroyed on its thread. Asking allocates (inside c-ares);
//          the callers' cache keeps that off the message path.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/dns_querier.h"
#include "core/reactor.h"
#include "core/socket_address.h"

namespace sallyport::core {

struct ResolverOptions {
  std::vector<SocketAddress> servers;             // Empty: the system's (/etc/resolv.conf).
  absl::Duration try_timeout = absl::Seconds(2);  // Doubled when every server was tried once.
  int tries = 2;                                  // Of each server.
  uint32_t questions_max = 1024;                  // Outstanding at once.
};

// Written by the resolver, read by its owner.
struct ResolverCounters {
  uint64_t questions = 0;
  uint64_t refused = 0;  // Query returned false.
  uint64_t sockets_opened = 0;
  uint64_t sockets_refused = 0;  // No descriptor, or more than kSocketsMax at once.
};

class Resolver : public DnsQuerier {
 public:
  // A UDP and a TCP socket for each server, and those that wait for their poll.
  static constexpr uint32_t kSocketsMax = 32;
  static constexpr size_t kServersMax = 8;

  // Borrows the reactor. The error says what is wrong with the servers, or what c-ares wants.
  static absl::StatusOr<std::unique_ptr<Resolver>> Create(Reactor& reactor,
                                                          const ResolverOptions& options);
  // Never inside a handler's OnDnsAnswer. Outstanding questions find nobody.
  virtual ~Resolver() = default;

  // Asks these from now on (empty: the system's, read again); what is outstanding is asked anew.
  // Never inside OnDnsAnswer. On an error everything stays as it was.
  virtual absl::Status SetServers(std::span<const SocketAddress> servers) = 0;

  virtual uint32_t questions_outstanding() const = 0;
  virtual const ResolverCounters& counters() const = 0;
};

}  // namespace sallyport::core
