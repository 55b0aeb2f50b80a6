// A TLS server in memory for tests of our client role: OpenSSL, which shares nothing with the
// library under test, and a driver that lets a client tls::Session talk to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/buffer_pool.h"
#include "core/output_queue.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tls_client.h"
#include "tls/client_sessions.h"
#include "tls/session.h"

struct ssl_ctx_st;
struct ssl_st;

namespace sallyport::test {

struct TlsServerOptions {
  const TestCertificate* certificate = nullptr;
  std::string chain_pem;  // Sent after the leaf, as it stands.
  int min_version = 0x0303;
  int max_version = 0x0304;
  std::string trusted_pem;   // Not empty: a client certificate is required.
  std::string ciphersuites;  // TLS 1.3, OpenSSL syntax; empty: its default.
  bool no_tickets = false;
  int tickets = 1;  // TLS 1.3, per full handshake.
  bool no_extended_master_secret = false;
  int security_level = 0;
};

// What the connections of one server share, ticket keys included.
std::shared_ptr<ssl_ctx_st> MakeTlsServerContext(const TlsServerOptions& options);
// Makes every ticket that was issued so far unreadable.
void ForgetTickets(ssl_ctx_st& context);

class TlsServer {
 public:
  explicit TlsServer(std::shared_ptr<ssl_ctx_st> context);
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  ~TlsServer();

  // Takes what the client sent and goes on with the handshake. False: it failed (see error()).
  bool Receive(std::string_view from_client);
  // What is to be sent to the client; empties it.
  std::string TakeOutput();

  bool connected() const { return connected_; }
  const std::string& error() const { return error_; }
  bool resumed() const;
  int version() const;
  std::string server_name() const;  // The SNI that came; empty: none.

  // After the handshake.
  bool Write(std::string_view plaintext);
  std::string Read();
  bool IssueTicket();  // One more, with the next Write.
  void SendCloseNotify();
  bool UpdateKey();

 private:
  std::shared_ptr<ssl_ctx_st> context_;
  ssl_st* ssl_ = nullptr;
  std::string error_;
  bool connected_ = false;
};

// One client session of ours and its output, fed from strings.
class ClientEnd {
 public:
  explicit ClientEnd(std::shared_ptr<tls::Context> context, std::string_view server_name = "",
                     const tls::ClientResumption& resumption = {});

  // Feeds in pieces of `piece` bytes (0: at once). Plaintext is gathered in received().
  void Feed(std::string_view from_server, size_t piece = 0);
  std::string TakeOutput();
  bool Write(std::string_view plaintext);

  tls::Session& session() { return *session_; }
  bool connected() const { return handshake_outcome_ == tls::HandshakeOutcome::kDone; }
  tls::HandshakeOutcome handshake_outcome() const { return handshake_outcome_; }
  const std::string& received() const { return received_; }

 private:
  void FeedPiece(std::span<const std::byte> ciphertext);

  core::BufferPool pool_;
  core::OutputQueue out_;
  std::unique_ptr<tls::Session> session_;
  tls::HandshakeOutcome handshake_outcome_ = tls::HandshakeOutcome::kNeedMore;
  std::string received_;
};

// Empties it.
std::string TakeBytes(core::OutputQueue& out);

// Carries bytes both ways until neither side has anything to say. True: both ends are connected.
bool Converse(ClientEnd& client, TlsServer& server, size_t piece = 0);
bool Converse(ClientEnd& client, ServerEnd& server, size_t piece = 0);

}  // namespace sallyport::test
