// The user part of our Record-Route URI that faces the inside, in a dialog that left by a next hop
// or by RFC 3263: who is on the other side. Later requests of the dialog go to the same target of
// that next hop, and to its others if that is down; or, where they name the peer by an address
// only, its certificate must prove the identity that it proved then.
// The URI comes back in the route set of somebody inside, who took it from a response that passed
// the outside: hence the MAC. Thread: immutable after construction; shared by all shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sip/proxy/token_seal.h"
#include "sip/proxy/transport_address.h"

namespace sallyport::sip {

struct HopToken {
  static constexpr size_t kIdentityBytesMax = 253;

  uint32_t next_hop = 0;    // NextHopNameHash; 0: by RFC 3263.
  TransportAddress member;  // Its target; unknown where next_hop is 0.
  uint8_t identity_bytes = 0;
  std::array<char, kIdentityBytesMax> identity_text;  // The domain that the peer proved; may be "".

  [[nodiscard]] std::string_view identity() const { return {identity_text.data(), identity_bytes}; }
};

class HopTokenSigner {
 public:
  static constexpr size_t kFieldBytesMax =
      4 + TransportAddress::kOctetsMax + HopToken::kIdentityBytesMax;
  static constexpr size_t kTextBytesMax = TokenSeal::TextBytes(kFieldBytesMax);

  explicit HopTokenSigner(const tls::Secret& secret);

  // At most kTextBytesMax at `out`; returns how many. 0: the identity is too long. `member` travels
  // only where next_hop is not 0.
  size_t Write(uint32_t next_hop, const TransportAddress& member, std::string_view identity,
               char* out) const;
  // False, if no instance of ours wrote it.
  [[nodiscard]] bool Read(std::string_view text, HopToken& token) const;

 private:
  const TokenSeal seal_;
};

}  // namespace sallyport::sip
