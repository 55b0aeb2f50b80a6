// The parameter `dt` of the outside line of a pair: excuses one From in a dialog that the inside
// began, or sent out again. When such a call was retargeted, the callee's BYE carries the original
// To as its From, which the callee's certificate cannot cover.
//
// Its MAC binds the pair (dialog_pair.h), and what the request that left said of the dialog: the
// From and To addr-specs, the Contact URI, and the ordered list of the URIs in all Record-Route
// values that it brought. So the excuse is good for requests that go back exactly the way of that
// request, to its sender, under its To, and for nothing else. The time travels in clear; the
// Contact as a keyed hash, because BYE and ACK may name another one (token_rights.h).
// Nothing is kept: a token survives restart, reload and other instances.
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sip/message/uri.h"
#include "sip/proxy/base64url.h"
#include "sip/proxy/seal_keys.h"

namespace sallyport::sip {

// What a token is about, but for the pair that it stands in.
struct DialogClaim {
  static constexpr size_t kContactBytes = 8;

  std::array<uint8_t, 32> parties;             // Digest of From, To and the route set.
  std::array<uint8_t, kContactBytes> contact;  // Keyed hash of the Contact.
};

// The parts of a claim. `near` is From of the request that left and To of what comes back, `far`
// the other one, `contact` its Contact and the Request-URI of what comes back; `route_set` the
// UriListDigest of its Record-Route, and of Route in what comes back.
struct DialogFacts {
  const Uri* near;
  const Uri* far;
  const Uri* contact;
  const std::array<uint8_t, 32>* route_set;
};

enum class DialogTokenOutcome : uint8_t {
  kForged,
  kExpired,       // Authentic, and older than its lifetime or from the future.
  kOtherContact,  // All of the claim but the contact is what was signed.
  kExact,
};

class DialogTokenSigner {
 public:
  static constexpr int64_t kLifetimeSeconds = 7 * 24 * 3600;
  static constexpr int64_t kClockSkewSeconds = 60;  // Between instances.
  static constexpr size_t kTimeBytes = 4;           // Until 2106.
  static constexpr size_t kContactBytes = DialogClaim::kContactBytes;
  static constexpr size_t kTextBytes =
      Base64UrlBytes(kTimeBytes + kContactBytes + SealKeys::kMacBytes);

  explicit DialogTokenSigner(const tls::Secret& secret);

  // The claim of a request that leaves, for the key that signs. Nothing: a URI has no canonical
  // form (canonical_uri.h), so no token can be about it.
  [[nodiscard]] std::optional<DialogClaim> ClaimOf(const DialogFacts& facts) const;
  // Writes exactly kTextBytes at `out`, for the pair of that MAC. False: no such time.
  // `now_seconds` is since 1970, wall clock.
  [[nodiscard]] bool Write(const DialogClaim& claim, const SealKeys::Mac& pair, int64_t now_seconds,
                           char* out) const;

  // `key` is the index of the key that the pair is signed with.
  [[nodiscard]] DialogTokenOutcome Check(std::string_view text, const DialogFacts& facts,
                                         const SealKeys::Mac& pair, size_t key,
                                         int64_t now_seconds) const;

 private:
  // False: a URI has no canonical form.
  [[nodiscard]] static bool ReadParties(const DialogFacts& facts, DialogClaim& claim);
  [[nodiscard]] static bool ReadContact(const SealKey& key, const DialogFacts& facts,
                                        DialogClaim& claim);
  [[nodiscard]] static SealKeys::Mac MacOf(const SealKey& key, const DialogClaim& claim,
                                           const SealKeys::Mac& pair,
                                           std::span<const uint8_t> clear);

  const SealKeys keys_;
};

}  // namespace sallyport::sip
