// What deployed devices send, on a whole shard. An odd part that decides nothing passes; a message
// that cannot be taken, but has a known length, costs that message alone, on every transport and
// in both directions; what goes on is written plainly.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

constexpr char kInsideTcp[] =
    "[[listener]]\nname = \"core-tcp\"\naddress = \"127.0.0.1:5071\"\ntransport = \"tcp\"\n"
    "zone = \"inside\"\n";

std::string Repeated(const std::string& line, size_t count) {
  std::string lines;
  for (size_t i = 0; i < count; ++i) lines += line;
  return lines;
}

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << text;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// How TCP cuts what is sent.
enum class Cut : uint8_t { kWhole, kBytes };
constexpr Cut kCuts[] = {Cut::kWhole, Cut::kBytes};

template <typename Sender>
void SendCut(SimulatedEdge& edge, Sender&& send, const std::string& text, Cut cut) {
  if (cut == Cut::kWhole) return send(text);
  for (const char c : text) {
    send(std::string(1, c));
    edge.Settle();
  }
}

// Lines that no reader of ours needs; whole lines, or another To.
const std::vector<std::string> kPassing = {
    "Contact: <sip:*72#@10.0.0.1>\r\n",
    "Contact: <sip:PBX#1000#905@10.0.0.5>\r\n",
    "Contact: \"J\xe9r\xf4me\" <sip:bob@10.0.0.5>\r\n",
    "m: <sip:u@my_host;x=\"\xff\">;;;\r\n",
    "Via: SIP/2.0/UDP my_phone;branch=z9hG4bKx\r\n",
    "Refer-To: <<\r\n",
    "Date: yesterday\r\n",
};

// Lines for which the whole message is refused.
struct RefusedLines {
  std::string lines;
  std::string status;
};
std::vector<RefusedLines> Refused() {
  return {{"garbage\r\n", "400"},
          {": x\r\n", "400"},
          {"X Y: z\r\n", "400"},
          {"X-A: a\x01z\r\n", "400"},
          {std::string("X-A: a\0z\r\n", 10), "400"},
          {"Content-Length: 0\r\n", "400"},
          {Repeated("X: y\r\n", 140), "513"},
          {"X: " + std::string(17000, 'y') + "\r\n", "513"},
          {"X: " + std::string(9000, 'y') + "\r\n " + std::string(9000, 'y') + "\r\n", "513"}};
}

RequestText Call(const std::string& branch) {
  return {.method = "INVITE", .branch = branch, .call_id = branch};
}

// -- Requests ------------------------------------------------------------------------------------

TEST(OddMessageSimulationTest, PartsThatDecideNothingPassInRequests) {
  for (const NextHopKind kind : {NextHopKind::kUdp, NextHopKind::kTcp}) {
    SimulatedEdge edge({.next_hop = kind});
    SimulatedPeer& alice = edge.Connect("a.example");
    int count = 0;
    for (const std::string& line : kPassing) {
      RequestText request = Call("p" + std::to_string(count++));
      request.headers = line;
      alice.Send(request.Text());
      edge.Settle();
      const std::string seen = edge.NextHopTake().value_or("");
      EXPECT_NE(seen.find(line), std::string::npos) << line << alice.Take();
    }
    for (const std::string to :
         {"\"J\xf6rg\" <sip:bob@edge.example>", "J\xf6rg <sip:bob@edge.example>",
          "<sip:*72#@edge.example>", "sip:u;phone-context=+49@edge.example"}) {
      RequestText request = Call("t" + std::to_string(count++));
      request.to = to;
      alice.Send(request.Text());
      edge.Settle();
      EXPECT_EQ(Value(edge.NextHopTake().value_or(""), "To"), to) << alice.Take();
    }
  }
}

TEST(OddMessageSimulationTest, VersionAndToGoOnPlainly) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText request = Call("1");
  request.to = "<sip:bob@edge.example>;;x=\"a;;b\" ; ;y=1;";
  alice.Send(Replaced(request.Text(), " SIP/2.0\r\n", " sip/2.0\r\n"));
  edge.Settle();
  const std::string seen = edge.NextHopTake().value_or("");
  EXPECT_EQ(StartLine(seen), "INVITE sip:bob@edge.example SIP/2.0");
  EXPECT_EQ(Value(seen, "To"), "<sip:bob@edge.example>;x=\"a;;b\";y=1");
}

TEST(OddMessageSimulationTest, ToThatAServerCannotReadIsRefused) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  int count = 0;
  for (const std::string to :
       {"\"a\" \"b\" <sip:b@h>", "\"a\"b <sip:b@h>", "b \"a\" <sip:b@h>", "b\\c <sip:b@h>", "<>",
        "none", "<sip\xf8@h>", "<sip:b\\c@h>", "<sip:b@h>;=", "<sip:b@h>;x=a=b",
        "<sip:b@h>;x=\"\\\"\"", "<sip:b@h>;x y", "<sip:b@h>\"x\""}) {
    RequestText request = Call(std::to_string(count++));
    request.to = to;
    alice.Send(request.Text());
    edge.Settle();
    EXPECT_EQ(StartLine(alice.Take()), "SIP/2.0 400 Malformed To") << to;
    EXPECT_FALSE(edge.NextHopTake().has_value()) << to;
  }
  EXPECT_FALSE(alice.connection().saw_end());
}

TEST(OddMessageSimulationTest, HeadersOfADatagramAreBoundedToo) {
  SimulatedEdge edge({});
  RequestText request = Call("1");
  request.via = "SIP/2.0/UDP 127.0.0.1:5080";
  request.headers = "X: " + std::string(17000, 'y') + "\r\n";
  edge.NextHopSend(request.Text());
  edge.Settle();
  EXPECT_TRUE(edge.NextHopTake().value_or("").starts_with("SIP/2.0 513 "));
}

// Some server behind closes the connection, and with it all calls, for a Via that it cannot read.
TEST(OddMessageSimulationTest, ViaThatAServerCannotReadIsWithheldAndReturned) {
  for (const NextHopKind kind : {NextHopKind::kUdp, NextHopKind::kTcp}) {
    for (const std::string line :
         {"Via: this is none\r\n", "Via: SIP/2.0/UDP a,\r\n", "v: SIP/2.0/UDP a;x=\"b,c\"\r\n",
          "Via: SIP/2.0/UDP a;alias=1, SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c\r\n"}) {
      SimulatedEdge edge({.next_hop = kind});
      SimulatedPeer& alice = edge.Connect("a.example");
      for (const uint16_t status :
           {uint16_t{180}, uint16_t{200}, uint16_t{0}}) {  // 0: the edge's own 408.
        RequestText request = Call("w" + std::to_string(status));
        request.headers = line;
        alice.Send(request.Text());
        edge.Settle();
        static_cast<void>(alice.Take());
        const std::string seen = edge.NextHopTake().value_or("");
        EXPECT_EQ(seen.find(line), std::string::npos) << seen;
        EXPECT_NE(seen.find("\r\nVia: SIP/2.0/TLS client.example;branch=z9hG4bK" + request.branch +
                            "\r\n"),
                  std::string::npos)
            << seen;
        if (status != 0) edge.NextHopSend(ResponseText(seen, status, "So"));
        edge.Run(status == 0 ? absl::Seconds(40) : absl::Seconds(1));
        const std::string answer = alice.Take();
        EXPECT_NE(answer.find("\r\nVia: SIP/2.0/TLS client.example;branch=z9hG4bK" +
                              request.branch + ";received=127.0.0.1\r\n" + line),
                  std::string::npos)
            << answer;
        EXPECT_EQ(answer.find(" edge.example:"), std::string::npos) << answer;
        while (edge.NextHopTake().has_value()) {
        }
      }
      EXPECT_EQ(
          edge.Counter(edge.metrics().sip_messages_rewritten.Slot(RewriteReason::kViasWithheld)),
          3U);
    }
  }
}

TEST(OddMessageSimulationTest, RefusedRequestCostsItselfAlone) {
  for (const Cut cut : kCuts) {
    for (const RefusedLines& refused : Refused()) {
      if (cut == Cut::kBytes && refused.lines.size() > 1000) continue;
      SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
      SimulatedPeer& alice = edge.Connect("a.example");
      RequestText odd = Call("odd");
      odd.headers = refused.lines;
      SendCut(
          edge, [&](const std::string& text) { alice.Send(text); },
          Call("1").Text() + odd.Text() + Call("2").Text(), cut);
      edge.Settle();
      const std::string answers = alice.Take();
      EXPECT_NE(answers.find("SIP/2.0 " + refused.status + " "), std::string::npos)
          << refused.lines.substr(0, 40) << answers;
      EXPECT_FALSE(alice.connection().saw_end()) << refused.lines.substr(0, 40);
      EXPECT_EQ(Value(edge.NextHopTake().value_or(""), "Call-ID"), "1");
      EXPECT_EQ(Value(edge.NextHopTake().value_or(""), "Call-ID"), "2")
          << refused.lines.substr(0, 40);
    }
  }
}

TEST(OddMessageSimulationTest, BodyBeyondTheLimitIsReadPast) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = "body-bytes = 1024\n"});
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText large = Call("large");
  large.body = std::string(16 * 1024, 'x');
  alice.Send(large.Text() + Call("2").Text());
  edge.Settle();
  EXPECT_TRUE(alice.Take().starts_with("SIP/2.0 513 "));
  EXPECT_EQ(Value(edge.NextHopTake().value_or(""), "Call-ID"), "2");
  EXPECT_FALSE(alice.connection().saw_end());
  large.body += std::string(1025, 'x');
  alice.Send(large.Text());
  edge.Settle();
  EXPECT_TRUE(alice.connection().saw_end());
}

// Where the end is in doubt nothing behind it may be believed.
TEST(OddMessageSimulationTest, UnknownLengthEndsTheConnection) {
  for (const std::string lines : {"Content-Length: 1\r\n", "Content-Length 5\r\n", "X: a\nb\r\n",
                                  "X: a\rb\r\n", "X: a\r\n \r\nY: b\r\n"}) {
    SimulatedEdge edge({.next_hop = NextHopKind::kTcp});
    SimulatedPeer& alice = edge.Connect("a.example");
    RequestText odd = Call("odd");
    odd.headers = lines;
    alice.Send(odd.Text() + Call("2").Text());
    edge.Settle();
    EXPECT_TRUE(alice.Take().find("SIP/2.0 400 ") != std::string::npos) << lines;
    EXPECT_TRUE(alice.connection().saw_end()) << lines;
    EXPECT_FALSE(edge.NextHopTake().has_value()) << lines;
  }
}

TEST(OddMessageSimulationTest, FromOutsideStaysStrictWhereItIsTheIdentity) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  int count = 0;
  for (const char* const from : {"<sip:a#1@a.example>;tag=1", "<sip:alice@a_b.example>;tag=1",
                                 "J\xf6rg <sip:alice@a.example>;tag=1"}) {
    RequestText request = Call("f" + std::to_string(count++));
    request.from = from;
    alice.Send(request.Text());
    edge.Settle();
    EXPECT_TRUE(alice.Take().starts_with("SIP/2.0 400 Malformed From Header\r\n")) << from;
    EXPECT_FALSE(edge.NextHopTake().has_value());
  }
}

// -- Responses, on the connection that all calls share -------------------------------------------

class SharedNextHopTest : public ::testing::Test {
 protected:
  SharedNextHopTest() : alice_(edge_.Connect("a.example")), carol_(edge_.Connect("c.example")) {
    alice_.Send(Call("alice").Text());
    edge_.Settle();
    alices_ = edge_.NextHopTake().value_or("");
    RequestText call = Call("carol");
    call.from = "<sip:carol@c.example>;tag=1";
    carol_.Send(call.Text());
    edge_.Settle();
    carols_ = edge_.NextHopTake().value_or("");
    alice_.Take();
    carol_.Take();
  }

  void ExpectCarolsCallGoesOn(const std::string& what) {
    edge_.NextHopSend(ResponseText(carols_, 180, "Ringing"));
    edge_.Settle();
    EXPECT_EQ(StartLine(carol_.Take()), "SIP/2.0 180 Ringing") << what;
    EXPECT_FALSE(edge_.next_hop_connection()->saw_end()) << what;
  }

  SimulatedEdge edge_{{.next_hop = NextHopKind::kTcp}};
  SimulatedPeer& alice_;
  SimulatedPeer& carol_;
  std::string alices_;
  std::string carols_;
};

TEST_F(SharedNextHopTest, PartsThatDecideNothingPassInResponses) {
  for (const std::string& line : kPassing) {
    edge_.NextHopSend(ResponseText(alices_, 183, "Session Progress", line));
    edge_.Settle();
    EXPECT_NE(alice_.Take().find(line), std::string::npos) << line;
  }
  const std::string odd = Replaced(ResponseText(alices_, 183, "Session Progress"),
                                   "To: <sip:bob@edge.example>", "To: \"J\xf6rg\" <sip:b#1@x_y>");
  edge_.NextHopSend(odd);
  edge_.Settle();
  EXPECT_EQ(Value(alice_.Take(), "To"), Value(odd, "To"));
}

TEST_F(SharedNextHopTest, MalformedResponseCostsItselfAlone) {
  const uint32_t dropped =
      edge_.metrics().sip_responses_dropped.Slot(ResponseDropReason::kMalformed);
  for (const RefusedLines& refused : Refused()) {
    const uint64_t before = edge_.Counter(dropped);
    // From inside two lengths that agree are one.
    const bool passes = refused.lines == "Content-Length: 0\r\n";
    edge_.NextHopSend(ResponseText(alices_, 183, "Session Progress", refused.lines));
    edge_.Settle();
    EXPECT_EQ(!alice_.Take().empty(), passes) << refused.lines.substr(0, 40);
    EXPECT_EQ(edge_.Counter(dropped), before + (passes ? 0 : 1)) << refused.lines.substr(0, 40);
    ExpectCarolsCallGoesOn(refused.lines.substr(0, 40));
  }
  edge_.NextHopSend(ResponseText(alices_, 486, "Busy Here"));
  edge_.Settle();
  EXPECT_EQ(StartLine(alice_.Take()), "SIP/2.0 486 Busy Here");
}

// A telephone may write them, and a proxy inside passes them on.
TEST_F(SharedNextHopTest, BareLineEndsCostTheirMessageAlone) {
  for (const std::string lines :
       {"X: a\nb\r\n", "X: a\rb\r\n", "X: a\nY: b\nl: 0\nZ: c\r\n", "X: a\n b\r\n"}) {
    edge_.NextHopSend(ResponseText(alices_, 183, "Session Progress", lines));
    edge_.Settle();
    EXPECT_EQ(alice_.Take(), "") << lines;
    ExpectCarolsCallGoesOn(lines);
  }
}

TEST_F(SharedNextHopTest, BareLineEndsThatMayEndTheMessageEndTheConnection) {
  edge_.NextHopSend(ResponseText(alices_, 183, "Session Progress", "X: a\nl: 5\r\n"));
  edge_.Settle();
  EXPECT_TRUE(edge_.next_hop_connection()->saw_end());
}

TEST_F(SharedNextHopTest, ControlCharactersInTheStartLineCostTheirMessageAlone) {
  const std::string_view phrases[] = {"a\x01z", {"a\0z", 3}, "\x1b[0m"};
  for (const std::string_view phrase : phrases) {
    edge_.NextHopSend(ResponseText(alices_, 183, std::string(phrase)));
    edge_.Settle();
    EXPECT_EQ(alice_.Take(), "");
    ExpectCarolsCallGoesOn(std::string(phrase));
  }
}

TEST_F(SharedNextHopTest, ThousandOddResponsesOfOneCallee) {
  for (int i = 0; i < 1000; ++i) {
    edge_.NextHopSend(ResponseText(alices_, 200, "OK", "garbage\r\n"));
    if (i % 100 == 0) edge_.Settle();
  }
  edge_.Settle();
  EXPECT_EQ(alice_.Take(), "");
  ExpectCarolsCallGoesOn("a thousand");
}

// A burst of one peer costs itself alone, while the next hop reads slowly.
TEST(BurstSimulationTest, OfOnePeerEndsNoCallOfOthers) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = "queue-bytes = \"256KiB\""});
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& carol = edge.Connect("c.example");
  RequestText call = Call("carol");
  call.from = "<sip:carol@c.example>;tag=1";
  carol.Send(call.Text());
  edge.Settle();
  const std::string carols = edge.NextHopTake().value_or("");
  carol.Take();
  core::RemoteConnection* const shared = edge.next_hop_connection();
  shared->set_reading(false);
  for (int i = 0; i < 100; ++i) {
    RequestText burst{.branch = "b" + std::to_string(i)};
    burst.body = std::string(20000, 'x');
    alice.Send(burst.Text());
    edge.Settle();
  }
  EXPECT_NE(alice.Take().find("SIP/2.0 503 "), std::string::npos);
  RequestText question{.method = "OPTIONS", .branch = "q", .from = "<sip:carol@c.example>;tag=2"};
  question.call_id = "q";
  carol.Send(question.Text());
  edge.Settle();
  EXPECT_EQ(carol.Take(), "") << "it waits, and is not refused";
  shared->set_reading(true);
  edge.Settle();
  edge.NextHopSend(ResponseText(carols, 180, "Ringing"));
  edge.Settle();
  EXPECT_EQ(StartLine(carol.Take()), "SIP/2.0 180 Ringing");
  EXPECT_FALSE(shared->saw_end() || shared->saw_reset());
  std::string last;
  while (const auto seen = edge.NextHopTake()) last = *seen;
  EXPECT_EQ(Value(last, "Call-ID"), "q");
}

// What a peer has in the queue is what still waits there, and not what it has ever sent.
TEST(BurstSimulationTest, LastingFloodOfOnePeerRefusesNoModestOne) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .limits = "queue-bytes = \"256KiB\""});
  SimulatedPeer& alice = edge.Connect("a.example");
  SimulatedPeer& carol = edge.Connect("c.example");
  alice.Send(RequestText{.branch = "first"}.Text());
  edge.Settle();
  edge.next_hop_connection()->set_reading(false);
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 8; ++i) {
      RequestText flood{.branch = absl::StrCat("f", round, ".", i)};
      flood.body = std::string(10'000, 'x');
      alice.Send(flood.Text());
    }
    edge.Settle();
    RequestText question{.branch = absl::StrCat("q", round), .from = "<sip:carol@c.example>;tag=2"};
    question.body = std::string(2'000, 'x');
    carol.Send(question.Text());
    edge.Settle();
    EXPECT_EQ(carol.Take(), "") << round << ": it waits, and is not refused";
    edge.network().set_window_bytes(edge.network().window_bytes() + 30'000);  // So much leaves.
    edge.Settle();
  }
  EXPECT_NE(alice.Take().find("SIP/2.0 503 "), std::string::npos);
}

// Requests of the next hop come on the same connection.
TEST_F(SharedNextHopTest, RefusedRequestOfTheInsideCostsItselfAlone) {
  for (const RefusedLines& refused : Refused()) {
    RequestText odd = Call("in" + std::to_string(refused.lines.size()));
    odd.via = "SIP/2.0/TCP 127.0.0.1:5080";
    odd.headers = refused.lines;
    edge_.NextHopSend(odd.Text());
    edge_.Settle();
    const std::string answer = edge_.NextHopTake().value_or("");
    if (refused.lines != "Content-Length: 0\r\n") {
      EXPECT_TRUE(answer.starts_with("SIP/2.0 " + refused.status + " ")) << answer;
    }
    ExpectCarolsCallGoesOn(refused.lines.substr(0, 40));
    while (edge_.NextHopTake().has_value()) {
    }
  }
}

// -- What goes on is plain
// -------------------------------------------------------------------------

TEST(OddMessageSimulationTest, FoldsAndOddSpacingGoOnAsPlainLines) {
  SimulatedEdge edge({.next_hop = NextHopKind::kTcp, .extra = kInsideTcp});
  SimulatedPeer& alice = edge.Connect("a.example");
  std::string text = Call("plain").Text();
  text = Replaced(text, "Content-Length: 0\r\n", "Content-Length \t:\r\n 0 \r\n");
  text = Replaced(text, "CSeq: 1 INVITE\r\n", "CSeq:\t1\r\n  INVITE\r\n");
  text = Replaced(text, "Call-ID: plain\r\n", "Call-ID :  plain\t\r\n");
  text = Replaced(text, "Max-Forwards: 70\r\n", "Max-Forwards:\r\n\t70\r\n");
  text = Replaced(text, "To: <sip:bob@edge.example>\r\n",
                  "To: \"Bob\r\n  the builder\"\r\n\t<sip:bob@edge.example>\r\n"
                  "X-Untouched  :  a   b\r\nSubject: a\r\n b\r\n\t c\r\n");
  alice.Send(text);
  edge.Settle();
  const std::string seen = edge.NextHopTake().value_or("");
  for (const char* const line :
       {"\r\nContent-Length: 0\r\n", "\r\nCSeq: 1 INVITE\r\n", "\r\nCall-ID: plain\r\n",
        "\r\nMax-Forwards: 69\r\n", "\r\nTo: \"Bob the builder\" <sip:bob@edge.example>\r\n",
        "\r\nX-Untouched  :  a   b\r\n", "\r\nSubject: a b c\r\n"}) {
    EXPECT_NE(seen.find(line), std::string::npos) << line << seen << alice.Take();
  }
  EXPECT_EQ(seen.find("\r\n "), std::string::npos) << seen;
  EXPECT_EQ(seen.find("\r\n\t"), std::string::npos) << seen;
  EXPECT_EQ(edge.Counter(edge.metrics().sip_messages_rewritten.Slot(RewriteReason::kPlainLines)),
            1U);

  std::string ringing = ResponseText(seen, 180, "Ringing", "Subject: a\r\n b\r\n");
  ringing = Replaced(ringing, "CSeq: 1 INVITE\r\n", "CSeq: 1\r\n\tINVITE\r\n");
  edge.NextHopSend(ringing);
  edge.Settle();
  const std::string answer = alice.Take();
  EXPECT_NE(answer.find("\r\nCSeq: 1 INVITE\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("\r\nSubject: a b\r\n"), std::string::npos) << answer;
}

TEST(OddMessageSimulationTest, FieldWithAnUnusualNameIsRemovedAlone) {
  SimulatedEdge edge({});
  SimulatedPeer& alice = edge.Connect("a.example");
  RequestText request = Call("names");
  request.headers =
      "!interesting-Method0123456789_*+`.%indeed'~: x\r\nX-%41: y\r\nX_a.B-1: kept\r\nX`Y: z\r\n";
  alice.Send(request.Text());
  edge.Settle();
  const std::string seen = edge.NextHopTake().value_or("");
  EXPECT_EQ(Value(seen, "X_a.B-1"), "kept") << alice.Take();
  for (const char* const part : {"interesting", "%41", "X`Y"}) {
    EXPECT_EQ(seen.find(part), std::string::npos) << seen;
  }
  EXPECT_EQ(edge.Counter(edge.metrics().sip_messages_rewritten.Slot(RewriteReason::kFieldRemoved)),
            1U);
}

}  // namespace
}  // namespace sallyport::sip::test
