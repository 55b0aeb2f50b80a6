// Standing ends with the certificate: a connection whose peer's certificate has expired carries no
// request any more, in either direction, whether it was accepted or dialled.

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
      edge.PassWallTime(kBrief + absl::Seconds(1));
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
  edge_.PassWallTime(kBrief + absl::Seconds(1));
  request.method = "CANCEL";
  alice.Send(request.Text());
  edge_.Settle();
  EXPECT_EQ(StartLine(alice.Take()), kRefusal);
  EXPECT_FALSE(edge_.NextHopTake().has_value());
}

TEST_F(ExpirySimulationTest, AckIsNeitherForwardedNorAnswered) {
  SimulatedPeer& alice = edge_.Connect(certificate_);
  edge_.PassWallTime(kBrief + absl::Seconds(1));
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
  edge_.PassWallTime(kBrief + absl::Seconds(1));
  alice.Send(RequestText{.branch = "1"}.Text() + RequestText{.branch = "2"}.Text());
  edge_.Settle();
  EXPECT_EQ(alice.TakeMessages().size(), 1U);
  EXPECT_EQ(Refused(edge_), 1U);
}

TEST_F(ExpirySimulationTest, OthersAreServedAndARenewedCertificateIsWelcome) {
  edge_.PassWallTime(kBrief + absl::Seconds(1));
  SimulatedPeer& alice = edge_.Connect("a.example");
  alice.Send(RequestText{}.Text());
  edge_.Settle();
  EXPECT_NE(edge_.NextHopTake().value_or(""), "");
}

// -- Towards a peer that opened the connection -------------------------------------------------

// A request of somebody inside to alice's flow, whose Path the registrar knows.
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
  edge_.PassWallTime(kBrief + absl::Seconds(1));
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
  edge_.PassWallTime(kBrief + absl::Seconds(1));
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
  SimulatedServer& server = edge_.Serve("127.0.0.1:5065", &SimulatedCertificate("a.example"));
  edge_.dns().A("a.example", "127.0.0.1");
  SimulatedPeer& alice = edge_.Connect(certificate_);
  alice.Send(RequestText{.via = "SIP/2.0/TLS a.example:5065;alias"}.Text());
  edge_.Settle();
  edge_.NextHopSend(ResponseText(edge_.NextHopTake().value_or(""), 200, "OK"));
  edge_.Settle();
  static_cast<void>(alice.Take());
  edge_.PassWallTime(kBrief + absl::Seconds(1));
  edge_.NextHopSend(RequestText{.uri = "sip:bob@a.example:5065;transport=tls",
                                .via = kInside,
                                .branch = "out",
                                .to = "<sip:bob@a.example>"}
                        .Text());
  edge_.Run(absl::Milliseconds(200));
  EXPECT_EQ(alice.Take(), "");
  EXPECT_EQ(StartLine(server.Take()), "MESSAGE sip:bob@a.example:5065;transport=tls SIP/2.0");
}

}  // namespace
}  // namespace sallyport::sip::test
