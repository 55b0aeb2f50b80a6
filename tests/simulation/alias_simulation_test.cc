// RFC 5923: requests go back on a connection that the peer opened, if it asked for that and its
// certificate proves the name by which it wants to be called.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

constexpr char kServerAddress[] = "192.0.2.5:5065";

// An edge, a.example's connection to it, and the server that a.example has for everybody else.
class AliasSimulationTest : public testing::Test {
 protected:
  AliasSimulationTest()
      : edge_({}),
        certificate_(
            sallyport::test::MintSignedBy(edge_.ca(), sallyport::test::DomainSpec("a.example"))),
        server_(edge_.Serve(kServerAddress, &certificate_)),
        alice_(edge_.ConnectFrom("192.0.2.5:40000", "a.example")) {
    edge_.dns().A("a.example", "192.0.2.5");
    edge_.dns().A("b.example", "192.0.2.5");
  }

  // A request of a.example under that Via, and its answer.
  void Introduce(const std::string& via) {
    alice_.Send(RequestText{.via = via, .branch = "hello"}.Text());
    edge_.Settle();
    edge_.NextHopSend(ResponseText(edge_.NextHopTake().value_or(""), 200, "OK"));
    edge_.Settle();
    EXPECT_EQ(StartLine(alice_.Take()), "SIP/2.0 200 OK");
  }

  void SendOut(const std::string& domain, const std::string& branch) {
    edge_.NextHopSend(RequestText{.uri = "sip:bob@" + domain + ":5065;transport=tls",
                                  .via = "SIP/2.0/UDP 127.0.0.1:5080",
                                  .branch = branch,
                                  .from = "<sip:carol@edge.example>;tag=c",
                                  .to = "<sip:bob@" + domain + ">"}
                          .Text());
    edge_.Run(absl::Milliseconds(200));
  }

  SimulatedEdge edge_;
  const sallyport::test::TestCertificate certificate_;
  SimulatedServer& server_;
  SimulatedPeer& alice_;
};

constexpr char kAlias[] = "SIP/2.0/TLS a.example:5065;alias";

// Behind one address, at one port: whoever has it keeps it while the connection lives.
TEST_F(AliasSimulationTest, AliasOfAnotherPeerAtTheSameAddressTakesNothingAway) {
  Introduce(kAlias);
  SimulatedPeer& other = edge_.ConnectFrom("192.0.2.5:41000", "m.example");
  other.Send(RequestText{.via = "SIP/2.0/TLS m.example:5065;alias",
                         .branch = "m",
                         .from = "<sip:x@m.example>;tag=1",
                         .call_id = "m"}
                 .Text());
  edge_.Settle();
  edge_.NextHopSend(ResponseText(edge_.NextHopTake().value_or(""), 200, "OK"));
  edge_.Settle();
  SendOut("a.example", "out");
  EXPECT_EQ(StartLine(alice_.Take()), "MESSAGE sip:bob@a.example:5065;transport=tls SIP/2.0");
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(AliasSimulationTest, Rfc5923_RequestGoesBackOnTheConnectionOfItsPeer) {
  Introduce(kAlias);
  SendOut("a.example", "out");
  const std::string seen = alice_.Take();
  EXPECT_EQ(StartLine(seen), "MESSAGE sip:bob@a.example:5065;transport=tls SIP/2.0");
  EXPECT_EQ(server_.connections(), 0);
  alice_.Send(ResponseText(seen, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 200 OK");
}

TEST_F(AliasSimulationTest, Rfc5923_WithoutTheParameterThereIsNoAlias) {
  Introduce("SIP/2.0/TLS a.example:5065");
  SendOut("a.example", "out");
  EXPECT_EQ(alice_.Take(), "");
  EXPECT_EQ(server_.connections(), 1);
  EXPECT_EQ(StartLine(server_.Take()), "MESSAGE sip:bob@a.example:5065;transport=tls SIP/2.0");
}

TEST_F(AliasSimulationTest, Rfc5923_SentByThatIsNotProvedMakesNoAlias) {
  Introduce("SIP/2.0/TLS b.example:5065;alias");
  SendOut("a.example", "out");
  EXPECT_EQ(alice_.Take(), "");
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(AliasSimulationTest, Rfc5923_AnAddressIsNotProved) {
  Introduce("SIP/2.0/TLS 192.0.2.5:5065;alias");
  SendOut("a.example", "out");
  EXPECT_EQ(alice_.Take(), "");
  EXPECT_EQ(server_.connections(), 1);
}

// Two domains may live at one address: the connection of one does not serve the other.
TEST_F(AliasSimulationTest, Rfc5923_AliasServesNoOtherIdentity) {
  Introduce(kAlias);
  SendOut("b.example", "out");
  EXPECT_EQ(alice_.Take(), "");
  EXPECT_EQ(server_.connections(), 1);  // Whose certificate is not b.example's.
  EXPECT_EQ(server_.Take(), "");
  EXPECT_TRUE(edge_.NextHopTake().value_or("").starts_with("SIP/2.0 502 "));
}

TEST_F(AliasSimulationTest, Rfc5923_AliasServesNoOtherPort) {
  Introduce("SIP/2.0/TLS a.example:5066;alias");
  SendOut("a.example", "out");
  EXPECT_EQ(alice_.Take(), "");
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(AliasSimulationTest, Rfc5923_RefusedRequestMakesNoAlias) {
  alice_.Send(RequestText{.via = kAlias, .from = "<sip:x@m.example>;tag=1"}.Text());
  edge_.Settle();
  EXPECT_TRUE(alice_.Take().starts_with("SIP/2.0 403 "));
  SendOut("a.example", "out");
  EXPECT_EQ(alice_.Take(), "");
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(AliasSimulationTest, Rfc5923_ClosedConnectionIsNoAlias) {
  Introduce(kAlias);
  alice_.connection().Finish();
  edge_.Run(absl::Seconds(1));
  SendOut("a.example", "out");
  EXPECT_EQ(server_.connections(), 1);
  EXPECT_EQ(StartLine(server_.Take()), "MESSAGE sip:bob@a.example:5065;transport=tls SIP/2.0");
}

// It is no flow: what is lost with it may be sent again where the peer listens.
TEST_F(AliasSimulationTest, AliasLostInMidTransactionIsDialled) {
  Introduce(kAlias);
  SendOut("a.example", "out");
  EXPECT_NE(alice_.Take(), "");
  alice_.connection().Reset();
  edge_.Run(absl::Milliseconds(200));
  const std::string seen = server_.Take();
  EXPECT_EQ(StartLine(seen), "MESSAGE sip:bob@a.example:5065;transport=tls SIP/2.0");
  server_.Send(ResponseText(seen, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 200 OK");
}

// RFC 3263 §4.3: a 503 is for another server, and what would be dialled is the same one.
TEST_F(AliasSimulationTest, OverloadedAliasIsNotDialled) {
  Introduce(kAlias);
  SendOut("a.example", "out");
  alice_.Send(ResponseText(alice_.Take(), 503, "Service Unavailable"));
  edge_.Run(absl::Milliseconds(200));
  EXPECT_EQ(server_.connections(), 0);
  EXPECT_FALSE(edge_.NextHopTake().value_or("").empty());
}

// §8: we ask for the same, and what comes back is judged by the certificate of whom we dialled.
TEST_F(AliasSimulationTest, Rfc5923_8_WeOfferWhatWeDialled) {
  SendOut("a.example", "out");
  const std::string seen = server_.Take();
  EXPECT_TRUE(Value(seen, "Via").ends_with(";alias")) << seen;
  server_.Send(ResponseText(seen, 200, "OK"));
  server_.Send(RequestText{.via = "SIP/2.0/TLS a.example:5065", .branch = "back"}.Text());
  server_.Send(RequestText{
      .via = "SIP/2.0/TLS a.example:5065", .branch = "forged", .from = "<sip:x@m.example>;tag=1"}
                   .Text());
  edge_.Settle();
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 200 OK");
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "MESSAGE sip:bob@edge.example SIP/2.0");
  EXPECT_FALSE(edge_.NextHopTake().has_value());
  EXPECT_EQ(StartLine(server_.Take()), "SIP/2.0 403 From Not Covered By Certificate");
}

// A reload closes what was dialled under the old configuration, once nobody needs it: not the call
// that its peer has begun on it.
TEST_F(AliasSimulationTest, ReloadWaitsForTheCallsOfWhomWeDialled) {
  SendOut("a.example", "out");
  server_.Send(ResponseText(server_.Take(), 200, "OK"));
  server_.Send(RequestText{.method = "INVITE",
                           .via = "SIP/2.0/TLS a.example:5065",
                           .branch = "back",
                           .headers = "Contact: <sip:alice@a.example>\r\n"}
                   .Text());
  edge_.Settle();
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 200 OK");
  const std::string invite = edge_.NextHopTake().value_or("");
  EXPECT_EQ(StartLine(server_.Take()), "SIP/2.0 100 Trying");
  edge_.Reload();
  edge_.Run(absl::Seconds(1));
  edge_.NextHopSend(ResponseText(invite, 200, "OK"));
  edge_.Run(absl::Milliseconds(100));
  EXPECT_EQ(StartLine(server_.Take()), "SIP/2.0 200 OK");
}

// In the dialog of such a call the dialled connection is the flow: its loss is known at once, and
// the request goes on to another connection of the domain that the peer had proved.
TEST_F(AliasSimulationTest, LossOfADialledFlowLeadsToAnotherOfItsParty) {
  SendOut("a.example", "out");
  server_.Send(ResponseText(server_.Take(), 200, "OK"));
  server_.Send(RequestText{.method = "INVITE",
                           .via = "SIP/2.0/TLS a.example:5065",
                           .branch = "back",
                           .headers = "Contact: <sip:alice@192.0.2.9;transport=tls;ob>\r\n"}
                   .Text());
  edge_.Settle();
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 200 OK");
  const std::string invite = edge_.NextHopTake().value_or("");
  edge_.NextHopSend(ResponseText(invite, 200, "OK"));
  edge_.Settle();
  static_cast<void>(server_.Take());
  edge_.NextHopSend(RequestText{.method = "INFO",
                                .uri = "sip:alice@192.0.2.9;transport=tls;ob",
                                .via = "SIP/2.0/UDP 127.0.0.1:5080",
                                .branch = "info",
                                .from = "<sip:bob@edge.example>;tag=uas",
                                .to = "<sip:alice@a.example>;tag=1",
                                .headers = RouteLinesForCallee(invite)}
                        .Text());
  edge_.Run(absl::Milliseconds(100));
  EXPECT_TRUE(server_.Take().starts_with("INFO "));
  server_.connection()->Reset();
  edge_.Run(absl::Milliseconds(200));
  const std::string info = alice_.Take();
  ASSERT_TRUE(info.starts_with("INFO sip:alice@192.0.2.9;transport=tls;ob ")) << info;
  alice_.Send(ResponseText(info, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 200 OK");
}

}  // namespace
}  // namespace sallyport::sip::test
