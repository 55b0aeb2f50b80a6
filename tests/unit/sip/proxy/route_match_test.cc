// Goal: the first route whose zone, domain, user and method all fit, however the Request-URI is
// spelled. Method: routes as a configuration makes them, requests as the parser reads them.
#include "sip/proxy/route_match.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

RouteConfig Route(std::string domain, std::string_view user = "", std::string method = "",
                  std::optional<Zone> zone = std::nullopt) {
  RouteConfig route;
  route.domain = std::move(domain);
  route.user = *UserPattern::Parse(user);
  route.method = std::move(method);
  route.zone = zone;
  return route;
}

// The position of the route that takes it; -1: none.
int Match(const std::vector<RouteConfig>& routes, const std::string& uri,
          const std::string& method = "INVITE", Zone from = Zone::kInside) {
  const std::string text = method + " " + uri +
                           " SIP/2.0\r\n"
                           "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n"
                           "From: <sip:a@a.example>;tag=1\r\nTo: <sip:b@b.example>\r\n"
                           "Call-ID: 1\r\nCSeq: 1 " +
                           method + "\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
  MessageView request;
  EXPECT_EQ(ParseMessage(text, Framing::kStream, request), ParseOutcome::kOk) << text;
  const RouteConfig* route = MatchRoute(routes, from, request);
  return route == nullptr ? -1 : static_cast<int>(route - routes.data());
}

TEST(RouteMatchTest, NoRouteTakesNothing) { EXPECT_EQ(Match({}, "sip:a@b.example"), -1); }

TEST(RouteMatchTest, TheFirstWins) {
  const std::vector<RouteConfig> routes = {Route("b.example", "alice"), Route("b.example"),
                                           Route("", "alice"), Route("")};
  EXPECT_EQ(Match(routes, "sip:alice@b.example"), 0);
  EXPECT_EQ(Match(routes, "sip:bob@b.example"), 1);
  EXPECT_EQ(Match(routes, "sip:b.example"), 1);
  EXPECT_EQ(Match(routes, "sip:alice@c.example"), 2);
  EXPECT_EQ(Match(routes, "sip:bob@c.example"), 3);
}

TEST(RouteMatchTest, EveryConditionMustHold) {
  const std::vector<RouteConfig> routes = {Route("b.example", "alice", "INVITE", Zone::kOutside)};
  EXPECT_EQ(Match(routes, "sip:alice@b.example", "INVITE", Zone::kOutside), 0);
  EXPECT_EQ(Match(routes, "sip:alice@b.example", "INVITE", Zone::kInside), -1);
  EXPECT_EQ(Match(routes, "sip:alice@b.example", "MESSAGE", Zone::kOutside), -1);
  EXPECT_EQ(Match(routes, "sip:bob@b.example", "INVITE", Zone::kOutside), -1);
  EXPECT_EQ(Match(routes, "sip:alice@c.example", "INVITE", Zone::kOutside), -1);
}

TEST(RouteMatchTest, ARouteWithoutZoneTakesBoth) {
  for (const Zone zone : {Zone::kInside, Zone::kOutside}) {
    EXPECT_EQ(Match({Route("b.example")}, "sip:a@b.example", "INVITE", zone), 0);
  }
}

TEST(RouteMatchTest, MethodsAreCaseSensitive) {
  EXPECT_EQ(Match({Route("", "", "INVITE")}, "sip:a@b", "INVITE"), 0);
  EXPECT_EQ(Match({Route("", "", "PING")}, "sip:a@b", "PING"), 0);
  EXPECT_EQ(Match({Route("", "", "PING")}, "sip:a@b", "ping"), -1);
}

TEST(RouteMatchTest, ADomainIsOneInAnySpelling) {
  const std::vector<RouteConfig> routes = {Route("b.example")};
  for (const char* uri :
       {"sip:a@b.example", "sip:a@B.EXAMPLE", "sip:a@b.example.", "sips:a@b.example",
        "sip:a@b.example:5080;transport=tcp", "SIP:b.example", "sip:a:b@b.example"}) {
    EXPECT_EQ(Match(routes, uri), 0) << uri;
  }
  for (const char* uri : {"sip:a@c.example", "sip:a@x.b.example", "sip:b.example@c.example",
                          "sip:a@c.example;maddr=b.example", "tel:+1", "urn:b.example"}) {
    EXPECT_EQ(Match(routes, uri), -1) << uri;
  }
}

TEST(RouteMatchTest, AnAddressIsComparedByItsValue) {
  EXPECT_EQ(Match({Route("[2001:db8::1]")}, "sip:a@[2001:DB8:0:0::1]:5060"), 0);
  EXPECT_EQ(Match({Route("[2001:db8::1]")}, "sip:a@[2001:db8::2]"), -1);
  EXPECT_EQ(Match({Route("192.0.2.1")}, "sip:a@192.0.2.1"), 0);
  EXPECT_EQ(Match({Route("192.0.2.1")}, "sip:a@192.0.2.10"), -1);
  EXPECT_EQ(Match({Route("b.example")}, "sip:a@192.0.2.1"), -1);
}

TEST(RouteMatchTest, ATelUriHasAUserAndNoDomain) {
  const std::vector<RouteConfig> routes = {Route("b.example", "+1900*"), Route("", "+1900*")};
  EXPECT_EQ(Match(routes, "tel:+1-900-555"), 1);
  EXPECT_EQ(Match(routes, "sip:+1-900-555@b.example;user=phone"), 0);
  EXPECT_EQ(Match(routes, "tel:+1-800-555"), -1);
  EXPECT_EQ(Match({Route("")}, "tel:112"), 0);
}

TEST(RouteMatchTest, AUrnIsTakenByItsTextOrByARouteForAll) {
  const std::vector<RouteConfig> routes = {Route("b.example"), Route("b.example", "urn:service:*"),
                                           Route("", "urn:service:sos"), Route("", "urn:service:*"),
                                           Route("", "sos")};
  EXPECT_EQ(Match(routes, "urn:service:sos"), 2);
  EXPECT_EQ(Match(routes, "URN:SERVICE:sos"), 2);
  EXPECT_EQ(Match(routes, "urn:service:sos.police"), 3);
  EXPECT_EQ(Match(routes, "urn:nena:service:sos"), -1);
  EXPECT_EQ(Match({Route("")}, "urn:nena:service:sos"), 0);
}

// A rule about a number is for that number, however it is dialled.
TEST(RouteMatchTest, ANumberCannotBeSpelledPastItsRoute) {
  const std::vector<RouteConfig> routes = {Route("", "+1900*"), Route("")};
  for (const char* uri :
       {"sip:+1%39005@b.example", "sip:%2B1900@b.example", "sip:+1-900-5@b.example",
        "sip:+1(900)5@b.example;user=phone", "sip:+1900;isub=1@b.example",
        "sip:+1-900;phone-context=b.example@b.example;user=phone", "sips:+1.9.0.0@b.example",
        "tel:+1-900-555;ext=1", "TEL:+1900", "sip:+1900:pin@b.example",
        "sip:+1900%3bx@b.example"}) {
    EXPECT_EQ(Match(routes, uri), 0) << uri;
  }
  EXPECT_EQ(Match(routes, "sip:+1800@b.example"), 1);
}

}  // namespace
}  // namespace sallyport::sip
