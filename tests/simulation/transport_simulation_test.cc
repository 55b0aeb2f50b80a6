// Transports on a whole shard: sizes, Via, replies and framing (RFC 3261 §18), sips (RFC 5630),
// keep-alives (RFC 5626 §4.4.1).

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

constexpr char kTelephone[] = "127.0.0.1:5090";  // Somebody on the inside.
constexpr char kInsideTcp[] =
    "[[listener]]\nname = \"core-tcp\"\naddress = \"127.0.0.1:5071\"\ntransport = \"tcp\"\n"
    "zone = \"inside\"\n";

core::SocketAddress Address(std::string_view text) { return *core::SocketAddress::Parse(text); }

std::string Without(std::string text, std::string_view part) {
  const size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << text;
  return text.erase(at, part.size());
}

RequestText FromTelephone() {
  return {.via = "SIP/2.0/UDP 127.0.0.1:5090", .from = "<sip:carol@edge.example>;tag=c"};
}

// -- RFC 3261 §18.3 ----------------------------------------------------------------------------

TEST(TransportSimulationTest, Rfc3261_18_3_ContentLengthIsAddedToARequestForAStream) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  edge.network().Bind(Address(kTelephone));
  RequestText request = FromTelephone();
  request.body = "hi";
  edge.InsideSend(kTelephone, Without(request.Text(), "Content-Length: 2\r\n"));
  edge.Settle();
  const std::string seen = edge.NextHopTake().value_or("");
  EXPECT_EQ(Value(seen, "Content-Length"), "2");
  EXPECT_TRUE(seen.ends_with("\r\n\r\nhi")) << seen;
}

TEST(TransportSimulationTest, Rfc3261_18_3_ContentLengthIsAddedToAResponseForAStream) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{}.Text());
  edge.Settle();
  const std::string ok = ResponseText(edge.NextHopTake().value_or(""), 200, "OK");
  edge.NextHopSend(Without(ok, "Content-Length: 0\r\n") + "body");
  edge.Settle();
  const std::string answer = alice.Take();
  EXPECT_EQ(Value(answer, "Content-Length"), "4") << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nbody")) << answer;
}

// What a refusal is made from is what came, with or without.
TEST(TransportSimulationTest, Rfc3261_18_3_DatagramWithoutContentLengthCanBeAnswered) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  edge.network().StopListening(edge.next_hop_address());
  edge.network().Bind(Address(kTelephone));
  edge.InsideSend(kTelephone, Without(FromTelephone().Text(), "Content-Length: 0\r\n"));
  edge.Settle();
  EXPECT_EQ(StartLine(edge.InsideTake(kTelephone)), "SIP/2.0 503 Service Unavailable");
}

TEST(TransportSimulationTest, Rfc3261_18_3_BytesBehindTheBodyOfADatagramAreDropped) {
  SimulatedEdge edge({});
  edge.network().Bind(Address(kTelephone));
  RequestText request = FromTelephone();
  request.body = "hi";
  edge.InsideSend(kTelephone, request.Text() + "OPTIONS sip:more@edge.example SIP/2.0\r\n");
  edge.Settle();
  EXPECT_TRUE(edge.NextHopTake().value_or("").ends_with("\r\n\r\nhi"));
}

TEST(TransportSimulationTest, Rfc3261_18_3_DatagramThatIsTooShortForItsBodyIs400) {
  SimulatedEdge edge({});
  edge.network().Bind(Address(kTelephone));
  RequestText request = FromTelephone();
  request.body = "hi";
  std::string text = request.Text();
  text.pop_back();
  edge.InsideSend(kTelephone, text);
  edge.Settle();
  EXPECT_TRUE(edge.InsideTake(kTelephone).starts_with("SIP/2.0 400 "));
  EXPECT_FALSE(edge.NextHopTake().has_value());
}

TEST(TransportSimulationTest, Rfc3261_18_3_StreamWithoutContentLengthIs400AndEnds) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Without(RequestText{}.Text(), "Content-Length: 0\r\n"));
  edge.Settle();
  EXPECT_TRUE(alice.Take().starts_with("SIP/2.0 400 "));
  EXPECT_TRUE(alice.connection().saw_end());
  EXPECT_FALSE(edge.NextHopTake().has_value());
}

// -- RFC 3261 §18.1 ----------------------------------------------------------------------------

TEST(TransportSimulationTest, Rfc3261_18_1_1_LargeRequestGoesOverTcp) {
  SimulatedEdge edge({});
  SimulatedServer& core = edge.Serve("127.0.0.1:5080");
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.branch = "small"}.Text());
  edge.Settle();
  EXPECT_TRUE(Value(edge.NextHopTake().value_or(""), "Via").starts_with("SIP/2.0/UDP "));
  alice.Send(RequestText{.branch = "large", .body = std::string(1400, 'x')}.Text());
  edge.Settle();
  EXPECT_FALSE(edge.NextHopTake().has_value());
  const std::string seen = core.Take();
  EXPECT_TRUE(Value(seen, "Via").starts_with("SIP/2.0/TCP ")) << seen;
  core.Send(ResponseText(seen, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 200 OK");
}

TEST(TransportSimulationTest, Rfc3261_18_1_1_LargeRequestGoesOverUdpWhereTcpIsRefused) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.branch = "large", .body = std::string(1400, 'x')}.Text());
  edge.Settle();
  EXPECT_TRUE(Value(edge.NextHopTake().value_or(""), "Via").starts_with("SIP/2.0/UDP "));
}

// What counts is what leaves, our Via and Record-Route included.
TEST(TransportSimulationTest, Rfc3261_18_1_1_OurOwnLinesCountForTheSize) {
  SimulatedEdge edge({});
  SimulatedServer& core = edge.Serve("127.0.0.1:5080");
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText request{.method = "INVITE"};
  request.body = std::string(1250 - request.Text().size(), 'x');
  alice.Send(request.Text());
  edge.Settle();
  EXPECT_FALSE(edge.NextHopTake().has_value());
  const std::string seen = core.Take();
  EXPECT_EQ(StartLine(seen), "INVITE sip:bob@edge.example SIP/2.0");
  EXPECT_GT(seen.size(), 1300U);
}

// -- RFC 3261 §18.2, RFC 3581 ------------------------------------------------------------------

TEST(TransportSimulationTest, Rfc3261_18_2_1_ReceivedAndRportSayWhereItCameFrom) {
  SimulatedEdge edge({});
  edge.network().Bind(Address(kTelephone));
  RequestText request = FromTelephone();
  request.via = "SIP/2.0/UDP phone.invalid;rport";
  edge.InsideSend(kTelephone, request.Text());
  request.via = "SIP/2.0/UDP 127.0.0.1:5090";
  request.branch = "2";
  edge.InsideSend(kTelephone, request.Text());
  edge.Settle();
  const std::string named = Values(edge.NextHopTake().value_or(""), "Via").at(1);
  EXPECT_NE(named.find(";received=127.0.0.1"), std::string::npos) << named;
  EXPECT_NE(named.find(";rport=5090"), std::string::npos) << named;
  const std::string numeric = Values(edge.NextHopTake().value_or(""), "Via").at(1);
  EXPECT_EQ(numeric, "SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bK2");
}

TEST(TransportSimulationTest, Rfc3261_18_2_2_DatagramIsAnsweredAtItsSentByPortOrWhereItCameFrom) {
  SimulatedEdge edge({});
  edge.network().Bind(Address(kTelephone));
  edge.network().Bind(Address("127.0.0.1:5099"));
  edge.network().Bind(Address("127.0.0.1:5060"));
  RequestText request = FromTelephone();
  request.method = "OPTIONS";  // Answered by the edge itself.
  request.uri = "sip:edge.example";
  const struct {
    const char* via;
    const char* answered_at;
  } cases[] = {{"SIP/2.0/UDP 127.0.0.1:5099", "127.0.0.1:5099"},
               {"SIP/2.0/UDP phone.invalid", "127.0.0.1:5060"},
               {"SIP/2.0/UDP 127.0.0.1:5099;rport", kTelephone}};
  for (const auto& each : cases) {
    request.via = each.via;
    request.branch += "x";
    edge.InsideSend(kTelephone, request.Text());
    edge.Settle();
    EXPECT_EQ(StartLine(edge.InsideTake(each.answered_at)), "SIP/2.0 200 OK") << each.via;
  }
}

TEST(TransportSimulationTest, Rfc3261_18_2_2_MaddrOfTheInsideGetsTheResponse) {
  SimulatedEdge edge({});
  edge.network().Bind(Address(kTelephone));
  edge.network().Bind(Address("127.0.0.7:5099"));
  RequestText request = FromTelephone();
  request.via = "SIP/2.0/UDP phone.invalid:5099;rport;maddr=127.0.0.7";
  edge.InsideSend(kTelephone, request.Text());
  edge.Settle();
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLine(edge.InsideTake("127.0.0.7:5099")), "SIP/2.0 200 OK");
  EXPECT_EQ(edge.InsideTake(kTelephone), "");
}

// Anybody outside can write anything: answers go where the request came from.
TEST(TransportSimulationTest, Rfc3261_18_2_2_MaddrOfTheOutsideIsIgnored) {
  SimulatedEdge edge({.extra = "[[listener]]\nname = \"open\"\naddress = \"127.0.0.1:5062\"\n"
                               "transport = \"udp\"\nzone = \"outside\"\n"});
  edge.network().Bind(Address("127.0.0.9:5099"));
  edge.network().Bind(Address("127.0.0.7:5099"));
  const std::string request =
      RequestText{.via = "SIP/2.0/UDP a.example:5099;maddr=127.0.0.7"}.Text();
  edge.network().SendDatagram(Address("127.0.0.9:4000"), Address("127.0.0.1:5062"), request);
  edge.Settle();
  EXPECT_EQ(edge.InsideTake("127.0.0.7:5099"), "");
  EXPECT_EQ(StartLine(edge.InsideTake("127.0.0.9:5099")), "SIP/2.0 403 Mutual TLS Required");
}

TEST(TransportSimulationTest, Rfc3261_18_2_2_LostConnectionIsDialledForTheResponse) {
  SimulatedEdge edge({.extra = kInsideTcp});
  SimulatedServer& telephone = edge.Serve("127.0.0.1:5095");
  core::RemoteConnection& connection = *edge.network().Connect(Address("127.0.0.1:5071"));
  connection.Send(
      RequestText{.via = "SIP/2.0/TCP phone.invalid:5095", .from = "<sip:carol@edge.example>;tag=c"}
          .Text());
  edge.Settle();
  const std::string request = edge.NextHopTake().value_or("");
  connection.Reset();
  edge.Settle();
  edge.NextHopSend(ResponseText(request, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(telephone.connections(), 1);
  EXPECT_EQ(StartLine(telephone.Take()), "SIP/2.0 200 OK");
}

TEST(TransportSimulationTest, Rfc3261_18_2_2_ResponseTakesTheConnectionOfItsRequest) {
  SimulatedEdge edge({.extra = kInsideTcp});
  SimulatedServer& elsewhere = edge.Serve("127.0.0.1:5095");
  core::RemoteConnection& first = *edge.network().Connect(Address("127.0.0.1:5071"));
  core::RemoteConnection& second = *edge.network().Connect(Address("127.0.0.1:5071"));
  RequestText request{.via = "SIP/2.0/TCP 127.0.0.1:5095",
                      .from = "<sip:carol@edge.example>;tag=c"};
  first.Send(request.Text());
  edge.Settle();
  const std::string seen = edge.NextHopTake().value_or("");
  edge.NextHopSend(ResponseText(seen, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLine(first.TakeReceived()), "SIP/2.0 200 OK");
  EXPECT_EQ(second.TakeReceived(), "");
  EXPECT_EQ(elsewhere.connections(), 0);
}

// -- RFC 5630 ----------------------------------------------------------------------------------

TEST(TransportSimulationTest, Rfc5630_SipsThatCameInClearIs480) {
  SimulatedEdge edge({.extra = kInsideTcp});
  edge.network().Bind(Address(kTelephone));
  RequestText request = FromTelephone();
  request.uri = "sips:bob@edge.example";
  edge.InsideSend(kTelephone, request.Text());
  core::RemoteConnection& stream = *edge.network().Connect(Address("127.0.0.1:5071"));
  request.via = "SIP/2.0/TCP 127.0.0.1:5090";
  stream.Send(request.Text());
  edge.Settle();
  for (const std::string& answer : {edge.InsideTake(kTelephone), stream.TakeReceived()}) {
    EXPECT_EQ(StartLine(answer), "SIP/2.0 480 Temporarily Unavailable");
    EXPECT_EQ(Value(answer, "Warning"), "380 edge.example \"SIPS Not Allowed\"");
  }
  EXPECT_FALSE(edge.NextHopTake().has_value());
}

TEST(TransportSimulationTest, Rfc5630_SipsNeverLeavesInClear) {
  for (const NextHopKind kind : {NextHopKind::kUdp, NextHopKind::kTcp}) {
    SimulatedEdge edge({.next_hop = kind});
    SimulatedPeer& alice = edge.Connect("a.example");
    alice.Send(RequestText{.uri = "sips:bob@edge.example"}.Text());
    edge.Settle();
    const std::string answer = alice.Take();
    EXPECT_EQ(StartLine(answer), "SIP/2.0 480 Temporarily Unavailable");
    EXPECT_EQ(Value(answer, "Warning"), "380 edge.example \"SIPS Not Allowed\"");
    EXPECT_FALSE(edge.NextHopTake().has_value());
  }
}

// A dialog whose inside target is reached in clear: a sips request in it is not for that target.
TEST(TransportSimulationTest, Rfc5630_SipsInADialogNeverLeavesInClear) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.method = "INVITE", .branch = "i"}.Text());
  edge.Settle();
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 200, "OK"));
  edge.Settle();
  const std::vector<std::string> answers = SplitMessages(alice.Take());
  ASSERT_EQ(answers.size(), 2U);
  alice.Send(RequestText{.method = "BYE",
                         .uri = "sips:bob@127.0.0.1:5080",
                         .branch = "b",
                         .to = "<sip:bob@edge.example>;tag=uas",
                         .headers = RouteLinesForCaller(answers[1])}
                 .Text());
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 480 Temporarily Unavailable");
  EXPECT_FALSE(edge.NextHopTake().has_value());
}

TEST(TransportSimulationTest, Rfc5630_SipsLeavesOverTlsUnderSipsRecordRoutes) {
  SimulatedEdge edge(
      {.extra = "[[listener]]\nname = \"core-tls\"\naddress = \"127.0.0.1:5072\"\n"
                "transport = \"tls\"\nzone = \"inside\"\n"
                "[[next-hop]]\nname = \"secure\"\ntargets = [\"tls:127.0.0.1:5081\"]\n"
                "identity = \"secure.example\"\nzone = \"inside\"\n"
                "[[route]]\nzone = \"outside\"\nuser = \"bob\"\nnext-hop = \"secure\"\n"});
  const auto certificate =
      sallyport::test::MintSignedBy(edge.ca(), sallyport::test::DomainSpec("secure.example"));
  SimulatedServer& secure = edge.Serve("127.0.0.1:5081", &certificate);
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.method = "INVITE", .uri = "sips:bob@edge.example"}.Text());
  edge.Run(absl::Milliseconds(200));
  const std::string seen = secure.Take();
  EXPECT_EQ(StartLine(seen), "INVITE sips:bob@edge.example SIP/2.0");
  EXPECT_TRUE(Value(seen, "Via").starts_with("SIP/2.0/TLS ")) << seen;
  const std::vector<std::string> routes = Values(seen, "Record-Route");
  ASSERT_EQ(routes.size(), 2U) << seen;
  for (const std::string& route : routes) EXPECT_TRUE(route.starts_with("<sips:")) << route;
}

// -- RFC 5626 §4.4.1 ---------------------------------------------------------------------------

TEST(TransportSimulationTest, Rfc5626_4_4_1_PingIsAnsweredOnAcceptedConnections) {
  SimulatedEdge edge({.extra = kInsideTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  core::RemoteConnection& inside = *edge.network().Connect(Address("127.0.0.1:5071"));
  alice.Send("\r\n\r\n");
  inside.Send("\r\n\r\n");
  edge.Settle();
  EXPECT_EQ(alice.Take(), "\r\n");
  EXPECT_EQ(inside.TakeReceived(), "\r\n");
}

TEST(TransportSimulationTest, Rfc5626_4_4_1_PingIsAnsweredOnDialledConnections) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{}.Text());
  edge.Settle();
  ASSERT_TRUE(edge.NextHopTake().has_value());
  edge.NextHopSend("\r\n\r\n");
  edge.Settle();
  EXPECT_EQ(edge.next_hop_connection()->TakeReceived(), "\r\n");
}

TEST(TransportSimulationTest, Rfc5626_4_4_1_PongAndDatagramKeepAliveAreSilent) {
  SimulatedEdge edge({});
  edge.network().Bind(Address(kTelephone));
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send("\r\n");
  edge.InsideSend(kTelephone, "\r\n\r\n");
  edge.Settle();
  EXPECT_EQ(alice.Take(), "");
  EXPECT_EQ(edge.InsideTake(kTelephone), "");
}

// A peer that sends its INVITE again over TLS, which it need not, is told that we have it.
TEST(TransportSimulationTest, Rfc3261_17_2_1_InviteThatComesAgainOverTlsIsAnswered) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& again = edge.Connect("a.example");
  const std::string invite = RequestText{.method = "INVITE"}.Text();
  alice.Send(invite);
  edge.Settle();
  const std::string forwarded = edge.NextHopTake().value_or("");
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 100 Trying");
  for (SimulatedPeer* const peer : {&alice, &again}) {
    peer->Send(invite);
    edge.Settle();
    EXPECT_EQ(StartLine(peer->Take()), "SIP/2.0 100 Trying");
  }
  EXPECT_FALSE(edge.NextHopTake().has_value());
  edge.NextHopSend(ResponseText(forwarded, 486, "Busy Here"));
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 486 Busy Here");
  alice.Send(invite);
  edge.Settle();
  EXPECT_EQ(alice.Take(), "");  // On a reliable transport the final has arrived.
}

}  // namespace
}  // namespace sallyport::sip::test
