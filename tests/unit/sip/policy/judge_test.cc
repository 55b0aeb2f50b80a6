#include "sip/policy/judge.h"

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

PeerStanding PeerOf(std::vector<std::string> domains, std::vector<SipIdentities::User> users = {}) {
  PeerStanding peer;
  peer.identities = SipIdentities(std::move(domains), std::move(users));
  peer.has_identity = true;
  return peer;
}

struct Request {
  std::string method = "INVITE";
  std::string from = "<sip:alice@a.example>;tag=1";
  std::string to = "<sip:bob@b.example>";
  std::string more = "";

  std::string Wire() const {
    return method +
           " sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nMax-Forwards: "
           "70\r\nFrom: " +
           from + "\r\nTo: " + to + "\r\nCall-ID: 1\r\nCSeq: 1 " + method + "\r\n" + more +
           "Content-Length: 0\r\n\r\n";
  }
};

constexpr int64_t kNow = 1'800'000'000;

IdentityDecision Judge(const PeerStanding& peer, const Request& request,
                       FromExcuse excuse = FromExcuse::kNone) {
  const std::string wire = request.Wire();
  MessageView view;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk) << wire;
  return JudgeRequest(peer, view, kNow, excuse);
}

void ExpectRefused(const IdentityDecision& decision, ReasonCode reason, HeaderId header) {
  EXPECT_FALSE(decision.accepted);
  EXPECT_EQ(CodeText(decision.reason), CodeText(reason));
  EXPECT_EQ(decision.failed_header, header);
}

TEST(JudgeTest, CoveredFromIsAccepted) {
  const IdentityDecision decision = Judge(PeerOf({"a.example"}), {});
  EXPECT_TRUE(decision.accepted);
  EXPECT_EQ(decision.verdict, FromVerdict::kCoveredByDomain);
}

TEST(JudgeTest, UserIdentityCoversThatUserOnly) {
  const PeerStanding alice = PeerOf({}, {{"alice", "a.example"}});
  EXPECT_EQ(Judge(alice, {}).verdict, FromVerdict::kCoveredByUser);
  ExpectRefused(Judge(alice, {.from = "<sip:bob@a.example>;tag=1"}), ReasonCode::kFromNotCovered,
                HeaderId::kFrom);
}

TEST(JudgeTest, ForeignFromIsRefusedForEveryMethod) {
  for (const char* const method :
       {"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "SUBSCRIBE", "NOTIFY",
        "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE", "FOO"}) {
    const Request request = {
        .method = method, .from = "<sip:alice@c.example>;tag=1", .to = "<sip:x@a.example>;tag=2"};
    ExpectRefused(Judge(PeerOf({"a.example"}), request), ReasonCode::kFromNotCovered,
                  HeaderId::kFrom);
  }
}

TEST(JudgeTest, AnonymousPeerIsRefused) {
  ExpectRefused(Judge(PeerStanding(), {}), ReasonCode::kNoIdentity, HeaderId::kOther);
}

// A certificate that proves no SIP identity is not the same as none.
TEST(JudgeTest, CertificateWithoutIdentityCoversNothing) {
  ExpectRefused(Judge(PeerOf({}), {}), ReasonCode::kFromNotCovered, HeaderId::kFrom);
}

// Names alone prove nothing while has_identity is not set.
TEST(JudgeTest, IdentitiesCountOnlyWithProof) {
  PeerStanding peer = PeerOf({"a.example"});
  peer.has_identity = false;
  ExpectRefused(Judge(peer, {}), ReasonCode::kNoIdentity, HeaderId::kOther);
}

TEST(JudgeTest, RefusedPeerIsRefusedWhateverItProves) {
  PeerStanding peer = PeerOf({"a.example"});
  peer.refused = true;
  ExpectRefused(Judge(peer, {}), ReasonCode::kPeerRefused, HeaderId::kOther);
}

TEST(JudgeTest, StandingEndsWithTheCertificateForEveryMethodAndExcuse) {
  PeerStanding peer = PeerOf({"a.example"});
  for (const char* const method : {"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "REFER"}) {
    const Request request = {.method = method, .to = "<sip:bob@a.example>;tag=2"};
    peer.not_after = kNow;
    EXPECT_TRUE(Judge(peer, request).accepted);
    EXPECT_FALSE(Judge(peer, request).has_expired);
    peer.not_after = kNow - 1;
    for (const FromExcuse excuse : {FromExcuse::kNone, FromExcuse::kDialogToken}) {
      const IdentityDecision decision = Judge(peer, request, excuse);
      ExpectRefused(decision, ReasonCode::kPeerRefused, HeaderId::kOther);
      EXPECT_TRUE(decision.has_expired);
      EXPECT_FALSE(decision.from_covered);
    }
  }
  peer.not_after = kNow;
  peer.refused = true;
  EXPECT_FALSE(Judge(peer, {}).has_expired);
}

TEST(JudgeTest, RegisterIsJudgedByToAsWell) {
  const PeerStanding peer = PeerOf({"a.example"});
  EXPECT_TRUE(Judge(peer, {.method = "REGISTER", .to = "<sip:carol@a.example>"}).accepted);
  for (const char* const to :
       {"<sip:bob@b.example>", "<tel:+15551234567>", "<sip:alice@192.0.2.1>"}) {
    ExpectRefused(Judge(peer, {.method = "REGISTER", .to = to}), ReasonCode::kRegisterForAnother,
                  HeaderId::kTo);
    EXPECT_TRUE(Judge(peer, {.method = "INVITE", .to = to}).accepted);
  }
  const PeerStanding alice = PeerOf({}, {{"alice", "a.example"}});
  for (const char* const to : {"<sip:carol@a.example>", "<sip:alice:secret@a.example>"}) {
    ExpectRefused(Judge(alice, {.method = "REGISTER", .to = to}), ReasonCode::kRegisterForAnother,
                  HeaderId::kTo);
  }
}

TEST(JudgeTest, ReferIsJudgedByReferredByAsWell) {
  const PeerStanding peer = PeerOf({"a.example"});
  const auto refer = [&peer](std::string more) {
    return Judge(peer, {.method = "REFER", .more = std::move(more)});
  };
  EXPECT_TRUE(refer("").accepted);
  EXPECT_TRUE(refer("Referred-By: <sip:carol@a.example>\r\n").accepted);
  EXPECT_TRUE(refer("b: <sip:carol@a.example>;cid=\"x@y\"\r\n").accepted);
  ExpectRefused(refer("b : <sip:carol@c.example>\r\n"), ReasonCode::kReferredByNotCovered,
                HeaderId::kReferredBy);
  ExpectRefused(refer("Referred-By: <tel:+1555>\r\n"), ReasonCode::kReferredByNotCovered,
                HeaderId::kReferredBy);
  for (const char* const value :
       {"", "x", "<sip:carol@a.example", "<sip:c@a.example>, <sip:c@c.example>",
        "<sip:carol@a..example>"}) {
    ExpectRefused(refer("Referred-By: " + std::string(value) + "\r\n"),
                  ReasonCode::kReferredByMalformed, HeaderId::kReferredBy);
  }
  ExpectRefused(refer("Referred-By: <sip:c@a.example>\r\nb: <sip:c@a.example>\r\n"),
                ReasonCode::kReferredByMalformed, HeaderId::kReferredBy);
}

TEST(JudgeTest, WithAPasswordNothingIsTheUsers) {
  const PeerStanding alice = PeerOf({}, {{"alice", "a.example"}});
  ExpectRefused(Judge(alice, {.from = "<sip:alice:secret@a.example>;tag=1"}),
                ReasonCode::kFromNotCovered, HeaderId::kFrom);
  ExpectRefused(
      Judge(alice, {.method = "REFER", .more = "Referred-By: <sip:alice:@a.example>\r\n"}),
      ReasonCode::kReferredByNotCovered, HeaderId::kReferredBy);
}

TEST(JudgeTest, ReferredByOfOtherMethodsSaysNothingAboutTheSender) {
  EXPECT_TRUE(
      Judge(PeerOf({"a.example"}), {.more = "Referred-By: <sip:carol@c.example>\r\n"}).accepted);
}

TEST(JudgeTest, ToTagExcusesNothing) {
  const Request bye = {
      .method = "BYE", .from = "<sip:x@c.example>;tag=1", .to = "<sip:alice@a.example>;tag=2"};
  ExpectRefused(Judge(PeerOf({"a.example"}), bye), ReasonCode::kFromNotCovered, HeaderId::kFrom);
}

TEST(JudgeTest, DialogTokenExcusesFromAndSaysThatItIsNotCovered) {
  const Request bye = {.method = "BYE", .from = "<sip:bob@c.example>;tag=1"};
  const IdentityDecision excused = Judge(PeerOf({"a.example"}), bye, FromExcuse::kDialogToken);
  EXPECT_TRUE(excused.accepted);
  EXPECT_FALSE(excused.from_covered);  // So nobody asserts it.
  EXPECT_EQ(excused.verdict, FromVerdict::kNotCovered);
  const IdentityDecision tel =
      Judge(PeerOf({"a.example"}), {.method = "BYE", .from = "<tel:+1900>;tag=1"},
            FromExcuse::kDialogToken);
  EXPECT_TRUE(tel.accepted);
  EXPECT_FALSE(tel.from_covered);
  ExpectRefused(Judge(PeerOf({"a.example"}), bye), ReasonCode::kFromNotCovered, HeaderId::kFrom);
}

TEST(JudgeTest, CoveredFromIsCoveredWithOrWithoutExcuse) {
  for (const FromExcuse excuse : {FromExcuse::kNone, FromExcuse::kDialogToken}) {
    const IdentityDecision decision = Judge(PeerOf({"a.example"}), {}, excuse);
    EXPECT_TRUE(decision.accepted);
    EXPECT_TRUE(decision.from_covered);
  }
}

TEST(JudgeTest, DialogTokenExcusesNothingElse) {
  const PeerStanding peer = PeerOf({"a.example"});
  ExpectRefused(Judge(PeerStanding(), {}, FromExcuse::kDialogToken), ReasonCode::kNoIdentity,
                HeaderId::kOther);
  PeerStanding refused = PeerOf({"a.example"});
  refused.refused = true;
  ExpectRefused(Judge(refused, {}, FromExcuse::kDialogToken), ReasonCode::kPeerRefused,
                HeaderId::kOther);
  // REGISTER is in no dialog.
  ExpectRefused(
      Judge(
          peer,
          {.method = "REGISTER", .from = "<sip:x@c.example>;tag=1", .to = "<sip:alice@a.example>"},
          FromExcuse::kDialogToken),
      ReasonCode::kFromNotCovered, HeaderId::kFrom);
  ExpectRefused(
      Judge(peer, {.method = "REGISTER", .to = "<sip:x@c.example>"}, FromExcuse::kDialogToken),
      ReasonCode::kRegisterForAnother, HeaderId::kTo);
  const std::string from = "<sip:bob@c.example>;tag=1";
  // A Referred-By that is not covered goes.
  const IdentityDecision dropped =
      Judge(peer, {.method = "REFER", .from = from, .more = "Referred-By: <sip:bob@c.example>\r\n"},
            FromExcuse::kDialogToken);
  EXPECT_TRUE(dropped.accepted);
  EXPECT_TRUE(dropped.drops_referred_by);
  // Where From is covered there is nothing to excuse.
  ExpectRefused(Judge(peer, {.method = "REFER", .more = "Referred-By: <sip:bob@c.example>\r\n"},
                      FromExcuse::kDialogToken),
                ReasonCode::kReferredByNotCovered, HeaderId::kReferredBy);
  ExpectRefused(
      Judge(peer, {.method = "REFER", .from = from, .more = "b: x\r\n"}, FromExcuse::kDialogToken),
      ReasonCode::kReferredByMalformed, HeaderId::kReferredBy);
  const IdentityDecision kept = Judge(
      peer, {.method = "REFER", .from = from, .more = "Referred-By: <sip:alice@a.example>\r\n"},
      FromExcuse::kDialogToken);
  EXPECT_TRUE(kept.accepted);
  EXPECT_FALSE(kept.drops_referred_by);
}

}  // namespace
}  // namespace sallyport::sip
