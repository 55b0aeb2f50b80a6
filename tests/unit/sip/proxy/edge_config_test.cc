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

using ::testing::Each;
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
  EXPECT_EQ(config.path_when, PathWhen::kAlways);

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
  EXPECT_FALSE(target.is_named());
  EXPECT_EQ(config.next_hops[0].tls_profile, kNoProfile);
  EXPECT_EQ(config.next_hops[0].health_interval, absl::ZeroDuration());
  EXPECT_EQ(config.DefaultNextHop(), 0u);
  EXPECT_TRUE(config.tls_profiles[0].check_target_name);
  EXPECT_EQ(config.outbound_tls, 0u) << "the only profile";
  EXPECT_THAT(config.routes, IsEmpty());
  EXPECT_THAT(config.dns_servers, IsEmpty());
  EXPECT_EQ(config.limits.outbound_connections_max, 4096u);
  EXPECT_EQ(config.limits.source_messages_per_second_max, 0u);
  EXPECT_EQ(config.limits.queue_delay_max, absl::Milliseconds(50));
  EXPECT_EQ(config.timeouts.target, absl::Seconds(4));
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
      {"admin-hosts",
       "secret = ",
       "admin-hosts = [\"edge1.example\", \"edge1.example:80\"]\nsecret = ",
       {"f.toml:3:33: error: edge.admin-hosts[1] = \"edge1.example:80\": not a host name or "
        "address"}},
      {"control",
       "secret = ",
       "control = \"c.sock\"\nsecret = ",
       {"f.toml:3:1: error: edge.control is not available in this version"}},
      {"outbound-tls",
       "secret = ",
       "outbound-tls = \"federatoin\"\nsecret = ",
       {"f.toml:3:16: error: edge.outbound-tls = \"federatoin\": there is no [tls.federatoin]; did "
        "you mean \"federation\"?"}},
      {"outbound-tls trusts nobody",
       "secret = \"file:edge.secret\"\n",
       "secret = \"file:edge.secret\"\noutbound-tls = \"b\"\n[tls.b]\ncertificate = \"b.pem\"\n",
       {"f.toml:4:16: error: edge.outbound-tls = \"b\": that profile has no trusted-ca",
        "f.toml:13:1: error: listener[0]: tls is missing, and there are several profiles"}},
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
      {"tls-target-name-check off",
       "trusted-ca",
       "tls-target-name-check = \"no\"\ntrusted-ca",
       {"f.toml:8:25: warning: tls.federation.tls-target-name-check = \"no\": whoever has a "
        "certificate of trusted-ca can pose as any of our next hops"}},
      {"tls-target-name-check",
       "trusted-ca",
       "tls-target-name-check = \"off\"\ntrusted-ca",
       {"f.toml:8:25: error: tls.federation.tls-target-name-check = \"off\": not a known word"}},
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
       {"f.toml:14:13: warning: listener \"federation\" is tcp outside: without TLS nobody can "
        "prove"}},
      {"udp outside",
       "zone = \"outside\"",
       "zone = \"outside\"\ntransport = \"udp\"",
       {"f.toml:14:13: warning: listener \"federation\" is udp outside: without TLS nobody can "
        "prove"}},
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
      {"numeric tls target",
       "\"udp:127.0.0.1:5080\"",
       "\"tls:192.0.2.7:5061\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"tls:192.0.2.7:5061\": an address proves "
        "nothing: no domain is known that the certificate there must show (RFC 5922); write "
        "identity = \"a.example\""}},
      {"numeric tls target with a wrong identity",
       "\"udp:127.0.0.1:5080\"]",
       "\"tls:192.0.2.7:5061\"]\nidentity = \"192.0.2.7\"",
       {"f.toml:24:12: error: next-hop[0].identity = \"192.0.2.7\": an address, not a name"}},
      {"dn",
       "\"udp:127.0.0.1:5080\"]",
       "\"tls:192.0.2.7:5061\"]\ndn = \"CN=sbc,XX=1\"",
       {"f.toml:24:6: error: next-hop[0].dn = \"CN=sbc,XX=1\": distinguished name, character 10: "
        "unknown attribute type"}},
      {"tls profile of a next hop",
       "\"udp:127.0.0.1:5080\"]",
       "\"tls:pbx.example\"]\ntls = \"fed\"",
       {"f.toml:24:7: error: next-hop[0].tls = \"fed\": there is no [tls.fed]; profiles: "
        "federation"}},
      {"tls without a tls target",
       "targets = ",
       "tls = \"federation\"\ntargets = ",
       {"f.toml:23:7: error: next-hop[0].tls = \"federation\": no target of this next hop is tls; "
        "write a target such as \"tls:pbx.example\", or leave tls out"}},
      {"dn without a tls target",
       "targets = ",
       "dn = \"CN=a\"\ntargets = ",
       {"f.toml:23:6: error: next-hop[0].dn = \"CN=a\": no target of this next hop is tls"}},
      {"two profiles",
       "[[next-hop]]\nname = \"core\"\ntargets = [\"udp:127.0.0.1:5080\"]",
       "[tls.b]\ncertificate = \"b.pem\"\n[[next-hop]]\nname = \"core\"\ntargets = "
       "[\"tls:pbx.example\"]",
       {"f.toml:1:1: warning: edge: outbound-tls is missing, and there are several profiles: "
        "requests that leave by RFC 3263 cannot use TLS; write outbound-tls = \"NAME\" with one "
        "of: federation, b",
        "f.toml:10:1: error: listener[0]: tls is missing",
        "f.toml:23:1: error: next-hop[0]: tls is missing, and there are several profiles"}},
      {"next hop whose profile trusts nobody",
       "[[next-hop]]\nname = \"core\"\ntargets = [\"udp:127.0.0.1:5080\"]",
       "[tls.b]\ncertificate = \"b.pem\"\n[[next-hop]]\nname = \"core\"\ntls = \"b\"\ntargets = "
       "[\"tls:pbx.example\"]",
       {"f.toml:1:1: warning: edge: outbound-tls",
        "f.toml:10:1: error: listener[0]: tls is missing",
        "f.toml:21:1: error: tls.b: trusted-ca is missing, so nobody could be verified at the next "
        "hop \"core\""}},
      {"own listener by tls",
       "\"udp:127.0.0.1:5080\"]",
       "\"tls:127.0.0.1:5061\"]\nidentity = \"a.example\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"tls:127.0.0.1:5061\": that is our own "
        "listener \"federation\""}},
      {"target by an unreadable name",
       "\"udp:127.0.0.1:5080\"",
       "\"udp:pbx_1.example:5060\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"udp:pbx_1.example:5060\": neither an IP "
        "address with a port nor a name"}},
      {"named target with port 0",
       "\"udp:127.0.0.1:5080\"",
       "\"tcp:pbx.example:0\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"tcp:pbx.example:0\": nobody can be "
        "reached there; leave the port out"}},
      {"target without port",
       "\"udp:127.0.0.1:5080\"",
       "\"udp:127.0.0.1\"",
       {"f.toml:23:12: error: next-hop[0].targets[0] = \"udp:127.0.0.1\": an address needs its "
        "port"}},
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
       {"f.toml: warning: there is no inside [[next-hop]]: accepted requests are answered 503",
        "f.toml:21:1: warning: next-hop \"core\" is not used: no [[route]] names it",
        "f.toml:23:12: error: next-hop[0].targets[0] = \"udp:127.0.0.1:5080\": there is no outside "
        "udp listener over IPv4 to send from; add [[listener]] with name = \"outside-udp\""}},
      {"named udp target outside",
       "\"udp:127.0.0.1:5080\"]\nzone = \"inside\"",
       "\"udp:a.example\"]\nzone = \"outside\"",
       {"f.toml: warning: there is no inside", "f.toml:21:1: warning: next-hop \"core\" is not",
        "f.toml:23:12: error: next-hop[0].targets[0] = \"udp:a.example\": there is no outside udp "
        "listener to send from"}},
      {"second next hop that nobody uses",
       "[[next-hop]]",
       "[[next-hop]]\nname = \"first\"\ntargets = [\"tcp:127.0.0.1:1\"]\nzone = "
       "\"inside\"\n[[next-hop]]",
       {"f.toml:25:1: warning: next-hop \"core\" is not used: no [[route]] names it, and it is not "
        "the first inside one; add [[route]] with next-hop = \"core\", or remove it"}},
      {"second next hop of that name",
       "[[next-hop]]\nname = \"core\"",
       "[[next-hop]]\nname = \"core\"\ntargets = [\"tcp:127.0.0.1:1\"]\nzone = "
       "\"inside\"\n[[next-hop]]\nname = \"core\"",
       {"f.toml:25:1: warning: next-hop \"core\" is not used",
        "f.toml:26:8: error: next-hop[1].name = \"core\": another next hop has this name"}},
      {"names whose digests begin alike",
       "[[next-hop]]\nname = \"core\"",
       "[[next-hop]]\nname = \"trunk-20140\"\ntargets = [\"tcp:127.0.0.1:1\"]\nzone = "
       "\"inside\"\n[[next-hop]]\nname = \"trunk-39940\"",
       {"f.toml:25:1: warning: next-hop \"trunk-39940\" is not used",
        "f.toml:26:8: error: next-hop[1].name = \"trunk-39940\": in routes of dialogs this name "
        "looks like \"trunk-20140\"; choose another name"}},
      {"listener of another name",
       "targets = ",
       "listener = \"cor\"\ntargets = ",
       {"f.toml:23:12: error: next-hop[0].listener = \"cor\": there is no listener of this name; "
        "did "
        "you mean \"core\"?"}},
      {"outside listener",
       "targets = ",
       "listener = \"federation\"\ntargets = ",
       {"f.toml:23:12: error: next-hop[0].listener = \"federation\": that listener is outside, "
        "and this next hop is inside"}},
      {"health is no table",
       "targets = ",
       "health = \"10s\"\ntargets = ",
       {"f.toml:23:10: error: next-hop[0].health = \"10s\": expected a table; write health = { "
        "interval"}},
      {"health too often",
       "targets = ",
       "health = { interval = \"10ms\" }\ntargets = ",
       {"f.toml:23:23: error: next-hop[0].health.interval = \"10ms\": too short"}},
      {"health checks that overlap",
       "targets = ",
       "health = { interval = \"1s\", timeout = \"2s\" }\ntargets = ",
       {"f.toml:23:39: error: next-hop[0].health.timeout = \"2s\": longer than the interval"}},
      {"health key",
       "targets = ",
       "health = { intervall = \"1s\" }\ntargets = ",
       {"f.toml:23:12: error: unknown key next-hop[0].health.intervall; did you mean "
        "\"interval\"?"}},
      {"identity without a tls target",
       "targets = ",
       "identity = \"a.example\"\ntargets = ",
       {"f.toml:23:12: error: next-hop[0].identity = \"a.example\": no target of this next hop is "
        "tls"}},

      {"mode",
       "[[next-hop]]",
       "[identity-header]\nmode = \"rpid\"\n[[next-hop]]",
       {"f.toml:22:8: error: identity-header.mode = \"rpid\": not a known word"}},
      {"path",
       "[[next-hop]]",
       "[path]\nwhen = \"never\"\n[[next-hop]]",
       {"f.toml:22:8: error: path.when = \"never\": not a known word"}},
      {"key of path",
       "[[next-hop]]",
       "[path]\nwen = \"always\"\n[[next-hop]]",
       {"f.toml:22:1: error: unknown key path.wen; did you mean \"when\"?"}},
      {"headers",
       "[[next-hop]]",
       "[limits]\nheaders = 0\n[[next-hop]]",
       {"f.toml:22:11: error: limits.headers = 0: too small; use a number from 16 to 128"}},
      {"bytes",
       "[[next-hop]]",
       "[limits]\nqueue-bytes = \"1 MB\"\n[[next-hop]]",
       {"f.toml:22:15: error: limits.queue-bytes = \"1 MB\": not a number of bytes"}},
      {"buffers",
       "[[next-hop]]",
       "[limits]\nreceive-buffers = 1000\n[[next-hop]]",
       {"f.toml:22:19: error: limits.receive-buffers = 1000: not a power of two; use 512 or 1024"}},
      {"messages that fit nowhere",
       "[[next-hop]]",
       "[limits]\nheader-bytes = \"60KiB\"\nbody-bytes = \"61KiB\"\n[[next-hop]]",
       {"f.toml:23:14: error: limits.body-bytes = \"61KiB\": too large a message; let "
        "header-bytes and body-bytes be 120KiB together at most"}},
      {"headers that leave no room for the usual body",
       "[[next-hop]]",
       "[limits]\nheader-bytes = \"60KiB\"\n[[next-hop]]",
       {"f.toml:22:16: error: limits.header-bytes = \"60KiB\": too large a message; let "
        "header-bytes and body-bytes be 120KiB together at most"}},
      {"limit unknown",
       "[[next-hop]]",
       "[limits]\nconections = 5\n[[next-hop]]",
       {"f.toml:22:1: error: unknown key limits.conections; did you mean \"connections\"?"}},
      {"outbound connections",
       "[[next-hop]]",
       "[limits]\noutbound-connections = 0\n[[next-hop]]",
       {"f.toml:22:24: error: limits.outbound-connections = 0: too small"}},
      {"rate",
       "[[next-hop]]",
       "[limits]\nsource-messages-per-second = -1\n[[next-hop]]",
       {"f.toml:22:30: error: limits.source-messages-per-second = -1: too small"}},
      {"queue delay",
       "[[next-hop]]",
       "[limits]\nqueue-delay = \"0s\"\n[[next-hop]]",
       {"f.toml:22:15: error: limits.queue-delay = \"0s\": too short; use \"1ms\" to \"10s\""}},
      {"target silent for too long",
       "[[next-hop]]",
       "[timeouts]\ntarget = \"33s\"\n[[next-hop]]",
       {"f.toml:22:10: error: timeouts.target = \"33s\": too long; use \"100ms\" to \"32s\""}},
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
      {"log call-id",
       "[[next-hop]]",
       "[log]\ncall-id = \"clear\"\n[[next-hop]]",
       {"f.toml:22:11: error: log.call-id = \"clear\": not a known word; use one of"}},
      {"log users",
       "[[next-hop]]",
       "[log]\nusers = \"yes\"\n[[next-hop]]",
       {"f.toml:22:9: error: log.users = \"yes\""}},
      {"log key of another spelling",
       "[[next-hop]]",
       "[log]\ncall_id = \"off\"\n[[next-hop]]",
       {"f.toml:22:1: error: unknown key log.call_id; did you mean"}},

      {"peer",
       "[[next-hop]]",
       "[[peer]]\nname = \"a\"\n[[next-hop]]",
       {"f.toml:21:3: error: peer is not available in this version"}},
      {"route to an unknown next hop",
       "[[next-hop]]",
       "[[route]]\nnext-hop = \"cor\"\n[[next-hop]]",
       {"f.toml:22:12: error: route[0].next-hop = \"cor\": there is no next hop of this name; did "
        "you mean \"core\"?"}},
      {"route from outside to nowhere",
       "[[next-hop]]",
       "[[route]]\nzone = \"outside\"\n[[next-hop]]",
       {"f.toml:22:8: error: route[0].zone = \"outside\": without next-hop the request would be "
        "resolved (RFC 3263), and nothing from outside is; write next-hop = \"NAME\" of an inside "
        "next hop, or zone = \"inside\""}},
      {"route from outside to the outside",
       "[[next-hop]]",
       "[[route]]\nzone = \"outside\"\nnext-hop = \"a\"\n[[next-hop]]\nname = \"a\"\nzone = "
       "\"outside\"\ntargets = [\"tls:a.example\"]\n[[next-hop]]",
       {"f.toml:23:12: error: route[0].next-hop = \"a\": that next hop is outside, and a request "
        "from outside is never sent outside again"}},
      {"route's zone",
       "[[next-hop]]",
       "[[route]]\nzone = \"in\"\n[[next-hop]]",
       {"f.toml:22:8: error: route[0].zone = \"in\": not a known word"}},
      {"route's domain",
       "[[next-hop]]",
       "[[route]]\ndomain = \"*.example\"\n[[next-hop]]",
       {"f.toml:22:10: error: route[0].domain = \"*.example\": not a DNS name"}},
      {"star in the middle",
       "[[next-hop]]",
       "[[route]]\nuser = \"+1*00\"\n[[next-hop]]",
       {"f.toml:22:8: error: route[0].user = \"+1*00\": a \"*\" in the middle of a user; it stands "
        "at the end, and the character itself is written %2A"}},
      {"user with a domain",
       "[[next-hop]]",
       "[[route]]\nuser = \"alice@a.example\"\n[[next-hop]]",
       {"f.toml:22:8: error: route[0].user = \"alice@a.example\": a user part has no \"@\""}},
      {"user with a broken escape",
       "[[next-hop]]",
       "[[route]]\nuser = \"a%4\"\n[[next-hop]]",
       {"f.toml:22:8: error: route[0].user = \"a%4\": not a user part"}},
      {"user of separators",
       "[[next-hop]]",
       "[[route]]\nuser = \"-*\"\n[[next-hop]]",
       {"f.toml:22:8: error: route[0].user = \"-*\": nothing is left of it without visual"}},
      {"method",
       "[[next-hop]]",
       "[[route]]\nmethod = \"IN VITE\"\n[[next-hop]]",
       {"f.toml:22:10: error: route[0].method = \"IN VITE\": not a method"}},
      {"method in lower case",
       "[[next-hop]]",
       "[[route]]\nmethod = \"invite\"\n[[next-hop]]",
       {"f.toml:22:10: warning: route[0].method = \"invite\": methods are case-sensitive, so this "
        "is not INVITE; write \"INVITE\""}},
      {"route for CANCEL",
       "[[next-hop]]",
       "[[route]]\nmethod = \"CANCEL\"\n[[next-hop]]",
       {"f.toml:22:10: warning: route[0].method = \"CANCEL\": this route never matches"}},
      {"user that is no URN",
       "[[next-hop]]",
       "[[route]]\nuser = \"urn:\"\n[[route]]\nto = \"urn:a?b\"\n[[next-hop]]",
       {"f.toml:22:8: error: route[0].user = \"urn:\": not a URN; write it as in a Request-URI, "
        "such as \"urn:service:sos\"",
        "f.toml:24:6: error: route[1].to = \"urn:a?b\": not a URN"}},
      {"URN in a domain",
       "[[next-hop]]",
       "[[route]]\ndomain = \"a.example\"\nuser = \"urn:service:*\"\n[[next-hop]]",
       {"f.toml:22:10: warning: route[0].domain = \"a.example\": this route never matches: a URN "
        "names no domain; leave domain out"}},
      {"URN behind a route that takes it",
       "[[next-hop]]",
       "[[route]]\nuser = \"urn:service:*\"\n[[route]]\nto = \"urn:Service:sos\"\n"
       "[[next-hop]]",
       {"f.toml:23:1: warning: route[1] never matches: the route in line 21 takes all of its "
        "requests"}},
      {"to with domain and user",
       "[[next-hop]]",
       "[[route]]\nto = \"*\"\ndomain = \"a.example\"\nuser = \"b\"\n[[next-hop]]",
       {"f.toml:23:10: error: route[0].domain = \"a.example\": to says already what the route is "
        "for; leave domain out, or to",
        "f.toml:24:8: error: route[0].user = \"b\": to says already"}},
      {"to a number without star",
       "[[next-hop]]",
       "[[route]]\nto = \"+1900\"\n[[next-hop]]",
       {"f.toml:22:6: error: route[0].to = \"+1900\": not a domain; write user = \"+1900\" for "
        "this "
        "one number, or to = \"+1900*\""}},
      {"to an unreadable domain",
       "[[next-hop]]",
       "[[route]]\nto = \"*.example\"\n[[next-hop]]",
       {"f.toml:22:6: error: route[0].to = \"*.example\": not a DNS name"}},
      {"permissions",
       "[[next-hop]]",
       "[[route]]\nrequires = [\"premium\"]\n[[next-hop]]",
       {"f.toml:22:1: error: route[0].requires is not available in this version"}},
      {"key of a route",
       "[[next-hop]]",
       "[[route]]\nnexthop = \"core\"\n[[next-hop]]",
       {"f.toml:22:1: error: unknown key route[0].nexthop; did you mean \"next-hop\"?"}},
      {"route without effect",
       "[[next-hop]]",
       "[[route]]\nto = \"*\"\n[[next-hop]]",
       {"f.toml:21:1: warning: route[0] does nothing: without next-hop it resolves what comes from "
        "inside (RFC 3263), as without a route, and takes nothing that comes from outside"}},
      {"route behind one that takes everything",
       "[[next-hop]]",
       "[[route]]\nto = \"*\"\nnext-hop = \"core\"\n[[route]]\nuser = \"+1900*\"\nnext-hop = "
       "\"core\"\n[[next-hop]]",
       {"f.toml:24:1: warning: route[1] never matches: the route in line 21 takes all of its "
        "requests; put it before that one, or remove it"}},
      {"a wrong route takes nothing from others",
       "[[next-hop]]",
       "[[route]]\ndomain = \"*\"\n[[route]]\nuser = \"+1900*\"\n[[next-hop]]",
       {"f.toml:22:10: error: route[0].domain = \"*\": not a DNS name"}},
      {"dns by name",
       "[[next-hop]]",
       "[dns]\nservers = [\"ns.example\", \"0.0.0.0\", \"192.0.2.53:0\"]\n[[next-hop]]",
       {"f.toml:22:12: error: dns.servers[0] = \"ns.example\": not the address of a DNS server",
        "f.toml:22:26: error: dns.servers[1] = \"0.0.0.0\": not the address",
        "f.toml:22:37: error: dns.servers[2] = \"192.0.2.53:0\": not the address"}},
      {"too many dns servers",
       "[[next-hop]]",
       "[dns]\nservers = [\"::1\", \"::1\", \"::1\", \"::1\", \"::1\", \"::1\", \"::1\", \"::1\", "
       "\"::2\"]\n[[next-hop]]",
       {"f.toml:22:68: error: dns.servers[8] = \"::2\": too many DNS servers; list at most 8"}},
      {"dns key",
       "[[next-hop]]",
       "[dns]\nserver = [\"::1\"]\n[[next-hop]]",
       {"f.toml:22:1: error: unknown key dns.server; did you mean \"servers\"?"}},
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

TEST(EdgeConfigTest, UrnsMayBeWrittenAsUserAndAsTo) {
  const LoadedConfig loaded = LoadValues(
      Replaced(kGood, "[[next-hop]]",
               "[[route]]\nuser = \"urn:service:sos\"\n[[route]]\nto = \"urn:service:*\"\n"
               "[[route]]\nto = \"urn:nena:x\"\n[[next-hop]]"));
  ASSERT_THAT(Lines(loaded), IsEmpty());
  ASSERT_THAT(loaded.config.routes, SizeIs(3));
  for (const RouteConfig& route : loaded.config.routes) {
    EXPECT_TRUE(route.user.is_urn());
    EXPECT_EQ(route.domain, "");
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
      text, "targets = ",
      "health = \"\"\nlistener = \"\"\nidentity = \"\"\ndn = \"\"\ntls = \"\"\ntargets = ");
  text +=
      "[dns]\nservers = []\n[[route]]\nto = \"\"\ndomain = \"\"\nuser = \"\"\nmethod = "
      "\"\"\nrequires = []\nnext-hop = \"\"\n";
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
  EXPECT_EQ(targets[0].listener, 1u) << "no inside tcp listener, so the one that there is";
  EXPECT_EQ(targets[1].address.port(), 3);
  EXPECT_EQ(targets[2].address.port(), 1);
}

// Both zones, names and addresses, every transport.
constexpr const char* kBothWays = R"([edge]
domain = "edge.example"
secret = "file:edge.secret"
outbound-tls = "partners"

[tls.federation]
certificate = "edge.pem"
trusted-ca = "ca.pem"

[tls.partners]
certificate = "edge.pem"
trusted-ca = "partners.pem"

[[listener]]
name = "federation"
address = "0.0.0.0:5061"
zone = "outside"
tls = "federation"

[[listener]]
name = "trunk"
address = "0.0.0.0:5060"
transport = "udp"
zone = "outside"

[[listener]]
name = "core"
address = "127.0.0.1:5070"
transport = "udp"
zone = "inside"

[[listener]]
name = "core-6"
address = "[::1]:5070"
transport = "tcp"
zone = "inside"

[[next-hop]]
name = "partner-a"
targets = ["tls:A.Example", "tls:192.0.2.7:5061;priority=1", "udp:192.0.2.8:5060;priority=2",
           "udp:b.example:5062;weight=3;priority=3", "tcp:192.0.2.9:5060;priority=4"]
zone = "outside"
tls = "partners"
identity = "SBC.A.example"
dn = "CN=sbc,O=A\\, Inc"
health = { interval = "30s", timeout = "1s" }

[[next-hop]]
name = "core"
targets = ["udp:pbx.internal", "tcp:[::1]:5080;priority=1", "tcp:127.0.0.1:5080;priority=2"]
zone = "inside"
health = { }

[dns]
servers = ["127.0.0.1", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:54"]

[[route]]
zone = "outside"
to = "+1900*"
method = "INVITE"
next-hop = "core"

[[route]]
domain = "A.Example"
user = "alice"
next-hop = "partner-a"

[[route]]
to = "A.example"
next-hop = "partner-a"

[[route]]
to = "[2001:DB8::1]"
next-hop = "core"

[[route]]
to = "support*"

[[route]]
to = "*"
next-hop = "core"
)";

TEST(EdgeConfigTest, NextHopsOfBothZonesAreRead) {
  const LoadedConfig loaded = LoadValues(kBothWays);
  ASSERT_THAT(Lines(loaded), IsEmpty());
  const EdgeConfig& config = loaded.config;
  EXPECT_EQ(config.outbound_tls, 1u);
  EXPECT_EQ(config.DefaultNextHop(), 1u);
  ASSERT_THAT(config.next_hops, SizeIs(2));

  const NextHopConfig& partner = config.next_hops[0];
  EXPECT_EQ(partner.zone, Zone::kOutside);
  EXPECT_EQ(partner.tls_profile, 1u);
  EXPECT_EQ(partner.identity, "sbc.a.example");
  EXPECT_EQ(partner.dn, "CN=sbc,O=A\\, Inc");
  EXPECT_EQ(partner.health_interval, absl::Seconds(30));
  EXPECT_EQ(partner.health_timeout, absl::Seconds(1));
  ASSERT_THAT(partner.targets, SizeIs(5));
  EXPECT_EQ(partner.targets[0].host, "a.example");
  EXPECT_EQ(partner.targets[0].port, 0);
  EXPECT_EQ(partner.targets[0].address.family(), core::AddressFamily::kNone);
  EXPECT_EQ(partner.targets[0].listener, 0u);
  EXPECT_EQ(partner.targets[1].address.ToString(), "192.0.2.7:5061");
  EXPECT_EQ(partner.targets[1].host, "");
  EXPECT_EQ(partner.targets[2].listener, 1u);
  EXPECT_EQ(partner.targets[3].host, "b.example");
  EXPECT_EQ(partner.targets[3].port, 5062);
  EXPECT_EQ(partner.targets[3].weight, 3);
  EXPECT_EQ(partner.targets[3].listener, 1u);
  EXPECT_EQ(partner.targets[4].listener, 0u) << "no outside tcp listener: the first of the zone";

  const NextHopConfig& inside = config.next_hops[1];
  EXPECT_EQ(inside.tls_profile, kNoProfile);
  EXPECT_EQ(inside.health_interval, absl::Seconds(10));
  EXPECT_EQ(inside.health_timeout, absl::Seconds(2));
  ASSERT_THAT(inside.targets, SizeIs(3));
  EXPECT_EQ(inside.targets[0].listener, 2u);
  EXPECT_EQ(inside.targets[1].listener, 3u);
  EXPECT_EQ(inside.targets[2].listener, 3u) << "the transport counts more than the family";
}

TEST(EdgeConfigTest, DnsServersHaveTheirPort) {
  std::vector<std::string> servers;
  for (const core::SocketAddress& server : LoadValues(kBothWays).config.dns_servers) {
    servers.push_back(server.ToString());
  }
  EXPECT_THAT(servers, ElementsAre("127.0.0.1:53", "192.0.2.53:5353", "[2001:db8::53]:53",
                                   "[2001:db8::53]:54"));
}

TEST(EdgeConfigTest, RoutesAreRead) {
  const EdgeConfig config = LoadValues(kBothWays).config;
  ASSERT_THAT(config.routes, SizeIs(6));
  EXPECT_EQ(config.routes[0].zone, Zone::kOutside);
  EXPECT_EQ(config.routes[0].user.text(), "+1900*");
  EXPECT_EQ(config.routes[0].domain, "");
  EXPECT_EQ(config.routes[0].method, "INVITE");
  EXPECT_EQ(config.routes[0].next_hop, 1u);
  EXPECT_EQ(config.routes[1].domain, "a.example");
  EXPECT_EQ(config.routes[1].user.text(), "alice");
  EXPECT_EQ(config.routes[1].zone, Zone::kInside) << "its next hop is outside";
  EXPECT_EQ(config.routes[2].domain, "a.example");
  EXPECT_TRUE(config.routes[2].user.is_any());
  EXPECT_EQ(config.routes[3].domain, "[2001:db8::1]");
  EXPECT_EQ(config.routes[3].zone, std::nullopt);
  EXPECT_EQ(config.routes[4].user.text(), "support*");
  EXPECT_EQ(config.routes[4].next_hop, std::nullopt);
  EXPECT_EQ(config.routes[4].zone, Zone::kInside) << "it leaves by RFC 3263";
  EXPECT_TRUE(config.routes[5].user.is_any());
  EXPECT_EQ(config.routes[5].domain, "");
}

TEST(EdgeConfigTest, AnIdentityThatIsNotCheckedIsTold) {
  const std::string text =
      Replaced(kBothWays, "trusted-ca = \"partners.pem\"",
               "trusted-ca = \"partners.pem\"\ntls-target-name-check = \"no\"");
  EXPECT_THAT(Lines(LoadValues(text)),
              ElementsAre(HasSubstr("tls-target-name-check = \"no\": whoever has"),
                          HasSubstr("next-hop[0].identity = \"SBC.A.example\": not checked")));
  EXPECT_THAT(Lines(LoadValues(Replaced(text, "identity = \"SBC.A.example\"\n", ""))), SizeIs(1))
      << "an address needs no identity then";
}

TEST(EdgeConfigTest, ADnIsEnoughForAnAddress) {
  EXPECT_THAT(Lines(LoadValues(Replaced(kBothWays, "identity = \"SBC.A.example\"\n", ""))),
              IsEmpty());
}

TEST(EdgeConfigTest, OnlyNextHopsOfTheZoneMayNameAListener) {
  const std::string named = Replaced(kBothWays, "tls = \"partners\"\nidentity",
                                     "listener = \"federation\"\ntls = \"partners\"\nidentity");
  EXPECT_THAT(Lines(LoadValues(named)),
              ElementsAre(HasSubstr("warning: listener \"trunk\" is udp outside"),
                          HasSubstr("targets[2] = \"udp:192.0.2.8:5060;priority=2\": the listener "
                                    "\"federation\" cannot send there: it is not udp over IPv4; "
                                    "name an outside listener"),
                          HasSubstr("targets[3]")));
}

TEST(EdgeConfigTest, TooManyAreRefused) {
  std::string targets;
  for (size_t i = 0; i <= kNextHopTargetsMax; ++i) targets += "\"udp:127.0.0.1:5080\",";
  EXPECT_THAT(Lines(LoadValues(Replaced(kGood, "\"udp:127.0.0.1:5080\"", targets))),
              ElementsAre(HasSubstr("too many targets; list at most 64 in one next hop")));
  std::string routes = kGood;
  for (size_t i = 0; i <= kRoutesMax; ++i) {
    routes += "[[route]]\nuser = \"u" + std::to_string(i) + "\"\n";
  }
  EXPECT_THAT(Lines(LoadValues(routes)), ElementsAre(HasSubstr("too many routes; use at most")));
}

TEST(EdgeConfigTest, EverySectionIsRead) {
  const LoadedConfig loaded = LoadValues(
      std::string(kGood) +
      "[identity-header]\nmode = \"none\"\n[limits]\nheader-bytes = 4096\nbody-bytes = \"100KiB\"\n"
      "headers = 40\nconnections = 6\ntransactions = 16\nqueue-bytes = 200000\npartial-bytes = "
      "\"1MiB\"\nhandshakes-per-turn = 2\npeer-identities = 100\n"
      "outbound-connections = 7\nsource-messages-per-second = 8\nidentity-messages-per-second = 9\n"
      "source-connections = 10\nsource-handshakes-per-second = 11\nqueue-delay = \"12ms\"\n"
      "receive-buffers = 64\nlog-lines-per-second = 9\n[timeouts]\nfirst-byte = \"1s\"\nhandshake "
      "= "
      "\"2s\"\nmessage = \"3s\"\nidle = \"4s\"\nclose = \"5s\"\nconnect = \"6s\"\ndrain = \"7s\"\n"
      "target = \"8s\"\ntimer-c = \"200s\"\n[log]\nformat = \"text\"\nlevel = \"debug\"\n"
      "users = true\ncall-id = \"plain\"\n");
  ASSERT_THAT(Lines(loaded), IsEmpty());
  const LimitsConfig& limits = loaded.config.limits;
  EXPECT_EQ(loaded.config.identity_header, AssertedHeader::kNone);
  EXPECT_EQ(limits.header_bytes_max, 4096u);
  EXPECT_EQ(limits.body_bytes_max, 100u << 10);
  EXPECT_EQ(limits.headers_max, 40u);
  EXPECT_EQ(limits.connections_max, 6u);
  EXPECT_EQ(limits.transactions_max, 16u);
  EXPECT_EQ(limits.queue_bytes_max, 200000u);
  EXPECT_EQ(limits.partial_bytes_max, 1u << 20);
  EXPECT_EQ(limits.handshakes_per_turn_max, 2u);
  EXPECT_EQ(limits.peer_identities_max, 100u);
  EXPECT_EQ(limits.receive_buffers, 64u);
  EXPECT_EQ(limits.log_lines_per_second_max, 9u);
  EXPECT_EQ(limits.outbound_connections_max, 7u);
  EXPECT_EQ(limits.source_messages_per_second_max, 8u);
  EXPECT_EQ(limits.identity_messages_per_second_max, 9u);
  EXPECT_EQ(limits.source_connections_max, 10u);
  EXPECT_EQ(limits.source_handshakes_per_second_max, 11u);
  EXPECT_EQ(limits.queue_delay_max, absl::Milliseconds(12));
  const TimeoutsConfig& timeouts = loaded.config.timeouts;
  EXPECT_EQ(timeouts.target, absl::Seconds(8));
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
  EXPECT_TRUE(loaded.config.log.users);
  EXPECT_EQ(loaded.config.log.call_id, LoggedCallId::kPlain);
}

TEST(EdgeConfigTest, LogLinesNameNoUserAndNoCallIdUnlessToldTo) {
  EXPECT_FALSE(LoadValues(kGood).config.log.users);
  EXPECT_EQ(LoadValues(kGood).config.log.call_id, LoggedCallId::kHash);
  const std::string off = std::string(kGood) + "[log]\ncall-id = \"off\"\n";
  EXPECT_EQ(LoadValues(off).config.log.call_id, LoggedCallId::kOff);
}

TEST(EdgeConfigTest, PathIsAlwaysAddedUnlessItWaitsForSupport) {
  for (const auto& [text, when] :
       {std::pair("[path]\n", PathWhen::kAlways),
        std::pair("[path]\nwhen = \"always\"\n", PathWhen::kAlways),
        std::pair("[path]\nwhen = \"supported\"\n", PathWhen::kSupported)}) {
    const LoadedConfig loaded = LoadValues(std::string(kGood) + text);
    EXPECT_THAT(Lines(loaded), IsEmpty()) << text;
    EXPECT_EQ(loaded.config.path_when, when) << text;
  }
}

TEST(EdgeConfigTest, ASyntaxErrorStopsAtTheFirst) {
  EXPECT_THAT(Lines(LoadValues("[edge]\ndomain = \"a\nadmin = \n= 5\n")),
              ElementsAre(HasSubstr("f.toml:2:")));
}

TEST(EdgeConfigTest, AnEmptyFileSaysWhatIsMissing) {
  EXPECT_THAT(Lines(LoadValues("")),
              ElementsAre(HasSubstr("[edge] is missing"), HasSubstr("there is no [[listener]]"),
                          HasSubstr("there is no inside [[next-hop]]")));
}

TEST(EdgeConfigTest, AMissingFileIsAnErrorThatNamesIt) {
  EXPECT_THAT(Lines(LoadEdgeConfig("/nonexistent/edge.toml")),
              ElementsAre(HasSubstr("/nonexistent/edge.toml: error: does not exist; check")));
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
  EXPECT_EQ(shipped.config.path_when, defaults.path_when);
  EXPECT_THAT(shipped.config.dns_servers, IsEmpty());
  EXPECT_EQ(shipped.config.outbound_tls, 0u);
  EXPECT_THAT(shipped.config.next_hops, SizeIs(2));
  EXPECT_THAT(shipped.config.routes, SizeIs(2));
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
  EXPECT_THAT(differences("[[next-hop]]",
                          "[limits]\nconnections = 5\noutbound-connections = 6\nheaders = 99\n"
                          "source-connections = 7\nhandshakes-per-turn = 7\n"
                          "log-lines-per-second = 8\n[[next-hop]]"),
              ElementsAre("limits.connections", "limits.outbound-connections",
                          "limits.handshakes-per-turn", "limits.log-lines-per-second"));
  EXPECT_THAT(differences("[[next-hop]]",
                          "[dns]\nservers = [\"::1\"]\n[[route]]\nuser = \"a\"\n[[next-hop]]"),
              IsEmpty())
      << "routes and DNS are live";
  EXPECT_THAT(differences("127.0.0.1:5080", "127.0.0.1:5081"), IsEmpty()) << "next hops are live";
  EXPECT_THAT(differences("[[next-hop]]", "[path]\nwhen = \"supported\"\n[[next-hop]]"), IsEmpty())
      << "path is live";
  EXPECT_THAT(differences("[[next-hop]]", "[log]\nusers = true\ncall-id = \"off\"\n[[next-hop]]"),
              IsEmpty())
      << "what log lines show is live";
}

// ---- Files

constexpr int64_t kNow = 1'900'000'000;  // 2030-03-17

// Without anything to warn of.
const std::string kReachable =
    Replaced(kGood, "zone = \"inside\"", "zone = \"inside\"\nadvertise = \"127.0.0.1:5070\"");

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
  LoadedConfig Load(int64_t now = kNow, const std::string& text = kReachable) {
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
  const LoadedConfig loaded = Load(kNow, Replaced(kReachable, "Edge.Example", "other.example"));
  EXPECT_THAT(Lines(loaded),
              ElementsAre(HasSubstr("f.toml:6:15: error: " + folder_ +
                                    "/edge.pem does not prove edge.domain \"other.example\"")));
  EXPECT_FALSE(loaded.ok());
}

TEST_F(EdgeFilesTest, OurCertificateShouldProveWhatWeAdvertise) {
  const std::string text =
      Replaced(kReachable, "zone = \"outside\"", "zone = \"outside\"\nadvertise = \"sip.example\"");
  EXPECT_THAT(Lines(Load(kNow, text)),
              ElementsAre(HasSubstr("f.toml:10:1: warning: listener \"federation\" advertises "
                                    "\"sip.example\", which " +
                                    folder_ + "/edge.pem does not prove")));
}

TEST_F(EdgeFilesTest, AnInsideListenerShouldSayWhatTheInsideResolves) {
  EXPECT_THAT(Lines(Load(kNow, kGood)),
              ElementsAre("" + folder_ +
                          "/f.toml:15:1: warning: listener \"core\" has no advertise, so servers "
                          "inside are told edge.example:5070; where they cannot resolve that, each "
                          "call to a phone fails; write advertise = \"127.0.0.1:5070\", or "
                          "\"edge.example:5070\" if it leads them here"));
  const std::string wildcard = Replaced(kGood, "address = \"127.0.0.1:5070\"",
                                        "address = \"0.0.0.0:5070\"\nallow = [\"10.0.0.0/8\"]");
  EXPECT_THAT(Lines(Load(kNow, wildcard)), ElementsAre(HasSubstr("write advertise = \"IP:5070\"")));
}

TEST_F(EdgeFilesTest, EachOfSeveralCasMayVouchForUs) {
  Write("ca.pem", ca_.certificate + tls::MintCa("Other CA", 3650, kNow)->certificate, 0644);
  EXPECT_THAT(Lines(Load()),
              ElementsAre(HasSubstr("f.toml:8:14: warning: tls.federation: 2 CAs are trusted, and "
                                    "each of them may vouch for every domain, also for "
                                    "edge.example")));
  Write("ca.pem", ca_.certificate + ca_.certificate, 0644);  // Twice the same.
  EXPECT_THAT(Lines(Load()), IsEmpty());
}

TEST_F(EdgeFilesTest, WhatOthersMayChangeIsTold) {
  Write("ca.pem", ca_.certificate, 0646);
  EXPECT_THAT(Lines(Load()), ElementsAre(HasSubstr("f.toml:8:14: warning: " + folder_ +
                                                   "/ca.pem: everybody may change the CAs")));
  Write("ca.pem", ca_.certificate, 0644);
  ASSERT_EQ(chmod(folder_.c_str(), 0770), 0);
  EXPECT_THAT(Lines(Load()), SizeIs(4)) << "of configuration, secret, key and CAs";
  EXPECT_THAT(Lines(Load()),
              Each(HasSubstr(folder_ + ": the group may change what is in the folder "
                                       "of ")));
}

TEST_F(EdgeFilesTest, AFifoIsRefusedAndNotWaitedFor) {
  ASSERT_EQ(unlink((folder_ + "/ca.pem").c_str()), 0);
  ASSERT_EQ(mkfifo((folder_ + "/ca.pem").c_str(), 0600), 0);
  EXPECT_THAT(Lines(Load()), ElementsAre(HasSubstr("f.toml:8:14: error: " + folder_ +
                                                   "/ca.pem: is a FIFO; name a regular file")));
}

}  // namespace
}  // namespace sallyport::sip
