// What one handshake needs beside the library's own state, and the callbacks through which the
// library asks: is this certificate acceptable, was this signature verified before, seal this
// ticket, open that one. Internal to tls. Thread: the shard of its context. Lives from
// Session::Create until the handshake is over.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tls/client_hello.h"
#include "tls/client_sessions.h"
#include "tls/context.h"
#include "tls/failure_reason.h"
#include "tls/peer_result.h"
#include "tls/ticket.h"

struct DecodedCert;
struct Signer;
struct WOLFSSL;
struct WOLFSSL_X509_STORE_CTX;

namespace sallyport::tls {

class Handshaking {
 public:
  Handshaking(std::shared_ptr<Context> context, const ServerName& server_name);
  Handshaking(const Handshaking&) = delete;
  Handshaking& operator=(const Handshaking&) = delete;
  ~Handshaking();

  // Makes the callbacks of `library_session` find this object; Detach undoes it.
  bool AttachTo(WOLFSSL* library_session);
  static void Detach(WOLFSSL* library_session);

  Context& context() { return *context_; }

  // Counts what came in; false when it is too much for a handshake.
  bool AdmitBytes(size_t bytes) {
    bytes_in_ += bytes;
    return bytes_in_ <= bytes_in_max_;
  }

  // After each step: drops the intermediates that the peer sent from the context, so that what one
  // peer sent never helps another, and a revoked intermediate cannot linger.
  void ForgetIntermediates();

  // Our own verdict on the certificate; kNone if we had no objection, whatever the library says.
  FailureReason verdict() const { return verdict_; }
  bool certificate_judged() const { return certificate_judged_; }

  // The leaf that the peer has shown, of a handshake that fails; nothing of it need be true. Empty:
  // it showed none, or one of more than kRefusedLeafBytesMax.
  std::span<const uint8_t> shown_leaf() const {
    if (refused_leaf_ != nullptr) return {refused_leaf_.get(), refused_leaf_bytes_};
    if (leaf_.der == nullptr) return {};  // None, or TakePeer has taken it.
    return {leaf_.der.get(), leaf_.bytes};
  }

  // Client. Whether a session kept from an earlier handshake still stands for what a full one would
  // prove now: its anchor is trusted, the leaf is valid and allowed, nothing is too old.
  bool MayOffer(const ResumableSession& session) const;
  // It is offered: if the server accepts it, this is what the server has proved.
  void NoteOffered(VerifiedServer server);
  Sha256Digest ClientSessionKey(const Sha256Digest& key) const {
    return context_->ClientSessionKey(key, server_name_.text());
  }

  // The peer, once the handshake is finished: from this handshake's certificate, or from the ticket
  // that was accepted. `leaf` receives the leaf's bytes.
  void TakePeer(bool resumed, PeerResult& peer, std::unique_ptr<uint8_t[]>& leaf);

  // The library's callbacks; set on its context by Context.
  static int OnVerify(int accepted, WOLFSSL_X509_STORE_CTX* store);
  static int OnCertificate(WOLFSSL* library_session, DecodedCert* certificate);
  static int OnEcdsaVerify(WOLFSSL* library_session, const unsigned char* signature,
                           unsigned int signature_bytes, const unsigned char* digest,
                           unsigned int digest_bytes, const unsigned char* key,
                           unsigned int key_bytes, int* verified, void* unused);
  static int OnTicket(WOLFSSL* library_session, unsigned char* key_name, unsigned char* iv,
                      unsigned char* mac, int seal, unsigned char* bytes, int length,
                      int* new_length, void* unused);

 private:
  // A certificate between leaf and anchor that the peer sent. Not necessarily verified: the library
  // keeps only those that are, so an entry counts only if the leaf leads to it.
  struct Intermediate {
    Sha256Digest signer_sha256;  // What it signs as (SignerDigest), and what signed it.
    Sha256Digest issuer_signer_sha256;
    Sha256Digest public_key_sha256;
    int64_t not_after;
    bool weak;
  };
  static constexpr size_t kIntermediatesMax = 8;
  static constexpr size_t kExcludedUrisMax = 64;
  static constexpr size_t kRefusedLeafBytesMax = 16 * 1024;

  struct Leaf {
    std::unique_ptr<uint8_t[]> der;
    size_t bytes = 0;
    Sha256Digest fingerprint{};
    Sha256Digest issuer_signer_sha256{};
    Sha256Digest issuer_key_sha256{};
    Sha256Digest anchor_key_sha256{};
    int64_t not_after = 0;  // Of the path: its earliest end.
    bool accepted = false;
  };

  static Handshaking* Of(WOLFSSL* library_session);

  void NoteCertificate(const DecodedCert& certificate);
  void KeepRefusedLeaf(const WOLFSSL_X509_STORE_CTX& store);
  void NoteExcludedUris(const Signer& signer);
  bool IsExcludedUri(std::string_view uri) const;
  FailureReason JudgeLeaf(std::span<const uint8_t> der);
  FailureReason ResolvePath();
  FailureReason FindStep(const Sha256Digest& signer, Intermediate& step) const;
  int SealTicket(WOLFSSL* library_session, std::span<uint8_t> buffer, size_t state_bytes,
                 const TicketEnvelope& envelope, int* new_length);
  int OpenTicket(std::span<uint8_t> sealed, const TicketEnvelope& envelope, int* new_length);
  bool TicketAcceptable(const TicketIdentity& ticket) const;
  bool FillTicketIdentity(bool resumed, TicketIdentity& identity) const;
  int64_t Now() const { return context_->options_.clock.Seconds(); }

  const std::shared_ptr<Context> context_;
  const ServerName server_name_;
  const size_t bytes_in_max_;
  size_t bytes_in_ = 0;
  std::array<Intermediate, kIntermediatesMax> intermediates_;
  size_t intermediates_size_ = 0;
  bool intermediates_overflow_ = false;
  std::vector<std::string> excluded_uri_hosts_;  // Of every CA in the chain; hardly ever any.
  bool certificate_judged_ = false;  // Signatures from here on are proofs of possession.
  FailureReason verdict_ = FailureReason::kNone;
  Leaf leaf_;
  std::unique_ptr<uint8_t[]> refused_leaf_;  // For the log line; only where it was refused.
  size_t refused_leaf_bytes_ = 0;
  std::unique_ptr<TicketIdentity> ticket_;   // Server: the one that was opened, if any.
  std::unique_ptr<VerifiedServer> offered_;  // Client: of the session that was offered, if any.
};

}  // namespace sallyport::tls
