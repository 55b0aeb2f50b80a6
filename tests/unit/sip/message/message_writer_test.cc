#include "sip/message/message_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sip/message/message_parser.h"
#include "tests/unit/sip/message/corpus.h"

namespace sallyport::sip {
namespace {

std::string Write(const ResponseParts& parts, const MessageView& request) {
  std::string out(8192, '\0');
  out.resize(WriteResponse(parts, request, out));
  return out;
}

TEST(MessageWriterTest, AnswersTheInvite) {
  const std::string wire = ReadCorpus("messages/invite_typical.sip");
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk);
  ResponseParts parts;
  parts.status = 403;
  parts.reason = "From Not Covered By Certificate";
  parts.to_tag = "abc";
  parts.via_received = "192.0.2.1";
  parts.via_rport = "4711";
  parts.extra_headers = "Retry-After: 1\r\n";
  EXPECT_EQ(
      Write(parts, view),
      "SIP/2.0 403 From Not Covered By Certificate\r\n"
      "Via: SIP/2.0/TLS "
      "sbc1.a.example:5061;branch=z9hG4bK-524287-1---3f2a9c5d7e1b;rport=4711;received=192.0.2.1\r\n"
      "From: \"Alice Adams\" <sip:+4989987654@a.example;user=phone>;tag=7c1fa3e9\r\n"
      "To: <sip:+4930123456@edge.example;user=phone>;tag=abc\r\n"
      "Call-ID: 5d41402abc4b2a76b9719d911017c592@sbc1.a.example\r\n"
      "CSeq: 1 INVITE\r\n"
      "Retry-After: 1\r\n"
      "Content-Length: 0\r\n\r\n");
}

TEST(MessageWriterTest, KeepsViaOrderFoldsAndCompactNames) {
  const std::string wire =
      "OPTIONS sip:a SIP/2.0\r\nv : SIP/2.0/TLS a;rport\r\n ;branch=1,\r\n SIP/2.0/UDP b\r\nFrom: "
      "<sip:a>;tag=1\r\n"
      "Via: SIP/2.0/TCP c\r\nt: sip:b \r\n ;x=y\r\ni: 1\r\nCSeq: 1 OPTIONS\r\nl: 0\r\n\r\n";
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk);
  ResponseParts parts;
  parts.status = 200;
  parts.reason = "OK";
  parts.to_tag = "t";
  parts.via_received = "::1";
  parts.via_rport = "1";
  EXPECT_EQ(Write(parts, view),
            "SIP/2.0 200 OK\r\nv : SIP/2.0/TLS a;rport=1\r\n ;branch=1;received=::1,\r\n "
            "SIP/2.0/UDP b\r\n"
            "Via: SIP/2.0/TCP c\r\nFrom: <sip:a>;tag=1\r\nt: sip:b \r\n ;x=y;tag=t\r\ni: "
            "1\r\nCSeq: 1 OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n");
}

TEST(MessageWriterTest, ToKeepsItsTag) {
  const std::string wire =
      "BYE sip:a SIP/2.0\r\nVia: SIP/2.0/TLS a\r\nFrom: <sip:a>;tag=1\r\nTo: "
      "<sip:b>;tag=2\r\nCall-ID: 1\r\n"
      "CSeq: 1 BYE\r\nl: 0\r\n\r\n";
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk);
  ResponseParts parts;
  parts.to_tag = "other";
  EXPECT_NE(Write(parts, view).find("To: <sip:b>;tag=2\r\n"), std::string::npos);
}

// Requests that did not parse get what is there, and nothing is made up.
TEST(MessageWriterTest, PartlyParsedRequests) {
  ResponseParts parts;
  parts.status = 400;
  parts.reason = "Malformed From Header";
  parts.to_tag = "t";
  parts.via_received = "192.0.2.1";
  parts.request_parsed = false;
  MessageView view;
  const std::string repeated =
      "BYE sip:a SIP/2.0\r\nVia: broken\r\nFrom: <sip:a>;tag=1\r\nf: <sip:b>;tag=1\r\nTo: "
      "<sip:b>\r\nX: a\nb\r\nl: 0\r\n\r\n";
  EXPECT_NE(ParseMessage(repeated, Framing::kStream, view), ParseOutcome::kOk);
  EXPECT_EQ(Write(parts, view),
            "SIP/2.0 400 Malformed From Header\r\nVia: broken\r\nFrom: <sip:a>;tag=1\r\nTo: "
            "<sip:b>;tag=t\r\n"
            "Content-Length: 0\r\n\r\n");
  const std::string broken_to = "BYE sip:a SIP/2.0\r\nTo: \"x <sip:b>\r\n\r\n";
  EXPECT_NE(ParseMessage(broken_to, Framing::kStream, view), ParseOutcome::kOk);
  EXPECT_EQ(Write(parts, view),
            "SIP/2.0 400 Malformed From Header\r\nTo: \"x <sip:b>\r\nContent-Length: 0\r\n\r\n");
}

TEST(MessageWriterTest, ExactSizeFitsAndOneLessDoesNot) {
  const std::string wire = ReadCorpus("messages/options.sip");
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk);
  ResponseParts parts;
  parts.reason = "Server Internal Error";
  const size_t size = Write(parts, view).size();
  for (size_t room = 0; room <= size; ++room) {
    std::vector<char> out(room);
    EXPECT_EQ(WriteResponse(parts, view, out), room == size ? size : 0U) << room;
  }
}

}  // namespace
}  // namespace sallyport::sip
