#include "tls/cipher_names.h"

#include <wolfssl/options.h>
// The options come first.
#include <gtest/gtest.h>
#include <wolfssl/ssl.h>

#include <string>

#include "absl/strings/str_split.h"

namespace sallyport::tls {
namespace {

constexpr std::string_view kAllTls12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:"
    "ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:"
    "ECDHE-RSA-AES256-SHA";
constexpr std::string_view kAllTls13 =
    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:"
    "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256";

TEST(CipherNamesTest, TheLibraryKnowsEverySuiteThatWeKnow) {
  for (const auto& list : {*TranslateCipherList(kAllTls12), *TranslateCiphersuites(kAllTls13)}) {
    for (const auto name : absl::StrSplit(list, ':')) {
      byte first = 0, second = 0;
      int flags = 0;
      EXPECT_EQ(
          wolfSSL_get_cipher_suite_from_name(std::string(name).c_str(), &first, &second, &flags), 0)
          << name;
      EXPECT_NE(CipherName(first, second), "unknown") << name;
    }
  }
}

TEST(CipherNamesTest, DefaultsAreAeadWithForwardSecrecy) {
  EXPECT_EQ(*TranslateCiphersuites(""),
            "TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES128-GCM-SHA256");
  const std::string list = *TranslateCipherList("");
  EXPECT_EQ(list.find("SHA:"), std::string::npos);
  EXPECT_EQ(std::count(list.begin(), list.end(), ':'), 5);
}

TEST(CipherNamesTest, TakesIanaNamesAndOtherSeparators) {
  EXPECT_EQ(
      *TranslateCipherList("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, ECDHE-RSA-AES256-GCM-SHA384"),
      "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384");
}

TEST(CipherNamesTest, UnknownNamesAreErrorsThatListTheKnown) {
  for (const std::string_view bad :
       {"ALL", "HIGH:!aNULL", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA257",
        "TLS_AES_128_GCM_SHA256", ":", "DHE-RSA-AES128-GCM-SHA256"}) {
    const auto list = TranslateCipherList(bad);
    EXPECT_FALSE(list.ok()) << bad;
    if (bad != ":") {
      EXPECT_NE(list.status().message().find("ECDHE-RSA-CHACHA20-POLY1305"), std::string::npos)
          << list.status();
    }
  }
  EXPECT_FALSE(TranslateCiphersuites("TLS_AES_128_GCM_SHA999").ok());
  EXPECT_FALSE(TranslateCiphersuites("ECDHE-RSA-AES128-GCM-SHA256").ok());
  EXPECT_FALSE(TranslateCiphersuites("TLS_AES_128_GCM_SHA256:TLS_AES_128_GCM_SHA256").ok());
}

}  // namespace
}  // namespace sallyport::tls
