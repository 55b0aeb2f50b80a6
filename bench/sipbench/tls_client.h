// The client side of mutual TLS: one context (our certificate and the CA that we trust) and
// non-blocking connections made from it; and the same connections without TLS, for a load that
// plays a server inside. Thread: a context and its connections belong to one thread.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "bench/sipbench/event_loop.h"

struct WOLFSSL;
struct WOLFSSL_CTX;
struct WOLFSSL_SESSION;

namespace sallyport::bench {

enum class TlsVersion : uint8_t { k12, k13 };

struct TlsIdentity {
  std::string ca;           // PEM file; empty: the other side's certificate is not verified.
  std::string certificate;  // PEM file, leaf first; empty: none.
  std::string key;          // PEM file.
};

void InitialiseTlsLibrary();

absl::Status LoadTlsIdentity(WOLFSSL_CTX* context, const TlsIdentity& identity);

// What a later connection needs to resume an earlier one. Movable, owns one reference to the
// library's session.
class TlsSession {
 public:
  TlsSession() = default;
  explicit TlsSession(WOLFSSL_SESSION* session) : session_(session) {}
  ~TlsSession();
  TlsSession(TlsSession&& other) noexcept;
  TlsSession& operator=(TlsSession&& other) noexcept;

  WOLFSSL_SESSION* get() const { return session_; }
  bool empty() const { return session_ == nullptr; }

 private:
  WOLFSSL_SESSION* session_ = nullptr;
};

class TlsClient {
 public:
  // `group` is the one key share offered in TLS 1.3: "x25519" or "p256".
  static absl::StatusOr<std::unique_ptr<TlsClient>> Create(const TlsIdentity& identity,
                                                           TlsVersion version,
                                                           std::string_view group);
  // Of connections that are plain TCP.
  static std::unique_ptr<TlsClient> CreateClear();
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool is_clear() const { return context_ == nullptr; }
  WOLFSSL_CTX* context() const { return context_; }
  TlsVersion version() const { return version_; }
  int group() const { return group_; }

 private:
  TlsClient(WOLFSSL_CTX* context, TlsVersion version, int group)
      : context_(context), version_(version), group_(group) {}

  WOLFSSL_CTX* const context_;
  const TlsVersion version_;
  const int group_;  // The library's number.
};

class TlsConnection;

// Within these calls the owner may seal and close; it opens the connection again only after the
// loop's turn.
class TlsConnectionOwner {
 public:
  // Our side of the handshake is done. In TLS 1.3 the server has not judged our certificate yet.
  virtual void OnOpen(TlsConnection& connection) = 0;
  // A TLS 1.3 ticket arrived: a server sends it when it has accepted our Finished, and so our
  // certificate.
  virtual void OnTicket(TlsConnection& connection) = 0;
  virtual void OnData(TlsConnection& connection, std::string_view plaintext) = 0;
  // The connection failed or the peer closed it; `reason` is short and the same for the same cause.
  // Not called by Close.
  virtual void OnClosed(TlsConnection& connection, const std::string& reason) = 0;

 protected:
  ~TlsConnectionOwner() = default;
};

class TlsConnection final : public EventHandler {
 public:
  // Both are borrowed and outlive the connection. `tag` is the owner's own number for it.
  TlsConnection(EventLoop* loop, TlsConnectionOwner* owner, size_t tag);
  ~TlsConnection();
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;

  // Begins connecting; the connection must be closed. `source_host` (host order, 0: the kernel's
  // choice) spreads many connections over several loopback addresses. False, with errno, when no
  // socket could be had.
  bool Open(const TlsClient& client, const sockaddr_in& target, uint32_t source_host,
            const TlsSession& resume);

  // Seals `plaintext` as records of their own; Flush sends what is sealed. False when the session
  // is broken.
  bool Seal(std::string_view plaintext);
  void Flush();

  // Sends close_notify and closes.
  void Close();

  bool is_open() const { return state_ == State::kOpen; }
  bool is_closed() const { return state_ == State::kClosed; }
  bool resumed() const;
  size_t tag() const { return tag_; }

  // The newest session of this connection, for resumption; empty when the server offered none.
  TlsSession TakeSession();

  void OnEvents(uint32_t events) override;

 private:
  enum class State : uint8_t { kClosed, kConnecting, kHandshaking, kOpen };

  static int Receive(WOLFSSL* session, char* buffer, int size, void* self);
  static int Send(WOLFSSL* session, char* buffer, int size, void* self);
  static int TicketArrived(WOLFSSL* session, const unsigned char* ticket, int size, void* self);

  bool PrepareSession(const TlsClient& client, const TlsSession& resume);
  bool FinishConnecting();
  void Advance();  // Handshake step or plaintext, as far as the bytes at hand go.
  void ReadPlaintext();
  void ReadClear();
  void Fail(const std::string& reason);
  std::string TlsError(int result) const;
  void Release();

  EventLoop* const loop_;
  TlsConnectionOwner* const owner_;
  const size_t tag_;
  State state_ = State::kClosed;
  int socket_ = -1;
  bool is_clear_ = false;
  WOLFSSL* session_ = nullptr;  // None where the connection is clear.
  std::string_view unread_;     // Ciphertext of this turn that the library has not taken yet.
  bool end_of_stream_ = false;
  std::string sealed_;  // Records waiting for the socket.
  bool watches_writing_ = false;
  bool ticket_arrived_ = false;
};

}  // namespace sallyport::bench
