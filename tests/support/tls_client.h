// A TLS client in memory for tests: OpenSSL, which shares nothing with the library under test, and
// a driver that lets it talk to a tls::Session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/buffer_pool.h"
#include "core/output_queue.h"
#include "tests/support/test_certificates.h"
#include "tls/session.h"

struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;

namespace sallyport::test {

struct TlsClientOptions {
  int min_version = 0x0303;
  int max_version = 0x0304;
  const TestCertificate* certificate = nullptr;  // None: anonymous.
  std::string chain_pem;                         // Sent after the leaf, as it stands.
  std::string trusted_pem;                       // Empty: the server is not verified.
  std::string groups;                            // OpenSSL syntax; empty: its default.
  std::string ciphers;                           // TLS 1.2
  std::string ciphersuites;                      // TLS 1.3
  std::string server_name;
  bool psk_without_dhe = false;  // Offer psk_ke only.
  bool no_extended_master_secret = false;
  int security_level = 0;  // So that weak certificates can be sent at all.
  std::shared_ptr<ssl_session_st> session;
};

class TlsClient {
 public:
  explicit TlsClient(const TlsClientOptions& options);
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  ~TlsClient();

  // Takes what the server sent and goes on with the handshake. False: it failed (see error()).
  bool Receive(std::string_view from_server);
  // What is to be sent to the server; empties it.
  std::string TakeOutput();

  bool connected() const { return connected_; }
  const std::string& error() const { return error_; }
  bool resumed() const;
  int version() const;
  std::string_view cipher() const;

  // After the handshake.
  bool Write(std::string_view plaintext);
  std::string Read();                      // All plaintext that is there.
  bool closed() const { return closed_; }  // close_notify arrived.
  void SendCloseNotify();
  bool Renegotiate();
  // Writes `plaintext` between the ClientHello of a renegotiation and its answer. TLS 1.2.
  void RenegotiateAndWrite(std::string_view plaintext);
  bool UpdateKey();
  // The latest ticket, usable several times; null if there is none.
  std::shared_ptr<ssl_session_st> Ticket() const;

  // "CLIENT_HANDSHAKE_TRAFFIC_SECRET ..." lines of RFC 9850, for tests that forge records.
  const std::string& key_log() const { return key_log_; }

 private:
  static int OnNewSession(ssl_st* ssl, ssl_session_st* session);
  static void OnKeyLog(const ssl_st* ssl, const char* line);
  static void OnProtocolMessage(int is_written, int version, int content_type, const void* bytes,
                                size_t size, ssl_st* ssl, void* self);

  std::shared_ptr<ssl_ctx_st> context_;
  ssl_st* ssl_ = nullptr;
  std::shared_ptr<ssl_session_st> ticket_;
  std::string key_log_;
  std::string behind_hello_;
  std::string error_;
  bool connected_ = false;
  bool closed_ = false;
};

// The ticket bytes of a session, and a copy of the session with other ticket bytes.
std::string TicketBytes(const std::shared_ptr<ssl_session_st>& session);
std::shared_ptr<ssl_session_st> WithTicketBytes(const std::shared_ptr<ssl_session_st>& session,
                                                std::string_view ticket);

// One server session and its output, fed from strings.
class ServerEnd {
 public:
  explicit ServerEnd(std::shared_ptr<tls::Context> context, std::string_view server_name = "",
                     uint32_t output_bytes_max = 256 * 1024);

  // Feeds in pieces of `piece` bytes (0: at once). Plaintext is gathered in received().
  void Feed(std::string_view from_client, size_t piece = 0);
  std::string TakeOutput();
  bool Write(std::string_view plaintext);

  tls::Session& session() { return *session_; }
  core::OutputQueue& out() { return out_; }
  tls::HandshakeOutcome handshake_outcome() const { return handshake_outcome_; }
  tls::DecryptOutcome decrypt_outcome() const { return decrypt_outcome_; }
  const std::string& received() const { return received_; }
  int renegotiations_refused() const { return renegotiations_refused_; }
  void set_plaintext_buffer_bytes(size_t bytes) { plaintext_bytes_ = bytes; }

 private:
  void FeedPiece(std::span<const std::byte> ciphertext);

  core::BufferPool pool_;
  core::OutputQueue out_;
  std::unique_ptr<tls::Session> session_;
  tls::HandshakeOutcome handshake_outcome_ = tls::HandshakeOutcome::kNeedMore;
  tls::DecryptOutcome decrypt_outcome_ = tls::DecryptOutcome::kNeedMore;
  std::string received_;
  int renegotiations_refused_ = 0;
  size_t plaintext_bytes_ = 4096;
};

// Carries bytes both ways until neither side has anything to say. True: both ends are connected.
bool Converse(TlsClient& client, ServerEnd& server, size_t piece = 0);

}  // namespace sallyport::test
