// The edge as one of two shards; the test is the other one, so it sees and writes what they mail.

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sip/proxy/branch.h"
#include "sip/proxy/edge_snapshot.h"
#include "sip/proxy/endpoint_pool.h"
#include "sip/proxy/mail_kinds.h"
#include "sip/proxy/message_source.h"
#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

constexpr uint32_t kOther = 1;  // The test's shard.

template <typename Header>
std::string RecordOf(const Header& header, std::string_view message) {
  std::string record(sizeof header, '\0');
  std::memcpy(record.data(), &header, sizeof header);
  return record.append(message);
}

template <typename Header>
Header HeaderOf(const SimulatedEdge::Mail& mail) {
  Header header;
  std::memcpy(&header, mail.record.data(), sizeof header);
  return header;
}

RequestText Cancel(const std::string& id, const std::string& domain = "a.example") {
  return {
      .method = "CANCEL", .branch = id, .from = "<sip:alice@" + domain + ">;tag=1", .call_id = id};
}

// A CANCEL without an INVITE goes to the other shard, and its mail names the connection.
ConnectionId ConnectionOf(SimulatedEdge& edge, SimulatedPeer& peer) {
  edge.TakeMailOf(kOther);
  peer.Send(Cancel("who").Text());
  edge.Settle();
  for (const SimulatedEdge::Mail& mail : edge.TakeMailOf(kOther)) {
    if (mail.kind == kMailCancel) return HeaderOf<CancelMail>(mail).source.connection;
  }
  ADD_FAILURE() << "no mail";
  return {};
}

// Every shard must be able to find the INVITE, and the home shard to answer; a body helps neither.
TEST(MailSimulationTest, CancelTravelsWithoutWhatNoShardNeeds) {
  SimulatedEdge edge({.shards = 2});
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText cancel = Cancel("c");
  cancel.headers = "Subject: " + std::string(3000, 's') + "\r\nReason: SIP;cause=200\r\n";
  cancel.body = std::string(60'000, 'x');
  for (const CancelMail::State state : {CancelMail::State::kFound, CancelMail::State::kNowhere}) {
    alice.Send(cancel.Text());
    edge.Settle();
    const std::vector<SimulatedEdge::Mail> mails = edge.TakeMailOf(kOther);
    ASSERT_EQ(mails.size(), 1U);
    ASSERT_EQ(mails[0].kind, kMailCancel);
    EXPECT_LT(mails[0].record.size(), 600U);
    const std::string lines = mails[0].record.substr(sizeof(CancelMail));
    EXPECT_EQ(Value(lines, "Reason"), "SIP;cause=200");
    CancelMail answer = HeaderOf<CancelMail>(mails[0]);
    answer.state = state;
    edge.PostAs(kOther, kMailCancel, RecordOf(answer, lines));
    edge.Settle();
    const std::string got = alice.Take();
    EXPECT_EQ(StartLine(got), state == CancelMail::State::kFound
                                  ? "SIP/2.0 200 OK"
                                  : "SIP/2.0 481 Call/Transaction Does Not Exist");
    EXPECT_EQ(Value(got, "Via"), Value(cancel.Text(), "Via") + ";received=127.0.0.1");
    for (const char* name : {"From", "Call-ID", "CSeq"}) {
      EXPECT_EQ(Value(got, name), Value(cancel.Text(), name)) << name;
    }
  }
}

TEST(MailSimulationTest, CancelWithLongReasonTravelsWithoutIt) {
  SimulatedEdge edge({.shards = 2});
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText cancel = Cancel("c");
  cancel.headers = "Reason: SIP;cause=200;text=\"" + std::string(500, 'x') + "\"\r\n";
  alice.Send(cancel.Text());
  edge.Settle();
  const std::vector<SimulatedEdge::Mail> mails = edge.TakeMailOf(kOther);
  ASSERT_EQ(mails.size(), 1U);
  EXPECT_EQ(Values(mails[0].record, "Reason").size(), 0U);
}

// Its shard hears of a request for which a connection of ours has no room, and the connection
// stays.
TEST(MailSimulationTest, BurstOfAnotherShardEndsNoConnectionAndIsToldBack) {
  SimulatedEdge edge({.limits = "queue-bytes = \"128KiB\"", .shards = 2});
  SimulatedPeer& alice = edge.Connect("a.example");
  FlowMail mail;
  mail.flow = ConnectionOf(edge, alice);
  mail.from_shard = kOther;
  mail.is_refusable = true;
  alice.connection().set_reading(false);
  const std::string body(10'000, 'x');
  size_t refused = 0;
  for (uint32_t i = 0; i < 50; ++i) {
    RequestText request{.branch = absl::StrCat("b", i)};
    request.body = body;
    mail.transaction = {i, 1};
    edge.PostAs(kOther, kMailFlowRequest, RecordOf(mail, request.Text()));
    edge.Settle();
    for (const SimulatedEdge::Mail& told : edge.TakeMailOf(kOther)) {
      ASSERT_EQ(told.kind, kMailFlowFull);
      EXPECT_EQ(HeaderOf<FlowMail>(told).transaction, mail.transaction);
      ++refused;
    }
  }
  EXPECT_GT(refused, 20U);
  EXPECT_LT(refused, 50U);
  alice.connection().set_reading(true);
  edge.Settle();
  EXPECT_EQ(SplitMessages(alice.Take()).size(), 50 - refused);
  EXPECT_FALSE(alice.connection().saw_end() || alice.connection().saw_reset());
}

// The other way round: the shard that owns the connection tells ours, and the sender hears it.
TEST(MailSimulationTest, RequestThatFoundNoRoomOnAnotherShardIsRefused) {
  const tls::Secret secret = SimulatedSecret({1});
  SimulatedEdge edge({.secret = secret, .shards = 2});
  const EdgeSnapshot snapshot(edge.config(), 1, {.secret = secret, .boot_epoch = 7});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{}.Text());
  edge.Settle();
  const auto branch = snapshot.branches.Read(TopBranch(edge.NextHopTake().value_or("")));
  ASSERT_TRUE(branch.has_value());
  FlowMail mail;
  mail.attempt = branch->attempt;
  mail.transaction = {branch->slot, branch->generation + 1};  // Another one's has gone.
  edge.PostAs(kOther, kMailFlowFull, RecordOf(mail, ""));
  edge.Settle();
  EXPECT_EQ(alice.Take(), "");
  mail.transaction.generation = branch->generation;
  edge.PostAs(kOther, kMailFlowFull, RecordOf(mail, ""));
  edge.Settle();
  EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 503 Service Unavailable");
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kOverload)), 1U);
}

// How many of that kind have gone to the other shard, by the Call-ID in them.
size_t MailedOf(const std::vector<SimulatedEdge::Mail>& mails, MailKind kind,
                const std::string& call_id) {
  size_t count = 0;
  for (const SimulatedEdge::Mail& mail : mails) {
    if (mail.kind == kind && Value(mail.record, "Call-ID").starts_with(call_id)) ++count;
  }
  return count;
}

// The other shard reads nothing meanwhile.
TEST(MailSimulationTest, CancelsOfOnePeerLeaveRoomForThoseOfOthers) {
  SimulatedEdge edge({.shards = 2});
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& carol = edge.Connect("c.example");
  for (int i = 0; i < 500; ++i) alice.Send(Cancel(absl::StrCat("flood", i)).Text());
  for (int turns = 0; turns < 50; ++turns) edge.Settle();
  for (int i = 0; i < 5; ++i) carol.Send(Cancel(absl::StrCat("carol", i), "c.example").Text());
  edge.Settle();
  const std::vector<SimulatedEdge::Mail> mails = edge.TakeMailOf(kOther);
  const size_t flood = MailedOf(mails, kMailCancel, "flood");
  EXPECT_GT(flood, 20U);
  EXPECT_LT(flood, 100U);
  EXPECT_EQ(MailedOf(mails, kMailCancel, "carol"), 5U);
  EXPECT_EQ(carol.Take(), "");
  const std::vector<std::string> refused = SplitMessages(alice.Take());
  EXPECT_EQ(refused.size(), 500 - flood);
  for (const std::string& answer : refused) {
    EXPECT_EQ(StartLine(answer), "SIP/2.0 481 Call/Transaction Does Not Exist");
    EXPECT_EQ(Value(answer, "Retry-After"), "");
  }
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kOverload)),
            refused.size());
}

// Any peer that has seen a branch of another shard can send answers to it.
TEST(MailSimulationTest, ResponsesOfOnePeerLeaveRoomForThoseOfOthers) {
  const tls::Secret secret = SimulatedSecret({1});
  SimulatedEdge edge({.secret = secret, .shards = 2});
  const EdgeSnapshot snapshot(edge.config(), 1, {.secret = secret, .boot_epoch = 7});
  std::string branch(BranchSigner::kTextBytes, '\0');
  snapshot.branches.Write({.shard = kOther, .slot = 1, .generation = 1}, branch.data());
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& carol = edge.Connect("c.example");
  const auto answer = [&branch](const std::string& call_id, size_t body_bytes) {
    return absl::StrCat("SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS edge.example:5061;branch=", branch,
                        "\r\nVia: SIP/2.0/TCP 127.0.0.1:5080;branch=z9hG4bK1\r\n",
                        "From: <sip:b@edge.example>;tag=1\r\nTo: <sip:x@a.example>;tag=2\r\n",
                        "Call-ID: ", call_id, "\r\nCSeq: 1 MESSAGE\r\nContent-Length: ", body_bytes,
                        "\r\n\r\n", std::string(body_bytes, 'x'));
  };
  for (int i = 0; i < 100; ++i) alice.Send(answer("flood", 1000));
  for (int turns = 0; turns < 20; ++turns) edge.Settle();
  for (int i = 0; i < 3; ++i) carol.Send(answer("carol", 1000));
  edge.Settle();
  const std::vector<SimulatedEdge::Mail> mails = edge.TakeMailOf(kOther);
  const size_t flood = MailedOf(mails, kMailResponse, "flood");
  EXPECT_GT(flood, 5U);
  EXPECT_EQ(MailedOf(mails, kMailResponse, "carol"), 3U);
  EXPECT_EQ(edge.Counter(edge.metrics().sip_responses_dropped.Slot(ResponseDropReason::kOverload)),
            100 - flood);
}

}  // namespace
}  // namespace sallyport::sip::test
