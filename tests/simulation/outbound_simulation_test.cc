// Requests that leave the edge from the inside (RFC 3263, RFC 5922 §7.3, RFC 3261 §16.6 to §16.9):
// found by DNS or by [[route]], dialled, proved, and tried one target after the other.

#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

using sallyport::test::DomainSpec;
using sallyport::test::MintSelfSigned;
using sallyport::test::MintSignedBy;
using sallyport::test::TestCertificate;
using sallyport::test::TestCertificateSpec;

constexpr char kFirst[] = "192.0.2.1:5061";
constexpr char kSecond[] = "192.0.2.2:5061";
constexpr char kContact[] = "Contact: <sip:caller@127.0.0.1:5080>\r\n";

// An outside UDP listener: then UDP and TCP may be used towards the outside, too.
constexpr char kOutsideUdp[] =
    "[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:5062\"\ntransport = \"udp\"\n"
    "zone = \"outside\"\n";

// A request of somebody inside: 127.0.0.1:5080.
RequestText Leaving(const std::string& branch, const std::string& method = "MESSAGE") {
  return {.method = method,
          .uri = "sip:bob@b.example",
          .via = "SIP/2.0/UDP 127.0.0.1:5080",
          .branch = branch,
          .from = "<sip:caller@edge.example>;tag=caller",
          .to = "<sip:bob@b.example>",
          .call_id = branch,
          .headers = method == "INVITE" ? kContact : ""};
}

// ACK of a failure, CANCEL: of the same transaction.
std::string Companion(RequestText request, const std::string& method) {
  request.method = method;
  if (method == "ACK") request.to += ";tag=uas";
  return request.Text();
}

void KnowTls(SimulatedEdge& edge, const std::string& domain, std::string_view address) {
  edge.dns().Naptr(domain, 10, 10, "SIPS+D2T", "_sips._tcp." + domain);
  edge.dns().Srv("_sips._tcp." + domain, 10, 0, 5061, "sip." + domain);
  edge.dns().A("sip." + domain, address);
}

// Two servers of one domain, in this order.
void KnowTwo(SimulatedEdge& edge, const std::string& domain) {
  edge.dns().Naptr(domain, 10, 10, "SIPS+D2T", "_sips._tcp." + domain);
  edge.dns().Srv("_sips._tcp." + domain, 10, 0, 5061, "sip1." + domain);
  edge.dns().Srv("_sips._tcp." + domain, 20, 0, 5061, "sip2." + domain);
  edge.dns().A("sip1." + domain, "192.0.2.1");
  edge.dns().A("sip2." + domain, "192.0.2.2");
}

std::string TakeOne(SimulatedServer& server) {
  const std::vector<std::string> messages = SplitMessages(server.Take());
  EXPECT_EQ(messages.size(), 1U);
  return messages.empty() ? std::string() : messages[0];
}

std::vector<std::string> StartLines(const std::vector<std::string>& messages) {
  std::vector<std::string> lines;
  for (const std::string& message : messages) lines.push_back(StartLine(message));
  return lines;
}

// What came to 127.0.0.1:5080.
std::vector<std::string> TakeInside(SimulatedEdge& edge) {
  std::vector<std::string> messages;
  while (auto message = edge.NextHopTake()) messages.push_back(*message);
  return messages;
}
std::vector<std::string> InsideLines(SimulatedEdge& edge) { return StartLines(TakeInside(edge)); }

uint64_t Rejected(const SimulatedEdge& edge, ReasonCode reason) {
  return edge.Counter(edge.metrics().requests_rejected.Slot(reason));
}

using Lines = std::vector<std::string>;

// -- Found by Route ----------------------------------------------------------------------------

TEST(OutboundSimulationTest, Rfc3261_16_6_7_StrictNextHopIsTheNewRequestUri) {
  SimulatedEdge edge({});
  KnowTls(edge, "b.example", "192.0.2.1");
  KnowTls(edge, "c.example", "192.0.2.2");
  SimulatedServer& callee = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  SimulatedServer& strict = edge.Serve(kSecond, &SimulatedCertificate("c.example"));
  RequestText request = Leaving("s");
  request.headers = "Route: <sip:c.example>\r\n";
  edge.NextHopSend(request.Text());
  edge.Run(absl::Milliseconds(300));
  const std::string seen = TakeOne(strict);
  EXPECT_EQ(StartLine(seen), "MESSAGE sip:c.example SIP/2.0");
  EXPECT_EQ(Value(seen, "Route"), "<sip:bob@b.example>");
  EXPECT_EQ(callee.connections(), 0);
}

// -- Found by DNS ------------------------------------------------------------------------------

TEST(OutboundSimulationTest, Rfc3263_4_RequestLeavesByNaptrSrvAndAddress) {
  SimulatedEdge edge({});
  KnowTls(edge, "b.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  edge.NextHopSend(Leaving("i", "INVITE").Text());
  edge.Run(absl::Milliseconds(200));
  EXPECT_EQ(edge.dns().asked(),
            (Lines{"NAPTR b.example", "SRV _sips._tcp.b.example", "A sip.b.example"}));
  const std::string invite = TakeOne(server);
  EXPECT_EQ(StartLine(invite), "INVITE sip:bob@b.example SIP/2.0");
  EXPECT_TRUE(Value(invite, "Via").starts_with("SIP/2.0/TLS edge.example:5061;branch=z9hG4bK"));
  const std::vector<std::string> routes = Values(invite, "Record-Route");
  ASSERT_EQ(routes.size(), 2U) << invite;
  EXPECT_NE(routes[0].find("@edge.example:5061;transport=tls;lr;dt="), std::string::npos)
      << routes[0];
  EXPECT_NE(routes[1].find("@edge.example:5070;lr>"), std::string::npos) << routes[1];
  server.Send(ResponseText(invite, 200, "OK", "Contact: <sip:bob@192.0.2.1:5061>\r\n"));
  edge.Settle();
  const std::vector<std::string> answers = TakeInside(edge);
  ASSERT_EQ(StartLines(answers), (Lines{"SIP/2.0 100 Trying", "SIP/2.0 200 OK"}));
  EXPECT_EQ(Values(answers[1], "Via").size(), 1U);

  // The Contact is an address: only our own token says whose certificate is to be expected there.
  for (const std::string method : {"ACK", "BYE"}) {
    RequestText request = Leaving("i", method);
    request.uri = "sip:bob@192.0.2.1:5061;transport=tls";
    request.branch = method;
    request.to += ";tag=uas";
    request.headers = RouteLinesForCaller(answers[1]);
    edge.NextHopSend(request.Text());
    edge.Settle();
    const std::string seen = TakeOne(server);
    EXPECT_EQ(StartLine(seen), method + " sip:bob@192.0.2.1:5061;transport=tls SIP/2.0");
    EXPECT_EQ(Value(seen, "Route"), "");
    if (method == "BYE") server.Send(ResponseText(seen, 200, "OK"));
  }
  edge.Settle();
  EXPECT_EQ(InsideLines(edge), (Lines{"SIP/2.0 200 OK"}));
  EXPECT_EQ(server.connections(), 1);
  edge.Run(absl::Seconds(33));
  EXPECT_EQ(Transactions(edge), 0U);
}

// A network that drops what asks for NAPTR costs the first call a second, and the others nothing.
TEST(OutboundSimulationTest, CallsLeaveWhereNaptrIsDropped) {
  SimulatedEdge edge({});
  KnowTls(edge, "b.example", "192.0.2.1");
  edge.dns().Drop(core::DnsType::kNaptr);
  SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  edge.NextHopSend(Leaving("1").Text());
  edge.Run(absl::Milliseconds(900));
  EXPECT_EQ(server.connections(), 0);
  edge.Run(absl::Milliseconds(400));
  EXPECT_EQ(StartLine(TakeOne(server)), "MESSAGE sip:bob@b.example SIP/2.0");
  // While the question is open, after it has timed out, and when it is asked again.
  for (const absl::Duration later : {absl::Seconds(1), absl::Seconds(8), absl::Seconds(31)}) {
    edge.Run(later, absl::Milliseconds(200));
    edge.NextHopSend(Leaving(absl::FormatDuration(later)).Text());
    edge.Run(absl::Milliseconds(100));
    EXPECT_EQ(StartLine(TakeOne(server)), "MESSAGE sip:bob@b.example SIP/2.0") << later;
  }
}

// The callee of a call that was retargeted: his From names a domain that is not his own.
TEST(OutboundSimulationTest, CalleeOnDialledOrAcceptedConnectionIsExcusedByTheDialogTokenAlone) {
  SimulatedEdge edge({});
  KnowTls(edge, "b.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  RequestText call = Leaving("i", "INVITE");
  call.to = "<sip:sales@c.example>";
  edge.NextHopSend(call.Text());
  edge.Run(absl::Milliseconds(200));
  const std::string invite = TakeOne(server);
  server.Send(ResponseText(invite, 200, "OK", "Contact: <sip:bob@192.0.2.1:5061>\r\n"));
  edge.Settle();
  TakeInside(edge);

  RequestText info{.method = "INFO",
                   .uri = "sip:caller@127.0.0.1:5080",
                   .via = "SIP/2.0/TLS sip.b.example",
                   .branch = "n1",
                   .from = "<sip:sales@c.example>;tag=uas",
                   .to = "<sip:caller@edge.example>;tag=caller",
                   .call_id = "i"};
  server.Send(info.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(TakeOne(server)), "SIP/2.0 403 From Not Covered By Certificate");
  info.branch = "n2";
  info.headers = RouteLinesForCallee(invite);
  server.Send(info.Text());
  edge.Settle();
  std::vector<std::string> inside = TakeInside(edge);
  ASSERT_EQ(StartLines(inside), (Lines{"INFO sip:caller@127.0.0.1:5080 SIP/2.0"}));
  EXPECT_EQ(Value(inside[0], "P-Asserted-Identity"), "");
  edge.NextHopSend(ResponseText(inside[0], 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLine(TakeOne(server)), "SIP/2.0 200 OK");

  SimulatedPeer& mallory = edge.Connect("m.example");
  info.branch = "n3";
  mallory.Send(info.Text());
  edge.Settle();
  EXPECT_EQ(StartLine(mallory.Take()), "SIP/2.0 403 From Not Covered By Certificate");
  EXPECT_TRUE(TakeInside(edge).empty());

  SimulatedPeer& same = edge.Connect("b.example");
  info.branch = "n4";
  same.Send(info.Text());
  edge.Settle();
  inside = TakeInside(edge);
  ASSERT_EQ(StartLines(inside), (Lines{"INFO sip:caller@127.0.0.1:5080 SIP/2.0"}));
  edge.NextHopSend(ResponseText(inside[0], 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLine(same.Take()), "SIP/2.0 200 OK");
  EXPECT_EQ(edge.Counter(edge.metrics().identity_checks.Slot(IdentityCheckResult::kExempt)), 2U);
}

// -- What the server does not prove ------------------------------------------------------------

// RFC 5922 §7.3: the domain that was asked for, not the host that SRV names.
TEST(OutboundSimulationTest, Rfc5922_7_3_CertificateOfAnotherDomainIs502AndGetsNothing) {
  for (const char* const proved : {"m.example", "sip.b.example"}) {
    SimulatedEdge edge({});
    KnowTls(edge, "b.example", "192.0.2.1");
    SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate(proved));
    edge.NextHopSend(Leaving("1").Text());
    edge.Run(absl::Milliseconds(200));
    const std::vector<std::string> answers = TakeInside(edge);
    ASSERT_EQ(StartLines(answers),
              (Lines{"SIP/2.0 502 Certificate identity does not match requested domain"}));
    EXPECT_EQ(Value(answers[0], "Warning"),
              "399 edge.example \"the certificate does not prove the domain\"");
    EXPECT_EQ(server.connections(), 1);
    EXPECT_EQ(server.Take(), "");
    EXPECT_TRUE(server.connection()->saw_end() || server.connection()->saw_reset());
    EXPECT_EQ(Rejected(edge, ReasonCode::kNextHopIdentity), 1U);
    const size_t label = edge.metrics().NextHopLabel("");
    EXPECT_EQ(edge.Counter(edge.metrics().upstream_identity_mismatches.Slot(label)), 1U);
  }
}

TEST(OutboundSimulationTest, UntrustedAndExpiredCertificatesAre503) {
  const TestCertificate other_ca =
      MintSelfSigned(sallyport::test::CaSpec("a CA that nobody knows"));
  TestCertificateSpec expired = DomainSpec("b.example");
  expired.not_before = std::time(nullptr) - 7200;
  expired.not_after = std::time(nullptr) - 3600;
  for (const TestCertificate& certificate :
       {MintSignedBy(other_ca, DomainSpec("b.example")), MintSignedBy(SimulatedCa(), expired)}) {
    SimulatedEdge edge({});
    KnowTls(edge, "b.example", "192.0.2.1");
    SimulatedServer& server = edge.Serve(kFirst, &certificate);
    edge.NextHopSend(Leaving("1").Text());
    edge.Run(absl::Milliseconds(200));
    const std::vector<std::string> answers = TakeInside(edge);
    ASSERT_EQ(StartLines(answers), (Lines{"SIP/2.0 503 Service Unavailable"}));
    EXPECT_TRUE(Value(answers[0], "Warning").starts_with("399 edge.example \""));
    EXPECT_EQ(server.Take(), "");
    EXPECT_EQ(Rejected(edge, ReasonCode::kNextHopTls), 1U);
  }
}

TEST(OutboundSimulationTest, ServerThatClosesInTheHandshakeIs503) {
  SimulatedEdge edge({});
  KnowTls(edge, "b.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kFirst);  // Speaks no TLS.
  edge.NextHopSend(Leaving("1").Text());
  edge.Run(absl::Milliseconds(100));
  ASSERT_EQ(server.connections(), 1);
  server.connection()->Finish();
  edge.Run(absl::Milliseconds(100));
  const std::vector<std::string> answers = TakeInside(edge);
  ASSERT_EQ(StartLines(answers), (Lines{"SIP/2.0 503 Service Unavailable"}));
  EXPECT_TRUE(Value(answers[0], "Warning").starts_with("399 edge.example \"")) << answers[0];
  EXPECT_EQ(Rejected(edge, ReasonCode::kNextHopTls), 1U);
}

// -- Who cannot be reached ---------------------------------------------------------------------

std::string UnreachableCause(SimulatedEdge& edge, absl::Duration wait) {
  edge.NextHopSend(Leaving("1").Text());
  edge.Run(wait);
  const std::vector<std::string> answers = TakeInside(edge);
  EXPECT_EQ(StartLines(answers), (Lines{"SIP/2.0 503 Service Unavailable"}));
  EXPECT_EQ(Rejected(edge, ReasonCode::kNextHopUnreachable), 1U);
  if (answers.empty()) return {};
  EXPECT_NE(Value(answers[0], "Retry-After"), "");
  return Value(answers[0], "Warning");
}

TEST(OutboundSimulationTest, RefusedConnectionIs503) {
  SimulatedEdge edge({});
  KnowTls(edge, "b.example", "192.0.2.1");
  EXPECT_EQ(UnreachableCause(edge, absl::Milliseconds(200)),
            "399 edge.example \"the next hop refuses connections\"");
}

TEST(OutboundSimulationTest, SilentAddressIs503AfterTheConnectTimeout) {
  SimulatedEdge edge({.timeouts = "connect = \"2s\"\n"});
  KnowTls(edge, "b.example", "192.0.2.1");
  edge.network().Blackhole(*core::SocketAddress::Parse(kFirst));
  edge.NextHopSend(Leaving("0").Text());
  edge.Run(absl::Seconds(1.8));
  EXPECT_TRUE(TakeInside(edge).empty());
  edge.Run(absl::Seconds(0.4));
  const std::vector<std::string> answers = TakeInside(edge);
  ASSERT_EQ(StartLines(answers), (Lines{"SIP/2.0 503 Service Unavailable"}));
  EXPECT_EQ(Value(answers[0], "Warning"),
            "399 edge.example \"the next hop does not answer in time\"");
}

TEST(OutboundSimulationTest, NameThatDnsDoesNotKnowIs503) {
  SimulatedEdge edge({});
  EXPECT_EQ(UnreachableCause(edge, absl::Milliseconds(200)),
            "399 edge.example \"DNS knows no such name\"");
}

TEST(OutboundSimulationTest, DnsThatDoesNotAnswerIs503AfterTenSeconds) {
  SimulatedEdge edge({});
  edge.dns().set_latency(absl::Hours(1));
  EXPECT_EQ(UnreachableCause(edge, absl::Seconds(10.5)),
            "399 edge.example \"DNS did not answer in time\"");
}

// -- sips and addresses ------------------------------------------------------------------------

// RFC 5630 §3.1.3, RFC 3263 §4.1: whatever DNS offers, only TLS counts.
TEST(OutboundSimulationTest, Rfc5630_SipsNeverLeavesOnAnythingButTls) {
  SimulatedEdge edge(
      {.extra = absl::StrCat(kOutsideUdp,
                             "[[next-hop]]\nname = \"plain\"\ntargets = [\"udp:192.0.2.10:5060\"]\n"
                             "zone = \"outside\"\n[[route]]\nzone = \"inside\"\n"
                             "domain = \"plain.example\"\nnext-hop = \"plain\"\n")});
  const core::SocketAddress udp = *core::SocketAddress::Parse("192.0.2.9:5060");
  edge.network().Bind(udp);
  SimulatedServer& tcp = edge.Serve("192.0.2.9:5060");
  edge.dns().Naptr("b.example", 10, 10, "SIP+D2U", "_sip._udp.b.example");
  edge.dns().Naptr("b.example", 10, 20, "SIP+D2T", "_sip._tcp.b.example");
  edge.dns().Srv("_sip._udp.b.example", 1, 1, 5060, "b.example");
  edge.dns().Srv("_sip._tcp.b.example", 1, 1, 5060, "b.example");
  edge.dns().A("b.example", "192.0.2.9");
  for (const char* const host : {"b.example", "b.example;transport=udp", "plain.example",
                                 "192.0.2.9:5060;transport=udp", "192.0.2.9:5060"}) {
    RequestText request = Leaving(absl::StrCat("s", host));
    request.branch = absl::StrCat("b", std::string(host).size());
    request.uri = absl::StrCat("sips:bob@", host);
    edge.NextHopSend(request.Text());
    edge.Run(absl::Seconds(1));
    const std::vector<std::string> answers = TakeInside(edge);
    ASSERT_EQ(answers.size(), 1U) << host;
    const std::string line = StartLine(answers[0]);
    EXPECT_TRUE(line.starts_with("SIP/2.0 4") || line.starts_with("SIP/2.0 5")) << host << line;
    EXPECT_FALSE(edge.network().ReceiveDatagram(udp).has_value()) << host;
    EXPECT_EQ(tcp.Take(), "") << host;
  }
  // The same names without the s can be reached.
  edge.NextHopSend(Leaving("p").Text());
  edge.Run(absl::Seconds(0.2));
  EXPECT_TRUE(edge.network().ReceiveDatagram(udp).has_value());
}

// RFC 5922 §7.3 has nothing that a certificate could prove here.
TEST(OutboundSimulationTest, AddressWithoutKnownIdentityIs502AndNobodyIsDialled) {
  SimulatedEdge edge({});
  SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  RequestText request = Leaving("1");
  request.uri = "sip:bob@192.0.2.1";
  edge.NextHopSend(request.Text());
  edge.Run(absl::Seconds(1));
  const std::vector<std::string> answers = TakeInside(edge);
  ASSERT_EQ(StartLines(answers),
            (Lines{"SIP/2.0 502 Certificate identity does not match requested domain"}));
  EXPECT_NE(Value(answers[0], "Warning").find("no certificate can prove"), std::string::npos);
  EXPECT_EQ(server.connections(), 0);
}

// -- Failover ----------------------------------------------------------------------------------

// What the second server got, the first having failed in the way that the test has arranged.
// DNS of a stranger names a server of ours that nothing has been sent to yet.
TEST(OutboundSimulationTest, NamedInsideTargetIsInsideFromTheStart) {
  for (const bool is_ours : {true, false}) {
    SimulatedEdge edge(
        {.targets = {"udp:127.0.0.1:5080;priority=1", "tcp:pbx.home.example:5080;priority=2"}});
    edge.dns().A("pbx.home.example", is_ours ? "192.0.2.1" : "192.0.2.9");
    KnowTls(edge, "b.example", "192.0.2.1");
    SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
    edge.Run(absl::Seconds(6));  // DNS did not know the name when the edge began.
    edge.NextHopSend(Leaving("1").Text());
    edge.Run(absl::Milliseconds(100));
    EXPECT_EQ(server.TakeMessages().size(), is_ours ? 0U : 1U);
    EXPECT_EQ(InsideLines(edge), is_ours ? (Lines{"SIP/2.0 503 Service Unavailable"}) : Lines{});
  }
}

TEST(OutboundSimulationTest, Rfc3263_4_3_RefusedConnectionLeadsToTheSecondTarget) {
  SimulatedEdge edge({});
  KnowTwo(edge, "b.example");
  SimulatedServer& second = edge.Serve(kSecond, &SimulatedCertificate("b.example"));
  edge.NextHopSend(Leaving("1").Text());
  edge.Run(absl::Milliseconds(200));
  const std::string seen = TakeOne(second);
  second.Send(ResponseText(seen, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(InsideLines(edge), (Lines{"SIP/2.0 200 OK"}));
}

TEST(OutboundSimulationTest, Rfc3263_4_3_FailedTlsLeadsToTheSecondTarget) {
  SimulatedEdge edge({});
  KnowTwo(edge, "b.example");
  SimulatedServer& first = edge.Serve(kFirst, &SimulatedCertificate("m.example"));
  SimulatedServer& second = edge.Serve(kSecond, &SimulatedCertificate("b.example"));
  edge.NextHopSend(Leaving("1").Text());
  edge.Run(absl::Milliseconds(200));
  EXPECT_EQ(first.connections(), 1);
  EXPECT_EQ(first.Take(), "");
  second.Send(ResponseText(TakeOne(second), 200, "OK"));
  edge.Settle();
  EXPECT_EQ(InsideLines(edge), (Lines{"SIP/2.0 200 OK"}));
}

class TwoServersTest : public ::testing::Test {
 protected:
  TwoServersTest()
      : edge_({.timeouts = "target = \"4s\"\n"}),
        first_(edge_.Serve(kFirst, &SimulatedCertificate("b.example"))),
        second_(edge_.Serve(kSecond, &SimulatedCertificate("b.example"))) {
    KnowTwo(edge_, "b.example");
  }

  SimulatedEdge edge_;
  SimulatedServer& first_;
  SimulatedServer& second_;
};

TEST_F(TwoServersTest, Rfc3263_4_3_SilenceLeadsToTheSecondTargetUnderAnotherBranch) {
  for (const char* const method : {"MESSAGE", "INVITE"}) {
    edge_.NextHopSend(Leaving(method, method).Text());
    edge_.Run(absl::Seconds(3.9));
    const std::string one = TakeOne(first_);
    EXPECT_EQ(second_.Take(), "");
    edge_.Run(absl::Seconds(0.4));
    const std::string two = TakeOne(second_);
    EXPECT_NE(TopBranch(one), TopBranch(two));
    EXPECT_EQ(Values(two, "Via").size(), 2U);
    EXPECT_EQ(Values(two, "Record-Route").size(), Values(one, "Record-Route").size());
    second_.Send(ResponseText(two, 200, "OK"));
    edge_.Settle();
    EXPECT_EQ(InsideLines(edge_).back(), "SIP/2.0 200 OK");
    EXPECT_EQ(first_.Take(), "");
  }
}

TEST_F(TwoServersTest, Rfc3263_4_3_ServiceUnavailableLeadsToTheSecondTarget) {
  edge_.NextHopSend(Leaving("1", "INVITE").Text());
  edge_.Run(absl::Milliseconds(200));
  const std::string one = TakeOne(first_);
  first_.Send(ResponseText(one, 503, "Service Unavailable"));
  edge_.Run(absl::Milliseconds(200));
  const std::string ack = TakeOne(first_);
  EXPECT_TRUE(ack.starts_with("ACK sip:bob@b.example SIP/2.0\r\n")) << ack;
  EXPECT_EQ(TopBranch(ack), TopBranch(one));
  const std::string two = TakeOne(second_);
  EXPECT_NE(TopBranch(one), TopBranch(two));
  second_.Send(ResponseText(two, 486, "Busy Here"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 100 Trying", "SIP/2.0 486 Busy Here"}));
  EXPECT_TRUE(TakeOne(second_).starts_with("ACK "));
}

// §16.7: somebody has answered the call, so whoever else rings is not wanted any more (step 10).
TEST_F(TwoServersTest, Rfc3261_16_7_LateSuccessOfTheFirstIsForwardedAndTheSecondIsCancelled) {
  edge_.NextHopSend(Leaving("1", "INVITE").Text());
  edge_.Run(absl::Seconds(4.4));
  const std::string one = TakeOne(first_);
  const std::string two = TakeOne(second_);
  second_.Send(ResponseText(two, 180, "Ringing"));
  edge_.Settle();
  first_.Send(ResponseText(one, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_),
            (Lines{"SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"}));
  const std::string cancel = TakeOne(second_);
  EXPECT_EQ(StartLine(cancel), "CANCEL sip:bob@b.example SIP/2.0");
  EXPECT_EQ(TopBranch(cancel), TopBranch(two));
  second_.Send(ResponseText(cancel, 200, "OK"));
  second_.Send(ResponseText(two, 487, "Request Terminated"));
  edge_.Settle();
  EXPECT_TRUE(TakeOne(second_).starts_with("ACK "));
  EXPECT_TRUE(InsideLines(edge_).empty());
  edge_.Run(absl::Seconds(33));
  EXPECT_EQ(Transactions(edge_), 0U);
}

// The second has not answered yet: its CANCEL waits for that (§9.1), and no third is tried.
TEST_F(TwoServersTest, Rfc3261_16_7_LateSuccessEndsTheAttemptThatNobodyHasAnsweredYet) {
  edge_.NextHopSend(Leaving("1", "INVITE").Text());
  edge_.Run(absl::Seconds(4.4));
  const std::string one = TakeOne(first_);
  const std::string two = TakeOne(second_);
  first_.Send(ResponseText(one, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 100 Trying", "SIP/2.0 200 OK"}));
  EXPECT_EQ(second_.Take(), "");
  second_.Send(ResponseText(two, 180, "Ringing"));
  edge_.Settle();
  EXPECT_TRUE(TakeOne(second_).starts_with("CANCEL "));
  EXPECT_TRUE(InsideLines(edge_).empty());  // It has its final response.
  edge_.Run(absl::Seconds(66));
  EXPECT_EQ(Transactions(edge_), 0U);
  EXPECT_EQ(Rejected(edge_, ReasonCode::kTimeout), 0U);
}

// The first has shown that it has the INVITE, so it may be cancelled (§9.1); the second has it now.
TEST_F(TwoServersTest, LateRingingOfTheFirstIsCancelledThere) {
  edge_.NextHopSend(Leaving("1", "INVITE").Text());
  edge_.Run(absl::Seconds(4.4));
  const std::string one = TakeOne(first_);
  const std::string two = TakeOne(second_);
  first_.Send(ResponseText(one, 180, "Ringing"));
  edge_.Settle();
  const std::string cancel = TakeOne(first_);
  EXPECT_EQ(StartLine(cancel), "CANCEL sip:bob@b.example SIP/2.0");
  EXPECT_EQ(TopBranch(cancel), TopBranch(one));
  EXPECT_EQ(Value(cancel, "To"), Value(one, "To"));
  first_.Send(ResponseText(cancel, 200, "OK"));
  first_.Send(ResponseText(one, 487, "Request Terminated"));
  edge_.Settle();
  EXPECT_TRUE(TakeOne(first_).starts_with("ACK "));
  EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 100 Trying"}));
  second_.Send(ResponseText(two, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 200 OK"}));
  edge_.Run(absl::Seconds(33));
  EXPECT_EQ(Transactions(edge_), 0U);
}

// The same once the second has answered: the call is not there any more, but the first still rings.
TEST_F(TwoServersTest, LateRingingOfTheFirstIsCancelledEvenAfterTheAnswer) {
  for (const uint16_t answer : {uint16_t{200}, uint16_t{486}}) {
    const std::string id = absl::StrCat(answer);
    edge_.NextHopSend(Leaving(id, "INVITE").Text());
    edge_.Run(absl::Seconds(4.4));
    const std::string one = TakeOne(first_);
    second_.Send(ResponseText(TakeOne(second_), answer, "So"));
    edge_.Settle();
    if (answer == 486) edge_.NextHopSend(Companion(Leaving(id, "INVITE"), "ACK"));
    edge_.Run(absl::Seconds(1));
    first_.Send(ResponseText(one, 180, "Ringing"));
    edge_.Settle();
    EXPECT_EQ(StartLine(TakeOne(first_)), "CANCEL sip:bob@b.example SIP/2.0") << answer;
    first_.Send(ResponseText(one, 487, "Request Terminated"));
    edge_.Settle();
    EXPECT_TRUE(TakeOne(first_).starts_with("ACK ")) << answer;
    EXPECT_EQ(InsideLines(edge_),
              (Lines{"SIP/2.0 100 Trying", absl::StrCat("SIP/2.0 ", answer, " So")}));
    static_cast<void>(second_.Take());
    edge_.Run(absl::Seconds(33));
    EXPECT_EQ(Transactions(edge_), 0U);
  }
}

// §16.7 step 5: any 2xx of an INVITE, even after a final response.
TEST_F(TwoServersTest, Rfc3261_16_7_5_LateSuccessPassesAfterAFailure) {
  edge_.NextHopSend(Leaving("1", "INVITE").Text());
  edge_.Run(absl::Seconds(4.4));
  const std::string one = TakeOne(first_);
  second_.Send(ResponseText(TakeOne(second_), 486, "Busy Here"));
  edge_.Settle();
  first_.Send(ResponseText(one, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_),
            (Lines{"SIP/2.0 100 Trying", "SIP/2.0 486 Busy Here", "SIP/2.0 200 OK"}));
}

// Our own answer is made of the request without our lines; a 2xx that comes later is judged by what
// the request brought all the same.
TEST_F(TwoServersTest, LateSuccessAfterOurOwnAnswerKeepsTheRouteSet) {
  RequestText call = Leaving("1", "INVITE");
  call.headers += "Record-Route: <sip:k2.example;lr>, <sip:k1.example;lr>\r\n";
  edge_.NextHopSend(call.Text());
  edge_.Run(absl::Seconds(4.4));
  const std::string one = TakeOne(first_);
  ASSERT_NE(second_.Take(), "");
  edge_.Run(absl::Seconds(33));
  const Lines own = TakeInside(edge_);
  ASSERT_EQ(StartLine(own.back()), "SIP/2.0 408 Request Timeout");
  first_.Send(ResponseText(one, 200, "OK"));
  edge_.Settle();
  const Lines late = TakeInside(edge_);
  ASSERT_EQ(StartLines(late), Lines{"SIP/2.0 200 OK"});
  EXPECT_EQ(Values(late[0], "Record-Route"), Values(one, "Record-Route"));
}

// The second is only being dialled when the caller gives up; the first has the INVITE.
TEST_F(TwoServersTest, CancelWhileTheSecondIsDialledReachesTheFirstOnceItRings) {
  edge_.network().Blackhole(second_.address());
  const RequestText call = Leaving("1", "INVITE");
  edge_.NextHopSend(call.Text());
  edge_.Run(absl::Seconds(4.4));
  const std::string one = TakeOne(first_);
  edge_.NextHopSend(Companion(call, "CANCEL"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_),
            (Lines{"SIP/2.0 100 Trying", "SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"}));
  edge_.NextHopSend(Companion(call, "ACK"));
  first_.Send(ResponseText(one, 180, "Ringing"));
  edge_.Settle();
  EXPECT_EQ(StartLine(TakeOne(first_)), "CANCEL sip:bob@b.example SIP/2.0");
}

// RFC 3326 §2: each target that is cancelled is told why, also one that had been given up.
TEST_F(TwoServersTest, Rfc3326_2_ReasonOfACancelGoesToEveryTargetThatRings) {
  RequestText call = Leaving("1", "INVITE");
  edge_.NextHopSend(call.Text());
  edge_.Run(absl::Seconds(4.4));
  const std::string one = TakeOne(first_);
  const std::string two = TakeOne(second_);
  call.headers = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";
  edge_.NextHopSend(Companion(call, "CANCEL"));
  edge_.Settle();
  for (const auto& [server, invite] : {std::pair(&first_, one), std::pair(&second_, two)}) {
    server->Send(ResponseText(invite, 180, "Ringing"));
    edge_.Settle();
    const std::string cancel = TakeOne(*server);
    EXPECT_EQ(StartLine(cancel), "CANCEL sip:bob@b.example SIP/2.0");
    EXPECT_EQ(Value(cancel, "Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
  }
}

// No CANCEL has come that could say why.
TEST_F(TwoServersTest, CancelOfOurOwnCarriesNoReasonThatDidNotCome) {
  RequestText call = Leaving("1", "INVITE");
  call.headers += "Reason: SIP;cause=1\r\n";
  edge_.NextHopSend(call.Text());
  edge_.Run(absl::Seconds(4.4));
  static_cast<void>(TakeOne(second_));
  first_.Send(ResponseText(TakeOne(first_), 180, "Ringing"));
  edge_.Settle();
  const std::string cancel = TakeOne(first_);
  EXPECT_TRUE(cancel.starts_with("CANCEL "));
  EXPECT_EQ(Value(cancel, "Reason"), "");
}

// §9.1: a CANCEL waits for a provisional as long as Timer B runs, not only until the next target
// would have been due.
TEST_F(TwoServersTest, Rfc3261_9_1_CancelWaitsLongerThanForTheNextTarget) {
  const RequestText call = Leaving("1", "INVITE");
  edge_.NextHopSend(call.Text());
  edge_.Run(absl::Milliseconds(200));
  const std::string one = TakeOne(first_);
  edge_.NextHopSend(Companion(call, "CANCEL"));
  edge_.Run(absl::Seconds(5));
  EXPECT_EQ(first_.Take(), "");
  first_.Send(ResponseText(one, 180, "Ringing"));
  edge_.Settle();
  const std::string cancel = TakeOne(first_);
  EXPECT_EQ(StartLine(cancel), "CANCEL sip:bob@b.example SIP/2.0");
  first_.Send(ResponseText(cancel, 200, "OK"));
  first_.Send(ResponseText(one, 487, "Request Terminated"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_).back(), "SIP/2.0 487 Request Terminated");
  EXPECT_EQ(second_.connections(), 0);
}

TEST_F(TwoServersTest, LateFailureOfTheFirstIsAcknowledgedAndNotForwarded) {
  edge_.NextHopSend(Leaving("1", "INVITE").Text());
  edge_.Run(absl::Seconds(4.4));
  const std::string one = TakeOne(first_);
  const std::string two = TakeOne(second_);
  first_.Send(ResponseText(one, 486, "Busy Here"));
  edge_.Settle();
  const std::string ack = TakeOne(first_);
  EXPECT_EQ(StartLine(ack), "ACK sip:bob@b.example SIP/2.0");
  EXPECT_EQ(TopBranch(ack), TopBranch(one));
  EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 100 Trying"}));
  second_.Send(ResponseText(two, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 200 OK"}));
}

TEST_F(TwoServersTest, Rfc3261_16_10_CancelGoesToTheTargetThatHasTheInvite) {
  const RequestText call = Leaving("1", "INVITE");
  edge_.NextHopSend(call.Text());
  edge_.Run(absl::Seconds(4.4));
  static_cast<void>(TakeOne(first_));
  const std::string two = TakeOne(second_);
  second_.Send(ResponseText(two, 180, "Ringing"));
  edge_.Settle();
  edge_.NextHopSend(Companion(call, "CANCEL"));
  edge_.Settle();
  const std::string cancel = TakeOne(second_);
  EXPECT_EQ(StartLine(cancel), "CANCEL sip:bob@b.example SIP/2.0");
  EXPECT_EQ(TopBranch(cancel), TopBranch(two));
  EXPECT_EQ(first_.Take(), "");
  second_.Send(ResponseText(cancel, 200, "OK"));
  second_.Send(ResponseText(two, 487, "Request Terminated"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 100 Trying", "SIP/2.0 180 Ringing",
                                       "SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"}));
}

TEST_F(TwoServersTest, AfterCancelNobodyElseIsTried) {
  for (const char* const how : {"503", "lost", "silent"}) {
    const RequestText call = Leaving(how, "INVITE");
    edge_.NextHopSend(call.Text());
    edge_.Run(absl::Milliseconds(200));
    const std::string one = TakeOne(first_);
    edge_.NextHopSend(Companion(call, "CANCEL"));
    edge_.Settle();
    EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 100 Trying", "SIP/2.0 200 OK"}));
    if (std::string_view(how) == "503") {
      first_.Send(ResponseText(one, 503, "Service Unavailable"));
    } else if (std::string_view(how) == "lost") {
      first_.connection()->Reset();
    }
    // §9.1: silence ends with Timer B.
    edge_.Run(absl::Seconds(std::string_view(how) == "silent" ? 33 : 6));
    EXPECT_EQ(second_.Take(), "") << how;
    const Lines lines = InsideLines(edge_);
    ASSERT_FALSE(lines.empty()) << how;
    EXPECT_TRUE(lines[0].starts_with("SIP/2.0 4") || lines[0].starts_with("SIP/2.0 5")) << how;
    edge_.NextHopSend(Companion(call, "ACK"));
    static_cast<void>(first_.Take());
  }
  EXPECT_EQ(second_.connections(), 0);
}

// -- Losses in mid-transaction -----------------------------------------------------------------

TEST_F(TwoServersTest, ConnectionLostBeforeAnyAnswerLeadsToTheSecondTarget) {
  edge_.NextHopSend(Leaving("1").Text());
  edge_.Run(absl::Milliseconds(200));
  const std::string one = TakeOne(first_);
  first_.connection()->Reset();
  edge_.Run(absl::Milliseconds(200));
  const std::string two = TakeOne(second_);
  EXPECT_NE(TopBranch(one), TopBranch(two));
  second_.Send(ResponseText(two, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 200 OK"}));
}

// RFC 3261 §16.9: as if 503 had come; also from somebody who had shown that he is there.
TEST_F(TwoServersTest, Rfc3261_16_9_ConnectionLostAfterProvisionalLeadsToTheSecondTarget) {
  for (const uint16_t status : {uint16_t{100}, uint16_t{180}}) {
    const RequestText call = Leaving(absl::StrCat(status), "INVITE");
    edge_.NextHopSend(call.Text());
    edge_.Run(absl::Milliseconds(200));
    first_.Send(ResponseText(TakeOne(first_), status, "Here"));
    edge_.Settle();
    first_.connection()->Finish();
    edge_.Run(absl::Milliseconds(200));
    second_.Send(ResponseText(TakeOne(second_), 486, "Busy Here"));
    edge_.Settle();
    const Lines expected =
        status == 100 ? Lines{"SIP/2.0 100 Trying", "SIP/2.0 486 Busy Here"}
                      : Lines{"SIP/2.0 100 Trying", "SIP/2.0 180 Here", "SIP/2.0 486 Busy Here"};
    EXPECT_EQ(InsideLines(edge_), expected);
    EXPECT_TRUE(TakeOne(second_).starts_with("ACK "));
    edge_.NextHopSend(Companion(call, "ACK"));
    edge_.Run(absl::Seconds(1));
  }
}

TEST(OutboundSimulationTest, ConnectionLostInMidTransactionWithoutAnotherTargetIs503) {
  for (const uint16_t status : {uint16_t{0}, uint16_t{100}, uint16_t{180}}) {
    SimulatedEdge edge({});
    KnowTls(edge, "b.example", "192.0.2.1");
    SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
    edge.NextHopSend(Leaving("1", "INVITE").Text());
    edge.Run(absl::Milliseconds(200));
    if (status != 0) server.Send(ResponseText(TakeOne(server), status, "Here"));
    edge.Settle();
    server.connection()->Reset();
    edge.Run(absl::Milliseconds(200));
    EXPECT_EQ(InsideLines(edge).back(), "SIP/2.0 503 Service Unavailable") << status;
    EXPECT_EQ(Rejected(edge, ReasonCode::kNextHopUnreachable), 1U);
  }
}

// -- Waiting for a connection ------------------------------------------------------------------

TEST(OutboundSimulationTest, RequestsThatWaitForAConnectionLeaveInOrderWhenItOpens) {
  SimulatedEdge edge({});
  KnowTls(edge, "b.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  for (int i = 0; i < 20; ++i) edge.NextHopSend(Leaving(absl::StrCat("w", i)).Text());
  edge.Run(absl::Milliseconds(200));
  const std::vector<std::string> seen = SplitMessages(server.Take());
  ASSERT_EQ(seen.size(), 20U);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Value(seen[static_cast<size_t>(i)], "Call-ID"), absl::StrCat("w", i));
    server.Send(ResponseText(seen[static_cast<size_t>(i)], 200, "OK"));
  }
  edge.Settle();
  EXPECT_EQ(InsideLines(edge).size(), 20U);
  EXPECT_EQ(server.connections(), 1);
}

TEST(OutboundSimulationTest, RequestsThatWaitForAConnectionAllFailOverWhenItFails) {
  SimulatedEdge edge({.timeouts = "connect = \"2s\"\n"});
  KnowTwo(edge, "b.example");
  edge.network().Blackhole(*core::SocketAddress::Parse(kFirst));
  SimulatedServer& second = edge.Serve(kSecond, &SimulatedCertificate("b.example"));
  for (int i = 0; i < 20; ++i) edge.NextHopSend(Leaving(absl::StrCat("w", i)).Text());
  edge.Run(absl::Seconds(1.8));
  EXPECT_EQ(second.connections(), 0);
  edge.Run(absl::Seconds(0.5));
  const std::vector<std::string> seen = SplitMessages(second.Take());
  ASSERT_EQ(seen.size(), 20U);
  for (const std::string& message : seen) second.Send(ResponseText(message, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(InsideLines(edge).size(), 20U);
  EXPECT_EQ(second.connections(), 1);
}

// -- The pool ----------------------------------------------------------------------------------

// Two domains at one address: whoever proved one of them has not proved the other.
TEST(OutboundSimulationTest, SameAddressWithAnotherIdentityIsAnotherConnection) {
  TestCertificateSpec spec = DomainSpec("b.example");
  spec.subject_alt_name = "URI:sip:b.example,URI:sip:c.example";
  const TestCertificate both = MintSignedBy(SimulatedCa(), spec);
  SimulatedEdge edge({});
  KnowTls(edge, "b.example", "192.0.2.1");
  KnowTls(edge, "c.example", "192.0.2.1");
  KnowTls(edge, "d.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kFirst, &both);
  edge.NextHopSend(Leaving("1").Text());
  edge.Run(absl::Milliseconds(200));
  server.Send(ResponseText(TakeOne(server), 200, "OK"));
  edge.Settle();
  EXPECT_EQ(server.connections(), 1);
  RequestText other = Leaving("2");
  other.uri = "sip:bob@c.example";
  edge.NextHopSend(other.Text());
  edge.Run(absl::Milliseconds(200));
  server.Send(ResponseText(TakeOne(server), 200, "OK"));
  edge.Settle();
  EXPECT_EQ(server.connections(), 2);
  EXPECT_EQ(InsideLines(edge), (Lines{"SIP/2.0 200 OK", "SIP/2.0 200 OK"}));
  other.branch = "3";
  other.uri = "sip:bob@d.example";
  edge.NextHopSend(other.Text());
  edge.Run(absl::Milliseconds(200));
  EXPECT_EQ(InsideLines(edge),
            (Lines{"SIP/2.0 502 Certificate identity does not match requested domain"}));
  EXPECT_EQ(server.Take(), "");
}

// A request that is under way does not end with the configuration that it began with.
TEST_F(TwoServersTest, ReloadBetweenTwoTargetsCostsNothing) {
  edge_.NextHopSend(Leaving("1", "INVITE").Text());
  edge_.Run(absl::Seconds(1));
  static_cast<void>(TakeOne(first_));
  edge_.Reload();
  edge_.Run(absl::Seconds(3.5));
  second_.Send(ResponseText(TakeOne(second_), 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(first_.connections(), 1);  // It has the INVITE already.
  EXPECT_EQ(InsideLines(edge_), (Lines{"SIP/2.0 100 Trying", "SIP/2.0 200 OK"}));
}

// What was proved under one configuration is proved anew under the next.
TEST(OutboundSimulationTest, ReloadDialsAnewForTls) {
  SimulatedEdge edge({});
  KnowTls(edge, "b.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  edge.NextHopSend(Leaving("1").Text());
  edge.Run(absl::Milliseconds(200));
  const std::string waiting = TakeOne(server);
  edge.Reload();
  edge.Run(absl::Milliseconds(200));
  EXPECT_EQ(edge.progress().snapshot_version, 2U);
  server.Send(ResponseText(waiting, 200, "OK"));  // Its connection has waited for this.
  edge.Settle();
  EXPECT_EQ(InsideLines(edge), (Lines{"SIP/2.0 200 OK"}));
  edge.NextHopSend(Leaving("2").Text());
  edge.Run(absl::Seconds(1));
  EXPECT_EQ(server.connections(), 2);
  server.Send(ResponseText(TakeOne(server), 200, "OK"));
  edge.Settle();
  EXPECT_EQ(InsideLines(edge), (Lines{"SIP/2.0 200 OK"}));
}

// -- Groups ------------------------------------------------------------------------------------

// A [[next-hop]] outside with these targets, for everything that leaves to b.example.
std::string Partner(const std::string& targets, const std::string& more = "") {
  return absl::StrCat("[[next-hop]]\nname = \"partner\"\nzone = \"outside\"\ntargets = [", targets,
                      "]\n", more, "[[route]]\nzone = \"inside\"\ndomain = \"b.example\"\n",
                      "next-hop = \"partner\"\n");
}
constexpr char kTwoTcp[] = "\"tcp:192.0.2.1:5061;priority=1\", \"tcp:192.0.2.2:5061;priority=2\"";

// Whoever got something answers it.
int Serve(SimulatedEdge& edge, SimulatedServer& server, uint16_t status,
          const std::string& headers = "") {
  const std::vector<SimulatedServer::Arrival> messages = server.TakeArrivals();
  for (const auto& [connection, message] : messages) {
    server.SendOn(connection, ResponseText(message, status, "So", headers));
  }
  edge.Settle();
  return static_cast<int>(messages.size());
}

TEST(NextHopGroupTest, LowerPriorityNumberGetsEverythingAndTheNextItsFailures) {
  SimulatedEdge edge({.extra = Partner(kTwoTcp)});
  SimulatedServer& first = edge.Serve(kFirst);
  SimulatedServer& second = edge.Serve(kSecond);
  for (int i = 0; i < 10; ++i) edge.NextHopSend(Leaving(absl::StrCat("p", i)).Text());
  edge.Run(absl::Milliseconds(100));
  EXPECT_EQ(Serve(edge, first, 200), 10);
  EXPECT_EQ(second.connections(), 0);
  edge.NextHopSend(Leaving("x").Text());
  edge.Run(absl::Milliseconds(100));
  EXPECT_EQ(Serve(edge, first, 503), 1);
  edge.Run(absl::Milliseconds(100));
  EXPECT_EQ(Serve(edge, second, 200), 1);
  EXPECT_EQ(InsideLines(edge), Lines(11, "SIP/2.0 200 So"));
}

// Weights are shares of calls, and one call stays where it is.
TEST(NextHopGroupTest, WeightsShareCallsAndOneCallStaysWithOneTarget) {
  SimulatedEdge edge({.extra = Partner("\"tcp:192.0.2.1:5061;weight=30\", "
                                       "\"tcp:192.0.2.2:5061;weight=10\"")});
  SimulatedServer& first = edge.Serve(kFirst);
  SimulatedServer& second = edge.Serve(kSecond);
  int at_first = 0;
  int at_second = 0;
  for (int i = 0; i < 200; ++i) {
    int here = 0;
    for (int again = 0; again < 2; ++again) {
      RequestText request = Leaving(absl::StrCat("c", i));
      request.branch = absl::StrCat("c", i, "x", again);
      edge.NextHopSend(request.Text());
      edge.Run(absl::Milliseconds(20));
      const int got = Serve(edge, first, 200);
      at_first += got;
      at_second += Serve(edge, second, 200);
      here += got;
    }
    EXPECT_TRUE(here == 0 || here == 2) << i;
  }
  EXPECT_EQ(at_first + at_second, 400);
  EXPECT_GT(at_first, 240);  // Three quarters are 300.
  EXPECT_GT(at_second, 50);
}

// In a dialog the request goes to the address that DNS gave for the call, and its certificate is
// that of the name in the configuration.
TEST(NextHopGroupTest, DialogStaysWithANamedTlsNextHopInside) {
  SimulatedEdge edge({.extra =
                          "[[next-hop]]\nname = \"pbx\"\nzone = \"inside\"\ntls = \"federation\"\n"
                          "targets = [\"tls:pbx.example:5061\"]\n"
                          "[[route]]\nzone = \"outside\"\nnext-hop = \"pbx\"\n"});
  edge.dns().A("pbx.example", "192.0.2.1");
  SimulatedServer& pbx = edge.Serve(kFirst, &SimulatedCertificate("pbx.example"));
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.method = "INVITE",
                         .branch = "i",
                         .headers = "Contact: <sip:alice@a.example;transport=tls>\r\n"}
                 .Text());
  edge.Run(absl::Milliseconds(200));
  pbx.Send(
      ResponseText(TakeOne(pbx), 200, "OK", "Contact: <sip:bob@192.0.2.1:5061;transport=tls>\r\n"));
  edge.Settle();
  const std::vector<std::string> answers = alice.TakeMessages();
  ASSERT_EQ(answers.size(), 2U);
  for (const char* const method : {"ACK", "BYE"}) {
    alice.Send(RequestText{.method = method,
                           .uri = "sip:bob@192.0.2.1:5061;transport=tls",
                           .branch = method,
                           .to = "<sip:bob@edge.example>;tag=uas",
                           .headers = RouteLinesForCaller(answers[1])}
                   .Text());
    edge.Run(absl::Milliseconds(200));
    EXPECT_TRUE(TakeOne(pbx).starts_with(absl::StrCat(method, " "))) << alice.Take();
  }
  EXPECT_EQ(pbx.connections(), 1);
}

// One server in two next hops: a dialog goes back to the one that carried the call.
TEST(NextHopGroupTest, DialogOfASharedTargetStaysWithItsNextHop) {
  SimulatedEdge edge(
      {.extra = Partner("\"tcp:192.0.2.1:5061\"") +
                "[[next-hop]]\nname = \"all\"\nzone = \"outside\"\n"
                "targets = [\"tcp:192.0.2.1:5061\", \"tcp:192.0.2.2:5061;weight=1000\"]\n"});
  SimulatedServer& first = edge.Serve(kFirst);
  SimulatedServer& second = edge.Serve(kSecond);
  for (int i = 0; i < 4; ++i) {
    RequestText call = Leaving(absl::StrCat("c", i), "INVITE");
    edge.NextHopSend(call.Text());
    edge.Run(absl::Milliseconds(100));
    const std::vector<std::string> invites = first.TakeMessages();
    ASSERT_EQ(invites.size(), 1U);
    first.Send(
        ResponseText(invites[0], 200, "OK", "Contact: <sip:bob@192.0.2.1:5061;transport=tcp>\r\n"));
    edge.Settle();
    call.method = "BYE";
    call.branch += "b";
    call.uri = "sip:bob@192.0.2.1:5061;transport=tcp";
    call.to += ";tag=uas";
    call.headers = RouteLinesForCaller(TakeInside(edge).back());
    edge.NextHopSend(call.Text());
    edge.Run(absl::Milliseconds(100));
    const std::vector<std::string> byes = first.TakeMessages();
    ASSERT_EQ(byes.size(), 1U) << i;
    EXPECT_TRUE(byes[0].starts_with("BYE "));
  }
  EXPECT_TRUE(second.TakeMessages().empty());
}

// The call went to the second because the first had no time; so do its ACK and BYE, with the first
// back at work: it knows nothing of that dialog.
void DialogStaysWithWhoAnswered(SimulatedEdge& edge, SimulatedServer& first,
                                SimulatedServer& second) {
  RequestText call = Leaving("c", "INVITE");
  edge.NextHopSend(call.Text());
  edge.Run(absl::Milliseconds(200));
  first.Send(ResponseText(first.TakeMessages().at(0), 503, "No"));
  edge.Run(absl::Milliseconds(200));
  EXPECT_EQ(StartLines(first.TakeMessages()), (Lines{"ACK sip:bob@b.example SIP/2.0"}));
  second.Send(ResponseText(TakeOne(second), 200, "OK", "Contact: <sip:bob@b.example>\r\n"));
  edge.Run(absl::Minutes(2));  // The first is trusted again.
  call.headers = RouteLinesForCaller(TakeInside(edge).back());
  call.to += ";tag=uas";
  for (const char* const method : {"ACK", "INVITE", "BYE"}) {
    call.method = method;
    call.branch = method;
    edge.NextHopSend(call.Text());
    edge.Run(absl::Milliseconds(200));
    EXPECT_TRUE(first.TakeMessages().empty()) << method;
    const std::vector<std::string> seen = second.TakeMessages();
    ASSERT_EQ(seen.size(), 1U) << method;
    EXPECT_TRUE(seen[0].starts_with(method)) << seen[0];
    if (call.method != "ACK") second.Send(ResponseText(seen[0], 200, "OK"));
    edge.Settle();
  }
}

TEST(NextHopGroupTest, DialogStaysWithTheMemberThatAnswered) {
  SimulatedEdge edge({.extra = Partner(kTwoTcp)});
  DialogStaysWithWhoAnswered(edge, edge.Serve(kFirst), edge.Serve(kSecond));
}

TEST(NextHopGroupTest, DialogStaysWithTheNamedMemberThatAnswered) {
  SimulatedEdge edge({.extra = Partner("\"tls:sip1.b.example:5061;priority=1\", "
                                       "\"tls:sip2.b.example:5061;priority=2\"")});
  edge.dns().A("sip1.b.example", "192.0.2.1");
  edge.dns().A("sip2.b.example", "192.0.2.2");
  DialogStaysWithWhoAnswered(edge, edge.Serve(kFirst, &SimulatedCertificate("sip1.b.example")),
                             edge.Serve(kSecond, &SimulatedCertificate("sip2.b.example")));
}

TEST(NextHopGroupTest, DialogOfAMemberThatIsGoneGoesToTheOthers) {
  SimulatedEdge edge({.extra = Partner(kTwoTcp)});
  SimulatedServer& first = edge.Serve(kFirst);
  SimulatedServer& second = edge.Serve(kSecond);
  RequestText call = Leaving("c", "INVITE");
  edge.NextHopSend(call.Text());
  edge.Run(absl::Milliseconds(200));
  first.Send(ResponseText(TakeOne(first), 200, "OK", "Contact: <sip:bob@b.example>\r\n"));
  edge.Settle();
  edge.network().StopListening(first.address());
  first.connection()->Reset();
  edge.Run(absl::Milliseconds(200));
  call.headers = RouteLinesForCaller(TakeInside(edge).back());
  call.to += ";tag=uas";
  call.method = "BYE";
  call.branch = "b";
  edge.NextHopSend(call.Text());
  edge.Run(absl::Milliseconds(200));
  EXPECT_TRUE(TakeOne(second).starts_with("BYE "));
}

// In a dialog: the target that it named is down, and DNS does not know yet where another is.
TEST(NextHopGroupTest, DialogOfADownInsideTargetWaitsForDnsOfAnother) {
  SimulatedEdge edge(
      {.targets = {"tcp:192.0.2.1:5061;priority=1", "tcp:core2.edge.example:5061;priority=2"}});
  edge.dns().A("core2.edge.example", "192.0.2.2");
  SimulatedServer& first = edge.Serve(kFirst);
  SimulatedServer& second = edge.Serve(kSecond);
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.method = "INVITE", .branch = "i"}.Text());
  edge.Run(absl::Milliseconds(200));
  first.Send(ResponseText(TakeOne(first), 200, "OK", "Contact: <sip:bob@edge.example>\r\n"));
  edge.Settle();
  const std::string answer = alice.TakeMessages().back();
  edge.network().StopListening(first.address());
  first.connection()->Reset();
  edge.Run(absl::Minutes(10), absl::Seconds(1));  // What DNS said is forgotten.
  edge.dns().set_latency(absl::Seconds(1));
  alice.Send(RequestText{.method = "BYE",
                         .branch = "b",
                         .to = "<sip:bob@edge.example>;tag=uas",
                         .headers = RouteLinesForCaller(answer)}
                 .Text());
  edge.Run(absl::Seconds(3));
  EXPECT_TRUE(TakeOne(second).starts_with("BYE ")) << alice.Take();
}

TEST(NextHopGroupTest, CancelWhileDnsIsAskedForTheNextMemberEndsTheCall) {
  SimulatedEdge edge({.extra = Partner("\"tcp:192.0.2.1:5061;priority=1\", "
                                       "\"tcp:sip2.b.example:5061;priority=2\"")});
  edge.dns().A("sip2.b.example", "192.0.2.2");
  edge.dns().set_latency(absl::Seconds(1));
  SimulatedServer& first = edge.Serve(kFirst);
  SimulatedServer& second = edge.Serve(kSecond);
  const RequestText call = Leaving("c", "INVITE");
  edge.NextHopSend(call.Text());
  edge.Run(absl::Milliseconds(200));
  const std::string invite = TakeOne(first);
  first.Send(ResponseText(invite, 180, "Ringing"));
  edge.Settle();
  first.Send(ResponseText(invite, 503, "No"));
  edge.Settle();
  edge.NextHopSend(Companion(call, "CANCEL"));
  edge.Run(absl::Seconds(3));
  Lines lines = InsideLines(edge);
  ASSERT_GE(lines.size(), 4U);
  lines.resize(4);  // The 487 is sent until its ACK.
  EXPECT_EQ(lines, (Lines{"SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK",
                          "SIP/2.0 487 Request Terminated"}));
  EXPECT_EQ(second.connections(), 0);
  EXPECT_EQ(StartLines(first.TakeMessages()), (Lines{"ACK sip:bob@b.example SIP/2.0"}));
}

// It refuses new calls for a minute (§21.5.4) and goes on with those that it has.
TEST(NextHopGroupTest, DialogsOfATargetThatHoldsOffGoOn) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  const auto send = [&](const std::string& method, const std::string& call,
                        const std::string& to_tag, const std::string& headers = "") {
    alice.Send(RequestText{.method = method,
                           .branch = call + method,
                           .to = "<sip:bob@edge.example>" + to_tag,
                           .call_id = call,
                           .headers = headers}
                   .Text());
    edge.Settle();
    return edge.NextHopTake().value_or("");
  };
  edge.NextHopSend(
      ResponseText(send("INVITE", "1", ""), 200, "OK", "Contact: <sip:bob@127.0.0.1:5080>\r\n"));
  edge.Settle();
  const std::string routes = RouteLinesForCaller(alice.TakeMessages().back());
  edge.NextHopSend(ResponseText(send("INVITE", "2", ""), 503, "No", "Retry-After: 60\r\n"));
  edge.Settle();
  const std::string question = edge.NextHopTake().value_or("");
  ASSERT_TRUE(question.starts_with("OPTIONS ")) << question;
  EXPECT_TRUE(edge.NextHopTake().value_or("").starts_with("ACK "));
  edge.NextHopSend(ResponseText(question, 503, "No"));
  edge.Settle();
  EXPECT_EQ(send("INVITE", "3", ""), "");
  EXPECT_TRUE(send("ACK", "1", ";tag=uas", routes).starts_with("ACK "));
  EXPECT_TRUE(send("BYE", "1", ";tag=uas", routes).starts_with("BYE "));
}

// Two named members, and DNS says of the second first that it is not: the first is waited for.
TEST(NextHopGroupTest, AnswerOfDnsIsForTheMemberThatWasAskedFor) {
  SimulatedEdge edge({.extra = Partner("\"tcp:192.0.2.9:5061;priority=1\", "
                                       "\"tls:sip1.b.example:5061;priority=2\", "
                                       "\"tls:nowhere.example:5061;priority=3\"")});
  edge.dns().A("sip1.b.example", "192.0.2.1");
  edge.dns().set_latency(absl::Seconds(10));
  SimulatedServer& first = edge.Serve(kFirst, &SimulatedCertificate("sip1.b.example"));
  edge.NextHopSend(Leaving("1").Text());
  edge.Run(absl::Milliseconds(200));
  edge.dns().AnswerOne(core::DnsType::kA, "nowhere.example");
  edge.Run(absl::Milliseconds(200));
  edge.dns().AnswerOne(core::DnsType::kA, "sip1.b.example");
  edge.Run(absl::Milliseconds(200));
  EXPECT_TRUE(TakeOne(first).starts_with("MESSAGE "));
}

// Nobody waits half a minute for a server that is known to be down.
TEST(NextHopGroupTest, OnlyMemberThatIsDownIs503AtOnce) {
  SimulatedEdge edge(
      {.extra = kOutsideUdp + Partner("\"udp:192.0.2.9:5060\"",
                                      "health = { interval = \"2s\", timeout = \"1s\" }\n")});
  edge.network().Bind(*core::SocketAddress::Parse("192.0.2.9:5060"));
  edge.Run(absl::Seconds(10));  // Its probes are not answered.
  edge.NextHopSend(Leaving("1").Text());
  edge.Settle();
  const std::vector<std::string> answers = TakeInside(edge);
  ASSERT_EQ(StartLines(answers), (Lines{"SIP/2.0 503 Service Unavailable"}));
  EXPECT_NE(Value(answers[0], "Retry-After"), "");
  const EdgeMetrics& metrics = edge.metrics();
  EXPECT_EQ(edge.Counter(metrics.sip_final_responses.Slot(EdgeMetrics::FinalCodeLabel(503),
                                                          FinalSource::kLocal)),
            1U);
  const size_t label = metrics.NextHopLabel("partner");
  EXPECT_GE(edge.Counter(metrics.upstream_health_checks.Slot(label, ProbeResult::kFailed)), 3U);
  EXPECT_EQ(edge.Counter(metrics.upstream_health_checks.Slot(label, ProbeResult::kOk)), 0U);
}

// With nobody else to ask, what is under way goes on: UDP retransmission may outlive a restart.
TEST(NextHopGroupTest, TargetThatGoesDownKeepsWhatHasNoAlternative) {
  SimulatedEdge edge(
      {.extra = kOutsideUdp + Partner("\"udp:192.0.2.9:5060\"",
                                      "health = { interval = \"2s\", timeout = \"1s\" }\n")});
  const core::SocketAddress address = *core::SocketAddress::Parse("192.0.2.9:5060");
  edge.network().Bind(address);
  edge.Run(absl::Seconds(2));
  edge.NextHopSend(Leaving("1", "INVITE").Text());
  edge.Run(absl::Seconds(6));  // Two probes have failed by now.
  EXPECT_EQ(InsideLines(edge), (Lines{"SIP/2.0 100 Trying"}));
  std::string invite;
  while (const auto datagram = edge.network().ReceiveDatagram(address)) {
    if (datagram->bytes.starts_with("INVITE ")) invite = datagram->bytes;
  }
  ASSERT_NE(invite, "");
  edge.network().SendDatagram(address, *core::SocketAddress::Parse("127.0.0.1:5062"),
                              ResponseText(invite, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(InsideLines(edge), (Lines{"SIP/2.0 200 OK"}));
}

// A reload between the question to DNS and its answer costs nothing: the next hop is known by name.
TEST(NextHopGroupTest, AReloadWhileDnsIsAskedLosesNothing) {
  SimulatedEdge edge({.extra = Partner("\"tcp:sip.b.example:5061\"")});
  SimulatedServer& first = edge.Serve(kFirst);
  edge.dns().A("sip.b.example", "192.0.2.1");
  edge.dns().set_latency(absl::Milliseconds(200));
  edge.NextHopSend(Leaving("1").Text());
  edge.Run(absl::Milliseconds(20));
  edge.Reload();
  edge.Run(absl::Milliseconds(400));
  EXPECT_EQ(edge.progress().snapshot_version, 2U);
  EXPECT_EQ(Serve(edge, first, 200), 1);
  EXPECT_EQ(InsideLines(edge), (Lines{"SIP/2.0 200 So"}));
}

// What was refused is left alone until its back-off is over; then one request tries it.
TEST(NextHopGroupTest, CircuitOpensWithARefusalAndClosesWithASuccess) {
  SimulatedEdge edge({.extra = Partner(kTwoTcp)});
  SimulatedServer& second = edge.Serve(kSecond);
  const auto refused = [&edge] {
    const size_t label = edge.metrics().NextHopLabel("partner");
    return edge.Counter(edge.metrics().outbound_connects.Slot(label, ConnectResult::kRefused));
  };
  for (int i = 0; i < 5; ++i) {
    edge.NextHopSend(Leaving(absl::StrCat("a", i)).Text());
    edge.Run(absl::Milliseconds(20));
    EXPECT_EQ(Serve(edge, second, 200), 1);
  }
  EXPECT_EQ(refused(), 1U);  // Open: the others did not try.
  edge.Run(absl::Milliseconds(300));
  SimulatedServer& first = edge.Serve(kFirst);
  edge.NextHopSend(Leaving("trial").Text());
  edge.Run(absl::Milliseconds(20));
  EXPECT_EQ(Serve(edge, first, 200), 1);
  edge.NextHopSend(Leaving("after").Text());
  edge.Run(absl::Milliseconds(20));
  EXPECT_EQ(Serve(edge, first, 200), 1);
  EXPECT_EQ(refused(), 1U);
}

// §21.5.4: not before that time.
TEST(NextHopGroupTest, Rfc3261_21_5_4_RetryAfterOf503IsKept) {
  SimulatedEdge edge({.extra = Partner(kTwoTcp)});
  SimulatedServer& first = edge.Serve(kFirst);
  SimulatedServer& second = edge.Serve(kSecond);
  edge.NextHopSend(Leaving("a").Text());
  edge.Run(absl::Milliseconds(20));
  EXPECT_EQ(Serve(edge, first, 503, "Retry-After: 5\r\n"), 1);
  edge.Run(absl::Milliseconds(20));
  EXPECT_EQ(Serve(edge, second, 200), 1);
  EXPECT_EQ(Serve(edge, first, 503), 1);  // The edge has asked whether it is the target's own word.
  edge.Run(absl::Seconds(4.5));
  edge.NextHopSend(Leaving("b").Text());
  edge.Run(absl::Milliseconds(20));
  EXPECT_EQ(Serve(edge, first, 200), 0);
  EXPECT_EQ(Serve(edge, second, 200), 1);
  edge.Run(absl::Seconds(1));
  edge.NextHopSend(Leaving("c").Text());
  edge.Run(absl::Milliseconds(20));
  EXPECT_EQ(Serve(edge, first, 200), 1);
}

TEST(NextHopGroupTest, ProbesMarkDownAndUp) {
  SimulatedEdge edge(
      {.extra = Partner(kTwoTcp, "health = { interval = \"2s\", timeout = \"1s\" }\n")});
  SimulatedServer& first = edge.Serve(kFirst);
  SimulatedServer& second = edge.Serve(kSecond);
  // Answers OPTIONS as `alive` says for the first; the second is always well.
  const auto live = [&](int seconds, bool alive) {
    for (int i = 0; i < seconds * 10; ++i) {
      edge.Run(absl::Milliseconds(100));
      for (const auto& [connection, probe] : first.TakeArrivals()) {
        EXPECT_TRUE(probe.starts_with("OPTIONS sip:192.0.2.1:5061 SIP/2.0")) << probe;
        EXPECT_EQ(Value(probe, "Max-Forwards"), "70");
        if (alive) first.SendOn(connection, ResponseText(probe, 404, "Not Found"));  // It lives.
      }
      Serve(edge, second, 200);
    }
  };
  const auto goes_to_first = [&](const std::string& id) {
    edge.NextHopSend(Leaving(id).Text());
    edge.Run(absl::Milliseconds(20));
    int got = 0;
    for (const auto& [connection, message] : first.TakeArrivals()) {
      got += message.starts_with("MESSAGE ");
      first.SendOn(connection, ResponseText(message, 200, "OK"));
    }
    Serve(edge, second, 200);
    return got == 1;
  };
  live(5, true);
  EXPECT_TRUE(goes_to_first("a"));
  live(7, false);
  EXPECT_FALSE(goes_to_first("b"));
  live(9, true);
  EXPECT_TRUE(goes_to_first("c"));
  EXPECT_EQ(InsideLines(edge).size(), 3U);
}

// Of two equals the one that has just come up gets less than its share, then all of it.
TEST(NextHopGroupTest, RecoveredTargetStartsSlowly) {
  SimulatedEdge edge({.extra = Partner("\"tcp:192.0.2.1:5061\", \"tcp:192.0.2.2:5061\"")});
  SimulatedServer& second = edge.Serve(kSecond);
  int sent = 0;
  const auto send = [&](int count, SimulatedServer* first) {
    int at_first = 0;
    for (int i = 0; i < count; ++i) {
      edge.NextHopSend(Leaving(absl::StrCat("s", sent++)).Text());
      edge.Run(absl::Milliseconds(4), absl::Milliseconds(4));
      if (first != nullptr) at_first += Serve(edge, *first, 200);
      Serve(edge, second, 200);
    }
    return at_first;
  };
  send(20, nullptr);  // Some of them were refused by the first.
  SimulatedServer& first = edge.Serve(kFirst);
  edge.Run(absl::Seconds(9));
  send(20, &first);  // One of them was the trial.
  const int slow = send(100, &first);
  edge.Run(absl::Seconds(11));
  const int full = send(100, &first);
  EXPECT_LT(slow, 35);
  EXPECT_GT(full, 35);
  EXPECT_EQ(InsideLines(edge).size(), 240U);
}

// -- Size and ways back ------------------------------------------------------------------------

class LargeRequestTest : public ::testing::Test {
 protected:
  LargeRequestTest() : edge_({}) { large_ = {.branch = "large", .body = std::string(1400, 'x')}; }
  SimulatedEdge edge_;
  RequestText large_;
};

TEST_F(LargeRequestTest, Rfc3261_18_1_1_LargeRequestGoesOverTcpInsteadOfUdp) {
  SimulatedServer& tcp = edge_.Serve("127.0.0.1:5080");
  SimulatedPeer& alice = edge_.Connect("a.example");
  alice.Send(large_.Text());
  edge_.Run(absl::Milliseconds(100));
  const std::string seen = TakeOne(tcp);
  EXPECT_TRUE(Value(seen, "Via").starts_with("SIP/2.0/TCP edge.example:5070;")) << seen;
  EXPECT_FALSE(edge_.NextHopTake().has_value());
  tcp.Send(ResponseText(seen, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 200 OK");
  large_ = {.branch = "small"};
  alice.Send(large_.Text());
  edge_.Run(absl::Milliseconds(100));
  EXPECT_TRUE(edge_.NextHopTake().has_value());
}

TEST_F(LargeRequestTest, Rfc3261_18_1_1_LargeRequestGoesOverUdpWhereTcpIsRefused) {
  SimulatedPeer& alice = edge_.Connect("a.example");
  for (const char* const branch : {"one", "two"}) {
    large_.branch = branch;
    alice.Send(large_.Text());
    edge_.Run(absl::Milliseconds(100));
    const std::string seen = edge_.NextHopTake().value_or("");
    ASSERT_NE(seen, "");
    EXPECT_TRUE(Value(seen, "Via").starts_with("SIP/2.0/UDP edge.example:5070;")) << seen;
    edge_.NextHopSend(ResponseText(seen, 200, "OK"));
    edge_.Settle();
    EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 200 OK");
  }
}

class ReplyPathTest : public ::testing::TestWithParam<bool> {};

constexpr char kInsideTcp[] =
    "[[listener]]\nname = \"core-tcp\"\naddress = \"127.0.0.1:5071\"\ntransport = \"tcp\"\n"
    "zone = \"inside\"\n";

// Whoever asked over TCP has lost that connection: where his Via says, he may be reached anew.
TEST_P(ReplyPathTest, Rfc3261_18_2_2_ResponseIsDialledToSentByWhenItsConnectionHasGone) {
  const bool listens = GetParam();
  SimulatedEdge edge({.extra = kInsideTcp});
  KnowTls(edge, "b.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  core::RemoteConnection* const asking =
      edge.network().Connect(*core::SocketAddress::Parse("127.0.0.1:5071"));
  RequestText request = Leaving("1", "INVITE");
  request.via = "SIP/2.0/TCP 127.0.0.1:5090";
  asking->Send(request.Text());
  edge.Run(absl::Milliseconds(200));
  EXPECT_EQ(StartLine(asking->TakeReceived()), "SIP/2.0 100 Trying");
  const std::string invite = TakeOne(server);
  asking->Reset();
  edge.Run(absl::Milliseconds(100));
  SimulatedServer* const sent_by = listens ? &edge.Serve("127.0.0.1:5090") : nullptr;
  server.Send(ResponseText(invite, 486, "Busy Here"));
  edge.Run(absl::Milliseconds(100));
  EXPECT_TRUE(TakeOne(server).starts_with("ACK "));
  const uint64_t dropped =
      edge.Counter(edge.metrics().sip_responses_dropped.Slot(ResponseDropReason::kFlowGone));
  EXPECT_EQ(dropped, listens ? 0U : 1U);
  if (listens) {
    EXPECT_EQ(StartLine(TakeOne(*sent_by)), "SIP/2.0 486 Busy Here");
    sent_by->Send(Companion(request, "ACK"));
  }
  edge.Run(absl::Seconds(33));
  EXPECT_EQ(Transactions(edge), 0U);
}

INSTANTIATE_TEST_SUITE_P(Listening, ReplyPathTest, ::testing::Bool());

// A ringing that found nobody does not cost the answer its way.
TEST(OutboundSimulationTest, Rfc3261_18_2_2_ProvisionalThatIsLostDoesNotLoseTheFinal) {
  SimulatedEdge edge({.extra = kInsideTcp});
  KnowTls(edge, "b.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  core::RemoteConnection* const asking =
      edge.network().Connect(*core::SocketAddress::Parse("127.0.0.1:5071"));
  RequestText request = Leaving("1", "INVITE");
  request.via = "SIP/2.0/TCP 127.0.0.1:5090";
  asking->Send(request.Text());
  edge.Run(absl::Milliseconds(200));
  const std::string invite = TakeOne(server);
  asking->Reset();
  edge.Run(absl::Milliseconds(100));
  SimulatedServer& sent_by = edge.Serve("127.0.0.1:5090");
  server.Send(ResponseText(invite, 180, "Ringing"));
  edge.Run(absl::Milliseconds(100));
  server.Send(ResponseText(invite, 200, "OK"));
  edge.Run(absl::Milliseconds(100));
  EXPECT_EQ(StartLine(TakeOne(sent_by)), "SIP/2.0 200 OK");
}

// What came over TLS is not answered in clear.
TEST(OutboundSimulationTest, Rfc3261_18_2_2_ResponseToATlsRequestIsNotDialledInClear) {
  SimulatedEdge edge({.extra = "[[listener]]\nname = \"core-tls\"\naddress = \"127.0.0.1:5072\"\n"
                               "zone = \"inside\"\n"});
  KnowTls(edge, "b.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kFirst, &SimulatedCertificate("b.example"));
  SimulatedServer& in_clear = edge.Serve("127.0.0.1:5090");
  SimulatedPeer& asking = edge.Connect("edge.example", "127.0.0.1:5072");
  RequestText request = Leaving("1");
  request.via = "SIP/2.0/TLS 127.0.0.1:5090";
  asking.Send(request.Text());
  edge.Run(absl::Milliseconds(200));
  const std::string seen = TakeOne(server);
  asking.connection().Reset();
  edge.Run(absl::Milliseconds(100));
  server.Send(ResponseText(seen, 200, "OK"));
  edge.Run(absl::Milliseconds(200));
  EXPECT_EQ(in_clear.connections(), 0);
  EXPECT_EQ(edge.Counter(edge.metrics().sip_responses_dropped.Slot(ResponseDropReason::kFlowGone)),
            1U);
}

}  // namespace
}  // namespace sallyport::sip::test
