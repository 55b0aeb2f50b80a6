// Our TLS client: whom it believes, and what it resumes. The server is OpenSSL, or a server session
// of ours.
#include <malloc.h>

#include <array>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tls_client.h"
#include "tests/support/tls_scene.h"
#include "tests/support/tls_server.h"
#include "tls/client_sessions.h"
#include "tls/context.h"
#include "tls/session.h"

namespace sallyport::tls {
namespace {

using test::CaSpec;
using test::ClientEnd;
using test::Converse;
using test::DomainSpec;
using test::ForgetTickets;
using test::MakeContext;
using test::MakeTlsServerContext;
using test::MintSelfSigned;
using test::MintSignedBy;
using test::MovableClock;
using test::ServerEnd;
using test::TestCertificate;
using test::TestCertificateSpec;
using test::TlsScene;
using test::TlsServer;
using test::TlsServerOptions;

constexpr int kTls12 = 0x0303;
constexpr int kTls13 = 0x0304;

ContextOptions ClientOptions(const WallClock& clock = {}) {
  ContextOptions options;
  options.role = ContextRole::kClient;
  options.clock = clock;
  return options;
}

std::shared_ptr<Context> ClientContext() {
  return MakeContext(TlsScene::Get().Profile(), ClientOptions());
}

TlsServerOptions ServerOf(const TestCertificate& certificate, int version = kTls13) {
  TlsServerOptions options;
  options.certificate = &certificate;
  options.min_version = options.max_version = version;
  return options;
}

// What dials name things after; the content does not matter here.
ClientResumption Under(ClientSessions& sessions, uint8_t name = 1) {
  ClientResumption resumption{&sessions, {}};
  resumption.key[0] = name;
  return resumption;
}

// ---- Whom it believes -----------------------------------------------------------------------

class ClientVersionTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, ClientVersionTest, testing::Values(kTls12, kTls13),
                         [](const auto& version) { return version.param == kTls12 ? "12" : "13"; });

TEST_P(ClientVersionTest, ProvesTheServerAndItself) {
  const TlsScene& scene = TlsScene::Get();
  TlsServerOptions options = ServerOf(scene.server, GetParam());
  options.trusted_pem = scene.root.pem;
  TlsServer server(MakeTlsServerContext(options));
  ClientEnd client(ClientContext(), "edge.example");
  ASSERT_TRUE(Converse(client, server, 1));
  const PeerResult& peer = client.session().peer();
  EXPECT_TRUE(peer.verified);
  EXPECT_FALSE(peer.resumed);
  EXPECT_EQ(peer.version == TlsVersion::kTls13, GetParam() == kTls13);
  EXPECT_EQ(std::string(peer.leaf_der.begin(), peer.leaf_der.end()), scene.server.Der());
  EXPECT_EQ(server.server_name(), "edge.example");
  ASSERT_TRUE(client.Write("ping"));
  Converse(client, server);
  EXPECT_EQ(server.Read(), "ping");
  ASSERT_TRUE(server.Write("pong"));
  Converse(client, server);
  EXPECT_EQ(client.received(), "pong");
}

TEST_P(ClientVersionTest, SendsNoServerNameUnlessAsked) {
  TlsServer server(MakeTlsServerContext(ServerOf(TlsScene::Get().server, GetParam())));
  ClientEnd client(ClientContext());
  ASSERT_TRUE(Converse(client, server));
  EXPECT_EQ(server.server_name(), "");
}

FailureReason RefusalOf(const TestCertificate& certificate, int version,
                        const std::string& chain_pem = "") {
  TlsServerOptions options = ServerOf(certificate, version);
  options.chain_pem = chain_pem;
  TlsServer server(MakeTlsServerContext(options));
  ClientEnd client(ClientContext(), "edge.example");
  EXPECT_FALSE(Converse(client, server));
  EXPECT_FALSE(client.session().peer().verified);
  EXPECT_FALSE(client.session().failure_text().empty());
  return client.session().failure();
}

TEST_P(ClientVersionTest, RefusesServersThatProveNothing) {
  const TlsScene& scene = TlsScene::Get();
  const TestCertificate other = MintSelfSigned(CaSpec("Other Root"));
  const TestCertificate clone = MintSelfSigned(CaSpec("Test Root"));
  const TestCertificateSpec good = DomainSpec("edge.example");
  EXPECT_EQ(RefusalOf(MintSignedBy(other, good), GetParam()), FailureReason::kUntrustedCa);
  EXPECT_EQ(RefusalOf(MintSignedBy(clone, good), GetParam()), FailureReason::kUntrustedCa);
  EXPECT_EQ(RefusalOf(MintSelfSigned(good), GetParam()), FailureReason::kUntrustedCa);
  // A leaf is no CA.
  EXPECT_EQ(RefusalOf(MintSignedBy(scene.client, good), GetParam(), scene.client.pem),
            FailureReason::kUntrustedCa);

  TestCertificateSpec spec = good;
  spec.not_before = 1'500'000'000;
  spec.not_after = 1'600'000'000;
  EXPECT_EQ(RefusalOf(MintSignedBy(scene.root, spec), GetParam()), FailureReason::kExpired);
  spec.not_before = 4'000'000'000;
  spec.not_after = 4'100'000'000;
  EXPECT_EQ(RefusalOf(MintSignedBy(scene.root, spec), GetParam()), FailureReason::kNotYetValid);
  spec = good;
  spec.extended_key_usage = "clientAuth";
  EXPECT_EQ(RefusalOf(MintSignedBy(scene.root, spec), GetParam()), FailureReason::kKeyUsage);
  spec = good;
  spec.digest = test::TestDigest::kSha1;
  EXPECT_EQ(RefusalOf(MintSignedBy(scene.root, spec), GetParam()), FailureReason::kWeak);
}

TEST_P(ClientVersionTest, TakesAPurposeOfItsOwnOrSipDomain) {
  const TlsScene& scene = TlsScene::Get();
  for (const char* purpose : {"serverAuth", "1.3.6.1.5.5.7.3.20", ""}) {
    TestCertificateSpec spec = DomainSpec("edge.example");
    spec.extended_key_usage = purpose;
    const TestCertificate certificate = MintSignedBy(scene.root, spec);
    TlsServer server(MakeTlsServerContext(ServerOf(certificate, GetParam())));
    ClientEnd client(ClientContext());
    EXPECT_TRUE(Converse(client, server)) << purpose;
  }
}

TEST_P(ClientVersionTest, ClimbsAnIntermediateAndNamesTheAnchor) {
  const TlsScene& scene = TlsScene::Get();
  const TestCertificate intermediate = MintSignedBy(scene.root, CaSpec("Between"));
  const TestCertificate leaf = MintSignedBy(intermediate, DomainSpec("edge.example"));
  TlsServerOptions options = ServerOf(leaf, GetParam());
  EXPECT_EQ(RefusalOf(leaf, GetParam()), FailureReason::kUntrustedCa);
  options.chain_pem = intermediate.pem;
  TlsServer server(MakeTlsServerContext(options));
  ClientEnd client(ClientContext());
  ASSERT_TRUE(Converse(client, server));
  EXPECT_NE(client.session().peer().issuer_key_sha256, client.session().peer().anchor_key_sha256);
}

TEST(ClientSessionTest, AServerThatIsNotOursToAskIsAnError) {
  TlsServerOptions options = ServerOf(TlsScene::Get().server);
  options.trusted_pem = MintSelfSigned(CaSpec("Their Root")).pem;  // Does not know our certificate.
  TlsServer server(MakeTlsServerContext(options));
  ClientEnd client(ClientContext());
  EXPECT_FALSE(Converse(client, server));
}

// ---- Resumption -----------------------------------------------------------------------------

struct Meeting {
  bool connected = false;
  bool client_says_resumed = false;
  bool server_says_resumed = false;
  bool offered = false;
  PeerResult peer;
};

// One connection to a server of that context, a message each way, and a goodbye.
Meeting Meet(const std::shared_ptr<Context>& context,
             const std::shared_ptr<ssl_ctx_st>& server_side, ClientSessions& sessions,
             uint8_t name = 1, std::string_view sni = "edge.example") {
  TlsServer server(server_side);
  ClientEnd client(context, sni, Under(sessions, name));
  Meeting meeting;
  meeting.offered = client.session().offered_resumption();
  meeting.connected = Converse(client, server);
  if (!meeting.connected) return meeting;
  meeting.client_says_resumed = client.session().peer().resumed;
  meeting.server_says_resumed = server.resumed();
  meeting.peer = client.session().peer();
  EXPECT_EQ(std::string(meeting.peer.leaf_der.begin(), meeting.peer.leaf_der.end()),
            TlsScene::Get().server.Der());
  EXPECT_TRUE(client.Write("hello"));
  Converse(client, server);
  EXPECT_EQ(server.Read(), "hello");
  EXPECT_TRUE(server.Write("world"));
  Converse(client, server);
  EXPECT_EQ(client.received(), "world");
  meeting.peer.leaf_der = {};
  return meeting;
}

bool Full(const Meeting& meeting) {
  return meeting.connected && !meeting.client_says_resumed && !meeting.server_says_resumed;
}
bool Resumed(const Meeting& meeting) {
  return meeting.connected && meeting.client_says_resumed && meeting.server_says_resumed;
}

TEST_P(ClientVersionTest, ResumesWithWhatTheFullHandshakeProved) {
  const std::shared_ptr<Context> context = ClientContext();
  const auto server = MakeTlsServerContext(ServerOf(TlsScene::Get().server, GetParam()));
  ClientSessions sessions(4);
  const Meeting first = Meet(context, server, sessions);
  ASSERT_TRUE(Full(first));
  EXPECT_FALSE(first.offered);
  EXPECT_EQ(sessions.size(), 1u);
  for (int i = 0; i < 4; ++i) {
    const Meeting next = Meet(context, server, sessions);
    ASSERT_TRUE(Resumed(next)) << i;
    EXPECT_TRUE(next.peer.verified);
    EXPECT_EQ(next.peer.fingerprint, first.peer.fingerprint);
    EXPECT_EQ(next.peer.issuer_key_sha256, first.peer.issuer_key_sha256);
    EXPECT_EQ(next.peer.anchor_key_sha256, first.peer.anchor_key_sha256);
    EXPECT_EQ(next.peer.authenticated_at, first.peer.authenticated_at);
    EXPECT_EQ(next.peer.not_after, first.peer.not_after);
    EXPECT_EQ(next.peer.version, first.peer.version);
    EXPECT_FALSE(next.peer.cipher.empty());
    EXPECT_EQ(sessions.size(), 1u) << i;
  }
}

TEST_P(ClientVersionTest, ADeclinedTicketLeadsToAFullHandshake) {
  const std::shared_ptr<Context> context = ClientContext();
  const auto server = MakeTlsServerContext(ServerOf(TlsScene::Get().server, GetParam()));
  ClientSessions sessions(4);
  ASSERT_TRUE(Full(Meet(context, server, sessions)));
  ForgetTickets(*server);
  const Meeting declined = Meet(context, server, sessions);
  EXPECT_TRUE(declined.offered);
  EXPECT_TRUE(Full(declined));
  EXPECT_TRUE(Resumed(Meet(context, server, sessions)));
}

// What the server shows after it declined is what counts, not what the session said.
TEST_P(ClientVersionTest, ADeclinedTicketDoesNotVouchForTheNextCertificate) {
  const std::shared_ptr<Context> context = ClientContext();
  const auto server = MakeTlsServerContext(ServerOf(TlsScene::Get().server, GetParam()));
  ClientSessions sessions(4);
  ASSERT_TRUE(Full(Meet(context, server, sessions)));
  const TestCertificate stranger =
      MintSignedBy(MintSelfSigned(CaSpec("Other Root")), DomainSpec("edge.example"));
  TlsServer impostor(MakeTlsServerContext(ServerOf(stranger, GetParam())));
  ClientEnd client(context, "edge.example", Under(sessions));
  EXPECT_TRUE(client.session().offered_resumption());
  EXPECT_FALSE(Converse(client, impostor));
  EXPECT_EQ(client.session().failure(), FailureReason::kUntrustedCa);
  EXPECT_EQ(sessions.size(), 0u);
}

TEST_P(ClientVersionTest, ASessionIsOfferedUnderItsNameOnly) {
  const TlsScene& scene = TlsScene::Get();
  const std::shared_ptr<Context> context = ClientContext();
  const auto server = MakeTlsServerContext(ServerOf(scene.server, GetParam()));
  ClientSessions sessions(8);
  ASSERT_TRUE(Full(Meet(context, server, sessions)));
  EXPECT_FALSE(Meet(context, server, sessions, 2).offered);
  EXPECT_FALSE(Meet(context, server, sessions, 1, "other.example").offered);
  Profile profile = scene.Profile();
  profile.name = "another";
  EXPECT_FALSE(Meet(MakeContext(profile, ClientOptions()), server, sessions).offered);
  profile = scene.Profile();
  profile.certificate_pem = scene.client.pem;  // We would be somebody else.
  profile.key_pem = scene.client.key_pem;
  EXPECT_FALSE(Meet(MakeContext(profile, ClientOptions()), server, sessions).offered);
  profile = scene.Profile();
  profile.eku = EkuPolicy::kIgnore;
  EXPECT_FALSE(Meet(MakeContext(profile, ClientOptions()), server, sessions).offered);
  // The same policy in a context made anew, as after a reload.
  EXPECT_TRUE(Resumed(Meet(ClientContext(), server, sessions)));
}

TEST_P(ClientVersionTest, NothingIsOfferedThatAFullHandshakeWouldRefuse) {
  const TlsScene& scene = TlsScene::Get();
  const auto server = MakeTlsServerContext(ServerOf(scene.server, GetParam()));
  ClientSessions sessions(4);
  ASSERT_TRUE(Full(Meet(ClientContext(), server, sessions)));
  // The anchor is not trusted any more.
  Profile profile = scene.Profile();
  profile.trusted_ca_pem = MintSelfSigned(CaSpec("New Root")).pem;
  ClientEnd client(MakeContext(profile, ClientOptions()), "edge.example", Under(sessions));
  EXPECT_FALSE(client.session().offered_resumption());
  EXPECT_EQ(sessions.counters().refused, 1u);
  EXPECT_EQ(sessions.size(), 0u);

  // The leaf has expired, or the full handshake was too long ago, or a little less.
  struct Case {
    int64_t seconds_later;
    bool offered;
  };
  for (const Case& c : {Case{60, true}, Case{kTicketLifetimeSeconds + 1, false},
                        Case{int64_t{366} * 24 * 3600, false}, Case{-3600, false}}) {
    MovableClock clock;
    const std::shared_ptr<Context> context =
        MakeContext(scene.Profile(), ClientOptions(clock.clock()));
    sessions.Clear();
    ASSERT_TRUE(Full(Meet(context, server, sessions)));
    clock.offset_milliseconds = c.seconds_later * 1000;
    ClientEnd later(context, "edge.example", Under(sessions));
    EXPECT_EQ(later.session().offered_resumption(), c.offered) << c.seconds_later;
  }
}

// A session is worth as much as the certificates above the server's, too.
TEST_P(ClientVersionTest, NothingIsOfferedOnceAnyPartOfThePathHasExpired) {
  for (const bool anchor_ends_first : {false, true}) {
    MovableClock clock;
    const int64_t soon = clock.clock().Seconds() + 600;
    TestCertificateSpec spec = CaSpec("Brief Root");
    if (anchor_ends_first) spec.not_after = soon;
    const TestCertificate root = MintSelfSigned(spec);
    spec = CaSpec("Brief Sub");
    if (!anchor_ends_first) spec.not_after = soon;
    const TestCertificate sub = MintSignedBy(root, spec);
    const TestCertificate leaf = MintSignedBy(sub, DomainSpec("edge.example"));
    TlsServerOptions server_options = ServerOf(leaf, GetParam());
    server_options.chain_pem = sub.pem;
    const auto server_side = MakeTlsServerContext(server_options);
    Profile profile = TlsScene::Get().Profile();
    profile.trusted_ca_pem = root.pem;
    const auto context = MakeContext(profile, ClientOptions(clock.clock()));
    ClientSessions sessions(4);
    for (const bool resumes : {false, true}) {
      TlsServer server(server_side);
      ClientEnd client(context, "edge.example", Under(sessions));
      ASSERT_TRUE(Converse(client, server));
      EXPECT_EQ(client.session().peer().resumed, resumes);
      EXPECT_EQ(client.session().peer().not_after, soon);
      ASSERT_TRUE(server.Write("ticket"));
      Converse(client, server);
    }
    ASSERT_EQ(sessions.size(), 1u);
    clock.offset_milliseconds = 601 * 1000;
    TlsServer server(server_side);
    ClientEnd client(context, "edge.example", Under(sessions));
    EXPECT_FALSE(client.session().offered_resumption());
    EXPECT_EQ(sessions.counters().refused, 1u);
    EXPECT_FALSE(Converse(client, server));
    EXPECT_EQ(client.session().failure(), FailureReason::kExpired);
  }
}

// An anchor that was replaced by one of its key is judged by what it is now.
TEST(ClientSessionTest, NothingIsOfferedUnderAnAnchorThatEndedEarlierAfterAll) {
  MovableClock clock;
  const TestCertificate& root = TlsScene::Get().root;
  TestCertificateSpec spec = CaSpec("Test Root");
  spec.same_key_as = &root;
  spec.not_after = clock.clock().Seconds() + 600;
  Profile profile = TlsScene::Get().Profile();
  profile.trusted_ca_pem = MintSelfSigned(spec).pem;
  const auto replaced = MakeContext(profile, ClientOptions(clock.clock()));
  const auto server = MakeTlsServerContext(ServerOf(TlsScene::Get().server));
  ClientSessions sessions(4);
  ASSERT_TRUE(Full(Meet(ClientContext(), server, sessions)));
  clock.offset_milliseconds = 601 * 1000;
  EXPECT_FALSE(Meet(replaced, server, sessions).offered);
}

// The age counts from the full handshake, however often the session was renewed since.
TEST(ClientSessionTest, RenewalDoesNotMakeASessionYounger) {
  MovableClock clock;
  const std::shared_ptr<Context> context =
      MakeContext(TlsScene::Get().Profile(), ClientOptions(clock.clock()));
  ContextOptions server_options = test::ServerOptions(ClientCertificateMode::kRequired);
  server_options.clock = clock.clock();
  const std::shared_ptr<Context> server_context =
      MakeContext(TlsScene::Get().Profile(), server_options);
  ClientSessions sessions(4);
  for (int hour = 0; hour <= 13; hour += 3) {
    clock.offset_milliseconds = hour * int64_t{3'600'000};
    ServerEnd server(server_context, "edge.example");
    ClientEnd client(context, "edge.example", Under(sessions));
    ASSERT_TRUE(Converse(client, server)) << hour;
    EXPECT_EQ(client.session().peer().resumed, hour > 0 && hour <= 12) << hour;
    EXPECT_EQ(server.session().peer().resumed, hour > 0 && hour <= 12) << hour;
  }
}

TEST_P(ClientVersionTest, OurOwnServerResumesOurOwnClient) {
  Profile profile = TlsScene::Get().Profile();
  profile.sec_protocol = GetParam() == kTls12 ? SecProtocol::kTls12Only : SecProtocol::kTls13Only;
  const std::shared_ptr<Context> client_context = MakeContext(profile, ClientOptions());
  const std::shared_ptr<Context> server_context =
      MakeContext(profile, test::ServerOptions(ClientCertificateMode::kRequired));
  ClientSessions sessions(4);
  for (int i = 0; i < 4; ++i) {
    ServerEnd server(server_context, "edge.example");
    ClientEnd client(client_context, "edge.example", Under(sessions));
    ASSERT_TRUE(Converse(client, server)) << i;
    EXPECT_EQ(client.session().peer().resumed, i > 0) << i;
    EXPECT_EQ(server.session().peer().resumed, i > 0) << i;
    EXPECT_TRUE(client.session().peer().verified);
    EXPECT_TRUE(server.session().peer().verified);
  }
}

TEST(ClientSessionTest, ATls13TicketIsUsedOnce) {
  const std::shared_ptr<Context> context = ClientContext();
  TlsServerOptions options = ServerOf(TlsScene::Get().server);
  const auto server_side = MakeTlsServerContext(options);
  ClientSessions sessions(4);
  ASSERT_TRUE(Full(Meet(context, server_side, sessions)));
  ClientEnd lost(context, "edge.example", Under(sessions));  // Its server never answers.
  EXPECT_TRUE(lost.session().offered_resumption());
  ClientEnd next(context, "edge.example", Under(sessions));
  EXPECT_FALSE(next.session().offered_resumption());
}

TEST(ClientSessionTest, SeveralTicketsAtOnceOrLaterLeaveOneGoodSession) {
  const std::shared_ptr<Context> context = ClientContext();
  TlsServerOptions options = ServerOf(TlsScene::Get().server);
  options.tickets = 5;
  const auto server_side = MakeTlsServerContext(options);
  for (const size_t piece : {size_t{0}, size_t{1}, size_t{700}}) {
    ClientSessions sessions(4);
    {
      TlsServer server(server_side);
      ClientEnd client(context, "edge.example", Under(sessions));
      ASSERT_TRUE(Converse(client, server, piece));
      EXPECT_FALSE(client.session().awaits_ticket());
      ASSERT_TRUE(server.IssueTicket());
      ASSERT_TRUE(server.Write("x"));
      ASSERT_TRUE(Converse(client, server, piece));
      EXPECT_EQ(client.received(), "x");
      EXPECT_EQ(sessions.counters().stored, 1u);
    }
    EXPECT_TRUE(Resumed(Meet(context, server_side, sessions))) << piece;
  }
}

TEST(ClientSessionTest, NobodyWaitsForATicketForEver) {
  const std::shared_ptr<Context> context = ClientContext();
  TlsServerOptions options = ServerOf(TlsScene::Get().server);
  options.no_tickets = true;
  const auto server_side = MakeTlsServerContext(options);
  ClientSessions sessions(4);
  TlsServer server(server_side);
  ClientEnd client(context, "edge.example", Under(sessions));
  ASSERT_TRUE(Converse(client, server));
  EXPECT_TRUE(client.session().awaits_ticket());
  client.session().StopAwaitingTicket();
  EXPECT_FALSE(client.session().awaits_ticket());
  EXPECT_EQ(sessions.size(), 0u);
  ASSERT_TRUE(server.UpdateKey());
  ASSERT_TRUE(server.Write("still here"));
  ASSERT_TRUE(Converse(client, server));
  EXPECT_EQ(client.received(), "still here");
}

TEST(ClientSessionTest, WithoutExtendedMasterSecretNothingIsKept) {
  TlsServerOptions options = ServerOf(TlsScene::Get().server, kTls12);
  options.no_extended_master_secret = true;
  const auto server = MakeTlsServerContext(options);
  ClientSessions sessions(4);
  EXPECT_TRUE(Full(Meet(ClientContext(), server, sessions)));
  EXPECT_EQ(sessions.size(), 0u);
}

TEST_P(ClientVersionTest, AProfileWithoutResumptionKeepsNothing) {
  Profile profile = TlsScene::Get().Profile();
  profile.resumption = false;
  const auto server = MakeTlsServerContext(ServerOf(TlsScene::Get().server, GetParam()));
  ClientSessions sessions(4);
  EXPECT_TRUE(Full(Meet(MakeContext(profile, ClientOptions()), server, sessions)));
  EXPECT_EQ(sessions.size(), 0u);
}

// A server that was upgraded or downgraded meanwhile: at worst one attempt fails.
TEST(ClientSessionTest, AServerOfAnotherVersionIsReachedAtTheSecondAttempt) {
  const std::shared_ptr<Context> context = ClientContext();
  const auto old = MakeTlsServerContext(ServerOf(TlsScene::Get().server, kTls12));
  const auto young = MakeTlsServerContext(ServerOf(TlsScene::Get().server, kTls13));
  for (const auto& [before, after] : {std::pair(old, young), std::pair(young, old)}) {
    ClientSessions sessions(4);
    ASSERT_TRUE(Full(Meet(context, before, sessions)));
    const Meeting first = Meet(context, after, sessions);
    EXPECT_TRUE(first.offered);
    if (!first.connected) {
      const Meeting second = Meet(context, after, sessions);
      EXPECT_FALSE(second.offered);
      EXPECT_TRUE(Full(second));
    }
    EXPECT_TRUE(Resumed(Meet(context, after, sessions)));
  }
}

// One connection that is over its handshake and has its ticket behind it, or has given it up.
[[maybe_unused]] std::unique_ptr<Session> IdleSession(
    const std::shared_ptr<Context>& context, const std::shared_ptr<ssl_ctx_st>& server_side,
    const ClientResumption& resumption, core::OutputQueue& out) {
  TlsServer server(server_side);
  auto session = Session::Create(context, ServerName("edge.example"), resumption);
  std::string to_client;
  for (int round = 0; round < 8; ++round) {
    std::span<const std::byte> rest = std::as_bytes(std::span(to_client));
    if (!session->established()) {
      EXPECT_NE(session->Handshake(rest, out), HandshakeOutcome::kFailed);
    }
    std::array<std::byte, 64> plaintext;
    if (session->established()) static_cast<void>(session->Decrypt(rest, plaintext, out));
    server.Receive(test::TakeBytes(out));
    to_client = server.TakeOutput();
  }
  EXPECT_TRUE(session->established());
  session->DropLeaf();
  session->StopAwaitingTicket();
  return session;
}

TEST_P(ClientVersionTest, AnIdleSessionHoldsNoTicket) {
#ifdef SALLYPORT_SANITIZED
  GTEST_SKIP() << "the sanitizer has a heap of its own";
#else
  constexpr size_t kSessions = 50;
  const std::shared_ptr<Context> context = ClientContext();
  for (const bool tickets : {true, false}) {
    for (const bool resumes : {true, false}) {
      TlsServerOptions options = ServerOf(TlsScene::Get().server, GetParam());
      options.no_tickets = !tickets;
      const auto server = MakeTlsServerContext(options);
      core::BufferPool pool(1024 * 1024);
      core::OutputQueue out(pool, 256 * 1024);
      ClientSessions store(1);
      std::vector<std::unique_ptr<Session> > idle;
      idle.reserve(kSessions);
      IdleSession(context, server, Under(store), out);  // What is allocated once.
      const size_t before = mallinfo2().uordblks;
      for (size_t i = 0; i < kSessions; ++i) {
        if (!resumes) store.Clear();
        idle.push_back(IdleSession(context, server, Under(store), out));
        EXPECT_EQ(idle.back()->peer().resumed, resumes && tickets);
      }
      const size_t each = (mallinfo2().uordblks - before) / kSessions;
      std::printf("idle client session: %zu bytes of heap\n", each);
      EXPECT_LT(each, 5000u);  // Measured 3.9 to 4.3 kB.
    }
  }
#endif
}

TEST(ClientSessionsTest, TheOldestMakesRoom) {
  const std::shared_ptr<Context> context = ClientContext();
  const auto server = MakeTlsServerContext(ServerOf(TlsScene::Get().server));
  ClientSessions sessions(2);
  for (uint8_t name = 1; name <= 3; ++name)
    ASSERT_TRUE(Full(Meet(context, server, sessions, name)));
  EXPECT_EQ(sessions.size(), 2u);
  EXPECT_EQ(sessions.counters().evicted, 1u);
  EXPECT_TRUE(Resumed(Meet(context, server, sessions, 2)));
  EXPECT_TRUE(Resumed(Meet(context, server, sessions, 3)));
  EXPECT_TRUE(Full(Meet(context, server, sessions, 1)));
}

}  // namespace
}  // namespace sallyport::tls
