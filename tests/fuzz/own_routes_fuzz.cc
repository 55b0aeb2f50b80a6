// What routing reads of a request from either zone, and its edits: own Route values, strict routers
// on both sides, Max-Breadth, RFC 5626. What goes out parses to the same From, To, Call-ID and
// CSeq, has the Route values that were said to be left, in their order, and no bare value of ours
// on top unless a pair or Path value stood above it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "sip/message/message_parser.h"
#include "sip/proxy/max_breadth.h"
#include "sip/proxy/own_routes.h"
#include "sip/proxy/registration.h"

namespace sallyport::sip {
namespace {

const ServedNames& Names() {
  static const ServedNames names(
      {"edge.example", "voice.example"},
      {{"edge.example", 5061}, {"192.0.2.1", 5071}, {"core.example", 5070, Zone::kInside}});
  return names;
}

using EditRoutes = void (*)(const MessageView&, const OwnRoutes&, MessageEdit&);

// `out` views `wire`.
void Forward(const MessageView& request, const OwnRoutes& routes, EditRoutes edit_routes,
             std::string& wire, MessageView& out) {
  static MessageEdit edit;
  edit.Reset(request.bytes());
  edit_routes(request, routes, edit);
  const MaxBreadthOutcome breadth = ReadMaxBreadth(request);
  if (breadth != MaxBreadthOutcome::kMalformed) EditMaxBreadth(request, edit);
  CHECK(edit.ok());
  wire.resize(edit.size());
  CHECK(edit.CopyTo(wire) == wire.size());
  CHECK(ParseMessage(wire, Framing::kDatagram, out) == ParseOutcome::kOk);
  CHECK(out.from().uri_text == request.from().uri_text && out.to().tag == request.to().tag);
  CHECK(out.call_id() == request.call_id() && out.cseq().number == request.cseq().number);
  CHECK(out.body() == request.body());
  if (breadth != MaxBreadthOutcome::kMalformed && breadth != MaxBreadthOutcome::kExhausted) {
    CHECK(ReadMaxBreadth(out) == MaxBreadthOutcome::kOk);
  }
}

std::vector<std::string> LeftOf(const MessageView& request, const OwnRoutes& routes) {
  std::vector<std::string> left;
  ForEachRouteLeft(request, routes, [&left](const Uri& uri) {
    left.emplace_back(uri.whole);
    return true;
  });
  return left;
}

void CheckRead(const MessageView& request, const OwnRoutes& routes) {
  const std::vector<std::string> left = LeftOf(request, routes);
  CHECK(left.size() == routes.total - routes.count - (routes.strict_fixup ? 1 : 0));
  CHECK(routes.has_route_left == !left.empty());
  if (!left.empty()) CHECK(left.front() == routes.next_route);
  CHECK(routes.count <= kOwnRoutesMax + 2);
  CHECK(!routes.has_second || routes.token == OwnRoutes::Token::kPair);
  CHECK(!routes.strict_fixup || routes.token == OwnRoutes::Token::kPair);
}

void CheckForwarded(const MessageView& request, const OwnRoutes& routes, Zone from) {
  static MessageView out;
  std::string wire;
  const std::vector<std::string> left = LeftOf(request, routes);
  Forward(request, routes, EditOwnRoutes, wire, out);
  OwnRoutes again = ReadOwnRoutes(out, Names(), from, StrictRoutes::kIgnored);
  CHECK(!again.malformed && again.total == left.size() && !again.strips_maddr);
  if (routes.token == OwnRoutes::Token::kNone && routes.count < kOwnRoutesMax) {
    CHECK(again.count == 0 && again.next_route == routes.next_route);
  }
  again.count = 0;
  CHECK(LeftOf(out, again) == left);
  if (!routes.has_route_left) return;
  Forward(request, routes, EditForStrictNextHop, wire, out);
  CHECK(ReadOwnRoutes(out, Names(), from).total == left.size());
  CHECK(routes.next_route.starts_with(out.request_uri()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static MessageView request;
  const std::string wire(reinterpret_cast<const char*>(data), size);
  if (ParseMessage(wire, Framing::kDatagram, request) != ParseOutcome::kOk) return 0;
  if (!request.is_request() || request.headers().size() >= kHeadersMax - 1) return 0;
  static_cast<void>(ReadRegistration(request));
  static_cast<void>(WantsOutboundFlow(request));
  for (const Zone from : {Zone::kOutside, Zone::kInside}) {
    for (const StrictRoutes strict : {StrictRoutes::kUndone, StrictRoutes::kIgnored}) {
      const OwnRoutes routes = ReadOwnRoutes(request, Names(), from, strict);
      if (routes.malformed) return 0;
      CheckRead(request, routes);
      CheckForwarded(request, routes, from);
    }
  }
  return 0;
}

}  // namespace sallyport::sip
