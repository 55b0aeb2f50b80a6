#include "sip/proxy/route_config.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "sip/message/grammar.h"
#include "sip/message/host.h"
#include "sip/message/method.h"
#include "sip/proxy/config_values.h"

namespace sallyport::sip {
namespace {

class RouteReader {
 public:
  RouteReader(core::ConfigTable& table, const std::vector<NextHopConfig>& next_hops)
      : table_(table), next_hops_(next_hops) {}

  RouteConfig Read() {
    route_.at = table_.at();
    route_.zone = table_.Choice<std::optional<Zone>>(
        "zone", {{"inside", Zone::kInside}, {"outside", Zone::kOutside}}, std::nullopt);
    const std::string domain = table_.String("domain");
    const std::string user = table_.String("user");
    if (!table_.String("to").empty()) {
      ReadTo(*table_.Find("to"));
    } else {
      if (!domain.empty()) ReadRouteDomain(*table_.Find("domain"));
      if (!user.empty()) ReadUser(*table_.Find("user"));
    }
    WarnOfUrnWithDomain();
    ReadMethod();
    ReadNextHopName();
    CheckDirection();
    table_.NotAvailable("requires", "leave it out; there are no permissions yet", "");
    table_.RefuseUnknown();
    return std::move(route_);
  }

 private:
  // "*" anything; "+digits*" or "user*" a user; "urn:…" a URN; anything else a domain.
  void ReadTo(const core::ConfigValue& to) {
    for (const char* key : {"domain", "user"}) {
      const core::ConfigValue* const other = table_.Find(key);
      if (other == nullptr || other->text.empty()) continue;
      other->Reject(table_.diagnostics(), "to says already what the route is for",
                    absl::StrCat("leave ", key, " out, or to"));
    }
    if (to.text.back() == '*' || UserPattern::LooksLikeUrn(to.text)) {
      ReadUser(to);
    } else if (to.text.front() == '+') {
      to.Reject(table_.diagnostics(), "not a domain",
                absl::StrCat("write user = \"", to.text, "\" for this one number, or to = \"",
                             to.text, "*\" for all that begin so"));
    } else {
      ReadRouteDomain(to);
    }
  }

  // Requests may name what is behind us by an address, too.
  void ReadRouteDomain(const core::ConfigValue& value) {
    const HostKind kind = ClassifyHost(value.text);
    if (kind == HostKind::kIpv4 || kind == HostKind::kIpv6) {
      route_.domain = absl::AsciiStrToLower(value.text);
      return;
    }
    route_.domain = ReadDomain(value, table_.diagnostics()).value_or("");
  }

  void ReadUser(const core::ConfigValue& value) {
    absl::StatusOr<UserPattern> pattern = UserPattern::Parse(value.text);
    if (pattern.ok()) {
      route_.user = *std::move(pattern);
      return;
    }
    const std::string_view message(pattern.status().message().data(),
                                   pattern.status().message().size());
    const size_t semicolon = message.find("; ");
    value.Reject(table_.diagnostics(), message.substr(0, semicolon), message.substr(semicolon + 2));
  }

  void WarnOfUrnWithDomain() {
    if (!route_.user.is_urn() || route_.domain.empty()) return;
    table_.Find("domain")->Warn(table_.diagnostics(),
                                "this route never matches: a URN names no domain",
                                "leave domain out");
  }

  void ReadMethod() {
    route_.method = table_.String("method");
    if (route_.method.empty()) return;
    const core::ConfigValue& value = *table_.Find("method");
    const bool is_token = std::all_of(route_.method.begin(), route_.method.end(),
                                      [](char c) { return IsIn(c, kTokenChar); });
    const std::string upper = absl::AsciiStrToUpper(route_.method);
    if (!is_token) {
      value.Reject(table_.diagnostics(), "not a method", "write one such as \"INVITE\"");
    } else if (ParseMethod(route_.method) == Method::kCancel) {
      value.Warn(table_.diagnostics(),
                 "this route never matches: CANCEL goes where its INVITE went (RFC 3261 16.10)",
                 "remove it");
    } else if (ParseMethod(route_.method) == Method::kOther &&
               ParseMethod(upper) != Method::kOther) {
      value.Warn(table_.diagnostics(), "methods are case-sensitive, so this is not " + upper,
                 "write \"" + upper + "\"");
    }
  }

  void ReadNextHopName() {
    if (table_.String("next-hop").empty()) return;
    std::vector<std::string_view> names;
    for (const NextHopConfig& next_hop : next_hops_) names.push_back(next_hop.name);
    route_.next_hop =
        FindNamed(*table_.Find("next-hop"), names, "there is no next hop of this name",
                  "write the name of a [[next-hop]]", table_.diagnostics());
    is_unknown_ = !route_.next_hop.has_value();
  }

  // What comes from outside goes to a configured inside next hop, or nowhere.
  void CheckDirection() {
    const bool stays_inside = is_unknown_ || (route_.next_hop.has_value() &&
                                              next_hops_[*route_.next_hop].zone == Zone::kInside);
    if (stays_inside) return;
    if (!route_.zone.has_value()) {
      route_.zone = Zone::kInside;
    } else if (*route_.zone == Zone::kOutside) {
      const core::ConfigValue& written =
          *table_.Find(route_.next_hop.has_value() ? "next-hop" : "zone");
      written.Reject(table_.diagnostics(),
                     route_.next_hop.has_value()
                         ? "that next hop is outside, and a request from outside is never sent "
                           "outside again"
                         : "without next-hop the request would be resolved (RFC 3263), and nothing "
                           "from outside is",
                     "write next-hop = \"NAME\" of an inside next hop, or zone = \"inside\"");
    }
  }

  core::ConfigTable& table_;
  const std::vector<NextHopConfig>& next_hops_;
  RouteConfig route_;
  bool is_unknown_ = false;  // The next hop; reported.
};

// Whether `earlier` takes every request that `later` would.
bool TakesAllOf(const RouteConfig& earlier, const RouteConfig& later) {
  return (!earlier.zone.has_value() || earlier.zone == later.zone) &&
         (earlier.method.empty() || earlier.method == later.method) &&
         (earlier.domain.empty() || EqualsHost(earlier.domain, later.domain)) &&
         earlier.user.Covers(later.user);
}

// `sound` are the positions of routes without a report: a wrong one seems to take everything.
void WarnIfNeverReached(const std::vector<RouteConfig>& routes, const std::vector<size_t>& sound,
                        const core::ConfigTable& table, const RouteConfig& route) {
  const auto found = std::find_if(sound.begin(), sound.end(), [&](size_t earlier) {
    return TakesAllOf(routes[earlier], route);
  });
  if (found == sound.end()) return;
  table.diagnostics().Warning(table.at(),
                              absl::StrCat(table.path(), " never matches: the route in line ",
                                           routes[*found].at.line, " takes all of its requests"),
                              "put it before that one, or remove it");
}

// Whether "*" is written: an empty route asks for nothing.
bool AsksForAll(core::ConfigTable& table, const RouteConfig& route) {
  const auto is_any = [&table](const char* key) {
    const core::ConfigValue* const value = table.Find(key);
    return value != nullptr && value->text == "*";
  };
  return (is_any("to") || is_any("user")) && route.domain.empty() && route.method.empty();
}

// What no route takes from inside is resolved, too, and RouteReader makes a route without next hop
// one from inside.
void WarnIfWithoutEffect(core::ConfigTable& table, const RouteConfig& route) {
  if (!AsksForAll(table, route) || route.next_hop.has_value()) return;
  table.diagnostics().Warning(
      table.at(),
      absl::StrCat(table.path(),
                   " does nothing: without next-hop it resolves what comes from inside (RFC 3263), "
                   "as without a route, and takes nothing that comes from outside"),
      "write next-hop = \"NAME\", or remove it; from outside only requests for domains of [edge] "
      "are taken");
}

}  // namespace

std::vector<RouteConfig> ReadRoutes(core::ConfigTable& root,
                                    const std::vector<NextHopConfig>& next_hops) {
  std::vector<RouteConfig> routes;
  std::vector<size_t> sound;
  for (core::ConfigTable& table : root.Tables("route")) {
    if (routes.size() == kRoutesMax) {
      table.diagnostics().Error(table.at(), "too many routes",
                                absl::StrCat("use at most ", kRoutesMax));
      break;
    }
    const size_t reports = table.diagnostics().entries().size();
    RouteConfig route = RouteReader(table, next_hops).Read();
    if (table.diagnostics().entries().size() == reports) {
      WarnIfNeverReached(routes, sound, table, route);
      WarnIfWithoutEffect(table, route);
      sound.push_back(routes.size());
    }
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace sallyport::sip
