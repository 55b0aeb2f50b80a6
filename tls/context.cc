#include "tls/context.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "tls/handshake.h"
#include "tls/keyed_mac.h"
#include "tls/library_internals.h"
#include "tls/session.h"

namespace sallyport::tls {
namespace {

constexpr int16_t kRsaBitsMin = 2048;
constexpr int16_t kEccBitsMin = 256;

WOLFSSL_METHOD* MethodFor(ContextRole role, SecProtocol protocol) {
  const bool server = role == ContextRole::kServer;
  switch (protocol) {
    case SecProtocol::kTls12AndLater:
      return server ? wolfSSLv23_server_method() : wolfSSLv23_client_method();
    case SecProtocol::kTls12Only:
      return server ? wolfTLSv1_2_server_method() : wolfTLSv1_2_client_method();
    case SecProtocol::kTls13Only:
      return server ? wolfTLSv1_3_server_method() : wolfTLSv1_3_client_method();
  }
  UNREACHABLE();
}

absl::Status LibraryError(std::string_view profile, std::string_view what, int code) {
  return absl::InternalError(
      absl::StrCat("tls profile ", std::string(profile), ": ", std::string(what), ": ", code, " (",
                   wolfSSL_ERR_reason_error_string(static_cast<unsigned long>(code)), ")"));
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

absl::StatusOr<std::shared_ptr<Context>> Context::Create(const Credentials& credentials,
                                                         const ContextOptions& options) {
  InitializeLibrary();
  std::shared_ptr<Context> context(new Context(credentials, options));
  const ScopedWallClock clock(context->options_.clock);  // The library looks at the anchors' dates.
  if (absl::Status status = context->Configure(credentials); !status.ok()) return status;
  context->ConfigureVerification();
  if (absl::Status status = context->ConfigureTickets(options.secret); !status.ok()) return status;
  return context;
}

Context::Context(const Credentials& credentials, const ContextOptions& options)
    : options_(options),
      profile_name_(credentials.profile().name),
      sec_protocol_(credentials.profile().sec_protocol),
      eku_(credentials.profile().eku),
      anchor_set_sha256_(credentials.anchor_set_sha256()),
      own_chain_sha256_(Sha256(std::as_bytes(std::span(credentials.chain_pem_)))),
      resumes_as_client_(options.role == ContextRole::kClient && credentials.profile().resumption) {
  options_.secret = nullptr;
  if (!credentials.profile().resumption || options.role == ContextRole::kClient ||
      options.secret == nullptr) {
    return;
  }
  sealer_ = std::make_unique<TicketSealer>(*options.secret);
}

Context::~Context() {
  if (library_context_ != nullptr) wolfSSL_CTX_free(library_context_);
}

absl::Status Context::Configure(const Credentials& credentials) {
  library_context_ = wolfSSL_CTX_new(MethodFor(options_.role, sec_protocol_));
  spent_session_.reset(wolfSSL_SESSION_new());
  if (library_context_ == nullptr || spent_session_ == nullptr) {
    return absl::ResourceExhaustedError("out of memory");
  }
  WOLFSSL_CTX* const ctx = library_context_;
  if (sec_protocol_ == SecProtocol::kTls12AndLater &&
      wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS) {
    return LibraryError(profile_name_, "minimum version", 0);
  }
  if (wolfSSL_CTX_set_cipher_list(ctx, credentials.library_suites_.c_str()) != WOLFSSL_SUCCESS) {
    return LibraryError(profile_name_, "cipher suites", 0);
  }
  wolfSSL_CTX_SetMinRsaKey_Sz(ctx, kRsaBitsMin);
  wolfSSL_CTX_SetMinEccKey_Sz(ctx, kEccBitsMin);
  wolfSSL_CTX_set_group_messages(ctx);
  // A cache in the library would be one table with one lock for the whole process, and knows
  // nothing of our policy.
  wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
  wolfSSL_CTX_SetIORecv(ctx, &Session::OnReceive);
  wolfSSL_CTX_SetIOSend(ctx, &Session::OnSend);
  return LoadCertificates(credentials);
}

absl::Status Context::LoadCertificates(const Credentials& credentials) {
  if (credentials.has_certificate()) {
    const std::string& chain = credentials.chain_pem_;
    int result = wolfSSL_CTX_use_certificate_chain_buffer(library_context_, Bytes(chain),
                                                          static_cast<long>(chain.size()));
    if (result != WOLFSSL_SUCCESS) return LibraryError(profile_name_, "certificate", result);
    const std::string& key = credentials.key_pem_;
    result = wolfSSL_CTX_use_PrivateKey_buffer(library_context_, Bytes(key),
                                               static_cast<long>(key.size()), WOLFSSL_FILETYPE_PEM);
    if (result != WOLFSSL_SUCCESS) return LibraryError(profile_name_, "private key", result);
  } else if (options_.role == ContextRole::kServer) {
    return absl::FailedPreconditionError(
        absl::StrCat("tls profile ", profile_name_, ": a server needs a certificate"));
  }
  for (const TrustAnchor& anchor : credentials.anchors()) {
    const int result =
        wolfSSL_CTX_load_verify_buffer(library_context_, anchor.der.data(),
                                       static_cast<long>(anchor.der.size()), WOLFSSL_FILETYPE_ASN1);
    if (result != WOLFSSL_SUCCESS) return LibraryError(profile_name_, anchor.subject, result);
    anchors_.push_back({anchor.signer_sha256, anchor.public_key_sha256, anchor.not_after});
  }
  std::sort(anchors_.begin(), anchors_.end(), [](const Anchor& a, const Anchor& b) {
    if (a.signer_sha256 != b.signer_sha256) return a.signer_sha256 < b.signer_sha256;
    return a.not_after > b.not_after;
  });
  return absl::OkStatus();
}

void Context::ConfigureVerification() {
  int mode = WOLFSSL_VERIFY_NONE;
  if (options_.role == ContextRole::kClient ||
      options_.client_certificate == ClientCertificateMode::kOptional) {
    mode = WOLFSSL_VERIFY_PEER;
  } else if (options_.client_certificate == ClientCertificateMode::kRequired) {
    mode = WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    wolfSSL_CTX_mutual_auth(library_context_,
                            1);  // TLS 1.2: the refusal of no certificate has an alert too.
  }
  wolfSSL_CTX_set_verify(library_context_, mode, &Handshaking::OnVerify);
  ObserveCertificates(library_context_, &Handshaking::OnCertificate);
  if (options_.signature_memo != nullptr) {
    wolfSSL_CTX_SetEccVerifyCb(library_context_, &Handshaking::OnEcdsaVerify);
  }
}

absl::Status Context::ConfigureTickets(const Secret* secret) {
  WOLFSSL_CTX* const ctx = library_context_;
  // RFC 8446 §4.2.9: a resumption without a fresh key exchange has no forward secrecy.
  wolfSSL_CTX_only_dhe_psk(ctx);
  if (resumes_as_client_) {
    return wolfSSL_CTX_UseSessionTicket(ctx) == WOLFSSL_SUCCESS
               ? absl::OkStatus()
               : LibraryError(profile_name_, "tickets", 0);
  }
  if (sealer_ == nullptr) {
    wolfSSL_CTX_NoTicketTLSv12(ctx);
    wolfSSL_CTX_no_ticket_TLSv13(ctx);
    return absl::OkStatus();
  }
  CHECK(secret != nullptr);
  const auto lifetime = static_cast<int>(kTicketLifetimeSeconds);
  if (wolfSSL_CTX_set_TicketEncCb(ctx, &Handshaking::OnTicket) != WOLFSSL_SUCCESS ||
      wolfSSL_CTX_set_TicketHint(ctx, lifetime) != WOLFSSL_SUCCESS ||
      wolfSSL_CTX_set_timeout(ctx, lifetime) < 0 ||
      wolfSSL_CTX_set_num_tickets(ctx, 1) != WOLFSSL_SUCCESS) {
    return LibraryError(profile_name_, "tickets", 0);
  }
  return absl::OkStatus();
}

const Context::Anchor* Context::FindAnchor(const Sha256Digest& signer_sha256) const {
  const auto found =
      std::lower_bound(anchors_.begin(), anchors_.end(), signer_sha256,
                       [](const Anchor& a, const Sha256Digest& b) { return a.signer_sha256 < b; });
  if (found == anchors_.end() || found->signer_sha256 != signer_sha256) return nullptr;
  return &*found;
}

bool Context::TrustsKey(const Sha256Digest& public_key_sha256, int64_t now_seconds) const {
  return std::any_of(anchors_.begin(), anchors_.end(), [&](const Anchor& anchor) {
    return anchor.public_key_sha256 == public_key_sha256 && now_seconds <= anchor.not_after;
  });
}

// Content only, no counters and no addresses: every instance with this policy computes the same.
Sha256Digest Context::TicketBinding(std::string_view server_name) const {
  std::string content("sallyport ticket binding 1");
  const auto add = [&content](std::string_view part) {
    absl::StrAppend(&content, part.size(), ":");
    content.append(part);
  };
  add(options_.policy_name);
  add(profile_name_);
  add(server_name);
  add({reinterpret_cast<const char*>(anchor_set_sha256_.data()), anchor_set_sha256_.size()});
  content += static_cast<char>(options_.client_certificate);
  content += static_cast<char>(eku_);
  content += static_cast<char>(sec_protocol_);
  return Sha256(std::as_bytes(std::span(content)));
}

// A client that resumes is, for the server, what the full handshake proved: so our own certificate
// counts too. The anchors do not: the one that matters is asked for again (Handshaking::MayOffer).
Sha256Digest Context::ClientSessionKey(const Sha256Digest& key,
                                       std::string_view server_name) const {
  std::string content("sallyport client session 1");
  const auto add = [&content](const Sha256Digest& part) {
    content.append(reinterpret_cast<const char*>(part.data()), part.size());
  };
  add(key);
  add(own_chain_sha256_);
  absl::StrAppend(&content, profile_name_.size(), ":", profile_name_, server_name.size(), ":");
  content.append(server_name);
  content += static_cast<char>(eku_);
  content += static_cast<char>(sec_protocol_);
  return Sha256(std::as_bytes(std::span(content)));
}

}  // namespace sallyport::tls
