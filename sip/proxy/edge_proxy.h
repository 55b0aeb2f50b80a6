// The table of contents of what one shard does with a message: validate, judge, match, route,
// forward; and the same way back for responses. Each step is one call; every refusal goes through
// Refuse, so it is counted, logged and answered in one place.
// Shard: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/slot_map.h"
#include "sip/message/message_edit.h"
#include "sip/message/message_parser.h"
#include "sip/message/message_view.h"
#include "sip/policy/reason_code.h"
#include "sip/proxy/branch.h"
#include "sip/proxy/connection.h"
#include "sip/proxy/local_response.h"
#include "sip/proxy/next_hop_pool.h"
#include "sip/proxy/shard_context.h"
#include "sip/proxy/transaction_table.h"

namespace sallyport::sip {

using ConnectionTable = core::SlotMap<Connection, ConnectionId>;

// Keys of one process, the same on all its shards.
struct ProxyKeys {
  tls::MacKey branch;
  tls::MacKey transaction;
  tls::MacKey to_tag;
};

// Mail between the proxies of two shards: the bytes of a response whose transaction lives there.
inline constexpr uint32_t kMailResponse = core::kMailKindsReserved;

class EdgeProxy final : private NextHopHandler {
 public:
  // Borrows everything.
  EdgeProxy(ShardContext& context, ConnectionTable& connections, const ProxyKeys& keys,
            uint32_t transactions_max);
  EdgeProxy(const EdgeProxy&) = delete;
  EdgeProxy& operator=(const EdgeProxy&) = delete;
  ~EdgeProxy();

  // A frame from an accepted connection, of either zone.
  void OnFrame(Connection& connection, const Frame& frame, std::string_view unread);
  // A datagram that arrived at an inside listener.
  void OnDatagram(std::string_view bytes, const core::SocketAddress& source,
                  core::DatagramSocket& socket);
  // A response that reached another shard first.
  void OnResponseMail(std::string_view bytes);

  NextHopPool& next_hops() { return next_hops_; }
  const NextHopPool& next_hops() const { return next_hops_; }
  // From now on a request that begins a dialog or stands alone is refused.
  void BeginDrain() { draining_ = true; }
  [[nodiscard]] uint32_t transactions() const { return transactions_.size(); }
  // Those that still owe an answer: what a drain waits for.
  [[nodiscard]] uint32_t unanswered() const { return unanswered_; }

 private:
  // Where the answer to a request from the inside goes.
  struct InsideSource {
    const core::SocketAddress& address;
    Connection* connection;  // Or:
    core::DatagramSocket* socket;
  };

  void OnNextHopFrame(Connection& connection, const Frame& frame) override;
  void OnNextHopLost(Transaction& transaction, bool was_open) override;

  // -- Requests from outside.
  void OnOutsideFrame(Connection& connection, const Frame& frame, std::string_view unread);
  void OnBadFraming(Connection& connection, const Frame& frame, std::string_view unread);
  void OnRequest(Connection& connection);
  [[nodiscard]] bool PassesJudgement(Connection& connection);
  void OnAck(Connection& connection);
  void OnCancel(Connection& connection);
  [[nodiscard]] bool PassesSips(Connection& connection, NextHopPool::Place place);
  void Forward(Connection& connection, NextHopPool::Place place, uint64_t key, uint32_t loop_hash,
               bool removes_top_route);
  [[nodiscard]] bool WriteForwarded(const Connection& connection, NextHopPool::Place place,
                                    const Branch& branch, bool removes_top_route);
  [[nodiscard]] bool SendToNextHop(Transaction& transaction);
  // Sends to the first target after the transaction's that takes it. False: none did.
  [[nodiscard]] bool SendToAnotherTarget(Transaction& transaction);
  [[nodiscard]] bool Readdress(Transaction& transaction, NextHopPool::Place place);
  void ForwardAck(Connection& connection, bool removes_top_route);

  // -- Messages from the inside.
  void OnInsideMessage(std::string_view bytes, Framing framing, const InsideSource& source);
  void OnInsideRequest(const InsideSource& source);
  void OnResponse(bool is_own_shard_checked);
  void ApplyResponse(Transaction& transaction);
  void OnCancelResponse(Transaction& transaction);

  // -- Transactions.
  Transaction* CreateTransaction(Connection& connection, uint64_t key, NextHopPool::Place place);
  void ApplyClientStep(Transaction& transaction, const ClientStep& step);
  void SendResponseOn(Transaction& transaction);
  void Acknowledge(Transaction& transaction);
  void SendCancel(Transaction& transaction);
  // Our own final response in a transaction whose request we hold.
  void FinishLocally(Transaction& transaction, ReasonCode reason, std::string_view cause);
  void SettleTransaction(Transaction& transaction);
  void EraseTransaction(Transaction& transaction);
  void NoteAnswered(Transaction& transaction);
  void ScheduleDeadline(Transaction& transaction, absl::Duration delay);
  static void OnRetransmitTimer(void* transaction);
  static void OnDeadlineTimer(void* transaction);
  void OnRetransmit(Transaction& transaction);
  void OnDeadline(Transaction& transaction);
  // Parses the request that a transaction keeps into stored_; false if it keeps none.
  [[nodiscard]] bool ParseStored(const Transaction& transaction);

  // -- Answers.
  struct RefusalDetail {
    std::string_view phrase = {};  // Instead of the table's.
    std::string_view cause = {};   // For Warning.
    bool sips_required = false;
    bool closes = false;  // Even if the reason alone would not.
    bool parsed = true;   // view_ holds a request that parsed.
  };
  void Refuse(Connection& connection, ReasonCode reason) { Refuse(connection, reason, {}); }
  void Refuse(Connection& connection, ReasonCode reason, const RefusalDetail& detail);
  void LogRefusal(const Connection& connection, ReasonCode reason, std::string_view method);
  void Answer(Connection& connection, uint16_t status, std::string_view phrase,
              std::string_view headers, bool parsed);
  void DropResponse(ResponseDropReason reason);
  void DropAck(AckDropReason reason);
  [[nodiscard]] unsigned RetryAfterSeconds();

  ShardContext& context_;
  ConnectionTable& connections_;
  const BranchSigner signer_;
  const LocalTag local_tag_;
  TransactionTable transactions_;
  NextHopPool next_hops_;
  uint32_t unanswered_ = 0;
  bool draining_ = false;

  // Reused for each message; see ShardContext about the scratch buffers.
  MessageView view_;    // What has just come in.
  MessageView stored_;  // A request that a transaction keeps.
  MessageEdit edit_;
};

}  // namespace sallyport::sip
