#include "sip/proxy/route_decision.h"

#include <algorithm>

#include "sip/message/host.h"
#include "sip/message/params.h"
#include "sip/proxy/hostless_uri.h"
#include "sip/proxy/route_match.h"

namespace sallyport::sip {
namespace {

RouteDecision Refuse(ReasonCode reason, std::string_view cause = {}) {
  RouteDecision decision;
  decision.kind = RouteKind::kRefuse;
  decision.reason = reason;
  decision.cause = cause;
  return decision;
}

RouteDecision To(size_t next_hop) {
  RouteDecision decision;
  decision.kind = RouteKind::kNextHop;
  decision.next_hop = next_hop;
  return decision;
}

RouteDecision ByKind(RouteKind kind) {
  RouteDecision decision;
  decision.kind = kind;
  return decision;
}

RouteDecision ToInside(const EdgeSnapshot& snapshot) {
  return snapshot.inside_next_hop.has_value()
             ? To(*snapshot.inside_next_hop)
             : Refuse(ReasonCode::kNextHopUnreachable, "no next hop is configured");
}

RouteDecision ByRoutes(const MessageView& request, Zone from, const EdgeSnapshot& snapshot,
                       const RouteDecision& otherwise) {
  const RouteConfig* const route = MatchRoute(snapshot.config.routes, from, request);
  if (route == nullptr) return otherwise;
  return route->next_hop.has_value() ? To(*route->next_hop) : ByKind(RouteKind::kLocate);
}

// §11, §16.3 step 3: OPTIONS that ends at the edge.
bool IsForEdge(const MessageView& request, const OwnRoutes& own, Zone from,
               const EdgeSnapshot& snapshot) {
  const Uri& uri = own.request_uri;
  return request.method() == Method::kOptions && uri.user.empty() &&
         (snapshot.names.Serves(uri, from) || snapshot.names.IsEdgeHost(uri, from));
}

// A number or a URN that no [[route]] takes.
RouteDecision RefuseHostless() {
  return Refuse(ReasonCode::kUriScheme, "no route takes this Request-URI, and it names no host");
}

// §16.5: a maddr decides where a request goes, whatever its host is.
bool NamesAnotherAddress(const OwnRoutes& own) {
  return !own.strips_maddr && FindParam(own.request_uri.params, "maddr").has_value();
}

// A subscriber with a route set that no known key has signed subscribes anew (RFC 6665 §4.1.2.2).
bool MayLoseSubscription(const MessageView& request, const TokenRights& rights) {
  return rights.fault == RouteFault::kUnknownKey &&
         (request.method() == Method::kSubscribe || request.method() == Method::kNotify);
}

RouteDecision RefuseToken(const MessageView& request, const TokenRights& rights) {
  RouteDecision decision = Refuse(ReasonCode::kFlowToken);
  decision.is_subscription_lost = MayLoseSubscription(request, rights);
  return decision;
}

RouteDecision RefuseRelay(const OwnRoutes& own, const EdgeSnapshot& snapshot) {
  const Uri& uri = own.request_uri;
  if (snapshot.names.Serves(uri, Zone::kOutside)) {
    return Refuse(ReasonCode::kRelay, "maddr of the Request-URI names another address");
  }
  const bool is_ours = std::ranges::any_of(
      snapshot.config.domains,
      [&uri](const std::string& domain) { return EqualsHost(domain, uri.host); });
  if (is_ours) return Refuse(ReasonCode::kRelay, "the Request-URI names a port that is not served");
  RouteDecision decision = Refuse(ReasonCode::kRelay, "is not one of domains");
  decision.names_host = true;
  return decision;
}

RouteDecision DecideOutside(const MessageView& request, const OwnRoutes& own,
                            const TokenRights& rights, const EdgeSnapshot& snapshot) {
  if (request.max_forwards() == 0 && IsForEdge(request, own, Zone::kOutside, snapshot)) {
    return ByKind(RouteKind::kAnswerItself);
  }
  if (rights.route == RouteRight::kToInsideTarget) return ByKind(RouteKind::kInsideTarget);
  const bool is_hostless = IsHostless(own.request_uri);
  if (!is_hostless &&
      (!snapshot.names.Serves(own.request_uri, Zone::kOutside) || NamesAnotherAddress(own))) {
    if (MayLoseSubscription(request, rights)) return RefuseToken(request, rights);
    return RefuseRelay(own, snapshot);
  }
  RouteDecision decision = ByRoutes(request, Zone::kOutside, snapshot,
                                    is_hostless ? RefuseHostless() : ToInside(snapshot));
  decision.drops_routes = own.total > 0;
  return decision;
}

bool IsInside(const RouteDecision& decision, const EdgeSnapshot& snapshot) {
  return decision.kind == RouteKind::kNextHop &&
         snapshot.config.next_hops[decision.next_hop].zone == Zone::kInside;
}

// Out of dialog, or within one that stays inside.
RouteDecision DecideByTarget(const MessageView& request, const OwnRoutes& own,
                             const EdgeSnapshot& snapshot) {
  // §16.6 step 7: the topmost Route is the next hop.
  if (own.has_route_left) return ByKind(RouteKind::kLocate);
  const Uri& uri = own.request_uri;
  if (IsHostless(uri)) return ByRoutes(request, Zone::kInside, snapshot, RefuseHostless());
  if (!snapshot.names.Serves(uri, Zone::kInside) &&
      !snapshot.names.IsEdgeHost(uri, Zone::kInside)) {
    return ByRoutes(request, Zone::kInside, snapshot, ByKind(RouteKind::kLocate));
  }
  if (IsForEdge(request, own, Zone::kInside, snapshot)) return ByKind(RouteKind::kAnswerItself);
  return ByRoutes(request, Zone::kInside, snapshot, ToInside(snapshot));
}

RouteDecision DecideInside(const MessageView& request, const OwnRoutes& own,
                           const TokenRights& rights, const EdgeSnapshot& snapshot) {
  switch (rights.route) {
    case RouteRight::kToParty:
      return ByKind(RouteKind::kParty);
    case RouteRight::kToInsideSide:
      return ByKind(RouteKind::kInsideTarget);
    case RouteRight::kToFlow:
      return ByKind(RouteKind::kFlow);
    case RouteRight::kToInsideTarget:
    case RouteRight::kNone:
      break;
  }
  if (rights.fault != RouteFault::kNone) return RefuseToken(request, rights);
  RouteDecision decision = DecideByTarget(request, own, snapshot);
  // Within a dialog nothing leaves but by its own pair: what an attacker outside began would come
  // back as a request of the inside.
  const bool leaves = decision.kind == RouteKind::kLocate ||
                      (decision.kind == RouteKind::kNextHop && !IsInside(decision, snapshot));
  if (leaves && !request.to().tag.empty()) {
    return Refuse(ReasonCode::kRelay, "in a dialog only our own Record-Route leads outside");
  }
  return decision;
}

}  // namespace

RouteDecision DecideRoute(const MessageView& request, Zone from, const OwnRoutes& own,
                          const TokenRights& rights, const EdgeSnapshot& snapshot) {
  return from == Zone::kOutside ? DecideOutside(request, own, rights, snapshot)
                                : DecideInside(request, own, rights, snapshot);
}

}  // namespace sallyport::sip
