#include "tls/session.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/tls_scene.h"
#include "tls/certificate_reader.h"

namespace sallyport::tls {
namespace {

using test::Converse;
using test::MakeContext;
using test::MintSelfSigned;
using test::MintSignedBy;
using test::ServerEnd;
using test::ServerOptions;
using test::TestCertificate;
using test::TestCertificateSpec;
using test::TlsClient;
using test::TlsClientOptions;
using test::TlsScene;

constexpr int kTls12 = 0x0303;
constexpr int kTls13 = 0x0304;

TlsClientOptions ClientOptions(int version, const TestCertificate* certificate) {
  TlsClientOptions options;
  options.min_version = options.max_version = version;
  options.certificate = certificate;
  options.trusted_pem = TlsScene::Get().root.pem;
  return options;
}

class SessionTest : public testing::TestWithParam<int> {
 protected:
  const TlsScene& scene_ = TlsScene::Get();

  // Runs one handshake in required mode with `certificate`; returns why it failed.
  FailureReason Try(const TestCertificate& certificate, const std::string& chain = "",
                    std::shared_ptr<Context> context = nullptr) {
    if (context == nullptr) context = MakeContext();
    TlsClientOptions options = ClientOptions(GetParam(), &certificate);
    options.chain_pem = chain;
    TlsClient client(options);
    ServerEnd server(context);
    const bool connected = Converse(client, server);
    // TLS 1.3 clients are done before the server judged them; the alert shows when they read.
    client.Read();
    const std::span<const uint8_t> refused = server.session().refused_leaf();
    last_refused_leaf_ = std::string(refused.begin(), refused.end());
    if (!connected || server.handshake_outcome() == HandshakeOutcome::kFailed) {
      EXPECT_NE(server.session().failure(), FailureReason::kNone);
      EXPECT_FALSE(server.session().peer().verified);
      EXPECT_NE(client.error(), "") << "the client was not told";
      last_client_error_ = client.error();
      last_text_ = std::string(server.session().failure_text());
      return server.session().failure();
    }
    return FailureReason::kNone;
  }

  std::string last_client_error_;
  std::string last_text_;
  std::string last_refused_leaf_;  // DER.
};

INSTANTIATE_TEST_SUITE_P(Versions, SessionTest, testing::Values(kTls12, kTls13),
                         [](const auto& version) {
                           return version.param == kTls12 ? "Tls12" : "Tls13";
                         });

Sha256Digest KeyDigest(const TestCertificate& certificate) {
  const std::string der = certificate.Der();
  const auto reading =
      ReadCertificate(std::span(reinterpret_cast<const uint8_t*>(der.data()), der.size()));
  return reading.identity->facts().public_key_sha256;
}

TEST_P(SessionTest, RequiredModeProvesThePeer) {
  TlsClient client(ClientOptions(GetParam(), &scene_.client));
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server)) << client.error() << server.session().failure_text();
  const PeerResult& peer = server.session().peer();
  EXPECT_TRUE(peer.verified);
  EXPECT_FALSE(peer.resumed);
  EXPECT_EQ(peer.version, GetParam() == kTls13 ? TlsVersion::kTls13 : TlsVersion::kTls12);
  EXPECT_EQ(peer.cipher, GetParam() == kTls13 ? "TLS_AES_256_GCM_SHA384"
                                              : "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
  const std::string der = scene_.client.Der();
  EXPECT_EQ(std::string(peer.leaf_der.begin(), peer.leaf_der.end()), der);
  EXPECT_EQ(peer.fingerprint, CertificateFingerprint(peer.leaf_der));
  EXPECT_EQ(peer.issuer_key_sha256, KeyDigest(scene_.root));
  EXPECT_EQ(peer.anchor_key_sha256, KeyDigest(scene_.root));
  server.session().DropLeaf();
  EXPECT_TRUE(peer.leaf_der.empty());
}

TEST_P(SessionTest, OptionalModeTakesAnonymousPeersAndRefusesBadCertificates) {
  const auto context = MakeContext(ClientCertificateMode::kOptional);
  {
    TlsClient client(ClientOptions(GetParam(), nullptr));
    ServerEnd server(context);
    ASSERT_TRUE(Converse(client, server)) << client.error();
    EXPECT_FALSE(server.session().peer().verified);
    EXPECT_EQ(server.session().peer().fingerprint, Sha256Digest{});
  }
  {
    TlsClient client(ClientOptions(GetParam(), &scene_.client));
    ServerEnd server(context);
    ASSERT_TRUE(Converse(client, server)) << client.error();
    EXPECT_TRUE(server.session().peer().verified);
  }
  const TestCertificate stranger = MintSelfSigned(test::DomainSpec("a.example"));
  EXPECT_EQ(Try(stranger, "", context), FailureReason::kUntrustedCa);
}

TEST_P(SessionTest, IgnoredModeAsksForNothing) {
  TlsClient client(ClientOptions(GetParam(), &scene_.client));
  ServerEnd server(MakeContext(ClientCertificateMode::kIgnored));
  ASSERT_TRUE(Converse(client, server)) << client.error();
  EXPECT_FALSE(server.session().peer().verified);
}

TEST_P(SessionTest, RequiredModeRefusesAnonymousPeersWithAnAlert) {
  TlsClient client(ClientOptions(GetParam(), nullptr));
  ServerEnd server(MakeContext());
  Converse(client, server);
  client.Read();
  EXPECT_EQ(server.handshake_outcome(), HandshakeOutcome::kFailed);
  EXPECT_EQ(server.session().failure(), FailureReason::kNoCertificate);
  EXPECT_TRUE(server.session().refused_leaf().empty());
  EXPECT_NE(client.error(), "");
}

TEST_P(SessionTest, SingleBytesGiveTheSameResult) {
  TlsClient client(ClientOptions(GetParam(), &scene_.client));
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server, 1)) << client.error();
  EXPECT_TRUE(server.session().peer().verified);
  ASSERT_TRUE(client.Write("REGISTER"));
  server.Feed(client.TakeOutput(), 1);
  EXPECT_EQ(server.received(), "REGISTER");
}

TEST_P(SessionTest, DataThatCameWithFinishedIsNotLost) {
  TlsClient client(ClientOptions(GetParam(), &scene_.client));
  ServerEnd server(MakeContext());
  server.Feed(client.TakeOutput());
  ASSERT_TRUE(client.Receive(server.TakeOutput()));
  if (GetParam() == kTls12) {  // One more round trip before the client may write.
    server.Feed(client.TakeOutput());
    ASSERT_TRUE(client.Receive(server.TakeOutput()));
  }
  ASSERT_TRUE(client.connected());
  ASSERT_TRUE(client.Write("first"));
  ASSERT_TRUE(client.Write("second"));
  server.Feed(client.TakeOutput());  // Certificate, CertificateVerify, Finished and data at once.
  EXPECT_EQ(server.handshake_outcome(), HandshakeOutcome::kDone);
  EXPECT_EQ(server.received(), "firstsecond");
}

TEST_P(SessionTest, CarriesDataBothWays) {
  TlsClient client(ClientOptions(GetParam(), &scene_.client));
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server));
  std::string large(50'000, 'x');
  large += "end";
  server.set_plaintext_buffer_bytes(1000);  // Smaller than a record.
  ASSERT_TRUE(client.Write(large));
  server.Feed(client.TakeOutput());
  EXPECT_EQ(server.received(), large);
  EXPECT_EQ(server.decrypt_outcome(), DecryptOutcome::kData);
  ASSERT_TRUE(server.Write(large));
  ASSERT_TRUE(client.Receive(server.TakeOutput()));
  EXPECT_EQ(client.Read(), large);
}

TEST_P(SessionTest, EveryKeyTypeTalksToEveryOther) {
  Profile rsa = scene_.Profile();
  rsa.certificate_pem = scene_.server_rsa.pem;
  rsa.key_pem = scene_.server_rsa.key_pem;
  const auto rsa_context = MakeContext(rsa, ServerOptions());
  const auto ecdsa_context = MakeContext();
  TestCertificateSpec spec = test::DomainSpec("a.example");
  spec.key = test::TestKey::kP384;
  const TestCertificate p384 = MintSignedBy(scene_.root, spec);
  spec.key = test::TestKey::kEd25519;
  const TestCertificate ed25519 = MintSignedBy(scene_.root, spec);
  for (const auto& context : {rsa_context, ecdsa_context}) {
    for (const TestCertificate* client : {&scene_.client, &scene_.client_rsa, &p384, &ed25519}) {
      EXPECT_EQ(Try(*client, "", context), FailureReason::kNone)
          << last_text_ << last_client_error_;
    }
  }
}

TEST_P(SessionTest, RefusesACaOfTheSameNameWithAnotherKey) {
  TestCertificateSpec clone_spec = test::CaSpec("Test Root");
  const TestCertificate clone = MintSelfSigned(clone_spec);
  EXPECT_EQ(Try(MintSignedBy(clone, test::DomainSpec("a.example"))), FailureReason::kUntrustedCa);
  EXPECT_NE(Try(MintSignedBy(clone, test::DomainSpec("a.example")), clone.pem),
            FailureReason::kNone);
  // Without key identifiers only the signature tells them apart.
  clone_spec.key_identifiers = false;
  const TestCertificate bare_clone = MintSelfSigned(clone_spec);
  TestCertificateSpec leaf = test::DomainSpec("a.example");
  leaf.key_identifiers = false;
  EXPECT_NE(Try(MintSignedBy(bare_clone, leaf)), FailureReason::kNone);
  EXPECT_NE(Try(MintSignedBy(bare_clone, leaf), bare_clone.pem), FailureReason::kNone);
}

TEST_P(SessionTest, RefusesCertificatesThatLeadNowhere) {
  const TestCertificate other_root = MintSelfSigned(test::CaSpec("Other Root"));
  EXPECT_EQ(Try(MintSignedBy(other_root, test::DomainSpec("a.example")), other_root.pem),
            FailureReason::kUntrustedCa);
  EXPECT_EQ(Try(MintSelfSigned(test::DomainSpec("a.example"))), FailureReason::kUntrustedCa);
}

TEST_P(SessionTest, RefusesAnEndEntityCertificateUsedAsCa) {
  const TestCertificate forged = MintSignedBy(scene_.client, test::DomainSpec("victim.example"));
  EXPECT_EQ(Try(forged, scene_.client.pem), FailureReason::kUntrustedCa);
  // CA:TRUE, but not allowed to sign certificates.
  TestCertificateSpec no_sign = test::CaSpec("Sub");
  no_sign.key_usage = "critical,digitalSignature";
  const TestCertificate sub = MintSignedBy(scene_.root, no_sign);
  EXPECT_NE(Try(MintSignedBy(sub, test::DomainSpec("victim.example")), sub.pem),
            FailureReason::kNone);
}

TEST_P(SessionTest, RefusesTheWrongTime) {
  const int64_t now = std::time(nullptr);
  TestCertificateSpec spec = test::DomainSpec("a.example");
  spec.not_before = now - 7200;
  spec.not_after = now - 3600;
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kExpired);
  spec.not_before = now + 3600;
  spec.not_after = now + 7200;
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kNotYetValid);
}

TEST_P(SessionTest, ReadsTheClockThatWasPassedIn) {
  test::MovableClock clock;
  ContextOptions options = ServerOptions();
  options.clock = clock.clock();
  const auto context = MakeContext(scene_.Profile(), options);
  EXPECT_EQ(Try(scene_.client, "", context), FailureReason::kNone);
  clock.offset_milliseconds = 400LL * 86400 * 1000;
  EXPECT_EQ(Try(scene_.client, "", context), FailureReason::kExpired);
  clock.offset_milliseconds = -2LL * 86400 * 1000;
  EXPECT_EQ(Try(scene_.client, "", context), FailureReason::kNotYetValid);
}

// By the library or by us, and for any certificate of the chain: the leaf is told, as it was sent.
TEST_P(SessionTest, TellsWhichLeafWasRefused) {
  const TestCertificate other_root = MintSelfSigned(test::CaSpec("Other"));
  const TestCertificate other_sub = MintSignedBy(other_root, test::CaSpec("Other Sub"));
  TestCertificateSpec expired = test::DomainSpec("a.example");
  expired.not_after = time(nullptr) - 10;
  TestCertificateSpec purpose = test::DomainSpec("a.example");
  purpose.key_usage = "critical,keyEncipherment";
  const TestCertificate stranger = MintSignedBy(other_sub, test::DomainSpec("a.example"));
  EXPECT_EQ(Try(stranger, other_sub.pem), FailureReason::kUntrustedCa);
  EXPECT_EQ(last_refused_leaf_, stranger.Der());
  EXPECT_EQ(Try(stranger), FailureReason::kUntrustedCa);
  EXPECT_EQ(last_refused_leaf_, stranger.Der());
  for (const TestCertificateSpec& spec : {expired, purpose}) {
    const TestCertificate leaf = MintSignedBy(scene_.root, spec);
    EXPECT_NE(Try(leaf), FailureReason::kNone);
    EXPECT_EQ(last_refused_leaf_, leaf.Der());
  }
  EXPECT_EQ(Try(scene_.client), FailureReason::kNone);
  EXPECT_EQ(last_refused_leaf_, "");
}

TEST_P(SessionTest, JudgesKeyUsage) {
  TestCertificateSpec spec = test::DomainSpec("a.example");
  spec.key_usage = "critical,keyEncipherment";
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kKeyUsage);
  spec.key_usage.clear();
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kNone);
}

TEST_P(SessionTest, JudgesExtendedKeyUsage) {
  constexpr const char* kSipDomain = "1.3.6.1.5.5.7.3.20";
  const struct {
    const char* eku;
    bool tls, any_role, sip_domain;
  } cases[] = {
      {"", true, true, false},
      {"clientAuth", true, true, false},
      {"serverAuth", false, true, false},
      {"anyExtendedKeyUsage", true, true, false},
      {kSipDomain, true, true, true},
      {"codeSigning", false, false, false},
  };
  for (const auto& c : cases) {
    TestCertificateSpec spec = test::DomainSpec("a.example");
    spec.extended_key_usage = c.eku;
    const TestCertificate leaf = MintSignedBy(scene_.root, spec);
    const auto outcome = [&](EkuPolicy policy) {
      Profile profile = scene_.Profile();
      profile.eku = policy;
      return Try(leaf, "", MakeContext(profile, ServerOptions()));
    };
    const auto expected = [](bool ok) {
      return ok ? FailureReason::kNone : FailureReason::kKeyUsage;
    };
    EXPECT_EQ(outcome(EkuPolicy::kTls), expected(c.tls)) << c.eku;
    EXPECT_EQ(outcome(EkuPolicy::kTlsAnyRole), expected(c.any_role)) << c.eku;
    EXPECT_EQ(outcome(EkuPolicy::kSipDomain), expected(c.sip_domain)) << c.eku;
    EXPECT_EQ(outcome(EkuPolicy::kIgnore), FailureReason::kNone) << c.eku;
  }
  // The tolerant policies never excuse a wrong CA or a wrong time.
  Profile tolerant = scene_.Profile();
  tolerant.eku = EkuPolicy::kIgnore;
  TestCertificateSpec sip_only = test::DomainSpec("a.example");
  sip_only.extended_key_usage = kSipDomain;
  EXPECT_EQ(Try(MintSelfSigned(sip_only), "", MakeContext(tolerant, ServerOptions())),
            FailureReason::kUntrustedCa);
}

TEST_P(SessionTest, RefusesWeakCertificates) {
  TestCertificateSpec spec = test::DomainSpec("a.example");
  spec.digest = test::TestDigest::kSha1;
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kWeak);
  spec.digest = test::TestDigest::kSha256;
  spec.key = test::TestKey::kRsa1024;
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kWeak) << last_text_;
  // MD5, which only RSA CAs can still produce.
  TestCertificateSpec rsa_ca = test::CaSpec("RSA Root");
  rsa_ca.key = test::TestKey::kRsa2048;
  const TestCertificate rsa_root = MintSelfSigned(rsa_ca);
  Profile rsa_profile = scene_.Profile();
  rsa_profile.trusted_ca_pem = rsa_root.pem;
  TestCertificateSpec md5 = test::DomainSpec("a.example");
  md5.digest = test::TestDigest::kMd5;
  EXPECT_EQ(Try(MintSignedBy(rsa_root, md5), "", MakeContext(rsa_profile, ServerOptions())),
            FailureReason::kWeak)
      << last_text_;
  // A weak link higher up.
  TestCertificateSpec sub_spec = test::CaSpec("Weak Sub");
  sub_spec.digest = test::TestDigest::kSha1;
  const TestCertificate sub = MintSignedBy(scene_.root, sub_spec);
  EXPECT_EQ(Try(MintSignedBy(sub, test::DomainSpec("a.example")), sub.pem), FailureReason::kWeak)
      << last_text_;
}

TEST_P(SessionTest, RefusesUnknownCriticalExtensions) {
  TestCertificateSpec spec = test::DomainSpec("a.example");
  spec.unknown_critical_extension = "must understand";
  // A private one, one of RFC 5280's own arc, a short one, one beside authorityInfoAccess.
  for (const char* const oid :
       {"1.3.6.1.4.1.55555.1", "2.5.29.99", "1.2.3.4", "1.3.6.1.5.5.7.1.99", "2.16.840.1.1"}) {
    spec.unknown_extension_oid = oid;
    EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kCriticalExtension) << oid;
    EXPECT_NE(last_text_.find("critical extension"), std::string::npos) << last_text_;
  }
  // It is what is told, whatever else is wrong with the purpose.
  spec.key_usage = "critical,keyEncipherment";
  spec.extended_key_usage = "codeSigning";
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kCriticalExtension);
}

TEST_P(SessionTest, RefusesUnknownCriticalExtensionsOfIntermediates) {
  TestCertificateSpec spec = test::CaSpec("Critical Sub");
  spec.unknown_critical_extension = "must understand";
  const TestCertificate sub = MintSignedBy(scene_.root, spec);
  EXPECT_NE(Try(MintSignedBy(sub, test::DomainSpec("a.example")), sub.pem), FailureReason::kNone);
}

// RFC 5280 §4.1.2.2: CAs must not, and some do; verifiers should be prepared.
TEST_P(SessionTest, AcceptsOddSerialNumbers) {
  for (const int64_t serial : {int64_t{0}, int64_t{-1}, int64_t{-128}, int64_t{-129}, INT64_MIN}) {
    TestCertificateSpec spec = test::DomainSpec("a.example");
    spec.serial = serial;
    EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kNone)
        << serial << ": " << last_text_;
    TestCertificateSpec sub_spec = test::CaSpec("Odd Sub");
    sub_spec.serial = serial;
    const TestCertificate sub = MintSignedBy(scene_.root, sub_spec);
    EXPECT_EQ(Try(MintSignedBy(sub, test::DomainSpec("a.example")), sub.pem), FailureReason::kNone)
        << serial << ": " << last_text_;
  }
}

// Goal: an operator reads that it is the size. Method: more names than the library's bound holds.
TEST_P(SessionTest, RefusesCertificatesThatAreTooLarge) {
  TestCertificateSpec spec = test::DomainSpec("a.example");
  for (int i = 0; i < 900; ++i) {
    spec.subject_alt_name += ",DNS:host" + std::to_string(i) + ".some.a.example";
  }
  const TestCertificate large = MintSignedBy(scene_.root, spec);
  ASSERT_GT(large.Der().size(), 20'000U);
  ASSERT_LT(large.Der().size(), 24'000U);
  TlsClient client(ClientOptions(GetParam(), &large));
  ServerEnd server(MakeContext());
  Converse(client, server);
  EXPECT_EQ(server.handshake_outcome(), HandshakeOutcome::kFailed);
  EXPECT_EQ(server.session().failure(), FailureReason::kTooLarge);
  EXPECT_TRUE(server.session().failure_text().starts_with("too large"));
}

TEST_P(SessionTest, FollowsIntermediatesToTheirAnchor) {
  const TestCertificate sub = MintSignedBy(scene_.root, test::CaSpec("Sub"));
  const TestCertificate sub_sub = MintSignedBy(sub, test::CaSpec("Sub Sub"));
  const TestCertificate leaf = MintSignedBy(sub_sub, test::DomainSpec("a.example"));
  TlsClientOptions options = ClientOptions(GetParam(), &leaf);
  options.chain_pem = sub_sub.pem + sub.pem + scene_.root.pem;
  TlsClient client(options);
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server)) << client.error() << server.session().failure_text();
  EXPECT_EQ(server.session().peer().issuer_key_sha256, KeyDigest(sub_sub));
  EXPECT_EQ(server.session().peer().anchor_key_sha256, KeyDigest(scene_.root));
}

TEST_P(SessionTest, WhatOnePeerSentNeverHelpsAnother) {
  const auto context = MakeContext();
  const TestCertificate sub = MintSignedBy(scene_.root, test::CaSpec("Sub"));
  const TestCertificate leaf = MintSignedBy(sub, test::DomainSpec("a.example"));
  EXPECT_EQ(Try(leaf, sub.pem, context), FailureReason::kNone);
  EXPECT_EQ(Try(leaf, "", context), FailureReason::kUntrustedCa);  // Its own chain, every time.
  // A CA that did not verify does not stay either.
  const TestCertificate evil_root = MintSelfSigned(test::CaSpec("Evil Root"));
  const TestCertificate evil_sub = MintSignedBy(evil_root, test::CaSpec("Evil Sub"));
  const TestCertificate evil_leaf = MintSignedBy(evil_sub, test::DomainSpec("a.example"));
  EXPECT_NE(Try(evil_leaf, evil_sub.pem, context), FailureReason::kNone);
  EXPECT_NE(Try(scene_.client, evil_sub.pem + evil_root.pem, context), FailureReason::kUntrustedCa);
  EXPECT_NE(Try(evil_leaf, "", context), FailureReason::kNone);
  EXPECT_NE(Try(evil_leaf, evil_sub.pem, context), FailureReason::kNone);
}

TEST_P(SessionTest, AStrayCertificateInTheChainDoesNoHarm) {
  const TestCertificate stray = MintSelfSigned(test::CaSpec("Stray"));
  EXPECT_EQ(Try(scene_.client, stray.pem), FailureReason::kNone) << last_text_;
}

// Goal: the anchor that is reported is the one that verified. Method: beside the true intermediate,
// send one with the same key that claims another anchor as its signer.
TEST_P(SessionTest, AForgedTwinOfAnIntermediateCannotChangeTheAnchor) {
  const TestCertificate other_root = MintSelfSigned(test::CaSpec("Other Root"));
  Profile profile = scene_.Profile();
  profile.trusted_ca_pem = scene_.root.pem + other_root.pem;
  const TestCertificate sub = MintSignedBy(scene_.root, test::CaSpec("Sub"));
  const TestCertificate leaf = MintSignedBy(sub, test::DomainSpec("a.example"));
  TestCertificateSpec twin_spec = test::CaSpec("Sub");
  twin_spec.same_key_as = &sub;
  TestCertificate impostor =
      MintSelfSigned(test::CaSpec("Other Root"));  // Other Root's name, not its key.
  twin_spec.key_identifiers = false;
  const TestCertificate twin = MintSignedBy(impostor, twin_spec);
  for (const std::string& chain : {sub.pem + twin.pem, twin.pem + sub.pem}) {
    TlsClientOptions options = ClientOptions(GetParam(), &leaf);
    options.chain_pem = chain;
    TlsClient client(options);
    ServerEnd server(MakeContext(profile, ServerOptions()));
    Converse(client, server);
    if (server.handshake_outcome() != HandshakeOutcome::kDone) continue;  // Refusing is fine too.
    EXPECT_EQ(server.session().peer().anchor_key_sha256, KeyDigest(scene_.root));
  }
}

// ---- The earliest end of the path
// ----------------------------------------------------------------

// A root, an intermediate and a leaf that end after so many seconds.
struct BriefPath {
  BriefPath(int64_t root_seconds, int64_t sub_seconds, int64_t leaf_seconds) {
    const int64_t now = std::time(nullptr);
    TestCertificateSpec spec = test::CaSpec("Brief Root");
    spec.not_after = root_ends = now + root_seconds;
    root = MintSelfSigned(spec);
    spec = test::CaSpec("Brief Sub");
    spec.not_after = sub_ends = now + sub_seconds;
    sub = MintSignedBy(root, spec);
    spec = test::DomainSpec("a.example");
    spec.not_after = leaf_ends = now + leaf_seconds;
    leaf = MintSignedBy(sub, spec);
  }
  std::shared_ptr<Context> Trusting(const WallClock& clock = {},
                                    const std::string& more_anchors = "") const {
    Profile profile = TlsScene::Get().Profile();
    profile.trusted_ca_pem = root.pem + more_anchors;
    ContextOptions options = ServerOptions();
    options.clock = clock;
    return MakeContext(profile, options);
  }

  TestCertificate root, sub, leaf;
  int64_t root_ends, sub_ends, leaf_ends;
};

int64_t EndOf(int version, const BriefPath& path, const std::string& chain,
              const std::shared_ptr<Context>& context) {
  TlsClientOptions options = ClientOptions(version, &path.leaf);
  options.chain_pem = chain;
  TlsClient client(options);
  ServerEnd server(context);
  EXPECT_TRUE(Converse(client, server)) << client.error() << server.session().failure_text();
  return server.session().peer().not_after;
}

TEST_P(SessionTest, TheEarliestEndOfThePathCounts) {
  const BriefPath leaf_first(3000, 2000, 1000);
  EXPECT_EQ(EndOf(GetParam(), leaf_first, leaf_first.sub.pem, leaf_first.Trusting()),
            leaf_first.leaf_ends);
  const BriefPath sub_first(3000, 1000, 2000);
  EXPECT_EQ(EndOf(GetParam(), sub_first, sub_first.sub.pem, sub_first.Trusting()),
            sub_first.sub_ends);
  const BriefPath root_first(1000, 3000, 2000);
  EXPECT_EQ(EndOf(GetParam(), root_first, root_first.sub.pem, root_first.Trusting()),
            root_first.root_ends);
}

// What a peer sends along and the path does not need says nothing about it.
TEST_P(SessionTest, TheEndOfAStrayCertificateDoesNotCount) {
  const BriefPath path(3000, 3000, 2000);
  TestCertificateSpec spec = test::CaSpec("Stray Sub");
  spec.not_after = std::time(nullptr) + 500;
  const TestCertificate stray = MintSignedBy(path.root, spec);
  for (const std::string& chain : {path.sub.pem + stray.pem, stray.pem + path.sub.pem}) {
    EXPECT_EQ(EndOf(GetParam(), path, chain, path.Trusting()), path.leaf_ends);
  }
}

// Which of two certificates of one intermediate the library took is not known.
TEST_P(SessionTest, OfARenewedIntermediateTheEarlierEndCounts) {
  const BriefPath path(3000, 3000, 2000);
  TestCertificateSpec spec = test::CaSpec("Brief Sub");
  spec.same_key_as = &path.sub;
  spec.not_after = std::time(nullptr) + 500;
  const TestCertificate older = MintSignedBy(path.root, spec);
  for (const std::string& chain : {path.sub.pem + older.pem, older.pem + path.sub.pem}) {
    EXPECT_EQ(EndOf(GetParam(), path, chain, path.Trusting()), spec.not_after);
  }
}

TEST_P(SessionTest, OfARenewedAnchorTheLaterEndCounts) {
  const BriefPath path(1000, 3000, 2000);
  TestCertificateSpec spec = test::CaSpec("Brief Root");
  spec.same_key_as = &path.root;
  spec.not_after = std::time(nullptr) + 4000;
  const TestCertificate renewed = MintSelfSigned(spec);
  EXPECT_EQ(EndOf(GetParam(), path, path.sub.pem, path.Trusting({}, renewed.pem)), path.leaf_ends);
  spec.common_name = "Other Root";  // Of the same key, and another CA.
  const TestCertificate other = MintSelfSigned(spec);
  EXPECT_EQ(EndOf(GetParam(), path, path.sub.pem, path.Trusting({}, other.pem)), path.root_ends);
}

TEST_P(SessionTest, RefusesAPathOfWhichAnyPartHasExpired) {
  test::MovableClock clock;
  for (const BriefPath& path :
       {BriefPath(3000, 2000, 1000), BriefPath(3000, 1000, 2000), BriefPath(1000, 3000, 2000)}) {
    clock.offset_milliseconds = 0;
    const std::shared_ptr<Context> context = path.Trusting(clock.clock());
    EXPECT_EQ(Try(path.leaf, path.sub.pem, context), FailureReason::kNone) << last_text_;
    clock.offset_milliseconds = 1100 * 1000;
    EXPECT_EQ(Try(path.leaf, path.sub.pem, context), FailureReason::kExpired) << last_text_;
  }
}

TEST_P(SessionTest, NameConstraintsHold) {
  const auto constrained = [&](const char* constraints, const std::string& san) {
    TestCertificateSpec sub_spec = test::CaSpec("Constrained");
    sub_spec.name_constraints = constraints;
    const TestCertificate sub = MintSignedBy(scene_.root, sub_spec);
    TestCertificateSpec leaf = test::DomainSpec("a.example");
    leaf.common_name = "leaf";
    leaf.subject_alt_name = san;
    return Try(MintSignedBy(sub, leaf), sub.pem);
  };
  EXPECT_EQ(constrained("critical,permitted;DNS:a.example", "DNS:a.example"), FailureReason::kNone);
  EXPECT_EQ(constrained("critical,permitted;DNS:a.example", "DNS:evil.example"),
            FailureReason::kName);
  EXPECT_EQ(constrained("critical,permitted;DNS:a.example", "DNS:evila.example"),
            FailureReason::kName);
  EXPECT_EQ(constrained("critical,excluded;DNS:evil.example", "DNS:evil.example"),
            FailureReason::kName);
  EXPECT_NE(constrained("critical,permitted;URI:a.example", "URI:sip:evil.example"),
            FailureReason::kNone);
  EXPECT_NE(constrained("critical,excluded;URI:evil.example", "URI:sip:evil.example"),
            FailureReason::kNone);
  EXPECT_NE(constrained("critical,excluded;URI:evil.example", "URI:SIP:bob@EVIL.example:5061;a=b"),
            FailureReason::kNone);
  EXPECT_NE(constrained("critical,excluded;URI:.evil.example", "URI:sip:www.evil.example"),
            FailureReason::kNone);
  EXPECT_EQ(constrained("critical,excluded;URI:evil.example", "URI:sip:good.example"),
            FailureReason::kNone);
}

// A common name that stands in for a missing subjectAltName is bound by the constraints on DNS
// names too (CVE-2026-6731).
TEST_P(SessionTest, DnsConstraintsBindTheCommonName) {
  TestCertificateSpec sub_spec = test::CaSpec("Constrained");
  sub_spec.name_constraints = "critical,permitted;DNS:a.example";
  const TestCertificate sub = MintSignedBy(scene_.root, sub_spec);
  TestCertificateSpec leaf = test::DomainSpec("a.example");
  leaf.subject_alt_name.clear();
  EXPECT_EQ(Try(MintSignedBy(sub, leaf), sub.pem), FailureReason::kNone) << last_text_;
  leaf.common_name = "evil.example";
  EXPECT_NE(Try(MintSignedBy(sub, leaf), sub.pem), FailureReason::kNone);
}

TEST_P(SessionTest, RefusesNamesWithNul) {
  TestCertificateSpec spec = test::DomainSpec("good.example");
  spec.subject_alt_name =  // DNS:good.example\0.evil.org
      "DER:30:18:82:16:67:6f:6f:64:2e:65:78:61:6d:70:6c:65:00:2e:65:76:69:6c:2e:6f:72:67";
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kName) << last_text_;
  spec.subject_alt_name =  // URI:sip:good\0evil
      "DER:30:0f:86:0d:73:69:70:3a:67:6f:6f:64:00:65:76:69:6c";
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kName) << last_text_;
}

TEST_P(SessionTest, ManyNamesAreFine) {
  TestCertificateSpec spec = test::DomainSpec("a.example");
  for (int i = 0; i < 290; ++i)
    spec.subject_alt_name += ",DNS:n" + std::to_string(i) + ".a.example";
  EXPECT_EQ(Try(MintSignedBy(scene_.root, spec)), FailureReason::kNone) << last_text_;
}

TEST_P(SessionTest, PathLengthHolds) {
  TestCertificateSpec short_spec = test::CaSpec("Short");
  short_spec.basic_constraints = "critical,CA:TRUE,pathlen:0";
  const TestCertificate short_ca = MintSignedBy(scene_.root, short_spec);
  const TestCertificate below = MintSignedBy(short_ca, test::CaSpec("Below"));
  EXPECT_EQ(Try(MintSignedBy(short_ca, test::DomainSpec("a.example")), short_ca.pem),
            FailureReason::kNone);
  EXPECT_NE(Try(MintSignedBy(below, test::DomainSpec("a.example")), below.pem + short_ca.pem),
            FailureReason::kNone);
}

// Goal: two shards share nothing that needs a lock of ours. Run under the thread sanitizer.
TEST_P(SessionTest, ShardsWorkSideBySide) {
  {
    // As at every start, where the self-test shakes hands before there are shards: the library
    // finds out about the CPU at first use, without a lock.
    TlsClient client(ClientOptions(GetParam(), &scene_.client));
    ServerEnd server(MakeContext());
    ASSERT_TRUE(Converse(client, server));
  }
  std::vector<std::thread> shards;
  for (int shard = 0; shard < 2; ++shard) {
    shards.emplace_back([this] {
      SignatureMemo memo;
      ContextOptions options = ServerOptions();
      options.signature_memo = &memo;
      const auto context = MakeContext(scene_.Profile(), options);
      for (int i = 0; i < 20; ++i) {
        TlsClient client(ClientOptions(GetParam(), &scene_.client));
        ServerEnd server(context);
        EXPECT_TRUE(Converse(client, server));
      }
    });
  }
  for (std::thread& shard : shards) shard.join();
}

TEST_P(SessionTest, CloseNotifyIsToldFromTruncation) {
  {
    TlsClient client(ClientOptions(GetParam(), &scene_.client));
    ServerEnd server(MakeContext());
    ASSERT_TRUE(Converse(client, server));
    client.Write("last words");
    client.SendCloseNotify();
    server.Feed(client.TakeOutput());
    EXPECT_EQ(server.received(), "last words");
    EXPECT_EQ(server.decrypt_outcome(), DecryptOutcome::kCloseNotify);
    EXPECT_EQ(server.session().EndOfStream(), DecryptOutcome::kCloseNotify);
  }
  TlsClient client(ClientOptions(GetParam(), &scene_.client));
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server));
  EXPECT_EQ(server.session().EndOfStream(), DecryptOutcome::kTruncated);
  server.session().Close(server.out());
  ASSERT_TRUE(client.Receive(server.TakeOutput()));
  client.Read();
  EXPECT_TRUE(client.closed());
  EXPECT_FALSE(server.Write("too late"));
  EXPECT_TRUE(client.Write("still readable"));
  server.Feed(client.TakeOutput());
  EXPECT_EQ(server.received(), "still readable");
}

TEST_P(SessionTest, ADamagedRecordEndsTheSessionWithAnAlert) {
  TlsClient client(ClientOptions(GetParam(), &scene_.client));
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server));
  ASSERT_TRUE(client.Write("good"));
  const std::string good = client.TakeOutput();
  ASSERT_TRUE(client.Write("bad"));
  std::string bad = client.TakeOutput();
  bad[bad.size() - 3] ^= 0x40;
  server.Feed(good + bad);
  EXPECT_EQ(server.received(), "good");
  EXPECT_EQ(server.decrypt_outcome(), DecryptOutcome::kFailed);
  EXPECT_EQ(server.session().failure(), FailureReason::kProtocol);
  EXPECT_FALSE(server.Write("no more"));
  client.Receive(server.TakeOutput());
  client.Read();
  EXPECT_NE(client.error(), "");
}

TEST_P(SessionTest, NoSuiteInCommonIsToldAsSuch) {
  Profile profile = scene_.Profile();
  profile.cipher_list = "ECDHE-ECDSA-AES256-GCM-SHA384";
  profile.ciphersuites = "TLS_CHACHA20_POLY1305_SHA256";
  TlsClientOptions options = ClientOptions(GetParam(), &scene_.client);
  options.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
  options.ciphersuites = "TLS_AES_128_GCM_SHA256";
  TlsClient client(options);
  ServerEnd server(MakeContext(profile, ServerOptions()));
  EXPECT_FALSE(Converse(client, server));
  EXPECT_EQ(server.session().failure(), FailureReason::kCipher) << server.session().failure_text();
  EXPECT_NE(client.error(), "");
}

// Every suite that can be configured interoperates, in both directions and over several records.
TEST_P(SessionTest, EverySuiteCarriesData) {
  constexpr const char* kTls13Suites[] = {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
                                          "TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256",
                                          "TLS_AES_128_CCM_8_SHA256"};
  constexpr const char* kTls12Suites[] = {
      "AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305", "AES128-SHA256",
      "AES256-SHA384",     "AES128-SHA",        "AES256-SHA"};
  const auto talk = [&](const std::string& suite, const TestCertificate& certificate) {
    Profile profile = scene_.Profile();
    profile.certificate_pem = certificate.pem;
    profile.key_pem = certificate.key_pem;
    (GetParam() == kTls13 ? profile.ciphersuites : profile.cipher_list) = suite;
    TlsClientOptions options = ClientOptions(GetParam(), &scene_.client);
    (GetParam() == kTls13 ? options.ciphersuites : options.ciphers) = suite;
    TlsClient client(options);
    ServerEnd server(MakeContext(profile, ServerOptions()));
    ASSERT_TRUE(Converse(client, server)) << suite << client.error();
    EXPECT_NE(server.session().peer().cipher, "unknown") << suite;
    for (const size_t bytes : {size_t{1}, size_t{16}, size_t{700}, size_t{16384}, size_t{40000}}) {
      const std::string text(bytes, 's');
      ASSERT_TRUE(client.Write(text));
      server.Feed(client.TakeOutput());
      ASSERT_TRUE(server.Write(text));
      ASSERT_TRUE(client.Receive(server.TakeOutput()));
      EXPECT_EQ(client.Read(), text) << suite;
    }
    EXPECT_EQ(server.received().size(), 1u + 16 + 700 + 16384 + 40000) << suite;
  };
  if (GetParam() == kTls13) {
    for (const char* const suite : kTls13Suites) talk(suite, scene_.server);
    return;
  }
  for (const std::string suite : kTls12Suites) {
    talk("ECDHE-ECDSA-" + suite, scene_.server);
    talk("ECDHE-RSA-" + suite, scene_.server_rsa);
  }
}

TEST_P(SessionTest, TheOtherVersionCanBeSwitchedOff) {
  Profile profile = scene_.Profile();
  profile.sec_protocol = GetParam() == kTls12 ? SecProtocol::kTls13Only : SecProtocol::kTls12Only;
  const FailureReason reason = Try(scene_.client, "", MakeContext(profile, ServerOptions()));
  EXPECT_TRUE(reason == FailureReason::kProtocol || reason == FailureReason::kCipher);
  profile.sec_protocol = GetParam() == kTls12 ? SecProtocol::kTls12Only : SecProtocol::kTls13Only;
  EXPECT_EQ(Try(scene_.client, "", MakeContext(profile, ServerOptions())), FailureReason::kNone);
}

TEST_P(SessionTest, AFullOutputQueueFailsCleanly) {
  TlsClient client(ClientOptions(GetParam(), &scene_.client));
  ServerEnd server(MakeContext(), "", 100);
  server.Feed(client.TakeOutput());
  EXPECT_EQ(server.handshake_outcome(), HandshakeOutcome::kFailed);
  EXPECT_EQ(server.session().failure(), FailureReason::kInternal);
}

TEST_P(SessionTest, SessionsOutliveTheirContext) {
  auto context = MakeContext();
  TlsClient client(ClientOptions(GetParam(), &scene_.client));
  ServerEnd server(context);
  ASSERT_TRUE(Converse(client, server));
  const std::weak_ptr<Context> gone = context;
  context.reset();
  EXPECT_TRUE(gone.expired());
  ASSERT_TRUE(client.Write("after the reload"));
  server.Feed(client.TakeOutput());
  EXPECT_EQ(server.received(), "after the reload");
  ASSERT_TRUE(server.Write("yes"));
  client.Receive(server.TakeOutput());
  EXPECT_EQ(client.Read(), "yes");
}

TEST_P(SessionTest, TheSignatureMemoChangesNothingButTheCost) {
  SignatureMemo memo;
  ContextOptions options = ServerOptions();
  options.signature_memo = &memo;
  const auto context = MakeContext(scene_.Profile(), options);
  EXPECT_EQ(Try(scene_.client, "", context), FailureReason::kNone);
  EXPECT_EQ(memo.misses(), 1u);  // The leaf's signature; the proof of possession is not looked up.
  EXPECT_EQ(memo.hits(), 0u);
  EXPECT_EQ(Try(scene_.client, "", context), FailureReason::kNone);
  EXPECT_EQ(memo.hits(), 1u);
  const TestCertificate clone = MintSelfSigned(test::CaSpec("Test Root"));
  EXPECT_NE(Try(MintSignedBy(clone, test::DomainSpec("a.example")), "", context),
            FailureReason::kNone);
}

// Goal: what an idle connection costs is known, the ticket's large buffer included. Method: the
// heap before and after.
TEST_P(SessionTest, IdleSessionsAreSmall) {
#ifdef SALLYPORT_SANITIZED
  GTEST_SKIP() << "the sanitizer has a heap of its own";
#else
  constexpr size_t kSessions = 50;
  const auto context = MakeContext();
  core::BufferPool pool(1024 * 1024);
  core::OutputQueue out(pool, 256 * 1024);
  std::vector<std::unique_ptr<Session> > sessions;
  sessions.reserve(kSessions);
  const auto establish = [&] {
    TlsClient client(ClientOptions(GetParam(), &scene_.client));
    auto session = Session::Create(context, ServerName());
    for (;;) {
      const std::string input = client.TakeOutput();
      std::span<const std::byte> rest = std::as_bytes(std::span(input));
      const HandshakeOutcome outcome = session->Handshake(rest, out);
      std::string output;
      while (!out.empty()) {
        iovec piece;
        out.Gather({&piece, 1});
        output.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
        out.Consume(static_cast<uint32_t>(piece.iov_len));
      }
      client.Receive(output);
      if (outcome == HandshakeOutcome::kDone) break;
    }
    session->DropLeaf();
    return session;
  };
  establish();  // What is allocated once.
  const size_t before = mallinfo2().uordblks;
  for (size_t i = 0; i < kSessions; ++i) sessions.push_back(establish());
  const size_t each = (mallinfo2().uordblks - before) / kSessions;
  RecordProperty("bytes_per_session", static_cast<int>(each));
  std::printf("idle session: %zu bytes of heap\n", each);
  EXPECT_LT(each, 6000u);  // Measured 4.7 to 5.3 kB; the goal for a whole connection is 7.
#endif
}

TEST(SessionVersionTest, OldVersionsAreRefusedWithAnAlert) {
  for (const int version : {0x0301, 0x0302}) {
    TlsClientOptions options = ClientOptions(version, &TlsScene::Get().client);
    options.ciphers = "ALL:@SECLEVEL=0";
    TlsClient client(options);
    ServerEnd server(MakeContext());
    EXPECT_FALSE(Converse(client, server));
    EXPECT_EQ(server.session().failure(), FailureReason::kProtocol);
    EXPECT_NE(client.error().find("protocol version"), std::string::npos) << client.error();
  }
}

TEST(SessionVersionTest, BestCommonVersionIsChosen) {
  TlsClientOptions options = ClientOptions(kTls13, &TlsScene::Get().client);
  options.min_version = kTls12;
  TlsClient client(options);
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server));
  EXPECT_EQ(client.version(), kTls13);
}

TEST(SessionVersionTest, RenegotiationIsRefused) {
  TlsClient client(ClientOptions(kTls12, &TlsScene::Get().client));
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server));
  EXPECT_FALSE(client.Renegotiate());  // It has asked.
  server.Feed(client.TakeOutput());
  EXPECT_EQ(server.renegotiations_refused(), 1);
  client.Receive(server.TakeOutput());
  EXPECT_FALSE(client.Renegotiate());  // It has its answer; nothing was negotiated anew.
}

// Goal: RFC 5246 §7.2.2: the refusal is a warning, and calls go on. Method: OpenSSL writes data
// right behind its ClientHello; our side must read it, and what our side writes arrives.
TEST(SessionVersionTest, ASessionOutlivesARequestForRenegotiation) {
  TlsClient client(ClientOptions(kTls12, &TlsScene::Get().client));
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server));
  client.RenegotiateAndWrite("still here");
  server.Feed(client.TakeOutput());
  EXPECT_EQ(server.received(), "still here");
  EXPECT_EQ(server.decrypt_outcome(), DecryptOutcome::kData);
  EXPECT_EQ(server.session().failure(), FailureReason::kNone);
  EXPECT_EQ(server.renegotiations_refused(), 1);
  ASSERT_TRUE(server.Write("so are we"));
  ASSERT_TRUE(client.Receive(server.TakeOutput()));
  client.Read();
  // OpenSSL makes an error of its own of that warning.
  EXPECT_NE(client.error().find("no renegotiation"), std::string::npos) << client.error();
}

// Each request gets its warning, and is told to the caller once.
TEST(SessionVersionTest, RequestsForRenegotiationAreToldOnce) {
  TlsClient client(ClientOptions(kTls12, &TlsScene::Get().client));
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server));
  client.RenegotiateAndWrite("one");
  const std::string bytes = client.TakeOutput();
  server.Feed(bytes.substr(0, bytes.size() / 2), 1);
  server.Feed(bytes.substr(bytes.size() / 2), 1);
  EXPECT_EQ(server.received(), "one");
  EXPECT_EQ(server.renegotiations_refused(), 1);
  EXPECT_EQ(server.session().failure(), FailureReason::kNone);
}

TEST(SessionVersionTest, KeyUpdatesAreAnswered) {
  TlsClient client(ClientOptions(kTls13, &TlsScene::Get().client));
  ServerEnd server(MakeContext());
  ASSERT_TRUE(Converse(client, server));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.UpdateKey());
    ASSERT_TRUE(client.Write("x"));
    server.Feed(client.TakeOutput());
    ASSERT_TRUE(server.Write("y"));
    ASSERT_TRUE(client.Receive(server.TakeOutput()));
    EXPECT_EQ(client.Read(), "y");
  }
  EXPECT_EQ(server.received(), "xxx");
}

TEST(SessionVersionTest, WhatIsNotTlsIsRefused) {
  for (const std::string bytes :
       {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS sip:x SIP/2.0\r\n\r\n",
        "\x16\x03\x01\xff\xff\xff\xff\xff\xff"}) {
    ServerEnd server(MakeContext());
    server.Feed(bytes);
    if (bytes[0] != '\x16') {
      EXPECT_EQ(server.handshake_outcome(), HandshakeOutcome::kFailed);
      EXPECT_EQ(server.session().failure(), FailureReason::kProtocol);
    }
  }
}

TEST(SessionVersionTest, AHandshakeIsBounded) {
  ServerEnd server(MakeContext());
  // Handshake records that never make a message of a useful size.
  std::string record("\x16\x03\x01\x40\x00", 5);
  record += std::string("\x01\x00\xff\xff", 4) + std::string(0x4000 - 4, 'a');
  for (int i = 0; i < 100 && server.handshake_outcome() == HandshakeOutcome::kNeedMore; ++i) {
    server.Feed(record);
  }
  EXPECT_EQ(server.handshake_outcome(), HandshakeOutcome::kFailed);
}

// Our own client role, against our own server.
TEST_P(SessionTest, ClientRoleConnectsAndChecksTheServer) {
  Profile profile = scene_.Profile();
  profile.certificate_pem = scene_.client.pem;
  profile.key_pem = scene_.client.key_pem;
  profile.sec_protocol = GetParam() == kTls12 ? SecProtocol::kTls12Only : SecProtocol::kTls13Only;
  ContextOptions options;
  options.role = ContextRole::kClient;
  const auto client_context = MakeContext(profile, options);
  ServerEnd server(MakeContext());
  ServerEnd client(client_context, "edge.example");  // An end of the other kind: same interface.
  std::span<const std::byte> nothing;
  ASSERT_EQ(client.session().Handshake(nothing, client.out()), HandshakeOutcome::kNeedMore);
  for (int i = 0; i < 4; ++i) {
    server.Feed(client.TakeOutput());
    client.Feed(server.TakeOutput());
  }
  ASSERT_EQ(server.handshake_outcome(), HandshakeOutcome::kDone) << server.session().failure_text();
  ASSERT_EQ(client.handshake_outcome(), HandshakeOutcome::kDone) << client.session().failure_text();
  EXPECT_TRUE(client.session().peer().verified);
  EXPECT_EQ(
      client.session().peer().fingerprint,
      CertificateFingerprint(std::span(reinterpret_cast<const uint8_t*>(scene_.server.Der().data()),
                                       scene_.server.Der().size())));
  ASSERT_TRUE(client.Write("to server"));
  server.Feed(client.TakeOutput());
  EXPECT_EQ(server.received(), "to server");
}

}  // namespace
}  // namespace sallyport::tls
