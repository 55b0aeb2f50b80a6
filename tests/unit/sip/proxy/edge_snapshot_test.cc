// Goal: which addresses a token may lead to inside, and which may be dialled outside. Method: one
// configuration of listeners and next hops; every kind of address.
#include "sip/proxy/edge_snapshot.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/signed_lines.h"
#include "tests/support/snapshot_of.h"

namespace sallyport::sip {
namespace {

constexpr char kConfig[] = R"(
[edge]
domain = "edge.example"
admin = ""
[tls.federation]
certificate = "edge.pem"
trusted-ca = "ca.pem"
[[listener]]
name = "federation"
address = "192.0.2.10:5061"
zone = "outside"
[[listener]]
name = "core"
address = "10.0.0.1:5070"
transport = "udp"
zone = "inside"
allow = ["10.0.0.0/24", "2001:db8:1::/48"]
[[listener]]
name = "core6"
address = "[2001:db8:1::1]:5070"
transport = "udp"
zone = "inside"
allow = ["10.0.0.0/24", "2001:db8:1::/48"]
[[next-hop]]
name = "core"
zone = "inside"
targets = ["udp:10.0.0.5:5060", "udp:10.9.0.5:5060", "udp:[2001:db8:9::5]:5060"]
[[next-hop]]
name = "named"
zone = "inside"
targets = ["tcp:k.inside.example:5080"]
[[next-hop]]
name = "partner"
zone = "outside"
targets = ["tls:198.51.100.1:5061"]
identity = "b.example"
)";

const EdgeSnapshot& Snapshot() {
  static const std::unique_ptr<const EdgeSnapshot> snapshot =
      test::SnapshotOf(kConfig, test::SecretOf(test::kOldKey));
  return *snapshot;
}

core::SocketAddress Address(const char* text) { return *core::SocketAddress::Parse(text); }

struct Case {
  const char* address;
  bool inside;   // A token may lead there.
  bool outside;  // DNS or a message may name it for us to dial.
};

TEST(EdgeSnapshotTest, AddressesAreOfTheInsideOrMayBeDialledOutside) {
  for (const Case& c : {
           Case{"10.0.0.7:9", true, false},  // Admitted by `allow`.
           Case{"[::ffff:10.0.0.7]:9", true, false},
           Case{"[2001:db8:1::7]:9", true, false},
           Case{"10.0.0.5:5060", true, false},  // A target, admitted as well.
           Case{"10.9.0.5:5060", true, false},  // A target alone.
           Case{"[::ffff:10.9.0.5]:5060", true, false},
           Case{"[2001:db8:9::5]:5060", true, false},
           Case{"10.9.0.5:5061", false, false},  // A target's host at another port.
           Case{"[::ffff:10.9.0.5]:22", false, false},
           Case{"10.0.0.1:5070", false, false},  // Where we listen.
           Case{"[::ffff:10.0.0.1]:5070", false, false},
           Case{"[2001:db8:1::1]:5070", false, false},
           Case{"192.0.2.10:5061", false, false},
           Case{"10.0.0.1:5080", true, false},  // An inside server on our own host.
           Case{"192.0.2.10:443", false, false},
           Case{"127.0.0.1:5060", false, false},
           Case{"[::1]:5060", false, false},
           Case{"[::ffff:127.0.0.1]:5060", false, false},
           Case{"0.0.0.0:5060", false, false},
           Case{"[::]:5060", false, false},
           Case{"[::ffff:0.0.0.0]:5060", false, false},
           Case{"198.51.100.1:5061", false, true},  // A target outside is no target inside.
           Case{"203.0.113.9:5061", false, true},
           Case{"[2001:db8:2::7]:5061", false, true},
           Case{"10.0.1.7:5061", false, true},
       }) {
    EXPECT_EQ(Snapshot().AdmitsInside(Address(c.address)), c.inside) << c.address;
    EXPECT_EQ(Snapshot().MayDialOutside(Address(c.address)), c.outside) << c.address;
  }
}

// Without `allow` an inside listener admits loopback, and nothing else.
TEST(EdgeSnapshotTest, WithoutAllowLoopbackIsInside) {
  std::string config = kConfig;
  const std::string allow = "allow = [\"10.0.0.0/24\", \"2001:db8:1::/48\"]\n";
  for (size_t at = config.find(allow); at != std::string::npos; at = config.find(allow)) {
    config.erase(at, allow.size());
  }
  for (const auto& [listener, loopback] : {std::pair("10.0.0.1:5070", "127.0.0.1:5070"),
                                           std::pair("[2001:db8:1::1]:5070", "[::1]:5070")}) {
    config.replace(config.find(listener), std::string(listener).size(), loopback);
  }
  const auto snapshot = test::SnapshotOf(config, test::SecretOf(test::kOldKey));
  EXPECT_TRUE(snapshot->AdmitsInside(Address("127.0.0.1:5080")));
  EXPECT_TRUE(snapshot->AdmitsInside(Address("[::1]:5080")));
  EXPECT_FALSE(snapshot->AdmitsInside(Address("127.0.0.1:5070")));
  EXPECT_FALSE(snapshot->AdmitsInside(Address("10.0.0.7:5080")));
  EXPECT_TRUE(snapshot->AdmitsInside(Address("10.9.0.5:5060")));
}

TEST(EdgeSnapshotTest, ProcessIsOfTheInstanceAndItsStart) {
  const auto again = test::SnapshotOf(kConfig, test::SecretOf(test::kNewKey));
  const auto restarted = test::SnapshotOf(kConfig, test::SecretOf(test::kOldKey), 10);
  std::string config = kConfig;
  config.replace(config.find("admin"), 0, "instance = \"edge-2\"\n");
  const auto sibling = test::SnapshotOf(config, test::SecretOf(test::kOldKey));
  EXPECT_EQ(Snapshot().process, again->process);
  EXPECT_NE(Snapshot().process, restarted->process);
  EXPECT_NE(Snapshot().process, sibling->process);
  EXPECT_NE(Snapshot().process, 0U);
}

TEST(EdgeSnapshotTest, NextHopsAreFoundByTheHashOfTheirName) {
  EXPECT_EQ(Snapshot().FindNextHop(NextHopNameHash("partner")), 2U);
  EXPECT_EQ(Snapshot().FindNextHop(NextHopNameHash("gone")), std::nullopt);
  EXPECT_EQ(Snapshot().FindNextHop(0), std::nullopt);
}

TEST(EdgeSnapshotTest, NamesOfNextHopsHashToOneValueForEver) {
  EXPECT_EQ(NextHopNameHash("core"), NextHopNameHash("core"));
  EXPECT_NE(NextHopNameHash("core"), NextHopNameHash("core2"));
  EXPECT_EQ(NextHopNameHash("abc"), 0xba7816bfU);  // The first octets of SHA-256, FIPS 180-2 B.1.
}

}  // namespace
}  // namespace sallyport::sip
