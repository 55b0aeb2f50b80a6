#include "tls/version.h"

#include <wolfssl/options.h>
// The options come first.
#include <gtest/gtest.h>
#include <wolfssl/version.h>

namespace sallyport::tls {
namespace {

TEST(VersionTest, NamesTheLibraryThatWasLinked) {
  EXPECT_EQ(WolfSslVersion(), LIBWOLFSSL_VERSION_STRING);
  EXPECT_GE(LIBWOLFSSL_VERSION_HEX, 0x05009002);
  EXPECT_NE(CryptoInstructions(), "");
}

}  // namespace
}  // namespace sallyport::tls
