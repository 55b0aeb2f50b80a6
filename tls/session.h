// One TLS session: bytes in, bytes out, no sockets. First Handshake until kDone, then Decrypt and
// Encrypt.
//
//   in:  `ciphertext` is what arrived. Each call advances it past what it took; what is left must
//   be passed again, before
//        anything newer (its buffer stays the caller's). After kNeedMore nothing is left.
//   out: what must be sent goes to `out`, alerts included: flush it after every call, also after a
//   failure.
//
// Memory: while shaking hands up to some 20 kB; established, nothing but the library's own objects
// (idle about 4.5 kB) once the
//   leaf was dropped; a client that awaits a ticket (awaits_ticket) holds what the ticket will be
//   stored with. Nothing is allocated here per record; the library allocates one buffer per
//   record and frees it again.
// Thread: the shard of its context. Not movable, because the library holds its address.
// Errors: a failed session only accepts destruction; every call repeats the failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/output_queue.h"
#include "tls/client_hello.h"
#include "tls/client_sessions.h"
#include "tls/context.h"
#include "tls/failure_reason.h"
#include "tls/peer_result.h"

struct WOLFSSL;

namespace sallyport::tls {

class Handshaking;

// More than this before the handshake is done is not a handshake (kProtocol).
inline constexpr size_t kHandshakeBytesMax = 96 * 1024;

enum class HandshakeOutcome : uint8_t {
  kNeedMore,  // All of `ciphertext` was taken.
  kDone,      // peer() is valid. `ciphertext` may still hold data that came with the peer's last
              // flight: pass it to Decrypt.
  kFailed     // failure() says why. Flush `out` (it may hold an alert), then close.
};

enum class DecryptOutcome : uint8_t {
  kData,           // `bytes` > 0, and all of `ciphertext` was taken.
  kNeedMore,       // `bytes` == 0, and all of `ciphertext` was taken.
  kMoreAvailable,  // `plaintext` is full: call again, also when `ciphertext` is empty by now.
  kCloseNotify,    // The peer will send nothing more. `bytes` may be > 0.
  kTruncated,      // Only from EndOfStream: the stream ended without close_notify (RFC 8446 §6.1).
  kFailed  // A bad record, an alert, or no room in `out`. `bytes` may be > 0: what came before it
           // was authentic.
};

struct DecryptResult {
  DecryptOutcome outcome = DecryptOutcome::kNeedMore;
  // The peer has asked for renegotiation (TLS 1.2) and gets the warning no_renegotiation; the
  // session goes on. Told once in a session.
  bool refused_renegotiation = false;
  size_t bytes = 0;  // Written to the front of `plaintext`.
};

class Session {
 public:
  // Null if memory is short. As server, `server_name` is what ReadServerName found (tickets are
  // bound to it); as client it is sent as SNI if not empty. A client's first call is Handshake with
  // empty ciphertext; `resumption` is where it looks for a session to continue and where its ticket
  // will be put (ignored for servers, and where the profile does not resume).
  [[nodiscard]] static std::unique_ptr<Session> Create(std::shared_ptr<Context> context,
                                                       const ServerName& server_name,
                                                       const ClientResumption& resumption = {});
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // One call may cost 200 µs (a signature and several verifications): budget them per turn.
  [[nodiscard]] HandshakeOutcome Handshake(std::span<const std::byte>& ciphertext,
                                           core::OutputQueue& out);

  // Only after kDone. `plaintext` must not be empty.
  [[nodiscard]] DecryptResult Decrypt(std::span<const std::byte>& ciphertext,
                                      std::span<std::byte> plaintext, core::OutputQueue& out);

  // The transport ended (FIN). kCloseNotify if the peer had said so, else kTruncated: a message
  // that is not complete by now was cut off and must not be used.
  [[nodiscard]] DecryptOutcome EndOfStream() const;

  // Only after kDone. False: no room in `out` or the session failed, and nothing usable was added:
  // close.
  [[nodiscard]] bool Encrypt(std::span<const std::byte> plaintext, core::OutputQueue& out);

  // Sends close_notify, once. Nothing may be encrypted afterwards; reading still works.
  void Close(core::OutputQueue& out);

  // Valid after kDone. leaf_der is empty once DropLeaf was called.
  const PeerResult& peer() const { return peer_; }
  // Frees the leaf's bytes, which are kept after kDone until this is called.
  void DropLeaf();

  // Client: a session to continue was offered to the server; peer().resumed says whether it took
  // it.
  bool offered_resumption() const { return offered_resumption_; }
  // Client, after kDone: the server's ticket is still to come, and some 2 kB wait for it. Decrypt
  // takes it when it comes; StopAwaitingTicket says that it will not be worth anything any more.
  bool awaits_ticket() const { return awaited_ != nullptr; }
  void StopAwaitingTicket();

  // Valid after kFailed. The text is static, for log lines; it never holds peer bytes.
  FailureReason failure() const { return failure_; }
  std::string_view failure_text() const { return failure_text_; }
  // After Handshake has failed: the leaf that the peer has shown, for log lines. It proves nothing.
  // Empty: there was none, or it was too large. Borrowed from the session.
  std::span<const uint8_t> refused_leaf() const;

  // Established and not failed.
  bool established() const { return established_; }

 private:
  friend class Context;
  Session();

  bool Start(std::shared_ptr<Context> context, const ServerName& server_name,
             const ClientResumption& resumption);
  void OfferSession(const ClientResumption& resumption);
  HandshakeOutcome FinishHandshake();
  void BeginAwaitingTicket();
  void StoreTicket();
  DecryptResult ReadRecords(std::span<const std::byte>& ciphertext, std::span<std::byte> plaintext);
  HandshakeOutcome FailHandshake(int library_error);
  DecryptOutcome JudgeReadError(int library_error);
  void Fail(FailureReason reason, std::string_view text);

  // The library's transport.
  static int OnReceive(WOLFSSL* library_session, char* buffer, int bytes, void* self);
  static int OnSend(WOLFSSL* library_session, char* buffer, int bytes, void* self);
  static int OnTicketReceived(WOLFSSL* library_session, const unsigned char* ticket, int bytes,
                              void* self);

  // What becomes of the server's ticket when it comes.
  struct AwaitedTicket {
    ClientResumption resumption;  // Its key is the full one.
    VerifiedServer server;
    WallClock clock;
  };

  WOLFSSL* library_session_ = nullptr;
  std::unique_ptr<Handshaking> handshaking_;  // Gone once established.
  std::unique_ptr<uint8_t[]> leaf_;           // peer_.leaf_der, until dropped.
  std::unique_ptr<AwaitedTicket> awaited_;    // Client, until the ticket came.
  LibrarySession spent_session_;              // Client: what takes the place of one that is stored.
  // Borrowed for the duration of one call.
  std::span<const std::byte>* input_ = nullptr;
  core::OutputQueue* output_ = nullptr;

  PeerResult peer_;
  std::string_view failure_text_;
  FailureReason failure_ = FailureReason::kNone;
  bool established_ = false;
  bool close_notify_received_ = false;
  bool close_notify_sent_ = false;
  bool output_full_ = false;
  bool offered_resumption_ = false;
  bool ticket_received_ = false;
  bool has_sent_ = false;  // In this call: an alert, or a key update.
  bool has_refused_renegotiation_ = false;
};

}  // namespace sallyport::tls
