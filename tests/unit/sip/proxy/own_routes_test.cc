#include "sip/proxy/own_routes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sip/message/message_parser.h"
#include "sip/proxy/flow_token.h"
#include "sip/proxy/hop_token.h"
#include "sip/proxy/route_token.h"

namespace sallyport::sip {
namespace {

ServedNames Names() {
  return ServedNames({"edge.example", "voice.example"},
                     {{"edge.example", 5061}, {"192.0.2.1", 5071}, {"[2001:db8::1]", 5072}});
}

tls::Secret TestSecret() {
  return *tls::Secret::Parse("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                             "test");
}

std::string FlowText() {
  std::string text(FlowTokenSigner::kTextBytes, '\0');
  FlowTokenSigner(TestSecret(), "edge-1", 1).Write({}, text.data());
  return text;
}

std::string TargetText() {
  std::string text(RouteTokenSigner::kTextBytesMax, '\0');
  text.resize(
      RouteTokenSigner(TestSecret())
          .Write({TransportProtocol::kUdp, *core::SocketAddress::Parse("192.0.2.9:5060"), false, 0},
                 text.data()));
  return text;
}

// `headers` stand between From and Content-Length.
struct Request {
  Request(const std::string& uri, const std::string& headers)
      : wire("BYE " + uri +
             " SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
             "From: <sip:alice@a.example>;tag=1\r\n" +
             headers +
             "To: <sip:bob@edge.example>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n"
             "Content-Length: 0\r\n\r\n") {
    EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk) << wire;
    routes = ReadOwnRoutes(view, Names());
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

  const std::string wire;
  MessageView view;
  OwnRoutes routes;
};

constexpr char kUri[] = "sip:bob@192.0.2.77:5060";

TEST(OwnRoutesTest, WithoutRouteNothingIsOurs) {
  const Request request(kUri, "");
  EXPECT_EQ(request.routes.count, 0U);
  EXPECT_EQ(request.routes.total, 0U);
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

TEST(OwnRoutesTest, Rfc5658_3_BothSidesOfADoubleRecordRouteAreRemoved) {
  const std::string own = "<sip:" + TargetText() + "@edge.example:5061;transport=tls;lr;dt=abc>";
  const std::string other_side = "<sip:" + FlowText() + "@192.0.2.1:5071;lr>";
  for (const std::string& between :
       {std::string(","), std::string(" ,\r\n  "), std::string("\r\nRoute: ")}) {
    const Request request(kUri, "Route: " + own + between + other_side + "\r\n");
    EXPECT_EQ(request.routes.count, 2U);
    EXPECT_EQ(request.routes.top_user, TargetText());
    EXPECT_EQ(request.routes.top_dialog, "abc");
    EXPECT_EQ(request.routes.second_user, FlowText());
    EXPECT_FALSE(request.routes.has_route_left);
    EXPECT_EQ(request.Out(), std::string(kUri) + "\n");
  }
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
  EXPECT_EQ(request.routes.top_user, "");
  EXPECT_NE(request.Out().find("<sip:edge.example;lr>"), std::string::npos);
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

// A value that we cannot read may be one that the next hop reads otherwise.
TEST(OwnRoutesTest, MalformedRouteIsReported) {
  for (const char* value : {"", ",", "sip:edge.example;lr", "<sip:edge.example;lr>,",
                            "<sip:edge.example;lr>, ,<sip:p.example;lr>", "<sip:edge.example;lr",
                            "<sip:edge..example;lr>", "<sip:p.example;lr> <sip:q.example;lr>",
                            "<sip:p.example;lr>\r\nRoute: x", "*"}) {
    EXPECT_TRUE(Request(kUri, "Route: " + std::string(value) + "\r\n").routes.malformed) << value;
  }
}

std::string OwnUri() { return "sip:" + TargetText() + "@edge.example:5061;transport=tls;lr;dt=d"; }

TEST(OwnRoutesTest, Rfc3261_16_4_StrictRouteIsUndone) {
  const Request request(OwnUri(), "Route: <sip:p.example;lr>, <" + std::string(kUri) + ">\r\n");
  EXPECT_TRUE(request.routes.strict_fixup);
  EXPECT_EQ(request.routes.count, 0U);
  EXPECT_EQ(request.routes.top_user, TargetText());
  EXPECT_EQ(request.routes.top_dialog, "d");
  EXPECT_EQ(request.routes.request_uri.whole, kUri);
  EXPECT_TRUE(request.routes.has_route_left);
  EXPECT_EQ(request.routes.next_route, "sip:p.example;lr");
  EXPECT_EQ(request.Out(), std::string(kUri) + "\nRoute: <sip:p.example;lr>\r\n");
}

TEST(OwnRoutesTest, Rfc3261_16_4_StrictRouteToAnEarlierNextHopIsUndone) {
  std::string hop(HopTokenSigner::kTextBytesMax, '\0');
  hop.resize(HopTokenSigner(TestSecret()).Write(0, {}, "b.example", hop.data()));
  const Request request("sip:" + hop + "@edge.example:5061;lr",
                        "Route: <" + std::string(kUri) + ">\r\n");
  EXPECT_TRUE(request.routes.strict_fixup);
  EXPECT_EQ(request.routes.top_user, hop);
  EXPECT_EQ(request.Out(), std::string(kUri) + "\n");
}

TEST(OwnRoutesTest, Rfc3261_16_4_StrictRouteOfBothSidesIsUndone) {
  const std::string other_side = "<sip:" + FlowText() + "@192.0.2.1:5071;lr>";
  const Request request(OwnUri(), "Route: " + other_side + "\r\nRoute: <" + kUri + ">\r\n");
  EXPECT_TRUE(request.routes.strict_fixup);
  EXPECT_EQ(request.routes.count, 1U);
  EXPECT_EQ(request.routes.top_user, TargetText());
  EXPECT_EQ(request.routes.second_user, FlowText());
  EXPECT_FALSE(request.routes.has_route_left);
  EXPECT_EQ(request.Out(), std::string(kUri) + "\n");
}

// What becomes the Request-URI is no route of ours any more, whatever it names.
TEST(OwnRoutesTest, StrictRouteWithOnlyOurOwnValueLeft) {
  const Request request(OwnUri(), "Route: <sip:x@edge.example;lr?Subject=y>\r\n");
  EXPECT_TRUE(request.routes.strict_fixup);
  EXPECT_EQ(request.routes.count, 0U);
  EXPECT_EQ(request.routes.second_user, "");
  EXPECT_FALSE(request.routes.has_route_left);
  EXPECT_EQ(request.Out(), "sip:x@edge.example;lr\n");  // No headers in a Request-URI (§19.1.1).
}

TEST(OwnRoutesTest, OrdinaryRequestUrisAreNoStrictRoutes) {
  const std::string route = "Route: <sip:p.example;lr>\r\n";
  EXPECT_FALSE(Request(OwnUri(), "").routes.strict_fixup);  // Nothing to put there.
  for (const std::string& uri :
       {std::string("sip:bob@edge.example;lr"), std::string("sip:edge.example;lr"),
        "sip:" + TargetText() + "@edge.example:5061", "sip:" + TargetText() + "@p.example;lr",
        "sip:" + TargetText() + "@edge.example:5999;lr",
        "sip:X" + TargetText() + "@edge.example;lr"}) {
    EXPECT_FALSE(Request(uri, route).routes.strict_fixup) << uri;
  }
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
      OwnUri(), "Route: <sip:p.example>, <sip:q.example;lr>, <" + std::string(kUri) + ">\r\n");
  EXPECT_TRUE(request.routes.strict_fixup);
  EXPECT_TRUE(request.routes.next_is_strict);
  EXPECT_EQ(request.OutToStrict(),
            "sip:p.example\nRoute: <sip:q.example;lr>\r\nRoute: <" + std::string(kUri) + ">\r\n");
  const Request last(OwnUri(), "Route: <" + std::string(kUri) + ">\r\n");
  EXPECT_FALSE(last.routes.has_route_left);
  EXPECT_FALSE(last.routes.next_is_strict);
}

}  // namespace
}  // namespace sallyport::sip
