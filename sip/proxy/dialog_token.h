// The parameter `dt` of our Record-Route URI that faces the outside: excuses exactly one From in a
// dialog that began on the inside (architecture, §4). When such a call was retargeted, the callee's
// BYE carries the original To as its From, which the callee's certificate cannot cover.
//
// The MAC binds Call-ID, the tag of the caller inside, the To addr-spec of the request that left,
// the time, and the identity that the connection proved on which it left. The identity and the time
// travel in clear; nothing is kept: the token survives restart, reload and other instances.
// A From is excused only if it is that To addr-spec, in a request whose To-tag is that tag, with
// that Call-ID, in time, *and* on a connection that proves that identity: the last is the caller's
// to check.
//
// When two addr-specs are one:
// - sip, sips: users equal once unescaped, case-sensitively; hosts without case; ports equal. The
//   scheme is not compared, nor are parameters and headers, because none of them says who sent it
//   (CheckFrom ignores the same), so excusing another spelling of them excuses nobody else. With a
//   password: never.
// - tel: the number without visual separators and the parameters, without case (RFC 3966 §4;
//   parameters in another order are another URI: phone-context is part of who it is).
// - other schemes: never.
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sip/message/uri.h"
#include "sip/proxy/token_seal.h"

namespace sallyport::sip {

struct DialogClaim {
  std::string_view call_id;
  std::string_view local_tag;  // From-tag of the caller inside, To-tag of requests that come back.
  const Uri* remote;           // To addr-spec of the request that left, From of what comes back.
  std::string_view identity;   // Proved by the connection on which it left: a domain in lower case,
                               // or "#" and the 16 hexadecimal digits of its peer key.
};

class DialogTokenSigner {
 public:
  static constexpr int64_t kLifetimeSeconds = 7 * 24 * 3600;
  static constexpr int64_t kClockSkewSeconds = 60;  // Between instances.
  static constexpr size_t kIdentityBytesMax = 253;
  static constexpr size_t kTextBytesMax = TokenSeal::TextBytes(4 + kIdentityBytesMax);

  // What a token says the connection has to prove.
  struct Identity {
    std::array<char, kIdentityBytesMax> text;
    uint8_t size = 0;
    [[nodiscard]] std::string_view view() const { return {text.data(), size}; }
  };

  explicit DialogTokenSigner(const tls::Secret& secret);

  // Returns the characters written. 0: not issued, because the claim lacks a part, is not of the
  // form above, or does not fit (`out`, or Call-ID, tag and URI together beyond
  // TokenSeal::kContextBytesMax). `now_seconds` is since 1970, wall clock.
  [[nodiscard]] size_t Write(const DialogClaim& claim, int64_t now_seconds,
                             std::span<char> out) const;

  // Of a request that came back: nothing unless the token is authentic for these three and at most
  // 7 days old, nor from the future. The caller then compares what its connection proves.
  [[nodiscard]] std::optional<Identity> Check(std::string_view text, std::string_view call_id,
                                              std::string_view to_tag, const Uri& from,
                                              int64_t now_seconds) const;

 private:
  const TokenSeal seal_;
};

}  // namespace sallyport::sip
