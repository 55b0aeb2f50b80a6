// The branch of our own Via (RFC 3261 §16.6 step 8, §17.1.3): it names the transaction's slot, so a
// response is matched without a search, and it is authenticated, so that it cannot be guessed.
// Every instance that shares the secret knows it for ours, also after a restart; only the process
// that wrote it has its transaction.
//
//   z9hG4bK | process 8 | shard 2 | slot 6 | generation 8 | attempt 1 | origin 1 | loop hash 8
//           | MAC 16    (hex digits)
//
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sip/proxy/listener_config.h"
#include "tls/keyed_mac.h"
#include "tls/secret.h"

namespace sallyport::sip {

inline constexpr std::string_view kBranchCookie = "z9hG4bK";

struct Branch {
  uint32_t process = 0;  // The signer's own when it writes.
  uint8_t shard = 0;
  uint32_t slot = 0;  // Below 2^24.
  uint32_t generation = 0;
  uint8_t attempt = 0;  // Below 16: which of the request's targets (RFC 3263 §4.3: a branch each).
  Zone origin = Zone::kOutside;  // Where the request came from.
  // Of what routing depends on (§16.6 step 8); equal on a loop, not on a spiral.
  uint32_t loop_hash = 0;
  friend bool operator==(const Branch&, const Branch&) = default;
};

class BranchSigner {
 public:
  static constexpr size_t kTextBytes = kBranchCookie.size() + 8 + 2 + 6 + 8 + 1 + 1 + 8 + 16;

  BranchSigner(const tls::Secret& secret, uint32_t process);

  // Writes exactly kTextBytes at `out`.
  void Write(const Branch& branch, char* out) const;
  // Nothing, if the text is not one that an instance with our secret wrote. Compares in constant
  // time.
  [[nodiscard]] std::optional<Branch> Read(std::string_view text) const;
  // The same for branches of this process: its transactions are here.
  [[nodiscard]] std::optional<Branch> ReadOwn(std::string_view text) const;
  [[nodiscard]] bool HasSameKeys(const BranchSigner& other) const;
  // The text has the form of our branches, whoever wrote it.
  [[nodiscard]] static bool HasForm(std::string_view text);

 private:
  [[nodiscard]] static uint64_t Mac(const tls::MacKey& key, const Branch& branch);

  std::array<tls::MacKey, tls::kSecretKeysMax> keys_;
  size_t key_count_;
  uint32_t process_;
};

}  // namespace sallyport::sip
