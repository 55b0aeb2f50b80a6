// The rules of a stateful proxy on a whole shard, section by section (RFC 3261 §16, with RFC 3263
// §4.3, RFC 5393 and RFC 6026).

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

constexpr char kSecond[] = "127.0.0.1:5081";
constexpr char kTelephone[] = "127.0.0.1:5090";

core::SocketAddress Address(std::string_view text) { return *core::SocketAddress::Parse(text); }

std::string Replaced(std::string text, std::string_view part, std::string_view by) {
  const size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << text;
  return text.replace(at, part.size(), by);
}

// Two targets of one next hop, the first preferred.
SimulatedEdgeOptions TwoTargets() {
  return {.targets = {"udp:127.0.0.1:5080;priority=1", "udp:127.0.0.1:5081;priority=2"}};
}

std::vector<std::string> StartLines(const std::string& stream) {
  std::vector<std::string> lines;
  for (const std::string& message : SplitMessages(stream)) lines.push_back(StartLine(message));
  return lines;
}

// -- §16.3 -------------------------------------------------------------------------------------

TEST(ProxyRulesSimulationTest, Rfc3261_16_3_EachCheckHasItsAnswer) {
  const std::string good = RequestText{}.Text();
  const struct {
    std::string request;
    const char* answer;
  } cases[] = {
      {Replaced(good, "CSeq: 1 MESSAGE", "CSeq: 1 INFO"), "SIP/2.0 400 "},
      {Replaced(good, "sip:bob@edge.example SIP", "tel:+4912345 SIP"), "SIP/2.0 416 "},
      {Replaced(good, "sip:bob@edge.example SIP", "urn:service:sos SIP"), "SIP/2.0 416 "},
      {Replaced(good, "Max-Forwards: 70", "Max-Forwards: 0"), "SIP/2.0 483 "},
      {Replaced(good, "Call-ID", "Proxy-Require: sec-agree\r\nCall-ID"), "SIP/2.0 420 "},
  };
  for (const auto& each : cases) {
    SimulatedEdge edge({});
    SimulatedPeer& alice = edge.Connect("a.example");
    alice.Send(each.request);
    edge.Settle();
    EXPECT_TRUE(alice.received().starts_with(each.answer)) << alice.received();
    EXPECT_FALSE(edge.NextHopTake().has_value()) << each.answer;
    if (each.request.find("sec-agree") != std::string::npos) {
      EXPECT_EQ(Value(alice.received(), "Unsupported"), "sec-agree");
    }
  }
}

TEST(ProxyRulesSimulationTest, Rfc3261_16_3_3_OptionsToUsWithoutHopsIsAnswered) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Replaced(RequestText{.method = "OPTIONS", .uri = "sip:edge.example"}.Text(),
                      "Max-Forwards: 70", "Max-Forwards: 0"));
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 200 OK");
}

// Our branch below, and nothing that routing depends on has changed: a loop. Something has: a
// spiral.
TEST(ProxyRulesSimulationTest, Rfc5393_4_2_LoopIs482AndASpiralIsNot) {
  SimulatedEdge edge({});
  edge.network().Bind(Address(kTelephone));
  RequestText request{
      .via = "SIP/2.0/UDP 127.0.0.1:5090", .branch = "1", .from = "<sip:carol@edge.example>;tag=c"};
  edge.InsideSend(kTelephone, request.Text());
  edge.Settle();
  const std::string ours = Value(edge.NextHopTake().value_or(""), "Via");
  request.branch = "2";
  request.headers = "Via: " + ours + "\r\n";
  edge.InsideSend(kTelephone, request.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(edge.InsideTake(kTelephone)), "SIP/2.0 482 Loop Detected");
  EXPECT_FALSE(edge.NextHopTake().has_value());
  request.branch = "3";
  request.uri = "sip:forwarded@edge.example";
  edge.InsideSend(kTelephone, request.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")),
            "MESSAGE sip:forwarded@edge.example SIP/2.0");
}

TEST(ProxyRulesSimulationTest, Rfc5393_5_3_3_BreadthIsCarriedOnAndZeroIs440) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  const struct {
    const char* sent;
    const char* forwarded;
  } cases[] = {{"", "60"},
               {"Max-Breadth: 7\r\n", "7"},
               {"Max-Breadth: 1\r\n", "1"},
               {"Max-Breadth: 61\r\n", "60"}};
  RequestText request;
  for (const auto& each : cases) {
    request.branch += "x";
    request.headers = each.sent;
    alice.Send(request.Text());
    edge.Settle();
    EXPECT_EQ(Values(edge.NextHopTake().value_or(""), "Max-Breadth"),
              std::vector<std::string>{each.forwarded});
  }
  request.branch = "none";
  request.headers = "Max-Breadth: 0\r\n";
  alice.Send(request.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 440 Max-Breadth Exceeded");
  EXPECT_FALSE(edge.NextHopTake().has_value());
}

// Forking is sequential: a breadth of one is enough for a second target.
TEST(ProxyRulesSimulationTest, Rfc5393_5_3_3_OneBranchAtATimeNeedsABreadthOfOne) {
  SimulatedEdge edge(TwoTargets());
  edge.network().Bind(Address(kSecond));
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.headers = "Max-Breadth: 1\r\n"}.Text());
  edge.Settle();
  EXPECT_EQ(edge.InsideTake(kSecond), "");
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 503, "Service Unavailable"));
  edge.Settle();
  EXPECT_EQ(Value(edge.InsideTake(kSecond), "Max-Breadth"), "1");
}

// -- §16.6 -------------------------------------------------------------------------------------

TEST(ProxyRulesSimulationTest, Rfc3261_16_6_1_WhatWeDoNotKnowPassesUnchangedAndInOrder) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string unknown = "X-One: 1\r\nx-two :  a,b ,  c\r\nX-One: again\r\n";
  const std::string body = std::string("\0\r\n\r\nBYE sip:x SIP/2.0\r\n", 25);
  // A fold alone is written as a space (odd_message_simulation_test.cc).
  for (const std::string folded : {"", "Subject: \t folded\r\n  text\r\n"}) {
    alice.Send(
        RequestText{.branch = "b" + folded.substr(0, 1), .headers = unknown + folded, .body = body}
            .Text());
    edge.Settle();
    const std::string seen = edge.NextHopTake().value_or("");
    const std::string unfolded = folded.empty() ? "" : "Subject: folded text\r\n";
    EXPECT_NE(seen.find(unknown + unfolded), std::string::npos) << seen;
    EXPECT_TRUE(seen.ends_with("\r\n\r\n" + body));
  }
}

TEST(ProxyRulesSimulationTest, Rfc3261_16_6_3_HopsAreCountedDownOrBegin) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Replaced(RequestText{}.Text(), "Max-Forwards: 70", "Max-Forwards: 1"));
  edge.Settle();
  EXPECT_EQ(Value(edge.NextHopTake().value_or(""), "Max-Forwards"), "0");
  alice.Send(Replaced(RequestText{.branch = "2"}.Text(), "Max-Forwards: 70\r\n", ""));
  edge.Settle();
  EXPECT_EQ(Value(edge.NextHopTake().value_or(""), "Max-Forwards"), "70");
}

TEST(ProxyRulesSimulationTest, Rfc3261_16_6_8_ViaIsOnTopWithABranchThatNobodyElseHas) {
  SimulatedEdge edge(TwoTargets());
  edge.network().Bind(Address(kSecond));
  SimulatedPeer& alice = edge.Connect("a.example");
  std::vector<std::string> branches;
  for (const char* branch : {"1", "2"}) {
    alice.Send(RequestText{.branch = branch}.Text());
    edge.Settle();
    const std::string seen = edge.NextHopTake().value_or("");
    EXPECT_EQ(Values(seen, "Via").size(), 2U);
    branches.push_back(TopBranch(seen));
    edge.NextHopSend(ResponseText(seen, 503, "Service Unavailable"));
    edge.Settle();
    if (const std::string again = edge.InsideTake(kSecond); !again.empty()) {
      branches.push_back(TopBranch(again));
    }
  }
  std::sort(branches.begin(), branches.end());
  EXPECT_GE(branches.size(), 3U);
  EXPECT_EQ(std::adjacent_find(branches.begin(), branches.end()), branches.end());
  for (const std::string& branch : branches) EXPECT_TRUE(branch.starts_with("z9hG4bK"));
}

// -- RFC 3263 §4.3 -----------------------------------------------------------------------------

TEST(ProxyRulesSimulationTest, Rfc3263_4_3_NextServerIsTriedAfter503UnderANewBranch) {
  SimulatedEdge edge(TwoTargets());
  edge.network().Bind(Address(kSecond));
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.method = "INVITE"}.Text());
  edge.Settle();
  const std::string first = edge.NextHopTake().value_or("");
  edge.NextHopSend(ResponseText(first, 503, "Service Unavailable"));
  edge.Settle();
  EXPECT_TRUE(edge.NextHopTake().value_or("").starts_with("ACK "));
  const std::string second = edge.InsideTake(kSecond);
  EXPECT_EQ(StartLine(second), "INVITE sip:bob@edge.example SIP/2.0");
  EXPECT_NE(TopBranch(second), TopBranch(first));
  EXPECT_EQ(Value(second, "Call-ID"), Value(first, "Call-ID"));
  edge.InsideSend(kSecond, ResponseText(second, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLines(alice.Take()),
            (std::vector<std::string>{"SIP/2.0 100 Trying", "SIP/2.0 200 OK"}));
}

TEST(ProxyRulesSimulationTest, Rfc3263_4_3_NextServerIsTriedAfterSilence) {
  SimulatedEdge edge(TwoTargets());
  edge.network().Bind(Address(kSecond));
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{}.Text());
  edge.Run(absl::Seconds(20));
  const std::string second = edge.InsideTake(kSecond);
  ASSERT_NE(second, "");
  edge.InsideSend(kSecond, ResponseText(second, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 200 OK");
}

// -- §16.7 -------------------------------------------------------------------------------------

TEST(ProxyRulesSimulationTest, Rfc3261_16_7_3_OurViaIsPoppedAndTheOthersStay) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.headers = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKbelow\r\n"}.Text());
  edge.Settle();
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 200, "OK"));
  edge.Settle();
  const std::vector<std::string> vias = Values(alice.Take(), "Via");
  ASSERT_EQ(vias.size(), 2U);
  EXPECT_TRUE(vias[0].starts_with("SIP/2.0/TLS client.example;branch=z9hG4bK1")) << vias[0];
  EXPECT_EQ(vias[1], "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKbelow");
}

// It answers us, and not what we have forwarded.
TEST(ProxyRulesSimulationTest, Rfc3261_16_7_3_ResponseWithoutAnotherViaIsDropped) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{}.Text());
  edge.Settle();
  const std::string seen = edge.NextHopTake().value_or("");
  const std::string theirs = "Via: " + Values(seen, "Via").at(1) + "\r\n";
  edge.NextHopSend(Replaced(ResponseText(seen, 200, "OK"), theirs, ""));
  edge.Settle();
  EXPECT_EQ(alice.Take(), "");
  EXPECT_EQ(edge.Counter(edge.metrics().sip_responses_dropped.Slot(ResponseDropReason::kMalformed)),
            1U);
}

TEST(ProxyRulesSimulationTest, Rfc3261_16_7_5_EveryProvisionalBut100PassesAtOnce) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.method = "INVITE"}.Text());
  edge.Settle();
  EXPECT_EQ(StartLines(alice.Take()), std::vector<std::string>{"SIP/2.0 100 Trying"});
  const std::string invite = edge.NextHopTake().value_or("");
  for (const uint16_t status : std::initializer_list<uint16_t>{100, 180, 183, 180, 199}) {
    edge.NextHopSend(ResponseText(invite, status, "Progress"));
    edge.Settle();
    const std::vector<std::string> lines = StartLines(alice.Take());
    if (status == 100) {
      EXPECT_TRUE(lines.empty());
    } else {
      EXPECT_EQ(lines, std::vector<std::string>{"SIP/2.0 " + std::to_string(status) + " Progress"});
    }
  }
}

TEST(ProxyRulesSimulationTest, Rfc3261_16_7_5_Every2xxOfAnInvitePasses) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.method = "INVITE"}.Text());
  edge.Settle();
  const std::string ok = ResponseText(edge.NextHopTake().value_or(""), 200, "OK");
  edge.NextHopSend(ok);
  edge.NextHopSend(Replaced(ok, ";tag=uas", ";tag=fork"));
  edge.Settle();
  const std::vector<std::string> got = SplitMessages(alice.Take());
  ASSERT_EQ(got.size(), 3U);  // With our 100.
  EXPECT_TRUE(Value(got[1], "To").ends_with(";tag=uas"));
  EXPECT_TRUE(Value(got[2], "To").ends_with(";tag=fork"));
}

// §16.7 step 5: 6xx says that nobody else need be asked. So does any failure but 503, here.
TEST(ProxyRulesSimulationTest, Rfc3261_16_7_5_6xxEndsTheSearch) {
  SimulatedEdge edge(TwoTargets());
  edge.network().Bind(Address(kSecond));
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.method = "INVITE"}.Text());
  edge.Settle();
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 603, "Decline"));
  edge.Run(absl::Seconds(40));
  EXPECT_EQ(edge.InsideTake(kSecond), "");
  EXPECT_EQ(StartLines(alice.Take()),
            (std::vector<std::string>{"SIP/2.0 100 Trying", "SIP/2.0 603 Decline"}));
}

TEST(ProxyRulesSimulationTest, Rfc3261_16_7_6_OneFinalResponseAndNoMore) {
  for (const char* method : {"INVITE", "MESSAGE"}) {
    SimulatedEdge edge({});
    SimulatedPeer& alice = edge.Connect("a.example");
    alice.Send(RequestText{.method = method}.Text());
    edge.Settle();
    const std::string request = edge.NextHopTake().value_or("");
    for (const uint16_t status : std::initializer_list<uint16_t>{486, 603, 180, 404}) {
      edge.NextHopSend(ResponseText(request, status, "Answer"));
      edge.Settle();
    }
    const std::vector<std::string> lines = StartLines(alice.Take());
    ASSERT_FALSE(lines.empty());
    EXPECT_EQ(lines.back(), "SIP/2.0 486 Answer") << method;
    EXPECT_EQ(lines.size(), std::string_view(method) == "INVITE" ? 2U : 1U);
  }
}

// §16.7 step 6: a 503 of one target is not for others to hear, as long as somebody takes requests.
TEST(ProxyRulesSimulationTest, Rfc3261_16_7_6_503PassesOnlyWhereAllFail) {
  const std::string another =
      "[[next-hop]]\nname = \"another\"\ntargets = [\"udp:127.0.0.1:5085\"]\nzone = \"inside\"\n";
  for (const std::string& extra : {std::string(), another}) {
    SimulatedEdge edge({.extra = extra});
    SimulatedPeer& alice = edge.Connect("a.example");
    alice.Send(RequestText{}.Text());
    edge.Settle();
    edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 503, "Service Unavailable"));
    edge.Settle();
    EXPECT_EQ(StartLine(alice.Take()), extra.empty() ? "SIP/2.0 503 Service Unavailable"
                                                     : "SIP/2.0 500 Server Internal Error");
  }
}

// -- §16.10 ------------------------------------------------------------------------------------

TEST(ProxyRulesSimulationTest, Rfc3261_16_10_CancelGoesToTheHopThatHasTheInvite) {
  SimulatedEdge edge(TwoTargets());
  edge.network().Bind(Address(kSecond));
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText request{.method = "INVITE"};
  alice.Send(request.Text());
  edge.Settle();
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 503, "Service Unavailable"));
  edge.Settle();
  EXPECT_TRUE(edge.NextHopTake().value_or("").starts_with("ACK "));
  const std::string invite = edge.InsideTake(kSecond);
  edge.InsideSend(kSecond, ResponseText(invite, 180, "Ringing"));
  edge.Settle();
  request.method = "CANCEL";
  alice.Send(request.Text());
  edge.Settle();
  const std::string cancel = edge.InsideTake(kSecond);
  EXPECT_EQ(StartLine(cancel), "CANCEL sip:bob@edge.example SIP/2.0");
  EXPECT_EQ(TopBranch(cancel), TopBranch(invite));
  EXPECT_EQ(Values(cancel, "Via").size(), 1U);
  EXPECT_FALSE(edge.NextHopTake().has_value());
}

// What decides nothing here is its reader's affair (sip/message/README.md).
TEST(ProxyRulesSimulationTest, RepeatedFieldsThatDecideNothingPassAsTheyAre) {
  const std::string lines =
      "Content-Type: text/plain\r\nc: application/sdp\r\nEvent: presence\r\no: dialog\r\n"
      "Expires: 60\r\nEXPIRES: 90\r\nRefer-To: <sip:x@edge.example>\r\nr: <sip:y@edge.example>\r\n";
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.headers = lines, .body = "v=0\r\n"}.Text());
  edge.Settle();
  const std::string request = edge.NextHopTake().value_or("");
  EXPECT_NE(request.find(lines), std::string::npos) << request;
  edge.NextHopSend(ResponseText(request, 200, "OK", lines));
  edge.Settle();
  EXPECT_NE(alice.Take().find(lines), std::string::npos);
}

// -- Request-URIs without host ------------------------------------------------------------------

// RFC 5031: a telephone calls for help. The route is for both zones; the URN stays as it was
// dialled.
TEST(ProxyRulesSimulationTest, Rfc5031_UrnGoesWhereARouteTakesIt) {
  SimulatedEdge edge({.targets = {"udp:127.0.0.1:5080"},
                      .extra = "[[next-hop]]\nname = \"psap\"\ntargets = [\"udp:127.0.0.1:5081\"]\n"
                               "zone = \"inside\"\n"
                               "[[route]]\nuser = \"urn:service:*\"\nnext-hop = \"psap\"\n"});
  edge.network().Bind(Address(kSecond));
  edge.network().Bind(Address(kTelephone));
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText call{.method = "INVITE", .uri = "urn:service:sos", .to = "<urn:service:sos>"};
  alice.Send(call.Text());
  call.via = "SIP/2.0/UDP 127.0.0.1:5090";
  call.branch = "inside";
  edge.InsideSend(kTelephone, call.Text());
  edge.Settle();
  for (int i = 0; i < 2; ++i) {
    const std::string seen = edge.InsideTake(kSecond);
    EXPECT_EQ(StartLine(seen), "INVITE urn:service:sos SIP/2.0");
    edge.InsideSend(kSecond, ResponseText(seen, 200, "OK"));
  }
  edge.Settle();
  EXPECT_EQ(StartLines(alice.Take()).back(), "SIP/2.0 200 OK");

  RequestText other{.uri = "urn:nena:service:sos", .branch = "other"};
  alice.Send(other.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 416 Unsupported URI Scheme");
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kUriScheme)), 1U);
  EXPECT_FALSE(edge.NextHopTake().has_value());
}

// Without a next hop a route resolves (RFC 3263), and there is nothing to resolve.
TEST(ProxyRulesSimulationTest, Rfc5031_UrnIsNeverResolved) {
  SimulatedEdge edge({.extra = "[[route]]\nzone = \"inside\"\nuser = \"urn:service:*\"\n"});
  edge.network().Bind(Address(kTelephone));
  edge.InsideSend(
      kTelephone,
      RequestText{.uri = "urn:service:sos", .via = "SIP/2.0/UDP 127.0.0.1:5090"}.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(edge.InsideTake(kTelephone)), "SIP/2.0 416 Unsupported URI Scheme");
  EXPECT_TRUE(edge.dns().asked().empty());
}

// -- RFC 3326 ----------------------------------------------------------------------------------

// RFC 3326 §2: "Call completed elsewhere" keeps a telephone from showing a missed call. Every
// CANCEL that we make of one that came has its Reason lines: at once, after the provisional
// response that it waits for, and when it is sent again.
TEST(ProxyRulesSimulationTest, Rfc3326_2_ReasonOfACancelGoesOn) {
  struct Case {
    const char* lines;
    std::vector<std::string> values;
  };
  const std::vector<Case> cases = {
      {"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n",
       {"SIP;cause=200;text=\"Call completed elsewhere\""}},
      {"REASON: Q.850;cause=26, SIP;cause=600\r\nX-Other: 1\r\nreason: SIP;cause=200\r\n",
       {"Q.850;cause=26, SIP;cause=600", "SIP;cause=200"}},
      {"", {}},
  };
  for (const auto& [lines, values] : cases) {
    for (const bool rings_first : {true, false}) {
      SimulatedEdge edge({});
      SimulatedPeer& alice = edge.Connect("a.example");
      RequestText request{.method = "INVITE"};
      request.headers = "Reason: SIP;cause=1\r\n";  // Of the INVITE: it is not repeated.
      alice.Send(request.Text());
      edge.Settle();
      const std::string invite = edge.NextHopTake().value_or("");
      const std::string ringing = ResponseText(invite, 180, "Ringing");
      if (rings_first) edge.NextHopSend(ringing);
      edge.Settle();
      request.method = "CANCEL";
      request.headers = lines;
      alice.Send(request.Text());
      edge.Settle();
      if (!rings_first) {
        EXPECT_FALSE(edge.NextHopTake().has_value());
        edge.NextHopSend(ringing);
        edge.Settle();
      }
      const std::string cancel = edge.NextHopTake().value_or("");
      EXPECT_EQ(StartLine(cancel), "CANCEL sip:bob@edge.example SIP/2.0");
      EXPECT_EQ(Values(cancel, "Reason"), values);
      EXPECT_TRUE(Values(cancel, "X-Other").empty());
      edge.Run(absl::Milliseconds(600));
      EXPECT_EQ(edge.NextHopTake().value_or(""), cancel);  // Timer E.
      edge.NextHopSend(ResponseText(invite, 487, "Request Terminated"));
      edge.Settle();
      const std::string ack = edge.NextHopTake().value_or("");
      EXPECT_TRUE(ack.starts_with("ACK "));
      EXPECT_TRUE(Values(ack, "Reason").empty());
    }
  }
}

// What is kept for it goes with the transaction.
TEST(ProxyRulesSimulationTest, ReasonOfACancelIsKeptNoLongerThanItsCall) {
  SimulatedEdge edge({});
  const core::BufferPool& buffers = edge.shard().reactor().buffers();
  SimulatedPeer& alice = edge.Connect("a.example");
  const auto before = buffers.bytes_in_use();
  RequestText request{.method = "INVITE"};
  alice.Send(request.Text());
  edge.Settle();
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 180, "Ringing"));
  edge.Settle();
  request.method = "CANCEL";
  request.headers = "Reason: SIP;cause=200\r\n";
  alice.Send(request.Text());
  edge.Settle();
  EXPECT_GT(buffers.bytes_in_use(), before);
  edge.Run(absl::Seconds(66));
  EXPECT_EQ(Transactions(edge), 0U);
  EXPECT_EQ(buffers.bytes_in_use(), before);
}

// -- RFC 6026 ----------------------------------------------------------------------------------

// §7.1: in Accepted an INVITE that comes again is absorbed, and the 2xx that come again pass.
TEST(ProxyRulesSimulationTest, Rfc6026_7_1_InviteThatComesAgainIsAbsorbedInAccepted) {
  SimulatedEdge edge({});
  edge.network().Bind(Address(kTelephone));
  const std::string invite = RequestText{.method = "INVITE",
                                         .via = "SIP/2.0/UDP 127.0.0.1:5090",
                                         .from = "<sip:carol@edge.example>;tag=c"}
                                 .Text();
  edge.InsideSend(kTelephone, invite);
  edge.Settle();
  const std::string ok = ResponseText(edge.NextHopTake().value_or(""), 200, "OK");
  EXPECT_EQ(StartLine(edge.InsideTake(kTelephone)), "SIP/2.0 100 Trying");
  edge.NextHopSend(ok);
  edge.Settle();
  EXPECT_EQ(StartLine(edge.InsideTake(kTelephone)), "SIP/2.0 200 OK");
  edge.InsideSend(kTelephone, invite);
  edge.Settle();
  EXPECT_FALSE(edge.NextHopTake().has_value());
  EXPECT_EQ(edge.InsideTake(kTelephone), "");
  edge.NextHopSend(ok);
  edge.Settle();
  EXPECT_EQ(StartLine(edge.InsideTake(kTelephone)), "SIP/2.0 200 OK");
  edge.Run(absl::Seconds(32.2));  // Timers L and M.
  EXPECT_EQ(Transactions(edge), 0U);
}

// -- RFC 3327 ----------------------------------------------------------------------------------

// A Path leads requests down a flow: only ours does, whoever else has been in between.
TEST(ProxyRulesSimulationTest, Rfc3327_5_2_PathFromOutsideGoesAndOursIsThere) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  for (const char* const headers :
       {"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKphone\r\n"
        "Path: <sip:p2.a.example;lr>, <sip:p1.a.example;lr>\r\n",
        "Supported: path\r\npath : <sip:p1.a.example;lr>\r\nPath: <sip:p2.a.example;lr>\r\n", ""}) {
    alice.Send(RequestText{.method = "REGISTER",
                           .uri = "sip:edge.example",
                           .branch = std::to_string(std::string_view(headers).size()),
                           .to = "<sip:alice@a.example>",
                           .headers = std::string("Contact: <sip:alice@192.0.2.9>\r\n") + headers}
                   .Text());
    edge.Settle();
    const std::string seen = edge.NextHopTake().value_or("");
    const std::vector<std::string> paths = Values(seen, "Path");
    ASSERT_EQ(paths.size(), 1U) << seen;
    EXPECT_NE(paths[0].find("@edge.example:5070;lr>"), std::string::npos) << paths[0];
  }
}

}  // namespace
}  // namespace sallyport::sip::test
