// The files of a TLS profile, read and judged once: our certificate with its key, and whom we
// trust. Immutable afterwards; every shard builds its own Context from one Credentials (a Context
// copies what it needs, so Credentials may go first). Reading blocks on the file system: never on a
// shard's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tls/peer_identity.h"
#include "tls/profile.h"

namespace sallyport::tls {

inline constexpr size_t kTrustAnchorsMax = 1024;

struct TrustAnchor {
  std::vector<uint8_t> der;
  Sha256Digest public_key_sha256{};  // SHA-256 of SubjectPublicKeyInfo: what identifies an anchor.
  Sha256Digest signer_sha256{};      // SignerDigest: to recognise the library's signer.
  std::string subject;
  std::string source;  // The file that it came from.
  int64_t not_after = 0;
};

class Credentials {
 public:
  // Checks: PEM readable; key matches the leaf; key algorithm and size; key not encrypted, its file
  // not open to group or others; leaf in its time and of a key usage that TLS needs; every CA
  // certificate readable, a CA, not weak; suite names. Each error names the file, the rule and the
  // remedy. What deserves attention but does not stop us is in warnings().
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<const Credentials>> Load(
      const Profile& profile, int64_t now_seconds);

  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;
  ~Credentials();

  const Profile& profile() const { return profile_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

  // Our own leaf: names for the check against `domain`, validity for metrics. Set unless the
  // profile has no certificate (a client that only verifies).
  const PeerIdentityRef& certificate() const { return certificate_; }
  bool has_certificate() const { return !chain_pem_.empty(); }
  const std::vector<TrustAnchor>& anchors() const { return anchors_; }
  // Over the anchors' certificates, in an order of its own: equal for equal sets, on every
  // instance.
  const Sha256Digest& anchor_set_sha256() const { return anchor_set_sha256_; }

 private:
  friend class Context;
  friend class CredentialsLoader;
  Credentials() = default;

  Profile profile_;  // Without PEM texts.
  std::vector<std::string> warnings_;
  PeerIdentityRef certificate_;
  std::string chain_pem_;  // Leaf first, then intermediates.
  std::string key_pem_;    // Wiped on destruction.
  std::vector<TrustAnchor> anchors_;
  Sha256Digest anchor_set_sha256_{};
  std::string library_suites_;  // Of the versions on offer, in the library's spelling.
};

}  // namespace sallyport::tls
