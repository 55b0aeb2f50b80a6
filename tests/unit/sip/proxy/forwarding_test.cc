#include "sip/proxy/forwarding.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/message_parser.h"
#include "sip/proxy/served_names.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

std::string Text(const MessageEdit& edit) {
  EXPECT_TRUE(edit.ok());
  std::string out(edit.size(), '\0');
  EXPECT_EQ(edit.CopyTo(out), out.size());
  return out;
}

std::string Forward(const std::string& wire, const ForwardedRequest& forwarded) {
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  MessageEdit edit;
  edit.Reset(request.bytes());
  EditRequest(request, forwarded, edit);
  return Text(edit);
}

constexpr char kOurVia[] = "Via: SIP/2.0/UDP edge.example:5070;branch=z9hG4bKours;rport\r\n";

TEST(ForwardingTest, MarksViaLowersHopsAndAssertsIdentity) {
  EXPECT_EQ(Forward("MESSAGE sip:bob@edge.example SIP/2.0\r\n"
                    "Via: SIP/2.0/TLS a.example;branch=z9hG4bK1;rport\r\n"
                    "Max-Forwards: 70\r\nFrom: Alice <sip:alice@a.example>;tag=1\r\n"
                    "To: <sip:bob@edge.example>\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n"
                    "P-Asserted-Identity : <sip:boss@a.example>\r\nContent-Length: 2\r\n\r\nhi",
                    {.received = "192.0.2.9", .rport = "4711"}),
            "MESSAGE sip:bob@edge.example SIP/2.0\r\n"
            "Via: SIP/2.0/TLS a.example;branch=z9hG4bK1;rport=4711;received=192.0.2.9\r\n"
            "Max-Forwards: 69\r\nFrom: Alice <sip:alice@a.example>;tag=1\r\n"
            "To: <sip:bob@edge.example>\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n"
            "Content-Length: 2\r\nP-Asserted-Identity: <sip:alice@a.example>\r\n\r\nhi");
}

TEST(ForwardingTest, Rfc3261_16_6_3_MaxForwardsIsAdded) {
  const std::string out = Forward(
      "OPTIONS sip:bob@edge.example SIP/2.0\r\nv: SIP/2.0/TLS 192.0.2.9;branch=z9hG4bK1\r\n"
      "f: <sip:alice@a.example>;tag=1\r\nt: <sip:bob@edge.example>\r\ni: c\r\nCSeq: 1 OPTIONS\r\n"
      "Route: <sip:next.example;lr>\r\nl: 0\r\n\r\n",
      {.asserted_header = AssertedHeader::kNone});
  EXPECT_NE(out.find("Max-Forwards: 70\r\n"), std::string::npos) << out;
  EXPECT_NE(out.find("<sip:next.example;lr>"), std::string::npos) << out;
  EXPECT_EQ(out.find("P-Asserted-Identity"), std::string::npos) << out;
}

// An excused REFER may not name a party that nothing covers; what came from outside has no Path.
TEST(ForwardingTest, ReferredByAndPathGoOnlyWhereAsked) {
  const std::string wire =
      "REFER sip:bob@edge.example SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
      "Max-Forwards: 70\r\nFrom: <sip:alice@a.example>;tag=1\r\nb: <sip:boss@a.example>\r\n"
      "Path: <sip:p.example;lr>\r\nReferred-By: <sip:ceo@a.example>\r\n"
      "To: <sip:bob@edge.example>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REFER\r\nPath: <sip:q.example>\r\n"
      "Refer-To: <sip:carol@c.example>\r\nContent-Length: 0\r\n\r\n";
  for (const bool removes_path : {true, false}) {
    for (const bool removes_referred_by : {true, false}) {
      const std::string out = Forward(wire, {.removes_path = removes_path,
                                             .removes_referred_by = removes_referred_by,
                                             .asserted_header = AssertedHeader::kNone});
      EXPECT_EQ(out.find("Path:") == std::string::npos, removes_path) << out;
      EXPECT_EQ(out.find("boss@") == std::string::npos, removes_referred_by) << out;
      EXPECT_EQ(out.find("ceo@") == std::string::npos, removes_referred_by) << out;
      EXPECT_NE(out.find("Refer-To: <sip:carol@c.example>\r\n"), std::string::npos) << out;
    }
  }
}

// The Record-Route lines that a NOTIFY with this Route gets.
std::string Recorded(const std::string& route) {
  const std::string wire =
      "NOTIFY sip:alice@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP k.example;branch=z9hG4bK1\r\n"
      "From: <sip:bob@edge.example>;tag=2\r\nTo: <sip:alice@a.example>;tag=1\r\nCall-ID: c\r\n"
      "CSeq: 1 NOTIFY\r\nRecord-Route: <sip:k.example;lr>\r\nRoute: " +
      route + "\r\nContent-Length: 0\r\n\r\n";
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  const OwnRoutes routes = ReadOwnRoutes(request, ServedNames({}, {}), Zone::kInside);
  EXPECT_EQ(routes.token, OwnRoutes::Token::kPair);
  MessageEdit edit;
  edit.Reset(request.bytes());
  RecordPairAgain(request, routes, edit);
  const std::string out = Text(edit);
  // Above all others.
  const size_t begin = out.find("\r\n") + 2;
  return out.substr(begin, out.find("Via: ") - begin);
}

// RFC 6665 §4.3: the subscriber makes its route set from the NOTIFY, in reverse.
TEST(ForwardingTest, Rfc6665_4_3_NotifyRecordsItsPairAgainInReverse) {
  const DialogPairSigner signer(test::SecretOf(test::kOldKey));
  const RecordRouteUri outside{.host = "edge.example", .port = 5061};
  const RecordRouteUri inside{
      .host = "edge.example", .port = 5070, .transport = TransportProtocol::kUdp};
  const DialogPair sides{test::OutsideSide({}), test::InsideSide()};
  const test::PairUris pair = test::WritePair(signer, sides, {}, outside, inside);
  const auto line = [](const std::string& uri) { return "Record-Route: <" + uri + ">\r\n"; };
  EXPECT_EQ(Recorded(pair.FromCallee()), line(pair.caller) + line(pair.callee));
  EXPECT_EQ(Recorded(pair.FromCaller()), line(pair.callee) + line(pair.caller));
  EXPECT_EQ(Recorded("<" + pair.caller + ">"), line(pair.caller));
  const test::PairUris single = test::WritePair(signer, sides, {}, outside, outside);
  EXPECT_EQ(Recorded("<" + single.caller + ">, <sip:p.example;lr>"), line(single.caller));
}

// The dialog token is for the side that presented it.
TEST(ForwardingTest, PairIsRecordedAgainWithoutItsDialogToken) {
  const DialogPairSigner signer(test::SecretOf(test::kOldKey));
  const RecordRouteUri outside{.host = "edge.example", .port = 5061};
  const RecordRouteUri inside{
      .host = "edge.example", .port = 5070, .transport = TransportProtocol::kUdp};
  const test::PairUris pair =
      test::WritePair(signer, {test::InsideSide(), test::OutsideSide({})}, {}, inside, outside);
  for (const auto& [written, kept] :
       {std::pair(";dt=abc", ""), std::pair(";DT=abc;x=y", ";x=y"), std::pair(";x=y;dt=a", ";x=y"),
        std::pair(";ob;dt=abc-_09;lr2", ";ob;lr2")}) {
    EXPECT_EQ(
        Recorded("<" + pair.callee + written + ">, <" + pair.caller + ">"),
        "Record-Route: <" + pair.caller + ">\r\nRecord-Route: <" + pair.callee + kept + ">\r\n")
        << written;
  }
}

// RFC 3325 §5: what the inside asserts stays as it is on the way to the inside.
TEST(ForwardingTest, KeepsIdentityWithinTheTrustDomain) {
  const std::string out = Forward(
      "MESSAGE sip:bob@edge.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n"
      "Max-Forwards: 70\r\nFrom: <sip:alice@a.example>;tag=1\r\n"
      "To: <sip:bob@edge.example>\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n"
      "P-Asserted-Identity: <sip:boss@a.example>\r\nContent-Length: 0\r\n\r\n",
      {.identity = IdentityCrossing::kWithin, .asserted_header = AssertedHeader::kNone});
  EXPECT_NE(out.find("P-Asserted-Identity: <sip:boss@a.example>\r\n"), std::string::npos) << out;
}

// RFC 3261 §16.7 step 6.
TEST(ForwardingTest, Rfc3261_16_7_6_OverloadOfOneTargetIsHidden) {
  const std::string wire =
      "SIP/2.0 503 Come Back Later\r\nVia: SIP/2.0/UDP edge.example;branch=z9hG4bK0\r\n"
      "Via: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\nFrom: <sip:alice@a.example>;tag=1\r\n"
      "To: <sip:bob@edge.example>;tag=2\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\nContent-Length: "
      "0\r\n\r\n";
  MessageView response;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, response), ParseOutcome::kOk);
  MessageEdit edit;
  edit.Reset(response.bytes());
  EditResponse(response, IdentityCrossing::kLeaves, edit);
  HideOverload(response, edit);
  const std::string out = Text(edit);
  EXPECT_TRUE(out.starts_with("SIP/2.0 500 Server Internal Error\r\nVia: SIP/2.0/TLS a.example"))
      << out;
}

TEST(ForwardingTest, Rfc3261_16_7_3_ResponseLosesOurVia) {
  const std::string wire =
      "SIP/2.0 200 OK\r\n" + std::string(kOurVia) +
      "Via: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
      "From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@edge.example>;tag=2\r\nCall-ID: c\r\n"
      "CSeq: 1 MESSAGE\r\nP-Asserted-Identity: <sip:bob@edge.example>\r\nContent-Length: 0\r\n\r\n";
  MessageView response;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, response), ParseOutcome::kOk);
  MessageEdit edit;
  edit.Reset(response.bytes());
  EditResponse(response, IdentityCrossing::kLeaves, edit);
  EXPECT_EQ(
      Text(edit),
      "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
      "From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@edge.example>;tag=2\r\nCall-ID: c\r\n"
      "CSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n");
}

TEST(ForwardingTest, Rfc3261_9_1_AckAndCancelCarryOneViaAndTheSameRoute) {
  const std::string wire =
      "INVITE sip:bob@edge.example SIP/2.0\r\n" + std::string(kOurVia) +
      "Via: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\nRoute: <sip:next.example;lr>\r\nMax-Forwards: "
      "69\r\n"
      "From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@edge.example>\r\nCall-ID: c\r\n"
      "CSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n";
  MessageView sent;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, sent), ParseOutcome::kOk);
  const HopByHop ack{.method = "ACK", .via_line = kOurVia, .to = "<sip:bob@edge.example>;tag=2"};
  std::string out(1024, '\0');
  out.resize(WriteHopByHop(ack, sent, out));
  EXPECT_EQ(out, "ACK sip:bob@edge.example SIP/2.0\r\n" + std::string(kOurVia) +
                     "Max-Forwards: 70\r\nRoute: <sip:next.example;lr>\r\n"
                     "From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@edge.example>;tag=2\r\n"
                     "Call-ID: c\r\nCSeq: 7 ACK\r\nContent-Length: 0\r\n\r\n");
  for (size_t size = 0; size < out.size(); ++size) {
    std::string small(size, '\0');
    EXPECT_EQ(WriteHopByHop(ack, sent, small), 0U) << size;
  }
}

TEST(ForwardingTest, LinesAreCopiedAsTheyStand) {
  const std::string wire =
      "CANCEL sip:bob@edge.example SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
      "Reason: SIP;cause=200;\r\n text=\"x\"\r\nFrom: <sip:alice@a.example>;tag=1\r\n"
      "To: <sip:bob@edge.example>\r\nREASON : Q.850;cause=26\r\nCall-ID: c\r\nCSeq: 7 CANCEL\r\n"
      "Content-Length: 0\r\n\r\n";
  const std::string lines = "Reason: SIP;cause=200;\r\n text=\"x\"\r\nREASON : Q.850;cause=26\r\n";
  MessageView cancel;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, cancel), ParseOutcome::kOk);
  std::string out(lines.size(), '\0');
  EXPECT_EQ(CopyLines(cancel, HeaderId::kReason, out), lines.size());
  EXPECT_EQ(out, lines);
  std::string small(lines.size() - 1, '\0');
  EXPECT_EQ(CopyLines(cancel, HeaderId::kReason, small), 0U);
  EXPECT_EQ(CopyLines(cancel, HeaderId::kPrivacy, out), 0U);
}

TEST(ForwardingTest, Rfc3326_2_HopByHopCarriesTheLinesThatItIsGiven) {
  const std::string wire =
      "INVITE sip:bob@edge.example SIP/2.0\r\n" + std::string(kOurVia) +
      "From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@edge.example>\r\nCall-ID: c\r\n"
      "CSeq: 7 INVITE\r\nReason: of the INVITE\r\nContent-Length: 0\r\n\r\n";
  MessageView sent;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, sent), ParseOutcome::kOk);
  const HopByHop cancel{.method = "CANCEL",
                        .via_line = kOurVia,
                        .to = "<sip:bob@edge.example>",
                        .headers = "Reason: SIP;cause=200\r\nReason: Q.850;cause=26\r\n"};
  std::string out(1024, '\0');
  out.resize(WriteHopByHop(cancel, sent, out));
  EXPECT_EQ(out, "CANCEL sip:bob@edge.example SIP/2.0\r\n" + std::string(kOurVia) +
                     "Max-Forwards: 70\r\nFrom: <sip:alice@a.example>;tag=1\r\n"
                     "To: <sip:bob@edge.example>\r\nCall-ID: c\r\nCSeq: 7 CANCEL\r\n"
                     "Reason: SIP;cause=200\r\nReason: Q.850;cause=26\r\n"
                     "Content-Length: 0\r\n\r\n");
}

}  // namespace
}  // namespace sallyport::sip
