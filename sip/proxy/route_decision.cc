#include "sip/proxy/route_decision.h"

#include <optional>
#include <span>

#include "sip/message/params.h"
#include "sip/proxy/route_match.h"

namespace sallyport::sip {
namespace {

RouteDecision Refuse(ReasonCode reason) {
  RouteDecision decision;
  decision.kind = RouteKind::kRefuse;
  decision.reason = reason;
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
  return snapshot.inside_next_hop.has_value() ? To(*snapshot.inside_next_hop)
                                              : Refuse(ReasonCode::kNextHopUnreachable);
}

RouteDecision ByRoutes(const MessageView& request, Zone from, const EdgeSnapshot& snapshot,
                       const RouteDecision& otherwise) {
  const RouteConfig* const route = MatchRoute(snapshot.config.routes, from, request);
  if (route == nullptr) return otherwise;
  return route->next_hop.has_value() ? To(*route->next_hop) : ByKind(RouteKind::kLocate);
}

// §11, §16.3 step 3: OPTIONS that ends at the edge.
bool IsForEdge(const MessageView& request, const OwnRoutes& own, const EdgeSnapshot& snapshot) {
  const Uri& uri = own.request_uri;
  return request.method() == Method::kOptions && uri.user.empty() &&
         (snapshot.names.Serves(uri) || snapshot.names.IsEdgeHost(uri));
}

// §16.5: a maddr decides where a request goes, whatever its host is.
bool NamesAnotherAddress(const OwnRoutes& own) {
  return !own.strips_maddr && FindParam(own.request_uri.params, "maddr").has_value();
}

RouteDecision DecideOutside(const MessageView& request, const OwnRoutes& own,
                            const EdgeSnapshot& snapshot) {
  if (request.max_forwards() == 0 && IsForEdge(request, own, snapshot)) {
    return ByKind(RouteKind::kAnswerItself);
  }
  if (!own.top_user.empty()) {
    const std::optional<InsideTarget> target = snapshot.route_tokens.Read(own.top_user);
    if (!target.has_value()) return Refuse(ReasonCode::kFlowToken);
    RouteDecision decision = ByKind(RouteKind::kInsideTarget);
    decision.inside_target = *target;
    return decision;
  }
  const bool is_number = own.request_uri.scheme == Uri::Scheme::kTel;
  if (!is_number && (!snapshot.names.Serves(own.request_uri) || NamesAnotherAddress(own))) {
    return Refuse(ReasonCode::kRelay);
  }
  RouteDecision decision =
      ByRoutes(request, Zone::kOutside, snapshot,
               is_number ? Refuse(ReasonCode::kUriScheme) : ToInside(snapshot));
  decision.drops_routes = own.has_route_left;
  return decision;
}

// Nothing: the token does not decide; `hop` may hold a hint.
std::optional<RouteDecision> ByToken(std::string_view text, const EdgeSnapshot& snapshot,
                                     HopToken& hop) {
  RouteDecision decision;
  switch (snapshot.flow_tokens.Read(text, decision.flow)) {
    case FlowTokenSigner::Outcome::kOk:
      decision.kind = RouteKind::kFlow;
      return decision;
    case FlowTokenSigner::Outcome::kElsewhere:
      if (!decision.flow.falls_back) return Refuse(ReasonCode::kFlowGone);
      return std::nullopt;
    case FlowTokenSigner::Outcome::kForged:
      break;
  }
  if (!snapshot.hop_tokens.Read(text, hop)) return Refuse(ReasonCode::kFlowToken);
  const auto next_hop = snapshot.FindNextHop(hop.next_hop);
  if (!next_hop.has_value()) return std::nullopt;
  decision = To(*next_hop);
  decision.member = hop.member;
  return decision;
}

RouteDecision DecideInside(const MessageView& request, const OwnRoutes& own,
                           const EdgeSnapshot& snapshot, HopToken& hop) {
  if (!own.top_user.empty()) {
    if (const auto decision = ByToken(own.top_user, snapshot, hop)) return *decision;
  }
  RouteDecision located = ByKind(RouteKind::kLocate);
  located.identity = hop.identity();
  if (own.has_route_left) return located;  // §16.6 step 7: the topmost Route is the next hop.
  if (own.request_uri.scheme == Uri::Scheme::kTel) {
    return ByRoutes(request, Zone::kInside, snapshot, Refuse(ReasonCode::kUriScheme));
  }
  if (!snapshot.names.Serves(own.request_uri) && !snapshot.names.IsEdgeHost(own.request_uri)) {
    return ByRoutes(request, Zone::kInside, snapshot, located);
  }
  if (IsForEdge(request, own, snapshot)) return ByKind(RouteKind::kAnswerItself);
  return ByRoutes(request, Zone::kInside, snapshot, ToInside(snapshot));
}

}  // namespace

RouteDecision DecideRoute(const MessageView& request, Zone from, const EdgeSnapshot& snapshot,
                          HopToken& hop) {
  const OwnRoutes own = ReadOwnRoutes(request, snapshot.names);
  hop.next_hop = 0;
  hop.identity_bytes = 0;
  RouteDecision decision = own.malformed            ? Refuse(ReasonCode::kMalformed)
                           : from == Zone::kOutside ? DecideOutside(request, own, snapshot)
                                                    : DecideInside(request, own, snapshot, hop);
  decision.own = own;
  return decision;
}

}  // namespace sallyport::sip
