// Which differences a running process cannot take over (declared in edge_config.h).
#include <algorithm>
#include <string>
#include <vector>

#include "sip/proxy/edge_config.h"

namespace sallyport::sip {
namespace {

class Differences {
 public:
  template <typename Value>
  void Compare(const std::string& key, const Value& running, const Value& next) {
    if (running != next) Add(key);
  }
  void Add(const std::string& key) { keys_.push_back(key); }
  std::vector<std::string> Take() { return std::move(keys_); }

 private:
  std::vector<std::string> keys_;
};

const ListenerConfig* FindListener(const EdgeConfig& config, const std::string& name) {
  const auto found =
      std::find_if(config.listeners.begin(), config.listeners.end(),
                   [&name](const ListenerConfig& listener) { return listener.name == name; });
  return found == config.listeners.end() ? nullptr : &*found;
}

// A socket is opened once: its address and what arrives there stay.
void CompareListeners(const EdgeConfig& running, const EdgeConfig& next, Differences& found) {
  for (const ListenerConfig& now : running.listeners) {
    const std::string what = "listener \"" + now.name + "\"";
    const ListenerConfig* later = FindListener(next, now.name);
    if (later == nullptr) {
      found.Add(what + " (removed)");
      continue;
    }
    found.Compare(what + " address", now.address, later->address);
    found.Compare(what + " transport", now.transport, later->transport);
    found.Compare(what + " zone", now.zone, later->zone);
  }
  for (const ListenerConfig& later : next.listeners) {
    if (FindListener(running, later.name) == nullptr) {
      found.Add("listener \"" + later.name + "\" (added)");
    }
  }
  const auto same_name = [](const ListenerConfig& a, const ListenerConfig& b) {
    return a.name == b.name;
  };
  const bool same_set =
      std::is_permutation(running.listeners.begin(), running.listeners.end(),
                          next.listeners.begin(), next.listeners.end(), same_name);
  // Indexes of listeners are kept in next hops, metrics and connections.
  if (same_set && !std::equal(running.listeners.begin(), running.listeners.end(),
                              next.listeners.begin(), next.listeners.end(), same_name)) {
    found.Add("listener (order)");
  }
}

void CompareLimits(const LimitsConfig& running, const LimitsConfig& next, Differences& found) {
  found.Compare("limits.connections", running.connections_max, next.connections_max);
  found.Compare("limits.transactions", running.transactions_max, next.transactions_max);
  found.Compare("limits.outbound-connections", running.outbound_connections_max,
                next.outbound_connections_max);
  found.Compare("limits.peer-identities", running.peer_identities_max, next.peer_identities_max);
  found.Compare("limits.receive-buffers", running.receive_buffers, next.receive_buffers);
  found.Compare("limits.handshakes-per-turn", running.handshakes_per_turn_max,
                next.handshakes_per_turn_max);
  found.Compare("limits.log-lines-per-second", running.log_lines_per_second_max,
                next.log_lines_per_second_max);
}

}  // namespace

std::vector<std::string> RestartOnlyDifferences(const EdgeConfig& running, const EdgeConfig& next) {
  Differences found;
  found.Compare("edge.instance", running.instance, next.instance);
  found.Compare("edge.shards", running.shards, next.shards);
  found.Compare("edge.admin", running.admin, next.admin);
  found.Compare("edge.admin-hosts", running.admin_hosts, next.admin_hosts);
  CompareListeners(running, next, found);
  CompareLimits(running.limits, next.limits, found);
  found.Compare("log.format", running.log.format, next.log.format);
  return found.Take();
}

}  // namespace sallyport::sip
