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

std::string LinesOf(const PairUris& pair) {
  std::string lines;
  for (const std::string& uri : {pair.callee, pair.caller}) {
    if (!uri.empty()) lines.append("Record-Route: <").append(uri).append(">\r\n");
  }
  return lines;
}

bool IsAsSent(const std::string& routes, const std::string& brought = kBrought,
              const std::string& lines = LinesOf(PairOf())) {
  const std::string wire = WireOf(routes);
  MessageView response;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, response), ParseOutcome::kOk) << wire;
  return HasRoutesAsSent(response, lines, brought);
}

TEST(AnswerRoutesTest, AsSentIsTaken) {
  for (const std::string& brought : {kBrought, std::string(kK), std::string()}) {
    const std::string sent = PairOf().AsRecorded() + (brought.empty() ? "" : ", " + brought);
    EXPECT_TRUE(IsAsSent(sent, brought)) << brought;
  }
}

TEST(AnswerRoutesTest, WithoutLinesOfOursNothingIsAsSent) {
  EXPECT_FALSE(IsAsSent(kBrought, kBrought, ""));
}

// What the callee's side puts above is its own business.
TEST(AnswerRoutesTest, CalleesSideMayAddAbove) {
  const PairUris other = PairOf({.call_id = "call-2"});
  for (const std::string& above :
       {std::string(kX), std::string(kX) + ", " + kX, "<" + other.callee + ">",
        std::string("<mailto:x@b.example>"), PairOf().AsRecorded()}) {
    EXPECT_TRUE(IsAsSent(above + ", " + Sent())) << above;
  }
}

TEST(AnswerRoutesTest, SpreadAndReprintedIsAsSent) {
  const PairUris pair = PairOf();
  EXPECT_TRUE(IsAsSent("<" + pair.callee + ">\r\nRecord-Route: <" + pair.caller +
                       ">\r\nRecord-Route: <sip:K.example;lr=on>\r\nRecord-Route: " + kP));
  EXPECT_TRUE(IsAsSent(pair.AsRecorded() + ",\r\n " + kK + " , " + kP));
}

// It is judged where it is used, and tells the time at which it was written.
TEST(AnswerRoutesTest, DialogTokenDoesNotCount) {
  const PairUris pair = PairOf();
  PairUris with = pair;
  with.callee += ";dt=abc";
  PairUris with_other = pair;
  with_other.callee += ";dt=abd";
  for (const PairUris& returned : {pair, with, with_other}) {
    EXPECT_TRUE(IsAsSent(returned.AsRecorded() + ", " + kBrought, kBrought, LinesOf(with)));
  }
}

TEST(AnswerRoutesTest, LineThatLeadsElsewhereIsNotAsSent) {
  const PairUris pair = PairOf();
  for (const char* change : {";maddr=192.0.2.66", ";ttl=1", "?Subject=x"}) {
    EXPECT_FALSE(IsAsSent("<" + pair.callee + change + ">, <" + pair.caller + ">, " + kBrought))
        << change;
  }
  const size_t user_end = pair.callee.find('@');
  for (const char* place :
       {"@other.example:5061;transport=tls;lr", "@edge.example:5062;transport=tls;lr",
        "@edge.example:5061;lr", ":pw@edge.example:5061;transport=tls;lr"}) {
    EXPECT_FALSE(IsAsSent("<" + pair.callee.substr(0, user_end) + place + ">, <" + pair.caller +
                          ">, " + kBrought))
        << place;
  }
  EXPECT_TRUE(IsAsSent("<" + pair.callee.substr(0, user_end) +
                       "@EDGE.example:5061;lr=true;transport=TLS>, <" + pair.caller + ">, " +
                       kBrought));
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
    EXPECT_FALSE(IsAsSent(routes)) << routes;
  }
  DialogPair sides = Sides();  // Of another endpoint.
  sides.callee.flow.connection.slot ^= 1;
  EXPECT_FALSE(IsAsSent(PairOf(kDialog, sides).AsRecorded() + ", " + kBrought));
}

TEST(AnswerRoutesTest, EveryChangedCharacterOfThePairIsNotAsSent) {
  const std::string sent = Sent();
  for (const size_t begin : {size_t{5}, sent.find(">, <") + 8}) {
    for (size_t at = begin; sent[at] != '@'; ++at) {
      std::string changed = sent;
      changed[at] = changed[at] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(IsAsSent(changed)) << at;
    }
  }
}

TEST(AnswerRoutesTest, SingleLineStandsAlone) {
  const PairUris single = test::WritePair(Signer(), Sides(), kDialog, kOutsidePlace, kOutsidePlace);
  const std::string line = "<" + single.caller + ">";
  const std::string lines = LinesOf(single);
  EXPECT_TRUE(IsAsSent(line + ", " + kBrought, kBrought, lines));
  EXPECT_TRUE(IsAsSent(std::string(kX) + ", " + line, "", lines));
  EXPECT_FALSE(IsAsSent(line + ", " + kX + ", " + kBrought, kBrought, lines));
}

// Such a value can be compared as text only.
TEST(AnswerRoutesTest, WhatHasNoCanonicalFormIsTakenUnchangedOnly) {
  for (const std::string brought : {"<sip:k.example;lr?Subject=x>", "<mailto:k@k.example>"}) {
    EXPECT_TRUE(IsAsSent(PairOf().AsRecorded() + ", " + brought, brought)) << brought;
    EXPECT_FALSE(IsAsSent(PairOf().AsRecorded() + ", K " + brought, brought)) << brought;
  }
}

TEST(AnswerRoutesTest, ValuesHaveABound) {
  for (const size_t above : {60UL, 61UL, 200UL}) {  // With our pair and two that were brought: 64.
    std::string routes;
    for (size_t i = 0; i < above; ++i) routes += std::string(kX) + ", ";
    EXPECT_EQ(IsAsSent(routes + Sent()), above <= 60) << above;
  }
}

// -- What it becomes -----------------------------------------------------------------------------

std::vector<std::string> Replaced(const std::string& routes, const std::string& brought) {
  const std::string wire = WireOf(routes);
  MessageView response;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, response), ParseOutcome::kOk) << wire;
  MessageEdit edit;
  edit.Reset(response.bytes());
  const std::string ours = LinesOf(PairOf());
  ReplaceRecordRoutes(response, ours, brought, edit);
  EXPECT_TRUE(edit.ok());
  std::string out(edit.size(), '\0');
  EXPECT_EQ(edit.CopyTo(out), out.size());
  MessageView again;
  EXPECT_EQ(ParseMessage(out, Framing::kStream, again), ParseOutcome::kOk) << out;
  EXPECT_TRUE(HasRoutesAsSent(again, ours, brought));
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
