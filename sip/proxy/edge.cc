#include "sip/proxy/edge.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/check.h"
#include "core/uring_probe.h"
#include "sip/proxy/edge_sockets.h"
#include "sip/proxy/mail_kinds.h"
#include "tls/random.h"
#include "tls/self_test.h"
#include "tls/version.h"

namespace sallyport::sip {
namespace {

// How often the control loop looks at a drain's progress.
constexpr absl::Duration kDrainPoll = absl::Milliseconds(20);

// A load that takes longer is told.
constexpr absl::Duration kSlowLoad = absl::Seconds(10);

std::vector<std::string> NamesOf(const std::vector<ListenerConfig>& listeners) {
  std::vector<std::string> names;
  for (const ListenerConfig& listener : listeners) names.push_back(listener.name);
  return names;
}

std::vector<std::string> NamesOf(const std::vector<NextHopConfig>& next_hops) {
  std::vector<std::string> names;
  for (const NextHopConfig& next_hop : next_hops) names.push_back(next_hop.name);
  return names;
}

// Besides connections: listeners, files, pipes, rings, the admin page, connections going away.
constexpr uint64_t kOtherDescriptors = 512;

// How many accepted connections the process has descriptors for, and as many as it may dial.
uint32_t ConnectionsWithDescriptors(const LimitsConfig& limits) {
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return UINT32_MAX;
  const uint64_t all = descriptors.rlim_cur;
  const uint64_t kept = std::min(limits.outbound_connections_max + kOtherDescriptors, all / 2);
  return static_cast<uint32_t>(std::clamp<uint64_t>(all - kept, 1, UINT32_MAX));
}

tls::MacKey RandomMacKey() {
  tls::MacKey key;
  tls::RandomBytes(std::as_writable_bytes(std::span(key)));
  return key;
}

tls::ClientCertificateMode ModeOf(ClientCertificate mode) {
  switch (mode) {
    case ClientCertificate::kIgnored:
      return tls::ClientCertificateMode::kIgnored;
    case ClientCertificate::kOptional:
      return tls::ClientCertificateMode::kOptional;
    case ClientCertificate::kRequired:
      return tls::ClientCertificateMode::kRequired;
  }
  UNREACHABLE();
}

std::vector<core::MetricSample> ExpiriesOf(const LoadedConfig& loaded) {
  std::vector<core::MetricSample> samples;
  for (size_t i = 0; i < loaded.config.tls_profiles.size(); ++i) {
    const tls::Credentials* const credentials = loaded.credentials[i].get();
    if (credentials == nullptr || !credentials->has_certificate()) continue;
    samples.push_back({{loaded.config.tls_profiles[i].name},
                       static_cast<double>(credentials->certificate()->facts().not_after)});
  }
  return samples;
}

uint32_t ShardsOf(const EdgeConfig& config) {
  if (config.shards != 0) return config.shards;
  return std::max<uint32_t>(1, static_cast<uint32_t>(core::AllowedCpus().size()));
}

}  // namespace

// -- Start -------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Edge>> Edge::Start(LoadedConfig loaded, std::string version) {
  std::unique_ptr<Edge> edge(new Edge(std::move(loaded), std::move(version)));
  const absl::Status status = edge->StartAll();
  if (!status.ok()) return status;
  return edge;
}

Edge::Edge(LoadedConfig loaded, std::string version)
    : build_version_(std::move(version)),
      service_(core::SdNotify::FromEnvironment()),
      started_at_(absl::Now()),
      shards_wanted_(ShardsOf(loaded.config)),
      metrics_(NamesOf(loaded.config.listeners), NamesOf(loaded.config.next_hops)),
      own_secret_(tls::Secret::Generate()),
      boot_epoch_(tls::RandomUint64()),
      keys_{RandomMacKey(), RandomMacKey(), RandomMacKey(), RandomMacKey()},
      first_(std::make_unique<LoadedConfig>(std::move(loaded))) {}

Edge::~Edge() {
  admin_.reset();
  if (shards_ != nullptr) shards_->Stop();
  identities_.reset();  // No shard reads it any more; it hands its last entries to the group.
}

absl::Status Edge::StartAll() {
  if (const absl::Status probe = core::ProbeKernel(); !probe.ok()) return probe;
  if (const absl::Status test = tls::RunSelfTest(); !test.ok()) return test;
  for (uint32_t i = 0; i < shards_wanted_; ++i) {
    stats_.push_back(std::make_unique<core::StatsBlock>(metrics_.registry.slots()));
  }
  const LogConfig& log_config = first_->config.log;
  auto log = core::Log::Start(
      {.format = log_config.format, .level = log_config.level, .writers = shards_wanted_ + 1});
  if (!log.ok()) return log.status();
  log_ = *std::move(log);
  if (!first_->secret.has_value()) {
    this->log().Write(core::LogLevel::kWarning, "secret-absent",
                      "edge.secret is not set: tickets are good for this process only");
  }
  if (const absl::Status status = StartShards(); !status.ok()) return status;
  ReportMetrics();
  if (const absl::Status status = StartAdmin(); !status.ok()) return status;
  serving_ = true;
  metrics_.ready.Set(1);
  const EdgeConfig& config = snapshot_->config;
  this->log().Write(
      core::LogLevel::kInfo, "started", "serving",
      {{"version", build_version_},
       {"domain", config.domain},
       {"instance", config.instance},
       {"shards", shards_->size()},
       {"wolfssl", tls::WolfSslVersion()},
       {"admin", admin_ == nullptr ? std::string("off")
                                   : config.admin.WithPort(admin_->port()).ToString()}});
  return service_.Ready("serving");
}

absl::StatusOr<std::vector<ShardMaterial>> Edge::MakeMaterial(LoadedConfig& loaded) {
  const tls::Secret& secret = loaded.secret.has_value() ? *loaded.secret : own_secret_;
  const auto snapshot = std::make_shared<const EdgeSnapshot>(
      loaded.config, version_,
      EdgeIdentity{
          .secret = secret, .boot_epoch = boot_epoch_, .hosts = core::InterfaceAddresses()});
  std::vector<ShardMaterial> material;
  for (uint32_t shard = 0; shard < shards_wanted_; ++shard) {
    material.emplace_back().snapshot = snapshot;
    if (absl::Status status = MakeClientContexts(loaded, shard, material.back()); !status.ok()) {
      return status;
    }
    for (const ListenerConfig& listener : loaded.config.listeners) {
      material.back().tls_contexts.emplace_back();
      if (listener.transport != TransportProtocol::kTls) continue;
      const auto profile =
          std::find_if(loaded.config.tls_profiles.begin(), loaded.config.tls_profiles.end(),
                       [&listener](const TlsProfileConfig& config) {
                         return config.name == listener.tls_profile;
                       });
      const auto index = static_cast<size_t>(profile - loaded.config.tls_profiles.begin());
      tls::ContextOptions options;
      options.client_certificate = ModeOf(listener.client_certificate);
      options.policy_name = listener.name;
      options.secret = &secret;
      options.signature_memo = memos_[shard].get();
      auto context = tls::Context::Create(*loaded.credentials[index], options);
      if (!context.ok()) return context.status();
      material.back().tls_contexts.back() = *std::move(context);
    }
  }
  return material;
}

// One for each profile that could be used to dial.
absl::Status Edge::MakeClientContexts(const LoadedConfig& loaded, uint32_t shard,
                                      ShardMaterial& material) {
  for (size_t i = 0; i < loaded.credentials.size(); ++i) {
    material.client_contexts.emplace_back();
    if (loaded.credentials[i]->anchors().empty()) continue;  // It trusts no CA.
    tls::ContextOptions options;
    options.role = tls::ContextRole::kClient;
    options.policy_name = loaded.config.tls_profiles[i].name;
    options.signature_memo = memos_[shard].get();
    auto context = tls::Context::Create(*loaded.credentials[i], options);
    if (!context.ok()) return context.status();
    material.client_contexts.back() = *std::move(context);
  }
  return absl::OkStatus();
}

absl::Status Edge::StartShards() {
  for (uint32_t i = 0; i < shards_wanted_; ++i) {
    memos_.push_back(std::make_unique<tls::SignatureMemo>());
    progress_.push_back(std::make_unique<ShardProgress>());
  }
  absl::StatusOr<std::vector<ShardMaterial>> material = MakeMaterial(*first_);
  if (!material.ok()) return material.status();
  EdgeSockets sockets = OpenEdgeSockets(first_->config, shards_wanted_);
  if (!sockets.errors.empty()) {
    return absl::UnavailableError(absl::StrJoin(sockets.errors, "\n"));
  }
  for (uint32_t i = 0; i < shards_wanted_; ++i) {
    (*material)[i].sockets = std::move(sockets.by_shard[i]);
  }
  admin_socket_ = std::move(sockets.admin);
  snapshot_ = material->front().snapshot;
  certificate_expiries_ = ExpiriesOf(*first_);
  first_.reset();

  const LimitsConfig& limits = snapshot_->config.limits;
  core::ShardGroupOptions options;
  options.shards = shards_wanted_;
  options.pin = snapshot_->config.shards == 0 ||
                shards_wanted_ <= core::AllowedCpus().size();  // More shards than CPUs: no pinning.
  options.reactor.steps_per_turn_max = limits.handshakes_per_turn_max;
  options.uring.stream_buffers = limits.receive_buffers;
  parties_ = std::make_unique<PartyDirectory>(size_t{4} * limits.connections_max);
  const uint32_t connections_max = ConnectionsWithDescriptors(limits);
  if (connections_max < limits.connections_max) {
    log().Write(core::LogLevel::kWarning, "connections-lowered",
                "there are too few file descriptors for limits.connections; raise LimitNOFILE",
                {{"wanted", limits.connections_max}, {"connections", connections_max}});
  }
  std::once_flag identities_made;
  auto group = core::ShardGroup::Start(options, [&](core::Shard& shard) {
    std::call_once(identities_made, [&] {
      identities_ =
          std::make_unique<tls::IdentityCache>(limits.peer_identities_max, *shard.quiet_points());
    });
    return EdgeShard::Start(shard,
                            {.log = &log_->writer(shard.index()),
                             .stats = stats_[shard.index()].get(),
                             .metrics = &metrics_,
                             .identities = identities_.get(),
                             .memo = memos_[shard.index()].get(),
                             .progress = progress_[shard.index()].get(),
                             .all_progress = progress_,
                             .keys = keys_,
                             .connections_max = connections_max,
                             .parties = parties_.get()},
                            std::move((*material)[shard.index()]));
  });
  if (!group.ok()) return group.status();
  shards_ = *std::move(group);
  return absl::OkStatus();
}

absl::Status Edge::StartAdmin() {
  if (!admin_socket_.is_open()) return absl::OkStatus();
  auto admin = core::AdminServer::Start(
      std::move(admin_socket_), snapshot_->config.admin_hosts,
      {.metrics = [this] { return metrics_.registry.Render(Blocks()); },
       .readiness = [this] { return ReadinessNow(); },
       .status = [this] { return StatusNow(); },
       .on_request = [this](
                         core::AdminEndpoint endpoint,
                         int status) { metrics_.admin_requests.Add(1, endpoint, status >= 300); },
       .on_drop =
           [this](core::HttpDrop drop) { metrics_.admin_connections_dropped.Add(1, drop); }});
  if (!admin.ok()) return admin.status();
  admin_ = *std::move(admin);
  return absl::OkStatus();
}

void Edge::ReportMetrics() {
  metrics_.ReportBuild(build_version_, absl::StrCat("wolfSSL ", std::string(tls::WolfSslVersion())),
                       tls::CryptoInstructions(), "io_uring");
  metrics_.ReportCertificates([this] { return CertificateExpiries(); });
  metrics_.ReportNextHopHealth([this] {
    uint64_t healthy = 0;  // As the shard that sees most of them up.
    for (const std::unique_ptr<ShardProgress>& shard : progress_) {
      healthy |= shard->healthy_next_hops.load();
    }
    std::vector<core::MetricSample> samples;
    const std::lock_guard lock(snapshot_mutex_);
    for (size_t i = 0; i < snapshot_->config.next_hops.size(); ++i) {
      const bool is_healthy = i >= 64 || (healthy >> i & 1) != 0;
      samples.push_back({{snapshot_->config.next_hops[i].name}, is_healthy ? 1.0 : 0.0});
    }
    return samples;
  });
  metrics_.ReportLogDrops([this] { return log_->dropped(); });
  metrics_.config_last_reload_successful.Set(1);
  metrics_.config_last_reload_success_timestamp.Set(absl::ToUnixSeconds(started_at_));
}

// -- Reload ------------------------------------------------------------------------------------

void Edge::BeginReload() {
  if (draining_) return;
  reload_again_ = loader_.is_loading();
  if (reload_again_) return;
  static_cast<void>(service_.Reloading("reading the configuration"));
  if (!loader_.Begin(snapshot_->config.file)) {
    return EndReload({"no thread or descriptor is left to read the configuration with"});
  }
  told_slow_at_ = absl::Now() + kSlowLoad;
}

void Edge::FinishReload() {
  std::optional<LoadedConfig> loaded = loader_.Take();
  if (!loaded.has_value()) return;
  told_slow_at_ = absl::InfiniteFuture();
  if (draining_) return;
  std::vector<std::string> reasons;
  for (const core::Diagnostic& diagnostic : loaded->diagnostics) {
    if (diagnostic.severity == core::Severity::kError) {
      reasons.push_back(core::FormatDiagnostic(diagnostic));
    } else {
      log().Write(core::LogLevel::kWarning, "config-warning", core::FormatDiagnostic(diagnostic));
    }
  }
  if (reasons.empty()) {
    for (const std::string& key : RestartOnlyDifferences(snapshot_->config, loaded->config)) {
      reasons.push_back(absl::StrCat(key, " cannot change while running; restart to apply it"));
    }
  }
  if (reasons.empty()) {
    if (const absl::Status status = TakeOver(*loaded); !status.ok()) {
      reasons.emplace_back(status.message());
    }
  }
  EndReload(reasons);
  if (reload_again_) BeginReload();
}

// `reasons`: why it was rejected; none if it is in force.
void Edge::EndReload(const std::vector<std::string>& reasons) {
  const bool is_taken = reasons.empty();
  metrics_.config_reloads.Add(1, is_taken ? ReloadResult::kOk : ReloadResult::kRejected);
  metrics_.config_last_reload_successful.Set(is_taken ? 1 : 0);
  if (is_taken) {
    metrics_.config_last_reload_success_timestamp.Set(absl::ToUnixSeconds(absl::Now()));
    log().Write(core::LogLevel::kInfo, "config-reloaded", "the new configuration is in force",
                {{"snapshot", version_}});
  }
  for (const std::string& reason : reasons) {
    log().Write(core::LogLevel::kError, "config-rejected", reason);
  }
  static_cast<void>(service_.Ready(is_taken ? "serving" : "serving; the last reload was rejected"));
}

absl::Status Edge::TakeOver(LoadedConfig& loaded) {
  ++version_;
  absl::StatusOr<std::vector<ShardMaterial>> material = MakeMaterial(loaded);
  if (!material.ok()) return material.status();
  {
    const std::lock_guard lock(snapshot_mutex_);
    snapshot_ = material->front().snapshot;
    certificate_expiries_ = ExpiriesOf(loaded);
  }
  log_->set_level(loaded.config.log.level);
  for (uint32_t shard = 0; shard < shards_->size(); ++shard) {
    auto mail = std::make_unique<ShardMaterial>(std::move((*material)[shard]));
    const ShardMaterial* const pointer = mail.get();
    // The mailbox holds thousands of these, and a shard empties it each turn.
    CHECK(shards_->Post(shard, kMailSnapshot,
                        std::as_bytes(std::span<const ShardMaterial* const>(&pointer, 1))));
    static_cast<void>(mail.release());
  }
  return absl::OkStatus();
}

// -- The control loop --------------------------------------------------------------------------

void Edge::OnMail(uint32_t, uint32_t, std::span<const std::byte>) {}

EdgeExit Edge::Run(int signal_fd) {
  for (;;) {
    pollfd waits[] = {{signal_fd, POLLIN, 0},
                      {shards_->control_event_fd(), POLLIN, 0},
                      {loader_.event_fd(), POLLIN, 0}};
    absl::Duration wait =
        draining_ ? kDrainPoll : service_.watchdog_interval().value_or(absl::Seconds(30));
    wait = std::clamp(told_slow_at_ - absl::Now(), absl::ZeroDuration(), wait);
    poll(waits, std::size(waits),
         static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1)))));
    if (waits[1].revents != 0) shards_->DeliverMail(*this);
    if (service_.watchdog_interval().has_value()) static_cast<void>(service_.Watchdog());
    if (waits[2].revents != 0) FinishReload();
    if (absl::Now() >= told_slow_at_) {
      told_slow_at_ = absl::InfiniteFuture();
      log().Write(core::LogLevel::kWarning, "config-slow",
                  "the configuration is still being read; a file system does not answer");
    }
    signalfd_siginfo signal;
    if (waits[0].revents != 0 && read(signal_fd, &signal, sizeof signal) == sizeof signal) {
      OnSignal(signal.ssi_signo);
    }
    if (const std::optional<EdgeExit> end = DrainEnd(); end.has_value()) return *end;
  }
}

void Edge::OnSignal(uint32_t number) {
  if (number == SIGHUP) return BeginReload();
  if (draining_) {
    is_cut_off_ = true;
    return;
  }
  BeginDrain();
  drain_deadline_ = absl::Now() + snapshot_->config.timeouts.drain;
}

// Nothing while there is something to wait for.
std::optional<EdgeExit> Edge::DrainEnd() {
  if (!draining_) return std::nullopt;
  if (is_cut_off_) {
    log().Write(core::LogLevel::kWarning, "stopped", "second signal: stopping at once");
    return EdgeExit::kCutOff;
  }
  const Progress progress = TotalProgress();
  if (progress.listeners == 0 && progress.unanswered == 0 && progress.connections == 0) {
    log().Write(core::LogLevel::kInfo, "stopped", "drained");
    return EdgeExit::kDrained;
  }
  if (absl::Now() < drain_deadline_) return std::nullopt;
  log().Write(core::LogLevel::kWarning, "stopped", "the drain deadline cut something off",
              {{"connections", progress.connections}, {"unanswered", progress.unanswered}});
  return EdgeExit::kCutOff;
}

void Edge::BeginDrain() {
  draining_ = true;  // Readiness first.
  metrics_.draining.Set(1);
  metrics_.ready.Set(0);
  static_cast<void>(service_.Stopping("draining"));
  log().Write(core::LogLevel::kInfo, "draining", "accepting no new dialogs");
  for (uint32_t shard = 0; shard < shards_->size(); ++shard) {
    progress_[shard]->listeners = 1;  // Until the shard has looked for itself.
    CHECK(shards_->Post(shard, kMailDrain, {}));
  }
}

// -- What others may see -----------------------------------------------------------------------

Edge::Progress Edge::TotalProgress() const {
  Progress total;
  for (const auto& progress : progress_) {
    total.listeners += progress->listeners;
    total.connections += progress->connections;
    total.unanswered += progress->unanswered;
  }
  return total;
}

core::Readiness Edge::ReadinessNow() const {
  core::Readiness readiness;
  if (draining_) readiness.reasons.emplace_back("draining");
  if (!serving_) readiness.reasons.emplace_back("starting");
  const auto now = static_cast<double>(absl::ToUnixSeconds(absl::Now()));
  for (const core::MetricSample& expiry : CertificateExpiries()) {
    if (expiry.value < now) {
      readiness.reasons.push_back(absl::StrCat("certificate-expired: ", expiry.label_values[0]));
    }
  }
  readiness.ready = readiness.reasons.empty();
  return readiness;
}

std::vector<core::MetricSample> Edge::CertificateExpiries() const {
  const std::lock_guard lock(snapshot_mutex_);
  return certificate_expiries_;
}

std::vector<const core::StatsBlock*> Edge::Blocks() const {
  std::vector<const core::StatsBlock*> blocks;
  for (const auto& block : stats_) blocks.push_back(block.get());
  return blocks;
}

core::StatusPage Edge::StatusNow() const {
  std::shared_ptr<const EdgeSnapshot> snapshot;
  {
    const std::lock_guard lock(snapshot_mutex_);
    snapshot = snapshot_;
  }
  const std::vector<const core::StatsBlock*> blocks = Blocks();
  const auto sum = [&blocks](uint32_t slot) { return core::MetricRegistry::Sum(blocks, slot); };
  core::StatusPage page;
  page.title = snapshot->config.domain;
  page.subtitle = absl::StrCat("sallyport ", build_version_, ", instance ",
                               snapshot->config.instance, ", configuration ", snapshot->version);
  page.readiness = ReadinessNow();
  page.draining = draining_;
  uint64_t requests = 0;
  for (size_t method = 0; method <= static_cast<size_t>(Method::kOther); ++method) {
    requests += sum(metrics_.sip_requests.Slot(MetricDirection::kIn, method));
  }
  core::StatusSection refusals{
      .title = "Refusals by reason", .rows = {}, .when_empty = "None so far."};
  uint64_t refused = 0;
  for (size_t reason = 0; reason < kReasonCodeCount; ++reason) {
    const uint64_t count = sum(metrics_.requests_rejected.Slot(reason));
    refused += count;
    if (count > 0) {
      refusals.rows.push_back(
          {std::string(CodeText(static_cast<ReasonCode>(reason))), absl::StrCat(count)});
    }
  }
  const Progress progress = TotalProgress();
  page.tiles = {
      {"Uptime", absl::FormatDuration(absl::Trunc(absl::Now() - started_at_, absl::Seconds(1)))},
      {"Connections", absl::StrCat(progress.connections)},
      {"Requests", absl::StrCat(requests)},
      {"Refused", absl::StrCat(refused)},
      {"Awaiting an answer", absl::StrCat(progress.unanswered)}};
  page.sections.push_back(std::move(refusals));
  core::StatusSection listeners{.title = "Listeners", .rows = {}, .when_empty = ""};
  for (const ListenerConfig& listener : snapshot->config.listeners) {
    listeners.rows.push_back(
        {listener.name,
         absl::StrCat(std::string(TransportName(listener.transport)), " ",
                      listener.address.ToString(), ", ", std::string(ZoneName(listener.zone)))});
  }
  page.sections.push_back(std::move(listeners));
  core::StatusSection certificates{
      .title = "Certificates", .rows = {}, .when_empty = "No TLS profile."};
  for (const core::MetricSample& expiry : CertificateExpiries()) {
    certificates.rows.push_back(
        {expiry.label_values[0],
         absl::StrCat("valid until ",
                      absl::FormatTime("%Y-%m-%d %H:%M UTC",
                                       absl::FromUnixSeconds(static_cast<int64_t>(expiry.value)),
                                       absl::UTCTimeZone()))});
  }
  page.sections.push_back(std::move(certificates));
  return page;
}

}  // namespace sallyport::sip
