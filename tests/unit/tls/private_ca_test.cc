#include "tls/private_ca.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tls/certificate_reader.h"

namespace sallyport::tls {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kNow = 1'800'000'000;
constexpr int64_t kDay = 86400;

PeerIdentityRef ReadPem(const std::string& pem) {
  const size_t begin = pem.find('\n') + 1;
  const size_t end = pem.find("-----END");
  std::string der;
  EXPECT_TRUE(absl::Base64Unescape({pem.data() + begin, end - begin}, &der));
  CertificateReading reading =
      ReadCertificate({reinterpret_cast<const uint8_t*>(der.data()), der.size()});
  EXPECT_EQ(reading.fault, CertificateFault::kNone) << CertificateFaultText(reading.fault);
  return reading.identity;
}

std::vector<std::string> NamesOf(const PeerIdentity& identity) {
  std::vector<std::string> names;
  for (size_t i = 0; i < identity.names_size(); ++i) {
    const CertificateName name = identity.name(i);
    const char* const kind = name.type == NameType::kCommonName ? "CN:"
                             : name.type == NameType::kDns      ? "DNS:"
                                                                : "URI:";
    names.push_back(kind + std::string(name.text));
  }
  return names;
}

PemPair Ca() {
  absl::StatusOr<PemPair> ca = MintCa("Test CA", 3650, kNow);
  EXPECT_TRUE(ca.ok()) << ca.status();
  return *std::move(ca);
}

PeerIdentityRef Leaf(const LeafRequest& request) {
  const absl::StatusOr<PemPair> leaf = MintLeaf(Ca(), request, kNow);
  EXPECT_TRUE(leaf.ok()) << leaf.status();
  return ReadPem(leaf->certificate);
}

TEST(PrivateCaTest, CaMayIssueAndNothingElse) {
  const PeerIdentityRef ca = ReadPem(Ca().certificate);
  EXPECT_EQ(ca->subject_dn(), "CN=Test CA");
  EXPECT_EQ(ca->issuer_der(), ca->subject_der());
  EXPECT_TRUE(ca->facts().is_ca);
  EXPECT_TRUE(ca->facts().key_usage.key_cert_sign);
  EXPECT_TRUE(ca->facts().key_usage.crl_sign);
  EXPECT_FALSE(ca->facts().key_usage.digital_signature);
  EXPECT_FALSE(ca->facts().has_subject_alt_name);
  EXPECT_EQ(ca->facts().not_before, kNow - 3600);
  EXPECT_EQ(ca->facts().not_after, kNow + 3650 * kDay);
}

TEST(PrivateCaTest, DomainCertificate) {
  const PeerIdentityRef leaf =
      Leaf({.domains = {"a.example", "c.example"}, .dns_names = {"pbx.a.example"}});
  EXPECT_THAT(NamesOf(*leaf),
              ElementsAre("CN:a.example", "URI:sip:a.example", "DNS:a.example", "URI:sip:c.example",
                          "DNS:c.example", "DNS:pbx.a.example"));
  EXPECT_EQ(leaf->issuer_dn(), "CN=Test CA");
  EXPECT_EQ(leaf->facts().key_algorithm, KeyAlgorithm::kEcP256);
  EXPECT_FALSE(leaf->facts().is_ca);
  EXPECT_FALSE(leaf->facts().weak_signature);
  EXPECT_TRUE(leaf->facts().key_usage.digital_signature);
  EXPECT_FALSE(leaf->facts().key_usage.key_cert_sign);
  const ExtendedKeyUsage usage = leaf->facts().extended_key_usage;
  EXPECT_TRUE(usage.present && usage.server_auth && usage.client_auth);
  EXPECT_FALSE(usage.sip_domain || usage.any || usage.other);
  EXPECT_EQ(leaf->facts().not_after, kNow + 825 * kDay);
}

TEST(PrivateCaTest, UserAndDeviceCertificates) {
  EXPECT_THAT(
      NamesOf(*Leaf({.users = {"alice@a.example", "sip:bob@a.example"}})),
      ElementsAre("CN:alice@a.example", "URI:sip:alice@a.example", "URI:sip:bob@a.example"));
  const PeerIdentityRef device = Leaf({.device_name = "phone-7"});
  EXPECT_THAT(NamesOf(*device), ElementsAre("CN:phone-7"));
  EXPECT_FALSE(device->facts().has_subject_alt_name);
}

TEST(PrivateCaTest, PurposesAsAsked) {
  const ExtendedKeyUsage usage =
      Leaf({.domains = {"a.example"}, .purposes = {IssuedPurpose::kSipDomain}})
          ->facts()
          .extended_key_usage;
  EXPECT_TRUE(usage.present && usage.sip_domain);
  EXPECT_FALSE(usage.server_auth || usage.client_auth || usage.other);
}

TEST(PrivateCaTest, SerialsAreRandom) {
  const PemPair ca = Ca();
  std::vector<std::string> serials;
  for (int i = 0; i < 8; ++i) {
    const absl::StatusOr<PemPair> leaf = MintLeaf(ca, {.domains = {"a.example"}}, kNow);
    serials.emplace_back(ReadPem(leaf->certificate)->serial_hex());
    EXPECT_GE(serials.back().size(), 24u);
    EXPECT_LE(serials.back().size(), 32u);
  }
  std::sort(serials.begin(), serials.end());
  EXPECT_EQ(std::unique(serials.begin(), serials.end()), serials.end());
}

TEST(PrivateCaTest, RefusesWhatMakesNoCertificate) {
  const PemPair ca = Ca();
  const auto refusal = [&ca](const LeafRequest& request) {
    return std::string(MintLeaf(ca, request, kNow).status().message());
  };
  EXPECT_THAT(refusal({}), HasSubstr("nothing to certify"));
  EXPECT_THAT(refusal({.domains = {""}}), HasSubstr("expected printable"));
  EXPECT_THAT(refusal({.domains = {std::string("a\0b", 3)}}), HasSubstr("expected printable"));
  EXPECT_THAT(refusal({.domains = {"a.ex\xc3\xa4mple"}}), HasSubstr("expected printable"));
  EXPECT_THAT(refusal({.domains = {"a.example"}, .purposes = {}}), HasSubstr("no key purpose"));
  EXPECT_THAT(refusal({.domains = {"a.example"}, .days = 0}), HasSubstr("days = 0"));
  EXPECT_THAT(refusal({.domains = {"a.example"}, .days = 3651}), HasSubstr("the CA itself ends"));
  EXPECT_THAT(refusal({.device_name = std::string(65, 'x')}), HasSubstr("at most 64"));
  EXPECT_EQ(refusal({.domains = {"a.example"}, .days = 3650}), "");
  EXPECT_EQ(refusal({.device_name = std::string(64, 'x')}), "");
  EXPECT_FALSE(MintCa("", 1, kNow).ok());
  EXPECT_FALSE(MintCa("x", kCertificateDaysMax + 1, kNow).ok());
}

TEST(PrivateCaTest, RefusesAForeignOrMixedCa) {
  const PemPair one = Ca();
  const PemPair two = Ca();
  const LeafRequest request = {.domains = {"a.example"}};
  EXPECT_THAT(std::string(MintLeaf({one.certificate, two.key}, request, kNow).status().message()),
              HasSubstr("not the key"));
  const absl::StatusOr<PemPair> leaf = MintLeaf(one, request, kNow);
  EXPECT_THAT(std::string(MintLeaf(*leaf, request, kNow).status().message()),
              HasSubstr("not made by"));
  EXPECT_FALSE(MintLeaf({"", one.key}, request, kNow).ok());
  EXPECT_FALSE(MintLeaf({one.certificate, ""}, request, kNow).ok());
  EXPECT_FALSE(MintLeaf({one.certificate, one.certificate}, request, kNow).ok());
}

class PrivateCaFolderTest : public ::testing::Test {
 protected:
  PrivateCaFolderTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "private_ca_test.XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    scratch_ = pattern;
    folder_ = scratch_ + "/ca";
  }
  ~PrivateCaFolderTest() override { std::filesystem::remove_all(scratch_); }

  static mode_t ModeOf(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777;
  }
  static std::string Content(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  size_t FileCount() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::string scratch_;
  std::string folder_;
};

TEST_F(PrivateCaFolderTest, WritesPairsAndNothingElse) {
  ASSERT_TRUE(InitCa(folder_, "Test CA", 3650, kNow).ok());
  ASSERT_TRUE(IssueLeaf(folder_, "edge", {.domains = {"a.example"}}, kNow).ok());
  EXPECT_EQ(FileCount(), 4u);
  EXPECT_EQ(ModeOf(folder_), 0700u);
  EXPECT_EQ(ModeOf(folder_ + "/ca.key"), 0600u);
  EXPECT_EQ(ModeOf(folder_ + "/edge.key"), 0600u);
  EXPECT_EQ(Content(folder_ + "/ca.pem"), *ExportCa(folder_));
  const PeerIdentityRef leaf = ReadPem(Content(folder_ + "/edge.pem"));
  EXPECT_EQ(leaf->issuer_der(), ReadPem(Content(folder_ + "/ca.pem"))->subject_der());
  EXPECT_EQ(Content(folder_ + "/edge.pem").find("BEGIN", 12),
            std::string::npos);  // The leaf alone.
}

TEST_F(PrivateCaFolderTest, OverwritesNothing) {
  ASSERT_TRUE(InitCa(folder_, "Test CA", 3650, kNow).ok());
  const std::string before = Content(folder_ + "/ca.key");
  EXPECT_EQ(InitCa(folder_, "Test CA", 3650, kNow).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Content(folder_ + "/ca.key"), before);
  std::ofstream(folder_ + "/edge.pem") << "mine";
  EXPECT_EQ(IssueLeaf(folder_, "edge", {.domains = {"a.example"}}, kNow).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Content(folder_ + "/edge.pem"), "mine");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/edge.key"));
  std::filesystem::create_symlink("/nonexistent", folder_ + "/link.key");
  EXPECT_FALSE(IssueLeaf(folder_, "link", {.domains = {"a.example"}}, kNow).ok());
}

TEST_F(PrivateCaFolderTest, NamesStayInTheFolder) {
  ASSERT_TRUE(InitCa(folder_, "Test CA", 3650, kNow).ok());
  for (const std::string_view name : {"", "ca", "../x", "a/b", ".hidden", "-x", "a b", "a\n"}) {
    EXPECT_EQ(IssueLeaf(folder_, name, {.domains = {"a.example"}}, kNow).code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
  EXPECT_EQ(FileCount(), 2u);
}

TEST_F(PrivateCaFolderTest, MissingCaSaysWhatToDo) {
  EXPECT_THAT(std::string(IssueLeaf(folder_, "edge", {.domains = {"a.example"}}, kNow).message()),
              HasSubstr("sallyport ca init"));
  EXPECT_THAT(std::string(ExportCa(folder_).status().message()), HasSubstr("sallyport ca init"));
  EXPECT_FALSE(InitCa(scratch_ + "/no/such", "x", 1, kNow).ok());
}

}  // namespace
}  // namespace sallyport::tls
