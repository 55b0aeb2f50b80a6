// What our lines in dialogs must let through: the calls, transfers and subscriptions of honest
// parties, whatever proxies, telephones and mishaps there are on the way.

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/simulated_b2bua.h"
#include "tests/simulation/simulated_scene.h"

namespace sallyport::sip::test {
namespace {

using Values = std::vector<std::string>;

constexpr char kAlicesPhone[] = "127.0.0.1:5099";
constexpr char kAlicesOtherPhone[] = "127.0.0.1:5097";
constexpr char kCeosServer[] = "192.0.2.2:5061";
constexpr char kDorasServer[] = "192.0.2.4:5061";
constexpr char kHold[] = "v=0\r\na=sendonly\r\n";

class TokenFlowTest : public ::testing::Test {
 protected:
  // Alice is inside, bob one of our users outside. Carol calls from a.example; dora is reached by
  // the server of that domain, and ceo by that of b.example.
  void Meet(const SimulatedSceneOptions& options = {}) {
    scene_ = std::make_unique<SimulatedScene>(options);
    alice_ = &scene_->AddInside("alice", kAlicesPhone);
    bob_ = &scene_->AddUser("bob", options.edges - 1);
    carol_ = &scene_->AddCaller("carol", "a.example");
    dora_ = &scene_->AddPartner("dora", "a.example", kDorasServer);
    ceo_ = &scene_->AddPartner("ceo", "b.example", kCeosServer);
    core().Retarget("sales@edge.example", {.uris = {"sip:bob@edge.example"}});
    core().Retarget("board@edge.example", {.uris = {"sip:ceo@b.example"}});
    core().Retarget("home@edge.example", {.uris = {"sip:dora@a.example"}});
  }
  void Settle() { scene_->Settle(); }
  SimulatedWorld& world() { return scene_->world; }
  SimulatedInsideProxy& core() { return scene_->core; }

  // The call is set up.
  std::string Call(SimulatedPhone& caller, const std::string& uri, SimulatedPhone& callee) {
    caller.Forget();
    callee.Forget();
    const std::string call = caller.Call(uri);
    Settle();
    EXPECT_EQ(caller.Final(call, "INVITE"), 200) << uri;
    EXPECT_EQ(callee.Count("INVITE"), 1U) << uri;
    EXPECT_EQ(callee.Count("ACK"), 1U) << uri;
    return call;
  }

  // A request of the call comes to the other side, and its answer back.
  void Exchange(SimulatedPhone& from, SimulatedPhone& to, const std::string& call,
                const SimulatedPhone::In& request) {
    from.Forget();
    to.Forget();
    from.Send(call, request);
    Settle();
    EXPECT_EQ(to.Count(request.method), 1U) << request.method << " from " << from.options().uri;
    EXPECT_EQ(from.Final(call, request.method), request.method == "REFER" ? 202 : 200)
        << request.method << " from " << from.options().uri;
    EXPECT_EQ(to.Count("ACK"), request.method == "INVITE" ? 1U : 0U);
  }

  // Both sides talk, and that one ends it.
  void Converse(SimulatedPhone& caller, SimulatedPhone& callee, const std::string& call) {
    for (const auto& [from, to] : {std::pair(&caller, &callee), std::pair(&callee, &caller)}) {
      Exchange(*from, *to, call, {.method = "INFO"});
      Exchange(*from, *to, call, {.method = "INVITE", .body = kHold});
      Exchange(*from, *to, call, {.method = "UPDATE"});
    }
  }

  // Twice: each side ends it once.
  void CallAndConverse(SimulatedPhone& caller, const std::string& uri, SimulatedPhone& callee) {
    SCOPED_TRACE(absl::StrCat(caller.options().uri, " calls ", uri));
    for (const bool caller_ends : {true, false}) {
      const std::string call = Call(caller, uri, callee);
      if (::testing::Test::HasFailure()) return;
      Converse(caller, callee, call);
      SimulatedPhone& from = caller_ends ? caller : callee;
      Exchange(from, caller_ends ? callee : caller, call, {.method = "BYE"});
    }
  }

  // In every constellation.
  void CallEverybody() {
    CallAndConverse(**carol_, "sip:alice@edge.example", *alice_);
    CallAndConverse(*alice_, "sip:bob@edge.example", **bob_);
    CallAndConverse(**bob_, "sip:alice@edge.example", *alice_);
    CallAndConverse(*alice_, "sip:sales@edge.example", **bob_);
    CallAndConverse(*alice_, "sip:ceo@b.example", **ceo_);
    CallAndConverse(*alice_, "sip:board@edge.example", **ceo_);
    CallAndConverse(**carol_, "sip:bob@edge.example", **bob_);
    CallAndConverse(**carol_, "sip:sales@edge.example", **bob_);
    CallAndConverse(**bob_, "sip:board@edge.example", **ceo_);
    CallAndConverse(**carol_, "sip:home@edge.example", **dora_);
  }

  std::unique_ptr<SimulatedScene> scene_;
  SimulatedPhone* alice_ = nullptr;
  SimulatedUser* bob_ = nullptr;
  SimulatedUser* carol_ = nullptr;
  SimulatedUser* dora_ = nullptr;
  SimulatedUser* ceo_ = nullptr;
};

// -- The proxy behind the edge -------------------------------------------------------------------

struct ProxyKind {
  const char* name;
  SimulatedInsideProxyOptions options;
  size_t edges = 1;
  bool numeric_names = false;
};

std::ostream& operator<<(std::ostream& out, const ProxyKind& kind) { return out << kind.name; }

std::vector<ProxyKind> ProxyKinds() {
  const auto* const certificate = &SimulatedCertificate("core.example");
  constexpr TransportProtocol kTcp = TransportProtocol::kTcp;
  constexpr TransportProtocol kTls = TransportProtocol::kTls;
  return {
      {"Udp", {}},
      {"UdpWithoutRecordRoute", {.records_route = false}},
      {"Tcp", {.transport = kTcp}},
      {"TcpWithoutRecordRoute", {.transport = kTcp, .records_route = false}},
      {"Tls", {.transport = kTls, .certificate = certificate}},
      {"TlsWithoutRecordRoute",
       {.transport = kTls, .certificate = certificate, .records_route = false}},
      {"HidesVia", {.hides_via = true}},
      {"HidesViaWithoutRecordRoute", {.records_route = false, .hides_via = true}},
      {"HidesTopology", {.hides_via = true, .hides_record_route = true}},
      {"NumericNames", {}, 1, true},
      {"NumericNamesWithoutRecordRoute", {.records_route = false}, 1, true},
      {"VirtualAddress", {.shared_address = "127.0.0.9:5080"}},
      {"VirtualAddressWithoutRecordRoute",
       {.records_route = false, .shared_address = "127.0.0.9:5080"}},
      {"SeveralSources", {.sources = {"127.0.0.2:5080", "127.0.0.3:5080", "127.0.0.4:5080"}}},
      {"SeveralSourcesWithoutRecordRoute",
       {.records_route = false, .sources = {"127.0.0.2:5080", "127.0.0.3:5080", "127.0.0.4:5080"}}},
      {"RecordsInviteAndSubscribeAlone", {.records_route_of = {"INVITE", "SUBSCRIBE"}}},
      {"OutByAnotherInstance", {.edge = "127.0.0.1:5170"}, 2},
      {"OutByAnotherInstanceWithoutRecordRoute",
       {.edge = "127.0.0.1:5170", .records_route = false},
       2},
      {"OutByAnotherInstanceWithNumericNames", {.edge = "127.0.0.1:5170"}, 2, true},
  };
}

class ProxyFlowTest : public TokenFlowTest, public ::testing::WithParamInterface<ProxyKind> {
 protected:
  void SetUp() override {
    SimulatedSceneOptions options;
    options.core = GetParam().options;
    options.edges = GetParam().edges;
    options.numeric_names = GetParam().numeric_names;
    Meet(options);
  }
};

INSTANTIATE_TEST_SUITE_P(Proxies, ProxyFlowTest, ::testing::ValuesIn(ProxyKinds()),
                         [](const ::testing::TestParamInfo<ProxyKind>& kind) {
                           return kind.param.name;
                         });

TEST_P(ProxyFlowTest, CallsBetweenInsideAndOutside) {
  CallAndConverse(**carol_, "sip:alice@edge.example", *alice_);
  CallAndConverse(*alice_, "sip:bob@edge.example", **bob_);
  CallAndConverse(**bob_, "sip:alice@edge.example", *alice_);
  CallAndConverse(*alice_, "sip:ceo@b.example", **ceo_);
}

// The callee may hang up under the name that was dialled.
TEST_P(ProxyFlowTest, CallsOfTheInsideThatAreRetargeted) {
  CallAndConverse(*alice_, "sip:sales@edge.example", **bob_);
  CallAndConverse(*alice_, "sip:board@edge.example", **ceo_);
}

TEST_P(ProxyFlowTest, CallsThatComeFromOutsideAndGoOutAgain) {
  CallAndConverse(**carol_, "sip:bob@edge.example", **bob_);
  CallAndConverse(**carol_, "sip:sales@edge.example", **bob_);
  CallAndConverse(**bob_, "sip:board@edge.example", **ceo_);
  CallAndConverse(**carol_, "sip:board@edge.example", **ceo_);
  CallAndConverse(**carol_, "sip:home@edge.example", **dora_);  // The same party again.
}

TEST_P(ProxyFlowTest, SubscriptionsOfBothSides) {
  for (const auto& [subscriber, uri, notifier] :
       {std::tuple(alice_, "sip:bob@edge.example", bob_->phone.get()),
        std::tuple(bob_->phone.get(), "sip:alice@edge.example", alice_),
        std::tuple(carol_->phone.get(), "sip:bob@edge.example", bob_->phone.get()),
        std::tuple(alice_, "sip:sales@edge.example", bob_->phone.get())}) {
    SCOPED_TRACE(absl::StrCat(subscriber->options().uri, " watches ", uri));
    const std::string call =
        subscriber->Send({.method = "SUBSCRIBE", .uri = uri, .headers = "Event: presence\r\n"});
    Settle();
    ASSERT_EQ(subscriber->Final(call, "SUBSCRIBE"), 200);
    const SimulatedPhone::In notify = {
        .method = "NOTIFY", .headers = "Event: presence\r\nSubscription-State: active\r\n"};
    const SimulatedPhone::In refresh = {.method = "SUBSCRIBE", .headers = "Event: presence\r\n"};
    Exchange(*notifier, *subscriber, call, notify);
    Exchange(*subscriber, *notifier, call, refresh);
    Exchange(*notifier, *subscriber, call, notify);
    Exchange(*subscriber, *notifier, call, refresh);
  }
}

TEST_P(ProxyFlowTest, RefersOutOfADialog) {
  for (const auto& [from, uri, to] :
       {std::tuple(alice_, "sip:sales@edge.example", bob_->phone.get()),
        std::tuple(bob_->phone.get(), "sip:alice@edge.example", alice_),
        std::tuple(carol_->phone.get(), "sip:sales@edge.example", bob_->phone.get())}) {
    SCOPED_TRACE(absl::StrCat(from->options().uri, " refers ", uri));
    const std::string call = from->Send(
        {.method = "REFER", .uri = uri, .headers = "Refer-To: <sip:dave@edge.example>\r\n"});
    Settle();
    ASSERT_EQ(from->Final(call, "REFER"), 202);
    for (const char* const state : {"active", "terminated"}) {
      Exchange(*to, *from, call,
               {.method = "NOTIFY",
                .headers = absl::StrCat("Event: refer\r\nSubscription-State: ", state, "\r\n")});
    }
  }
}

// The proxy is known by a name alone, and its address is no listener's neighbour.
TEST_F(TokenFlowTest, ProxyThatIsFoundByName) {
  SimulatedSceneOptions options;
  options.core.address = "10.0.0.5:5080";
  options.targets = {"udp:core.example:5080"};
  options.inside = "allow = [\"127.0.0.1\", \"10.0.0.5\"]\n";
  options.dns = {{"core.example", "10.0.0.5"}};
  for (const bool records_route : {true, false}) {
    options.core.records_route = records_route;
    Meet(options);
    CallEverybody();
  }
}

class StreamProxyFlowTest : public TokenFlowTest,
                            public ::testing::WithParamInterface<std::tuple<bool, bool>> {};

INSTANTIATE_TEST_SUITE_P(TlsAndRecordRoute, StreamProxyFlowTest,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool()));

TEST_P(StreamProxyFlowTest, CallsGoOnAfterAReconnect) {
  SimulatedSceneOptions options;
  options.core.transport =
      std::get<0>(GetParam()) ? TransportProtocol::kTls : TransportProtocol::kTcp;
  options.core.certificate = &SimulatedCertificate("core.example");
  options.core.records_route = std::get<1>(GetParam());
  Meet(options);
  const std::string in = Call(**carol_, "sip:alice@edge.example", *alice_);
  const std::string out = Call(*alice_, "sip:sales@edge.example", **bob_);
  const std::string through = Call(**carol_, "sip:board@edge.example", **ceo_);
  world().Disconnect(core().options().address);
  Settle();
  Converse(**carol_, *alice_, in);
  Converse(*alice_, **bob_, out);
  world().Disconnect(core().options().address);
  Settle();
  Converse(**carol_, **ceo_, through);
  Exchange(*alice_, **carol_, in, {.method = "BYE"});
  Exchange(**bob_, *alice_, out, {.method = "BYE"});
  Exchange(**ceo_, **carol_, through, {.method = "BYE"});
}

// Two of the first kind share a name; one of them dies.
class TwoProxiesFlowTest : public TokenFlowTest, public ::testing::WithParamInterface<bool> {};

INSTANTIATE_TEST_SUITE_P(FirstRecordsRoute, TwoProxiesFlowTest, ::testing::Bool());

TEST_P(TwoProxiesFlowTest, InARowOneOfThemDying) {
  SimulatedSceneOptions options;
  options.core.transport = TransportProtocol::kTcp;
  options.core.records_route = GetParam();
  options.targets = {"tcp:127.0.0.1:5080;priority=1", "tcp:127.0.0.1:5082;priority=2"};
  Meet(options);
  SimulatedInsideProxyOptions twin = options.core;
  twin.address = "127.0.0.1:5082";
  twin.edge = core().options().edge;
  twin.aliases = {"127.0.0.1:5080"};
  SimulatedInsideProxy other(world(), twin);
  SimulatedInsideProxyOptions last = twin;
  last.address = "127.0.0.1:5090";
  last.aliases = {};
  last.records_route = true;
  SimulatedInsideProxy second(world(), last);
  second.Bind("alice@edge.example", alice_->options().contact);
  core().Retarget("alice@edge.example", {.next = last.address});
  other.Retarget("alice@edge.example", {.next = last.address});
  const std::string call = Call(**carol_, "sip:alice@edge.example", *alice_);
  Converse(**carol_, *alice_, call);
  world().Kill("127.0.0.1:5080");
  world().Run(absl::Seconds(1));
  Exchange(**carol_, *alice_, call, {.method = "INFO"});
  if (!GetParam()) Exchange(*alice_, **carol_, call, {.method = "INFO"});
  Exchange(**carol_, *alice_, call, {.method = "BYE"});
}

// -- Forwarding ----------------------------------------------------------------------------------

class ForwardingFlowTest : public TokenFlowTest, public ::testing::WithParamInterface<size_t> {
 protected:
  void SetUp() override {
    SimulatedSceneOptions options;
    options.edges = GetParam();
    options.core.edge = SimulatedScene::InsideAddress(options.edges - 1);
    Meet(options);
  }

  // Calls for that name go by a B2BUA to that URI.
  std::unique_ptr<SimulatedB2bua> Forward(const std::string& name, const std::string& uri,
                                          const std::string& to) {
    const std::string address = absl::StrCat("127.0.0.1:", 5200 + ++count_);
    core().Bind(name + "@edge.example", "sip:b2bua@" + address);
    return std::make_unique<SimulatedB2bua>(world(), address, core().options().address, uri, to);
  }

  void CallByB2bua(SimulatedUser& caller, const std::string& uri, SimulatedUser& callee) {
    SCOPED_TRACE(uri);
    for (const bool caller_ends : {true, false}) {
      const std::string call = Call(*caller, uri, *callee);
      if (callee->Last("INVITE") == nullptr) return;
      const std::string other = callee->Last("INVITE")->First("Call-ID");
      EXPECT_NE(call, other);
      SimulatedPhone& from = caller_ends ? *caller : *callee;
      SimulatedPhone& to = caller_ends ? *callee : *caller;
      from.Send(caller_ends ? call : other, {.method = "INFO"});
      Settle();
      EXPECT_EQ(from.Final(caller_ends ? call : other, "INFO"), 200);
      from.Send(caller_ends ? call : other, {.method = "BYE"});
      Settle();
      EXPECT_EQ(from.Final(caller_ends ? call : other, "BYE"), 200);
      EXPECT_EQ(to.Count("BYE"), 1U);
    }
  }

  int count_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Instances, ForwardingFlowTest, ::testing::Values(1, 2));

TEST_P(ForwardingFlowTest, ByAProxyToAnotherPartyAndToTheSame) {
  CallAndConverse(**carol_, "sip:board@edge.example", **ceo_);
  CallAndConverse(**carol_, "sip:home@edge.example", **dora_);
  CallAndConverse(**bob_, "sip:home@edge.example", **dora_);
}

TEST_P(ForwardingFlowTest, ByAB2buaToAnotherPartyAndToTheSame) {
  const auto to_ceo = Forward("b-board", "sip:ceo@b.example", "");
  const auto to_dora = Forward("b-home", "sip:dora@a.example", "");
  CallByB2bua(*carol_, "sip:b-board@edge.example", *ceo_);
  CallByB2bua(*carol_, "sip:b-home@edge.example", *dora_);
  CallByB2bua(*bob_, "sip:b-board@edge.example", *ceo_);
}

// And keeps the name that was dialled.
TEST_P(ForwardingFlowTest, ByAB2buaUnderTheNameThatWasDialled) {
  const auto to_ceo = Forward("b-board", "sip:ceo@b.example", "<sip:b-board@edge.example>");
  const auto to_dora = Forward("b-home", "sip:dora@a.example", "<sip:b-home@edge.example>");
  const auto to_bob = Forward("b-sales", "sip:bob@edge.example", "<sip:b-sales@edge.example>");
  CallByB2bua(*carol_, "sip:b-board@edge.example", *ceo_);
  CallByB2bua(*carol_, "sip:b-home@edge.example", *dora_);
  CallByB2bua(*carol_, "sip:b-sales@edge.example", *bob_);
}

TEST_F(TokenFlowTest, CalleeDialledByItsExtensionHangsUp) {
  Meet();
  core().Retarget("23@edge.example", {.uris = {"sip:bob@edge.example"}});
  CallAndConverse(*alice_, "sip:23@edge.example", **bob_);
  CallAndConverse(**carol_, "sip:23@edge.example", **bob_);
}

// -- What our lines cost on the wire --------------------------------------------------------------

size_t RecordRouteOctets(const SimulatedMessage& message) {
  size_t octets = 0;
  for (const std::string& value : message.All("Record-Route")) {
    if (value.find('@') == std::string::npos) continue;  // Of the proxy inside.
    octets += std::string_view("Record-Route: ").size() + value.size() + 2;
  }
  return octets;
}

TEST_F(TokenFlowTest, RecordRouteOfAPairAndOfASpiralStaysShort) {
  Meet();
  Call(**carol_, "sip:alice@edge.example", *alice_);
  const size_t inwards = RecordRouteOctets(*alice_->Last("INVITE"));
  Call(*alice_, "sip:ceo@b.example", **ceo_);
  const size_t outwards = RecordRouteOctets(*(*ceo_)->Last("INVITE"));
  Call(**carol_, "sip:board@edge.example", **ceo_);
  const size_t spiral = RecordRouteOctets(*(*ceo_)->Last("INVITE"));
  std::printf("Record-Route of ours: inwards %zu, outwards %zu, spiral %zu octets\n", inwards,
              outwards, spiral);
  EXPECT_GT(inwards, 0U);
  EXPECT_LE(inwards, 250U);
  EXPECT_LE(outwards, 250U);
  EXPECT_GT(spiral, outwards);
  EXPECT_LE(spiral, 500U);
}

// -- In by one instance and out by the other -----------------------------------------------------

TEST_F(TokenFlowTest, InByOneInstanceAndOutByTheOther) {
  SimulatedSceneOptions options;
  options.edges = 2;  // Bob is connected to the second, carol to the first.
  Meet(options);
  CallEverybody();
}

// -- Stacks --------------------------------------------------------------------------------------

TEST_F(TokenFlowTest, CallerBehindRecordRoutingProxies) {
  Meet();
  (*carol_)->options().record_routes = {"<sip:p2.a.example;lr>", "<sip:p1.a.example:5062;lr>"};
  for (const char* const uri : {"sip:alice@edge.example", "sip:sales@edge.example"}) {
    SimulatedPhone& callee = std::string(uri).find("alice") == 4 ? *alice_ : **bob_;
    CallAndConverse(**carol_, uri, callee);
    EXPECT_EQ((*carol_)->Last("BYE")->All("Route"), (*carol_)->options().record_routes);
  }
  EXPECT_TRUE(world().AskedNames().empty());
}

TEST_F(TokenFlowTest, CalleeBehindRecordRoutingProxies) {
  Meet();
  (*ceo_)->options().record_routes = {"<sip:p2.b.example;lr>", "<sip:p1.b.example;lr>"};
  CallAndConverse(*alice_, "sip:ceo@b.example", **ceo_);
  CallAndConverse(*alice_, "sip:board@edge.example", **ceo_);
  CallAndConverse(**bob_, "sip:board@edge.example", **ceo_);
}

TEST_F(TokenFlowTest, CallerWithAPrivateContactAddress) {
  Meet();
  for (const char* const contact :
       {"sip:carol@10.0.0.5", "sip:carol@192.168.1.5:5060;transport=udp", "sip:carol@a.example",
        "sip:carol@pc.a.example;gr=1"}) {
    (*carol_)->options().contact = contact;
    CallAndConverse(**carol_, "sip:alice@edge.example", *alice_);
  }
  (*carol_)->options().contact = "sip:carol@10.0.0.5";
  CallAndConverse(**carol_, "sip:sales@edge.example", **bob_);
}

TEST_F(TokenFlowTest, StackThatReprintsRoutes) {
  Meet();
  (*bob_)->options().reprints_routes = true;
  (*ceo_)->options().reprints_routes = true;
  (*carol_)->options().reprints_routes = true;
  alice_->options().reprints_routes = true;
  CallEverybody();
}

TEST_F(TokenFlowTest, OutboundProxyInFrontOfTheRouteSet) {
  Meet();
  for (const char* const proxy :
       {"<sip:edge.example:5061;transport=tls;lr>", "<sip:edge.example;lr>",
        "<sip:edge.example;transport=tls;lr>", "<sip:127.0.0.1:5061;transport=tls;lr>"}) {
    (*bob_)->options().outbound_proxy = proxy;
    (*carol_)->options().outbound_proxy = proxy;
    CallEverybody();
  }
}

// A registration gets our Path, whatever its telephone knows of it, and behind a proxy, too.
TEST_F(TokenFlowTest, PhoneThatKnowsNoPathIsReached) {
  Meet();
  for (const char* const headers : {"Contact: <sip:bob@192.168.7.11:5061;transport=tls>\r\n",
                                    "Via: SIP/2.0/UDP 192.168.7.200:5060;branch=z9hG4bKp\r\n"
                                    "Contact: <sip:bob@192.168.7.11:5061;transport=tls>\r\n"}) {
    (*bob_)->Send({.method = "REGISTER",
                   .uri = "sip:edge.example",
                   .to = "<sip:bob@edge.example>",
                   .headers = headers});
    Settle();
    ASSERT_EQ(core().PathOf("bob@edge.example").size(), 1U) << headers;
    CallAndConverse(*alice_, "sip:bob@edge.example", **bob_);
  }
}

// -- Trunks --------------------------------------------------------------------------------------

constexpr char kTrunk[] =
    "[[next-hop]]\nname = \"trunk\"\nzone = \"outside\"\nidentity = \"t.example\"\n"
    "targets = [\"tls:192.0.2.9:5061\"]\n"
    "[[route]]\nzone = \"inside\"\nuser = \"+1*\"\nnext-hop = \"trunk\"\n"
    "[[route]]\nzone = \"outside\"\nuser = \"+49*\"\nnext-hop = \"core\"\n";

TEST_F(TokenFlowTest, TrunkIsCalledByNumber) {
  SimulatedSceneOptions options;
  options.extra = kTrunk;
  Meet(options);
  SimulatedUser& trunk = scene_->AddPartner("trunk", "t.example", "192.0.2.9:5061");
  core().Retarget("+1555@edge.example", {.next = core().options().edge});
  CallAndConverse(*alice_, "tel:+1555", *trunk);
  CallAndConverse(*alice_, "sip:+1555@edge.example;user=phone", *trunk);
  CallAndConverse(*alice_, "sip:+1555@t.example;user=phone", *trunk);
  core().Retarget("help@edge.example", {.uris = {"tel:+1555"}});
  CallAndConverse(**carol_, "sip:help@edge.example", *trunk);
}

TEST_F(TokenFlowTest, TrunkCallsNumbers) {
  SimulatedSceneOptions options;
  options.extra = kTrunk;
  Meet(options);
  SimulatedUser& trunk = scene_->AddPartner("+1666", "t.example", "192.0.2.9:5061");
  core().Retarget("+4930", {.uris = {"sip:alice@edge.example"}});
  core().Retarget("+4930@edge.example", {.uris = {"sip:alice@edge.example"}});
  for (const char* const uri :
       {"tel:+4930", "sip:+4930@edge.example;user=phone", "sip:+4930@edge.example"}) {
    CallAndConverse(*trunk, uri, *alice_);
  }
}

TEST_F(TokenFlowTest, TrunkCallsFromNumbersThatItMaySend) {
  SimulatedSceneOptions options;
  options.extra = absl::StrCat(kTrunk,
                               "[[peer]]\nname = \"trunk\"\nmatch = { identity = \"t.example\" }\n"
                               "send-as = [\"t.example\", \"+1*\"]\n");
  if (!SimulatedScene::Accepts(options)) GTEST_SKIP() << "no [[peer]] in this version";
  Meet(options);
  SimulatedUser& trunk = scene_->AddPartner("trunk", "t.example", "192.0.2.9:5061");
  core().Retarget("+4930@edge.example", {.uris = {"sip:alice@edge.example"}});
  for (const char* const from : {"tel:+1777", "sip:+1777@edge.example;user=phone"}) {
    trunk->options().uri = from;
    CallAndConverse(*trunk, "sip:+4930@edge.example;user=phone", *alice_);
    CallAndConverse(*trunk, "sip:sales@edge.example", **bob_);
  }
}

// -- Early dialogs -------------------------------------------------------------------------------

class ForkFlowTest : public TokenFlowTest, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Meet();
    colin_ = &scene_->AddUser("colin");
    core().Retarget(
        "team@edge.example",
        {.uris = {"sip:bob@edge.example", "sip:colin@edge.example"}, .is_parallel = GetParam()});
  }

  // PRACK and UPDATE in each early dialog of the call reach the one that it is with.
  void AcknowledgeEarly(SimulatedPhone& caller, const std::string& call) {
    for (auto& [key, dialog] : caller.dialogs()) {
      if (dialog.call_id != call || dialog.remote_tag.empty()) continue;
      const bool is_bobs = dialog.target == (*bob_)->options().contact;
      SimulatedPhone& callee = is_bobs ? **bob_ : **colin_;
      for (const char* const method : {"PRACK", "UPDATE"}) {
        const size_t before = callee.Count(method);
        caller.Send(dialog, {.method = method, .headers = "RAck: 1 1 INVITE\r\n"});
        Settle();
        EXPECT_EQ(callee.Count(method), before + 1) << method << " " << dialog.target;
        EXPECT_EQ(caller.Final(call, method), 200);
      }
    }
  }

  SimulatedUser* colin_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(InParallel, ForkFlowTest, ::testing::Bool());

TEST_P(ForkFlowTest, EarlyDialogsOfAForkedCall) {
  for (SimulatedPhone* const caller : {alice_, carol_->phone.get()}) {
    (*bob_)->Forget();
    (*colin_)->Forget();
    caller->Forget();
    (*bob_)->answers["INVITE"] = {183};
    (*colin_)->answers["INVITE"] = {180};
    const std::string call = caller->Call("sip:team@edge.example");
    Settle();
    ASSERT_EQ((*bob_)->Count("INVITE"), 1U);
    AcknowledgeEarly(*caller, call);
    if (!GetParam()) {
      (*bob_)->Answer("INVITE", 486);
      Settle();
      AcknowledgeEarly(*caller, call);
    }
    ASSERT_EQ((*colin_)->Count("INVITE"), 1U);
    (*colin_)->Answer("INVITE", 200);
    Settle();
    EXPECT_EQ(caller->Final(call, "INVITE"), 200);
    EXPECT_EQ((*colin_)->Count("ACK"), 1U);
    EXPECT_EQ((*bob_)->Count("CANCEL"), GetParam() ? 1U : 0U);
    Converse(*caller, **colin_, call);
    Exchange(**colin_, *caller, call, {.method = "BYE"});
  }
}

TEST_P(ForkFlowTest, CallIsCancelled) {
  for (SimulatedPhone* const caller : {alice_, carol_->phone.get()}) {
    (*bob_)->Forget();
    (*colin_)->Forget();
    (*bob_)->answers["INVITE"] = {180};
    (*colin_)->answers["INVITE"] = {180};
    const std::string call = caller->Call("sip:team@edge.example");
    Settle();
    caller->Cancel(call);
    Settle();
    EXPECT_EQ(caller->Final(call, "INVITE"), 487);
    EXPECT_EQ((*bob_)->Count("CANCEL"), 1U);
    EXPECT_EQ((*colin_)->Count("CANCEL"), GetParam() ? 1U : 0U);
  }
}

// -- Transfer ------------------------------------------------------------------------------------

class TransferFlowTest : public TokenFlowTest {
 protected:
  void SetUp() override { Meet(); }

  // That side refers the other to a third party, gets its NOTIFYs, and hangs up.
  void Transfer(SimulatedPhone& from, SimulatedPhone& to, const std::string& call,
                const std::string& refer_to) {
    Exchange(from, to, call, {.method = "INVITE", .body = kHold});
    Exchange(from, to, call, {.method = "REFER", .headers = "Refer-To: <" + refer_to + ">\r\n"});
    for (const char* const state : {"active", "terminated"}) {
      Exchange(to, from, call,
               {.method = "NOTIFY",
                .headers = absl::StrCat("Event: refer\r\nSubscription-State: ", state, "\r\n"),
                .body = "SIP/2.0 100 Trying"});
    }
    Exchange(from, to, call, {.method = "BYE"});
  }

  void TransferBothWays(SimulatedPhone& caller, const std::string& uri, SimulatedPhone& callee,
                        const std::string& refer_to) {
    SCOPED_TRACE(absl::StrCat(caller.options().uri, " calls ", uri));
    Transfer(caller, callee, Call(caller, uri, callee), refer_to);
    Transfer(callee, caller, Call(caller, uri, callee), refer_to);
  }

  void TransferEverybody(const std::string& refer_to) {
    TransferBothWays(*alice_, "sip:sales@edge.example", **bob_, refer_to);
    TransferBothWays(**carol_, "sip:alice@edge.example", *alice_, refer_to);
    TransferBothWays(**carol_, "sip:sales@edge.example", **bob_, refer_to);
    TransferBothWays(**bob_, "sip:board@edge.example", **ceo_, refer_to);
  }
};

TEST_F(TransferFlowTest, Blind) { TransferEverybody("sip:dave@edge.example"); }

TEST_F(TransferFlowTest, Attended) {
  TransferEverybody("sip:dave@edge.example?Replaces=c%3Bto-tag%3D1%3Bfrom-tag%3D2");
}

// The edge cannot prove the author that an excused REFER names.
TEST_F(TransferFlowTest, ReferredByOfAnExcusedReferIsRemoved) {
  const std::string call = Call(*alice_, "sip:sales@edge.example", **bob_);
  Exchange(**bob_, *alice_, call,
           {.method = "REFER",
            .headers = "Refer-To: <sip:dave@edge.example>\r\n"
                       "Referred-By: <sip:sales@edge.example>\r\n"});
  ASSERT_NE(alice_->Last("REFER"), nullptr);
  EXPECT_EQ(alice_->Last("REFER")->First("Referred-By"), "");
}

// -- Things that change in mid-call --------------------------------------------------------------

TEST_F(TokenFlowTest, ByeAfterAChangedContactInside) {
  Meet();
  world().AddInside(kAlicesOtherPhone, TransportProtocol::kUdp, *alice_);
  for (const char* const uri : {"sip:sales@edge.example", "sip:board@edge.example"}) {
    SimulatedPhone& callee = std::string(uri).find("sales") == 4 ? **bob_ : **ceo_;
    const std::string call = Call(*alice_, uri, callee);
    alice_->options().contact = absl::StrCat("sip:alice@", kAlicesOtherPhone);
    Exchange(*alice_, callee, call, {.method = "INVITE"});
    ASSERT_EQ(callee.dialog(call).target, alice_->options().contact);
    Exchange(callee, *alice_, call, {.method = "BYE"});
    alice_->options().contact = absl::StrCat("sip:alice@", kAlicesPhone);
  }
}

TEST_F(TokenFlowTest, ByeAfterAChangedContactInASpiral) {
  Meet();
  for (const char* const contact : {"sip:carol@10.9.9.9:5070", "sip:carol@pc2.a.example"}) {
    const std::string call = Call(**carol_, "sip:sales@edge.example", **bob_);
    (*carol_)->options().contact = contact;
    Exchange(**carol_, **bob_, call, {.method = "INVITE"});
    ASSERT_EQ((*bob_)->dialog(call).target, contact);
    Exchange(**bob_, **carol_, call, {.method = "BYE"});
  }
}

class ReconnectFlowTest : public TokenFlowTest {
 protected:
  void SetUp() override { Meet(); }

  // Its old connection ends before or after the new one begins.
  void MoveTo(SimulatedUser& user, const sallyport::test::TestCertificate& certificate) {
    SimulatedPeer* const old = user.peer;
    if (count_++ % 2 == 0) world().Leave(*old);
    scene_->Connect(user, 0, &certificate);
    Settle();
    if (!old->connection().saw_end()) world().Leave(*old);
  }

  int count_ = 0;
};

TEST_F(ReconnectFlowTest, PartnerGoesOnFromAnotherNodeWithARenewedCertificate) {
  scene_->Leave(*dora_);  // Which would be another connection of that domain.
  for (const int renewal : {1, 2}) {
    const std::string in = Call(**carol_, "sip:alice@edge.example", *alice_);
    const std::string through = Call(**carol_, "sip:sales@edge.example", **bob_);
    MoveTo(*carol_, SimulatedCertificate("a.example", renewal));
    Converse(**carol_, *alice_, in);
    Converse(**carol_, **bob_, through);
    Exchange(*alice_, **carol_, in, {.method = "BYE"});
    Exchange(**bob_, **carol_, through, {.method = "BYE"});
  }
}

// A callee that we dialled sends its own requests on a connection that it opens.
TEST_F(ReconnectFlowTest, CalleeThatWasForwardedToGoesOnFromAnotherNode) {
  for (const int renewal : {1, 2}) {
    const std::string out = Call(*alice_, "sip:board@edge.example", **ceo_);
    const std::string through = Call(**carol_, "sip:board@edge.example", **ceo_);
    MoveTo(*ceo_, SimulatedCertificate("b.example", renewal));
    Converse(*alice_, **ceo_, out);
    Converse(**carol_, **ceo_, through);
    Exchange(**ceo_, *alice_, out, {.method = "BYE"});
    Exchange(**ceo_, **carol_, through, {.method = "BYE"});
  }
}

TEST_F(ReconnectFlowTest, CallerOfADomainWithoutAConnectionIsDialledByItsDomain) {
  const std::string call = (*dora_)->Call("sip:alice@edge.example");
  Settle();
  ASSERT_EQ((*dora_)->Final(call, "INVITE"), 200);
  scene_->Leave(*dora_);
  scene_->Leave(*carol_);  // Of the same domain.
  Exchange(*alice_, **dora_, call, {.method = "INFO"});
  Exchange(*alice_, **dora_, call, {.method = "BYE"});
}

TEST_F(ReconnectFlowTest, PhoneWithAFlowComesBack) {
  const std::string out = Call(*alice_, "sip:sales@edge.example", **bob_);
  const std::string in = Call(**bob_, "sip:alice@edge.example", *alice_);
  MoveTo(*bob_, *bob_->certificate);
  Converse(*alice_, **bob_, out);
  Converse(**bob_, *alice_, in);
  Exchange(**bob_, *alice_, out, {.method = "BYE"});
  Exchange(*alice_, **bob_, in, {.method = "BYE"});
}

// What happens to the edge while a call of each kind goes on.
class EdgeChangeFlowTest : public TokenFlowTest, public ::testing::WithParamInterface<size_t> {
 protected:
  void SetUp() override {
    SimulatedSceneOptions options;
    options.edges = GetParam();
    Meet(options);
    scene_->Leave(*dora_);  // Which would be another connection of carol's domain.
    in_ = Call(**carol_, "sip:alice@edge.example", *alice_);
    out_ = Call(*alice_, "sip:sales@edge.example", **bob_);
    away_ = Call(*alice_, "sip:board@edge.example", **ceo_);
    through_ = Call(**carol_, "sip:sales@edge.example", **bob_);
  }

  void ConverseInAll() {
    Converse(**carol_, *alice_, in_);
    Converse(*alice_, **bob_, out_);
    Converse(*alice_, **ceo_, away_);
    Converse(**carol_, **bob_, through_);
  }
  void EndAll() {
    Exchange(*alice_, **carol_, in_, {.method = "BYE"});
    Exchange(**bob_, *alice_, out_, {.method = "BYE"});
    Exchange(**ceo_, *alice_, away_, {.method = "BYE"});
    Exchange(**bob_, **carol_, through_, {.method = "BYE"});
  }

  std::string in_, out_, away_, through_;
};

INSTANTIATE_TEST_SUITE_P(Instances, EdgeChangeFlowTest, ::testing::Values(1, 2));

TEST_P(EdgeChangeFlowTest, Reload) {
  for (size_t i = 0; i < world().edges(); ++i) {
    SimulatedEdgeOptions options = scene_->EdgeOptions(i);
    options.extra =
        "[[next-hop]]\nname = \"more\"\nzone = \"outside\"\ntargets = [\"tls:more.example\"]\n"
        "[[route]]\nzone = \"inside\"\ndomain = \"more.example\"\nnext-hop = \"more\"\n";
    world().edge(i).Reload(options);
  }
  ConverseInAll();
  EndAll();
}

TEST_P(EdgeChangeFlowTest, ReloadThatAddsAPeer) {
  SimulatedEdgeOptions options = scene_->EdgeOptions(0);
  options.extra =
      "[[peer]]\nname = \"a\"\nmatch = { identity = \"a.example\" }\n"
      "[[peer]]\nname = \"b\"\nmatch = { identity = \"b.example\" }\n"
      "[[peer]]\nname = \"bob\"\nmatch = { identity = \"bob@edge.example\" }\n";
  if (!SimulatedEdge::Accepts(options)) GTEST_SKIP() << "no [[peer]] in this version";
  for (size_t i = 0; i < world().edges(); ++i) {
    const std::string peers = options.extra;
    options = scene_->EdgeOptions(i);
    options.extra = peers;
    world().edge(i).Reload(options);
  }
  ConverseInAll();
  EndAll();
}

TEST_P(EdgeChangeFlowTest, Restart) {
  for (size_t i = 0; i < world().edges(); ++i) scene_->Restart(i);
  ConverseInAll();
  EndAll();
}

TEST_P(EdgeChangeFlowTest, KeyRotation) {
  // The new key is known everywhere before it signs, and the old one as long as calls last.
  for (const std::vector<uint8_t>& keys : {std::vector<uint8_t>{1, 2}, {2, 1}}) {
    for (size_t i = 0; i < world().edges(); ++i) {
      scene_->options.secrets = {keys};
      world().edge(i).Reload(scene_->EdgeOptions(i));
      ConverseInAll();
    }
  }
  const std::string after = Call(**carol_, "sip:sales@edge.example", **bob_);
  scene_->options.secrets = {{2}};
  EndAll();
  for (size_t i = 0; i < world().edges(); ++i) world().edge(i).Reload(scene_->EdgeOptions(i));
  Converse(**carol_, **bob_, after);
  Exchange(**bob_, **carol_, after, {.method = "BYE"});
}

// RFC 6665: a subscriber subscribes anew when the key of its subscription has gone.
TEST_P(EdgeChangeFlowTest, SubscriptionOfAForgottenKeyIsAnswered481) {
  const std::string call = (*carol_)->Send(
      {.method = "SUBSCRIBE", .uri = "sip:alice@edge.example", .headers = "Event: presence\r\n"});
  Settle();
  ASSERT_EQ((*carol_)->Final(call, "SUBSCRIBE"), 200);
  scene_->options.secrets = {{3}};
  for (size_t i = 0; i < world().edges(); ++i) world().edge(i).Reload(scene_->EdgeOptions(i));
  (*carol_)->Forget();
  (*carol_)->Send(call, {.method = "SUBSCRIBE", .headers = "Event: presence\r\n"});
  Settle();
  EXPECT_EQ((*carol_)->Final(call, "SUBSCRIBE"), 481);
  alice_->Forget();
  alice_->Send(
      call, {.method = "NOTIFY", .headers = "Event: presence\r\nSubscription-State: active\r\n"});
  Settle();
  EXPECT_EQ(alice_->Final(call, "NOTIFY"), 481);
}

// An excuse expires; the 481 to a NOTIFY that needs it makes the subscriber subscribe anew.
TEST_F(TokenFlowTest, NotifyByAnExpiredExcuseIsAnswered481) {
  Meet();
  const std::string call = alice_->Send(
      {.method = "SUBSCRIBE", .uri = "sip:sales@edge.example", .headers = "Event: presence\r\n"});
  Settle();
  ASSERT_EQ(alice_->Final(call, "SUBSCRIBE"), 200);
  const SimulatedPhone::In notify = {
      .method = "NOTIFY", .headers = "Event: presence\r\nSubscription-State: active\r\n"};
  Exchange(**bob_, *alice_, call, notify);
  world().edge().network().SetWallTime(world().edge().network().wall_now() + absl::Hours(24 * 8));
  (*bob_)->Forget();
  (*bob_)->Send(call, notify);
  Settle();
  EXPECT_EQ((*bob_)->Final(call, "NOTIFY"), 481);
}

}  // namespace
}  // namespace sallyport::sip::test
