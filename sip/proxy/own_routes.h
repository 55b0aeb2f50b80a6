// The Route values at the top of a request that name us, what they carry, and how the request goes
// on without them (RFC 3261 §16.4, §16.6 step 6; double Record-Route: RFC 5658 §3).
// A value is ours by its host and port, whatever stands in its user part. Whether that is a token
// of ours is for the caller to find out: 403 flow-token if it is not. Pure; borrows the request.
// Bounds: at most kOwnRoutesMax values are taken off.
#pragma once

#include <cstdint>
#include <string_view>

#include "sip/message/message_edit.h"
#include "sip/message/message_view.h"
#include "sip/message/uri.h"
#include "sip/proxy/served_names.h"

namespace sallyport::sip {

// A request that meets us on two spirals, with two values each time, and then some.
inline constexpr uint32_t kOwnRoutesMax = 8;

struct OwnRoutes {
  bool malformed = false;  // A Route value is not a name-addr with brackets, or empty: 400. Nothing
                           // below counts then.
  uint32_t count = 0;      // Values at the top that are ours and go.
  uint32_t total = 0;      // Route values in the request.

  // Of the topmost value of ours; with strict_fixup that is the Request-URI that came in, which a
  // strict router had taken from the top. Raw; empty: none.
  std::string_view top_user;
  std::string_view top_dialog;   // Its parameter `dt`.
  std::string_view second_user;  // Of the value after it, if that is ours too: the side that faces
                                 // the other zone.

  bool has_route_left = false;  // A value remains.
  std::string_view next_route;  // Its URI.
  bool next_is_strict = false;  // It lacks lr: EditForStrictNextHop instead of EditOwnRoutes.

  // The Request-URI is a Record-Route URI of ours: the last Route value becomes the Request-URI and
  // goes. It is not counted in `count`.
  bool strict_fixup = false;
  // The Request-URI's maddr names us: it goes, and port and transport with it.
  bool strips_maddr = false;
  // What the request is for: the Request-URI after strict_fixup, before strips_maddr.
  Uri request_uri;
};

// `request` parsed kOk.
[[nodiscard]] OwnRoutes ReadOwnRoutes(const MessageView& request, const ServedNames& names);

// Takes off our values, across lines and lists, and rewrites the Request-URI where it has to be.
// `routes` is ReadOwnRoutes(request) and not malformed.
void EditOwnRoutes(const MessageView& request, const OwnRoutes& routes, MessageEdit& edit);

// The same, and prepares what is left for a next hop that is a strict router (§16.6 step 6): the
// Request-URI becomes the last Route value, the first of what is left the Request-URI.
// Requires routes.has_route_left. Call one of both.
void EditForStrictNextHop(const MessageView& request, const OwnRoutes& routes, MessageEdit& edit);

}  // namespace sallyport::sip
