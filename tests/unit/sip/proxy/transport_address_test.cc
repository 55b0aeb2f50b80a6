#include "sip/proxy/transport_address.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

std::vector<TransportAddress> Targets() {
  std::vector<TransportAddress> targets;
  for (const char* address :
       {"192.0.2.1:5060", "192.0.2.2:5060", "192.0.2.1:5061", "0.0.0.0:0", "255.255.255.255:65535",
        "[2001:db8::1]:5060", "[2001:db8::2]:5060", "[2001:db8::1]:5061", "[fe80::1%2]:5060",
        "[fe80::1%3]:5060", "[::ffff:192.0.2.1]:5060"}) {
    for (const auto transport :
         {TransportProtocol::kUdp, TransportProtocol::kTcp, TransportProtocol::kTls}) {
      targets.push_back(test::TargetOf(transport, address));
    }
    targets.push_back(test::TargetOf(TransportProtocol::kTls, address));
    targets.back().identity = IdentityHash("sip.example");
  }
  return targets;
}

std::string Octets(const TransportAddress& target, bool flag) {
  std::array<uint8_t, TransportAddress::kOctetsMax> room;
  OctetWriter writer(room);
  WriteTransportAddress(target, flag, writer);
  EXPECT_TRUE(writer.fits());
  return std::string(writer.written().begin(), writer.written().end());
}

TEST(TransportAddressTest, ReadsBackWhatItWroteAndNoTwoAreAlike) {
  std::set<std::string> seen;
  for (const TransportAddress& target : Targets()) {
    for (const bool flag : {false, true}) {
      const std::string octets = Octets(target, flag);
      EXPECT_TRUE(seen.insert(octets).second) << target.address.ToString();
      OctetReader reader({reinterpret_cast<const uint8_t*>(octets.data()), octets.size()});
      bool read_flag = !flag;
      EXPECT_EQ(ReadTransportAddress(reader, read_flag), target) << target.address.ToString();
      EXPECT_EQ(read_flag, flag);
      EXPECT_TRUE(reader.exhausted());
    }
  }
}

TEST(TransportAddressTest, MissingOctetsAreToldByTheReader) {
  for (const TransportAddress& target : Targets()) {
    const std::string octets = Octets(target, false);
    for (size_t size = 0; size < octets.size(); ++size) {
      OctetReader reader({reinterpret_cast<const uint8_t*>(octets.data()), size});
      bool flag = false;
      static_cast<void>(ReadTransportAddress(reader, flag));
      EXPECT_FALSE(reader.complete()) << size;
    }
  }
}

TEST(TransportAddressTest, AnotherTransportIsNone) {
  const std::array<uint8_t, 32> octets{3};
  OctetReader reader(octets);
  bool flag = false;
  EXPECT_EQ(ReadTransportAddress(reader, flag), std::nullopt);
}

TEST(TransportAddressTest, IdentityOfNothingIsZero) {
  EXPECT_EQ(IdentityHash(""), 0);
  EXPECT_EQ(IdentityHash("a.example"), IdentityHash("a.example"));
  EXPECT_NE(IdentityHash("a.example"), IdentityHash("b.example"));
}

}  // namespace
}  // namespace sallyport::sip
