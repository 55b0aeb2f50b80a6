#include "tests/support/tls_server.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "core/check.h"

namespace sallyport::test {
namespace {

std::string LastError() {
  const unsigned long code = ERR_peek_last_error();
  return code == 0 ? "no detail" : ERR_error_string(code, nullptr);
}

void ForEachCertificate(const std::string& pem, void (*use)(SSL_CTX* context, X509* certificate),
                        SSL_CTX* context) {
  BIO* const bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  while (X509* const certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    use(context, certificate);
  }
  ERR_clear_error();
  BIO_free(bio);
}

}  // namespace

std::shared_ptr<SSL_CTX> MakeTlsServerContext(const TlsServerOptions& options) {
  std::shared_ptr<SSL_CTX> shared(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  SSL_CTX* const context = shared.get();
  SSL_CTX_set_security_level(context, options.security_level);
  CHECK(SSL_CTX_set_min_proto_version(context, options.min_version) == 1);
  CHECK(SSL_CTX_set_max_proto_version(context, options.max_version) == 1);
  if (!options.ciphersuites.empty()) {
    CHECK(SSL_CTX_set_ciphersuites(context, options.ciphersuites.c_str()) == 1);
  }
  CHECK(options.certificate != nullptr);
  CHECK(SSL_CTX_use_certificate(context, options.certificate->certificate.get()) == 1);
  CHECK(SSL_CTX_use_PrivateKey(context, options.certificate->key.get()) == 1);
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  ForEachCertificate(
      options.chain_pem,
      [](SSL_CTX* to, X509* certificate) {
        CHECK(SSL_CTX_add_extra_chain_cert(to, certificate) == 1);  // Takes it over.
      },
      context);
  if (!options.trusted_pem.empty()) {
    ForEachCertificate(
        options.trusted_pem,
        [](SSL_CTX* to, X509* certificate) {
          CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(to), certificate) == 1);
          X509_free(certificate);
        },
        context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    const unsigned char id = 1;
    SSL_CTX_set_session_id_context(context, &id, 1);
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // Tickets only.
  SSL_CTX_set_num_tickets(context, static_cast<size_t>(options.tickets));
  if (options.no_tickets) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  }
  if (options.no_extended_master_secret) {
    SSL_CTX_set_options(context, SSL_OP_NO_EXTENDED_MASTER_SECRET);
  }
  return shared;
}

void ForgetTickets(SSL_CTX& context) {
  std::array<unsigned char, 80> keys;
  CHECK(RAND_bytes(keys.data(), keys.size()) == 1);
  CHECK(SSL_CTX_set_tlsext_ticket_keys(&context, keys.data(), keys.size()) == 1);
}

TlsServer::TlsServer(std::shared_ptr<SSL_CTX> context) : context_(std::move(context)) {
  ssl_ = SSL_new(context_.get());
  CHECK(ssl_ != nullptr);
  SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  BIO_set_mem_eof_return(SSL_get_rbio(ssl_), -1);
  SSL_set_accept_state(ssl_);
}

TlsServer::~TlsServer() { SSL_free(ssl_); }

bool TlsServer::Receive(std::string_view from_client) {
  if (!error_.empty()) return false;
  ERR_clear_error();
  if (!from_client.empty()) {
    CHECK(BIO_write(SSL_get_rbio(ssl_), from_client.data(), static_cast<int>(from_client.size())) ==
          static_cast<int>(from_client.size()));
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

std::string TlsServer::TakeOutput() {
  std::string bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_)), '\0');
  if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

bool TlsServer::resumed() const { return SSL_session_reused(ssl_) == 1; }
int TlsServer::version() const { return SSL_version(ssl_); }

std::string TlsServer::server_name() const {
  const char* const name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "" : name;
}

bool TlsServer::Write(std::string_view plaintext) {
  return SSL_write(ssl_, plaintext.data(), static_cast<int>(plaintext.size())) ==
         static_cast<int>(plaintext.size());
}

std::string TlsServer::Read() {
  std::string plaintext;
  std::vector<char> buffer(16384);
  ERR_clear_error();
  for (;;) {
    const int got = SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()));
    if (got <= 0) {
      if (SSL_get_error(ssl_, got) == SSL_ERROR_SSL) error_ = LastError();
      return plaintext;
    }
    plaintext.append(buffer.data(), static_cast<size_t>(got));
  }
}

bool TlsServer::IssueTicket() { return SSL_new_session_ticket(ssl_) == 1; }
void TlsServer::SendCloseNotify() { SSL_shutdown(ssl_); }
bool TlsServer::UpdateKey() {
  return SSL_key_update(ssl_, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl_) == 1;
}

// ---- ClientEnd ----------------------------------------------------------------------------------

ClientEnd::ClientEnd(std::shared_ptr<tls::Context> context, std::string_view server_name,
                     const tls::ClientResumption& resumption)
    : pool_(1024 * 1024, 4),
      out_(pool_, 256 * 1024),
      session_(tls::Session::Create(std::move(context), tls::ServerName(server_name), resumption)) {
  CHECK(session_ != nullptr);
  FeedPiece({});
}

void ClientEnd::Feed(std::string_view from_server, size_t piece) {
  std::span<const std::byte> rest = std::as_bytes(std::span(from_server));
  if (piece == 0) piece = rest.size();
  while (!rest.empty() && handshake_outcome_ != tls::HandshakeOutcome::kFailed) {
    const size_t bytes = std::min(piece, rest.size());
    // A copy of its own, so that reading past it is seen by the sanitizer.
    const std::vector<std::byte> copy(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(bytes));
    FeedPiece(copy);
    rest = rest.subspan(bytes);
  }
}

void ClientEnd::FeedPiece(std::span<const std::byte> ciphertext) {
  if (handshake_outcome_ == tls::HandshakeOutcome::kNeedMore) {
    handshake_outcome_ = session_->Handshake(ciphertext, out_);
  }
  if (!connected()) return;
  std::vector<std::byte> plaintext(4096);
  tls::DecryptResult result;
  do {
    result = session_->Decrypt(ciphertext, plaintext, out_);
    received_.append(reinterpret_cast<const char*>(plaintext.data()), result.bytes);
  } while (result.outcome == tls::DecryptOutcome::kMoreAvailable);
}

std::string ClientEnd::TakeOutput() { return TakeBytes(out_); }

bool ClientEnd::Write(std::string_view plaintext) {
  return session_->Encrypt(std::as_bytes(std::span(plaintext)), out_);
}

std::string TakeBytes(core::OutputQueue& out) {
  std::string bytes;
  while (!out.empty()) {
    std::array<iovec, 8> pieces;
    const size_t count = out.Gather(pieces);
    uint32_t total = 0;
    for (size_t i = 0; i < count; ++i) {
      bytes.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
      total += static_cast<uint32_t>(pieces[i].iov_len);
    }
    out.Consume(total);
  }
  return bytes;
}

bool Converse(ClientEnd& client, TlsServer& server, size_t piece) {
  for (;;) {
    const std::string to_server = client.TakeOutput();
    const bool server_lives = server.Receive(to_server);
    const std::string to_client = server.TakeOutput();
    client.Feed(to_client, piece);
    if (!server_lives) return false;
    if (to_server.empty() && to_client.empty()) break;
  }
  return client.connected() && server.connected();
}

bool Converse(ClientEnd& client, ServerEnd& server, size_t piece) {
  for (;;) {
    const std::string to_server = client.TakeOutput();
    server.Feed(to_server, piece);
    const std::string to_client = server.TakeOutput();
    client.Feed(to_client, piece);
    if (to_server.empty() && to_client.empty()) break;
  }
  return client.connected() && server.handshake_outcome() == tls::HandshakeOutcome::kDone;
}

}  // namespace sallyport::test
