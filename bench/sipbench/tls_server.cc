#include "bench/sipbench/tls_server.h"

#include <string.h>
// The options decide what the other headers declare.
#include <wolfssl/options.h>
// After them:
#include <wolfssl/ssl.h>

#include <algorithm>
#include <array>

#include "core/check.h"

namespace sallyport::bench {

absl::StatusOr<std::unique_ptr<TlsServer>> TlsServer::Create(const TlsIdentity& identity) {
  InitialiseTlsLibrary();
  WOLFSSL_CTX* const context = wolfSSL_CTX_new(wolfTLS_server_method());
  if (context == nullptr) return absl::ResourceExhaustedError("no TLS context");
  std::unique_ptr<TlsServer> server(new TlsServer(context));
  if (absl::Status status = LoadTlsIdentity(context, identity); !status.ok()) return status;
  if (!identity.ca.empty()) {
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           nullptr);
  }
  wolfSSL_CTX_SetIORecv(context, &TlsServerSession::Read);
  wolfSSL_CTX_SetIOSend(context, &TlsServerSession::Write);
  return server;
}

TlsServer::~TlsServer() { wolfSSL_CTX_free(context_); }

TlsServerSession::TlsServerSession(const TlsServer& server)
    : session_(wolfSSL_new(server.context())) {
  CHECK(session_ != nullptr);
  wolfSSL_SetIOReadCtx(session_, this);
  wolfSSL_SetIOWriteCtx(session_, this);
}

TlsServerSession::~TlsServerSession() { wolfSSL_free(session_); }

int TlsServerSession::Read(WOLFSSL*, char* buffer, int size, void* self) {
  std::string_view& unread = static_cast<TlsServerSession*>(self)->unread_;
  if (unread.empty()) return WOLFSSL_CBIO_ERR_WANT_READ;
  const size_t taken = std::min(unread.size(), static_cast<size_t>(size));
  memcpy(buffer, unread.data(), taken);
  unread.remove_prefix(taken);
  return static_cast<int>(taken);
}

int TlsServerSession::Write(WOLFSSL*, char* buffer, int size, void* self) {
  static_cast<TlsServerSession*>(self)->outgoing_.append(buffer, static_cast<size_t>(size));
  return size;
}

bool TlsServerSession::Receive(std::string_view ciphertext, std::string* plaintext) {
  unread_ = ciphertext;
  if (!is_open_) {
    const int result = wolfSSL_accept(session_);
    if (result != WOLFSSL_SUCCESS) {
      return wolfSSL_get_error(session_, result) == WOLFSSL_ERROR_WANT_READ;
    }
    is_open_ = true;
  }
  std::array<char, 17 * 1024> record;  // One at most (RFC 8446 §5.1).
  for (;;) {
    const int length = wolfSSL_read(session_, record.data(), static_cast<int>(record.size()));
    if (length <= 0) return wolfSSL_get_error(session_, length) == WOLFSSL_ERROR_WANT_READ;
    plaintext->append(record.data(), static_cast<size_t>(length));
  }
}

bool TlsServerSession::Seal(std::string_view plaintext) {
  return is_open_ &&
         wolfSSL_write(session_, plaintext.data(), static_cast<int>(plaintext.size())) > 0;
}

}  // namespace sallyport::bench
