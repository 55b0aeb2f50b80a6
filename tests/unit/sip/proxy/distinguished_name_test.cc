#include "sip/proxy/distinguished_name.h"

#include <string_view>

#include "gtest/gtest.h"

namespace sallyport::sip {
namespace {

// Examples of RFC 4514 §4 among them.
TEST(DistinguishedNameTest, WellFormedOnesAreAccepted) {
  for (const char* text :
       {"CN=a", "cn=", "UID=jsmith,DC=example,DC=net", "OU=Sales+CN=J.  Smith,DC=example,DC=net",
        "CN=James \\\"Jim\\\" Smith\\, III,DC=example,DC=net", "CN=Before\\0dAfter,DC=example",
        "1.3.6.1.4.1.1466.0=#04024869", "CN=Lu\\C4\\8Di\\C4\\87", "CN=\xc4\x8d", "CN=\\ a\\ ",
        "CN=a=b", "CN=a#b", "CN=\\#a", "0.1=a", "x-1=a"}) {
    EXPECT_TRUE(IsDistinguishedName(text)) << text;
  }
}

TEST(DistinguishedNameTest, OthersAreNot) {
  for (const char* text :
       {"",       "a",      "=a",     "CN = a", "CN= a",  "CN=a ",   "CN=a, O=b", "CN=a,", "CN=a+",
        ",CN=a",  "CN=a;b", "CN=a\"", "CN=<a>", "CN=a\\", "CN=a\\x", "CN=a\\4",   "CN=#",  "CN=#0",
        "CN=#0g", "1=a",    "1.02=a", "1.=a",   "1CN=a",  "C_N=a",   "/CN=a/O=b", "CN=a,O"}) {
    EXPECT_FALSE(IsDistinguishedName(text)) << text;
  }
  EXPECT_FALSE(IsDistinguishedName(std::string_view("CN=a\0b", 6)));
}

}  // namespace
}  // namespace sallyport::sip
