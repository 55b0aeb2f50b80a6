// One peer sends far more than a turn serves: the others do not wait for it, and nothing of what it
// sent is lost, reordered, or held in more memory than it may be.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"

namespace sallyport::sip::test {
namespace {

constexpr int kFlood = 600;

std::string Message(const std::string& domain, int number) {
  const std::string id = domain + "-" + std::to_string(number);
  return "MESSAGE sip:bob@edge.example SIP/2.0\r\nVia: SIP/2.0/TLS client.example;branch=z9hG4bK" +
         id + "\r\nMax-Forwards: 70\r\nFrom: <sip:alice@" + domain +
         ">;tag=1\r\nTo: <sip:bob@edge.example>\r\nCall-ID: " + id +
         "\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n";
}

std::string Flood(const std::string& domain, int messages = kFlood) {
  std::string flood;
  for (int number = 0; number < messages; ++number) flood += Message(domain, number);
  return flood;
}

std::string CallId(const std::string& message) {
  const size_t begin = message.find("Call-ID: ") + 9;
  return message.substr(begin, message.find("\r\n", begin) - begin);
}

// What has reached the next hop, by Call-ID, in order.
std::vector<std::string> Arrived(SimulatedEdge& edge) {
  std::vector<std::string> ids;
  while (const auto message = edge.NextHopTake()) ids.push_back(CallId(*message));
  return ids;
}

std::vector<std::string> Numbered(const std::string& domain, int messages = kFlood) {
  std::vector<std::string> ids;
  for (int number = 0; number < messages; ++number) {
    ids.push_back(domain + "-" + std::to_string(number));
  }
  return ids;
}

// A next hop whose connection stands, so that turns are counted from there.
void WarmUp(SimulatedEdge& edge, SimulatedPeer& peer) {
  peer.Send(Message("a.example", 1'000'000));
  edge.Settle();
  ASSERT_EQ(Arrived(edge).size(), 1U);
}

// Turns until the message of b.example is at the next hop; `between` counts a.example's meanwhile.
int TurnsUntilServed(SimulatedEdge& edge, SimulatedPeer& bob, int& between) {
  bob.Send(Message("b.example", 0));
  for (int turn = 1; turn < 100; ++turn) {
    edge.shard().RunTurn();
    const std::vector<std::string> ids = Arrived(edge);
    between += static_cast<int>(ids.size());
    if (std::find(ids.begin(), ids.end(), "b.example-0") != ids.end()) return turn;
  }
  return 100;
}

TEST(FairnessSimulationTest, OthersAreServedAsSoonAsWithoutAFlood) {
  int between = 0;
  int calm_turns = 0;
  {
    SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
    SimulatedPeer& alice = edge.Connect("a.example");
    SimulatedPeer& bob = edge.Connect("b.example");
    WarmUp(edge, alice);
    calm_turns = TurnsUntilServed(edge, bob, between);
    EXPECT_EQ(between, 1);
  }
  for (const int turns_before : {0, 1, 2, 5}) {
    SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
    SimulatedPeer& alice = edge.Connect("a.example");
    SimulatedPeer& bob = edge.Connect("b.example");
    WarmUp(edge, alice);
    alice.Send(Flood("a.example"));
    for (int turn = 0; turn < turns_before; ++turn) edge.shard().RunTurn();
    static_cast<void>(Arrived(edge));
    between = 0;
    // One more where the flood had taken the last receive buffer of the simulated kernel.
    const int turns = TurnsUntilServed(edge, bob, between);
    EXPECT_LE(turns, calm_turns + 1) << turns_before;
    EXPECT_LE(between, 64 * turns + 1) << turns_before;
  }
}

TEST(FairnessSimulationTest, FloodIsServedWholeAndInOrder) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SimulatedEdgeOptions options{.seed = seed, .next_hop = NextHopKind::kTcp};
    options.faults.partial_read = seed > 1 ? 0.3 : 0;
    options.faults.multishot_end = seed > 2 ? 0.3 : 0;
    options.faults.no_buffers = seed > 3 ? 0.1 : 0;
    options.faults.late_completion = seed > 4 ? 0.1 : 0;
    SimulatedEdge edge(options);
    SimulatedPeer& alice = edge.Connect("a.example");
    WarmUp(edge, alice);
    alice.Send(Flood("a.example"));
    edge.Run(absl::Seconds(5));
    EXPECT_EQ(Arrived(edge), Numbered("a.example")) << seed;
    EXPECT_GT(edge.shard().reactor().counters().deferred, 0U);
  }
}

// Two connections of one identity have one share.
TEST(FairnessSimulationTest, ConnectionsOfOneIdentityShareATurn) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& first = edge.Connect("a.example");
  SimulatedPeer& second = edge.Connect("a.example");
  WarmUp(edge, first);
  const std::string flood = Flood("a.example", 2 * kFlood);
  const size_t half = flood.find("MESSAGE sip:bob", flood.size() / 2);
  first.Send(flood.substr(0, half));
  second.Send(flood.substr(half));
  size_t arrived = 0;
  for (int turn = 0; turn < 200; ++turn) {
    edge.shard().RunTurn();
    const size_t now = Arrived(edge).size();
    // Sent at the end of one turn, seen in another.
    EXPECT_LE(now, 64U) << turn;
    arrived += now;
  }
  EXPECT_EQ(arrived, 2U * kFlood);
}

// And take turns: none of them waits for the end of another's flood.
TEST(FairnessSimulationTest, ConnectionsOfOneIdentityTakeTurns) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  std::vector<SimulatedPeer*> peers;
  for (int i = 0; i < 4; ++i) peers.push_back(&edge.Connect("a.example"));
  WarmUp(edge, *peers[0]);
  const std::string flood = Flood("a.example", 4 * kFlood);
  std::vector<size_t> cuts = {0};
  for (size_t i = 1; i < 4; ++i)
    cuts.push_back(flood.find("MESSAGE sip:bob", flood.size() / 4 * i));
  cuts.push_back(flood.size());
  for (size_t i = 0; i < 4; ++i) peers[i]->Send(flood.substr(cuts[i], cuts[i + 1] - cuts[i]));
  std::array<size_t, 4> served{};
  size_t arrived = 0;
  for (int turn = 0; turn < 1000 && arrived < 2 * kFlood; ++turn) {
    edge.shard().RunTurn();
    for (const std::string& id : Arrived(edge)) {
      const size_t number = std::stoul(id.substr(id.rfind('-') + 1));
      ++served[std::min<size_t>(number / kFlood, 3)];
      ++arrived;
    }
  }
  // Of the first half of everything each has had about a quarter.
  for (const size_t count : served) EXPECT_GT(count, kFlood / 4U);
}

TEST(FairnessSimulationTest, PeerThatHangsUpAfterItsFloodIsServedFirst) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  WarmUp(edge, alice);
  alice.Send(Flood("a.example", 90));  // What the simulated kernel takes before we can pause.
  alice.connection().Finish();
  edge.Settle();
  EXPECT_EQ(Arrived(edge), Numbered("a.example", 90));
  edge.Run(absl::Seconds(6));
  EXPECT_TRUE(alice.connection().saw_end());
}

TEST(FairnessSimulationTest, FloodStaysInThePeersSocketAndNotInOurMemory) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  WarmUp(edge, alice);
  alice.Send(Flood("a.example", 3 * kFlood));
  const core::BufferPool& buffers = edge.shard().reactor().buffers();
  const size_t before = buffers.bytes_in_use();
  size_t arrived = 0;
  size_t backlog_most = 0;
  for (int turn = 0; turn < 1000 && arrived < 3U * kFlood; ++turn) {
    edge.shard().RunTurn();
    arrived += Arrived(edge).size();
    // A transaction keeps its request in a block of 1 KiB; what waits to be sent is small.
    const size_t transactions = arrived * 1024;
    const size_t in_use = buffers.bytes_in_use() - before;
    backlog_most = std::max(backlog_most, in_use > transactions ? in_use - transactions : 0);
  }
  EXPECT_EQ(arrived, 3U * kFlood);
  EXPECT_LT(backlog_most, 256U * 1024);  // Of some 900 kB.
}

}  // namespace
}  // namespace sallyport::sip::test
