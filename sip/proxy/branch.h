// The branch of our own Via (RFC 3261 §16.6 step 8, §17.1.3): it names the transaction's slot, so a
// response is matched without a search, and it is authenticated, so nobody can guess one.
//
//   z9hG4bK | shard 2 | slot 6 | generation 8 | attempt 1 | loop hash 8 | MAC 16    (hex digits)
//
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tls/keyed_mac.h"

namespace sallyport::sip {

inline constexpr std::string_view kBranchCookie = "z9hG4bK";

struct Branch {
  uint8_t shard = 0;
  uint32_t slot = 0;  // Below 2^24.
  uint32_t generation = 0;
  uint8_t attempt = 0;  // Below 16: which of the request's targets (RFC 3263 §4.3: a branch each).
  // Of what routing depends on (§16.6 step 8); equal on a loop, not on a spiral.
  uint32_t loop_hash = 0;
  friend bool operator==(const Branch&, const Branch&) = default;
};

class BranchSigner {
 public:
  static constexpr size_t kTextBytes = kBranchCookie.size() + 2 + 6 + 8 + 1 + 8 + 16;

  explicit BranchSigner(const tls::MacKey& key) : key_(key) {}

  // Writes exactly kTextBytes at `out`.
  void Write(const Branch& branch, char* out) const;
  // Nothing, if the text is not one that a signer with this key wrote. Compares in constant time.
  [[nodiscard]] std::optional<Branch> Read(std::string_view text) const;

 private:
  [[nodiscard]] uint64_t Mac(const Branch& branch) const;

  const tls::MacKey key_;
};

}  // namespace sallyport::sip
