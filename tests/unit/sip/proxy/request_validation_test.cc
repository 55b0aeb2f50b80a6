#include "sip/proxy/request_validation.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "sip/message/message_parser.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

constexpr uint32_t kProcess = 7;

BranchSigner Signer(uint32_t process = kProcess) {
  return BranchSigner(test::SecretOf(test::kOldKey), process);
}

std::string Wire(const std::string& uri, const std::string& headers) {
  return "MESSAGE " + uri +
         " SIP/2.0\r\nFrom: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@edge.example>\r\n"
         "Call-ID: c\r\nCSeq: 1 MESSAGE\r\n" +
         headers + "Content-Length: 0\r\n\r\n";
}

constexpr tls::MacKey kKey{7};
constexpr char kVia[] = "Via: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n";

std::optional<ReasonCode> Validate(const std::string& wire, Zone from = Zone::kOutside) {
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  return ValidateRequest(request, from, LoopHash(request, kKey), Signer());
}

TEST(RequestValidationTest, Rfc3261_16_3_ChecksInTheOrderOfTheSection) {
  EXPECT_EQ(Validate(Wire("sip:b@edge.example", kVia)), std::nullopt);
  EXPECT_EQ(Validate(Wire("soap.beep://edge.example/x", std::string(kVia) + "Max-Forwards: 0\r\n")),
            ReasonCode::kUriScheme);
  EXPECT_EQ(Validate(Wire("sip:b@edge.example",
                          std::string(kVia) + "Max-Forwards: 0\r\nProxy-Require: x\r\n")),
            ReasonCode::kMaxForwards);
  EXPECT_EQ(Validate(Wire("sip:b@edge.example", std::string(kVia) + "Max-Forwards: 1\r\n")),
            std::nullopt);
  EXPECT_EQ(Validate(Wire("sip:b@edge.example", std::string(kVia) + "Proxy-Require: x\r\n")),
            ReasonCode::kProxyRequire);
}

// Numbers and URNs go by [[route]]; nothing else without a host goes anywhere.
TEST(RequestValidationTest, SchemesThatARouteMayTakePass) {
  for (const char* const uri : {"tel:+1900", "TEL:112", "urn:service:sos", "URN:nena:service:x"}) {
    EXPECT_EQ(Validate(Wire(uri, kVia)), std::nullopt) << uri;
  }
  for (const char* const uri : {"http://edge.example/", "im:bob@edge.example", "urnx:service:sos",
                                "ur:n", "mailto:bob@edge.example"}) {
    EXPECT_EQ(Validate(Wire(uri, kVia)), ReasonCode::kUriScheme) << uri;
  }
}

TEST(RequestValidationTest, Rfc5393_5_3_3_NoBreadthLeftIsRefusedLast) {
  const std::string uri = "sip:b@edge.example";
  const std::string zero = std::string(kVia) + "Max-Breadth: 0\r\n";
  EXPECT_EQ(Validate(Wire(uri, zero)), ReasonCode::kMaxBreadth);
  EXPECT_EQ(Validate(Wire(uri, zero + "Proxy-Require: x\r\n")), ReasonCode::kProxyRequire);
  EXPECT_EQ(Validate(Wire(uri, zero + "Max-Forwards: 0\r\n")), ReasonCode::kMaxForwards);
  for (const char* more : {"1", "60", "4711"}) {
    EXPECT_EQ(Validate(Wire(uri, std::string(kVia) + "Max-Breadth: " + more + "\r\n")),
              std::nullopt);
  }
}

// Syntax comes before all else.
TEST(RequestValidationTest, MalformedMaxBreadthIsMalformed) {
  for (const char* headers : {"Max-Breadth: x\r\n", "Max-Breadth: 1\r\nMax-Breadth: 1\r\n"}) {
    EXPECT_EQ(
        Validate(Wire("sip:b@edge.example", std::string(kVia) + headers + "Max-Forwards: 0\r\n")),
        ReasonCode::kMalformed);
  }
}

std::string OwnVia(uint32_t loop_hash, const BranchSigner& signer = Signer(),
                   Zone origin = Zone::kOutside) {
  return "SIP/2.0/UDP edge.example;branch=" +
         test::BranchText(signer, {0, 1, 2, 0, 0, origin, loop_hash});
}

// §16.3 step 4: our Via with the same hash is a loop, with another it is a spiral.
TEST(RequestValidationTest, Rfc3261_16_3_4_TellsLoopFromSpiral) {
  const std::string uri = "sip:b@edge.example";
  MessageView request;
  const std::string wire = Wire(uri, kVia);
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk);
  const uint32_t hash = LoopHash(request, kKey);
  EXPECT_NE(hash, LoopHash(request, tls::MacKey{8})) << "everybody could tell how it is made";
  const std::string other = "SIP/2.0/TLS a.example;branch=z9hG4bK1";
  EXPECT_EQ(Validate(Wire(uri, "Via: " + OwnVia(hash) + "\r\n")), ReasonCode::kLoop);
  EXPECT_EQ(Validate(Wire(uri, "Via: " + other + "\r\nVia: " + OwnVia(hash) + "\r\n")),
            ReasonCode::kLoop);
  EXPECT_EQ(Validate(Wire(uri, "Via: " + other + ", " + OwnVia(hash) + "\r\n")), ReasonCode::kLoop);
  EXPECT_EQ(Validate(Wire(uri, "Via: " + other + ", " + OwnVia(hash + 1) + "\r\n")), std::nullopt);
  EXPECT_EQ(Validate(Wire("sip:c@edge.example", "Via: " + OwnVia(hash) + "\r\n")), std::nullopt);
}

// Goal: what came from outside is never taken for the inside's own on a second pass. Method: our
// Via on top of what comes from inside, of every instance, origin and loop hash.
TEST(RequestValidationTest, TopmostViaOfOursFromInsideIsALoop) {
  const std::string uri = "sip:b@edge.example";
  const std::string other = "Via: SIP/2.0/TCP k.example;branch=z9hG4bK1\r\n";
  for (const uint32_t process : {kProcess, kProcess + 1}) {
    for (const Zone origin : {Zone::kInside, Zone::kOutside}) {
      const std::string ours = "Via: " + OwnVia(4711, Signer(process), origin) + "\r\n";
      EXPECT_EQ(Validate(Wire(uri, ours), Zone::kInside), ReasonCode::kLoop);
      EXPECT_EQ(Validate(Wire(uri, ours + other), Zone::kInside), ReasonCode::kLoop);
      // Below another it is a spiral: K sends a call out again.
      EXPECT_EQ(Validate(Wire(uri, other + ours), Zone::kInside), std::nullopt);
      // Another edge may stand in front of us.
      EXPECT_EQ(Validate(Wire(uri, ours + other), Zone::kOutside), std::nullopt);
    }
  }
}

TEST(RequestValidationTest, ViaOfTheFormThatWeDidNotWriteIsNoLoop) {
  const BranchSigner stranger(test::SecretOf(test::kNewKey), kProcess);
  const std::string via = "Via: " + OwnVia(4711, stranger) + "\r\n";
  EXPECT_EQ(Validate(Wire("sip:b@edge.example", via), Zone::kInside), std::nullopt);
}

TEST(RequestValidationTest, LoopFromInsideIsToldAfterSchemeAndHops) {
  const std::string ours = "Via: " + OwnVia(4711) + "\r\n";
  EXPECT_EQ(Validate(Wire("soap.beep://edge.example/x", ours), Zone::kInside),
            ReasonCode::kUriScheme);
  EXPECT_EQ(Validate(Wire("sip:b@edge.example", ours + "Max-Forwards: 0\r\n"), Zone::kInside),
            ReasonCode::kMaxForwards);
  EXPECT_EQ(Validate(Wire("sip:b@edge.example", ours + "Proxy-Require: x\r\n"), Zone::kInside),
            ReasonCode::kLoop);
}

}  // namespace
}  // namespace sallyport::sip
