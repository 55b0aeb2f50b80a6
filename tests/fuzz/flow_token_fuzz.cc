// Flow tokens and inside-target tokens. Any text: what is accepted is what the signer writes for
// it. Any fields: they read back. Any one octet changed in a token that we wrote: forged. The first
// byte chooses; the rest is the text, or fields and the change.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "sip/proxy/flow_token.h"
#include "sip/proxy/octets.h"
#include "sip/proxy/route_token.h"

namespace sallyport::sip {
namespace {

using Outcome = FlowTokenSigner::Outcome;

const tls::Secret& FuzzSecret() {
  static const tls::Secret secret = *tls::Secret::Parse(
      "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
      "ffeeddccbbaa99887766554433221100f0e0d0c0b0a090807060504030201000",
      "fuzz");
  return secret;
}

const FlowTokenSigner& Flows() {
  static const FlowTokenSigner signer(FuzzSecret(), "edge-1", 1);
  return signer;
}

const RouteTokenSigner& Routes() {
  static const RouteTokenSigner signer(FuzzSecret());
  return signer;
}

std::string Write(const FlowToken& token) {
  std::string text(FlowTokenSigner::kTextBytes, '\0');
  Flows().Write(token, text.data());
  return text;
}

std::string Write(const InsideTarget& target) {
  std::string text(RouteTokenSigner::kTextBytesMax, '\0');
  text.resize(Routes().Write(target, text.data()));
  return text;
}

void CheckText(std::string_view text) {
  FlowToken flow;
  if (Flows().Read(text, flow) == Outcome::kOk) CHECK(Write(flow) == text);
  if (const auto target = Routes().Read(text)) CHECK(Write(*target) == text);
  std::array<uint8_t, 512> octets;
  if (const auto size = ReadBase64Url(text, octets)) {
    std::string again(Base64UrlBytes(*size), '\0');
    WriteBase64Url(std::span(octets).first(*size), again.data());
    CHECK(again == text);
  }
}

// Another octet at a place of the input's choice.
std::string Changed(std::string text, OctetReader& in) {
  const size_t at = in.Number(1) % text.size();
  const auto c = static_cast<char>(in.Number(1));
  text[at] = text[at] == c ? static_cast<char>(c ^ 1) : c;
  return text;
}

void CheckFlow(OctetReader in) {
  FlowToken token;
  token.shard = static_cast<uint8_t>(in.Number(1));
  token.connection.slot = static_cast<uint32_t>(in.Number(4));
  token.connection.generation = static_cast<uint32_t>(in.Number(4));
  token.listener = static_cast<uint8_t>(in.Number(1));
  token.peer_key = in.Number(8);
  token.falls_back = (in.Number(1) & 1) != 0;
  const std::string text = Write(token);
  FlowToken read;
  CHECK(Flows().Read(text, read) == Outcome::kOk && read == token);
  CHECK(!Routes().Read(text).has_value());
  CHECK(Flows().Read(Changed(text, in), read) == Outcome::kForged);
}

void CheckTarget(OctetReader in) {
  InsideTarget target;
  target.transport = static_cast<TransportProtocol>(in.Number(1) % 3);
  target.secure = (in.Number(1) & 1) != 0;
  target.next_hop = static_cast<uint32_t>(in.Number(4));
  const auto port = static_cast<uint16_t>(in.Number(2));
  std::array<uint8_t, 4> ipv4{};
  std::array<uint8_t, 16> ipv6{};
  if ((in.Number(1) & 1) != 0) {
    std::ranges::copy(in.Take(ipv4.size()), ipv4.begin());
    target.address = core::SocketAddress::Ipv4(ipv4, port);
  } else {
    std::ranges::copy(in.Take(ipv6.size()), ipv6.begin());
    target.address = core::SocketAddress::Ipv6(ipv6, port, static_cast<uint32_t>(in.Number(4)));
  }
  const std::string text = Write(target);
  CHECK(Routes().Read(text) == target);
  FlowToken read;
  CHECK(Flows().Read(text, read) == Outcome::kForged);
  CHECK(!Routes().Read(Changed(text, in)).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A heap copy of exactly this size: the sanitizer sees a read beyond it.
  const std::string copy(reinterpret_cast<const char*>(data) + 1, size - 1);
  const OctetReader fields({reinterpret_cast<const uint8_t*>(copy.data()), copy.size()});
  switch (data[0] % 3) {
    case 0:
      CheckText(copy);
      break;
    case 1:
      CheckFlow(fields);
      break;
    case 2:
      CheckTarget(fields);
      break;
  }
  return 0;
}

}  // namespace sallyport::sip
