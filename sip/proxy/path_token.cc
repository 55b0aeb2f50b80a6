#include "sip/proxy/path_token.h"

#include <array>
#include <span>

#include "core/check.h"
#include "sip/proxy/octets.h"

namespace sallyport::sip {

PathTokenSigner::PathTokenSigner(const tls::Secret& secret)
    : seal_(secret, tls::kPathTokenLabel, TokenKind::kPath) {}

size_t PathTokenSigner::Write(const PathToken& token, char* out) const {
  std::array<uint8_t, kFieldBytesMax> fields;
  OctetWriter writer(fields);
  WriteFlowRef(token.flow, writer);
  writer.AddNumber(static_cast<uint8_t>(token.party.kind), 1);
  writer.AddNumber(token.party.key_id, 1);
  writer.AddNumber(token.party.hash, 8);
  const std::string_view domain = token.party.domain.view();
  writer.Add({reinterpret_cast<const uint8_t*>(domain.data()), domain.size()});
  CHECK(writer.fits());
  seal_.Write(writer.written(), {}, out);
  return TokenSeal::TextBytes(writer.written().size());
}

std::optional<PathToken> PathTokenSigner::Read(std::string_view text) const {
  std::array<uint8_t, TokenSeal::kFieldBytesMax> fields;
  const std::optional<size_t> size = seal_.Read(text, {}, fields);
  if (!size.has_value()) return std::nullopt;
  OctetReader reader({fields.data(), *size});
  PathToken token;
  token.flow = ReadFlowRef(reader);
  token.party.kind = static_cast<PartyKind>(reader.Number(1));
  token.party.key_id = static_cast<uint8_t>(reader.Number(1));
  token.party.hash = reader.Number(8);
  const std::span<const uint8_t> domain = reader.rest();
  if (!reader.complete() || domain.size() > PartyDomain::kBytesMax) return std::nullopt;
  token.party.domain = PartyDomain({reinterpret_cast<const char*>(domain.data()), domain.size()});
  return token;
}

}  // namespace sallyport::sip
