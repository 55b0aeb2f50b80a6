#include "tls/session.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "tls/cipher_names.h"
#include "tls/handshake.h"
#include "tls/library_internals.h"

namespace sallyport::tls {
namespace {

struct Explanation {
  FailureReason reason;
  std::string_view text;
};

constexpr std::string_view kUnknownCriticalText =
    "a certificate has a critical extension that is not known here";

// What the library's error means. The texts are for log lines.
Explanation Explain(int error) {
  switch (error) {
    case NO_PEER_CERT:
    case CLIENT_CERT_CB_ERROR:
      return {FailureReason::kNoCertificate, "the peer sent no certificate"};
    case ASN_NO_SIGNER_E:
    case ASN_SELF_SIGNED_E:
      return {FailureReason::kUntrustedCa, "the certificate does not lead to a trusted CA"};
    case ASN_PATHLEN_INV_E:
    case ASN_PATHLEN_SIZE_E:
    case NOT_CA_ERROR:
    case MAX_CHAIN_ERROR:
      return {FailureReason::kUntrustedCa, "the certificate chain is not allowed by its CA"};
    case ASN_AFTER_DATE_E:
      return {FailureReason::kExpired, "a certificate has expired"};
    case ASN_BEFORE_DATE_E:
      return {FailureReason::kNotYetValid, "a certificate is not valid yet"};
    case CRL_CERT_REVOKED:
      return {FailureReason::kRevoked, "a certificate is revoked"};
    case CRL_MISSING:
    case CRL_CERT_DATE_ERR:
      return {FailureReason::kRevoked, "no current CRL for an issuer"};
    case ASN_NAME_INVALID_E:
      return {FailureReason::kName, "a name constraint of the CA forbids a name"};
    case ASN_PARSE_E:
    case ASN_VERSION_E:
    case ASN_GETINT_E:
    case ASN_RSA_KEY_E:
    case ASN_OBJECT_ID_E:
    case ASN_TAG_NULL_E:
    case ASN_EXPECT_0_E:
    case ASN_BITSTR_E:
    case ASN_UNKNOWN_OID_E:
    case ASN_DATE_SZ_E:
    case ASN_TIME_E:
    case ASN_INPUT_E:
    case ASN_ALT_NAME_E:
    case ASN_COUNTRY_SIZE_E:
      return {FailureReason::kName, "a certificate cannot be read"};
    case ASN_CRIT_EXT_E:
      return {FailureReason::kCriticalExtension, kUnknownCriticalText};
    case HANDSHAKE_SIZE_ERROR:
      return {FailureReason::kTooLarge,
              "too large: a handshake message, as a rule the one with the certificates"};
    case ASN_SIG_CONFIRM_E:
    case ASN_SIG_HASH_E:
    case ASN_SIG_KEY_E:
      return {FailureReason::kSignature, "a certificate's signature does not verify"};
    case ASN_SIG_OID_E:
    case HASH_TYPE_E:
    case RSA_KEY_SIZE_E:
    case ECC_KEY_SIZE_E:
      return {FailureReason::kWeak, "a key or signature is too weak"};
    case VERIFY_SIGN_ERROR:
    case SIG_VERIFY_E:
    case VERIFY_CERT_ERROR:
    case VERIFY_FINISHED_ERROR:
      return {FailureReason::kSignature, "the peer did not prove possession of its key"};
    case KEYUSE_SIGNATURE_E:
    case KEYUSE_ENCIPHER_E:
    case KEYUSAGE_E:
    case EXTKEYUSAGE_E:
    case EXTKEYUSE_AUTH_E:
      return {FailureReason::kKeyUsage, "the certificate is not for this use"};
    case MATCH_SUITE_ERROR:
    case UNSUPPORTED_SUITE:
    case KEY_SHARE_ERROR:
    case ECC_CURVE_ERROR:
    case BAD_KEY_SHARE_DATA:
    case INVALID_PARAMETER:
    case ECC_CURVETYPE_ERROR:
      return {FailureReason::kCipher, "no cipher suite, group or signature scheme in common"};
    case VERSION_ERROR:
      return {FailureReason::kProtocol, "the peer's TLS version is not on offer"};
    case FATAL_ERROR:
      return {FailureReason::kAlert, "the peer sent a fatal alert"};
    case MEMORY_E:
    case MEMORY_ERROR:
      return {FailureReason::kInternal, "out of memory"};
    default:
      return {FailureReason::kProtocol, "the peer did not follow the protocol"};
  }
}

// The last alert that came (RFC 8446 §6.2): those about our certificate in words.
std::string_view AlertText(WOLFSSL* library_session) {
  WOLFSSL_ALERT_HISTORY history = {};
  wolfSSL_get_alert_history(library_session, &history);
  switch (history.last_rx.code) {
    case handshake_failure:
      return "the peer accepts no offer of ours (alert handshake_failure)";
    case bad_certificate:
      return "the peer refuses our certificate (alert bad_certificate)";
    case unsupported_certificate:
      return "the peer refuses our certificate (alert unsupported_certificate)";
    case certificate_revoked:
      return "the peer refuses our certificate (alert certificate_revoked)";
    case certificate_expired:
      return "the peer refuses our certificate (alert certificate_expired)";
    case certificate_unknown:
      return "the peer refuses our certificate (alert certificate_unknown)";
    case unknown_ca:
      return "the peer refuses our certificate (alert unknown_ca)";
    case access_denied:
      return "the peer refuses our certificate (alert access_denied)";
    case certificate_required:
      return "the peer wants a certificate (alert certificate_required)";
    default:
      return "the peer sent a fatal alert";
  }
}

bool HasSentNoRenegotiation(WOLFSSL* library_session) {
  WOLFSSL_ALERT_HISTORY history = {};
  wolfSSL_get_alert_history(library_session, &history);
  return history.last_tx.code == no_renegotiation;
}

std::string_view VerdictText(FailureReason reason) {
  switch (reason) {
    case FailureReason::kExpired:
      return "a certificate has expired";
    case FailureReason::kNotYetValid:
      return "the certificate is not valid yet";
    case FailureReason::kName:
      return "the certificate cannot be read";
    case FailureReason::kUntrustedCa:
      return "the certificate's path is ambiguous or too long";
    case FailureReason::kKeyUsage:
      return "keyUsage or extendedKeyUsage of the certificate does not allow this";
    case FailureReason::kWeak:
      return "a key or signature of the chain is too weak";
    case FailureReason::kCriticalExtension:
      return kUnknownCriticalText;
    default:
      return "the certificate is not acceptable";
  }
}

// Binds what the library's transport callbacks use to the duration of one call.
template <typename T>
class ScopedBorrow {
 public:
  ScopedBorrow(T*& place, T* value) : place_(place) { place_ = value; }
  ~ScopedBorrow() { place_ = nullptr; }
  ScopedBorrow(const ScopedBorrow&) = delete;
  ScopedBorrow& operator=(const ScopedBorrow&) = delete;

 private:
  T*& place_;
};

constexpr size_t kLibraryCallBytesMax = 1 << 30;  // The library counts in int.

}  // namespace

Session::Session() = default;

Session::~Session() {
  if (library_session_ != nullptr) wolfSSL_free(library_session_);
}

std::unique_ptr<Session> Session::Create(std::shared_ptr<Context> context,
                                         const ServerName& server_name,
                                         const ClientResumption& resumption) {
  std::unique_ptr<Session> session(new Session());
  if (!session->Start(std::move(context), server_name, resumption)) return nullptr;
  return session;
}

bool Session::Start(std::shared_ptr<Context> context, const ServerName& server_name,
                    const ClientResumption& resumption) {
  library_session_ = wolfSSL_new(context->library_context_);
  if (library_session_ == nullptr) return false;
  wolfSSL_SetIOReadCtx(library_session_, this);
  wolfSSL_SetIOWriteCtx(library_session_, this);
  if (context->role() == ContextRole::kClient && !server_name.empty() &&
      wolfSSL_UseSNI(library_session_, WOLFSSL_SNI_HOST_NAME, server_name.text().data(),
                     static_cast<unsigned short>(server_name.text().size())) != WOLFSSL_SUCCESS) {
    return false;
  }
  handshaking_ = std::make_unique<Handshaking>(std::move(context), server_name);
  if (!handshaking_->AttachTo(library_session_)) return false;
  if (handshaking_->context().role() == ContextRole::kClient) OfferSession(resumption);
  return true;
}

// ---- Resumption as client -----------------------------------------------------------------------

void Session::OfferSession(const ClientResumption& resumption) {
  wolfSSL_set_SessionTicket_cb(library_session_, &Session::OnTicketReceived, this);
  if (resumption.sessions == nullptr || !handshaking_->context().resumes_as_client()) return;
  awaited_ = std::make_unique<AwaitedTicket>();
  awaited_->clock = handshaking_->context().options_.clock;
  awaited_->resumption = {resumption.sessions, handshaking_->ClientSessionKey(resumption.key)};
  ClientSessions& sessions = *resumption.sessions;
  std::optional<ResumableSession> session = sessions.Take(awaited_->resumption.key);
  if (!session.has_value()) return;
  const ScopedWallClock clock(awaited_->clock);
  offered_resumption_ =
      handshaking_->MayOffer(*session) &&
      wolfSSL_set_session(library_session_, session->library_session.get()) == WOLFSSL_SUCCESS;
  if (offered_resumption_) handshaking_->NoteOffered(std::move(session->server));
  ++(offered_resumption_ ? sessions.counters().offered : sessions.counters().refused);
}

// The library has copied it and is not done with the message, so it is only noted here.
int Session::OnTicketReceived(WOLFSSL*, const unsigned char*, int, void* self) {
  static_cast<Session*>(self)->ticket_received_ = true;
  return 0;
}

// Decides what the ticket will be stored with. In TLS 1.2 it has come by now, or the one that was
// accepted stays good (RFC 5077 §3.3); in TLS 1.3 it follows the handshake.
void Session::BeginAwaitingTicket() {
  if (awaited_ != nullptr && peer_.leaf_der.size() <= kClientLeafBytesMax) {
    awaited_->server.peer = peer_;
    awaited_->server.leaf = std::make_unique_for_overwrite<uint8_t[]>(peer_.leaf_der.size());
    std::copy(peer_.leaf_der.begin(), peer_.leaf_der.end(), awaited_->server.leaf.get());
    awaited_->server.peer.leaf_der = {awaited_->server.leaf.get(), peer_.leaf_der.size()};
    if (peer_.version == TlsVersion::kTls13) return;
    if (ticket_received_ || peer_.resumed) return StoreTicket();
  }
  StopAwaitingTicket();
}

void Session::StoreTicket() {
  ticket_received_ = false;
  LibrarySession session = ExchangeSession(library_session_, spent_session_.get());
  const std::unique_ptr<AwaitedTicket> awaited = std::move(awaited_);
  if (session == nullptr || awaited == nullptr) return;  // A ticket that nobody waits for.
  if (!IsWorthStoring(*session)) return;
  ResumableSession entry{std::move(session), std::move(awaited->server), 0};
  entry.expires_at = SessionExpiry(*entry.library_session);
  awaited->resumption.sessions->Put(awaited->resumption.key, std::move(entry));
}

void Session::StopAwaitingTicket() {
  awaited_.reset();
  ticket_received_ = false;
  ExchangeSession(library_session_, spent_session_.get());
}

// ---- The library's transport --------------------------------------------------------------------

int Session::OnReceive(WOLFSSL*, char* buffer, int bytes, void* self) {
  auto* const session = static_cast<Session*>(self);
  if (session->input_ == nullptr || session->input_->empty()) return WOLFSSL_CBIO_ERR_WANT_READ;
  const size_t taken = std::min(session->input_->size(), static_cast<size_t>(bytes));
  std::memcpy(buffer, session->input_->data(), taken);
  *session->input_ = session->input_->subspan(taken);
  return static_cast<int>(taken);
}

// All or nothing, so a record is never half sent and the library never has to retry.
int Session::OnSend(WOLFSSL*, char* buffer, int bytes, void* self) {
  auto* const session = static_cast<Session*>(self);
  const std::span data(reinterpret_cast<const std::byte*>(buffer), static_cast<size_t>(bytes));
  if (session->output_ == nullptr || session->output_full_ || !session->output_->Append(data)) {
    session->output_full_ = true;
    return WOLFSSL_CBIO_ERR_GENERAL;
  }
  session->has_sent_ = true;
  return bytes;
}

// ---- Handshake ----------------------------------------------------------------------------------

HandshakeOutcome Session::Handshake(std::span<const std::byte>& ciphertext,
                                    core::OutputQueue& out) {
  if (failure_ != FailureReason::kNone) return HandshakeOutcome::kFailed;
  if (established_) return HandshakeOutcome::kDone;
  const size_t offered = ciphertext.size();
  const ScopedWallClock clock(handshaking_->context().options_.clock);
  const ScopedBorrow input(input_, &ciphertext);
  const ScopedBorrow output(output_, &out);
  const bool server = handshaking_->context().role() == ContextRole::kServer;
  const int result = server ? wolfSSL_accept(library_session_) : wolfSSL_connect(library_session_);
  handshaking_->ForgetIntermediates();
  if (result == WOLFSSL_SUCCESS) return FinishHandshake();
  const int error = wolfSSL_get_error(library_session_, result);
  if (error != WOLFSSL_ERROR_WANT_READ) return FailHandshake(error);
  if (!handshaking_->AdmitBytes(offered - ciphertext.size())) {
    Fail(FailureReason::kProtocol, "more bytes than any handshake needs");
    return HandshakeOutcome::kFailed;
  }
  return HandshakeOutcome::kNeedMore;
}

HandshakeOutcome Session::FinishHandshake() {
  Context& context = handshaking_->context();
  const bool resumed = wolfSSL_session_reused(library_session_) == 1;
  handshaking_->TakePeer(resumed, peer_, leaf_);
  const bool required = context.role() == ContextRole::kClient ||
                        context.client_certificate() == ClientCertificateMode::kRequired;
  // A resumed handshake shows no certificate and a full one does; anything in between is no proof.
  if (resumed && handshaking_->certificate_judged()) {
    Fail(FailureReason::kProtocol, "a certificate in a resumed handshake");
    return HandshakeOutcome::kFailed;
  }
  if (required && !peer_.verified) {  // Whatever the library thinks.
    Fail(FailureReason::kNoCertificate, "the peer proved no identity");
    return HandshakeOutcome::kFailed;
  }
  peer_.version = wolfSSL_GetVersion(library_session_) == WOLFSSL_TLSV1_3 ? TlsVersion::kTls13
                                                                          : TlsVersion::kTls12;
  const int suite = wolfSSL_get_current_cipher_suite(library_session_);
  peer_.cipher =
      CipherName(static_cast<unsigned char>(suite >> 8), static_cast<unsigned char>(suite));
  DropOfferedTickets(library_session_);
  if (context.role() == ContextRole::kServer) {
    ExchangeSession(library_session_, context.spent_session_.get());
  } else {
    spent_session_ = ShareSession(context.spent_session_.get());
    BeginAwaitingTicket();
  }
  Handshaking::Detach(library_session_);
  handshaking_.reset();  // The context may go now.
  established_ = true;
  return HandshakeOutcome::kDone;
}

HandshakeOutcome Session::FailHandshake(int library_error) {
  if (output_full_) {
    Fail(FailureReason::kInternal, "no room for the handshake's output");
  } else if (handshaking_->verdict() != FailureReason::kNone) {
    Fail(handshaking_->verdict(), VerdictText(handshaking_->verdict()));
  } else {
    const Explanation explanation = Explain(library_error);
    const bool is_alert = explanation.reason == FailureReason::kAlert;
    Fail(explanation.reason, is_alert ? AlertText(library_session_) : explanation.text);
  }
  return HandshakeOutcome::kFailed;
}

void Session::Fail(FailureReason reason, std::string_view text) {
  failure_ = reason;
  failure_text_ = text;
  established_ = false;
}

std::span<const uint8_t> Session::refused_leaf() const {
  if (handshaking_ == nullptr || failure_ == FailureReason::kNone) return {};
  const std::span<const uint8_t> shown = handshaking_->shown_leaf();
  return shown.empty() ? peer_.leaf_der : shown;
}

void Session::DropLeaf() {
  leaf_.reset();
  peer_.leaf_der = {};
}

// ---- Records ------------------------------------------------------------------------------------

DecryptResult Session::Decrypt(std::span<const std::byte>& ciphertext,
                               std::span<std::byte> plaintext, core::OutputQueue& out) {
  DecryptResult result;
  if (!established_) {
    result.outcome = DecryptOutcome::kFailed;
    return result;
  }
  DCHECK(!plaintext.empty());
  const ScopedBorrow input(input_, &ciphertext);
  const ScopedBorrow output(output_, &out);
  has_sent_ = false;
  if (awaited_ == nullptr) {
    result = ReadRecords(ciphertext, plaintext);
  } else {
    const ScopedWallClock clock(awaited_->clock);  // The library dates the ticket.
    result = ReadRecords(ciphertext, plaintext);
  }
  if (ticket_received_) StoreTicket();
  if (has_sent_ && !has_refused_renegotiation_) {
    has_refused_renegotiation_ = HasSentNoRenegotiation(library_session_);
    result.refused_renegotiation = has_refused_renegotiation_;
  }
  return result;
}

DecryptResult Session::ReadRecords(std::span<const std::byte>& ciphertext,
                                   std::span<std::byte> plaintext) {
  DecryptResult result;
  while (result.bytes < plaintext.size()) {
    const size_t room = std::min(plaintext.size() - result.bytes, kLibraryCallBytesMax);
    const int got =
        wolfSSL_read(library_session_, plaintext.data() + result.bytes, static_cast<int>(room));
    if (got > 0) {
      result.bytes += static_cast<size_t>(got);
      continue;
    }
    const int error = wolfSSL_get_error(library_session_, got);
    result.outcome = error == WOLFSSL_ERROR_WANT_READ
                         ? (result.bytes > 0 ? DecryptOutcome::kData : DecryptOutcome::kNeedMore)
                         : JudgeReadError(error);
    return result;
  }
  // The library asks for one record at a time, so with no input left it holds only the rest of the
  // record it is in.
  const bool drained = ciphertext.empty() && wolfSSL_pending(library_session_) == 0;
  result.outcome = drained ? DecryptOutcome::kData : DecryptOutcome::kMoreAvailable;
  return result;
}

DecryptOutcome Session::JudgeReadError(int library_error) {
  if (library_error == WOLFSSL_ERROR_ZERO_RETURN) {
    close_notify_received_ = true;
    return DecryptOutcome::kCloseNotify;
  }
  if (output_full_) {
    Fail(FailureReason::kInternal, "no room for an answer to the peer's record");
  } else {
    const bool is_alert = Explain(library_error).reason == FailureReason::kAlert;
    Fail(is_alert ? FailureReason::kAlert : FailureReason::kProtocol,
         is_alert ? AlertText(library_session_) : "a bad record");
  }
  return DecryptOutcome::kFailed;
}

DecryptOutcome Session::EndOfStream() const {
  return close_notify_received_ ? DecryptOutcome::kCloseNotify : DecryptOutcome::kTruncated;
}

bool Session::Encrypt(std::span<const std::byte> plaintext, core::OutputQueue& out) {
  if (!established_ || close_notify_sent_) return false;
  if (plaintext.empty()) return true;
  DCHECK(plaintext.size() <= kLibraryCallBytesMax);
  const ScopedBorrow output(output_, &out);
  const int bytes = static_cast<int>(plaintext.size());
  if (wolfSSL_write(library_session_, plaintext.data(), bytes) == bytes) return true;
  // Part of it may be in `out`, and the record counter moved on: nothing sensible can follow.
  Fail(FailureReason::kInternal, "no room for an encrypted record");
  return false;
}

void Session::Close(core::OutputQueue& out) {
  if (!established_ || close_notify_sent_) return;
  close_notify_sent_ = true;
  const ScopedBorrow output(output_, &out);
  wolfSSL_shutdown(library_session_);
}

}  // namespace sallyport::tls
