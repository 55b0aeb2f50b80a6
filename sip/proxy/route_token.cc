#include "sip/proxy/route_token.h"

#include <algorithm>
#include <array>

#include "core/check.h"
#include "sip/proxy/octets.h"
#include "sip/proxy/transport_address.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

uint32_t NextHopNameHash(std::string_view name) {
  const std::array<uint8_t, 32> digest = tls::Sha256(std::as_bytes(std::span(name)));
  const auto hash = static_cast<uint32_t>(OctetReader(digest).Number(4));
  return hash == 0 ? 1 : hash;
}

RouteTokenSigner::RouteTokenSigner(const tls::Secret& secret)
    : seal_(secret, tls::kRecordRouteLabel, TokenKind::kInsideTarget) {}

size_t RouteTokenSigner::Write(const InsideTarget& target, char* out) const {
  std::array<uint8_t, kFieldBytesMax> fields;
  OctetWriter writer(fields);
  writer.AddNumber(target.next_hop, 4);
  WriteTransportAddress(target.where(), target.secure, writer);
  DCHECK(writer.fits());
  seal_.Write(writer.written(), {}, out);
  return TokenSeal::TextBytes(writer.written().size());
}

std::optional<InsideTarget> RouteTokenSigner::Read(std::string_view text) const {
  std::array<uint8_t, TokenSeal::kFieldBytesMax> fields;
  const std::optional<size_t> size = seal_.Read(text, {}, fields);
  if (!size.has_value()) return std::nullopt;
  OctetReader reader({fields.data(), *size});
  InsideTarget target;
  target.next_hop = static_cast<uint32_t>(reader.Number(4));
  const auto read = ReadTransportAddress(reader, target.secure);
  if (!read.has_value() || !reader.exhausted()) return std::nullopt;
  target.transport = read->transport;
  target.address = read->address;
  target.identity = read->identity;
  return target;
}

}  // namespace sallyport::sip
