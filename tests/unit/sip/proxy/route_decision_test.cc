#include "sip/proxy/route_decision.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "sip/message/message_parser.h"
#include "tests/support/signed_lines.h"
#include "tests/support/snapshot_of.h"

namespace sallyport::sip {
namespace {

constexpr char kConfig[] = R"(
[edge]
domain = "edge.example"
domains = ["edge.example", "voice.example", "[2001:db8::10]"]
admin = ""
[tls.federation]
certificate = "edge.pem"
trusted-ca = "ca.pem"
[[listener]]
name = "federation"
address = "127.0.0.1:5061"
zone = "outside"
[[listener]]
name = "second"
address = "127.0.0.1:5071"
advertise = "192.0.2.1:5071"
zone = "outside"
[[listener]]
name = "core"
address = "127.0.0.1:5070"
transport = "udp"
zone = "inside"
[[listener]]
name = "core-tcp"
address = "127.0.0.1:5072"
transport = "tcp"
zone = "inside"
[[next-hop]]
name = "core"
zone = "inside"
targets = ["udp:127.0.0.1:5080"]
[[next-hop]]
name = "partner"
zone = "outside"
targets = ["tls:b.example"]
[[next-hop]]
name = "premium"
zone = "inside"
targets = ["udp:127.0.0.1:5081"]
[[route]]
zone = "outside"
user = "+1900*"
next-hop = "premium"
[[route]]
zone = "outside"
user = "urn:service:*"
next-hop = "premium"
[[route]]
zone = "inside"
domain = "b.example"
next-hop = "partner"
)";

const EdgeSnapshot& Snapshot() {
  static const std::unique_ptr<const EdgeSnapshot> snapshot =
      test::SnapshotOf(kConfig, test::SecretOf(test::kOldKey));
  return *snapshot;
}

const test::Dialog kDialog{"c", "1"};

struct Asked {
  std::string method = "INVITE";
  std::string uri = "sip:bob@edge.example";
  std::string headers = "";
  int max_forwards = 70;
  Zone from = Zone::kOutside;
  std::string to_tag = "";
  std::string from_tag = "1";
};

// What was decided, free of what it borrows.
struct Decided {
  RouteKind kind;
  ReasonCode reason;
  size_t next_hop;
  bool drops_routes;
  bool is_subscription_lost;
  DialogSide far;
  uint32_t own_routes;
  std::string cause;  // Of a refusal; HOST where it goes on after the Request-URI's host.
};

Decided Decide(const Asked& asked, const EdgeSnapshot& snapshot = Snapshot()) {
  const std::string wire = asked.method + " " + asked.uri +
                           " SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
                           "From: <sip:alice@a.example>;tag=" +
                           asked.from_tag + "\r\nTo: <sip:bob@edge.example>" +
                           (asked.to_tag.empty() ? "" : ";tag=" + asked.to_tag) +
                           "\r\nCall-ID: c\r\nCSeq: 1 " + asked.method +
                           "\r\nMax-Forwards: " + std::to_string(asked.max_forwards) + "\r\n" +
                           asked.headers + "Content-Length: 0\r\n\r\n";
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  const PeerStanding standing = test::StandingOf({"a.example"});
  const OwnRoutes own = ReadOwnRoutes(request, snapshot.names, asked.from);
  const RequestOrigin origin{asked.from, 0, &standing};
  const TokenRights rights = ReadTokenRights(request, own, origin, snapshot);
  const RouteDecision decision = DecideRoute(request, asked.from, own, rights, snapshot);
  return {decision.kind,
          decision.reason,
          decision.next_hop,
          decision.drops_routes,
          decision.is_subscription_lost,
          rights.far,
          own.count,
          (decision.names_host ? "HOST " : "") + std::string(decision.cause)};
}

constexpr RecordRouteUri kOutsidePlace{.host = "edge.example", .port = 5061};
constexpr RecordRouteUri kInsidePlace{
    .host = "edge.example", .port = 5070, .transport = TransportProtocol::kUdp};
constexpr RecordRouteUri kTcpPlace{
    .host = "edge.example", .port = 5072, .transport = TransportProtocol::kTcp};

DialogSide Alice(const EdgeSnapshot& snapshot = Snapshot()) {
  return test::OutsideSide(snapshot.pairs.parties().Seal(test::DomainPartyOf("a.example")));
}

// Alice calls bob.
test::PairUris CallPair(const EdgeSnapshot& snapshot = Snapshot()) {
  return test::WritePair(snapshot.pairs, {Alice(snapshot), test::InsideSide()}, kDialog,
                         kOutsidePlace, kInsidePlace);
}

// One server inside calls another, over two listeners of ours.
test::PairUris InsidePair() {
  return test::WritePair(Snapshot().pairs,
                         {test::InsideSide("127.0.0.1:5080"), test::InsideSide("127.0.0.1:5081")},
                         kDialog, kTcpPlace, kInsidePlace);
}

std::string RouteOf(const std::string& values) { return "Route: " + values + "\r\n"; }

// From inside, in the dialog that alice began: bob's side speaks.
Asked FromBob(const std::string& method, const std::string& uri, const std::string& headers) {
  return {.method = method,
          .uri = uri,
          .headers = headers,
          .from = Zone::kInside,
          .to_tag = "1",
          .from_tag = "2"};
}

// A pair with a key that is no longer in the secret.
std::unique_ptr<const EdgeSnapshot> AfterRotation() {
  return test::SnapshotOf(kConfig, test::SecretOf(test::kNewKey));
}

TEST(RouteDecisionTest, OurDomainsAndAdvertisedNamesGoInside) {
  for (const char* uri : {"sip:bob@edge.example", "sip:bob@EDGE.Example", "sip:bob@voice.example:9",
                          "sips:bob@edge.example", "sip:edge.example", "sip:bob@192.0.2.1",
                          "sip:bob@edge.example:5061", "sip:bob@[2001:DB8:0::0010]:5070"}) {
    EXPECT_EQ(Decide({.uri = uri}).kind, RouteKind::kNextHop) << uri;
  }
}

TEST(RouteDecisionTest, Rfc3261_16_5_EverythingElseIsRelaying) {
  for (const char* uri :
       {"sip:bob@other.example", "sip:bob@sub.edge.example", "sip:bob@edge.example.com",
        "sip:bob@192.0.2.2", "sip:edge.example@other.example",
        "sip:bob@other.example;maddr=192.0.2.1",
        // Names of inside listeners alone: they would lead back to us as if from inside.
        "sip:bob@edge.example:5070", "sip:bob@edge.example:5072", "sip:bob@127.0.0.1:5070"}) {
    const Decided decided = Decide({.uri = uri});
    EXPECT_EQ(decided.kind, RouteKind::kRefuse) << uri;
    EXPECT_EQ(decided.reason, ReasonCode::kRelay) << uri;
  }
}

TEST(RouteDecisionTest, RelayingIsRefusedWithItsCause) {
  const auto cause = [](const char* uri) { return Decide({.uri = uri}).cause; };
  EXPECT_EQ(cause("sip:bob@p1.example"), "HOST is not one of domains");
  EXPECT_EQ(cause("sip:bob@sub.edge.example"), "HOST is not one of domains");
  EXPECT_EQ(cause("sip:bob@edge.example:5070"), "the Request-URI names a port that is not served");
  EXPECT_EQ(cause("sip:bob@edge.example;maddr=10.0.0.5"),
            "maddr of the Request-URI names another address");
}

// A Route that names us is taken off; it opens no way to a target that is not ours.
TEST(RouteDecisionTest, OwnRouteIsRemovedAndGrantsNothing) {
  const Decided ours = Decide({.headers = "Route: <sip:edge.example:5061;lr>\r\n"});
  EXPECT_EQ(ours.kind, RouteKind::kNextHop);
  EXPECT_EQ(ours.own_routes, 1U);
  EXPECT_EQ(Decide({.uri = "sip:bob@other.example", .headers = "Route: <sip:edge.example;lr>\r\n"})
                .reason,
            ReasonCode::kRelay);
  EXPECT_EQ(Decide({.headers = "Route: <sip:other.example;lr>\r\n"}).own_routes, 0U);
  EXPECT_EQ(Decide({.headers = "Route: <sip:edge.example:5999;lr>\r\n"}).own_routes, 0U);
}

// Without a right every Route value of the outside goes, whatever it names.
TEST(RouteDecisionTest, RoutesOfTheOutsideGoNoFurtherWithoutAPairOfOurs) {
  EXPECT_FALSE(Decide({}).drops_routes);
  for (const std::string& routes :
       {std::string("<sip:edge.example:5061;lr>"),
        std::string("<sip:edge.example:5061;lr>, <sip:203.0.113.66;lr>"),
        std::string("<sip:edge.example:5061;lr>\r\nRoute: <sip:other.example;lr>"),
        std::string("<sip:other.example;lr>"),
        std::string("<sip:edge.example:5070;lr>"),  // An inside listener's.
        CallPair().FromCaller(), CallPair().FromCallee() + ", <sip:other.example;lr>"}) {
    const Decided decided = Decide({.headers = RouteOf(routes)});
    EXPECT_EQ(decided.kind, RouteKind::kNextHop) << routes;
    EXPECT_TRUE(decided.drops_routes) << routes;
  }
  EXPECT_FALSE(
      Decide({.headers = "Route: <sip:c.example;lr>\r\n", .from = Zone::kInside}).drops_routes);
  EXPECT_EQ(Decide({.uri = "sip:bob@edge.example;maddr=10.0.0.5"}).reason, ReasonCode::kRelay);
  EXPECT_EQ(Decide({.uri = "sip:bob@edge.example;maddr=192.0.2.1"}).kind, RouteKind::kNextHop);
}

// Somebody inside who knows us by the address that we listen on: an outbound proxy, say.
TEST(RouteDecisionTest, Rfc3261_16_4_AddressThatWeListenOnIsUs) {
  for (const char* own :
       {"sip:127.0.0.1:5070;lr", "sip:127.0.0.1:5070;transport=tcp;lr", "sip:127.0.0.1:5071;lr",
        "sip:127.0.0.1;transport=tls;lr", "sips:127.0.0.1;lr"}) {
    const Decided decided = Decide({.uri = "sip:carol@b.example",
                                    .headers = "Route: <" + std::string(own) + ">\r\n",
                                    .from = Zone::kInside});
    EXPECT_EQ(decided.own_routes, 1U) << own;
    EXPECT_EQ(decided.kind, RouteKind::kNextHop) << own;
    EXPECT_EQ(decided.next_hop, 1U) << own;
  }
  for (const char* other : {"sip:127.0.0.1:5079;lr", "sip:127.0.0.2:5070;lr", "sip:127.0.0.1;lr"}) {
    EXPECT_EQ(Decide({.uri = "sip:carol@b.example",
                      .headers = "Route: <" + std::string(other) + ">\r\n",
                      .from = Zone::kInside})
                  .kind,
              RouteKind::kLocate)
        << other;
  }
  EXPECT_EQ(Decide({.method = "OPTIONS", .uri = "sip:127.0.0.1:5070", .from = Zone::kInside}).kind,
            RouteKind::kAnswerItself);
  const Decided bob = Decide({.uri = "sip:bob@127.0.0.1:5070", .from = Zone::kInside});
  EXPECT_EQ(bob.kind, RouteKind::kNextHop);
  EXPECT_EQ(bob.next_hop, 0U);
  // It is none of our domains: nobody outside is let in by it.
  EXPECT_EQ(Decide({.uri = "sip:bob@127.0.0.1:5061"}).reason, ReasonCode::kRelay);
}

TEST(RouteDecisionTest, TelephoneNumbersGoWhereARouteTakesThem) {
  EXPECT_EQ(Decide({.uri = "tel:+1-900-5"}).next_hop, 2U);
  EXPECT_EQ(Decide({.uri = "tel:+1-800-5"}).reason, ReasonCode::kUriScheme);
  EXPECT_EQ(Decide({.uri = "tel:+1-900-5", .from = Zone::kInside}).reason, ReasonCode::kUriScheme);
  EXPECT_EQ(Decide({.uri = "tel:+1-900-5",
                    .headers = "Route: <sip:c.example;lr>\r\n",
                    .from = Zone::kInside})
                .kind,
            RouteKind::kLocate);
}

TEST(RouteDecisionTest, UrnsGoWhereARouteTakesThem) {
  EXPECT_EQ(Decide({.uri = "urn:service:sos.fire"}).next_hop, 2U);
  EXPECT_EQ(Decide({.uri = "URN:Service:SOS"}).kind, RouteKind::kNextHop);
  for (const Zone from : {Zone::kOutside, Zone::kInside}) {
    const Decided refused = Decide({.uri = "urn:nena:service:sos", .from = from});
    EXPECT_EQ(refused.kind, RouteKind::kRefuse);
    EXPECT_EQ(refused.reason, ReasonCode::kUriScheme);
  }
  EXPECT_EQ(Decide({.uri = "urn:service:sos",
                    .headers = "Route: <sip:c.example;lr>\r\n",
                    .from = Zone::kInside})
                .kind,
            RouteKind::kLocate);
}

TEST(RouteDecisionTest, OptionsToUsWithoutHopsIsAnsweredHere) {
  const auto kind = [](const std::string& method, const std::string& uri, int hops) {
    return Decide({.method = method, .uri = uri, .max_forwards = hops}).kind;
  };
  EXPECT_EQ(kind("OPTIONS", "sip:edge.example", 0), RouteKind::kAnswerItself);
  EXPECT_EQ(kind("OPTIONS", "sip:edge.example", 1), RouteKind::kNextHop);
  EXPECT_EQ(kind("OPTIONS", "sip:bob@edge.example", 0), RouteKind::kNextHop);
  EXPECT_EQ(kind("OPTIONS", "sip:other.example", 0), RouteKind::kRefuse);
  EXPECT_EQ(kind("MESSAGE", "sip:edge.example", 0), RouteKind::kNextHop);
}

TEST(RouteDecisionTest, RoutesDecideInBothDirections) {
  EXPECT_EQ(Decide({}).next_hop, 0U);
  EXPECT_EQ(Decide({.uri = "sip:+1-900-5@edge.example;user=phone"}).next_hop, 2U);
  const Decided partner = Decide({.uri = "sip:carol@b.example", .from = Zone::kInside});
  EXPECT_EQ(partner.kind, RouteKind::kNextHop);
  EXPECT_EQ(partner.next_hop, 1U);
  EXPECT_EQ(Decide({.uri = "sip:carol@c.example", .from = Zone::kInside}).kind, RouteKind::kLocate);
  EXPECT_EQ(Decide({.uri = "sip:bob@edge.example", .from = Zone::kInside}).next_hop, 0U);
  EXPECT_EQ(Decide({.method = "OPTIONS", .uri = "sip:edge.example", .from = Zone::kInside}).kind,
            RouteKind::kAnswerItself);
  // RFC 3261 §16.6 step 7: a Route that is left is where it goes, whatever the Request-URI.
  EXPECT_EQ(Decide({.uri = "sip:carol@b.example",
                    .headers = "Route: <sip:c.example;lr>\r\n",
                    .from = Zone::kInside})
                .kind,
            RouteKind::kLocate);
}

// -- Path ----------------------------------------------------------------------------------------

std::string PathValue() {
  const PathToken token{{.process = 7, .shard = 1, .listener = 0, .connection = {7, 3}},
                        Snapshot().pairs.parties().Seal(test::DomainPartyOf("a.example"))};
  return "<" + test::PathUri(Snapshot().path_tokens, token, kInsidePlace) + ">";
}

TEST(RouteDecisionTest, Rfc5626_5_3_PathTokensDecideFromTheInsideOnly) {
  const Decided flow =
      Decide({.uri = "sip:x@192.0.2.9", .headers = RouteOf(PathValue()), .from = Zone::kInside});
  EXPECT_EQ(flow.kind, RouteKind::kFlow);
  EXPECT_EQ(flow.far.flow.connection, (ConnectionId{7, 3}));
  // From outside it is an own value without right.
  const Decided outside = Decide({.headers = RouteOf(PathValue())});
  EXPECT_EQ(outside.kind, RouteKind::kNextHop);
  EXPECT_TRUE(outside.drops_routes);
  EXPECT_EQ(Decide({.uri = "sip:x@192.0.2.9", .headers = RouteOf(PathValue())}).reason,
            ReasonCode::kRelay);
}

TEST(RouteDecisionTest, Rfc5626_5_3_ForgedPathIsRefusedAndSoIsOneWithinADialog) {
  std::string forged = PathValue();
  forged[8] = forged[8] == 'A' ? 'B' : 'A';
  const Decided other =
      Decide({.uri = "sip:x@192.0.2.9", .headers = RouteOf(forged), .from = Zone::kInside});
  EXPECT_EQ(other.kind, RouteKind::kRefuse);
  EXPECT_EQ(other.reason, ReasonCode::kFlowToken);
  const Decided in_dialog = Decide(FromBob("MESSAGE", "sip:x@192.0.2.9", RouteOf(PathValue())));
  EXPECT_EQ(in_dialog.kind, RouteKind::kRefuse);
  EXPECT_EQ(in_dialog.reason, ReasonCode::kFlowToken);
}

// -- Pairs ---------------------------------------------------------------------------------------

TEST(RouteDecisionTest, PairLeadsTheOutsideToItsInsideTarget) {
  for (const char* uri :
       {"sip:bob@10.9.9.9", "sip:bob@edge.example", "sip:bob@other.example",
        "sip:bob@edge.example:5070", "sip:bob@b.example;maddr=192.0.2.66", "tel:+1900"}) {
    for (const char* below : {"", ", <sip:other.example;lr>"}) {
      const Decided decided = Decide({.method = "BYE",
                                      .uri = uri,
                                      .headers = RouteOf(CallPair().FromCaller() + below),
                                      .to_tag = "2"});
      EXPECT_EQ(decided.kind, RouteKind::kInsideTarget) << uri;
      EXPECT_EQ(decided.far, test::InsideSide()) << uri;
      EXPECT_FALSE(decided.drops_routes) << uri;
    }
  }
}

TEST(RouteDecisionTest, PairLeadsTheInsideToItsParty) {
  for (const char* uri : {"sip:alice@192.0.2.9", "sip:alice@a.example", "sip:bob@edge.example"}) {
    for (const char* below : {"", ", <sip:other.example;lr>"}) {
      const Decided decided = Decide(FromBob("BYE", uri, RouteOf(CallPair().FromCallee() + below)));
      EXPECT_EQ(decided.kind, RouteKind::kParty) << uri;
      EXPECT_EQ(decided.far, Alice()) << uri;
    }
  }
}

TEST(RouteDecisionTest, PairOfTwoInsideListenersStaysInside) {
  const Decided decided = Decide({.method = "BYE",
                                  .uri = "sip:bob@192.0.2.9",
                                  .headers = RouteOf(InsidePair().FromCaller()),
                                  .from = Zone::kInside,
                                  .to_tag = "2"});
  EXPECT_EQ(decided.kind, RouteKind::kInsideTarget);
  EXPECT_EQ(decided.far, test::InsideSide("127.0.0.1:5081"));
}

// Within a dialog only a pair leads out: an attacker's call that comes back from inside would else
// reach a place of his choice.
TEST(RouteDecisionTest, InDialogTheInsideNeverLeavesWithoutAPair) {
  const std::string other_dialogs = test::WritePair(Snapshot().pairs, {Alice(), test::InsideSide()},
                                                    {"other", "1"}, kOutsidePlace, kInsidePlace)
                                        .FromCallee();
  struct Case {
    std::string uri;
    std::string headers;
    ReasonCode reason;
  };
  for (const Case& c : std::vector<Case>{
           {"sip:carol@c.example", "", ReasonCode::kRelay},       // RFC 3263.
           {"sip:carol@192.0.2.9:5061", "", ReasonCode::kRelay},  // An address.
           {"sip:carol@b.example", "", ReasonCode::kRelay},       // A [[route]].
           {"sip:carol@c.example", RouteOf("<sip:p.example;lr>"), ReasonCode::kRelay},
           {"sip:bob@edge.example", RouteOf("<sip:p.example;lr>"), ReasonCode::kRelay},
           {"sip:carol@c.example", RouteOf("<sip:edge.example:5070;lr>"), ReasonCode::kRelay},
           // A pair below another value is none.
           {"sip:carol@c.example", RouteOf("<sip:p.example;lr>, " + CallPair().FromCallee()),
            ReasonCode::kRelay},
           // The pair of another dialog, of the other direction, a half, and one behind it.
           {"sip:carol@c.example", RouteOf(other_dialogs), ReasonCode::kFlowToken},
           {"sip:carol@c.example", RouteOf(other_dialogs + ", " + CallPair().FromCallee()),
            ReasonCode::kFlowToken},
           {"sip:carol@c.example", RouteOf("<" + CallPair().callee + ">"), ReasonCode::kFlowToken},
           {"sip:bob@edge.example", RouteOf(other_dialogs), ReasonCode::kFlowToken},
       }) {
    for (const char* method : {"INVITE", "BYE", "MESSAGE", "SUBSCRIBE", "OPTIONS"}) {
      const Decided decided = Decide(FromBob(method, c.uri, c.headers));
      EXPECT_EQ(decided.kind, RouteKind::kRefuse) << method << c.uri << c.headers;
      EXPECT_EQ(decided.reason, c.reason) << method << c.uri << c.headers;
      EXPECT_FALSE(decided.is_subscription_lost) << method << c.uri << c.headers;
    }
  }
}

TEST(RouteDecisionTest, InDialogTheInsideReachesTheInside) {
  const Decided inside = Decide(FromBob("BYE", "sip:carol@edge.example", ""));
  EXPECT_EQ(inside.kind, RouteKind::kNextHop);
  EXPECT_EQ(inside.next_hop, 0U);
  EXPECT_EQ(Decide(FromBob("OPTIONS", "sip:edge.example", "")).kind, RouteKind::kAnswerItself);
}

// Equal tags would make the caller his own callee.
TEST(RouteDecisionTest, PairNeedsTwoDifferentTags) {
  for (const char* to_tag : {"", "1"}) {
    const Decided outside = Decide({.method = "BYE",
                                    .uri = "sip:bob@10.9.9.9",
                                    .headers = RouteOf(CallPair().FromCaller()),
                                    .to_tag = to_tag});
    EXPECT_EQ(outside.reason, ReasonCode::kRelay) << to_tag;
    const Decided inside = Decide({.method = "BYE",
                                   .uri = "sip:alice@192.0.2.9",
                                   .headers = RouteOf(CallPair().FromCallee()),
                                   .from = Zone::kInside,
                                   .to_tag = to_tag});
    EXPECT_NE(inside.kind, RouteKind::kParty) << to_tag;
  }
}

// RFC 6665 §4.1.2.2: 481 makes the subscriber subscribe anew.
TEST(RouteDecisionTest, Rfc6665_4_1_2_2_SubscriptionWhosePairIsForgottenIsLost) {
  const std::unique_ptr<const EdgeSnapshot> after = AfterRotation();
  const test::PairUris old_pair = CallPair();
  for (const char* method : {"SUBSCRIBE", "NOTIFY", "INVITE", "BYE", "REFER"}) {
    const bool is_lost = method == std::string("SUBSCRIBE") || method == std::string("NOTIFY");
    const Decided inside =
        Decide(FromBob(method, "sip:alice@192.0.2.9", RouteOf(old_pair.FromCallee())), *after);
    EXPECT_EQ(inside.kind, RouteKind::kRefuse) << method;
    EXPECT_EQ(inside.reason, ReasonCode::kFlowToken) << method;
    EXPECT_EQ(inside.is_subscription_lost, is_lost) << method;
    const Asked from_alice{.method = method,
                           .uri = "sip:bob@10.9.9.9",
                           .headers = RouteOf(old_pair.FromCaller()),
                           .to_tag = "2"};
    const Decided outside = Decide(from_alice, *after);
    EXPECT_EQ(outside.kind, RouteKind::kRefuse) << method;
    EXPECT_EQ(outside.is_subscription_lost, is_lost) << method;
    EXPECT_EQ(outside.reason, is_lost ? ReasonCode::kFlowToken : ReasonCode::kRelay) << method;
    // What does not need it finds its way.
    Asked served = from_alice;
    served.uri = "sip:bob@edge.example";
    EXPECT_EQ(Decide(served, *after).kind, RouteKind::kNextHop) << method;
    // Forged is not forgotten.
    Asked forged = from_alice;
    forged.headers = RouteOf("<" + old_pair.callee + ">");
    EXPECT_FALSE(Decide(forged).is_subscription_lost) << method;
  }
}

}  // namespace
}  // namespace sallyport::sip
