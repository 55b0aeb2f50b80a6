// The transactions of one shard: a request from the access side and its copy at the next hop.
// Responses find theirs by slot (the branch names it); requests by a keyed hash of what RFC 3261
// §17.2.3 compares, with the peer's identity added, so no CANCEL or ACK meets another peer's
// INVITE. Bounds: fixed capacity; what a transaction keeps of its request is a lease of the shard's
// pool. Shard:  one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/buffer_pool.h"
#include "core/intrusive_list.h"
#include "core/slot_map.h"
#include "core/socket_address.h"
#include "core/timer_wheel.h"
#include "sip/message/message_view.h"
#include "sip/message/method.h"
#include "sip/proxy/client_transaction.h"
#include "sip/proxy/connection_id.h"
#include "sip/proxy/dialog_pair.h"
#include "sip/proxy/dialog_token.h"
#include "sip/proxy/endpoint_id.h"
#include "sip/proxy/listener_config.h"
#include "sip/proxy/peer_shares.h"
#include "sip/proxy/server_transaction.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

struct TransactionId {
  uint32_t slot = 0;
  uint32_t generation = 0;
  friend bool operator==(const TransactionId&, const TransactionId&) = default;
};

// How far a CANCEL has come (RFC 3261 §9.1: it waits for a provisional response).
enum class CancelState : uint8_t { kNone, kWanted, kSent };

// Where the response to a request goes (RFC 3261 §18.2.2): back over the connection that it came
// on, or as a datagram from the socket that it came to.
struct ReplyPath {
  static constexpr uint16_t kNoListener = 0xFFFF;

  ConnectionId connection;      // Of this shard. Zero: a datagram.
  core::SocketAddress address;  // Datagram: to here. Stream: where the peer may be dialled again.
  uint16_t listener = kNoListener;  // Where the request came in; a datagram leaves from its socket.
  Zone zone = Zone::kOutside;
  bool is_tls = false;  // Nothing that came over TLS is answered over anything else.

  bool is_datagram() const { return connection == ConnectionId(); }
};

// How the targets of a transaction are found; kept so that they can be found again once DNS has
// answered.
enum class TargetSource : uint8_t {
  kNextHop,       // A [[next-hop]] of the configuration.
  kInsideTarget,  // The inside side of our own signed pair, then the rest of its next hop.
  kParty,         // The party outside that our own signed pair names: see PartyStep.
  kFlow,          // The connection that registered by our Path, and no other (RFC 5626 §5.3).
  kLocate,        // RFC 3263, of the topmost Route or else the Request-URI.
};

// The ways to a party outside, in this order. Each is taken only where the party is proved there.
enum class PartyStep : uint8_t {
  kFlow,     // The connection that the dialog began on.
  kTarget,   // The target that we had dialled, then the rest of its next hop.
  kOpen,     // Another open connection of the party.
  kNextHop,  // A domain's own next hop.
  kLocated,  // RFC 3263 of the domain.
  kNothing,
};

// Linked into the list of those that wait for one endpoint: to be sent there, or for its answer.
struct Transaction : core::ListLink {
  using TimerFunction = core::Timer::Callback;
  Transaction(TimerFunction on_retransmit, TimerFunction on_deadline)
      : retransmit(on_retransmit, this), deadline(on_deadline, this) {}

  // Candidates beyond these are not tried.
  static constexpr size_t kTargetsMax = 8;
  static constexpr uint8_t kNoAttempt = 0xFF;

  bool is_invite() const { return method == Method::kInvite; }
  // Targets of a [[next-hop]] are listed, not what DNS or a flow leads to.
  bool lists_next_hop() const {
    switch (source) {
      case TargetSource::kNextHop:
      case TargetSource::kInsideTarget:
        return true;
      case TargetSource::kParty:
        return next_hop_hash != 0;
      case TargetSource::kFlow:
      case TargetSource::kLocate:
        return false;
    }
    return false;
  }
  bool has_untried() const { return next_target < target_count; }
  // What it has of the shard's pool.
  uint64_t leased_bytes() const {
    return uint64_t{request.capacity()} + withheld_vias.capacity() + cancel_reason.capacity() +
           brought_routes.capacity() + response.capacity();
  }

  TransactionId id;
  uint64_t key = 0;  // 0: not in the index.
  uint32_t next_in_bucket = 0;
  ReplyPath reply;
  PeerKey peer = 0;              // The peer that began it; 0: the inside.
  PeerShares::Share slot_share;  // Of limits.transactions, under the holder that began it.
  PeerShares::Share byte_share;  // leased_bytes, of what transactions may have of the pool.

  ServerState server = ServerState::kTrying;
  ClientState client = ClientState::kTrying;
  CancelState cancel = CancelState::kNone;
  Method method = Method::kOther;
  bool is_in_dialog = false;
  bool is_ack = false;  // The ACK of a 2xx that waits for its target: no server side, no answer.
  bool reply_is_reliable = true;
  bool is_reliable = false;        // The transport of the attempt.
  bool is_sent = false;            // The attempt has left; else it waits for DNS or a connection.
  bool is_answered = false;        // The access side has its final response, or lost its flow.
  bool lingers = false;            // `deadline` awaits D, H, L, M or J.
  bool awaits_location = false;    // DNS will say where the next attempt goes.
  bool awaits_reply_path = false;  // `response` waits for a connection that we dial (§18.2.2).
  bool records_route = false;      // Each attempt gets our Record-Route.
  bool adds_path = false;          // REGISTER: each attempt gets our Path (RFC 3327).
  bool is_outbound = false;        // RFC 5626: `ob` in Path.
  bool grants_excuse = false;      // Our Record-Route towards outside gets a dialog token.
  bool is_secure = false;          // A sips Request-URI: TLS hops only (RFC 5630).
  bool next_is_strict = false;  // kLocate: the Request-URI, not Route, names the next hop (§16.6).
  bool is_probe = false;        // An OPTIONS of our own: no server side.
  bool heard = false;           // The attempt was answered, if only provisionally.
  bool is_left = false;         // The target has closed the connection; `deadline` waits a little.
  bool has_given_up = false;    // INVITE: a silent target has it; its answer may come late.

  // The attempt: which target, under which branch.
  TargetSource source = TargetSource::kNextHop;
  PartyStep party_step = PartyStep::kFlow;  // kParty: the way that is listed next.
  uint8_t attempt = 0;
  uint8_t target_count = 0;
  uint8_t next_target = 0;
  uint8_t sent_targets = 0;  // Up to the last one that anything was sent to.
  // The next hop whose targets are listed: index in the configuration of version `snapshot`, which
  // of them (by index) were looked at, and which DNS was asked for last (or a probe is for).
  uint16_t next_hop = 0;
  uint64_t looked_at = 0;
  bool has_unlisted = false;  // DNS had not yet spoken of all when there was another target to try.
  uint16_t asked_target = 0;
  uint64_t snapshot = 0;
  uint64_t listed_for = 0;     // Version of the configuration by which targets were last found.
  uint32_t next_hop_hash = 0;  // kNextHop: NextHopNameHash, by which a reload is outlived.
  uint64_t selector = 0;       // Hash of the Call-ID.
  EndpointId endpoint;         // Of the attempt; zero: none yet.
  std::array<EndpointId, kTargetsMax> targets;
  // The side of the dialog that the request came from, for our own lines; and the side that it is
  // for, by one of them: kInsideTarget, kParty, kFlow.
  DialogSide near;
  PartyDomain alias_domain;  // Of the last alias among the targets (RFC 5923): what it has proved.
  DialogSide far;
  DialogId dialog{};      // records_route.
  DialogClaim excuse;     // grants_excuse.
  FailureCause failure;   // Of the last attempt that failed, for the answer.
  void* owner = nullptr;  // The EdgeProxy that the timers call.
  uint32_t loop_hash = 0;
  // The request as it is sent on, `head_bytes` of our own lines (Via, Record-Route, Path) behind
  // the start line: retransmission, CANCEL, ACK, and our own final responses are made from it.
  // Given back when none of these can be needed any more.
  core::BufferLease request;
  uint32_t request_bytes = 0;
  uint32_t start_line_bytes = 0;
  uint32_t head_bytes = 0;
  uint8_t via_lines = 0;   // Of the request, below ours; for its answers (way_back.h).
  uint64_t kept_vias = 0;  // INVITE from inside: their hash, once `request` is given back.
  // Where our lines went, and the party that it had proved when they were written.
  EndpointId head_endpoint;
  PartyId head_party{};
  // The Via lines that are withheld from where it is sent (HasPlainVias), for its answers.
  core::BufferLease withheld_vias;
  uint32_t withheld_vias_bytes = 0;
  std::string_view withheld_via_lines() const {
    return {reinterpret_cast<const char*>(withheld_vias.data()), withheld_vias_bytes};
  }
  // The Reason lines of the CANCEL that came, for ours (RFC 3326 §2); kept as long as `request`.
  core::BufferLease cancel_reason;
  uint32_t cancel_reason_bytes = 0;
  // records_route towards outside: the Record-Route values that the request brought, by which the
  // answers' are judged after `request` is given back.
  core::BufferLease brought_routes;
  uint32_t brought_routes_bytes = 0;
  bool has_kept_routes = false;
  // The last response that was sent, where the access side may lose it (UDP).
  core::BufferLease response;
  uint32_t response_bytes = 0;
  core::MonotonicTime sent_at;
  absl::Duration retransmit_interval;
  absl::Duration probe_timeout;  // is_probe.
  EndpointId suspect;            // is_probe: asked about it (TargetHealth); zero: on schedule.
  core::Timer retransmit;        // A or E; then G.
  core::Timer deadline;  // B or F, then C, then D, H, I, J, L or M: one is awaited at a time.
};

class TransactionTable {
 public:
  TransactionTable(uint32_t capacity, const tls::MacKey& key);
  TransactionTable(const TransactionTable&) = delete;
  TransactionTable& operator=(const TransactionTable&) = delete;

  // The key under which `request` is, or would be, known: an ACK or CANCEL gets its INVITE's.
  // Branches without the cookie, or with nothing behind it, are of RFC 2543: then Request-URI,
  // tags, Call-ID, CSeq number and the whole topmost Via are compared. Never 0.
  [[nodiscard]] uint64_t KeyOf(PeerKey peer, const MessageView& request) const;

  // nullptr when full. In the index under `key`, which must not be there yet.
  [[nodiscard]] Transaction* Create(uint64_t key, core::Timer::Callback on_retransmit,
                                    core::Timer::Callback on_deadline);
  [[nodiscard]] Transaction* FindByKey(uint64_t key);
  [[nodiscard]] Transaction* Find(TransactionId id) { return slots_.Find(id); }
  void Erase(Transaction& transaction);

  [[nodiscard]] uint32_t size() const { return slots_.size(); }
  [[nodiscard]] bool full() const { return slots_.full(); }
  template <typename Visit>
  void ForEach(Visit visit) {
    slots_.ForEach([&visit](TransactionId, Transaction& transaction) { visit(transaction); });
  }

 private:
  uint32_t& Bucket(uint64_t key) { return buckets_[key & bucket_mask_]; }

  const tls::MacKey key_;
  core::SlotMap<Transaction, TransactionId> slots_;
  const size_t bucket_mask_;
  const std::unique_ptr<uint32_t[]> buckets_;      // Slot + 1 of the first in the chain; 0: empty.
  const std::unique_ptr<uint32_t[]> generations_;  // Of the slot while it is in the index.
};

}  // namespace sallyport::sip
