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

// The CA of all certificates, a certificate for that domain, and one for "alice@a.example": each is
// minted once per process. `renewal` counts the certificates of one domain or user, each with a key
// of its own.
const sallyport::test::TestCertificate& SimulatedCa();
const sallyport::test::TestCertificate& SimulatedCertificate(const std::string& domain,
                                                             int renewal = 0);
const sallyport::test::TestCertificate& SimulatedUserCertificate(const std::string& user,
                                                                 int renewal = 0);

// One key for each of these numbers; the first signs. Equal numbers are equal keys.
tls::Secret SimulatedSecret(const std::vector<uint8_t>& keys);

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

// A server that the edge dials: TLS with that certificate, or plain TCP without. Its connections
// are numbered from 0; the newest is the one that Send and connection() mean.
class SimulatedServer {
 public:
  SimulatedServer(core::SimulatedNetwork& network, const core::SocketAddress& address,
                  const sallyport::test::TestCertificate& ca,
                  const sallyport::test::TestCertificate* certificate);

  struct Arrival {
    size_t connection;
    std::string message;
  };

  void Pump();
  void Send(std::string_view message) { SendOn(sessions_.size() - 1, message); }
  void SendOn(size_t connection, std::string_view message);
  std::string Take();
  std::vector<std::string> TakeMessages();  // The whole ones.
  std::vector<Arrival> TakeArrivals();      // The same, each with its connection.
  int connections() const { return static_cast<int>(sessions_.size()); }
  bool connected() const { return !sessions_.empty() && sessions_.back().connected(); }
  core::RemoteConnection* connection() {
    return sessions_.empty() ? nullptr : sessions_.back().connection;
  }
  core::RemoteConnection* connection(size_t number) { return sessions_.at(number).connection; }
  // Ends every connection, and refuses new ones.
  void Die();
  // From the next connection on.
  void ShowCertificate(const sallyport::test::TestCertificate& certificate);
  // What comes from now on is for another server at this address.
  void StopAccepting() { is_accepting_ = false; }
  const core::SocketAddress& address() const { return address_; }

 private:
  struct Session {
    core::RemoteConnection* connection = nullptr;
    std::unique_ptr<sallyport::test::TlsServer> tls;  // Null: plain.
    std::string unsent;
    std::string received;

    bool connected() const { return tls == nullptr || tls->connected(); }
    void Pump();
  };

  core::SimulatedNetwork& network_;
  const core::SocketAddress address_;
  const sallyport::test::TestCertificate& ca_;
  std::shared_ptr<ssl_ctx_st> side_;  // Null: plain.
  std::vector<Session> sessions_;
  bool is_accepting_ = true;
};

// kOther: the edge has `targets`, and the test plays them by other means than NextHopTake and
// NextHopSend.
enum class NextHopKind : uint8_t { kUdp, kTcp, kOther };

struct SimulatedEdgeOptions {
  uint64_t seed = 1;
  NextHopKind next_hop = NextHopKind::kUdp;
  std::vector<std::string> targets = {};  // Instead of that one; the test's is 127.0.0.1:5080.
  std::string limits = {};                // Lines of [limits].
  std::string timeouts = {};              // Lines of [timeouts].
  std::string extra = {};                 // Whole tables: more next hops, routes.
  core::SimulatedFaults faults = {};
  uint32_t completions_per_turn_max = 512;
  std::string edge = {};                   // Lines of [edge]: domains, instance.
  std::string outside = "127.0.0.1:5061";  // Address of the listener "federation" (TLS).
  std::string outside_lines = {};          // More lines of it: advertise.
  std::string inside = "127.0.0.1:5070";   // Address of the listener "core" (UDP).
  std::string inside_lines = {};
  std::string next_hop_lines = {};         // More lines of the next hop "core".
  std::optional<tls::Secret> secret = {};  // Shared by instances; missing: one of its own.
  uint64_t boot_epoch = 7;                 // Each start of an instance has another.
  bool keeps_log = false;                  // For TakeLog.
  uint32_t shards = 1;                     // The edge is shard 0; the test plays the others.
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

  // Whether this version knows every key that these options write.
  [[nodiscard]] static bool Accepts(const SimulatedEdgeOptions& options);

  // A connected client with a certificate for that domain, or with that certificate, which outlives
  // the edge.
  SimulatedPeer& Connect(const std::string& domain) { return Connect(domain, outside_); }
  SimulatedPeer& Connect(const std::string& domain, std::string_view to);
  SimulatedPeer& Connect(const sallyport::test::TestCertificate& certificate) {
    return Connect(certificate, outside_);
  }
  SimulatedPeer& Connect(const sallyport::test::TestCertificate& certificate, std::string_view to);
  // From that address; the others come from loopback ones.
  SimulatedPeer& ConnectFrom(std::string_view from, const std::string& domain) {
    return ConnectFrom(from, SimulatedCertificate(domain));
  }
  SimulatedPeer& ConnectFrom(std::string_view from,
                             const sallyport::test::TestCertificate& certificate);

  // A server at that address; without a certificate plain TCP.
  SimulatedServer& Serve(std::string_view address,
                         const sallyport::test::TestCertificate* certificate = nullptr);
  sallyport::test::DnsTable& dns() { return *dns_; }
  const sallyport::test::TestCertificate& ca() const { return SimulatedCa(); }
  // The same configuration once more, as a snapshot of the next version; or another one, of which
  // the configuration and the secret count.
  void Reload();
  void Reload(const SimulatedEdgeOptions& options);
  // Somebody else on the inside, over UDP; network().Bind makes the address his.
  void InsideSend(std::string_view from, std::string_view message);
  std::string InsideTake(std::string_view at);  // "" if nothing came.

  // The next hop's side. UDP: the next datagram. TCP: the next whole message.
  std::optional<std::string> NextHopTake();
  void NextHopSend(std::string_view message);
  core::RemoteConnection* next_hop_connection();

  // The test as another shard.
  struct Mail {
    uint32_t kind = 0;
    std::string record;
  };
  void PostAs(uint32_t shard, uint32_t kind, std::string_view record);
  std::vector<Mail> TakeMailOf(uint32_t shard);

  // Lines of the log, as JSON, since the last call. Only with keeps_log.
  std::vector<std::string> TakeLog();

  [[nodiscard]] uint64_t Counter(uint32_t slot) const { return stats_.Get(slot); }
  const EdgeMetrics& metrics() const { return metrics_; }
  core::SimulatedNetwork& network() { return network_; }
  core::SimulatedBackend& backend() { return *backend_; }
  core::Shard& shard() { return *shard_; }
  ShardProgress& progress() { return progress_; }
  const core::SocketAddress& next_hop_address() const { return next_hop_; }
  const core::SocketAddress& inside_address() const { return inside_; }
  const EdgeConfig& config() const { return config_; }

 private:
  SimulatedPeer& Welcome(core::RemoteConnection* connection,
                         const sallyport::test::TestCertificate& certificate);
  bool PumpOnce();
  ShardMaterial MakeMaterial();
  ShardMaterial MakeFirstMaterial();  // With the sockets of every listener.

  const NextHopKind next_hop_kind_;
  const std::string outside_;
  const core::SocketAddress inside_;
  const core::SocketAddress next_hop_;
  core::SimulatedNetwork network_;
  core::MailExchange mail_;
  core::QuietPoints quiet_points_;
  std::unique_ptr<core::SimulatedBackend> backend_;
  std::unique_ptr<core::Shard> shard_;
  const int log_descriptor_;  // A file in memory, or the null device.
  std::unique_ptr<core::Log> log_;
  EdgeConfig config_;
  tls::Secret secret_;
  const uint64_t boot_epoch_;
  uint64_t version_ = 0;
  EdgeMetrics metrics_;
  core::StatsBlock stats_;
  tls::IdentityCache identities_;
  tls::SignatureMemo memo_;
  ShardProgress progress_;
  std::unique_ptr<sallyport::test::DnsTable> dns_;
  std::vector<std::unique_ptr<SimulatedPeer>> peers_;
  std::vector<std::unique_ptr<SimulatedServer>> servers_;
  core::RemoteConnection* next_hop_connection_ = nullptr;
  std::string next_hop_bytes_;
};

}  // namespace sallyport::sip::test
