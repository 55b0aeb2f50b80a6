// A whole shard of the edge on a simulated kernel and clock: real TLS clients (OpenSSL, in memory)
// on the outside, the test as next hop on the inside. Time moves only in Run. The wall clock begins
// at the real time, because certificates do, and moves with it, or alone (PassWallTime).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/log.h"
#include "core/mail_exchange.h"
#include "core/quiet_points.h"
#include "core/shard.h"
#include "core/stats.h"
#include "sip/proxy/edge_config.h"
#include "sip/proxy/edge_metrics.h"
#include "sip/proxy/edge_shard.h"
#include "tests/support/dns_table.h"
#include "tests/support/simulated_backend.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tls_client.h"
#include "tests/support/tls_server.h"
#include "tls/identity_cache.h"
#include "tls/secret.h"
#include "tls/signature_memo.h"

namespace sallyport::sip::test {

// What everybody's certificates are signed with, and a certificate for that domain: minted once per
// process.
const sallyport::test::TestCertificate& SimulatedCa();
const sallyport::test::TestCertificate& SimulatedCertificate(const std::string& domain);

// The whole messages at the front of `stream`, which keeps the rest.
std::vector<std::string> TakeWhole(std::string& stream);

// One TLS client of the edge.
class SimulatedPeer {
 public:
  SimulatedPeer(core::RemoteConnection& connection,
                const sallyport::test::TestCertificate& certificate);

  // Carries what has arrived to the client and what it says to the connection.
  void Pump();
  void Send(std::string_view message);
  // Whole text received since the last Take.
  const std::string& received() const { return received_; }
  std::string Take() { return std::exchange(received_, {}); }
  std::vector<std::string> TakeMessages();  // The whole ones.
  bool connected() const { return client_.connected(); }
  core::RemoteConnection& connection() { return connection_; }

 private:
  core::RemoteConnection& connection_;
  sallyport::test::TlsClient client_;
  std::string unsent_;
  std::string received_;
};

// A server that the edge dials: TLS with that certificate, or plain TCP without. Of several
// connections the newest is the one that is talked on.
class SimulatedServer {
 public:
  SimulatedServer(core::SimulatedNetwork& network, const core::SocketAddress& address,
                  const sallyport::test::TestCertificate& ca,
                  const sallyport::test::TestCertificate* certificate);

  void Pump();
  void Send(std::string_view message);
  std::string Take() { return std::exchange(received_, {}); }
  std::vector<std::string> TakeMessages();  // The whole ones.
  int connections() const { return connections_; }
  bool connected() const { return connection_ != nullptr && (!tls_ || tls_->connected()); }
  core::RemoteConnection* connection() { return connection_; }
  // From the next connection on.
  void ShowCertificate(const sallyport::test::TestCertificate& certificate);
  // What comes from now on is for another server at this address.
  void StopAccepting() { is_accepting_ = false; }
  const core::SocketAddress& address() const { return address_; }

 private:
  core::SimulatedNetwork& network_;
  const core::SocketAddress address_;
  const sallyport::test::TestCertificate& ca_;
  std::shared_ptr<ssl_ctx_st> side_;  // Null: plain.
  std::unique_ptr<sallyport::test::TlsServer> tls_;
  core::RemoteConnection* connection_ = nullptr;
  int connections_ = 0;
  bool is_accepting_ = true;
  std::string unsent_;
  std::string received_;
};

enum class NextHopKind : uint8_t { kUdp, kTcp };

struct SimulatedEdgeOptions {
  uint64_t seed = 1;
  NextHopKind next_hop = NextHopKind::kUdp;
  std::vector<std::string> targets = {};  // Instead of that one; the test's is 127.0.0.1:5080.
  std::string limits = {};                // Lines of [limits].
  std::string timeouts = {};              // Lines of [timeouts].
  std::string extra = {};                 // Whole tables: more next hops, routes.
  core::SimulatedFaults faults = {};
  uint32_t completions_per_turn_max = 512;
};

class SimulatedEdge {
 public:
  explicit SimulatedEdge(const SimulatedEdgeOptions& options);
  ~SimulatedEdge();

  // Turns until nothing moves, with the clock standing still.
  void Settle();
  // Lets `duration` pass in steps of `step`, settling after each.
  void Run(absl::Duration duration, absl::Duration step = absl::Milliseconds(20));

  // Certificates age, timers do not.
  void PassWallTime(absl::Duration duration) {
    network_.SetWallTime(network_.wall_now() + duration);
  }

  // What SIGTERM does, between two turns.
  void BeginDrain();

  // A connected client with a certificate for that domain.
  SimulatedPeer& Connect(const std::string& domain, std::string_view to = "127.0.0.1:5061");
  SimulatedPeer& Connect(const sallyport::test::TestCertificate& certificate,
                         std::string_view to = "127.0.0.1:5061");

  // A server at that address; without a certificate plain TCP.
  SimulatedServer& Serve(std::string_view address,
                         const sallyport::test::TestCertificate* certificate = nullptr);
  sallyport::test::DnsTable& dns() { return *dns_; }
  const sallyport::test::TestCertificate& ca() const { return SimulatedCa(); }
  // The same configuration once more, as a snapshot of the next version.
  void Reload();
  // Somebody else on the inside, over UDP; network().Bind makes the address his.
  void InsideSend(std::string_view from, std::string_view message);
  std::string InsideTake(std::string_view at);  // "" if nothing came.

  // The next hop's side. UDP: the next datagram. TCP: the next whole message.
  std::optional<std::string> NextHopTake();
  void NextHopSend(std::string_view message);
  core::RemoteConnection* next_hop_connection();

  [[nodiscard]] uint64_t Counter(uint32_t slot) const { return stats_.Get(slot); }
  const EdgeMetrics& metrics() const { return metrics_; }
  core::SimulatedNetwork& network() { return network_; }
  core::SimulatedBackend& backend() { return *backend_; }
  core::Shard& shard() { return *shard_; }
  ShardProgress& progress() { return progress_; }
  const core::SocketAddress& next_hop_address() const { return next_hop_; }
  const core::SocketAddress& inside_address() const { return inside_; }

 private:
  bool PumpOnce();
  ShardMaterial MakeMaterial();

  const NextHopKind next_hop_kind_;
  const core::SocketAddress inside_;
  const core::SocketAddress next_hop_;
  core::SimulatedNetwork network_;
  core::MailExchange mail_;
  core::QuietPoints quiet_points_;
  std::unique_ptr<core::SimulatedBackend> backend_;
  std::unique_ptr<core::Shard> shard_;
  std::unique_ptr<core::Log> log_;
  const EdgeConfig config_;
  uint64_t version_ = 0;
  EdgeMetrics metrics_;
  core::StatsBlock stats_;
  tls::IdentityCache identities_;
  tls::SignatureMemo memo_;
  const tls::Secret secret_ = tls::Secret::Generate();
  ShardProgress progress_;
  std::unique_ptr<sallyport::test::DnsTable> dns_;
  std::vector<std::unique_ptr<SimulatedPeer>> peers_;
  std::vector<std::unique_ptr<SimulatedServer>> servers_;
  core::RemoteConnection* next_hop_connection_ = nullptr;
  std::string next_hop_bytes_;
};

}  // namespace sallyport::sip::test
