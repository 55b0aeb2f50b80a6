#include "sip/policy/identity_headers.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

std::string Wire(std::string_view headers, std::string_view from = "<sip:alice@a.example>;tag=1",
                 std::string_view method = "INVITE") {
  const std::string name(method);
  return name + " sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: " +
         std::string(from) + "\r\nTo: <sip:bob@b.example>\r\nCall-ID: 1\r\nCSeq: 1 " + name +
         "\r\n" + std::string(headers) + "Content-Length: 4\r\n\r\nbody";
}

std::string Text(const MessageEdit& edit) {
  EXPECT_TRUE(edit.ok());
  std::string text(edit.size(), '\0');
  EXPECT_EQ(edit.CopyTo(text), text.size());
  return text;
}

std::string WithoutIdentityHeaders(const std::string& wire,
                                   IdentityCrossing crossing = IdentityCrossing::kEnters) {
  MessageView view;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk) << wire;
  MessageEdit edit;
  edit.Reset(view.bytes());
  RemoveIdentityHeaders(view, crossing, edit);
  return Text(edit);
}

// The header that was appended, without line end; empty if there is none.
std::string Asserted(std::string_view from,
                     AssertedHeader mode = AssertedHeader::kPAssertedIdentity,
                     std::string_view method = "INVITE") {
  const std::string wire = Wire("", from, method);
  MessageView view;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk) << wire;
  MessageEdit edit;
  edit.Reset(view.bytes());
  AssertIdentity(view, view.from().uri, mode, edit);
  const std::string text = Text(edit);
  MessageView again;
  EXPECT_EQ(ParseMessage(text, Framing::kStream, again), ParseOutcome::kOk) << text;
  EXPECT_EQ(again.body(), "body");
  if (text.size() == wire.size()) return "";
  const HeaderField& last = again.headers().back();
  return std::string(last.name) + ": " + std::string(last.value);
}

TEST(IdentityHeadersTest, AllSpellingsAndRepetitionsGo) {
  for (const char* const header : {
           "P-Asserted-Identity: <sip:bob@b.example>\r\n",
           "P-Asserted-Identity : <sip:bob@b.example>\r\n",
           "P-Asserted-Identity\t \t: <sip:bob@b.example>\r\n",
           "p-ASSERTED-identity:\r\n <sip:bob@b.example>\r\n",
           "P-Asserted-Identity: <sip:alice@a.example>, <tel:+15550000>\r\n",
           "P-Asserted-Identity: \"x\r\n y\"\r\n\t<sip:alice@a.example>\r\n",
           "P-Asserted-Identity:\r\n",
           "P-Preferred-Identity: <sip:alice@a.example>\r\n",
           "Remote-Party-ID: <sip:alice@a.example>;party=calling\r\n",
           "remote-party-id: anything at all\r\n",
           "X-Sallyport-Peer: partner\r\n",
           "x-sallyport-anything: 1\r\n",
           "X_Sallyport_Peer: partner\r\n",
           "P-Asserted-Identity: <sip:a@b>\r\nX-Sallyport-A: 1\r\nX-Sallyport-A: "
           "2\r\np-asserted-identity: <sip:c@d>\r\n",
       }) {
    EXPECT_EQ(WithoutIdentityHeaders(Wire(header)), Wire("")) << header;
  }
}

TEST(IdentityHeadersTest, NeighboursStay) {
  const std::string others =
      "X-Sallypor: 1\r\nP-Asserted-Identit: 2\r\nX-P-Asserted-Identity: 3\r\nPrivacy: id\r\n"
      "Subject: P-Asserted-Identity\r\n : <sip:x@y>\r\nDiversion: <sip:x@y>\r\nIdentity: "
      "e;alg=ES256\r\n";
  EXPECT_EQ(WithoutIdentityHeaders(Wire(others)), Wire(others));
  EXPECT_EQ(WithoutIdentityHeaders(Wire(others + "P-Preferred-Identity: <sip:x@y>\r\n")),
            Wire(others));
}

TEST(IdentityHeadersTest, ResponsesAreCleanedToo) {
  const std::string head =
      "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
      "To: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n";
  const std::string tail = "Content-Length: 0\r\n\r\n";
  EXPECT_EQ(WithoutIdentityHeaders(head + "P-Asserted-Identity: <sip:x@y>\r\n" + tail),
            head + tail);
}

TEST(IdentityHeadersTest, OneAssertedHeaderFromTheAddrSpec) {
  EXPECT_EQ(Asserted("<sip:alice@a.example>;tag=1"), "P-Asserted-Identity: <sip:alice@a.example>");
  EXPECT_EQ(Asserted("\"Bob <sip:bob@b.example>\" <sip:alice@a.example>;tag=1"),
            "P-Asserted-Identity: <sip:alice@a.example>");
  EXPECT_EQ(Asserted("sip:alice@a.example;tag=1"), "P-Asserted-Identity: <sip:alice@a.example>");
  EXPECT_EQ(Asserted("<sip:a.example>;tag=1"), "P-Asserted-Identity: <sip:a.example>");
  EXPECT_EQ(Asserted("<SIPS:%61lice@A.Example>;tag=1"),
            "P-Asserted-Identity: <sips:%61lice@A.Example>");
}

// What was not judged is not asserted.
TEST(IdentityHeadersTest, NothingButUserAndHostIsTakenOver) {
  EXPECT_EQ(Asserted("<sip:alice@a.example:5061>;tag=1"),
            "P-Asserted-Identity: <sip:alice@a.example>");
  EXPECT_EQ(Asserted("<sip:alice@a.example.>;tag=1"), "P-Asserted-Identity: <sip:alice@a.example>");
  EXPECT_EQ(Asserted("<sip:alice:secret@a.example>;tag=1"),
            "P-Asserted-Identity: <sip:alice@a.example>");
  EXPECT_EQ(Asserted("<sip:alice@a.example;transport=tls;maddr=192.0.2.1>;tag=1"),
            "P-Asserted-Identity: <sip:alice@a.example>");
  EXPECT_EQ(Asserted("<sip:alice@a.example?Subject=x>;tag=1"),
            "P-Asserted-Identity: <sip:alice@a.example>");
  EXPECT_EQ(Asserted("<sip:+1555;phone-context=b.example@a.example;USER=Phone;x=y>;tag=1"),
            "P-Asserted-Identity: <sip:+1555;phone-context=b.example@a.example;user=phone>");
  EXPECT_EQ(Asserted("<sip:alice@a.example;user=ip>;tag=1"),
            "P-Asserted-Identity: <sip:alice@a.example>");
}

TEST(IdentityHeadersTest, Modes) {
  EXPECT_EQ(Asserted("<sip:alice@a.example>;tag=1", AssertedHeader::kPPreferredIdentity),
            "P-Preferred-Identity: <sip:alice@a.example>");
  EXPECT_EQ(Asserted("<sips:alice@a.example>;tag=1", AssertedHeader::kPPreferredIdentity),
            "P-Preferred-Identity: <sips:alice@a.example>");
  EXPECT_EQ(Asserted("<sip:alice@a.example>;tag=1", AssertedHeader::kNone), "");
}

TEST(IdentityHeadersTest, NotOnAckAndCancel) {
  EXPECT_EQ(Asserted("<sip:alice@a.example>;tag=1", AssertedHeader::kPAssertedIdentity, "ACK"), "");
  EXPECT_EQ(Asserted("<sip:alice@a.example>;tag=1", AssertedHeader::kPAssertedIdentity, "CANCEL"),
            "");
  EXPECT_EQ(Asserted("<sip:alice@a.example>;tag=1", AssertedHeader::kPAssertedIdentity, "BYE"),
            "P-Asserted-Identity: <sip:alice@a.example>");
}

TEST(IdentityHeadersTest, BorderIsCrossedUnlessBothSidesAreInside) {
  EXPECT_EQ(CrossingOf(true, true), IdentityCrossing::kWithin);
  EXPECT_EQ(CrossingOf(true, false), IdentityCrossing::kLeaves);
  EXPECT_EQ(CrossingOf(false, true), IdentityCrossing::kEnters);
  EXPECT_EQ(CrossingOf(false, false), IdentityCrossing::kEnters);
}

constexpr char kAssertedTwice[] =
    "P-Asserted-Identity: <sip:bob@b.example>\r\nP-asserted-identity : <tel:+1900>\r\n";
constexpr char kOtherIdentities[] =
    "P-Preferred-Identity: <sip:bob@b.example>\r\nRemote-Party-ID: <sip:bob@b.example>\r\n"
    "X-Sallyport-Peer: b\r\n";

// RFC 3325 §7: "none" lets the asserted identity out, and nothing else.
TEST(IdentityHeadersTest, Rfc3325_7_AssertedIdentityLeavesWherePrivacyIsNone) {
  for (const char* const privacy :
       {"Privacy: none\r\n", "privacy :\tNONE \r\n", "Privacy:\r\n none\r\n"}) {
    const std::string kept = privacy + std::string(kAssertedTwice);
    EXPECT_EQ(WithoutIdentityHeaders(Wire(kept + kOtherIdentities), IdentityCrossing::kLeaves),
              Wire(kept))
        << privacy;
  }
}

TEST(IdentityHeadersTest, Rfc3325_7_AnyOtherPrivacyKeepsTheAssertedIdentityInside) {
  for (const char* const privacy :
       {"", "Privacy: id\r\n", "Privacy: none;id\r\n", "Privacy: id;none\r\n",
        "Privacy: none\r\nPrivacy: id\r\n", "Privacy: none\r\nPrivacy: none\r\n",
        "Privacy: none;critical\r\n", "Privacy: none, none\r\n", "Privacy: user\r\n",
        "Privacy: header;session\r\n", "Privacy: \"none\"\r\n", "Privacy: nonex\r\n",
        "Privacy:\r\n", "X-Privacy: none\r\n"}) {
    const std::string wire = Wire(std::string(privacy) + kAssertedTwice + kOtherIdentities);
    EXPECT_EQ(WithoutIdentityHeaders(wire, IdentityCrossing::kLeaves), Wire(privacy)) << privacy;
  }
}

// What the outside says of itself is not believed because it also says that it may be told.
TEST(IdentityHeadersTest, PrivacyOfTheOutsideChangesNothing) {
  const std::string privacy = "Privacy: none\r\n";
  EXPECT_EQ(WithoutIdentityHeaders(Wire(privacy + kAssertedTwice + kOtherIdentities),
                                   IdentityCrossing::kEnters),
            Wire(privacy));
}

TEST(IdentityHeadersTest, WithinTheTrustDomainEverythingStays) {
  const std::string wire = Wire("Privacy: id\r\n" + std::string(kAssertedTwice) + kOtherIdentities);
  EXPECT_EQ(WithoutIdentityHeaders(wire, IdentityCrossing::kWithin), wire);
}

// Goal: removing and asserting in one edit leave exactly one header, and it is ours.
TEST(IdentityHeadersTest, ForgedHeaderIsReplaced) {
  const std::string wire = Wire("P-Asserted-Identity: <sip:bob@b.example>\r\n");
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk);
  MessageEdit edit;
  edit.Reset(view.bytes());
  RemoveIdentityHeaders(view, IdentityCrossing::kEnters, edit);
  AssertIdentity(view, view.from().uri, AssertedHeader::kPAssertedIdentity, edit);
  const std::string text = Text(edit);
  MessageView again;
  ASSERT_EQ(ParseMessage(text, Framing::kStream, again), ParseOutcome::kOk);
  ASSERT_EQ(again.Count(HeaderId::kPAssertedIdentity), 1u);
  EXPECT_EQ(again.First(HeaderId::kPAssertedIdentity)->value, "<sip:alice@a.example>");
}

}  // namespace
}  // namespace sallyport::sip
