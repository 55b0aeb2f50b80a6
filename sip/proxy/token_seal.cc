#include "sip/proxy/token_seal.h"

#include <cstring>

#include "core/check.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
namespace {

constexpr size_t kTokenBytesMax =
    TokenSeal::kHeadBytes + TokenSeal::kFieldBytesMax + TokenSeal::kMacBytes;

void Append(std::span<uint8_t> out, size_t& used, std::span<const uint8_t> octets) {
  if (!octets.empty()) std::memcpy(out.data() + used, octets.data(), octets.size());
  used += octets.size();
}

}  // namespace

TokenSeal::TokenSeal(const tls::Secret& secret, std::string_view label, TokenKind kind)
    : keys_(secret, label), kind_(kind) {}

// The length first: fields and context could else be cut at another place.
SealKeys::Mac TokenSeal::MacOf(const SealKey& key, std::span<const uint8_t> signed_octets,
                               std::span<const uint8_t> context) {
  std::array<uint8_t, 2 + kHeadBytes + kFieldBytesMax + kContextBytesMax> message;
  message[0] = static_cast<uint8_t>(signed_octets.size() >> 8);
  message[1] = static_cast<uint8_t>(signed_octets.size());
  size_t used = 2;
  Append(message, used, signed_octets);
  Append(message, used, context);
  return SealKeys::MacOf(key, std::span(message).first(used));
}

void TokenSeal::Write(std::span<const uint8_t> fields, std::span<const uint8_t> context,
                      char* out) const {
  CHECK(fields.size() <= kFieldBytesMax && context.size() <= kContextBytesMax);
  std::array<uint8_t, kTokenBytesMax> token;
  token[0] = static_cast<uint8_t>(kind_);
  token[1] = keys_.signing().id;
  size_t used = kHeadBytes;
  Append(token, used, fields);
  const SealKeys::Mac mac = MacOf(keys_.signing(), std::span(token).first(used), context);
  Append(token, used, mac);
  WriteBase64Url(std::span(token).first(used), out);
}

std::optional<size_t> TokenSeal::Read(std::string_view text, std::span<const uint8_t> context,
                                      std::span<uint8_t, kFieldBytesMax> fields) const {
  std::array<uint8_t, kTokenBytesMax> token;
  const std::optional<size_t> size = ReadBase64Url(text, token);
  if (!size.has_value() || *size < kHeadBytes + kMacBytes ||
      token[0] != static_cast<uint8_t>(kind_) || context.size() > kContextBytesMax) {
    return std::nullopt;
  }
  const auto signed_octets = std::span(token).first(*size - kMacBytes);
  const auto mac = std::span(token).subspan(signed_octets.size(), kMacBytes);
  for (const SealKey& key : keys_.all()) {
    if (key.id != token[1]) continue;
    if (!tls::SameSecretBytes(MacOf(key, signed_octets, context), mac)) continue;
    const auto found = signed_octets.subspan(kHeadBytes);
    if (!found.empty()) std::memcpy(fields.data(), found.data(), found.size());
    return found.size();
  }
  return std::nullopt;
}

bool LooksLikeToken(std::string_view text, TokenKind kind) {
  std::array<uint8_t, kTokenBytesMax> token;
  const std::optional<size_t> size = ReadBase64Url(text, token);
  return size.has_value() && *size >= TokenSeal::kHeadBytes + TokenSeal::kMacBytes &&
         token[0] == static_cast<uint8_t>(kind);
}

}  // namespace sallyport::sip
