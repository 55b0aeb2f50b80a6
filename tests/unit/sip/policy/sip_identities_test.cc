#include "sip/policy/sip_identities.h"

#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tls/certificate_reader.h"

namespace sallyport::sip {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

using tls::CertificateName;
using tls::NameType;

// has_san = false: the names are common names only.
SipIdentities Derive(std::vector<CertificateName> names, const IdentityOptions& options = {},
                     bool has_san = true) {
  const tls::CertificateFacts facts = {.has_subject_alt_name = has_san};
  return DeriveSipIdentities(*tls::PeerIdentity::Create(facts, {}, names), options);
}

SipIdentities FromUri(std::string_view uri) { return Derive({{NameType::kUri, uri}}); }

std::vector<std::string> Domains(const SipIdentities& identities) {
  std::vector<std::string> domains;
  for (size_t i = 0; i < identities.domains_size(); ++i) domains.emplace_back(identities.domain(i));
  return domains;
}

std::vector<std::string> Users(const SipIdentities& identities) {
  std::vector<std::string> users;
  for (size_t i = 0; i < identities.users_size(); ++i) {
    const UserIdentity user = identities.user(i);
    users.push_back(std::string(user.user) + "@" + std::string(user.host));
  }
  return users;
}

TEST(SipIdentitiesTest, NothingProvesNothing) {
  const SipIdentities none;
  EXPECT_TRUE(none.empty());
  EXPECT_FALSE(none.CoversDomain("a.example"));
  EXPECT_FALSE(none.CoversDomain(""));
  EXPECT_FALSE(none.CoversUser("alice", "a.example"));
  EXPECT_EQ(none.List(), "none");
  EXPECT_TRUE(Derive({}).empty());
}

// RFC 5922 §7.1, entry by entry.
TEST(SipIdentitiesTest, UriWithoutUserGivesItsHost) {
  EXPECT_THAT(Domains(FromUri("sip:a.example")), ElementsAre("a.example"));
  EXPECT_THAT(Domains(FromUri("SIP:A.Example")), ElementsAre("a.example"));
  EXPECT_THAT(Domains(FromUri("sip:a.example.")), ElementsAre("a.example"));
  EXPECT_THAT(Domains(FromUri("sip:a.example;x=b.example")), ElementsAre("a.example"));
  EXPECT_THAT(Domains(FromUri("sip:a.example:5061")), ElementsAre("a.example"));
  EXPECT_THAT(Domains(FromUri("sip:localhost")), ElementsAre("localhost"));
}

TEST(SipIdentitiesTest, UriWithUserGivesThatUserOnly) {
  const SipIdentities alice = FromUri("sip:alice@A.example");
  EXPECT_THAT(Domains(alice), IsEmpty());
  EXPECT_THAT(Users(alice), ElementsAre("alice@a.example"));
  EXPECT_TRUE(alice.CoversUser("alice", "a.example"));
  EXPECT_FALSE(alice.CoversDomain("a.example"));
  EXPECT_THAT(Users(FromUri("sip:%61lice@a.example")), ElementsAre("alice@a.example"));
  EXPECT_THAT(Users(FromUri("sip:alice/phone@evil.example")),
              ElementsAre("alice/phone@evil.example"));
  EXPECT_THAT(Users(FromUri("sip:b.example@a.example")), ElementsAre("b.example@a.example"));
}

TEST(SipIdentitiesTest, OtherUrisGiveNothing) {
  for (const std::string_view uri : {"sips:a.example",
                                     "sips:alice@a.example",
                                     "https://a.example/",
                                     "tel:+15551234567",
                                     "xsip:a.example",
                                     "sipx:a.example",
                                     "sip:",
                                     "sip",
                                     ":a.example",
                                     "a.example",
                                     "",
                                     "sip://a.example",
                                     "sip:a%2eexample",
                                     "sip:*.a.example",
                                     "sip:a..example",
                                     "sip:.a.example",
                                     "sip:a.example:",
                                     "sip:a.example:0",
                                     "sip:a.example..",
                                     "sip:@a.example",
                                     "sip:alice@",
                                     "sip:alice@b.example@a.example",
                                     "sip:alice:secret@a.example",
                                     "sip:192.0.2.1",
                                     "sip:[2001:db8::1]",
                                     "sip:alice@192.0.2.1",
                                     " sip:a.example",
                                     "sip:a.example ",
                                     "sip: a.example",
                                     "sip:a_b.example",
                                     "sip:-a.example",
                                     "sip:a.example\n",
                                     "sip:a.123",
                                     "sip:alice%@a.example",
                                     "sip:alice%4@a.example",
                                     "<sip:a.example>"}) {
    const SipIdentities identities = FromUri(uri);
    EXPECT_TRUE(identities.empty()) << uri << " gave " << identities.List();
  }
}

TEST(SipIdentitiesTest, DnsCountsOnlyWithoutDomainUri) {
  EXPECT_THAT(Domains(Derive({{NameType::kDns, "A.example"}})), ElementsAre("a.example"));
  EXPECT_THAT(Domains(Derive({{NameType::kDns, "b.example"}, {NameType::kUri, "sip:a.example"}})),
              ElementsAre("a.example"));
  // Neither a user's URI, nor another scheme's, nor a broken one is a domain identity: the DNS
  // entry counts.
  for (const std::string_view uri : {"sip:alice@a.example", "sips:c.example", "https://c.example",
                                     "sip:*.c.example", "sip:192.0.2.1"}) {
    EXPECT_THAT(Domains(Derive({{NameType::kUri, uri}, {NameType::kDns, "a.example"}})),
                ElementsAre("a.example"))
        << uri;
  }
}

TEST(SipIdentitiesTest, DnsEntriesThatAreNoHostName) {
  for (const std::string_view name :
       {"*.a.example", "f*.a.example", ".a.example", " a.example", "a.example ", "", ".",
        "a..example", "a.example..", "192.0.2.1", "2001:db8::1", "[2001:db8::1]", "sip:a.example",
        "a_b.example", "a.example:5061", "a/b.example", "a@b.example"}) {
    EXPECT_TRUE(Derive({{NameType::kDns, name}}).empty()) << name;
  }
}

TEST(SipIdentitiesTest, LabelAndNameLimits) {
  const std::string label63(63, 'a');
  const std::string label64(64, 'a');
  EXPECT_EQ(NormalDnsName(label63 + ".example"), label63 + ".example");
  EXPECT_EQ(NormalDnsName(label64 + ".example"), "");
  const std::string name253 = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b');
  ASSERT_EQ(name253.size(), 253u);
  EXPECT_EQ(NormalDnsName(name253), name253);
  EXPECT_EQ(NormalDnsName(name253 + "."), name253);
  EXPECT_EQ(NormalDnsName(name253 + "b"), "");
}

TEST(SipIdentitiesTest, CommonNameOnlyWithoutAnyAlternativeName) {
  const std::vector<CertificateName> cn = {{NameType::kCommonName, "A.example"}};
  EXPECT_THAT(Domains(Derive(cn, {}, /*has_san=*/false)), ElementsAre("a.example"));
  EXPECT_TRUE(Derive(cn, {}, /*has_san=*/true).empty());
  EXPECT_TRUE(Derive(cn, {.cn_identity = false}, /*has_san=*/false).empty());
}

TEST(SipIdentitiesTest, OnlyTheLastCommonNameAndOnlyADomain) {
  const auto from_cn = [](std::initializer_list<std::string_view> names) {
    std::vector<CertificateName> list;
    for (const std::string_view name : names) list.push_back({NameType::kCommonName, name});
    return Domains(Derive(list, {}, /*has_san=*/false));
  };
  EXPECT_THAT(from_cn({"b.example", "a.example"}), ElementsAre("a.example"));
  EXPECT_THAT(from_cn({"a.example", "Alice"}), IsEmpty());
  for (const std::string_view name :
       {"sip:a.example", "Alice Example", "alice", "phone-7", "alice.", "*.a.example", "192.0.2.1",
        "", "alice@a.example"}) {
    EXPECT_THAT(from_cn({name}), IsEmpty()) << name;
  }
}

TEST(SipIdentitiesTest, EmailOnlyWhereAskedFor) {
  const std::vector<CertificateName> email = {{NameType::kEmail, "Alice@A.example"}};
  EXPECT_TRUE(Derive(email).empty());
  const SipIdentities alice = Derive(email, {.use_email_as_sip = true});
  EXPECT_THAT(Users(alice), ElementsAre("Alice@a.example"));
  EXPECT_THAT(Domains(alice), IsEmpty());
  for (const std::string_view text :
       {"@a.example", "alice@", "alice", "a@b@a.example", "\"a b\"@a.example", "a b@a.example",
        "a..b@a.example", ".a@a.example", "a.@a.example", "alice@192.0.2.1", "alice@*.a.example"}) {
    EXPECT_TRUE(Derive({{NameType::kEmail, text}}, {.use_email_as_sip = true}).empty()) << text;
  }
}

TEST(SipIdentitiesTest, IpAddressesGiveNothing) {
  EXPECT_TRUE(Derive({{NameType::kIpAddress, std::string_view("\x7f\0\0\1", 4)}}).empty());
}

// RFC 5922 §7.2: whole names, any case.
TEST(SipIdentitiesTest, DomainsAreComparedWhole) {
  const SipIdentities identities = FromUri("sip:sip.a.example");
  EXPECT_TRUE(identities.CoversDomain("sip.a.example"));
  EXPECT_TRUE(identities.CoversDomain("SIP.A.EXAMPLE"));
  for (const std::string_view host :
       {"a.example", "x.sip.a.example", "xsip.a.example", "sip.a.exampl", "sip.a.examplx",
        "sip.b.example", "tip.a.example", "sip-a.example", "sip.a.example ", "", "\x13ip.a.example",
        "sip\x0e"
        "a.example"}) {
    EXPECT_FALSE(identities.CoversDomain(host)) << host;
  }
}

// Goal: the eight-byte comparison says what a plain one says, at every length and every byte.
TEST(SipIdentitiesTest, ComparisonAtEveryLengthAndByte) {
  for (size_t length = 1; length <= 40; ++length) {
    std::string host(length, 'a');
    const SipIdentities identities({host}, {});
    EXPECT_TRUE(identities.CoversDomain(host));
    EXPECT_FALSE(identities.CoversDomain(host + "a"));
    for (size_t at = 0; at < length; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string other = host;
        other[at] = static_cast<char>(byte);
        EXPECT_EQ(identities.CoversDomain(other), byte == 'a' || byte == 'A')
            << length << " " << at << " " << byte;
      }
    }
  }
}

TEST(SipIdentitiesTest, EveryByteAgainstEveryHostByte) {
  for (const char mine : std::string_view("abcdefghijklmnopqrstuvwxyz0123456789-.")) {
    const SipIdentities identities({std::string(9, mine)}, {});
    for (int byte = 0; byte < 256; ++byte) {
      const std::string other(9, static_cast<char>(byte));
      const bool same = byte == mine || (byte >= 'A' && byte <= 'Z' && byte + 32 == mine);
      EXPECT_EQ(identities.CoversDomain(other), same) << mine << " " << byte;
    }
  }
}

TEST(SipIdentitiesTest, UsersAreCaseSensitiveAndUnescaped) {
  const SipIdentities alice({}, {{"alice", "a.example"}});
  EXPECT_TRUE(alice.CoversUser("alice", "A.EXAMPLE"));
  EXPECT_TRUE(alice.CoversUser("%61lice", "a.example"));
  EXPECT_TRUE(alice.CoversUser("%61%6C%69%63%65", "a.example"));
  for (const std::string_view user :
       {"ALICE", "Alice", "alic", "alicee", "alice%00", "%00alice", "", "bob", "al%69c", "alice%",
        "alice%6", "%41lice", "alice%20"}) {
    EXPECT_FALSE(alice.CoversUser(user, "a.example")) << user;
  }
  EXPECT_FALSE(alice.CoversUser("alice", "b.example"));
  EXPECT_FALSE(alice.CoversUser("alice", ""));
  const SipIdentities odd({}, {{std::string("a\0b", 3), "a.example"}});
  EXPECT_TRUE(odd.CoversUser("a%00b", "a.example"));
  EXPECT_FALSE(odd.CoversUser("a", "a.example"));
}

TEST(SipIdentitiesTest, ManyIdentitiesAreAllFoundAndNoOther) {
  std::vector<std::string> domains;
  std::vector<SipIdentities::User> users;
  for (int i = 0; i < 500; ++i) {
    domains.push_back("d" + std::to_string(i * 7919 % 500) + ".example");
    users.push_back({"user" + std::to_string(i), "h" + std::to_string(i % 10) + ".example"});
  }
  const SipIdentities identities(domains, users);
  EXPECT_EQ(identities.domains_size(), 500u);
  EXPECT_EQ(identities.users_size(), 500u);
  for (const std::string& domain : domains) EXPECT_TRUE(identities.CoversDomain(domain)) << domain;
  for (const SipIdentities::User& user : users)
    EXPECT_TRUE(identities.CoversUser(user.user, user.host)) << user.user;
  EXPECT_FALSE(identities.CoversDomain("d500.example"));
  EXPECT_FALSE(identities.CoversDomain("h1.example"));
  EXPECT_FALSE(identities.CoversUser("user1", "h2.example"));
  EXPECT_FALSE(identities.CoversUser("user500", "h0.example"));
}

TEST(SipIdentitiesTest, RepetitionsAreDropped) {
  const SipIdentities identities = Derive({{NameType::kUri, "sip:a.example"},
                                           {NameType::kUri, "SIP:A.EXAMPLE."},
                                           {NameType::kUri, "sip:alice@a.example"},
                                           {NameType::kUri, "sip:%61lice@A.example"}});
  EXPECT_EQ(identities.List(), "sip:a.example, sip:alice@a.example");
}

TEST(SipIdentitiesTest, ListIsBoundedAndPrintable) {
  const SipIdentities identities({"a.example", "b.example", "c.example"},
                                 {{"a\r\nb", "d.example"}});
  EXPECT_EQ(identities.List(),
            "sip:a.example, sip:b.example, sip:c.example, sip:a%0d%0ab@d.example");
  EXPECT_EQ(identities.List(2), "sip:a.example, sip:b.example and 2 more");
  EXPECT_EQ(identities.List(0), "4 more");
}

TEST(SipIdentitiesTest, AConnectionHoldsSixteenBytes) { EXPECT_LE(sizeof(SipIdentities), 16u); }

std::string ReadCorpus(const std::string& name) {
  std::ifstream file(std::string(SALLYPORT_TEST_CORPUS) + "/" + name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string DerOf(const std::string& pem) {
  const size_t begin = pem.find('\n') + 1;
  const size_t end = pem.find("-----END");
  std::string der;
  EXPECT_TRUE(absl::Base64Unescape(pem.substr(begin, end - begin), &der));
  return der;
}

// Every certificate made for this project gives the identities that its case documents. Cases whose
// chain is refused by a name constraint document none: that is not the leaf's doing.
TEST(SipIdentitiesTest, CorpusCertificatesGiveTheDocumentedIdentities) {
  const nlohmann::json corpus = nlohmann::json::parse(ReadCorpus("x509/sip-cases.json"));
  size_t judged = 0;
  for (const nlohmann::json& test_case : corpus["cases"]) {
    const std::string id = test_case["id"];
    const bool refused_by_constraint =
        test_case["category"] == "sip-name-constraints" && test_case["expected"] == "FAILURE";
    if (refused_by_constraint) continue;
    const std::string der = DerOf(corpus["certs"][test_case["chain"][0].get<std::string>()]);
    const tls::CertificateReading reading =
        tls::ReadCertificate({reinterpret_cast<const uint8_t*>(der.data()), der.size()});
    // An embedded NUL and an empty subjectAltName are refused whole: no session, no identity.
    const bool unreadable = id == "sip/uri-nul" || id == "sip/san-empty-seq";
    EXPECT_EQ(reading.fault,
              unreadable ? tls::CertificateFault::kBadName : tls::CertificateFault::kNone)
        << id;
    std::vector<std::string> found;
    if (reading.identity) found = Domains(DeriveSipIdentities(*reading.identity, {}));
    const auto expected = test_case["sip_identities"].get<std::vector<std::string>>();
    EXPECT_THAT(found, UnorderedElementsAreArray(expected)) << id;
    ++judged;
  }
  EXPECT_GE(judged, 40u);
}

}  // namespace
}  // namespace sallyport::sip
