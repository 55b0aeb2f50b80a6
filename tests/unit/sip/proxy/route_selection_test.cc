#include "sip/proxy/route_selection.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

ServedNames Names() {
  return ServedNames({"edge.example", "voice.example", "[2001:db8::10]"},
                     {{"edge.example", 5061}, {"192.0.2.1", 5071}});
}

RouteSelection Select(const std::string& method, const std::string& uri,
                      const std::string& extra_headers = "", int max_forwards = 70) {
  const std::string wire = method + " " + uri +
                           " SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
                           "From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@edge.example>\r\n"
                           "Call-ID: c\r\nCSeq: 1 " +
                           method + "\r\nMax-Forwards: " + std::to_string(max_forwards) + "\r\n" +
                           extra_headers + "Content-Length: 0\r\n\r\n";
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  return SelectRoute(request, Names());
}

TEST(RouteSelectionTest, OurDomainsAndAdvertisedNamesGoInside) {
  for (const char* uri : {"sip:bob@edge.example", "sip:bob@EDGE.Example", "sip:bob@voice.example:9",
                          "sips:bob@edge.example", "sip:edge.example", "sip:bob@192.0.2.1",
                          "sip:bob@[2001:DB8:0::0010]:5070"}) {
    EXPECT_EQ(Select("INVITE", uri).outcome, RouteOutcome::kInside) << uri;
  }
}

TEST(RouteSelectionTest, EverythingElseIsRelaying) {
  for (const char* uri :
       {"sip:bob@other.example", "sip:bob@sub.edge.example", "sip:bob@edge.example.com",
        "sip:bob@192.0.2.2", "sip:edge.example@other.example",
        "sip:bob@other.example;maddr=192.0.2.1"}) {
    EXPECT_EQ(Select("INVITE", uri).outcome, RouteOutcome::kRelay) << uri;
  }
}

// A Route that names us is taken off; it opens no way to a target that is not ours.
TEST(RouteSelectionTest, OwnRouteIsRemovedAndGrantsNothing) {
  const RouteSelection ours =
      Select("INVITE", "sip:bob@edge.example", "Route: <sip:edge.example:5061;lr>\r\n");
  EXPECT_EQ(ours.outcome, RouteOutcome::kInside);
  EXPECT_TRUE(ours.removes_top_route);
  EXPECT_EQ(Select("INVITE", "sip:bob@other.example", "Route: <sip:edge.example;lr>\r\n").outcome,
            RouteOutcome::kRelay);
  EXPECT_FALSE(Select("INVITE", "sip:bob@edge.example", "Route: <sip:other.example;lr>\r\n")
                   .removes_top_route);
  EXPECT_FALSE(Select("INVITE", "sip:bob@edge.example", "Route: <sip:edge.example:5999;lr>\r\n")
                   .removes_top_route);
}

// Our Record-Route URIs have a token for a user; a request *for* the edge has none.
TEST(RouteSelectionTest, EdgeHostIsTheEdgeWhateverTheUser) {
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
    EXPECT_FALSE(names.IsEdge(parsed(uri))) << uri;
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

TEST(RouteSelectionTest, OptionsToUsWithoutHopsIsAnsweredHere) {
  EXPECT_EQ(Select("OPTIONS", "sip:edge.example", "", 0).outcome, RouteOutcome::kAnswerItself);
  EXPECT_EQ(Select("OPTIONS", "sip:edge.example", "", 1).outcome, RouteOutcome::kInside);
  EXPECT_EQ(Select("OPTIONS", "sip:bob@edge.example", "", 0).outcome, RouteOutcome::kInside);
  EXPECT_EQ(Select("OPTIONS", "sip:other.example", "", 0).outcome, RouteOutcome::kRelay);
  EXPECT_EQ(Select("MESSAGE", "sip:edge.example", "", 0).outcome, RouteOutcome::kInside);
}

}  // namespace
}  // namespace sallyport::sip
