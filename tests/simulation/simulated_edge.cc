#include "tests/simulation/simulated_edge.h"

#include <sys/mman.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <span>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/check.h"
#include "sip/message/framer.h"
#include "sip/proxy/mail_kinds.h"
#include "tests/support/null_device.h"
#include "tls/credentials.h"

namespace sallyport::sip::test {
namespace {

using sallyport::test::CaSpec;
using sallyport::test::DomainSpec;
using sallyport::test::MintSelfSigned;
using sallyport::test::MintSignedBy;

core::SocketAddress Address(std::string_view text) { return *core::SocketAddress::Parse(text); }

std::string ConfigTextOf(const SimulatedEdgeOptions& options) {
  const std::string target =
      options.next_hop == NextHopKind::kUdp ? "udp:127.0.0.1:5080" : "tcp:127.0.0.1:5080";
  const std::string targets =
      options.targets.empty() ? target : absl::StrJoin(options.targets, "\", \"");
  return absl::StrCat(
      "[edge]\ndomain = \"edge.example\"\nadmin = \"\"\nshards = 1\n", options.edge,
      "\n[tls.federation]\ncertificate = \"edge.pem\"\ntrusted-ca = \"ca.pem\"\n"
      "[[listener]]\nname = \"federation\"\nzone = \"outside\"\naddress = \"",
      options.outside, "\"\n", options.outside_lines,
      "\n[[listener]]\nname = \"core\"\ntransport = \"udp\"\nzone = \"inside\"\naddress = \"",
      options.inside, "\"\n", options.inside_lines,
      "\n[[next-hop]]\nname = \"core\"\nzone = \"inside\"\ntargets = [\"", targets, "\"]\n",
      options.next_hop_lines, "\n[limits]\n", options.limits, "\n[timeouts]\n", options.timeouts,
      "\n", options.extra);
}

LoadedConfig Load(const SimulatedEdgeOptions& options) {
  LoadOptions load;
  load.open_files = false;
  return LoadEdgeConfigText(ConfigTextOf(options), "simulated.toml", load);
}

EdgeConfig ConfigOf(const SimulatedEdgeOptions& options) {
  LoadedConfig loaded = Load(options);
  for (const core::Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity == core::Severity::kError) {
      std::fprintf(stderr, "%s\n", core::FormatDiagnostic(diagnostic).c_str());
    }
  }
  CHECK(loaded.ok());
  return std::move(loaded.config);
}

std::shared_ptr<tls::Context> ContextOf(const sallyport::test::TestCertificate& ca,
                                        const sallyport::test::TestCertificate& edge,
                                        tls::SignatureMemo& memo, core::SimulatedNetwork& network,
                                        tls::ContextRole role, const std::string& name) {
  tls::Profile profile;
  profile.name = name;
  profile.certificate_pem = edge.pem + edge.key_pem;
  profile.trusted_ca_pem = ca.pem;
  auto credentials = tls::Credentials::Load(profile, std::time(nullptr));
  CHECK(credentials.ok());
  tls::ContextOptions context_options;
  context_options.role = role;
  context_options.policy_name = name;
  context_options.signature_memo = &memo;
  context_options.clock = {[](void* owner) {
                             auto* const its = static_cast<core::SimulatedNetwork*>(owner);
                             return absl::ToUnixMillis(its->wall_now());
                           },
                           &network};
  auto context = tls::Context::Create(**credentials, context_options);
  CHECK(context.ok());
  return *std::move(context);
}

tls::MacKey Key(uint8_t fill) {
  tls::MacKey key;
  key.fill(fill);
  return key;
}

constexpr uint32_t kMailboxBytes = 64 * 1024;

// The test runs the edge's turns itself.
class NoWaker final : public core::Waker {
 public:
  void WakeParty(int) override {}
};

class MailTaker final : public core::MailHandler {
 public:
  void OnMail(uint32_t, uint32_t kind, std::span<const std::byte> record) override {
    mail.push_back({kind, {reinterpret_cast<const char*>(record.data()), record.size()}});
  }
  std::vector<SimulatedEdge::Mail> mail;
};

// The keys that a shard gets beside its snapshot.
ProxyKeys ShardKeys() { return {Key(1), Key(2), Key(3), Key(4)}; }

std::unique_ptr<core::Log> StartLog(int descriptor) {
  core::LogOptions options;
  options.file_descriptor = descriptor;
  options.format = core::LogFormat::kJson;
  auto log = core::Log::Start(options);
  CHECK(log.ok());
  return *std::move(log);
}

std::vector<std::string> ListenerNames(const EdgeConfig& config) {
  std::vector<std::string> names;
  for (const ListenerConfig& listener : config.listeners) names.push_back(listener.name);
  return names;
}

const sallyport::test::TestCertificate& Minted(const std::string& name, int renewal,
                                               const sallyport::test::TestCertificateSpec& spec) {
  static auto* const minted =
      new std::map<std::pair<std::string, int>, sallyport::test::TestCertificate>;
  const auto found = minted->find({name, renewal});
  if (found != minted->end()) return found->second;
  return minted->emplace(std::pair(name, renewal), MintSignedBy(SimulatedCa(), spec)).first->second;
}

}  // namespace

const sallyport::test::TestCertificate& SimulatedCa() {
  static const auto* const ca =
      new sallyport::test::TestCertificate(MintSelfSigned(CaSpec("simulated CA")));
  return *ca;
}

const sallyport::test::TestCertificate& SimulatedCertificate(const std::string& domain,
                                                             int renewal) {
  return Minted(domain, renewal, DomainSpec(domain));
}

const sallyport::test::TestCertificate& SimulatedUserCertificate(const std::string& user,
                                                                 int renewal) {
  sallyport::test::TestCertificateSpec spec;
  spec.common_name = user;
  spec.subject_alt_name = "URI:sip:" + user;
  return Minted(user, renewal, spec);
}

tls::Secret SimulatedSecret(const std::vector<uint8_t>& keys) {
  std::string lines;
  for (const uint8_t number : keys) {
    for (uint8_t byte = 0; byte < 32; ++byte) {
      absl::StrAppend(&lines, absl::Hex((number * 7 + byte * 11) % 256, absl::kZeroPad2));
    }
    lines += '\n';
  }
  auto secret = tls::Secret::Parse(lines, "simulated secret");
  CHECK(secret.ok());
  return *std::move(secret);
}

std::vector<std::string> TakeWhole(std::string& stream) {
  std::vector<std::string> messages;
  for (;;) {
    Framer framer(FramerLimits{});
    const Frame frame = framer.Next(stream);
    if (frame.outcome != FrameOutcome::kMessage) return messages;
    messages.emplace_back(frame.bytes);
    stream.erase(0, frame.bytes.size());
  }
}

// -- A peer --------------------------------------------------------------------------------------

SimulatedPeer::SimulatedPeer(core::RemoteConnection& connection,
                             const sallyport::test::TestCertificate& certificate)
    : connection_(connection), client_([&certificate] {
        sallyport::test::TlsClientOptions options;
        options.certificate = &certificate;
        return options;
      }()) {}

void SimulatedPeer::Pump() {
  const std::string arrived = connection_.TakeReceived();
  if (!arrived.empty() || !client_.connected()) static_cast<void>(client_.Receive(arrived));
  if (client_.connected()) {
    if (!unsent_.empty()) {
      CHECK(client_.Write(unsent_));
      unsent_.clear();
    }
    received_ += client_.Read();
  }
  connection_.Send(client_.TakeOutput());
}

std::vector<std::string> SimulatedPeer::TakeMessages() { return TakeWhole(received_); }

void SimulatedPeer::Send(std::string_view message) {
  unsent_ += message;
  Pump();
}

// -- A server ------------------------------------------------------------------------------------

SimulatedServer::SimulatedServer(core::SimulatedNetwork& network,
                                 const core::SocketAddress& address,
                                 const sallyport::test::TestCertificate& ca,
                                 const sallyport::test::TestCertificate* certificate)
    : network_(network), address_(address), ca_(ca) {
  if (certificate != nullptr) ShowCertificate(*certificate);
  network_.Listen(address_);
}

void SimulatedServer::ShowCertificate(const sallyport::test::TestCertificate& certificate) {
  sallyport::test::TlsServerOptions options;
  options.certificate = &certificate;
  options.trusted_pem = ca_.pem;
  side_ = sallyport::test::MakeTlsServerContext(options);
}

void SimulatedServer::Session::Pump() {
  const std::string arrived = connection->TakeReceived();
  if (tls == nullptr) {
    received += arrived;
    connection->Send(std::exchange(unsent, {}));
    return;
  }
  if (!arrived.empty() || !tls->connected()) static_cast<void>(tls->Receive(arrived));
  if (tls->connected()) {
    if (!unsent.empty()) CHECK(tls->Write(std::exchange(unsent, {})));
    received += tls->Read();
  }
  connection->Send(tls->TakeOutput());
}

void SimulatedServer::Pump() {
  while (core::RemoteConnection* const connection =
             is_accepting_ ? network_.Accept(address_) : nullptr) {
    for (Session& session : sessions_) {  // What was cut off is lost.
      const bool is_over = session.connection->saw_end() || session.connection->saw_reset();
      if (is_over) session.received = absl::StrJoin(TakeWhole(session.received), "");
    }
    Session& session = sessions_.emplace_back();
    session.connection = connection;
    if (side_ != nullptr) session.tls = std::make_unique<sallyport::test::TlsServer>(side_);
  }
  for (Session& session : sessions_) session.Pump();
}

std::string SimulatedServer::Take() {
  std::string all;
  for (Session& session : sessions_) all += std::exchange(session.received, {});
  return all;
}

std::vector<std::string> SimulatedServer::TakeMessages() {
  std::vector<std::string> messages;
  for (Arrival& arrival : TakeArrivals()) messages.push_back(std::move(arrival.message));
  return messages;
}

std::vector<SimulatedServer::Arrival> SimulatedServer::TakeArrivals() {
  std::vector<Arrival> arrivals;
  for (size_t i = 0; i < sessions_.size(); ++i) {
    for (std::string& message : TakeWhole(sessions_[i].received)) {
      arrivals.push_back({i, std::move(message)});
    }
  }
  return arrivals;
}

void SimulatedServer::SendOn(size_t connection, std::string_view message) {
  CHECK(connection < sessions_.size());
  sessions_[connection].unsent += message;
  Pump();
}

void SimulatedServer::Die() {
  for (Session& session : sessions_) session.connection->Reset();
  network_.StopListening(address_);
}

// -- The edge ------------------------------------------------------------------------------------

SimulatedEdge::SimulatedEdge(const SimulatedEdgeOptions& options)
    : next_hop_kind_(options.next_hop),
      outside_(options.outside),
      inside_(Address(options.inside)),
      next_hop_(Address("127.0.0.1:5080")),
      network_(options.seed),
      mail_(options.shards, kMailboxBytes),
      quiet_points_(1),
      backend_(std::make_unique<core::SimulatedBackend>(network_)),
      log_descriptor_(options.keeps_log ? memfd_create("log", MFD_CLOEXEC)
                                        : sallyport::test::NullDevice()),
      log_(StartLog(log_descriptor_)),
      config_(ConfigOf(options)),
      secret_(options.secret.has_value() ? *options.secret : tls::Secret::Generate()),
      boot_epoch_(options.boot_epoch),
      metrics_(ListenerNames(config_), {"core"}),
      stats_(metrics_.registry.slots()),
      identities_(64, quiet_points_) {
  log_->set_level(config_.log.level);
  network_.set_faults(options.faults);
  network_.SetWallTime(absl::FromUnixSeconds(std::time(nullptr)));
  core::ReactorOptions reactor;
  reactor.buffer_bytes_max = size_t{8} << 20;
  reactor.completions_per_turn_max = options.completions_per_turn_max;
  shard_ = std::make_unique<core::Shard>(0, *backend_, mail_, &quiet_points_, reactor);
  if (next_hop_kind_ == NextHopKind::kUdp) network_.Bind(next_hop_);
  if (next_hop_kind_ == NextHopKind::kTcp) network_.Listen(next_hop_);
  EdgeShardOptions shard_options;
  shard_options.log = &log_->writer(0);
  shard_options.stats = &stats_;
  shard_options.metrics = &metrics_;
  shard_options.identities = &identities_;
  shard_options.memo = &memo_;
  shard_options.progress = &progress_;
  shard_options.keys = ShardKeys();
  dns_ = std::make_unique<sallyport::test::DnsTable>(shard_->reactor());
  dns_->set_latency(absl::Milliseconds(5));
  shard_options.dns = dns_.get();
  auto application = EdgeShard::Start(*shard_, shard_options, MakeFirstMaterial());
  CHECK(application.ok());
  shard_->SetApplication(*std::move(application));
  Settle();
}

SimulatedEdge::~SimulatedEdge() {
  shard_->application()->BeginStop();
  for (int turn = 0; turn < 1000 && !shard_->application()->IsQuiet(); ++turn) {
    PumpOnce();
    network_.Advance(absl::Milliseconds(20));
  }
  backend_->Quiesce();
  shard_->reactor().set_kernel_gone();
  shard_->SetApplication(nullptr);
  dns_.reset();
  shard_.reset();
  log_.reset();
  if (log_descriptor_ != sallyport::test::NullDevice()) close(log_descriptor_);
}

ShardMaterial SimulatedEdge::MakeMaterial() {
  ShardMaterial material;
  material.snapshot = std::make_shared<const EdgeSnapshot>(
      config_, ++version_, EdgeIdentity{.secret = secret_, .boot_epoch = boot_epoch_});
  const sallyport::test::TestCertificate& own = SimulatedCertificate("edge.example");
  for (const ListenerConfig& listener : config_.listeners) {
    const bool is_tls = listener.transport == TransportProtocol::kTls;
    material.tls_contexts.push_back(
        is_tls ? ContextOf(ca(), own, memo_, network_, tls::ContextRole::kServer, listener.name)
               : nullptr);
  }
  for (const TlsProfileConfig& profile : config_.tls_profiles) {
    material.client_contexts.push_back(
        ContextOf(ca(), own, memo_, network_, tls::ContextRole::kClient, profile.name));
  }
  return material;
}

ShardMaterial SimulatedEdge::MakeFirstMaterial() {
  ShardMaterial material = MakeMaterial();
  for (const ListenerConfig& listener : config_.listeners) {
    const absl::StatusOr<int> fd = listener.transport == TransportProtocol::kUdp
                                       ? backend_->OpenDatagram(listener.address, {})
                                       : backend_->OpenListener(listener.address, {});
    CHECK(fd.ok());
    material.sockets.emplace_back(*fd);
  }
  return material;
}

void SimulatedEdge::Reload() {
  const auto* const material = new ShardMaterial(MakeMaterial());  // The shard takes it over.
  shard_->application()->OnMail(mail_.control(), kMailSnapshot,
                                std::as_bytes(std::span(&material, 1)));
  Settle();
}

void SimulatedEdge::Reload(const SimulatedEdgeOptions& options) {
  config_ = ConfigOf(options);
  log_->set_level(config_.log.level);
  if (options.secret.has_value()) secret_ = *options.secret;
  Reload();
}

bool SimulatedEdge::Accepts(const SimulatedEdgeOptions& options) { return Load(options).ok(); }

bool SimulatedEdge::PumpOnce() {
  const uint64_t before = shard_->reactor().counters().completions;
  shard_->RunTurn();
  for (const auto& peer : peers_) peer->Pump();
  for (const auto& server : servers_) server->Pump();
  if (next_hop_kind_ == NextHopKind::kTcp && next_hop_connection_ == nullptr) {
    next_hop_connection_ = network_.Accept(next_hop_);
  }
  return shard_->reactor().counters().completions != before || shard_->reactor().steps_queued() > 0;
}

void SimulatedEdge::PostAs(uint32_t shard, uint32_t kind, std::string_view record) {
  NoWaker waker;
  CHECK(mail_.Post(shard, 0, kind, std::as_bytes(std::span(record)), waker));
}

std::vector<SimulatedEdge::Mail> SimulatedEdge::TakeMailOf(uint32_t shard) {
  MailTaker taker;
  while (mail_.Deliver(shard, 1000, taker)) {
  }
  return std::move(taker.mail);
}

std::vector<std::string> SimulatedEdge::TakeLog() {
  CHECK(log_descriptor_ != sallyport::test::NullDevice());
  log_->Flush();
  std::string text(static_cast<size_t>(lseek(log_descriptor_, 0, SEEK_END)), '\0');
  CHECK(pread(log_descriptor_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  CHECK(ftruncate(log_descriptor_, 0) == 0 && lseek(log_descriptor_, 0, SEEK_SET) == 0);
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

void SimulatedEdge::Settle() {
  int quiet = 0;
  for (int turn = 0; turn < 10000 && quiet < 4; ++turn) quiet = PumpOnce() ? 0 : quiet + 1;
}

void SimulatedEdge::Run(absl::Duration duration, absl::Duration step) {
  for (absl::Duration passed = absl::ZeroDuration(); passed < duration; passed += step) {
    network_.Advance(step);
    Settle();
  }
}

SimulatedPeer& SimulatedEdge::Connect(const std::string& domain, std::string_view to) {
  return Connect(SimulatedCertificate(domain), to);
}

SimulatedPeer& SimulatedEdge::Connect(const sallyport::test::TestCertificate& certificate,
                                      std::string_view to) {
  return Welcome(network_.Connect(Address(to)), certificate);
}

SimulatedPeer& SimulatedEdge::ConnectFrom(std::string_view from,
                                          const sallyport::test::TestCertificate& certificate) {
  return Welcome(network_.Connect(Address(outside_), Address(from)), certificate);
}

SimulatedPeer& SimulatedEdge::Welcome(core::RemoteConnection* connection,
                                      const sallyport::test::TestCertificate& certificate) {
  CHECK(connection != nullptr);
  peers_.push_back(std::make_unique<SimulatedPeer>(*connection, certificate));
  for (int step = 0; step < 500 && !peers_.back()->connected(); ++step) Run(absl::Milliseconds(10));
  CHECK(peers_.back()->connected());
  return *peers_.back();
}

SimulatedServer& SimulatedEdge::Serve(std::string_view address,
                                      const sallyport::test::TestCertificate* certificate) {
  servers_.push_back(
      std::make_unique<SimulatedServer>(network_, Address(address), ca(), certificate));
  return *servers_.back();
}

void SimulatedEdge::BeginDrain() { shard_->application()->OnMail(mail_.control(), kMailDrain, {}); }

void SimulatedEdge::InsideSend(std::string_view from, std::string_view message) {
  network_.SendDatagram(Address(from), inside_, message);
}

std::string SimulatedEdge::InsideTake(std::string_view at) {
  const auto datagram = network_.ReceiveDatagram(Address(at));
  return datagram.has_value() ? datagram->bytes : std::string();
}

core::RemoteConnection* SimulatedEdge::next_hop_connection() {
  if (core::RemoteConnection* const newer = network_.Accept(next_hop_))
    next_hop_connection_ = newer;
  return next_hop_connection_;
}

std::optional<std::string> SimulatedEdge::NextHopTake() {
  if (next_hop_kind_ == NextHopKind::kUdp) {
    const auto datagram = network_.ReceiveDatagram(next_hop_);
    if (!datagram.has_value()) return std::nullopt;
    return datagram->bytes;
  }
  if (next_hop_connection() == nullptr) return std::nullopt;
  next_hop_bytes_ += next_hop_connection_->TakeReceived();
  Framer framer(FramerLimits{});
  const Frame frame = framer.Next(next_hop_bytes_);
  if (frame.outcome != FrameOutcome::kMessage) return std::nullopt;
  std::string message(frame.bytes);
  next_hop_bytes_.erase(0, message.size());
  return message;
}

void SimulatedEdge::NextHopSend(std::string_view message) {
  if (next_hop_kind_ == NextHopKind::kUdp) {
    network_.SendDatagram(next_hop_, inside_, message);
  } else {
    next_hop_connection()->Send(message);
  }
}

}  // namespace sallyport::sip::test
