#include "sip/proxy/edge_metrics.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sallyport::sip {
namespace {

using core::MetricLabel;
using core::MetricType;

constexpr double kNanoseconds = 1e9;  // Slots hold nanoseconds, the text seconds.

constexpr uint64_t Microseconds(uint64_t count) { return count * 1000; }
constexpr uint64_t Milliseconds(uint64_t count) { return count * 1'000'000; }

constexpr std::array<uint64_t, 12> kHandshakeBounds = {
    Microseconds(500), Milliseconds(1),   Microseconds(2500), Milliseconds(5),
    Milliseconds(10),  Milliseconds(25),  Milliseconds(50),   Milliseconds(100),
    Milliseconds(250), Milliseconds(500), Milliseconds(1000), Milliseconds(5000)};
constexpr std::array<uint64_t, 12> kMessageBounds = {
    Microseconds(5),   Microseconds(10),  Microseconds(25),  Microseconds(50),
    Microseconds(100), Microseconds(250), Microseconds(500), Milliseconds(1),
    Milliseconds(5),   Milliseconds(10),  Milliseconds(50),  Milliseconds(100)};
constexpr std::array<uint64_t, 12> kLoopDelayBounds = {
    Microseconds(50), Microseconds(100), Microseconds(250), Microseconds(500),
    Milliseconds(1),  Milliseconds(2),   Milliseconds(5),   Milliseconds(10),
    Milliseconds(25), Milliseconds(50),  Milliseconds(100), Milliseconds(500)};

// The order of names is the order of the enum that indexes them.
MetricLabel Direction() { return {"direction", {"in", "out"}}; }
MetricLabel Kind() { return {"kind", {"full", "resumed"}}; }
MetricLabel CacheLookup() { return {"result", {"hit", "miss"}}; }
MetricLabel Pool() { return {"pool", {"receive", "send"}}; }

MetricLabel Methods() {
  MetricLabel label{"method", {}};
  for (size_t i = 0; i <= static_cast<size_t>(Method::kOther); ++i) {
    const auto method = static_cast<Method>(i);
    label.values.emplace_back(method == Method::kOther ? "OTHER" : MethodText(method));
  }
  return label;
}

MetricLabel Reasons() {
  MetricLabel label{"reason", {}};
  for (size_t i = 0; i < kReasonCodeCount; ++i) {
    label.values.emplace_back(CodeText(static_cast<ReasonCode>(i)));
  }
  return label;
}

MetricLabel LogKinds() {
  MetricLabel label = Reasons();
  label.values.emplace_back("response-dropped");
  label.values.emplace_back("ack-dropped");
  return label;
}

// kNone is the handshake that ended because the connection did.
MetricLabel HandshakeFailures() {
  MetricLabel label{"reason", {"closed"}};
  for (int i = 1; i < tls::kFailureReasons; ++i) {
    label.values.emplace_back(tls::FailureReasonName(static_cast<tls::FailureReason>(i)));
  }
  return label;
}

constexpr std::array<std::string_view, 5> kConnectionRejectReasons = {"limit", "acl", "descriptors",
                                                                      "drain", "rate"};

MetricLabel ConnectionRejectReasons() {
  return {"reason", {kConnectionRejectReasons.begin(), kConnectionRejectReasons.end()}};
}

MetricLabel DnsTypes() {
  MetricLabel label{"type", {}};
  for (size_t i = 0; i < core::kDnsTypes; ++i) {
    label.values.emplace_back(core::DnsTypeName(static_cast<core::DnsType>(i)));
  }
  return label;
}

MetricLabel DnsLookups() {
  MetricLabel label{"result", {}};
  for (size_t i = 0; i < kDnsLookups; ++i) {
    label.values.emplace_back(DnsLookupName(static_cast<DnsLookup>(i)));
  }
  return label;
}

// IANA's registry of response codes, the final ones.
constexpr auto kFinalCodes = std::to_array<uint16_t>(
    {200, 202, 204, 300, 301, 302, 305, 380, 400, 401, 402, 403, 404, 405, 406, 407, 408, 410,
     412, 413, 414, 415, 416, 417, 420, 421, 422, 423, 424, 425, 428, 429, 430, 433, 436, 437,
     438, 439, 440, 469, 470, 480, 481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493, 494,
     500, 501, 502, 503, 504, 505, 513, 555, 580, 600, 603, 604, 606, 607, 608});

MetricLabel FinalCodes() {
  MetricLabel label{"code", {}};
  for (const uint16_t code : kFinalCodes) label.values.push_back(std::to_string(code));
  label.values.emplace_back("other");
  return label;
}

MetricLabel NextHops(std::vector<std::string> names) {
  names.emplace_back("_other");
  return {"peer", std::move(names)};
}

}  // namespace

// The table. Members in the order of their declaration, which is the order of the text.
EdgeMetrics::EdgeMetrics(const std::vector<std::string>& listeners,
                         const std::vector<std::string>& next_hops)
    : next_hop_names(next_hops),
      registry("sallyport_"),

      connections_active(registry.AddGauge(
          "connections_active", "Connections now.",
          {{"listener", listeners}, {"state", {"handshake", "open", "closing"}}})),
      connections_accepted(registry.AddCounter("connections_accepted_total",
                                               "Connections accepted.", {{"listener", listeners}})),
      connections_closed(registry.AddCounter(
          "connections_closed_total", "Connections that ended, by who or what ended them.",
          {Direction(), {"reason", {"peer", "idle", "policy", "error", "drain", "overload"}}})),
      connections_rejected(registry.AddCounter("connections_rejected_total",
                                               "Connections closed before TLS began.",
                                               {ConnectionRejectReasons()})),
      slow_peers_disconnected(
          registry.AddCounter("slow_peers_disconnected_total",
                              "Connections closed because their send queue reached its bound.")),

      tls_handshakes(registry.AddCounter("tls_handshakes_total",
                                         "TLS handshakes, finished or given up.",
                                         {Direction(),
                                          {"version", {"1.2", "1.3", "unknown"}},
                                          Kind(),
                                          {"result", {"ok", "failed"}}})),
      tls_handshake_failures(registry.AddCounter("tls_handshake_failures_total",
                                                 "TLS handshakes that failed, by cause.",
                                                 {Direction(), HandshakeFailures()})),
      tls_handshake_duration(registry.AddHistogram(
          "tls_handshake_duration_seconds", "From the TCP connection to the end of the handshake.",
          {Direction(), Kind()}, kHandshakeBounds, kNanoseconds)),
      tls_handshake_cpu(registry.AddCounter("tls_handshake_cpu_seconds_total",
                                            "CPU time spent in handshake steps.", {Kind()},
                                            kNanoseconds)),
      tls_handshakes_in_progress(
          registry.AddGauge("tls_handshakes_in_progress", "TLS handshakes begun and not ended.")),
      tls_verify_cache_lookups(registry.AddCounter(
          "tls_verify_cache_lookups_total",
          "Certificate signatures looked up among those that verified before.", {CacheLookup()})),
      tls_identity_cache_lookups(registry.AddCounter(
          "tls_identity_cache_lookups_total",
          "Peer certificates looked up among those whose names were read before.",
          {CacheLookup()})),
      tls_tickets_issued(
          registry.AddCounter("tls_tickets_issued_total", "Session tickets sent to clients.")),
      tls_ticket_decrypts(registry.AddCounter(
          "tls_ticket_decrypts_total", "Session tickets that clients brought back.",
          {{"result", {"accepted", "unreadable", "declined"}}})),
      tls_renegotiations_refused(registry.AddCounter(
          "tls_renegotiations_refused_total",
          "TLS 1.2 sessions in which the peer asked for renegotiation, and that went on without.")),
      tls_bytes(registry.AddCounter("tls_bytes_total", "Plaintext bytes of TLS connections.",
                                    {Direction()})),

      sip_requests(registry.AddCounter("sip_requests_total",
                                       "SIP requests on the wire, retransmissions included.",
                                       {Direction(), Methods()})),
      sip_responses(registry.AddCounter(
          "sip_responses_total", "SIP responses on the wire, retransmissions included.",
          {Direction(), {"class", {"1xx", "2xx", "3xx", "4xx", "5xx", "6xx"}}})),
      sip_parse_errors(registry.AddCounter(
          "sip_parse_errors_total", "SIP messages that could not be read, by the part at fault.",
          {{"reason", {"start_line", "header", "uri", "length", "too_large", "framing"}}})),
      sip_messages_rewritten(registry.AddCounter(
          "sip_messages_rewritten_total",
          "SIP messages that went on in other lines than they came in, by what was changed.",
          {{"change", {"plain_lines", "field_removed", "vias_withheld"}}})),
      sip_responses_dropped(registry.AddCounter(
          "sip_responses_dropped_total", "SIP responses that were not forwarded.",
          {{"reason",
            {"branch", "no_transaction", "source", "flow_gone", "malformed", "way_back",
             "overload"}}})),
      sip_acks_dropped(
          registry.AddCounter("sip_acks_dropped_total",
                              "ACK requests that were not forwarded; they are never answered.",
                              {{"reason", {"no_transaction", "refused"}}})),
      sip_final_responses(registry.AddCounter(
          "sip_final_responses_total", "Final responses to those who asked, by who made them.",
          {FinalCodes(), {"source", {"local", "forwarded"}}})),
      sip_flow_failures(registry.AddCounter("sip_flow_failures_total",
                                            "Requests for a flow that is not there.",
                                            {{"reason", {"gone", "bad_hmac", "other_instance"}}})),
      sip_message_processing(registry.AddHistogram(
          "sip_message_processing_seconds",
          "From a message being complete to its effect being queued.",
          {{"kind", {"invite", "in_dialog", "register", "other", "response"}}}, kMessageBounds,
          kNanoseconds)),
      sip_transactions_active(registry.AddGauge("sip_transactions_active",
                                                "Server transactions now.",
                                                {{"kind", {"invite", "non_invite"}}})),
      sip_transaction_timeouts(registry.AddCounter("sip_transaction_timeouts_total",
                                                   "Transactions ended by a timer of RFC 3261.",
                                                   {{"timer", {"B", "C", "F", "H"}}})),
      sip_retransmissions(registry.AddCounter("sip_retransmissions_total",
                                              "Messages received or sent again.", {Direction()})),
      sip_keepalives(registry.AddCounter("sip_keepalives_total", "Keep-alives (RFC 5626).",
                                         {Direction(), {"kind", {"crlf", "options"}}})),

      requests_rejected(registry.AddCounter("requests_rejected_total",
                                            "SIP requests refused, by reason code.", {Reasons()})),
      identity_checks(registry.AddCounter(
          "identity_checks_total", "From judged against the certificate of its connection.",
          {{"result", {"pass", "mismatch", "no_identity", "exempt"}}})),

      sources_connected(registry.AddGauge(
          "sources_connected", "Addresses outside with at least one connection, on each shard.")),
      rate_limiter_forgotten(registry.AddCounter(
          "rate_limiter_forgotten_total",
          "Sources and identities that a full table of rates forgot before they were idle.")),

      upstream_health_checks(registry.AddCounter(
          "upstream_health_checks_total", "OPTIONS sent to targets of next hops, by their outcome.",
          {NextHops(next_hops), {"result", {"ok", "failed"}}})),
      upstream_response(registry.AddHistogram(
          "upstream_response_seconds", "From sending a request to the first response to it.",
          {NextHops(next_hops)}, kHandshakeBounds, kNanoseconds)),
      outbound_connects(registry.AddCounter(
          "outbound_connects_total", "Connections opened towards next hops.",
          {NextHops(next_hops), {"result", {"ok", "timeout", "refused", "tls"}}})),
      upstream_requests(registry.AddCounter("upstream_requests_total",
                                            "Requests sent to next hops, retransmissions excluded.",
                                            {NextHops(next_hops)})),
      upstream_identity_mismatches(registry.AddCounter(
          "upstream_identity_mismatches_total",
          "Servers whose certificate did not prove the domain that was asked for.",
          {NextHops(next_hops)})),

      outbound_connect_duration(registry.AddHistogram(
          "outbound_connect_duration_seconds",
          "From dialling a next hop to its connection being open, TLS included.", {},
          kHandshakeBounds, kNanoseconds)),
      endpoints(registry.AddGauge("endpoints", "Ways out that the shards know.")),
      outbound_connections(
          registry.AddGauge("outbound_connections", "Connections that we dialled, now.")),
      dns_queries(registry.AddCounter("dns_queries_total",
                                      "Questions to DNS, by what became of them.",
                                      {DnsTypes(), DnsLookups()})),

      worker_busy(registry.AddShardCounter("worker_busy_seconds_total",
                                           "Time that a shard was not waiting.", kNanoseconds)),
      worker_connections(registry.AddShardGauge("worker_connections", "Connections of a shard.")),
      worker_completions(registry.AddShardCounter("worker_completions_total",
                                                  "Completions that a shard took from its ring.")),
      worker_submit_calls(registry.AddShardCounter("worker_submit_calls_total",
                                                   "System calls that a shard made for its ring.")),
      worker_loop_delay(
          registry.AddHistogram("worker_loop_delay_seconds",
                                "The longest turn of a shard's loop in each tenth of a second.", {},
                                kLoopDelayBounds, kNanoseconds)),
      io_buffers_exhausted(registry.AddCounter("io_buffers_exhausted_total",
                                               "Times that a pool had no buffer left.", {Pool()})),
      memory(registry.AddGauge("memory_bytes", "Memory by what it is for.",
                               {{"area", {"buffers", "transactions", "endpoints"}}})),
      overload_state(registry.AddShardGauge("overload_state",
                                            "0 normal, 1 new dialogs are refused, 2 others, too.")),
      log_records_suppressed(registry.AddCounter(
          "log_records_suppressed_total",
          "Log lines held back by the rate limit per reason and peer.", {LogKinds()})),

      config_reloads(registry.AddShared(MetricType::kCounter, "config_reloads_total",
                                        "Reloads of the configuration.",
                                        {{"result", {"ok", "rejected"}}})),
      config_last_reload_successful(registry.AddShared(
          MetricType::kGauge, "config_last_reload_successful",
          "1 if the last reload was taken over (or none was tried), 0 if the old one was kept.")),
      config_last_reload_success_timestamp(registry.AddShared(
          MetricType::kGauge, "config_last_reload_success_timestamp_seconds",
          "When the configuration in use was taken over, seconds since the epoch.")),
      ready(registry.AddShared(MetricType::kGauge, "ready", "1 if /readyz says yes.")),
      draining(registry.AddShared(MetricType::kGauge, "draining", "1 after SIGTERM.")),
      admin_requests(registry.AddShared(
          MetricType::kCounter, "admin_requests_total", "HTTP requests to the admin address.",
          {{"endpoint", {"metrics", "livez", "readyz", "status", "other"}},
           {"result", {"ok", "error"}}})),
      admin_connections_dropped(registry.AddShared(
          MetricType::kCounter, "admin_connections_dropped_total",
          "Connections to the admin address that were too slow, or made room for another.",
          {{"reason", {"slow", "limit"}}})) {
  registry.AddProcessMetrics();
}

std::string_view ConnectionRejectText(ConnectionRejectReason reason) {
  return kConnectionRejectReasons[static_cast<size_t>(reason)];
}

size_t EdgeMetrics::NextHopLabel(std::string_view name) const {
  return static_cast<size_t>(std::find(next_hop_names.begin(), next_hop_names.end(), name) -
                             next_hop_names.begin());
}

size_t EdgeMetrics::FinalCodeLabel(uint16_t status) {
  const auto* const found = std::ranges::lower_bound(kFinalCodes, status);
  const bool is_registered = found != kFinalCodes.end() && *found == status;
  return is_registered ? static_cast<size_t>(found - kFinalCodes.begin()) : kFinalCodes.size();
}

void EdgeMetrics::ReportBuild(const std::string& version, const std::string& tls_library,
                              const std::string& crypto_backend, const std::string& io_backend) {
  registry.AddCallback(
      MetricType::kGauge, "build_info", "What this binary is; always 1.",
      {"version", "tls_library", "crypto_backend", "io_backend"},
      [sample = core::MetricSample{{version, tls_library, crypto_backend, io_backend}, 1}] {
        return std::vector<core::MetricSample>{sample};
      });
}

void EdgeMetrics::ReportCertificates(std::function<std::vector<core::MetricSample>()> samples) {
  registry.AddCallback(MetricType::kGauge, "tls_server_certificate_not_after_timestamp_seconds",
                       "When our own certificate of a TLS profile ends, seconds since the epoch.",
                       {"certificate"}, std::move(samples));
}

void EdgeMetrics::ReportNextHopHealth(std::function<std::vector<core::MetricSample>()> samples) {
  registry.AddCallback(MetricType::kGauge, "upstream_healthy",
                       "1 if a next hop takes requests, 0 if all its targets failed.", {"peer"},
                       std::move(samples));
}

void EdgeMetrics::ReportLogDrops(std::function<uint64_t()> dropped) {
  registry.AddCallback(
      MetricType::kCounter, "log_records_dropped_total",
      "Log records lost because a ring was full.", {}, [dropped = std::move(dropped)] {
        return std::vector<core::MetricSample>{{{}, static_cast<double>(dropped())}};
      });
}

}  // namespace sallyport::sip
