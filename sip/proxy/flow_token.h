// The flow token of RFC 5626 §5.2: the user part of our Record-Route and Path URIs that brings a
// request back to the connection which a client opened, on whichever shard it lives, and to nobody
// else's. Nobody without the secret can make or change one; whoever was given one can read it: it
// holds our own numbers and no address.
// Authentic for every instance that shares the secret. A connection lives in one process, so the
// token also holds a hash of instance and process: another's token is authentic, and its flow gone.
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sip/proxy/connection_id.h"
#include "sip/proxy/token_seal.h"

namespace sallyport::sip {

struct FlowToken {
  uint8_t shard = 0;
  ConnectionId connection;
  uint8_t listener = 0;
  uint64_t peer_key = 0;    // The identity that the flow had: one with another is another flow.
  bool falls_back = false;  // The flow is gone: true: route on as if no token were there (RFC
                            // 3263); false: 430 (RFC 5626 §5.3).
  friend bool operator==(const FlowToken&, const FlowToken&) = default;
};

class FlowTokenSigner {
 public:
  static constexpr size_t kFieldBytes = 8 + 1 + 4 + 4 + 1 + 8 + 1;
  static constexpr size_t kTextBytes = TokenSeal::TextBytes(kFieldBytes);

  enum class Outcome : uint8_t {
    kOk,         // Of this process. Whether the connection is still open is for its shard to say.
    kElsewhere,  // Authentic, of another instance or an earlier process: that flow is gone.
    kForged,     // Not ours: 403.
  };

  // `instance` is [edge] instance; `boot_epoch` is random for each process.
  FlowTokenSigner(const tls::Secret& secret, std::string_view instance, uint64_t boot_epoch);

  // Writes exactly kTextBytes at `out`.
  void Write(const FlowToken& token, char* out) const;
  // Fills `token` unless kForged; after kElsewhere only falls_back and peer_key mean anything here.
  [[nodiscard]] Outcome Read(std::string_view text, FlowToken& token) const;

 private:
  const TokenSeal seal_;
  const std::array<uint8_t, 8> process_;  // Hash of instance and boot epoch.
};

}  // namespace sallyport::sip
