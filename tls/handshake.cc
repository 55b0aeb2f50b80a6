#include "tls/handshake.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "tls/certificate_reader.h"
#include "tls/keyed_mac.h"
#include "tls/library_internals.h"
#include "tls/random.h"
#include "tls/session.h"

namespace sallyport::tls {
namespace {

constexpr int kExDataIndex = 0;

// The host of a URI, with or without "//"; user part, port, parameters and headers cut off.
std::string_view UriHost(std::string_view uri) {
  uri.remove_prefix(std::min(uri.size(), uri.find(':') + 1));
  if (uri.substr(0, 2) == "//") uri.remove_prefix(2);
  uri = uri.substr(0, uri.find_first_of(";?/#"));
  const size_t at = uri.rfind('@');
  if (at != std::string_view::npos) uri.remove_prefix(at + 1);
  return uri.substr(0, uri.find(':'));
}

// A ticket that says nothing and is never accepted: for peers whose handshake is under way and can
// no longer do without one.
void FillVoidTicket(std::span<uint8_t> state, const TicketEnvelope& envelope) {
  RandomBytes(std::as_writable_bytes(state));
  RandomBytes(std::as_writable_bytes(envelope.iv));
  RandomBytes(std::as_writable_bytes(envelope.mac));
  std::fill(envelope.key_name.begin(), envelope.key_name.end(), uint8_t{0xff});
  envelope.iv[0] |= 1;  // The library refuses zeros.
  envelope.mac[0] |= 1;
}

}  // namespace

Handshaking::Handshaking(std::shared_ptr<Context> context, const ServerName& server_name)
    : context_(std::move(context)), server_name_(server_name), bytes_in_max_(kHandshakeBytesMax) {}

Handshaking::~Handshaking() = default;

bool Handshaking::AttachTo(WOLFSSL* library_session) {
  wolfSSL_SetCertCbCtx(library_session, this);
  return wolfSSL_set_ex_data(library_session, kExDataIndex, this) == WOLFSSL_SUCCESS;
}

void Handshaking::Detach(WOLFSSL* library_session) {
  wolfSSL_SetCertCbCtx(library_session, nullptr);
  wolfSSL_set_ex_data(library_session, kExDataIndex, nullptr);
}

Handshaking* Handshaking::Of(WOLFSSL* library_session) {
  return static_cast<Handshaking*>(wolfSSL_get_ex_data(library_session, kExDataIndex));
}

void Handshaking::ForgetIntermediates() {
  if (intermediates_size_ == 0 && !intermediates_overflow_) return;
  wolfSSL_CertManagerUnloadIntermediateCerts(
      wolfSSL_CTX_GetCertManager(context_->library_context_));
  intermediates_size_ = 0;
  intermediates_overflow_ = false;
}

// ---- Certificates -----------------------------------------------------------------------------

// Called for every certificate of the chain, from the top down, before the library decides. It only
// takes notes: which key signed what is known here and nowhere later.
int Handshaking::OnCertificate(WOLFSSL* library_session, DecodedCert* certificate) {
  Handshaking* const self = Of(library_session);
  if (self != nullptr && certificate != nullptr) self->NoteCertificate(*certificate);
  return NOT_COMPILED_IN;  // "No opinion": the library's own result stands.
}

void Handshaking::NoteCertificate(const DecodedCert& certificate) {
  leaf_.issuer_signer_sha256 = {};
  if (certificate.ca == nullptr) return;
  const Sha256Digest issuer = SignerDigest(certificate.ca->subjectNameHash,
                                           {certificate.ca->publicKey, certificate.ca->pubKeySize});
  NoteExcludedUris(*certificate.ca);
  leaf_.issuer_signer_sha256 = issuer;  // The leaf comes last, so what remains is the leaf's.
  if (!certificate.isCA) return;
  if (intermediates_size_ == kIntermediatesMax) {
    intermediates_overflow_ = true;
    return;
  }
  Intermediate& intermediate = intermediates_[intermediates_size_++];
  intermediate = {};
  intermediate.signer_sha256 =
      SignerDigest(certificate.subjectHash, {certificate.publicKey, certificate.pubKeySize});
  intermediate.issuer_signer_sha256 = issuer;
  const CertificateReading reading =
      ReadCertificate(std::span(certificate.source, certificate.maxIdx));
  intermediate.weak = reading.fault != CertificateFault::kNone || IsWeak(reading.identity->facts());
  if (reading.fault != CertificateFault::kNone) return;
  intermediate.public_key_sha256 = reading.identity->facts().public_key_sha256;
  intermediate.not_after = reading.identity->facts().not_after;
}

// RFC 5280 §4.2.1.10. The library (5.9.2) refuses every sip: URI under a permitted URI, but
// overlooks excluded ones: it finds no host where there is no "//".
void Handshaking::NoteExcludedUris(const Signer& signer) {
  for (const Base_entry* entry = signer.excludedNames; entry != nullptr; entry = entry->next) {
    if (entry->type != ASN_URI_TYPE) continue;
    if (excluded_uri_hosts_.size() == kExcludedUrisMax) {
      intermediates_overflow_ = true;
      return;
    }
    excluded_uri_hosts_.push_back(
        absl::AsciiStrToLower(absl::string_view(entry->name, static_cast<size_t>(entry->nameSz))));
  }
}

bool Handshaking::IsExcludedUri(std::string_view uri) const {
  const std::string host =
      absl::AsciiStrToLower(absl::string_view(UriHost(uri).data(), UriHost(uri).size()));
  return std::any_of(
      excluded_uri_hosts_.begin(), excluded_uri_hosts_.end(), [&host](const std::string& excluded) {
        // With a leading dot: every host below; without: this host.
        return !excluded.empty() && excluded.front() == '.' ? absl::EndsWith(host, excluded)
                                                            : host == excluded;
      });
}

// Called with the library's verdict, on each error and for the leaf on success. It refuses more,
// never less: a certificate accepted here against the library would stay in its tables for every
// later connection.
int Handshaking::OnVerify(int accepted, WOLFSSL_X509_STORE_CTX* store) {
  auto* const self = static_cast<Handshaking*>(store->userCtx);
  if (self == nullptr) return 0;
  if (accepted != 1) {
    self->KeepRefusedLeaf(*store);
    return 0;
  }
  if (store->error_depth != 0) return 1;
  self->certificate_judged_ = true;
  if (store->totalCerts == 0) {  // The peer sent none, and the library says that it may.
    return self->context_->options_.client_certificate == ClientCertificateMode::kOptional &&
           self->context_->role() == ContextRole::kServer;
  }
  const std::span der(store->certs[0].buffer, store->certs[0].length);
  self->verdict_ = self->JudgeLeaf(der);
  self->leaf_.accepted = self->verdict_ == FailureReason::kNone;
  if (!self->leaf_.accepted) self->KeepRefusedLeaf(*store);
  return self->leaf_.accepted ? 1 : 0;
}

// The library frees it before the handshake's caller hears of the failure.
void Handshaking::KeepRefusedLeaf(const WOLFSSL_X509_STORE_CTX& store) {
  if (refused_leaf_ != nullptr || store.certs == nullptr || store.totalCerts == 0) return;
  const std::span der(store.certs[0].buffer, store.certs[0].length);
  if (der.empty() || der.size() > kRefusedLeafBytesMax) return;
  refused_leaf_ = std::make_unique_for_overwrite<uint8_t[]>(der.size());
  refused_leaf_bytes_ = der.size();
  std::copy(der.begin(), der.end(), refused_leaf_.get());
}

FailureReason Handshaking::JudgeLeaf(std::span<const uint8_t> der) {
  const CertificateReading reading = ReadCertificate(der);
  if (reading.fault != CertificateFault::kNone) return FailureReason::kName;
  const CertificateFacts& facts = reading.identity->facts();
  const PeerRole role =
      context_->role() == ContextRole::kServer ? PeerRole::kClient : PeerRole::kServer;
  const FailureReason reason = tls::JudgeLeaf(facts, context_->eku_, role, Now());
  if (reason != FailureReason::kNone) return reason;
  for (size_t i = 0; !excluded_uri_hosts_.empty() && i < reading.identity->names_size(); ++i) {
    const CertificateName name = reading.identity->name(i);
    if (name.type == NameType::kUri && IsExcludedUri(name.text)) return FailureReason::kName;
  }
  leaf_.fingerprint = facts.fingerprint;
  leaf_.not_after = facts.not_after;
  leaf_.bytes = der.size();
  leaf_.der = std::make_unique_for_overwrite<uint8_t[]>(der.size());
  std::copy(der.begin(), der.end(), leaf_.der.get());
  return ResolvePath();
}

// Follows the signers from the leaf's to the anchor, and with them the earliest end of the path.
// The library looks at an anchor's dates only when it is loaded.
FailureReason Handshaking::ResolvePath() {
  if (intermediates_overflow_) return FailureReason::kUntrustedCa;
  Sha256Digest signer = leaf_.issuer_signer_sha256;
  for (size_t depth = 0; depth <= intermediates_size_; ++depth) {
    if (const Context::Anchor* const anchor = context_->FindAnchor(signer)) {
      if (depth == 0) leaf_.issuer_key_sha256 = anchor->public_key_sha256;
      leaf_.anchor_key_sha256 = anchor->public_key_sha256;
      leaf_.not_after = std::min(leaf_.not_after, anchor->not_after);
      return Now() > leaf_.not_after ? FailureReason::kExpired : FailureReason::kNone;
    }
    Intermediate step{};
    const FailureReason reason = FindStep(signer, step);
    if (reason != FailureReason::kNone) return reason;
    if (depth == 0) leaf_.issuer_key_sha256 = step.public_key_sha256;
    leaf_.not_after = std::min(leaf_.not_after, step.not_after);
    signer = step.issuer_signer_sha256;
  }
  return FailureReason::kUntrustedCa;
}

// Several certificates of one signer leave open which of them the library verified. Where they
// claim different signers nothing is claimed, and the peer is refused; else the worst of them
// counts.
FailureReason Handshaking::FindStep(const Sha256Digest& signer, Intermediate& step) const {
  bool found = false;
  for (const Intermediate& candidate : std::span(intermediates_).first(intermediates_size_)) {
    if (candidate.signer_sha256 != signer) continue;
    if (candidate.weak) return FailureReason::kWeak;
    if (found && step.issuer_signer_sha256 != candidate.issuer_signer_sha256) {
      return FailureReason::kUntrustedCa;
    }
    if (!found || candidate.not_after < step.not_after) step = candidate;
    found = true;
  }
  return found ? FailureReason::kNone : FailureReason::kUntrustedCa;
}

// ECDSA signatures over certificates are looked up first; proofs of possession are always computed.
int Handshaking::OnEcdsaVerify(WOLFSSL* library_session, const unsigned char* signature,
                               unsigned int signature_bytes, const unsigned char* digest,
                               unsigned int digest_bytes, const unsigned char* key,
                               unsigned int key_bytes, int* verified, void*) {
  Handshaking* const self = Of(library_session);
  SignatureMemo* const memo = self != nullptr && !self->certificate_judged_
                                  ? self->context_->options_.signature_memo
                                  : nullptr;
  Sha256Digest memo_key;
  if (memo != nullptr) {
    memo_key =
        SignatureMemo::Key({key, key_bytes}, {digest, digest_bytes}, {signature, signature_bytes});
    if (memo->Verified(memo_key)) {
      *verified = 1;
      return 0;
    }
  }
  ecc_key public_key;
  int result = wc_ecc_init(&public_key);
  if (result != 0) return result;
  word32 index = 0;
  result = wc_EccPublicKeyDecode(key, &index, &public_key, key_bytes);
  if (result == 0) {
    result =
        wc_ecc_verify_hash(signature, signature_bytes, digest, digest_bytes, verified, &public_key);
  }
  wc_ecc_free(&public_key);
  if (memo != nullptr && result == 0 && *verified == 1) memo->Remember(memo_key);
  return result;
}

// ---- Tickets ----------------------------------------------------------------------------------

int Handshaking::OnTicket(WOLFSSL* library_session, unsigned char* key_name, unsigned char* iv,
                          unsigned char* mac, int seal, unsigned char* bytes, int length,
                          int* new_length, void*) {
  Handshaking* const self = Of(library_session);
  if (self == nullptr || length < 0) return WOLFSSL_TICKET_RET_REJECT;
  const TicketEnvelope envelope{std::span<uint8_t, 16>(key_name, 16),
                                std::span<uint8_t, 16>(iv, 16), std::span<uint8_t, 32>(mac, 32)};
  const auto size = static_cast<size_t>(length);
  if (seal == 0) return self->OpenTicket(std::span(bytes, size), envelope, new_length);
  const auto capacity = static_cast<size_t>(std::max(*new_length, 0));
  return self->SealTicket(library_session, std::span(bytes, capacity), size, envelope, new_length);
}

// The peer that a new ticket is for. On resumption the ticket's own words are repeated, first
// authentication included, so that a chain of resumptions neither forgets the peer nor outlives its
// time.
bool Handshaking::FillTicketIdentity(bool resumed, TicketIdentity& identity) const {
  if (resumed) {
    if (ticket_ == nullptr) return false;
    identity = *ticket_;
    return true;
  }
  identity.authenticated_at = Now();
  if (!leaf_.accepted)
    return context_->options_.client_certificate != ClientCertificateMode::kRequired;
  if (leaf_.bytes > kTicketLeafBytesMax) return false;
  identity.has_peer = true;
  identity.not_after = leaf_.not_after;
  identity.fingerprint = leaf_.fingerprint;
  identity.issuer_key_sha256 = leaf_.issuer_key_sha256;
  identity.anchor_key_sha256 = leaf_.anchor_key_sha256;
  identity.leaf_bytes = static_cast<uint16_t>(leaf_.bytes);
  std::copy_n(leaf_.der.get(), leaf_.bytes, identity.leaf_der.begin());
  return true;
}

int Handshaking::SealTicket(WOLFSSL* library_session, std::span<uint8_t> buffer, size_t state_bytes,
                            const TicketEnvelope& envelope, int* new_length) {
  const bool is_tls12 = wolfSSL_GetVersion(library_session) == WOLFSSL_TLSV1_2;
  // RFC 7627 §5.4: without the extended master secret a session must not be resumed by us.
  const bool resumable = !is_tls12 || TicketStateHasExtendedMasterSecret(buffer.first(state_bytes));
  TicketIdentity identity;
  size_t sealed = 0;
  if (resumable && FillTicketIdentity(wolfSSL_session_reused(library_session) == 1, identity)) {
    sealed = context_->sealer_->Seal(buffer, state_bytes, identity,
                                     context_->TicketBinding(server_name_.text()), Now(), envelope);
  }
  if (sealed == 0) {  // An error would end the handshake instead.
    FillVoidTicket(buffer.first(state_bytes), envelope);
    sealed = state_bytes;
  } else {
    ++context_->counters_.tickets_issued;
  }
  *new_length = static_cast<int>(sealed);
  return WOLFSSL_TICKET_RET_OK;
}

int Handshaking::OpenTicket(std::span<uint8_t> sealed, const TicketEnvelope& envelope,
                            int* new_length) {
  auto opened = std::make_unique<TicketIdentity>();
  const size_t state_bytes = context_->sealer_->Open(
      sealed, envelope, context_->TicketBinding(server_name_.text()), Now(), *opened);
  if (state_bytes == 0) {
    ++context_->counters_.tickets_unreadable;
    return WOLFSSL_TICKET_RET_REJECT;
  }
  ++context_->counters_.tickets_opened;
  if (!TicketAcceptable(*opened)) {
    ++context_->counters_.tickets_declined;
    explicit_bzero(sealed.data(), state_bytes);
    return WOLFSSL_TICKET_RET_REJECT;
  }
  ticket_ = std::move(opened);
  *new_length = static_cast<int>(state_bytes);
  return WOLFSSL_TICKET_RET_OK;
}

bool Handshaking::TicketAcceptable(const TicketIdentity& ticket) const {
  const int64_t now = Now();
  if (now > ticket.authenticated_at + kTicketLifetimeSeconds) return false;
  const ContextOptions& options = context_->options_;
  if (!ticket.has_peer) return options.client_certificate != ClientCertificateMode::kRequired;
  if (options.client_certificate == ClientCertificateMode::kIgnored) return false;
  if (now > ticket.not_after || !context_->TrustsKey(ticket.anchor_key_sha256, now)) return false;
  if (options.ticket_acceptance.acceptable == nullptr) return true;
  PeerResult peer;
  peer.verified = true;
  peer.resumed = true;
  peer.leaf_der = ticket.leaf();
  peer.fingerprint = ticket.fingerprint;
  peer.issuer_key_sha256 = ticket.issuer_key_sha256;
  peer.anchor_key_sha256 = ticket.anchor_key_sha256;
  peer.authenticated_at = ticket.authenticated_at;
  peer.not_after = ticket.not_after;
  return options.ticket_acceptance.acceptable(options.ticket_acceptance.owner, peer);
}

// Kept sessions age as our own tickets do: from the full handshake, however often they were
// renewed.
bool Handshaking::MayOffer(const ResumableSession& session) const {
  const int64_t now = Now();
  const PeerResult& server = session.server.peer;
  if (now < server.authenticated_at || now >= session.expires_at) return false;
  if (now > server.authenticated_at + kTicketLifetimeSeconds || now > server.not_after)
    return false;
  if (!context_->TrustsKey(server.anchor_key_sha256, now)) return false;
  const CertificateReading reading = ReadCertificate(server.leaf_der, server.fingerprint);
  return reading.fault == CertificateFault::kNone &&
         tls::JudgeLeaf(reading.identity->facts(), context_->eku_, PeerRole::kServer, now) ==
             FailureReason::kNone;
}

void Handshaking::NoteOffered(VerifiedServer server) {
  offered_ = std::make_unique<VerifiedServer>(std::move(server));
}

// A ticket that was opened counts only if the handshake really continued it; it may have ended in a
// full handshake after all.
void Handshaking::TakePeer(bool resumed, PeerResult& peer, std::unique_ptr<uint8_t[]>& leaf) {
  peer.resumed = resumed;
  if (resumed && ticket_ != nullptr && ticket_->has_peer) {
    peer.verified = true;
    peer.fingerprint = ticket_->fingerprint;
    peer.issuer_key_sha256 = ticket_->issuer_key_sha256;
    peer.anchor_key_sha256 = ticket_->anchor_key_sha256;
    peer.authenticated_at = ticket_->authenticated_at;
    peer.not_after = ticket_->not_after;
    leaf = std::make_unique_for_overwrite<uint8_t[]>(ticket_->leaf_bytes);
    std::copy_n(ticket_->leaf_der.data(), ticket_->leaf_bytes, leaf.get());
    peer.leaf_der = {leaf.get(), ticket_->leaf_bytes};
  } else if (resumed && offered_ != nullptr) {
    peer = offered_->peer;
    peer.resumed = true;
    leaf = std::move(offered_->leaf);
  } else if (!resumed && leaf_.accepted) {
    peer.verified = true;
    peer.fingerprint = leaf_.fingerprint;
    peer.issuer_key_sha256 = leaf_.issuer_key_sha256;
    peer.anchor_key_sha256 = leaf_.anchor_key_sha256;
    peer.authenticated_at = Now();
    peer.not_after = leaf_.not_after;
    leaf = std::move(leaf_.der);
    peer.leaf_der = {leaf.get(), leaf_.bytes};
  }
}

}  // namespace sallyport::tls
