// What the log tells of requests that were refused, here and later on, and of every request at
// level debug; and that it names nobody unless it is told to.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kOff[] = "[log]\ncall-id = \"off\"\n";
constexpr char kOpen[] = "[log]\ncall-id = \"plain\"\nusers = true\n";

// "key":"value" of a line.
auto Says(const std::string& key, const std::string& value) {
  return HasSubstr("\"" + key + "\":\"" + value + "\"");
}
auto Has(const std::string& key) { return HasSubstr("\"" + key + "\":"); }

std::vector<std::string> Lines(SimulatedEdge& edge, const std::string& event) {
  std::vector<std::string> lines;
  for (const std::string& line : edge.TakeLog()) {
    if (line.find("\"event\":\"" + event + "\"") != std::string::npos) lines.push_back(line);
  }
  return lines;
}

std::string Line(SimulatedEdge& edge, const std::string& event) {
  const std::vector<std::string> lines = Lines(edge, event);
  EXPECT_EQ(lines.size(), 1U);
  return lines.empty() ? std::string() : lines[0];
}

RequestText Refused() {
  return {.uri = "sip:bobby@edge.example",
          .from = "<sip:mallory@m.example>;tag=1",
          .to = "<sip:robert@edge.example>",
          .call_id = "secret-call@pc.a.example"};
}

TEST(RequestLogTest, RefusalSaysWhatWasAskedAndHidesWho) {
  SimulatedEdge edge({.keeps_log = true});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Refused().Text());
  edge.Settle();
  const std::string line = Line(edge, "request-refused");
  EXPECT_THAT(line, AllOf(Says("reason", "from-not-covered"), HasSubstr("\"status\":403"),
                          Says("method", "MESSAGE"), Says("cseq", "1 MESSAGE"),
                          Says("request_uri_host", "edge.example"), Says("from_host", "m.example"),
                          Says("zone", "outside"), Says("listener", "federation"),
                          Says("identities", "sip:a.example"), Says("next_hop", ""),
                          Says("target", ""), Says("dns_name", "")));
  EXPECT_THAT(line, ::testing::ContainsRegex("\"call_id\":\"[0-9a-f]{16}\""));
  EXPECT_THAT(
      line, AllOf(Not(HasSubstr("secret-call")), Not(HasSubstr("bobby")), Not(HasSubstr("mallory")),
                  Not(HasSubstr("robert")), Not(Has("from_user"))));
}

TEST(RequestLogTest, UsersAndCallIdAreShownWhereTheConfigurationSaysSo) {
  SimulatedEdge edge({.extra = kOff, .keeps_log = true});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Refused().Text());
  edge.Settle();
  EXPECT_THAT(Line(edge, "request-refused"), Not(Has("call_id")));
  edge.Reload({.extra = kOpen});
  alice.Send(Refused().Text());
  edge.Settle();
  EXPECT_THAT(Line(edge, "request-refused"),
              AllOf(Says("call_id", "secret-call@pc.a.example"), Says("request_uri_user", "bobby"),
                    Says("from_user", "mallory"), Says("to_user", "robert")));
}

// A request that did not parse is told as far as it can be read.
TEST(RequestLogTest, MalformedRequestIsToldAsFarAsItCanBeRead) {
  SimulatedEdge edge({.keeps_log = true});
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText odd = Refused();
  odd.cseq = "1\"\\";
  alice.Send(odd.Text());
  edge.Settle();
  const std::string line = Line(edge, "request-refused");
  EXPECT_THAT(line, AllOf(Says("reason", "malformed"), Says("method", "MESSAGE"),
                          Says("request_uri_host", "edge.example"), Says("from_host", "m.example"),
                          Says("cseq", "1\\\"\\\\ MESSAGE")));
  EXPECT_TRUE(std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
}

// No text of a peer makes a line long.
TEST(RequestLogTest, EveryTextIsBounded) {
  SimulatedEdge edge({.extra = kOpen, .keeps_log = true});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string text(1500, 'x');
  RequestText large = Refused();
  large.method = text;
  large.call_id = text;
  large.from = "<sip:" + text + "@m.example>;tag=1";
  large.to = "<sip:" + text + "@edge.example>";
  large.uri = "sip:" + text + "@edge.example";
  alice.Send(large.Text());
  edge.Settle();
  const std::string line = Line(edge, "request-refused");
  EXPECT_LT(line.size(), 2000U);
  EXPECT_THAT(line,
              AllOf(HasSubstr("\"truncated\":true"), Says("method", std::string(32, 'x')),
                    Says("call_id", std::string(256, 'x')),
                    Says("request_uri_user", std::string(256, 'x')), Says("from_host", "m.example"),
                    Says("identities", "sip:a.example"), Has("address"), Has("suppressed")));
}

// What fails after the request was accepted: the line says where it was to go.
TEST(RequestLogTest, SilentNextHopIsNamed) {
  SimulatedEdge edge({.keeps_log = true});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText().Text());
  edge.Run(absl::Seconds(33), absl::Milliseconds(500));
  const std::string line = Line(edge, "request-refused");
  EXPECT_THAT(
      line, AllOf(Says("reason", "timeout"), HasSubstr("\"status\":408"), Says("next_hop", "core"),
                  Says("target", "127.0.0.1:5080"), Says("dns_name", ""),
                  Says("request_uri_host", "edge.example"), Says("from_host", "a.example"),
                  Says("identities", "sip:a.example"), Says("listener", "federation")));
}

TEST(RequestLogTest, NameThatDnsDoesNotKnowIsNamed) {
  SimulatedEdge edge({.next_hop = NextHopKind::kOther,
                      .targets = {"tcp:nowhere.core.example:5080"},
                      .keeps_log = true});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText().Text());
  edge.Run(absl::Seconds(1));
  EXPECT_THAT(Line(edge, "request-refused"),
              AllOf(Says("reason", "next-hop-unreachable"), Says("next_hop", "core"),
                    Says("dns_name", "nowhere.core.example"), Says("target", ""),
                    Says("cause", "DNS knows no such name")));
}

TEST(RequestLogTest, DomainThatDnsDoesNotKnowIsNamed) {
  SimulatedEdge edge({.edge = "outbound-tls = \"federation\"\n", .keeps_log = true});
  edge.InsideSend(
      "127.0.0.1:5080",
      RequestText{.uri = "sip:bob@nowhere.example", .via = "SIP/2.0/UDP 127.0.0.1:5080"}.Text());
  edge.Run(absl::Seconds(1));
  EXPECT_THAT(
      Line(edge, "request-refused"),
      AllOf(Says("reason", "next-hop-unreachable"), Says("zone", "inside"), Says("next_hop", ""),
            Says("dns_name", "nowhere.example"), Says("request_uri_host", "nowhere.example")));
}

TEST(RequestLogTest, RefusalsOfNextHopsAreLimitedForEachReasonAndPeer) {
  SimulatedEdge edge({.next_hop = NextHopKind::kOther,
                      .targets = {"tcp:nowhere.core.example:5080"},
                      .keeps_log = true});
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& bob = edge.Connect("b.example");
  for (int i = 0; i < 20; ++i) alice.Send(RequestText{.branch = std::to_string(i)}.Text());
  bob.Send(RequestText{.from = "<sip:bob@b.example>;tag=1"}.Text());
  edge.Run(absl::Milliseconds(500));
  EXPECT_EQ(Lines(edge, "request-refused").size(), 6U);
  EXPECT_EQ(
      edge.Counter(edge.metrics().log_records_suppressed.Slot(ReasonCode::kNextHopUnreachable)),
      15U);
}

class DebugLogTest : public ::testing::Test {
 protected:
  static SimulatedEdgeOptions Debug(const std::string& more = "") {
    return {.extra = "[log]\nlevel = \"debug\"\n" + more, .keeps_log = true};
  }
};

TEST_F(DebugLogTest, EachRequestHasOneLineWithItsOutcome) {
  SimulatedEdge edge(Debug());
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText().Text());
  edge.Settle();
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 486, "Busy Here"));
  edge.Settle();
  EXPECT_THAT(
      Line(edge, "request"),
      AllOf(HasSubstr("\"status\":486"), Says("method", "MESSAGE"), Says("cseq", "1 MESSAGE"),
            Says("request_uri_host", "edge.example"), Says("from_host", "a.example"),
            Says("next_hop", "core"), Says("target", "127.0.0.1:5080"),
            Says("identities", "sip:a.example"), Has("call_id")));
  alice.Send(Refused().Text());
  edge.Settle();
  EXPECT_THAT(Line(edge, "request"), AllOf(HasSubstr("\"status\":403"), Says("next_hop", "")));
}

// A call: INVITE with its 2xx sent twice, the ACK, and the BYE.
TEST_F(DebugLogTest, CallHasALineForEachOfItsRequests) {
  SimulatedEdge edge(Debug());
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText invite{.method = "INVITE", .headers = "Contact: <sip:alice@a.example>\r\n"};
  alice.Send(invite.Text());
  edge.Settle();
  const std::string ok = ResponseText(edge.NextHopTake().value_or(""), 200, "OK",
                                      "Contact: <sip:bob@127.0.0.1:5080>\r\n");
  edge.NextHopSend(ok);
  edge.Settle();
  edge.NextHopSend(ok);
  edge.Settle();
  EXPECT_THAT(Line(edge, "request"), AllOf(HasSubstr("\"status\":200"), Says("method", "INVITE")));
  alice.Send(
      RequestText{.method = "ACK", .branch = "2", .to = "<sip:bob@edge.example>;tag=uas"}.Text());
  edge.Settle();
  EXPECT_THAT(Line(edge, "request"),
              AllOf(HasSubstr("\"status\":0"), Says("method", "ACK"), Says("next_hop", "core")));
}

TEST_F(DebugLogTest, AboveDebugThereIsNone) {
  SimulatedEdge edge({.keeps_log = true});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText().Text());
  edge.Settle();
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 200, "OK"));
  edge.Settle();
  EXPECT_THAT(Lines(edge, "request"), ::testing::IsEmpty());
}

// Every way by which a message leaves words in the log, with all that it says of people: none of it
// is in any line, of whatever event.
TEST_F(DebugLogTest, NothingOfUsersAndCallIdsLeavesWhereBothAreOff) {
  SimulatedEdge edge(Debug("call-id = \"off\"\n"));
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string from = "\"Display\" <sip:fromuser@a.example>;tag=1";
  const RequestText good{.uri = "sip:ruriuser@edge.example",
                         .from = from,
                         .to = "\"Other\" <sip:touser@edge.example>",
                         .call_id = "thecallid"};
  const auto with = [&good](auto change) {
    RequestText request = good;
    change(request);
    return request.Text();
  };
  for (const std::string& text : {
           good.Text(),
           with([](RequestText& r) { r.from = "<sip:fromuser@m.example>;tag=1"; }),
           with([](RequestText& r) { r.from = "fromuser <broken"; }),
           with([](RequestText& r) { r.uri = "sip:ruriuser@b.example"; }),
           with([](RequestText& r) { r.uri = "tel:ruriuser"; }),
           with([](RequestText& r) { r.uri = "sip:ruriuser:touser@"; }),
           with([](RequestText& r) { r.cseq = "1 MESSAGE\r\n fromuser"; }),
           with([](RequestText& r) { r.headers = "Route: <sip:touser@edge.example\r\n"; }),
           with([](RequestText& r) { r.headers = "Proxy-Require: fromuser\r\n"; }),
           with([](RequestText& r) { r.headers = "Max-Forwards: fromuser\r\n"; }),
           with([](RequestText& r) {
             r.method = "ACK";
             r.uri = "sip:ruriuser@b.example";
           }),
           with([](RequestText& r) { r.method = "CANCEL"; }),
           with([](RequestText& r) { r.method = "REGISTER"; }),
           with([](RequestText& r) { r.headers = "Contact: fromuser\r\n thecallid\r\n"; }),
       }) {
    alice.Send(text);
    edge.Settle();
  }
  const std::string forwarded = edge.NextHopTake().value_or("");
  ASSERT_THAT(forwarded, HasSubstr("thecallid"));
  edge.NextHopSend(ResponseText(forwarded, 200, "OK"));
  edge.NextHopSend(ResponseText(forwarded, 200, "OK"));
  edge.Run(absl::Seconds(40), absl::Milliseconds(500));
  const std::vector<std::string> lines = edge.TakeLog();
  EXPECT_GT(lines.size(), 10U);
  for (const std::string& line : lines) {
    for (const char* const word :
         {"fromuser", "touser", "ruriuser", "thecallid", "Display", "Other"}) {
      EXPECT_THAT(line, Not(HasSubstr(word)));
    }
  }
  for (const char* const event :
       {"request-refused", "response-dropped", "ack-dropped", "request"}) {
    EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [event](const std::string& line) {
      return line.find("\"event\":\"" + std::string(event) + "\"") != std::string::npos;
    })) << event;
  }
}

}  // namespace
}  // namespace sallyport::sip::test
