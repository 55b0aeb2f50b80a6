// Session tickets (RFC 8446 §4.6.1, RFC 5077): what the library wants to remember plus whom the
// ticket was given to, sealed with AES-256-GCM. Stateless: any process with the same secret opens
// it, whatever it has seen before. Keys change with each time slice and are derived from the
// secret, so nobody has to distribute them; a ticket names its slice. Bound to content: the
// caller's `binding` (listener policy, SNI, CA set, rules) is authenticated with it, so a ticket
// from another policy does not open. Thread: one shard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tls/peer_result.h"
#include "tls/secret.h"

namespace sallyport::tls {

inline constexpr int64_t kTicketLifetimeSeconds =
    12 * 60 * 60;  // Since the full handshake; below RFC 8446's seven days.
inline constexpr int64_t kTicketSliceSeconds = 60 * 60;  // The same for all instances.
inline constexpr size_t kTicketLeafBytesMax = 2048;      // A longer leaf gets no ticket.

// The shape of the library's callback.
struct TicketEnvelope {
  std::span<uint8_t, 16> key_name;
  std::span<uint8_t, 16> iv;
  std::span<uint8_t, 32> mac;
};

// The peer that a ticket was given to. All zero with has_peer false: an anonymous peer.
struct TicketIdentity {
  bool has_peer = false;
  int64_t authenticated_at = 0;
  int64_t not_after = 0;  // As in PeerResult.
  Sha256Digest fingerprint{};
  Sha256Digest issuer_key_sha256{};
  Sha256Digest anchor_key_sha256{};
  uint16_t leaf_bytes = 0;
  std::array<uint8_t, kTicketLeafBytesMax> leaf_der;

  std::span<const uint8_t> leaf() const { return {leaf_der.data(), leaf_bytes}; }
};

class TicketSealer {
 public:
  explicit TicketSealer(const Secret& secret) : secret_(secret) {}
  TicketSealer(const TicketSealer&) = delete;
  TicketSealer& operator=(const TicketSealer&) = delete;

  // What Seal adds to the library's bytes when there is a leaf of `leaf_bytes`.
  static constexpr size_t Overhead(size_t leaf_bytes) { return leaf_bytes + kTrailerBytes; }

  // Seals `state_bytes` of the library's state at the front of `buffer`, with the identity behind
  // it, in place. Returns the sealed length, or 0 if it does not fit.
  [[nodiscard]] size_t Seal(std::span<uint8_t> buffer, size_t state_bytes,
                            const TicketIdentity& identity, const Sha256Digest& binding,
                            int64_t now_seconds, const TicketEnvelope& envelope);

  // Opens what Seal made. `sealed` is touched only after its tag verified; then its front holds the
  // library's state again, `identity` is filled in, and the length of that state is returned. 0:
  // unknown key, wrong slice, wrong binding, not ours.
  [[nodiscard]] size_t Open(std::span<uint8_t> sealed, const TicketEnvelope& envelope,
                            const Sha256Digest& binding, int64_t now_seconds,
                            TicketIdentity& identity);

 private:
  // Version, flags, times, three digests, leaf length.
  static constexpr size_t kTrailerBytes = 1 + 1 + 8 + 8 + 3 * 32 + 2;
  static constexpr size_t kCachedKeys = 16;

  struct SliceKey {
    bool set = false;
    size_t secret_index = 0;
    uint64_t slice = 0;
    std::array<uint8_t, 16> name{};
    DerivedKey key{};
  };

  const SliceKey& KeyFor(size_t secret_index, uint64_t slice);

  const Secret secret_;
  std::array<SliceKey, kCachedKeys> cache_{};
};

}  // namespace sallyport::tls
