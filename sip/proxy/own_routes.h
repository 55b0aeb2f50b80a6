// The Route values at the top of a request that are ours, and how the request goes on without them
// (RFC 3261 §16.4, §16.6 step 6; double Record-Route: RFC 5658 §3). Ours is a value that names us,
// or one of the form of our tokens, whichever instance wrote it. Of one arrival these go: bare
// values that name us, then one pair, or one Path value. What stands below is never read for any
// right, whatever it names.
// This file reads and edits; what a pair or Path value is good for is in token_rights.h. Pure;
// borrows the request.
// Bounds: at most kOwnRoutesMax bare values are taken off.
#pragma once

#include <cstdint>
#include <string_view>

#include "sip/message/message_edit.h"
#include "sip/message/message_view.h"
#include "sip/message/name_addr.h"
#include "sip/message/uri.h"
#include "sip/message/value_list.h"
#include "sip/proxy/served_names.h"

namespace sallyport::sip {

inline constexpr uint32_t kOwnRoutesMax = 8;

struct OwnRoutes {
  enum class Token : uint8_t { kNone, kPair, kPath };

  bool malformed = false;  // A Route value is not a name-addr with brackets, or empty: 400. Nothing
                           // below counts then.
  uint32_t count = 0;      // Values at the top that are ours and go.
  uint32_t total = 0;      // Route values in the request.

  // The value below the bare ones. With strict_fixup the first line of the pair is the Request-URI
  // that came in, which a strict router had taken from the top.
  Token token = Token::kNone;
  bool has_second = false;  // kPair: a second line of the form stands below the first.
  Uri first;
  Uri second;

  bool has_route_left = false;  // A value remains.
  std::string_view next_route;  // Its URI.
  bool next_is_strict = false;  // It lacks lr: EditForStrictNextHop instead of EditOwnRoutes.

  // The Request-URI is a line of a pair, and the first Route value the other one (or it is single):
  // the last Route value becomes the Request-URI and goes. It is not counted in `count`.
  bool strict_fixup = false;
  // The Request-URI's maddr names us: it goes, and port and transport with it.
  bool strips_maddr = false;
  // What the request is for: the Request-URI after strict_fixup, before strips_maddr.
  Uri request_uri;
};

enum class StrictRoutes : uint8_t { kUndone, kIgnored };

// `request` parsed kOk and came from that zone.
[[nodiscard]] OwnRoutes ReadOwnRoutes(const MessageView& request, const ServedNames& names,
                                      Zone from, StrictRoutes strict = StrictRoutes::kUndone);

// The URI of each Route value that is left, in order, while `visit` returns true.
template <typename Visit>
void ForEachRouteLeft(const MessageView& request, const OwnRoutes& routes, Visit visit);

// Takes off our values, across lines and lists, and rewrites the Request-URI where it has to be.
// `routes` is what ReadOwnRoutes read, and not malformed.
void EditOwnRoutes(const MessageView& request, const OwnRoutes& routes, MessageEdit& edit);

// The same, and prepares what is left for a next hop that is a strict router (§16.6 step 6): the
// Request-URI becomes the last Route value, the first of what is left the Request-URI.
// Requires routes.has_route_left. Call one of both.
void EditForStrictNextHop(const MessageView& request, const OwnRoutes& routes, MessageEdit& edit);

// -- Implementation ----------------------------------------------------------------------------

template <typename Visit>
void ForEachRouteLeft(const MessageView& request, const OwnRoutes& routes, Visit visit) {
  const uint32_t end = routes.total - (routes.strict_fixup ? 1 : 0);
  uint32_t number = 0;
  for (const HeaderField* line = request.First(HeaderId::kRoute); line != nullptr;
       line = request.NextSame(line)) {
    ValueList values(line->value);
    for (std::string_view value; values.Next(value); ++number) {
      NameAddr route;
      if (number < routes.count) continue;
      if (number >= end || ParseNameAddr(value, route) != NameAddrOutcome::kOk) return;
      if (!visit(route.uri)) return;
    }
  }
}

}  // namespace sallyport::sip
