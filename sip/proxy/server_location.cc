#include "sip/proxy/server_location.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/dns_name.h"
#include "core/socket_address.h"

namespace sallyport::sip {
namespace {

using core::DnsAnswer;
using core::DnsName;
using core::DnsStatus;
using core::DnsType;

LocationQuery QueryOf(const LocationRequest& request) {
  LocationQuery query;
  query.port = request.port;
  query.transport = request.transport;
  query.secure = request.secure;
  query.support = request.support;
  query.selector = request.selector;
  return query;
}

}  // namespace

// What the cache knows, seen by one request. Without a Pending it only looks; with one it asks.
class ServerLocator::Knowledge final : public DnsKnowledge {
 public:
  Knowledge(ServerLocator& locator, Pending* pending)
      : cache_(locator.cache_),
        pending_(pending),
        since_(pending == nullptr ? core::kInfiniteFuture : pending->since) {}

  const DnsAnswer* Look(DnsType type, const DnsName& name) override {
    static const DnsAnswer kTimeout(DnsStatus::kTimeout);
    static const DnsAnswer kTooMany(DnsStatus::kTooMany);
    const bool may_be_silent = type == DnsType::kNaptr;
    const DnsAnswer* answer = cache_.Find(type, name, since_);
    if (pending_ == nullptr) {
      if (answer == nullptr && may_be_silent && cache_.IsSilent(type, name)) answer = &kTimeout;
      if (answer != nullptr) cache_.Count(type, DnsLookup::kCached);
      return answer;
    }
    if (answer != nullptr) return answer;
    if (pending_->is_hurrying) return &kTimeout;
    DCHECK(waits_ < pending_->waits.size());
    if (!cache_.Ask(type, name, pending_->waits[waits_])) return &kTooMany;
    ++waits_;
    if (!may_be_silent) return nullptr;
    silent_at_ = cache_.SilentAt(type, name);
    return silent_at_ <= pending_->locator.reactor_.now() ? &kTimeout : nullptr;
  }
  // When NAPTR is not waited for any more; past or kInfiniteFuture: it is not waited for.
  core::MonotonicTime silent_at() const { return silent_at_; }

 private:
  DnsCache& cache_;
  Pending* const pending_;
  const core::MonotonicTime since_;
  size_t waits_ = 0;
  core::MonotonicTime silent_at_ = core::kInfiniteFuture;
};

ServerLocator::Pending::Pending(ServerLocator& owner, const LocationQuery& asked,
                                LocationCookie asker)
    : locator(owner),
      query(asked),
      cookie(asker),
      since(owner.reactor_.now()),
      ends_at(since + owner.options_.wait_max),
      timer(core::Timer::Calling<&Pending::OnTimer>(this)) {
  for (Wait& wait : waits) wait.pending = this;
}

void ServerLocator::Pending::OnTimer() {
  is_hurrying = locator.reactor_.now() >= ends_at;
  locator.Resume(*this);
}

ServerLocator::ServerLocator(core::Reactor& reactor, core::DnsQuerier& querier,
                             LocationHandler& handler, const tls::MacKey& key,
                             const ServerLocatorOptions& options)
    : reactor_(reactor),
      handler_(handler),
      options_(options),
      cache_(reactor, querier, options.cache_entries_max, key),
      pending_(options.pending_max) {}

LocationOutcome ServerLocator::Locate(const LocationRequest& request, LocationList& locations,
                                      LocationCookie cookie) {
  locations.Clear();
  LocationQuery query = QueryOf(request);
  if (const auto address = core::SocketAddress::FromHost(request.host, 0); address.has_value()) {
    return Told(LocateAddress(*address, query), locations);
  }
  const std::optional<DnsName> name = DnsName::FromText(request.host);
  if (!name.has_value()) return {LocationStatus::kFailed, LocationFailure::kNoSuchName};
  query.host = *name;
  Knowledge known(*this, nullptr);
  if (const LocationProgress at_once = FindLocations(query, known); at_once.complete) {
    return Told(at_once, locations);
  }
  PendingId id;
  Pending* const pending = pending_.Emplace(&id, *this, query, cookie);
  if (pending == nullptr) return {LocationStatus::kFailed, LocationFailure::kTooManyPending};
  pending->id = id;
  const LocationProgress progress = Run(*pending);
  if (!progress.complete) return {LocationStatus::kPending};
  pending_.Erase(id);  // Too many questions: there will be no answer to wait for.
  return Told(progress, locations);
}

LocationProgress ServerLocator::Run(Pending& pending) {
  for (Wait& wait : pending.waits) wait.Unlink();
  Knowledge known(*this, &pending);
  const LocationProgress progress = FindLocations(pending.query, known);
  if (!progress.complete && progress.usable && !pending.is_usable) {
    pending.is_usable = true;
    pending.ends_at = reactor_.now() + options_.stragglers_max;
  }
  const bool awaits_naptr = known.silent_at() > reactor_.now();
  reactor_.timers().Schedule(
      pending.timer, awaits_naptr ? std::min(known.silent_at(), pending.ends_at) : pending.ends_at);
  return progress;
}

void ServerLocator::Resume(Pending& pending) {
  const LocationProgress progress = Run(pending);
  if (!progress.complete) return;
  const LocationCookie cookie = pending.cookie;
  pending_.Erase(pending.id);
  handler_.OnLocated(cookie, progress.failure, progress.locations.view());
}

LocationOutcome ServerLocator::Told(const LocationProgress& progress, LocationList& locations) {
  locations = progress.locations;
  if (locations.empty()) return {LocationStatus::kFailed, progress.failure};
  return {LocationStatus::kReady};
}

}  // namespace sallyport::sip
