#include "sip/proxy/next_hop_config.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "sip/message/host.h"
#include "sip/proxy/config_values.h"

namespace sallyport::sip {
namespace {

constexpr std::string_view kTargetExample =
    "write \"udp:192.0.2.10:5060\" or \"tcp:[2001:db8::10]:5060\"";

std::string_view TakeUntil(std::string_view& rest, char separator) {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return taken;
}

// ";weight=10;priority=2" after the address. False after a report.
bool ReadParameters(std::string_view parameters, const core::ConfigValue& value,
                    core::Diagnostics& diagnostics, NextHopTarget& target) {
  while (!parameters.empty()) {
    std::string_view number = TakeUntil(parameters, ';');
    const std::string_view name = TakeUntil(number, '=');
    uint16_t* const field = name == "weight"     ? &target.weight
                            : name == "priority" ? &target.priority
                                                 : nullptr;
    const std::optional<uint16_t> parsed = ParsePort(number);
    if (field == nullptr || !parsed.has_value() || (name == "weight" && *parsed == 0)) {
      value.Reject(diagnostics, "the parameter \"" + std::string(name) + "\" is not understood",
                   "parameters are ;weight=1..65535 and ;priority=0..65535, lower first");
      return false;
    }
    *field = *parsed;
  }
  return true;
}

// "udp", "tcp"; anything else is reported.
std::optional<TransportProtocol> ReadScheme(std::string_view scheme, const core::ConfigValue& value,
                                            core::Diagnostics& diagnostics) {
  if (scheme == "udp") return TransportProtocol::kUdp;
  if (scheme == "tcp") return TransportProtocol::kTcp;
  if (scheme == "tls") {
    value.Reject(diagnostics, "TLS towards a next hop is not available in this version",
                 "use udp: or tcp: over a network of your own");
  } else {
    value.Reject(diagnostics, "does not begin with a transport", kTargetExample);
  }
  return std::nullopt;
}

std::optional<NextHopTarget> ReadTarget(const core::ConfigValue& value,
                                        core::Diagnostics& diagnostics) {
  std::string_view parameters = value.text;
  std::string_view address = TakeUntil(parameters, ';');
  const std::string_view scheme = TakeUntil(address, ':');
  const std::optional<TransportProtocol> transport = ReadScheme(scheme, value, diagnostics);
  if (!transport.has_value()) return std::nullopt;
  NextHopTarget target;
  target.transport = *transport;
  const absl::StatusOr<core::SocketAddress> parsed = core::SocketAddress::Parse(address);
  if (!parsed.ok()) {
    const std::optional<HostPort> named = ParseHostPort(address);
    const bool name = named.has_value() && ClassifyHost(named->host) == HostKind::kName;
    value.Reject(diagnostics,
                 name ? "names are not resolved in this version" : "not an IP address with a port",
                 kTargetExample);
    return std::nullopt;
  }
  target.address = *parsed;
  if (target.address.port() == 0 || target.address.IsUnspecified()) {
    value.Reject(diagnostics, "nobody can be reached there", kTargetExample);
    return std::nullopt;
  }
  if (!ReadParameters(parameters, value, diagnostics, target)) return std::nullopt;
  return target;
}

// A request sent there would come back in, until Max-Forwards ends it.
const ListenerConfig* PointsBackAt(const NextHopTarget& target,
                                   const std::vector<ListenerConfig>& listeners) {
  for (const ListenerConfig& listener : listeners) {
    const core::SocketAddress& own = listener.address;
    const bool same_host = own.HasSameHost(target.address) ||
                           (own.IsUnspecified() && own.family() == target.address.family() &&
                            target.address.IsLoopback());
    if (listener.transport == target.transport && own.port() == target.address.port() &&
        same_host) {
      return &listener;
    }
  }
  return nullptr;
}

bool CanSendFrom(const ListenerConfig& listener, const NextHopTarget& target) {
  return listener.zone == Zone::kInside && listener.transport == target.transport &&
         listener.address.family() == target.address.family();
}

class NextHopReader {
 public:
  NextHopReader(core::ConfigTable& table, const std::vector<ListenerConfig>& listeners)
      : table_(table), listeners_(listeners) {}

  NextHopConfig Read() {
    NextHopConfig next_hop;
    next_hop.at = table_.at();
    if (table_.Require("name", "write name = \"core\"; it appears in logs and metrics")) {
      next_hop.name = table_.String("name");
      CheckName(table_.diagnostics(), table_.Find("name")->at, table_.path() + ".name",
                next_hop.name);
    }
    ReadZone();
    ReadListenerName();
    ReadTargets(next_hop);
    table_.NotAvailable("health", "leave it out; a target that fails is tried again by itself", "");
    table_.NotAvailable("tls", "leave it out; it belongs to tls: targets", "");
    table_.NotAvailable("identity", "leave it out; it belongs to tls: targets", "");
    table_.NotAvailable("dn", "leave it out; it belongs to tls: targets", "");
    table_.RefuseUnknown();
    return next_hop;
  }

 private:
  void ReadZone() {
    if (!table_.Require("zone", "write zone = \"inside\": our own servers")) return;
    const Zone zone = table_.Choice<Zone>(
        "zone", {{"inside", Zone::kInside}, {"outside", Zone::kOutside}}, Zone::kInside);
    if (zone == Zone::kInside) return;
    table_.Find("zone")->Reject(table_.diagnostics(),
                                "next hops outside are not available in this version",
                                "remove this next hop; requests go inwards only");
  }

  void ReadListenerName() {
    const std::string name = table_.String("listener");
    if (name.empty()) return;
    const core::ConfigValue& value = *table_.Find("listener");
    std::vector<std::string_view> known;
    for (size_t i = 0; i < listeners_.size(); ++i) {
      known.push_back(listeners_[i].name);
      if (listeners_[i].name == name) named_ = i;
    }
    if (!named_.has_value()) {
      const std::string_view nearest = core::NearestName(name, known);
      value.Reject(table_.diagnostics(), "there is no listener of this name",
                   nearest.empty() ? "write the name of an inside [[listener]], or leave it out"
                                   : "did you mean \"" + std::string(nearest) + "\"?");
    } else if (listeners_[*named_].zone != Zone::kInside) {
      value.Reject(table_.diagnostics(), "that listener is outside",
                   "write the name of an inside [[listener]], or leave it out");
      named_.reset();
    }
  }

  void ReadTargets(NextHopConfig& next_hop) {
    if (!table_.Require("targets", kTargetExample)) return;
    const std::vector<const core::ConfigValue*> values = table_.Strings("targets");
    const core::ConfigValue& list = *table_.Find("targets");
    if (list.kind == core::ConfigKind::kArray && list.members.empty()) {
      list.Reject(table_.diagnostics(), "a next hop needs a target", kTargetExample);
    }
    for (const core::ConfigValue* value : values) {
      std::optional<NextHopTarget> target = ReadTarget(*value, table_.diagnostics());
      if (!target.has_value()) continue;
      if (const ListenerConfig* own = PointsBackAt(*target, listeners_)) {
        value->Reject(
            table_.diagnostics(),
            "that is our own listener \"" + own->name + "\"; requests would go in circles",
            "write the address of the server behind us");
        continue;
      }
      ChooseListener(*value, *target);
      next_hop.targets.push_back(*std::move(target));
    }
    std::stable_sort(
        next_hop.targets.begin(), next_hop.targets.end(),
        [](const NextHopTarget& a, const NextHopTarget& b) { return a.priority < b.priority; });
  }

  // The listener named here if it fits, else the first that does. UDP cannot do without: responses
  // come back to the socket that the request left from.
  void ChooseListener(const core::ConfigValue& value, NextHopTarget& target) {
    if (named_.has_value() && CanSendFrom(listeners_[*named_], target)) {
      target.listener = *named_;
    }
    for (size_t i = 0; i < listeners_.size() && target.listener == NextHopTarget::kNoListener &&
                       !named_.has_value();
         ++i) {
      if (CanSendFrom(listeners_[i], target)) target.listener = i;
    }
    if (target.listener == NextHopTarget::kNoListener &&
        target.transport == TransportProtocol::kUdp) {
      RejectUdp(value, target);
    }
    target.sent_by = SentBy(target);
  }

  void RejectUdp(const core::ConfigValue& value, const NextHopTarget& target) {
    const std::string family = target.address.is_ipv6() ? "IPv6" : "IPv4";
    if (named_.has_value()) {
      value.Reject(table_.diagnostics(),
                   "the listener \"" + listeners_[*named_].name +
                       "\" cannot send there: it is not udp over " + family,
                   "name an inside listener with transport = \"udp\", or leave listener out");
      return;
    }
    value.Reject(
        table_.diagnostics(), "there is no inside udp listener over " + family + " to send from",
        "add [[listener]] with name = \"core\", transport = \"udp\", zone = \"inside\" and "
        "address = \"" +
            std::string(target.address.is_ipv6() ? "[::1]" : "127.0.0.1") +
            ":5070\" (or the address that the next hop can answer to)");
  }

  // RFC 3261 §18.1.1: where a response finds us if it cannot use the connection. A TCP connection
  // of ours without a tcp listener behind it names the listener that there is.
  std::string SentBy(const NextHopTarget& target) const {
    const ListenerConfig* listener = nullptr;
    if (target.listener != NextHopTarget::kNoListener) {
      listener = &listeners_[target.listener];
    } else if (named_.has_value()) {
      listener = &listeners_[*named_];
    }
    for (const ListenerConfig& other : listeners_) {
      if (listener == nullptr && other.zone == Zone::kInside) listener = &other;
    }
    if (listener == nullptr && !listeners_.empty()) listener = &listeners_.front();
    if (listener == nullptr) return std::string();
    return listener->advertise_host + ":" + std::to_string(listener->advertise_port);
  }

  core::ConfigTable& table_;
  const std::vector<ListenerConfig>& listeners_;
  std::optional<size_t> named_;
};

}  // namespace

std::vector<NextHopConfig> ReadNextHops(core::ConfigTable& root,
                                        const std::vector<ListenerConfig>& listeners) {
  std::vector<NextHopConfig> next_hops;
  for (core::ConfigTable& table : root.Tables("next-hop")) {
    NextHopConfig next_hop = NextHopReader(table, listeners).Read();
    for (const NextHopConfig& other : next_hops) {
      if (next_hop.name.empty() || other.name != next_hop.name) continue;
      table.Find("name")->Reject(
          table.diagnostics(), "another next hop has this name",
          "give each next hop a name of its own, or list both targets in one");
    }
    next_hops.push_back(std::move(next_hop));
  }
  return next_hops;
}

}  // namespace sallyport::sip
