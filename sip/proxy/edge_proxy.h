// The table of contents of what one shard does with a message: validate, judge, match, route,
// forward; and the same way back for responses. Each step is one call; every refusal goes through
// Refuse or FinishLocally, so it is counted, logged and answered in one place.
//
//   edge_proxy.cc            messages in: requests up to the point where a transaction begins;
//                            OnRequest is the order of judging
//   edge_proxy_targets.cc    the transaction's targets: found, tried one after the other
//   edge_proxy_responses.cc  responses in, and what the transaction machines make of them
//   edge_proxy_answers.cc    what the edge says itself
// Shard: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "sip/message/message_edit.h"
#include "sip/message/message_parser.h"
#include "sip/message/message_view.h"
#include "sip/policy/reason_code.h"
#include "sip/proxy/admission.h"
#include "sip/proxy/branch.h"
#include "sip/proxy/connection_table.h"
#include "sip/proxy/endpoint_pool.h"
#include "sip/proxy/forwarding.h"
#include "sip/proxy/local_response.h"
#include "sip/proxy/located_name.h"
#include "sip/proxy/mail_shares.h"
#include "sip/proxy/message_source.h"
#include "sip/proxy/party_directory.h"
#include "sip/proxy/peer_shares.h"
#include "sip/proxy/record_route.h"
#include "sip/proxy/request_log.h"
#include "sip/proxy/route_decision.h"
#include "sip/proxy/server_location.h"
#include "sip/proxy/shard_context.h"
#include "sip/proxy/transaction_table.h"

namespace sallyport::sip {

// What we write in front of a request: Via, Record-Route or Path, each with its tokens.
inline constexpr size_t kHeadBytesMax = 2048;
inline constexpr size_t kHeadRoomBytes = 256;  // Enough where no dialog begins.

// Keys of one process, the same on all its shards.
struct ProxyKeys {
  tls::MacKey transaction;
  tls::MacKey to_tag;
  tls::MacKey dns;   // Of the cache's hash.
  tls::MacKey loop;  // Of LoopHash.
};

struct EdgeProxyOptions {
  ProxyKeys keys;
  uint32_t transactions_max = 0;
  uint32_t endpoints_max = 0;
  uint32_t outbound_connections_max = 0;
  core::DnsQuerier* dns = nullptr;
  Admission* admission = nullptr;
  PartyDirectory* parties = nullptr;
};

// One request on its way through the steps of judging.
struct RequestContext {
  const MessageSource& source;
  OwnRoutes own;
  TokenRights rights = {};
  bool from_covered = false;
  bool drops_referred_by = false;
};

class EdgeProxy final : private EndpointHandler, private LocationHandler {
 public:
  // Borrows everything.
  EdgeProxy(ShardContext& context, ConnectionTable& connections, const EdgeProxyOptions& options);
  EdgeProxy(const EdgeProxy&) = delete;
  EdgeProxy& operator=(const EdgeProxy&) = delete;
  ~EdgeProxy();

  // A frame from an accepted connection, of either zone.
  void OnFrame(Connection& connection, const Frame& frame, std::string_view unread);
  // A datagram that arrived at a listener.
  void OnDatagram(std::string_view bytes, const core::SocketAddress& source, uint32_t listener,
                  core::DatagramSocket& socket);
  // Mail of the kinds that concern messages (mail_kinds.h).
  void OnMail(uint32_t kind, std::span<const std::byte> record);
  void OnConnectionLost(Connection& connection) { endpoints_.OnConnectionLost(connection); }
  void OnNewSnapshot();
  // Ten times a second: health checks, forgotten endpoints.
  void OnTick();

  EndpointPool& endpoints() { return endpoints_; }
  const EndpointPool& endpoints() const { return endpoints_; }
  const ServerLocator& locator() const { return locator_; }
  // From now on a request that begins a dialog or stands alone is refused.
  void BeginDrain() { draining_ = true; }
  [[nodiscard]] uint32_t transactions() const { return transactions_.size(); }
  // Those that still owe an answer: what a drain waits for.
  [[nodiscard]] uint32_t unanswered() const { return unanswered_; }
  // An answer is awaited on this connection.
  [[nodiscard]] bool IsInUse(const Connection& connection);
  // One bit for each [[next-hop]]: some target of it takes requests, as far as this shard knows.
  [[nodiscard]] uint64_t HealthyNextHops() const;

 private:
  // -- Messages in.
  void OnEndpointFrame(Connection& connection, const Endpoint* endpoint, const Frame& frame,
                       std::string_view unread) override;
  bool MayServe(Connection& connection) override;
  void OnServed(Connection& connection) override;
  void OnStreamFrame(const MessageSource& source, const Frame& frame, std::string_view unread);
  void OnBadFrame(const MessageSource& source, const Frame& frame, std::string_view unread);
  [[nodiscard]] std::optional<ReasonCode> MakePlain(const MessageSource& source, Framing framing,
                                                    core::BufferLease& plain);
  void RefuseUnread(const MessageSource& source, ReasonCode reason);
  void OnMessage(const MessageSource& source, std::string_view bytes, Framing framing);
  void OnRequest(const MessageSource& source);
  [[nodiscard]] bool IsAckOfRefusal(const MessageSource& source);
  void ReadRights(RequestContext& request) const;
  [[nodiscard]] bool PassesJudgement(RequestContext& request);
  void RefuseRoute(const MessageSource& source, const RouteDecision& decision);
  void NoteAlias(const MessageSource& source);
  [[nodiscard]] bool PassesSips(const MessageSource& source);
  // Under which key its transactions count against what all share.
  [[nodiscard]] uint64_t HolderOf(const MessageSource& source) const;
  // The request in view_ may begin a transaction.
  [[nodiscard]] bool HasSlotFor(const MessageSource& source) const;
  // Its peer may have a lease of `bytes` more for it.
  [[nodiscard]] static bool MayKeep(const Transaction& transaction, size_t bytes, ShareUse use);
  // After each change of what it has leased.
  static void NoteLeases(Transaction& transaction) {
    transaction.byte_share.Set(transaction.leased_bytes());
  }
  [[nodiscard]] bool PassesLimits(const MessageSource& source);
  void OnRetransmission(const MessageSource& source, Transaction& transaction);
  void OnAck(const RequestContext& request);
  void OnCancel(const MessageSource& source);
  // By the CANCEL in view_.
  void CancelTransaction(Transaction& transaction);
  void KeepCancelReason(Transaction& transaction);
  // False: no memory for the lines, or its peer holds too much.
  [[nodiscard]] bool WithholdVias(const ForwardedRequest& forwarded, Transaction& transaction);
  [[nodiscard]] ResponseSource ResponseSourceOf(const MessageSource& source) const;
  void Begin(const RequestContext& request, const RouteDecision& decision, uint64_t key,
             uint32_t loop_hash);
  void ForwardAck(const RequestContext& request);
  Transaction* CreateTransaction(const RequestContext& request, const RouteDecision& decision,
                                 uint64_t key);
  void NoteTargetSource(const RequestContext& request, const RouteDecision& decision,
                        Transaction& transaction) const;
  void NoteDialogFacts(const RequestContext& request, Transaction& transaction);
  void SealAnew(SealedParty& party) const;
  void NoteExcuse(const MessageSource& source, Transaction& transaction) const;
  [[nodiscard]] DialogSide NearSideOf(const MessageSource& source, const Uri& addr_spec) const;
  [[nodiscard]] TransportAddress InsideTargetOf(const MessageSource& source) const;
  void EditRouteSet(const RequestContext& request);
  [[nodiscard]] std::optional<ReasonCode> StoreRequest(const RequestContext& request,
                                                       const RouteDecision& decision,
                                                       Transaction& transaction);

  // -- Targets.
  enum class Finding : uint8_t { kFound, kPending, kNothing };
  void FindTargets(Transaction& transaction);
  [[nodiscard]] Finding ListTargets(Transaction& transaction);
  [[nodiscard]] Finding ListNextHop(Transaction& transaction, size_t next_hop);
  void BeginNextHop(Transaction& transaction, size_t next_hop) const;
  [[nodiscard]] LocationRequest RequestFor(const NextHopConfig& next_hop,
                                           const NextHopTarget& target) const;
  [[nodiscard]] Finding ListNamedTarget(Transaction& transaction, const NextHopConfig& next_hop,
                                        const NextHopTarget& target);
  [[nodiscard]] Finding ListInsideTarget(Transaction& transaction);
  [[nodiscard]] Finding ListFlow(Transaction& transaction);
  [[nodiscard]] Finding ListParty(Transaction& transaction);
  [[nodiscard]] Finding ListPartyStep(Transaction& transaction, PartyStep step);
  [[nodiscard]] Finding ListPartyTarget(Transaction& transaction);
  [[nodiscard]] Finding ListLocatedTarget(Transaction& transaction);
  [[nodiscard]] Finding ListPartyNextHop(Transaction& transaction);
  [[nodiscard]] Finding ListPartyDomain(Transaction& transaction);
  [[nodiscard]] bool AddFlow(Transaction& transaction, const FlowRef& flow);
  [[nodiscard]] bool IsProvedBy(const Endpoint& endpoint, const SealedParty& party) const;
  [[nodiscard]] bool MayProve(const EndpointKey& key, const SealedParty& party) const;
  [[nodiscard]] Finding ListLocated(Transaction& transaction);
  [[nodiscard]] Finding ListNamed(Transaction& transaction, const LocationRequest& request,
                                  const EndpointKey& like);
  void AddTarget(Transaction& transaction, const EndpointKey& key);
  void AddProbed(Transaction& transaction, EndpointKey key);
  [[nodiscard]] bool HasTried(const Transaction& transaction, const EndpointKey& key) const;
  void Claim(Endpoint& endpoint, size_t next_hop);
  [[nodiscard]] EndpointKey KeyAt(Zone zone, TransportProtocol transport,
                                  const core::SocketAddress& address) const;
  // The same server at an address that was found for it.
  [[nodiscard]] EndpointKey KeyLike(const EndpointKey& like, TransportProtocol transport,
                                    const core::SocketAddress& address) const;
  [[nodiscard]] EndpointKey KeyOf(const NextHopConfig& next_hop, const NextHopTarget& target) const;
  [[nodiscard]] std::optional<EndpointKey> KeyOfMember(const NextHopConfig& next_hop,
                                                       const TransportAddress& member) const;
  void PinEndpoints();
  [[nodiscard]] LocationSupport Supported(Zone zone) const;
  void LearnInsideHosts();
  void NoteInsideHost(const core::SocketAddress& address);
  [[nodiscard]] bool MayDialOutside(const core::SocketAddress& address) const;
  [[nodiscard]] bool ChecksName(const EndpointKey& key) const;
  [[nodiscard]] EndpointKey OutboundKey(std::string_view domain) const;
  void AddLocations(Transaction& transaction, std::span<const Location> locations,
                    const EndpointKey& like);
  void OnLocated(LocationCookie cookie, LocationFailure failure,
                 std::span<const Location> locations) override;
  void TryNextTarget(Transaction& transaction);
  [[nodiscard]] bool HasMoreWays(const Transaction& transaction) const;
  [[nodiscard]] bool IsWorthTrying(const Transaction& transaction, const Endpoint& endpoint) const;
  [[nodiscard]] bool PreferStream(Transaction& transaction, const Endpoint& datagram);
  [[nodiscard]] bool SendAttempt(Transaction& transaction, Endpoint& endpoint);
  void OnEndpointOpen(Endpoint& endpoint, Transaction& transaction) override;
  void OnEndpointLost(Transaction& transaction, const FailureCause& cause) override;
  // Mail about a request to another shard's flow: it was not sent.
  void OnFlowFull(const FlowMail& mail);
  void OnEndpointSuspected(Endpoint& endpoint) override { Ask(endpoint); }

  // -- Our own lines in front of a request.
  [[nodiscard]] bool WriteHead(Transaction& transaction, Endpoint& endpoint);
  [[nodiscard]] size_t WriteHeadLines(const Transaction& transaction, Endpoint& endpoint,
                                      std::span<char> out);
  [[nodiscard]] size_t WriteRouteLines(const Transaction& transaction, Endpoint& endpoint,
                                       std::span<char> out);
  [[nodiscard]] size_t WritePathLine(const Transaction& transaction, RecordRouteUri uri,
                                     std::span<char> out) const;
  [[nodiscard]] RecordRouteUri UriOf(size_t listener, bool is_secure) const;
  // The side that this endpoint is, as later requests reach it, but for its party.
  [[nodiscard]] DialogSide FarSideOf(const Transaction& transaction,
                                     const Endpoint& endpoint) const;
  [[nodiscard]] SealedParty PartyAt(const Transaction& transaction, Endpoint& endpoint);
  void NoteAliasParty(const Transaction& transaction, Endpoint& endpoint);

  // -- Responses.
  void OnResponse(const ResponseSource& source);
  [[nodiscard]] std::optional<Branch> OwnBranch(std::string_view text) const;
  [[nodiscard]] bool IsExpected(const Endpoint& endpoint, const ResponseSource& source) const;
  // The response in view_ has the Via values below ours that the request left with.
  [[nodiscard]] bool KnowsItsWayBack(const Transaction& transaction) const;
  // False: no room; or, of a CANCEL, its lines are too long.
  [[nodiscard]] bool MailResponse(uint32_t shard, const ResponseSource& source);
  [[nodiscard]] bool MailCancel(uint32_t shard, const CancelMail& mail);
  // The share of a mailbox that it takes: of its peer, or of its address if that proves nothing.
  [[nodiscard]] uint64_t MailSenderOf(const ResponseSource& source) const;
  void AnswerLostCancel(const MessageSource& source, CancelMail::State state);
  void OnCancelMail(CancelMail mail);
  void OnLateResponse(const ResponseSource& source, Transaction& transaction, Endpoint& endpoint);
  void AbandonAttempt(Transaction& transaction);
  void ApplyResponse(Transaction& transaction);
  [[nodiscard]] bool FailsOver(Transaction& transaction);
  void ApplyClientStep(Transaction& transaction, const ClientStep& step);
  // `endpoint` is the one that answered.
  void SendResponseOn(Transaction& transaction, Endpoint* endpoint);
  // Record-Route of an answer from outside, in view_: as it must be.
  void EditAnswerRoutes(Transaction& transaction, Endpoint& endpoint);
  [[nodiscard]] std::string_view RouteLinesFor(const Transaction& transaction, Endpoint& endpoint,
                                               std::span<char> room);
  void KeepBroughtRoutes(Transaction& transaction);
  // To another open connection of the party that asked.
  [[nodiscard]] bool SendToParty(const Transaction& transaction, std::string_view response);
  // Towards the access side; kept for retransmission where that side may lose it.
  bool SendReply(Transaction& transaction, std::string_view response, uint16_t status,
                 FinalSource source);
  bool KeepResponse(Transaction& transaction, std::string_view response);
  [[nodiscard]] bool SendOn(const ReplyPath& path, std::string_view message);
  void DialReplyPath(Transaction& transaction);
  void Acknowledge(Transaction& transaction);
  void SendCancel(Transaction& transaction);
  void SettleTransaction(Transaction& transaction);
  void EraseTransaction(Transaction& transaction);
  void NoteAnswered(Transaction& transaction);
  void ScheduleDeadline(Transaction& transaction, absl::Duration delay);
  void ScheduleDeadlineAt(Transaction& transaction, core::MonotonicTime at);
  static void OnRetransmitTimer(void* transaction);
  static void OnDeadlineTimer(void* transaction);
  void OnRetransmit(Transaction& transaction);
  void OnDeadline(Transaction& transaction);
  // Parses the request that a transaction keeps into stored_; false if it keeps none.
  [[nodiscard]] bool ParseStored(const Transaction& transaction);

  // -- Health checks.
  // An inside target that this transaction has not tried takes requests.
  [[nodiscard]] bool OthersAreHealthy(const Transaction& transaction) const;
  void ProbeTargets();
  void SendProbe(size_t next_hop, size_t target);
  // An OPTIONS to a target that TargetHealth suspects; FinishAsked tells it what came of it.
  void Ask(Endpoint& suspect);
  // A transaction without a server side that holds an OPTIONS to `place`. Null: no room.
  [[nodiscard]] Transaction* CreateProbe(size_t listener, const std::string& place,
                                         absl::Duration timeout);
  void FinishProbe(Transaction& transaction, ProbeAnswer answer,
                   absl::Duration retry_after = absl::ZeroDuration());
  [[nodiscard]] bool WriteProbe(size_t listener, const std::string& place,
                                Transaction& transaction);
  void CountProbe(size_t label, bool is_alive);
  void FinishAsked(EndpointId suspect, ProbeAnswer answer, absl::Duration retry_after);
  void ApplyProbe(size_t next_hop, size_t target, bool is_alive);
  void NoteHealth(Endpoint& endpoint, HealthChange change);

  // -- Answers.
  struct RefusalDetail {
    std::string_view phrase = {};  // Instead of the table's.
    std::string_view cause = {};   // For Warning.
    bool sips_required = false;
    bool closes = false;  // Even if the reason alone would not.
    bool parsed = true;   // view_ holds a request that parsed.
    uint16_t status = 0;  // Instead of the table's.
  };
  // Of a subscription with a token that no known key has signed.
  [[nodiscard]] static RefusalDetail SubscriptionLost() {
    RefusalDetail detail;
    detail.phrase = "Call/Transaction Does Not Exist";
    detail.status = 481;
    return detail;
  }
  void Refuse(const MessageSource& source, ReasonCode reason) { Refuse(source, reason, {}); }
  void Refuse(const MessageSource& source, ReasonCode reason, const RefusalDetail& detail);
  // For log lines. stored_ holds the transaction's request.
  [[nodiscard]] RequestWay WayOf(const Transaction& transaction) const;
  [[nodiscard]] std::string_view AskedNameOf(const Transaction& transaction) const;
  // The line of level debug, as long as the request is there to tell of.
  void LogOutcome(const Transaction& transaction, uint16_t status);
  void Answer(const MessageSource& source, uint16_t status, std::string_view phrase,
              std::string_view headers, bool parsed);
  // Our own final response in a transaction whose request we hold.
  void FinishLocally(Transaction& transaction, ReasonCode reason, std::string_view cause);
  void FinishWith(Transaction& transaction, uint16_t status, std::string_view phrase,
                  std::string_view headers);
  [[nodiscard]] ReplyPath ReplyPathOf(const MessageSource& source) const;
  // The response in view_, which came from `source` and answers for `endpoint`, where that is
  // known.
  void DropResponse(ResponseDropReason reason, const ResponseSource& source,
                    const Endpoint* endpoint = nullptr, std::string_view cause = {});
  // A response that was on its way to the access side of `transaction`.
  void DropReply(ResponseDropReason reason, const Transaction& transaction,
                 std::string_view response);
  // The ACK in view_.
  void DropAck(AckDropReason reason, const MessageSource& source, std::string_view cause);
  // One that has waited for its target.
  void DropWaitingAck(const Transaction& transaction, std::string_view cause);
  void CountResponse(uint16_t status, FinalSource source);
  void ObserveResponseTime(const Transaction& transaction);

  ShardContext& context_;
  ConnectionTable& connections_;
  Admission& admission_;
  PartyDirectory& parties_;
  // Of the snapshot, and of the last one with another secret: what is under way may be signed by
  // it.
  BranchSigner branches_;
  BranchSigner branches_before_;
  const tls::MacKey loop_key_;
  const LocalTag local_tag_;
  MailShares mail_shares_;
  PeerShares slot_shares_;  // Of `transactions_`, by HolderOf.
  PeerShares byte_shares_;  // Of half the buffer pool, likewise.
  TransactionTable transactions_;
  EndpointPool endpoints_;
  ServerLocator locator_;
  // The targets of the snapshot, by next hop and target.
  struct PinnedTarget {
    EndpointId endpoint;                 // Zero: named, so found anew each time.
    uint64_t hash = 0;                   // Of what it is, the same on every shard and instance.
    std::optional<TargetHealth> health;  // A named one's, by its probes.
  };
  [[nodiscard]] const TargetHealth* HealthOf(const PinnedTarget& target) const;
  std::vector<std::vector<PinnedTarget>> pinned_;
  std::vector<core::MonotonicTime> next_probe_;  // By next hop.
  // Hosts of named inside targets, as DNS has said; kept over reloads.
  static constexpr size_t kNamedInsideMax = 1024;
  absl::flat_hash_set<core::SocketAddress> named_inside_;
  core::MonotonicTime learn_at_;  // LearnInsideHosts; zero: at the next tick.
  uint32_t learning_ = 0;         // Names that DNS has not answered for it yet.
  uint32_t unanswered_ = 0;
  bool draining_ = false;

  // Reused for each message; see ShardContext about the scratch buffers.
  MessageView view_;    // What has just come in.
  MessageView stored_;  // A request that a transaction keeps.
  MessageEdit edit_;
  LocationList locations_;
};

}  // namespace sallyport::sip
