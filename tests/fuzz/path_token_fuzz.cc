// Path tokens. Any text: what is accepted is what the signer writes for it. Any fields: they read
// back. Any one octet changed in a token that we wrote: forged. The first byte chooses; the rest is
// the text, or fields and the change.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "sip/proxy/base64url.h"
#include "sip/proxy/octets.h"
#include "sip/proxy/path_token.h"
#include "tests/support/signed_lines.h"

namespace sallyport::sip {
namespace {

const PathTokenSigner& Signer() {
  static const PathTokenSigner signer(test::SecretOf(test::kOldKey));
  return signer;
}

std::string Write(const PathToken& token) {
  std::string text(PathTokenSigner::kTextBytesMax, '\0');
  text.resize(Signer().Write(token, text.data()));
  return text;
}

void CheckText(std::string_view text) {
  if (const auto token = Signer().Read(text)) {
    CHECK(Write(*token) == text && LooksLikeToken(text, TokenKind::kPath));
  }
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

void CheckFields(OctetReader in) {
  PathToken token;
  token.flow = ReadFlowRef(in);
  token.party.kind = static_cast<PartyKind>(in.Number(1) % 3);
  token.party.key_id = static_cast<uint8_t>(in.Number(1));
  token.party.hash = in.Number(8);
  const std::span<const uint8_t> domain = in.Take(in.Number(1) % (PartyDomain::kBytesMax + 1));
  token.party.domain = PartyDomain({reinterpret_cast<const char*>(domain.data()), domain.size()});
  const std::string text = Write(token);
  CHECK(Signer().Read(text) == token && LooksLikeToken(text, TokenKind::kPath));
  CHECK(!Signer().Read(Changed(text, in)).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A heap copy of exactly this size: the sanitizer sees a read beyond it.
  const std::string copy(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    CheckText(copy);
  } else {
    CheckFields(OctetReader({reinterpret_cast<const uint8_t*>(copy.data()), copy.size()}));
  }
  return 0;
}

}  // namespace sallyport::sip
