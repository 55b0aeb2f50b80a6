#include "sip/proxy/transaction_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

constexpr PeerKey kAlice = 1;
constexpr PeerKey kMallory = 2;

void Nothing(void*) {}

tls::MacKey Key() {
  tls::MacKey key;
  key.fill(9);
  return key;
}

struct Fields {
  std::string method = "INVITE";
  std::string via = "SIP/2.0/TLS a.example;branch=z9hG4bK77";
  std::string uri = "sip:bob@edge.example";
  std::string from_tag = "1";
  std::string to = "<sip:bob@edge.example>";
  std::string call_id = "c";
};

uint64_t KeyOf(const TransactionTable& table, PeerKey peer, const Fields& fields) {
  const std::string wire = fields.method + " " + fields.uri + " SIP/2.0\r\nVia: " + fields.via +
                           "\r\nFrom: <sip:alice@a.example>;tag=" + fields.from_tag +
                           "\r\nTo: " + fields.to + "\r\nCall-ID: " + fields.call_id +
                           "\r\nCSeq: 1 " + fields.method + "\r\nContent-Length: 0\r\n\r\n";
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  return table.KeyOf(peer, request);
}

// RFC 3261 §17.2.3.
TEST(TransactionTableTest, AckAndCancelAreKnownByTheirInvitesBranch) {
  const TransactionTable table(4, Key());
  const uint64_t invite = KeyOf(table, kAlice, {});
  EXPECT_EQ(KeyOf(table, kAlice, {.method = "ACK", .to = "<sip:bob@edge.example>;tag=2"}), invite);
  EXPECT_EQ(KeyOf(table, kAlice, {.method = "CANCEL"}), invite);
  EXPECT_NE(KeyOf(table, kAlice, {.method = "BYE"}), invite);
  EXPECT_NE(KeyOf(table, kAlice, {.via = "SIP/2.0/TLS a.example;branch=z9hG4bK78"}), invite);
  EXPECT_NE(KeyOf(table, kAlice, {.via = "SIP/2.0/TLS b.example;branch=z9hG4bK77"}), invite);
  EXPECT_NE(KeyOf(table, kAlice, {.via = "SIP/2.0/TLS a.example:5061;branch=z9hG4bK77"}), invite);
}

TEST(TransactionTableTest, AnotherIdentityMeetsNothing) {
  const TransactionTable table(4, Key());
  EXPECT_NE(KeyOf(table, kMallory, {.method = "CANCEL"}), KeyOf(table, kAlice, {}));
}

// RFC 4475 §3.2.1: two requests with the bare cookie must not collide.
TEST(TransactionTableTest, BranchWithoutAnythingUniqueFallsBackToTheOldRules) {
  const TransactionTable table(4, Key());
  for (const std::string branch : {"", ";branch=z9hG4bK", ";branch=77"}) {
    const std::string via = "SIP/2.0/TLS a.example" + branch;
    const uint64_t invite = KeyOf(table, kAlice, {.via = via});
    EXPECT_EQ(
        KeyOf(table, kAlice, {.method = "ACK", .via = via, .to = "<sip:bob@edge.example>;tag=2"}),
        invite);
    EXPECT_NE(KeyOf(table, kAlice, {.via = via, .call_id = "d"}), invite);
    EXPECT_NE(KeyOf(table, kAlice, {.via = via, .from_tag = "3"}), invite);
    EXPECT_NE(KeyOf(table, kAlice, {.via = via, .uri = "sip:carol@edge.example"}), invite);
  }
}

TEST(TransactionTableTest, LongBranchesAreToldApartByEveryByte) {
  const TransactionTable table(4, Key());
  for (const size_t size : {200U, 247U, 248U, 249U, 4096U}) {
    std::string one = "z9hG4bK" + std::string(size, 'x');
    std::string other = one;
    other.back() = 'y';
    EXPECT_NE(KeyOf(table, kAlice, {.via = "SIP/2.0/TLS a.example;branch=" + one}),
              KeyOf(table, kAlice, {.via = "SIP/2.0/TLS a.example;branch=" + other}))
        << size;
  }
}

TEST(TransactionTableTest, FindsWhatIsThereAndNothingElse) {
  TransactionTable table(64, Key());
  std::vector<TransactionId> ids;
  for (uint64_t key = 1; key <= 64; ++key) {
    Transaction* const transaction = table.Create(key, Nothing, Nothing);
    ASSERT_NE(transaction, nullptr);
    ids.push_back(transaction->id);
  }
  EXPECT_TRUE(table.full());
  EXPECT_EQ(table.Create(65, Nothing, Nothing), nullptr);
  for (uint64_t key = 2; key <= 64; key += 2) table.Erase(*table.FindByKey(key));
  for (uint64_t key = 1; key <= 64; ++key) {
    const bool is_there = key % 2 == 1;
    EXPECT_EQ(table.FindByKey(key) != nullptr, is_there) << key;
    EXPECT_EQ(table.Find(ids[key - 1]) != nullptr, is_there) << key;
  }
  // A reused slot answers to its new id alone.
  Transaction* const again = table.Create(2, Nothing, Nothing);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(table.Find(ids[again->id.slot]), nullptr);
  EXPECT_EQ(table.size(), 33U);
}

}  // namespace
}  // namespace sallyport::sip
