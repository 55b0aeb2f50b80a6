#include "sip/proxy/hop_token.h"

#include <algorithm>
#include <span>

#include "sip/proxy/octets.h"

namespace sallyport::sip {

HopTokenSigner::HopTokenSigner(const tls::Secret& secret)
    : seal_(secret, tls::kHopTokenLabel, TokenKind::kHop) {}

size_t HopTokenSigner::Write(uint32_t next_hop, const TransportAddress& member,
                             std::string_view identity, char* out) const {
  if (identity.size() > HopToken::kIdentityBytesMax) return 0;
  std::array<uint8_t, kFieldBytesMax> fields;
  OctetWriter writer(fields);
  writer.AddNumber(next_hop, 4);
  if (next_hop != 0) WriteTransportAddress(member, false, writer);
  writer.Add({reinterpret_cast<const uint8_t*>(identity.data()), identity.size()});
  seal_.Write(writer.written(), {}, out);
  return TokenSeal::TextBytes(writer.written().size());
}

bool HopTokenSigner::Read(std::string_view text, HopToken& token) const {
  std::array<uint8_t, TokenSeal::kFieldBytesMax> fields;
  const std::optional<size_t> size = seal_.Read(text, {}, fields);
  if (!size.has_value()) return false;
  OctetReader reader(std::span<const uint8_t>(fields).first(*size));
  token.next_hop = static_cast<uint32_t>(reader.Number(4));
  token.member = {};
  if (token.next_hop != 0) {
    bool unused = false;
    const auto member = ReadTransportAddress(reader, unused);
    if (!member.has_value()) return false;
    token.member = *member;
  }
  const std::span<const uint8_t> identity = reader.rest();
  if (!reader.complete() || identity.size() > HopToken::kIdentityBytesMax) return false;
  token.identity_bytes = static_cast<uint8_t>(identity.size());
  std::copy(identity.begin(), identity.end(), token.identity_text.begin());
  return true;
}

}  // namespace sallyport::sip
