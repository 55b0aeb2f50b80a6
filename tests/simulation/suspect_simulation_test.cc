// One peer's silent, unavailable or fatal callee behind a target that serves others: the target is
// asked by an OPTIONS of the edge's own before it is taken from anybody.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

using ::testing::HasSubstr;

class SuspectTest : public ::testing::Test {
 protected:
  explicit SuspectTest(NextHopKind kind = NextHopKind::kUdp)
      : edge_({.next_hop = kind, .keeps_log = true}),
        mallory_(edge_.Connect("m.example")),
        alice_(edge_.Connect("a.example")) {}

  void Send(SimulatedPeer& peer, const std::string& domain, const std::string& id) {
    peer.Send(RequestText{.method = "MESSAGE",
                          .branch = id,
                          .from = absl::StrCat("<sip:u@", domain, ">;tag=1"),
                          .call_id = id}
                  .Text());
    edge_.Settle();
  }
  // Plays the target: OPTIONS of the edge's own get `options` (0: silence), alice 200, and mallory
  // `mallory`. Returns how many OPTIONS it was.
  int Play(uint16_t options, uint16_t mallory = 0) {
    int asked = 0;
    while (const auto message = edge_.NextHopTake()) {
      if (message->starts_with("ACK ")) continue;
      const bool is_probe = message->starts_with("OPTIONS ");
      asked += is_probe ? 1 : 0;
      const bool is_alices = message->find("u@a.example") != std::string::npos;
      const uint16_t status = is_probe ? options : is_alices ? 200 : mallory;
      if (status == 0) continue;
      edge_.NextHopSend(
          ResponseText(*message, status, "So", status == 503 ? "Retry-After: 3600\r\n" : ""));
      edge_.Settle();
    }
    return asked;
  }
  // The status line that a message of alice's gets.
  std::string Served(const std::string& id) {
    static_cast<void>(alice_.Take());
    Send(alice_, "a.example", id);
    Play(200);
    return alice_.Take().substr(0, 11);
  }
  int HealthLines() {
    int lines = 0;
    for (const std::string& line : edge_.TakeLog()) {
      if (line.find("\"event\":\"next-hop-health\"") != std::string::npos) ++lines;
    }
    return lines;
  }

  SimulatedEdge edge_;
  SimulatedPeer& mallory_;
  SimulatedPeer& alice_;
};

class SuspectOverTcpTest : public SuspectTest {
 protected:
  SuspectOverTcpTest() : SuspectTest(NextHopKind::kTcp) {}
};

TEST_F(SuspectTest, SilentCalleeTakesTheTargetFromNobody) {
  for (int i = 0; i < 6; ++i) Send(mallory_, "m.example", absl::StrCat("m", i));
  int asked = 0;
  for (int second = 0; second < 40; ++second) {
    asked += Play(200);
    edge_.Run(absl::Seconds(1));
  }
  EXPECT_EQ(asked, 1);  // Nobody else has sent anything meanwhile.
  EXPECT_EQ(HealthLines(), 0);
  EXPECT_EQ(Served("a1"), "SIP/2.0 200");
}

TEST_F(SuspectTest, TargetThatServesOthersIsNotEvenAsked) {
  for (int i = 0; i < 6; ++i) Send(mallory_, "m.example", absl::StrCat("m", i));
  int asked = 0;
  for (int second = 0; second < 40; ++second) {
    asked += Play(0);
    edge_.Run(absl::Seconds(1));
    ASSERT_EQ(Served(absl::StrCat("a", second)), "SIP/2.0 200") << second;
  }
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(HealthLines(), 0);
}

TEST_F(SuspectTest, TargetThatIsSilentToTheEdgeIsDown) {
  for (int i = 0; i < 3; ++i) Send(mallory_, "m.example", absl::StrCat("m", i));
  int asked = 0;
  for (int second = 0; second < 36; ++second) {
    asked += Play(0);
    edge_.Run(absl::Seconds(1));
  }
  EXPECT_GE(asked, 1);
  EXPECT_EQ(HealthLines(), 1);
  const size_t label = edge_.metrics().NextHopLabel("core");
  EXPECT_EQ(edge_.Counter(edge_.metrics().upstream_health_checks.Slot(label, ProbeResult::kFailed)),
            1U);
  // It comes back by a request that is answered, the trial.
  EXPECT_EQ(Served("a1"), "SIP/2.0 200");
  EXPECT_EQ(HealthLines(), 1);
}

TEST_F(SuspectTest, CalleeThatIsUnavailableForAnHourHoldsNobodyOff) {
  for (int i = 0; i < 6; ++i) {
    Send(mallory_, "m.example", absl::StrCat("m", i));
    Play(200, 503);
  }
  EXPECT_THAT(mallory_.Take(), HasSubstr("SIP/2.0 503"));
  EXPECT_EQ(Served("a1"), "SIP/2.0 200");
  EXPECT_EQ(HealthLines(), 0);
}

TEST_F(SuspectOverTcpTest, RequestThatEndsTheConnectionTakesTheTargetFromNobody) {
  int asked = 0;
  for (int i = 0; i < 6; ++i) {
    Send(mallory_, "m.example", absl::StrCat("m", i));
    edge_.Run(absl::Milliseconds(20));
    ASSERT_NE(edge_.NextHopTake().value_or(""), "");
    edge_.next_hop_connection()->Reset();
    edge_.Settle();
    edge_.Run(absl::Milliseconds(20));
    asked += Play(200);
  }
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(Served("a1"), "SIP/2.0 200");
  EXPECT_EQ(HealthLines(), 0);
}

// The edge asks on a connection that carries nothing of others: what ends theirs does not end it.
TEST(SuspectServerTest, QuestionHasAConnectionOfItsOwn) {
  SimulatedEdge edge({.next_hop = NextHopKind::kOther, .targets = {"tcp:192.0.2.1:5080"}});
  SimulatedServer& server = edge.Serve("192.0.2.1:5080");
  SimulatedPeer& mallory = edge.Connect("m.example");
  SimulatedPeer& alice = edge.Connect("a.example");
  const auto send = [&edge](SimulatedPeer& peer, const std::string& domain, const std::string& id) {
    peer.Send(RequestText{.method = "MESSAGE",
                          .branch = id,
                          .from = absl::StrCat("<sip:u@", domain, ">;tag=1"),
                          .call_id = id}
                  .Text());
    edge.Run(absl::Milliseconds(100));
  };
  send(mallory, "m.example", "1");
  const std::vector<SimulatedServer::Arrival> first = server.TakeArrivals();
  ASSERT_EQ(first.size(), 1U);
  send(mallory, "m.example", "2");
  server.SendOn(0, ResponseText(first[0].message, 503, "No", "Retry-After: 60\r\n"));
  edge.Settle();
  server.connection()->Reset();  // The newest is not yet the question's.
  edge.Run(absl::Milliseconds(100));
  bool is_asked = false;
  for (const auto& [connection, message] : server.TakeArrivals()) {
    if (!message.starts_with("OPTIONS ")) continue;
    is_asked = true;
    EXPECT_NE(connection, 0U);
    server.SendOn(connection, ResponseText(message, 200, "OK"));
  }
  EXPECT_TRUE(is_asked);
  edge.Run(absl::Seconds(3));
  send(alice, "a.example", "3");
  const std::vector<SimulatedServer::Arrival> later = server.TakeArrivals();
  ASSERT_EQ(later.size(), 1U);
  EXPECT_TRUE(later[0].message.starts_with("MESSAGE "));
}

}  // namespace
}  // namespace sallyport::sip::test
