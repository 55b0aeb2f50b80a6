// Our own rules for a peer's leaf, applied after the library accepted its path. They only ever
// refuse: nothing here can turn a refusal into acceptance. Pure; any thread.
#pragma once

#include <cstdint>

#include "tls/failure_reason.h"
#include "tls/peer_identity.h"
#include "tls/profile.h"

namespace sallyport::tls {

enum class PeerRole : uint8_t { kClient, kServer };  // What the peer is in this connection.

// kNone: acceptable. In the order: dates, weak key or signature, unknown critical extension,
// keyUsage, extendedKeyUsage.
[[nodiscard]] FailureReason JudgeLeaf(const CertificateFacts& leaf, EkuPolicy policy, PeerRole role,
                                      int64_t now_seconds);

// RSA from 2048 bits, P-256, P-384, P-521, Ed25519; not signed with MD5 or SHA-1. Applies to every
// certificate below the anchor.
[[nodiscard]] bool IsWeak(const CertificateFacts& certificate);

[[nodiscard]] bool EkuAllows(const ExtendedKeyUsage& eku, EkuPolicy policy, PeerRole role);

}  // namespace sallyport::tls
