#include "sip/proxy/next_hop_config.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sip/message/host.h"
#include "sip/policy/distinguished_name.h"
#include "sip/proxy/config_values.h"
#include "sip/proxy/octets.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
namespace {

constexpr std::string_view kTargetExample =
    "write \"udp:192.0.2.10:5060\", \"tcp:[2001:db8::10]:5060\" or \"tls:pbx.example\"";
constexpr absl::Duration kHealthIntervalDefault = absl::Seconds(10);
constexpr absl::Duration kHealthMin = absl::Milliseconds(100);

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

// Anything but "udp", "tcp" and "tls" is reported.
std::optional<TransportProtocol> ReadScheme(std::string_view scheme, const core::ConfigValue& value,
                                            core::Diagnostics& diagnostics) {
  for (const TransportProtocol transport :
       {TransportProtocol::kUdp, TransportProtocol::kTcp, TransportProtocol::kTls}) {
    if (scheme == TransportName(transport)) return transport;
  }
  value.Reject(diagnostics, "does not begin with a transport", kTargetExample);
  return std::nullopt;
}

// "192.0.2.10:5060" or "pbx.example", "pbx.example:5061". False after a report.
bool ReadDestination(std::string_view text, const core::ConfigValue& value,
                     core::Diagnostics& diagnostics, NextHopTarget& target) {
  if (const auto numeric = core::SocketAddress::Parse(text); numeric.ok()) {
    target.address = *numeric;
    if (target.address.port() != 0 && !target.address.IsUnspecified()) return true;
    value.Reject(diagnostics, "nobody can be reached there", kTargetExample);
    return false;
  }
  std::optional<HostPort> named = ParseHostPort(text);
  if (!named.has_value() || ClassifyHost(named->host) != HostKind::kName) {
    value.Reject(diagnostics,
                 core::SocketAddress::FromHost(text, 0).has_value()
                     ? "an address needs its port"
                     : "neither an IP address with a port nor a name",
                 kTargetExample);
    return false;
  }
  if (named->port == uint16_t{0}) {
    value.Reject(diagnostics, "nobody can be reached there",
                 "leave the port out to ask DNS for it (SRV), or write a port above 0");
    return false;
  }
  target.host = std::move(named->host);
  target.port = named->port.value_or(0);
  return true;
}

std::optional<NextHopTarget> ReadTarget(const core::ConfigValue& value,
                                        core::Diagnostics& diagnostics) {
  std::string_view parameters = value.text;
  std::string_view destination = TakeUntil(parameters, ';');
  const std::string_view scheme = TakeUntil(destination, ':');
  const std::optional<TransportProtocol> transport = ReadScheme(scheme, value, diagnostics);
  if (!transport.has_value()) return std::nullopt;
  NextHopTarget target;
  target.transport = *transport;
  if (!ReadDestination(destination, value, diagnostics, target) ||
      !ReadParameters(parameters, value, diagnostics, target)) {
    return std::nullopt;
  }
  return target;
}

bool IsDatagram(TransportProtocol transport) { return transport == TransportProtocol::kUdp; }

// A request sent there would come back in, until Max-Forwards ends it. Of a named target nobody
// knows yet where it leads.
const ListenerConfig* PointsBackAt(const NextHopTarget& target,
                                   const std::vector<ListenerConfig>& listeners) {
  for (const ListenerConfig& listener : listeners) {
    const core::SocketAddress& own = listener.address;
    const bool same_host = own.HasSameHost(target.address) ||
                           (own.IsUnspecified() && own.family() == target.address.family() &&
                            target.address.IsLoopback());
    if (IsDatagram(listener.transport) == IsDatagram(target.transport) && !target.is_named() &&
        own.port() == target.address.port() && same_host) {
      return &listener;
    }
  }
  return nullptr;
}

bool IsSameFamily(const ListenerConfig& listener, const NextHopTarget& target) {
  return target.is_named() || listener.address.family() == target.address.family();
}

class NextHopReader {
 public:
  NextHopReader(core::ConfigTable& table, const std::vector<ListenerConfig>& listeners,
                const std::vector<TlsProfileConfig>& profiles)
      : table_(table), listeners_(listeners), profiles_(profiles) {}

  NextHopConfig Read() {
    next_hop_.at = table_.at();
    if (table_.Require("name", "write name = \"core\"; it appears in logs and metrics")) {
      next_hop_.name = table_.String("name");
      CheckName(table_.diagnostics(), table_.Find("name")->at, table_.path() + ".name",
                next_hop_.name);
    }
    table_.Require("zone",
                   "write zone = \"inside\" (our own servers) or \"outside\" (somebody else's)");
    next_hop_.zone = table_.Choice<Zone>(
        "zone", {{"inside", Zone::kInside}, {"outside", Zone::kOutside}}, Zone::kInside);
    ReadListenerName();
    ReadTargets();
    ReadTls();
    ReadHealth();
    table_.RefuseUnknown();
    return std::move(next_hop_);
  }

 private:
  std::string ZoneText() const { return std::string(ZoneName(next_hop_.zone)); }

  void ReadListenerName() {
    if (table_.String("listener").empty()) return;
    const core::ConfigValue& value = *table_.Find("listener");
    std::vector<std::string_view> names;
    for (const ListenerConfig& listener : listeners_) names.push_back(listener.name);
    const std::string remedy =
        absl::StrCat("write the name of an ", ZoneText(), " [[listener]], or leave it out");
    named_ =
        FindNamed(value, names, "there is no listener of this name", remedy, table_.diagnostics());
    if (!named_.has_value() || listeners_[*named_].zone == next_hop_.zone) return;
    value.Reject(table_.diagnostics(),
                 absl::StrCat("that listener is ", std::string(ZoneName(listeners_[*named_].zone)),
                              ", and this next hop is ", ZoneText()),
                 remedy);
    named_.reset();
  }

  void ReadTargets() {
    if (!table_.Require("targets", kTargetExample)) return;
    const std::vector<const core::ConfigValue*> values = table_.Strings("targets");
    const core::ConfigValue& list = *table_.Find("targets");
    if (list.kind == core::ConfigKind::kArray && list.members.empty()) {
      list.Reject(table_.diagnostics(), "a next hop needs a target", kTargetExample);
    }
    if (values.size() > kNextHopTargetsMax) {
      list.Reject(table_.diagnostics(), "too many targets",
                  absl::StrCat("list at most ", kNextHopTargetsMax, " in one next hop"));
      return;
    }
    for (const core::ConfigValue* value : values) {
      std::optional<NextHopTarget> target = ReadTarget(*value, table_.diagnostics());
      if (!target.has_value()) continue;
      has_tls_ |= target->transport == TransportProtocol::kTls;
      if (target->transport == TransportProtocol::kTls && !target->is_named() &&
          numeric_tls_ == nullptr) {
        numeric_tls_ = value;
      }
      if (const ListenerConfig* own = PointsBackAt(*target, listeners_)) {
        value->Reject(
            table_.diagnostics(),
            "that is our own listener \"" + own->name + "\"; requests would go in circles",
            "write the address of the server behind us");
        continue;
      }
      ChooseListener(*value, *target);
      next_hop_.targets.push_back(*std::move(target));
    }
    std::stable_sort(
        next_hop_.targets.begin(), next_hop_.targets.end(),
        [](const NextHopTarget& a, const NextHopTarget& b) { return a.priority < b.priority; });
  }

  // UDP cannot do without a socket of its own: responses come back to where the request left from.
  // Other transports only need a name, best that of a listener of the same kind.
  void ChooseListener(const core::ConfigValue& value, NextHopTarget& target) {
    const auto can_send = [&target](const ListenerConfig& listener) {
      return listener.transport == target.transport && IsSameFamily(listener, target);
    };
    const auto is_same_transport = [&target](const ListenerConfig& listener) {
      return listener.transport == target.transport;
    };
    const auto is_any = [](const ListenerConfig&) { return true; };
    const bool is_udp = IsDatagram(target.transport);
    if (named_.has_value()) {
      if (!is_udp || can_send(listeners_[*named_])) target.listener = *named_;
    } else {
      target.listener = FirstOfZone(can_send);
      if (!is_udp && target.listener == NextHopTarget::kNoListener) {
        target.listener = FirstOfZone(is_same_transport);
      }
      if (!is_udp && target.listener == NextHopTarget::kNoListener) {
        target.listener = FirstOfZone(is_any);
      }
    }
    if (is_udp && target.listener == NextHopTarget::kNoListener) RejectUdp(value, target);
  }

  template <typename Predicate>
  size_t FirstOfZone(Predicate is_fit) const {
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (listeners_[i].zone == next_hop_.zone && is_fit(listeners_[i])) return i;
    }
    return NextHopTarget::kNoListener;
  }

  void RejectUdp(const core::ConfigValue& value, const NextHopTarget& target) {
    const std::string over = target.is_named()          ? ""
                             : target.address.is_ipv6() ? " over IPv6"
                                                        : " over IPv4";
    if (named_.has_value()) {
      value.Reject(
          table_.diagnostics(),
          "the listener \"" + listeners_[*named_].name + "\" cannot send there: it is not udp" +
              over,
          "name an " + ZoneText() + " listener with transport = \"udp\", or leave listener out");
      return;
    }
    value.Reject(table_.diagnostics(),
                 "there is no " + ZoneText() + " udp listener" + over + " to send from",
                 "add [[listener]] with name = \"" + ZoneText() +
                     "-udp\", transport = \"udp\", zone = \"" + ZoneText() + "\" and address = \"" +
                     std::string(target.address.is_ipv6() ? "[::1]" : "127.0.0.1") +
                     ":5070\" (or the address that the next hop can answer to)");
  }

  void ReadTls() {
    next_hop_.dn = table_.String("dn");
    const core::ConfigValue* const identity = table_.Find("identity");
    if (!table_.String("identity").empty()) {
      next_hop_.identity = ReadDomain(*identity, table_.diagnostics()).value_or("");
    }
    if (!next_hop_.dn.empty()) {
      const auto dn = DistinguishedName::Parse(next_hop_.dn);
      if (!dn.ok()) {
        table_.Find("dn")->Reject(
            table_.diagnostics(), {dn.status().message().data(), dn.status().message().size()},
            "write it the last part first, such as \"CN=sbc.example,O=Example\"; "
            "openssl x509 -nameopt RFC2253 prints it so");
      }
    }
    const std::string profile = table_.String("tls");
    if (!has_tls_) {
      for (const char* key : {"tls", "identity", "dn"}) RefuseWithoutTls(key);
      return;
    }
    ReadProfile(profile);
    if (next_hop_.tls_profile != kNoProfile) CheckProfile(profiles_[next_hop_.tls_profile]);
  }

  void RefuseWithoutTls(const char* key) {
    const core::ConfigValue* const written = table_.Find(key);
    // Another kind than a string was reported when it was read.
    if (written == nullptr || written->kind != core::ConfigKind::kString || written->text.empty()) {
      return;
    }
    written->Reject(
        table_.diagnostics(), "no target of this next hop is tls",
        "write a target such as \"tls:pbx.example\", or leave " + std::string(key) + " out");
  }

  void ReadProfile(const std::string& name) {
    const std::vector<std::string> names = ProfileNames(profiles_);
    if (!name.empty()) {
      next_hop_.tls_profile =
          FindProfile(*table_.Find("tls"), names, table_.diagnostics()).value_or(kNoProfile);
    } else if (profiles_.size() == 1) {
      next_hop_.tls_profile = 0;
    } else {
      ReportNoProfile(table_.at(), table_.path(), "a tls target", names, table_.diagnostics());
    }
  }

  void CheckProfile(const TlsProfileConfig& profile) {
    if (profile.profile.trusted_ca.empty()) {
      table_.diagnostics().Error(profile.trusted_ca_at,
                                 "tls." + profile.name +
                                     ": trusted-ca is missing, so nobody could be verified at the "
                                     "next hop \"" +
                                     next_hop_.name + "\"",
                                 "write trusted-ca = \"ca.pem\" with the CAs of your peers");
    }
    if (!profile.check_target_name) {
      if (next_hop_.identity.empty()) return;
      table_.Find("identity")
          ->Warn(table_.diagnostics(),
                 "not checked, because tls." + profile.name + " has tls-target-name-check = \"no\"",
                 "write tls-target-name-check = \"host\", or leave identity out");
      return;
    }
    if (numeric_tls_ == nullptr || !next_hop_.identity.empty() || !next_hop_.dn.empty()) return;
    const core::ConfigValue* const identity = table_.Find("identity");
    if (identity != nullptr && identity->text != "") return;  // Reported: it is no domain.
    numeric_tls_->Reject(table_.diagnostics(),
                         "an address proves nothing: no domain is known that the certificate there "
                         "must show (RFC 5922)",
                         "write identity = \"a.example\" (or dn = \"CN=…\"), or name the target: "
                         "\"tls:a.example\"");
  }

  // health = { interval = "10s", timeout = "2s" }
  void ReadHealth() {
    const core::ConfigValue* const written = table_.Find("health");
    if (written == nullptr) return;
    if (written->kind != core::ConfigKind::kTable) {
      if (written->kind == core::ConfigKind::kString && written->text.empty()) return;
      written->Reject(table_.diagnostics(), "expected a table",
                      "write health = { interval = \"10s\", timeout = \"2s\" }");
      return;
    }
    core::ConfigTable health = table_.Table("health");
    next_hop_.health_interval =
        health.Duration("interval", kHealthIntervalDefault, kHealthMin, absl::Hours(1));
    next_hop_.health_timeout =
        health.Duration("timeout", std::min(next_hop_.health_timeout, next_hop_.health_interval),
                        kHealthMin, absl::Minutes(1));
    if (next_hop_.health_timeout > next_hop_.health_interval) {
      health.Find("timeout")->Reject(table_.diagnostics(),
                                     "longer than the interval, so checks would overlap",
                                     "make it at most as long as interval");
    }
    health.RefuseUnknown();
  }

  core::ConfigTable& table_;
  const std::vector<ListenerConfig>& listeners_;
  const std::vector<TlsProfileConfig>& profiles_;
  NextHopConfig next_hop_;
  std::optional<size_t> named_;  // The listener.
  bool has_tls_ = false;
  const core::ConfigValue* numeric_tls_ = nullptr;  // The first such target.
};

}  // namespace

uint32_t NextHopNameHash(std::string_view name) {
  const std::array<uint8_t, 32> digest = tls::Sha256(std::as_bytes(std::span(name)));
  const auto hash = static_cast<uint32_t>(OctetReader(digest).Number(4));
  return hash == 0 ? 1 : hash;
}

std::vector<NextHopConfig> ReadNextHops(core::ConfigTable& root,
                                        const std::vector<ListenerConfig>& listeners,
                                        const std::vector<TlsProfileConfig>& profiles) {
  std::vector<NextHopConfig> next_hops;
  for (core::ConfigTable& table : root.Tables("next-hop")) {
    if (next_hops.size() == kNextHopsMax) {
      table.diagnostics().Error(table.at(), "too many next hops",
                                absl::StrCat("use at most ", kNextHopsMax));
      break;
    }
    NextHopConfig next_hop = NextHopReader(table, listeners, profiles).Read();
    for (const NextHopConfig& other : next_hops) {
      if (next_hop.name.empty()) continue;
      if (other.name == next_hop.name) {
        table.Find("name")->Reject(
            table.diagnostics(), "another next hop has this name",
            "give each next hop a name of its own, or list both targets in one");
      } else if (NextHopNameHash(other.name) == NextHopNameHash(next_hop.name)) {
        table.Find("name")->Reject(
            table.diagnostics(),
            absl::StrCat("in routes of dialogs this name looks like \"", other.name, "\""),
            "choose another name");
      }
    }
    next_hops.push_back(std::move(next_hop));
  }
  return next_hops;
}

}  // namespace sallyport::sip
