// Identity headers of messages that cross the border of the trust domain, in both directions (RFC
// 3325 §5, §7).

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

constexpr char kServer[] = "192.0.2.1:5061";
constexpr char kIdentities[] =
    "P-Asserted-Identity: <sip:boss@edge.example>\r\n"
    "P-Preferred-Identity: <sip:boss@edge.example>\r\n"
    "Remote-Party-ID: <sip:boss@edge.example>\r\n";

struct PrivacyCase {
  const char* lines;
  bool lets_out;
};

class PrivacyTest : public ::testing::TestWithParam<PrivacyCase> {
 protected:
  // Of the message that has passed: which identity headers are left.
  void ExpectIdentities(const std::string& message, const std::string& asserted) {
    EXPECT_EQ(Value(message, "P-Asserted-Identity"), asserted) << message;
    EXPECT_EQ(Value(message, "P-Preferred-Identity"), "") << message;
    EXPECT_EQ(Value(message, "Remote-Party-ID"), "") << message;
  }
  std::string LetOut() const { return GetParam().lets_out ? "<sip:boss@edge.example>" : ""; }
  std::string Headers() const { return std::string(GetParam().lines) + kIdentities; }
};

// A request of the inside leaves; what the server says of itself in its answer is not believed.
TEST_P(PrivacyTest, Rfc3325_7_RequestThatLeavesAndItsAnswer) {
  SimulatedEdge edge({});
  edge.dns().Naptr("b.example", 10, 10, "SIPS+D2T", "_sips._tcp.b.example");
  edge.dns().Srv("_sips._tcp.b.example", 10, 0, 5061, "sip.b.example");
  edge.dns().A("sip.b.example", "192.0.2.1");
  SimulatedServer& server = edge.Serve(kServer, &SimulatedCertificate("b.example"));
  edge.NextHopSend(RequestText{.uri = "sip:bob@b.example",
                               .via = "SIP/2.0/UDP 127.0.0.1:5080",
                               .from = "<sip:boss@edge.example>;tag=1",
                               .to = "<sip:bob@b.example>",
                               .headers = Headers()}
                       .Text());
  edge.Run(absl::Milliseconds(200));
  const std::string request = server.Take();
  ASSERT_EQ(StartLine(request), "MESSAGE sip:bob@b.example SIP/2.0");
  ExpectIdentities(request, LetOut());
  server.Send(ResponseText(request, 200, "OK", Headers()));
  edge.Settle();
  const std::string answer = edge.NextHopTake().value_or("");
  ASSERT_EQ(StartLine(answer), "SIP/2.0 200 OK");
  ExpectIdentities(answer, "");
}

// A request of the outside comes in with what its certificate proves, whatever it says; the answer
// of the inside leaves.
TEST_P(PrivacyTest, Rfc3325_7_RequestThatComesInAndItsAnswer) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  alice.Send(RequestText{.headers = Headers()}.Text());
  edge.Settle();
  const std::string request = edge.NextHopTake().value_or("");
  ASSERT_EQ(StartLine(request), "MESSAGE sip:bob@edge.example SIP/2.0");
  ExpectIdentities(request, "<sip:alice@a.example>");
  edge.NextHopSend(ResponseText(request, 200, "OK", Headers()));
  edge.Settle();
  const std::string answer = alice.Take();
  ASSERT_EQ(StartLine(answer), "SIP/2.0 200 OK");
  ExpectIdentities(answer, LetOut());
}

INSTANTIATE_TEST_SUITE_P(Privacy, PrivacyTest,
                         ::testing::Values(PrivacyCase{"", false},
                                           PrivacyCase{"Privacy: none\r\n", true},
                                           PrivacyCase{"Privacy: id\r\n", false},
                                           PrivacyCase{"Privacy: user;id\r\n", false},
                                           PrivacyCase{"Privacy: none;id\r\n", false}));

}  // namespace
}  // namespace sallyport::sip::test
