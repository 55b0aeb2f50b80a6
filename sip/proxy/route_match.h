// Which [[route]] takes a request. Pure; no allocation. Cost: linear in the routes.
#pragma once

#include <span>

#include "sip/message/message_view.h"
#include "sip/proxy/route_config.h"

namespace sallyport::sip {

// The first route that takes the request, by its Request-URI as it stands (RFC 3261 §16.5: after
// §16.4 has put it right); nullptr: none. `request` is one that ParseMessage accepted. A URI other
// than sip and sips has no domain, so it passes only routes without one; of these tel: has a user,
// and a URN counts as one. A domain is compared as DNS compares names, an address by its value.
[[nodiscard]] const RouteConfig* MatchRoute(std::span<const RouteConfig> routes, Zone from,
                                            const MessageView& request);

}  // namespace sallyport::sip
