#include "sip/proxy/max_breadth.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

std::string Wire(const std::string& headers) {
  return "INVITE sip:b@edge.example SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
         "From: <sip:alice@a.example>;tag=1\r\nTo: <sip:b@edge.example>\r\n"
         "Call-ID: c\r\nCSeq: 1 INVITE\r\n" +
         headers + "Content-Length: 0\r\n\r\n";
}

MaxBreadthOutcome Read(const std::string& headers) {
  const std::string wire = Wire(headers);
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  return ReadMaxBreadth(request);
}

std::string Forwarded(const std::string& headers) {
  const std::string wire = Wire(headers);
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  MessageEdit edit;
  edit.Reset(wire);
  EditMaxBreadth(request, edit);
  EXPECT_TRUE(edit.ok());
  std::string out(edit.size(), '\0');
  EXPECT_EQ(edit.CopyTo(out), out.size());
  return out;
}

TEST(MaxBreadthTest, Rfc5393_5_3_3_ZeroIsExhausted) {
  EXPECT_EQ(Read(""), MaxBreadthOutcome::kAbsent);
  EXPECT_EQ(Read("Max-Breadth: 0\r\n"), MaxBreadthOutcome::kExhausted);
  EXPECT_EQ(Read("Max-Breadth: 000\r\n"), MaxBreadthOutcome::kExhausted);
  EXPECT_EQ(Read("max-breadth : 1\r\n"), MaxBreadthOutcome::kOk);
  EXPECT_EQ(Read("Max-Breadth: 60\r\n"), MaxBreadthOutcome::kOk);
  EXPECT_EQ(Read("Max-Breadth: 61\r\n"), MaxBreadthOutcome::kAbove);
  EXPECT_EQ(Read("Max-Breadth: 99999999999999999999999\r\n"), MaxBreadthOutcome::kAbove);
}

TEST(MaxBreadthTest, MalformedIsNotInterpreted) {
  for (const char* value :
       {"", "x", "-1", "+1", "1 2", "1,2", "1;x", "0x1", "6\r\nMax-Breadth: 6"}) {
    EXPECT_EQ(Read("Max-Breadth: " + std::string(value) + "\r\n"), MaxBreadthOutcome::kMalformed)
        << value;
  }
}

TEST(MaxBreadthTest, Rfc5393_5_3_3_ForwardsSixtyAtMost) {
  EXPECT_EQ(Forwarded(""), Wire("").substr(0, Wire("").size() - 2) + "Max-Breadth: 60\r\n\r\n");
  EXPECT_EQ(Forwarded("Max-Breadth: 1\r\n"), Wire("Max-Breadth: 1\r\n"));
  EXPECT_EQ(Forwarded("Max-Breadth: 60\r\n"), Wire("Max-Breadth: 60\r\n"));
  EXPECT_EQ(Forwarded("Max-Breadth: 61\r\n"), Wire("Max-Breadth: 60\r\n"));
  EXPECT_EQ(Forwarded("Max-Breadth: 99999999999\r\n"), Wire("Max-Breadth: 60\r\n"));
}

}  // namespace
}  // namespace sallyport::sip
