#include "sip/proxy/dns_cache.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/dns_table.h"
#include "tests/support/simulated_backend.h"

namespace sallyport::sip {
namespace {

using core::DnsName;
using core::DnsStatus;
using core::DnsType;

class CountingWaiter final : public DnsWaiter {
 public:
  void OnDnsKnown() override { ++told; }
  int told = 0;
};

class DnsCacheTest : public testing::Test {
 protected:
  DnsCacheTest()
      : network_(1),
        io_(network_),
        reactor_(io_, Options()),
        dns_(reactor_),
        cache_(reactor_, dns_, DnsCache::kEntriesMin, tls::MacKey{7}) {}
  static core::ReactorOptions Options() {
    core::ReactorOptions options;
    options.handlers_max = 16;
    options.buffer_bytes_max = 1 << 20;
    return options;
  }
  void Advance(absl::Duration duration) {
    network_.Advance(duration);
    reactor_.RunTurn();
  }
  const core::DnsAnswer* Find(DnsType type, std::string_view name) {
    return cache_.Find(type, *DnsName::FromText(name), core::kInfiniteFuture);
  }
  bool Ask(DnsType type, std::string_view name) {
    return cache_.Ask(type, *DnsName::FromText(name), waiter_);
  }
  void Learn(DnsType type, std::string_view name) {
    CountingWaiter waiter;
    ASSERT_TRUE(cache_.Ask(type, *DnsName::FromText(name), waiter));
    dns_.AnswerAll();
    ASSERT_EQ(waiter.told, 1);
  }
  // For how many seconds `name` holds, up to `limit`.
  int Holds(DnsType type, std::string_view name, int limit) {
    for (int second = 0; second < limit; ++second) {
      if (Find(type, name) == nullptr) return second;
      Advance(absl::Seconds(1));
    }
    return limit;
  }

  core::SimulatedNetwork network_;
  core::SimulatedBackend io_;
  core::Reactor reactor_;
  test::DnsTable dns_;
  DnsCache cache_;
  CountingWaiter waiter_;
};

TEST_F(DnsCacheTest, AnAnswerHoldsForItsTtl) {
  dns_.A("example.com", "192.0.2.1", 20);
  EXPECT_EQ(Find(DnsType::kA, "example.com"), nullptr);
  Learn(DnsType::kA, "example.com");
  ASSERT_NE(Find(DnsType::kA, "example.com"), nullptr);
  EXPECT_EQ(Find(DnsType::kA, "example.com")->records().size(), 1u);
  EXPECT_EQ(Find(DnsType::kAaaa, "example.com"), nullptr);
  EXPECT_EQ(Holds(DnsType::kA, "example.com", 100), 20);
}

TEST_F(DnsCacheTest, TtlsAreClamped) {
  dns_.A("never.example", "192.0.2.1", 0);
  Learn(DnsType::kA, "never.example");
  EXPECT_EQ(Holds(DnsType::kA, "never.example", 100), 1);
  dns_.A("forever.example", "192.0.2.1", 1'000'000);
  Learn(DnsType::kA, "forever.example");
  EXPECT_EQ(Holds(DnsType::kA, "forever.example", 5000), 3600);
}

TEST_F(DnsCacheTest, Rfc2308_5_NegativeAnswersHoldForTheirTtl) {
  dns_.Status(DnsType::kSrv, "a.example", DnsStatus::kNoName, 12);
  Learn(DnsType::kSrv, "a.example");
  EXPECT_EQ(Holds(DnsType::kSrv, "a.example", 100), 12);
  dns_.Status(DnsType::kSrv, "b.example", DnsStatus::kNoData, 100'000);
  Learn(DnsType::kSrv, "b.example");
  EXPECT_EQ(Holds(DnsType::kSrv, "b.example", 100), 30);
  Learn(DnsType::kSrv, "no-soa.example");
  EXPECT_EQ(Holds(DnsType::kSrv, "no-soa.example", 100), 1);
}

TEST_F(DnsCacheTest, FailuresHoldForASecond) {
  for (const DnsStatus status :
       {DnsStatus::kTimeout, DnsStatus::kServerFailure, DnsStatus::kMalformed}) {
    dns_.Status(DnsType::kA, "example.com", status, 100);
    Learn(DnsType::kA, "example.com");
    EXPECT_EQ(Holds(DnsType::kA, "example.com", 100), 1);
  }
}

TEST_F(DnsCacheTest, WhoWaitedMayUseWhatHoldsNoLonger) {
  dns_.A("example.com", "192.0.2.1", 1);
  const core::MonotonicTime since = reactor_.now();
  Learn(DnsType::kA, "example.com");
  Advance(absl::Seconds(2));
  EXPECT_EQ(Find(DnsType::kA, "example.com"), nullptr);
  EXPECT_NE(cache_.Find(DnsType::kA, *DnsName::FromText("example.com"), since), nullptr);
}

TEST_F(DnsCacheTest, AQuestionIsAskedOnce) {
  std::vector<std::unique_ptr<CountingWaiter>> waiters;
  for (int index = 0; index < 10; ++index) {
    waiters.push_back(std::make_unique<CountingWaiter>());
    ASSERT_TRUE(cache_.Ask(DnsType::kA, *DnsName::FromText("Example.com"), *waiters.back()));
  }
  waiters.pop_back();  // One does not wait any more.
  EXPECT_EQ(dns_.asked(), std::vector<std::string>{"A example.com"});
  dns_.AnswerAll();
  for (const auto& waiter : waiters) EXPECT_EQ(waiter->told, 1);
}

TEST_F(DnsCacheTest, AnExpiredAnswerIsAskedAgain) {
  dns_.A("example.com", "192.0.2.1", 1);
  Learn(DnsType::kA, "example.com");
  Advance(absl::Seconds(2));
  Learn(DnsType::kA, "example.com");
  EXPECT_EQ(dns_.asked().size(), 2u);
  EXPECT_EQ(cache_.size(), 1u);
}

TEST_F(DnsCacheTest, TheLeastRecentlyUsedMakesRoom) {
  const auto name = [](uint32_t index) { return "n" + std::to_string(index) + ".example"; };
  for (uint32_t index = 0; index < DnsCache::kEntriesMin; ++index) {
    dns_.A(name(index), "192.0.2.1", 3600);
    Learn(DnsType::kA, name(index));
  }
  EXPECT_NE(Find(DnsType::kA, name(0)), nullptr);  // Used: now 1 is the oldest.
  Learn(DnsType::kA, "one.more.example");
  EXPECT_EQ(cache_.size(), DnsCache::kEntriesMin);
  EXPECT_EQ(cache_.counters().evicted, 1u);
  EXPECT_NE(Find(DnsType::kA, name(0)), nullptr);
  EXPECT_EQ(Find(DnsType::kA, name(1)), nullptr);
  for (uint32_t index = 2; index < DnsCache::kEntriesMin; ++index) {
    EXPECT_NE(Find(DnsType::kA, name(index)), nullptr) << index;
  }
}

TEST_F(DnsCacheTest, OutstandingQuestionsAreBounded) {
  std::vector<std::unique_ptr<CountingWaiter>> waiters;
  for (uint32_t index = 0; index < DnsCache::kEntriesMin / 2; ++index) {
    waiters.push_back(std::make_unique<CountingWaiter>());
    ASSERT_TRUE(
        cache_.Ask(DnsType::kA, *DnsName::FromText("n" + std::to_string(index)), *waiters.back()));
  }
  EXPECT_FALSE(Ask(DnsType::kA, "one.more.example"));
  EXPECT_FALSE(waiter_.linked());
  EXPECT_EQ(cache_.counters().refused, 1u);
  dns_.AnswerAll();
  EXPECT_TRUE(Ask(DnsType::kA, "one.more.example"));
}

TEST_F(DnsCacheTest, AQuerierThatRefusesLeavesNothingBehind) {
  dns_.set_questions_max(0);
  EXPECT_FALSE(Ask(DnsType::kA, "example.com"));
  EXPECT_EQ(Find(DnsType::kA, "example.com"), nullptr);
  dns_.set_questions_max(1);
  EXPECT_TRUE(Ask(DnsType::kA, "example.com"));
}

TEST_F(DnsCacheTest, LookupsAreCounted) {
  dns_.A("example.com", "192.0.2.1");
  dns_.Status(DnsType::kSrv, "slow.example", DnsStatus::kTimeout);
  dns_.Status(DnsType::kNaptr, "broken.example", DnsStatus::kServerFailure);
  Learn(DnsType::kA, "example.com");
  Learn(DnsType::kA, "gone.example");
  Learn(DnsType::kSrv, "slow.example");
  Learn(DnsType::kNaptr, "broken.example");
  const DnsCounters& counters = cache_.counters();
  EXPECT_EQ(counters.of(DnsType::kA, DnsLookup::kOk), 1u);
  EXPECT_EQ(counters.of(DnsType::kA, DnsLookup::kNx), 1u);
  EXPECT_EQ(counters.of(DnsType::kSrv, DnsLookup::kTimeout), 1u);
  EXPECT_EQ(counters.of(DnsType::kNaptr, DnsLookup::kError), 1u);
}

}  // namespace
}  // namespace sallyport::sip
