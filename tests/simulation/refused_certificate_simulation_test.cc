// Servers that refuse our certificate. In TLS 1.3 they do so when for us the handshake is over and
// the request may be on its way (RFC 8446 §4.4.2.4).

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

using sallyport::test::CaSpec;
using sallyport::test::DomainSpec;
using sallyport::test::MintSelfSigned;
using sallyport::test::MintSignedBy;
using sallyport::test::TestCertificate;

constexpr char kCaller[] = "127.0.0.1:5090";

constexpr char kCause[] = "the peer refuses our certificate (alert unknown_ca)";

// carol@b.example has one server; dora@b.example a second one at the next port.
SimulatedEdgeOptions OneServerAndTwo() {
  const std::string next_hop = "[[next-hop]]\nzone = \"outside\"\nidentity = \"b.example\"\n";
  const std::string route = "[[route]]\nzone = \"inside\"\ndomain = \"b.example\"\n";
  return {.extra = absl::StrCat(next_hop, "name = \"one\"\ntargets = [\"tls:192.0.2.1:5061\"]\n",
                                next_hop,
                                "name = \"two\"\ntargets = [\"tls:192.0.2.1:5061;priority=1\", "
                                "\"tls:192.0.2.1:5062;priority=2\"]\n",
                                route, "user = \"carol\"\nnext-hop = \"one\"\n", route,
                                "user = \"dora\"\nnext-hop = \"two\"\n")};
}

class RefusedCertificateTest : public testing::Test {
 protected:
  RefusedCertificateTest() : edge_(OneServerAndTwo()) {
    edge_.network().Bind(*core::SocketAddress::Parse(kCaller));
  }

  void Call(const std::string& uri) {
    edge_.InsideSend(kCaller, RequestText{.method = "INVITE",
                                          .uri = uri,
                                          .via = absl::StrCat("SIP/2.0/UDP ", kCaller),
                                          .from = "<sip:bob@edge.example>;tag=1",
                                          .to = absl::StrCat("<", uri, ">"),
                                          .headers = "Contact: <sip:bob@127.0.0.1:5090>\r\n"}
                                  .Text());
  }
  void Settle() {
    for (int turn = 0; turn < 20; ++turn) {
      mistrusting_.Pump();
      edge_.Settle();
    }
  }
  std::string TakeFinal() {
    std::string answer;
    do {
      answer = edge_.InsideTake(kCaller);
    } while (StartLine(answer) == "SIP/2.0 100 Trying");
    return answer;
  }

  SimulatedEdge edge_;
  const TestCertificate other_ca_ = MintSelfSigned(CaSpec("Other Root"));
  const TestCertificate certificate_ = MintSignedBy(edge_.ca(), DomainSpec("b.example"));
  SimulatedServer mistrusting_{edge_.network(), *core::SocketAddress::Parse("192.0.2.1:5061"),
                               other_ca_, &certificate_};
};

TEST_F(RefusedCertificateTest, Rfc8446_4_4_2_4_AlertInPlaceOfTheAnswerIs503NextHopTls) {
  Call("sip:carol@b.example");
  Settle();
  EXPECT_EQ(mistrusting_.connections(), 1);
  const std::string answer = TakeFinal();
  EXPECT_EQ(StartLine(answer), "SIP/2.0 503 Service Unavailable");
  EXPECT_EQ(Value(answer, "Warning"), absl::StrCat("399 edge.example \"", kCause, "\""));
}

TEST_F(RefusedCertificateTest, NextTargetIsTried) {
  SimulatedServer& trusting = edge_.Serve("192.0.2.1:5062", &certificate_);
  Call("sip:dora@b.example");
  Settle();
  EXPECT_EQ(mistrusting_.connections(), 1);
  EXPECT_EQ(StartLine(trusting.Take()), "INVITE sip:dora@b.example SIP/2.0");
}

}  // namespace
}  // namespace sallyport::sip::test
