// One connection: a stream, the TLS session on it if there is one, and the framer. The only class
// that knows all three. Bytes come in here and leave as whole SIP messages; messages go out as
// bytes.
//
//   (Dial) kConnecting --> kHandshaking --> kOpen --> kClosing --> (OnConnectionClosed)
//
// Without TLS there is no kHandshaking. An accepted connection speaks TLS if its listener does, a
// dialled one if it was given a context. As TLS client it verifies chain, dates and purpose of the
// server's certificate before it opens; whether the names in it are those that were dialled for
// (RFC 5922 §7.3) is the handler's question in OnConnectionOpen (sip/policy/server_check.h).
// Memory: an idle connection holds no buffer. A message that is not complete yet, or a handshake's
//         bytes waiting for their turn, sit in a lease that counts against limits.partial-bytes; so
//         do bytes that the kernel had taken when the handler stopped serving (MayServe).
// Shard:  one thread. Owned by a slot map; destroyed inside OnConnectionClosed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/buffer_pool.h"
#include "core/output_queue.h"
#include "core/reactor.h"
#include "core/socket_address.h"
#include "core/stream.h"
#include "core/timer_wheel.h"
#include "sip/message/framer.h"
#include "sip/message/message_edit.h"
#include "sip/policy/judge.h"
#include "sip/proxy/byte_shares.h"
#include "sip/proxy/connection_id.h"
#include "sip/proxy/queue_shares.h"
#include "sip/proxy/shard_context.h"
#include "tls/client_sessions.h"
#include "tls/context.h"
#include "tls/failure_reason.h"
#include "tls/session.h"

namespace sallyport::sip {

class Connection;

struct DialOptions {
  std::shared_ptr<tls::Context> tls = nullptr;  // Of role kClient. Null: plain TCP.
  // The domain asked for, sent as SNI (RFC 5922 §7.3, RFC 6066 §3). Empty or an address: none.
  std::string server_name = {};
  std::optional<core::SocketAddress> local = {};  // To be bound to.
  // Where a session to continue is looked for and the new ticket is put. Outlives the connection.
  tls::ClientResumption resumption = {};
};

class ConnectionHandler {
 public:
  // The handshake is over, or the plain connection stands. May close it.
  virtual void OnConnectionOpen(Connection& connection) = 0;
  // kMessage, kTooLarge, kFarTooLarge or kBadFraming. `unread` begins with the frame and is all
  // that is there; both are borrowed for the call. After the last two the connection must be
  // closed.
  virtual void OnFrame(Connection& connection, const Frame& frame, std::string_view unread) = 0;
  // Asked before each frame is cut. False: not in this turn any more. What has arrived is kept, in
  // order, nothing more is received, and the next turn asks again.
  virtual bool MayServe(Connection&) { return true; }
  // After the last of some frames that came together.
  virtual void OnServed(Connection&) {}
  // It has begun to end: no frame comes any more, nothing can be sent. May come from inside Send,
  // Close and Abort.
  virtual void OnConnectionClosing(Connection& connection) = 0;
  // Gone, whatever the cause: destroy it. A dialled one that never opened comes here too.
  virtual void OnConnectionClosed(Connection& connection) = 0;

 protected:
  ~ConnectionHandler() = default;
};

class Connection final : private core::StreamHandler, private core::StepNode {
 public:
  enum class State : uint8_t { kConnecting, kHandshaking, kOpen, kClosing };

  // `listener` is an index of the configuration, and says whether TLS is spoken; dialled
  // connections have none (kNoListener), see Dial.
  Connection(ShardContext& context, ConnectionHandler& handler, ConnectionId id, uint32_t listener,
             Zone zone, const core::SocketAddress& peer);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // An accepted socket. False: no room in the reactor; the socket stays the caller's.
  [[nodiscard]] bool Accept(int fd);
  // Dials. Returns 0, or an errno and nothing happened. `timeout` covers the TCP connection and
  // the TLS handshake together. OnConnectionOpen comes when both are done; if they fail, only
  // OnConnectionClosing and OnConnectionClosed, and the accessors below say why.
  [[nodiscard]] int Dial(absl::Duration timeout, DialOptions options = {});

  // Sends one message; what one turn gathers leaves in one send. False: the peer reads too slowly
  // or memory ran out, and the connection closes in the next turn (never within this call, so that
  // nobody's transactions change under the caller); or it is not open. A plain one that
  // is still connecting takes messages and sends them once it stands; with TLS nothing is taken
  // before the peer is known.
  bool Send(std::string_view message);
  bool Send(const MessageEdit& message);

  // A request of that peer may be queued here, where others have theirs, too. Requests have three
  // quarters of the queue, by shares (queue_shares.h); the rest is for what ends transactions.
  [[nodiscard]] bool HasRoomFor(PeerKey peer, size_t bytes);
  // Send, for a request of that peer: what waits of it counts as that peer's.
  bool SendFor(PeerKey peer, std::string_view message);

  // Says goodbye (close_notify), flushes, closes within timeouts.close. Idempotent.
  void Close(ConnectionCloseReason reason);
  // At once. Idempotent.
  void Abort(ConnectionCloseReason reason);
  // It ends at once because others need its place among all connections.
  void GiveWay();
  bool gave_way() const { return gave_way_; }

  ConnectionId id() const { return id_; }
  State state() const { return state_; }
  bool is_open() const { return state_ == State::kOpen && !is_overrun_; }
  bool is_tls() const { return is_tls_; }
  bool has_opened() const { return has_opened_; }
  bool was_left_by_peer() const { return was_left_by_peer_; }  // It closes because of a FIN.
  bool is_dialled() const { return listener_ == kNoListener; }
  bool is_deferred() const { return is_deferred_; }  // Whole messages may be waiting.
  // errno of a dial that failed; else 0.
  int connect_error() const { return failure_ == nullptr ? 0 : failure_->connect_error; }
  // Why the TLS handshake failed. The text is static and empty unless it did; kNone with a text:
  // the connection went away in the middle of it. kAlert also where a server that we dialled
  // refused us after it (RFC 8446 §4.4.2.4), before it said anything else.
  tls::FailureReason tls_failure() const {
    return failure_ == nullptr ? tls::FailureReason::kNone : failure_->tls;
  }
  std::string_view tls_failure_text() const {
    return failure_ == nullptr ? std::string_view() : failure_->tls_text;
  }
  // A session was offered to the server. If the handshake failed, one without may succeed.
  bool offered_resumption() const { return session_ != nullptr && session_->offered_resumption(); }
  core::MonotonicTime last_activity() const { return last_activity_; }  // Of the peer.
  Zone zone() const { return zone_; }
  uint32_t listener() const { return listener_; }
  const core::SocketAddress& peer() const { return peer_; }
  tls::Session* session() { return session_.get(); }

  // Set by the handler in OnConnectionOpen.
  void set_standing(std::unique_ptr<PeerStanding> standing, PeerKey key) {
    standing_ = std::move(standing);
    peer_key_ = key;
  }
  const PeerStanding* standing() const { return standing_.get(); }
  // By the wall clock: the certificate of its peer, or one above it, is not valid any more. The
  // connection proves nothing any more, so no request is to come or go on it.
  [[nodiscard]] bool has_expired() const;
  PeerKey peer_key() const { return peer_key_; }

  // Transactions whose answer its peer waits for.
  uint32_t transactions = 0;

  // Requests were sent on it because it is a flow (RFC 5626): from this shard, or from
  // others, which must hear when it is gone.
  // Flow tokens name it by `listener`: its own, or the one in whose name we dialled it.
  bool used_as_flow() const { return used_as_flow_; }
  bool used_by_other_shards() const { return used_by_other_shards_; }
  uint32_t flow_listener() const { return flow_listener_; }
  void note_used_as_flow(uint32_t listener) {
    used_as_flow_ = true;
    flow_listener_ = listener;
  }
  void note_used_by_other_shard(uint32_t listener) {
    used_by_other_shards_ = true;
    flow_listener_ = listener;
  }

  // RFC 5923: the port of its peer's address whose requests it takes, too; 0: none.
  uint16_t alias_port() const { return alias_port_; }
  void set_alias_port(uint16_t port) { alias_port_ = port; }

  static constexpr uint32_t kNoListener = 0xFFFFFFFF;

 private:
  enum class Deadline : uint8_t { kFirstByte, kHandshake, kMessage, kIdle };

  // What a dial needs until it has led to an open connection.
  struct Dialling {
    DialOptions options;
    core::MonotonicTime deadline;
  };

  void OnConnected(int error) override;
  void OnReceived(std::span<const std::byte> bytes) override;
  void OnSent() override;
  void OnPeerClosed() override;
  void OnError(int error) override;
  void OnClosed() override;
  void OnStep() override;
  void OnDeadline();

  void BeginOpen();
  void HoldHandshakeBytes(std::span<const std::byte> bytes);
  [[nodiscard]] bool CreateSession();
  [[nodiscard]] bool CreateAcceptedSession();
  [[nodiscard]] bool CreateDialledSession();
  void BeginDialledHandshake();
  void CountHandshakeFailure(tls::FailureReason reason, std::string_view text);
  void NoteLateRefusal();
  void LoseHandshake();
  void FailHandshake(tls::FailureReason reason, std::string_view text);
  void NoteRenegotiation();
  // Serves what arrived, as far as this turn allows; keeps the rest.
  void ServeBytes(std::span<const std::byte> bytes);
  // Returns what it left of the ciphertext because serving stopped.
  std::span<const std::byte> Decrypt(std::span<const std::byte> ciphertext);
  void TakePlaintext(std::span<const std::byte> bytes);
  void ReceivePlain(std::string_view bytes);
  // Serves the whole frames at the beginning of `unread`; returns how much they were.
  size_t ServeFrames(std::string_view unread);
  void ServePartial();
  void Defer();
  void ServeDeferred();
  void ServeBacklog();
  void KeepForLater(std::span<const std::byte> bytes);
  // Makes room for `bytes` more in the partial buffer. False: a bound was reached; closing.
  bool GrowPartial(size_t bytes);
  // Tells that it holds one of limits.connections, under its source or identity.
  void NotePlace();
  // Tells what it holds of the shared bound, under its source or identity (byte_shares.h).
  void NoteShare();
  [[nodiscard]] uint64_t ShareHolder() const;
  // Others may have to give way. False: there is no room for `bytes` more.
  [[nodiscard]] bool MakeRoom(size_t bytes);
  void LoseShare();
  void LogShed(std::string_view why, core::LogName unit, uint64_t held);
  void ReleasePartial();
  bool KeepPartial(std::string_view rest);
  bool TakesMessages() const {
    return !is_overrun_ && (state_ == State::kOpen || (state_ == State::kConnecting && !is_tls_));
  }
  bool SealAndSend(std::span<const char> message);
  [[nodiscard]] QueueProgress OutputProgress();
  [[nodiscard]] uint64_t RequestRoom() { return stream_.output().bytes_max() / 4 * 3; }
  void EnterClosing(ConnectionCloseReason reason);
  void ScheduleIdle();
  void MoveGauge(ConnectionState from, ConnectionState to);
  ConnectionState GaugeState() const;
  MetricDirection direction() const {
    return is_dialled() ? MetricDirection::kOut : MetricDirection::kIn;
  }
  // For log lines of a handshake: which listener, or which domain was dialled.
  core::LogName PlaceKey() const {
    return is_dialled() ? core::LogName("server_name") : core::LogName("listener");
  }
  std::string_view PlaceName() const;

  ShardContext& context_;
  ConnectionHandler& handler_;
  core::Stream stream_;
  std::unique_ptr<Dialling> dialling_;  // Gone once open.
  std::unique_ptr<tls::Session> session_;
  std::unique_ptr<PeerStanding> standing_;
  PeerKey peer_key_ = 0;
  const core::SocketAddress peer_;
  const ConnectionId id_;
  const uint32_t listener_;
  Framer framer_;
  ByteShares::Part place_{this};             // Accepted, from outside: among all connections.
  std::unique_ptr<ByteShares::Part> share_;  // Of `partial_` and `backlog_`, while they hold any.
  core::BufferLease partial_;
  std::unique_ptr<QueueShares> queue_shares_;  // While the output is long.
  uint32_t partial_used_ = 0;
  core::OutputQueue backlog_;  // While deferred: arrived, not decrypted, not served.
  core::Timer deadline_;
  core::MonotonicTime begun_;  // When the TCP connection stood.
  core::MonotonicTime last_activity_;
  int64_t handshake_cpu_ns_ = 0;
  State state_;
  Deadline deadline_kind_ = Deadline::kFirstByte;
  const Zone zone_;
  bool is_tls_;
  bool has_opened_ = false;
  bool has_received_ = false;  // Plaintext of a TLS session.
  bool used_as_flow_ = false;
  bool used_by_other_shards_ = false;
  uint32_t flow_listener_ = kNoListener;
  uint16_t alias_port_ = 0;
  struct Failure {
    tls::FailureReason tls = tls::FailureReason::kNone;
    int connect_error = 0;
    std::string_view tls_text;
  };
  std::unique_ptr<Failure> failure_;  // Null: it has not failed.
  bool peer_closed_ = false;          // A FIN came while bytes waited for their turn.
  bool is_deferred_ = false;          // The handler stopped serving; goes on in the next turn.
  bool was_left_by_peer_ = false;
  bool gave_way_ = false;
  bool had_share_ = false;   // Something was served since it came or was resumed.
  bool is_overrun_ = false;  // Its peer reads too slowly: nothing more is sent, it ends next turn.
};

}  // namespace sallyport::sip
