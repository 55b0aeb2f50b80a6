// Resumption, and what a hostile client tries during a handshake.
#include "tls/handshake.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "core/check.h"
#include "tests/support/tls_scene.h"
#include "tls/certificate_reader.h"

namespace sallyport::tls {
namespace {

using test::Converse;
using test::MakeContext;
using test::MintSignedBy;
using test::ServerEnd;
using test::ServerOptions;
using test::TestCertificate;
using test::TlsClient;
using test::TlsClientOptions;
using test::TlsScene;
using Ticket = std::shared_ptr<ssl_session_st>;

constexpr int kTls12 = 0x0303;
constexpr int kTls13 = 0x0304;

struct Outcome {
  bool connected = false;
  bool client_resumed = false;
  PeerResult peer;
  std::string leaf;
  FailureReason failure = FailureReason::kNone;
  Ticket ticket;
};

class ResumptionTest : public testing::TestWithParam<int> {
 protected:
  const TlsScene& scene_ = TlsScene::Get();

  TlsClientOptions Client(const TestCertificate* certificate, Ticket ticket = nullptr) const {
    TlsClientOptions options;
    options.min_version = options.max_version = GetParam();
    options.certificate = certificate;
    options.session = std::move(ticket);
    return options;
  }

  static Outcome Connect(const std::shared_ptr<Context>& context, const TlsClientOptions& options,
                         std::string_view server_name = "") {
    TlsClient client(options);
    ServerEnd server(context, server_name);
    Outcome outcome;
    outcome.connected = Converse(client, server);
    client.Read();  // Takes the TLS 1.3 ticket.
    outcome.failure = server.session().failure();
    outcome.client_resumed = client.resumed();
    outcome.peer = server.session().peer();
    outcome.leaf.assign(outcome.peer.leaf_der.begin(), outcome.peer.leaf_der.end());
    outcome.ticket = client.Ticket();
    if (outcome.connected) {
      EXPECT_EQ(outcome.peer.resumed, outcome.client_resumed);
      EXPECT_TRUE(client.Write("hello"));
      server.Feed(client.TakeOutput());
      EXPECT_EQ(server.received(), "hello");
    }
    return outcome;
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, ResumptionTest, testing::Values(kTls12, kTls13),
                         [](const auto& version) {
                           return version.param == kTls12 ? "Tls12" : "Tls13";
                         });

TEST_P(ResumptionTest, KeepsTheIdentity) {
  const auto context = MakeContext();
  const Outcome full = Connect(context, Client(&scene_.client));
  ASSERT_TRUE(full.connected);
  EXPECT_FALSE(full.peer.resumed);
  ASSERT_NE(full.ticket, nullptr);
  // The certificate is not needed again, so a client without it may resume.
  const Outcome resumed = Connect(context, Client(nullptr, full.ticket));
  ASSERT_TRUE(resumed.connected);
  EXPECT_TRUE(resumed.peer.resumed);
  EXPECT_TRUE(resumed.peer.verified);
  EXPECT_EQ(resumed.leaf, scene_.client.Der());
  EXPECT_EQ(resumed.peer.fingerprint, full.peer.fingerprint);
  EXPECT_EQ(resumed.peer.issuer_key_sha256, full.peer.issuer_key_sha256);
  EXPECT_EQ(resumed.peer.anchor_key_sha256, full.peer.anchor_key_sha256);
  EXPECT_EQ(resumed.peer.authenticated_at, full.peer.authenticated_at);
  EXPECT_EQ(resumed.peer.not_after, full.peer.not_after);
  EXPECT_EQ(context->counters().tickets_opened, 1u);
}

TEST_P(ResumptionTest, SurvivesSeveralResumptionsWithTheFirstTime) {
  test::MovableClock clock;
  ContextOptions options = ServerOptions();
  options.clock = clock.clock();
  const auto context = MakeContext(scene_.Profile(), options);
  Outcome last = Connect(context, Client(&scene_.client));
  const int64_t first_time = last.peer.authenticated_at;
  for (int i = 0; i < 3; ++i) {
    clock.offset_milliseconds +=
        3000;  // The client's clock stands; more than 10 s would be a ticket out of time.
    const Outcome next = Connect(context, Client(nullptr, last.ticket));
    ASSERT_TRUE(next.connected);
    EXPECT_TRUE(next.peer.resumed) << i;
    EXPECT_EQ(next.leaf, scene_.client.Der());
    EXPECT_EQ(next.peer.authenticated_at, first_time);
    ASSERT_TRUE(next.ticket != nullptr || GetParam() == kTls12);
    if (next.ticket != nullptr) last = next;
  }
}

TEST_P(ResumptionTest, WorksInAnotherProcessThatSharesTheSecret) {
  const Outcome full = Connect(MakeContext(), Client(&scene_.client));
  const Outcome resumed = Connect(MakeContext(), Client(nullptr, full.ticket));
  EXPECT_TRUE(resumed.connected);
  EXPECT_TRUE(resumed.peer.resumed);
  EXPECT_EQ(resumed.leaf, scene_.client.Der());

  const Secret other = Secret::Generate();
  ContextOptions options = ServerOptions();
  options.secret = &other;
  const Outcome declined =
      Connect(MakeContext(scene_.Profile(), options), Client(&scene_.client, full.ticket));
  EXPECT_TRUE(declined.connected);
  EXPECT_FALSE(declined.peer.resumed);
  EXPECT_TRUE(declined.peer.verified);
}

TEST_P(ResumptionTest, SurvivesARotationOfTheSecret) {
  constexpr const char* kOld = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
  constexpr const char* kNew = "f0e1d2c3b4a5968778695a4b3c2d1e0ff1e2d3c4b5a69788796a5b4c3d2e1f00\n";
  const Secret before = *Secret::Parse(kOld, "test");
  const Secret during = *Secret::Parse(std::string(kNew) + kOld, "test");
  const Secret after = *Secret::Parse(kNew, "test");
  const auto context = [&](const Secret& secret) {
    ContextOptions options = ServerOptions();
    options.secret = &secret;
    return MakeContext(scene_.Profile(), options);
  };
  const Outcome old = Connect(context(before), Client(&scene_.client));
  EXPECT_TRUE(Connect(context(during), Client(nullptr, old.ticket)).peer.resumed);
  EXPECT_FALSE(Connect(context(after), Client(&scene_.client, old.ticket)).peer.resumed);
  const Outcome rotated = Connect(context(during), Client(&scene_.client));
  EXPECT_TRUE(Connect(context(after), Client(nullptr, rotated.ticket)).peer.resumed);
}

TEST_P(ResumptionTest, DeclinedTicketLeadsToAFullHandshakeAndItsVerdict) {
  bool acceptable = true;
  ContextOptions options = ServerOptions();
  options.ticket_acceptance = {[](void* owner, const PeerResult& peer) {
                                 EXPECT_FALSE(peer.leaf_der.empty());
                                 EXPECT_TRUE(peer.verified);
                                 return *static_cast<bool*>(owner);
                               },
                               &acceptable};
  const auto context = MakeContext(scene_.Profile(), options);
  const Outcome full = Connect(context, Client(&scene_.client));
  EXPECT_TRUE(Connect(context, Client(nullptr, full.ticket)).peer.resumed);
  acceptable = false;
  const Outcome again = Connect(context, Client(&scene_.client, full.ticket));
  EXPECT_TRUE(again.connected);
  EXPECT_FALSE(again.peer.resumed);
  EXPECT_EQ(again.leaf, scene_.client.Der());
  // Without its certificate the peer is nobody.
  const Outcome refused = Connect(context, Client(nullptr, full.ticket));
  EXPECT_FALSE(refused.peer.verified);
  EXPECT_EQ(refused.failure, FailureReason::kNoCertificate);
  EXPECT_EQ(context->counters().tickets_declined, 2u);
}

TEST_P(ResumptionTest, EndsWithTheCaSet) {
  const TestCertificate other = test::MintSelfSigned(test::CaSpec("Other Root"));
  const Outcome full = Connect(MakeContext(), Client(&scene_.client));
  Profile changed = scene_.Profile();
  changed.trusted_ca_pem = other.pem;
  const Outcome refused =
      Connect(MakeContext(changed, ServerOptions()), Client(&scene_.client, full.ticket));
  EXPECT_FALSE(refused.peer.verified);
  EXPECT_EQ(refused.failure, FailureReason::kUntrustedCa);
}

TEST_P(ResumptionTest, IsBoundToListenerNameAndMode) {
  const auto required = MakeContext();
  const Outcome full = Connect(required, Client(&scene_.client), "edge.example");
  EXPECT_TRUE(Connect(required, Client(nullptr, full.ticket), "edge.example").peer.resumed);
  EXPECT_FALSE(
      Connect(required, Client(&scene_.client, full.ticket), "other.example").peer.resumed);
  ContextOptions elsewhere = ServerOptions();
  elsewhere.policy_name = "another listener";
  EXPECT_FALSE(Connect(MakeContext(scene_.Profile(), elsewhere),
                       Client(&scene_.client, full.ticket), "edge.example")
                   .peer.resumed);
  EXPECT_FALSE(Connect(MakeContext(ClientCertificateMode::kOptional),
                       Client(&scene_.client, full.ticket), "edge.example")
                   .peer.resumed);
}

TEST_P(ResumptionTest, AnAnonymousTicketIsNoWayPastARequiredListener) {
  const auto optional = MakeContext(ClientCertificateMode::kOptional);
  const Outcome anonymous = Connect(optional, Client(nullptr));
  ASSERT_TRUE(anonymous.connected);
  ASSERT_NE(anonymous.ticket, nullptr);
  const Outcome control = Connect(optional, Client(nullptr, anonymous.ticket));
  EXPECT_TRUE(control.peer.resumed);
  EXPECT_FALSE(control.peer.verified);
  const Outcome refused = Connect(MakeContext(), Client(nullptr, anonymous.ticket));
  EXPECT_FALSE(refused.peer.verified);
  EXPECT_EQ(refused.failure, FailureReason::kNoCertificate);
}

TEST_P(ResumptionTest, EndsWithLifetimeAndWithTheCertificate) {
  test::MovableClock clock;
  ContextOptions options = ServerOptions();
  options.clock = clock.clock();
  const auto context = MakeContext(scene_.Profile(), options);
  const Outcome full = Connect(context, Client(&scene_.client));
  clock.offset_milliseconds = (kTicketLifetimeSeconds + 10) * 1000;
  EXPECT_FALSE(Connect(context, Client(&scene_.client, full.ticket)).peer.resumed);
  clock.offset_milliseconds = 0;

  test::TestCertificateSpec brief_spec = test::DomainSpec("a.example");
  brief_spec.not_after = std::time(nullptr) + 600;
  const TestCertificate brief = MintSignedBy(scene_.root, brief_spec);
  const Outcome shortly = Connect(context, Client(&brief));
  EXPECT_TRUE(Connect(context, Client(nullptr, shortly.ticket)).peer.resumed);
  clock.offset_milliseconds = 700 * 1000;
  const Outcome expired = Connect(context, Client(&brief, shortly.ticket));
  EXPECT_FALSE(expired.peer.verified);
  EXPECT_EQ(expired.failure, FailureReason::kExpired);
}

// A ticket is worth as much as the certificates above the leaf, too.
TEST_P(ResumptionTest, EndsWithTheIntermediateAndWithTheAnchor) {
  for (const bool anchor_ends_first : {false, true}) {
    const int64_t soon = std::time(nullptr) + 600;
    test::TestCertificateSpec spec = test::CaSpec("Brief Root");
    if (anchor_ends_first) spec.not_after = soon;
    const TestCertificate root = test::MintSelfSigned(spec);
    spec = test::CaSpec("Brief Sub");
    if (!anchor_ends_first) spec.not_after = soon;
    const TestCertificate sub = MintSignedBy(root, spec);
    const TestCertificate leaf = MintSignedBy(sub, test::DomainSpec("a.example"));
    TlsClientOptions client = Client(&leaf);
    client.chain_pem = sub.pem;

    test::MovableClock clock;
    ContextOptions options = ServerOptions();
    options.clock = clock.clock();
    Profile profile = scene_.Profile();
    profile.trusted_ca_pem = root.pem;
    const auto context = MakeContext(profile, options);
    const Outcome full = Connect(context, client);
    EXPECT_EQ(full.peer.not_after, soon);
    clock.offset_milliseconds = 3000;
    const Outcome resumed = Connect(context, Client(nullptr, full.ticket));
    ASSERT_TRUE(resumed.peer.resumed);
    EXPECT_EQ(resumed.peer.not_after, soon);
    ASSERT_EQ(context->counters().tickets_declined, 0u);

    clock.offset_milliseconds = 601 * 1000;
    client.session = full.ticket;
    const Outcome expired = Connect(context, client);
    EXPECT_FALSE(expired.peer.verified);
    EXPECT_EQ(expired.failure, FailureReason::kExpired);
    EXPECT_EQ(context->counters().tickets_declined, 1u);
  }
}

TEST_P(ResumptionTest, CanBeSwitchedOff) {
  Profile profile = scene_.Profile();
  profile.resumption = false;
  const auto off = MakeContext(profile, ServerOptions());
  EXPECT_EQ(Connect(off, Client(&scene_.client)).ticket, nullptr);
  const Outcome full = Connect(MakeContext(), Client(&scene_.client));
  EXPECT_FALSE(Connect(off, Client(&scene_.client, full.ticket)).peer.resumed);
}

TEST_P(ResumptionTest, ALargeLeafGetsNoUsableTicket) {
  test::TestCertificateSpec spec = test::DomainSpec("a.example");
  for (int i = 0; i < 120; ++i)
    spec.subject_alt_name += ",DNS:host-number-" + std::to_string(i) + ".a.example";
  const TestCertificate large = MintSignedBy(scene_.root, spec);
  ASSERT_GT(large.Der().size(), kTicketLeafBytesMax);
  const auto context = MakeContext();
  const Outcome full = Connect(context, Client(&large));
  EXPECT_TRUE(full.connected);
  const Outcome again = Connect(context, Client(&large, full.ticket));
  EXPECT_TRUE(again.connected);
  EXPECT_FALSE(again.peer.resumed);
}

// Every flipped bit of the ticket, its lengths included, leads to a full handshake and nothing
// else.
TEST_P(ResumptionTest, EveryFlippedBitDeclinesTheTicket) {
  const auto context = MakeContext();
  const Outcome full = Connect(context, Client(&scene_.client));
  ASSERT_NE(full.ticket, nullptr);
  const std::string original = test::TicketBytes(full.ticket);
  ASSERT_GT(original.size(), scene_.client.Der().size());
  for (size_t i = 0; i < original.size(); i += i < 40 || i + 40 > original.size() ? 1 : 23) {
    std::string ticket = original;
    ticket[i] = static_cast<char>(ticket[i] ^ (1 << (i % 8)));
    const Outcome outcome =
        Connect(context, Client(&scene_.client, test::WithTicketBytes(full.ticket, ticket)));
    EXPECT_TRUE(outcome.connected) << i;
    EXPECT_FALSE(outcome.peer.resumed) << i;
  }
}

// The length inside the ticket once made the library write past its buffer before any
// authentication.
TEST_P(ResumptionTest, AFalseLengthInsideTheTicketIsHarmless) {
  const auto context = MakeContext();
  const Outcome full = Connect(context, Client(&scene_.client));
  const std::string original = test::TicketBytes(full.ticket);
  for (const int length : {0, 1, 75, 107, 108, 140, 2000, 2284, 2285, 4096, 0x7fff, 0xffff}) {
    std::string ticket = original;
    ticket[32] = static_cast<char>(length >> 8);
    ticket[33] = static_cast<char>(length);
    const Outcome outcome =
        Connect(context, Client(&scene_.client, test::WithTicketBytes(full.ticket, ticket)));
    EXPECT_TRUE(outcome.connected) << length;
    EXPECT_FALSE(outcome.peer.resumed) << length;
  }
}

TEST(ResumptionRulesTest, WithoutExtendedMasterSecretThereIsNoResumption) {
  const TlsScene& scene = TlsScene::Get();
  const auto context = MakeContext();
  TlsClientOptions options;
  options.max_version = kTls12;
  options.certificate = &scene.client;
  options.no_extended_master_secret = true;
  TlsClient first(options);
  ServerEnd first_server(context);
  ASSERT_TRUE(Converse(first, first_server));
  options.session = first.Ticket();
  TlsClient second(options);
  ServerEnd second_server(context);
  ASSERT_TRUE(Converse(second, second_server));
  EXPECT_FALSE(second_server.session().peer().resumed);
}

TEST(ResumptionRulesTest, ResumptionWithoutKeyExchangeIsNotOffered) {
  const TlsScene& scene = TlsScene::Get();
  const auto context = MakeContext();
  TlsClientOptions options;
  options.min_version = kTls13;
  options.certificate = &scene.client;
  options.psk_without_dhe = true;
  TlsClient first(options);
  ServerEnd first_server(context);
  ASSERT_TRUE(Converse(first, first_server));
  first.Read();
  options.session = first.Ticket();
  TlsClient second(options);
  ServerEnd second_server(context);
  // OpenSSL offers both modes; ours must be the one with a key exchange, or a full handshake.
  ASSERT_TRUE(Converse(second, second_server)) << second.error();
  EXPECT_TRUE(second_server.session().peer().verified);
}

TEST(ResumptionRulesTest, AHelloRetryRequestKeepsTheTicket) {
  const TlsScene& scene = TlsScene::Get();
  const auto context = MakeContext();
  TlsClientOptions options;
  options.min_version = kTls13;
  options.certificate = &scene.client;
  TlsClient first(options);
  ServerEnd first_server(context);
  ASSERT_TRUE(Converse(first, first_server));
  first.Read();
  options.session = first.Ticket();
  options.certificate = nullptr;
  options.groups = "X448:P-256";  // The first is not ours, so the share must be asked for again.
  TlsClient second(options);
  ServerEnd second_server(context);
  ASSERT_TRUE(Converse(second, second_server)) << second.error();
  EXPECT_TRUE(second_server.session().peer().verified);
  EXPECT_TRUE(second_server.session().peer().resumed);
}

// ---- Forged records ---------------------------------------------------------------------------

std::string Unhex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// HKDF-Expand-Label (RFC 8446 §7.1) with SHA-256 and no context.
std::string ExpandLabel(const std::string& secret, const std::string& label, size_t bytes) {
  const std::string full = "tls13 " + label;
  std::string info{static_cast<char>(bytes >> 8), static_cast<char>(bytes),
                   static_cast<char>(full.size())};
  info += full;
  info += '\0';
  std::string out(bytes, '\0');
  EVP_PKEY_CTX* const context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr);
  CHECK(EVP_PKEY_derive_init(context) == 1);
  CHECK(EVP_PKEY_CTX_set_hkdf_mode(context, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY) == 1);
  CHECK(EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) == 1);
  CHECK(EVP_PKEY_CTX_set1_hkdf_key(context, reinterpret_cast<const unsigned char*>(secret.data()),
                                   static_cast<int>(secret.size())) == 1);
  CHECK(EVP_PKEY_CTX_add1_hkdf_info(context, reinterpret_cast<const unsigned char*>(info.data()),
                                    static_cast<int>(info.size())) == 1);
  CHECK(EVP_PKEY_derive(context, reinterpret_cast<unsigned char*>(out.data()), &bytes) == 1);
  EVP_PKEY_CTX_free(context);
  return out;
}

// One TLS 1.3 record as the client would send it, first under its secret, with any inner plaintext.
std::string ForgeRecord(const std::string& traffic_secret, const std::string& inner) {
  const std::string key = ExpandLabel(traffic_secret, "key", 16);
  const std::string iv =
      ExpandLabel(traffic_secret, "iv", 12);  // Sequence number 0: the IV as it is.
  const size_t length = inner.size() + 16;
  std::string record{'\x17', '\x03', '\x03', static_cast<char>(length >> 8),
                     static_cast<char>(length)};
  std::string sealed(inner.size(), '\0');
  std::string tag(16, '\0');
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  int out = 0;
  auto* const to = reinterpret_cast<unsigned char*>(sealed.data());
  CHECK(EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nullptr,
                           reinterpret_cast<const unsigned char*>(key.data()),
                           reinterpret_cast<const unsigned char*>(iv.data())) == 1);
  CHECK(EVP_EncryptUpdate(context, nullptr, &out,
                          reinterpret_cast<const unsigned char*>(record.data()), 5) == 1);
  if (!inner.empty()) {
    CHECK(EVP_EncryptUpdate(context, to, &out, reinterpret_cast<const unsigned char*>(inner.data()),
                            static_cast<int>(inner.size())) == 1);
  }
  unsigned char none[16];
  CHECK(EVP_EncryptFinal_ex(context, none, &out) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, tag.data()) == 1);
  EVP_CIPHER_CTX_free(context);
  return record + sealed + tag;
}

// Gets a client as far as the server's first flight and returns the secret that its next record
// would be sealed with.
std::string HandshakeSecret(TlsClient& client, ServerEnd& server) {
  server.Feed(client.TakeOutput());
  client.Receive(server.TakeOutput());
  constexpr std::string_view kLabel = "CLIENT_HANDSHAKE_TRAFFIC_SECRET ";
  const std::string& log = client.key_log();
  const size_t at = log.find(kLabel);
  CHECK(at != std::string::npos);
  const size_t secret = log.find(' ', at + kLabel.size()) + 1;
  return Unhex(std::string_view(log).substr(secret, log.find('\n', secret) - secret));
}

TlsClientOptions Aes128Client() {
  TlsClientOptions options;
  options.min_version = kTls13;
  options.ciphersuites = "TLS_AES_128_GCM_SHA256";
  options.certificate = &TlsScene::Get().client;
  return options;
}

// CVE-2024-0901 and its relatives: records right after ServerHello whose inner plaintext is empty,
// all padding, or of a type that has no business there.
TEST(ForgedRecordTest, OddInnerPlaintextsEndTheHandshake) {
  const std::vector<std::string> inners = {"",
                                           std::string(1, '\0'),
                                           std::string(15, '\0'),
                                           std::string(16, '\0'),
                                           std::string(300, '\0'),
                                           std::string(16384, '\0'),
                                           std::string(1, '\x16'),
                                           std::string(1, '\x15'),
                                           std::string(1, '\x17'),
                                           std::string("x\x17"),
                                           std::string("\x01\x00\x15", 3),
                                           std::string("\x14\x00\x00\x00\x16", 5),
                                           std::string("\x0b\x00\x00\x00\x16", 5),
                                           std::string("\x0b\xff\xff\xff\x16", 5)};
  for (const std::string& inner : inners) {
    TlsClient client(Aes128Client());
    ServerEnd server(MakeContext());
    const std::string secret = HandshakeSecret(client, server);
    server.Feed(ForgeRecord(secret, inner));
    EXPECT_NE(server.handshake_outcome(), HandshakeOutcome::kDone) << inner.size();
    EXPECT_FALSE(server.session().peer().verified);
  }
}

// CVE-2022-25640: a client that leaves out CertificateVerify.
TEST(ForgedRecordTest, ACertificateWithoutProofOfPossessionIsRefused) {
  TlsClient client(Aes128Client());
  ServerEnd server(MakeContext());
  const std::string secret = HandshakeSecret(client, server);
  const std::string der = TlsScene::Get().client.Der();
  const auto length24 = [](size_t n) {
    return std::string{static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
  };
  const std::string entry = length24(der.size()) + der + std::string(2, '\0');
  const std::string body = std::string(1, '\0') + length24(entry.size()) + entry;
  const std::string certificate = "\x0b" + length24(body.size()) + body;
  // A Finished follows at once; its MAC does not matter, the order does.
  const std::string finished = "\x14" + length24(32) + std::string(32, 'f');
  server.Feed(ForgeRecord(secret, certificate + finished + "\x16"));
  EXPECT_EQ(server.handshake_outcome(), HandshakeOutcome::kFailed);
  EXPECT_EQ(server.session().failure(), FailureReason::kProtocol)
      << server.session().failure_text();
  EXPECT_FALSE(server.session().peer().verified);
}

// CVE-2020-12457: change_cipher_spec without end.
TEST(ForgedRecordTest, RepeatedChangeCipherSpecsDoNotLoop) {
  TlsClient client(Aes128Client());
  ServerEnd server(MakeContext());
  server.Feed(client.TakeOutput());
  std::string flood;
  for (int i = 0; i < 50'000; ++i) flood += std::string("\x14\x03\x03\x00\x01\x01", 6);
  server.Feed(flood);
  EXPECT_EQ(server.handshake_outcome(), HandshakeOutcome::kFailed);
}

TEST(ForgedRecordTest, FloodsOfEmptyRecordsEnd) {
  TlsClient client(Aes128Client());
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server));
  std::string flood;
  for (int i = 0; i < 20'000; ++i) flood += std::string("\x17\x03\x03\x00\x00", 5);
  server.Feed(flood);
  EXPECT_EQ(server.decrypt_outcome(), DecryptOutcome::kFailed);
}

// Goal: no cut and no damage of the client's flights does more than fail. Every byte of both
// flights, one bit each.
// The certificate's signature is known, so only the proof of possession is left to notice.
TEST(ForgedRecordTest, DamagedHandshakesOnlyFail) {
  SignatureMemo memo;
  ContextOptions server_options = ServerOptions();
  server_options.signature_memo = &memo;
  for (const int version : {kTls12, kTls13}) {
    TlsClientOptions options;
    options.min_version = options.max_version = version;
    options.certificate = &TlsScene::Get().client;
    const auto context = MakeContext(TlsScene::Get().Profile(), server_options);
    {
      TlsClient good(options);
      ServerEnd server(context);
      ASSERT_TRUE(Converse(good, server));
    }
    for (size_t at = 0; at < 2000; at += 7) {
      TlsClient client(options);
      ServerEnd server(context);
      std::string hello = client.TakeOutput();
      size_t offset = at;
      if (offset < hello.size()) hello[offset] = static_cast<char>(hello[offset] ^ 0x11);
      server.Feed(hello);
      if (offset >= hello.size() && client.Receive(server.TakeOutput())) {
        offset -= hello.size();
        std::string flight = client.TakeOutput();
        if (offset >= flight.size()) break;
        flight[offset] = static_cast<char>(flight[offset] ^ 0x11);
        server.Feed(flight);
        EXPECT_NE(server.handshake_outcome(), HandshakeOutcome::kDone) << version << ' ' << at;
      }
    }
  }
}

}  // namespace
}  // namespace sallyport::tls
