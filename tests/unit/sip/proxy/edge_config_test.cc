// Goal: what an operator may write and what is refused, with the place and the words that help.
// Method: one good configuration, changed in one place per case; certificates minted by the test.
#include "sip/proxy/edge_config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tls/private_ca.h"

namespace sallyport::sip {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kGood = R"([edge]
domain = "Edge.Example"
secret = "file:edge.secret"

[tls.federation]
certificate = "edge.pem"
certificate-key = "edge.key"
trusted-ca = "ca.pem"

[[listener]]
name = "federation"
address = "0.0.0.0:5061"
zone = "outside"

[[listener]]
name = "core"
address = "127.0.0.1:5070"
transport = "udp"
zone = "inside"

[[next-hop]]
name = "core"
targets = ["udp:127.0.0.1:5080"]
zone = "inside"
)";

LoadedConfig LoadValues(const std::string& text) {
  LoadOptions options;
  options.open_files = false;
  options.host_name = "host-1";
  return LoadEdgeConfigText(text, "f.toml", options);
}

std::vector<std::string> Lines(const LoadedConfig& loaded) {
  std::vector<std::string> lines;
  for (const core::Diagnostic& entry : loaded.diagnostics) lines.push_back(FormatDiagnostic(entry));
  return lines;
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(EdgeConfigTest, DefaultsAreFilledIn) {
  const LoadedConfig loaded = LoadValues(kGood);
  ASSERT_THAT(Lines(loaded), IsEmpty());
  const EdgeConfig& config = loaded.config;
  EXPECT_EQ(config.domain, "edge.example");
  EXPECT_THAT(config.domains, ElementsAre("edge.example"));
  EXPECT_EQ(config.instance, "host-1");
  EXPECT_EQ(config.secret, "file:edge.secret");
  EXPECT_EQ(config.shards, 0u);
  EXPECT_EQ(config.admin.ToString(), "127.0.0.1:9090");
  EXPECT_EQ(config.unmatched, UnmatchedPeer::kOwnIdentities);
  EXPECT_EQ(config.identity_header, AssertedHeader::kPAssertedIdentity);

  ASSERT_THAT(config.tls_profiles, SizeIs(1));
  EXPECT_EQ(config.tls_profiles[0].profile.eku, tls::EkuPolicy::kTls);
  EXPECT_TRUE(config.tls_profiles[0].identity.cn_identity);
  EXPECT_TRUE(config.tls_profiles[0].profile.resumption);

  ASSERT_THAT(config.listeners, SizeIs(2));
  EXPECT_EQ(config.listeners[0].client_certificate, ClientCertificate::kRequired);
  EXPECT_EQ(config.listeners[0].tls_profile, "federation");
  EXPECT_EQ(config.listeners[0].advertise_host, "edge.example");
  EXPECT_EQ(config.listeners[0].advertise_port, 5061);
  EXPECT_EQ(config.listeners[1].zone, Zone::kInside);

  ASSERT_THAT(config.next_hops, SizeIs(1));
  const NextHopTarget& target = config.next_hops[0].targets.at(0);
  EXPECT_EQ(target.listener, 1u);
  EXPECT_EQ(target.sent_by, "edge.example:5070");
}

struct Case {
  const char* what;
  const char* from;  // In kGood.
  const char* to;
  std::vector<const char*> lines;  // Beginnings of all diagnostics, in order.
};

// Where a case asks for several lines, it also shows that one error does not hide another.
const std::vector<Case>& Refusals() {
  static const std::vector<Case> cases = {
      {"unknown key",
       "domain = ",
       "domian = ",
       {"f.toml:1:1: error: edge: domain is missing; write domain",
        "f.toml:2:1: error: unknown key edge.domian; did you mean \"domain\"?"}},
      {"empty domain",
       "\"Edge.Example\"",
       "\"\"",
       {"f.toml:2:10: error: edge.domain = \"\": must not be empty"}},
      {"domain is an address",
       "\"Edge.Example\"",
       "\"192.0.2.1\"",
       {"f.toml:2:10: error: edge.domain = \"192.0.2.1\": an address, not a name"}},
      {"domain is a wildcard",
       "\"Edge.Example\"",
       "\"*.example\"",
       {"f.toml:2:10: error: edge.domain = \"*.example\": not a DNS name"}},
      {"domains empty",
       "secret = ",
       "domains = []\nsecret = ",
       {"f.toml:3:11: error: edge.domains = []: no domain is served"}},
      {"domains of the wrong kind",
       "secret = ",
       "domains = \"a.example\"\nsecret = ",
       {"f.toml:3:11: error: edge.domains = \"a.example\": expected a list"}},
      {"secret itself",
       "\"file:edge.secret\"",
       "\"0123456789abcdef\"",
       {"f.toml:3:10: error: edge.secret does not say where the secret is; write \"file:PATH\""}},
      {"no secret",
       "secret = \"file:edge.secret\"\n",
       "",
       {"f.toml:1:1: warning: edge: secret is missing"}},
      {"instance",
       "secret = ",
       "instance = \"a b\"\nsecret = ",
       {"f.toml:3:12: error: edge.instance is not a usable name"}},
      {"too many shards",
       "secret = ",
       "shards = 257\nsecret = ",
       {"f.toml:3:10: error: edge.shards = 257: too large; use a number from 0 to 256"}},
      {"public admin",
       "secret = ",
       "admin = \"0.0.0.0:9090\"\nsecret = ",
       {"f.toml:3:9: error: edge.admin = \"0.0.0.0:9090\": not a loopback address"}},
      {"admin by name",
       "secret = ",
       "admin = \"localhost:9090\"\nsecret = ",
       {"f.toml:3:9: error: edge.admin = \"localhost:9090\": not an IP address with a port"}},
      {"admin-token",
       "secret = ",
       "admin-token = \"x\"\nsecret = ",
       {"f.toml:3:1: error: edge.admin-token is not available in this version"}},
      {"control",
       "secret = ",
       "control = \"c.sock\"\nsecret = ",
       {"f.toml:3:1: error: edge.control is not available in this version"}},
      {"outbound-tls",
       "secret = ",
       "outbound-tls = \"federation\"\nsecret = ",
       {"f.toml:3:1: error: edge.outbound-tls is not available in this version"}},
      {"unmatched",
       "secret = ",
       "unmatched = \"refuse\"\nsecret = ",
       {"f.toml:3:13: warning: edge.unmatched = \"refuse\": there is no [[peer]] in this version"}},

      {"no certificate",
       "certificate = \"edge.pem\"\n",
       "",
       {"f.toml:5:1: error: tls.federation: certificate is missing"}},
      {"old and new name",
       "certificate = \"edge.pem\"",
       "certificate = \"edge.pem\"\ncert_file = \"x\"",
       {"f.toml:7:13: warning: tls.federation.cert_file = \"x\": not used"}},
      {"nobody trusted",
       "trusted-ca = \"ca.pem\"\n",
       "",
       {"f.toml:5:1: error: tls.federation: trusted-ca is missing, so the listener "
        "\"federation\""}},
      {"sec-protocol",
       "trusted-ca",
       "sec-protocol = \"TLSv1\"\ntrusted-ca",
       {"f.toml:8:16: error: tls.federation.sec-protocol = \"TLSv1\": not a known word; did you "
        "mean "
        "\"TLSv12\"?"}},
      {"SSLv23",
       "trusted-ca",
       "sec-protocol = \"SSLv23\"\ntrusted-ca",
       {"f.toml:8:16: warning: tls.federation.sec-protocol = \"SSLv23\": an old name"}},
      {"ciphersuites",
       "trusted-ca",
       "ciphersuites = \"TLS_NO_SUCH\"\ntrusted-ca",
       {"f.toml:8:16: error: tls.federation.ciphersuites = \"TLS_NO_SUCH\": "}},
      {"cipher-list",
       "trusted-ca",
       "cipher-list = \"ALL:!aNULL\"\ntrusted-ca",
       {"f.toml:8:15: error: tls.federation.cipher-list = \"ALL:!aNULL\": "}},
      {"eku",
       "trusted-ca",
       "eku = \"tls-any\"\ntrusted-ca",
       {"f.toml:8:7: error: tls.federation.eku = \"tls-any\": not a known word"}},
      {"certificate-dir",
       "trusted-ca",
       "certificate-dir = \"certs\"\ntrusted-ca",
       {"f.toml:8:1: error: tls.federation.certificate-dir is not available in this version"}},
      {"tls-crl",
       "trusted-ca",
       "tls-crl = \"crl.pem\"\ntrusted-ca",
       {"f.toml:8:1: error: tls.federation.tls-crl is not available in this version"}},
      {"crl-policy",
       "trusted-ca",
       "crl-policy = \"firm\"\ntrusted-ca",
       {"f.toml:8:14: error: tls.federation.crl-policy = \"firm\": not a known word"}},
      {"ticket-keys",
       "trusted-ca",
       "ticket-keys = \"k\"\ntrusted-ca",
       {"f.toml:8:1: error: tls.federation.ticket-keys is not available in this version"}},
      {"server-names",
       "trusted-ca",
       "server-names = [\"a\"]\ntrusted-ca",
       {"f.toml:8:1: error: tls.federation.server-names is not available in this version"}},
      {"tls-target-name-check",
       "trusted-ca",
       "tls-target-name-check = \"no\"\ntrusted-ca",
       {"f.toml:8:1: error: tls.federation.tls-target-name-check is not available"}},
      {"profile's name",
       "[tls.federation]",
       "[tls.\"a b\"]",
       {"f.toml:5:1: error: the name of [tls.a b] is not a usable name"}},
      {"boolean",
       "trusted-ca",
       "resumption = \"no\"\ntrusted-ca",
       {"f.toml:8:14: error: tls.federation.resumption = \"no\": expected true or false"}},

      {"no name",
       "name = \"federation\"\n",
       "",
       {"f.toml:10:1: error: listener[0]: name is missing"}},
      {"name twice",
       "name = \"core\"\naddress",
       "name = \"federation\"\naddress",
       {"f.toml:16:8: error: listener[1].name = \"federation\": another listener has this name"}},
      {"no zone", "zone = \"outside\"\n", "", {"f.toml:10:1: error: listener[0]: zone is missing"}},
      {"zone",
       "\"outside\"",
       "\"out\"",
       {"f.toml:13:8: error: listener[0].zone = \"out\": not a known word; use one of"}},
      {"no address",
       "address = \"0.0.0.0:5061\"\n",
       "",
       {"f.toml:10:1: error: listener[0]: address is missing"}},
      {"address without port",
       "\"0.0.0.0:5061\"",
       "\"0.0.0.0\"",
       {"f.toml:12:11: error: listener[0].address = \"0.0.0.0\": not an IP address with a port; "
        "write "
        "IP:port"}},
      {"address is a number",
       "\"0.0.0.0:5061\"",
       "5061",
       {"f.toml:12:11: error: listener[0].address = 5061: expected a string"}},
      {"port beyond range",
       "\"0.0.0.0:5061\"",
       "\"0.0.0.0:65536\"",
       {"f.toml:12:11: error: listener[0].address = \"0.0.0.0:65536\": not an IP address"}},
      {"port 0",
       "\"0.0.0.0:5061\"",
       "\"0.0.0.0:0\"",
       {"f.toml:12:11: warning: listener[0].address = \"0.0.0.0:0\": port 0"}},
      {"transport",
       "zone = \"outside\"",
       "zone = \"outside\"\ntransport = \"sctp\"",
       {"f.toml:14:13: error: listener[0].transport = \"sctp\": not a known word"}},
      {"same address", "transport = \"udp\"", "transport = \"udp\"\n#", {}},
      {"inside for everybody",
       "\"127.0.0.1:5070\"",
       "\"0.0.0.0:5070\"",
       {"f.toml:15:1: error: listener[1]: an inside listener on 0.0.0.0 must say who may connect"}},
      {"allow with host bits",
       "zone = \"outside\"",
       "zone = \"outside\"\nallow = [\"10.1.0.0/8\"]",
       {"f.toml:14:10: error: listener[0].allow[0] = \"10.1.0.0/8\": "}},
      {"advertise",
       "zone = \"outside\"",
       "zone = \"outside\"\nadvertise = \"sip:edge.example\"",
       {"f.toml:14:13: error: listener[0].advertise = \"sip:edge.example\": not host:port"}},
      {"tls profile",
       "zone = \"outside\"",
       "zone = \"outside\"\ntls = \"federatoin\"",
       {"f.toml:14:7: error: listener[0].tls = \"federatoin\": there is no [tls.federatoin]; did "
        "you "
        "mean \"federation\"?"}},
      {"two tls profiles",
       "zone = \"outside\"",
       "zone = \"outside\"\ntls = [\"federation\", \"b\"]",
       {"f.toml:14:22: error: listener[0].tls[1] = \"b\": several profiles on one listener are not "
        "available in this version"}},
      {"tls on udp",
       "transport = \"udp\"",
       "transport = \"udp\"\ntls = \"federation\"",
       {"f.toml:19:7: error: listener[1].tls = \"federation\": this listener does not speak TLS"}},
      {"certificate on udp",
       "transport = \"udp\"",
       "transport = \"udp\"\nclient-certificate = \"optional\"",
       {"f.toml:19:22: error: listener[1].client-certificate = \"optional\": only a TLS listener "
        "sees"}},
      {"ignored outside",
       "zone = \"outside\"",
       "zone = \"outside\"\nclient-certificate = \"ignored\"",
       {"f.toml:14:22: error: listener[0].client-certificate = \"ignored\": goes with require = "
        "\"digest\" only"}},
      {"digest",
       "zone = \"outside\"",
       "zone = \"outside\"\nclient-certificate = \"optional\"\nrequire = \"digest\"",
       {"f.toml:15:11: error: listener[0].require = \"digest\": digest is not available in this "
        "version"}},
      {"required with digest",
       "zone = \"outside\"",
       "zone = \"outside\"\nrequire = \"either\"",
       {"f.toml:14:11: error: listener[0].require = \"either\": does not go with "
        "client-certificate"}},
      {"certificate+digest",
       "zone = \"outside\"",
       "zone = \"outside\"\nrequire = \"certificate+digest\"",
       {"f.toml:14:11: error: listener[0].require = \"certificate+digest\": digest is not "
        "available"}},
      {"tcp outside",
       "zone = \"outside\"",
       "zone = \"outside\"\ntransport = \"tcp\"",
       {"f.toml:14:13: warning: listener[0].transport = \"tcp\": outside without TLS"}},
      {"udp outside",
       "zone = \"outside\"",
       "zone = \"outside\"\ntransport = \"udp\"",
       {"f.toml:14:13: error: listener[0].transport = \"udp\": outside is not available in this "
        "version"}},
      {"sips on udp",
       "transport = \"udp\"",
       "transport = \"udp\"\nsips = \"required\"",
       {"f.toml:19:8: error: listener[1].sips = \"required\": a sips request never comes without "
        "TLS"}},
      {"proxy-protocol",
       "zone = \"outside\"",
       "zone = \"outside\"\nproxy-protocol = [\"10.0.0.0/8\"]",
       {"f.toml:14:1: error: listener[0].proxy-protocol is not available in this version"}},
      {"one bracket",
       "[[listener]]\nname = \"federation\"\naddress = \"0.0.0.0:5061\"\nzone = "
       "\"outside\"\n\n[[listener]]\nname = \"core\"\naddress = "
       "\"127.0.0.1:5070\"\ntransport = \"udp\"\nzone = \"inside\"\n",
       "[listener]\nname = \"x\"\n",
       {"f.toml: error: there is no [[listener]]",
        "f.toml:10:2: error: listener must be a list of tables; write [[listener]] with two "
        "brackets",
        "f.toml:15:12: error: next-hop[0].targets[0] = \"udp:127.0.0.1:5080\": there is no inside "
        "udp "
        "listener"}},

      {"no next-hop name",
       "name = \"core\"\ntargets",
       "targets",
       {"f.toml:21:1: error: next-hop[0]: name is missing"}},
      {"no targets",
       "targets = [\"udp:127.0.0.1:5080\"]\n",
       "",
       {"f.toml:21:1: error: next-hop[0]: targets is missing"}},
      {"empty targets",
       "[\"udp:127.0.0.1:5080\"]",
       "[]",
       {"f.toml:23:11: error: next-hop[0].targets = []: a next hop needs a target"}},
      {"target transport",
       "\"udp:127.0.0.1:5080\"",
       "\"sctp:127.0.0.1:5080\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"sctp:127.0.0.1:5080\": does not begin "
        "with"}},
      {"tls target",
       "\"udp:127.0.0.1:5080\"",
       "\"tls:pbx.example\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"tls:pbx.example\": TLS towards a next hop "
        "is "
        "not available in this version"}},
      {"target by name",
       "\"udp:127.0.0.1:5080\"",
       "\"udp:pbx.example:5060\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"udp:pbx.example:5060\": names are not "
        "resolved"}},
      {"target without port",
       "\"udp:127.0.0.1:5080\"",
       "\"udp:127.0.0.1\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"udp:127.0.0.1\": not an IP address with "
        "a"}},
      {"target parameter",
       "\"udp:127.0.0.1:5080\"",
       "\"udp:127.0.0.1:5080;wieght=2\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"udp:127.0.0.1:5080;wieght=2\": the "
        "parameter "
        "\"wieght\" is not understood"}},
      {"weight 0",
       "\"udp:127.0.0.1:5080\"",
       "\"udp:127.0.0.1:5080;weight=0\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"udp:127.0.0.1:5080;weight=0\": the "
        "parameter"}},
      {"nowhere",
       "\"udp:127.0.0.1:5080\"",
       "\"udp:0.0.0.0:5080\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"udp:0.0.0.0:5080\": nobody can be "
        "reached"}},
      {"in circles",
       "\"udp:127.0.0.1:5080\"",
       "\"udp:127.0.0.1:5070\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"udp:127.0.0.1:5070\": that is our own "
        "listener "
        "\"core\""}},
      {"other family",
       "\"udp:127.0.0.1:5080\"",
       "\"udp:[::1]:5080\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"udp:[::1]:5080\": there is no inside udp "
        "listener over IPv6"}},
      {"outside next hop",
       "\"udp:127.0.0.1:5080\"]\nzone = \"inside\"",
       "\"udp:127.0.0.1:5080\"]\nzone = \"outside\"",
       {"f.toml:24:8: error: next-hop[0].zone = \"outside\": next hops outside are not available "
        "in "
        "this version"}},
      {"listener of another name",
       "targets = ",
       "listener = \"cor\"\ntargets = ",
       {"f.toml:23:12: error: next-hop[0].listener = \"cor\": there is no listener of this name; "
        "did "
        "you mean \"core\"?"}},
      {"outside listener",
       "targets = ",
       "listener = \"federation\"\ntargets = ",
       {"f.toml:23:12: error: next-hop[0].listener = \"federation\": that listener is outside"}},
      {"health",
       "targets = ",
       "health = { interval = \"10s\" }\ntargets = ",
       {"f.toml:23:1: error: next-hop[0].health is not available in this version"}},
      {"identity",
       "targets = ",
       "identity = \"a.example\"\ntargets = ",
       {"f.toml:23:1: error: next-hop[0].identity is not available in this version"}},

      {"mode",
       "[[next-hop]]",
       "[identity-header]\nmode = \"rpid\"\n[[next-hop]]",
       {"f.toml:22:8: error: identity-header.mode = \"rpid\": not a known word"}},
      {"headers",
       "[[next-hop]]",
       "[limits]\nheaders = 0\n[[next-hop]]",
       {"f.toml:22:11: error: limits.headers = 0: too small; use a number from 16 to 1024"}},
      {"bytes",
       "[[next-hop]]",
       "[limits]\nqueue-bytes = \"1 MB\"\n[[next-hop]]",
       {"f.toml:22:15: error: limits.queue-bytes = \"1 MB\": not a number of bytes"}},
      {"buffers",
       "[[next-hop]]",
       "[limits]\nreceive-buffers = 1000\n[[next-hop]]",
       {"f.toml:22:19: error: limits.receive-buffers = 1000: not a power of two; use 512 or 1024"}},
      {"limit unknown",
       "[[next-hop]]",
       "[limits]\nconections = 5\n[[next-hop]]",
       {"f.toml:22:1: error: unknown key limits.conections; did you mean \"connections\"?"}},
      {"duration",
       "[[next-hop]]",
       "[timeouts]\nidle = 3600\n[[next-hop]]",
       {"f.toml:22:8: error: timeouts.idle = 3600: not a duration; write a number with its unit"}},
      {"timer C",
       "[[next-hop]]",
       "[timeouts]\ntimer-c = \"3m\"\n[[next-hop]]",
       {"f.toml:22:11: error: timeouts.timer-c = \"3m\": too short; use \"3m1s\""}},
      {"first-byte after handshake",
       "[[next-hop]]",
       "[timeouts]\nfirst-byte = \"20s\"\n[[next-hop]]",
       {"f.toml:22:14: warning: timeouts.first-byte = \"20s\": longer than timeouts.handshake"}},
      {"log format",
       "[[next-hop]]",
       "[log]\nformat = \"xml\"\n[[next-hop]]",
       {"f.toml:22:10: error: log.format = \"xml\": not a known word"}},
      {"log level",
       "[[next-hop]]",
       "[log]\nlevel = \"warn\"\n[[next-hop]]",
       {"f.toml:22:9: error: log.level = \"warn\": not a known word; use one of"}},

      {"peer",
       "[[next-hop]]",
       "[[peer]]\nname = \"a\"\n[[next-hop]]",
       {"f.toml:21:3: error: peer is not available in this version"}},
      {"route",
       "[[next-hop]]",
       "[[route]]\n[[next-hop]]",
       {"f.toml:21:3: error: route is not available in this version"}},
      {"dns",
       "[[next-hop]]",
       "[dns]\n[[next-hop]]",
       {"f.toml:21:2: error: dns is not available in this version"}},
      {"authority",
       "[[next-hop]]",
       "[[authority]]\n[[next-hop]]",
       {"f.toml:21:3: error: authority is not available in this version"}},
      {"mappings",
       "[[next-hop]]",
       "[mappings]\n[[next-hop]]",
       {"f.toml:21:2: error: mappings is not available in this version"}},
      {"unknown table",
       "[[next-hop]]",
       "[[lisener]]\n[[next-hop]]",
       {"f.toml:21:3: error: unknown key lisener; did you mean \"listener\"?"}},
  };
  return cases;
}

TEST(EdgeConfigTest, EveryRefusalHasItsPlaceAndItsWords) {
  for (const Case& one : Refusals()) {
    SCOPED_TRACE(one.what);
    const LoadedConfig loaded = LoadValues(Replaced(kGood, one.from, one.to));
    const std::vector<std::string> lines = Lines(loaded);
    EXPECT_EQ(lines.size(), one.lines.size());
    bool errors = false;
    for (size_t i = 0; i < std::max(lines.size(), one.lines.size()); ++i) {
      const std::string line = i < lines.size() ? lines[i] : "(nothing)";
      EXPECT_TRUE(i < one.lines.size() && line.starts_with(one.lines[i]))
          << "  was: " << line
          << "\n want: " << (i < one.lines.size() ? one.lines[i] : "(nothing)");
      errors |= line.find(": error: ") != std::string::npos;
    }
    EXPECT_EQ(loaded.ok(), !errors);
    for (const core::Diagnostic& entry : loaded.diagnostics) EXPECT_FALSE(entry.remedy.empty());
  }
}

TEST(EdgeConfigTest, WhatAsksForNothingMayBeWritten) {
  std::string text = Replaced(kGood, "secret = ",
                              "control = \"\"\noutbound-tls = \"\"\ninstance = \"\"\nadmin = "
                              "\"127.0.0.1:9090\"\nunmatched = \"own-identities\"\nsecret = ");
  text = Replaced(text, "trusted-ca",
                  "certificate-dir = \"\"\ntls-crl = \"\"\ncrl-policy = \"soft\"\nticket-keys = "
                  "\"\"\nserver-names = []\ntls-target-name-check = \"host\"\neku = \"tls\"\n"
                  "sec-protocol = \"\"\ncipher-list = \"\"\nciphersuites = \"\"\ntrusted-ca");
  text =
      Replaced(text, "zone = \"outside\"",
               "zone = \"outside\"\nallow = []\nadvertise = \"\"\nproxy-protocol = []\nrequire = "
               "\"certificate\"\ntls = [\"federation\"]");
  text = Replaced(
      text, "targets = ", "listener = \"\"\nidentity = \"\"\ndn = \"\"\ntls = \"\"\ntargets = ");
  EXPECT_THAT(Lines(LoadValues(text)), IsEmpty());
}

TEST(EdgeConfigTest, OlderNamesOfKeysAreUnderstood) {
  std::string text = Replaced(kGood, "certificate = ", "cert_file = ");
  text = Replaced(text, "certificate-key = ", "priv_key_file = ");
  text = Replaced(text, "trusted-ca = ", "ca_list_file = ");
  const LoadedConfig loaded = LoadValues(text);
  EXPECT_THAT(Lines(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.tls_profiles.at(0).profile.certificate_file, "edge.pem");
  EXPECT_EQ(loaded.config.tls_profiles.at(0).profile.key_file, "edge.key");
  EXPECT_EQ(loaded.config.tls_profiles.at(0).profile.trusted_ca, "ca.pem");
}

TEST(EdgeConfigTest, RelativePathsStartAtTheConfiguration) {
  LoadOptions options;
  options.open_files = false;
  const LoadedConfig loaded = LoadEdgeConfigText(Replaced(kGood, "\"ca.pem\"", "\"/etc/ca.pem\""),
                                                 "/etc/sallyport/edge.toml", options);
  const tls::Profile& profile = loaded.config.tls_profiles.at(0).profile;
  EXPECT_EQ(profile.certificate_file, "/etc/sallyport/edge.pem");
  EXPECT_EQ(profile.trusted_ca, "/etc/ca.pem");
  EXPECT_EQ(loaded.config.secret, "file:/etc/sallyport/edge.secret");
}

TEST(EdgeConfigTest, TargetsAreInOrderOfPriority) {
  const LoadedConfig loaded = LoadValues(
      Replaced(kGood, "[\"udp:127.0.0.1:5080\"]",
               "[\"udp:127.0.0.1:1;priority=2\", \"tcp:127.0.0.1:2;weight=10;priority=1\", "
               "\"udp:127.0.0.1:3;priority=1\"]"));
  ASSERT_THAT(Lines(loaded), IsEmpty());
  const std::vector<NextHopTarget>& targets = loaded.config.next_hops.at(0).targets;
  ASSERT_THAT(targets, SizeIs(3));
  EXPECT_EQ(targets[0].address.port(), 2);
  EXPECT_EQ(targets[0].weight, 10);
  EXPECT_EQ(targets[0].listener, NextHopTarget::kNoListener) << "no inside tcp listener";
  EXPECT_EQ(targets[0].sent_by, "edge.example:5070") << "the inside listener that there is";
  EXPECT_EQ(targets[1].address.port(), 3);
  EXPECT_EQ(targets[2].address.port(), 1);
}

TEST(EdgeConfigTest, EverySectionIsRead) {
  const LoadedConfig loaded = LoadValues(
      std::string(kGood) +
      "[identity-header]\nmode = \"none\"\n[limits]\nheader-bytes = 4096\nbody-bytes = \"1MiB\"\n"
      "headers = 40\nconnections = 6\ntransactions = 16\nqueue-bytes = 200000\npartial-bytes = "
      "\"1MiB\"\nhandshakes-per-turn = 2\npeer-identities = 100\n"
      "receive-buffers = 64\nlog-lines-per-second = 9\n[timeouts]\nfirst-byte = \"1s\"\nhandshake "
      "= "
      "\"2s\"\nmessage = \"3s\"\nidle = \"4s\"\nclose = \"5s\"\nconnect = \"6s\"\ndrain = \"7s\"\n"
      "timer-c = \"200s\"\n[log]\nformat = \"text\"\nlevel = \"debug\"\n");
  ASSERT_THAT(Lines(loaded), IsEmpty());
  const LimitsConfig& limits = loaded.config.limits;
  EXPECT_EQ(loaded.config.identity_header, AssertedHeader::kNone);
  EXPECT_EQ(limits.header_bytes_max, 4096u);
  EXPECT_EQ(limits.body_bytes_max, 1u << 20);
  EXPECT_EQ(limits.headers_max, 40u);
  EXPECT_EQ(limits.connections_max, 6u);
  EXPECT_EQ(limits.transactions_max, 16u);
  EXPECT_EQ(limits.queue_bytes_max, 200000u);
  EXPECT_EQ(limits.partial_bytes_max, 1u << 20);
  EXPECT_EQ(limits.handshakes_per_turn_max, 2u);
  EXPECT_EQ(limits.peer_identities_max, 100u);
  EXPECT_EQ(limits.receive_buffers, 64u);
  EXPECT_EQ(limits.log_lines_per_second_max, 9u);
  const TimeoutsConfig& timeouts = loaded.config.timeouts;
  EXPECT_EQ(timeouts.first_byte, absl::Seconds(1));
  EXPECT_EQ(timeouts.handshake, absl::Seconds(2));
  EXPECT_EQ(timeouts.message, absl::Seconds(3));
  EXPECT_EQ(timeouts.idle, absl::Seconds(4));
  EXPECT_EQ(timeouts.close, absl::Seconds(5));
  EXPECT_EQ(timeouts.connect, absl::Seconds(6));
  EXPECT_EQ(timeouts.drain, absl::Seconds(7));
  EXPECT_EQ(timeouts.timer_c, absl::Seconds(200));
  EXPECT_EQ(loaded.config.log.format, core::LogFormat::kText);
  EXPECT_EQ(loaded.config.log.level, core::LogLevel::kDebug);
}

TEST(EdgeConfigTest, ASyntaxErrorStopsAtTheFirst) {
  EXPECT_THAT(Lines(LoadValues("[edge]\ndomain = \"a\nadmin = \n= 5\n")),
              ElementsAre(HasSubstr("f.toml:2:")));
}

TEST(EdgeConfigTest, AnEmptyFileSaysWhatIsMissing) {
  EXPECT_THAT(Lines(LoadValues("")),
              ElementsAre(HasSubstr("[edge] is missing"), HasSubstr("there is no [[listener]]"),
                          HasSubstr("there is no [[next-hop]]")));
}

TEST(EdgeConfigTest, AMissingFileIsAnErrorThatNamesIt) {
  EXPECT_THAT(Lines(LoadEdgeConfig("/nonexistent/edge.toml")),
              ElementsAre(HasSubstr("/nonexistent/edge.toml: error: cannot open")));
}

// The file that operators copy: it loads, and what it calls a default is the default.
TEST(EdgeConfigTest, TheShippedConfigurationSaysTheDefaults) {
  std::ifstream file(SALLYPORT_SOURCE_DIR "/deploy/sallyport.toml");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const LoadedConfig shipped = LoadValues(text);
  ASSERT_THAT(Lines(shipped), IsEmpty());
  const EdgeConfig defaults = LoadValues(kGood).config;
  EXPECT_THAT(RestartOnlyDifferences(shipped.config, defaults), IsEmpty());
  EXPECT_EQ(shipped.config.limits, defaults.limits);
  EXPECT_EQ(shipped.config.timeouts, defaults.timeouts);
  EXPECT_EQ(shipped.config.listeners.at(0).client_certificate, ClientCertificate::kRequired);
  EXPECT_EQ(shipped.config.identity_header, defaults.identity_header);
}

TEST(RestartOnlyDifferencesTest, NamesWhatAReloadCannotTakeOver) {
  const EdgeConfig running = LoadValues(kGood).config;
  const auto differences = [&running](const std::string& from, const std::string& to) {
    return RestartOnlyDifferences(running, LoadValues(Replaced(kGood, from, to)).config);
  };
  EXPECT_THAT(RestartOnlyDifferences(running, running), IsEmpty());
  EXPECT_THAT(differences("secret = ", "shards = 3\nadmin = \"\"\ninstance = \"b\"\nsecret = "),
              ElementsAre("edge.instance", "edge.shards", "edge.admin"));
  EXPECT_THAT(differences("0.0.0.0:5061", "0.0.0.0:5062"),
              ElementsAre("listener \"federation\" address"));
  EXPECT_THAT(differences("name = \"federation\"", "name = \"other\""),
              ElementsAre("listener \"federation\" (removed)", "listener \"other\" (added)"));
  EXPECT_THAT(differences("[[next-hop]]", "[limits]\nconnections = 5\nheaders = 99\n[[next-hop]]"),
              ElementsAre("limits.connections"));
  EXPECT_THAT(differences("127.0.0.1:5080", "127.0.0.1:5081"), IsEmpty()) << "next hops are live";
}

// ---- Files

constexpr int64_t kNow = 1'900'000'000;  // 2030-03-17

class EdgeFilesTest : public ::testing::Test {
 protected:
  EdgeFilesTest() {
    char folder[] = "/tmp/edge-config-XXXXXX";
    EXPECT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    ca_ = *tls::MintCa("Test CA", 3650, kNow);
    tls::LeafRequest request;
    request.domains = {"edge.example"};
    leaf_ = *tls::MintLeaf(ca_, request, kNow);
    Write("ca.pem", ca_.certificate, 0644);
    Write("edge.pem", leaf_.certificate, 0644);
    Write("edge.key", leaf_.key, 0600);
    Write("edge.secret", "6b1f0e9d2c3a48577695a4b3c2d1e0f98877665544332211a0b1c2d3e4f50617\n",
          0600);
  }
  ~EdgeFilesTest() override { EXPECT_EQ(std::system(("rm -rf " + folder_).c_str()), 0); }

  void Write(const std::string& name, const std::string& content, mode_t mode) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::trunc) << content;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
  }
  LoadedConfig Load(int64_t now = kNow, const std::string& text = kGood) {
    LoadOptions options;
    options.now = absl::FromUnixSeconds(now);
    return LoadEdgeConfigText(text, folder_ + "/f.toml", options);
  }

  std::string folder_;
  tls::PemPair ca_;
  tls::PemPair leaf_;
};

TEST_F(EdgeFilesTest, AreOpenedAndHandedOn) {
  const LoadedConfig loaded = Load();
  ASSERT_THAT(Lines(loaded), IsEmpty());
  ASSERT_THAT(loaded.credentials, SizeIs(1));
  EXPECT_THAT(loaded.credentials[0]->anchors(), SizeIs(1));
  EXPECT_TRUE(loaded.secret.has_value());
}

TEST_F(EdgeFilesTest, OneThatIsMissingDoesNotHideTheOthers) {
  for (const char* name : {"ca.pem", "edge.pem", "edge.secret"}) {
    EXPECT_EQ(unlink((folder_ + "/" + name).c_str()), 0);
  }
  EXPECT_THAT(Lines(Load()),
              ElementsAre(HasSubstr("f.toml:3:10: error: "), HasSubstr("f.toml:6:15: error: "),
                          HasSubstr("f.toml:8:14: error: ")));
}

TEST_F(EdgeFilesTest, TheKeyMustBelongToTheCertificate) {
  tls::LeafRequest request;
  request.domains = {"edge.example"};
  Write("edge.key", tls::MintLeaf(ca_, request, kNow)->key, 0600);
  EXPECT_THAT(Lines(Load()), ElementsAre(HasSubstr("error: ")));
}

TEST_F(EdgeFilesTest, AKeyThatOthersMayReadIsRefused) {
  Write("edge.key", leaf_.key, 0644);
  EXPECT_THAT(Lines(Load()), ElementsAre(HasSubstr("edge.key")));
}

TEST_F(EdgeFilesTest, ExpiryIsToldTwoWeeksAhead) {
  constexpr int64_t kDay = 86400;
  EXPECT_THAT(Lines(Load(kNow + 810 * kDay)), IsEmpty());
  EXPECT_THAT(Lines(Load(kNow + 815 * kDay)),
              ElementsAre(HasSubstr("f.toml:6:15: warning: " + folder_ +
                                    "/edge.pem: our certificate expires in 10 days")));
  EXPECT_THAT(Lines(Load(kNow + 826 * kDay)),
              ElementsAre(HasSubstr("f.toml:6:15: error: " + folder_ +
                                    "/edge.pem: our certificate has expired on")));
}

TEST_F(EdgeFilesTest, OurCertificateMustProveOurDomain) {
  const LoadedConfig loaded = Load(kNow, Replaced(kGood, "Edge.Example", "other.example"));
  EXPECT_THAT(Lines(loaded),
              ElementsAre(HasSubstr("f.toml:6:15: error: " + folder_ +
                                    "/edge.pem does not prove edge.domain \"other.example\"")));
  EXPECT_FALSE(loaded.ok());
}

}  // namespace
}  // namespace sallyport::sip
