// Every metric of this edge: one table, built at start from the configuration's closed
// vocabularies. A shard writes `metrics.requests_rejected.Slot(reason)` in its own
// core::StatsBlock. The enums here are label values: their order is the order of the names in
// edge_metrics.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/dns_answer.h"
#include "core/metrics.h"
#include "sip/message/method.h"
#include "sip/policy/reason_code.h"
#include "sip/proxy/dns_cache.h"
#include "tls/failure_reason.h"

namespace sallyport::sip {

// Towards the edge (kIn) or away from it, seen from the wire. For connections and handshakes: kIn
// where the peer dialled, kOut where we did.
enum class MetricDirection : uint8_t { kIn, kOut };

enum class ConnectionState : uint8_t { kHandshake, kOpen, kClosing };
enum class ConnectionCloseReason : uint8_t { kPeer, kIdle, kPolicy, kError, kDrain, kOverload };
// Before TLS.
enum class ConnectionRejectReason : uint8_t { kLimit, kAcl, kDescriptors, kDrain, kRate };
[[nodiscard]] std::string_view ConnectionRejectText(ConnectionRejectReason reason);

enum class TlsVersionLabel : uint8_t { kTls12, kTls13, kUnknown };
enum class HandshakeKind : uint8_t { kFull, kResumed };
enum class HandshakeResult : uint8_t { kOk, kFailed };
enum class CacheResult : uint8_t { kHit, kMiss };
enum class TicketDecryptResult : uint8_t {
  kAccepted,
  kUnreadable,  // Unknown or outlived key, another listener policy or trust anchors, damaged.
  kDeclined,    // Readable, but its age, certificate or anchor no longer count.
};

enum class IdentityCheckResult : uint8_t { kPass, kMismatch, kNoIdentity, kExempt };
enum class ParseErrorReason : uint8_t { kStartLine, kHeader, kUri, kLength, kTooLarge, kFraming };
enum class RewriteReason : uint8_t { kPlainLines, kFieldRemoved, kViasWithheld };
enum class MessageKind : uint8_t { kInvite, kInDialog, kRegister, kOther, kResponse };
enum class TransactionKind : uint8_t { kInvite, kNonInvite };
enum class TransactionTimer : uint8_t { kB, kC, kF, kH };
enum class KeepaliveKind : uint8_t { kCrlf, kOptions };
enum class ConnectResult : uint8_t { kOk, kTimeout, kRefused, kTls };
enum class ResponseDropReason : uint8_t {
  kBranch,         // Not ours, forged, or from another process.
  kNoTransaction,  // Too late.
  kSource,         // Not from where the request went.
  kFlowGone,       // The connection that the request came on has closed.
  kMalformed,
  kWayBack,  // Below ours it has other Via values than the request.
  kOverload  // The mailbox of the transaction's shard is full.
};
enum class FinalSource : uint8_t { kLocal, kForwarded };
enum class FlowFailure : uint8_t { kGone, kForged, kElsewhere };
enum class ProbeResult : uint8_t { kOk, kFailed };
enum class AckDropReason : uint8_t { kNoTransaction, kRefused };
// Labels of log_records_suppressed behind the reason codes.
inline constexpr size_t kSuppressedResponseDrops = kReasonCodeCount;
inline constexpr size_t kSuppressedAckDrops = kReasonCodeCount + 1;
enum class BufferPool : uint8_t { kReceive, kSend };
enum class MemoryArea : uint8_t { kBuffers, kTransactions, kEndpoints };
enum class ReloadResult : uint8_t { kOk, kRejected };

struct EdgeMetrics {
  // `listeners` and `next_hops` are configured names in file order; their index is the label index.
  // A next hop that a reload added has the index next_hops.size(), shown as "_other".
  EdgeMetrics(const std::vector<std::string>& listeners, const std::vector<std::string>& next_hops);
  EdgeMetrics(const EdgeMetrics&) = delete;
  EdgeMetrics& operator=(const EdgeMetrics&) = delete;

  // The label of a next hop; "_other" for one that was not there at the start. Linear.
  [[nodiscard]] size_t NextHopLabel(std::string_view name) const;
  // Of a registered status code; all others share one.
  [[nodiscard]] static size_t FinalCodeLabel(uint16_t status);

  const std::vector<std::string> next_hop_names;
  core::MetricRegistry registry;

  // Connections.
  core::MetricSlots connections_active;    // gauge (listener, ConnectionState)
  core::MetricSlots connections_accepted;  // (listener)
  core::MetricSlots connections_closed;    // (MetricDirection, ConnectionCloseReason)
  core::MetricSlots connections_rejected;  // (ConnectionRejectReason)
  core::MetricSlots slow_peers_disconnected;

  // TLS.
  // (MetricDirection, TlsVersionLabel, HandshakeKind, HandshakeResult)
  core::MetricSlots tls_handshakes;
  // (MetricDirection, tls::FailureReason) kNone: the connection went away
  core::MetricSlots tls_handshake_failures;
  core::HistogramSlots tls_handshake_duration;   // ns (MetricDirection, HandshakeKind)
  core::MetricSlots tls_handshake_cpu;           // ns (HandshakeKind)
  core::MetricSlots tls_handshakes_in_progress;  // gauge
  core::MetricSlots tls_verify_cache_lookups;    // (CacheResult)
  core::MetricSlots tls_identity_cache_lookups;  // (CacheResult)
  core::MetricSlots tls_tickets_issued;
  core::MetricSlots tls_ticket_decrypts;  // (TicketDecryptResult)
  core::MetricSlots tls_renegotiations_refused;
  core::MetricSlots tls_bytes;  // plaintext (MetricDirection)

  // SIP.
  core::MetricSlots sip_requests;               // (MetricDirection, Method)
  core::MetricSlots sip_responses;              // (MetricDirection, status / 100 - 1)
  core::MetricSlots sip_parse_errors;           // (ParseErrorReason)
  core::MetricSlots sip_messages_rewritten;     // (RewriteReason)
  core::MetricSlots sip_responses_dropped;      // (ResponseDropReason)
  core::MetricSlots sip_acks_dropped;           // (AckDropReason)
  core::MetricSlots sip_final_responses;        // (FinalCodeLabel, FinalSource)
  core::MetricSlots sip_flow_failures;          // (FlowFailure)
  core::HistogramSlots sip_message_processing;  // ns (MessageKind)
  core::MetricSlots sip_transactions_active;    // gauge (TransactionKind)
  core::MetricSlots sip_transaction_timeouts;   // (TransactionTimer)
  core::MetricSlots sip_retransmissions;        // (MetricDirection)
  core::MetricSlots sip_keepalives;             // (MetricDirection, KeepaliveKind)

  // Verdicts.
  core::MetricSlots requests_rejected;  // (ReasonCode)
  core::MetricSlots identity_checks;    // (IdentityCheckResult)

  // Who comes in.
  core::MetricSlots sources_connected;       // gauge: addresses outside with a connection
  core::MetricSlots rate_limiter_forgotten;  // keys that made room before they were idle

  // Next hops.
  core::MetricSlots upstream_health_checks;        // (next hop, ProbeResult)
  core::HistogramSlots upstream_response;          // ns, to the first response; (next hop)
  core::MetricSlots outbound_connects;             // (next hop, ConnectResult)
  core::MetricSlots upstream_requests;             // (next hop)
  core::MetricSlots upstream_identity_mismatches;  // (next hop) RFC 5922 §7.3: the alarm.

  core::HistogramSlots outbound_connect_duration;  // ns, of those that opened
  core::MetricSlots endpoints;                     // gauge
  core::MetricSlots outbound_connections;          // gauge
  core::MetricSlots dns_queries;                   // (core::DnsType, DnsLookup)

  // The machine.
  core::MetricSlots worker_busy;           // ns, per shard
  core::MetricSlots worker_connections;    // gauge, per shard
  core::MetricSlots worker_completions;    // per shard
  core::MetricSlots worker_submit_calls;   // per shard
  core::HistogramSlots worker_loop_delay;  // ns
  core::MetricSlots io_buffers_exhausted;  // (BufferPool)
  core::MetricSlots memory;                // gauge, bytes (MemoryArea)
  core::MetricSlots overload_state;        // gauge, per shard (OverloadState)
  // (ReasonCode, kSuppressedResponseDrops or kSuppressedAckDrops) held back by the rate limit
  core::MetricSlots log_records_suppressed;

  // Off the shards; any thread.
  core::SharedMetric& config_reloads;                        // (ReloadResult)
  core::SharedMetric& config_last_reload_successful;         // 0 or 1
  core::SharedMetric& config_last_reload_success_timestamp;  // Unix seconds
  core::SharedMetric& ready;                                 // 0 or 1, as /readyz
  core::SharedMetric& draining;                              // 0 or 1
  core::SharedMetric& admin_requests;             // (core::AdminEndpoint, 0: answered, 1: an error)
  core::SharedMetric& admin_connections_dropped;  // (core::HttpDrop)

  // The families whose values belong to others. Call each once, before the first scrape; the
  // functions run on scraping threads.
  void ReportBuild(const std::string& version, const std::string& tls_library,
                   const std::string& crypto_backend, const std::string& io_backend);
  // One sample for each certificate of ours: label `certificate` is the profile's name, the value
  // its notAfter in Unix seconds.
  void ReportCertificates(std::function<std::vector<core::MetricSample>()> samples);
  void ReportNextHopHealth(std::function<std::vector<core::MetricSample>()> samples);
  void ReportLogDrops(std::function<uint64_t()> dropped);
};

}  // namespace sallyport::sip
