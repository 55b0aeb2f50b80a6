// The transactions of one shard: a request from the access side and its copy at the next hop.
// Responses find theirs by slot (the branch names it); requests by a keyed hash of what RFC 3261
// §17.2.3 compares, with the peer's identity added, so nobody's CANCEL or ACK meets another's
// INVITE. Bounds: fixed capacity; what a transaction keeps of its request is a lease of the shard's
// pool. Shard:  one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/buffer_pool.h"
#include "core/intrusive_list.h"
#include "core/slot_map.h"
#include "core/timer_wheel.h"
#include "sip/message/message_view.h"
#include "sip/message/method.h"
#include "sip/proxy/client_transaction.h"
#include "sip/proxy/connection_id.h"
#include "sip/proxy/server_transaction.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

struct TransactionId {
  uint32_t slot = 0;
  uint32_t generation = 0;
  friend bool operator==(const TransactionId&, const TransactionId&) = default;
};

// Who began it: the same for all connections of one set of proven identities.
using PeerKey = uint64_t;

// How far a CANCEL has come (RFC 3261 §9.1: it waits for a provisional response).
enum class CancelState : uint8_t { kNone, kWanted, kSent };

// Linked into the list of those that wait for one next-hop connection.
struct Transaction : core::ListLink {
  using TimerFunction = core::Timer::Callback;
  Transaction(TimerFunction on_retransmit, TimerFunction on_deadline)
      : retransmit(on_retransmit, this), deadline(on_deadline, this) {}

  bool is_invite() const { return method == Method::kInvite; }

  TransactionId id;
  uint64_t key = 0;  // 0: not in the index.
  uint32_t next_in_bucket = 0;
  ConnectionId flow;  // Where the request came from and responses go.
  ServerState server = ServerState::kTrying;
  ClientState client = ClientState::kTrying;
  CancelState cancel = CancelState::kNone;
  Method method = Method::kOther;
  uint8_t target = 0;        // Index into the snapshot's targets.
  bool is_reliable = false;  // The transport to the next hop.
  bool is_answered = false;  // The access side has its final response, or lost its flow.
  bool lingers = false;      // `deadline` awaits D, H, L or M.
  void* owner = nullptr;     // The EdgeProxy whose timers these are.
  // The request as it was sent on: retransmission, CANCEL, ACK, and our own final responses are
  // made from it. Given back when none of these can be needed any more.
  core::BufferLease request;
  uint32_t request_bytes = 0;
  absl::Duration retransmit_interval;
  core::Timer retransmit;  // A or E.
  core::Timer deadline;    // B or F, then C, then D, H, L or M: one is awaited at a time.
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
