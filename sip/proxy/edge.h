// The whole running edge: configuration, shards, log, metrics, admin page; reload and drain.
// Thread: the control thread (main's). Shards are reached by mail, the admin server's threads read
// atomics and snapshots only.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/admin_server.h"
#include "core/log.h"
#include "core/sd_notify.h"
#include "core/shard.h"
#include "core/stats.h"
#include "sip/proxy/config_loader.h"
#include "sip/proxy/edge_config.h"
#include "sip/proxy/edge_metrics.h"
#include "sip/proxy/edge_shard.h"
#include "tls/identity_cache.h"
#include "tls/secret.h"
#include "tls/signature_memo.h"

namespace sallyport::sip {

// What `run` ends with.
enum class EdgeExit : uint8_t {
  kDrained,  // Everything in flight was finished.
  kCutOff,   // The drain's deadline, or a second SIGTERM, cut something off.
};

class Edge final : private core::MailHandler {
 public:
  // Starts everything that the configuration asks for; after it, the edge serves. `loaded` is ok().
  // `version` is this build's, for log, metrics and status page. The message of an error may have
  // several lines: one for each listener that cannot listen.
  static absl::StatusOr<std::unique_ptr<Edge>> Start(LoadedConfig loaded, std::string version);
  Edge(const Edge&) = delete;
  Edge& operator=(const Edge&) = delete;
  ~Edge();

  // Serves until a signal ends it. `signal_fd` (signalfd) delivers SIGHUP, SIGTERM and SIGINT.
  EdgeExit Run(int signal_fd);

  // A configuration is being read by a thread of its own, which a file may keep for ever: end the
  // process by _exit(2).
  [[nodiscard]] bool is_loading() const { return loader_.is_loading(); }

 private:
  struct Progress {
    uint64_t listeners = 0;
    uint64_t connections = 0;
    uint64_t unanswered = 0;
  };

  Edge(LoadedConfig loaded, std::string version);
  absl::Status StartAll();
  absl::Status StartShards();
  absl::Status StartAdmin();
  void ReportMetrics();
  // One per shard, from `loaded`, whose files are already read.
  absl::StatusOr<std::vector<ShardMaterial>> MakeMaterial(LoadedConfig& loaded);
  absl::Status MakeClientContexts(const LoadedConfig& loaded, uint32_t shard,
                                  ShardMaterial& material);
  // Puts `loaded` in force; an error leaves everything as it was.
  absl::Status TakeOver(LoadedConfig& loaded);
  void OnMail(uint32_t from, uint32_t kind, std::span<const std::byte> record) override;

  // SIGHUP: reads the configuration again, beside the control loop, and swaps it in. The last good
  // one stays if anything is wrong with the new one, or if it would need a restart: logged and
  // counted. What comes while one is being read leads to one more.
  void BeginReload();
  void FinishReload();
  void EndReload(const std::vector<std::string>& reasons);
  void OnSignal(uint32_t number);
  std::optional<EdgeExit> DrainEnd();
  void BeginDrain();
  [[nodiscard]] Progress TotalProgress() const;
  [[nodiscard]] core::Readiness ReadinessNow() const;
  [[nodiscard]] core::StatusPage StatusNow() const;
  [[nodiscard]] std::vector<const core::StatsBlock*> Blocks() const;
  [[nodiscard]] std::vector<core::MetricSample> CertificateExpiries() const;
  core::LogWriter& log() { return log_->writer(shards_wanted_); }

  const std::string build_version_;
  const core::SdNotify service_;
  const absl::Time started_at_;
  const uint32_t shards_wanted_;
  EdgeMetrics metrics_;
  std::unique_ptr<core::Log> log_;
  std::vector<std::unique_ptr<core::StatsBlock>> stats_;    // By shard.
  std::vector<std::unique_ptr<tls::SignatureMemo>> memos_;  // By shard.
  std::vector<std::unique_ptr<ShardProgress>> progress_;    // By shard.
  tls::Secret own_secret_;                                  // Where the configuration names none.
  const uint64_t boot_epoch_;  // Tells our flow tokens from those of an earlier process.
  ProxyKeys keys_;

  // The configuration in force; the admin server's threads copy the pointer under the lock.
  mutable std::mutex snapshot_mutex_;
  std::shared_ptr<const EdgeSnapshot> snapshot_;
  std::vector<core::MetricSample> certificate_expiries_;  // Likewise.

  std::unique_ptr<PartyDirectory> parties_;  // Outlives the shards.
  std::unique_ptr<core::ShardGroup> shards_;
  // Made once the group is there, whose quiet points it uses; destroyed before it.
  std::unique_ptr<tls::IdentityCache> identities_;
  core::FileDescriptor admin_socket_;  // Until the admin page has started.
  std::unique_ptr<core::AdminServer> admin_;
  std::unique_ptr<LoadedConfig> first_;  // Until the shards have started.
  uint64_t version_ = 1;
  ConfigLoader loader_;
  bool reload_again_ = false;
  absl::Time told_slow_at_ = absl::InfiniteFuture();  // When a load is called slow; once.
  absl::Time drain_deadline_ = absl::InfiniteFuture();
  bool is_cut_off_ = false;  // A second SIGTERM.

  std::atomic<bool> serving_{false};
  std::atomic<bool> draining_{false};
};

}  // namespace sallyport::sip
