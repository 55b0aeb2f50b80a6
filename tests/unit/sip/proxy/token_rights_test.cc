// Goal: what our own lines are good for, and for nothing else. Method: pairs, Path values and
// dialog tokens as an edge writes them, in requests that differ in one thing from the one they are
// good for.
#include "sip/proxy/token_rights.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sip/message/message_parser.h"
#include "sip/message/name_addr.h"
#include "sip/proxy/canonical_uri.h"
#include "tests/support/signed_lines.h"
#include "tests/support/snapshot_of.h"

namespace sallyport::sip {
namespace {

using test::Dialog;
using test::DomainPartyOf;
using test::InsideSide;
using test::PairUris;
using test::SecretOf;
using test::StandingOf;

constexpr char kConfig[] = R"(
[edge]
domain = "edge.example"
domains = ["edge.example", "voice.example"]
admin = ""
[tls.federation]
certificate = "edge.pem"
trusted-ca = "ca.pem"
[[listener]]
name = "federation"
address = "192.0.2.10:5061"
zone = "outside"
[[listener]]
name = "second"
address = "192.0.2.10:5071"
advertise = "192.0.2.1:5071"
zone = "outside"
[[listener]]
name = "same-host"
address = "192.0.2.10:5062"
zone = "outside"
[[listener]]
name = "same-port"
address = "192.0.2.11:5061"
advertise = "192.0.2.1:5061"
zone = "outside"
[[listener]]
name = "core"
address = "10.0.0.1:5070"
transport = "udp"
zone = "inside"
allow = ["10.0.0.0/24"]
[[listener]]
name = "core-tcp"
address = "10.0.0.1:5072"
transport = "tcp"
zone = "inside"
allow = ["10.0.0.0/24"]
[[next-hop]]
name = "core"
zone = "inside"
targets = ["udp:10.0.0.5:5060", "udp:10.9.0.5:5060"]
[[next-hop]]
name = "named"
zone = "inside"
targets = ["tcp:k.inside.example:5080"]
[[next-hop]]
name = "partner"
zone = "outside"
targets = ["tls:pbx.b.example"]
)";
constexpr uint32_t kFederation = 0;
constexpr uint32_t kSecond = 1;
constexpr uint32_t kSameHost = 2;
constexpr uint32_t kSamePort = 3;
constexpr int64_t kNow = 1'800'000'000;

std::unique_ptr<const EdgeSnapshot> SnapshotWith(const tls::Secret& secret,
                                                 uint64_t boot_epoch = 9) {
  return test::SnapshotOf(kConfig, secret, boot_epoch);
}

const EdgeSnapshot& Snapshot() {
  static const std::unique_ptr<const EdgeSnapshot> snapshot = SnapshotWith(SecretOf(test::kOldKey));
  return *snapshot;
}

constexpr RecordRouteUri kOutsidePlace{.host = "edge.example", .port = 5061};
constexpr RecordRouteUri kSecondPlace{.host = "192.0.2.1", .port = 5071};
constexpr RecordRouteUri kInsidePlace{
    .host = "edge.example", .port = 5070, .transport = TransportProtocol::kUdp};
constexpr RecordRouteUri kTcpPlace{
    .host = "edge.example", .port = 5072, .transport = TransportProtocol::kTcp};

SealedParty Sealed(const Party& party, const EdgeSnapshot& snapshot = Snapshot()) {
  return snapshot.pairs.parties().Seal(party);
}

// -- Requests ------------------------------------------------------------------------------------

struct Asked {
  std::string method = "BYE";
  std::string uri = "sip:bob@10.0.0.77:5060";
  std::string from = "sip:alice@a.example";
  std::string from_tag = "caller-tag";
  std::string to = "sip:bob@edge.example";
  std::string to_tag = "callee-tag";
  std::string call_id = "call-1";
  std::string route = "";    // The values, or several lines without the first name.
  std::string headers = "";  // Whole lines.
  Zone zone = Zone::kOutside;
  uint32_t listener = kFederation;
};

std::string WireOf(const Asked& asked) {
  return asked.method + " " + asked.uri +
         " SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <" +
         asked.from + ">;tag=" + asked.from_tag + "\r\nTo: <" + asked.to + ">" +
         (asked.to_tag.empty() ? "" : ";tag=" + asked.to_tag) + "\r\nCall-ID: " + asked.call_id +
         "\r\nCSeq: 1 " + asked.method + "\r\n" +
         (asked.route.empty() ? "" : "Route: " + asked.route + "\r\n") + asked.headers +
         "Content-Length: 0\r\n\r\n";
}

// A request and what the edge reads of it, as OnRequest does.
struct Request {
  explicit Request(const Asked& asked, const PeerStanding* standing = nullptr,
                   const EdgeSnapshot& at = Snapshot())
      : wire(WireOf(asked)), snapshot(at) {
    EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk) << wire;
    own = ReadOwnRoutes(view, snapshot.names, asked.zone);
    EXPECT_FALSE(own.malformed) << wire;
    rights = ReadTokenRights(view, own, {asked.zone, asked.listener, standing}, snapshot);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] ExcuseOutcome Excuse(int64_t now = kNow) const {
    return ReadExcuse(view, own, rights, snapshot, now);
  }

  const std::string wire;
  const EdgeSnapshot& snapshot;
  MessageView view;
  OwnRoutes own;
  TokenRights rights;
};

// -- Calls ---------------------------------------------------------------------------------------

PeerStanding Alices() { return StandingOf({"a.example"}); }

// Alice calls bob: from outside to the inside.
DialogPair CallIn(const EdgeSnapshot& snapshot = Snapshot()) {
  return {test::OutsideSide(Sealed(DomainPartyOf("a.example"), snapshot)),
          InsideSide("10.0.0.5:5060")};
}

PairUris WriteCallIn(const EdgeSnapshot& snapshot = Snapshot(), const Dialog& dialog = {}) {
  return test::WritePair(snapshot.pairs, CallIn(snapshot), dialog, kOutsidePlace, kInsidePlace);
}

// A server inside calls alice: we dial.
DialogPair CallOut() {
  DialogSide alice;
  alice.zone = Zone::kOutside;
  alice.target = test::TargetOf(TransportProtocol::kTls, "192.0.2.99:5061");
  alice.next_hop = NextHopNameHash("partner");
  alice.party = Sealed(DomainPartyOf("a.example"));
  return {InsideSide("10.0.0.5:5060"), alice};
}

// Another pass of the same dialog, to another target.
PairUris OtherCallIn() {
  DialogPair pair = CallIn();
  pair.callee = InsideSide("10.9.0.5:5060");
  return test::WritePair(Snapshot().pairs, pair, {}, kOutsidePlace, kInsidePlace);
}

PairUris WriteCallOut(const Dialog& dialog = {}) {
  return test::WritePair(Snapshot().pairs, CallOut(), dialog, kInsidePlace, kOutsidePlace);
}

// In the call in, by alice's side and by bob's; in the call out, by alice, the callee.
Asked ByCaller(const PairUris& pair) { return {.route = pair.FromCaller()}; }
Asked ByInsideCallee(const PairUris& pair) {
  return {.from_tag = "callee-tag",
          .to_tag = "caller-tag",
          .route = pair.FromCallee(),
          .zone = Zone::kInside};
}
Asked ByOutsideCallee(const PairUris& pair) {
  return {.from_tag = "callee-tag", .to_tag = "caller-tag", .route = pair.FromCallee()};
}
Asked ByInsideCaller(const PairUris& pair) {
  return {.route = pair.FromCaller(), .zone = Zone::kInside};
}

constexpr const char* kMethods[] = {"INVITE",  "ACK",   "BYE",       "CANCEL", "REGISTER",
                                    "OPTIONS", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH",
                                    "INFO",    "REFER", "MESSAGE",   "UPDATE", "PING"};

void ExpectNone(const Request& request, RouteFault fault, const std::string& what) {
  EXPECT_EQ(request.rights.route, RouteRight::kNone) << what;
  EXPECT_EQ(request.rights.fault, fault) << what;
  EXPECT_FALSE(request.rights.is_by_pair) << what;
  EXPECT_EQ(request.rights.far, DialogSide()) << what;
  EXPECT_EQ(request.Excuse(), ExcuseOutcome::kNone) << what;
}

// -- Each right ----------------------------------------------------------------------------------

TEST(TokenRightsTest, FromOutsideAPairLeadsToItsInsideTarget) {
  const PeerStanding standing = Alices();
  for (const std::string method : kMethods) {
    for (const bool by_caller : {true, false}) {
      const PairUris pair = by_caller ? WriteCallIn() : WriteCallOut();
      Asked asked = by_caller ? ByCaller(pair) : ByOutsideCallee(pair);
      asked.method = method;
      const Request request(asked, &standing);
      if (method == "REGISTER") {  // No request of a dialog: RFC 3261 section 10.2.
        ExpectNone(request, RouteFault::kNone, method);
        continue;
      }
      EXPECT_EQ(request.rights.route, RouteRight::kToInsideTarget) << method;
      EXPECT_EQ(request.rights.fault, RouteFault::kNone) << method;
      EXPECT_TRUE(request.rights.is_by_pair);
      EXPECT_FALSE(request.rights.is_single);
      EXPECT_EQ(request.rights.far, InsideSide("10.0.0.5:5060"));
      EXPECT_EQ(request.rights.near_party, Sealed(DomainPartyOf("a.example")));
      EXPECT_EQ(request.rights.pair, pair.mac);
      EXPECT_EQ(request.rights.key, 0U);
    }
  }
}

TEST(TokenRightsTest, FromInsideAPairLeadsToItsParty) {
  const Request by_callee(ByInsideCallee(WriteCallIn()));
  EXPECT_EQ(by_callee.rights.route, RouteRight::kToParty);
  EXPECT_EQ(by_callee.rights.far, CallIn().caller);
  EXPECT_TRUE(by_callee.rights.is_by_pair);
  const Request by_caller(ByInsideCaller(WriteCallOut()));
  EXPECT_EQ(by_caller.rights.route, RouteRight::kToParty);
  EXPECT_EQ(by_caller.rights.far, CallOut().callee);
}

TEST(TokenRightsTest, PairOfTwoInsideListenersLeadsToItsOtherSide) {
  const DialogPair pair{InsideSide("10.0.0.5:5060"), InsideSide("10.9.0.5:5060")};
  for (const bool is_single : {false, true}) {
    const PairUris uris = test::WritePair(Snapshot().pairs, pair, {}, kTcpPlace,
                                          is_single ? kTcpPlace : kInsidePlace);
    const Request by_caller(ByInsideCaller(uris));
    EXPECT_EQ(by_caller.rights.route, RouteRight::kToInsideSide);
    EXPECT_EQ(by_caller.rights.far, pair.callee);
    EXPECT_EQ(by_caller.rights.is_single, is_single);
    const Request by_callee(ByInsideCallee(uris));
    EXPECT_EQ(by_callee.rights.route, RouteRight::kToInsideSide);
    EXPECT_EQ(by_callee.rights.far, pair.caller);
    const PeerStanding standing = Alices();
    Asked outside = ByCaller(uris);
    ExpectNone(Request(outside, &standing), RouteFault::kInvalid, "from outside");
  }
}

// Rule 1: nothing leads from one outside party to another.
TEST(TokenRightsTest, PairOfTwoOutsidePartiesIsNoRightForTheOutside) {
  const PeerStanding standing = Alices();
  const DialogPair pair{test::OutsideSide(Sealed(DomainPartyOf("a.example"))),
                        test::OutsideSide(Sealed(DomainPartyOf("b.example")))};
  for (const RecordRouteUri& callee : {kSecondPlace, kOutsidePlace}) {
    const PairUris uris = test::WritePair(Snapshot().pairs, pair, {}, kOutsidePlace, callee);
    ExpectNone(Request(ByCaller(uris), &standing), RouteFault::kInvalid, callee.host.data());
    ExpectNone(Request(ByInsideCaller(uris)), RouteFault::kInvalid, callee.host.data());
    ExpectNone(Request(ByInsideCallee(uris)), RouteFault::kInvalid, callee.host.data());
  }
}

std::string PathValue(const EdgeSnapshot& snapshot = Snapshot()) {
  const PathToken token{{.process = 7, .shard = 1, .listener = 0, .connection = {4711, 12}},
                        Sealed(DomainPartyOf("a.example"), snapshot)};
  return "<" + test::PathUri(snapshot.path_tokens, token, kInsidePlace) + ">";
}

TEST(TokenRightsTest, Rfc5626_5_3_PathLeadsFromInsideDownTheFlowThatRegistered) {
  const Request request({.to_tag = "", .route = PathValue(), .zone = Zone::kInside});
  EXPECT_EQ(request.rights.route, RouteRight::kToFlow);
  EXPECT_EQ(request.rights.fault, RouteFault::kNone);
  EXPECT_FALSE(request.rights.is_by_pair);
  EXPECT_EQ(request.rights.far.flow, (FlowRef{7, 1, 0, {4711, 12}}));
  EXPECT_EQ(request.rights.far.zone, Zone::kOutside);
  EXPECT_EQ(request.rights.far.party, Sealed(DomainPartyOf("a.example")));
}

TEST(TokenRightsTest, PathIsNoRightFromOutsideOrWithinADialog) {
  const PeerStanding standing = Alices();
  for (const char* to_tag : {"", "callee-tag"}) {
    ExpectNone(Request({.to_tag = to_tag, .route = PathValue()}, &standing), RouteFault::kNone,
               "from outside");
  }
  ExpectNone(Request({.route = PathValue(), .zone = Zone::kInside}), RouteFault::kInvalid,
             "in a dialog");
  const auto other = SnapshotWith(SecretOf(test::kNewKey));
  ExpectNone(Request({.to_tag = "", .route = PathValue(*other), .zone = Zone::kInside}),
             RouteFault::kInvalid, "of another secret");
}

TEST(TokenRightsTest, NoValueOfOursIsNoRightAndNoFault) {
  const PeerStanding standing = Alices();
  for (const Zone zone : {Zone::kOutside, Zone::kInside}) {
    for (const char* route :
         {"", "<sip:edge.example;lr>", "<sip:p.example;lr>", "<sip:alice@edge.example;lr>"}) {
      ExpectNone(Request({.route = route, .zone = zone}, &standing), RouteFault::kNone, route);
    }
    // A pair below another value is not read.
    ExpectNone(Request({.route = "<sip:p.example;lr>, " + WriteCallIn().FromCaller(), .zone = zone},
                       &standing),
               RouteFault::kNone, "below");
  }
}

// Phones that put their outbound proxy in front of the route set.
TEST(TokenRightsTest, BareOwnValuesAboveThePairAreTakenOffFirst) {
  const PeerStanding standing = Alices();
  for (const char* above : {"<sip:edge.example;lr>, ",
                            "<sip:edge.example:5061;lr>, "
                            "<sip:voice.example;lr>\r\nRoute: "}) {
    const Request request({.route = above + WriteCallIn().FromCaller()}, &standing);
    EXPECT_EQ(request.rights.route, RouteRight::kToInsideTarget) << above;
  }
}

TEST(TokenRightsTest, Rfc3261_16_4_StrictRouteHasTheRightOfItsPair) {
  const PeerStanding standing = Alices();
  const PairUris pair = WriteCallIn();
  const Request request(
      {.uri = pair.caller, .route = "<" + pair.callee + ">, <sip:bob@10.0.0.77:5060>"}, &standing);
  EXPECT_EQ(request.rights.route, RouteRight::kToInsideTarget);
  const PairUris other = OtherCallIn();
  for (const std::string& first : {other.callee, pair.caller}) {
    ExpectNone(Request({.uri = pair.caller, .route = "<" + first + ">, <sip:bob@10.0.0.77:5060>"},
                       &standing),
               RouteFault::kInvalid, first);
  }
}

// -- What takes a right away ---------------------------------------------------------------------

TEST(TokenRightsTest, PairNeedsAToTagThatIsNotTheFromTag) {
  const PeerStanding standing = Alices();
  for (const char* to_tag : {"", "caller-tag"}) {
    Asked asked = ByCaller(WriteCallIn());
    asked.to_tag = to_tag;
    ExpectNone(Request(asked, &standing), RouteFault::kNone, to_tag);
    Asked inside = ByInsideCallee(WriteCallIn());
    inside.from_tag = "caller-tag";
    inside.to_tag = to_tag;
    ExpectNone(Request(inside), RouteFault::kInvalid, to_tag);
  }
}

TEST(TokenRightsTest, PairIsOfOneDialogAndOneDirection) {
  const PeerStanding standing = Alices();
  const PairUris in = WriteCallIn();
  const PairUris out = WriteCallOut();
  struct Case {
    std::string name;
    Asked asked;
  };
  std::vector<Case> cases;
  const auto add = [&cases](const std::string& name, Asked asked, auto change) {
    change(asked);
    cases.push_back({name, std::move(asked)});
  };
  for (const Asked& good : {ByCaller(in), ByOutsideCallee(out)}) {
    add("another Call-ID", good, [](Asked& asked) { asked.call_id = "call-2"; });
    add("a Call-ID in other letters", good, [](Asked& asked) { asked.call_id = "CALL-1"; });
    add("other tags", good, [](Asked& asked) {
      asked.from_tag = asked.to_tag = "x";
      asked.to_tag = "y";
    });
    add("swapped tags", good, [](Asked& asked) { std::swap(asked.from_tag, asked.to_tag); });
    add("another listener", good, [](Asked& asked) { asked.listener = kSecond; });
    add("the other zone", good, [](Asked& asked) { asked.zone = Zone::kInside; });
  }
  add("the callee's order by the caller", ByCaller(in),
      [&](Asked& asked) { asked.route = in.FromCallee(); });
  add("the caller's order by the callee", ByOutsideCallee(out),
      [&](Asked& asked) { asked.route = out.FromCaller(); });
  add("by the inside's callee, as if outside", ByInsideCallee(in),
      [](Asked& asked) { asked.zone = Zone::kOutside; });
  add("a half", ByCaller(in), [&](Asked& asked) { asked.route = "<" + in.caller + ">"; });
  add("the other half", ByOutsideCallee(out),
      [&](Asked& asked) { asked.route = "<" + out.callee + ">"; });
  add("halves of two pairs", ByCaller(in),
      [&](Asked& asked) { asked.route = "<" + in.caller + ">, <" + OtherCallIn().callee + ">"; });
  add("a value between both", ByCaller(in), [&](Asked& asked) {
    asked.route = "<" + in.caller + ">, <sip:p.example;lr>, <" + in.callee + ">";
  });
  for (const Case& c : cases) {
    const Request request(c.asked, &standing);
    if (request.own.token == OwnRoutes::Token::kNone) ADD_FAILURE() << c.name;
    ExpectNone(request, RouteFault::kInvalid, c.name);
  }
}

// Only the line is bound to a listener: where it says another, it is that one's.
TEST(TokenRightsTest, PairServesTheListenerThatItsLineNames) {
  const PeerStanding standing = Alices();
  const RecordRouteUri same_host{.host = "edge.example", .port = 5062};
  const RecordRouteUri same_port{.host = "192.0.2.1", .port = 5061};
  const std::vector<std::pair<uint32_t, RecordRouteUri>> listeners = {{kFederation, kOutsidePlace},
                                                                      {kSecond, kSecondPlace},
                                                                      {kSameHost, same_host},
                                                                      {kSamePort, same_port}};
  for (const auto& [named, place] : listeners) {
    Asked asked = ByCaller(test::WritePair(Snapshot().pairs, CallIn(), {}, place, kInsidePlace));
    for (const auto& [arrived, unused] : listeners) {
      asked.listener = arrived;
      const Request request(asked, &standing);
      if (arrived != named) {
        ExpectNone(request, RouteFault::kInvalid, std::to_string(arrived));
      } else {
        EXPECT_EQ(request.rights.route, RouteRight::kToInsideTarget) << named;
      }
    }
  }
}

TEST(TokenRightsTest, PairServesItsPartyAlone) {
  struct Case {
    std::string name;
    Party party;
    PeerStanding standing;
    bool is_served;
  };
  const std::vector<SipIdentities::User> carol = {{"carol", "u.example"}};
  const auto user_party = [&carol](uint8_t leaf) {
    return PartyFor(StandingOf({}, carol, leaf), test::ParsedUri("sip:carol@u.example"));
  };
  std::vector<Case> cases;
  const auto add = [&cases](std::string name, Party party, PeerStanding standing, bool served) {
    cases.push_back({std::move(name), party, std::move(standing), served});
  };
  add("the domain", DomainPartyOf("a.example"), StandingOf({"a.example"}), true);
  add("another node of it", DomainPartyOf("a.example"), StandingOf({"a.example"}, {}, 2), true);
  add("one of its domains", DomainPartyOf("a.example"), StandingOf({"a.example", "b.example"}),
      true);
  add("another domain", DomainPartyOf("a.example"), StandingOf({"b.example"}), false);
  add("a longer domain", DomainPartyOf("a.example"), StandingOf({"x.a.example"}), false);
  add("a user of the domain", DomainPartyOf("a.example"), StandingOf({}, {{"al", "a.example"}}),
      false);
  add("no identity", DomainPartyOf("a.example"), StandingOf({}), false);
  add("no certificate", DomainPartyOf("a.example"), PeerStanding(), false);
  add("another profile", DomainPartyOf("a.example"), StandingOf({"a.example"}, {}, 1, "customers"),
      false);
  add("the user", user_party(1), StandingOf({}, carol, 1), true);
  add("the user's other device", user_party(1), StandingOf({}, carol, 2), false);
  add("the user's domain", user_party(1), StandingOf({"u.example"}, {}, 2), false);
  add("another user", user_party(1), StandingOf({}, {{"dave", "u.example"}}, 2), false);
  add("the user under another profile", user_party(1), StandingOf({}, carol, 1, "customers"),
      false);
  add("the leaf", PartyOfServer(StandingOf({}), {}), StandingOf({}), true);
  add("another leaf", PartyOfServer(StandingOf({}), {}), StandingOf({}, {}, 2), false);
  add("no party", Party(), StandingOf({"a.example"}), false);
  add("no party and no certificate", Party(), PeerStanding(), false);
  for (const Case& c : cases) {
    const DialogPair pair{test::OutsideSide(Sealed(c.party)), InsideSide("10.0.0.5:5060")};
    const Asked asked =
        ByCaller(test::WritePair(Snapshot().pairs, pair, {}, kOutsidePlace, kInsidePlace));
    const Request request(asked, &c.standing);
    if (!c.is_served) {
      ExpectNone(request, RouteFault::kInvalid, c.name);
      continue;
    }
    EXPECT_EQ(request.rights.route, RouteRight::kToInsideTarget) << c.name;
    EXPECT_EQ(request.rights.near_party, Sealed(c.party)) << c.name;
  }
  ExpectNone(Request(ByCaller(WriteCallIn())), RouteFault::kInvalid, "no standing");
}

TEST(TokenRightsTest, EveryChangedCharacterOfThePairTakesTheRight) {
  const PeerStanding standing = Alices();
  const std::string route = WriteCallIn().FromCaller();
  const size_t second = route.find(">, <") + 8;
  for (const size_t begin : {size_t{5}, second}) {
    for (size_t at = begin; route[at] != '@'; ++at) {
      std::string changed = route;
      changed[at] = changed[at] == 'A' ? 'B' : 'A';
      const Request request({.route = changed}, &standing);
      EXPECT_EQ(request.rights.route, RouteRight::kNone) << at;
      EXPECT_EQ(request.Excuse(), ExcuseOutcome::kNone) << at;
    }
  }
}

// -- Secrets and instances -----------------------------------------------------------------------

TEST(TokenRightsTest, AnotherInstanceAndARestartKnowOurPairs) {
  const auto sibling = SnapshotWith(SecretOf(test::kOldKey), 10);
  const PeerStanding standing = Alices();
  const Request request(ByCaller(WriteCallIn()), &standing, *sibling);
  EXPECT_NE(sibling->process, Snapshot().process);
  EXPECT_EQ(request.rights.route, RouteRight::kToInsideTarget);
  EXPECT_EQ(Request({.to_tag = "", .route = PathValue(), .zone = Zone::kInside}, nullptr, *sibling)
                .rights.route,
            RouteRight::kToFlow);
}

TEST(TokenRightsTest, PairsLiveAsLongAsTheirKey) {
  const PeerStanding standing = Alices();
  const auto during = SnapshotWith(test::RotatedSecret());
  const auto after = SnapshotWith(SecretOf(test::kNewKey));
  const Request kept(ByCaller(WriteCallIn()), &standing, *during);
  EXPECT_EQ(kept.rights.route, RouteRight::kToInsideTarget);
  EXPECT_EQ(kept.rights.key, 1U);
  ExpectNone(Request(ByCaller(WriteCallIn()), &standing, *after), RouteFault::kUnknownKey,
             "outside");
  ExpectNone(Request(ByInsideCallee(WriteCallIn()), nullptr, *after), RouteFault::kUnknownKey,
             "inside");
  ExpectNone(Request(ByOutsideCallee(WriteCallOut()), &standing, *after), RouteFault::kUnknownKey,
             "a callee");
  const DialogPair inside{InsideSide("10.0.0.5:5060"), InsideSide("10.9.0.5:5060")};
  const PairUris single = test::WritePair(Snapshot().pairs, inside, {}, kTcpPlace, kTcpPlace);
  ExpectNone(Request(ByInsideCallee(single), nullptr, *after), RouteFault::kUnknownKey,
             "a single line");
  // Out of dialog nothing of it counts, not even that its key is gone.
  Asked out_of_dialog = ByCaller(WriteCallIn());
  out_of_dialog.to_tag = "";
  ExpectNone(Request(out_of_dialog, &standing, *after), RouteFault::kNone, "out of dialog");
}

// -- Excuses -------------------------------------------------------------------------------------

// A call that leaves: K sends a call for the CEO to bob's phone outside.
struct Left {
  Asked invite{.method = "INVITE",
               .uri = "sip:bob@b.example",
               .from = "sip:carol@c.example",
               .to = "sip:ceo@edge.example",
               .to_tag = "",
               .headers =
                   "Contact: <sip:carol@10.0.0.5:5066;transport=tcp>\r\n"
                   "Record-Route: <sip:10.0.0.5:5060;lr>, <sip:p.c.example;lr>\r\n",
               .zone = Zone::kInside};
  core::SocketAddress source = *core::SocketAddress::Parse("10.0.0.5:5060");
  int64_t now = kNow;
};

DialogPair PairOfLeft(const EdgeSnapshot& snapshot) {
  DialogSide bob;
  bob.zone = Zone::kOutside;
  bob.target = test::TargetOf(TransportProtocol::kTls, "192.0.2.98:5061");
  bob.party = Sealed(DomainPartyOf("b.example"), snapshot);
  return {InsideSide("10.0.0.5:5060"), bob};
}

DialogId DialogOf(const Asked& asked) { return DialogIdOf(asked.call_id, asked.from_tag); }

// The route set that bob makes of what he gets; empty `token`: none was issued.
struct Issued {
  PairUris pair;
  std::string token;
  std::string brought;

  [[nodiscard]] std::string RouteSet() const {
    return "<" + pair.callee + (token.empty() ? "" : ";dt=" + token) + ">, <" + pair.caller + ">" +
           (brought.empty() ? "" : ", " + brought);
  }
};

Issued Issue(const Left& left = {}, const EdgeSnapshot& snapshot = Snapshot()) {
  const Request invite(left.invite, nullptr, snapshot);
  Issued issued;
  issued.pair =
      test::WritePair(snapshot.pairs, PairOfLeft(snapshot),
                      {left.invite.call_id, left.invite.from_tag}, kInsidePlace, kOutsidePlace);
  for (const HeaderField* line = invite.view.First(HeaderId::kRecordRoute); line != nullptr;
       line = invite.view.NextSame(line)) {
    issued.brought += (issued.brought.empty() ? "" : ", ") + std::string(line->value);
  }
  const DialogTokenGrant grant =
      MayIssue(invite.view, DialogOf(left.invite), left.source, snapshot);
  if (!grant.is_granted) return issued;
  issued.token.resize(DialogTokenSigner::kTextBytes);
  EXPECT_TRUE(
      snapshot.dialog_tokens.Write(grant.claim, issued.pair.mac, left.now, issued.token.data()));
  return issued;
}

// With a token whatever the list is.
Issued IssueWith(const std::string& brought) {
  Left left;
  left.invite.headers = "Contact: <sip:carol@10.0.0.5:5066;transport=tcp>\r\n";
  const Request list({.route = brought});
  UriListDigest digest;
  OwnRoutes all = list.own;
  all.count = 0;
  ForEachRouteLeft(list.view, all, [&digest](const Uri& uri) { return digest.Add(uri); });
  EXPECT_TRUE(digest.ok());
  const Request invite(left.invite);
  Issued issued = Issue(left);
  issued.brought = brought;
  const Uri contact = test::ParsedUri("sip:carol@10.0.0.5:5066;transport=tcp");
  const std::array<uint8_t, 32> route_set = digest.digest();
  const std::optional<DialogClaim> claim =
      Snapshot().dialog_tokens.ClaimOf({.near = &invite.view.from().uri,
                                        .far = &invite.view.to().uri,
                                        .contact = &contact,
                                        .route_set = &route_set});
  issued.token.resize(DialogTokenSigner::kTextBytes);
  EXPECT_TRUE(claim &&
              Snapshot().dialog_tokens.Write(*claim, issued.pair.mac, kNow, issued.token.data()));
  return issued;
}

// What bob's phone sends back in that dialog, under the address that was called.
Asked ByBob(const Issued& issued, const std::string& method = "BYE") {
  return {.method = method,
          .uri = "sip:carol@10.0.0.5:5066;transport=tcp",
          .from = "sip:ceo@edge.example",
          .from_tag = "callee-tag",
          .to = "sip:carol@c.example",
          .to_tag = "caller-tag",
          .route = issued.RouteSet()};
}

ExcuseOutcome ExcuseOf(const Asked& asked, int64_t now = kNow) {
  const PeerStanding bobs = StandingOf({"b.example"});
  const Request request(asked, &bobs);
  return request.Excuse(now);
}

TEST(TokenRightsTest, ExcuseIsForTheMethodsOfADialogAlone) {
  const Issued issued = Issue();
  ASSERT_FALSE(issued.token.empty());
  for (const char* method : kMethods) {
    const std::string text = method;
    const bool is_excused = text != "REGISTER" && text != "OPTIONS" && text != "SUBSCRIBE" &&
                            text != "PUBLISH" && text != "MESSAGE" && text != "PING";
    EXPECT_EQ(ExcuseOf(ByBob(issued, method)),
              is_excused ? ExcuseOutcome::kExcused : ExcuseOutcome::kNone)
        << method;
  }
}

// Goal: one changed piece takes the excuse, of every method. Method: each piece in turn.
TEST(TokenRightsTest, EveryAlteredPieceTakesTheExcuse) {
  const Issued issued = Issue();
  struct Case {
    std::string name;
    Asked asked;
  };
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, auto change) {
    Asked asked = ByBob(issued);
    change(asked);
    cases.push_back({name, std::move(asked)});
  };
  for (const char* from : {"sip:boss@edge.example", "sip:ceo@voice.example",
                           "sips:ceo@edge.example", "sip:ceo@edge.example:5060",
                           "sip:ceo@edge.example;user=phone", "sip:carol@c.example", "tel:+1900"}) {
    add(std::string("From ") + from, [from](Asked& asked) { asked.from = from; });
  }
  for (const char* to : {"sip:dave@c.example", "sip:carol@d.example", "sips:carol@c.example",
                         "sip:ceo@edge.example", "sip:carol@c.example;x=y"}) {
    add(std::string("To ") + to, [to](Asked& asked) { asked.to = to; });
  }
  const std::string outside = "<" + issued.pair.callee + ";dt=" + issued.token + ">";
  const std::string pair = outside + ", <" + issued.pair.caller + ">";
  const std::string k = "<sip:10.0.0.5:5060;lr>";
  const std::string p = "<sip:p.c.example;lr>";
  for (const std::string& list :
       {k, p, p + ", " + k, k + ", " + p + ", " + p, k + ", " + k + ", " + p,
        p + ", " + k + ", " + p, std::string("<sip:10.0.0.6:5060;lr>, ") + p,
        std::string("<sip:10.0.0.5:5060;lr;maddr=10.0.0.9>, ") + p,
        std::string("<sips:10.0.0.5:5060;lr>, ") + p, std::string("<sip:10.0.0.5:5060>, ") + p,
        pair + ", " + k + ", " + p}) {
    add("list " + list, [&](Asked& asked) { asked.route = pair + ", " + list; });
  }
  add("no list", [&](Asked& asked) { asked.route = pair; });
  const std::string list = ", " + k + ", " + p;
  add("no token", [&](Asked& asked) {
    asked.route = "<" + issued.pair.callee + ">, <" + issued.pair.caller + ">" + list;
  });
  add("token in the other line", [&](Asked& asked) {
    asked.route =
        "<" + issued.pair.callee + ">, <" + issued.pair.caller + ";dt=" + issued.token + ">" + list;
  });
  add("token on a bare own name", [&](Asked& asked) {
    asked.route = "<sip:edge.example;lr;dt=" + issued.token + ">, <" + issued.pair.callee + ">, <" +
                  issued.pair.caller + ">" + list;
  });
  add("token on a bare own name alone",
      [&](Asked& asked) { asked.route = "<sip:edge.example;lr;dt=" + issued.token + ">" + list; });
  add("token of a header parameter", [&](Asked& asked) {
    asked.route =
        "<" + issued.pair.callee + ">;dt=" + issued.token + ", <" + issued.pair.caller + ">" + list;
  });
  add("a pair of another dialog", [&](Asked& asked) { asked.call_id = "call-2"; });
  Left other;
  other.invite.call_id = "call-2";
  add("a token of another dialog", [&](Asked& asked) {
    asked.route = "<" + issued.pair.callee + ";dt=" + Issue(other).token + ">, <" +
                  issued.pair.caller + ">" + list;
  });
  add("another listener", [](Asked& asked) { asked.listener = kSecond; });
  add("from inside", [](Asked& asked) { asked.zone = Zone::kInside; });
  add("no To-tag", [](Asked& asked) { asked.to_tag = ""; });
  add("equal tags", [](Asked& asked) { asked.from_tag = asked.to_tag; });
  for (Case& c : cases) {
    for (const char* method : kMethods) {
      c.asked.method = method;
      EXPECT_EQ(ExcuseOf(c.asked), ExcuseOutcome::kNone) << method << " " << c.name;
    }
  }
}

// A list that ends in what has no form, or is full, is not the list before that.
TEST(TokenRightsTest, ListGoesToItsEnd) {
  std::string brought;
  for (size_t i = 0; i < UriListDigest::kUrisMax; ++i) {
    brought += (i == 0 ? "<sip:p" : ", <sip:p") + std::to_string(i) + ".example;lr>";
  }
  for (const std::string& list : {brought, std::string("<sip:10.0.0.5:5060;lr>")}) {
    Asked asked = ByBob(IssueWith(list));
    EXPECT_EQ(ExcuseOf(asked), ExcuseOutcome::kExcused) << list;
    const std::string route = asked.route;
    for (const char* more : {"<sip:q.example;lr>", "<sip:q:pw@q.example;lr>",
                             "<sip:q.example;lr?Subject=x>", "<mailto:q@q.example>"}) {
      asked.route = route + ", " + more;
      EXPECT_EQ(ExcuseOf(asked), ExcuseOutcome::kNone) << list << more;
    }
  }
}

// The inside is not judged, and its line has no token.
TEST(TokenRightsTest, FromInsideThereIsNoExcuse) {
  const Issued issued = Issue();
  Asked asked = ByBob(issued);
  asked.zone = Zone::kInside;
  asked.from_tag = "caller-tag";
  asked.to_tag = "callee-tag";
  asked.route = "<" + issued.pair.caller + ";dt=" + issued.token + ">, <" + issued.pair.callee +
                ">, " + issued.brought;
  const Request request(asked);
  EXPECT_EQ(request.rights.route, RouteRight::kToParty);
  EXPECT_EQ(request.Excuse(), ExcuseOutcome::kNone);
}

TEST(TokenRightsTest, ExcuseIsForThePartyAlone) {
  const Issued issued = Issue();
  for (const auto& domains : {std::vector<std::string>{"c.example"}, {"a.example"}, {}}) {
    const PeerStanding standing = StandingOf(domains);
    EXPECT_EQ(Request(ByBob(issued), &standing).Excuse(), ExcuseOutcome::kNone);
  }
  const PeerStanding another_node = StandingOf({"b.example"}, {}, 2);
  EXPECT_EQ(Request(ByBob(issued), &another_node).Excuse(), ExcuseOutcome::kExcused);
}

// PJSIP writes "lr=on"; others reorder parameters, or put their outbound proxy in front.
TEST(TokenRightsTest, ReprintedRouteSetIsExcused) {
  const Issued issued = Issue();
  const std::string pair =
      "<" + issued.pair.callee + ";dt=" + issued.token + ">, <" + issued.pair.caller + ">";
  for (const std::string& route :
       {pair + "\r\nRoute: <sip:10.0.0.5:5060;lr=on>\r\nRoute: <sip:P.c.example.;lr=on>",
        "<sip:edge.example;lr>, " + issued.RouteSet()}) {
    Asked asked = ByBob(issued, "INFO");
    asked.route = route;
    EXPECT_EQ(ExcuseOf(asked), ExcuseOutcome::kExcused) << route;
  }
  Asked reprinted = ByBob(issued, "INFO");
  reprinted.uri = "SIP:%63arol@10.0.0.5:5066;Transport=tcp";
  reprinted.from = "sip:ceo@EDGE.example.";
  EXPECT_EQ(ExcuseOf(reprinted), ExcuseOutcome::kExcused);
}

TEST(TokenRightsTest, ExcuseExpiresAfterSevenDays) {
  const Issued issued = Issue();
  for (const char* method : {"BYE", "NOTIFY", "INFO"}) {
    const int64_t last = kNow + DialogTokenSigner::kLifetimeSeconds;
    EXPECT_EQ(ExcuseOf(ByBob(issued, method), last), ExcuseOutcome::kExcused) << method;
    EXPECT_EQ(ExcuseOf(ByBob(issued, method), last + 1), ExcuseOutcome::kExpired) << method;
    EXPECT_EQ(ExcuseOf(ByBob(issued, method), kNow - 61), ExcuseOutcome::kExpired) << method;
  }
  EXPECT_EQ(ExcuseOf(ByBob(issued, "MESSAGE"), 0), ExcuseOutcome::kNone);
}

// PBXs change their Contact in mid-call.
TEST(TokenRightsTest, ByeAndAckMayNameAnotherAddressThatTheInsideAdmits) {
  const Issued issued = Issue();
  struct Case {
    const char* uri;
    bool is_admitted;
  };
  for (const Case& c : {
           Case{"sip:carol@10.0.0.5:5066;transport=tcp;x=y", true},
           Case{"sip:carol@10.0.0.7:9", true},
           Case{"sip:10.0.0.7", true},
           Case{"sips:carol@10.0.0.7", true},
           Case{"sip:carol@[::ffff:10.0.0.7]:5060", true},
           Case{"sip:carol@10.9.0.5:5060", true},   // An inside target.
           Case{"sip:carol@10.9.0.5:5061", false},  // Not at that port.
           Case{"sip:carol@10.9.0.6:5060", false},
           Case{"sip:carol@192.0.2.66:5060", false},
           Case{"sip:carol@127.0.0.1:5060", false},
           Case{"sip:carol@0.0.0.0:5060", false},
           Case{"sip:carol@k.inside.example:5080", false},  // A name, whatever it resolves to.
           Case{"sip:carol@c.example", false},
           Case{"sip:carol@10.0.0.1:5070", false},  // Our own inside listener.
           Case{"sip:carol@[::ffff:10.0.0.1]:5070", false},
           Case{"sip:carol@192.0.2.10:5061", false},  // Our own outside listener.
           Case{"sip:ceo@edge.example", false},
           Case{"sip:ceo@voice.example", false},
           Case{"sip:carol@10.0.0.7;maddr=192.0.2.66", false},
           Case{"sip:carol@10.0.0.7;maddr=10.0.0.5", false},
           Case{"tel:+1900", false},
       }) {
    for (const char* method : kMethods) {
      const bool may = method == std::string("BYE") || method == std::string("ACK");
      Asked asked = ByBob(issued, method);
      asked.uri = c.uri;
      EXPECT_EQ(ExcuseOf(asked),
                may && c.is_admitted ? ExcuseOutcome::kExcused : ExcuseOutcome::kNone)
          << method << " " << c.uri;
    }
  }
}

// -- The spiral ----------------------------------------------------------------------------------

constexpr char kOutsideContact[] = "Contact: <sip:m@198.51.100.9:5061;transport=tls>\r\n";

// m calls in, K sends the call out again: the INVITE as it comes from K.
Left SecondPass(const PairUris& first, const std::string& contact = kOutsideContact) {
  Left left;
  left.invite.from = "sip:m@m.example";
  left.invite.headers =
      contact + "Record-Route: <sip:10.0.0.5:5060;lr>\r\nRecord-Route: " + first.AsRecorded() +
      "\r\n";
  return left;
}

PairUris FirstPass(const Dialog& dialog = {}) {
  const DialogPair pair{test::OutsideSide(Sealed(DomainPartyOf("m.example"))),
                        InsideSide("10.0.0.5:5060")};
  return test::WritePair(Snapshot().pairs, pair, dialog, kOutsidePlace, kInsidePlace);
}

// The callee hangs up whatever Contact there is now: the way back passes the first pair.
TEST(TokenRightsTest, ByeInASpiralMayNameAnyAddressButOurs) {
  const Issued issued = Issue(SecondPass(FirstPass()));
  ASSERT_FALSE(issued.token.empty());
  struct Case {
    const char* uri;
    bool is_excused;
  };
  for (const Case& c : {
           Case{"sip:m@203.0.113.66:5061", true},
           Case{"sip:m@phone.m.example", true},
           Case{"sip:m@10.0.0.7:9", true},
           Case{"sip:m@edge.example", false},
           Case{"sip:m@voice.example", false},
           Case{"sip:m@10.0.0.1:5070", false},
           Case{"sip:m@phone.m.example;maddr=10.0.0.7", false},
           Case{"tel:+1900", false},
       }) {
    for (const char* method : kMethods) {
      const bool may = method == std::string("BYE") || method == std::string("ACK");
      Asked asked = ByBob(issued, method);
      asked.to = "sip:m@m.example";
      asked.uri = c.uri;
      EXPECT_EQ(ExcuseOf(asked),
                may && c.is_excused ? ExcuseOutcome::kExcused : ExcuseOutcome::kNone)
          << method << " " << c.uri;
    }
  }
}

TEST(TokenRightsTest, ByeInASpiralNeedsAPairOfThisDialogInItsOrder) {
  struct Case {
    std::string brought;
    bool may_name_other;
  };
  const PairUris first = FirstPass();
  const std::string k = "<sip:10.0.0.5:5060;lr>";
  const DialogPair inside{InsideSide("10.0.0.5:5060"), InsideSide("10.9.0.5:5060")};
  const std::string single =
      "<" + test::WritePair(Snapshot().pairs, inside, {}, kTcpPlace, kTcpPlace).caller + ">";
  for (const Case& c : std::vector<Case>{
           {first.AsRecorded(), true},
           {k + ", " + first.AsRecorded() + ", " + k, true},
           {FirstPass({.tag = "x"}).AsRecorded() + ", " + first.AsRecorded(), true},
           {single, true},
           {k, false},
           {FirstPass({.call_id = "call-2"}).AsRecorded(), false},
           {FirstPass({.tag = "callee-tag"}).AsRecorded(), false},
           {first.FromCaller(), false},
           {"<" + first.caller + ">", false},
           {"<" + first.callee + ">", false},
           {"<" + first.callee + ">, " + k + ", <" + first.caller + ">", false},
           {PathValue(), false},
       }) {
    const Asked exact = ByBob(IssueWith(c.brought));
    EXPECT_EQ(ExcuseOf(exact), ExcuseOutcome::kExcused) << c.brought;
    Asked other = exact;
    other.uri = "sip:carol@phone.c.example";
    EXPECT_EQ(ExcuseOf(other), c.may_name_other ? ExcuseOutcome::kExcused : ExcuseOutcome::kNone)
        << c.brought;
  }
}

// -- Grants --------------------------------------------------------------------------------------

bool IsGranted(const Left& left) {
  const Request invite(left.invite);
  return MayIssue(invite.view, DialogOf(left.invite), left.source, Snapshot()).is_granted;
}

std::string Recorded(const std::string& values) { return "Record-Route: " + values + "\r\n"; }

Left WithHeaders(const std::string& headers) {
  Left left;
  left.invite.headers = headers;
  return left;
}

TEST(TokenRightsTest, TokenIsIssuedWhereContactIsReadableAndNotOurs) {
  for (const char* contact :
       {"<sip:carol@10.0.0.5:5066>", "sip:carol@10.0.0.5:5066;expires=9",
        "\"Carol, C\" <sip:carol@k.inside.example>", "<sips:carol@198.51.100.9>", "<sip:10.0.0.99>",
        "<sip:carol@edge.example.com>"}) {
    EXPECT_TRUE(IsGranted(WithHeaders("Contact: " + std::string(contact) + "\r\n"))) << contact;
    EXPECT_TRUE(IsGranted(WithHeaders("m: " + std::string(contact) + "\r\n"))) << contact;
  }
  for (const char* contact :
       {"*", "<tel:+1900>", "<mailto:carol@c.example>", "<sip:carol@edge.example>",
        "<sip:carol@EDGE.example.:9>", "<sip:edge.example>", "<sip:carol@voice.example>",
        "<sip:carol@192.0.2.1:5071>", "<sip:carol@10.0.0.1:5070>",
        "<sip:carol@10.0.0.1:5072;transport=tcp>", "<sip:carol@192.0.2.10:5061>"}) {
    EXPECT_FALSE(IsGranted(WithHeaders("Contact: " + std::string(contact) + "\r\n"))) << contact;
  }
  EXPECT_FALSE(IsGranted(WithHeaders("")));
}

TEST(TokenRightsTest, TokenIsIssuedForSixteenRecordRouteValuesAndNoMore) {
  for (const size_t count : {0UL, 1UL, 16UL, 17UL, 40UL}) {
    for (const bool in_lines : {true, false}) {
      std::string headers = "Contact: <sip:carol@10.0.0.5:5066>\r\n";
      for (size_t i = 0; i < count; ++i) {
        headers += in_lines || i == 0 ? "Record-Route: " : ", ";
        headers += "<sip:p" + std::to_string(i) + ".example;lr>";
        if (in_lines || i + 1 == count) headers += "\r\n";
      }
      EXPECT_EQ(IsGranted(WithHeaders(headers)), count <= 16) << count;
    }
  }
}

TEST(TokenRightsTest, TokenIsNotIssuedWhereARecordRouteHasNoCanonicalForm) {
  for (const char* value :
       {"<sip:p.example;lr?Subject=x>", "<sip:p:pw@p.example;lr>", "<mailto:p@p.example>",
        "<sip:p.example;lr>, ", "x", "<sip:p.example;lr"}) {
    EXPECT_FALSE(IsGranted(WithHeaders("Contact: <sip:carol@10.0.0.5:5066>\r\n" + Recorded(value))))
        << value;
    EXPECT_FALSE(IsGranted(
        WithHeaders(kOutsideContact + Recorded(FirstPass().AsRecorded()) + Recorded(value))))
        << value;
  }
}

TEST(TokenRightsTest, GrantDigestsTheListThatTheRequestBrought) {
  const Left left;
  const Request invite(left.invite);
  const DialogTokenGrant grant =
      MayIssue(invite.view, DialogOf(left.invite), left.source, Snapshot());
  ASSERT_TRUE(grant.is_granted);
  UriListDigest digest;
  const std::string k = "sip:10.0.0.5:5060;lr";
  const std::string p = "sip:p.c.example;lr";
  EXPECT_TRUE(digest.Add(test::ParsedUri(k)));
  EXPECT_TRUE(digest.Add(test::ParsedUri(p)));
  NameAddr contact;
  ASSERT_EQ(ParseNameAddr(invite.view.First(HeaderId::kContact)->value, contact),
            NameAddrOutcome::kOk);
  const std::array<uint8_t, 32> route_set = digest.digest();
  const std::optional<DialogClaim> claim =
      Snapshot().dialog_tokens.ClaimOf({.near = &invite.view.from().uri,
                                        .far = &invite.view.to().uri,
                                        .contact = &contact.uri,
                                        .route_set = &route_set});
  ASSERT_TRUE(claim);
  EXPECT_EQ(grant.claim.parties, claim->parties);
  EXPECT_EQ(grant.claim.contact, claim->contact);
}

std::string ViaLine(const Branch& branch, const EdgeSnapshot& snapshot = Snapshot()) {
  return "Via: SIP/2.0/UDP edge.example:5070;branch=" +
         test::BranchText(snapshot.branches, branch) + "\r\n";
}

Branch FromOutside() { return {.origin = Zone::kOutside}; }
Branch FromInside() { return {.origin = Zone::kInside}; }

bool IsMarked(const std::string& headers) {
  Left left;
  left.invite.headers = headers;
  const Request invite(left.invite);
  return BearsMark(invite.view, Snapshot());
}

TEST(TokenRightsTest, MarkIsOurFormInAViaUnlessOfAPassFromInside) {
  EXPECT_FALSE(IsMarked(""));
  EXPECT_FALSE(IsMarked("Via: SIP/2.0/UDP edge.example:5070;branch=z9hG4bK2\r\n"));
  EXPECT_TRUE(IsMarked(ViaLine(FromOutside())));
  EXPECT_FALSE(IsMarked(ViaLine(FromInside())));
  EXPECT_TRUE(IsMarked(ViaLine(FromInside()) + ViaLine(FromOutside())));
  EXPECT_TRUE(IsMarked(ViaLine(FromOutside()) + ViaLine(FromInside())));
  // In a list, and below values that are none.
  const std::string line = ViaLine(FromOutside());
  EXPECT_TRUE(IsMarked("Via: SIP/2.0/UDP k.example;branch=z9hG4bK2, " + line.substr(5)));
  // A sibling's and one of before a restart; of a secret that we do not have: the form is enough.
  const auto sibling = SnapshotWith(SecretOf(test::kOldKey), 10);
  EXPECT_TRUE(IsMarked(ViaLine(FromOutside(), *sibling)));
  EXPECT_FALSE(IsMarked(ViaLine(FromInside(), *sibling)));
  const auto stranger = SnapshotWith(SecretOf(test::kNewKey));
  EXPECT_TRUE(IsMarked(ViaLine(FromOutside(), *stranger)));
  EXPECT_TRUE(IsMarked(ViaLine(FromInside(), *stranger)));
}

TEST(TokenRightsTest, MarkIsOurFormInARecordRouteUnlessOfAPassFromInside) {
  const PairUris in = FirstPass();
  const PairUris out =
      test::WritePair(Snapshot().pairs, CallOut(), {}, kInsidePlace, kOutsidePlace);
  const DialogPair inside{InsideSide("10.0.0.5:5060"), InsideSide("10.9.0.5:5060")};
  const std::string single =
      "<" + test::WritePair(Snapshot().pairs, inside, {}, kTcpPlace, kTcpPlace).caller + ">";
  const std::string k = "<sip:10.0.0.5:5060;lr>";
  EXPECT_FALSE(IsMarked(Recorded(k)));
  EXPECT_TRUE(IsMarked(Recorded(k + ", x"))) << "what cannot be read may be one";
  EXPECT_FALSE(IsMarked(Recorded(out.AsRecorded())));
  EXPECT_FALSE(IsMarked(Recorded(single)));
  EXPECT_FALSE(IsMarked(Recorded(k + ", " + single + ", " + out.AsRecorded())));
  const PairUris other_dialogs = test::WritePair(Snapshot().pairs, CallOut(), {.call_id = "call-2"},
                                                 kInsidePlace, kOutsidePlace);
  const auto stranger = SnapshotWith(SecretOf(test::kNewKey));
  const PairUris strangers =
      test::WritePair(stranger->pairs, CallOut(), {}, kInsidePlace, kOutsidePlace);
  for (const std::string& values :
       {in.AsRecorded(), in.FromCaller(), "<" + in.caller + ">", "<" + in.callee + ">",
        "<" + out.caller + ">", "<" + out.callee + ">", other_dialogs.AsRecorded(),
        strangers.AsRecorded(), PathValue(),
        "<" + out.callee + ">, " + k + ", <" + out.caller + ">", "<" + out.callee + ">, " + single,
        "<" + out.callee + ">, <" + out.callee + ">"}) {
    EXPECT_TRUE(IsMarked(Recorded(values))) << values;
    EXPECT_TRUE(IsMarked(Recorded(k + ", " + values))) << values;
    EXPECT_TRUE(IsMarked(Recorded(k) + Recorded(values))) << values;
    EXPECT_TRUE(IsMarked(Recorded(out.AsRecorded() + ", " + values))) << values;
    EXPECT_TRUE(IsMarked(Recorded(values + ", " + out.AsRecorded()))) << values;
  }
}

TEST(TokenRightsTest, MarkedRequestGetsATokenOnlyAboveAPairOfItsDialog) {
  const std::string k = "<sip:10.0.0.5:5060;lr>";
  const std::string contact = kOutsideContact;
  const PairUris first = FirstPass();
  const PairUris other = FirstPass({.call_id = "call-2"});
  for (const std::string& values : {k + ", " + first.AsRecorded(), first.AsRecorded(),
                                    first.AsRecorded() + ", " + other.AsRecorded()}) {
    EXPECT_TRUE(IsGranted(WithHeaders(contact + Recorded(values)))) << values;
    EXPECT_TRUE(IsGranted(WithHeaders(contact + ViaLine(FromOutside()) + Recorded(values))));
  }
  for (const std::string& values :
       {other.AsRecorded(), other.AsRecorded() + ", " + first.AsRecorded(), first.FromCaller(),
        "<" + first.callee + ">", "<" + first.caller + ">, " + first.AsRecorded(),
        "<" + first.callee + ">, " + k + ", <" + first.caller + ">",
        PathValue() + ", " + first.AsRecorded()}) {
    EXPECT_FALSE(IsGranted(WithHeaders(contact + Recorded(values)))) << values;
    EXPECT_FALSE(IsGranted(WithHeaders(contact + Recorded(k + ", " + values)))) << values;
  }
  // K hides Record-Route, or never had one.
  EXPECT_FALSE(IsGranted(WithHeaders(contact + ViaLine(FromOutside()))));
  EXPECT_FALSE(IsGranted(WithHeaders(contact + ViaLine(FromOutside()) + Recorded(k))));
  EXPECT_TRUE(IsGranted(WithHeaders(contact + ViaLine(FromInside()))));
}

// Attack: a Contact that leads K to itself, or to what stands behind it.
TEST(TokenRightsTest, MarkedRequestGetsNoTokenForAnInsideContact) {
  struct Case {
    const char* contact;
    bool is_granted;
  };
  for (const Case& c : {
           Case{"<sip:m@198.51.100.9:5061>", true},
           Case{"<sip:m@10.0.0.99>", true},  // A private address of m's own network.
           Case{"<sip:m@phone.m.example>", true},
           Case{"<sip:x@10.0.0.5>", false},  // The source.
           Case{"<sip:x@[::ffff:10.0.0.5]:5060;transport=tcp>", false},
           Case{"<sip:x@10.9.0.5>", false},  // A target of an inside next hop.
           // Nothing of ours; and what comes back passes the first pair, to where m is.
           Case{"<sip:x@10.0.0.5:22;transport=tcp>", true},
           Case{"<sip:x@k.inside.example>", false},
           Case{"<sip:x@K.Inside.example.:22>", false},
           Case{"<sip:x@edge.example>", false},
           Case{"<sip:x@10.0.0.1:5070>", false},
       }) {
    const std::string contact = "Contact: " + std::string(c.contact) + "\r\n";
    EXPECT_EQ(IsGranted(SecondPass(FirstPass(), contact)), c.is_granted) << c.contact;
  }
  // Of the inside's own call the Contact is inside.
  for (const char* contact :
       {"<sip:x@10.0.0.5:22>", "<sip:x@10.9.0.5>", "<sip:k.inside.example>"}) {
    EXPECT_TRUE(IsGranted(WithHeaders("Contact: " + std::string(contact) + "\r\n"))) << contact;
  }
}

}  // namespace
}  // namespace sallyport::sip
