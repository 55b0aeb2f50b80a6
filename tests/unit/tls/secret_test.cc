#include "tls/secret.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace sallyport::tls {
namespace {

constexpr std::string_view kHex =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
constexpr std::string_view kBase64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

class SecretFile {
 public:
  SecretFile(const std::string& content, mode_t mode)
      : path_(testing::TempDir() + "secret_test.key") {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
    chmod(path_.c_str(), mode);
  }
  ~SecretFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

TEST(SecretTest, HexadecimalBase64AndRawAreTheSameKey) {
  std::string raw;
  for (int i = 0; i < 32; ++i) raw += static_cast<char>(i);
  const auto hex = Secret::Parse(kHex, "test");
  const auto base64 = Secret::Parse(std::string(kBase64) + "\n", "test");
  const auto bytes = Secret::Parse(raw, "test");
  ASSERT_TRUE(hex.ok() && base64.ok() && bytes.ok());
  EXPECT_EQ(hex->Derive(0, kTicketLabel), base64->Derive(0, kTicketLabel));
  EXPECT_EQ(hex->Derive(0, kTicketLabel), bytes->Derive(0, kTicketLabel));
}

TEST(SecretTest, LabelsContextsAndKeysAreSeparate) {
  const auto secret =
      Secret::Parse(std::string(kHex) + "\n# older\n\n" +
                        "f0e1d2c3b4a5968778695a4b3c2d1e0ff1e2d3c4b5a69788796a5b4c3d2e1f00\n",
                    "test");
  ASSERT_TRUE(secret.ok());
  ASSERT_EQ(secret->size(), 2u);
  EXPECT_NE(secret->Derive(0, kTicketLabel), secret->Derive(1, kTicketLabel));
  EXPECT_NE(secret->Derive(0, kTicketLabel), secret->Derive(0, kBranchLabel));
  const std::byte context[] = {std::byte{1}};
  EXPECT_NE(secret->Derive(0, kTicketLabel), secret->Derive(0, kTicketLabel, context));
}

TEST(SecretTest, RefusesWhatIsNoSecret) {
  for (const std::string content :
       {"", "\n\n", "# only a comment\n", "password", "too short: !!!!",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "000102030405060708090a0b0c0d0e0f"}) {
    const auto secret = Secret::Parse(content, "edge.secret");
    ASSERT_FALSE(secret.ok()) << content;
    EXPECT_NE(secret.status().message().find("edge.secret"), std::string::npos);
  }
}

TEST(SecretTest, TheFileMustBePrivate) {
  const SecretFile open(std::string(kHex), 0644);
  const auto refused = Secret::Load("file:" + open.path());
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("chmod 600"), std::string::npos);
  const SecretFile closed(std::string(kHex), 0600);
  EXPECT_TRUE(Secret::Load("file:" + closed.path()).ok());
  EXPECT_TRUE(Secret::Load(closed.path()).ok());
  EXPECT_FALSE(Secret::Load("file:/nonexistent/secret").ok());
}

TEST(SecretTest, ComesFromTheEnvironmentToo) {
  setenv("SALLYPORT_TEST_SECRET", std::string(kHex).c_str(), 1);
  EXPECT_TRUE(Secret::Load("env:SALLYPORT_TEST_SECRET").ok());
  EXPECT_FALSE(Secret::Load("env:SALLYPORT_NO_SUCH_THING").ok());
}

TEST(SecretTest, GeneratedOnesDiffer) {
  EXPECT_NE(Secret::Generate().Derive(0, kTicketLabel), Secret::Generate().Derive(0, kTicketLabel));
}

}  // namespace
}  // namespace sallyport::tls
