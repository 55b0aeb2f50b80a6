#include "core/listener.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/support/simulated_backend.h"

namespace sallyport::core {
namespace {

class ListenerTest : public testing::Test, public AcceptHandler {
 protected:
  ListenerTest() : network_(3), io_(network_), reactor_(io_, Options()) {
    listener_ = std::make_unique<Listener>(reactor_, *this, *io_.OpenListener(address_, {}));
  }
  static ReactorOptions Options() {
    ReactorOptions options;
    options.handlers_max = 16;
    options.buffer_bytes_max = 1 << 20;
    return options;
  }

  void OnAccepted(int fd, const SocketAddress& peer) override {
    accepted_.push_back(fd);
    peers_.push_back(peer);
  }
  void OnDrained() override {
    ++drained_;
    listener_.reset();  // Allowed here.
  }

  void Turns(int count) {
    for (int turn = 0; turn < count; ++turn) reactor_.RunTurn();
  }
  void Pass(absl::Duration duration) {
    constexpr absl::Duration kStep = absl::Milliseconds(5);
    for (absl::Duration passed; passed < duration; passed += kStep) {
      network_.Advance(kStep);
      reactor_.RunTurn();
    }
  }
  void CloseAccepted() {
    for (const int fd : accepted_) io_.Close(fd);
    accepted_.clear();
  }
  void TearDown() override {
    if (listener_ != nullptr) {
      listener_->Drain();
      Pass(absl::Seconds(1));
    }
    CloseAccepted();
    EXPECT_EQ(io_.descriptors_open(), 0u);
    EXPECT_EQ(io_.operations_outstanding(), 0u);
  }

  const SocketAddress address_ = SocketAddress::Loopback(AddressFamily::kIpv4, 5061);
  SimulatedNetwork network_;
  SimulatedBackend io_;
  Reactor reactor_;
  std::unique_ptr<Listener> listener_;
  std::vector<int> accepted_;
  std::vector<SocketAddress> peers_;
  int drained_ = 0;
};

TEST_F(ListenerTest, HandsOverConnectionsWithTheirPeer) {
  ASSERT_TRUE(listener_->Start());
  EXPECT_EQ(listener_->LocalAddress(), address_);
  const SocketAddress from = *SocketAddress::Parse("192.0.2.44:40000");
  network_.Connect(address_, from);
  network_.Connect(address_);
  Turns(2);
  EXPECT_EQ(accepted_.size(), 2u);
  EXPECT_EQ(peers_[0], from);
  EXPECT_EQ(listener_->counters().accepted, 2u);
}

TEST_F(ListenerTest, PausedConnectionsWait) {
  ASSERT_TRUE(listener_->Start());
  Turns(1);
  listener_->Pause();
  listener_->Pause();
  Turns(2);
  RemoteConnection* const peer = network_.Connect(address_);
  Turns(3);
  EXPECT_TRUE(accepted_.empty());
  listener_->Resume();
  Turns(2);
  EXPECT_EQ(accepted_.size(), 1u);
  EXPECT_FALSE(peer->saw_reset());
}

TEST_F(ListenerTest, RearmsWhenTheKernelEndsTheAccept) {
  SimulatedFaults faults;
  faults.multishot_end = 1;
  network_.set_faults(faults);
  ASSERT_TRUE(listener_->Start());
  for (int i = 0; i < 10; ++i) network_.Connect(address_);
  Turns(15);
  EXPECT_EQ(accepted_.size(), 10u);
}

// Goal: without descriptors: those who wait are reset at once, it does not spin, it recovers.
TEST_F(ListenerTest, OutOfDescriptorsRefusesAndRetriesLater) {
  io_.set_descriptors_max(1);
  ASSERT_TRUE(listener_->Start());
  RemoteConnection* const first = network_.Connect(address_);
  RemoteConnection* const second = network_.Connect(address_);
  Turns(50);
  EXPECT_TRUE(first->saw_reset());
  EXPECT_TRUE(second->saw_reset());
  EXPECT_EQ(listener_->counters().out_of_descriptors, 1u);  // Fifty turns, one attempt.
  RemoteConnection* const third = network_.Connect(address_);
  io_.set_descriptors_max(10);
  Pass(absl::Milliseconds(50));
  EXPECT_TRUE(accepted_.empty());
  Pass(absl::Milliseconds(60));
  EXPECT_EQ(accepted_.size(), 1u);
  EXPECT_FALSE(third->saw_reset());
}

TEST_F(ListenerTest, DrainServesTheBacklogInBoundedSteps) {
  ASSERT_TRUE(listener_->Start());
  Turns(1);
  listener_->Pause();
  Turns(2);
  std::vector<RemoteConnection*> peers;
  for (int i = 0; i < 200; ++i) peers.push_back(network_.Connect(address_));
  listener_->Drain();
  Turns(2);
  EXPECT_EQ(accepted_.size(), 64u);
  EXPECT_EQ(drained_, 0);
  Pass(absl::Milliseconds(40));
  EXPECT_EQ(accepted_.size(), 200u);
  EXPECT_EQ(drained_, 1);
  for (const RemoteConnection* const peer : peers) EXPECT_FALSE(peer->saw_reset());
  EXPECT_EQ(network_.Connect(address_), nullptr);
}

TEST_F(ListenerTest, DrainSurvivesRunningOutOfDescriptors) {
  io_.set_descriptors_max(3);
  ASSERT_TRUE(listener_->Start());
  Turns(1);
  listener_->Pause();
  Turns(2);
  for (int i = 0; i < 5; ++i) network_.Connect(address_);
  listener_->Drain();
  Pass(absl::Milliseconds(300));
  EXPECT_EQ(accepted_.size(), 2u);  // The others were reset rather than kept waiting.
  EXPECT_EQ(drained_, 1);
}

}  // namespace
}  // namespace sallyport::core
