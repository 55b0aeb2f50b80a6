// Limits and overload of a whole shard: who is beyond a bound is told so (503, Retry-After) and
// comes back later; nobody else notices.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

// Requests of one domain, each in a transaction of its own.
class Sender {
 public:
  Sender(SimulatedPeer& peer, std::string domain) : peer_(peer), domain_(std::move(domain)) {}

  void Send(const std::string& method, int requests, const std::string& to_tag = "") {
    for (int i = 0; i < requests; ++i) {
      const std::string id = domain_ + "-" + std::to_string(++sent_);
      peer_.Send(RequestText{.method = method,
                             .branch = id,
                             .from = "<sip:alice@" + domain_ + ">;tag=1",
                             .to = "<sip:bob@edge.example>" + to_tag,
                             .call_id = id}
                     .Text());
    }
  }
  // How many refusals have come since the last time; each is what it should be.
  int TakeRefused() {
    int refused = 0;
    for (const std::string& answer : SplitMessages(peer_.Take())) {
      if (StartLine(answer) == "SIP/2.0 100 Trying") continue;
      EXPECT_EQ(StartLine(answer), "SIP/2.0 503 Service Unavailable");
      EXPECT_NE(Value(answer, "Retry-After"), "");
      ++refused;
    }
    return refused;
  }

 private:
  SimulatedPeer& peer_;
  const std::string domain_;
  int sent_ = 0;
};

// What the next hop has got since the last time, by method or altogether.
std::vector<std::string> Arrived(SimulatedEdge& edge) {
  std::vector<std::string> messages;
  while (auto message = edge.NextHopTake()) messages.push_back(*std::move(message));
  return messages;
}

TEST(LimitsSimulationTest, IdentityOverItsRateGets503AndComesBackAndOthersAreServed) {
  SimulatedEdge edge(
      {.next_hop = NextHopKind::kTcp, .limits = "identity-messages-per-second = 10"});
  Sender alice(edge.Connect("a.example"), "a.example");
  Sender bob(edge.Connect("b.example"), "b.example");
  alice.Send("MESSAGE", 30);
  bob.Send("MESSAGE", 10);
  edge.Settle();
  EXPECT_EQ(Arrived(edge).size(), 10U + 10U);
  EXPECT_EQ(alice.TakeRefused(), 20);
  EXPECT_EQ(bob.TakeRefused(), 0);
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kLimit)), 20U);
  edge.Run(absl::Seconds(1));
  alice.Send("MESSAGE", 10);
  edge.Settle();
  EXPECT_EQ(Arrived(edge).size(), 10U);
  EXPECT_EQ(alice.TakeRefused(), 0);
}

TEST(LimitsSimulationTest, SourceOverItsRateIsRefusedWhateverItProves) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = "source-messages-per-second = 10"});
  Sender alice(edge.Connect("a.example"), "a.example");
  Sender bob(edge.Connect("b.example"), "b.example");  // From the same address.
  alice.Send("MESSAGE", 6);
  edge.Settle();
  bob.Send("MESSAGE", 6);
  edge.Settle();
  EXPECT_EQ(Arrived(edge).size(), 10U);
  EXPECT_EQ(alice.TakeRefused(), 0);
  EXPECT_EQ(bob.TakeRefused(), 2);
}

TEST(LimitsSimulationTest, AckAndCancelAreNeverRefused) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = "identity-messages-per-second = 1"});
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText invite{.method = "INVITE"};
  alice.Send(invite.Text());
  edge.Settle();
  const std::vector<std::string> forwarded = Arrived(edge);
  ASSERT_EQ(forwarded.size(), 1U);
  edge.NextHopSend(ResponseText(forwarded[0], 180, "Ringing"));
  edge.Settle();
  invite.method = "CANCEL";
  alice.Send(invite.Text());
  alice.Send(
      RequestText{.method = "ACK", .branch = "2", .to = "<sip:bob@edge.example>;tag=uas"}.Text());
  edge.Settle();
  const std::vector<std::string> ends = Arrived(edge);
  ASSERT_EQ(ends.size(), 2U);
  EXPECT_TRUE(ends[0].starts_with("CANCEL "));
  EXPECT_TRUE(ends[1].starts_with("ACK "));
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kLimit)), 0U);
}

// An ACK has no answer, but it reaches the inside.
TEST(LimitsSimulationTest, FloodOfAcksIsDropped) {
  for (const char* limit : {"identity-messages-per-second = 5", "source-messages-per-second = 5"}) {
    SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = limit});
    SimulatedPeer& alice = edge.Connect("a.example");
    Sender(alice, "a.example").Send("ACK", 100, ";tag=uas");
    // What is dropped moves nothing, and a turn serves a few of one identity.
    for (int turns = 0; turns < 50; ++turns) edge.Settle();
    EXPECT_EQ(Arrived(edge).size(), 20U) << limit;
    EXPECT_EQ(edge.Counter(edge.metrics().sip_acks_dropped.Slot(AckDropReason::kRefused)), 80U);
    Sender(alice, "a.example").Send("MESSAGE", 5);  // They have a budget of their own.
    edge.Settle();
    EXPECT_EQ(Arrived(edge).size(), 5U) << limit;
  }
}

TEST(LimitsSimulationTest, SourceOverItsConnectionsIsClosedAtOnce) {
  SimulatedEdge edge({.limits = "source-connections = 2"});
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& bob = edge.Connect("b.example");
  const core::SocketAddress outside = alice.connection().backend_address();
  core::RemoteConnection* const third = edge.network().Connect(outside);
  edge.Settle();
  EXPECT_TRUE(third->saw_reset());
  core::RemoteConnection* const other =
      edge.network().Connect(outside, *core::SocketAddress::Parse("192.0.2.9:4000"));
  edge.Settle();
  EXPECT_FALSE(other->saw_reset());
  EXPECT_EQ(edge.Counter(edge.metrics().connections_rejected.Slot(ConnectionRejectReason::kLimit)),
            1U);
  bob.connection().Reset();
  edge.Settle();
  core::RemoteConnection* const fourth = edge.network().Connect(outside);
  edge.Settle();
  EXPECT_FALSE(fourth->saw_reset());
}

TEST(LimitsSimulationTest, SourceOverItsHandshakesIsClosedAtOnceAndComesBack) {
  SimulatedEdge edge({.limits = "source-handshakes-per-second = 1"});
  SimulatedPeer& alice = edge.Connect("a.example");
  edge.Run(absl::Seconds(1));
  const core::SocketAddress outside = alice.connection().backend_address();
  core::RemoteConnection* const second = edge.network().Connect(outside);
  core::RemoteConnection* const third = edge.network().Connect(outside);
  edge.Settle();
  EXPECT_NE(second->saw_reset(), third->saw_reset());
  EXPECT_EQ(edge.Counter(edge.metrics().connections_rejected.Slot(ConnectionRejectReason::kRate)),
            1U);
  edge.Run(absl::Seconds(1));
  core::RemoteConnection* const fourth = edge.network().Connect(outside);
  edge.Settle();
  EXPECT_FALSE(fourth->saw_reset());
}

// -- Accepted connections ----------------------------------------------------------------------

bool IsGone(SimulatedPeer& peer) {
  return peer.connection().saw_reset() || peer.connection().saw_end();
}

// All come from one address, as behind a balancer.
TEST(LimitsSimulationTest, ConnectionsOfOneIdentityMakeRoomForOthers) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = "connections = 8"});
  SimulatedPeer& bob = edge.ConnectFrom("192.0.2.1:1000", "b.example");
  std::vector<SimulatedPeer*> crowd;
  for (int i = 0; i < 7; ++i) crowd.push_back(&edge.ConnectFrom("192.0.2.1:1001", "a.example"));
  Sender busy(*crowd[0], "a.example");
  busy.Send("MESSAGE", 1);  // It waits for its answer.
  edge.Run(absl::Seconds(2));
  SimulatedPeer& carol = edge.ConnectFrom("192.0.2.1:1002", "c.example");
  EXPECT_TRUE(carol.connected());
  EXPECT_FALSE(IsGone(*crowd[0])) << "it is in use";
  EXPECT_TRUE(IsGone(*crowd[1])) << "the oldest idle one";
  EXPECT_FALSE(IsGone(bob));
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(edge.ConnectFrom("192.0.2.1:1003", "a.example").connected());
    edge.Run(absl::Seconds(2));
  }
  EXPECT_FALSE(IsGone(bob));
  EXPECT_FALSE(IsGone(carol));
  EXPECT_EQ(edge.Counter(edge.metrics().connections_closed.Slot(MetricDirection::kIn,
                                                                ConnectionCloseReason::kOverload)),
            21U);
  static_cast<void>(Arrived(edge));
  Sender(bob, "b.example").Send("MESSAGE", 1);
  edge.Settle();
  EXPECT_EQ(Arrived(edge).size(), 1U);
}

// That all its connections are in use keeps no peer from losing one.
TEST(LimitsSimulationTest, BusyConnectionsOfOneIdentityMakeRoomForOthers) {
  SimulatedEdge edge({.limits = "connections = 8"});
  std::vector<SimulatedPeer*> crowd;
  for (int i = 0; i < 8; ++i) {
    crowd.push_back(&edge.Connect("a.example"));
    crowd.back()->Send(
        RequestText{.branch = std::to_string(i), .call_id = std::to_string(i)}.Text());
  }
  edge.Settle();
  EXPECT_TRUE(edge.Connect("b.example").connected());
  EXPECT_TRUE(IsGone(*crowd[0])) << "the oldest";
  EXPECT_EQ(std::count_if(crowd.begin(), crowd.end(), [](auto* one) { return IsGone(*one); }), 1);
}

// A telephone's connection is all that it has: nobody loses the only one.
TEST(LimitsSimulationTest, WhereEachHasOneConnectionTheNewcomerIsClosed) {
  SimulatedEdge edge({.limits = "connections = 4"});
  std::vector<SimulatedPeer*> all;
  for (const char* const domain : {"a.example", "b.example", "c.example", "d.example"}) {
    all.push_back(&edge.Connect(domain));
  }
  edge.Run(absl::Seconds(2));
  core::RemoteConnection* const fifth =
      edge.network().Connect(all[0]->connection().backend_address());
  edge.Settle();
  EXPECT_TRUE(fifth->saw_reset());
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](auto* one) { return IsGone(*one); }), 0);
  EXPECT_EQ(edge.Counter(edge.metrics().connections_rejected.Slot(ConnectionRejectReason::kLimit)),
            1U);
}

// -- Transactions ------------------------------------------------------------------------------

// Requests that the inside does not answer stay for half a minute.
TEST(LimitsSimulationTest, TransactionsOfOneIdentityLeaveRoomForOthers) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = "transactions = 64"});
  Sender alice(edge.Connect("a.example"), "a.example");
  SimulatedPeer& alice_again = edge.Connect("a.example");
  Sender bob(edge.Connect("b.example"), "b.example");
  alice.Send("MESSAGE", 100);
  edge.Settle();
  EXPECT_EQ(alice.TakeRefused(), 68);
  EXPECT_EQ(Arrived(edge).size(), 32U);
  bob.Send("MESSAGE", 8);
  edge.Settle();
  EXPECT_EQ(bob.TakeRefused(), 0);
  EXPECT_EQ(Arrived(edge).size(), 8U);
  // What ends a call passes for longer, and no connection of its own gives a peer more.
  alice_again.Send(RequestText{.branch = "again"}.Text());
  alice.Send("BYE", 1, ";tag=uas");
  bob.Send("BYE", 1, ";tag=uas");
  bob.Send("ACK", 1, ";tag=uas");
  edge.Settle();
  EXPECT_EQ(StartLine(alice_again.Take()), "SIP/2.0 503 Service Unavailable");
  EXPECT_EQ(alice.TakeRefused() + bob.TakeRefused(), 0);
  EXPECT_EQ(Arrived(edge).size(), 3U);
  edge.Run(absl::Seconds(40), absl::Seconds(1));
  EXPECT_EQ(Transactions(edge), 0U);
  alice.Send("MESSAGE", 32);
  edge.Settle();
  EXPECT_EQ(Transactions(edge), 32U);
}

TEST(LimitsSimulationTest, TransactionsFromInsideAndOutsideLeaveRoomForEachOther) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = "transactions = 64"});
  Sender alice(edge.Connect("a.example"), "a.example");
  alice.Send("MESSAGE", 100);
  edge.Settle();
  EXPECT_EQ(Transactions(edge), 32U);
  for (int i = 0; i < 100; ++i) {
    edge.InsideSend("127.0.0.9:5090", RequestText{.via = "SIP/2.0/UDP 127.0.0.9:5090",
                                                  .branch = "i" + std::to_string(i),
                                                  .from = "<sip:carol@edge.example>;tag=c",
                                                  .call_id = "i" + std::to_string(i)}
                                          .Text());
  }
  edge.Settle();
  EXPECT_EQ(Transactions(edge), 32U + 16U);
  edge.InsideSend("127.0.0.8:5090", RequestText{.via = "SIP/2.0/UDP 127.0.0.8:5090",
                                                .branch = "other",
                                                .from = "<sip:dave@edge.example>;tag=c"}
                                        .Text());
  edge.Settle();
  EXPECT_EQ(Transactions(edge), 32U + 16U + 1U);
}

// The pool has 8 MiB here, of which transactions have half.
TEST(LimitsSimulationTest, LargeRequestsOfOneIdentityLeaveMemoryForOthers) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  Sender bob(edge.Connect("b.example"), "b.example");
  int arrived = 0, refused = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string id = std::to_string(i);
    alice.Send(RequestText{.branch = id, .call_id = id, .body = std::string(60000, 'a')}.Text());
    edge.Settle();
    arrived += static_cast<int>(Arrived(edge).size());
    refused += StartLine(alice.Take()) == "SIP/2.0 503 Service Unavailable" ? 1 : 0;
  }
  EXPECT_EQ(arrived, 32) << "64 KiB each";
  EXPECT_EQ(refused, 200 - arrived);
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kLimit)),
            static_cast<uint64_t>(refused));
  bob.Send("BYE", 1, ";tag=uas");
  SimulatedPeer& carol = edge.Connect("c.example");
  EXPECT_TRUE(carol.connected());
  carol.Send(
      RequestText{.from = "<sip:carol@c.example>;tag=1", .body = std::string(60000, 'c')}.Text());
  edge.Settle();
  EXPECT_EQ(Arrived(edge).size(), 2U);
  EXPECT_EQ(bob.TakeRefused(), 0);
  EXPECT_EQ(edge.shard().reactor().buffers().exhausted(), 0U);
  edge.Run(absl::Seconds(40), absl::Seconds(1));
  EXPECT_EQ(Transactions(edge), 0U);
  alice.Send(RequestText{.branch = "later", .body = std::string(60000, 'a')}.Text());
  edge.Settle();
  EXPECT_EQ(Transactions(edge), 1U);
}

// A shard that never gets to the end of what has arrived.
void FallBehind(SimulatedEdge& edge, absl::Duration duration) {
  constexpr absl::Duration kTurn = absl::Milliseconds(20);
  const int turns = static_cast<int>(duration / kTurn);
  for (int i = 0; i < 2 * turns; ++i) edge.InsideSend("127.0.0.1:5099", "\r\n\r\n");
  for (int turn = 0; turn < turns; ++turn) {
    edge.shard().RunTurn();
    edge.network().Advance(kTurn);
  }
  edge.Settle();
}

TEST(LimitsSimulationTest, OverloadRefusesNewDialogsAndServesTheOthers) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp,
                      .limits = "queue-delay = \"400ms\"",
                      .completions_per_turn_max = 1});
  Sender alice(edge.Connect("a.example"), "a.example");
  const uint32_t state = edge.metrics().overload_state.Slot();
  EXPECT_EQ(edge.Counter(state), 0U);
  FallBehind(edge, absl::Seconds(1));
  EXPECT_EQ(edge.Counter(state), 1U);
  alice.Send("INVITE", 40);
  alice.Send("BYE", 20, ";tag=uas");
  alice.Send("MESSAGE", 20);
  edge.Settle();
  const std::vector<std::string> served = Arrived(edge);
  const auto count = [&served](std::string_view method) {
    return std::count_if(served.begin(), served.end(), [method](const std::string& message) {
      return message.starts_with(method);
    });
  };
  EXPECT_EQ(count("BYE "), 20);
  EXPECT_EQ(count("MESSAGE "), 20);
  EXPECT_LT(count("INVITE "), 20);
  const int refused = alice.TakeRefused();
  EXPECT_EQ(refused, 40 - count("INVITE "));
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kOverload)),
            static_cast<uint64_t>(refused));

  edge.Run(absl::Seconds(4));
  EXPECT_EQ(edge.Counter(state), 0U);
  static_cast<void>(Arrived(edge));
  alice.Send("INVITE", 40);
  edge.Settle();
  EXPECT_EQ(Arrived(edge).size(), 40U);
  EXPECT_EQ(alice.TakeRefused(), 0);
}

// What a peer had sent before it could know of the drain is answered, however much it is.
TEST(LimitsSimulationTest, DrainAnswersWhatWaitsForItsTurn) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& peer = edge.Connect("a.example");
  Sender alice(peer, "a.example");
  alice.Send("MESSAGE", 1);
  edge.Settle();
  const std::vector<std::string> pending = Arrived(edge);
  ASSERT_EQ(pending.size(), 1U);
  edge.BeginDrain();
  alice.Send("MESSAGE", 300);
  edge.NextHopSend(ResponseText(pending[0], 200, "OK"));
  // Nobody waits for an answer any more, and the drain looks for such connections.
  for (int turn = 0; turn < 40; ++turn) {
    edge.shard().RunTurn();
    edge.network().Advance(absl::Milliseconds(100));
  }
  peer.Pump();
  const std::vector<std::string> answers = SplitMessages(peer.Take());
  EXPECT_EQ(answers.size(), 301U);
  EXPECT_EQ(std::count_if(answers.begin(), answers.end(),
                          [](const std::string& answer) {
                            return StartLine(answer) == "SIP/2.0 503 Service Unavailable";
                          }),
            300);
  edge.Run(absl::Seconds(6));
  EXPECT_TRUE(peer.connection().saw_end());
}

// -- Connections that we dial ------------------------------------------------------------------

struct Hops {
  explicit Hops(SimulatedEdge& edge)
      : servers{&edge.Serve("127.0.0.1:5081"), &edge.Serve("127.0.0.1:5082"),
                &edge.Serve("127.0.0.1:5083")} {}
  int Connections() const {
    int connections = 0;
    for (const SimulatedServer* server : servers) connections += server->connections();
    return connections;
  }
  int Open() const {
    return static_cast<int>(
        std::count_if(servers.begin(), servers.end(), [](SimulatedServer* server) {
          return server->connection() != nullptr && !server->connection()->saw_end();
        }));
  }
  // Answers everything; returns how much it was.
  int Answer() {
    int answered = 0;
    for (SimulatedServer* const server : servers) {
      for (const std::string& request : SplitMessages(server->Take())) {
        server->Send(ResponseText(request, 200, "OK"));
        ++answered;
      }
    }
    return answered;
  }
  std::vector<SimulatedServer*> servers;
};

SimulatedEdgeOptions TwoOfThree() {
  return {.targets = {"tcp:127.0.0.1:5081", "tcp:127.0.0.1:5082", "tcp:127.0.0.1:5083"},
          .limits = "outbound-connections = 2"};
}

TEST(LimitsSimulationTest, IdleConnectionIsClosedForANewOneAtTheBound) {
  SimulatedEdge edge(TwoOfThree());
  Hops hops(edge);
  Sender alice(edge.Connect("a.example"), "a.example");
  int answered = 0;
  for (int i = 0; i < 30; ++i) {
    alice.Send("MESSAGE", 1);
    edge.Settle();
    answered += hops.Answer();
    edge.Run(absl::Milliseconds(20));
    EXPECT_LE(hops.Open(), 2);
  }
  EXPECT_EQ(answered, 30);
  EXPECT_GT(hops.Connections(), 3);
  EXPECT_EQ(edge.Counter(edge.metrics().requests_rejected.Slot(ReasonCode::kNextHopUnreachable)),
            0U);
}

TEST(LimitsSimulationTest, BusyConnectionsStayAndTheNextTargetIsTried) {
  SimulatedEdge edge(TwoOfThree());
  Hops hops(edge);
  Sender alice(edge.Connect("a.example"), "a.example");
  alice.Send("MESSAGE", 30);  // Nobody answers yet.
  edge.Settle();
  EXPECT_EQ(hops.Connections(), 2);
  EXPECT_EQ(hops.Open(), 2);
  EXPECT_EQ(hops.Answer(), 30);
  edge.Settle();
  EXPECT_EQ(Transactions(edge), 0U);
}

// -- Bytes -------------------------------------------------------------------------------------

TEST(LimitsSimulationTest, LargestMessagesPassBothWays) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp,
                      .limits = "header-bytes = \"1KiB\"\nbody-bytes = \"119KiB\""});
  SimulatedPeer& alice = edge.Connect("a.example");
  const std::string body(size_t{119} * 1024, 'b');
  alice.Send(RequestText{.body = body}.Text());
  edge.Settle();
  const std::string seen = edge.next_hop_connection()->TakeReceived();
  ASSERT_TRUE(seen.ends_with("\r\n\r\n" + body));
  std::string answer = ResponseText(seen, 200, "OK");
  answer.replace(answer.find("Content-Length: 0"), 17,
                 "Content-Length: " + std::to_string(body.size()));
  edge.NextHopSend(answer + body);
  edge.Settle();
  const std::string received = alice.Take();
  EXPECT_EQ(StartLine(received), "SIP/2.0 200 OK");
  EXPECT_TRUE(received.ends_with("\r\n\r\n" + body));
}

// A ClientHello of that size, most of it padding, of which the last bytes are missing.
std::string UnfinishedHello(size_t bytes) {
  using namespace std::literals;
  std::string hello = "\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb\x03\x03"s;
  hello += std::string(32, 'r') + "\x00\x00\x02\x13\x01\x01\x00\x3f\xd0\x00\x15\x3f\xcc"s;
  hello.resize(bytes);
  return hello;
}

// They hold no more than half of the bound, the oldest give way, and whoever comes meanwhile is
// served, from the same address, too; messages have the other half.
TEST(LimitsSimulationTest, UnfinishedHandshakesPayForThemselves) {
  SimulatedEdge edge({.limits = "partial-bytes = \"1MiB\""});
  SimulatedPeer& alice = edge.ConnectFrom("192.0.2.1:1000", "a.example");
  std::vector<core::RemoteConnection*> crowd;
  for (int i = 0; i < 200; ++i) {
    crowd.push_back(edge.network().Connect(alice.connection().backend_address()));
    crowd.back()->Send(UnfinishedHello(8000));
    edge.Settle();
  }
  const auto refused = [&crowd](size_t begin, size_t end) {
    return std::count_if(crowd.begin() + static_cast<ptrdiff_t>(begin),
                         crowd.begin() + static_cast<ptrdiff_t>(end),
                         [](auto* one) { return one->saw_reset(); });
  };
  EXPECT_EQ(refused(0, 130), 130) << "the oldest";
  EXPECT_EQ(refused(150, 200), 0) << "the newest";
  EXPECT_EQ(edge.Counter(edge.metrics().connections_closed.Slot(MetricDirection::kIn,
                                                                ConnectionCloseReason::kOverload)),
            static_cast<uint64_t>(refused(0, 200)));
  EXPECT_TRUE(edge.Connect("b.example").connected()) << "from the crowd's address";
  EXPECT_TRUE(edge.ConnectFrom("192.0.2.2:1000", "c.example").connected());
  const std::string message = RequestText{.body = std::string(60000, 'b')}.Text();
  alice.Send(message.substr(0, 50000));
  edge.Settle();
  alice.Send(message.substr(50000));
  edge.Settle();
  EXPECT_TRUE(edge.NextHopTake().value_or("").ends_with("bbb"));
}

TEST(LimitsSimulationTest, ClientHelloWithoutEndIsDroppedEarly) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  core::RemoteConnection* const other =
      edge.network().Connect(alice.connection().backend_address());
  other->Send(UnfinishedHello(8192));
  edge.Settle();
  EXPECT_FALSE(other->saw_end() || other->saw_reset());
  other->Send("x");
  edge.Settle();
  EXPECT_TRUE(other->saw_end() || other->saw_reset());
  EXPECT_EQ(edge.Counter(edge.metrics().tls_handshake_failures.Slot(MetricDirection::kIn,
                                                                    tls::FailureReason::kProtocol)),
            1U);
}

// 200 beginnings of messages of one identity, on as many connections.
TEST(LimitsSimulationTest, PartialMessagesOfOneIdentityPayForThemselves) {
  SimulatedEdge edge({.limits = "partial-bytes = \"1MiB\""});
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& bob = edge.Connect("b.example");
  const std::string message =
      RequestText{.from = "<sip:bob@b.example>;tag=1", .body = std::string(30000, 'b')}.Text();
  bob.Send(message.substr(0, 20000));
  edge.Settle();
  const std::string begun = RequestText{.body = std::string(60000, 'a')}.Text().substr(0, 50000);
  std::vector<SimulatedPeer*> crowd;
  for (int i = 0; i < 60; ++i) {
    crowd.push_back(&edge.Connect("a.example"));
    crowd.back()->Send(begun);
    edge.Settle();
  }
  const auto lost = std::count_if(crowd.begin(), crowd.end(), [](SimulatedPeer* one) {
    return one->connection().saw_reset() || one->connection().saw_end();
  });
  EXPECT_GT(lost, 30);
  EXPECT_FALSE(crowd.back()->connection().saw_reset());
  bob.Send(message.substr(20000));
  edge.Settle();
  EXPECT_TRUE(edge.NextHopTake().value_or("").ends_with("bbb"));
  alice.Send(RequestText{.branch = "whole"}.Text());
  edge.Settle();
  EXPECT_TRUE(edge.NextHopTake().has_value()) << "its whole messages pass";
}

// Its answers have nowhere to go; what waits for them ends nevertheless.
TEST(LimitsSimulationTest, SlowReaderIsClosedWhileItsRequestsAreUnderWay) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = "queue-bytes = \"64KiB\""});
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& bob = edge.Connect("b.example");
  Sender(alice, "a.example").Send("MESSAGE", 20);
  Sender(alice, "a.example").Send("INVITE", 1);
  edge.Settle();
  const std::vector<std::string> requests = Arrived(edge);
  ASSERT_EQ(requests.size(), 21U);
  alice.connection().set_reading(false);
  for (const std::string& request : requests) {
    std::string answer = ResponseText(request, 200, "OK");
    answer.replace(answer.find("Content-Length: 0"), 17, "Content-Length: 30000");
    edge.NextHopSend(answer + std::string(30000, 'b'));
    if (&request == &requests[9]) edge.Settle();  // Others come when it is gone.
  }
  edge.Settle();
  EXPECT_EQ(edge.Counter(edge.metrics().slow_peers_disconnected.Slot()), 1U);
  EXPECT_TRUE(alice.connection().saw_reset());
  Sender(bob, "b.example").Send("MESSAGE", 1);
  edge.Settle();
  edge.NextHopSend(ResponseText(edge.NextHopTake().value_or(""), 200, "OK"));
  edge.Settle();
  EXPECT_EQ(StartLine(bob.Take()), "SIP/2.0 200 OK");
  edge.Run(absl::Seconds(70), absl::Seconds(1));
  EXPECT_EQ(Transactions(edge), 0U);
  EXPECT_LT(edge.shard().reactor().buffers().bytes_in_use(), 64U * 1024);
}

}  // namespace
}  // namespace sallyport::sip::test
