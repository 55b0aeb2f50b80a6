// Standing ends with the certificate: a connection with an expired certificate of its peer carries
// no request any more, in either direction, whether it was accepted or dialled.

#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

using sallyport::test::DomainSpec;
using sallyport::test::MintSignedBy;
using sallyport::test::TestCertificate;
using sallyport::test::TestCertificateSpec;

constexpr absl::Duration kBrief = absl::Minutes(10);
// The clock of an edge begins up to some seconds before a certificate is minted.
const absl::Duration kPastBrief = kBrief + absl::Seconds(20);
constexpr char kServer[] = "192.0.2.1:5061";
constexpr char kInside[] = "SIP/2.0/UDP 127.0.0.1:5080";
constexpr char kRefusal[] = "SIP/2.0 403 Peer Not Permitted";

TestCertificate BriefCertificate(const std::string& domain) {
  TestCertificateSpec spec = DomainSpec(domain);
  spec.not_after = std::time(nullptr) + absl::ToInt64Seconds(kBrief);
  return MintSignedBy(SimulatedCa(), spec);
}

uint64_t Refused(const SimulatedEdge& edge) {
  return edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kPeerRefused));
}

bool HasEnded(core::RemoteConnection& connection) {
  return connection.saw_end() || connection.saw_reset();
}

// -- From outside, on a connection that the peer opened ----------------------------------------

class ExpirySimulationTest : public testing::Test {
 protected:
  SimulatedEdge edge_{{}};
  const TestCertificate certificate_ = BriefCertificate("a.example");
};

TEST_F(ExpirySimulationTest, LastSecondIsServedAndTheNextIsNot) {
  SimulatedPeer& alice = edge_.Connect(certificate_);
  // The certificate was minted up to a second before the clock of this edge began.
  edge_.network().SetWallTime(absl::FromUnixSeconds(std::time(nullptr)) + kBrief -
                              absl::Seconds(5));
  alice.Send(RequestText{.branch = "before"}.Text());
  edge_.Settle();
  EXPECT_NE(edge_.NextHopTake().value_or(""), "");
  EXPECT_EQ(Refused(edge_), 0U);

  edge_.PassWallTime(absl::Seconds(6));
  alice.Send(RequestText{.branch = "after"}.Text());
  edge_.Settle();
  EXPECT_EQ(StartLine(alice.Take()), kRefusal);
  EXPECT_FALSE(edge_.NextHopTake().has_value());
  EXPECT_EQ(Refused(edge_), 1U);
  EXPECT_EQ(edge_.Counter(edge_.metrics().connections_closed.Slot(MetricDirection::kIn,
                                                                  ConnectionCloseReason::kPolicy)),
            1U);
  EXPECT_TRUE(HasEnded(alice.connection()));
}

TEST_F(ExpirySimulationTest, EveryRequestIsRefusedInADialogToo) {
  uint64_t refused = 0;
  for (const char* const method : {"INVITE", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK",
                                   "UPDATE", "INFO", "REFER", "SUBSCRIBE", "NOTIFY", "FOO"}) {
    for (const char* const to_tag : {"", ";tag=uas"}) {
      SimulatedEdge edge({});
      SimulatedPeer& alice = edge.Connect(certificate_);
      edge.PassWallTime(kPastBrief);
      alice.Send(RequestText{.method = method,
                             .uri = "sip:edge.example",
                             .to = absl::StrCat("<sip:alice@a.example>", to_tag)}
                     .Text());
      edge.Settle();
      EXPECT_EQ(StartLine(alice.Take()), kRefusal) << method << to_tag;
      EXPECT_FALSE(edge.NextHopTake().has_value()) << method << to_tag;
      EXPECT_TRUE(HasEnded(alice.connection())) << method << to_tag;
      refused += Refused(edge);
    }
  }
  EXPECT_EQ(refused, 24U);
}

// The INVITE came in time; what ends it comes too late, and counts as the loss of its connection.
TEST_F(ExpirySimulationTest, CancelOfACallThatBeganInTimeIsRefused) {
  SimulatedPeer& alice = edge_.Connect(certificate_);
  RequestText request{.method = "INVITE", .headers = "Contact: <sip:alice@192.0.2.9>\r\n"};
  alice.Send(request.Text());
  edge_.Settle();
  const std::string invite = edge_.NextHopTake().value_or("");
  edge_.NextHopSend(ResponseText(invite, 180, "Ringing"));
  edge_.Settle();
  static_cast<void>(alice.Take());
  edge_.PassWallTime(kPastBrief);
  request.method = "CANCEL";
  alice.Send(request.Text());
  edge_.Settle();
  EXPECT_EQ(StartLine(alice.Take()), kRefusal);
  EXPECT_FALSE(edge_.NextHopTake().has_value());
}

TEST_F(ExpirySimulationTest, AckIsNeitherForwardedNorAnswered) {
  SimulatedPeer& alice = edge_.Connect(certificate_);
  edge_.PassWallTime(kPastBrief);
  alice.Send(RequestText{.method = "ACK", .to = "<sip:bob@edge.example>;tag=uas"}.Text());
  edge_.Settle();
  EXPECT_EQ(alice.Take(), "");
  EXPECT_FALSE(edge_.NextHopTake().has_value());
  EXPECT_EQ(Refused(edge_), 1U);
  EXPECT_EQ(edge_.Counter(edge_.metrics().sip_acks_dropped.Slot(AckDropReason::kRefused)), 1U);
  EXPECT_TRUE(HasEnded(alice.connection()));
}

// Of several requests in one record the first is the last.
TEST_F(ExpirySimulationTest, NothingBehindTheRefusedRequestIsRead) {
  SimulatedPeer& alice = edge_.Connect(certificate_);
  edge_.PassWallTime(kPastBrief);
  alice.Send(RequestText{.branch = "1"}.Text() + RequestText{.branch = "2"}.Text());
  edge_.Settle();
  EXPECT_EQ(alice.TakeMessages().size(), 1U);
  EXPECT_EQ(Refused(edge_), 1U);
}

TEST_F(ExpirySimulationTest, OthersAreServedAndARenewedCertificateIsWelcome) {
  edge_.PassWallTime(kPastBrief);
  SimulatedPeer& alice = edge_.Connect("a.example");
  alice.Send(RequestText{}.Text());
  edge_.Settle();
  EXPECT_NE(edge_.NextHopTake().value_or(""), "");
}

// -- Towards a peer that opened the connection -------------------------------------------------

// A request from inside to alice's flow, by the Path that the registrar knows.
RequestText ToFlow(const std::string& path, const std::string& branch) {
  return {.uri = "sip:alice@192.0.2.9;transport=tls",
          .via = kInside,
          .branch = branch,
          .from = "<sip:bob@edge.example>;tag=7",
          .to = "<sip:alice@a.example>",
          .call_id = branch,
          .headers = "Route: " + path + "\r\n"};
}

std::string RegisterFlow(SimulatedEdge& edge, SimulatedPeer& alice) {
  alice.Send(RequestText{
      .method = "REGISTER",
      .uri = "sip:edge.example",
      .to = "<sip:alice@a.example>",
      .headers = "Supported: path, outbound\r\nContact: <sip:alice@192.0.2.9;transport=tls;ob>"
                 ";reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"\r\n"}
                 .Text());
  edge.Settle();
  const std::string seen = edge.NextHopTake().value_or("");
  edge.NextHopSend(ResponseText(seen, 200, "OK"));
  edge.Settle();
  static_cast<void>(alice.Take());
  return Value(seen, "Path");
}

TEST_F(ExpirySimulationTest, FlowCountsAsGone) {
  SimulatedPeer& alice = edge_.Connect(certificate_);
  const std::string path = RegisterFlow(edge_, alice);
  edge_.PassWallTime(kPastBrief);
  edge_.NextHopSend(ToFlow(path, "late").Text());
  edge_.Run(absl::Milliseconds(100));
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 430 Flow Failed");
  EXPECT_EQ(alice.Take(), "");
  EXPECT_TRUE(HasEnded(alice.connection()));  // So that she comes back with a new certificate.
}

// What she was asked in time she may answer; the connection closes with the next request after it.
TEST_F(ExpirySimulationTest, FlowInUseMayAnswer) {
  SimulatedPeer& alice = edge_.Connect(certificate_);
  const std::string path = RegisterFlow(edge_, alice);
  edge_.NextHopSend(ToFlow(path, "early").Text());
  edge_.Settle();
  const std::string asked = alice.Take();
  EXPECT_EQ(StartLine(asked), "MESSAGE sip:alice@192.0.2.9;transport=tls SIP/2.0");
  edge_.PassWallTime(kPastBrief);
  edge_.NextHopSend(ToFlow(path, "late").Text());
  edge_.Settle();
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 430 Flow Failed");
  EXPECT_EQ(alice.Take(), "");
  alice.Send(ResponseText(asked, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 200 OK");
  EXPECT_FALSE(HasEnded(alice.connection()));
  edge_.NextHopSend(ToFlow(path, "later").Text());
  edge_.Run(absl::Milliseconds(100));
  EXPECT_EQ(StartLine(edge_.NextHopTake().value_or("")), "SIP/2.0 430 Flow Failed");
  EXPECT_TRUE(HasEnded(alice.connection()));
}

// RFC 5923: what may not go down the alias is dialled.
TEST_F(ExpirySimulationTest, AliasIsDialledInstead) {
  SimulatedServer& server = edge_.Serve("192.0.2.5:5065", &SimulatedCertificate("a.example"));
  edge_.dns().A("a.example", "192.0.2.5");
  SimulatedPeer& alice = edge_.ConnectFrom("192.0.2.5:40000", certificate_);
  alice.Send(RequestText{.via = "SIP/2.0/TLS a.example:5065;alias"}.Text());
  edge_.Settle();
  edge_.NextHopSend(ResponseText(edge_.NextHopTake().value_or(""), 200, "OK"));
  edge_.Settle();
  static_cast<void>(alice.Take());
  edge_.PassWallTime(kPastBrief);
  edge_.NextHopSend(RequestText{.uri = "sip:bob@a.example:5065;transport=tls",
                                .via = kInside,
                                .branch = "out",
                                .to = "<sip:bob@a.example>"}
                        .Text());
  edge_.Run(absl::Milliseconds(200));
  EXPECT_EQ(alice.Take(), "");
  EXPECT_EQ(StartLine(server.Take()), "MESSAGE sip:bob@a.example:5065;transport=tls SIP/2.0");
}

// -- Connections that we dialled ---------------------------------------------------------------

class ExpiredServerSimulationTest : public testing::Test {
 protected:
  ExpiredServerSimulationTest() {
    edge_.dns().Naptr("b.example", 10, 10, "SIPS+D2T", "_sips._tcp.b.example");
    edge_.dns().Srv("_sips._tcp.b.example", 10, 0, 5061, "sip.b.example");
    edge_.dns().A("sip.b.example", "192.0.2.1");
  }

  void SendOut(const std::string& method, const std::string& branch) {
    edge_.NextHopSend(RequestText{.method = method,
                                  .uri = "sip:bob@b.example",
                                  .via = kInside,
                                  .branch = branch,
                                  .from = "<sip:carol@edge.example>;tag=c",
                                  .to = "<sip:bob@b.example>",
                                  .call_id = branch,
                                  .headers = "Contact: <sip:carol@127.0.0.1:5080>\r\n"}
                          .Text());
    edge_.Run(absl::Milliseconds(200));
  }
  // A request out and its answer back.
  void Talk(const std::string& branch) {
    SendOut("MESSAGE", branch);
    const std::string seen = server_.Take();
    EXPECT_EQ(StartLine(seen), "MESSAGE sip:bob@b.example SIP/2.0");
    server_.Send(ResponseText(seen, 200, "OK"));
    edge_.Settle();
    EXPECT_EQ(InsideLines(), (std::vector<std::string>{"SIP/2.0 200 OK"}));
  }
  // What came inside, but for 100.
  std::vector<std::string> InsideLines() {
    std::vector<std::string> lines;
    while (const auto message = edge_.NextHopTake()) {
      if (StartLine(*message) != "SIP/2.0 100 Trying") lines.push_back(StartLine(*message));
    }
    return lines;
  }

  SimulatedEdge edge_{{}};
  const TestCertificate certificate_ = BriefCertificate("b.example");
  SimulatedServer& server_ = edge_.Serve(kServer, &certificate_);
};

TEST_F(ExpiredServerSimulationTest, ItsRequestsAreRefused) {
  Talk("1");
  const RequestText request{.via = "SIP/2.0/TLS sip.b.example",
                            .from = "<sip:bob@b.example>;tag=b"};
  server_.Send(request.Text());
  edge_.Settle();
  EXPECT_EQ(InsideLines().size(), 1U);
  static_cast<void>(server_.Take());
  edge_.PassWallTime(kPastBrief);
  core::RemoteConnection& connection = *server_.connection();
  server_.Send(RequestText{.via = request.via, .branch = "2", .from = request.from}.Text());
  edge_.Settle();
  EXPECT_EQ(StartLine(server_.Take()), kRefusal);
  EXPECT_TRUE(InsideLines().empty());
  EXPECT_TRUE(HasEnded(connection));
}

TEST_F(ExpiredServerSimulationTest, ItIsDialledAnewAndJudgedByWhatItShowsThen) {
  Talk("1");
  core::RemoteConnection& old = *server_.connection();
  edge_.PassWallTime(kPastBrief);
  // Neither the open connection nor the session that was kept of it is worth anything.
  SendOut("MESSAGE", "2");
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(server_.Take(), "");
  EXPECT_EQ(InsideLines(), (std::vector<std::string>{"SIP/2.0 503 Service Unavailable"}));
  EXPECT_EQ(edge_.Counter(edge_.metrics().requests_rejected.Slot(ReasonCode::kNextHopTls)), 1U);
  EXPECT_TRUE(HasEnded(old));
}

TEST_F(ExpiredServerSimulationTest, WithARenewedCertificateNothingIsNoticed) {
  Talk("1");
  core::RemoteConnection& old = *server_.connection();
  const TestCertificate renewed = MintSignedBy(SimulatedCa(), DomainSpec("b.example"));
  server_.ShowCertificate(renewed);
  Talk("2");
  EXPECT_EQ(server_.connections(), 1);
  edge_.PassWallTime(kPastBrief);
  Talk("3");
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_TRUE(HasEnded(old));
  Talk("4");
  EXPECT_EQ(server_.connections(), 2);
}

// Goal: calls that ring when the certificate ends are not lost by it. Method: a call rings on the
// old connection, another leaves on the new one, and the first is answered on the old.
TEST_F(ExpiredServerSimulationTest, WhatRingsMayBeAnsweredBeforeTheOldConnectionCloses) {
  const TestCertificate renewed = MintSignedBy(SimulatedCa(), DomainSpec("b.example"));
  SendOut("INVITE", "ringing");
  const std::string invite = server_.Take();
  server_.Send(ResponseText(invite, 180, "Ringing"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(), (std::vector<std::string>{"SIP/2.0 180 Ringing"}));
  core::RemoteConnection& old = *server_.connection();

  // The second one is another server at the same place, so that the old connection can be kept.
  edge_.PassWallTime(kPastBrief);
  SimulatedServer& successor = edge_.Serve(kServer, &renewed);
  server_.StopAccepting();
  SendOut("MESSAGE", "new");
  const std::string seen = successor.Take();
  EXPECT_EQ(StartLine(seen), "MESSAGE sip:bob@b.example SIP/2.0");
  successor.Send(ResponseText(seen, 200, "OK"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(), (std::vector<std::string>{"SIP/2.0 200 OK"}));
  EXPECT_FALSE(HasEnded(old));

  server_.Send(ResponseText(invite, 486, "Busy Here"));
  edge_.Settle();
  EXPECT_EQ(InsideLines(), (std::vector<std::string>{"SIP/2.0 486 Busy Here"}));
  edge_.Run(absl::Seconds(10));  // Sweep looks at a few endpoints at a time.
  EXPECT_TRUE(HasEnded(old));
  EXPECT_FALSE(HasEnded(*successor.connection()));
}

// The server leaves instead of answering: what waited on the old connection fails at once.
TEST_F(ExpiredServerSimulationTest, LossOfTheOldConnectionIsTold) {
  const TestCertificate renewed = MintSignedBy(SimulatedCa(), DomainSpec("b.example"));
  SendOut("INVITE", "ringing");
  server_.Send(ResponseText(server_.Take(), 180, "Ringing"));
  edge_.Settle();
  edge_.PassWallTime(kPastBrief);
  SimulatedServer& successor = edge_.Serve(kServer, &renewed);
  server_.StopAccepting();
  SendOut("MESSAGE", "new");
  EXPECT_EQ(successor.connections(), 1);
  static_cast<void>(InsideLines());
  server_.connection()->Reset();
  edge_.Run(absl::Milliseconds(200));
  EXPECT_EQ(InsideLines(), (std::vector<std::string>{"SIP/2.0 503 Service Unavailable"}));
  EXPECT_FALSE(HasEnded(*successor.connection()));
}

}  // namespace
}  // namespace sallyport::sip::test
