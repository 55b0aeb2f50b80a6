// Timers, retransmission, CANCEL and losses of a whole shard (RFC 3261 §16, §17; RFC 6026), with
// hours passing in milliseconds.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sip/message/message_parser.h"
#include "sip/message/message_writer.h"
#include "tests/simulation/simulated_edge.h"

namespace sallyport::sip::test {
namespace {

std::string Request(const std::string& method, const std::string& branch,
                    const std::string& from = "alice@a.example", const std::string& to_tag = "",
                    const std::string& cseq_method = "") {
  return method +
         " sip:bob@edge.example SIP/2.0\r\nVia: SIP/2.0/TLS client.example;branch=z9hG4bK" +
         branch + "\r\nMax-Forwards: 70\r\nFrom: <sip:" + from +
         ">;tag=1\r\nTo: <sip:bob@edge.example>" + (to_tag.empty() ? "" : ";tag=" + to_tag) +
         "\r\nCall-ID: " + branch + "\r\nCSeq: 1 " + (cseq_method.empty() ? method : cseq_method) +
         "\r\nContent-Length: 0\r\n\r\n";
}

// The next hop's answer to a request it got.
std::string Response(const std::string& request, uint16_t status, const std::string& reason) {
  MessageView view;
  EXPECT_EQ(ParseMessage(request, Framing::kStream, view), ParseOutcome::kOk) << request;
  ResponseParts parts;
  parts.status = status;
  parts.reason = reason;
  parts.to_tag = "uas";
  parts.via_received = view.top_via().received;
  std::string out(4096, '\0');
  out.resize(WriteResponse(parts, view, out));
  return out;
}

std::vector<std::string> TakeAll(SimulatedEdge& edge) {
  std::vector<std::string> messages;
  while (auto message = edge.NextHopTake()) messages.push_back(*message);
  return messages;
}

std::string StatusLine(const std::string& text) { return text.substr(0, text.find("\r\n")); }

std::string Branch(const std::string& message) {
  MessageView view;
  EXPECT_EQ(ParseMessage(message, Framing::kStream, view), ParseOutcome::kOk) << message;
  return std::string(view.top_via().branch);
}

uint64_t Transactions(const SimulatedEdge& edge) {
  return edge.Counter(edge.metrics().sip_transactions_active.Slot(TransactionKind::kInvite)) +
         edge.Counter(edge.metrics().sip_transactions_active.Slot(TransactionKind::kNonInvite));
}

TEST(TransactionSimulationTest, RequestGoesInAndItsAnswerComesBack) {
  for (const NextHopKind kind : {NextHopKind::kUdp, NextHopKind::kTcp}) {
    SimulatedEdge edge({.next_hop = kind});
    SimulatedPeer& alice = edge.Connect("a.example");
    alice.Send(Request("MESSAGE", "1"));
    edge.Settle();
    const std::vector<std::string> seen = TakeAll(edge);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_NE(seen[0].find("P-Asserted-Identity: <sip:alice@a.example>"), std::string::npos);
    edge.NextHopSend(Response(seen[0], 200, "OK"));
    edge.Settle();
    EXPECT_EQ(StatusLine(alice.received()), "SIP/2.0 200 OK");
    EXPECT_EQ(alice.received().find("Via:"), alice.received().rfind("Via:"));
    EXPECT_EQ(Transactions(edge), 0U);
  }
}

// §17.1.2.2: Timer E at 0.5, 1.5, 3.5, 7.5, 11.5 … 31.5 s, Timer F at 32 s.
TEST(TransactionSimulationTest, Rfc3261_17_1_2_NonInviteIsRetransmittedOverUdpAndThenTimesOut) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("MESSAGE", "1"));
  edge.Run(absl::Seconds(31.9));
  const std::vector<std::string> seen = TakeAll(edge);
  EXPECT_EQ(seen.size(), 11U);
  for (const std::string& message : seen) EXPECT_EQ(message, seen[0]);
  EXPECT_EQ(alice.received(), "");
  edge.Run(absl::Seconds(0.3));
  EXPECT_EQ(StatusLine(alice.received()), "SIP/2.0 408 Request Timeout");
  EXPECT_EQ(edge.Counter(edge.metrics().sip_transaction_timeouts.Slot(TransactionTimer::kF)), 1U);
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kTimeout)), 1U);
  EXPECT_EQ(Transactions(edge), 0U);
}

// §17.1.1.2: Timer A at 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s, Timer B at 32 s; the ACK of our 408 ends
// it.
TEST(TransactionSimulationTest, Rfc3261_17_1_1_InviteIsRetransmittedOverUdpAndThenTimesOut) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  EXPECT_EQ(StatusLine(alice.Take()), "SIP/2.0 100 Trying");
  edge.Run(absl::Seconds(32.2));
  EXPECT_EQ(TakeAll(edge).size(), 7U);
  const std::string answer = alice.Take();
  EXPECT_EQ(StatusLine(answer), "SIP/2.0 408 Request Timeout");
  EXPECT_EQ(Transactions(edge), 1U);  // Waits for the ACK.
  const size_t tag = answer.find(";tag=", answer.find("To:")) + 5;
  alice.Send(Request("ACK", "1", "alice@a.example", answer.substr(tag, 16)));
  edge.Settle();
  EXPECT_EQ(Transactions(edge), 0U);
  EXPECT_TRUE(TakeAll(edge).empty());
}

// §17.2.1: Timer H.
TEST(TransactionSimulationTest, Rfc3261_17_2_1_AckThatNeverComesIsWaitedForAsLongAsTimerH) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  const std::string invite = TakeAll(edge).at(0);
  edge.NextHopSend(Response(invite, 486, "Busy Here"));
  edge.Settle();
  const std::vector<std::string> acks = TakeAll(edge);
  ASSERT_EQ(acks.size(), 1U);
  EXPECT_EQ(acks[0].substr(0, 4), "ACK ");
  EXPECT_EQ(Branch(acks[0]), Branch(invite));
  edge.Run(absl::Seconds(31.9));
  EXPECT_EQ(Transactions(edge), 1U);
  edge.Run(absl::Seconds(0.3));
  EXPECT_EQ(Transactions(edge), 0U);
  EXPECT_EQ(edge.Counter(edge.metrics().sip_transaction_timeouts.Slot(TransactionTimer::kH)), 1U);
}

// §17.1.1.2, Timer D: over UDP the failure may come again; it is acknowledged again, not forwarded.
TEST(TransactionSimulationTest, Rfc3261_17_1_1_RepeatedFailureOverUdpIsAcknowledgedAgain) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  const std::string busy = Response(TakeAll(edge).at(0), 486, "Busy Here");
  for (int i = 0; i < 3; ++i) {
    edge.NextHopSend(busy);
    edge.Settle();
    const std::vector<std::string> acks = TakeAll(edge);
    ASSERT_EQ(acks.size(), 1U) << i;
    EXPECT_EQ(acks[0].substr(0, 4), "ACK ");
  }
  const std::string answers = alice.Take();
  EXPECT_EQ(answers.find("486"), answers.rfind("486"));
  edge.Run(absl::Seconds(32.2));
  EXPECT_EQ(Transactions(edge), 0U);
  edge.NextHopSend(busy);
  edge.Settle();
  EXPECT_EQ(
      edge.Counter(edge.metrics().sip_responses_dropped.Slot(ResponseDropReason::kNoTransaction)),
      1U);
}

// RFC 6026 §7.1: retransmitted 2xx pass for 32 s; the ACK of a 2xx is forwarded on its own.
TEST(TransactionSimulationTest, Rfc6026_7_2_RepeatedSuccessPassesWhileAccepted) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  const std::string ok = Response(TakeAll(edge).at(0), 200, "OK");
  static_cast<void>(alice.Take());
  for (int i = 0; i < 2; ++i) {
    edge.NextHopSend(ok);
    edge.Settle();
    EXPECT_EQ(StatusLine(alice.Take()), "SIP/2.0 200 OK") << i;
  }
  alice.Send(Request("ACK", "2", "alice@a.example", "uas"));
  edge.Settle();
  EXPECT_EQ(TakeAll(edge).size(), 1U);
  edge.Run(absl::Seconds(32.2));
  EXPECT_EQ(Transactions(edge), 0U);
  edge.NextHopSend(ok);
  edge.Settle();
  EXPECT_EQ(alice.Take(), "");
}

// §9.1: a CANCEL waits for a provisional response, then goes out with the INVITE's branch.
TEST(TransactionSimulationTest, Rfc3261_16_10_CancelWaitsForAProvisionalResponse) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  const std::string invite = TakeAll(edge).at(0);
  static_cast<void>(alice.Take());
  alice.Send(Request("CANCEL", "1"));
  edge.Settle();
  EXPECT_EQ(StatusLine(alice.Take()), "SIP/2.0 200 OK");
  EXPECT_TRUE(TakeAll(edge).empty());
  edge.NextHopSend(Response(invite, 180, "Ringing"));
  edge.Settle();
  const std::vector<std::string> cancels = TakeAll(edge);
  ASSERT_EQ(cancels.size(), 1U);
  EXPECT_EQ(cancels[0].substr(0, 7), "CANCEL ");
  EXPECT_EQ(Branch(cancels[0]), Branch(invite));
  // Unanswered it is retransmitted (Timer E); answered it is not.
  edge.Run(absl::Seconds(0.6));
  EXPECT_EQ(TakeAll(edge).size(), 1U);
  edge.NextHopSend(Response(cancels[0], 200, "OK"));
  edge.Run(absl::Seconds(5));
  EXPECT_TRUE(TakeAll(edge).empty());
  edge.NextHopSend(Response(invite, 487, "Request Terminated"));
  edge.Settle();
  const std::string answers = alice.Take();
  EXPECT_NE(answers.find("SIP/2.0 180 Ringing"), std::string::npos);
  EXPECT_NE(answers.find("SIP/2.0 487 Request Terminated"), std::string::npos);
  EXPECT_EQ(TakeAll(edge).at(0).substr(0, 4), "ACK ");
}

// A ringing that comes again stops Timer A, not the CANCEL's Timer E.
TEST(TransactionSimulationTest, Rfc3261_17_1_2_ProvisionalsDoNotStopTheCancelsRetransmission) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  const std::string invite = TakeAll(edge).at(0);
  edge.NextHopSend(Response(invite, 180, "Ringing"));
  alice.Send(Request("CANCEL", "1"));
  edge.Settle();
  EXPECT_EQ(TakeAll(edge).size(), 1U);  // Lost, as it were.
  edge.NextHopSend(Response(invite, 180, "Ringing"));
  edge.Run(absl::Seconds(0.6));
  EXPECT_EQ(TakeAll(edge).at(0).substr(0, 7), "CANCEL ");
}

// §17.1.2.2: Timer F runs on, whatever provisional responses come.
TEST(TransactionSimulationTest, Rfc3261_17_1_2_ProvisionalsDoNotProlongTimerF) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("MESSAGE", "1"));
  edge.Settle();
  const std::string seen = TakeAll(edge).at(0);
  edge.Run(absl::Seconds(20), absl::Milliseconds(200));
  edge.NextHopSend(Response(seen, 100, "Trying"));
  edge.Run(absl::Seconds(12.5), absl::Milliseconds(200));
  EXPECT_EQ(StatusLine(alice.Take()), "SIP/2.0 408 Request Timeout");
  EXPECT_EQ(Transactions(edge), 0U);
}

// As many header lines as may come: with ours it can still be cancelled, and acknowledged.
TEST(TransactionSimulationTest, LargestHeaderCountCanBeCancelledAndAcknowledged) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  std::string request = Request("INVITE", "1");
  const auto lines = static_cast<size_t>(std::count(request.begin(), request.end(), '\n')) - 2;
  std::string more;
  for (size_t i = lines; i < kReceivedHeadersMax; ++i) more += "X: y\r\n";
  request.insert(request.find("\r\n") + 2, more);
  alice.Send(request);
  edge.Settle();
  const std::vector<std::string> seen = TakeAll(edge);
  ASSERT_EQ(seen.size(), 1U) << alice.Take();
  edge.NextHopSend(Response(seen[0], 180, "Ringing"));
  edge.Settle();
  alice.Send(Request("CANCEL", "1"));
  edge.Settle();
  const std::vector<std::string> cancels = TakeAll(edge);
  ASSERT_EQ(cancels.size(), 1U);
  EXPECT_EQ(cancels[0].substr(0, 7), "CANCEL ");
  edge.NextHopSend(Response(seen[0], 487, "Request Terminated"));
  edge.Settle();
  EXPECT_EQ(TakeAll(edge).at(0).substr(0, 4), "ACK ");
}

TEST(TransactionSimulationTest, CancelledInviteThatStaysSilentIsAnswered408) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  edge.NextHopSend(Response(TakeAll(edge).at(0), 180, "Ringing"));
  edge.Settle();
  alice.Send(Request("CANCEL", "1"));
  edge.Settle();
  static_cast<void>(alice.Take());
  edge.Run(absl::Seconds(32.2));
  EXPECT_EQ(StatusLine(alice.Take()), "SIP/2.0 408 Request Timeout");
}

TEST(TransactionSimulationTest, Rfc3261_16_10_CancelOfAnotherIdentityMatchesNothing) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& mallory = edge.Connect("m.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  edge.NextHopSend(Response(TakeAll(edge).at(0), 180, "Ringing"));
  edge.Settle();
  mallory.Send(Request("CANCEL", "1", "mallory@m.example"));
  edge.Settle();
  EXPECT_EQ(StatusLine(mallory.Take()), "SIP/2.0 481 Call/Transaction Does Not Exist");
  EXPECT_TRUE(TakeAll(edge).empty());
  // From another connection of the same identity it does.
  SimulatedPeer& alice_again = edge.Connect("a.example");
  alice_again.Send(Request("CANCEL", "1"));
  edge.Settle();
  EXPECT_EQ(StatusLine(alice_again.Take()), "SIP/2.0 200 OK");
  EXPECT_EQ(TakeAll(edge).size(), 1U);
}

// §16.8: Timer C, reset by each provisional response, ends in a CANCEL.
TEST(TransactionSimulationTest, Rfc3261_16_8_TimerCCancelsACallThatRingsForEver) {
  SimulatedEdge edge({.timeouts = "timer-c = \"181s\""});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  const std::string invite = TakeAll(edge).at(0);
  edge.NextHopSend(Response(invite, 180, "Ringing"));
  edge.Run(absl::Seconds(100), absl::Milliseconds(200));
  edge.NextHopSend(Response(invite, 183, "Session Progress"));
  edge.Run(absl::Seconds(180), absl::Milliseconds(200));
  EXPECT_TRUE(TakeAll(edge).empty());
  edge.Run(absl::Seconds(1.5), absl::Milliseconds(200));
  EXPECT_EQ(TakeAll(edge).at(0).substr(0, 7), "CANCEL ");
  EXPECT_EQ(edge.Counter(edge.metrics().sip_transaction_timeouts.Slot(TransactionTimer::kC)), 1U);
}

// The refusal has been counted; its ACK (§17.1.1.3) is no request of its own.
TEST(TransactionSimulationTest, RefusedInviteAndItsAckCountOnce) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1", "alice@b.example"));
  edge.Settle();
  const std::string answer = alice.Take();
  EXPECT_EQ(StatusLine(answer), "SIP/2.0 403 From Not Covered By Certificate");
  const uint32_t refusals = edge.metrics().requests_rejected.Slot(ReasonCode::kFromNotCovered);
  EXPECT_EQ(edge.Counter(refusals), 1U);
  const size_t tag = answer.find(";tag=", answer.find("To:")) + 5;
  alice.Send(Request("ACK", "1", "alice@b.example", answer.substr(tag, 16)));
  edge.Settle();
  EXPECT_EQ(edge.Counter(refusals), 1U);
  alice.Send(Request("ACK", "1", "alice@b.example", "another"));  // Of nothing that we said.
  edge.Settle();
  EXPECT_EQ(edge.Counter(refusals), 2U);
  EXPECT_EQ(alice.Take(), "");
  EXPECT_TRUE(TakeAll(edge).empty());
}

TEST(TransactionSimulationTest, Rfc3261_16_7_TryingBeginsTimerCButDoesNotProlongIt) {
  SimulatedEdge edge({.timeouts = "timer-c = \"181s\""});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("INVITE", "1"));
  edge.Settle();
  const std::string invite = TakeAll(edge).at(0);
  edge.NextHopSend(Response(invite, 100, "Trying"));
  edge.Run(absl::Seconds(100), absl::Milliseconds(200));
  edge.NextHopSend(Response(invite, 100, "Trying"));
  edge.Run(absl::Seconds(80), absl::Milliseconds(200));
  EXPECT_TRUE(TakeAll(edge).empty());
  edge.Run(absl::Seconds(1.5), absl::Milliseconds(200));
  EXPECT_EQ(TakeAll(edge).at(0).substr(0, 7), "CANCEL ");
}

// A server that has closed the connection in order may answer on another.
TEST(TransactionSimulationTest, Rfc3261_18_2_2_NextHopThatLeavesMayStillAnswer) {
  for (const bool answers : {true, false}) {
    SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
    SimulatedPeer& alice = edge.Connect("a.example");
    alice.Send(Request("MESSAGE", "1"));
    edge.Settle();
    const std::string seen = TakeAll(edge).at(0);
    edge.next_hop_connection()->Finish();
    edge.Run(absl::Milliseconds(300));
    EXPECT_EQ(alice.Take(), "");
    if (answers) edge.InsideSend("127.0.0.1:5080", Response(seen, 200, "OK"));
    edge.Run(absl::Milliseconds(300));
    EXPECT_EQ(StatusLine(alice.Take()),
              answers ? "SIP/2.0 200 OK" : "SIP/2.0 503 Service Unavailable");
    EXPECT_EQ(Transactions(edge), 0U);
  }
}

TEST(TransactionSimulationTest, Rfc3261_16_9_LostNextHopConnectionIsAnswered503) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("MESSAGE", "1") + Request("INVITE", "2"));
  edge.Settle();
  EXPECT_EQ(TakeAll(edge).size(), 2U);
  edge.next_hop_connection()->Reset();
  edge.Settle();
  const std::string answers = alice.Take();
  EXPECT_NE(answers.find("SIP/2.0 503"), std::string::npos);
  EXPECT_NE(answers.find("SIP/2.0 503"), answers.rfind("SIP/2.0 503"));
  EXPECT_NE(answers.find("Retry-After: "), std::string::npos);
  EXPECT_NE(answers.find("Warning: 399 edge.example \""), std::string::npos);
  // The next one dials again.
  alice.Send(Request("MESSAGE", "3"));
  edge.Settle();
  EXPECT_EQ(TakeAll(edge).size(), 1U);
}

TEST(TransactionSimulationTest, NextHopThatRefusesIsLeftAloneForAMoment) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  edge.network().StopListening(edge.next_hop_address());
  SimulatedPeer& alice = edge.Connect("a.example");
  for (const char* branch : {"1", "2"}) {
    alice.Send(Request("MESSAGE", branch));
    edge.Settle();
    EXPECT_EQ(alice.Take().substr(0, 11), "SIP/2.0 503") << branch;
  }
  edge.network().Listen(edge.next_hop_address());
  edge.Run(absl::Seconds(1));
  alice.Send(Request("MESSAGE", "3"));
  edge.Settle();
  EXPECT_EQ(TakeAll(edge).size(), 1U);
}

TEST(TransactionSimulationTest, Rfc3263_4_3_NextServerIsTriedWhenTheFirstCannotBeReached) {
  SimulatedEdge edge(
      {.targets = {"tcp:127.0.0.1:5999;priority=1", "udp:127.0.0.1:5080;priority=2"}});
  SimulatedPeer& alice = edge.Connect("a.example");
  for (const char* branch : {"1", "2"}) {
    alice.Send(Request("MESSAGE", branch));
    edge.Settle();
    const std::vector<std::string> seen = TakeAll(edge);
    ASSERT_EQ(seen.size(), 1U) << branch;
    EXPECT_NE(seen[0].find("Via: SIP/2.0/UDP edge.example:5070;"), std::string::npos) << seen[0];
    edge.NextHopSend(Response(seen[0], 200, "OK"));
    edge.Settle();
    EXPECT_EQ(StatusLine(alice.Take()), "SIP/2.0 200 OK") << branch;
  }
  EXPECT_EQ(Transactions(edge), 0U);
}

// A black hole: whoever dials it waits for the connect timeout. Once it is known to be down, that
// is one request for each back-off, the trial, and not all that come meanwhile.
TEST(TransactionSimulationTest, OneRequestAloneWaitsForTheTrialOfATargetThatIsDown) {
  SimulatedEdge edge({.targets = {"tcp:127.0.0.1:5999;priority=1", "udp:127.0.0.1:5080;priority=2"},
                      .timeouts = "connect = \"1s\"\n"});
  edge.network().Blackhole(*core::SocketAddress::FromHost("127.0.0.1", 5999));
  SimulatedPeer& alice = edge.Connect("a.example");
  const auto answer_all = [&] {
    const std::vector<std::string> seen = TakeAll(edge);
    for (const std::string& request : seen) edge.NextHopSend(Response(request, 200, "OK"));
    edge.Settle();
    return seen.size();
  };
  for (const char* branch : {"1", "2", "3"}) {  // The circuit opens.
    alice.Send(Request("MESSAGE", branch));
    edge.Run(absl::Milliseconds(1100));
    EXPECT_EQ(answer_all(), 1U) << branch;
  }
  edge.Run(absl::Seconds(1));
  alice.Send(Request("MESSAGE", "trial"));
  edge.Settle();
  EXPECT_EQ(answer_all(), 0U);
  for (const char* branch : {"4", "5", "6"}) {
    alice.Send(Request("MESSAGE", branch));
    edge.Settle();
    EXPECT_EQ(answer_all(), 1U) << branch;
  }
  edge.Run(absl::Milliseconds(1100));
  EXPECT_EQ(answer_all(), 1U);  // The trial, at last.
  EXPECT_EQ(Transactions(edge), 0U);
}

TEST(TransactionSimulationTest, AnswerToAFlowThatIsGoneIsCounted) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("MESSAGE", "1"));
  edge.Settle();
  const std::string request = TakeAll(edge).at(0);
  alice.connection().Reset();
  edge.Settle();
  edge.NextHopSend(Response(request, 200, "OK"));
  edge.Settle();
  EXPECT_EQ(edge.Counter(edge.metrics().sip_responses_dropped.Slot(ResponseDropReason::kFlowGone)),
            1U);
  EXPECT_EQ(Transactions(edge), 0U);
}

TEST(TransactionSimulationTest, Rfc6026_7_3_ResponsesThatNobodyAskedForAreDropped) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(Request("MESSAGE", "1"));
  edge.Settle();
  const std::string ok = Response(TakeAll(edge).at(0), 200, "OK");
  std::string forged = ok;
  char& digit = forged[forged.find("branch=z9hG4bK") + 30];
  digit = digit == '0' ? '1' : '0';
  edge.NextHopSend(forged);
  edge.Settle();
  EXPECT_EQ(edge.Counter(edge.metrics().sip_responses_dropped.Slot(ResponseDropReason::kBranch)),
            1U);
  edge.network().SendDatagram(*core::SocketAddress::Parse("127.0.0.9:5080"), edge.inside_address(),
                              ok);
  edge.Settle();
  EXPECT_EQ(edge.Counter(edge.metrics().sip_responses_dropped.Slot(ResponseDropReason::kSource)),
            1U);
  alice.Send(ok);  // A response from outside.
  edge.Settle();
  EXPECT_EQ(edge.Counter(edge.metrics().sip_responses_dropped.Slot(ResponseDropReason::kSource)),
            2U);
  EXPECT_EQ(alice.received(), "");
  edge.NextHopSend(ok);
  edge.Settle();
  EXPECT_EQ(StatusLine(alice.received()), "SIP/2.0 200 OK");
}

TEST(TransactionSimulationTest, FullTableAnswers503WithRetryAfter) {
  SimulatedEdge edge({.limits = "transactions = 16"});
  SimulatedPeer& alice = edge.Connect("a.example");
  for (int i = 0; i <= 8; ++i) alice.Send(Request("MESSAGE", std::to_string(i)));
  edge.Settle();
  EXPECT_EQ(TakeAll(edge).size(), 8U);  // One peer's part of it.
  EXPECT_NE(alice.received().find("SIP/2.0 503"), std::string::npos);
  EXPECT_NE(alice.received().find("Retry-After: "), std::string::npos);
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kLimit)), 1U);
}

// Goal: whatever the kernel does, each request gets exactly one final answer and nothing leaks.
// Method: many requests of two peers under faults drawn from a seed; then time passes.
TEST(TransactionSimulationTest, EveryRequestIsAnsweredOnceUnderFaults) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    const NextHopKind kind = seed % 2 == 0 ? NextHopKind::kTcp : NextHopKind::kUdp;
    SimulatedEdge edge({.seed = seed,
                        .next_hop = kind,
                        .faults = {.partial_read = 0.3,
                                   .short_send = 0.3,
                                   .late_completion = 0.1,
                                   .reordered = 0.2,
                                   .no_buffers = 0.05,
                                   .multishot_end = 0.1,
                                   .datagram_loss = 0.1,
                                   .datagram_twice = 0.05}});
    SimulatedPeer& alice = edge.Connect("a.example");
    SimulatedPeer& bob = edge.Connect("b.example");
    constexpr int kRequests = 30;
    int final_answers[2] = {0, 0};
    std::string received[2];
    for (int i = 0; i < kRequests; ++i) {
      const char* const method = i % 3 == 0 ? "INVITE" : "MESSAGE";
      alice.Send(Request(method, "a" + std::to_string(i)));
      bob.Send(
          Request(method, "b" + std::to_string(i), i % 4 == 0 ? "x@a.example" : "x@b.example"));
      edge.Run(absl::Milliseconds(40));
      while (auto request = edge.NextHopTake()) {
        EXPECT_EQ(request->find("x@a.example"), std::string::npos);  // Refused, never forwarded.
        if (request->starts_with("ACK ") || request->starts_with("CANCEL ")) continue;
        const uint64_t draw = edge.network().Draw(4);
        if (draw == 0 && kind == NextHopKind::kUdp) continue;  // Lost in the next hop.
        edge.NextHopSend(Response(*request, draw == 1 ? 486 : 200, "Answer"));
      }
    }
    for (int second = 0; second < 80; ++second) {
      edge.Run(absl::Seconds(1), absl::Milliseconds(100));
      while (auto request = edge.NextHopTake()) {
        if (request->starts_with("ACK ") || request->starts_with("CANCEL ")) continue;
        edge.NextHopSend(Response(*request, 200, "OK"));
      }
    }
    received[0] = alice.Take();
    received[1] = bob.Take();
    for (int peer = 0; peer < 2; ++peer) {
      std::vector<std::string> answered;
      for (int i = 0; i < kRequests; ++i) {
        // Retransmitted 2xx of an INVITE pass, so "once" is per status.
        const std::string call_id =
            std::string("Call-ID: ") + (peer == 0 ? "a" : "b") + std::to_string(i) + "\r\n";
        bool has_final = false;
        for (size_t at = received[peer].find("SIP/2.0 "); at != std::string::npos;) {
          const size_t next = received[peer].find("SIP/2.0 ", received[peer].find("\r\n\r\n", at));
          const std::string message = received[peer].substr(at, next - at);
          if (message.find(call_id) != std::string::npos && message[8] != '1') has_final = true;
          at = next;
        }
        EXPECT_TRUE(has_final) << "peer " << peer << " request " << i;
        final_answers[peer] += has_final ? 1 : 0;
      }
    }
    EXPECT_EQ(final_answers[0], kRequests);
    EXPECT_EQ(final_answers[1], kRequests);
    EXPECT_EQ(Transactions(edge), 0U);
    EXPECT_EQ(edge.progress().unanswered.load(), 0U);
  }
}

}  // namespace
}  // namespace sallyport::sip::test
