#include "tls/certificate_reader.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::tls {
namespace {

using ::testing::ElementsAre;

// --- DER written by hand, so that it may also be wrong ------------------------------------------

std::string Tagged(int tag, std::initializer_list<std::string> parts) {
  std::string content;
  for (const std::string& part : parts) content += part;
  std::string der(1, static_cast<char>(tag));
  const size_t size = content.size();
  if (size >= 0x10000) der += {'\x83', static_cast<char>(size >> 16), static_cast<char>(size >> 8)};
  if (size >= 0x100 && size < 0x10000) der += {'\x82', static_cast<char>(size >> 8)};
  if (size >= 0x80 && size < 0x100) der += '\x81';
  der += static_cast<char>(size & 0xff);
  return der + content;
}

std::string Sequence(std::initializer_list<std::string> parts) { return Tagged(0x30, parts); }

// "2a8648" -> three bytes.
std::string Hex(std::string_view digits) {
  return absl::HexStringToBytes({digits.data(), digits.size()});
}

std::string ToHex(const Sha256Digest& digest) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string Oid(std::string_view digits) { return Tagged(0x06, {Hex(digits)}); }

std::string Attribute(std::string_view oid, int tag, std::string value) {
  return Sequence({Oid(oid), Tagged(tag, {std::move(value)})});
}

std::string RelativeName(std::string_view oid, int tag, std::string value) {
  return Tagged(0x31, {Attribute(oid, tag, std::move(value))});
}

constexpr std::string_view kCn = "550403";
constexpr std::string_view kO = "55040a";

std::string CommonName(std::string value) { return RelativeName(kCn, 0x0c, std::move(value)); }

std::string Extension(std::string_view oid, std::string value) {
  return Sequence({Oid(oid), Tagged(0x04, {std::move(value)})});
}

std::string SubjectAltName(std::initializer_list<std::string> names) {
  std::string all;
  for (const std::string& name : names) all += name;
  return Extension("551d11", Sequence({all}));
}

std::string Dns(std::string name) { return Tagged(0x82, {std::move(name)}); }
std::string UriName(std::string name) { return Tagged(0x86, {std::move(name)}); }

const std::string kEcdsaSha256 = Sequence({Oid("2a8648ce3d040302")});

std::string EcPublicKey(std::string_view curve) {
  return Sequence(
      {Sequence({Oid("2a8648ce3d0201"), Oid(curve)}), Tagged(0x03, {std::string(66, '\4')})});
}

// A certificate that is right in everything except what a test changes. The signature is nonsense:
// the reader verifies none.
struct Parts {
  std::string version = Tagged(0xa0, {Tagged(0x02, {"\x02"})});
  std::string serial = Tagged(0x02, {"\x0a\x1b"});
  std::string algorithm = kEcdsaSha256;
  std::string issuer = Sequence({CommonName("Test CA")});
  std::string not_before = Tagged(0x17, {"250101000000Z"});
  std::string not_after = Tagged(0x17, {"350101000000Z"});
  std::string subject = Sequence({CommonName("leaf")});
  std::string public_key = EcPublicKey("2a8648ce3d030107");
  std::string before_extensions;
  std::string extensions = SubjectAltName({UriName("sip:a.example")});
  std::optional<std::string> outer_algorithm;

  std::string Der() const {
    const std::string tail = extensions.empty() ? "" : Tagged(0xa3, {Sequence({extensions})});
    const std::string body =
        Sequence({version, serial, algorithm, issuer, Sequence({not_before, not_after}), subject,
                  public_key, before_extensions, tail});
    return Sequence(
        {body, outer_algorithm.value_or(algorithm), Tagged(0x03, {std::string("\0sig", 4)})});
  }
};

// In a buffer of exactly that size, so that a sanitizer sees the first byte read beyond it.
CertificateReading Read(std::string_view der) {
  const std::vector<uint8_t> exact(der.begin(), der.end());
  return ReadCertificate(exact);
}
CertificateReading Read(const Parts& parts) { return Read(parts.Der()); }

CertificateFault FaultOf(const Parts& parts) { return Read(parts).fault; }

std::vector<std::string> NamesOf(const CertificateReading& reading) {
  std::vector<std::string> names;
  for (size_t i = 0; i < reading.identity->names_size(); ++i) {
    const CertificateName name = reading.identity->name(i);
    names.push_back(std::to_string(static_cast<int>(name.type)) + ":" + std::string(name.text));
  }
  return names;
}

std::string FromPem(std::string_view pem) {
  const size_t begin = pem.find('\n') + 1;
  const size_t end = pem.find("-----END");
  std::string der;
  EXPECT_TRUE(absl::Base64Unescape({pem.data() + begin, end - begin}, &der));
  return der;
}

// Case sip/uri-domain of the corpus.
constexpr std::string_view kSampleLeaf = R"(-----BEGIN CERTIFICATE-----
MIIB3DCCAYGgAwIBAgIUNXR1UMywe1YckFPofulYuSKANjcwCgYIKoZIzj0EAwIw
KzERMA8GA1UECgwIU0lQIHRlc3QxFjAUBgNVBAMMDVNJUCB0ZXN0IHJvb3QwHhcN
MjUwMTAxMDAwMDAwWhcNMzUwMTAxMDAwMDAwWjATMREwDwYDVQQKDAhTSVAgdGVz
dDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIHhaksItRoE0LxrrglMxHqGF7/D
6bKQOfsIdw7p9w+/KjNYwys0fi3A1e+zvPS+8lw3D17s7KKeym8Jp3z8URejgZow
gZcwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwGAYDVR0RBBEwD4YNc2lw
OmEuZXhhbXBsZTAdBgNVHSUEFjAUBggrBgEFBQcDAgYIKwYBBQUHAwEwHQYDVR0O
BBYEFKkgyGToG3n8+5P4egn2+hmZIHU+MB8GA1UdIwQYMBaAFPBJ7ykCRRV471Sf
3ZyNCyhVuBGHMAoGCCqGSM49BAMCA0kAMEYCIQCqUNpvJ/SC8kqXBtx0eUf2zgnL
HP4kN5Ry8yhsTqsB4AIhAKEYCMp4H46iHH030FTjkWzE9ttV1x5HzMH4P54x3bcJ
-----END CERTIFICATE-----
)";

TEST(CertificateReaderTest, ReadsWhatOpensslReads) {
  const CertificateReading reading = Read(FromPem(kSampleLeaf));
  ASSERT_EQ(reading.fault, CertificateFault::kNone);
  const PeerIdentity& leaf = *reading.identity;
  EXPECT_EQ(leaf.serial_hex(), "35747550ccb07b561c9053e87ee958b922803637");
  EXPECT_EQ(ToHex(leaf.fingerprint()),
            "b4b826ea6b51f66e435f867be3990eb8b2f89489c81c572d3819f57846fb352c");
  EXPECT_EQ(ToHex(leaf.facts().public_key_sha256),
            "26992ddbaa7f54542b268616b4903e0101e6f18d42cf0963581e108eaf4451d2");
  EXPECT_EQ(leaf.issuer_dn(), "CN=SIP test root,O=SIP test");
  EXPECT_EQ(leaf.subject_dn(), "O=SIP test");
  EXPECT_EQ(leaf.facts().not_before, 1735689600);
  EXPECT_EQ(leaf.facts().not_after, 2051222400);
  EXPECT_EQ(leaf.facts().key_algorithm, KeyAlgorithm::kEcP256);
  EXPECT_EQ(leaf.facts().key_bits, 256);
  EXPECT_FALSE(leaf.facts().weak_signature);
  EXPECT_FALSE(leaf.facts().is_ca);
  EXPECT_TRUE(leaf.facts().has_subject_alt_name);
  EXPECT_TRUE(leaf.facts().key_usage.present);
  EXPECT_TRUE(leaf.facts().key_usage.digital_signature);
  EXPECT_FALSE(leaf.facts().key_usage.key_cert_sign);
  EXPECT_TRUE(leaf.facts().extended_key_usage.present);
  EXPECT_TRUE(leaf.facts().extended_key_usage.client_auth);
  EXPECT_TRUE(leaf.facts().extended_key_usage.server_auth);
  EXPECT_FALSE(leaf.facts().extended_key_usage.any);
  EXPECT_FALSE(leaf.facts().extended_key_usage.sip_domain);
  EXPECT_FALSE(leaf.facts().extended_key_usage.other);
  EXPECT_THAT(NamesOf(reading), ElementsAre("2:sip:a.example"));
  EXPECT_LT(leaf.memory_bytes(), 500u);
}

TEST(CertificateReaderTest, ReferencesShareOneIdentity) {
  PeerIdentityRef second;
  {
    const CertificateReading reading = Read(Parts());
    ASSERT_TRUE(reading.identity);
    second = reading.identity;
    EXPECT_EQ(second.get(), reading.identity.get());
  }
  EXPECT_EQ(second->subject_dn(), "CN=leaf");
  const PeerIdentityRef third = std::move(second);
  EXPECT_EQ(third->issuer_dn(), "CN=Test CA");
}

TEST(CertificateReaderTest, EveryProperPrefixIsRefused) {
  const std::string der = Parts().Der();
  ASSERT_EQ(Read(der).fault, CertificateFault::kNone);
  for (size_t cut = 0; cut < der.size(); ++cut) {
    EXPECT_EQ(Read(std::string_view(der).substr(0, cut)).fault, CertificateFault::kBadEncoding)
        << cut;
  }
}

TEST(CertificateReaderTest, OneByteMoreIsRefused) {
  EXPECT_EQ(Read(Parts().Der() + '\0').fault, CertificateFault::kBadEncoding);
}

// Goal: nothing that one flipped bit can make of a certificate is dangerous. A sanitizer build is
// the judge.
TEST(CertificateReaderTest, EveryFlippedBitIsReadSafely) {
  Parts parts;
  parts.extensions += Extension("551d0f", Hex("03020780")) +
                      Extension("551d25", Sequence({Oid("2b06010505070302")})) +
                      Extension("551d13", Sequence({}));
  const std::string der = parts.Der();
  ASSERT_EQ(Read(der).fault, CertificateFault::kNone);
  for (size_t bit = 0; bit < der.size() * 8; ++bit) {
    std::string flipped = der;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << (bit % 8));
    const CertificateReading reading = Read(flipped);
    EXPECT_EQ(static_cast<bool>(reading.identity), reading.fault == CertificateFault::kNone);
  }
}

TEST(CertificateReaderTest, LengthsAreDefiniteAndMinimal) {
  const std::string subject = CommonName("leaf");
  const auto with_subject = [](std::string header, const std::string& content) {
    Parts parts;
    parts.subject = std::move(header) + content;
    return FaultOf(parts);
  };
  const auto size = static_cast<char>(subject.size());
  EXPECT_EQ(with_subject({'\x30', size}, subject), CertificateFault::kNone);
  EXPECT_EQ(with_subject({'\x30', '\x81', size}, subject), CertificateFault::kBadEncoding);
  EXPECT_EQ(with_subject({'\x30', '\x82', '\0', size}, subject), CertificateFault::kBadEncoding);
  EXPECT_EQ(with_subject({'\x30', '\x80'}, subject + std::string(2, '\0')),
            CertificateFault::kBadEncoding);
  EXPECT_EQ(with_subject({'\x30', '\xff'}, subject), CertificateFault::kBadEncoding);
  EXPECT_EQ(with_subject({'\x3f', '\x10', size}, subject),
            CertificateFault::kBadEncoding);  // Long tag.
}

TEST(CertificateReaderTest, SizeBound) {
  Parts parts;
  const std::string without = parts.Der();
  const auto padded = [&parts](size_t bytes) {
    Parts grown = parts;
    grown.extensions += Extension("2a03", std::string(bytes, 'x'));
    return grown.Der();
  };
  size_t padding = kCertificateBytesMax - without.size() - 40;
  while (padded(padding).size() < kCertificateBytesMax) ++padding;
  ASSERT_EQ(padded(padding).size(), kCertificateBytesMax);
  EXPECT_EQ(Read(padded(padding)).fault, CertificateFault::kNone);
  EXPECT_EQ(Read(padded(padding + 1)).fault, CertificateFault::kTooLarge);
}

TEST(CertificateReaderTest, Versions) {
  Parts parts;
  parts.version = Tagged(0xa0, {Tagged(0x02, {"\x01"})});  // v2
  EXPECT_EQ(FaultOf(parts), CertificateFault::kUnsupportedVersion);
  parts.version = Tagged(0xa0, {Tagged(0x02, {"\x03"})});  // v4
  EXPECT_EQ(FaultOf(parts), CertificateFault::kUnsupportedVersion);
  parts.version =
      Tagged(0xa0, {Tagged(0x02, {std::string(1, '\0')})});  // v1 is the default and never written.
  EXPECT_EQ(FaultOf(parts), CertificateFault::kUnsupportedVersion);
  parts.version.clear();  // v1 with extensions
  EXPECT_EQ(FaultOf(parts), CertificateFault::kUnsupportedVersion);
  parts.extensions.clear();  // v1
  EXPECT_EQ(FaultOf(parts), CertificateFault::kNone);
}

TEST(CertificateReaderTest, UniqueIdentifiersAreSkipped) {
  Parts parts;
  parts.before_extensions =
      Tagged(0x81, {std::string("\0x", 2)}) + Tagged(0x82, {std::string("\0y", 2)});
  EXPECT_EQ(FaultOf(parts), CertificateFault::kNone);
  parts.before_extensions =
      Tagged(0x82, {std::string("\0x", 2)}) + Tagged(0x81, {std::string("\0y", 2)});
  EXPECT_EQ(FaultOf(parts), CertificateFault::kBadEncoding);  // Wrong order.
}

TEST(CertificateReaderTest, SerialNumbers) {
  const auto serial = [](std::string content) {
    Parts parts;
    parts.serial = Tagged(0x02, {std::move(content)});
    const CertificateReading reading = Read(parts);
    return reading.identity ? std::string(reading.identity->serial_hex()) : "refused";
  };
  EXPECT_EQ(serial("\x0a\x1b"), "0a1b");
  EXPECT_EQ(serial(Hex("00ff")), "ff");  // Without the sign byte, as openssl prints it.
  EXPECT_EQ(serial(Hex("00")), "00");
  EXPECT_EQ(serial(Hex("007f")), "refused");  // Not minimal.
  EXPECT_EQ(serial(Hex("ff80")), "refused");
  EXPECT_EQ(serial(Hex("ff")), "-01");  // RFC 5280 §4.1.2.2: handled, though no CA should.
  EXPECT_EQ(serial(Hex("80")), "-80");
  EXPECT_EQ(serial(Hex("ff7f")), "-81");
  EXPECT_EQ(serial(Hex("8000")), "-8000");
  EXPECT_EQ(serial(Hex("ff00")), "-0100");
  EXPECT_EQ(serial(""), "refused");
  EXPECT_EQ(serial(std::string(33, '\1')).size(), 66u);
  EXPECT_EQ(serial(std::string(34, '\1')), "refused");
}

TEST(CertificateReaderTest, UnknownCriticalExtensionsAreNoted) {
  const auto is_noted = [](std::string_view oid, const std::string& criticality) {
    Parts parts;
    parts.extensions +=
        Sequence({Oid(oid), criticality, Tagged(0x04, {Tagged(0x05, {std::string()})})});
    const CertificateReading reading = Read(parts);
    EXPECT_TRUE(reading.identity) << oid;
    return reading.identity && reading.identity->facts().has_unknown_critical;
  };
  const std::string critical = Tagged(0x01, {"\xff"});
  const std::string plain = Tagged(0x01, {std::string(1, '\0')});
  for (const char* unknown : {"2a03", "551d63", "551d", "551d1f01", "2b06010505070102"}) {
    EXPECT_TRUE(is_noted(unknown, critical)) << unknown;
    EXPECT_FALSE(is_noted(unknown, plain)) << unknown;
    EXPECT_FALSE(is_noted(unknown, "")) << unknown;
  }
  for (const char* known : {"551d1f", "551d20", "551d24", "551d36", "2b06010505070101"}) {
    EXPECT_FALSE(is_noted(known, critical)) << known;
  }
}

TEST(CertificateReaderTest, InnerAndOuterSignatureAlgorithmAgree) {
  Parts parts;
  parts.outer_algorithm = Sequence({Oid("2a8648ce3d040303")});
  EXPECT_EQ(FaultOf(parts), CertificateFault::kBadEncoding);
}

TEST(CertificateReaderTest, WeakSignatures) {
  const auto weak = [](std::string algorithm) {
    Parts parts;
    parts.algorithm = std::move(algorithm);
    const CertificateReading reading = Read(parts);
    EXPECT_TRUE(reading.identity);
    return reading.identity && reading.identity->facts().weak_signature;
  };
  const std::string null = Hex("0500");
  EXPECT_TRUE(weak(Sequence({Oid("2a864886f70d010104"), null})));   // MD5, RSA
  EXPECT_TRUE(weak(Sequence({Oid("2a864886f70d010105"), null})));   // SHA-1, RSA
  EXPECT_TRUE(weak(Sequence({Oid("2a8648ce3d0401")})));             // SHA-1, ECDSA
  EXPECT_FALSE(weak(Sequence({Oid("2a864886f70d01010b"), null})));  // SHA-256, RSA
  EXPECT_FALSE(weak(Sequence({Oid("2b6570")})));                    // Ed25519
  const std::string pss = Oid("2a864886f70d01010a");
  EXPECT_TRUE(weak(Sequence({pss, Sequence({})})));  // RFC 4055: the default is SHA-1.
  EXPECT_TRUE(weak(Sequence({pss})));
  EXPECT_TRUE(
      weak(Sequence({pss, Sequence({Tagged(0xa0, {Sequence({Oid("2b0e03021a"), null})})})})));
  EXPECT_FALSE(weak(
      Sequence({pss, Sequence({Tagged(0xa0, {Sequence({Oid("608648016503040201"), null})})})})));
}

TEST(CertificateReaderTest, Times) {
  const auto time = [](int tag, std::string text) -> int64_t {
    Parts parts;
    parts.not_after = Tagged(tag, {std::move(text)});
    const CertificateReading reading = Read(parts);
    return reading.identity ? reading.identity->facts().not_after : -1;
  };
  EXPECT_EQ(time(0x17, "500101000000Z"),
            -631152000);  // UTCTime 50..99 is 19xx (RFC 5280 §4.1.2.5.1).
  EXPECT_EQ(time(0x17, "491231235959Z"), 2524607999);
  EXPECT_EQ(time(0x18, "20500101000000Z"), 2524608000);
  EXPECT_EQ(time(0x18, "99991231235959Z"), 253402300799);
  EXPECT_EQ(time(0x17, "240229000000Z"), 1709164800);
  EXPECT_EQ(time(0x17, "250229000000Z"), -1);
  EXPECT_EQ(time(0x18, "21000229000000Z"), -1);
  EXPECT_EQ(time(0x17, "250431000000Z"), -1);
  EXPECT_EQ(time(0x17, "251301000000Z"), -1);
  EXPECT_EQ(time(0x17, "250001000000Z"), -1);
  EXPECT_EQ(time(0x17, "250100000000Z"), -1);
  EXPECT_EQ(time(0x17, "250101240000Z"), -1);
  EXPECT_EQ(time(0x17, "250101006000Z"), -1);
  EXPECT_EQ(time(0x17, "250101000060Z"), -1);
  EXPECT_EQ(time(0x17, "2501010000Z"), -1);        // No seconds.
  EXPECT_EQ(time(0x17, "250101000000+0000"), -1);  // No offset.
  EXPECT_EQ(time(0x18, "20250101000000.5Z"), -1);  // No fraction.
  EXPECT_EQ(time(0x17, "25010100000 Z"), -1);
  EXPECT_EQ(time(0x0c, "250101000000Z"), -1);
}

TEST(CertificateReaderTest, ValidityIsInclusive) {
  const CertificateReading reading = Read(Parts());
  const CertificateFacts& facts = reading.identity->facts();
  EXPECT_FALSE(facts.ValidAt(facts.not_before - 1));
  EXPECT_TRUE(facts.ValidAt(facts.not_before));
  EXPECT_TRUE(facts.ValidAt(facts.not_after));
  EXPECT_FALSE(facts.ValidAt(facts.not_after + 1));
}

std::string SubjectDnOf(std::string name) {
  Parts parts;
  parts.subject = Sequence({std::move(name)});
  const CertificateReading reading = Read(parts);
  return reading.identity ? std::string(reading.identity->subject_dn()) : "refused";
}

TEST(CertificateReaderTest, DistinguishedNamesAreRfc4514) {
  EXPECT_EQ(SubjectDnOf(""), "");
  EXPECT_EQ(SubjectDnOf(RelativeName("550406", 0x13, "GB") +
                        RelativeName(kO, 0x13, "Isode Limited") + CommonName("Steve Kille")),
            "CN=Steve Kille,O=Isode Limited,C=GB");
  EXPECT_EQ(SubjectDnOf(Tagged(
                0x31, {Attribute("55040b", 0x13, "Sales"), Attribute(kCn, 0x13, "J. Smith")})),
            "OU=Sales+CN=J. Smith");
  EXPECT_EQ(SubjectDnOf(CommonName("James \"Jim\" Smith, III")),
            "CN=James \\\"Jim\\\" Smith\\, III");
  EXPECT_EQ(SubjectDnOf(CommonName(" #a ")), "CN=\\ #a\\ ");
  EXPECT_EQ(SubjectDnOf(CommonName("#a")), "CN=\\#a");
  EXPECT_EQ(SubjectDnOf(CommonName("a\rb")), "CN=a\\0db");
  EXPECT_EQ(SubjectDnOf(CommonName("Lu\xc4\x8di\xc4\x87")), "CN=Lu\xc4\x8di\xc4\x87");
  EXPECT_EQ(SubjectDnOf(RelativeName(kCn, 0x1e, Hex("004c010d"))), "CN=L\xc4\x8d");  // BMPString
  EXPECT_EQ(SubjectDnOf(RelativeName(kCn, 0x14, "\xfc")), "CN=\xc3\xbc");  // TeletexString
  EXPECT_EQ(SubjectDnOf(RelativeName(kCn, 0x1c, Hex("0001f600"))),
            "CN=\xf0\x9f\x98\x80");  // UniversalString
  EXPECT_EQ(SubjectDnOf(RelativeName("2a864886f70d010901", 0x16, "a@b")),
            "1.2.840.113549.1.9.1=#1603614062");
  EXPECT_EQ(SubjectDnOf(RelativeName(kO, 0x0c, "\xff")), "O=#0c01ff");  // Not UTF-8.
  EXPECT_EQ(SubjectDnOf(Tagged(0x31, {})), "refused");
  EXPECT_EQ(SubjectDnOf(RelativeName("80", 0x0c, "x")), "refused");  // No OID.
}

TEST(CertificateReaderTest, CommonNamesInOrderLastIsMostSpecific) {
  Parts parts;
  parts.subject =
      Sequence({CommonName("b.example"), RelativeName(kO, 0x0c, "x"), CommonName("a.example")});
  parts.extensions.clear();
  parts.version.clear();
  const CertificateReading reading = Read(parts);
  ASSERT_TRUE(reading.identity);
  EXPECT_THAT(NamesOf(reading), ElementsAre("0:b.example", "0:a.example"));
  EXPECT_FALSE(reading.identity->facts().has_subject_alt_name);
}

TEST(CertificateReaderTest, CommonNameMustBeReadable) {
  for (const std::string& subject :
       {CommonName(std::string("b.example\0.a.example", 20)), CommonName("\xff"),
        RelativeName(kCn, 0x1e, Hex("00610000")), RelativeName(kCn, 0x1e, "a"),
        RelativeName(kCn, 0x16, "\xe4"), RelativeName(kCn, 0x04, "a"),
        RelativeName(kCn, 0x1e, Hex("d800")), CommonName("\xc0\xae"), CommonName("\xed\xa0\x80")}) {
    Parts parts;
    parts.subject = Sequence({subject});
    EXPECT_EQ(FaultOf(parts), CertificateFault::kBadName) << absl::CHexEscape(subject);
  }
}

TEST(CertificateReaderTest, NamesByType) {
  Parts parts;
  parts.extensions =
      SubjectAltName({Dns("a.example"), UriName("sip:a.example"), Tagged(0x81, {"alice@a.example"}),
                      Tagged(0x87, {"\x7f\1\1\1"}), Tagged(0x87, {std::string(16, '\1')}),
                      Tagged(0xa0, {Oid("2a03"), Tagged(0xa0, {Tagged(0x0c, {"x"})})}),
                      Tagged(0xa4, {Sequence({})}), Tagged(0x88, {"\x2a"}), Dns("")});
  const CertificateReading reading = Read(parts);
  ASSERT_TRUE(reading.identity);
  EXPECT_THAT(NamesOf(reading),
              ElementsAre("0:leaf", "1:a.example", "2:sip:a.example", "3:alice@a.example",
                          "4:\x7f\1\1\1", "4:" + std::string(16, '\1'), "1:"));
}

TEST(CertificateReaderTest, BadAlternativeNames) {
  const auto fault = [](std::initializer_list<std::string> names) {
    Parts parts;
    parts.extensions = SubjectAltName(names);
    return FaultOf(parts);
  };
  EXPECT_EQ(fault({Dns(std::string("a.example\0.evil.test", 20))}), CertificateFault::kBadName);
  EXPECT_EQ(fault({UriName(std::string("sip:a.example\0", 14))}), CertificateFault::kBadName);
  EXPECT_EQ(fault({Tagged(0x81, {std::string("\0", 1)})}), CertificateFault::kBadName);
  EXPECT_EQ(fault({Dns("a.ex\xc3\xa4mple")}), CertificateFault::kBadName);
  EXPECT_EQ(fault({Dns("\x80")}), CertificateFault::kBadName);
  EXPECT_EQ(fault({Dns("\x7f")}), CertificateFault::kNone);  // IA5; no host name all the same.
  EXPECT_EQ(fault({Tagged(0x87, {"\1\1\1"})}), CertificateFault::kBadName);
  EXPECT_EQ(fault({Tagged(0x87, {"\1\1\1\1\1"})}), CertificateFault::kBadName);
  EXPECT_EQ(fault({}), CertificateFault::kBadName);
  EXPECT_EQ(fault({Tagged(0x89, {"x"})}), CertificateFault::kBadEncoding);
  EXPECT_EQ(fault({Tagged(0xa2, {Dns("a.example")})}),
            CertificateFault::kBadEncoding);  // Constructed string.
}

TEST(CertificateReaderTest, NamesAreBounded) {
  const auto fault = [](size_t names, bool kept) {
    std::string all;
    for (size_t i = 0; i < names; ++i) all += kept ? Dns("a.b") : Tagged(0x88, {"\x2a"});
    Parts parts;
    parts.subject = Sequence({});
    parts.extensions = SubjectAltName({all});
    return FaultOf(parts);
  };
  EXPECT_EQ(fault(kCertificateNamesMax, true), CertificateFault::kNone);
  EXPECT_EQ(fault(kCertificateNamesMax + 1, true), CertificateFault::kTooManyNames);
  EXPECT_EQ(fault(kCertificateNamesMax, false), CertificateFault::kNone);
  EXPECT_EQ(fault(kCertificateNamesMax + 1, false), CertificateFault::kTooManyNames);
}

TEST(CertificateReaderTest, ExtensionsOnceAndBounded) {
  Parts parts;
  parts.extensions += SubjectAltName({Dns("b.example")});
  EXPECT_EQ(FaultOf(parts), CertificateFault::kRepeatedExtension);
  const auto with = [](size_t count) {
    Parts many;
    many.extensions.clear();
    for (size_t i = 0; i < count; ++i)
      many.extensions +=
          Extension("2a01" + absl::BytesToHexString(std::string(1, static_cast<char>(i + 1))), "x");
    return FaultOf(many);
  };
  EXPECT_EQ(with(kCertificateExtensionsMax), CertificateFault::kNone);
  EXPECT_EQ(with(kCertificateExtensionsMax + 1), CertificateFault::kTooManyExtensions);
}

TEST(CertificateReaderTest, CriticalMayBeWrittenOut) {
  const auto with = [](std::string_view boolean) {
    Parts parts;
    parts.extensions = Sequence({Oid("2a03"), Hex(boolean), Tagged(0x04, {"x"})});
    return FaultOf(parts);
  };
  EXPECT_EQ(with("0101ff"), CertificateFault::kNone);
  EXPECT_EQ(with("010100"), CertificateFault::kNone);
  EXPECT_EQ(with("010101"), CertificateFault::kBadEncoding);
  EXPECT_EQ(with("0100"), CertificateFault::kBadEncoding);
}

TEST(CertificateReaderTest, KeyUsage) {
  const auto usage = [](std::string_view value) {
    Parts parts;
    parts.extensions = Extension("551d0f", Hex(value));
    const CertificateReading reading = Read(parts);
    return reading.identity ? std::optional(reading.identity->facts().key_usage) : std::nullopt;
  };
  EXPECT_TRUE(usage("03020780")->digital_signature);
  EXPECT_FALSE(usage("03020780")->key_encipherment);
  EXPECT_TRUE(usage("03020520")->key_encipherment);
  EXPECT_TRUE(usage("03020308")->key_agreement);
  EXPECT_TRUE(usage("03020106")->key_cert_sign);
  EXPECT_TRUE(usage("03020106")->crl_sign);
  EXPECT_TRUE(usage("0303070080")->present);  // decipherOnly alone.
  EXPECT_TRUE(usage("030100")
                  ->present);  // No bit: nothing is allowed, which is not the same as no extension.
  EXPECT_FALSE(usage("030100")->digital_signature);
  EXPECT_FALSE(usage("0300").has_value());
  EXPECT_FALSE(usage("03020880").has_value());
  EXPECT_FALSE(usage("030400808080").has_value());
  EXPECT_FALSE(Read(Parts()).identity->facts().key_usage.present);
}

TEST(CertificateReaderTest, ExtendedKeyUsage) {
  const auto usage = [](std::string oids) {
    Parts parts;
    parts.extensions = Extension("551d25", Sequence({std::move(oids)}));
    const CertificateReading reading = Read(parts);
    return reading.identity ? std::optional(reading.identity->facts().extended_key_usage)
                            : std::nullopt;
  };
  const ExtendedKeyUsage all =
      *usage(Oid("2b06010505070301") + Oid("2b06010505070302") + Oid("2b06010505070314") +
             Oid("551d2500") + Oid("2b06010505070303"));
  EXPECT_TRUE(all.present && all.server_auth && all.client_auth && all.sip_domain && all.any &&
              all.other);
  const ExtendedKeyUsage code_signing = *usage(Oid("2b06010505070303"));
  EXPECT_TRUE(code_signing.present && code_signing.other);
  EXPECT_FALSE(code_signing.server_auth || code_signing.client_auth || code_signing.sip_domain ||
               code_signing.any);
  EXPECT_FALSE(usage("").has_value());
  EXPECT_FALSE(usage(Tagged(0x0c, {"x"})).has_value());
  EXPECT_FALSE(Read(Parts()).identity->facts().extended_key_usage.present);
}

TEST(CertificateReaderTest, BasicConstraints) {
  const auto is_ca = [](std::string_view value) {
    Parts parts;
    parts.extensions = Extension("551d13", Hex(value));
    const CertificateReading reading = Read(parts);
    return reading.identity ? std::optional(reading.identity->facts().is_ca) : std::nullopt;
  };
  EXPECT_EQ(is_ca("3000"), false);
  EXPECT_EQ(is_ca("30030101ff"), true);
  EXPECT_EQ(is_ca("3003010100"), false);
  EXPECT_EQ(is_ca("30060101ff020100"), true);
  EXPECT_EQ(is_ca("3003010101"), std::nullopt);
  EXPECT_EQ(is_ca("30030101ff00"), std::nullopt);
}

std::string RsaKey(std::string modulus) {
  const std::string key =
      Sequence({Tagged(0x02, {std::move(modulus)}), Tagged(0x02, {Hex("010001")})});
  return Sequence({Sequence({Oid("2a864886f70d010101"), Hex("0500")}),
                   Tagged(0x03, {std::string(1, '\0') + key})});
}

TEST(CertificateReaderTest, KeyAlgorithms) {
  const auto key = [](std::string public_key) -> std::pair<KeyAlgorithm, int> {
    Parts parts;
    parts.public_key = std::move(public_key);
    const CertificateReading reading = Read(parts);
    if (!reading.identity) return {KeyAlgorithm::kOther, -1};
    return {reading.identity->facts().key_algorithm, reading.identity->facts().key_bits};
  };
  EXPECT_EQ(key(EcPublicKey("2a8648ce3d030107")), std::pair(KeyAlgorithm::kEcP256, 256));
  EXPECT_EQ(key(EcPublicKey("2b81040022")), std::pair(KeyAlgorithm::kEcP384, 384));
  EXPECT_EQ(key(EcPublicKey("2b81040023")), std::pair(KeyAlgorithm::kEcP521, 521));
  EXPECT_EQ(key(EcPublicKey("2b8104000a")), std::pair(KeyAlgorithm::kEcOther, 0));
  EXPECT_EQ(key(RsaKey(std::string(1, '\0') + std::string(256, '\xff'))),
            std::pair(KeyAlgorithm::kRsa, 2048));
  EXPECT_EQ(key(RsaKey("\x01" + std::string(127, 'x'))), std::pair(KeyAlgorithm::kRsa, 1017));
  EXPECT_EQ(key(RsaKey(std::string(256, '\xff'))).second, -1);         // Negative.
  EXPECT_EQ(key(RsaKey(std::string(1, '\0'))).second, -1);             // Zero.
  EXPECT_EQ(key(RsaKey("\x01" + std::string(1024, 'x'))).second, -1);  // 8193 bits.
  EXPECT_EQ(key(Sequence({Sequence({Oid("2b6570")}), Tagged(0x03, {std::string(33, '\0')})})),
            std::pair(KeyAlgorithm::kEd25519, 256));
  EXPECT_EQ(key(Sequence({Sequence({Oid("2a03")}), Tagged(0x03, {std::string(33, '\0')})})),
            std::pair(KeyAlgorithm::kOther, 0));
}

TEST(CertificateReaderTest, FaultsHaveTexts) {
  for (int fault = 0; fault <= static_cast<int>(CertificateFault::kTooManyExtensions); ++fault) {
    EXPECT_FALSE(CertificateFaultText(static_cast<CertificateFault>(fault)).empty());
  }
}

// Thousands of other people's broken certificates: no crash, no identity without a sound reading.
TEST(CertificateReaderTest, ForeignMalformedCertificatesAreReadSafely) {
  const char* const corpora = std::getenv("SALLYPORT_CORPORA");
  if (corpora == nullptr) GTEST_SKIP() << "SALLYPORT_CORPORA is not set";
  size_t files = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::string(corpora) + "/x509/malformed")) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    const CertificateReading reading = Read(bytes);
    EXPECT_EQ(static_cast<bool>(reading.identity), reading.fault == CertificateFault::kNone)
        << entry.path();
    ++files;
  }
  EXPECT_GT(files, 900u);
}

}  // namespace
}  // namespace sallyport::tls
