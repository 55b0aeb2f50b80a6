// Goal: each bound holds for its source or identity, and touches nobody else. Method: whole seconds
// on a clock of the test; limits at their value and one beyond.
#include "sip/proxy/admission.h"

#include <gtest/gtest.h>

#include <memory>
#include <string_view>

namespace sallyport::sip {
namespace {

constexpr uint32_t kConnectionsMax = 64;

class AdmissionTest : public testing::Test {
 protected:
  void Start(const LimitsConfig& limits) {
    tls::MacKey key;
    key.fill(1);
    admission_ = std::make_unique<Admission>(key, kConnectionsMax, limits, now_);
  }
  static AdmissionSource From(std::string_view address, PeerKey identity = 0,
                              Zone zone = Zone::kOutside) {
    return {zone, *core::SocketAddress::Parse(address), identity};
  }
  auto Connect(const AdmissionSource& source, bool speaks_tls = true) {
    return admission_->MayConnect(source, speaks_tls, now_);
  }
  std::optional<ReasonCode> Request(const AdmissionSource& source,
                                    RequestClass request_class = RequestClass::kOther) {
    return admission_->RefusalOf(source, request_class, {++turn_, now_, delay_});
  }
  int Admitted(const AdmissionSource& source, int requests,
               RequestClass request_class = RequestClass::kOther) {
    int admitted = 0;
    for (int i = 0; i < requests; ++i) admitted += !Request(source, request_class).has_value();
    return admitted;
  }
  // Turns that follow each other, all with that delay.
  void Wait(absl::Duration delay, absl::Duration duration) {
    delay_ = delay;
    for (absl::Duration passed; passed < duration; passed += absl::Milliseconds(10)) {
      now_ = now_ + absl::Milliseconds(10);
      admission_->ObserveDelay({++turn_, now_, delay_});
    }
  }

  const AdmissionSource alice_ = From("192.0.2.1:1000", 77);
  const AdmissionSource bob_ = From("192.0.2.2:1000", 78);
  core::MonotonicTime now_{1'000'000'000'000};
  uint64_t turn_ = 0;
  absl::Duration delay_;
  std::unique_ptr<Admission> admission_;
};

TEST_F(AdmissionTest, WithoutLimitsEverybodyComesIn) {
  Start({});
  for (uint32_t i = 0; i < kConnectionsMax; ++i) EXPECT_EQ(Connect(alice_), std::nullopt);
  EXPECT_EQ(Admitted(alice_, 10'000), 10'000);
  EXPECT_EQ(Admitted(alice_, 10'000, RequestClass::kNewDialog), 10'000);
}

TEST_F(AdmissionTest, SourceHasSoManyConnectionsAtOnce) {
  Start({.source_connections_max = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Connect(alice_), std::nullopt);
  // Another port is the same source.
  EXPECT_EQ(Connect(From("192.0.2.1:2000")), ConnectionRejectReason::kLimit);
  EXPECT_EQ(Connect(bob_), std::nullopt);
  admission_->OnConnectionClosed(alice_);
  EXPECT_EQ(Connect(alice_), std::nullopt);
  EXPECT_EQ(Connect(alice_), ConnectionRejectReason::kLimit);
  EXPECT_EQ(admission_->sources_connected(), 2U);
}

TEST_F(AdmissionTest, OneSubscribersPrefixIsOneSource) {
  Start({.source_connections_max = 1});
  EXPECT_EQ(Connect(From("[2001:db8::1]:1")), std::nullopt);
  EXPECT_EQ(Connect(From("[2001:db8::2]:1")), ConnectionRejectReason::kLimit);
  EXPECT_EQ(Connect(From("[2001:db8:0:1::1]:1")), std::nullopt);
}

TEST_F(AdmissionTest, SourceBeginsSoManyHandshakesASecond) {
  Start({.source_handshakes_per_second_max = 5});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Connect(alice_), std::nullopt);
  EXPECT_EQ(Connect(alice_), ConnectionRejectReason::kRate);
  EXPECT_EQ(Connect(alice_, false), std::nullopt);  // No TLS, no handshake.
  EXPECT_EQ(Connect(bob_), std::nullopt);
  now_ = now_ + absl::Milliseconds(200);
  EXPECT_EQ(Connect(alice_), std::nullopt);
  EXPECT_EQ(Connect(alice_), ConnectionRejectReason::kRate);
}

// Else a source at its rate would use up its connections, too.
TEST_F(AdmissionTest, WhoIsRejectedIsNotCounted) {
  Start({.source_connections_max = 2, .source_handshakes_per_second_max = 1});
  EXPECT_EQ(Connect(alice_), std::nullopt);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Connect(alice_), ConnectionRejectReason::kRate);
  now_ = now_ + absl::Seconds(1);
  EXPECT_EQ(Connect(alice_), std::nullopt);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Connect(alice_), ConnectionRejectReason::kLimit);
  admission_->OnConnectionClosed(alice_);
  now_ = now_ + absl::Seconds(1);
  EXPECT_EQ(Connect(alice_), std::nullopt);
}

TEST_F(AdmissionTest, SourceSendsSoManyRequestsASecond) {
  Start({.source_messages_per_second_max = 10});
  EXPECT_EQ(Admitted(alice_, 30), 10);
  EXPECT_EQ(Request(alice_), ReasonCode::kLimit);
  EXPECT_EQ(Admitted(From("192.0.2.1:9", 99), 1), 0);  // Another identity, the same source.
  EXPECT_EQ(Admitted(bob_, 10), 10);
  now_ = now_ + absl::Milliseconds(500);
  EXPECT_EQ(Admitted(alice_, 30), 5);
}

TEST_F(AdmissionTest, IdentitySendsSoManyRequestsASecond) {
  Start({.identity_messages_per_second_max = 10});
  EXPECT_EQ(Admitted(alice_, 30), 10);
  EXPECT_EQ(Admitted(From("198.51.100.1:9", 77), 1), 0);  // The same identity, another source.
  EXPECT_EQ(Admitted(From("192.0.2.1:9", 99), 10), 10);
  EXPECT_EQ(Admitted(From("192.0.2.1:9"), 20), 20);  // Proves nothing: judged elsewhere.
}

TEST_F(AdmissionTest, InsideIsBoundedByOverloadAlone) {
  Start({.source_messages_per_second_max = 1,
         .identity_messages_per_second_max = 1,
         .source_connections_max = 1,
         .source_handshakes_per_second_max = 1});
  const AdmissionSource inside = From("10.0.0.1:5060", 0, Zone::kInside);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Connect(inside), std::nullopt);
  for (int i = 0; i < 100; ++i) admission_->OnConnectionClosed(inside);
  EXPECT_EQ(Admitted(inside, 1000), 1000);
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(admission_->MayServe(inside, 1, now_));
}

TEST_F(AdmissionTest, ReloadChangesLimitsAndKeepsCounts) {
  Start({});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Connect(alice_), std::nullopt);
  EXPECT_EQ(Admitted(alice_, 100), 100);
  admission_->SetLimits({.source_messages_per_second_max = 1, .source_connections_max = 5});
  EXPECT_EQ(Connect(alice_), ConnectionRejectReason::kLimit);  // Those from before count.
  EXPECT_EQ(Admitted(alice_, 100), 1);
  admission_->SetLimits({});
  EXPECT_EQ(Connect(alice_), std::nullopt);
  EXPECT_EQ(Admitted(alice_, 100), 100);
}

TEST_F(AdmissionTest, IdentityHasAShareOfATurn) {
  Start({});
  int served = 0;
  while (admission_->MayServe(alice_, 1, now_) && served < 1000) ++served;
  EXPECT_LT(served, 1000);
  EXPECT_FALSE(
      admission_->MayServe(From("198.51.100.1:9", 77), 1, now_));  // Another connection of it.
  EXPECT_TRUE(admission_->MayServe(bob_, 1, now_));
  EXPECT_TRUE(admission_->MayServe(alice_, 2, now_));
  now_ = now_ + absl::Milliseconds(1);  // A message that took long.
  EXPECT_FALSE(admission_->MayServe(alice_, 2, now_));
  EXPECT_TRUE(admission_->MayServe(bob_, 2, now_));
}

TEST_F(AdmissionTest, OverloadRefusesNewDialogsFirstAndRecovers) {
  Start({.queue_delay_max = absl::Milliseconds(50)});
  Wait(absl::Milliseconds(60), absl::Seconds(1));
  EXPECT_EQ(admission_->overload_state(), OverloadState::kSheddingNewDialogs);
  EXPECT_LT(Admitted(alice_, 100, RequestClass::kNewDialog), 50);
  EXPECT_EQ(Admitted(alice_, 100, RequestClass::kOther), 100);
  EXPECT_EQ(Admitted(alice_, 100, RequestClass::kInDialog), 100);
  // The inside waits, too.
  EXPECT_LT(Admitted(From("10.0.0.1:5060", 0, Zone::kInside), 100, RequestClass::kNewDialog), 50);
  EXPECT_GE(admission_->RetryAfterSeconds(), 1U);
  Wait(absl::ZeroDuration(), absl::Seconds(5));
  EXPECT_EQ(admission_->overload_state(), OverloadState::kNormal);
  EXPECT_EQ(Admitted(alice_, 100, RequestClass::kNewDialog), 100);
}

TEST_F(AdmissionTest, ReloadMovesTheBoundOfOverload) {
  Start({.queue_delay_max = absl::Milliseconds(50)});
  admission_->SetLimits({.queue_delay_max = absl::Milliseconds(500)});
  Wait(absl::Milliseconds(60), absl::Seconds(1));
  EXPECT_EQ(admission_->overload_state(), OverloadState::kNormal);
}

}  // namespace
}  // namespace sallyport::sip
