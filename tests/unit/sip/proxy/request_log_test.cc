// Goal: what a line shows of Call-ID and CSeq is what [log] allows, and no more than that. Method:
// one configuration for each value of call-id; texts as a hostile peer writes them.
#include "sip/proxy/request_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/signed_lines.h"
#include "tests/support/snapshot_of.h"

namespace sallyport::sip {
namespace {

using ::testing::MatchesRegex;

constexpr char kConfig[] = R"(
[edge]
domain = "edge.example"
admin = ""
[tls.federation]
certificate = "edge.pem"
trusted-ca = "ca.pem"
[[listener]]
name = "federation"
address = "192.0.2.10:5061"
zone = "outside"
[[listener]]
name = "core"
address = "10.0.0.1:5070"
transport = "udp"
zone = "inside"
allow = ["10.0.0.0/24"]
[[next-hop]]
name = "core"
zone = "inside"
targets = ["udp:10.0.0.5:5060"]
[log]
)";

std::string Shown(const std::string& log, const tls::Secret& secret, std::string_view call_id) {
  const auto snapshot = test::SnapshotOf(kConfig + log, secret);
  const CallIdText text(call_id, *snapshot);
  LogFields fields;
  text.AppendTo(fields);
  if (fields.empty()) return "no field";
  EXPECT_EQ(fields.size(), 1U);
  EXPECT_EQ(fields[0].key(), "call_id");
  return std::string(fields[0].text());
}

TEST(CallIdTextTest, IsAHashUnlessToldOtherwise) {
  const tls::Secret secret = test::SecretOf(test::kOldKey);
  const std::string hash = Shown("", secret, "a84b4c76e66710@pc33.a.example");
  EXPECT_THAT(hash, MatchesRegex("[0-9a-f]{16}"));
  EXPECT_EQ(Shown("call-id = \"hash\"", secret, "a84b4c76e66710@pc33.a.example"), hash);
  EXPECT_NE(Shown("", secret, "a84b4c76e66710@pc33.a.examplE"), hash) << "byte by byte";
  EXPECT_EQ(Shown("", secret, ""), "") << "no Call-ID is no hash";
}

// All instances show the same; without the secret it cannot be made.
TEST(CallIdTextTest, TheHashIsKeyedByTheSecretAndOutlivesItsRotation) {
  const std::string call_id = "a84b4c76e66710@pc33.a.example";
  const std::string hash = Shown("", test::SecretOf(test::kOldKey), call_id);
  EXPECT_EQ(Shown("", test::SecretOf(test::kOldKey), call_id), hash);
  EXPECT_NE(Shown("", test::SecretOf(test::kNewKey), call_id), hash);
  EXPECT_EQ(Shown("", test::RotatedSecret(), call_id), hash);
}

TEST(CallIdTextTest, PlainIsItselfAndOffIsNoField) {
  const tls::Secret secret = test::SecretOf(test::kOldKey);
  EXPECT_EQ(Shown("call-id = \"plain\"", secret, "a\"b\x1b@c"), "a\"b\x1b@c");
  EXPECT_EQ(Shown("call-id = \"off\"", secret, "a@c"), "no field");
}

TEST(CSeqTextTest, EndsWhereItsLineOrItsUseEnds) {
  EXPECT_EQ(CSeqText("2147483647 SUBSCRIBE"), "2147483647 SUBSCRIBE");
  EXPECT_EQ(CSeqText("1 INVITE\r\n From: <sip:alice@a.example>"), "1 INVITE");
  EXPECT_EQ(CSeqText("1 INVITE\n From: <sip:alice@a.example>"), "1 INVITE");
  EXPECT_EQ(CSeqText(std::string(39, '1') + "23"), std::string(39, '1') + "2");
  EXPECT_EQ(CSeqText(""), "");
}

}  // namespace
}  // namespace sallyport::sip
