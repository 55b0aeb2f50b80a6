// This shard's ways out: every place that messages can be sent to is an endpoint. Three kinds:
//
//   kDatagram  an address, reached from the socket of one of our UDP listeners;
//   kStream    an address that we dial (TCP or TLS) when it is needed, one connection each;
//   kFlow      a connection that the peer opened (RFC 5626), here or on another shard.
//
// A connection that we dial serves only requests for the same address with the same transport,
// our certificate (profile), expected identity and configuration: all of it is the endpoint's key.
// A TLS connection is open once its certificate has proved the identity (RFC 5922 §7.3); before
// that nothing is sent on it.
//
// A peer that says so in its Via may have the requests for its own address on a connection that it
// opened (an alias, RFC 5923): AliasOf. Only on that connection's shard; others dial.
//
// Bounds:  fixed capacity, aliases included. An endpoint that is not used is forgotten after a
//          while, at once if its place is needed. So many dialled connections: for one more, the
//          idle one that was used least recently is closed. Closing takes a while;
//          as many may be closing.
// Shard:   one thread. Dialled connections live in the shard's connection table and are answered
//          and closed like accepted ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/clock.h"
#include "core/datagram_socket.h"
#include "core/intrusive_list.h"
#include "core/slot_map.h"
#include "sip/proxy/connection.h"
#include "sip/proxy/connection_table.h"
#include "sip/proxy/endpoint_id.h"
#include "sip/proxy/party.h"
#include "sip/proxy/shard_context.h"
#include "sip/proxy/target_health.h"
#include "sip/proxy/transaction_table.h"

namespace sallyport::sip {

enum class EndpointKind : uint8_t { kDatagram, kStream, kFlow };

struct EndpointKey {
  static constexpr uint16_t kNone = 0xFFFF;

  EndpointKind kind = EndpointKind::kDatagram;
  TransportProtocol transport = TransportProtocol::kUdp;
  Zone zone = Zone::kInside;
  uint16_t listener = kNone;     // Its socket sends, and its name is advertised there.
  core::SocketAddress address;   // kDatagram, kStream.
  uint16_t tls_profile = kNone;  // kStream over TLS: it has our certificate.
  uint64_t version = 0;          // kStream over TLS: of the configuration.
  std::string_view identity;     // kStream over TLS: lower case; empty: any name will do.
  std::string_view dn;           // kStream over TLS: subject that the certificate must have.
  uint8_t shard = 0;             // kFlow.
  ConnectionId flow;  // kFlow. Of a kStream that was left: its connection (LeaveExpired).
  // kStream: for OPTIONS of our own alone, so that no request of others can end its connection.
  bool is_probing = false;
  friend bool operator==(const EndpointKey&, const EndpointKey&) = default;
};

struct Endpoint {
  explicit Endpoint(const EndpointKey& wanted)
      : identity(wanted.identity), dn(wanted.dn), key(wanted) {
    key.identity = identity;
    key.dn = dn;
  }
  bool is_reliable() const { return key.transport != TransportProtocol::kUdp; }

  EndpointId id;
  const std::string identity;
  const std::string dn;
  EndpointKey key;
  uint64_t hash = 0;
  ConnectionId connection;  // kStream: connecting or open. kFlow of this shard: key.flow.
  bool is_open = false;     // kStream: messages can be sent.
  bool is_lost = false;     // kFlow: its connection has closed.
  PeerKey peer = 0;         // What the connection proved; 0: nothing (yet).
  Party party;              // Likewise, as the party of a dialog.
  // The [[next-hop]] that it is a target of: index in the configuration of version `pinned`, hash
  // of its name (0: of none), and its label in metrics.
  uint64_t pinned = 0;
  uint16_t next_hop = EndpointKey::kNone;
  uint32_t next_hop_hash = 0;
  size_t label = 0;
  core::MonotonicTime used;
  core::MonotonicTime dialled;
  bool is_probed = false;
  std::optional<TargetHealth> health;  // Always set.
  FailureCause failure;                // Of the last attempt to connect.
  // As it was when we dialled: what the server must prove does not change with a reload.
  std::unique_ptr<const TlsProfileConfig> profile;
  core::IntrusiveList<Transaction> waiting;
};

// Of the [[next-hop]] that it is a target of; "": of none in this configuration, as far as is
// known.
[[nodiscard]] std::string_view NextHopNameOf(const Endpoint* endpoint,
                                             const EdgeSnapshot& snapshot);

// A target went down, came up or asked to be left alone: one line.
void LogHealth(const ShardContext& context, HealthChange change, std::string_view next_hop,
               std::string_view target, TransportProtocol transport);

class EndpointHandler {
 public:
  // One frame from a connection that we dialled; the endpoint may have forgotten it (nullptr).
  virtual void OnEndpointFrame(Connection& connection, const Endpoint* endpoint, const Frame& frame,
                               std::string_view unread) = 0;
  // Asked before each frame of a connection that we dialled is cut: ConnectionHandler's.
  virtual bool MayServe(Connection& connection) = 0;
  virtual void OnServed(Connection& connection) = 0;
  // The endpoint that this transaction waits for is open; it is in no list any more.
  virtual void OnEndpointOpen(Endpoint& endpoint, Transaction& transaction) = 0;
  // It is lost, or could not be reached; the transaction is in no list any more.
  virtual void OnEndpointLost(Transaction& transaction, const FailureCause& cause) = 0;
  // What was lost with its connections may be the doing of one request (HealthChange::kSuspected).
  virtual void OnEndpointSuspected(Endpoint& endpoint) = 0;

 protected:
  ~EndpointHandler() = default;
};

// Mail to the shard that owns a flow: this header, then the message.
struct FlowMail {
  ConnectionId flow;
  uint32_t from_shard = 0;  // Of the sender.
  uint32_t listener = 0;    // Where the flow's connection came in.
  // A request that may find no room (kMailFlowFull), and of which peer and transaction it is.
  bool is_refusable = false;
  uint8_t attempt = 0;
  TransactionId transaction = {};
  PeerKey peer = 0;
};

struct EndpointPoolOptions {
  uint32_t endpoints_max = 0;
  uint32_t connections_max = 0;  // Dialled; those that are closing not counted.
};

class EndpointPool final : private ConnectionHandler {
 public:
  enum class Readiness : uint8_t {
    kReady,        // Send now.
    kConnecting,   // Await; OnEndpointOpen or OnEndpointLost will come.
    kUnavailable,  // endpoint.failure says why.
  };

  EndpointPool(ShardContext& context, ConnectionTable& connections, EndpointHandler& handler,
               const EndpointPoolOptions& options);
  EndpointPool(const EndpointPool&) = delete;
  EndpointPool& operator=(const EndpointPool&) = delete;
  ~EndpointPool();

  void AddSocket(size_t listener, core::DatagramSocket& socket);
  [[nodiscard]] core::DatagramSocket* socket(size_t listener) const;

  // The snapshot in the context has been replaced: TLS connections of earlier ones serve what waits
  // for them and close.
  void OnNewSnapshot();

  // The key of a flow: a connection of that shard that came in at that listener.
  [[nodiscard]] EndpointKey FlowKey(uint8_t shard, ConnectionId flow, size_t listener) const;
  // RFC 5923 §5: requests for that port at the address of this accepted connection's peer may go
  // down the connection. The caller has seen `alias`, and that the certificate proves the sent-by.
  void NoteAlias(Connection& connection, uint16_t port);
  // The flow of an alias that serves this key, too: to the same address, accepted under the same
  // TLS profile, proving the same identity. Nothing: there is none, or what was dialled is open.
  [[nodiscard]] std::optional<EndpointKey> AliasOf(const EndpointKey& key) const;
  // The endpoint of this key, made if need be. Nullptr: no room.
  [[nodiscard]] Endpoint* FindOrCreate(const EndpointKey& key);
  [[nodiscard]] Endpoint* Find(EndpointId id) { return endpoints_.Find(id); }
  [[nodiscard]] const Endpoint* Find(EndpointId id) const { return endpoints_.Find(id); }
  // Another target that is not known to be down, or that DNS may still name.
  [[nodiscard]] bool HasMoreTargets(const Transaction& transaction) const;

  // Whether OPTIONS are sent to it: then they decide when it is up again. Forgets what was known if
  // that changes.
  void SetProbed(Endpoint& endpoint, bool is_probed);
  [[nodiscard]] const HealthOptions& probed() const { return probed_; }
  // Dials if need be: also where the peer's certificate has expired since. A flow of such a peer is
  // as good as gone.
  [[nodiscard]] Readiness Prepare(Endpoint& endpoint);
  // Only after kReady. A request of that peer may be queued. False: the connection, which others
  // share, would be full, or more of the peer waits there than is left for all others. Of a flow on
  // another shard that shard knows (OnFlowMail).
  [[nodiscard]] bool HasRoomFor(Endpoint& endpoint, PeerKey peer, size_t bytes);
  // Only after kReady. False: it takes no more now, or is lost; nothing was sent.
  [[nodiscard]] bool Send(Endpoint& endpoint, std::string_view message);
  // Likewise; the message is the request of that transaction, and counts as its peer's.
  [[nodiscard]] bool SendRequest(Endpoint& endpoint, const Transaction& transaction,
                                 std::string_view message);
  // From now on OnEndpointOpen and OnEndpointLost will come for it.
  void Await(Endpoint& endpoint, Transaction& transaction) {
    endpoint.waiting.PushBack(transaction);
  }
  // An OPTIONS there is answered, and no other will go there soon.
  void CloseProbing(EndpointId id);
  // OnEndpointLost for all that wait for this one, have heard nothing from it and may go elsewhere.
  void GiveUp(Endpoint& endpoint, const FailureCause& cause);

  // A connection of this shard is closing: if it is a flow, that flow is lost, here and on
  // the shards that have used it.
  void OnConnectionLost(Connection& connection);
  // Mail from the shard that uses a flow of ours, and from the one that owns a flow that we use.
  // A request that finds no room on the flow goes no further, and its shard is told.
  void OnFlowMail(const FlowMail& mail, std::string_view message);
  void OnFlowLostMail(const FlowMail& mail);

  // Something is awaited on this connection: by one of our transactions, or by its peer.
  [[nodiscard]] bool IsInUse(const Connection& connection);

  // Forgets what is not needed, a few at a time.
  void Sweep();
  template <typename Visit>
  void ForEach(Visit visit) {
    endpoints_.ForEach([&visit](EndpointId, Endpoint& endpoint) { visit(endpoint); });
  }

  // Closes everything; IsQuiet once it is done.
  void Stop();
  [[nodiscard]] bool IsQuiet() const { return dialled_ == 0; }
  [[nodiscard]] uint32_t dialled() const { return dialled_ - closing_; }
  [[nodiscard]] uint32_t size() const { return endpoints_.size(); }

 private:
  void OnConnectionOpen(Connection& connection) override;
  void OnFrame(Connection& connection, const Frame& frame, std::string_view unread) override;
  bool MayServe(Connection& connection) override { return handler_.MayServe(connection); }
  void OnServed(Connection& connection) override { handler_.OnServed(connection); }
  void OnConnectionClosing(Connection& connection) override;
  void OnConnectionClosed(Connection& connection) override;

  [[nodiscard]] Endpoint* EndpointOf(const Connection& connection);
  [[nodiscard]] bool Dial(Endpoint& endpoint);
  [[nodiscard]] bool MakeRoomToDial();
  // A peer with a certificate that has expired since (Connection::has_expired).
  [[nodiscard]] bool GiveUpExpired(Connection& connection);
  [[nodiscard]] bool LeaveExpired(Endpoint& endpoint);
  // A reload has replaced what this endpoint was made for, or it was left (LeaveExpired).
  [[nodiscard]] bool IsOutdated(const Endpoint& endpoint) const;
  void CloseIfOutdated(Endpoint& endpoint);
  [[nodiscard]] bool ProvesIdentity(Endpoint& endpoint, Connection& connection);
  void NoteFailure(Endpoint& endpoint, const FailureCause& cause, ConnectResult result);
  void LoseAll(Endpoint& endpoint, FailureCause cause);
  [[nodiscard]] bool IsForgettable(const Endpoint& endpoint) const;
  void Erase(Endpoint& endpoint);
  // `request`: the transaction of which the message is the request; nullptr: it is another one.
  [[nodiscard]] bool SendToFlow(Endpoint& endpoint, std::string_view message,
                                const Transaction* request);
  // The connection on this shard that its messages go out on; nullptr: none.
  [[nodiscard]] Connection* ConnectionOf(const Endpoint& endpoint);
  void ForgetAlias(const Connection& connection);

  ShardContext& context_;
  const HealthOptions unprobed_;
  const HealthOptions probed_ = {.has_probes = true};
  ConnectionTable& connections_;
  EndpointHandler& handler_;
  core::SlotMap<Endpoint, EndpointId> endpoints_;
  absl::flat_hash_map<uint64_t, EndpointId> index_;          // By hash of the key.
  absl::flat_hash_map<uint32_t, EndpointId> by_connection_;  // Dialled, by the connection's slot.
  absl::flat_hash_map<core::SocketAddress, ConnectionId> aliases_;
  const uint32_t aliases_max_;
  std::vector<core::DatagramSocket*> sockets_;  // By listener; null where there is none.
  const uint32_t connections_max_;
  uint32_t dialled_ = 0;  // Connections of ours, closing included.
  uint32_t closing_ = 0;  // Of those.
  uint32_t sweep_at_ = 0;
  bool stopping_ = false;
};

}  // namespace sallyport::sip
