#include "sip/proxy/dialog_pair.h"

#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "sip/proxy/base64url.h"
#include "sip/proxy/seal_keys.h"
#include "tests/support/guarded_copy.h"
#include "tests/support/signed_lines.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
namespace {

using Outcome = PairReading::Outcome;
using test::Dialog;
using test::DomainPartyOf;
using test::GuardedCopy;
using test::InsideSide;
using test::OutsideSide;
using test::PairUris;
using test::ParsedUri;
using test::SecretOf;

DialogPairSigner Signer() { return DialogPairSigner(SecretOf(test::kOldKey)); }

constexpr RecordRouteUri kOutsidePlace{.host = "edge.example", .port = 5061};
constexpr RecordRouteUri kSecondPlace{.host = "192.0.2.1", .port = 5071};
constexpr RecordRouteUri kInsidePlace{
    .host = "edge.example", .port = 5070, .transport = TransportProtocol::kUdp};
constexpr RecordRouteUri kOtherInsidePlace{
    .host = "[2001:db8::10]", .port = 5072, .transport = TransportProtocol::kTcp};

// The outside side that we dialled: a target of a next hop, and what it proved.
DialogSide DialledSide(const SealedParty& party) {
  DialogSide side;
  side.zone = Zone::kOutside;
  side.target = test::TargetOf(TransportProtocol::kTls, "[2001:db8::9]:5061");
  side.target.identity = IdentityHash("pbx.b.example");
  side.next_hop = NextHopNameHash("partner");
  side.secure = true;
  side.party = party;
  return side;
}

struct Case {
  std::string name;
  DialogPair pair;
  RecordRouteUri caller;
  RecordRouteUri callee;
  bool is_single = false;
};

SealedParty DomainParty() { return Signer().parties().Seal(DomainPartyOf("b.example")); }
SealedParty LeafParty() { return Signer().parties().Seal(PartyOfServer(test::StandingOf({}), {})); }

// Every field at its longest, on both sides of one line.
Case Longest() {
  DialogSide side =
      DialledSide(Signer().parties().Seal(DomainPartyOf(std::string(PartyDomain::kBytesMax, 'a'))));
  side.flow = {0xffffffff, 0xff, 0xffff, {0xffffffff, 0xffffffff}};
  side.target = test::TargetOf(TransportProtocol::kTls, "[fe80::1%4294967295]:65535");
  side.target.identity = 0xffff;
  side.next_hop = 0xffffffff;
  return {"longest", {side, side}, kOutsidePlace, kOutsidePlace, true};
}

std::vector<Case> Cases() {
  const DialogSide inside6 = InsideSide("[2001:db8::5]:5060", "");
  return {
      {"from outside", {OutsideSide(DomainParty()), InsideSide()}, kOutsidePlace, kInsidePlace},
      {"from inside", {InsideSide(), DialledSide(DomainParty())}, kInsidePlace, kOutsidePlace},
      {"down a flow", {InsideSide(), OutsideSide(LeafParty())}, kInsidePlace, kOutsidePlace},
      {"plain next hop", {InsideSide(), DialledSide({})}, kInsidePlace, kOutsidePlace},
      {"IPv6 inside", {OutsideSide(LeafParty()), inside6}, kOutsidePlace, kOtherInsidePlace},
      {"inside alone", {InsideSide(), inside6}, kInsidePlace, kOtherInsidePlace},
      {"outside alone",
       {OutsideSide(DomainParty()), DialledSide(LeafParty())},
       kOutsidePlace,
       kSecondPlace},
      {"single inside", {InsideSide(), inside6}, kInsidePlace, kInsidePlace, true},
      {"single outside",
       {OutsideSide(DomainParty()), OutsideSide(LeafParty())},
       kOutsidePlace,
       kOutsidePlace,
       true},
      Longest(),
  };
}

PairUris Write(const DialogPairSigner& signer, const Case& c, const Dialog& dialog = {}) {
  return test::WritePair(signer, c.pair, dialog, c.caller, c.callee);
}

// `second` empty: there is none. A URI that does not parse is read as not there.
PairReading Read(const DialogPairSigner& signer, std::string_view first, std::string_view second,
                 const Dialog& dialog = {}) {
  const GuardedCopy first_text(first);
  const GuardedCopy second_text(second);
  Uri first_uri;
  Uri second_uri;
  if (ParseUri(first_text.view(), first_uri) != UriOutcome::kOk) return {};
  const bool has_second =
      !second.empty() && ParseUri(second_text.view(), second_uri) == UriOutcome::kOk;
  return signer.Read({&first_uri, has_second ? &second_uri : nullptr},
                     DialogIdOf(dialog.call_id, dialog.tag));
}

Outcome OutcomeOf(std::string_view first, std::string_view second, const Dialog& dialog = {}) {
  static const DialogPairSigner signer(SecretOf(test::kOldKey));
  return Read(signer, first, second, dialog).outcome;
}

std::string UserOf(const std::string& uri) { return std::string(ParsedUri(uri).user); }

std::string WithUser(const std::string& uri, const std::string& user) {
  return "sip:" + user + uri.substr(uri.find('@'));
}

TEST(DialogPairTest, ReadsBackBothSidesInEitherOrder) {
  const DialogPairSigner signer = Signer();
  for (const Case& c : Cases()) {
    const PairUris uris = Write(signer, c);
    EXPECT_EQ(uris.is_single(), c.is_single) << c.name;
    for (const bool caller_is_first : {true, false}) {
      if (c.is_single && !caller_is_first) continue;
      const PairReading reading = caller_is_first ? Read(signer, uris.caller, uris.callee)
                                                  : Read(signer, uris.callee, uris.caller);
      ASSERT_EQ(reading.outcome, Outcome::kValid) << c.name;
      EXPECT_EQ(reading.is_single, c.is_single) << c.name;
      EXPECT_EQ(reading.caller_is_first, caller_is_first) << c.name;
      EXPECT_EQ(reading.key, 0U) << c.name;
      EXPECT_EQ(reading.mac, uris.mac) << c.name;
      EXPECT_EQ(reading.pair.caller, c.pair.caller) << c.name;
      EXPECT_EQ(reading.pair.callee, c.pair.callee) << c.name;
    }
  }
}

TEST(DialogPairTest, FormTellsTheSideOfALine) {
  for (const Case& c : Cases()) {
    const PairUris uris = Write(Signer(), c);
    EXPECT_EQ(PairLineFormOf(UserOf(uris.caller)),
              c.is_single ? PairLineForm::kSingle : PairLineForm::kCaller)
        << c.name;
    if (c.is_single) continue;
    EXPECT_EQ(PairLineFormOf(UserOf(uris.callee)), PairLineForm::kCallee) << c.name;
  }
  const tls::Secret secret = SecretOf(test::kOldKey);
  const PathTokenSigner paths(secret);
  const std::string path = test::PathUri(paths, {{7, 1, 0, {4711, 12}}, {}}, kOutsidePlace);
  for (const std::string& user :
       {std::string(), std::string("alice"), std::string("U"), std::string("UQ"),
        std::string("UQA"), UserOf(path), std::string(PairTexts::kTextBytesMax + 4, 'U')}) {
    EXPECT_EQ(PairLineFormOf(user), PairLineForm::kNone) << user;
  }
}

// The form does not prove anything: what has another's MAC has it, too.
TEST(DialogPairTest, FormIsSeenWithoutTheSecret) {
  const DialogPairSigner stranger(SecretOf(test::kNewKey));
  const PairUris uris = Write(stranger, Cases()[0]);
  EXPECT_EQ(PairLineFormOf(UserOf(uris.caller)), PairLineForm::kCaller);
  EXPECT_EQ(PairLineFormOf(UserOf(uris.callee)), PairLineForm::kCallee);
}

TEST(DialogPairTest, EveryChangedOrMissingCharacterOfEitherLineIsNoPair) {
  const std::string others = std::string(test::kBase64UrlAlphabet) + "+/=%.~";
  for (const Case& c : {Cases()[0], Cases()[1], Cases()[5], Cases()[7]}) {
    const PairUris uris = Write(Signer(), c);
    for (const bool of_caller : {true, false}) {
      if (c.is_single && !of_caller) continue;
      const std::string& uri = of_caller ? uris.caller : uris.callee;
      const auto outcome = [&](const std::string& user) {
        const std::string changed = WithUser(uri, user);
        return of_caller ? OutcomeOf(changed, uris.callee) : OutcomeOf(uris.caller, changed);
      };
      const std::string user = UserOf(uri);
      ASSERT_EQ(outcome(user), Outcome::kValid) << c.name;
      for (size_t at = 0; at < user.size(); ++at) {
        EXPECT_NE(outcome(user.substr(0, at)), Outcome::kValid) << c.name << at;
        for (const char other : others) {
          if (other == user[at]) continue;
          std::string changed = user;
          changed[at] = other;
          EXPECT_NE(outcome(changed), Outcome::kValid) << c.name << at << other;
        }
      }
      for (const char* more : {"A", "AA", "AAAA", "="}) {
        EXPECT_NE(outcome(user + more), Outcome::kValid) << c.name << more;
      }
    }
  }
}

TEST(DialogPairTest, ServesOneDialogAlone) {
  for (const Case& c : Cases()) {
    const PairUris uris = Write(Signer(), c);
    for (const Dialog& other : std::vector<Dialog>{{.call_id = "call-2"},
                                                   {.call_id = "CALL-1"},
                                                   {.call_id = ""},
                                                   {.tag = "callee-tag"},
                                                   {.tag = "Caller-tag"},
                                                   {.tag = ""},
                                                   {.call_id = "call-1c", .tag = "aller-tag"},
                                                   {.call_id = "caller-tag", .tag = "call-1"}}) {
      EXPECT_EQ(OutcomeOf(uris.caller, uris.callee, other), Outcome::kForged)
          << c.name << other.call_id << other.tag;
    }
  }
}

// RFC 3261 §12.1.1: a Call-ID and a tag of any length.
TEST(DialogPairTest, DialogIdHasNoBound) {
  const Dialog longest{std::string(70000, 'c'), std::string(70000, 't')};
  const PairUris uris = Write(Signer(), Cases()[0], longest);
  EXPECT_EQ(OutcomeOf(uris.caller, uris.callee, longest), Outcome::kValid);
  Dialog other = longest;
  other.call_id.back() = 'd';
  EXPECT_EQ(OutcomeOf(uris.caller, uris.callee, other), Outcome::kForged);
  // The border between both does not move, beyond any length either.
  other = {longest.call_id + "t", longest.tag.substr(1)};
  EXPECT_EQ(OutcomeOf(uris.caller, uris.callee, other), Outcome::kForged);
}

TEST(DialogPairTest, HalvesOfTwoPairsAreNoPair) {
  const DialogPairSigner signer = Signer();
  for (const size_t index : {0UL, 1UL, 5UL, 6UL}) {
    const Case c = Cases()[index];
    Case second_pass = c;  // Of the same dialog.
    for (DialogSide* side : {&second_pass.pair.caller, &second_pass.pair.callee}) {
      if (side->target.is_known()) side->target.address = side->target.address.WithPort(9);
      if (side->flow.is_known()) side->flow.connection.slot ^= 1;
    }
    for (const PairUris& other :
         {Write(signer, c, {.call_id = "call-2"}), Write(signer, second_pass)}) {
      const PairUris uris = Write(signer, c);
      for (const auto& [first, second] :
           {std::pair(uris.caller, other.callee), std::pair(other.caller, uris.callee),
            std::pair(other.callee, uris.caller), std::pair(uris.callee, other.caller),
            std::pair(uris.caller, other.caller), std::pair(uris.callee, other.callee),
            std::pair(uris.caller, uris.caller), std::pair(uris.callee, uris.callee)}) {
        // The same octets in both are no other half.
        const bool is_whole = (first == uris.caller && second == uris.callee) ||
                              (first == uris.callee && second == uris.caller);
        EXPECT_EQ(OutcomeOf(first, second) == Outcome::kValid, is_whole) << c.name;
      }
    }
  }
}

// A pair is both lines, a single line is alone.
TEST(DialogPairTest, NeitherHalfStandsAloneAndASingleLineHasNoSecond) {
  const PairUris pair = Write(Signer(), Cases()[0]);
  const PairUris single = Write(Signer(), Cases()[8]);
  ASSERT_TRUE(single.is_single());
  EXPECT_EQ(OutcomeOf(pair.caller, ""), Outcome::kForged);
  EXPECT_EQ(OutcomeOf(pair.callee, ""), Outcome::kForged);
  for (const std::string& other : {pair.caller, pair.callee, single.caller}) {
    EXPECT_EQ(OutcomeOf(single.caller, other), Outcome::kForged);
    EXPECT_EQ(OutcomeOf(other, single.caller), Outcome::kForged);
  }
  EXPECT_EQ(Signer().Read({}, DialogIdOf("call-1", "caller-tag")).outcome, Outcome::kForged);
}

// What both lines say, with the MAC in the other line or in none.
TEST(DialogPairTest, TheMacStandsInTheOutsideLineElseInTheCallers) {
  constexpr uint8_t kHasMac = 8;  // Of the second octet.
  const auto octets_of = [](const std::string& uri) {
    std::array<uint8_t, 512> room;
    const size_t size = *ReadBase64Url(UserOf(uri), room);
    return std::vector<uint8_t>(room.begin(), room.begin() + static_cast<ptrdiff_t>(size));
  };
  const auto uri_of = [](const std::string& like, const std::vector<uint8_t>& octets) {
    std::string text(Base64UrlBytes(octets.size()), '\0');
    WriteBase64Url(octets, text.data());
    return WithUser(like, text);
  };
  for (const auto& [index, in_callees] : {std::pair(0UL, false), std::pair(1UL, true),
                                          std::pair(5UL, false), std::pair(6UL, false)}) {
    const Case c = Cases()[index];
    const PairUris uris = Write(Signer(), c);
    std::vector<uint8_t> caller = octets_of(uris.caller);
    std::vector<uint8_t> callee = octets_of(uris.callee);
    std::vector<uint8_t>& with = in_callees ? callee : caller;
    std::vector<uint8_t>& without = in_callees ? caller : callee;
    ASSERT_NE(with[1] & kHasMac, 0) << c.name;
    ASSERT_EQ(without[1] & kHasMac, 0) << c.name;
    const std::vector<uint8_t> mac(with.end() - SealKeys::kMacBytes, with.end());
    const uint8_t key_id = with[2];
    with.resize(with.size() - mac.size());
    with.erase(with.begin() + 2);
    with[1] = static_cast<uint8_t>(with[1] & ~kHasMac);
    EXPECT_EQ(OutcomeOf(uri_of(uris.caller, caller), uri_of(uris.callee, callee)), Outcome::kForged)
        << c.name;
    without.insert(without.begin() + 2, key_id);
    without[1] |= kHasMac;
    without.insert(without.end(), mac.begin(), mac.end());
    EXPECT_EQ(OutcomeOf(uri_of(uris.caller, caller), uri_of(uris.callee, callee)), Outcome::kForged)
        << c.name;
  }
}

// Goal: a line is good only in the URI that we wrote it into. Method: change the URI's other parts.
TEST(DialogPairTest, BindsSchemeHostPortAndTransportOfEachLine) {
  const Case c = Cases()[0];
  const PairUris uris = Write(Signer(), c);
  const std::string outside = "sip:" + UserOf(uris.caller) + "@";
  const std::string inside = "sip:" + UserOf(uris.callee) + "@";
  ASSERT_EQ(uris.caller, outside + "edge.example:5061;transport=tls;lr");
  ASSERT_EQ(uris.callee, inside + "edge.example:5070;lr");
  for (const char* place :
       {"edge2.example:5061;transport=tls;lr", "edge.example:5062;transport=tls;lr",
        "edge.example;transport=tls;lr", "edge.example:5061;transport=tcp;lr",
        "edge.example:5061;lr", "192.0.2.1:5061;transport=tls;lr", "edge.example:5070;lr"}) {
    EXPECT_EQ(OutcomeOf(outside + place, uris.callee), Outcome::kForged) << place;
  }
  EXPECT_EQ(OutcomeOf("sips:" + uris.caller.substr(4), uris.callee), Outcome::kForged);
  for (const char* place :
       {"edge.example:5071;lr", "edge.example:5070;transport=udp;lr", "edge.example;lr",
        "edge.example:5070;transport=tls;lr", "edge.example:5061;transport=tls;lr"}) {
    EXPECT_EQ(OutcomeOf(uris.caller, inside + place), Outcome::kForged) << place;
  }
  // Each in the other's place.
  EXPECT_EQ(
      OutcomeOf(outside + "edge.example:5070;lr", inside + "edge.example:5061;transport=tls;lr"),
      Outcome::kForged);
}

// Stacks print URIs anew: PJSIP writes "lr=on", others reorder parameters or change case.
TEST(DialogPairTest, ReprintedUrisStayValid) {
  const PairUris uris = Write(Signer(), Cases()[0]);
  const std::string outside = "sip:" + UserOf(uris.caller) + "@";
  const std::string inside = "sip:" + UserOf(uris.callee) + "@";
  for (const char* place :
       {"edge.example:5061;transport=tls;lr", "edge.example:5061;lr;transport=tls",
        "edge.example:5061;lr=on;transport=tls", "EDGE.Example:5061;Transport=TLS;LR",
        "edge.example.:5061;transport=tls;lr", "edge.example:5061;transport=tls;lr;dt=x"}) {
    EXPECT_EQ(OutcomeOf(outside + place, inside + "edge.example:5070;lr=on"), Outcome::kValid)
        << place;
    EXPECT_EQ(OutcomeOf(inside + "edge.example:5070;lr", outside + place), Outcome::kValid)
        << place;
  }
  EXPECT_EQ(OutcomeOf("SIP:" + uris.caller.substr(4), uris.callee), Outcome::kValid);
}

// Each leads a next hop that honours it past us, or makes it send what we did not write.
TEST(DialogPairTest, ALineWithMoreThanWeWroteIsForged) {
  const PairUris uris = Write(Signer(), Cases()[0]);
  const std::string user = UserOf(uris.caller);
  const std::string host = "edge.example:5061;transport=tls";
  for (const std::string& line :
       {"sip:" + user + "@" + host, "sip:" + user + "@" + host + ";lr;maddr=192.0.2.66",
        "sip:" + user + "@" + host + ";lr;ob", "sip:" + user + "@" + host + ";lr?Subject=x",
        "sip:" + user + ":pw@" + host + ";lr"}) {
    EXPECT_EQ(OutcomeOf(line, uris.callee), Outcome::kForged) << line;
    EXPECT_EQ(OutcomeOf(uris.callee, line), Outcome::kForged) << line;
  }
  EXPECT_EQ(OutcomeOf("sip:" + user + "@" + host + ";lr", uris.callee), Outcome::kValid);
}

TEST(DialogPairTest, SipsLinesAreOfSips) {
  Case c = Cases()[0];
  c.caller.sips = true;
  const PairUris uris = Write(Signer(), c);
  ASSERT_TRUE(uris.caller.starts_with("sips:"));
  EXPECT_EQ(OutcomeOf(uris.caller, uris.callee), Outcome::kValid);
  EXPECT_EQ(OutcomeOf("sip:" + uris.caller.substr(5), uris.callee), Outcome::kForged);
  // The same octets in a sip line of the transport that sips does not write.
  EXPECT_EQ(OutcomeOf("sip:" + uris.caller.substr(5) + ";transport=tls", uris.callee),
            Outcome::kForged);
}

TEST(DialogPairTest, AHostOrTransportBeyondEveryBoundIsNoPair) {
  const PairUris uris = Write(Signer(), Cases()[0]);
  const std::string label(60, 'a');
  std::string host = label;
  for (int i = 0; i < 20; ++i) host += "." + label;
  EXPECT_EQ(
      OutcomeOf("sip:" + UserOf(uris.caller) + "@" + host + ":5061;transport=tls;lr", uris.callee),
      Outcome::kForged);
  EXPECT_EQ(OutcomeOf("sip:" + UserOf(uris.caller) +
                          "@edge.example:5061;lr;transport=" + std::string(66000, 't'),
                      uris.callee),
            Outcome::kForged);
}

TEST(DialogPairTest, TheLongestHostFits) {
  const std::string label(63, 'a');
  const std::string host = label + "." + label + "." + label + "." + std::string(61, 'a');
  ASSERT_EQ(host.size(), 253U);
  Case c = Longest();
  c.caller.host = host;
  c.callee = c.caller;
  c.callee.port = 5071;
  const PairUris uris = Write(Signer(), c);
  EXPECT_EQ(OutcomeOf(uris.caller, uris.callee), Outcome::kValid);
}

TEST(DialogPairTest, AnotherSecretReadsNothing) {
  const PairUris uris = Write(Signer(), Cases()[0]);
  const DialogPairSigner other(SecretOf(test::kNewKey));
  EXPECT_EQ(Read(other, uris.caller, uris.callee).outcome, Outcome::kUnknownKey);
}

TEST(DialogPairTest, RotationKeepsOldPairsUntilTheirKeyGoes) {
  const DialogPairSigner before = Signer();
  const DialogPairSigner during(test::RotatedSecret());
  const DialogPairSigner after(SecretOf(test::kNewKey));
  for (const Case& c : {Cases()[0], Cases()[1], Cases()[7]}) {
    const PairUris old_pair = Write(before, c);
    const PairUris new_pair = Write(during, c);
    EXPECT_NE(new_pair.mac, old_pair.mac);
    const PairReading old_reading = Read(during, old_pair.caller, old_pair.callee);
    EXPECT_EQ(old_reading.outcome, Outcome::kValid);
    EXPECT_EQ(old_reading.key, 1U);
    EXPECT_EQ(old_reading.mac, old_pair.mac);
    const PairReading new_reading = Read(during, new_pair.caller, new_pair.callee);
    EXPECT_EQ(new_reading.outcome, Outcome::kValid);
    EXPECT_EQ(new_reading.key, 0U);
    EXPECT_EQ(Read(after, new_pair.caller, new_pair.callee).outcome, Outcome::kValid);
    EXPECT_EQ(Read(after, old_pair.caller, old_pair.callee).outcome, Outcome::kUnknownKey);
    EXPECT_EQ(Read(before, new_pair.caller, new_pair.callee).outcome, Outcome::kUnknownKey);
  }
}

// An id is one octet of a hash: two keys of one secret may share it, and both are tried then.
TEST(DialogPairTest, TwoKeysMayShareAnId) {
  std::array<std::optional<std::string>, 256> seen;
  std::string first;
  std::string second;
  for (int i = 0; i < 256 && second.empty(); ++i) {
    const std::array<std::byte, 1> number{static_cast<std::byte>(i)};
    const std::array<uint8_t, 32> digest = tls::Sha256(number);
    const std::string key =
        absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
    const SealKeys keys(SecretOf(key), tls::kDialogPairLabel);
    std::optional<std::string>& same = seen[keys.signing().id];
    if (same.has_value()) {
      first = *same;
      second = key;
    }
    same = key;
  }
  ASSERT_FALSE(second.empty());
  const DialogPairSigner old_signer(SecretOf(first));
  const PairUris uris = Write(old_signer, Cases()[0]);
  const PairReading reading =
      Read(DialogPairSigner(SecretOf(second + "\n" + first)), uris.caller, uris.callee);
  EXPECT_EQ(reading.outcome, Outcome::kValid);
  EXPECT_EQ(reading.key, 1U);
  EXPECT_EQ(Read(DialogPairSigner(SecretOf(second)), uris.caller, uris.callee).outcome,
            Outcome::kForged);
}

// Two calls to the same place share nothing that a reader could compare but what travels in clear.
TEST(DialogPairTest, NoTwoDialogsHaveTheSameMac) {
  EXPECT_NE(Write(Signer(), Cases()[0]).mac, Write(Signer(), Cases()[0], {.tag = "x"}).mac);
  EXPECT_EQ(Write(Signer(), Cases()[0]).mac, Write(Signer(), Cases()[0]).mac);
}

}  // namespace
}  // namespace sallyport::sip
