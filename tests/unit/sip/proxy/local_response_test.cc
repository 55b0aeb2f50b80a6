#include "sip/proxy/local_response.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

tls::MacKey Key(uint8_t fill) {
  tls::MacKey key;
  key.fill(fill);
  return key;
}

std::string Ack(const std::string& call_id, const std::string& branch, const std::string& to_tag) {
  return "ACK sip:b@edge.example SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=" + branch +
         "\r\nFrom: <sip:a@a.example>;tag=1\r\nTo: <sip:b@edge.example>;tag=" + to_tag +
         "\r\nCall-ID: " + call_id + "\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n";
}

bool IsOurs(const LocalTag& tags, const std::string& wire) {
  MessageView ack;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, ack), ParseOutcome::kOk) << wire;
  return tags.IsAckOfOurs(ack);
}

TEST(LocalTagTest, KnowsTheAckOfItsOwnResponseAndNoOther) {
  const LocalTag tags(Key(1));
  const LocalTag::Text text = tags.Make("call", "z9hG4bK1");
  const std::string tag(text.data(), text.size());
  EXPECT_TRUE(IsOurs(tags, Ack("call", "z9hG4bK1", tag)));
  EXPECT_FALSE(IsOurs(tags, Ack("call", "z9hG4bK2", tag)));
  EXPECT_FALSE(IsOurs(tags, Ack("other", "z9hG4bK1", tag)));
  EXPECT_FALSE(IsOurs(tags, Ack("call", "z9hG4bK1", "uas")));
  EXPECT_FALSE(IsOurs(LocalTag(Key(2)), Ack("call", "z9hG4bK1", tag)));
}

TEST(LocalTagTest, FieldsThatAreAbsentOrLongAreFine) {
  const LocalTag tags(Key(1));
  EXPECT_NE(tags.Make({}, "x"), tags.Make("x", {}));
  EXPECT_EQ(tags.Make({}, {}), tags.Make({}, {}));
  EXPECT_EQ(tags.Make(std::string(5000, 'c'), std::string(5000, 'b')).size(), LocalTag::kTextBytes);
}

std::string Headers(ReasonCode reason, const std::string& extra, const RefusalContext& context,
                    size_t room = 512) {
  const std::string wire =
      "OPTIONS sip:b@edge.example SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
      "From: <sip:a@a.example>;tag=1\r\nTo: <sip:b@edge.example>\r\nCall-ID: c\r\n"
      "CSeq: 1 OPTIONS\r\n" +
      extra + "Content-Length: 0\r\n\r\n";
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  std::string storage(room, '\0');
  return std::string(RefusalHeaders(reason, request, context, storage));
}

TEST(RefusalHeadersTest, CarryWhatTheVerdictAsksFor) {
  RefusalContext context;
  context.edge = "edge.example";
  context.retry_after_seconds = 7;
  context.cause = "no next hop";
  EXPECT_EQ(
      Headers(ReasonCode::kProxyRequire, "Proxy-Require: a, b\r\nProxy-Require: c\r\n", context),
      "Unsupported: a, b, c\r\n");
  EXPECT_EQ(Headers(ReasonCode::kOverload, "", context), "Retry-After: 7\r\n");
  EXPECT_EQ(Headers(ReasonCode::kLimit, "", context), "Retry-After: 7\r\n");
  EXPECT_EQ(Headers(ReasonCode::kSips, "", context),
            "Warning: 380 edge.example \"SIPS Not Allowed\"\r\n");
  EXPECT_EQ(Headers(ReasonCode::kNextHopUnreachable, "", context),
            "Retry-After: 7\r\nWarning: 399 edge.example \"no next hop\"\r\n");
  EXPECT_EQ(Headers(ReasonCode::kRelay, "", context), "");
  context.sips_required = true;
  EXPECT_EQ(Headers(ReasonCode::kSips, "", context),
            "Warning: 381 edge.example \"SIPS Required\"\r\n");
}

TEST(RefusalHeadersTest, WhatDoesNotFitIsLeftOutWhole) {
  RefusalContext context;
  context.edge = "edge.example";
  for (size_t room = 1; room < 40; ++room) {
    const std::string text = Headers(ReasonCode::kSips, "", context, room);
    EXPECT_TRUE(text.empty() || text.ends_with("\r\n")) << room;
    const std::string tags =
        Headers(ReasonCode::kProxyRequire, "Proxy-Require: abc\r\n", context, room);
    EXPECT_TRUE(tags.empty() || tags == "Unsupported: abc\r\n") << room;
  }
}

}  // namespace
}  // namespace sallyport::sip
