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

}  // namespace
}  // namespace sallyport::sip::test
