// One shard of the edge: its listeners, its connections, and the proxy that serves them. The
// application that core/shard runs.
// Shard: made, used and destroyed in the shard's thread. The control thread reaches it by mail.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "core/datagram_socket.h"
#include "core/file_descriptor.h"
#include "core/listener.h"
#include "core/log.h"
#include "core/log_rate_limiter.h"
#include "core/resolver.h"
#include "core/shard.h"
#include "sip/proxy/admission.h"
#include "sip/proxy/edge_proxy.h"
#include "sip/proxy/edge_snapshot.h"
#include "sip/proxy/party_directory.h"
#include "sip/proxy/shard_context.h"
#include "tls/client_sessions.h"
#include "tls/context.h"
#include "tls/identity_cache.h"
#include "tls/signature_memo.h"

namespace sallyport::sip {

// What a shard gets at its start and with each reload. Handed over by mail as a bare pointer that
// the shard takes ownership of.
struct ShardMaterial {
  std::shared_ptr<const EdgeSnapshot> snapshot;
  std::vector<std::shared_ptr<tls::Context>> tls_contexts;     // This shard's; null: no TLS there.
  std::vector<std::shared_ptr<tls::Context>> client_contexts;  // By TLS profile; null: unused.
  std::vector<core::FileDescriptor> sockets;  // By listener, bound; at the start only.
};

// Read by the control thread and the other shards while they drain, and by scrapes.
struct ShardProgress {
  std::atomic<uint32_t> listeners{0};
  std::atomic<uint32_t> connections{0};
  std::atomic<uint32_t> unanswered{0};
  std::atomic<uint64_t> snapshot_version{0};
  std::atomic<uint64_t> healthy_next_hops{~uint64_t{0}};  // A bit for each.
};

struct EdgeShardOptions {
  core::LogWriter* log;
  core::StatsBlock* stats;
  const EdgeMetrics* metrics;
  tls::IdentityCache* identities;
  tls::SignatureMemo* memo;  // The one that this shard's TLS contexts use.
  ShardProgress* progress;
  std::span<const std::unique_ptr<ShardProgress>> all_progress = {};  // Of every shard.
  ProxyKeys keys;
  uint32_t connections_max = UINT32_MAX;  // Accepted ones, of all shards; the configuration's bound
                                          // holds as well.
  PartyDirectory* parties = nullptr;      // Of the process; null: one of the shard's own.
  core::DnsQuerier* dns = nullptr;        // Instead of the shard's own resolver (simulation).
};

class EdgeShard final : public core::ShardApplication, private ConnectionHandler {
 public:
  // Serves on the sockets of `material`.
  static absl::StatusOr<std::unique_ptr<core::ShardApplication>> Start(
      core::Shard& shard, const EdgeShardOptions& options, ShardMaterial material);
  ~EdgeShard() override;

  void OnMail(uint32_t from, uint32_t kind, std::span<const std::byte> record) override;
  void BeginStop() override;
  [[nodiscard]] bool IsQuiet() const override;

 private:
  class ListenerEntry;
  class DatagramEntry;

  EdgeShard(core::Shard& shard, const EdgeShardOptions& options, ShardMaterial material,
            std::unique_ptr<core::Resolver> resolver);
  absl::Status StartListeners();
  void TakeMaterial(ShardMaterial material);
  void NoteParties(const PartySealer& before);
  [[nodiscard]] FlowRef FlowOf(const Connection& connection) const;

  void OnAccepted(uint32_t listener, int fd, const core::SocketAddress& peer);
  // For one more accepted connection; another may have to go.
  [[nodiscard]] bool MakeRoomFor(const core::SocketAddress& peer);
  [[nodiscard]] bool IsIdle(const Connection& connection);
  [[nodiscard]] std::optional<ConnectionRejectReason> RejectionOf(
      const ListenerConfig& listener, const core::SocketAddress& peer) const;
  void OnConnectionOpen(Connection& connection) override;
  void OnFrame(Connection& connection, const Frame& frame, std::string_view unread) override;
  bool MayServe(Connection& connection) override;
  void OnServed(Connection& connection) override;
  void OnConnectionClosing(Connection& connection) override;
  void OnConnectionClosed(Connection& connection) override;
  void LogRejection(const ListenerConfig& listener, const core::SocketAddress& peer,
                    ConnectionRejectReason reason);
  void NoteOverload();
  void BeginDrain();
  void CloseIdleConnections();
  void OnTick();
  void PublishFigures();
  void PublishWaysOut();

  const EdgeShardOptions options_;
  ShardMaterial material_;
  core::LogRateLimiter log_limits_;
  const std::unique_ptr<char[]> receive_scratch_;
  const std::unique_ptr<char[]> send_scratch_;
  const std::unique_ptr<char[]> mail_scratch_;
  tls::ClientSessions client_sessions_;
  ShardContext context_;
  std::unique_ptr<core::Resolver> resolver_;  // Null where options name another.
  const uint32_t accepted_max_;
  uint32_t accepted_ = 0;
  uint32_t giving_way_ = 0;  // Of `accepted_`: aborted for others, not gone yet.
  ConnectionTable connections_;
  PartyDirectory own_parties_;
  PartyDirectory& parties_;
  Admission admission_;
  EdgeProxy proxy_;
  std::vector<std::unique_ptr<ListenerEntry>> listeners_;
  std::vector<std::unique_ptr<DatagramEntry>> sockets_;
  core::Timer tick_;
  tls::ContextCounters past_contexts_;  // What contexts of earlier snapshots had counted.
  OverloadState overload_told_ = OverloadState::kNormal;
  bool draining_ = false;
};

}  // namespace sallyport::sip
