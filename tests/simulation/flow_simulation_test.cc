// Flows and dialogs in both directions on a whole shard (RFC 3261 §16, RFC 3327, RFC 5626, RFC
// 5658; architecture §4): Path, Record-Route with tokens, requests from the inside that reach a
// connection which a client opened.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

const std::string kRegistrar = "SIP/2.0/UDP 127.0.0.1:5080";

// Registers sip:alice@a.example with what `headers` adds and returns what the registrar saw.
std::string Register(SimulatedEdge& edge, SimulatedPeer& alice, const std::string& headers) {
  alice.Send(RequestText{.method = "REGISTER",
                         .uri = "sip:edge.example",
                         .branch = "reg",
                         .to = "<sip:alice@a.example>",
                         .call_id = "registration",
                         .headers = headers}
                 .Text());
  edge.Settle();
  const auto seen = edge.NextHopTake();
  EXPECT_TRUE(seen.has_value());
  if (!seen.has_value()) return {};
  edge.NextHopSend(ResponseText(*seen, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 200 OK");
  return *seen;
}

constexpr char kOutboundContact[] =
    "Supported: path, outbound\r\n"
    "Contact: <sip:alice@192.0.2.9:5061;transport=tls;ob>;reg-id=1"
    ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"\r\n";

// RFC 3327 §5.2: for everyone, or for clients that list path; RFC 5626 §5.1: `ob` for those that
// want the flow and no other way.
TEST(FlowSimulationTest, Rfc3327_5_2_PathIsAddedAlwaysOrWhereItIsSupported) {
  for (const bool is_always : {true, false}) {
    SimulatedEdge edge({.extra = is_always ? "" : "[path]\nwhen = \"supported\"\n"});
    SimulatedPeer& alice = edge.Connect("a.example");
    const std::string plain = Register(edge, alice, "Contact: <sip:alice@192.0.2.9>\r\n");
    EXPECT_EQ(Values(plain, "Path").size(), is_always ? 1U : 0U);
    const std::string path = Value(
        Register(edge, alice, "Supported: path\r\nContact: <sip:alice@192.0.2.9>\r\n"), "Path");
    EXPECT_TRUE(path.starts_with("<sip:")) << path;
    EXPECT_NE(path.find("@edge.example:5070;lr>"), std::string::npos) << path;
    const std::string outbound = Value(Register(edge, alice, kOutboundContact), "Path");
    EXPECT_NE(outbound.find("@edge.example:5070;lr;ob>"), std::string::npos) << outbound;
  }
}

// RFC 5626 §5.3: a request whose topmost Route is our token goes down that flow.
TEST(FlowSimulationTest, Rfc5626_5_3_RequestFromInsideReachesTheFlow) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string path = Value(Register(edge, alice, kOutboundContact), "Path");
  edge.NextHopSend(RequestText{
      .uri = "sip:alice@192.0.2.9:5061;transport=tls;ob",
      .via = kRegistrar,
      .branch = "in1",
      .from = "<sip:bob@edge.example>;tag=7",
      .to = "<sip:alice@a.example>",
      .headers = "Route: " + path + "\r\nP-Asserted-Identity: <sip:bob@edge.example>\r\n"}
                       .Text());
  edge.Settle();
  const std::vector<std::string> got = SplitMessages(alice.Take());
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(StartLine(got[0]), "MESSAGE sip:alice@192.0.2.9:5061;transport=tls;ob SIP/2.0");
  EXPECT_EQ(Value(got[0], "Route"), "");
  EXPECT_EQ(Value(got[0], "P-Asserted-Identity"), "");  // RFC 3325 §5: she is not trusted.
  EXPECT_TRUE(Value(got[0], "Via").starts_with("SIP/2.0/TLS edge.example:5061;branch=z9hG4bK"));
  alice.Send(ResponseText(got[0], 200, "OK"));
  edge.Settle();
  const auto answer = edge.NextHopTake();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(StartLine(*answer), "SIP/2.0 200 OK");
  EXPECT_EQ(Values(*answer, "Via").size(), 1U);
  EXPECT_EQ(TopBranch(*answer), "z9hG4bKin1");
  edge.Run(absl::Seconds(33));  // Timer J: the request came over UDP.
  EXPECT_EQ(Transactions(edge), 0U);
}

// A burst from the inside to a client that reads slowly is refused; the client stays.
TEST(FlowSimulationTest, BurstFromInsideEndsNoConnectionOfAClient) {
  SimulatedEdge edge({.limits = "queue-bytes = \"128KiB\""});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string path = Value(Register(edge, alice, kOutboundContact), "Path");
  const auto send = [&edge, &path](const std::string& branch, size_t body_bytes) {
    RequestText request{.uri = "sip:alice@192.0.2.9:5061;transport=tls;ob",
                        .via = kRegistrar,
                        .branch = branch,
                        .from = "<sip:bob@edge.example>;tag=7",
                        .to = "<sip:alice@a.example>",
                        .headers = "Route: " + path + "\r\n"};
    request.body = std::string(body_bytes, 'x');
    edge.NextHopSend(request.Text());
    edge.Settle();
  };
  alice.connection().set_reading(false);
  for (int i = 0; i < 50; ++i) send("b" + std::to_string(i), 10'000);
  int refused = 0;
  while (const auto answer = edge.NextHopTake()) {
    if (StartLine(*answer) == "SIP/2.0 503 Service Unavailable") ++refused;
  }
  EXPECT_GT(refused, 20);
  EXPECT_LT(refused, 50);
  alice.connection().set_reading(true);
  edge.Settle();
  EXPECT_EQ(SplitMessages(alice.Take()).size(), 50U - static_cast<size_t>(refused));
  send("after", 10);
  EXPECT_EQ(SplitMessages(alice.Take()).size(), 1U);
  EXPECT_FALSE(alice.connection().saw_end() || alice.connection().saw_reset());
}

// RFC 3261 §16.4: our name makes a Route value ours. Its user is another element's affair (an IMS
// core writes "orig") and gives no right.
TEST(FlowSimulationTest, Rfc3261_16_4_RouteThatNamesUsGoesWhateverItsUser) {
  const std::string short_path = "Eg" + std::string(21, 'A');  // As our Path values, but too short.
  const std::string long_text(200, 'o');
  for (const std::string& user :
       {std::string("orig"), std::string("term"), std::string("EgAAAA"), std::string("UQAAAA"),
        short_path, long_text, std::string("a%40b"), std::string("orig:secret")}) {
    SimulatedEdge edge({});
    const std::string route = "Route: <sip:" + user + "@edge.example;lr>\r\n";
    SimulatedPeer& alice = edge.Connect("a.example");
    alice.Send(RequestText{.headers = route}.Text());
    edge.Settle();
    const std::string in = edge.NextHopTake().value_or("");
    EXPECT_EQ(StartLine(in), "MESSAGE sip:bob@edge.example SIP/2.0") << alice.received();
    EXPECT_EQ(Value(in, "Route"), "") << user;

    RequestText foreign{.uri = "sip:bob@b.example", .branch = "2", .headers = route};
    alice.Send(foreign.Text());
    edge.Settle();
    EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 403 Relaying Forbidden") << user;
    EXPECT_FALSE(edge.NextHopTake().has_value());

    edge.dns().A("b.example", "192.0.2.1");
    SimulatedServer& server = edge.Serve("192.0.2.1:5061", &SimulatedCertificate("b.example"));
    foreign.via = kRegistrar;
    foreign.from = "<sip:caller@edge.example>;tag=1";
    foreign.uri += ";transport=tls";
    edge.NextHopSend(foreign.Text());
    edge.Run(absl::Milliseconds(200));
    const std::string out = server.Take();
    EXPECT_EQ(StartLine(out), "MESSAGE sip:bob@b.example;transport=tls SIP/2.0") << user;
    EXPECT_EQ(Value(out, "Route"), "") << user;
    EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kFlowToken)), 0U);
  }
}

TEST(FlowSimulationTest, Rfc5626_5_3_DeadFlowIs430AndForgedTokenIs403) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string path = Value(Register(edge, alice, kOutboundContact), "Path");
  RequestText request{.uri = "sip:alice@192.0.2.9",
                      .via = kRegistrar,
                      .branch = "in1",
                      .from = "<sip:bob@edge.example>;tag=7",
                      .to = "<sip:alice@a.example>"};
  std::string forged = path;
  forged[10] = forged[10] == 'A' ? 'B' : 'A';
  request.headers = "Route: " + forged + "\r\n";
  edge.NextHopSend(request.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")), "SIP/2.0 403 Bad Flow Token");
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kFlowToken)), 1U);

  alice.connection().Finish();
  edge.Run(absl::Seconds(1));
  request.branch = "in2";
  request.headers = "Route: " + path + "\r\n";
  edge.NextHopSend(request.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")), "SIP/2.0 430 Flow Failed");
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kFlowGone)), 1U);
}

// A flow that is lost in mid-transaction ends it at once, with 430 and not with a timeout.
TEST(FlowSimulationTest, Rfc5626_5_3_FlowLostInMidTransactionEndsIt) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string path = Value(Register(edge, alice, kOutboundContact), "Path");
  edge.NextHopSend(RequestText{.uri = "sip:alice@192.0.2.9",
                               .via = kRegistrar,
                               .branch = "in1",
                               .from = "<sip:bob@edge.example>;tag=7",
                               .to = "<sip:alice@a.example>",
                               .headers = "Route: " + path + "\r\n"}
                       .Text());
  edge.Settle();
  ASSERT_EQ(SplitMessages(alice.Take()).size(), 1U);
  alice.connection().Finish();
  edge.Run(absl::Seconds(1));
  EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")), "SIP/2.0 430 Flow Failed");
}

// Whatever a peer puts behind our own Route: a server inside would go there.
TEST(FlowSimulationTest, RoutesOfTheOutsideDoNotReachTheInside) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.to = "<sip:bob@edge.example>;tag=any",
                         .headers = "Route: <sip:edge.example:5061;lr>, <sip:203.0.113.66;lr>\r\n"
                                    "Route: <sip:edge.example:5070;lr>\r\n"}
                 .Text());
  edge.Settle();
  const std::string seen = edge.NextHopTake().value_or("");
  EXPECT_EQ(StartLine(seen), "MESSAGE sip:bob@edge.example SIP/2.0");
  EXPECT_EQ(Value(seen, "Route"), "");
}

// The caller's connection was recycled in mid-call. Its domain is found by RFC 3263, wherever its
// Contact points, and the server there must prove it.
TEST(FlowSimulationTest, GoneFlowOfADialogLeadsToTheDomainThatThePartyHadProved) {
  for (const char* const domain : {"a.example", "b.example"}) {
    SimulatedEdge edge({});
    edge.dns().Srv("_sips._tcp.a.example", 10, 0, 5061, "sip.a.example");
    edge.dns().A("sip.a.example", "192.0.2.7");
    SimulatedPeer& alice = edge.Connect("a.example");
    SimulatedServer& contact = edge.Serve("192.0.2.9:5061", &SimulatedCertificate("a.example"));
    SimulatedServer& server = edge.Serve("192.0.2.7:5061", &SimulatedCertificate(domain));
    alice.Send(RequestText{.method = "INVITE",
                           .branch = "i",
                           .headers = "Contact: <sip:alice@192.0.2.9;transport=tls>\r\n"}
                   .Text());
    edge.Settle();
    const std::string invite = edge.NextHopTake().value_or("");
    edge.NextHopSend(ResponseText(invite, 200, "OK", "Contact: <sip:bob@10.0.0.9:5099>\r\n"));
    edge.Settle();
    alice.connection().Finish();
    edge.Run(absl::Seconds(1));
    edge.NextHopSend(RequestText{.method = "BYE",
                                 .uri = "sip:alice@192.0.2.9;transport=tls",
                                 .via = kRegistrar,
                                 .branch = "b",
                                 .from = "<sip:bob@edge.example>;tag=uas",
                                 .to = "<sip:alice@a.example>;tag=1",
                                 .headers = RouteLinesForCallee(invite)}
                         .Text());
    edge.Run(absl::Milliseconds(200));
    EXPECT_EQ(contact.connections(), 0);
    const std::vector<std::string> byes = server.TakeMessages();
    if (std::string_view(domain) == "a.example") {
      ASSERT_EQ(byes.size(), 1U);
      EXPECT_EQ(StartLine(byes[0]), "BYE sip:alice@192.0.2.9;transport=tls SIP/2.0");
      server.Send(ResponseText(byes[0], 200, "OK"));
      edge.Settle();
      EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")), "SIP/2.0 200 OK");
    } else {
      EXPECT_TRUE(byes.empty());
      EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")),
                "SIP/2.0 502 Certificate identity does not match requested domain");
    }
  }
}

// A whole call from outside: RFC 5658's two Record-Route entries, requests of the dialog in both
// directions by them, and only by them.
TEST(FlowSimulationTest, Rfc5658_CallFromOutsideIsRoutedBackOverBothRecordRoutes) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.method = "INVITE",
                         .branch = "i",
                         .headers = "Contact: <sip:alice@192.0.2.9;transport=tls>\r\n"}
                 .Text());
  edge.Settle();
  const std::string invite = edge.NextHopTake().value_or("");
  const std::vector<std::string> routes = Values(invite, "Record-Route");
  ASSERT_EQ(routes.size(), 2U) << invite;
  EXPECT_NE(routes[0].find("@edge.example:5070;lr>"), std::string::npos) << routes[0];
  EXPECT_NE(routes[1].find("@edge.example:5061;transport=tls;lr>"), std::string::npos) << routes[1];
  edge.NextHopSend(ResponseText(invite, 200, "OK", "Contact: <sip:bob@10.0.0.9:5099>\r\n"));
  edge.Settle();
  const std::vector<std::string> answers = SplitMessages(alice.Take());
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(StartLine(answers[0]), "SIP/2.0 100 Trying");
  EXPECT_EQ(StartLine(answers[1]), "SIP/2.0 200 OK");

  // ACK: the Request-URI is the callee's Contact, which is no domain of ours.
  alice.Send(RequestText{.method = "ACK",
                         .uri = "sip:bob@10.0.0.9:5099",
                         .branch = "a",
                         .to = "<sip:bob@edge.example>;tag=uas",
                         .headers = RouteLinesForCaller(answers[1])}
                 .Text());
  edge.Settle();
  const std::string ack = edge.NextHopTake().value_or("");
  EXPECT_EQ(StartLine(ack), "ACK sip:bob@10.0.0.9:5099 SIP/2.0");
  EXPECT_EQ(Value(ack, "Route"), "");

  // The callee hangs up: down the caller's connection.
  edge.NextHopSend(RequestText{.method = "BYE",
                               .uri = "sip:alice@192.0.2.9;transport=tls",
                               .via = kRegistrar,
                               .branch = "b",
                               .from = "<sip:bob@edge.example>;tag=uas",
                               .to = "<sip:alice@a.example>;tag=1",
                               .headers = RouteLinesForCallee(invite)}
                       .Text());
  edge.Settle();
  const std::vector<std::string> byes = SplitMessages(alice.Take());
  ASSERT_EQ(byes.size(), 1U);
  EXPECT_EQ(StartLine(byes[0]), "BYE sip:alice@192.0.2.9;transport=tls SIP/2.0");
  EXPECT_EQ(Value(byes[0], "Route"), "");
  alice.Send(ResponseText(byes[0], 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")), "SIP/2.0 200 OK");
}

// Without our token the callee's address is nowhere that a request from outside may go.
TEST(FlowSimulationTest, InDialogRequestWithoutOurRouteIsRelaying) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{
      .method = "BYE", .uri = "sip:bob@10.0.0.9:5099", .to = "<sip:bob@edge.example>;tag=uas"}
                 .Text());
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 403 Relaying Forbidden");
}

// A call from the inside down a flow; its callee hangs up under the name that was dialled, which
// the certificate does not cover: the dialog token excuses that, for this dialog, peer and name.
TEST(FlowSimulationTest, DialogTokenExcusesTheCalleeOfARetargetedCallAndNobodyElse) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string path = Value(Register(edge, alice, kOutboundContact), "Path");
  edge.NextHopSend(
      RequestText{.method = "INVITE",
                  .uri = "sip:alice@192.0.2.9:5061;transport=tls;ob",
                  .via = kRegistrar,
                  .branch = "i",
                  .from = "<sip:bob@edge.example>;tag=caller",
                  .to = "<sip:sales@edge.example>",
                  .headers = "Route: " + path + "\r\nContact: <sip:bob@127.0.0.1:5080>\r\n"}
          .Text());
  edge.Settle();
  EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")), "SIP/2.0 100 Trying");
  const std::vector<std::string> got = SplitMessages(alice.Take());
  ASSERT_EQ(got.size(), 1U);
  const std::string invite = got[0];
  ASSERT_EQ(Values(invite, "Record-Route").size(), 2U) << invite;
  EXPECT_NE(Values(invite, "Record-Route")[0].find(";dt="), std::string::npos) << invite;
  alice.Send(ResponseText(invite, 200, "OK", "Contact: <sip:alice@192.0.2.9>\r\n"));
  edge.Settle();
  EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")), "SIP/2.0 200 OK");

  RequestText bye{.method = "BYE",
                  .uri = "sip:bob@127.0.0.1:5080",
                  .branch = "b1",
                  .from = "<sip:sales@edge.example>;tag=uas",
                  .to = "<sip:bob@edge.example>;tag=caller",
                  .headers = RouteLinesForCallee(invite)};
  // Another dialog, another name, another peer: not excused.
  RequestText other = bye;
  other.call_id = "another";
  alice.Send(other.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 403 From Not Covered By Certificate");
  other = bye;
  other.branch = "b2";
  other.from = "<sip:boss@edge.example>;tag=uas";
  alice.Send(other.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 403 From Not Covered By Certificate");
  other = bye;
  other.branch = "b3";
  other.to = "<sip:bob@edge.example>;tag=other";
  alice.Send(other.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 403 From Not Covered By Certificate");
  SimulatedPeer& mallory = edge.Connect("m.example");
  other = bye;
  other.branch = "b4";
  mallory.Send(other.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(mallory.Take()), "SIP/2.0 403 From Not Covered By Certificate");
  EXPECT_FALSE(edge.NextHopTake().has_value());

  bye.branch = "b5";
  alice.Send(bye.Text());
  edge.Settle();
  const std::string forwarded = edge.NextHopTake().value_or("");
  EXPECT_EQ(StartLine(forwarded), "BYE sip:bob@127.0.0.1:5080 SIP/2.0");
  EXPECT_EQ(Value(forwarded, "P-Asserted-Identity"), "");  // Excused, not proved.
  EXPECT_EQ(edge.Counter(edge.metrics().identity_checks.Slot(IdentityCheckResult::kExempt)), 1U);
}

// RFC 3261 §9.2, §16.10: CANCEL from the inside goes to the flow that has the INVITE.
TEST(FlowSimulationTest, Rfc3261_16_10_CancelFromInsideFollowsTheInvite) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string path = Value(Register(edge, alice, kOutboundContact), "Path");
  RequestText request{.method = "INVITE",
                      .uri = "sip:alice@192.0.2.9",
                      .via = kRegistrar,
                      .branch = "i",
                      .from = "<sip:bob@edge.example>;tag=caller",
                      .to = "<sip:alice@a.example>",
                      .headers = "Route: " + path + "\r\n"};
  edge.NextHopSend(request.Text());
  edge.Settle();
  const std::string invite = SplitMessages(alice.Take()).at(0);
  alice.Send(ResponseText(invite, 180, "Ringing"));
  edge.Settle();
  request.method = "CANCEL";
  edge.NextHopSend(request.Text());
  edge.Settle();
  const std::vector<std::string> got = SplitMessages(alice.Take());
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(StartLine(got[0]), "CANCEL sip:alice@192.0.2.9 SIP/2.0");
  EXPECT_EQ(TopBranch(got[0]), TopBranch(invite));
  alice.Send(ResponseText(got[0], 200, "OK"));
  alice.Send(ResponseText(invite, 487, "Request Terminated"));
  edge.Settle();
  std::vector<std::string> answers;
  while (auto answer = edge.NextHopTake()) answers.push_back(StartLine(*answer));
  EXPECT_EQ(answers,
            (std::vector<std::string>{"SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK",
                                      "SIP/2.0 487 Request Terminated"}));
  EXPECT_EQ(StartLine(alice.Take()), "ACK sip:alice@192.0.2.9 SIP/2.0");  // Ours, hop by hop.
}

// RFC 3261 §17.2.1, §17.2.2 on an access side that may lose messages.
TEST(FlowSimulationTest, Rfc3261_17_2_UdpAccessSideRetransmits) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string path = Value(Register(edge, alice, kOutboundContact), "Path");
  RequestText request{.method = "INVITE",
                      .uri = "sip:alice@192.0.2.9",
                      .via = kRegistrar,
                      .branch = "i",
                      .from = "<sip:bob@edge.example>;tag=caller",
                      .to = "<sip:alice@a.example>",
                      .headers = "Route: " + path + "\r\n"};
  edge.NextHopSend(request.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")), "SIP/2.0 100 Trying");
  edge.NextHopSend(request.Text());  // §17.2.1: answered with the last provisional.
  edge.Settle();
  EXPECT_EQ(StartLine(edge.NextHopTake().value_or("")), "SIP/2.0 100 Trying");
  const std::vector<std::string> invites = SplitMessages(alice.Take());
  ASSERT_EQ(invites.size(), 1U);
  alice.Send(ResponseText(invites[0], 486, "Busy Here"));
  edge.Run(absl::Seconds(4));  // Timer G: 0.5, 1, 2 s later.
  int finals = 0;
  while (auto answer = edge.NextHopTake()) finals += StartLine(*answer) == "SIP/2.0 486 Busy Here";
  EXPECT_EQ(finals, 4);
  request.method = "ACK";
  request.to += ";tag=uas";
  edge.NextHopSend(request.Text());
  edge.Run(absl::Seconds(10));
  EXPECT_FALSE(edge.NextHopTake().has_value());
  EXPECT_EQ(Transactions(edge), 0U);  // Timer I.
}

}  // namespace
}  // namespace sallyport::sip::test
