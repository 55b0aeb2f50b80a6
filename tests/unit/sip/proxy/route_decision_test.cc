#include "sip/proxy/route_decision.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/message_parser.h"
#include "sip/proxy/edge_config.h"
#include "sip/proxy/served_names.h"
#include "tls/secret.h"

namespace sallyport::sip {
namespace {

const EdgeSnapshot& Snapshot() {
  static const EdgeSnapshot* const snapshot = [] {
    LoadOptions options;
    options.open_files = false;
    LoadedConfig loaded = LoadEdgeConfigText(R"(
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
zone = "inside"
domain = "b.example"
next-hop = "partner"
)",
                                             "test.toml", options);
    for (const core::Diagnostic& diagnostic : loaded.diagnostics) {
      EXPECT_NE(diagnostic.severity, core::Severity::kError) << core::FormatDiagnostic(diagnostic);
    }
    static const tls::Secret secret = tls::Secret::Generate();
    return new EdgeSnapshot(std::move(loaded.config), 1, {.secret = secret, .boot_epoch = 9});
  }();
  return *snapshot;
}

const ServedNames& Names() { return Snapshot().names; }

struct Asked {
  std::string method = "INVITE";
  std::string uri = "sip:bob@edge.example";
  std::string headers = "";
  int max_forwards = 70;
  Zone from = Zone::kOutside;
};

// What was decided, free of what it borrows.
struct Decided {
  RouteKind kind;
  ReasonCode reason;
  size_t next_hop;
  InsideTarget inside_target;
  FlowToken flow;
  std::string identity;
  uint32_t own_routes;
  bool drops_routes;
  TransportAddress member;
};

Decided Decide(const Asked& asked) {
  const std::string wire = asked.method + " " + asked.uri +
                           " SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
                           "From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@edge.example>\r\n"
                           "Call-ID: c\r\nCSeq: 1 " +
                           asked.method +
                           "\r\nMax-Forwards: " + std::to_string(asked.max_forwards) + "\r\n" +
                           asked.headers + "Content-Length: 0\r\n\r\n";
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  HopToken hop;
  const RouteDecision decision = DecideRoute(request, asked.from, Snapshot(), hop);
  return {decision.kind,          decision.reason,       decision.next_hop,
          decision.inside_target, decision.flow,         std::string(decision.identity),
          decision.own.count,     decision.drops_routes, decision.member};
}

std::string FlowUser(bool falls_back, uint64_t boot_epoch = 9) {
  static const tls::Secret secret = tls::Secret::Generate();
  const FlowToken token{
      .shard = 1, .connection = {7, 3}, .listener = 0, .peer_key = 42, .falls_back = falls_back};
  std::string text(FlowTokenSigner::kTextBytes, ' ');
  if (boot_epoch == 9) {
    Snapshot().flow_tokens.Write(token, text.data());
  } else {
    FlowTokenSigner(secret, "elsewhere", boot_epoch).Write(token, text.data());
  }
  return text;
}

std::string OwnRoute(const std::string& user, bool inside = true) {
  return "Route: <sip:" + user +
         (inside ? "@edge.example:5070" : "@edge.example:5061;transport=tls") + ";lr>\r\n";
}

TEST(RouteDecisionTest, OurDomainsAndAdvertisedNamesGoInside) {
  for (const char* uri : {"sip:bob@edge.example", "sip:bob@EDGE.Example", "sip:bob@voice.example:9",
                          "sips:bob@edge.example", "sip:edge.example", "sip:bob@192.0.2.1",
                          "sip:bob@[2001:DB8:0::0010]:5070"}) {
    EXPECT_EQ(Decide({.uri = uri}).kind, RouteKind::kNextHop) << uri;
  }
}

TEST(RouteDecisionTest, Rfc3261_16_5_EverythingElseIsRelaying) {
  for (const char* uri :
       {"sip:bob@other.example", "sip:bob@sub.edge.example", "sip:bob@edge.example.com",
        "sip:bob@192.0.2.2", "sip:edge.example@other.example",
        "sip:bob@other.example;maddr=192.0.2.1"}) {
    const Decided decided = Decide({.uri = uri});
    EXPECT_EQ(decided.kind, RouteKind::kRefuse) << uri;
    EXPECT_EQ(decided.reason, ReasonCode::kRelay) << uri;
  }
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

TEST(RouteDecisionTest, RoutesOfTheOutsideGoNoFurtherWithoutATokenOfOurs) {
  EXPECT_FALSE(Decide({.headers = "Route: <sip:edge.example:5061;lr>\r\n"}).drops_routes);
  for (const char* const routes :
       {"Route: <sip:edge.example:5061;lr>, <sip:203.0.113.66;lr>\r\n",
        "Route: <sip:edge.example:5061;lr>\r\nRoute: <sip:other.example;lr>\r\n",
        "Route: <sip:other.example;lr>\r\n"}) {
    EXPECT_EQ(Decide({.headers = routes}).kind, RouteKind::kNextHop) << routes;
    EXPECT_TRUE(Decide({.headers = routes}).drops_routes) << routes;
  }
  EXPECT_FALSE(
      Decide({.headers = "Route: <sip:c.example;lr>\r\n", .from = Zone::kInside}).drops_routes);
  EXPECT_EQ(Decide({.uri = "sip:bob@edge.example;maddr=10.0.0.5"}).reason, ReasonCode::kRelay);
  EXPECT_EQ(Decide({.uri = "sip:bob@edge.example;maddr=192.0.2.1"}).kind, RouteKind::kNextHop);
}

// Our Record-Route URIs have a token for a user; a request *for* the edge has none.
TEST(RouteDecisionTest, EdgeHostIsTheEdgeWhateverTheUser) {
  const auto parsed = [](std::string_view text) {
    Uri uri;
    EXPECT_EQ(ParseUri(text, uri), UriOutcome::kOk) << text;
    return uri;
  };
  const ServedNames names = Names();
  for (const char* uri : {"sip:token@edge.example:5061;lr", "sips:token@EDGE.example",
                          "sip:token@192.0.2.1:5071;lr"}) {
    EXPECT_TRUE(names.IsEdgeHost(parsed(uri))) << uri;
    EXPECT_TRUE(names.IsOwnRoute(parsed(uri))) << uri;
  }
  for (const char* uri : {"sip:token@edge.example:5062", "sip:token@voice.example:5061",
                          "sip:token@other.example", "tel:+1900"}) {
    EXPECT_FALSE(names.IsEdgeHost(parsed(uri))) << uri;
    EXPECT_FALSE(names.IsOwnRoute(parsed(uri))) << uri;
  }
  EXPECT_FALSE(names.IsEdgeHost(parsed("sip:token@voice.example")));
  EXPECT_TRUE(names.IsOwnRoute(parsed("sip:token@voice.example")));
  EXPECT_TRUE(names.IsOwnAddress("192.0.2.1", 5071));
  EXPECT_TRUE(names.IsOwnAddress("voice.example", 0));
  EXPECT_FALSE(names.IsOwnAddress("voice.example", 5061));
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
  EXPECT_EQ(Decide({.uri = "sip:bob@127.0.0.1:5070", .from = Zone::kInside}).next_hop, 0U);
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

TEST(RouteDecisionTest, Rfc5626_5_3_FlowTokensDecideFromTheInsideOnly) {
  const Decided flow = Decide(
      {.uri = "sip:x@192.0.2.9", .headers = OwnRoute(FlowUser(false)), .from = Zone::kInside});
  EXPECT_EQ(flow.kind, RouteKind::kFlow);
  EXPECT_EQ(flow.flow.connection, (ConnectionId{7, 3}));
  const Decided outside = Decide({.headers = OwnRoute(FlowUser(false), false)});
  EXPECT_EQ(outside.kind, RouteKind::kRefuse);
  EXPECT_EQ(outside.reason, ReasonCode::kFlowToken);
  const Decided forged = Decide({.headers = OwnRoute(FlowUser(false, 10)), .from = Zone::kInside});
  EXPECT_EQ(forged.reason, ReasonCode::kFlowToken);
}

TEST(RouteDecisionTest, RouteTokenNamesTheInsideTargetForTheOutside) {
  const InsideTarget target{.transport = TransportProtocol::kTcp,
                            .address = *core::SocketAddress::Parse("10.0.0.9:5060"),
                            .secure = false,
                            .next_hop = 0};
  std::string user(RouteTokenSigner::kTextBytesMax, ' ');
  user.resize(Snapshot().route_tokens.Write(target, user.data()));
  const Decided decided = Decide({.uri = "sip:bob@10.9.9.9", .headers = OwnRoute(user, false)});
  EXPECT_EQ(decided.kind, RouteKind::kInsideTarget);
  EXPECT_EQ(decided.inside_target, target);
}

TEST(RouteDecisionTest, HopTokenRemembersNextHopOrIdentity) {
  std::string user(HopTokenSigner::kTextBytesMax, ' ');
  const TransportAddress member{TransportProtocol::kTls,
                                *core::SocketAddress::Parse("[2001:db8::1]:5061")};
  user.resize(Snapshot().hop_tokens.Write(NextHopNameHash("partner"), member, "", user.data()));
  const Decided partner =
      Decide({.uri = "sip:carol@192.0.2.9", .headers = OwnRoute(user), .from = Zone::kInside});
  EXPECT_EQ(partner.kind, RouteKind::kNextHop);
  EXPECT_EQ(partner.next_hop, 1U);
  EXPECT_EQ(partner.member, member);
  user.resize(HopTokenSigner::kTextBytesMax);
  user.resize(Snapshot().hop_tokens.Write(0, {}, "c.example", user.data()));
  const Decided located =
      Decide({.uri = "sip:carol@192.0.2.9", .headers = OwnRoute(user), .from = Zone::kInside});
  EXPECT_EQ(located.kind, RouteKind::kLocate);
  EXPECT_EQ(located.identity, "c.example");
}

}  // namespace
}  // namespace sallyport::sip
