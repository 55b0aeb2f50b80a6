#include "tests/support/tls_client.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <utility>
#include <vector>

#include "core/check.h"

namespace sallyport::test {
namespace {

std::string LastError() {
  const unsigned long code = ERR_peek_last_error();
  return code == 0 ? "no detail" : ERR_error_string(code, nullptr);
}

void AddChain(SSL_CTX* context, const std::string& pem) {
  BIO* const bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  while (X509* const extra = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    CHECK(SSL_CTX_add_extra_chain_cert(context, extra) == 1);  // Takes it over.
  }
  ERR_clear_error();
  BIO_free(bio);
}

void AddTrust(SSL_CTX* context, const std::string& pem) {
  BIO* const bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  while (X509* const trusted = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), trusted) == 1);
    X509_free(trusted);
  }
  ERR_clear_error();
  BIO_free(bio);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

// d2i and i2d of a session, the only way to reach its ticket.
std::string Encode(SSL_SESSION* session) {
  unsigned char* der = nullptr;
  const int bytes = i2d_SSL_SESSION(session, &der);
  CHECK(bytes > 0);
  std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(bytes));
  OPENSSL_free(der);
  return text;
}

}  // namespace

TlsClient::TlsClient(const TlsClientOptions& options)
    : context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free) {
  SSL_CTX* const context = context_.get();
  SSL_CTX_set_security_level(context, options.security_level);
  CHECK(SSL_CTX_set_min_proto_version(context, options.min_version) == 1);
  CHECK(SSL_CTX_set_max_proto_version(context, options.max_version) == 1);
  if (!options.groups.empty())
    CHECK(SSL_CTX_set1_groups_list(context, options.groups.c_str()) == 1);
  if (!options.ciphers.empty())
    CHECK(SSL_CTX_set_cipher_list(context, options.ciphers.c_str()) == 1);
  if (!options.ciphersuites.empty()) {
    CHECK(SSL_CTX_set_ciphersuites(context, options.ciphersuites.c_str()) == 1);
  }
  if (options.certificate != nullptr) {
    CHECK(SSL_CTX_use_certificate(context, options.certificate->certificate.get()) == 1);
    CHECK(SSL_CTX_use_PrivateKey(context, options.certificate->key.get()) == 1);
  }
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  if (!options.chain_pem.empty()) AddChain(context, options.chain_pem);
  if (!options.trusted_pem.empty()) AddTrust(context, options.trusted_pem);
  if (options.psk_without_dhe) SSL_CTX_set_options(context, SSL_OP_ALLOW_NO_DHE_KEX);
  if (options.no_extended_master_secret)
    SSL_CTX_set_options(context, SSL_OP_NO_EXTENDED_MASTER_SECRET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, &TlsClient::OnNewSession);
  SSL_CTX_set_keylog_callback(context, &TlsClient::OnKeyLog);

  ssl_ = SSL_new(context);
  CHECK(ssl_ != nullptr);
  SSL_set_app_data(ssl_, this);
  SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  BIO_set_mem_eof_return(SSL_get_rbio(ssl_), -1);
  if (!options.server_name.empty()) SSL_set_tlsext_host_name(ssl_, options.server_name.c_str());
  if (options.session != nullptr) {
    SSL_SESSION* const copy =
        SSL_SESSION_dup(options.session.get());  // Single use is OpenSSL's rule, not ours.
    CHECK(SSL_set_session(ssl_, copy) == 1);
    SSL_SESSION_free(copy);
  }
  SSL_set_connect_state(ssl_);
  Receive("");
}

TlsClient::~TlsClient() { SSL_free(ssl_); }

int TlsClient::OnNewSession(SSL* ssl, SSL_SESSION* session) {
  auto* const client = static_cast<TlsClient*>(SSL_get_app_data(ssl));
  client->ticket_ = std::shared_ptr<SSL_SESSION>(SSL_SESSION_dup(session), &SSL_SESSION_free);
  return 0;  // The reference stays OpenSSL's.
}

void TlsClient::OnKeyLog(const SSL* ssl, const char* line) {
  auto* const client = static_cast<TlsClient*>(SSL_get_app_data(ssl));
  client->key_log_ += line;
  client->key_log_ += '\n';
}

bool TlsClient::Receive(std::string_view from_server) {
  ERR_clear_error();
  if (!from_server.empty()) {
    CHECK(BIO_write(SSL_get_rbio(ssl_), from_server.data(), static_cast<int>(from_server.size())) ==
          static_cast<int>(from_server.size()));
  }
  if (connected_) return true;
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    connected_ = true;
    return true;
  }
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return true;
  error_ = LastError();
  return false;
}

std::string TlsClient::TakeOutput() {
  std::string bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_)), '\0');
  if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

bool TlsClient::resumed() const { return SSL_session_reused(ssl_) == 1; }
int TlsClient::version() const { return SSL_version(ssl_); }
std::string_view TlsClient::cipher() const { return SSL_get_cipher_name(ssl_); }

bool TlsClient::Write(std::string_view plaintext) {
  return SSL_write(ssl_, plaintext.data(), static_cast<int>(plaintext.size())) ==
         static_cast<int>(plaintext.size());
}

std::string TlsClient::Read() {
  std::string plaintext;
  std::vector<char> buffer(16384);
  ERR_clear_error();
  for (;;) {
    const int got = SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()));
    if (got <= 0) {
      const int error = SSL_get_error(ssl_, got);
      if (error == SSL_ERROR_ZERO_RETURN) closed_ = true;
      if (error == SSL_ERROR_SSL) error_ = LastError();
      return plaintext;
    }
    plaintext.append(buffer.data(), static_cast<size_t>(got));
  }
}

void TlsClient::SendCloseNotify() { SSL_shutdown(ssl_); }
bool TlsClient::Renegotiate() { return SSL_renegotiate(ssl_) == 1 && SSL_do_handshake(ssl_) == 1; }
// The only moment at which OpenSSL takes data between its ClientHello and the answer.
void TlsClient::OnProtocolMessage(int is_written, int, int content_type, const void* bytes, size_t,
                                  SSL* ssl, void* self) {
  auto* const client = static_cast<TlsClient*>(self);
  const bool is_hello = is_written == 1 && content_type == SSL3_RT_HANDSHAKE &&
                        *static_cast<const unsigned char*>(bytes) == SSL3_MT_CLIENT_HELLO;
  if (!is_hello || client->behind_hello_.empty()) return;
  const std::string plaintext = std::exchange(client->behind_hello_, {});
  CHECK(SSL_write(ssl, plaintext.data(), static_cast<int>(plaintext.size())) ==
        static_cast<int>(plaintext.size()));
}

void TlsClient::RenegotiateAndWrite(std::string_view plaintext) {
  behind_hello_ = plaintext;
  SSL_set_msg_callback(ssl_, &TlsClient::OnProtocolMessage);
  SSL_set_msg_callback_arg(ssl_, this);
  CHECK(SSL_renegotiate(ssl_) == 1);
  static_cast<void>(SSL_do_handshake(ssl_));
  CHECK(behind_hello_.empty());
}

bool TlsClient::UpdateKey() {
  return SSL_key_update(ssl_, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl_) == 1;
}

// In TLS 1.2 the ticket is part of the session at once; in TLS 1.3 it comes later, through the
// callback.
std::shared_ptr<SSL_SESSION> TlsClient::Ticket() const {
  return ticket_ != nullptr && SSL_SESSION_has_ticket(ticket_.get()) == 1 ? ticket_ : nullptr;
}

std::string TicketBytes(const std::shared_ptr<SSL_SESSION>& session) {
  const unsigned char* ticket = nullptr;
  size_t bytes = 0;
  SSL_SESSION_get0_ticket(session.get(), &ticket, &bytes);
  return {reinterpret_cast<const char*>(ticket), bytes};
}

std::shared_ptr<SSL_SESSION> WithTicketBytes(const std::shared_ptr<SSL_SESSION>& session,
                                             std::string_view ticket) {
  std::string der = Encode(session.get());
  const std::string old = TicketBytes(session);
  CHECK(old.size() == ticket.size());  // Lengths in the DER stay right.
  const size_t at = der.find(old);
  CHECK(at != std::string::npos);
  der.replace(at, old.size(), ticket);
  const auto* in = reinterpret_cast<const unsigned char*>(der.data());
  SSL_SESSION* const changed = d2i_SSL_SESSION(nullptr, &in, static_cast<long>(der.size()));
  CHECK(changed != nullptr);
  return {changed, &SSL_SESSION_free};
}

// ---- ServerEnd ----------------------------------------------------------------------------------

ServerEnd::ServerEnd(std::shared_ptr<tls::Context> context, std::string_view server_name,
                     uint32_t output_bytes_max)
    : pool_(1024 * 1024, 4),
      out_(pool_, output_bytes_max),
      session_(tls::Session::Create(std::move(context), tls::ServerName(server_name))) {
  CHECK(session_ != nullptr);
}

void ServerEnd::Feed(std::string_view from_client, size_t piece) {
  std::span<const std::byte> rest = std::as_bytes(std::span(from_client));
  if (piece == 0) piece = rest.size();
  while (!rest.empty()) {
    const size_t bytes = std::min(piece, rest.size());
    // A copy of its own, so that reading past it is seen by the sanitizer.
    const std::vector<std::byte> copy(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(bytes));
    FeedPiece(copy);
    rest = rest.subspan(bytes);
    if (handshake_outcome_ == tls::HandshakeOutcome::kFailed) return;
  }
}

void ServerEnd::FeedPiece(std::span<const std::byte> ciphertext) {
  if (handshake_outcome_ == tls::HandshakeOutcome::kNeedMore) {
    handshake_outcome_ = session_->Handshake(ciphertext, out_);
    if (handshake_outcome_ == tls::HandshakeOutcome::kNeedMore) CHECK(ciphertext.empty());
  }
  if (handshake_outcome_ != tls::HandshakeOutcome::kDone) return;
  std::vector<std::byte> plaintext(plaintext_bytes_);
  do {
    const tls::DecryptResult result = session_->Decrypt(ciphertext, plaintext, out_);
    decrypt_outcome_ = result.outcome;
    if (result.refused_renegotiation) ++renegotiations_refused_;
    received_.append(reinterpret_cast<const char*>(plaintext.data()), result.bytes);
  } while (decrypt_outcome_ == tls::DecryptOutcome::kMoreAvailable);
}

std::string ServerEnd::TakeOutput() {
  std::string bytes;
  while (!out_.empty()) {
    iovec pieces[8];
    const size_t count = out_.Gather(pieces);
    uint32_t total = 0;
    for (size_t i = 0; i < count; ++i) {
      bytes.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
      total += static_cast<uint32_t>(pieces[i].iov_len);
    }
    out_.Consume(total);
  }
  return bytes;
}

bool ServerEnd::Write(std::string_view plaintext) {
  return session_->Encrypt(std::as_bytes(std::span(plaintext)), out_);
}

bool Converse(TlsClient& client, ServerEnd& server, size_t piece) {
  for (;;) {
    const std::string to_server = client.TakeOutput();
    server.Feed(to_server, piece);
    const std::string to_client = server.TakeOutput();
    if (to_server.empty() && to_client.empty()) break;
    if (!client.Receive(to_client)) {
      server.Feed(client.TakeOutput(), piece);  // Its alert.
      return false;
    }
  }
  return client.connected() && server.handshake_outcome() == tls::HandshakeOutcome::kDone;
}

}  // namespace sallyport::test
