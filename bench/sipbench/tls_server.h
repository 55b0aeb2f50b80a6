// The server side of mutual TLS as bytes in, bytes out; the owner has the socket. Thread: a context
// and its sessions belong to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "bench/sipbench/tls_client.h"

namespace sallyport::bench {

class TlsServer {
 public:
  // Clients must show a certificate that chains to the CA; without one in `identity` none is asked
  // for.
  static absl::StatusOr<std::unique_ptr<TlsServer>> Create(const TlsIdentity& identity);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  WOLFSSL_CTX* context() const { return context_; }

 private:
  explicit TlsServer(WOLFSSL_CTX* context) : context_(context) {}

  WOLFSSL_CTX* const context_;
};

class TlsServerSession {
 public:
  explicit TlsServerSession(const TlsServer& server);
  ~TlsServerSession();
  TlsServerSession(const TlsServerSession&) = delete;
  TlsServerSession& operator=(const TlsServerSession&) = delete;

  // Takes `ciphertext` and appends what it says to `plaintext`. False: the session has ended.
  bool Receive(std::string_view ciphertext, std::string* plaintext);

  bool Seal(std::string_view plaintext);

  // Handshake messages and records that are to be sent; the owner empties it.
  std::string& outgoing() { return outgoing_; }

 private:
  friend class TlsServer;  // Sets these two for all sessions.
  static int Read(WOLFSSL* session, char* buffer, int size, void* self);
  static int Write(WOLFSSL* session, char* buffer, int size, void* self);

  WOLFSSL* const session_;
  std::string_view unread_;  // Of the bytes at hand.
  std::string outgoing_;
  bool is_open_ = false;
};

}  // namespace sallyport::bench
