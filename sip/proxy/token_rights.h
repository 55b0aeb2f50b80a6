// What our own lines are good for. Each right is a named value; without one, a line is removed and
// the request judged as if it had not been there.
//
//   ReadTokenRights   the pair or Path value on top of Route (RFC 3261 §16.4, §16.12; RFC 5626
//   §5.3) ReadExcuse        the dialog token, for a From that the certificate does not cover
//   MayIssue          whether a request that leaves gets a dialog token
//
// TOKENS.md has the rules and their reasons. Pure: bytes, standing and snapshot in, values out.
#pragma once

#include <array>
#include <cstdint>

#include "core/socket_address.h"
#include "sip/message/message_view.h"
#include "sip/policy/judge.h"
#include "sip/proxy/dialog_pair.h"
#include "sip/proxy/edge_snapshot.h"
#include "sip/proxy/own_routes.h"
#include "sip/proxy/path_token.h"

namespace sallyport::sip {

enum class RouteRight : uint8_t {
  kNone,
  kToInsideTarget,  // From outside, by a pair: to its inside target, whatever the Request-URI
                    // names.
  kToParty,         // From inside, by a pair: to its party outside.
  kToInsideSide,    // From inside, by a pair between two inside listeners: to its other side.
  kToFlow,          // From inside, out of dialog, by a Path value: down the flow that registered.
};

// Why a value of our form gives none.
enum class RouteFault : uint8_t {
  kNone,        // There is no such value, or this request can have no right by it.
  kInvalid,     // It is not authentic, or not for this dialog, direction, place or party.
  kUnknownKey,  // Its key is not, or no longer, in our secret.
};

struct TokenRights {
  RouteRight route = RouteRight::kNone;
  RouteFault fault = RouteFault::kNone;
  // By a pair: `far` is the side that the request goes to.
  bool is_by_pair = false;
  bool is_single = false;
  DialogSide far;
  SealedParty near_party;  // Of the outside that presents the pair.
  SealKeys::Mac pair;      // Of the pair, and the index of its key.
  size_t key = 0;
};

// Where a request came from, as far as rights depend on it.
struct RequestOrigin {
  Zone zone = Zone::kOutside;
  uint32_t listener = 0;
  const PeerStanding* standing = nullptr;  // Of the outside; null: it proves nothing.
};

// `own` is ReadOwnRoutes(request) and not malformed.
[[nodiscard]] TokenRights ReadTokenRights(const MessageView& request, const OwnRoutes& own,
                                          const RequestOrigin& origin,
                                          const EdgeSnapshot& snapshot);

enum class ExcuseOutcome : uint8_t {
  kNone,
  kExpired,  // A dialog token that is authentic and too old.
  kExcused,
};

// Of a request from outside with a From that is not covered.
[[nodiscard]] ExcuseOutcome ReadExcuse(const MessageView& request, const OwnRoutes& own,
                                       const TokenRights& rights, const EdgeSnapshot& snapshot,
                                       int64_t now_seconds);

// Of a dialog-forming request from inside, before it is known where it goes. Where it bears a mark
// of ours it began outside, and gets a token only if what comes back must pass the first pair.
struct DialogTokenGrant {
  bool is_granted = false;
  DialogClaim claim;  // If granted.
};
// `dialog` is the request's own: of its Call-ID and From-tag.
[[nodiscard]] DialogTokenGrant MayIssue(const MessageView& request, const DialogId& dialog,
                                        const core::SocketAddress& source,
                                        const EdgeSnapshot& snapshot);

// Our form in a Via branch or a Record-Route value, unless it is authentic and of a pass that came
// from inside.
[[nodiscard]] bool BearsMark(const MessageView& request, const EdgeSnapshot& snapshot);

}  // namespace sallyport::sip
