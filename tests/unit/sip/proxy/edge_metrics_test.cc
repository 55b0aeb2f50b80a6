// Goal: names, types and labels are what dashboards and alerts rely on; promtool finds no fault.
#include "sip/proxy/edge_metrics.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "core/admin_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::sip {
namespace {

using ::testing::HasSubstr;

std::string Rendered(EdgeMetrics& metrics, core::StatsBlock& block) {
  metrics.ReportBuild("0.1.0", "wolfSSL 5.9.2", "aes avx2", "io_uring");
  metrics.ReportCertificates([] {
    return std::vector<core::MetricSample>{{{"federation"}, 1.9e9}};
  });
  metrics.ReportNextHopHealth([] { return std::vector<core::MetricSample>{{{"core"}, 1}}; });
  metrics.ReportLogDrops([] { return uint64_t{0}; });
  const core::StatsBlock* const blocks[] = {&block};
  return metrics.registry.Render(blocks);
}

TEST(EdgeMetricsTest, EnumsFollowTheirLabels) {
  EdgeMetrics metrics({"federation", "core"}, {"core"});
  core::StatsBlock block(metrics.registry.slots());
  block.Add(metrics.requests_rejected.Slot(ReasonCode::kNextHopIdentity), 2);
  block.Add(metrics.requests_rejected.Slot(ReasonCode::kTimeout), 3);
  block.Add(metrics.sip_requests.Slot(MetricDirection::kOut, Method::kOther), 4);
  block.Add(metrics.sip_responses.Slot(MetricDirection::kIn, 6 - 1), 5);
  block.Add(metrics.connections_active.Slot(1, ConnectionState::kClosing), 6);
  block.Add(metrics.connections_closed.Slot(MetricDirection::kIn, ConnectionCloseReason::kOverload),
            7);
  block.Add(metrics.connections_rejected.Slot(ConnectionRejectReason::kDrain), 8);
  block.Add(metrics.tls_handshakes.Slot(MetricDirection::kOut, TlsVersionLabel::kUnknown,
                                        HandshakeKind::kResumed, HandshakeResult::kFailed),
            9);
  block.Add(
      metrics.tls_handshake_failures.Slot(MetricDirection::kOut, tls::FailureReason::kUntrustedCa),
      10);
  block.Add(metrics.tls_ticket_decrypts.Slot(TicketDecryptResult::kDeclined), 11);
  block.Add(metrics.identity_checks.Slot(IdentityCheckResult::kExempt), 12);
  block.Add(metrics.sip_parse_errors.Slot(ParseErrorReason::kFraming), 13);
  block.Add(metrics.sip_responses_dropped.Slot(ResponseDropReason::kMalformed), 14);
  block.Add(metrics.sip_acks_dropped.Slot(AckDropReason::kRefused), 15);
  block.Add(metrics.sip_transaction_timeouts.Slot(TransactionTimer::kH), 16);
  block.Add(metrics.sip_keepalives.Slot(MetricDirection::kOut, KeepaliveKind::kOptions), 17);
  block.Add(metrics.outbound_connects.Slot(1, ConnectResult::kRefused), 18);
  block.Add(metrics.memory.Slot(MemoryArea::kTransactions), 19);
  block.Add(metrics.memory.Slot(MemoryArea::kEndpoints), 22);
  block.Add(metrics.connections_rejected.Slot(ConnectionRejectReason::kRate), 23);
  block.Add(metrics.dns_queries.Slot(core::DnsType::kNaptr, DnsLookup::kCached), 24);
  block.Add(metrics.overload_state.Slot(), 2);
  metrics.config_reloads.Add(20, ReloadResult::kRejected);
  metrics.admin_requests.Add(21, core::AdminEndpoint::kOther, 1);
  metrics.admin_connections_dropped.Add(25, core::HttpDrop::kLimit);
  const std::string text = Rendered(metrics, block);
  for (const char* line : {
           "requests_rejected_total{reason=\"next-hop-identity\"} 2",
           "requests_rejected_total{reason=\"timeout\"} 3",
           "sip_requests_total{direction=\"out\",method=\"OTHER\"} 4",
           "sip_responses_total{direction=\"in\",class=\"6xx\"} 5",
           "connections_active{listener=\"core\",state=\"closing\"} 6",
           "connections_closed_total{direction=\"in\",reason=\"overload\"} 7",
           "connections_rejected_total{reason=\"drain\"} 8",
           "tls_handshakes_total{direction=\"out\",version=\"unknown\",kind=\"resumed\",result="
           "\"failed\"} 9",
           "tls_handshake_failures_total{direction=\"out\",reason=\"untrusted_ca\"} 10",
           "tls_ticket_decrypts_total{result=\"declined\"} 11",
           "identity_checks_total{result=\"exempt\"} 12",
           "sip_parse_errors_total{reason=\"framing\"} 13",
           "sip_responses_dropped_total{reason=\"malformed\"} 14",
           "sip_acks_dropped_total{reason=\"refused\"} 15",
           "sip_transaction_timeouts_total{timer=\"H\"} 16",
           "sip_keepalives_total{direction=\"out\",kind=\"options\"} 17",
           "outbound_connects_total{peer=\"_other\",result=\"refused\"} 18",
           "memory_bytes{area=\"transactions\"} 19",
           "memory_bytes{area=\"endpoints\"} 22",
           "connections_rejected_total{reason=\"rate\"} 23",
           "dns_queries_total{type=\"NAPTR\",result=\"cached\"} 24",
           "config_reloads_total{result=\"rejected\"} 20",
           "admin_requests_total{endpoint=\"other\",result=\"error\"} 21",
           "admin_connections_dropped_total{reason=\"limit\"} 25",
       }) {
    EXPECT_THAT(text, HasSubstr("\nsallyport_" + std::string(line) + "\n"));
  }
}

TEST(EdgeMetricsTest, MethodsAreTheirTextOnTheWire) {
  EdgeMetrics metrics({"federation"}, {});
  core::StatsBlock block(metrics.registry.slots());
  block.Add(metrics.sip_requests.Slot(MetricDirection::kIn, Method::kInvite));
  block.Add(metrics.sip_requests.Slot(MetricDirection::kIn, Method::kUpdate), 2);
  const std::string text = Rendered(metrics, block);
  EXPECT_THAT(text, HasSubstr("sip_requests_total{direction=\"in\",method=\"INVITE\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sip_requests_total{direction=\"in\",method=\"UPDATE\"} 2\n"));
}

// promtool comes with Debian's package prometheus; without it there is nothing to compare with.
int RunPromtool(const std::string& arguments) {
  const int status = std::system(("promtool " + arguments).c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(EdgeMetricsTest, PromtoolFindsNoFault) {
  if (std::system("command -v promtool > /dev/null") != 0) GTEST_SKIP() << "no promtool";
  EdgeMetrics metrics({"federation", "core"}, {"core"});
  core::StatsBlock block(metrics.registry.slots());
  metrics.sip_message_processing.Observe(block, 12'345, MessageKind::kInvite);
  char path[] = "/tmp/edge-metrics-XXXXXX";
  const int file = mkstemp(path);
  ASSERT_GE(file, 0);
  close(file);
  std::ofstream(path) << Rendered(metrics, block);
  EXPECT_EQ(RunPromtool("check metrics < " + std::string(path)), 0);
  unlink(path);
}

TEST(AlertsTest, PromtoolFindsNoFault) {
  if (std::system("command -v promtool > /dev/null") != 0) GTEST_SKIP() << "no promtool";
  EXPECT_EQ(RunPromtool("check rules " SALLYPORT_SOURCE_DIR "/deploy/alerts.yml > /dev/null"), 0);
}

// Every name in the alerts is a name that we serve.
TEST(AlertsTest, UseOnlyMetricsThatExist) {
  EdgeMetrics metrics({"federation"}, {"core"});
  core::StatsBlock block(metrics.registry.slots());
  const std::string text = Rendered(metrics, block);
  std::ifstream file(SALLYPORT_SOURCE_DIR "/deploy/alerts.yml");
  std::string line;
  size_t found = 0;
  while (std::getline(file, line)) {
    for (size_t at = 0; (at = line.find("sallyport_", at)) != std::string::npos; ++at) {
      const size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at);
      const std::string name = line.substr(at, end == std::string::npos ? end : end - at);
      EXPECT_THAT(text,
                  ::testing::AnyOf(HasSubstr("\n" + name + "{"), HasSubstr("\n" + name + " ")));
      ++found;
    }
  }
  EXPECT_GT(found, 10u);
}

TEST(EdgeMetricsTest, EveryFinalCodeHasALabel) {
  EXPECT_EQ(EdgeMetrics::FinalCodeLabel(200), 0U);
  size_t last = 0;
  const size_t other = EdgeMetrics::FinalCodeLabel(299);
  for (uint16_t status = 201; status < 700; ++status) {
    const size_t label = EdgeMetrics::FinalCodeLabel(status);
    if (label == other) continue;
    EXPECT_EQ(label, last + 1) << status;
    last = label;
  }
  EXPECT_EQ(other, last + 1);
  constexpr uint16_t kOurs[] = {400, 403, 408, 416, 420, 430, 440, 480, 481,
                                482, 483, 487, 500, 502, 503, 505, 513};
  for (const uint16_t ours : kOurs) {
    EXPECT_NE(EdgeMetrics::FinalCodeLabel(ours), other) << ours;
  }
}

}  // namespace
}  // namespace sallyport::sip
