// RFC 3263, rule by rule, on a table of DNS answers.
#include "sip/proxy/server_location.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/dns_table.h"
#include "tests/support/simulated_backend.h"

namespace sallyport::sip {
namespace {

using core::DnsStatus;
using core::DnsType;
using Texts = std::vector<std::string>;

std::string Text(const Location& location) {
  return std::string(TransportName(location.transport)) + ' ' + location.address.ToString();
}

Texts TextsOf(std::span<const Location> locations) {
  Texts texts;
  for (const Location& location : locations) texts.push_back(Text(location));
  return texts;
}

constexpr LocationSupport kAll = {true, true, true, true, true};
constexpr LocationSupport kIpv4Only = {true, true, true, true, false};

class ServerLocationTest : public testing::Test, public LocationHandler {
 protected:
  struct Told {
    LocationFailure failure = LocationFailure::kNone;
    Texts locations;
  };

  ServerLocationTest()
      : network_(1),
        io_(network_),
        reactor_(io_, ReactorOptions()),
        dns_(reactor_),
        locator_(reactor_, dns_, *this, tls::MacKey{7}, LocatorOptions()) {}
  static core::ReactorOptions ReactorOptions() {
    core::ReactorOptions options;
    options.handlers_max = 16;
    options.buffer_bytes_max = 1 << 20;
    return options;
  }
  static ServerLocatorOptions LocatorOptions() {
    ServerLocatorOptions options;
    options.cache_entries_max = 256;
    options.pending_max = 8;
    return options;
  }

  void OnLocated(LocationCookie cookie, LocationFailure failure,
                 std::span<const Location> locations) override {
    EXPECT_FALSE(inside_locate_);
    EXPECT_EQ(failure == LocationFailure::kNone, !locations.empty());
    // As the lead's transactions do it: a generation that is gone finds nobody.
    if (live_generation_.contains(cookie.slot) &&
        live_generation_[cookie.slot] != cookie.generation) {
      ++stale_;
      return;
    }
    EXPECT_FALSE(told_.contains(cookie.slot));
    told_[cookie.slot] = {failure, TextsOf(locations)};
  }

  LocationOutcome Locate(const LocationRequest& request, uint32_t slot = 0,
                         uint32_t generation = 1) {
    inside_locate_ = true;
    const LocationOutcome outcome = locator_.Locate(request, list_, {slot, generation});
    inside_locate_ = false;
    return outcome;
  }
  static LocationRequest Request(std::string_view host, LocationSupport support = kIpv4Only) {
    LocationRequest request;
    request.host = host;
    request.support = support;
    return request;
  }
  static LocationRequest Sips(std::string_view host, LocationSupport support = kIpv4Only) {
    LocationRequest request = Request(host, support);
    request.secure = true;
    return request;
  }
  // The end of the request, with every question answered.
  Told Result(const LocationRequest& request) {
    told_.clear();
    const LocationOutcome outcome = Locate(request);
    if (outcome.status == LocationStatus::kFailed) return {outcome.failure, {}};
    if (outcome.status == LocationStatus::kReady)
      return {LocationFailure::kNone, TextsOf(list_.view())};
    dns_.AnswerAll();
    EXPECT_TRUE(told_.contains(0));
    return told_[0];
  }
  Texts Found(const LocationRequest& request) {
    const Told told = Result(request);
    EXPECT_EQ(told.failure, LocationFailure::kNone) << LocationFailureName(told.failure);
    return told.locations;
  }
  LocationFailure Failure(const LocationRequest& request) { return Result(request).failure; }
  void Advance(absl::Duration duration) {
    network_.Advance(duration);
    reactor_.RunTurn();
  }
  // NAPTR and SRV for all three, as RFC 3263 §4.1's example.
  void PublishExample() {
    dns_.Naptr("example.com", 50, 50, "SIPS+D2T", "_sips._tcp.example.com");
    dns_.Naptr("example.com", 90, 50, "SIP+D2T", "_sip._tcp.example.com");
    dns_.Naptr("example.com", 100, 50, "SIP+D2U", "_sip._udp.example.com");
    PublishSrv();
  }
  void PublishSrv() {
    dns_.Srv("_sips._tcp.example.com", 0, 1, 5061, "s1.example.com");
    dns_.Srv("_sip._tcp.example.com", 0, 1, 5070, "s2.example.com");
    dns_.Srv("_sip._udp.example.com", 0, 1, 5080, "s3.example.com");
    dns_.A("s1.example.com", "192.0.2.1");
    dns_.A("s2.example.com", "192.0.2.2");
    dns_.A("s3.example.com", "192.0.2.3");
  }

  core::SimulatedNetwork network_;
  core::SimulatedBackend io_;
  core::Reactor reactor_;
  test::DnsTable dns_;
  ServerLocator locator_;
  LocationList list_;
  std::map<uint32_t, Told> told_;
  std::map<uint32_t, uint32_t> live_generation_;
  int stale_ = 0;
  bool inside_locate_ = false;
};

// -- §4.1: the transport protocol.

TEST_F(ServerLocationTest, Rfc3263_4_1_ATransportParameterIsUsed) {
  PublishExample();
  LocationRequest request = Request("example.com");
  for (const auto& [transport, expected] :
       {std::pair(TransportProtocol::kTls, "tls 192.0.2.1:5061"),
        std::pair(TransportProtocol::kTcp, "tcp 192.0.2.2:5070"),
        std::pair(TransportProtocol::kUdp, "udp 192.0.2.3:5080")}) {
    request.transport = transport;
    EXPECT_EQ(Found(request), Texts{expected});
  }
  for (const std::string& asked : dns_.asked()) EXPECT_FALSE(asked.starts_with("NAPTR")) << asked;
}

TEST_F(ServerLocationTest, Rfc3263_4_1_ANumericHostIsUdpForSipAndTlsForSips) {
  EXPECT_EQ(Found(Request("192.0.2.7")), Texts{"udp 192.0.2.7:5060"});
  EXPECT_EQ(Found(Sips("192.0.2.7")), Texts{"tls 192.0.2.7:5061"});
  EXPECT_EQ(Found(Request("[2001:db8::7]", kAll)), Texts{"udp [2001:db8::7]:5060"});
  EXPECT_TRUE(dns_.asked().empty());
}

TEST_F(ServerLocationTest, Rfc3263_4_1_ANumericHostUsesWhatWeSpeak) {
  EXPECT_EQ(Found(Request("192.0.2.7", {true, true, false, true, false})),
            Texts{"tcp 192.0.2.7:5060"});
  EXPECT_EQ(Found(Request("192.0.2.7", {true, false, false, true, false})),
            Texts{"tls 192.0.2.7:5061"});
  EXPECT_EQ(Failure(Sips("192.0.2.7", {false, true, true, true, false})),
            LocationFailure::kNoUsableService);
  EXPECT_EQ(Failure(Request("[2001:db8::7]", kIpv4Only)), LocationFailure::kNoUsableService);
}

TEST_F(ServerLocationTest, Rfc3263_4_1_AnExplicitPortIsUdpForSipAndTlsForSips) {
  PublishExample();
  dns_.A("example.com", "192.0.2.9");
  LocationRequest request = Request("example.com");
  request.port = 5099;
  EXPECT_EQ(Found(request), Texts{"udp 192.0.2.9:5099"});
  request.secure = true;
  EXPECT_EQ(Found(request), Texts{"tls 192.0.2.9:5099"});
  EXPECT_EQ(dns_.asked(), Texts{"A example.com"});
}

TEST_F(ServerLocationTest, Rfc3263_4_1_NaptrIsAskedWithoutTransportAndPort) {
  PublishExample();
  EXPECT_EQ(Found(Request("example.com")),
            (Texts{"tls 192.0.2.1:5061", "tcp 192.0.2.2:5070", "udp 192.0.2.3:5080"}));
  EXPECT_EQ(dns_.asked().front(), "NAPTR example.com");
}

TEST_F(ServerLocationTest, Rfc3263_4_1_NaptrOrderThenPreferenceDecide) {
  dns_.Naptr("example.com", 20, 1, "SIPS+D2T", "_sips._tcp.example.com");
  dns_.Naptr("example.com", 10, 9, "SIP+D2T", "_sip._tcp.example.com");
  dns_.Naptr("example.com", 10, 5, "SIP+D2U", "_sip._udp.example.com");
  PublishSrv();
  EXPECT_EQ(Found(Request("example.com")),
            (Texts{"udp 192.0.2.3:5080", "tcp 192.0.2.2:5070", "tls 192.0.2.1:5061"}));
}

TEST_F(ServerLocationTest, Rfc3263_4_1_ServicesThatWeDoNotSpeakAreDiscarded) {
  PublishExample();
  dns_.Naptr("example.com", 1, 1, "SIP+D2S", "_sip._sctp.example.com");
  dns_.Naptr("example.com", 1, 1, "E2U+sip", "example.com", 'u', true);
  EXPECT_EQ(Found(Request("example.com", {false, false, true, true, false})),
            Texts{"udp 192.0.2.3:5080"});
}

TEST_F(ServerLocationTest, Rfc3263_4_1_SipsUsesOnlySipsServices) {
  PublishExample();
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.1:5061"});
  EXPECT_EQ(dns_.asked(),
            (Texts{"NAPTR example.com", "SRV _sips._tcp.example.com", "A s1.example.com"}));
}

TEST_F(ServerLocationTest, Rfc3263_4_1_SipsWithoutSipsServiceFails) {
  dns_.Naptr("example.com", 90, 50, "SIP+D2T", "_sip._tcp.example.com");
  dns_.Naptr("example.com", 100, 50, "SIP+D2U", "_sip._udp.example.com");
  PublishSrv();
  EXPECT_EQ(Failure(Sips("example.com")), LocationFailure::kNoUsableService);
  EXPECT_EQ(dns_.asked(), Texts{"NAPTR example.com"});
}

TEST_F(ServerLocationTest, Rfc3263_4_1_NaptrRecordsOfOthersAreNoneOfSip) {
  dns_.Naptr("example.com", 1, 1, "E2U+email", "example.com", 'u', true);
  PublishSrv();
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.1:5061"});
}

TEST_F(ServerLocationTest, Rfc3263_4_1_SipsOverUdpIsNothing) {
  PublishExample();
  LocationRequest request = Sips("example.com");
  request.transport = TransportProtocol::kUdp;
  EXPECT_EQ(Failure(request), LocationFailure::kNoUsableService);
  request.transport = TransportProtocol::kTcp;  // RFC 3261 §26.2.2: TLS over TCP.
  EXPECT_EQ(Found(request), Texts{"tls 192.0.2.1:5061"});
}

// Goal: nothing that DNS says, and nothing that is missing, makes a sips request leave by anything
// but TLS. Method: every subset of the records of the example.
TEST_F(ServerLocationTest, Rfc3263_4_1_SipsNeverFallsBack) {
  for (unsigned subset = 0; subset < 1u << 7; ++subset) {
    const std::string domain = "d" + std::to_string(subset) + ".example";
    const auto has = [subset](unsigned bit) { return (subset >> bit & 1) != 0; };
    if (has(0)) dns_.Naptr(domain, 9, 9, "SIPS+D2T", "_sips._tcp." + domain);
    if (has(1)) dns_.Naptr(domain, 1, 1, "SIP+D2T", "_sip._tcp." + domain);
    if (has(2)) dns_.Naptr(domain, 1, 1, "SIP+D2U", "_sip._udp." + domain);
    if (has(3)) dns_.Srv("_sips._tcp." + domain, 1, 1, 5061, domain);
    if (has(4)) dns_.Srv("_sip._tcp." + domain, 1, 1, 5060, domain);
    if (has(5)) dns_.Srv("_sip._udp." + domain, 1, 1, 5060, domain);
    if (has(6)) dns_.A(domain, "192.0.2.1");
    for (const std::string& text : Result(Sips(domain)).locations) {
      EXPECT_TRUE(text.starts_with("tls ")) << subset << ' ' << text;
    }
  }
}

TEST_F(ServerLocationTest, Rfc3263_4_1_NaptrWithRegexpOrOtherFlagsIsIgnored) {
  dns_.Naptr("example.com", 1, 1, "SIPS+D2T", "x.example.com", 's', true);
  dns_.Naptr("example.com", 1, 2, "SIPS+D2T", "y.example.com", 'a');
  dns_.Naptr("example.com", 1, 3, "SIPS+D2T", "");
  dns_.Naptr("example.com", 1, 4, "sips+d2t", "_sips._tcp.example.com");
  PublishSrv();
  EXPECT_EQ(Found(Request("example.com")), Texts{"tls 192.0.2.1:5061"});
}

TEST_F(ServerLocationTest, Rfc3263_4_1_TheReplacementIsTheSrvName) {
  dns_.Naptr("example.com", 1, 1, "SIPS+D2T", "secure.provider.example");
  dns_.Srv("secure.provider.example", 1, 1, 5443, "s1.example.com");
  dns_.A("s1.example.com", "192.0.2.1");
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.1:5443"});
}

TEST_F(ServerLocationTest, Rfc3263_4_1_WithoutNaptrSrvOfEveryTransportIsAsked) {
  PublishSrv();
  EXPECT_EQ(Found(Request("example.com")),
            (Texts{"tls 192.0.2.1:5061", "tcp 192.0.2.2:5070", "udp 192.0.2.3:5080"}));
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.1:5061"});
}

TEST_F(ServerLocationTest, Rfc3263_4_1_WithoutNaptrAndSrvItIsUdpForSipAndTlsForSips) {
  dns_.A("example.com", "192.0.2.9");
  EXPECT_EQ(Found(Request("example.com")), Texts{"udp 192.0.2.9:5060"});
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.9:5061"});
}

// -- §4.2: port and address.

TEST_F(ServerLocationTest, Rfc3263_4_2_ANumericHostUsesItsPort) {
  LocationRequest request = Request("192.0.2.7");
  request.port = 5099;
  request.transport = TransportProtocol::kTls;
  EXPECT_EQ(Found(request), Texts{"tls 192.0.2.7:5099"});
  request.port = 0;
  EXPECT_EQ(Found(request), Texts{"tls 192.0.2.7:5061"});
  EXPECT_TRUE(dns_.asked().empty());
}

TEST_F(ServerLocationTest, Rfc3263_4_2_AnExplicitPortWithTransportSkipsSrv) {
  PublishExample();
  dns_.A("example.com", "192.0.2.9");
  LocationRequest request = Request("example.com");
  request.port = 5099;
  request.transport = TransportProtocol::kTcp;
  EXPECT_EQ(Found(request), Texts{"tcp 192.0.2.9:5099"});
  EXPECT_EQ(dns_.asked(), Texts{"A example.com"});
}

TEST_F(ServerLocationTest, Rfc3263_4_2_WithoutSrvTheDefaultPortOfTheTransportIsUsed) {
  dns_.A("example.com", "192.0.2.9");
  LocationRequest request = Request("example.com");
  for (const auto& [transport, expected] :
       {std::pair(TransportProtocol::kTls, "tls 192.0.2.9:5061"),
        std::pair(TransportProtocol::kTcp, "tcp 192.0.2.9:5060"),
        std::pair(TransportProtocol::kUdp, "udp 192.0.2.9:5060")}) {
    request.transport = transport;
    EXPECT_EQ(Found(request), Texts{expected});
  }
}

TEST_F(ServerLocationTest, Rfc3263_4_2_NaptrWithoutSrvKeepsTheTransport) {
  dns_.Naptr("example.com", 1, 1, "SIP+D2T", "_sip._tcp.example.com");
  dns_.A("example.com", "192.0.2.9");
  EXPECT_EQ(Found(Request("example.com")), Texts{"tcp 192.0.2.9:5060"});
}

TEST_F(ServerLocationTest, Rfc3263_4_2_AAndAaaaAreBothAsked) {
  dns_.Srv("_sips._tcp.example.com", 1, 1, 5061, "s1.example.com");
  dns_.A("s1.example.com", "192.0.2.1");
  dns_.Aaaa("s1.example.com", "2001:db8::1");
  EXPECT_EQ(Found(Sips("example.com", kAll)),
            (Texts{"tls [2001:db8::1]:5061", "tls 192.0.2.1:5061"}));
  EXPECT_EQ(Found(Sips("example.com", kIpv4Only)), Texts{"tls 192.0.2.1:5061"});
  EXPECT_EQ(Found(Sips("example.com", {true, true, true, false, true})),
            Texts{"tls [2001:db8::1]:5061"});
}

TEST_F(ServerLocationTest, FamiliesTakeTurns) {
  for (const std::string_view address : {"192.0.2.1", "192.0.2.2"}) dns_.A("a.example", address);
  for (const std::string_view address : {"2001:db8::1", "2001:db8::2", "2001:db8::3"}) {
    dns_.Aaaa("a.example", address);
  }
  LocationRequest request = Request("a.example", kAll);
  request.port = 5060;
  std::string families;
  for (const std::string& text : Found(request)) families += text[4] == '[' ? '6' : '4';
  EXPECT_EQ(families, "64646");
}

TEST_F(ServerLocationTest, OneFamilyIsEnough) {
  dns_.A("example.com", "192.0.2.9");
  dns_.Status(DnsType::kAaaa, "example.com", DnsStatus::kServerFailure);
  LocationRequest request = Request("example.com", kAll);
  request.port = 5060;
  EXPECT_EQ(Found(request), Texts{"udp 192.0.2.9:5060"});
}

// -- §4.3 and RFC 2782: whom to try next.

TEST_F(ServerLocationTest, Rfc3263_4_3_SrvPrioritiesGiveTheOrder) {
  dns_.Srv("_sips._tcp.example.com", 30, 1, 5063, "s3.example.com");
  dns_.Srv("_sips._tcp.example.com", 10, 1, 5061, "s1.example.com");
  dns_.Srv("_sips._tcp.example.com", 20, 1, 5062, "s2.example.com");
  dns_.A("s1.example.com", "192.0.2.1");
  dns_.A("s2.example.com", "192.0.2.2");
  dns_.A("s3.example.com", "192.0.2.3");
  EXPECT_EQ(Found(Sips("example.com")),
            (Texts{"tls 192.0.2.1:5061", "tls 192.0.2.2:5062", "tls 192.0.2.3:5063"}));
}

TEST_F(ServerLocationTest, Rfc3263_4_3_EveryAddressOfATargetIsTriedBeforeTheNext) {
  dns_.Srv("_sips._tcp.example.com", 10, 1, 5061, "s1.example.com");
  dns_.Srv("_sips._tcp.example.com", 20, 1, 5061, "s2.example.com");
  dns_.A("s1.example.com", "192.0.2.1");
  dns_.A("s1.example.com", "192.0.2.11");
  dns_.A("s2.example.com", "192.0.2.2");
  const Texts found = Found(Sips("example.com"));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ((std::set<std::string>{found[0], found[1]}),
            (std::set<std::string>{"tls 192.0.2.1:5061", "tls 192.0.2.11:5061"}));
  EXPECT_EQ(found[2], "tls 192.0.2.2:5061");
}

TEST_F(ServerLocationTest, Rfc3263_4_4_OneCallSticksToOneServer) {
  for (int index = 1; index <= 3; ++index) {
    const std::string target = "s" + std::to_string(index) + ".example.com";
    dns_.Srv("_sips._tcp.example.com", 1, index == 3 ? 2 : 1, 5061, target);
    dns_.A(target, "192.0.2." + std::to_string(index));
  }
  std::map<std::string, int> first;
  LocationRequest request = Sips("example.com");
  for (request.selector = 0; request.selector < 10'000; ++request.selector) {
    const Texts once = Found(request);
    ASSERT_EQ(once.size(), 3u);
    EXPECT_EQ(Found(request), once);
    ++first[once[0]];
  }
  EXPECT_NEAR(first["tls 192.0.2.1:5061"], 2500, 250);
  EXPECT_NEAR(first["tls 192.0.2.2:5061"], 2500, 250);
  EXPECT_NEAR(first["tls 192.0.2.3:5061"], 5000, 300);
}

TEST_F(ServerLocationTest, ATargetWithoutAddressesDoesNotLoseTheOthers) {
  dns_.Srv("_sips._tcp.example.com", 10, 1, 5061, "gone.example.com");
  dns_.Srv("_sips._tcp.example.com", 20, 1, 5061, "slow.example.com");
  dns_.Srv("_sips._tcp.example.com", 30, 1, 5061, "s1.example.com");
  dns_.Status(DnsType::kA, "slow.example.com", DnsStatus::kTimeout);
  dns_.A("s1.example.com", "192.0.2.1");
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.1:5061"});
}

TEST_F(ServerLocationTest, OneTransportsFailureDoesNotLoseTheOthers) {
  PublishSrv();
  dns_.Status(DnsType::kSrv, "_sips._tcp.example.com", DnsStatus::kServerFailure);
  EXPECT_EQ(Found(Request("example.com")), (Texts{"tcp 192.0.2.2:5070", "udp 192.0.2.3:5080"}));
}

TEST_F(ServerLocationTest, ManyAddressesOfOneTargetLeaveRoomForTheNext) {
  dns_.Srv("_sips._tcp.example.com", 10, 1, 5061, "s1.example.com");
  dns_.Srv("_sips._tcp.example.com", 20, 1, 5061, "s2.example.com");
  for (int index = 1; index <= 20; ++index) {
    dns_.A("s1.example.com", "192.0.2." + std::to_string(index));
  }
  dns_.A("s2.example.com", "198.51.100.1");
  const Texts found = Found(Sips("example.com"));
  EXPECT_EQ(found.size(), 5u);
  EXPECT_EQ(found.back(), "tls 198.51.100.1:5061");
}

TEST_F(ServerLocationTest, LocationsAreBounded) {
  for (int index = 1; index <= 20; ++index) {
    const std::string target = "s" + std::to_string(index) + ".example.com";
    dns_.Srv("_sips._tcp.example.com", 1, 1, 5061, target);
    dns_.A(target, "192.0.2." + std::to_string(index));
  }
  EXPECT_EQ(Found(Sips("example.com")).size(), LocationList::kLocationsMax);
  EXPECT_EQ(dns_.asked().size(), 2 + LocationList::kLocationsMax);
}

TEST_F(ServerLocationTest, OneAddressUnderTwoNamesIsTriedOnce) {
  dns_.Srv("_sips._tcp.example.com", 1, 1, 5061, "a.example.com");
  dns_.Srv("_sips._tcp.example.com", 2, 1, 5061, "b.example.com");
  dns_.A("a.example.com", "192.0.2.1");
  dns_.A("b.example.com", "192.0.2.1");
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.1:5061"});
}

TEST_F(ServerLocationTest, Rfc2782_TheRootAsTargetMeansNotAvailable) {
  dns_.Srv("_sips._tcp.example.com", 0, 0, 0, ".");
  dns_.A("example.com", "192.0.2.9");
  EXPECT_EQ(Failure(Sips("example.com")), LocationFailure::kNoUsableService);
  // Others are available.
  dns_.Srv("_sip._udp.example.com", 1, 1, 5080, "s3.example.com");
  dns_.A("s3.example.com", "192.0.2.3");
  EXPECT_EQ(Found(Request("example.com")), Texts{"udp 192.0.2.3:5080"});
}

TEST_F(ServerLocationTest, AddressesThatAreNoDestinationsAreIgnored) {
  for (const std::string_view address : {"0.0.0.0", "224.0.0.1", "255.255.255.255", "0.1.2.3"}) {
    dns_.A("odd.example", address);
    EXPECT_EQ(Failure(Request(address)), LocationFailure::kNoUsableService) << address;
  }
  for (const std::string_view address : {"::", "ff02::1", "::ffff:192.0.2.1"}) {
    dns_.Aaaa("odd.example", address);
    EXPECT_EQ(Failure(Request(address, kAll)), LocationFailure::kNoUsableService) << address;
  }
  LocationRequest request = Request("odd.example", kAll);
  request.port = 5060;
  EXPECT_EQ(Failure(request), LocationFailure::kNoSuchName);
}

// -- Failures have names.

TEST_F(ServerLocationTest, NamesThatDoNotExistFail) {
  EXPECT_EQ(Failure(Request("gone.example")), LocationFailure::kNoSuchName);
  EXPECT_EQ(Failure(Request("no such name")), LocationFailure::kNoSuchName);
  EXPECT_EQ(Failure(Request("")), LocationFailure::kNoSuchName);
}

TEST_F(ServerLocationTest, WhatWeCannotUseFails) {
  EXPECT_EQ(Failure(Request("example.com", {false, false, false, true, true})),
            LocationFailure::kNoUsableService);
  EXPECT_EQ(Failure(Sips("example.com", {false, true, true, true, true})),
            LocationFailure::kNoUsableService);
  LocationRequest request = Request("example.com", {true, false, false, true, true});
  request.transport = TransportProtocol::kUdp;
  EXPECT_EQ(Failure(request), LocationFailure::kNoUsableService);
  EXPECT_TRUE(dns_.asked().empty());
}

// An answer that could not be had is not an answer that there is nothing: no step further.
TEST_F(ServerLocationTest, SilenceAboutServicesDoesNotLeadOn) {
  dns_.A("example.com", "192.0.2.9");
  dns_.Status(DnsType::kSrv, "_sips._tcp.example.com", DnsStatus::kTimeout);
  EXPECT_EQ(Failure(Request("example.com")), LocationFailure::kTimeout);
  dns_.A("b.example", "192.0.2.9");
  dns_.Status(DnsType::kSrv, "_sips._tcp.b.example", DnsStatus::kServerFailure);
  EXPECT_EQ(Failure(Request("b.example")), LocationFailure::kServerFailure);
}

TEST_F(ServerLocationTest, AServerThatKnowsNoNaptrLeadsOn) {
  PublishSrv();
  dns_.Status(DnsType::kNaptr, "example.com", DnsStatus::kServerFailure);
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.1:5061"});
}

// -- A network that drops NAPTR.

TEST_F(ServerLocationTest, NaptrIsWaitedForOneSecondThenSrvIsAsked) {
  PublishSrv();
  ASSERT_EQ(Locate(Sips("example.com")).status, LocationStatus::kPending);
  Advance(absl::Milliseconds(990));
  EXPECT_EQ(dns_.TakeAsked(), Texts{"NAPTR example.com"});
  Advance(absl::Milliseconds(20));
  EXPECT_EQ(dns_.TakeAsked(), Texts{"SRV _sips._tcp.example.com"});
  dns_.AnswerOne(DnsType::kSrv, "_sips._tcp.example.com");
  EXPECT_TRUE(told_.empty());
  dns_.AnswerOne(DnsType::kA, "s1.example.com");
  EXPECT_EQ(told_[0].locations, Texts{"tls 192.0.2.1:5061"});
  EXPECT_EQ(locator_.pending(), 0u);
}

// Requests that come while the question is open wait for the rest of that second, later ones not at
// all.
TEST_F(ServerLocationTest, SilenceAboutNaptrCountsForAllAfterOneSecond) {
  PublishSrv();
  dns_.set_latency(absl::Milliseconds(10));
  dns_.Drop(DnsType::kNaptr);
  ASSERT_EQ(Locate(Sips("example.com"), 0).status, LocationStatus::kPending);
  Advance(absl::Milliseconds(600));
  ASSERT_EQ(Locate(Sips("example.com"), 1).status, LocationStatus::kPending);
  for (int i = 0; i < 50; ++i) Advance(absl::Milliseconds(10));
  EXPECT_EQ(told_[0].locations, Texts{"tls 192.0.2.1:5061"});
  EXPECT_EQ(told_[1].locations, Texts{"tls 192.0.2.1:5061"});
  EXPECT_EQ(Locate(Sips("example.com"), 2).status, LocationStatus::kReady);
}

// Goal: no call but the first waits, for as long as the name is called now and then; and what NAPTR
// says counts as soon as it can be heard again.
TEST_F(ServerLocationTest, SilenceAboutNaptrIsRememberedUntilItIsAnswered) {
  PublishSrv();
  dns_.set_latency(absl::Milliseconds(10));
  dns_.Drop(DnsType::kNaptr);
  LocationRequest request = Request("example.com");
  ASSERT_EQ(Locate(request).status, LocationStatus::kPending);
  for (int i = 0; i < 800; ++i) Advance(absl::Milliseconds(10));
  EXPECT_EQ(locator_.counters().of(DnsType::kNaptr, DnsLookup::kTimeout), 1u);
  const Texts guessed = told_[0].locations;
  ASSERT_EQ(guessed.size(), 3u);
  dns_.TakeAsked();
  for (int second = 0; second < 25; ++second) {
    EXPECT_EQ(Locate(request).status, LocationStatus::kReady) << second;
    Advance(absl::Seconds(1));
  }
  EXPECT_TRUE(dns_.TakeAsked().empty());  // NAPTR is not asked for each call.
  Advance(absl::Seconds(6));
  EXPECT_EQ(Locate(request).status, LocationStatus::kReady);
  EXPECT_EQ(dns_.TakeAsked(), Texts{"NAPTR example.com"});  // Asked again, not waited for.
  Advance(absl::Seconds(7));
  EXPECT_EQ(locator_.counters().of(DnsType::kNaptr, DnsLookup::kTimeout), 2u);

  dns_.DropNothing();
  PublishExample();
  dns_.Naptr("example.com", 1, 1, "SIP+D2U", "_sip._udp.example.com");
  Advance(absl::Seconds(31));
  told_.clear();
  static_cast<void>(Locate(request));
  for (int i = 0; i < 20; ++i) Advance(absl::Milliseconds(10));
  told_.clear();
  ASSERT_EQ(Locate(request).status, LocationStatus::kReady);
  EXPECT_EQ(TextsOf(list_.view())[0], "udp 192.0.2.3:5080");
}

TEST_F(ServerLocationTest, NaptrThatComesLateCountsWhileSrvIsAwaited) {
  PublishSrv();
  dns_.Naptr("example.com", 50, 50, "SIPS+D2T", "_sips._tcp.other.example");
  dns_.Srv("_sips._tcp.other.example", 0, 1, 5061, "s9.example.com");
  dns_.A("s9.example.com", "192.0.2.9");
  ASSERT_EQ(Locate(Sips("example.com")).status, LocationStatus::kPending);
  Advance(absl::Milliseconds(1'100));
  dns_.AnswerOne(DnsType::kNaptr, "example.com");
  dns_.AnswerOne(DnsType::kSrv, "_sips._tcp.other.example");
  dns_.AnswerOne(DnsType::kA, "s9.example.com");
  EXPECT_EQ(told_[0].locations, Texts{"tls 192.0.2.9:5061"});
}

// SRV is silent, too: that is said, and no address is guessed.
TEST_F(ServerLocationTest, SilenceAboutEverythingIsATimeout) {
  dns_.A("example.com", "192.0.2.9");
  dns_.Status(DnsType::kNaptr, "example.com", DnsStatus::kTimeout);
  dns_.Status(DnsType::kSrv, "_sips._tcp.example.com", DnsStatus::kTimeout);
  EXPECT_EQ(Failure(Sips("example.com")), LocationFailure::kTimeout);
}

// For sips, silence about NAPTR opens no way but TLS.
TEST_F(ServerLocationTest, SilenceAboutNaptrDoesNotWeakenSips) {
  dns_.Srv("_sip._udp.example.com", 0, 1, 5080, "s3.example.com");
  dns_.A("s3.example.com", "192.0.2.3");
  dns_.A("example.com", "192.0.2.9");
  dns_.Status(DnsType::kNaptr, "example.com", DnsStatus::kTimeout);
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.9:5061"});
}

// -- Waiting.

TEST_F(ServerLocationTest, WhatIsKnownIsReadyAtOnce) {
  PublishExample();
  const Texts waited = Found(Request("Example.COM."));
  const size_t asked = dns_.asked().size();
  ASSERT_EQ(Locate(Request("example.com")).status, LocationStatus::kReady);
  EXPECT_EQ(TextsOf(list_.view()), waited);
  EXPECT_EQ(dns_.asked().size(), asked);
  EXPECT_EQ(locator_.counters().of(DnsType::kNaptr, DnsLookup::kCached), 1u);
  EXPECT_EQ(locator_.counters().of(DnsType::kSrv, DnsLookup::kCached), 3u);
}

TEST_F(ServerLocationTest, AnswersAreAskedForAgainWhenTheyHoldNoLonger) {
  dns_.A("example.com", "192.0.2.9", 20);
  LocationRequest request = Request("example.com");
  request.port = 5060;
  EXPECT_EQ(Found(request), Texts{"udp 192.0.2.9:5060"});
  dns_.Forget(DnsType::kA, "example.com");
  dns_.A("example.com", "192.0.2.10", 20);
  Advance(absl::Seconds(19));
  EXPECT_EQ(Found(request), Texts{"udp 192.0.2.9:5060"});
  Advance(absl::Seconds(1));
  EXPECT_EQ(Found(request), Texts{"udp 192.0.2.10:5060"});
}

TEST_F(ServerLocationTest, ThatThereIsNothingIsRemembered) {
  dns_.Status(DnsType::kA, "example.com", DnsStatus::kNoName, 10);
  LocationRequest request = Request("example.com");
  request.port = 5060;
  EXPECT_EQ(Failure(request), LocationFailure::kNoSuchName);
  Advance(absl::Seconds(9));
  const LocationOutcome outcome = Locate(request);
  EXPECT_EQ(outcome.status, LocationStatus::kFailed);
  EXPECT_EQ(outcome.failure, LocationFailure::kNoSuchName);
  EXPECT_EQ(dns_.asked().size(), 1u);
}

TEST_F(ServerLocationTest, ADeadServerIsNotAskedForEveryRequest) {
  dns_.Status(DnsType::kSrv, "_sips._tcp.example.com", DnsStatus::kTimeout);
  LocationRequest wanted = Request("example.com");
  wanted.transport = TransportProtocol::kTls;
  for (int request = 0; request < 10; ++request) {
    EXPECT_EQ(Failure(wanted), LocationFailure::kTimeout);
  }
  EXPECT_EQ(dns_.asked().size(), 1u);
  Advance(absl::Seconds(1));
  EXPECT_EQ(Failure(wanted), LocationFailure::kTimeout);
  EXPECT_EQ(dns_.asked().size(), 2u);
}

// Goal: an answer that holds shorter than the next question takes is still used by those who waited
// for it, and nothing is asked in circles.
TEST_F(ServerLocationTest, AShortTtlDoesNotGoInCircles) {
  PublishSrv();
  dns_.Status(DnsType::kNaptr, "example.com", DnsStatus::kNoData, 0);
  ASSERT_EQ(Locate(Sips("example.com")).status, LocationStatus::kPending);
  while (dns_.outstanding() > 0) {
    dns_.AnswerOnce();
    Advance(absl::Seconds(2));
  }
  EXPECT_EQ(told_[0].locations, Texts{"tls 192.0.2.1:5061"});
  EXPECT_EQ(dns_.asked().size(), 3u);
}

TEST_F(ServerLocationTest, EqualQuestionsAreAskedOnce) {
  PublishExample();
  for (uint32_t slot = 0; slot < 8; ++slot) {
    ASSERT_EQ(Locate(Sips("example.com"), slot).status, LocationStatus::kPending);
  }
  dns_.AnswerAll();
  EXPECT_EQ(dns_.asked().size(), 3u);
  EXPECT_EQ(told_.size(), 8u);
  EXPECT_EQ(locator_.pending(), 0u);
}

TEST_F(ServerLocationTest, RequestsThatWaitAreBounded) {
  PublishExample();
  for (uint32_t slot = 0; slot < 8; ++slot) {
    ASSERT_EQ(Locate(Sips("example.com"), slot).status, LocationStatus::kPending);
  }
  const LocationOutcome outcome = Locate(Sips("example.com"), 8);
  EXPECT_EQ(outcome.status, LocationStatus::kFailed);
  EXPECT_EQ(outcome.failure, LocationFailure::kTooManyPending);
  dns_.AnswerAll();
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.1:5061"});
}

TEST_F(ServerLocationTest, QuestionsAreBounded) {
  dns_.set_questions_max(0);
  EXPECT_EQ(Failure(Sips("example.com")), LocationFailure::kTooManyPending);
  EXPECT_EQ(locator_.pending(), 0u);
  dns_.set_questions_max(100);
  PublishExample();
  EXPECT_EQ(Found(Sips("example.com")), Texts{"tls 192.0.2.1:5061"});
}

TEST_F(ServerLocationTest, ACookieWhoseOwnerIsGoneFindsNobody) {
  PublishExample();
  ASSERT_EQ(Locate(Sips("example.com"), 3, 1).status, LocationStatus::kPending);
  live_generation_[3] = 2;
  ASSERT_EQ(Locate(Sips("example.com"), 3, 2).status, LocationStatus::kPending);
  dns_.AnswerAll();
  EXPECT_EQ(stale_, 1);
  EXPECT_EQ(told_[3].locations, Texts{"tls 192.0.2.1:5061"});
}

TEST_F(ServerLocationTest, StragglersAreWaitedForShortly) {
  dns_.Srv("_sips._tcp.example.com", 1, 1, 5061, "s1.example.com");
  dns_.Srv("_sips._tcp.example.com", 2, 1, 5061, "s2.example.com");
  dns_.A("s1.example.com", "192.0.2.1");
  dns_.A("s2.example.com", "192.0.2.2");
  LocationRequest request = Sips("example.com");
  request.transport = TransportProtocol::kTls;
  ASSERT_EQ(Locate(request).status, LocationStatus::kPending);
  dns_.AnswerOne(DnsType::kSrv, "_sips._tcp.example.com");
  // The second one alone is not enough: the first one must be tried first.
  dns_.AnswerOne(DnsType::kA, "s2.example.com");
  Advance(absl::Seconds(5));
  EXPECT_TRUE(told_.empty());
  dns_.AnswerOne(DnsType::kA, "s1.example.com");
  EXPECT_EQ(told_[0].locations, (Texts{"tls 192.0.2.1:5061", "tls 192.0.2.2:5061"}));

  Advance(absl::Minutes(2));
  told_.clear();
  ASSERT_EQ(Locate(request).status, LocationStatus::kPending);
  dns_.AnswerOne(DnsType::kSrv, "_sips._tcp.example.com");
  dns_.AnswerOne(DnsType::kA, "s1.example.com");
  Advance(absl::Milliseconds(190));
  EXPECT_TRUE(told_.empty());
  Advance(absl::Milliseconds(20));
  EXPECT_EQ(told_[0].locations, Texts{"tls 192.0.2.1:5061"});
}

TEST_F(ServerLocationTest, NobodyWaitsForEver) {
  PublishExample();
  ASSERT_EQ(Locate(Sips("example.com")).status, LocationStatus::kPending);
  Advance(absl::Milliseconds(9'900));
  EXPECT_TRUE(told_.empty());
  Advance(absl::Milliseconds(200));
  EXPECT_EQ(told_[0].failure, LocationFailure::kTimeout);
  EXPECT_EQ(locator_.pending(), 0u);
  dns_.AnswerAll();  // Late, and for the next one.
  EXPECT_EQ(told_.size(), 1u);
}

}  // namespace
}  // namespace sallyport::sip
