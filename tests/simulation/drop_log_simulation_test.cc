// What tells of responses and ACKs that go no further: a counter and one log line each.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class DropLogTest : public ::testing::Test {
 protected:
  DropLogTest() : edge_({.keeps_log = true}), alice_(edge_.Connect("a.example")) {
    edge_.TakeLog();
  }

  // The lines of that event.
  std::vector<std::string> Lines(const std::string& event) {
    std::vector<std::string> lines;
    for (const std::string& line : edge_.TakeLog()) {
      if (line.find("\"event\":\"" + event + "\"") != std::string::npos) lines.push_back(line);
    }
    return lines;
  }
  // The only one.
  std::string Line(const std::string& event) {
    const std::vector<std::string> lines = Lines(event);
    EXPECT_EQ(lines.size(), 1U);
    return lines.empty() ? std::string() : lines[0];
  }
  uint64_t Dropped(ResponseDropReason reason) {
    return edge_.Counter(edge_.metrics().sip_responses_dropped.Slot(reason));
  }
  // A request of alice's as the next hop has got it.
  std::string Forwarded(const std::string& method) {
    alice_.Send(RequestText{.method = method, .branch = method}.Text());
    edge_.Settle();
    return edge_.NextHopTake().value_or("");
  }
  static std::string Response(const std::string& branch, const std::string& cseq = "7 INVITE") {
    return "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP edge.example;branch=" + branch +
           "\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\nFrom: <sip:alice@a.example>;tag=1\r\n"
           "To: <sip:bob@edge.example>;tag=2\r\nCall-ID: c\r\nCSeq: " +
           cseq + "\r\nContent-Length: 0\r\n\r\n";
  }

  SimulatedEdge edge_;
  SimulatedPeer& alice_;
};

TEST_F(DropLogTest, ForeignBranchIsToldWithItsSender) {
  edge_.NextHopSend(Response("z9hG4bKnobody"));
  edge_.Settle();
  const std::string inside = Line("response-dropped");
  EXPECT_THAT(inside, HasSubstr("\"reason\":\"branch\""));
  EXPECT_THAT(inside, HasSubstr("\"message\":\"its Via branch is not one that this process has"));
  EXPECT_THAT(inside, HasSubstr("\"status\":486"));
  EXPECT_THAT(inside, HasSubstr("\"cseq\":\"7 INVITE\""));
  EXPECT_THAT(inside, HasSubstr("\"zone\":\"inside\""));
  EXPECT_THAT(inside, HasSubstr("\"address\":\"127.0.0.1:5080\""));
  EXPECT_THAT(inside, HasSubstr("\"connection\":\"\""));

  alice_.Send(Response("z9hG4bKnobody"));
  edge_.Settle();
  const std::string outside = Line("response-dropped");
  EXPECT_THAT(outside, HasSubstr("\"zone\":\"outside\""));
  EXPECT_THAT(outside, Not(HasSubstr("\"connection\":\"\"")));
  EXPECT_EQ(Dropped(ResponseDropReason::kBranch), 2U);
}

TEST_F(DropLogTest, LateAndForeignAnswersAreToldWithTheirNextHop) {
  const std::string request = Forwarded("MESSAGE");
  std::string other = ResponseText(request, 200, "OK");
  other.replace(other.find("1 MESSAGE"), 9, "1 OPTIONS");
  edge_.NextHopSend(other);
  edge_.Settle();
  const std::string malformed = Line("response-dropped");
  EXPECT_THAT(malformed, HasSubstr("\"reason\":\"malformed\""));
  EXPECT_THAT(malformed, HasSubstr("\"cause\":\"CSeq names another method\""));
  EXPECT_THAT(malformed, HasSubstr("\"next_hop\":\"core\""));

  edge_.NextHopSend(ResponseText(request, 200, "OK"));
  edge_.NextHopSend(ResponseText(request, 200, "OK"));
  edge_.Settle();
  const std::string late = Line("response-dropped");
  EXPECT_THAT(late, HasSubstr("\"reason\":\"no_transaction\""));
  EXPECT_THAT(late, HasSubstr("\"cseq\":\"1 MESSAGE\""));
  EXPECT_THAT(late, ContainsRegex("\"call_id\":\"[0-9a-f]{16}\""));
}

// What a peer has written can forge no line and no field.
TEST_F(DropLogTest, ControlCharactersAreEscaped) {
  edge_.NextHopSend(Response("z9hG4bKnobody", "1 \x1b[2J\"\x07,\"reason\":\"none"));
  edge_.Settle();
  const std::string line = Line("response-dropped");
  EXPECT_THAT(line, HasSubstr("\"reason\":\"malformed\""));
  EXPECT_THAT(line, Not(HasSubstr("\"reason\":\"none\"")));
  EXPECT_TRUE(std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7f; }))
      << line;
  EXPECT_EQ(Dropped(ResponseDropReason::kMalformed), 1U);
}

TEST_F(DropLogTest, AnswerWhoseCallerHasLeftIsTold) {
  const std::string request = Forwarded("MESSAGE");
  alice_.connection().Finish();
  edge_.Run(absl::Seconds(1));
  edge_.NextHopSend(ResponseText(request, 200, "OK"));
  edge_.Settle();
  const std::string line = Line("response-dropped");
  EXPECT_THAT(line, HasSubstr("\"reason\":\"flow_gone\""));
  EXPECT_THAT(line, HasSubstr("\"status\":200"));
  EXPECT_THAT(line, HasSubstr("\"cseq\":\"1 MESSAGE\""));
  EXPECT_THAT(line, HasSubstr("\"zone\":\"outside\""));
  EXPECT_THAT(line, HasSubstr("\"next_hop\":\"core\""));
  EXPECT_EQ(Dropped(ResponseDropReason::kFlowGone), 1U);
}

TEST_F(DropLogTest, AcksAreToldWithTheirCause) {
  const RequestText ack{
      .method = "ACK", .uri = "sip:bob@b.example", .to = "<sip:bob@b.example>;tag=2"};
  alice_.Send(ack.Text());
  edge_.Settle();
  const std::string line = Line("ack-dropped");
  EXPECT_THAT(line, HasSubstr("\"reason\":\"no_transaction\""));
  EXPECT_THAT(line, HasSubstr("\"cause\":\"relay: b.example is not one of domains\""));
  EXPECT_THAT(line, HasSubstr("\"cseq\":\"1 ACK\""));
  EXPECT_THAT(line, Not(HasSubstr("\"connection\":\"\"")));
  EXPECT_EQ(edge_.Counter(edge_.metrics().sip_acks_dropped.Slot(AckDropReason::kNoTransaction)),
            1U);
}

// One that is refused has the line of refusals, and that is enough.
TEST_F(DropLogTest, RefusedAckHasOneLine) {
  const RequestText ack{.method = "ACK", .from = "<sip:eve@m.example>;tag=1"};
  alice_.Send(ack.Text());
  edge_.Settle();
  const std::vector<std::string> lines = edge_.TakeLog();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], HasSubstr("\"event\":\"request-refused\""));
  EXPECT_THAT(lines[0], HasSubstr("\"method\":\"ACK\""));
  EXPECT_EQ(edge_.Counter(edge_.metrics().sip_acks_dropped.Slot(AckDropReason::kRefused)), 1U);
}

TEST_F(DropLogTest, LinesAreLimitedForEachReasonAndPeer) {
  for (int i = 0; i < 20; ++i) alice_.Send(Response("z9hG4bKnobody"));
  edge_.Settle();
  EXPECT_EQ(Lines("response-dropped").size(), 5U);
  EXPECT_EQ(Dropped(ResponseDropReason::kBranch), 20U);
  EXPECT_EQ(edge_.Counter(edge_.metrics().log_records_suppressed.Slot(kSuppressedResponseDrops)),
            15U);
  edge_.NextHopSend(Response("z9hG4bKnobody"));  // Another peer.
  edge_.Settle();
  EXPECT_EQ(Lines("response-dropped").size(), 1U);
  edge_.Run(absl::Seconds(2));
  alice_.Send(Response("z9hG4bKnobody"));
  edge_.Settle();
  EXPECT_THAT(Line("response-dropped"), HasSubstr("\"suppressed\":15"));
}

}  // namespace
}  // namespace sallyport::sip::test
