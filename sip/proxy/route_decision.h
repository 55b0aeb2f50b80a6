// Where a request goes (RFC 3261 §16.4, §16.5; interface document, "The order of judging" 4 and 5):
// one pure function for both directions.
//
// From outside: to what our own signed Route names, or by the Request-URI, if its host is ours, to
// an inside next hop; nothing is resolved, whatever Route, Contact or maddr say. From inside: down
// the flow that our Route names, or by [[route]], or by RFC 3263.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sip/message/message_view.h"
#include "sip/policy/reason_code.h"
#include "sip/proxy/edge_snapshot.h"
#include "sip/proxy/flow_token.h"
#include "sip/proxy/hop_token.h"
#include "sip/proxy/own_routes.h"
#include "sip/proxy/route_token.h"

namespace sallyport::sip {

enum class RouteKind : uint8_t {
  kAnswerItself,  // OPTIONS to the edge (§11): 200.
  kRefuse,        // `reason` says why.
  kNextHop,
  kInsideTarget,
  kFlow,
  kLocate,
};

struct RouteDecision {
  RouteKind kind = RouteKind::kRefuse;
  ReasonCode reason = ReasonCode::kRelay;
  size_t next_hop = 0;         // kNextHop.
  TransportAddress member;     // kNextHop, in a dialog: to whom of it; unknown: to anybody.
  InsideTarget inside_target;  // kInsideTarget.
  FlowToken flow;              // kFlow.
  // kLocate: whose certificate to expect where the next URI is an address: the peer of the dialog.
  std::string_view identity;
  OwnRoutes own;  // What to take off the route set.
  // From outside, without a token of ours: what is left of the route set goes, too. A server inside
  // would follow it, or send the request back through our listener there.
  bool drops_routes = false;
};

// `hop` is what decision.identity borrows.
// Also for requests that ValidateRequest refuses with kMaxForwards: only kAnswerItself counts then.
[[nodiscard]] RouteDecision DecideRoute(const MessageView& request, Zone from,
                                        const EdgeSnapshot& snapshot, HopToken& hop);

}  // namespace sallyport::sip
