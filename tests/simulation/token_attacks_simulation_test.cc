// Attacks of outsiders by the lines that we put into dialogs: they try to speak under a foreign
// name, to be believed like the inside, and to lead the edge to a place of their choice.
//
// Mallory is a user of ours outside, and eve has a whole domain: with valid certificates both, and
// free in all that they write. Their requests carry X-Attack, so that a test finds the
// telephones that got one. Nothing here knows what is in a line of ours, only that its host and
// port name the edge.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/simulation/simulated_scene.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

constexpr char kAlicesPhone[] = "127.0.0.1:5099";
constexpr char kDavesPhone[] = "127.0.0.1:5098";
constexpr char kCeosServer[] = "192.0.2.2:5061";
constexpr char kBosssServer[] = "192.0.2.3:5061";
constexpr char kEvesServer[] = "192.0.2.66:5061";
const std::vector<std::string> kOutsideMethods = {"MESSAGE", "INVITE", "SUBSCRIBE"};

using Values = std::vector<std::string>;

Values operator+(Values left, const Values& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

class TokenAttackTest : public ::testing::Test {
 protected:
  void Meet(const SimulatedSceneOptions& options = {}) {
    scene_ = std::make_unique<SimulatedScene>(options);
    alice_ = &scene_->AddInside("alice", kAlicesPhone);
    dave_ = &scene_->AddInside("dave", kDavesPhone);
    bob_ = &scene_->AddUser("bob", options.edges - 1);
    mallory_ = &scene_->AddUser("mallory");
    colin_ = &scene_->AddUser("colin");  // Helps mallory.
    ceo_ = &scene_->AddPartner("ceo", "b.example", kCeosServer);
    boss_ = &scene_->AddPartner("boss", "third.example", kBosssServer);
    eve_ = &scene_->AddPartner("eve", "m.example", kEvesServer);
  }
  void Settle() { scene_->Settle(); }
  SimulatedWorld& world() { return scene_->world; }
  SimulatedInsideProxy& core() { return scene_->core; }

  // Sends it over that connection, or the user's last; the final status, 0 if there is none.
  int Attack(SimulatedUser& from, RequestText text, SimulatedPeer* over = nullptr) {
    text.via = "SIP/2.0/TLS m.invalid:5061";
    text.branch = absl::StrCat("attack", ++attacks_);
    absl::StrAppend(&text.headers, "X-Attack: yes\r\n");
    if (text.method != "MESSAGE") {
      absl::StrAppend(&text.headers, "Contact: <sip:mallory@192.168.7.66:5061;transport=tls>\r\n");
    }
    (over == nullptr ? from.peer : over)->Send(text.Text());
    Settle();
    int status = 0;
    for (const SimulatedMessage& response : from->responses()) {
      if (BranchOf(response.First("Via")) == "z9hG4bK" + text.branch && response.status() >= 200) {
        status = response.status();
      }
    }
    return status;
  }

  // The requests of attacks that came to the honest.
  std::string WhoGotIt() const {
    std::string who;
    const auto look = [&who](const SimulatedPhone& phone) {
      for (const SimulatedMessage& request : phone.requests()) {
        if (request.First("X-Attack").empty()) continue;
        absl::StrAppend(&who, phone.options().uri, " got ", request.start, "; ");
      }
    };
    look(*alice_);
    look(*dave_);
    for (const SimulatedUser* const user : {bob_, ceo_, boss_}) look(**user);
    return who;
  }

  // The names that the edges asked DNS for and the places that they dialled, except the proxy.
  std::string WhatWasTried() {
    Values tried;
    for (const std::string& name : world().AskedNames()) tried.push_back(name);
    for (const std::string& place : world().ReachedPlaces()) {
      if (place != core().options().address) tried.push_back(place);
    }
    return absl::StrJoin(tried, " ");
  }

  void ExpectNowhere(const std::string& place) {
    for (const std::string& reached : world().ReachedPlaces()) EXPECT_NE(reached, place);
  }
  void ExpectNoListenerWasReached() {
    for (size_t i = 0; i < world().edges(); ++i) {
      ExpectNowhere(SimulatedScene::InsideAddress(i));
      ExpectNowhere(SimulatedScene::OutsideAddress(i));
    }
  }

  static std::string RouteLines(const Values& values) {
    std::string lines;
    for (const std::string& value : values) absl::StrAppend(&lines, "Route: ", value, "\r\n");
    return lines;
  }

  std::unique_ptr<SimulatedScene> scene_;
  SimulatedPhone* alice_ = nullptr;
  SimulatedPhone* dave_ = nullptr;
  SimulatedUser* bob_ = nullptr;
  SimulatedUser* mallory_ = nullptr;
  SimulatedUser* colin_ = nullptr;
  SimulatedUser* ceo_ = nullptr;
  SimulatedUser* boss_ = nullptr;
  SimulatedUser* eve_ = nullptr;
  int attacks_ = 0;
};

// -- 1 and 3: an excuse that mallory makes for himself -------------------------------------------

// How the spiral comes back to the edges.
struct Spiral {
  const char* name;
  size_t edges = 1;
  bool restarts = false;  // Between the two passes.
  bool records_route = true;
  bool hides_via = false;
  bool numeric_names = false;
};

std::ostream& operator<<(std::ostream& out, const Spiral& spiral) { return out << spiral.name; }

// The lines of a request that has passed the edge twice, topmost first.
struct TwicePassed {
  std::string call_id;
  std::string tag;  // Of the caller.
  Values all;       // O2, I2, what the inside added, I1, O1.
  Values second;    // O2, I2.
  Values first;     // I1, O1.
};

class SelfMadeExcuseTest : public TokenAttackTest, public ::testing::WithParamInterface<Spiral> {
 protected:
  void SetUp() override {
    SimulatedSceneOptions options;
    options.edges = GetParam().edges;
    options.core.records_route = GetParam().records_route;
    options.core.hides_via = GetParam().hides_via;
    options.numeric_names = GetParam().numeric_names;
    Meet(options);
    if (options.edges > 1) {  // He is reached by the other instance.
      scene_->Connect(*mallory_, 1);
      over_ = mallory_->peer;
      (*mallory_)->Register();
      Settle();
      scene_->Connect(*mallory_, 0);
    }
  }

  // Mallory calls himself under the name that he wants, and the proxy sends the call out again.
  TwicePassed CallOneself(const std::string& as, const std::string& headers = "") {
    (*mallory_)->Forget();
    if (GetParam().restarts) core().Hold();
    TwicePassed made;
    made.call_id =
        (*mallory_)->Send({.uri = "sip:mallory@edge.example",
                           .to = "<" + as + ">",
                           .headers = headers + "P-Asserted-Identity: <" + as + ">\r\n"});
    Settle();
    if (GetParam().restarts) {
      scene_->Restart(0);
      core().Release();
      Settle();
    }
    const SimulatedMessage* const back = (*mallory_)->Last("INVITE");
    if (back == nullptr) return made;  // Refused: so there is nothing to abuse.
    EXPECT_EQ(back->First("P-Asserted-Identity"), "");
    made.tag = TagOf(back->First("From"));
    made.all = back->All("Record-Route");
    Split(made);
    return made;
  }

  void Split(TwicePassed& made) const {
    const auto ours = [this](const std::string& value) { return scene_->IsOurs(value); };
    for (const std::string& value : made.all) {
      if (!ours(value)) continue;
      (made.second.size() < 2 ? made.second : made.first).push_back(value);
    }
  }

  // The lines of an honest call of mallory's to bob: those of bob's side.
  Values BobsPair() {
    const std::string call = (*mallory_)->Call("sip:bob@edge.example");
    Settle();
    EXPECT_EQ((*mallory_)->Final(call, "INVITE"), 200);
    const SimulatedMessage* const invite = (*bob_)->Last("INVITE");
    if (invite == nullptr) return {};
    const Values lines = invite->All("Record-Route");
    return {lines.at(1), lines.at(0)};  // I2b, O2b.
  }

  RequestText AsCeo(const TwicePassed& made, const std::string& as) {
    return {.uri = "sip:bob@edge.example",
            .from = "<" + as + ">;tag=9",
            .to = "<sip:bob@edge.example>;tag=" + made.tag,
            .call_id = made.call_id,
            .cseq = "7"};
  }

  // Over his connection to the first edge and, if that refuses, to the second.
  int Try(const RequestText& text) {
    const int status = Attack(*mallory_, text);
    return status != 403 || over_ == nullptr ? status : Attack(*mallory_, text, over_);
  }

  // With every method, name, and way to say where it goes.
  void TryEverywhere(const TwicePassed& made, const std::string& as, const Values& routes) {
    const std::string bobs_contact = (*bob_)->options().contact;
    for (const std::string& method : kOutsideMethods) {
      for (const std::string& uri :
           {std::string("sip:bob@edge.example"), bobs_contact, (*mallory_)->options().contact}) {
        RequestText text = AsCeo(made, as);
        text.method = method;
        text.uri = uri;
        text.headers = RouteLines(routes);
        EXPECT_EQ(Try(text), 403) << method << " " << uri;
      }
    }
    EXPECT_EQ(WhoGotIt(), "");
  }

  SimulatedPeer* over_ = nullptr;  // Where the spiral comes back, if that is another edge.
  static constexpr const char* kNames[] = {"sip:ceo@b.example", "sip:ceo@edge.example"};
};

INSTANTIATE_TEST_SUITE_P(
    Spirals, SelfMadeExcuseTest,
    ::testing::Values(Spiral{"ThroughOneEdge"}, Spiral{"InByOneAndOutByTheOther", 2},
                      Spiral{"RestartedInBetween", 1, true},
                      Spiral{"WithoutRecordRouteOfTheProxy", 1, false, false},
                      Spiral{"WithoutVia", 1, false, true, true},
                      Spiral{"WithoutViaAndRecordRouteByTheOther", 2, false, false, true},
                      Spiral{"WithNumericNames", 1, false, true, false, true},
                      Spiral{"WithNumericNamesAlone", 1, false, false, false, true}),
    [](const ::testing::TestParamInfo<Spiral>& spiral) { return spiral.param.name; });

TEST_P(SelfMadeExcuseTest, ByTheOutsideLineAlone) {
  for (const char* const as : kNames) {
    const TwicePassed made = CallOneself(as);
    for (const std::string& line : made.all) {
      if (scene_->IsOutsideLine(line)) TryEverywhere(made, as, {line});
    }
  }
}

TEST_P(SelfMadeExcuseTest, ByThePairAndTheFirstOutsideLine) {
  for (const char* const as : kNames) {
    const TwicePassed made = CallOneself(as);
    if (made.first.size() < 2) continue;
    TryEverywhere(made, as, made.second + Values{made.first[1]});
    TryEverywhere(made, as, made.second);
    TryEverywhere(made, as, made.second + made.first);
  }
}

TEST_P(SelfMadeExcuseTest, WithAnotherPhoneOfTheInsideInBetween) {
  for (const char* const as : kNames) {
    const TwicePassed made = CallOneself(as);
    const Values daves = {absl::StrCat("<sip:", kDavesPhone, ";lr>")};
    TryEverywhere(made, as, made.second + daves + made.first);
    TryEverywhere(made, as, made.second + daves);
  }
}

TEST_P(SelfMadeExcuseTest, WithThePairOfBobsFlowInBetween) {
  const Values bobs = BobsPair();
  for (const char* const as : kNames) {
    const TwicePassed made = CallOneself(as);
    TryEverywhere(made, as, made.second + bobs + made.first);
    TryEverywhere(made, as, made.second + bobs);
    TryEverywhere(made, as, bobs + made.second);
  }
}

TEST_P(SelfMadeExcuseTest, OfAFirstPassThatBroughtBobsPair) {
  const Values bobs = BobsPair();
  if (GetParam().restarts) scene_->Restart(0);
  for (const char* const as : kNames) {
    const TwicePassed made =
        CallOneself(as, absl::StrCat("Record-Route: ", absl::StrJoin(bobs, ", "), "\r\n"));
    TryEverywhere(made, as, made.second + bobs);
    TryEverywhere(made, as, made.second + bobs + made.first);
    RequestText text = AsCeo(made, as);
    text.headers = RouteLines(made.all);
    EXPECT_EQ(Try(text), 403);
    EXPECT_EQ(WhoGotIt(), "");
  }
}

TEST_P(SelfMadeExcuseTest, WithTheWholeRouteSetAndAnotherRequestUri) {
  for (const char* const as : kNames) {
    const TwicePassed made = CallOneself(as);
    for (const std::string& uri :
         {std::string("sip:bob@edge.example"), (*bob_)->options().contact,
          alice_->options().contact, (*mallory_)->options().contact + ";maddr=127.0.0.1",
          (*mallory_)->options().contact + ";maddr=192.0.2.2"}) {
      for (const std::string& method : {std::string("INVITE"), std::string("INFO")}) {
        RequestText text = AsCeo(made, as);
        text.method = method;
        text.uri = uri;
        text.to = "<sip:mallory@edge.example>;tag=" + made.tag;
        text.headers = RouteLines(made.all);
        EXPECT_EQ(Try(text), 403) << method << " " << uri;
      }
    }
    EXPECT_EQ(WhoGotIt(), "");
  }
}

// The excused dialog itself has mallory at both ends.
TEST_P(SelfMadeExcuseTest, InItsOwnDialogReachesMalloryAlone) {
  for (const char* const as : kNames) {
    const TwicePassed made = CallOneself(as);
    for (const std::string& method : {std::string("INFO"), std::string("BYE")}) {
      RequestText text = AsCeo(made, as);
      text.method = method;
      text.uri = (*mallory_)->options().contact;
      text.to = "<sip:mallory@edge.example>;tag=" + made.tag;
      text.headers = RouteLines(made.all);
      Try(text);
    }
    EXPECT_EQ(WhoGotIt(), "");
  }
}

TEST_P(SelfMadeExcuseTest, WithFromTagEqualToToTag) {
  for (const char* const as : kNames) {
    const TwicePassed made = CallOneself(as);
    for (const Values& routes :
         {Values{made.second.empty() ? "" : made.second[0]}, made.second, made.all}) {
      if (routes.empty() || routes[0].empty()) continue;
      for (const std::string& method : kOutsideMethods) {
        RequestText text = AsCeo(made, as);
        text.method = method;
        text.from = absl::StrCat("<", as, ">;tag=", made.tag);
        text.headers = RouteLines(routes);
        EXPECT_EQ(Try(text), 403) << method;
      }
    }
    EXPECT_EQ(WhoGotIt(), "");
  }
}

TEST_P(SelfMadeExcuseTest, UnderAnotherSpelling) {
  const TwicePassed made = CallOneself("sip:ceo@b.example");
  for (const char* const as :
       {"sips:ceo@b.example", "sip:%63eo@b.example", "sip:ceo@B.EXAMPLE", "sip:ceo@b.example:5060",
        "sip:ceo@b.example;user=phone", "sip:ceo@b.example;maddr=127.0.0.1"}) {
    for (const char* const uri : {"sip:bob@edge.example", "sips:bob@edge.example",
                                  "sip:%62ob@edge.example", "sip:bob@EDGE.example:5061"}) {
      RequestText text = AsCeo(made, as);
      text.uri = uri;
      text.headers = RouteLines(made.second);
      EXPECT_EQ(Try(text), 403) << as << " " << uri;
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_P(SelfMadeExcuseTest, OverASecondConnectionAndAColluders) {
  for (const char* const as : kNames) {
    const TwicePassed made = CallOneself(as);
    scene_->Connect(*mallory_, GetParam().edges - 1);
    scene_->Connect(*colin_, GetParam().edges - 1);
    for (SimulatedUser* const user : {mallory_, colin_, eve_}) {
      for (const Values& routes : {made.second, made.all}) {
        for (const std::string& method : kOutsideMethods) {
          RequestText text = AsCeo(made, as);
          text.method = method;
          text.headers = RouteLines(routes);
          EXPECT_EQ(Attack(*user, text), 403) << (*user)->options().uri << " " << method;
        }
      }
    }
    EXPECT_EQ(WhoGotIt(), "");
  }
}

// -- 2: a callee of alice's call -----------------------------------------------------------------

class CalleeAttackTest : public TokenAttackTest, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    SimulatedSceneOptions options;
    options.core.records_route = GetParam();
    Meet(options);
    core().Retarget("sales@edge.example", {.uris = {"sip:mallory@edge.example"}});
    call_ = alice_->Call("sip:sales@edge.example");
    Settle();
    ASSERT_EQ(alice_->Final(call_, "INVITE"), 200);
    lines_ = (*mallory_)->Last("INVITE")->All("Record-Route");
  }

  RequestText AsSales() {
    const SimulatedDialog& dialog = (*mallory_)->dialog(call_);
    return {.uri = alice_->options().contact,
            .from = "<sip:sales@edge.example>;tag=" + dialog.local_tag,
            .to = "<sip:alice@edge.example>;tag=" + dialog.remote_tag,
            .call_id = call_,
            .cseq = "700"};
  }

  std::string call_;
  Values lines_;
};

INSTANTIATE_TEST_SUITE_P(RecordsRoute, CalleeAttackTest, ::testing::Bool());

TEST_P(CalleeAttackTest, OfAlicesCallTurnsToAnotherPhoneUnderAlicesContact) {
  const Values daves = {absl::StrCat("<sip:", kDavesPhone, ";lr>")};
  const Values pair(lines_.begin(), lines_.begin() + 2);
  for (const char* const method : {"MESSAGE", "INVITE", "SUBSCRIBE", "INFO", "REFER", "NOTIFY"}) {
    for (const Values& routes : {pair + daves, lines_ + daves, Values{pair[0]} + daves}) {
      RequestText text = AsSales();
      text.method = method;
      text.headers = RouteLines(routes) + "Event: x\r\nRefer-To: <sip:x@edge.example>\r\n";
      EXPECT_EQ(Attack(*mallory_, text), 403) << method;
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_P(CalleeAttackTest, OfAlicesCallTurnsToAnotherPhoneByRequestUri) {
  for (const std::string& uri :
       {std::string("sip:dave@") + kDavesPhone, std::string("sip:dave@edge.example"),
        (*bob_)->options().contact, std::string("sip:bob@edge.example"),
        alice_->options().contact + ";maddr=127.0.0.2"}) {
    for (const char* const method : {"MESSAGE", "INVITE", "INFO", "UPDATE"}) {
      RequestText text = AsSales();
      text.method = method;
      text.uri = uri;
      text.headers = RouteLines(lines_);
      EXPECT_EQ(Attack(*mallory_, text), 403) << method << " " << uri;
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
}

// What the excuse is for are requests within the call, not other conversations under that name.
TEST_P(CalleeAttackTest, OfAlicesCallMayNotSendMessagesAndSubscriptionsUnderThatName) {
  for (const char* const method : {"MESSAGE", "SUBSCRIBE", "OPTIONS", "PUBLISH", "REGISTER"}) {
    RequestText text = AsSales();
    text.method = method;
    text.headers = RouteLines(lines_);
    EXPECT_EQ(Attack(*mallory_, text), 403) << method;
  }
  EXPECT_EQ(WhoGotIt(), "");
}

// -- 4: a line of ours that leads to a listener of ours ------------------------------------------

// The proxy does not Record-Route a REFER, as many do not, but the edge does.
class ReferAttackTest : public TokenAttackTest,
                        public ::testing::WithParamInterface<std::tuple<size_t, bool>> {
 protected:
  void SetUp() override {
    SimulatedSceneOptions options;
    options.edges = std::get<0>(GetParam());
    options.numeric_names = std::get<1>(GetParam());
    options.core.records_route_of = {"INVITE", "SUBSCRIBE"};
    Meet(options);
    if (options.edges > 1) {
      scene_->Connect(*mallory_, 1);
      (*mallory_)->Register();
      Settle();
      second_ = mallory_->peer;
      scene_->Connect(*mallory_, 0);
    }
    call_id_ = (*mallory_)->Send({.method = "REFER",
                                  .uri = "sip:mallory@edge.example",
                                  .to = "<sip:ceo@b.example>",
                                  .headers = "Refer-To: <sip:x@y.example>\r\n"});
    Settle();
    const SimulatedMessage* const back = (*mallory_)->Last("REFER");
    if (back == nullptr) return;
    lines_ = back->All("Record-Route");
    tag_ = TagOf(back->First("From"));
  }

  std::string call_id_;
  std::string tag_ = "none";
  Values lines_;
  SimulatedPeer* second_ = nullptr;  // To the instance that the REFER came back by.
};

INSTANTIATE_TEST_SUITE_P(InstancesAndNumericNames, ReferAttackTest,
                         ::testing::Combine(::testing::Values(1, 2), ::testing::Bool()));

TEST_P(ReferAttackTest, ReferToOneselfLeadsNowhereButToTheProxy) {
  std::vector<Values> sets;
  for (const std::string& line : lines_) {
    sets.push_back({line});
    sets.push_back({line, "<sip:127.0.0.1:16001;transport=tls;lr>"});
    sets.push_back({line, "<sip:third.example:16001;maddr=127.0.0.1;transport=tls;lr>"});
  }
  sets.push_back(lines_);
  for (const Values& routes : sets) {
    for (const char* const from : {"sip:ceo@b.example", "sip:mallory@edge.example"}) {
      for (const char* const uri :
           {"sip:boss@third.example", "sip:q@other.example", "sip:q@127.0.0.1:16001"}) {
        RequestText text{.uri = uri,
                         .from = absl::StrCat("<", from, ">;tag=5"),
                         .to = absl::StrCat("<", uri, ">;tag=", tag_),
                         .call_id = call_id_,
                         .headers = RouteLines(routes)};
        const int status = Attack(*mallory_, text);
        EXPECT_GE(status, 400) << from << " " << uri;
        if (second_ == nullptr) continue;
        EXPECT_GE(Attack(*mallory_, text, second_), 400) << from << " " << uri;
      }
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
  EXPECT_EQ(WhatWasTried(), "");
}

// Nor does it help to be heard by the listener inside as a proxy of the inside would be.
TEST_P(ReferAttackTest, ListenersAreNeverReachedByOneAnother) {
  for (const std::string& line : lines_) {
    for (const char* const method : {"MESSAGE", "BYE", "ACK", "INFO"}) {
      Attack(*mallory_, {.method = method,
                         .uri = "sip:bob@edge.example",
                         .from = "<sip:mallory@edge.example>;tag=5",
                         .to = "<sip:bob@edge.example>;tag=" + tag_,
                         .call_id = call_id_,
                         .headers = RouteLines({line})});
    }
  }
  ExpectNoListenerWasReached();
  EXPECT_EQ(WhatWasTried(), "");
}

// -- 5: relay in one's own dialog ----------------------------------------------------------------

class RelayAttackTest : public TokenAttackTest, public ::testing::WithParamInterface<size_t> {
 protected:
  void SetUp() override {
    SimulatedSceneOptions options;
    options.edges = GetParam();
    Meet(options);
  }

  void CallAlice(const std::string& headers = "") {
    call_ = (*mallory_)->Send({.uri = "sip:alice@edge.example", .headers = headers});
    Settle();
    ASSERT_EQ((*mallory_)->Final(call_, "INVITE"), 200);
    routes_ = (*mallory_)->dialog(call_).routes;  // O1, I1, the proxy.
  }

  RequestText InDialog() {
    const SimulatedDialog& dialog = (*mallory_)->dialog(call_);
    return {.uri = dialog.target,
            .from = "<sip:mallory@edge.example>;tag=" + dialog.local_tag,
            .to = "<sip:alice@edge.example>;tag=" + dialog.remote_tag,
            .call_id = call_,
            .cseq = "700"};
  }

  std::string call_;
  Values routes_;
};

INSTANTIATE_TEST_SUITE_P(Instances, RelayAttackTest, ::testing::Values(1, 2));

TEST_P(RelayAttackTest, ToAnotherDomainByAListenerOfTheInside) {
  CallAlice();
  const Values pair(routes_.begin(), routes_.begin() + 2);
  for (size_t i = 0; i < world().edges(); ++i) {
    for (const std::string& place :
         {SimulatedScene::InsideAddress(i), absl::StrCat("edge.example:", 5070 + 100 * i)}) {
      const Values back = {"<sip:" + place + ";lr>"};
      for (const Values& routes : {routes_ + back, pair + back, Values{routes_[0]} + back, back}) {
        for (const char* const method : {"MESSAGE", "INVITE", "INFO", "BYE", "ACK", "SUBSCRIBE"}) {
          RequestText text = InDialog();
          text.method = method;
          text.uri = "sip:boss@third.example";
          text.headers = RouteLines(routes);
          Attack(*mallory_, text);
        }
      }
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
  EXPECT_EQ(WhatWasTried(), "");
}

TEST_P(RelayAttackTest, ToAnothersFlowByItsPath) {
  CallAlice();
  for (const char* const name : {"bob@edge.example", "colin@edge.example"}) {
    const Values path = core().PathOf(name);
    ASSERT_EQ(path.size(), 1U);
    for (const char* const method : {"MESSAGE", "INVITE", "INFO", "BYE", "SUBSCRIBE"}) {
      for (const std::string& uri :
           {std::string("sip:boss@third.example"), (*bob_)->options().contact}) {
        RequestText text = InDialog();
        text.method = method;
        text.uri = uri;
        text.headers = RouteLines(routes_ + path);
        Attack(*mallory_, text);
      }
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
  EXPECT_EQ(WhoGot(*scene_, "X-Attack", "yes"), "");  // Colin neither.
  EXPECT_EQ(WhatWasTried(), "");
}

// Alice's telephone writes mallory's Contact into its Request-URI.
TEST_P(RelayAttackTest, ToAnothersFlowByItsPathInAContact) {
  const Values path = core().PathOf("bob@edge.example");
  ASSERT_EQ(path.size(), 1U);
  CallAlice("Contact: " + path[0] + "\r\n");
  for (const char* const method : {"INVITE", "INFO", "UPDATE", "BYE"}) {
    alice_->Send(call_, {.method = method, .headers = "X-Attack: yes\r\n"});
    Settle();
  }
  EXPECT_EQ(WhoGotIt(), "");
  EXPECT_EQ((*bob_)->requests().size(), 0U);
}

// A strict router would put the first Route into the Request-URI.
TEST_P(RelayAttackTest, ToAnothersFlowByAPairOfItsInAContact) {
  const std::string bobs = (*bob_)->Call("sip:alice@edge.example");
  Settle();
  const Values lines = alice_->Last("INVITE")->All("Record-Route");  // Proxy, I, O.
  ASSERT_EQ(lines.size(), 3U);
  (*bob_)->Forget();
  for (const std::string& line : lines) {
    CallAlice("Contact: " + line + "\r\n");
    alice_->Send(call_, {.method = "INVITE", .headers = "X-Attack: yes\r\n"});
    Settle();
    alice_->Send(call_, {.method = "INFO", .headers = "X-Attack: yes\r\n"});
    Settle();
  }
  EXPECT_EQ((*bob_)->requests().size(), 0U);
  EXPECT_EQ(WhoGotIt(), "");
}

// What an inside listener is called is no address for outsiders.
TEST_P(RelayAttackTest, ToTheNameOfAListenerOfTheInside) {
  for (const char* const method : {"MESSAGE", "INVITE", "SUBSCRIBE"}) {
    for (const std::string& place :
         {SimulatedScene::InsideAddress(0), SimulatedScene::InsideAddress(1),
          std::string("edge.example:5070")}) {
      for (const char* const user : {"bob@", "boss@", ""}) {
        EXPECT_EQ(Attack(*mallory_, {.method = method,
                                     .uri = absl::StrCat("sip:", user, place),
                                     .from = "<sip:mallory@edge.example>;tag=1"}),
                  403)
            << method << " " << user << place;
      }
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
  ExpectNoListenerWasReached();
}

// A Path is believed from the inside alone.
TEST_P(RelayAttackTest, ByAPathFromOutside) {
  for (const char* const name : {"bob@edge.example", "mallory@edge.example"}) {
    for (const char* const method : {"MESSAGE", "INVITE", "SUBSCRIBE"}) {
      for (const char* const uri : {"sip:boss@third.example", "sip:nobody@edge.example"}) {
        EXPECT_GE(Attack(*mallory_, {.method = method,
                                     .uri = uri,
                                     .from = "<sip:mallory@edge.example>;tag=1",
                                     .headers = RouteLines(core().PathOf(name))}),
                  400)
            << method << " " << uri;
      }
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
  EXPECT_EQ(WhatWasTried(), "");
}

TEST_P(RelayAttackTest, APathThatAnOutsiderRegistersIsRemoved) {
  const Values before = core().PathOf("mallory@edge.example");
  const Values bobs = core().PathOf("bob@edge.example");
  for (const std::string& path : {std::string("<sip:10.0.0.66:5060;lr>"), bobs.at(0)}) {
    (*mallory_)->Send({.method = "REGISTER",
                       .uri = "sip:edge.example",
                       .to = "<sip:mallory@edge.example>",
                       .headers = "Supported: path\r\nPath: " + path + "\r\n"});
    Settle();
    const Values kept = core().PathOf("mallory@edge.example");
    ASSERT_EQ(kept.size(), 1U);
    EXPECT_NE(kept[0], path);
    EXPECT_TRUE(scene_->IsInsideLine(kept[0])) << kept[0];
  }
}

// -- 6: Contact and Record-Route as targets of the inside ----------------------------------------

class InsideTargetAttackTest : public TokenAttackTest,
                               public ::testing::WithParamInterface<std::tuple<bool, bool>> {
 protected:
  void SetUp() override {
    SimulatedSceneOptions options;
    options.core.records_route = std::get<0>(GetParam());
    options.numeric_names = std::get<1>(GetParam());
    Meet(options);
  }

  // In every way that leads into the dialog which came back to him.
  void TryItsLines() {
    if ((*mallory_)->Last("INVITE") == nullptr) return;
    const SimulatedMessage back = *(*mallory_)->Last("INVITE");
    const Values all = back.All("Record-Route");
    const std::string contact = UriIn(back.First("Contact"));
    std::vector<Values> sets = {all};
    for (const std::string& line : all) sets.push_back({line});
    if (all.size() > 1) sets.push_back({all[0], all[1]});
    for (const Values& routes : sets) {
      for (const char* const method : {"BYE", "ACK", "MESSAGE", "INVITE", "INFO"}) {
        for (const std::string& uri : {contact, std::string("sip:mallory@edge.example")}) {
          Attack(*mallory_, {.method = method,
                             .uri = uri,
                             .from = back.First("To") + ";tag=5",
                             .to = back.First("From"),
                             .call_id = back.First("Call-ID"),
                             .cseq = "7",
                             .headers = RouteLines(routes)});
        }
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(RecordsRouteAndNumericNames, InsideTargetAttackTest,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool()));

TEST_P(InsideTargetAttackTest, ContactOfASpiralIsNotDialled) {
  for (const char* const place : {"127.0.0.1:22", "10.0.0.22:22"}) {
    (*mallory_)->Send({.uri = "sip:mallory@edge.example",
                       .to = "<sip:ceo@b.example>",
                       .headers = absl::StrCat("Contact: <sip:x@", place, ";transport=tcp>\r\n")});
    Settle();
    TryItsLines();
    ExpectNowhere(place);
  }
  EXPECT_EQ(WhoGotIt(), "");
  EXPECT_EQ(WhatWasTried(), "");
}

TEST_P(InsideTargetAttackTest, RecordRouteBroughtAlongIsNotDialled) {
  const std::string call = (*mallory_)->Call("sip:alice@edge.example");
  Settle();
  Values pair;  // In the order in which the inside saw them: I, O.
  for (const std::string& line : alice_->Last("INVITE")->All("Record-Route")) {
    if (scene_->IsOurs(line)) pair.push_back(line);
  }
  ASSERT_EQ(pair.size(), 2U);
  for (const char* const place : {"127.0.0.1:22", "10.0.0.22:22"}) {
    const std::string host = absl::StrCat("<sip:", place, ";lr>");
    for (const Values& brought : {Values{host} + pair, Values{host}, pair + Values{host}}) {
      (*mallory_)->Send({.uri = "sip:mallory@edge.example",
                         .to = "<sip:ceo@b.example>",
                         .headers = "Record-Route: " + absl::StrJoin(brought, ", ") + "\r\n"});
      Settle();
      TryItsLines();
      ExpectNowhere(place);
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
  EXPECT_EQ(WhatWasTried(), "");
}

// -- 7: what an outsider answers, and what is left when it has gone ------------------------------

class AnswerAttackTest : public TokenAttackTest {
 protected:
  static constexpr char kEvil[] = "10.0.0.66:5060";

  void SetUp() override { Meet(); }

  // Alice calls eve, whose answers carry these lines; each of alice's requests must come to eve by
  // the pair of the call, or nowhere.
  void CallEve(const std::function<Values(const Values& came)>& lines,
               const std::vector<int>& statuses = {200}) {
    (*eve_)->answers["INVITE"] = statuses;
    (*eve_)->alter_response = [lines](SimulatedMessage& response) {
      if (response.method() != "INVITE" || TagOf(response.First("To")).empty()) return;
      const Values came = response.All("Record-Route");
      response.Drop("Record-Route");
      for (const std::string& line : lines(came)) response.Append("Record-Route", line);
    };
    call_ = alice_->Call("sip:eve@m.example");
    Settle();
  }

  void ExpectPairAndNothingElse() {
    ASSERT_TRUE(alice_->HasDialog(call_));
    const Values routes = alice_->dialog(call_).routes;  // The proxy, I, O.
    ASSERT_EQ(routes.size(), 3U) << absl::StrJoin(routes, " ");
    EXPECT_EQ(HostOf(UriIn(routes[0])) + ":" + PortOf(UriIn(routes[0])), core().options().address);
    EXPECT_TRUE(scene_->IsInsideLine(routes[1])) << routes[1];
    EXPECT_TRUE(scene_->IsOutsideLine(routes[2])) << routes[2];
  }

  void ExpectDialogWithEveAlone() {
    ExpectPairAndNothingElse();
    const size_t before = (*eve_)->Count("INFO");
    alice_->Send(call_, {.method = "INFO"});
    Settle();
    EXPECT_EQ((*eve_)->Count("INFO"), before + 1);
    ExpectNoEvil();
  }

  void ExpectNoEvil() {
    ExpectNowhere(kEvil);
    for (const StrayMessage& stray : world().strays()) EXPECT_NE(stray.to, kEvil) << stray.text;
  }

  std::string call_;
};

TEST_F(AnswerAttackTest, DropsOurPairAndInsertsItsOwn) {
  const Values evil = {absl::StrCat("<sip:", kEvil, ";lr>")};
  CallEve([&](const Values&) { return evil; });
  ExpectDialogWithEveAlone();
  CallEve([&](const Values&) { return Values{}; });
  ExpectDialogWithEveAlone();
  CallEve([&](const Values& came) { return came + evil; });
  ExpectDialogWithEveAlone();
}

TEST_F(AnswerAttackTest, InsertsBetweenThePairAndTheProxy) {
  const Values evil = {absl::StrCat("<sip:", kEvil, ";lr>")};
  CallEve([&](const Values& came) {  // O2, I2, evil, the proxy.
    return Values(came.begin(), came.begin() + 2) + evil + Values(came.begin() + 2, came.end());
  });
  ExpectDialogWithEveAlone();
  CallEve([&](const Values& came) {  // Between the two of the pair.
    return Values{came[0]} + evil + Values(came.begin() + 1, came.end());
  });
  ExpectDialogWithEveAlone();
  CallEve([&](const Values& came) { return Values(came.rbegin(), came.rend()); });
  ExpectDialogWithEveAlone();
}

TEST_F(AnswerAttackTest, ShowsThePairOfAnotherCall) {
  Values others;
  CallEve([&](const Values& came) { return others = came; });
  ExpectDialogWithEveAlone();
  CallEve([&](const Values&) { return others; });
  ExpectDialogWithEveAlone();
  // And an altered one.
  CallEve([&](const Values& came) {
    Values lines = came;
    char& letter = lines[0][8];
    letter = letter == 'A' ? 'B' : 'A';
    return lines;
  });
  ExpectDialogWithEveAlone();
}

TEST_F(AnswerAttackTest, DoesSoInAProvisionalResponse) {
  const Values evil = {absl::StrCat("<sip:", kEvil, ";lr>")};
  for (const int status : {101, 180, 183, 199}) {
    CallEve([&](const Values&) { return evil; }, {status});
    if (alice_->HasDialog(call_)) {
      for (const std::string& route : alice_->dialog(call_).routes) EXPECT_NE(route, evil[0]);
    }
    alice_->Send(alice_->dialog(call_), {.method = "PRACK", .headers = "RAck: 1 1 INVITE\r\n"});
    Settle();
    ExpectNoEvil();
    (*eve_)->Answer("INVITE", 486);
    Settle();
  }
}

// Above the pair is the callee's side's business.
TEST_F(AnswerAttackTest, MayAddItsOwnProxiesAboveThePair) {
  CallEve([&](const Values& came) { return Values{"<sip:p1.m.example;lr>"} + came; });
  const Values routes = alice_->dialog(call_).routes;
  ASSERT_EQ(routes.size(), 4U);
  EXPECT_EQ(routes[3], "<sip:p1.m.example;lr>");
  alice_->Send(call_, {.method = "INFO"});
  Settle();
  ASSERT_EQ((*eve_)->Count("INFO"), 1U);
  EXPECT_EQ((*eve_)->Last("INFO")->First("Route"), "<sip:p1.m.example;lr>");
}

// The first of two servers is silent until the second has answered.
TEST_F(AnswerAttackTest, LateSuccessOfAnotherTarget) {
  SimulatedSceneOptions options;
  options.extra =
      "[[next-hop]]\nname = \"two\"\nzone = \"outside\"\nidentity = \"two.example\"\n"
      "targets = [\"tls:192.0.2.71:5061;priority=1\", \"tls:192.0.2.72:5061;priority=2\"]\n"
      "[[route]]\nzone = \"inside\"\ndomain = \"two.example\"\nnext-hop = \"two\"\n";
  Meet(options);
  SimulatedPhone first({.uri = "sip:eve@two.example",
                        .contact = "sip:eve@192.0.2.71:5061;transport=tls",
                        .via = "SIP/2.0/TLS 192.0.2.71:5061"},
                       nullptr);
  SimulatedPhone second({.uri = "sip:eve@two.example",
                         .contact = "sip:eve@192.0.2.72:5061;transport=tls",
                         .via = "SIP/2.0/TLS 192.0.2.72:5061"},
                        nullptr);
  world().Serve("192.0.2.71:5061", SimulatedCertificate("two.example"), first);
  world().Serve("192.0.2.72:5061", SimulatedCertificate("two.example"), second);
  first.answers["INVITE"] = {};
  first.alter_response = [](SimulatedMessage& response) {
    if (response.method() != "INVITE") return;
    response.Drop("Record-Route");
    response.Append("Record-Route", absl::StrCat("<sip:", kEvil, ";lr>"));
  };
  call_ = alice_->Call("sip:eve@two.example");
  world().Run(absl::Seconds(20));
  ASSERT_EQ(alice_->Final(call_, "INVITE"), 200);
  ASSERT_EQ(first.Count("INVITE"), 1U);
  first.Answer("INVITE", 200);
  Settle();
  for (const auto& [key, dialog] : alice_->dialogs()) {
    for (const std::string& route : dialog.routes) EXPECT_EQ(route.find(kEvil), std::string::npos);
    if (dialog.call_id != call_ || dialog.remote_tag.empty()) continue;
    SimulatedDialog copy = dialog;
    alice_->Send(copy, {.method = "BYE"});
    Settle();
  }
  ExpectNoEvil();
  EXPECT_LE(second.Count("BYE"), 1U);
}

class GoneCallerAttackTest : public TokenAttackTest {
 protected:
  void SetUp() override { Meet(); }

  // Eve calls alice, leaves that Contact, and goes; alice hangs up.
  void CallAndGo(SimulatedUser& caller, const std::string& contact) {
    const std::string call = caller->Send(
        {.uri = "sip:alice@edge.example", .headers = "Contact: <" + contact + ">\r\n"});
    Settle();
    ASSERT_EQ(caller->Final(call, "INVITE"), 200);
    world().Leave(*caller.peer);
    for (const char* const method : {"INFO", "BYE"}) {
      alice_->Send(call, {.method = method});
      world().Run(absl::Seconds(1));
    }
  }
};

TEST_F(GoneCallerAttackTest, ContactOfADomainIsNotDialled) {
  for (const char* const contact :
       {"sip:x@10.0.0.22:8443", "sip:x@10.0.0.22:8443;transport=tls",
        "sip:x@127.0.0.1:8443;transport=tcp", "sips:x@127.0.0.1:8443",
        "sip:x@m.example;maddr=10.0.0.22;transport=tls", "sip:x@[::ffff:10.0.0.22]:8443"}) {
    CallAndGo(*eve_, contact);
    scene_->Connect(*eve_, 0);
  }
  for (const std::string& place : world().ReachedPlaces()) {
    EXPECT_TRUE(place == core().options().address || place == kEvesServer) << place;
  }
}

TEST_F(GoneCallerAttackTest, ContactOfAUserIsNotDialledNorLookedUp) {
  for (const char* const contact :
       {"sip:x@10.0.0.22:8443;transport=tls", "sip:x@third.example", "sip:x@secret.other.example",
        "sip:x@m.example;maddr=127.0.0.1;transport=tls"}) {
    CallAndGo(*mallory_, contact);
    scene_->Connect(*mallory_, 0);
  }
  EXPECT_EQ(WhatWasTried(), "");
  EXPECT_EQ((*boss_)->requests().size(), 0U);
}

class OwnDomainAttackTest : public TokenAttackTest,
                            public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    SimulatedSceneOptions options;
    options.targets = {"udp:127.0.0.1:5080", "udp:127.0.0.2:5080;priority=2"};
    options.extra =
        "[[listener]]\nname = \"wide\"\nzone = \"inside\"\ntransport = \"tcp\"\n"
        "address = \"127.0.0.1:5079\"\nallow = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n";
    Meet(options);
  }
};

INSTANTIATE_TEST_SUITE_P(Places, OwnDomainAttackTest,
                         ::testing::Values("127.0.0.1:8443", "127.9.9.9:5061", "127.0.0.1:5061",
                                           "127.0.0.1:5070", "127.0.0.2:5080", "0.0.0.0:5061",
                                           "10.0.0.22:5061", "[::1]:5061", "[::]:5061",
                                           "[::ffff:127.0.0.1]:8443", "[::ffff:10.0.0.22]:5061"));

// The DNS of one's own domain names places that are not for outsiders.
TEST_P(OwnDomainAttackTest, LeadsToNoPlaceOfTheInside) {
  const core::SocketAddress place = *core::SocketAddress::Parse(GetParam());
  sallyport::test::DnsTable& dns = world().edge().dns();
  dns.Srv("_sips._tcp.n.example", 10, 0, place.port(), "sip.n.example");
  if (place.is_ipv4()) {
    dns.A("sip.n.example", place.HostToString());
  } else {
    dns.Aaaa("sip.n.example", place.HostToString());
  }
  SimulatedServer& trap = world().edge().Serve(GetParam(), &SimulatedCertificate("n.example"));
  SimulatedUser& caller = scene_->AddPartner("nick", "n2.example", "192.0.2.88:5061");
  caller.certificate = &SimulatedCertificate("n.example");
  scene_->Connect(caller, 0);
  caller->options().uri = "sip:nick@n.example";
  // In a dialog that has lost its flow, and without one.
  const std::string call = caller->Call("sip:alice@edge.example");
  Settle();
  ASSERT_EQ(caller->Final(call, "INVITE"), 200);
  world().Leave(*caller.peer);
  alice_->Send(call, {.method = "BYE"});
  world().Run(absl::Seconds(1));
  alice_->Send({.method = "MESSAGE", .uri = "sip:nick@n.example"});
  world().Run(absl::Seconds(1));
  alice_->Send({.method = "MESSAGE",
                .uri = absl::StrCat("sip:nick@", GetParam(), ";transport=tls"),
                .routes = {"<sip:127.0.0.1:5080;lr>", "<sip:127.0.0.1:5070;lr>"}});
  world().Run(absl::Seconds(1));
  EXPECT_EQ(trap.connections(), 0);
  if (place.Unmapped() != place) ExpectNowhere(place.Unmapped().ToString());
  EXPECT_EQ(caller->requests().size(), 0U);
}

// A notifier chooses the Contact that the subscriber's refresh names.
TEST_F(AnswerAttackTest, NotifyWithAContactOfItsChoiceAndTheRefreshThatFollows) {
  for (const char* const contact :
       {"sip:x@10.0.0.66:5060;transport=tcp", "sip:x@third.example", "sip:bob@edge.example"}) {
    (*eve_)->Forget();
    const std::string call = alice_->Send(
        {.method = "SUBSCRIBE", .uri = "sip:eve@m.example", .headers = "Event: x\r\n"});
    Settle();
    ASSERT_EQ(alice_->Final(call, "SUBSCRIBE"), 200);
    (*eve_)->Send(call, {.method = "NOTIFY",
                         .headers = absl::StrCat("Event: x\r\nSubscription-State: active\r\n",
                                                 "Contact: <", contact, ">\r\n")});
    Settle();
    EXPECT_EQ((*eve_)->Final(call, "NOTIFY"), 200);
    alice_->Send(call, {.method = "SUBSCRIBE", .headers = "Event: x\r\nX-Attack: yes\r\n"});
    Settle();
    EXPECT_EQ((*eve_)->Count("SUBSCRIBE"), 2U);
    // And once its connections have gone.
    world().Leave(*eve_->peer);
    alice_->Send(call, {.method = "SUBSCRIBE", .headers = "Event: x\r\nX-Attack: yes\r\n"});
    world().Run(absl::Seconds(1));
    scene_->Connect(*eve_, 0);
    ExpectNoEvil();
    EXPECT_EQ(WhoGotIt(), "");
    for (const std::string& asked : world().AskedNames()) {
      EXPECT_EQ(asked.find("third.example"), std::string::npos) << asked;
    }
  }
}

// A NOTIFY outside of the pair, with Record-Route of its own: the subscriber takes its route set
// from there (RFC 6665 §4.4.1).
TEST_F(AnswerAttackTest, NotifyWithRecordRouteOfItsChoice) {
  for (const std::string& line :
       {absl::StrCat("<sip:", kEvil, ";lr>"), absl::StrCat("<sip:", kDavesPhone, ";lr>"),
        core().PathOf("bob@edge.example").at(0)}) {
    for (const bool has_pair : {true, false}) {
      (*eve_)->Forget();
      const std::string call = alice_->Send(
          {.method = "SUBSCRIBE", .uri = "sip:eve@m.example", .headers = "Event: x\r\n"});
      Settle();
      ASSERT_EQ(alice_->Final(call, "SUBSCRIBE"), 200);
      SimulatedDialog dialog = (*eve_)->dialog(call);
      if (!has_pair) dialog.routes.clear();
      (*eve_)->Send(dialog, {.method = "NOTIFY",
                             .uri = has_pair ? dialog.target : "sip:alice@edge.example",
                             .headers = absl::StrCat("Event: x\r\nSubscription-State: active\r\n",
                                                     "Record-Route: ", line, "\r\n")});
      Settle();
      alice_->Send(call, {.method = "SUBSCRIBE", .headers = "Event: x\r\nX-Attack: yes\r\n"});
      Settle();
      EXPECT_EQ(WhoGotIt(), "") << line;
      ExpectNoEvil();
    }
  }
}

// -- 8: excuses of others, and out of their place ----------------------------------------

// Bob is called as sales, and may speak in that call under that name. Everybody else, and bob
// elsewhere, may not.
class ForeignExcuseTest : public TokenAttackTest {
 protected:
  void Begin(const SimulatedSceneOptions& options = {}) {
    Meet(options);
    core().Retarget("sales@edge.example", {.uris = {"sip:bob@edge.example"}});
    call_ = CallSales();
  }
  void SetUp() override { Begin(); }

  std::string CallSales() {
    const std::string call = alice_->Call("sip:sales@edge.example");
    Settle();
    EXPECT_EQ(alice_->Final(call, "INVITE"), 200);
    return call;
  }

  RequestText AsSales(const std::string& method = "INFO") {
    const SimulatedDialog& dialog = (*bob_)->dialog(call_);
    return {.method = method,
            .uri = dialog.target,
            .from = "<sip:sales@edge.example>;tag=" + dialog.local_tag,
            .to = "<sip:alice@edge.example>;tag=" + dialog.remote_tag,
            .call_id = call_,
            .cseq = absl::StrCat(++cseq_),
            .headers = RouteLines(dialog.routes)};
  }

  Values Routes() { return (*bob_)->dialog(call_).routes; }

  std::string call_;
  int cseq_ = 700;
};

// What the other tests of this group take one thing away from.
TEST_F(ForeignExcuseTest, ItsOwnerMayUseIt) {
  EXPECT_EQ(Attack(*bob_, AsSales()), 200);
  EXPECT_EQ(alice_->Count("INFO"), 1U);
  EXPECT_EQ(alice_->Last("INFO")->First("P-Asserted-Identity"), "");
}

TEST_F(ForeignExcuseTest, OfSomebodyElse) {
  for (SimulatedUser* const user : {mallory_, colin_, eve_, ceo_}) {
    for (const char* const method : {"INFO", "INVITE", "UPDATE", "REFER", "MESSAGE"}) {
      EXPECT_EQ(Attack(*user, AsSales(method)), 403) << (*user)->options().uri << " " << method;
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(ForeignExcuseTest, OfAnotherDialog) {
  const std::string first = call_;
  const Values routes = Routes();
  call_ = CallSales();
  RequestText text = AsSales();
  text.headers = RouteLines(routes);  // The first call's.
  EXPECT_EQ(Attack(*bob_, text), 403);
  text = AsSales();
  text.call_id = first;
  EXPECT_EQ(Attack(*bob_, text), 403);
  text = AsSales();
  text.call_id = "another";
  EXPECT_EQ(Attack(*bob_, text), 403);
  text = AsSales();
  text.to = "<sip:alice@edge.example>;tag=other";
  EXPECT_EQ(Attack(*bob_, text), 403);
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(ForeignExcuseTest, OfAnotherName) {
  for (const char* const from : {"sip:boss@edge.example", "sip:alice@edge.example",
                                 "sip:sales@b.example", "sip:sales@edge.example.b.example"}) {
    RequestText text = AsSales();
    text.from = absl::StrCat("<", from, ">;tag=", (*bob_)->dialog(call_).local_tag);
    EXPECT_EQ(Attack(*bob_, text), 403) << from;
  }
  for (const char* const to :
       {"sip:dave@edge.example", "sip:sales@edge.example", "sip:x@b.example"}) {
    RequestText text = AsSales();
    text.to = absl::StrCat("<", to, ">;tag=", (*bob_)->dialog(call_).remote_tag);
    EXPECT_EQ(Attack(*bob_, text), 403) << to;
  }
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(ForeignExcuseTest, OfTheOtherDirection) {
  RequestText text = AsSales();
  std::swap(text.from, text.to);
  EXPECT_EQ(Attack(*bob_, text), 403);
  // Of a call that mallory made: the lines that the callee has got.
  core().Retarget("help@edge.example", {.uris = {"sip:bob@edge.example"}});
  const std::string call = (*mallory_)->Call("sip:help@edge.example");
  Settle();
  const SimulatedDialog& bobs = (*bob_)->dialog(call);
  text = AsSales();
  text.call_id = call;
  text.from = "<sip:help@edge.example>;tag=" + bobs.remote_tag;
  text.to = "<sip:help@edge.example>;tag=" + bobs.local_tag;
  text.headers = RouteLines((*mallory_)->dialog(call).routes);
  text.uri = (*mallory_)->dialog(call).target;
  EXPECT_EQ(Attack(*mallory_, text), 403);
  text.headers = RouteLines(bobs.routes);
  EXPECT_EQ(Attack(*mallory_, text), 403);
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(ForeignExcuseTest, WithoutToTag) {
  for (const char* const method : {"INVITE", "INFO", "MESSAGE", "REFER", "NOTIFY"}) {
    RequestText text = AsSales(method);
    text.to = "<sip:alice@edge.example>";
    EXPECT_EQ(Attack(*bob_, text), 403) << method;
  }
  EXPECT_EQ(WhoGotIt(), "");
}

// Each character of the two lines but those of host, port and parameter names.
TEST_F(ForeignExcuseTest, Altered) {
  const Values routes = Routes();
  for (size_t line = 0; line < 2; ++line) {
    const std::string user = UserAndHost(UriIn(routes[line]));
    const size_t user_begin = routes[line].find(':') + 1;
    const size_t user_end = user_begin + user.find('@');
    const size_t dialog_begin = routes[line].find(";dt=");
    for (size_t i = user_begin; i < routes[line].size() - 1; i += 3) {
      const bool is_token =
          i < user_end || (dialog_begin < routes[line].size() && i > dialog_begin + 3);
      if (user.find('@') == std::string::npos && i < dialog_begin) continue;
      if (!is_token) continue;
      Values altered = routes;
      altered[line][i] = altered[line][i] == 'A' ? 'B' : 'A';
      RequestText text = AsSales();
      text.headers = RouteLines(altered);
      EXPECT_EQ(Attack(*bob_, text), 403) << altered[line];
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(ForeignExcuseTest, WithALineMissingOrAnotherAdded) {
  const Values routes = Routes();
  ASSERT_EQ(routes.size(), 3U);
  const std::string extra = "<sip:127.0.0.1:5080;lr>";
  for (const Values& other :
       {Values{routes[0]}, Values{routes[1]}, Values{routes[2]}, Values{routes[0], routes[1]},
        Values{routes[0], routes[2]}, Values{routes[1], routes[2]},
        Values{routes[1], routes[0], routes[2]}, routes + Values{extra}, routes + routes,
        Values{routes[0], routes[1], extra, routes[2]}, Values{extra} + routes}) {
    RequestText text = AsSales();
    text.headers = RouteLines(other);
    EXPECT_EQ(Attack(*bob_, text), 403) << absl::StrJoin(other, " ");
  }
  EXPECT_EQ(WhoGotIt(), "");
}

// The parameter `dt` where it does not belong.
TEST_F(ForeignExcuseTest, OnABareNameOfOurs) {
  const Values routes = Routes();
  const std::string token = UriParameter(UriIn(routes[0]), "dt");
  ASSERT_NE(token, "");
  const std::string bare = "<sip:edge.example:5061;transport=tls;lr;dt=" + token + ">";
  Values without = routes;
  without[0] = without[0].substr(0, without[0].find(";dt=")) + ">";
  Values moved = without;
  moved[1].insert(moved[1].size() - 1, ";dt=" + token);
  for (const Values& other :
       {Values{bare}, Values{bare} + without, Values{bare, routes[1], routes[2]}, without, moved,
        Values{bare, routes[2]}}) {
    RequestText text = AsSales();
    text.headers = RouteLines(other);
    EXPECT_EQ(Attack(*bob_, text), 403) << absl::StrJoin(other, " ");
  }
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(ForeignExcuseTest, PastItsTime) {
  world().edge().network().SetWallTime(world().edge().network().wall_now() + absl::Hours(24 * 8));
  EXPECT_EQ(Attack(*bob_, AsSales()), 403);
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(ForeignExcuseTest, OfAnotherListenerAndProfile) {
  SimulatedSceneOptions options;
  options.extra =
      "[tls.other]\ncertificate = \"other.pem\"\ntrusted-ca = \"other-ca.pem\"\n"
      "[[listener]]\nname = \"second\"\nzone = \"outside\"\naddress = \"127.0.0.1:5063\"\n"
      "tls = \"federation\"\n"
      "[[listener]]\nname = \"third\"\nzone = \"outside\"\naddress = \"127.0.0.1:5064\"\n"
      "tls = \"other\"\n";
  options.edge = "outbound-tls = \"federation\"\n";
  options.tls = "federation";
  Begin(options);
  EXPECT_EQ(Attack(*bob_, AsSales()), 200);
  alice_->Forget();
  for (const char* const address : {"127.0.0.1:5063", "127.0.0.1:5064"}) {
    SimulatedPeer& over = world().Connect(0, *bob_->certificate, **bob_, address);
    EXPECT_EQ(Attack(*bob_, AsSales(), &over), 403) << address;
  }
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(ForeignExcuseTest, OfAnotherSecret) {
  SimulatedSceneOptions options;
  options.edges = 2;
  options.secrets = {{1}, {2}};
  Begin(options);  // Bob is connected to the second.
  SimulatedPeer& over = world().Connect(0, *bob_->certificate, **bob_);
  EXPECT_EQ(Attack(*bob_, AsSales(), &over), 403);
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(ForeignExcuseTest, OverTheConnectionOfAnotherUserOfTheSamePeer) {
  SimulatedSceneOptions options;
  options.extra =
      "[[peer]]\nname = \"phones\"\nmatch = { authority = \"phones\" }\n"
      "[[authority]]\nname = \"phones\"\ncertificate = \"ca.pem\"\n";
  if (!SimulatedScene::Accepts(options)) GTEST_SKIP() << "no [[peer]] in this version";
  Begin(options);
  EXPECT_EQ(Attack(*bob_, AsSales()), 200);
  alice_->Forget();
  EXPECT_EQ(Attack(*mallory_, AsSales()), 403);
  EXPECT_EQ(WhoGotIt(), "");
}

// -- 9: marks ------------------------------------------------------------------------------------

class MarkAttackTest : public TokenAttackTest {
 protected:
  void SetUp() override {
    Meet();
    core().Retarget("sales@edge.example", {.uris = {"sip:ceo@b.example"}});
  }

  // The user calls sales, which is ceo of b.example, and ceo hangs up under that name.
  void ExpectHonestCall(SimulatedUser& caller) {
    const std::string call = caller->Call("sip:sales@edge.example");
    Settle();
    ASSERT_EQ(caller->Final(call, "INVITE"), 200);
    (*ceo_)->Send(call, {.method = "INFO"});
    Settle();
    EXPECT_EQ((*ceo_)->Final(call, "INFO"), 200);
    (*ceo_)->Send(call, {.method = "BYE"});
    Settle();
    EXPECT_EQ((*ceo_)->Final(call, "BYE"), 200);
    EXPECT_EQ(caller->Count("BYE"), 1U);
    caller->Forget();
  }
};

TEST_F(MarkAttackTest, OnOnesOwnCallDeniesNobodyElsesCalls) {
  const std::string call = (*eve_)->Call("sip:alice@edge.example");
  Settle();
  alice_->Send(call, {.method = "INFO"});
  Settle();
  const std::string via = (*eve_)->Last("INFO")->First("Via");
  const Values lines = (*eve_)->dialog(call).routes;
  for (const std::string& headers :
       {"Via: " + via + "\r\n", absl::StrCat("Record-Route: ", lines[0], ", ", lines[1], "\r\n"),
        absl::StrCat("Record-Route: ", lines[1], ", ", lines[0], "\r\n")}) {
    (*eve_)->Send({.uri = "sip:sales@edge.example", .headers = headers});
    Settle();
    ExpectHonestCall(*bob_);
    ExpectHonestCall(*colin_);
  }
}

// Eve's answers add marks; the next calls of others still work.
TEST_F(MarkAttackTest, InAnAnswerDeniesNobodyElsesCalls) {
  (*eve_)->alter_response = [](SimulatedMessage& response) {
    response.Append("Via", "SIP/2.0/TLS edge.example:5061;branch=z9hG4bK00000000000000010175ecc0");
    const Values came = response.All("Record-Route");
    for (const std::string& line : came) response.Append("Record-Route", line);
  };
  alice_->Call("sip:eve@m.example");
  Settle();
  ExpectHonestCall(*bob_);
  (*eve_)->alter_response = nullptr;
  ExpectHonestCall(*eve_);
}

// -- 10: lines and tags that are almost ours
// -------------------------------------------------------

class AnswerLinesTest : public AnswerAttackTest {
 protected:
  void ExpectNothingAstray() {
    for (const StrayMessage& stray : world().strays()) {
      ADD_FAILURE() << stray.to << " got " << stray.text;
    }
  }
};

TEST_F(AnswerLinesTest, WhatIsAddedToTheInsideLineReachesNobody) {
  for (const char* const added :
       {";maddr=10.0.0.66", "?Route=%3Csip:10.0.0.66;lr%3E", ";x=y", ""}) {
    CallEve([&added](const Values& came) {
      Values lines = came;
      if (*added != '\0') {
        lines[1].insert(lines[1].size() - 1, added);
      } else {
        lines[1].erase(lines[1].find(";lr"), 3);
      }
      return lines;
    });
    const size_t before = (*eve_)->Count("INFO");
    alice_->Send(call_, {.method = "INFO"});
    Settle();
    EXPECT_EQ((*eve_)->Count("INFO"), before + 1) << added;
    ExpectNothingAstray();
    if (*added == '\0') continue;
    EXPECT_EQ(alice_->dialog(call_).routes[1].find(added), std::string::npos) << added;
  }
}

TEST_F(AnswerLinesTest, AnAnswerWithoutTagSetsNoRoute) {
  (*eve_)->alter_response = [](SimulatedMessage& response) {
    if (response.method() != "INVITE" || response.status() != 200) return;
    response.Set("To", "<sip:eve@m.example>");
    response.Set("Contact", "<sip:x@192.0.2.99:7777;transport=tcp>");
    response.Drop("Record-Route");
    response.Append("Record-Route", "<sip:evil.other.example;lr>");
  };
  call_ = alice_->Call("sip:eve@m.example");
  Settle();
  const SimulatedMessage last = alice_->responses().back();
  Values routes = last.All("Record-Route");
  std::reverse(routes.begin(), routes.end());
  alice_->Send({.method = "BYE",
                .uri = UriIn(last.First("Contact")),
                .to = last.First("To"),
                .routes = routes});
  Settle();
  EXPECT_EQ(WhatWasTried().find("evil"), std::string::npos) << WhatWasTried();
  EXPECT_EQ(WhatWasTried().find("192.0.2.99"), std::string::npos) << WhatWasTried();
  ExpectNothingAstray();
}

TEST_F(AnswerLinesTest, ARequestWithoutTagBeginsNoDialog) {
  for (const char* const method : {"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"}) {
    EXPECT_EQ(Attack(*eve_, {.method = method,
                             .uri = "sip:alice@edge.example",
                             .from = "<sip:eve@m.example>",
                             .to = "<sip:alice@edge.example>",
                             .headers = "Contact: <sip:x@192.0.2.99:7777;transport=tls>\r\n"
                                        "Record-Route: <sip:evil.other.example;lr>\r\n"}),
              400)
        << method;
    EXPECT_EQ(alice_->Last(method), nullptr) << method;
  }
}

TEST_F(AnswerLinesTest, NotifyWithMaddrInThePairLeadsNowhereElse) {
  (*eve_)->answers["SUBSCRIBE"] = {};
  call_ = alice_->Send(
      {.method = "SUBSCRIBE", .uri = "sip:eve@m.example", .headers = "Event: presence\r\n"});
  Settle();
  ASSERT_NE((*eve_)->Last("SUBSCRIBE"), nullptr);
  const SimulatedMessage subscribe = *(*eve_)->Last("SUBSCRIBE");
  Values routes = subscribe.All("Record-Route");
  routes[1].insert(routes[1].size() - 1, ";maddr=10.0.0.66");
  Attack(*eve_,
         {.method = "NOTIFY",
          .uri = UriIn(subscribe.First("Contact")),
          .from = "<sip:eve@m.example>;tag=n1",
          .to = subscribe.First("From"),
          .call_id = subscribe.First("Call-ID"),
          .cseq = "3",
          .headers = RouteLines(routes) + "Event: presence\r\nSubscription-State: active\r\n"});
  const SimulatedMessage* const notify = alice_->Last("NOTIFY");
  if (notify != nullptr) {
    for (const std::string& line : notify->All("Record-Route")) {
      EXPECT_EQ(line.find("maddr"), std::string::npos) << line;
    }
  }
  std::vector<SimulatedDialog> begun;
  for (const auto& [key, dialog] : alice_->dialogs()) {
    if (dialog.call_id == call_ && !dialog.remote_tag.empty()) begun.push_back(dialog);
  }
  for (SimulatedDialog& dialog : begun) alice_->Send(dialog, {.method = "SUBSCRIBE"});
  Settle();
  ExpectNothingAstray();
}

TEST_F(AnswerLinesTest, LinesInOddSpellingAreRemovedAsWell) {
  int count = 0;
  for (const char* const line :
       {"X-A: a\nRecord-Route: <sip:10.0.0.66:5060;lr>", "Record-Route : <sip:10.0.0.66:5060;lr>",
        "X-A: a\rRecord-Route: <sip:10.0.0.66:5060;lr>",
        "X-A: a\r\rRecord-Route: <sip:10.0.0.66:5060;lr>",
        "Record-Route\t:\r\n <sip:10.0.0.66:5060;lr>",
        "Record-Route\x0b: <sip:10.0.0.66:5060;lr>"}) {
    scene_->Connect(*eve_, 0);  // Some end the connection.
    alice_->Forget();
    ++count;
    eve_->peer->Send(RequestText{.method = "NOTIFY",
                                 .uri = "sip:alice@edge.example",
                                 .branch = absl::StrCat("odd", count),
                                 .from = "<sip:eve@m.example>;tag=1",
                                 .to = "<sip:alice@edge.example>",
                                 .call_id = absl::StrCat("odd", count),
                                 .headers = absl::StrCat("Event: x\r\n", line, "\r\n")}
                         .Text());
    Settle();
    const SimulatedMessage* const got = alice_->Last("NOTIFY");
    if (got == nullptr) continue;
    EXPECT_EQ(got->Text().find("10.0.0.66"), std::string::npos) << line;
  }
}

TEST_P(RelayAttackTest, RegisterByThePairKeepsItsPath) {
  CallAlice();
  RequestText text = InDialog();
  text.method = "REGISTER";
  text.uri = "sip:edge.example";
  text.to = "<sip:mallory@edge.example>;tag=zzz";
  text.headers = RouteLines(routes_);
  Attack(*mallory_, text);
  EXPECT_EQ(core().PathOf("mallory@edge.example").size(), 1U);

  text.branch = "reg";
  text.headers = RouteLines(routes_) + "Contact: <sip:boss@third.example>\r\n";
  Attack(*mallory_, text);
  Attack(*mallory_, {.method = "MESSAGE",
                     .uri = "sip:mallory@edge.example",
                     .from = "<sip:mallory@edge.example>;tag=1"});
  EXPECT_EQ(WhoGotIt(), "");
  EXPECT_EQ(WhatWasTried(), "");
}

TEST_P(RelayAttackTest, AMadeUpToTagBringsNoRecordRoute) {
  for (const char* const method : {"INVITE", "SUBSCRIBE"}) {
    Attack(*mallory_, {.method = method,
                       .uri = "sip:alice@edge.example",
                       .from = "<sip:mallory@edge.example>;tag=q",
                       .to = "<sip:alice@edge.example>;tag=bogus",
                       .headers = "Record-Route: <sip:10.0.0.66:22;lr>\r\n"});
    const SimulatedMessage* const got = alice_->Last(method);
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->Text().find("10.0.0.66"), std::string::npos) << method;
  }
}

// maddr and port go after the comparison of hosts.
TEST_P(SelfMadeExcuseTest, AContactWithOurMaddrIsNotExcused) {
  for (const char* const contact : {"sip:bob@127.0.0.1:5061;maddr=edge.example",
                                    "sip:dave@10.0.0.9:5061;maddr=edge.example;transport=tls"}) {
    (*mallory_)->Forget();
    const TwicePassed made =
        CallOneself("sip:ceo@b.example", absl::StrCat("Contact: <", contact, ">\r\n"));
    if (made.all.empty()) continue;
    RequestText text = AsCeo(made, "sip:ceo@b.example");
    text.method = "INFO";
    text.uri = contact;
    text.to = "<sip:mallory@edge.example>;tag=" + made.tag;
    text.headers = RouteLines(made.all);
    (*mallory_)->Forget();
    EXPECT_EQ(Try(text), 403) << contact;
    EXPECT_EQ(WhoGotIt(), "") << contact;
  }
}

// -- Lines in another spelling
// ---------------------------------------------------------------------

// The same to a reader that unescapes the user.
std::string Respelled(const std::string& line) {
  const size_t at = line.find("sip:") + 4;
  return absl::StrCat(line.substr(0, at), "%", absl::Hex(line[at]), line.substr(at + 1));
}

// Of the lines of ours in the list, from the third on: the first pass.
Values WithFirstPassRespelled(const SimulatedScene& scene, Values all) {
  int ours = 0;
  for (std::string& line : all) {
    if (scene.IsOurs(line) && ++ours >= 3 && ours <= 4) line = Respelled(line);
  }
  return all;
}

// Mallory calls bob (c, f), learns his tag b and his pair, then calls himself as ceo in (c, b) and
// brings that pair: with his own first pair hidden bob's would lead.
TEST_P(SelfMadeExcuseTest, WithTheFirstPairRespelledIntoBobsDialog) {
  const std::string as = "sip:ceo@b.example";
  Attack(*mallory_, {.method = "INVITE",
                     .uri = "sip:bob@edge.example",
                     .from = "<sip:mallory@edge.example>;tag=f",
                     .to = "<sip:bob@edge.example>",
                     .call_id = "respelled"});
  ASSERT_NE((*bob_)->Last("INVITE"), nullptr);
  const Values lines = (*bob_)->Last("INVITE")->All("Record-Route");
  std::string bobs_tag;
  for (const SimulatedMessage& response : (*mallory_)->responses()) {
    if (response.status() == 200) bobs_tag = TagOf(response.First("To"));
  }
  ASSERT_NE(bobs_tag, "");
  (*mallory_)->Forget();
  (*bob_)->Forget();
  const std::string contact = (*bob_)->options().contact;
  mallory_->peer->Send(
      RequestText{.method = "INVITE",
                  .uri = "sip:mallory@edge.example",
                  .via = "SIP/2.0/TLS m.invalid:5061",
                  .branch = "self",
                  .from = absl::StrCat("<sip:mallory@edge.example>;tag=", bobs_tag),
                  .to = "<" + as + ">",
                  .call_id = "respelled",
                  .headers = absl::StrCat("Record-Route: ", lines.at(1), ", ", lines.at(0),
                                          "\r\nContact: <", contact, ">\r\n")}
          .Text());
  Settle();
  const SimulatedMessage* const back = (*mallory_)->Last("INVITE");
  if (back == nullptr) return;
  const Values all = back->All("Record-Route");
  for (const Values& routes : {all, WithFirstPassRespelled(*scene_, all)}) {
    for (const char* const method : {"INVITE", "INFO", "UPDATE", "REFER", "NOTIFY"}) {
      EXPECT_NE(Try({.method = method,
                     .uri = contact,
                     .from = "<" + as + ">;tag=f",
                     .to = absl::StrCat("<sip:mallory@edge.example>;tag=", bobs_tag),
                     .call_id = "respelled",
                     .cseq = "700",
                     .headers = RouteLines(routes)}),
                200)
          << method;
    }
  }
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_P(SelfMadeExcuseTest, WithTheFirstPairRespelledAndAContactInside) {
  const std::string as = "sip:ceo@b.example";
  const std::string contact = alice_->options().contact;
  const TwicePassed made = CallOneself(as, absl::StrCat("Contact: <", contact, ">\r\n"));
  if (made.all.empty()) return;
  for (const char* const method : {"INVITE", "INFO", "REFER", "NOTIFY"}) {
    RequestText text = AsCeo(made, as);
    text.method = method;
    text.uri = contact;
    text.to = "<sip:mallory@edge.example>;tag=" + made.tag;
    text.headers = RouteLines(WithFirstPassRespelled(*scene_, made.all));
    static_cast<void>(Try(text));
  }
  EXPECT_EQ(WhoGotIt(), "");
}

TEST_F(AnswerAttackTest, RespelledLinesAreReplaced) {
  for (const size_t which : {0U, 1U}) {
    Meet();
    CallEve([which](const Values& came) {
      Values lines = came;
      lines[which] = Respelled(lines[which]);
      return lines;
    });
    ExpectPairAndNothingElse();
    for (const std::string& route : alice_->dialog(call_).routes) {
      EXPECT_EQ(route.find('%'), std::string::npos) << route;
    }
  }
}

// -- Answers that go elsewhere
// ---------------------------------------------------------------------

// Eve has two requests; with the branch of one she sends the way back of the other.
TEST_F(AnswerAttackTest, WayBackOfAnotherRequestIsDropped) {
  const uint32_t slot =
      world().edge(0).metrics().sip_responses_dropped.Slot(ResponseDropReason::kWayBack);
  (*eve_)->answers["INVITE"] = {};
  const std::string first = alice_->Call("sip:eve@m.example");
  Settle();
  const SimulatedMessage one = *(*eve_)->Last("INVITE");
  const std::string second = alice_->Call("sip:eve@m.example");
  Settle();
  const std::vector<std::string> below = (*eve_)->Last("INVITE")->All("Via");
  ASSERT_GE(below.size(), 2U);
  const auto answer = [&](const std::function<void(Values&)>& change) {
    (*eve_)->alter_response = [&one, &below, change](SimulatedMessage& response) {
      Values vias = {one.First("Via")};
      vias.insert(vias.end(), below.begin() + 1, below.end());
      change(vias);
      response.Drop("Via");
      for (const std::string& via : vias) response.Append("Via", via);
    };
    (*eve_)->Answer("INVITE", 183);
    Settle();
  };
  const uint64_t before = world().edge(0).Counter(slot);
  answer([](Values&) {});
  answer([](Values& vias) { vias.push_back("SIP/2.0/UDP 127.0.0.1:29999;branch=z9hG4bKx"); });
  answer([](Values& vias) { vias.resize(2); });
  EXPECT_EQ(world().edge(0).Counter(slot), before + 3);
  EXPECT_EQ(alice_->Final(first, "INVITE"), 0);
  EXPECT_EQ(alice_->Final(second, "INVITE"), 0);
  (*eve_)->alter_response = nullptr;
  (*eve_)->Answer("INVITE", 200);
  Settle();
  EXPECT_EQ(alice_->Final(second, "INVITE"), 200);
}

// -- Others' registrations, trunks, route sets
// -----------------------------------------------------

TEST_P(RelayAttackTest, AMadeUpToTagByThePairBringsNoRecordRoute) {
  const std::string call = (*mallory_)->Call("sip:alice@edge.example");
  Settle();
  ASSERT_TRUE((*mallory_)->HasDialog(call));
  const SimulatedDialog& dialog = (*mallory_)->dialog(call);
  for (const char* const method : {"INVITE", "SUBSCRIBE", "REFER", "UPDATE"}) {
    alice_->Forget();
    Attack(*mallory_,
           {.method = method,
            .uri = dialog.target,
            .from = "<sip:mallory@edge.example>;tag=" + dialog.local_tag,
            .to = "<sip:alice@edge.example>;tag=bogus",
            .call_id = call,
            .cseq = "900",
            .headers = RouteLines(dialog.routes) + "Record-Route: <sip:10.0.0.66:22;lr>\r\n"});
    const SimulatedMessage* const got = alice_->Last(method);
    ASSERT_NE(got, nullptr) << method;
    EXPECT_EQ(got->Text().find("10.0.0.66"), std::string::npos) << method;
  }
}

// A trunk in clear trusts our address; only its [[route]] leads there.
TEST(TrunkAttackTest, DnsOfAnOutsiderLeadsToNoPlainTrunk) {
  SimulatedEdge edge(
      {.extra = "[[listener]]\nname = \"plain\"\nzone = \"outside\"\ntransport = \"udp\"\n"
                "address = \"127.0.0.1:5066\"\n"
                "[[next-hop]]\nname = \"trunk\"\nzone = \"outside\"\n"
                "targets = [\"udp:198.51.100.7:5060\"]\n"
                "[[route]]\nuser = \"+49*\"\nzone = \"inside\"\nnext-hop = \"trunk\"\n"});
  edge.network().Bind(*core::SocketAddress::Parse("198.51.100.7:5060"));
  edge.dns().Srv("_sip._udp.n.example", 10, 0, 5060, "t.n.example");
  edge.dns().A("t.n.example", "198.51.100.7");
  for (const auto& [uri, reaches] :
       {std::pair("sip:+1900555@n.example", false), std::pair("sip:+49555@n.example", true)}) {
    edge.NextHopSend(RequestText{.method = "INVITE",
                                 .uri = uri,
                                 .via = "SIP/2.0/UDP 127.0.0.1:5080",
                                 .branch = reaches ? "y" : "x",
                                 .from = "<sip:alice@edge.example>;tag=1",
                                 .to = absl::StrCat("<", uri, ">"),
                                 .call_id = reaches ? "y" : "x",
                                 .headers = "Contact: <sip:a@127.0.0.1:5080>\r\n"}
                         .Text());
    edge.Run(absl::Milliseconds(300));
    EXPECT_EQ(!edge.InsideTake("198.51.100.7:5060").empty(), reaches) << uri;
  }
}

}  // namespace
}  // namespace sallyport::sip::test
