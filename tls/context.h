// One WOLFSSL_CTX: a profile's credentials together with what one listener demands of its peers.
// Each shard has its own (nothing in it is shared, so nothing in it is locked); a reload makes new
// ones and never changes a live one. Ownership: sessions hold the context while they shake hands,
// because their callbacks need it; an established session only
//   holds the library's own reference. That is why it is a shared_ptr: the last handshake ends it.
// Thread: one shard.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tls/client_sessions.h"
#include "tls/credentials.h"
#include "tls/peer_result.h"
#include "tls/secret.h"
#include "tls/signature_memo.h"
#include "tls/ticket.h"
#include "tls/verify.h"
#include "tls/wall_clock.h"

struct WOLFSSL_CTX;

namespace sallyport::tls {

enum class ClientCertificateMode : uint8_t {
  kIgnored,   // Not asked for. The peer is anonymous.
  kOptional,  // Asked for. None is fine, a bad one is not.
  kRequired   // Without a good one there is no session.
};

enum class ContextRole : uint8_t { kServer, kClient };

// May this peer resume? Asked with what the ticket says, before it is accepted; false leads to a
// full handshake, whose fresh certificate is then judged. Must not block. leaf_der is valid during
// the call only.
struct TicketAcceptance {
  bool (*acceptable)(void* owner, const PeerResult& peer) = nullptr;  // Null: everybody may.
  void* owner = nullptr;
};

struct ContextOptions {
  ContextRole role = ContextRole::kServer;
  // Server. A client always requires the server's certificate.
  ClientCertificateMode client_certificate = ClientCertificateMode::kRequired;
  // Names the policy that tickets are bound to: the listener's name. Equal names on different
  // instances mean equal policy.
  std::string policy_name;
  // Server. Copied. Null, or a profile without resumption: no tickets are issued or accepted.
  const Secret* secret = nullptr;
  TicketAcceptance ticket_acceptance;
  // The shard's; may be null. Outlives the context.
  SignatureMemo* signature_memo = nullptr;
  WallClock clock;
};

// Everything that callbacks may count. Single writer: the shard.
struct ContextCounters {
  uint64_t tickets_issued = 0;
  uint64_t tickets_opened = 0;
  uint64_t tickets_unreadable = 0;  // Unknown key, another binding, too old a slice, damaged.
  uint64_t tickets_declined = 0;    // Readable, but age, anchor or policy said no.
};

class Context {
 public:
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<Context>> Create(
      const Credentials& credentials, const ContextOptions& options);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  const ContextCounters& counters() const { return counters_; }
  ContextRole role() const { return options_.role; }
  ClientCertificateMode client_certificate() const { return options_.client_certificate; }
  bool resumes_as_client() const { return resumes_as_client_; }

 private:
  friend class Handshaking;
  friend class Session;
  struct Anchor {
    Sha256Digest signer_sha256;  // See SignerDigest.
    Sha256Digest public_key_sha256;
    int64_t not_after;
  };

  Context(const Credentials& credentials, const ContextOptions& options);

  absl::Status Configure(const Credentials& credentials);
  absl::Status LoadCertificates(const Credentials& credentials);
  void ConfigureVerification();
  absl::Status ConfigureTickets(const Secret* secret);
  // Null if that signer is no anchor. An anchor that was renewed under its name and key is one
  // signer with two ends: the later one counts, since both are trusted.
  const Anchor* FindAnchor(const Sha256Digest& signer_sha256) const;
  // An anchor of this key is trusted and has not expired.
  bool TrustsKey(const Sha256Digest& public_key_sha256, int64_t now_seconds) const;
  // What a ticket issued for `server_name` is bound to.
  Sha256Digest TicketBinding(std::string_view server_name) const;
  // What a client's session is kept under: the caller's key and all that this context adds to it.
  Sha256Digest ClientSessionKey(const Sha256Digest& key, std::string_view server_name) const;

  ContextOptions options_;  // Its secret is not kept.
  const std::string profile_name_;
  const SecProtocol sec_protocol_;
  const EkuPolicy eku_;
  const Sha256Digest anchor_set_sha256_;
  const Sha256Digest own_chain_sha256_;
  const bool resumes_as_client_;
  std::vector<Anchor> anchors_;           // By signer_sha256; of one signer the longest first.
  std::unique_ptr<TicketSealer> sealer_;  // Null: no tickets.
  WOLFSSL_CTX* library_context_ = nullptr;
  // Takes the place of each established session's own, which would keep the ticket buffer alive
  // (see Session).
  LibrarySession spent_session_;
  ContextCounters counters_;
};

}  // namespace sallyport::tls
