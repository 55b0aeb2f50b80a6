#include "sip/policy/distinguished_name.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/guarded_copy.h"
#include "tests/support/test_certificates.h"
#include "tls/certificate_reader.h"

namespace sallyport::sip {
namespace {

using ::sallyport::test::GuardedCopy;

std::string Tlv(uint8_t tag, std::string_view content) {
  std::string der(1, static_cast<char>(tag));
  if (content.size() >= 0x80) der.push_back('\x81');
  der.push_back(static_cast<char>(content.size()));
  return der.append(content);
}

constexpr std::string_view kCn = "\x55\x04\x03";
constexpr std::string_view kO = "\x55\x04\x0a";
constexpr std::string_view kOu = "\x55\x04\x0b";
constexpr std::string_view kC = "\x55\x04\x06";
constexpr std::string_view kEmail = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01";
constexpr std::string_view kDc = "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19";
constexpr uint8_t kUtf8 = 0x0c;
constexpr uint8_t kPrintable = 0x13;

std::string Attribute(std::string_view oid, std::string_view value, uint8_t tag = kUtf8) {
  return Tlv(0x30, Tlv(0x06, oid) + Tlv(tag, value));
}
std::string Rdn(const std::string& attributes) { return Tlv(0x31, attributes); }
std::string Name(const std::string& rdns) { return Tlv(0x30, rdns); }
std::string One(std::string_view oid, std::string_view value, uint8_t tag = kUtf8) {
  return Name(Rdn(Attribute(oid, value, tag)));
}

bool Same(std::string_view text, const std::string& der) {
  const auto written = DistinguishedName::Parse(text);
  const auto encoded = DistinguishedName::Decode(der);
  EXPECT_TRUE(written.ok()) << text << ": " << written.status();
  EXPECT_TRUE(encoded.ok()) << encoded.status();
  return written.ok() && encoded.ok() && *written == *encoded;
}

// C=DE, O=Example, OU=SIP, CN=edge.example in the order of the encoding.
std::string Example() {
  return Name(Rdn(Attribute(kC, "DE", kPrintable)) + Rdn(Attribute(kO, "Example Inc")) +
              Rdn(Attribute(kOu, "SIP", kPrintable)) + Rdn(Attribute(kCn, "edge.example")));
}

TEST(DistinguishedNameTest, TextBeginsWithTheLastOfTheEncoding) {
  EXPECT_TRUE(Same("CN=edge.example,OU=SIP,O=Example Inc,C=DE", Example()));
  EXPECT_FALSE(Same("C=DE,O=Example Inc,OU=SIP,CN=edge.example", Example()));
  EXPECT_FALSE(Same("CN=edge.example,O=Example Inc,OU=SIP,C=DE", Example()));
}

TEST(DistinguishedNameTest, SpellingDoesNotCount) {
  for (const char* text : {
           "cn=EDGE.example,ou=sip,o=example inc,c=de",
           "CN = edge.example, OU = SIP, O = Example Inc, C = DE",
           "  CN=  edge.example  ,OU=SIP,O=Example    Inc,C=DE  ",
           "commonName=edge.example,organizationalUnitName=SIP,organizationName=Example "
           "Inc,countryName=DE",
           "2.5.4.3=edge.example,2.5.4.11=SIP,2.5.4.10=Example Inc,2.5.4.6=DE",
           "CN=edge\\2eexample,OU=\\53IP,O=Example\\20Inc,C=D\\45",
           "CN=#0c0c656467652e6578616d706c65,OU=SIP,O=Example Inc,C=#13024445",
           "CN=#160C656467652E6578616D706C65,OU=SIP,O=Example Inc,C=DE",  // Another string type.
           "CN=edge.example,OU=SIP,O=\\ Example Inc\\ ,C=DE",
       }) {
    EXPECT_TRUE(Same(text, Example())) << text;
  }
}

TEST(DistinguishedNameTest, EveryPartCounts) {
  for (const char* text : {
           "OU=SIP,O=Example Inc,C=DE",
           "CN=edge.example,OU=SIP,O=Example Inc",
           "CN=edge.example,OU=SIP,O=Example Inc,C=DE,C=DE",
           "CN=edge.example,OU=SIP,O=Example Inc,C=AT",
           "CN=edge.example,OU=SIP,O=ExampleInc,C=DE",
           "CN=edge.example.evil.example,OU=SIP,O=Example Inc,C=DE",
           "CN=*.example,OU=SIP,O=Example Inc,C=DE",
           "CN=edge.example+OU=SIP,O=Example Inc,C=DE",
           "CN=,OU=SIP,O=Example Inc,C=DE",
           "",
       }) {
    EXPECT_FALSE(Same(text, Example())) << text;
  }
}

TEST(DistinguishedNameTest, InsideAnRdnOrderMeansNothing) {
  const std::string der =
      Name(Rdn(Attribute(kC, "DE")) +
           Rdn(Attribute(kCn, "edge") + Attribute(kOu, "a") + Attribute(kOu, "b")));
  EXPECT_TRUE(Same("CN=edge+OU=a+OU=b,C=DE", der));
  EXPECT_TRUE(Same("OU=B + CN=edge + OU=A, C=DE", der));
  EXPECT_FALSE(Same("CN=edge+OU=a,C=DE", der));
  EXPECT_FALSE(Same("CN=edge+OU=a+OU=a,C=DE", der));
  EXPECT_FALSE(Same("CN=edge,OU=a+OU=b,C=DE", der));
}

TEST(DistinguishedNameTest, SpecialCharactersAreEscaped) {
  EXPECT_TRUE(Same("O=Sue\\, Grabbit \\+ Co", One(kO, "Sue, Grabbit + Co")));
  EXPECT_TRUE(Same("O=Sue\\2C Grabbit \\2b Co", One(kO, "Sue, Grabbit + Co")));
  EXPECT_TRUE(Same("O=\\\"a\\\" \\<b\\> \\; \\\\", One(kO, "\"a\" <b> ; \\")));
  EXPECT_TRUE(Same("O=\\#1", One(kO, "#1")));
  EXPECT_TRUE(Same("O=a=b\\=c", One(kO, "a=b=c")));
  EXPECT_TRUE(Same("O=a#b", One(kO, "a#b")));
  EXPECT_TRUE(Same("O=a\\00b", One(kO, std::string_view("a\0b", 3))));
  EXPECT_FALSE(Same("O=a", One(kO, std::string_view("a\0b", 3))));
  EXPECT_TRUE(Same("O=Lu\\C4\\8Di\\C4\\87", One(kO, "Lu\xc4\x8di\xc4\x87")));  // RFC 4514 §4.
}

TEST(DistinguishedNameTest, KnowsTheUsualTypes) {
  EXPECT_TRUE(Same("DC=example,DC=com",
                   Name(Rdn(Attribute(kDc, "com")) + Rdn(Attribute(kDc, "example", 0x16)))));
  const std::string email = One(kEmail, "sip@a.example", 0x16);
  for (const char* type : {"emailAddress", "E", "email", "1.2.840.113549.1.9.1"}) {
    EXPECT_TRUE(Same(std::string(type) + "=SIP@a.example", email)) << type;
  }
  EXPECT_TRUE(Same("1.2.840.113549.1.9.1=#160D73697040612E6578616D706C65", email));
  EXPECT_TRUE(Same("UID=7", One("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "7")));
  EXPECT_TRUE(Same("L=Bonn", One("\x55\x04\x07", "bonn")));
  EXPECT_TRUE(Same("ST=NRW", One("\x55\x04\x08", "nrw")));
  EXPECT_TRUE(Same("STREET=a b", One("\x55\x04\x09", "a  b")));
  EXPECT_TRUE(Same("2.999.1=x", One("\x88\x37\x01", "x")));
}

TEST(DistinguishedNameTest, StringTypesAreOnlyEncodings) {
  const std::string_view latin1 = "M\xfcller";
  const std::string_view ucs2("\0M\0\xfc\0l\0l\0e\0r", 12);
  const std::string_view ucs4("\0\0\0M\0\0\0\xfc\0\0\0l\0\0\0l\0\0\0e\0\0\0r", 24);
  EXPECT_TRUE(Same("O=M\xc3\xbcller", One(kO, latin1, 0x14)));
  EXPECT_TRUE(Same("O=M\xc3\xbcller", One(kO, ucs2, 0x1e)));
  EXPECT_TRUE(Same("O=M\xc3\xbcller", One(kO, ucs4, 0x1c)));
  EXPECT_TRUE(Same("O=M\xc3\xbcller", One(kO, "M\xc3\xbcller")));
  // What is no string is compared as it is encoded, and is never equal to a string.
  EXPECT_TRUE(Same("O=#030200ff", One(kO, std::string_view("\x00\xff", 2), 0x03)));
  EXPECT_FALSE(Same("O=\\03\\02\\00\\ff", One(kO, std::string_view("\x00\xff", 2), 0x03)));
}

TEST(DistinguishedNameTest, TheEmptyNameIsEmpty) {
  EXPECT_TRUE(Same("", Name("")));
  EXPECT_TRUE(Same("   ", Name("")));
  EXPECT_TRUE(DistinguishedName::Parse("")->empty());
}

TEST(DistinguishedNameTest, RefusesWhatIsNoName) {
  for (const char* text : {
           "edge.example",
           "=x",
           "CN",
           "CN=a,",
           "CN=a,,O=b",
           ",CN=a",
           "CN=a+",
           "FOO=a",
           "C N=a",
           "CN=\"a\"",
           "CN=a;O=b",
           "CN=<a>",
           "CN=a\\",
           "CN=a\\4",
           "CN=a\\zz",
           "CN=#",
           "CN=#0",
           "CN=#0c0",
           "CN=#0c05616",
           "CN=#0c0161ff",
           "CN=#0c01zz",
           "CN=#0c0161 x",
           "2=a",
           "3.1=a",
           "1.40=a",
           "2..5=a",
           "2.5.04=a",
           "2.5.=a",
           "99999999999999999999.1=a",
           "2.99999999999999999999=a",
           "1.2.a=b",
           "OID.2.5.4.3=a",
       }) {
    const auto name = DistinguishedName::Parse(text);
    EXPECT_FALSE(name.ok()) << text;
    EXPECT_NE(name.status().message().find("character"), std::string::npos) << text;
  }
}

TEST(DistinguishedNameTest, SaysWhere) {
  EXPECT_EQ(DistinguishedName::Parse("CN=a,FOO=b").status().message(),
            "distinguished name, character 9: unknown attribute type; write its object identifier, "
            "such as 2.5.4.3");
}

// Goal: hostile encodings are refused and never read past. Method: every cut and every changed
// byte.
TEST(DistinguishedNameTest, DamagedEncodingsAreSafe) {
  const std::string whole = Example();
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    const GuardedCopy copy(whole.substr(0, cut));
    EXPECT_FALSE(DistinguishedName::Decode(copy.view()).ok()) << cut;
  }
  EXPECT_FALSE(DistinguishedName::Decode(whole + "x").ok());
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const GuardedCopy copy(damaged);
      // It may still be equal: another string type, another case.
      static_cast<void>(DistinguishedName::Decode(copy.view()));
    }
  }
  EXPECT_FALSE(DistinguishedName::Decode(Name(Tlv(0x31, ""))).ok());
  EXPECT_FALSE(DistinguishedName::Decode(Name(Rdn(Tlv(0x30, Tlv(0x06, kCn))))).ok());
  EXPECT_FALSE(DistinguishedName::Decode(std::string_view("\x30\x80\0\0", 4)).ok());
  EXPECT_FALSE(DistinguishedName::Decode("\x30\x84\xff\xff\xff\xff").ok());
}

// What we print of a certificate is the name that we read from it.
TEST(DistinguishedNameTest, WhatWePrintIsWhatWeRead) {
  for (const char* common_name : {"edge.example", " a, b + c ", "#1", "a\\b\"c", "M\xc3\xbcller"}) {
    test::TestCertificateSpec spec;
    spec.common_name = common_name;
    const std::string der = test::MintSelfSigned(spec).Der();
    const tls::CertificateReading reading =
        tls::ReadCertificate({reinterpret_cast<const uint8_t*>(der.data()), der.size()});
    ASSERT_TRUE(reading.identity) << common_name;
    EXPECT_TRUE(Same(reading.identity->subject_dn(), std::string(reading.identity->subject_der())))
        << reading.identity->subject_dn();
  }
}

}  // namespace
}  // namespace sallyport::sip
