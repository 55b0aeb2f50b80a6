// What a finished handshake proved about the peer.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tls/peer_identity.h"

namespace sallyport::tls {

enum class TlsVersion : uint8_t { kTls12, kTls13 };

struct PeerResult {
  // A certificate was verified: in this handshake, or in the full handshake that the accepted
  // ticket continues. False: the peer is anonymous and the fields below it are empty.
  bool verified = false;
  bool resumed = false;
  TlsVersion version = TlsVersion::kTls13;
  std::string_view cipher;  // IANA name, static.

  std::span<const uint8_t> leaf_der;  // Borrowed from the session; see Session::DropLeaf.
  Sha256Digest fingerprint{};         // SHA-256 of leaf_der.
  Sha256Digest issuer_key_sha256{};   // SHA-256 of SubjectPublicKeyInfo: of the certificate that
                                      // signed the leaf,
  Sha256Digest
      anchor_key_sha256{};  // and of the trust anchor. Key hashes, because names can be copied.
  int64_t authenticated_at = 0;  // Unix seconds of the full handshake.
  // Unix seconds, inclusive: the earliest end of the certificates that the proof rests on, which
  // are the leaf, the intermediates between and the trust anchor. After it the proof is worth
  // nothing.
  int64_t not_after = 0;
};

}  // namespace sallyport::tls
