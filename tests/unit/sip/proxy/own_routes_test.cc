#include "sip/proxy/own_routes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sip/message/message_parser.h"
#include "sip/proxy/dialog_pair.h"
#include "sip/proxy/path_token.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

ServedNames Names() {
  return ServedNames({"edge.example", "voice.example"}, {{"edge.example", 5061},
                                                         {"192.0.2.1", 5071},
                                                         {"[2001:db8::1]", 5072},
                                                         {"core.example", 5070, Zone::kInside}});
}

constexpr RecordRouteUri kOutsidePlace{.host = "edge.example", .port = 5061};
constexpr RecordRouteUri kInsidePlace{
    .host = "core.example", .port = 5070, .transport = TransportProtocol::kUdp};

test::PairUris PairOf(const RecordRouteUri& caller, const RecordRouteUri& callee) {
  const tls::Secret secret = test::SecretOf(test::kOldKey);
  return test::WritePair(DialogPairSigner(secret), {test::OutsideSide({}), test::InsideSide()}, {},
                         caller, callee);
}

const test::PairUris& Pair() {
  static const test::PairUris pair = PairOf(kOutsidePlace, kInsidePlace);
  return pair;
}

const std::string& Single() {
  static const std::string single = PairOf(kOutsidePlace, kOutsidePlace).caller;
  return single;
}

const std::string& Path() {
  static const std::string path = test::PathUri(PathTokenSigner(test::SecretOf(test::kOldKey)),
                                                {{7, 1, 0, {4711, 12}}, {}}, kOutsidePlace);
  return path;
}

// `headers` stand between From and Content-Length.
struct Request {
  Request(const std::string& uri, const std::string& headers, Zone from = Zone::kOutside,
          StrictRoutes strict = StrictRoutes::kUndone)
      : wire("BYE " + uri +
             " SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
             "From: <sip:alice@a.example>;tag=1\r\n" +
             headers +
             "To: <sip:bob@edge.example>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n"
             "Content-Length: 0\r\n\r\n") {
    EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk) << wire;
    routes = ReadOwnRoutes(view, Names(), from, strict);
  }

  // Request-URI and what became of `headers`, after the edit.
  using Edit = void (*)(const MessageView&, const OwnRoutes&, MessageEdit&);
  std::string Edited(Edit edit_routes) const {
    MessageEdit edit;
    edit.Reset(wire);
    edit_routes(view, routes, edit);
    EXPECT_TRUE(edit.ok());
    std::string out(edit.size(), '\0');
    EXPECT_EQ(edit.CopyTo(out), out.size());
    MessageView again;
    EXPECT_EQ(ParseMessage(out, Framing::kStream, again), ParseOutcome::kOk) << out;
    const size_t begin = out.find(";tag=1\r\n") + 8;
    return std::string(again.request_uri()) + "\n" + out.substr(begin, out.find("To:") - begin);
  }
  std::string Out() const { return Edited(EditOwnRoutes); }
  std::string OutToStrict() const { return Edited(EditForStrictNextHop); }
  std::vector<std::string> Left() const {
    std::vector<std::string> left;
    ForEachRouteLeft(view, routes, [&left](const Uri& uri) {
      left.emplace_back(uri.whole);
      return true;
    });
    return left;
  }

  const std::string wire;
  MessageView view;
  OwnRoutes routes;
};

constexpr char kUri[] = "sip:bob@192.0.2.77:5060";

TEST(OwnRoutesTest, WithoutRouteNothingIsOurs) {
  const Request request(kUri, "");
  EXPECT_EQ(request.routes.count, 0U);
  EXPECT_EQ(request.routes.total, 0U);
  EXPECT_EQ(request.routes.token, OwnRoutes::Token::kNone);
  EXPECT_TRUE(request.Left().empty());
  EXPECT_FALSE(request.routes.has_route_left);
  EXPECT_FALSE(request.routes.strict_fixup);
  EXPECT_EQ(request.routes.request_uri.whole, kUri);
  EXPECT_EQ(request.Out(), std::string(kUri) + "\n");
}

TEST(OwnRoutesTest, Rfc3261_16_4_RouteThatNamesUsIsRemoved) {
  for (const char* own :
       {"sip:edge.example;lr", "sip:EDGE.example:5061;lr", "sips:edge.example;lr",
        "sip:anybody@edge.example:5061;transport=tls;lr", "sip:voice.example;lr",
        "sip:x@192.0.2.1:5071;lr", "sip:x@[2001:DB8:0::1]:5072;lr", "sip:edge.example"}) {
    const Request request(kUri, "Route: <" + std::string(own) + ">, <sip:p.example;lr>\r\n");
    EXPECT_EQ(request.routes.count, 1U) << own;
    EXPECT_EQ(request.routes.token, OwnRoutes::Token::kNone) << own;
    EXPECT_TRUE(request.routes.has_route_left);
    EXPECT_EQ(request.routes.next_route, "sip:p.example;lr");
    EXPECT_EQ(request.Out(), std::string(kUri) + "\nRoute: <sip:p.example;lr>\r\n");
  }
  for (const char* other : {"sip:edge.example:5999;lr", "sip:p.example;lr", "sip:192.0.2.2:5071;lr",
                            "sip:voice.example:5061;lr", "sip:edge.example@p.example;lr",
                            "sip:p.example;maddr=192.0.2.1;lr", "tel:+1900"}) {
    const Request request(kUri, "Route: <" + std::string(other) + ">\r\n");
    EXPECT_EQ(request.routes.count, 0U) << other;
    EXPECT_EQ(request.routes.next_route, other);
  }
}

// Rule of the names: what only an inside listener is called names nothing for the outside.
TEST(OwnRoutesTest, NameOfAnInsideListenerIsOursForTheInsideAlone) {
  const std::string route = "Route: <sip:core.example:5070;lr>, <sip:p.example;lr>\r\n";
  EXPECT_EQ(Request(kUri, route, Zone::kInside).routes.count, 1U);
  const Request outside(kUri, route, Zone::kOutside);
  EXPECT_EQ(outside.routes.count, 0U);
  EXPECT_EQ(outside.routes.next_route, "sip:core.example:5070;lr");
}

TEST(OwnRoutesTest, Rfc5658_3_BothSidesOfADoubleRecordRouteAreRemoved) {
  for (const auto& [first, second] :
       {std::pair(Pair().caller, Pair().callee), std::pair(Pair().callee, Pair().caller)}) {
    for (const std::string& between :
         {std::string(","), std::string(" ,\r\n  "), std::string("\r\nRoute: ")}) {
      for (const Zone from : {Zone::kOutside, Zone::kInside}) {
        const Request request(
            kUri, "Route: <" + first + ";dt=abc>" + between + "<" + second + ">\r\n", from);
        EXPECT_EQ(request.routes.count, 2U);
        EXPECT_EQ(request.routes.token, OwnRoutes::Token::kPair);
        EXPECT_TRUE(request.routes.has_second);
        EXPECT_EQ(request.routes.first.whole, first + ";dt=abc");
        EXPECT_EQ(request.routes.second.whole, second);
        EXPECT_FALSE(request.routes.has_route_left);
        EXPECT_EQ(request.Out(), std::string(kUri) + "\n");
      }
    }
  }
}

// The edge takes bare own values, then one pair or Path value; the rest is another arrival's.
TEST(OwnRoutesTest, OnePairIsReadPerArrival) {
  struct Case {
    std::string top;  // Goes.
    OwnRoutes::Token token;
    bool has_second;
  };
  const std::string bare = "<sip:edge.example;lr>";
  const std::string caller = "<" + Pair().caller + ">";
  const std::string callee = "<" + Pair().callee + ">";
  const std::string single = "<" + Single() + ">";
  const std::string path = "<" + Path() + ">";
  const std::vector<Case> cases = {
      {caller + ", " + callee, OwnRoutes::Token::kPair, true},
      {callee + ", " + caller, OwnRoutes::Token::kPair, true},
      {bare + ", " + bare + ", " + caller + ", " + callee, OwnRoutes::Token::kPair, true},
      {single, OwnRoutes::Token::kPair, false},
      {bare + ", " + single, OwnRoutes::Token::kPair, false},
      {path, OwnRoutes::Token::kPath, false},
      {bare + ", " + path, OwnRoutes::Token::kPath, false},
  };
  for (const Case& c : cases) {
    for (const std::string& below : {bare, single, path, callee + ", " + caller}) {
      // A half below a whole pair or a single line is no second of it.
      const Request request(kUri, "Route: " + c.top + ", " + below + "\r\n");
      EXPECT_EQ(request.routes.token, c.token) << c.top << below;
      EXPECT_EQ(request.routes.has_second, c.has_second) << c.top << below;
      EXPECT_TRUE(request.routes.has_route_left) << c.top << below;
      EXPECT_EQ(request.Out(), std::string(kUri) + "\nRoute: " + below + "\r\n") << c.top;
    }
  }
}

TEST(OwnRoutesTest, HalfOfAPairGoesAlone) {
  for (const std::string& half : {Pair().caller, Pair().callee}) {
    for (const std::string& below :
         {std::string("<sip:p.example;lr>"), std::string("<sip:edge.example;lr>"),
          "<" + Single() + ">", "<" + Path() + ">"}) {
      const Request request(kUri, "Route: <" + half + ">, " + below + "\r\n");
      EXPECT_EQ(request.routes.token, OwnRoutes::Token::kPair);
      EXPECT_EQ(request.routes.count, 1U) << below;
      EXPECT_FALSE(request.routes.has_second) << below;
      EXPECT_EQ(request.Out(), std::string(kUri) + "\nRoute: " + below + "\r\n");
    }
    const Request alone(kUri, "Route: <" + half + ">\r\n");
    EXPECT_EQ(alone.routes.count, 1U);
    EXPECT_FALSE(alone.routes.has_second);
  }
}

// A value of our form is ours whatever host it stands at: a sibling's, or an attacker's copy.
TEST(OwnRoutesTest, ValueOfOurFormIsOursAtEveryHost) {
  for (const std::string& uri : {Pair().caller, Pair().callee, Single(), Path()}) {
    const std::string user = uri.substr(0, uri.find('@'));
    for (const char* host : {"@p.example;lr", "@edge.example:5999;lr", "@192.0.2.99;lr;x=y"}) {
      const Request request(kUri, "Route: <" + user + host + ">, <sip:q.example;lr>\r\n");
      EXPECT_EQ(request.routes.count, 1U) << uri << host;
      EXPECT_NE(request.routes.token, OwnRoutes::Token::kNone) << uri << host;
      EXPECT_EQ(request.routes.next_route, "sip:q.example;lr");
    }
    // With one octet more, and as a number, it is not of the form.
    for (const std::string& other :
         {"sip:A" + user.substr(4) + "@p.example;lr", "tel:" + user.substr(4)}) {
      EXPECT_EQ(Request(kUri, "Route: <" + other + ">\r\n").routes.count, 0U) << other;
    }
  }
}

TEST(OwnRoutesTest, LeftValuesAreToldInOrderAcrossLines) {
  const std::string headers = "Route: <sip:edge.example;lr>, " + Pair().FromCaller() +
                              "\r\nRoute: <sip:p.example;lr>, <sip:edge.example;lr>\r\n"
                              "Route: " +
                              Pair().FromCaller() + "\r\n";
  const Request request(kUri, headers);
  EXPECT_EQ(request.Left(), (std::vector<std::string>{"sip:p.example;lr", "sip:edge.example;lr",
                                                      Pair().caller, Pair().callee}));
  // The visitor may stop.
  int visited = 0;
  ForEachRouteLeft(request.view, request.routes, [&visited](const Uri&) { return ++visited < 2; });
  EXPECT_EQ(visited, 2);
  const Request strict(Pair().caller, "Route: <" + Pair().callee +
                                          ">, <sip:p.example;lr>\r\nRoute: <" + kUri + ">\r\n");
  ASSERT_TRUE(strict.routes.strict_fixup);
  EXPECT_EQ(strict.Left(), std::vector<std::string>{"sip:p.example;lr"});
}

// Goal: the same values in the same order remain, however they were spread over lines. Method:
// every way to spread four values.
TEST(OwnRoutesTest, LinesAndListsAreOneRouteSet) {
  const std::vector<std::string> values = {"<sip:edge.example;lr>", "<sip:x@edge.example:5061;lr>",
                                           "\"a, b\" <sip:p.example;lr>;x=\",\"",
                                           "<sip:q.example;lr>"};
  for (unsigned spread = 0; spread < 8; ++spread) {
    std::string headers = "Route: " + values[0];
    for (size_t i = 1; i < values.size(); ++i) {
      const bool new_line = (spread >> (i - 1) & 1) != 0;
      headers += (new_line ? "\r\nX-Between: y\r\nroute : " : ", ") + values[i];
    }
    const Request request(kUri, headers + "\r\n");
    EXPECT_EQ(request.routes.count, 2U);
    EXPECT_EQ(request.routes.total, 4U);
    EXPECT_EQ(request.routes.next_route, "sip:p.example;lr");
    const std::string out = request.Out();
    EXPECT_EQ(out.find("edge.example"), std::string::npos) << out;
    const size_t p = out.find(values[2]);
    ASSERT_NE(p, std::string::npos) << out;
    EXPECT_GT(out.find(values[3]), p) << out;
    EXPECT_NE(out.find(values[3]), std::string::npos) << out;
  }
}

TEST(OwnRoutesTest, OwnValuesBelowAnotherStay) {
  const Request request(kUri,
                        "Route: <sip:p.example;lr>, <sip:edge.example;lr>, <sip:q.example;lr>\r\n");
  EXPECT_EQ(request.routes.count, 0U);
  EXPECT_NE(request.Out().find("<sip:edge.example;lr>"), std::string::npos);
  const Request pair(kUri, "Route: <sip:p.example;lr>, " + Pair().FromCaller() + "\r\n");
  EXPECT_EQ(pair.routes.count, 0U);
  EXPECT_EQ(pair.routes.token, OwnRoutes::Token::kNone);
}

TEST(OwnRoutesTest, TakesOffABoundedNumber) {
  for (const uint32_t own : {kOwnRoutesMax, kOwnRoutesMax + 1, 60U}) {
    std::string headers;
    for (uint32_t i = 0; i < own; ++i) headers += "Route: <sip:edge.example;lr>\r\n";
    const Request request(kUri, headers);
    EXPECT_EQ(request.routes.count, kOwnRoutesMax);
    EXPECT_EQ(request.routes.has_route_left, own > kOwnRoutesMax);
    EXPECT_EQ(request.Out().size(), std::string(kUri).size() + 1 + (own - kOwnRoutesMax) * 30);
  }
}

TEST(OwnRoutesTest, PairIsReadBelowTheMostBareValuesAndNoMore) {
  for (const uint32_t own : {kOwnRoutesMax, kOwnRoutesMax + 1}) {
    std::string headers;
    for (uint32_t i = 0; i < own; ++i) headers += "Route: <sip:edge.example;lr>\r\n";
    const Request request(kUri, headers + "Route: " + Pair().FromCaller() + "\r\n");
    const bool is_read = own == kOwnRoutesMax;
    EXPECT_EQ(request.routes.token, is_read ? OwnRoutes::Token::kPair : OwnRoutes::Token::kNone);
    EXPECT_EQ(request.routes.count, is_read ? kOwnRoutesMax + 2 : kOwnRoutesMax);
  }
}

// A value that we cannot read may be one that the next hop reads otherwise.
TEST(OwnRoutesTest, MalformedRouteIsReported) {
  for (const char* value : {"", ",", "sip:edge.example;lr", "<sip:edge.example;lr>,",
                            "<sip:edge.example;lr>, ,<sip:p.example;lr>", "<sip:edge.example;lr",
                            "<sip:edge..example;lr>", "<sip:p.example;lr> <sip:q.example;lr>",
                            "<sip:p.example;lr>\r\nRoute: x", "*"}) {
    EXPECT_TRUE(Request(kUri, "Route: " + std::string(value) + "\r\n").routes.malformed) << value;
  }
}

// Only a strict router puts a line of ours into the Request-URI (RFC 3261 §16.4).
TEST(OwnRoutesTest, Rfc3261_16_4_StrictRouteIsUndone) {
  const Request request(Single() + ";dt=d",
                        "Route: <sip:p.example;lr>, <" + std::string(kUri) + ">\r\n");
  EXPECT_TRUE(request.routes.strict_fixup);
  EXPECT_EQ(request.routes.count, 0U);
  EXPECT_EQ(request.routes.token, OwnRoutes::Token::kPair);
  EXPECT_EQ(request.routes.first.whole, Single() + ";dt=d");
  EXPECT_FALSE(request.routes.has_second);
  EXPECT_EQ(request.routes.request_uri.whole, kUri);
  EXPECT_TRUE(request.routes.has_route_left);
  EXPECT_EQ(request.routes.next_route, "sip:p.example;lr");
  EXPECT_EQ(request.Out(), std::string(kUri) + "\nRoute: <sip:p.example;lr>\r\n");
}

TEST(OwnRoutesTest, Rfc3261_16_4_StrictRouteOfBothSidesIsUndone) {
  for (const auto& [first, second] :
       {std::pair(Pair().caller, Pair().callee), std::pair(Pair().callee, Pair().caller)}) {
    const Request request(first, "Route: <" + second + ">\r\nRoute: <" + kUri + ">\r\n");
    EXPECT_TRUE(request.routes.strict_fixup);
    EXPECT_EQ(request.routes.count, 1U);
    EXPECT_TRUE(request.routes.has_second);
    EXPECT_EQ(request.routes.first.whole, first);
    EXPECT_EQ(request.routes.second.whole, second);
    EXPECT_FALSE(request.routes.has_route_left);
    EXPECT_EQ(request.Out(), std::string(kUri) + "\n");
  }
}

// The pair counts as one: below it nothing is ours.
TEST(OwnRoutesTest, BelowAStrictRouteNothingIsOurs) {
  const std::string uri = ", <" + std::string(kUri) + ">\r\n";
  const Request pair(Pair().caller, "Route: <" + Pair().callee + ">, <sip:edge.example;lr>" + uri);
  EXPECT_EQ(pair.routes.count, 1U);
  EXPECT_EQ(pair.Out(), std::string(kUri) + "\nRoute: <sip:edge.example;lr>\r\n");
  const Request single(Single(), "Route: " + Pair().FromCaller() + uri);
  EXPECT_EQ(single.routes.count, 0U);
  EXPECT_EQ(single.Left(), (std::vector<std::string>{Pair().caller, Pair().callee}));
}

// What becomes the Request-URI is no route of ours any more, whatever it names.
TEST(OwnRoutesTest, StrictRouteWithOnlyOurOwnValueLeft) {
  const Request request(Single(), "Route: <sip:x@edge.example;lr?Subject=y>\r\n");
  EXPECT_TRUE(request.routes.strict_fixup);
  EXPECT_EQ(request.routes.count, 0U);
  EXPECT_FALSE(request.routes.has_second);
  EXPECT_FALSE(request.routes.has_route_left);
  EXPECT_EQ(request.Out(), "sip:x@edge.example;lr\n");  // No headers in a Request-URI (§19.1.1).
  const Request pair(Pair().caller, "Route: <" + Pair().callee + ">\r\n");
  EXPECT_TRUE(pair.routes.strict_fixup);
  EXPECT_EQ(pair.routes.count, 0U);
  EXPECT_FALSE(pair.routes.has_second);
  EXPECT_FALSE(pair.routes.has_route_left);
  EXPECT_EQ(pair.Out(), Pair().callee + "\n");
}

TEST(OwnRoutesTest, OrdinaryRequestUrisAreNoStrictRoutes) {
  const std::string route = "Route: <sip:p.example;lr>\r\n";
  EXPECT_FALSE(Request(Single(), "").routes.strict_fixup);  // Nothing to put there.
  const std::string user = Single().substr(4, Single().find('@') - 4);
  for (const std::string& uri :
       {std::string("sip:bob@edge.example;lr"), std::string("sip:edge.example;lr"),
        "sip:X" + user + "@edge.example:5061;transport=tls;lr", Path(), std::string("tel:+1900")}) {
    EXPECT_FALSE(Request(uri, route).routes.strict_fixup) << uri;
  }
}

// One line of a pair in the Request-URI counts only if the first Route is a line, too: else a
// Contact of that form would choose where its peer's requests go.
TEST(OwnRoutesTest, HalfInTheRequestUriNeedsTheOtherOnTopOfRoute) {
  for (const std::string& half : {Pair().caller, Pair().callee}) {
    for (const std::string& first :
         {std::string("<sip:p.example;lr>"), "<" + Single() + ">", "<" + Path() + ">",
          std::string("<sip:edge.example;lr>, <") + Pair().callee + ">"}) {
      const Request request(half, "Route: " + first + ", <" + kUri + ">\r\n");
      EXPECT_FALSE(request.routes.strict_fixup) << first;
      EXPECT_EQ(request.routes.request_uri.whole, half);
    }
  }
}

// For a caller that has found no right in it.
TEST(OwnRoutesTest, StrictRouteIsLeftAloneWhereItIsIgnored) {
  const Request request(Pair().caller, "Route: <" + Pair().callee + ">, <" + kUri + ">\r\n",
                        Zone::kOutside, StrictRoutes::kIgnored);
  EXPECT_FALSE(request.routes.strict_fixup);
  EXPECT_EQ(request.routes.request_uri.whole, Pair().caller);
  EXPECT_EQ(request.routes.count, 1U);
  EXPECT_EQ(request.routes.first.whole, Pair().callee);
  EXPECT_EQ(request.routes.next_route, kUri);
  EXPECT_EQ(request.Out(), Pair().caller + "\nRoute: <" + kUri + ">\r\n");
}

TEST(OwnRoutesTest, Rfc3261_16_4_MaddrThatNamesUsIsStripped) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"sip:bob@b.example;maddr=192.0.2.1", "sip:bob@b.example"},
      {"sip:bob@b.example:5071;maddr=192.0.2.1;transport=tcp;x=y", "sip:bob@b.example;x=y"},
      {"sip:bob@b.example.:5061;x=y;TRANSPORT=tls;Maddr=EDGE.example", "sip:bob@b.example.;x=y"},
      {"sip:bob@b.example;x;maddr=voice.example;y", "sip:bob@b.example;x;y"},
      {"sip:bob@[2001:db8::9]:5072;maddr=[2001:db8::1]", "sip:bob@[2001:db8::9]"},
  };
  for (const auto& [uri, stripped] : cases) {
    const Request request(uri, "");
    EXPECT_TRUE(request.routes.strips_maddr) << uri;
    EXPECT_EQ(request.Out(), stripped + "\n");
  }
  for (const char* uri :
       {"sip:bob@b.example;maddr=192.0.2.2", "sip:bob@b.example:5999;maddr=192.0.2.1",
        "sip:bob@b.example;x=192.0.2.1", "sip:bob@b.example:5061;maddr=voice.example"}) {
    EXPECT_FALSE(Request(uri, "").routes.strips_maddr) << uri;
    EXPECT_EQ(Request(uri, "").Out(), std::string(uri) + "\n");
  }
}

TEST(OwnRoutesTest, MaddrOfAnInsideListenerIsOursForTheInsideAlone) {
  const std::string uri = "sip:bob@b.example:5070;maddr=core.example";
  EXPECT_TRUE(Request(uri, "", Zone::kInside).routes.strips_maddr);
  EXPECT_FALSE(Request(uri, "", Zone::kOutside).routes.strips_maddr);
}

TEST(OwnRoutesTest, Rfc3261_16_6_6_StrictNextHopGetsItsUriInTheRequestLine) {
  const Request request(kUri,
                        "Route: <sip:edge.example;lr>, <sip:p.example>\r\n"
                        "Route: <sip:q.example;lr>\r\n");
  EXPECT_TRUE(request.routes.next_is_strict);
  EXPECT_EQ(request.OutToStrict(),
            "sip:p.example\nRoute: <sip:q.example;lr>\r\nRoute: <" + std::string(kUri) + ">\r\n");
  const Request alone("sip:bob@b.example;maddr=192.0.2.1",
                      "Route: <sip:p.example;x?Subject=y>\r\n");
  EXPECT_TRUE(alone.routes.next_is_strict);
  EXPECT_EQ(alone.OutToStrict(), "sip:p.example;x\nRoute: <sip:bob@b.example>\r\n");
  EXPECT_FALSE(Request(kUri, "Route: <sip:p.example;LR>\r\n").routes.next_is_strict);
  EXPECT_FALSE(Request(kUri, "Route: <sip:edge.example>\r\n").routes.next_is_strict);
}

TEST(OwnRoutesTest, StrictOnBothSides) {
  const Request request(
      Single(), "Route: <sip:p.example>, <sip:q.example;lr>, <" + std::string(kUri) + ">\r\n");
  EXPECT_TRUE(request.routes.strict_fixup);
  EXPECT_TRUE(request.routes.next_is_strict);
  EXPECT_EQ(request.OutToStrict(),
            "sip:p.example\nRoute: <sip:q.example;lr>\r\nRoute: <" + std::string(kUri) + ">\r\n");
  const Request last(Single(), "Route: <" + std::string(kUri) + ">\r\n");
  EXPECT_FALSE(last.routes.has_route_left);
  EXPECT_FALSE(last.routes.next_is_strict);
}

}  // namespace
}  // namespace sallyport::sip
