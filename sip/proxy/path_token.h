// The user part of the Path URI that the edge adds to a REGISTER from outside (RFC 3327, RFC 5626
// §5.2): it brings requests for that registration to the connection on which it came, on whichever
// shard that lives. It seals the party that the REGISTER was for.
// Believed from inside only, and never within a dialog: see token_rights.h. Authentic for every
// instance that shares the secret; the flow is of one process, and gone for every other (430).
// Thread: immutable after construction; shared by all shards.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "sip/proxy/flow_ref.h"
#include "sip/proxy/party.h"
#include "sip/proxy/token_seal.h"

namespace sallyport::sip {

struct PathToken {
  FlowRef flow;
  SealedParty party;
  friend bool operator==(const PathToken&, const PathToken&) = default;
};

class PathTokenSigner {
 public:
  static constexpr size_t kFieldBytesMax = FlowRef::kOctets + 1 + 1 + 8 + PartyDomain::kBytesMax;
  static constexpr size_t kTextBytesMax = TokenSeal::TextBytes(kFieldBytesMax);

  explicit PathTokenSigner(const tls::Secret& secret);

  // Writes at most kTextBytesMax at `out` and returns how many.
  size_t Write(const PathToken& token, char* out) const;
  // Nothing, if no instance of ours wrote it.
  [[nodiscard]] std::optional<PathToken> Read(std::string_view text) const;

 private:
  const TokenSeal seal_;
};

}  // namespace sallyport::sip
