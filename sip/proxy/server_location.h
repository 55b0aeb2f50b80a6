// Locating SIP servers (RFC 3263 §4): from what a URI says to the transports and addresses to try,
// in order. The rules are location_rules, what DNS said is in dns_cache; here requests wait for it.
//
// A request whose answers are all known is served at once, without allocation. Others wait; the
// answer to one question serves everybody who asked it. Who waits is answered when everything is
// known, or 200 ms after the server to try first is, or after ten seconds: what is known by then.
// NAPTR alone is waited for one second (DnsCache::kPatience), not at all if it was silent before;
// then SRV is asked, and what NAPTR still says counts if it comes in time.
// Certificates are compared to the host that was asked for, never to a name from here (RFC 5922
// §7.3).
// Bounds: requests that wait, questions and cache entries have limits; beyond them requests fail at
//         once.
// Shard:  one per shard.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "absl/time/time.h"
#include "core/dns_querier.h"
#include "core/reactor.h"
#include "core/slot_map.h"
#include "core/timer_wheel.h"
#include "sip/proxy/dns_cache.h"
#include "sip/proxy/location_rules.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

// The host is a name or an IP literal, IPv6 with or without brackets. Borrowed for the call.
struct LocationRequest {
  std::string_view host;
  uint16_t port = 0;                           // 0: none was written.
  std::optional<TransportProtocol> transport;  // From the transport parameter; nothing: none.
  bool secure = false;                         // sips: TLS and nothing else.
  LocationSupport support;
  uint64_t selector = 0;  // A hash of the Call-ID: one call gets one order of servers.
};

// The caller's own id, handed back as it was given.
struct LocationCookie {
  uint32_t slot = 0;
  uint32_t generation = 0;
  uint16_t target = 0;  // Which of a next hop's was asked for.
  friend bool operator==(const LocationCookie&, const LocationCookie&) = default;
};

enum class LocationStatus : uint8_t { kReady, kPending, kFailed };

struct LocationOutcome {
  LocationStatus status = LocationStatus::kFailed;
  LocationFailure failure = LocationFailure::kNone;  // Of kFailed.
};

class LocationHandler {
 public:
  // kNone: at least one location. Otherwise there is none. May call Locate. Borrowed for the call.
  virtual void OnLocated(LocationCookie cookie, LocationFailure failure,
                         std::span<const Location> locations) = 0;

 protected:
  ~LocationHandler() = default;
};

struct ServerLocatorOptions {
  uint32_t cache_entries_max = 2048;  // About 2.2 kB each when used.
  uint32_t pending_max = 512;
  absl::Duration stragglers_max = absl::Milliseconds(200);
  absl::Duration wait_max = absl::Seconds(10);
};

class ServerLocator {
 public:
  // Borrows everything but the options. `key` is random, for the cache's hash.
  ServerLocator(core::Reactor& reactor, core::DnsQuerier& querier, LocationHandler& handler,
                const tls::MacKey& key, const ServerLocatorOptions& options = {});
  ServerLocator(const ServerLocator&) = delete;
  ServerLocator& operator=(const ServerLocator&) = delete;

  // kReady: `locations` is filled. kPending: one OnLocated with this cookie follows, never from
  // inside; if the asker is gone by then, its cookie finds nobody. kFailed: neither.
  [[nodiscard]] LocationOutcome Locate(const LocationRequest& request, LocationList& locations,
                                       LocationCookie cookie);

  uint32_t pending() const { return pending_.size(); }
  const DnsCounters& counters() const { return cache_.counters(); }

 private:
  struct PendingId {
    uint32_t slot = 0;
    uint32_t generation = 0;
  };
  struct Pending;
  class Wait final : public DnsWaiter {
   public:
    void OnDnsKnown() override { pending->locator.Resume(*pending); }

    Pending* pending = nullptr;
  };
  struct Pending {
    Pending(ServerLocator& owner, const LocationQuery& asked, LocationCookie asker);

    ServerLocator& locator;
    PendingId id;
    const LocationQuery query;
    const LocationCookie cookie;
    const core::MonotonicTime since;
    bool is_hurrying = false;  // What is not known now counts as a timeout.
    bool is_usable = false;    // `ends_at` is for the stragglers.
    core::MonotonicTime ends_at;
    core::Timer timer;  // For `ends_at`, or before for NAPTR.
    std::array<Wait, kLocationLookupsMax> waits;

    void OnTimer();
  };
  class Knowledge;

  LocationProgress Run(Pending& pending);
  void Resume(Pending& pending);
  static LocationOutcome Told(const LocationProgress& progress, LocationList& locations);

  core::Reactor& reactor_;
  LocationHandler& handler_;
  const ServerLocatorOptions options_;
  DnsCache cache_;
  core::SlotMap<Pending, PendingId> pending_;  // Behind the cache: its waits unlink from there.
};

}  // namespace sallyport::sip
