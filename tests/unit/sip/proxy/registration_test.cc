#include "sip/proxy/registration.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

constexpr char kVia[] = "Via: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n";

template <typename Ask>
auto OfRequest(const std::string& method, const std::string& to, const std::string& headers,
               const Ask& ask) {
  const std::string wire =
      method + " sip:edge.example SIP/2.0\r\nFrom: <sip:alice@a.example>;tag=1\r\nTo: " + to +
      "\r\nCall-ID: c\r\nCSeq: 1 " + method + "\r\n" + headers + "Content-Length: 0\r\n\r\n";
  MessageView request;
  EXPECT_EQ(ParseMessage(wire, Framing::kStream, request), ParseOutcome::kOk) << wire;
  return ask(request);
}

RegistrationFacts Facts(const std::string& headers) {
  return OfRequest("REGISTER", "<sip:alice@a.example>", headers, ReadRegistration);
}

bool WantsFlow(const std::string& method, const std::string& headers,
               const std::string& to = "<sip:bob@b.example>") {
  return OfRequest(method, to, kVia + headers, WantsOutboundFlow);
}

TEST(RegistrationTest, Rfc5626_5_1_FirstHopHasOneVia) {
  const std::string via = kVia;
  EXPECT_TRUE(Facts(via).is_first_hop);
  EXPECT_FALSE(Facts(via + via).is_first_hop);
  EXPECT_FALSE(Facts("v: SIP/2.0/TLS a.example;branch=z9hG4bK1, SIP/2.0/TLS b.example;branch=z9hG4"
                     "bK2\r\n")
                   .is_first_hop);
}

TEST(RegistrationTest, Rfc3327_5_1_SupportedIsReadInEveryFormAndLine) {
  const std::string via = kVia;
  for (const char* headers : {"Supported: path, outbound\r\n", "k: outbound,PATH\r\n",
                              "Supported: Path\r\nk: OutBound\r\n",
                              "Supported: 100rel\r\nSUPPORTED : x , path\r\n , outbound\r\n",
                              "k: path\r\n\t,outbound\r\n"}) {
    const RegistrationFacts facts = Facts(via + headers);
    EXPECT_TRUE(facts.supports_path) << headers;
    EXPECT_TRUE(facts.supports_outbound) << headers;
  }
  for (const char* headers :
       {"", "Supported:\r\n", "Supported: pathx, xoutbound\r\n", "Require: path, outbound\r\n",
        "X: path\r\n", "Supported: pa th\r\n"}) {
    const RegistrationFacts facts = Facts(via + headers);
    EXPECT_FALSE(facts.supports_path) << headers;
    EXPECT_FALSE(facts.supports_outbound) << headers;
  }
  EXPECT_FALSE(Facts(via + "Supported: path\r\n").supports_outbound);
}

TEST(RegistrationTest, Rfc5626_4_2_FlowNeedsRegIdAndInstanceInOneContact) {
  const std::string via = kVia;
  const std::string instance = "+sip.instance=\"<urn:uuid:0>\"";
  for (const std::string& contact :
       {"Contact: <sip:a@h>;reg-id=1;" + instance, "m: <sip:a@h>;" + instance + ";Reg-ID=2",
        "Contact: <sip:x@h>, <sip:a@h>;reg-id=1;" + instance,
        "Contact: <sip:x@h>\r\nContact: <sip:a@h>;reg-id=1;" + instance}) {
    EXPECT_TRUE(Facts(via + contact + "\r\n").registers_flow) << contact;
  }
  for (const std::string& contact :
       {std::string("Contact: *"), std::string("Contact: <sip:a@h>;reg-id=1"),
        "Contact: <sip:a@h>;" + instance, "Contact: <sip:a@h;reg-id=1>;" + instance,
        "Contact: <sip:a@h>;reg-id=1, <sip:b@h>;" + instance}) {
    EXPECT_FALSE(Facts(via + contact + "\r\n").registers_flow) << contact;
  }
  EXPECT_FALSE(Facts(via).registers_flow);
}

TEST(RegistrationTest, Rfc5626_4_3_ObInTheContactUriWantsTheFlow) {
  for (const char* method : {"INVITE", "SUBSCRIBE", "REFER"}) {
    EXPECT_TRUE(WantsFlow(method, "Contact: <sip:a@h;ob>\r\n")) << method;
    EXPECT_TRUE(WantsFlow(method, "m: <sip:a@h;transport=tls;OB>;x\r\n")) << method;
    EXPECT_FALSE(WantsFlow(method, "Contact: <sip:a@h>;ob\r\n")) << method;
    EXPECT_FALSE(WantsFlow(method, "Contact: <sip:ob@h;obx>\r\n")) << method;
    EXPECT_FALSE(WantsFlow(method, "")) << method;
    EXPECT_FALSE(WantsFlow(method, "Contact: <sip:a@h;ob>\r\n", "<sip:b@b.example>;tag=2"));
  }
  for (const char* method : {"REGISTER", "OPTIONS", "MESSAGE", "BYE", "ACK"}) {
    EXPECT_FALSE(WantsFlow(method, "Contact: <sip:a@h;ob>\r\n")) << method;
  }
}

}  // namespace
}  // namespace sallyport::sip
