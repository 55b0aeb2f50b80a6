#include "sip/proxy/token_rights.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "sip/message/host.h"
#include "sip/message/name_addr.h"
#include "sip/message/params.h"
#include "sip/message/value_list.h"
#include "sip/message/via.h"
#include "sip/proxy/canonical_uri.h"
#include "sip/proxy/dialog_token.h"
#include "sip/proxy/transport_parameter.h"

namespace sallyport::sip {
namespace {

constexpr std::string_view kDialogParameter = "dt";

// -- Pairs -------------------------------------------------------------------------------------

PairLines LinesOf(const OwnRoutes& own) {
  return {&own.first, own.has_second ? &own.second : nullptr};
}

// A pair as one side of its dialog presents it: that side's line on top, and its tag the sealed one
// if it began the dialog.
struct PresentedPair {
  PairReading reading;
  bool by_caller = false;
};

PresentedPair ReadPresented(const MessageView& request, const OwnRoutes& own,
                            const DialogPairSigner& pairs) {
  const PairLines lines = LinesOf(own);
  const PairLineForm form = PairLineFormOf(own.first.user);
  if (form != PairLineForm::kCallee) {
    const DialogId dialog = DialogIdOf(request.call_id(), request.from().tag);
    const PresentedPair callers{pairs.Read(lines, dialog), true};
    const bool is_over =
        form == PairLineForm::kCaller || callers.reading.outcome != PairReading::Outcome::kForged;
    if (is_over) return callers;
  }
  return {pairs.Read(lines, DialogIdOf(request.call_id(), request.to().tag)), false};
}

// The listener at which the request arrived is the one that the line names.
bool NamesListener(const Uri& line, uint32_t listener, const EdgeSnapshot& snapshot) {
  const Egress& egress = snapshot.EgressOf(listener);
  return line.port == egress.port && EqualsHost(line.host, egress.host);
}

// The near side presents the pair: it is of that zone; outside also at that listener and proves
// that party.
bool IsForOrigin(const DialogSide& near, const OwnRoutes& own, const RequestOrigin& origin,
                 const EdgeSnapshot& snapshot) {
  if (near.zone != origin.zone) return false;
  if (origin.zone == Zone::kInside) return true;
  return origin.standing != nullptr && NamesListener(own.first, origin.listener, snapshot) &&
         snapshot.pairs.parties().Proves(*origin.standing, near.party);
}

RouteRight RightTo(const DialogSide& far, Zone from) {
  if (far.zone == Zone::kInside) {
    return from == Zone::kOutside ? RouteRight::kToInsideTarget : RouteRight::kToInsideSide;
  }
  return from == Zone::kInside ? RouteRight::kToParty : RouteRight::kNone;
}

void ReadPairRight(const MessageView& request, const OwnRoutes& own, const RequestOrigin& origin,
                   const EdgeSnapshot& snapshot, TokenRights& rights) {
  // A registration is in no dialog (RFC 3261 §10.2), and what a pair led in would get no Path.
  if (request.method() == Method::kRegister) return;
  // Out of dialog no pair has a right; equal tags would make the caller his own callee. From inside
  // it is a dialog without tags (RFC 2543): Contact or another Route would lead it.
  const bool is_in_dialog = !request.to().tag.empty() && request.to().tag != request.from().tag;
  if (!is_in_dialog) {
    if (origin.zone == Zone::kInside) rights.fault = RouteFault::kInvalid;
    return;
  }
  const auto [reading, by_caller] = ReadPresented(request, own, snapshot.pairs);
  rights.fault = reading.outcome == PairReading::Outcome::kUnknownKey ? RouteFault::kUnknownKey
                                                                      : RouteFault::kInvalid;
  if (reading.outcome != PairReading::Outcome::kValid) return;
  const DialogSide& near = by_caller ? reading.pair.caller : reading.pair.callee;
  const DialogSide& far = by_caller ? reading.pair.callee : reading.pair.caller;
  if (!IsForOrigin(near, own, origin, snapshot)) return;
  rights.route = RightTo(far, origin.zone);
  if (rights.route == RouteRight::kNone) return;
  rights.fault = RouteFault::kNone;
  rights.is_by_pair = true;
  rights.is_single = reading.is_single;
  rights.far = far;
  rights.near_party = near.party;
  rights.pair = reading.mac;
  rights.key = reading.key;
}

void ReadPathRight(const MessageView& request, const OwnRoutes& own, const RequestOrigin& origin,
                   const EdgeSnapshot& snapshot, TokenRights& rights) {
  if (origin.zone == Zone::kOutside) return;
  rights.fault = RouteFault::kInvalid;
  if (!request.to().tag.empty()) return;
  const std::optional<PathToken> path = snapshot.path_tokens.Read(own.first.user);
  if (!path.has_value()) return;
  rights.fault = RouteFault::kNone;
  rights.route = RouteRight::kToFlow;
  rights.far.zone = Zone::kOutside;
  rights.far.flow = path->flow;
  rights.far.party = path->party;
}

// -- Excuses -----------------------------------------------------------------------------------

bool MayBeExcused(Method method) {
  switch (method) {
    case Method::kInvite:
    case Method::kAck:
    case Method::kBye:
    case Method::kCancel:
    case Method::kPrack:
    case Method::kUpdate:
    case Method::kInfo:
    case Method::kRefer:
    case Method::kNotify:
      return true;
    default:
      return false;
  }
}

std::optional<core::SocketAddress> AddressOf(const Uri& uri) {
  if (!uri.is_sip_or_sips() || !uri.host_is_ip) return std::nullopt;
  const auto transport = FindParam(uri.params, "transport");
  const bool is_tls = uri.scheme == Uri::Scheme::kSips ||
                      (transport.has_value() && TransportOf(*transport) == TransportProtocol::kTls);
  const uint16_t standard = is_tls ? 5061 : 5060;
  return core::SocketAddress::FromHost(uri.host, uri.port != 0 ? uri.port : standard);
}

bool HoldsPair(const MessageView& request, const OwnRoutes& own, const EdgeSnapshot& snapshot) {
  const DialogId dialog = DialogIdOf(request.call_id(), request.to().tag);
  bool holds = false;
  Uri above;
  ForEachRouteLeft(request, own, [&](const Uri& uri) {
    const PairLineForm form = PairLineFormOf(uri.user);
    const bool is_pair =
        form == PairLineForm::kSingle ||
        (form == PairLineForm::kCaller && PairLineFormOf(above.user) == PairLineForm::kCallee);
    if (is_pair) {
      const PairLines lines =
          form == PairLineForm::kSingle ? PairLines{&uri, nullptr} : PairLines{&above, &uri};
      holds = snapshot.pairs.Read(lines, dialog).outcome == PairReading::Outcome::kValid;
    }
    above = uri;
    return !holds;
  });
  return holds;
}

// PBXs change their Contact in mid-call. What hangs up or acknowledges may name the new one, if it
// can lead nowhere but inside, or the way back passes a pair of this dialog.
bool MayNameOther(const MessageView& request, const OwnRoutes& own, const EdgeSnapshot& snapshot) {
  if (request.method() != Method::kBye && request.method() != Method::kAck) return false;
  const Uri& uri = own.request_uri;
  if (!uri.is_sip_or_sips() || snapshot.names.LeadsToUs(uri) ||
      FindParam(uri.params, "maddr").has_value()) {
    return false;
  }
  const std::optional<core::SocketAddress> address = AddressOf(uri);
  if (address.has_value() && snapshot.AdmitsInside(*address)) return true;
  return HoldsPair(request, own, snapshot);
}

// -- Grants ------------------------------------------------------------------------------------

// `visit` gets the URI of each value, in order, until it returns false. False: one is unreadable.
template <typename Visit>
bool ForEachRecordRoute(const MessageView& request, Visit visit) {
  for (const HeaderField* line = request.First(HeaderId::kRecordRoute); line != nullptr;
       line = request.NextSame(line)) {
    ValueList values(line->value);
    for (std::string_view value; values.Next(value);) {
      NameAddr route;
      if (ParseNameAddr(value, route) != NameAddrOutcome::kOk) return false;
      if (!visit(route.uri)) return true;
    }
  }
  return true;
}

bool IsMark(const Via& via, const BranchSigner& branches) {
  if (!BranchSigner::HasForm(via.branch)) return false;
  const std::optional<Branch> branch = branches.Read(via.branch);
  return !branch.has_value() || branch->origin == Zone::kOutside;
}

// A value that cannot be read: what looks like a branch of ours is taken for one.
bool HoldsBranchForm(std::string_view value) {
  for (size_t at = 0; (at = value.find(kBranchCookie, at)) != std::string_view::npos; ++at) {
    if (BranchSigner::HasForm(value.substr(at, BranchSigner::kTextBytes))) return true;
  }
  return false;
}

bool HasMarkedVia(const MessageView& request, const BranchSigner& branches) {
  if (request.Count(HeaderId::kVia) == 1 && request.top_via_rest().empty()) {
    return IsMark(request.top_via(), branches);
  }
  for (const HeaderField* line = request.First(HeaderId::kVia); line != nullptr;
       line = request.NextSame(line)) {
    ValueList values(line->value);
    for (std::string_view value; values.Next(value);) {
      Via via;
      if (ParseVia(value, via) ? IsMark(via, branches) : HoldsBranchForm(value)) return true;
    }
  }
  return false;
}

// The first value of our form in Record-Route.
struct FirstPair {
  bool is_there = false;
  bool is_valid = false;   // It begins a pair of this dialog.
  bool is_inside = false;  // Of a pass that came from inside.
  bool has_more = false;   // Further values of our form that are not of such a pass.
};

FirstPair FirstPairOf(const MessageView& request, const DialogId& dialog,
                      const EdgeSnapshot& snapshot) {
  FirstPair first;
  Uri above;
  bool is_second = false;  // Of the pair that `above` begins.
  const auto note = [&](const PairLines& lines) {
    const PairReading reading = snapshot.pairs.Read(lines, dialog);
    const bool is_valid = reading.outcome == PairReading::Outcome::kValid;
    const bool is_inside = is_valid && reading.pair.caller.zone == Zone::kInside;
    if (!first.is_there) {
      first.is_there = true;
      first.is_valid = is_valid;
      first.is_inside = is_inside;
    }
    if (!is_inside) first.has_more = true;
  };
  size_t seen = 0;
  const bool is_readable = ForEachRecordRoute(request, [&](const Uri& uri) {
    const PairLineForm form = PairLineFormOf(uri.user);
    if (LooksLikeToken(uri.user, TokenKind::kPath)) note({&uri, nullptr});  // Never a pair.
    if (is_second) {
      note({&above, form == PairLineForm::kCaller ? &uri : nullptr});
      is_second = false;
      if (form == PairLineForm::kCaller) return true;
    }
    if (form == PairLineForm::kSingle || form == PairLineForm::kCaller) note({&uri, nullptr});
    is_second = form == PairLineForm::kCallee;
    above = uri;
    return ++seen <= UriListDigest::kUrisMax;
  });
  if (is_second) note({&above, nullptr});
  // What is not read may be one.
  if (!is_readable || seen > UriListDigest::kUrisMax) first.has_more = true;
  return first;
}

// The one Contact, if it leads where its host says.
bool ReadContact(const MessageView& request, Uri& contact) {
  NameAddr address;
  if (request.Count(HeaderId::kContact) != 1 ||
      ParseNameAddr(request.First(HeaderId::kContact)->value, address) != NameAddrOutcome::kOk) {
    return false;
  }
  contact = address.uri;
  return contact.is_sip_or_sips() && !FindParam(contact.params, "maddr").has_value();
}

// An inside target, or where the request came from.
bool IsInsideTarget(const Uri& contact, const core::SocketAddress& source,
                    const EdgeSnapshot& snapshot) {
  const std::optional<core::SocketAddress> address = AddressOf(contact);
  if (address.has_value() && address->Unmapped() == source.Unmapped()) return true;
  return std::ranges::any_of(snapshot.config.next_hops, [&](const NextHopConfig& next_hop) {
    if (next_hop.zone != Zone::kInside) return false;
    return std::ranges::any_of(next_hop.targets, [&](const NextHopTarget& target) {
      if (target.is_named()) return EqualsHost(target.host, contact.host);
      return address.has_value() && target.address.Unmapped() == address->Unmapped();
    });
  });
}

}  // namespace

TokenRights ReadTokenRights(const MessageView& request, const OwnRoutes& own,
                            const RequestOrigin& origin, const EdgeSnapshot& snapshot) {
  TokenRights rights;
  switch (own.token) {
    case OwnRoutes::Token::kNone:
      break;
    case OwnRoutes::Token::kPair:
      ReadPairRight(request, own, origin, snapshot, rights);
      break;
    case OwnRoutes::Token::kPath:
      ReadPathRight(request, own, origin, snapshot, rights);
      break;
  }
  return rights;
}

ExcuseOutcome ReadExcuse(const MessageView& request, const OwnRoutes& own,
                         const TokenRights& rights, const EdgeSnapshot& snapshot,
                         int64_t now_seconds) {
  if (rights.route != RouteRight::kToInsideTarget || !MayBeExcused(request.method())) {
    return ExcuseOutcome::kNone;
  }
  const auto token = FindParam(own.first.params, kDialogParameter);
  UriListDigest routes;
  if (!token.has_value()) return ExcuseOutcome::kNone;
  ForEachRouteLeft(request, own, [&routes](const Uri& uri) { return routes.Add(uri); });
  if (!routes.ok()) return ExcuseOutcome::kNone;
  const std::array<uint8_t, 32> route_set = routes.digest();
  const DialogFacts facts{.near = &request.to().uri,
                          .far = &request.from().uri,
                          .contact = &own.request_uri,
                          .route_set = &route_set};
  switch (snapshot.dialog_tokens.Check(*token, facts, rights.pair, rights.key, now_seconds)) {
    case DialogTokenOutcome::kForged:
      return ExcuseOutcome::kNone;
    case DialogTokenOutcome::kExpired:
      return ExcuseOutcome::kExpired;
    case DialogTokenOutcome::kOtherContact:
      return MayNameOther(request, own, snapshot) ? ExcuseOutcome::kExcused : ExcuseOutcome::kNone;
    case DialogTokenOutcome::kExact:
      return ExcuseOutcome::kExcused;
  }
  return ExcuseOutcome::kNone;
}

bool BearsMark(const MessageView& request, const EdgeSnapshot& snapshot) {
  const DialogId dialog = DialogIdOf(request.call_id(), request.from().tag);
  return HasMarkedVia(request, snapshot.branches) ||
         FirstPairOf(request, dialog, snapshot).has_more;
}

DialogTokenGrant MayIssue(const MessageView& request, const DialogId& dialog,
                          const core::SocketAddress& source, const EdgeSnapshot& snapshot) {
  DialogTokenGrant grant;
  Uri contact;
  if (!ReadContact(request, contact) || snapshot.names.LeadsToUs(contact)) return grant;
  UriListDigest routes;
  const bool is_readable =
      ForEachRecordRoute(request, [&routes](const Uri& uri) { return routes.Add(uri); });
  if (!is_readable || !routes.ok()) return grant;
  const FirstPair first = FirstPairOf(request, dialog, snapshot);
  const bool began_outside = first.has_more || HasMarkedVia(request, snapshot.branches);
  if (began_outside && (!first.is_valid || IsInsideTarget(contact, source, snapshot))) return grant;
  const std::array<uint8_t, 32> route_set = routes.digest();
  const auto claim = snapshot.dialog_tokens.ClaimOf({.near = &request.from().uri,
                                                     .far = &request.to().uri,
                                                     .contact = &contact,
                                                     .route_set = &route_set});
  grant.is_granted = claim.has_value();
  if (grant.is_granted) grant.claim = *claim;
  return grant;
}

}  // namespace sallyport::sip
