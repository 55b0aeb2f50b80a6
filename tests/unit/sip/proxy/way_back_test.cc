// Goal: an answer goes back the way of its request or nowhere. Method: the values as they left, in
// other spellings, and changed in each part.
#include "sip/proxy/way_back.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

constexpr char kOurs[] = "SIP/2.0/TLS edge.example;branch=z9hG4bKours";
constexpr char kProxy[] =
    "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKk1;received=10.0.0.1;rport=5080";
constexpr char kPhone[] = "SIP/2.0/UDP phone;branch=z9hG4bKp1";
constexpr tls::MacKey kKey{1, 2, 3};

std::string Sent(const std::string& vias) {
  return "Max-Forwards: 69\r\n" + vias + "From: <sip:a@a.example>;tag=1\r\nVia-X: no\r\n\r\n";
}

const std::string kTwoLines = std::string("Via: ") + kProxy + "\r\nX: y\r\nv: " + kPhone + "\r\n";

struct Answer {
  explicit Answer(const std::string& vias)
      : wire("SIP/2.0 200 OK\r\n" + vias +
             "From: <sip:a@a.example>;tag=1\r\nTo: <sip:b@b.example>;tag=2\r\nCall-ID: c\r\n"
             "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n") {
    EXPECT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk) << wire;
  }
  const std::string wire;
  MessageView view;
};

std::string Lines(const std::vector<std::string>& values) {
  std::string lines;
  for (const std::string& value : values) lines += "Via: " + value + "\r\n";
  return lines;
}

TEST(WayBackTest, AsSentInLinesOrListsAndInAnotherSpelling) {
  const std::string sent = Sent(kTwoLines);
  for (const std::string& vias :
       {Lines({kOurs, kProxy, kPhone}),
        "v: " + std::string(kOurs) + ", " + kProxy + ",\r\n " + kPhone + "\r\n",
        Lines({kOurs,
               "SIP / 2.0 / UDP 127.0.0.1:5080 ;rport=5080; received=10.0.0.1;branch=z9hG4bKk1",
               "SIP/2.0/udp PHONE;branch=z9hG4bKp1;x=y"})}) {
    EXPECT_TRUE(HasViasAsSent(Answer(vias).view, {sent, 2})) << vias;
  }
  EXPECT_TRUE(HasViasAsSent(Answer(Lines({kOurs, kProxy, kPhone})).view,
                            {Sent("Via: " + std::string(kProxy) + ", " + kPhone + "\r\n"), 1}));
}

TEST(WayBackTest, EveryOtherWayIsToldApart) {
  const std::string sent = Sent(kTwoLines);
  const std::string proxy = kProxy;
  const auto changed = [&proxy](const std::string& from, const std::string& to) {
    std::string text = proxy;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& vias :
       {Lines({kOurs}), Lines({kOurs, kProxy}), Lines({kOurs, kPhone}),
        Lines({kOurs, kPhone, kProxy}), Lines({kOurs, kProxy, kPhone, kPhone}),
        Lines({kOurs, kOurs, kProxy, kPhone}),
        Lines({kOurs, changed("5080;branch", "5081;branch"), kPhone}),
        Lines({kOurs, changed("127.0.0.1", "127.0.0.2"), kPhone}),
        Lines({kOurs, changed("10.0.0.1", "10.0.0.2"), kPhone}),
        Lines({kOurs, changed("rport=5080", "rport=5081"), kPhone}),
        Lines({kOurs, changed("z9hG4bKk1", "z9hG4bKk2"), kPhone}),
        Lines({kOurs, changed("UDP", "TCP"), kPhone}),
        Lines({kOurs, proxy + ";maddr=10.0.0.66", kPhone}), Lines({kOurs, kProxy, "garbage"})}) {
    EXPECT_FALSE(HasViasAsSent(Answer(vias).view, {sent, 2})) << vias;
    EXPECT_NE(HashOfVias(Answer(vias).view, kKey), HashOfVias({sent, 2}, kKey)) << vias;
  }
}

TEST(WayBackTest, HashIsOfTheTexts) {
  const std::string sent = Sent(kTwoLines);
  EXPECT_EQ(HashOfVias(Answer(Lines({kOurs, kProxy, kPhone})).view, kKey),
            HashOfVias({sent, 2}, kKey));
  EXPECT_EQ(HashOfVias(
                Answer("Via: " + std::string(kOurs) + "," + kProxy + "\r\n" + Lines({kPhone})).view,
                kKey),
            HashOfVias({sent, 2}, kKey));
  std::string many;
  std::vector<std::string> values = {kOurs};
  for (int i = 0; i < 30; ++i) {
    values.push_back(std::string(kProxy) + std::to_string(i));
    many += "Via: " + values.back() + "\r\n";
  }
  const std::string long_sent = Sent(many);
  EXPECT_EQ(HashOfVias(Answer(Lines(values)).view, kKey), HashOfVias({long_sent, 30}, kKey));
  std::swap(values[3], values[25]);
  EXPECT_NE(HashOfVias(Answer(Lines(values)).view, kKey), HashOfVias({long_sent, 30}, kKey));
}

}  // namespace
}  // namespace sallyport::sip
