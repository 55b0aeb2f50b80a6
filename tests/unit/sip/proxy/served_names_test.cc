#include "sip/proxy/served_names.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

using test::ParsedUri;

core::SocketAddress Address(std::string_view text) { return *core::SocketAddress::Parse(text); }

// "edge.example" is both a domain and the name of both zones' listeners; "shared.example:5090" is
// a name of two zones.
ServedNames Names() {
  return ServedNames({"edge.example", "voice.example", "192.0.2.7", "[2001:db8::10]"},
                     {{"edge.example", 5061, Zone::kOutside},
                      {"edge.example", 5070, Zone::kInside},
                      {"core.example", 5070, Zone::kInside},
                      {"shared.example", 5090, Zone::kOutside},
                      {"shared.example", 5090, Zone::kInside},
                      {"192.0.2.1", 5071, Zone::kOutside},
                      {"192.0.2.1", 5072, Zone::kInside},
                      {"[2001:db8::1]", 5072, Zone::kInside}},
                     {{Address("10.0.0.1:5061"), Zone::kOutside},
                      {Address("10.0.0.1:5070"), Zone::kInside},
                      {Address("[2001:db8::2]:5060"), Zone::kInside},
                      {Address("127.0.0.1:5060"), Zone::kInside}});
}

bool Serves(std::string_view uri, Zone from) { return Names().Serves(ParsedUri(uri), from); }
bool IsEdgeHost(std::string_view uri, Zone from) {
  return Names().IsEdgeHost(ParsedUri(uri), from);
}
bool IsOwnRoute(std::string_view uri, Zone from) {
  return Names().IsOwnRoute(ParsedUri(uri), from);
}

// Our Record-Route URIs have a token for a user; a request *for* the edge has none.
TEST(ServedNamesTest, EdgeHostIsTheEdgeWhateverTheUser) {
  for (const Zone from : {Zone::kOutside, Zone::kInside}) {
    for (const char* uri :
         {"sip:token@edge.example:5061;lr", "sips:token@EDGE.example", "sip:edge.example",
          "sip:token@192.0.2.1:5071;lr", "sip:x@shared.example:5090", "sip:x@10.0.0.1:5061"}) {
      EXPECT_TRUE(IsEdgeHost(uri, from)) << uri;
      EXPECT_TRUE(IsOwnRoute(uri, from)) << uri;
    }
    for (const char* uri : {"sip:token@edge.example:5062", "sip:token@voice.example:5061",
                            "sip:token@other.example", "tel:+1900", "mailto:x@edge.example"}) {
      EXPECT_FALSE(IsEdgeHost(uri, from)) << uri;
      EXPECT_FALSE(IsOwnRoute(uri, from)) << uri;
    }
    EXPECT_FALSE(IsEdgeHost("sip:token@voice.example", from));
    EXPECT_TRUE(IsOwnRoute("sip:token@voice.example", from));
    EXPECT_TRUE(Names().IsOwnAddress("192.0.2.1", 5071, from));
    EXPECT_TRUE(Names().IsOwnAddress("voice.example", 0, from));
    EXPECT_FALSE(Names().IsOwnAddress("voice.example", 5061, from));
  }
}

// Goal: no request from outside is sent to a listener of the inside. Method: each way to name one.
TEST(ServedNamesTest, NamesOfInsideListenersAloneAreNothingForTheOutside) {
  for (const char* uri :
       {"sip:bob@edge.example:5070", "sip:bob@core.example:5070", "sip:bob@192.0.2.1:5072",
        "sip:bob@[2001:DB8:0::1]:5072", "sip:bob@10.0.0.1:5070", "sip:bob@[2001:db8:0::2]:5060",
        "sip:bob@127.0.0.1:5060", "sips:bob@edge.example:5070;transport=tcp",
        "sip:edge.example:5070"}) {
    EXPECT_FALSE(Serves(uri, Zone::kOutside)) << uri;
    EXPECT_FALSE(IsEdgeHost(uri, Zone::kOutside)) << uri;
    EXPECT_FALSE(IsOwnRoute(uri, Zone::kOutside)) << uri;
    EXPECT_TRUE(IsEdgeHost(uri, Zone::kInside)) << uri;
    EXPECT_TRUE(IsOwnRoute(uri, Zone::kInside)) << uri;
  }
  EXPECT_FALSE(Serves("sip:bob@core.example", Zone::kOutside));
  EXPECT_TRUE(Serves("sip:bob@core.example", Zone::kInside));
  EXPECT_TRUE(Serves("sip:bob@edge.example:5070", Zone::kInside));
  EXPECT_FALSE(Names().IsOwnAddress("core.example", 5070, Zone::kOutside));
  EXPECT_FALSE(Names().IsOwnAddress("core.example", 0, Zone::kOutside));
  EXPECT_TRUE(Names().IsOwnAddress("core.example", 5070, Zone::kInside));
}

TEST(ServedNamesTest, NameThatAnOutsideListenerHasTooIsKnownOutside) {
  for (const char* uri : {"sip:bob@shared.example:5090", "sip:bob@shared.example"}) {
    EXPECT_TRUE(Serves(uri, Zone::kOutside)) << uri;
    EXPECT_TRUE(IsEdgeHost(uri, Zone::kOutside)) << uri;
    EXPECT_TRUE(IsOwnRoute(uri, Zone::kOutside)) << uri;
  }
}

// The domain is served wherever the inside listens, and at any other port.
TEST(ServedNamesTest, DomainIsServedWithoutAPortAndAtPortsThatAreNobodys) {
  for (const Zone from : {Zone::kOutside, Zone::kInside}) {
    for (const char* uri :
         {"sip:bob@edge.example", "sip:bob@edge.example:5061", "sip:bob@voice.example",
          "sip:bob@voice.example:9", "sip:bob@EDGE.example.", "sip:bob@[2001:DB8:0::0010]:5070",
          "sip:bob@192.0.2.7", "sips:bob@edge.example:9"}) {
      EXPECT_TRUE(Serves(uri, from)) << uri;
    }
    for (const char* uri :
         {"sip:bob@other.example", "sip:bob@sub.edge.example", "sip:bob@edge.example.com",
          "sip:bob@192.0.2.8", "tel:+1900", "sip:edge.example@other.example"}) {
      EXPECT_FALSE(Serves(uri, from)) << uri;
    }
  }
}

TEST(ServedNamesTest, AddressWithoutAPortIsTheStandardOne) {
  EXPECT_TRUE(IsEdgeHost("sip:127.0.0.1", Zone::kInside));
  EXPECT_FALSE(IsEdgeHost("sip:127.0.0.1;transport=tls", Zone::kInside));
  EXPECT_FALSE(IsEdgeHost("sips:127.0.0.1", Zone::kInside));
  EXPECT_TRUE(IsEdgeHost("sips:10.0.0.1", Zone::kInside));
  EXPECT_TRUE(IsEdgeHost("sip:10.0.0.1;transport=tls", Zone::kOutside));
  EXPECT_FALSE(IsEdgeHost("sip:10.0.0.1", Zone::kInside));
}

// Host and effective port: a PBX may share our address.
TEST(ServedNamesTest, UriLeadsToUsByADomainOrByHostAndEffectivePort) {
  const auto leads = [](std::string_view uri) { return Names().LeadsToUs(ParsedUri(uri)); };
  for (const char* uri :
       {"sip:x@edge.example", "sip:x@EDGE.example.:9", "sip:voice.example", "sip:x@192.0.2.7:9",
        "sip:x@192.0.2.1:5071", "sip:x@192.0.2.1:5072", "sip:x@core.example:5070",
        "sip:x@[2001:DB8:0::1]:5072", "sip:x@10.0.0.1:5061", "sips:x@10.0.0.1",
        "sip:x@10.0.0.1;transport=tls", "sip:x@10.0.0.1:5070", "sip:x@127.0.0.1"}) {
    EXPECT_TRUE(leads(uri)) << uri;
  }
  for (const char* uri :
       {"sip:x@core.example", "sip:x@core.example:9", "sip:x@192.0.2.1", "sip:x@192.0.2.1:9",
        "sip:x@10.0.0.1", "sip:x@10.0.0.1:9", "sips:x@127.0.0.1", "sip:x@127.0.0.1;transport=tls",
        "sip:x@other.example", "sip:edge.example@other.example", "tel:+1900"}) {
    EXPECT_FALSE(leads(uri)) << uri;
  }
}

TEST(ServedNamesTest, ListeningAndOwnHostKnowEveryZone) {
  const ServedNames names = Names();
  for (const char* text : {"10.0.0.1:5061", "10.0.0.1:5070", "[::ffff:10.0.0.1]:5070",
                           "[2001:db8::2]:5060", "127.0.0.1:5060"}) {
    EXPECT_TRUE(names.IsListeningOn(Address(text))) << text;
    EXPECT_TRUE(names.IsOwnHost(Address(text))) << text;
    EXPECT_FALSE(names.IsListeningOn(Address(text).WithPort(9))) << text;
    EXPECT_TRUE(names.IsOwnHost(Address(text).WithPort(9))) << text;
  }
  EXPECT_FALSE(names.IsOwnHost(Address("10.0.0.2:5061")));
  EXPECT_FALSE(names.IsListeningOn(Address("[::ffff:10.0.0.2]:5061")));
}

}  // namespace
}  // namespace sallyport::sip
