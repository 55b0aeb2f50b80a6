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

uint8_t KeyId(const tls::DerivedKey& key) {
  constexpr std::string_view kText = "key id";
  return tls::HmacSha256(key, std::as_bytes(std::span(kText)))[0];
}

}  // namespace

TokenSeal::TokenSeal(const tls::Secret& secret, std::string_view label, TokenKind kind)
    : key_count_(secret.size()), kind_(kind) {
  CHECK(key_count_ > 0 && key_count_ <= keys_.size());
  for (size_t i = 0; i < key_count_; ++i) {
    keys_[i].bytes = secret.Derive(i, label);
    keys_[i].id = KeyId(keys_[i].bytes);
  }
}

TokenSeal::~TokenSeal() { explicit_bzero(keys_.data(), sizeof keys_); }

// The length first: fields and context could else be cut at another place.
TokenSeal::Mac TokenSeal::MacOf(const Key& key, std::span<const uint8_t> signed_octets,
                                std::span<const uint8_t> context) {
  std::array<uint8_t, 2 + kHeadBytes + kFieldBytesMax + kContextBytesMax> message;
  message[0] = static_cast<uint8_t>(signed_octets.size() >> 8);
  message[1] = static_cast<uint8_t>(signed_octets.size());
  size_t used = 2;
  Append(message, used, signed_octets);
  Append(message, used, context);
  const std::array<uint8_t, 32> whole =
      tls::HmacSha256(key.bytes, std::as_bytes(std::span(message).first(used)));
  Mac mac;
  std::memcpy(mac.data(), whole.data(), mac.size());
  return mac;
}

void TokenSeal::Write(std::span<const uint8_t> fields, std::span<const uint8_t> context,
                      char* out) const {
  CHECK(fields.size() <= kFieldBytesMax && context.size() <= kContextBytesMax);
  std::array<uint8_t, kTokenBytesMax> token;
  token[0] = static_cast<uint8_t>(kind_);
  token[1] = keys_[0].id;
  size_t used = kHeadBytes;
  Append(token, used, fields);
  const Mac mac = MacOf(keys_[0], std::span(token).first(used), context);
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
  for (size_t i = 0; i < key_count_; ++i) {
    if (keys_[i].id != token[1]) continue;
    if (!tls::SameSecretBytes(MacOf(keys_[i], signed_octets, context), mac)) continue;
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
