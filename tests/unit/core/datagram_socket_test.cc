#include "core/datagram_socket.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/simulated_backend.h"

namespace sallyport::core {
namespace {

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class DatagramSocketTest : public testing::Test, public DatagramHandler {
 protected:
  DatagramSocketTest()
      : network_(5),
        io_(network_),
        reactor_(io_, Options()),
        socket_(
            std::make_unique<DatagramSocket>(reactor_, *this, *io_.OpenDatagram(address_, {}))) {
    network_.Bind(remote_);
  }
  static ReactorOptions Options() {
    ReactorOptions options;
    options.handlers_max = 16;
    options.buffer_bytes_max = 1 << 20;
    return options;
  }

  void OnDatagram(std::span<const std::byte> bytes, const SocketAddress& source) override {
    received_.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    last_source_ = source;
  }
  void OnSendError(int error) override { errors_.push_back(error); }
  void OnDatagramSocketClosed() override {
    ++closed_;
    socket_.reset();  // Allowed here.
  }

  void Turns(int count) {
    for (int turn = 0; turn < count; ++turn) reactor_.RunTurn();
  }
  void TearDown() override {
    if (socket_ != nullptr) socket_->Close();
    for (int i = 0; i < 30; ++i) {
      network_.Advance(absl::Milliseconds(10));
      reactor_.RunTurn();
    }
    EXPECT_EQ(closed_, 1);
    EXPECT_EQ(io_.descriptors_open(), 0u);
    EXPECT_EQ(io_.buffers_out(), 0u);
    EXPECT_EQ(reactor_.buffers().bytes_in_use(), 0u);
  }

  const SocketAddress address_ = SocketAddress::Loopback(AddressFamily::kIpv4, 5060);
  const SocketAddress remote_ = *SocketAddress::Parse("192.0.2.7:5080");
  SimulatedNetwork network_;
  SimulatedBackend io_;
  Reactor reactor_;
  std::unique_ptr<DatagramSocket> socket_;
  std::vector<std::string> received_;
  SocketAddress last_source_;
  std::vector<int> errors_;
  int closed_ = 0;
};

TEST_F(DatagramSocketTest, ReceivesWithTheSourceAndSendsThePieces) {
  ASSERT_TRUE(socket_->Start());
  network_.SendDatagram(remote_, address_, "request");
  network_.SendDatagram(remote_, address_, "");
  Turns(2);
  EXPECT_EQ(received_, (std::vector<std::string>{"request", ""}));
  EXPECT_EQ(last_source_, remote_);
  const std::span<const std::byte> pieces[] = {BytesOf("res"), {}, BytesOf("ponse")};
  ASSERT_TRUE(socket_->Send(remote_, pieces));
  Turns(2);
  EXPECT_EQ(network_.ReceiveDatagram(remote_)->bytes, "response");
  EXPECT_EQ(socket_->counters().sent, 1u);
}

TEST_F(DatagramSocketTest, TheSendQueueIsBounded) {
  ASSERT_TRUE(socket_->Start());
  for (uint32_t i = 0; i < DatagramSocket::kSendsMax; ++i) {
    ASSERT_TRUE(socket_->Send(remote_, BytesOf(std::to_string(i))));
  }
  EXPECT_FALSE(socket_->Send(remote_, BytesOf("one too many")));
  EXPECT_EQ(socket_->counters().send_queue_full, 1u);
  Turns(5);
  EXPECT_EQ(socket_->sends_in_flight(), 0u);
  EXPECT_TRUE(socket_->Send(remote_, BytesOf("room again")));
  EXPECT_FALSE(
      socket_->Send(remote_, BytesOf(std::string(DatagramSocket::kDatagramBytesMax + 1, 'x'))));
}

TEST_F(DatagramSocketTest, AFloodWithFewBuffersIsServed) {
  ASSERT_TRUE(socket_->Start());
  SimulatedFaults faults;
  faults.no_buffers = 0.2;
  faults.multishot_end = 0.2;
  network_.set_faults(faults);
  for (int i = 0; i < 100; ++i) network_.SendDatagram(remote_, address_, "d");
  Turns(200);
  EXPECT_EQ(received_.size(), 100u);
  EXPECT_GT(io_.counters().datagram_buffers_out, 0u);
}

TEST_F(DatagramSocketTest, ATruncatedDatagramIsCountedNotDelivered) {
  ASSERT_TRUE(socket_->Start());
  network_.SendDatagram(remote_, address_, std::string(70000, 'x'));
  Turns(2);
  EXPECT_TRUE(received_.empty());
  EXPECT_EQ(socket_->counters().truncated, 1u);
}

TEST_F(DatagramSocketTest, CloseWaitsForSendsInFlight) {
  ASSERT_TRUE(socket_->Start());
  SimulatedFaults faults;
  faults.late_completion = 1;
  network_.set_faults(faults);
  ASSERT_TRUE(socket_->Send(remote_, BytesOf("last")));
  Turns(1);
  socket_->Close();
  Turns(3);
  EXPECT_EQ(network_.ReceiveDatagram(remote_)->bytes, "last");
}

}  // namespace
}  // namespace sallyport::core
