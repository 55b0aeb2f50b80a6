// RFC 3263 §4.1 and §4.2: from a host to the transports and addresses where it may be reached, as a
// pure function of the request and of what DNS is known to say. What is not known yet is asked for
// through the same interface, all of one stage at once, and the function is run again: it keeps no
// state of its own.
//
// Choices that the RFC leaves to us:
// - Both A and AAAA are looked up where both families are supported; one name's addresses take
//   turns, IPv6 first (RFC 8305 §4), so a broken family costs one attempt and not all of them.
// - Several NAPTR records, or several transports' SRV records without NAPTR, give one list in order
//   of preference (without NAPTR: TLS, TCP, UDP): the later ones are for failover. Who does not
//   want to fall back to plain transports does not name them in `support`.
// - An answer that could not be had is not an answer that there is nothing: only the latter leads
//   on from SRV to addresses. From NAPTR to SRV both do: some name servers know no such type, and
//   some networks drop what asks for it.
// - Additional records of NAPTR and SRV answers are not used: each name is asked for, so only those
//   who are asked about a name can speak about it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/dns_answer.h"
#include "core/dns_name.h"
#include "core/socket_address.h"
#include "sip/proxy/listener_config.h"

namespace sallyport::sip {

// What we can use towards this host.
struct LocationSupport {
  bool tls = false;
  bool tcp = false;
  bool udp = false;
  bool ipv4 = false;
  bool ipv6 = false;

  bool has(TransportProtocol transport) const;
};

// RFC 3263 §4: TARGET and what else the URI says.
struct LocationQuery {
  core::DnsName host;
  uint16_t port = 0;                           // 0: none was written.
  std::optional<TransportProtocol> transport;  // From the transport parameter.
  bool secure = false;                         // sips: TLS and nothing else.
  LocationSupport support;
  uint64_t selector = 0;  // Of the call: see srv_order.
};

struct Location {
  TransportProtocol transport = TransportProtocol::kTls;
  core::SocketAddress address;
  friend bool operator==(const Location&, const Location&) = default;
};

// In the order in which to try them, no two the same.
class LocationList {
 public:
  static constexpr size_t kLocationsMax = 8;

  std::span<const Location> view() const { return {locations_.data(), size_}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == locations_.size(); }
  void Clear() { size_ = 0; }
  // Ignored when it is there already, or the list is full.
  void Add(const Location& location);

 private:
  std::array<Location, kLocationsMax> locations_;
  size_t size_ = 0;
};

enum class LocationFailure : uint8_t {
  kNone,
  kNoSuchName,       // The name does not exist, or has no address of a family that we support.
  kNoUsableService,  // It offers nothing that we may use: no TLS for sips, or SRV target ".".
  kTimeout,
  kServerFailure,
  kTooManyPending,
};
std::string_view LocationFailureName(LocationFailure failure);  // For log and metrics.

class DnsKnowledge {
 public:
  // nullptr: not known yet. kTimeout: it is not waited for any more, and may still come. The answer
  // stays in place while the rules run.
  virtual const core::DnsAnswer* Look(core::DnsType type, const core::DnsName& name) = 0;

 protected:
  ~DnsKnowledge() = default;
};

struct LocationProgress {
  LocationList locations;
  // Nothing is unknown any more: `locations`, or if there are none, `failure`.
  bool complete = false;
  // The first location is there and will stay the first target's; only what is tried after it may
  // still come.
  bool usable = false;
  LocationFailure failure = LocationFailure::kNone;
};

// A host that is a name.
[[nodiscard]] LocationProgress FindLocations(const LocationQuery& query, DnsKnowledge& dns);

// A host that is an address: no DNS (§4.1, §4.2). Complete at once.
[[nodiscard]] LocationProgress LocateAddress(const core::SocketAddress& host,
                                             const LocationQuery& query);

// At most this many names are looked up in one run: NAPTR and its services, or targets with two
// families each.
inline constexpr size_t kLocationLookupsMax = 1 + 4 + 2 * (LocationList::kLocationsMax + 1);

}  // namespace sallyport::sip
