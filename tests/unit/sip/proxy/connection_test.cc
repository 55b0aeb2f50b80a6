// Dialled connections on a simulated kernel and clock; the test is the server, OpenSSL its TLS.
#include "sip/proxy/connection.h"

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "core/check.h"
#include "core/log.h"
#include "core/mail_exchange.h"
#include "core/quiet_points.h"
#include "core/shard.h"
#include "gtest/gtest.h"
#include "sip/policy/server_check.h"
#include "sip/proxy/edge_config.h"
#include "tests/support/null_device.h"
#include "tests/support/simulated_backend.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tls_scene.h"
#include "tests/support/tls_server.h"
#include "tls/certificate_reader.h"
#include "tls/identity_cache.h"
#include "tls/secret.h"

namespace sallyport::sip {
namespace {

using sallyport::test::CaSpec;
using sallyport::test::DomainSpec;
using sallyport::test::MakeContext;
using sallyport::test::MakeTlsServerContext;
using sallyport::test::MintSelfSigned;
using sallyport::test::MintSignedBy;
using sallyport::test::TestCertificate;
using sallyport::test::TlsScene;
using sallyport::test::TlsServer;
using sallyport::test::TlsServerOptions;

constexpr std::string_view kOptions =
    "OPTIONS sip:edge.example SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\n"
    "Content-Length: 0\r\n\r\n";
constexpr absl::Duration kDialTimeout = absl::Seconds(4);

core::SocketAddress ServerAddress() { return *core::SocketAddress::Parse("192.0.2.1:5061"); }

std::shared_ptr<const EdgeSnapshot> Snapshot() {
  LoadOptions load;
  load.open_files = false;
  LoadedConfig loaded = LoadEdgeConfigText(
      "[edge]\ndomain = \"edge.example\"\nadmin = \"\"\nshards = 1\n"
      "[tls.federation]\ncertificate = \"edge.pem\"\ntrusted-ca = \"ca.pem\"\n"
      "[[listener]]\nname = \"federation\"\naddress = \"127.0.0.1:5061\"\nzone = \"outside\"\n"
      "[[listener]]\nname = \"core\"\naddress = \"127.0.0.1:5070\"\ntransport = \"udp\"\n"
      "zone = \"inside\"\n[[next-hop]]\nname = \"core\"\ntargets = [\"udp:127.0.0.1:5080\"]\n"
      "zone = \"inside\"\n",
      "test.toml", load);
  CHECK(loaded.ok());
  return std::make_shared<const EdgeSnapshot>(
      std::move(loaded.config), 1,
      EdgeIdentity{.secret = tls::Secret::Generate(), .boot_epoch = 1});
}

// Owns the connections, as whoever dials must, and remembers what it was told.
class Dialler final : public ConnectionHandler {
 public:
  void OnConnectionOpen(Connection& connection) override {
    ++opened;
    if (connection.is_tls()) {
      was_resumed = connection.session()->peer().resumed;
      if (!Proves(connection.session()->peer())) connection.Close(ConnectionCloseReason::kPolicy);
    }
  }
  void OnFrame(Connection&, const Frame& frame, std::string_view) override {
    frames.emplace_back(frame.bytes);
  }
  void OnConnectionClosing(Connection& connection) override {
    ++closing;
    connect_error = connection.connect_error();
    tls_failure = connection.tls_failure();
    tls_failure_text = connection.tls_failure_text();
    offered_resumption = connection.offered_resumption();
  }
  void OnConnectionClosed(Connection&) override {
    ++closed;
    dialled.reset();
  }

  bool Proves(const tls::PeerResult& peer) const {
    const tls::CertificateReading reading = tls::ReadCertificate(peer.leaf_der);
    CHECK(reading.fault == tls::CertificateFault::kNone);
    return CheckServer({identity, {}}, DeriveSipIdentities(*reading.identity, {}),
                       *reading.identity) == ServerVerdict::kAccepted;
  }

  std::unique_ptr<Connection> dialled;
  std::string identity = "edge.example";
  int opened = 0;
  int closing = 0;
  int closed = 0;
  bool was_resumed = false;
  bool offered_resumption = false;
  std::vector<std::string> frames;
  int connect_error = 0;
  tls::FailureReason tls_failure = tls::FailureReason::kNone;
  std::string tls_failure_text;
};

class DialledConnectionTest : public testing::Test {
 protected:
  explicit DialledConnectionTest(uint64_t seed = 1)
      : network_(seed),
        mail_(1, 4096),
        backend_(network_),
        log_(*core::Log::Start({.file_descriptor = sallyport::test::NullDevice()})),
        log_limits_({}),
        metrics_({"federation", "core"}, {"core"}),
        stats_(metrics_.registry.slots()),
        shard_(0, backend_, mail_, nullptr, {}),
        snapshot_(Snapshot()),
        receive_scratch_(kReceiveScratchBytes, '\0'),
        send_scratch_(kSendScratchBytes, '\0'),
        context_{.shard = shard_,
                 .log = log_->writer(0),
                 .log_limits = log_limits_,
                 .stats = stats_,
                 .metrics = metrics_,
                 .snapshot = snapshot_.get(),
                 .tls_contexts = {},
                 .client_contexts = {},
                 .client_sessions = sessions_,
                 .identities = identities_,
                 .peer_key = {},
                 .receive_scratch = receive_scratch_,
                 .send_scratch = send_scratch_,
                 .mail_scratch = {}} {
    network_.Listen(ServerAddress());
    ServeWith(TlsScene::Get().server);
  }
  ~DialledConnectionTest() override {
    if (dialler_.dialled != nullptr) {
      dialler_.dialled->Abort(ConnectionCloseReason::kDrain);
      Run(absl::Seconds(1));
    }
    EXPECT_EQ(dialler_.dialled, nullptr);
    EXPECT_EQ(Count(metrics_.tls_handshakes_in_progress.Slot()), 0u);
    EXPECT_EQ(context_.handshake_shares.total() + context_.message_shares.total(), 0u);
    EXPECT_EQ(backend_.descriptors_open(), 0u);
    backend_.Quiesce();
    shard_.reactor().set_kernel_gone();
  }

  // `client_ca`: whom it believes; empty: it asks for no certificate.
  void ServeWith(const TestCertificate& certificate, bool no_tickets = false,
                 const std::string& client_ca = "") {
    TlsServerOptions options;
    options.certificate = &certificate;
    options.no_tickets = no_tickets;
    options.trusted_pem = client_ca;
    server_side_ = MakeTlsServerContext(options);
  }

  static std::shared_ptr<tls::Context> ClientContext() {
    tls::ContextOptions options;
    options.role = tls::ContextRole::kClient;
    return MakeContext(TlsScene::Get().Profile(), options);
  }

  int Dial(DialOptions options) {
    remote_ = nullptr;
    server_.reset();
    ConnectionHandler& handler = dialler_;
    dialler_.dialled =
        std::make_unique<Connection>(context_, handler, ConnectionId{7, 0}, Connection::kNoListener,
                                     Zone::kOutside, ServerAddress());
    return dialler_.dialled->Dial(kDialTimeout, std::move(options));
  }
  int DialTls(std::string server_name = "edge.example") {
    return Dial({.tls = client_context_,
                 .server_name = std::move(server_name),
                 .resumption = {&sessions_, {}}});
  }

  // The server takes part from the moment that it `answers`.
  void Settle(bool answers = true) {
    for (int turn = 0; turn < 40; ++turn) {
      shard_.RunTurn();
      if (remote_ == nullptr) remote_ = network_.Accept(ServerAddress());
      if (remote_ == nullptr || !answers) continue;
      if (server_ == nullptr) server_ = std::make_unique<TlsServer>(server_side_);
      server_->Receive(remote_->TakeReceived());
      if (server_->connected()) server_received_ += server_->Read();
      remote_->Send(server_->TakeOutput());
    }
  }
  void Run(absl::Duration duration, bool answers = true) {
    constexpr absl::Duration kStep = absl::Milliseconds(20);
    for (absl::Duration passed = absl::ZeroDuration(); passed < duration; passed += kStep) {
      network_.Advance(kStep);
      Settle(answers);
    }
  }
  void ServerSays(std::string_view text) {
    ASSERT_TRUE(server_->Write(text));
    remote_->Send(server_->TakeOutput());
    Settle();
  }

  uint64_t Count(uint32_t slot) const { return stats_.Get(slot); }
  uint64_t Handshakes(TlsVersionLabel version, HandshakeKind kind, HandshakeResult result) const {
    return Count(metrics_.tls_handshakes.Slot(MetricDirection::kOut, version, kind, result));
  }
  uint64_t Failures(tls::FailureReason reason) const {
    return Count(metrics_.tls_handshake_failures.Slot(MetricDirection::kOut, reason));
  }
  uint64_t Closed(ConnectionCloseReason reason) const {
    return Count(metrics_.connections_closed.Slot(MetricDirection::kOut, reason));
  }
  void ExpectFailedHandshake(tls::FailureReason reason) const {
    EXPECT_EQ(dialler_.opened, 0);
    EXPECT_EQ(dialler_.closing, 1);
    EXPECT_EQ(dialler_.closed, 1);
    EXPECT_EQ(dialler_.tls_failure, reason);
    EXPECT_FALSE(dialler_.tls_failure_text.empty());
    EXPECT_EQ(Failures(reason), 1u);
    EXPECT_EQ(Handshakes(TlsVersionLabel::kUnknown, HandshakeKind::kFull, HandshakeResult::kFailed),
              1u);
  }

  core::SimulatedNetwork network_;
  core::MailExchange mail_;
  core::SimulatedBackend backend_;
  std::unique_ptr<core::Log> log_;
  core::LogRateLimiter log_limits_;
  EdgeMetrics metrics_;
  core::StatsBlock stats_;
  core::Shard shard_;
  std::shared_ptr<const EdgeSnapshot> snapshot_;
  std::string receive_scratch_;
  std::string send_scratch_;
  core::QuietPoints quiet_points_{1};
  tls::IdentityCache identities_{16, quiet_points_};
  tls::ClientSessions sessions_{4};
  ShardContext context_;
  std::shared_ptr<tls::Context> client_context_ = ClientContext();
  std::shared_ptr<ssl_ctx_st> server_side_;
  core::RemoteConnection* remote_ = nullptr;
  std::unique_ptr<TlsServer> server_;
  std::string server_received_;
  Dialler dialler_;
};

// ---- Plain ----------------------------------------------------------------------------------

TEST_F(DialledConnectionTest, APlainOneTakesMessagesWhileItConnects) {
  ASSERT_EQ(Dial({}), 0);
  EXPECT_FALSE(dialler_.dialled->is_tls());
  EXPECT_TRUE(dialler_.dialled->Send(kOptions));
  Settle(false);
  EXPECT_EQ(dialler_.opened, 1);
  ASSERT_NE(remote_, nullptr);
  EXPECT_EQ(remote_->TakeReceived(), kOptions);
  remote_->Send(kOptions);
  Settle(false);
  EXPECT_EQ(dialler_.frames, std::vector<std::string>{std::string(kOptions)});
  remote_->Finish();
  Run(absl::Seconds(1), false);
  EXPECT_EQ(dialler_.closed, 1);
  EXPECT_EQ(Closed(ConnectionCloseReason::kPeer), 1u);
}

TEST_F(DialledConnectionTest, NobodyThereIsAConnectError) {
  network_.StopListening(ServerAddress());
  for (const bool tls : {false, true}) {
    ASSERT_EQ(tls ? DialTls() : Dial({}), 0);
    Run(absl::Seconds(1));
    EXPECT_EQ(dialler_.dialled, nullptr);
    EXPECT_EQ(dialler_.connect_error, ECONNREFUSED);
    EXPECT_TRUE(dialler_.tls_failure_text.empty());
  }
  EXPECT_EQ(dialler_.opened, 0);
}

// ---- TLS ------------------------------------------------------------------------------------

TEST_F(DialledConnectionTest, OpensOnceTheServerIsVerified) {
  ASSERT_EQ(DialTls(), 0);
  EXPECT_TRUE(dialler_.dialled->is_tls());
  EXPECT_FALSE(dialler_.dialled->Send(kOptions));
  Settle(false);
  EXPECT_EQ(dialler_.dialled->state(), Connection::State::kHandshaking);
  EXPECT_EQ(Count(metrics_.tls_handshakes_in_progress.Slot()), 1u);
  EXPECT_FALSE(dialler_.dialled->Send(kOptions));
  Settle();
  ASSERT_EQ(dialler_.opened, 1);
  EXPECT_TRUE(dialler_.dialled->is_open());
  EXPECT_EQ(Count(metrics_.tls_handshakes_in_progress.Slot()), 0u);
  EXPECT_EQ(server_->server_name(), "edge.example");
  EXPECT_EQ(Handshakes(TlsVersionLabel::kTls13, HandshakeKind::kFull, HandshakeResult::kOk), 1u);
  EXPECT_GT(Count(metrics_.tls_handshake_cpu.Slot(HandshakeKind::kFull)), 0u);

  EXPECT_TRUE(dialler_.dialled->Send(kOptions));
  Settle();
  EXPECT_EQ(server_received_, kOptions);
  ServerSays(kOptions);
  EXPECT_EQ(dialler_.frames, std::vector<std::string>{std::string(kOptions)});

  server_->SendCloseNotify();
  Run(absl::Seconds(1));
  remote_->Finish();
  Run(absl::Seconds(1));
  EXPECT_EQ(dialler_.closed, 1);
  EXPECT_EQ(Closed(ConnectionCloseReason::kPeer), 1u);
  EXPECT_TRUE(dialler_.tls_failure_text.empty());
}

TEST_F(DialledConnectionTest, PingsAreAnsweredAndSeen) {
  ASSERT_EQ(DialTls(), 0);
  Settle();
  const core::MonotonicTime opened = dialler_.dialled->last_activity();
  Run(absl::Seconds(1));
  ServerSays("\r\n");
  EXPECT_GT(dialler_.dialled->last_activity(), opened);
  EXPECT_TRUE(dialler_.frames.empty());
  ServerSays("\r\n\r\n");
  EXPECT_EQ(server_received_, "\r\n");
}

TEST_F(DialledConnectionTest, AnAddressIsNoServerName) {
  for (const char* name : {"192.0.2.1", "[2001:db8::1]", "2001:db8::1", ""}) {
    ASSERT_EQ(DialTls(name), 0);
    Settle();
    ASSERT_TRUE(dialler_.dialled->is_open()) << name;
    EXPECT_EQ(server_->server_name(), "") << name;
    dialler_.dialled->Abort(ConnectionCloseReason::kDrain);
    Run(absl::Seconds(1));
  }
  ASSERT_EQ(DialTls("Edge.Example."), 0);
  Settle();
  EXPECT_EQ(server_->server_name(), "edge.example");
}

TEST_F(DialledConnectionTest, TheHandlerRefusesAnotherDomain) {
  dialler_.identity = "other.example";
  ASSERT_EQ(DialTls(), 0);
  Run(absl::Seconds(1));
  remote_->Finish();
  Run(absl::Seconds(1));
  EXPECT_EQ(dialler_.opened, 1);
  EXPECT_EQ(dialler_.closed, 1);
  EXPECT_EQ(Closed(ConnectionCloseReason::kPolicy), 1u);
}

TEST_F(DialledConnectionTest, AnUntrustedServerIsRefusedWithAnAlert) {
  const TestCertificate stranger =
      MintSignedBy(MintSelfSigned(CaSpec("Other Root")), DomainSpec("edge.example"));
  ServeWith(stranger);
  ASSERT_EQ(DialTls(), 0);
  Run(absl::Seconds(1));
  EXPECT_NE(server_->error().find("alert"), std::string::npos) << server_->error();
  remote_->Finish();
  Run(absl::Seconds(1));
  ExpectFailedHandshake(tls::FailureReason::kUntrustedCa);
}

TEST_F(DialledConnectionTest, AServerThatIsNoTlsServerIsRefused) {
  ASSERT_EQ(DialTls(), 0);
  Settle(false);
  remote_->Send("SIP/2.0 400 Bad Request\r\n\r\n");
  Run(absl::Seconds(1), false);
  remote_->Finish();
  Run(absl::Seconds(1), false);
  ExpectFailedHandshake(tls::FailureReason::kProtocol);
}

TEST_F(DialledConnectionTest, OneDeadlineCoversTcpAndTls) {
  ASSERT_EQ(DialTls(), 0);
  Run(kDialTimeout - absl::Milliseconds(100), false);
  EXPECT_EQ(dialler_.closing, 0);
  Run(absl::Milliseconds(200), false);
  ExpectFailedHandshake(tls::FailureReason::kTimeout);
  EXPECT_EQ(dialler_.connect_error, 0);
}

TEST_F(DialledConnectionTest, SilenceBeforeTcpIsAConnectError) {
  network_.Blackhole(ServerAddress());
  ASSERT_EQ(DialTls(), 0);
  Run(kDialTimeout + absl::Milliseconds(100));
  EXPECT_EQ(dialler_.closed, 1);
  EXPECT_EQ(dialler_.connect_error, ETIMEDOUT);
  EXPECT_TRUE(dialler_.tls_failure_text.empty());
}

TEST_F(DialledConnectionTest, AServerThatGoesAwayInMidHandshakeHasNoReason) {
  ASSERT_EQ(DialTls(), 0);
  Settle(false);
  remote_->Finish();
  Run(absl::Seconds(1), false);
  ExpectFailedHandshake(tls::FailureReason::kNone);
}

TEST_F(DialledConnectionTest, AResetInMidHandshakeHasNoReason) {
  ASSERT_EQ(DialTls(), 0);
  Settle(false);
  remote_->Reset();
  Run(absl::Seconds(1), false);
  ExpectFailedHandshake(tls::FailureReason::kNone);
}

// RFC 8446 §4.4.2.4: in TLS 1.3 the server judges our certificate when we have finished already, so
// all that shows of it is an alert in the place of the first answer.
TEST_F(DialledConnectionTest, AServerThatRefusesOurCertificateIsATlsFailure) {
  ServeWith(TlsScene::Get().server, false, MintSelfSigned(CaSpec("Other Root")).pem);
  ASSERT_EQ(DialTls(), 0);
  Settle();
  EXPECT_EQ(dialler_.opened, 1);
  EXPECT_EQ(dialler_.closing, 1);
  EXPECT_EQ(dialler_.tls_failure, tls::FailureReason::kAlert);
  EXPECT_EQ(dialler_.tls_failure_text, "the peer refuses our certificate (alert unknown_ca)");
  EXPECT_EQ(Failures(tls::FailureReason::kAlert), 1u);
  EXPECT_EQ(Closed(ConnectionCloseReason::kError), 1u);
  remote_->Finish();
  Run(absl::Seconds(1));
  EXPECT_EQ(dialler_.closed, 1);
}

TEST_F(DialledConnectionTest, AnAlertBehindAnAnswerIsNoRefusal) {
  ASSERT_EQ(DialTls(), 0);
  Settle();
  ServerSays(kOptions);
  EXPECT_EQ(dialler_.frames.size(), 1u);
  server_->Receive("\x17\x03\x03" + std::string(1, '\0') + "\x20" + std::string(32, 'x'));
  remote_->Send(server_->TakeOutput());  // bad_record_mac
  Settle();
  EXPECT_EQ(dialler_.closing, 1);
  EXPECT_EQ(dialler_.tls_failure, tls::FailureReason::kNone);
  EXPECT_EQ(Failures(tls::FailureReason::kAlert), 0u);
  remote_->Finish();
  Run(absl::Seconds(1));
}

TEST_F(DialledConnectionTest, MayBeGivenUpAtAnyMoment) {
  for (int turns = 0; turns < 12; ++turns) {
    for (const bool abort : {true, false}) {
      ASSERT_EQ(DialTls(), 0);
      for (int turn = 0; turn < turns; ++turn) {
        shard_.RunTurn();
        if (remote_ == nullptr) remote_ = network_.Accept(ServerAddress());
        if (remote_ == nullptr) continue;
        if (server_ == nullptr) server_ = std::make_unique<TlsServer>(server_side_);
        server_->Receive(remote_->TakeReceived());
        remote_->Send(server_->TakeOutput());
      }
      if (abort) {
        dialler_.dialled->Abort(ConnectionCloseReason::kDrain);
      } else {
        dialler_.dialled->Close(ConnectionCloseReason::kDrain);
      }
      Run(absl::Seconds(1), false);
      if (remote_ != nullptr) remote_->Finish();
      Run(absl::Seconds(6), false);
      EXPECT_EQ(dialler_.dialled, nullptr) << turns;
      EXPECT_EQ(Count(metrics_.tls_handshakes_in_progress.Slot()), 0u) << turns;
    }
  }
}

TEST_F(DialledConnectionTest, TheSecondDialResumes) {
  for (int dial = 0; dial < 3; ++dial) {
    ASSERT_EQ(DialTls(), 0);
    Settle();
    ASSERT_TRUE(dialler_.dialled->is_open());
    EXPECT_EQ(dialler_.was_resumed, dial > 0);
    EXPECT_EQ(dialler_.dialled->offered_resumption(), dial > 0);
    EXPECT_EQ(sessions_.size(), 1u);
    dialler_.dialled->Abort(ConnectionCloseReason::kDrain);
    Run(absl::Seconds(1));
  }
  EXPECT_EQ(Handshakes(TlsVersionLabel::kTls13, HandshakeKind::kFull, HandshakeResult::kOk), 1u);
  EXPECT_EQ(Handshakes(TlsVersionLabel::kTls13, HandshakeKind::kResumed, HandshakeResult::kOk), 2u);
}

// A resumed server is asked again for its name.
TEST_F(DialledConnectionTest, AResumedServerIsComparedToo) {
  ASSERT_EQ(DialTls(), 0);
  Settle();
  dialler_.dialled->Abort(ConnectionCloseReason::kDrain);
  Run(absl::Seconds(1));
  dialler_.identity = "other.example";
  ASSERT_EQ(DialTls(), 0);
  Run(absl::Seconds(1));
  EXPECT_TRUE(dialler_.was_resumed);
  EXPECT_TRUE(dialler_.dialled == nullptr ||
              dialler_.dialled->state() == Connection::State::kClosing);
}

TEST_F(DialledConnectionTest, WaitsTenSecondsForATicketAndThenJustIdles) {
  ServeWith(TlsScene::Get().server, true);
  ASSERT_EQ(DialTls(), 0);
  Settle();
  EXPECT_TRUE(dialler_.dialled->session()->awaits_ticket());
  Run(absl::Seconds(9));
  EXPECT_TRUE(dialler_.dialled->session()->awaits_ticket());
  Run(absl::Seconds(2));
  EXPECT_FALSE(dialler_.dialled->session()->awaits_ticket());
  EXPECT_TRUE(dialler_.dialled->is_open());
  EXPECT_TRUE(dialler_.dialled->Send(kOptions));
  Settle();
  EXPECT_EQ(server_received_, kOptions);
  network_.Advance(snapshot_->config.timeouts.idle);
  Run(absl::Seconds(1));
  remote_->Finish();
  Run(absl::Seconds(1));
  EXPECT_EQ(dialler_.closed, 1);
  EXPECT_EQ(Closed(ConnectionCloseReason::kIdle), 1u);
}

// Goal: whatever the kernel does with the bytes, the conversation is the same.
class UnkindKernelTest : public DialledConnectionTest,
                         public testing::WithParamInterface<uint64_t> {
 protected:
  UnkindKernelTest() : DialledConnectionTest(GetParam()) {
    network_.set_faults({.partial_read = 0.5,
                         .short_send = 0.5,
                         .late_completion = 0.2,
                         .reordered = 0.3,
                         .no_buffers = 0.1,
                         .multishot_end = 0.2});
  }
};
INSTANTIATE_TEST_SUITE_P(, UnkindKernelTest, testing::Range(uint64_t{1}, uint64_t{21}));

TEST_P(UnkindKernelTest, DialsTalksAndResumes) {
  for (int dial = 0; dial < 2; ++dial) {
    server_received_.clear();
    dialler_.frames.clear();
    ASSERT_EQ(DialTls(), 0);
    Run(absl::Seconds(2));
    ASSERT_TRUE(dialler_.dialled != nullptr && dialler_.dialled->is_open());
    EXPECT_EQ(dialler_.was_resumed, dial > 0);
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(dialler_.dialled->Send(kOptions));
    for (int i = 0; i < 5; ++i) ServerSays(kOptions);
    Run(absl::Seconds(1));
    EXPECT_EQ(server_received_.size(), 5 * kOptions.size());
    EXPECT_EQ(dialler_.frames.size(), 5u);
    dialler_.dialled->Abort(ConnectionCloseReason::kDrain);
    Run(absl::Seconds(1));
  }
}

}  // namespace
}  // namespace sallyport::sip
