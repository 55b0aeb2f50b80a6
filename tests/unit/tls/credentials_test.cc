#include "tls/credentials.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/tls_scene.h"

namespace sallyport::tls {
namespace {

using test::MintSelfSigned;
using test::MintSignedBy;
using test::TestCertificate;
using test::TestCertificateSpec;
using test::TlsScene;

class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() {
    std::string pattern = testing::TempDir() + "credentials_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~CredentialsTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    chmod(path.c_str(), mode);
    return path;
  }

  static absl::StatusOr<std::unique_ptr<const Credentials>> Load(const Profile& profile) {
    return Credentials::Load(profile, std::time(nullptr));
  }

  // Expects an error that says all of `parts`.
  static void ExpectError(const Profile& profile, std::initializer_list<std::string_view> parts) {
    const auto loaded = Load(profile);
    ASSERT_FALSE(loaded.ok());
    for (const std::string_view part : parts) {
      EXPECT_NE(loaded.status().message().find(absl::string_view(part.data(), part.size())),
                std::string::npos)
          << loaded.status() << " lacks " << part;
    }
  }
  static bool Warns(const Credentials& credentials, std::string_view part) {
    for (const std::string& warning : credentials.warnings()) {
      if (warning.find(part) != std::string::npos) return true;
    }
    return false;
  }

  Profile Files() {
    Profile profile;
    profile.name = "federation";
    profile.certificate_file = Write("edge.pem", scene_.server.pem, 0644);
    profile.key_file = Write("edge.key", scene_.server.key_pem);
    profile.trusted_ca = Write("ca.pem", scene_.root.pem, 0644);
    return profile;
  }

  const TlsScene& scene_ = TlsScene::Get();
  std::string folder_;
};

TEST_F(CredentialsTest, LoadsFiles) {
  const auto loaded = Load(Files());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE((*loaded)->warnings().empty());
  EXPECT_TRUE((*loaded)->certificate());
  EXPECT_EQ((*loaded)->certificate()->name(0).text, "edge.example");
  ASSERT_EQ((*loaded)->anchors().size(), 1u);
  EXPECT_EQ((*loaded)->anchors()[0].subject, "CN=Test Root");
}

TEST_F(CredentialsTest, TheKeyMayBeWithTheCertificate) {
  Profile profile = Files();
  profile.key_file.clear();
  profile.certificate_file = Write("both.pem", scene_.server.pem + scene_.server.key_pem);
  EXPECT_TRUE(Load(profile).ok()) << Load(profile).status();
  profile.certificate_file = Write("both.pem", scene_.server.key_pem + scene_.server.pem, 0644);
  ExpectError(profile, {"both.pem", "chmod 600"});
}

TEST_F(CredentialsTest, TakesEveryKindOfKey) {
  for (const test::TestKey key : {test::TestKey::kP256, test::TestKey::kP384,
                                  test::TestKey::kRsa2048, test::TestKey::kEd25519}) {
    TestCertificateSpec spec = test::DomainSpec("edge.example");
    spec.key = key;
    const TestCertificate leaf = MintSignedBy(scene_.root, spec);
    Profile profile = Files();
    profile.certificate_pem = leaf.pem;
    profile.key_pem = leaf.key_pem;
    EXPECT_TRUE(Load(profile).ok()) << Load(profile).status();
  }
  TestCertificateSpec weak = test::DomainSpec("edge.example");
  weak.key = test::TestKey::kRsa1024;
  const TestCertificate leaf = MintSignedBy(scene_.root, weak);
  Profile profile = Files();
  profile.certificate_file = Write("weak.pem", leaf.pem);
  profile.key_file = Write("weak.key", leaf.key_pem);
  ExpectError(profile, {"weak.pem", "2048"});
}

TEST_F(CredentialsTest, ErrorsNameTheFileAndTheRemedy) {
  Profile profile = Files();
  profile.certificate_file = folder_ + "/missing.pem";
  ExpectError(profile, {"missing.pem", "does not exist"});

  profile = Files();
  profile.key_file = Write("open.key", scene_.server.key_pem, 0644);
  ExpectError(profile, {"open.key", "chmod 600"});

  profile = Files();
  profile.key_file = Write("other.key", scene_.client.key_pem);
  ExpectError(profile, {"other.key", "key"});

  profile = Files();
  profile.key_file =
      Write("encrypted.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n");
  ExpectError(profile, {"encrypted.key", "encrypted", "openssl pkey"});

  profile = Files();
  profile.key_file = Write(
      "old.key",
      "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n"
      "-----END EC PRIVATE KEY-----\n");
  ExpectError(profile, {"old.key", "encrypted"});

  profile = Files();
  profile.certificate_file = Write("nothing.pem", "hello\n");
  ExpectError(profile, {"nothing.pem", "BEGIN CERTIFICATE"});

  profile = Files();
  profile.certificate_file =
      Write("broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
  ExpectError(profile, {"broken.pem", "certificate 1"});

  profile = Files();
  profile.trusted_ca = folder_ + "/no-such-folder";
  ExpectError(profile, {"no-such-folder"});

  profile = Files();
  profile.trusted_ca = Write("leaf-as-ca.pem", scene_.client.pem);
  ExpectError(profile, {"leaf-as-ca.pem", "not a CA"});

  profile = Files();
  profile.cipher_list = "HIGH";
  ExpectError(profile, {"cipher-list", "HIGH"});
  profile = Files();
  profile.ciphersuites = "TLS_NULL";
  ExpectError(profile, {"ciphersuites", "TLS_NULL"});
}

TEST_F(CredentialsTest, WarnsAboutWhatStillWorks) {
  Profile profile = Files();
  profile.key_file = Write("group.key", scene_.server.key_pem, 0640);
  EXPECT_TRUE(Warns(**Load(profile), "group"));

  const int64_t now = std::time(nullptr);
  TestCertificateSpec spec = test::DomainSpec("edge.example");
  spec.not_before = now - 1000;
  spec.not_after = now - 500;
  TestCertificate leaf = MintSignedBy(scene_.root, spec);
  profile = Files();
  profile.certificate_pem = leaf.pem;
  profile.key_pem = leaf.key_pem;
  EXPECT_TRUE(Warns(**Load(profile), "expired"));

  spec = test::DomainSpec("edge.example");
  spec.extended_key_usage = "clientAuth";
  leaf = MintSignedBy(scene_.root, spec);
  profile.certificate_pem = leaf.pem;
  profile.key_pem = leaf.key_pem;
  EXPECT_TRUE(Warns(**Load(profile), "serverAuth"));

  profile = Files();
  profile.certificate_file = Write("order.pem", scene_.server.pem + scene_.client.pem);
  EXPECT_TRUE(Warns(**Load(profile), "order"));
}

TEST_F(CredentialsTest, ReadsAFolderOfCas) {
  const TestCertificate second = MintSelfSigned(test::CaSpec("Second"));
  TestCertificateSpec old = test::CaSpec("Old");
  old.not_before = 1'000'000'000;
  old.not_after = 1'100'000'000;
  const std::string cas = folder_ + "/cas";
  mkdir(cas.c_str(), 0755);
  Write("cas/b.crt", second.pem);
  Write("cas/a.pem", scene_.root.pem);
  Write("cas/again.pem", scene_.root.pem);
  Write("cas/old.pem", MintSelfSigned(old).pem);
  Write("cas/leaf.pem", scene_.client.pem);
  Write("cas/notes.txt", "not a certificate");
  Profile profile = Files();
  profile.trusted_ca = cas;
  const auto loaded = Load(profile);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->anchors().size(), 2u);
  EXPECT_TRUE(Warns(**loaded, "old.pem"));
  EXPECT_TRUE(Warns(**loaded, "leaf.pem"));

  // The same set in one file is the same set.
  profile.trusted_ca = Write("bundle.pem", second.pem + scene_.root.pem, 0644);
  EXPECT_EQ((*Load(profile))->anchor_set_sha256(), (*loaded)->anchor_set_sha256());

  Write("cas/root_cert_second.pem", second.pem);
  profile.trusted_ca = cas;
  EXPECT_EQ((*Load(profile))->anchors().size(), 1u);
}

TEST_F(CredentialsTest, OnlyTheTimePassedInCounts) {
  TestCertificateSpec ca = test::CaSpec("Future CA");
  ca.not_before = 4'000'000'000;
  ca.not_after = 4'100'000'000;
  const TestCertificate root = MintSelfSigned(ca);
  TestCertificateSpec leaf_spec = test::DomainSpec("edge.example");
  leaf_spec.not_before = ca.not_before;
  leaf_spec.not_after = ca.not_after;
  const TestCertificate leaf = MintSignedBy(root, leaf_spec);
  Profile profile;
  profile.certificate_pem = leaf.pem;
  profile.key_pem = leaf.key_pem;
  profile.trusted_ca_pem = root.pem;
  EXPECT_FALSE(Load(profile).ok());
  const auto then = Credentials::Load(profile, 4'050'000'000);
  ASSERT_TRUE(then.ok()) << then.status();
  EXPECT_TRUE((*then)->warnings().empty());
  ContextOptions options;
  options.clock.now_milliseconds = [](void*) -> int64_t { return 4'050'000'000'000; };
  EXPECT_TRUE(Context::Create(**then, options).ok());
}

TEST_F(CredentialsTest, NobodyIsTrustedWithoutACa) {
  Profile profile = Files();
  profile.trusted_ca.clear();
  const auto loaded = Load(profile);
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE((*loaded)->anchors().empty());
  profile.trusted_ca = folder_ + "/empty";
  mkdir(profile.trusted_ca.c_str(), 0755);
  ExpectError(profile, {"no usable CA"});
}

}  // namespace
}  // namespace sallyport::tls
