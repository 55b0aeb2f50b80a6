// Where a request goes (RFC 3261 §16.4, §16.5): one pure function for both directions.
//
// From outside: to the inside target of our own pair, or by the Request-URI, if its host is ours,
// to an inside next hop; nothing is resolved, whatever Route, Contact or maddr say. From inside,
// within a dialog: by our own pair, or it stays inside. From inside, out of dialog: down the flow
// that our Path names, or by [[route]], or by RFC 3263.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sip/message/message_view.h"
#include "sip/policy/reason_code.h"
#include "sip/proxy/edge_snapshot.h"
#include "sip/proxy/own_routes.h"
#include "sip/proxy/token_rights.h"

namespace sallyport::sip {

enum class RouteKind : uint8_t {
  kAnswerItself,  // OPTIONS to the edge (§11): 200.
  kRefuse,        // `reason` says why.
  kNextHop,
  kInsideTarget,  // `far` of the rights.
  kParty,         // Likewise.
  kFlow,          // Likewise.
  kLocate,
};

struct RouteDecision {
  RouteKind kind = RouteKind::kRefuse;
  ReasonCode reason = ReasonCode::kRelay;
  std::string_view cause = {};        // kRefuse: in words, for the log and Warning. Static.
  bool names_host = false;            // kRefuse: the cause goes on after the Request-URI's host.
  bool is_subscription_lost = false;  // kRefuse: answered 481, so that the subscriber begins anew.
  size_t next_hop = 0;                // kNextHop.
  // From outside, without a pair: every Route value goes. A server inside would follow it, or send
  // the request back through our listener there.
  bool drops_routes = false;
};

// `own` and `rights` are what ReadOwnRoutes and ReadTokenRights read of this request.
// Also for requests that ValidateRequest refuses with kMaxForwards: only kAnswerItself counts then.
[[nodiscard]] RouteDecision DecideRoute(const MessageView& request, Zone from, const OwnRoutes& own,
                                        const TokenRights& rights, const EdgeSnapshot& snapshot);

}  // namespace sallyport::sip
