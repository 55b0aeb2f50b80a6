// What our lines in dialogs must let through: the calls, transfers and subscriptions of honest
// parties, whatever proxies, telephones and mishaps there are on the way.

#include <gtest/gtest.h>

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
  // Alice is inside, bob one of our users outside. Carol calls from a.example, whose server dora is
  // behind; ceo is at b.example.
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

// Whoever is called may hang up under the name that was dialled.
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

}  // namespace
}  // namespace sallyport::sip::test
