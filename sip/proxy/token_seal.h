// A token that stands alone in one of our URIs (Path): a few octets that travel in clear, under a
// MAC that only instances with our secret can make.
//
//   base64url( kind 1 | key id 1 | fields | HMAC-SHA256, its first 16 octets )
//
// The MAC covers everything before it and a context that does not travel. The kind names layout and
// version, so a token of one use is never read as another's, and each use has keys of its own.
// Thread: immutable after construction; shared by all shards. Allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sip/proxy/base64url.h"
#include "sip/proxy/seal_keys.h"
#include "tls/secret.h"

namespace sallyport::sip {

// The first octet of everything that we sign. Another layout of the same use gets a new value.
enum class TokenKind : uint8_t { kPath = 0x12, kPairLine = 0x51 };

class TokenSeal {
 public:
  static constexpr size_t kHeadBytes = 2;
  static constexpr size_t kMacBytes = SealKeys::kMacBytes;
  static constexpr size_t kFieldBytesMax = 288;
  static constexpr size_t kContextBytesMax = 1024;
  static constexpr size_t TextBytes(size_t field_bytes) {
    return Base64UrlBytes(kHeadBytes + field_bytes + kMacBytes);
  }

  // `label` is this use's own, see tls/secret.h.
  TokenSeal(const tls::Secret& secret, std::string_view label, TokenKind kind);
  // Signs with the secret's first key; writes exactly TextBytes(fields.size()) at `out`. At most
  // kFieldBytesMax and kContextBytesMax octets.
  void Write(std::span<const uint8_t> fields, std::span<const uint8_t> context, char* out) const;

  // How many field octets were put into `fields`, if one of the secret's keys signed them with
  // this context; else nothing, and `fields` is unspecified. Compares in constant time.
  [[nodiscard]] std::optional<size_t> Read(std::string_view text, std::span<const uint8_t> context,
                                           std::span<uint8_t, kFieldBytesMax> fields) const;

 private:
  [[nodiscard]] static SealKeys::Mac MacOf(const SealKey& key,
                                           std::span<const uint8_t> signed_octets,
                                           std::span<const uint8_t> context);

  const SealKeys keys_;
  const TokenKind kind_;
};

// Whether `text` has the shape of a token of this kind. It may still be anybody's.
[[nodiscard]] bool LooksLikeToken(std::string_view text, TokenKind kind);

}  // namespace sallyport::sip
