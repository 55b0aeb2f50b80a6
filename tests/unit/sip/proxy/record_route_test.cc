#include "sip/proxy/record_route.h"

#include <gtest/gtest.h>

#include <string>

#include "sip/message/name_addr.h"

namespace sallyport::sip {
namespace {

template <typename Write>
std::string Written(const Write& write) {
  std::string room(2048, '\0');
  const size_t size = write(std::span<char>(room));
  room.resize(size);
  // It fits exactly, and not in less.
  std::string exact(size, '\0');
  EXPECT_EQ(write(std::span<char>(exact)), size);
  EXPECT_EQ(exact, room);
  for (size_t less = 0; less < size; ++less) {
    EXPECT_EQ(write(std::span<char>(exact).first(less)), 0U) << less;
  }
  return room;
}

std::string RecordRoute(const RecordRouteUri& uri) {
  return Written([&](std::span<char> out) { return WriteRecordRoute(uri, out); });
}

TEST(RecordRouteTest, Rfc3261_16_6_4_UriIsLooseAndNamesTheTransport) {
  EXPECT_EQ(
      RecordRoute({.host = "edge.example", .port = 5060, .transport = TransportProtocol::kUdp}),
      "Record-Route: <sip:edge.example:5060;lr>\r\n");
  EXPECT_EQ(RecordRoute({.user = "token",
                         .host = "[2001:db8::1]",
                         .port = 65535,
                         .transport = TransportProtocol::kTcp}),
            "Record-Route: <sip:token@[2001:db8::1]:65535;transport=tcp;lr>\r\n");
  EXPECT_EQ(RecordRoute({.user = "token",
                         .host = "edge.example",
                         .port = 5061,
                         .transport = TransportProtocol::kTls,
                         .dialog_token = "abc"}),
            "Record-Route: <sip:token@edge.example:5061;transport=tls;lr;dt=abc>\r\n");
}

TEST(RecordRouteTest, Rfc3261_16_6_4_SipsStaysSips) {
  EXPECT_EQ(RecordRoute({.sips = true, .user = "token", .host = "edge.example", .port = 5061}),
            "Record-Route: <sips:token@edge.example:5061;lr>\r\n");
  for (const auto transport : {TransportProtocol::kTcp, TransportProtocol::kUdp}) {
    EXPECT_EQ(
        RecordRoute({.sips = true, .host = "edge.example", .port = 5060, .transport = transport}),
        "");
  }
}

TEST(RecordRouteTest, Rfc5658_3_2_EgressSideIsOnTop) {
  const RecordRouteUri egress{
      .user = "in", .host = "edge.example", .port = 5070, .transport = TransportProtocol::kUdp};
  const RecordRouteUri ingress{.user = "out", .host = "edge.example", .port = 5061};
  EXPECT_EQ(Written([&](std::span<char> out) { return WriteRecordRoutes(egress, ingress, out); }),
            "Record-Route: <sip:in@edge.example:5070;lr>\r\n"
            "Record-Route: <sip:out@edge.example:5061;transport=tls;lr>\r\n");
}

TEST(RecordRouteTest, Rfc5626_5_1_PathCarriesTokenAndOb) {
  const RecordRouteUri uri{.user = "token", .host = "edge.example", .port = 5061, .ob = true};
  EXPECT_EQ(Written([&](std::span<char> out) { return WritePath(uri, out); }),
            "Path: <sip:token@edge.example:5061;transport=tls;lr;ob>\r\n");
}

TEST(RecordRouteTest, WhatItWritesIsANameAddr) {
  const std::string line = RecordRoute({.user = "AZaz09-_",
                                        .host = "edge.example",
                                        .port = 5061,
                                        .dialog_token = "AZaz09-_",
                                        .ob = true});
  NameAddr address;
  ASSERT_EQ(ParseNameAddr(std::string_view(line).substr(14, line.size() - 16), address),
            NameAddrOutcome::kOk);
  EXPECT_EQ(address.uri.user, "AZaz09-_");
  EXPECT_EQ(address.uri.port, 5061);
  EXPECT_EQ(address.uri.params, ";transport=tls;lr;ob;dt=AZaz09-_");
}

}  // namespace
}  // namespace sallyport::sip
