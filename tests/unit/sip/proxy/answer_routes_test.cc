// Goal: an answer from outside gives the caller's side exactly the route set that we sent, below
// what the callee's side adds. Method: the values as sent, and changed in each way.
#include "sip/proxy/answer_routes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sip/message/message_parser.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using test::PairUris;

const test::Dialog kDialog{"call-1", "caller-tag"};
constexpr char kK[] = "<sip:k.example;lr>";
constexpr char kP[] = "<sip:p.example;lr>";
constexpr char kX[] = "<sip:x.b.example;lr>";  // Of the callee's side.
const std::string kBrought = std::string(kK) + ", " + kP;

const DialogPairSigner& Signer() {
  static const DialogPairSigner signer(test::SecretOf(test::kOldKey));
  return signer;
}

constexpr RecordRouteUri kOutsidePlace{.host = "edge.example", .port = 5061};
constexpr RecordRouteUri kInsidePlace{
    .host = "edge.example", .port = 5070, .transport = TransportProtocol::kUdp};

DialogPair Sides() {
  return {test::InsideSide(),
          test::OutsideSide(Signer().parties().Seal(test::DomainPartyOf("b.example")))};
}

PairUris PairOf(const test::Dialog& dialog = kDialog, const DialogPair& sides = Sides()) {
  return test::WritePair(Signer(), sides, dialog, kInsidePlace, kOutsidePlace);
}

std::string Sent() { return PairOf().AsRecorded() + ", " + kBrought; }

// `routes`: the values, or several lines without the first name; empty: no Record-Route.
std::string WireOf(const std::string& routes) {
  return "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS edge.example;branch=z9hG4bK1\r\n"
         "From: <sip:alice@a.example>;tag=caller-tag\r\nTo: <sip:bob@b.example>;tag=2\r\n"
         "Call-ID: call-1\r\nCSeq: 1 INVITE\r\n" +
         (routes.empty() ? "" : "Record-Route: " + routes + "\r\n") +
         "Contact: <sip:bob@192.0.2.9>\r\nContent-Length: 0\r\n\r\n";
}

AnswerRoutes Read(const std::string& routes, const std::string& brought = kBrought,
                  const DialogPairSigner& signer = Signer()) {
  const std::string wire = WireOf(routes);
  MessageView response;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, response), ParseOutcome::kOk) << wire;
  return ReadAnswerRoutes(response, brought, DialogIdOf(kDialog.call_id, kDialog.tag), signer);
}

TEST(AnswerRoutesTest, AsSentIsTakenWithItsPair) {
  for (const std::string& brought : {kBrought, std::string(kK), std::string()}) {
    const std::string sent = PairOf().AsRecorded() + (brought.empty() ? "" : ", " + brought);
    const AnswerRoutes answer = Read(sent, brought);
    EXPECT_TRUE(answer.is_as_sent) << brought;
    EXPECT_EQ(answer.pair.caller, Sides().caller) << brought;
    EXPECT_EQ(answer.pair.callee, Sides().callee) << brought;
  }
}

// What the callee's side puts above is its own business.
TEST(AnswerRoutesTest, CalleesSideMayAddAbove) {
  const PairUris other = PairOf({.call_id = "call-2"});
  for (const std::string& above :
       {std::string(kX), std::string(kX) + ", " + kX, "<" + other.callee + ">",
        std::string("<mailto:x@b.example>"), PairOf().AsRecorded()}) {
    EXPECT_TRUE(Read(above + ", " + Sent()).is_as_sent) << above;
  }
}

TEST(AnswerRoutesTest, SpreadAndReprintedIsAsSent) {
  const PairUris pair = PairOf();
  EXPECT_TRUE(Read("<" + pair.callee + ">\r\nRecord-Route: <" + pair.caller +
                   ">\r\nRecord-Route: <sip:K.example;lr=on>\r\nRecord-Route: " + kP)
                  .is_as_sent);
  EXPECT_TRUE(Read("<" + pair.callee + ";dt=abc>, <" + pair.caller + ">, " + kBrought).is_as_sent);
  EXPECT_TRUE(Read(pair.AsRecorded() + ",\r\n " + kK + " , \"P, p\" " + kP).is_as_sent);
}

TEST(AnswerRoutesTest, EveryOtherListIsNotAsSent) {
  const PairUris pair = PairOf();
  const std::string lines = pair.AsRecorded();
  const std::string k = kK;
  const std::string p = kP;
  for (const std::string& routes : std::vector<std::string>{
           "",
           kBrought,  // Our pair is dropped.
           std::string(kX) + ", " + kBrought,
           lines,  // What the request brought is.
           lines + ", " + k,
           lines + ", " + p,
           lines + ", " + p + ", " + k,
           lines + ", " + k + ", " + p + ", " + kX,  // Something follows.
           lines + ", " + kX + ", " + k + ", " + p,  // Something stands between.
           lines + ", " + k + ", " + kX + ", " + p,
           lines + ", " + k + ", " + k + ", " + p,
           lines + ", <sips:k.example;lr>, " + p,
           lines + ", <sip:k.example;lr;maddr=192.0.2.66>, " + p,
           lines + ", <sip:k.example>, " + p,
           "<" + pair.callee + ">, " + kX + ", <" + pair.caller + ">, " + kBrought,
           "<" + pair.callee + ">, " + kBrought,  // A half.
           "<" + pair.caller + ">, " + kBrought,
           pair.FromCaller() + ", " + kBrought,  // In the other order.
           PairOf({.call_id = "call-2"}).AsRecorded() + ", " + kBrought,
           PairOf({.tag = "2"}).AsRecorded() + ", " + kBrought,
           lines + ", " + k + ", " + p + ", <sip:q.example",  // Unreadable.
       }) {
    EXPECT_FALSE(Read(routes).is_as_sent) << routes;
  }
  const DialogPairSigner stranger(test::SecretOf(test::kNewKey));
  EXPECT_FALSE(Read(Sent(), kBrought, stranger).is_as_sent);
}

TEST(AnswerRoutesTest, EveryChangedCharacterOfThePairIsNotAsSent) {
  const std::string sent = Sent();
  for (const size_t begin : {size_t{5}, sent.find(">, <") + 8}) {
    for (size_t at = begin; sent[at] != '@'; ++at) {
      std::string changed = sent;
      changed[at] = changed[at] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(Read(changed).is_as_sent) << at;
    }
  }
}

// The caller of this function compares the fields.
TEST(AnswerRoutesTest, PairOfAnotherEndpointIsTold) {
  DialogPair sides = Sides();
  sides.callee.flow.connection.slot ^= 1;
  const AnswerRoutes answer = Read(PairOf(kDialog, sides).AsRecorded() + ", " + kBrought);
  ASSERT_TRUE(answer.is_as_sent);
  EXPECT_EQ(answer.pair.callee, sides.callee);
  EXPECT_NE(answer.pair.callee, Sides().callee);
}

TEST(AnswerRoutesTest, SingleLineStandsAlone) {
  const PairUris single = test::WritePair(Signer(), Sides(), kDialog, kOutsidePlace, kOutsidePlace);
  const std::string line = "<" + single.caller + ">";
  EXPECT_TRUE(Read(line + ", " + kBrought).is_as_sent);
  EXPECT_TRUE(Read(std::string(kX) + ", " + line, "").is_as_sent);
  EXPECT_FALSE(Read(line + ", " + kX + ", " + kBrought).is_as_sent);
}

// A value that we cannot compare is not as we sent it.
TEST(AnswerRoutesTest, WhatHasNoCanonicalFormIsReplaced) {
  for (const char* brought : {"<sip:k.example;lr?Subject=x>", "<mailto:k@k.example>"}) {
    EXPECT_FALSE(Read(PairOf().AsRecorded() + ", " + brought, brought).is_as_sent) << brought;
  }
}

TEST(AnswerRoutesTest, ValuesHaveABound) {
  for (const size_t above : {60UL, 61UL, 200UL}) {  // With our pair and two that were brought: 64.
    std::string routes;
    for (size_t i = 0; i < above; ++i) routes += std::string(kX) + ", ";
    EXPECT_EQ(Read(routes + Sent()).is_as_sent, above <= 60) << above;
  }
}

// -- What it becomes -----------------------------------------------------------------------------

std::vector<std::string> Replaced(const std::string& routes, const std::string& brought) {
  const std::string wire = WireOf(routes);
  MessageView response;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, response), ParseOutcome::kOk) << wire;
  MessageEdit edit;
  edit.Reset(response.bytes());
  const PairUris pair = PairOf();
  ReplaceRecordRoutes(
      response, "Record-Route: <" + pair.callee + ">\r\nRecord-Route: <" + pair.caller + ">\r\n",
      brought, edit);
  EXPECT_TRUE(edit.ok());
  std::string out(edit.size(), '\0');
  EXPECT_EQ(edit.CopyTo(out), out.size());
  MessageView again;
  EXPECT_EQ(ParseMessage(out, Framing::kStream, again), ParseOutcome::kOk) << out;
  EXPECT_TRUE(ReadAnswerRoutes(again, brought, DialogIdOf(kDialog.call_id, kDialog.tag), Signer())
                  .is_as_sent);
  std::vector<std::string> lines;
  for (const HeaderField* line = again.First(HeaderId::kRecordRoute); line != nullptr;
       line = again.NextSame(line)) {
    lines.emplace_back(line->value);
  }
  EXPECT_EQ(again.First(HeaderId::kContact)->value, "<sip:bob@192.0.2.9>");
  return lines;
}

TEST(AnswerRoutesTest, AllOfItBecomesOurPairAndWhatWasBrought) {
  const PairUris pair = PairOf();
  const std::string callee = "<" + pair.callee + ">";
  const std::string caller = "<" + pair.caller + ">";
  for (const std::string& routes :
       {std::string(), std::string("<sip:evil.example;lr>"),
        std::string("<sip:evil.example;lr>\r\nX-Between: y\r\nrecord-route : ") + kBrought,
        pair.AsRecorded() + ", <sip:evil.example;lr>"}) {
    EXPECT_EQ(Replaced(routes, kBrought), (std::vector<std::string>{callee, caller, kBrought}));
    EXPECT_EQ(Replaced(routes, ""), (std::vector<std::string>{callee, caller}));
  }
}

}  // namespace
}  // namespace sallyport::sip
