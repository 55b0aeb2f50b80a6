#include "sip/proxy/srv_order.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/check.h"
#include "gtest/gtest.h"

namespace sallyport::sip {
namespace {

struct Record {
  uint16_t priority;
  uint16_t weight;
  uint16_t port;
  std::string target;
};

core::DnsAnswer Answer(const std::vector<Record>& records) {
  core::DnsAnswer answer(core::DnsStatus::kOk);
  for (const Record& record : records) {
    core::DnsSrv srv{record.priority, record.weight, record.port, {}};
    srv.target = *answer.AddText(record.target);
    CHECK(answer.Add(srv));
  }
  return answer;
}

std::vector<std::string> Targets(const core::DnsAnswer& answer, uint64_t selector) {
  std::vector<std::string> targets;
  const SrvServers ordered = OrderServers(answer, selector);
  for (const SrvServer& server : ordered.view()) targets.emplace_back(server.target);
  return targets;
}

// How often each comes first, of 10,000 selectors.
std::map<std::string, int> FirstPlaces(const core::DnsAnswer& answer) {
  std::map<std::string, int> first;
  for (uint64_t selector = 0; selector < 10'000; ++selector) ++first[Targets(answer, selector)[0]];
  return first;
}

TEST(SrvOrderTest, Rfc2782_LowerPrioritiesComeFirst) {
  const core::DnsAnswer answer =
      Answer({{20, 65535, 5060, "b"}, {10, 0, 5060, "a"}, {30, 1, 5060, "c"}});
  for (uint64_t selector = 0; selector < 100; ++selector) {
    EXPECT_EQ(Targets(answer, selector), (std::vector<std::string>{"a", "b", "c"}));
  }
}

TEST(SrvOrderTest, Rfc2782_FirstPlacesGoByWeight) {
  const auto first =
      FirstPlaces(Answer({{1, 10, 5060, "a"}, {1, 20, 5060, "b"}, {1, 70, 5060, "c"}}));
  EXPECT_NEAR(first.at("a"), 1000, 150);
  EXPECT_NEAR(first.at("b"), 2000, 200);
  EXPECT_NEAR(first.at("c"), 7000, 300);
}

TEST(SrvOrderTest, Rfc2782_WeightZeroIsChosenRarely) {
  const auto first = FirstPlaces(Answer({{1, 0, 5060, "a"}, {1, 1, 5060, "b"}}));
  EXPECT_GT(first.at("a"), 20);
  EXPECT_LT(first.at("a"), 300);
}

TEST(SrvOrderTest, Rfc2782_OnlyZeroesAreEqual) {
  const auto first = FirstPlaces(Answer({{1, 0, 5060, "a"}, {1, 0, 5060, "b"}}));
  EXPECT_NEAR(first.at("a"), 5000, 300);
}

// RFC 3263 §4.4: retransmissions and later requests of a call reach the same server, although name
// servers rotate their answers.
TEST(SrvOrderTest, Rfc3263_4_4_TheOrderDoesNotDependOnTheAnswers) {
  std::vector<Record> records = {{1, 5, 5060, "a"}, {1, 5, 5061, "a"}, {1, 9, 5060, "b"},
                                 {1, 1, 5060, "c"}, {2, 1, 5060, "d"}, {2, 1, 5060, "e"}};
  for (uint64_t selector = 0; selector < 50; ++selector) {
    const auto expected = Targets(Answer(records), selector);
    for (size_t turn = 0; turn < records.size(); ++turn) {
      std::rotate(records.begin(), records.begin() + 1, records.end());
      EXPECT_EQ(Targets(Answer(records), selector), expected);
    }
  }
}

TEST(SrvOrderTest, WhenAServerGoesOnlyItsOwnCallsMove) {
  const core::DnsAnswer all = Answer({{1, 5, 5060, "a"}, {1, 5, 5060, "b"}, {1, 5, 5060, "c"}});
  const core::DnsAnswer fewer = Answer({{1, 5, 5060, "a"}, {1, 5, 5060, "c"}});
  for (uint64_t selector = 0; selector < 1000; ++selector) {
    std::vector<std::string> expected = Targets(all, selector);
    std::erase(expected, "b");
    EXPECT_EQ(Targets(fewer, selector), expected);
  }
}

TEST(SrvOrderTest, WhatIsNoServerIsLeftOut) {
  EXPECT_TRUE(Targets(Answer({{1, 5, 5060, ""}}), 1).empty());
  EXPECT_EQ(Targets(Answer({{1, 5, 0, "a"}, {1, 5, 5060, "b"}}), 1), std::vector<std::string>{"b"});
}

TEST(SrvOrderTest, AddressesOfOneNameShareTheLoad) {
  std::map<std::string, int> first;
  for (uint64_t selector = 0; selector < 10'000; ++selector) {
    std::array addresses = {*core::SocketAddress::FromHost("192.0.2.1", 0),
                            *core::SocketAddress::FromHost("192.0.2.2", 0)};
    if (selector % 2 == 1) std::swap(addresses[0], addresses[1]);
    OrderAddresses(addresses, selector / 2);
    ++first[addresses[0].HostToString()];
  }
  EXPECT_NEAR(first["192.0.2.1"], 5000, 300);
  EXPECT_EQ(first["192.0.2.1"] % 2, 0);  // Both orders of the answer gave the same.
}

}  // namespace
}  // namespace sallyport::sip
