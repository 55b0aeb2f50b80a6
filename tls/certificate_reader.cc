#include "tls/certificate_reader.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/hash.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

namespace sallyport::tls {
namespace {

using Bytes = std::span<const uint8_t>;

std::string_view AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool SameBytes(Bytes a, Bytes b) { return AsText(a) == AsText(b); }

// --- DER (X.690)
// -------------------------------------------------------------------------------------------------------

enum Tag : uint8_t {
  kBoolean = 0x01,
  kInteger = 0x02,
  kBitString = 0x03,
  kOctetString = 0x04,
  kObjectIdentifier = 0x06,
  kUtf8String = 0x0c,
  kNumericString = 0x12,
  kPrintableString = 0x13,
  kTeletexString = 0x14,
  kIa5String = 0x16,
  kUtcTime = 0x17,
  kGeneralizedTime = 0x18,
  kVisibleString = 0x1a,
  kUniversalString = 0x1c,
  kBmpString = 0x1e,
  kSequence = 0x30,
  kSet = 0x31
};

constexpr uint8_t ContextPrimitive(uint8_t number) { return static_cast<uint8_t>(0x80 | number); }
constexpr uint8_t ContextConstructed(uint8_t number) { return static_cast<uint8_t>(0xa0 | number); }

struct Element {
  uint8_t tag = 0;
  Bytes content;
  Bytes whole;  // Tag and length included.
};

// Walks the elements of one constructed value. Once it failed it stays failed, so a caller may test
// once.
class DerCursor {
 public:
  explicit DerCursor(Bytes bytes) : rest_(bytes) {}

  bool AtEnd() const { return rest_.empty(); }
  uint8_t PeekTag() const { return rest_.empty() ? 0 : rest_[0]; }

  // The next element whatever its tag.
  bool Next(Element& element) {
    size_t header_bytes = 0;
    size_t content_bytes = 0;
    if (!ReadHeader(header_bytes, content_bytes)) return false;
    element.tag = rest_[0];
    element.whole = rest_.first(header_bytes + content_bytes);
    element.content = element.whole.subspan(header_bytes);
    rest_ = rest_.subspan(element.whole.size());
    return true;
  }

  bool Next(uint8_t tag, Element& element) { return PeekTag() == tag && Next(element); }

 private:
  // X.690 §8.1.2, §10.1: one-byte tags (certificates use no other), definite length in the fewest
  // bytes.
  bool ReadHeader(size_t& header_bytes, size_t& content_bytes) const {
    if (rest_.size() < 2 || (rest_[0] & 0x1f) == 0x1f) return false;
    const uint8_t first = rest_[1];
    header_bytes = 2;
    content_bytes = first;
    if (first >= 0x80) {
      const size_t length_bytes = first & 0x7fu;
      // Zero would be the indefinite form; three bytes are more than kCertificateBytesMax needs.
      if (length_bytes == 0 || length_bytes > 3 || rest_.size() < 2 + length_bytes) return false;
      header_bytes = 2 + length_bytes;
      content_bytes = 0;
      for (size_t i = 0; i < length_bytes; ++i) content_bytes = content_bytes << 8 | rest_[2 + i];
      const bool minimal = content_bytes >= 0x80 && rest_[2] != 0;
      if (!minimal) return false;
    }
    return content_bytes <= rest_.size() - header_bytes;
  }

  Bytes rest_;
};

// The content is exactly one element of this tag.
bool ReadOnly(Bytes bytes, uint8_t tag, Element& element) {
  DerCursor cursor(bytes);
  return cursor.Next(tag, element) && cursor.AtEnd();
}

// X.690 §8.3.2: not empty, no redundant leading byte.
bool IsMinimalInteger(Bytes content) {
  if (content.empty()) return false;
  if (content.size() == 1) return true;
  return !(content[0] == 0x00 && content[1] < 0x80) && !(content[0] == 0xff && content[1] >= 0x80);
}

// --- Object identifiers
// ------------------------------------------------------------------------------------------------

// The content bytes of an OID, without the literal's closing NUL.
template <size_t kSize>
constexpr std::string_view Oid(const char (&bytes)[kSize]) {
  return {bytes, kSize - 1};
}

constexpr std::string_view kOidCommonName = Oid("\x55\x04\x03");
constexpr std::string_view kOidSubjectAltName = Oid("\x55\x1d\x11");
constexpr std::string_view kOidKeyUsage = Oid("\x55\x1d\x0f");
constexpr std::string_view kOidExtendedKeyUsage = Oid("\x55\x1d\x25");
constexpr std::string_view kOidBasicConstraints = Oid("\x55\x1d\x13");
// Those that RFC 5280 describes: 2.5.29.N (§4.2.1) and authorityInfoAccess. What is in them and
// concerns the path is the library's to judge.
constexpr std::string_view kOidCertificateExtension = Oid("\x55\x1d");
constexpr std::array<uint8_t, 14> kKnownExtensions = {14, 15, 17, 18, 19, 30, 31,
                                                      32, 33, 35, 36, 37, 46, 54};
constexpr std::string_view kOidAuthorityInfoAccess = Oid("\x2b\x06\x01\x05\x05\x07\x01\x01");
constexpr std::string_view kOidServerAuth = Oid("\x2b\x06\x01\x05\x05\x07\x03\x01");
constexpr std::string_view kOidClientAuth = Oid("\x2b\x06\x01\x05\x05\x07\x03\x02");
constexpr std::string_view kOidSipDomain =
    Oid("\x2b\x06\x01\x05\x05\x07\x03\x14");  // RFC 5924 §3.1.
constexpr std::string_view kOidAnyPurpose = Oid("\x55\x1d\x25\x00");
constexpr std::string_view kOidRsa = Oid("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
constexpr std::string_view kOidRsaPss = Oid("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a");
constexpr std::string_view kOidEcPublicKey = Oid("\x2a\x86\x48\xce\x3d\x02\x01");
constexpr std::string_view kOidP256 = Oid("\x2a\x86\x48\xce\x3d\x03\x01\x07");
constexpr std::string_view kOidP384 = Oid("\x2b\x81\x04\x00\x22");
constexpr std::string_view kOidP521 = Oid("\x2b\x81\x04\x00\x23");
constexpr std::string_view kOidEd25519 = Oid("\x2b\x65\x70");
constexpr std::string_view kOidEd448 = Oid("\x2b\x65\x71");
constexpr std::string_view kOidSha1 = Oid("\x2b\x0e\x03\x02\x1a");

// Signature algorithms over MD2, MD4, MD5 or SHA-1: none of them binds the names to the signer any
// more.
constexpr std::array<std::string_view, 9> kWeakSignatureOids = {
    Oid("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02"),  // md2WithRSAEncryption
    Oid("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x03"),  // md4WithRSAEncryption
    Oid("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"),  // md5WithRSAEncryption
    Oid("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"),  // sha1WithRSAEncryption
    Oid("\x2a\x86\x48\xce\x3d\x04\x01"),          // ecdsa-with-SHA1
    Oid("\x2a\x86\x48\xce\x38\x04\x03"),          // id-dsa-with-sha1
    Oid("\x2b\x0e\x03\x02\x03"),                  // md5WithRSA (OIW)
    Oid("\x2b\x0e\x03\x02\x1d"),                  // sha-1WithRSAEncryption (OIW)
    Oid("\x2b\x0e\x03\x02\x1b")                   // dsaWithSHA1 (OIW)
};

bool IsKnownExtension(std::string_view oid) {
  const bool is_numbered = oid.size() == kOidCertificateExtension.size() + 1 &&
                           oid.starts_with(kOidCertificateExtension);
  return oid == kOidAuthorityInfoAccess ||
         (is_numbered && std::find(kKnownExtensions.begin(), kKnownExtensions.end(),
                                   static_cast<uint8_t>(oid.back())) != kKnownExtensions.end());
}

struct AttributeName {
  std::string_view oid;
  std::string_view text;
};
// RFC 4514 §3: the short names that every implementation knows.
constexpr std::array<AttributeName, 9> kAttributeNames = {{
    {kOidCommonName, "CN"},
    {Oid("\x55\x04\x07"), "L"},
    {Oid("\x55\x04\x08"), "ST"},
    {Oid("\x55\x04\x0a"), "O"},
    {Oid("\x55\x04\x0b"), "OU"},
    {Oid("\x55\x04\x06"), "C"},
    {Oid("\x55\x04\x09"), "STREET"},
    {Oid("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"), "DC"},
    {Oid("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"), "UID"},
}};

// X.690 §8.19 in dotted form; empty if it is not a well-formed OID of arcs below 2^56.
std::string DottedOid(Bytes content) {
  std::string dotted;
  uint64_t arc = 0;
  size_t arc_bytes = 0;
  for (const uint8_t byte : content) {
    if (arc_bytes == 0 && byte == 0x80) return {};  // Not the fewest bytes.
    if (++arc_bytes > 8) return {};
    arc = arc << 7 | (byte & 0x7fu);
    if ((byte & 0x80) != 0) continue;
    if (dotted.empty()) {
      const uint64_t root = std::min<uint64_t>(arc / 40, 2);
      dotted = std::to_string(root) + "." + std::to_string(arc - root * 40);
    } else {
      dotted += "." + std::to_string(arc);
    }
    arc = 0;
    arc_bytes = 0;
  }
  return arc_bytes == 0 ? dotted : std::string();
}

// --- Character strings
// -------------------------------------------------------------------------------------------------

void AppendUtf8(uint32_t code_point, std::string& text) {
  const auto put = [&text](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    put(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  } else {
    put(0xf0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3f));
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  }
}

bool IsScalarValue(uint32_t code_point) {
  return code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff);
}

// RFC 3629 §4: shortest form, no surrogates.
bool IsUtf8(Bytes text) {
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = text[i];
    const size_t length = lead < 0x80       ? 1
                          : lead >> 5 == 6  ? 2
                          : lead >> 4 == 14 ? 3
                          : lead >> 3 == 30 ? 4
                                            : 0;
    if (length == 0 || length > text.size() - i) return false;
    uint32_t code_point = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t k = 1; k < length; ++k) {
      if (text[i + k] >> 6 != 2) return false;
      code_point = code_point << 6 | (text[i + k] & 0x3fu);
    }
    constexpr std::array<uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
    if (code_point < kSmallest[length] || !IsScalarValue(code_point)) return false;
    i += length;
  }
  return true;
}

bool IsAscii(Bytes text) {
  return std::all_of(text.begin(), text.end(), [](uint8_t byte) { return byte < 0x80; });
}

// `unit_bytes` wide big-endian code points; BMPString knows no surrogate pairs.
std::optional<std::string> WideToUtf8(Bytes text, size_t unit_bytes) {
  if (text.size() % unit_bytes != 0) return std::nullopt;
  std::string utf8;
  for (size_t i = 0; i < text.size(); i += unit_bytes) {
    uint32_t code_point = 0;
    for (size_t k = 0; k < unit_bytes; ++k) code_point = code_point << 8 | text[i + k];
    if (!IsScalarValue(code_point)) return std::nullopt;
    AppendUtf8(code_point, utf8);
  }
  return utf8;
}

// An attribute value as UTF-8; nothing if it is no string or not what its tag says.
std::optional<std::string> StringValue(const Element& value) {
  switch (value.tag) {
    case kUtf8String:
      if (!IsUtf8(value.content)) return std::nullopt;
      return std::string(AsText(value.content));
    case kPrintableString:  // The narrower alphabets are not enforced: deployed CAs put '@', '*'
                            // and '_' there.
    case kNumericString:
    case kVisibleString:
    case kIa5String:
      if (!IsAscii(value.content)) return std::nullopt;
      return std::string(AsText(value.content));
    case kTeletexString:  // In practice Latin-1.
      return WideToUtf8(value.content, 1);
    case kBmpString:
      return WideToUtf8(value.content, 2);
    case kUniversalString:
      return WideToUtf8(value.content, 4);
    default:
      return std::nullopt;
  }
}

void AppendHex(Bytes bytes, std::string& text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
}

// A minimal two's complement number: its amount, with "-" in front if it is negative.
void AppendNumber(Bytes number, std::string& text) {
  std::vector<uint8_t> amount(number.begin(), number.end());
  if (number[0] >= 0x80) {
    text.push_back('-');
    for (uint8_t& byte : amount) byte = static_cast<uint8_t>(~byte);
    for (size_t i = amount.size(); i-- > 0 && ++amount[i] == 0;) {
    }
  }
  if (amount[0] == 0 && amount.size() > 1) amount.erase(amount.begin());
  AppendHex(amount, text);
}

// RFC 4514 §2.4. Control characters are escaped too, because the text goes to logs.
void AppendEscaped(std::string_view value, std::string& text) {
  constexpr std::string_view kSpecial = "\"+,;<>\\";
  for (size_t i = 0; i < value.size(); ++i) {
    const auto byte = static_cast<uint8_t>(value[i]);
    const bool edge_space = byte == ' ' && (i == 0 || i + 1 == value.size());
    if (byte < 0x20 || byte == 0x7f) {
      text.push_back('\\');
      AppendHex(Bytes(&byte, 1), text);
      continue;
    }
    if (edge_space || (byte == '#' && i == 0) ||
        kSpecial.find(value[i]) != std::string_view::npos) {
      text.push_back('\\');
    }
    text.push_back(value[i]);
  }
}

// --- Time
// --------------------------------------------------------------------------------------------------------------

// Days since 1970-01-01 in the proleptic Gregorian calendar.
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  const int64_t shifted =
      month <= 2 ? year - 1 : year;  // The year begins in March, so the leap day is its last.
  const int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
  const int64_t year_of_era = shifted - era * 400;
  const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

int64_t DaysInMonth(int64_t year, int64_t month) {
  constexpr std::array<int64_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[static_cast<size_t>(month - 1)];
}

// RFC 5280 §4.1.2.5: UTCTime YYMMDDHHMMSSZ or GeneralizedTime YYYYMMDDHHMMSSZ, nothing else.
bool ReadTime(const Element& element, int64_t& unix_seconds) {
  const Bytes text = element.content;
  const bool utc_time = element.tag == kUtcTime;
  if (!utc_time && element.tag != kGeneralizedTime) return false;
  const size_t year_digits = utc_time ? 2 : 4;
  if (text.size() != year_digits + 11 || text.back() != 'Z') return false;
  for (const uint8_t digit : text.first(text.size() - 1)) {
    if (digit < '0' || digit > '9') return false;
  }
  const auto number = [text](size_t at, size_t digits) {
    int64_t value = 0;
    for (size_t i = 0; i < digits; ++i) value = value * 10 + (text[at + i] - '0');
    return value;
  };
  int64_t year = number(0, year_digits);
  if (utc_time) year += year >= 50 ? 1900 : 2000;
  const int64_t month = number(year_digits, 2);
  const int64_t day = number(year_digits + 2, 2);
  const int64_t hour = number(year_digits + 4, 2);
  const int64_t minute = number(year_digits + 6, 2);
  const int64_t second = number(year_digits + 8, 2);
  if (month < 1 || month > 12 || day < 1 || day > DaysInMonth(year, month)) return false;
  if (hour > 23 || minute > 59 || second > 59) return false;
  unix_seconds = ((DaysFromCivil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
  return true;
}

// --- The certificate
// ---------------------------------------------------------------------------------------------------

// What has been read so far. Texts of names are kept by index, because strings move while the list
// grows.
class Reading {
 public:
  // The whole certificate (RFC 5280 §4.1). Everything else is called from here, in the order of the
  // bytes.
  CertificateFault Read(Bytes der);

  PeerIdentityRef Finish(const Sha256Digest& fingerprint);

 private:
  CertificateFault ReadBody(Bytes body, Bytes signature_algorithm);
  CertificateFault ReadTail(DerCursor& body, int version);
  bool ReadSerial(DerCursor& body);
  bool ReadValidity(DerCursor& body);
  CertificateFault ReadName(DerCursor& body, bool is_subject, Bytes& der, std::string& text);
  CertificateFault ReadRelativeName(Bytes set, bool is_subject, std::string& text);
  CertificateFault ReadAttribute(Bytes attribute, bool is_subject, std::string& text);
  bool ReadPublicKey(DerCursor& body);
  bool ReadRsaBits(Bytes bit_string);
  CertificateFault ReadExtensions(Bytes extensions);
  CertificateFault ReadExtension(std::string_view oid, Bytes value);
  CertificateFault ReadSubjectAltName(Bytes value);
  CertificateFault ReadGeneralName(const Element& general_name);
  bool ReadKeyUsage(Bytes value);
  bool ReadExtendedKeyUsage(Bytes value);
  bool ReadBasicConstraints(Bytes value);
  CertificateFault AddName(NameType type, std::string text);

  struct OwnedName {
    NameType type;
    std::string text;
  };

  CertificateFacts facts_;
  std::string serial_hex_;
  std::string subject_dn_;
  std::string issuer_dn_;
  Bytes subject_der_;
  Bytes issuer_der_;
  std::vector<OwnedName> names_;
  size_t general_names_ = 0;  // Kept or not.
};

Sha256Digest Sha256(Bytes bytes) {
  Sha256Digest digest;
  // Without hardware offload it fails only on null arguments.
  const int result = wc_Sha256Hash(bytes.data(), static_cast<word32>(bytes.size()), digest.data());
  CHECK(result == 0);
  return digest;
}

// RFC 4055 §3.1: without hashAlgorithm RSASSA-PSS means SHA-1.
bool IsWeakPss(Bytes parameters) {
  Element sequence;
  Element tagged;
  Element algorithm;
  Element oid;
  if (!ReadOnly(parameters, kSequence, sequence)) return true;
  DerCursor fields(sequence.content);
  if (!fields.Next(ContextConstructed(0), tagged)) return true;
  if (!ReadOnly(tagged.content, kSequence, algorithm)) return true;
  return !DerCursor(algorithm.content).Next(kObjectIdentifier, oid) ||
         AsText(oid.content) == kOidSha1;
}

bool IsWeakSignature(Bytes algorithm_identifier, bool& weak) {
  DerCursor fields(algorithm_identifier);
  Element oid;
  Element parameters;
  if (!fields.Next(kObjectIdentifier, oid)) return false;
  if (!fields.AtEnd() && !fields.Next(parameters)) return false;
  if (!fields.AtEnd()) return false;
  const std::string_view text = AsText(oid.content);
  weak = std::find(kWeakSignatureOids.begin(), kWeakSignatureOids.end(), text) !=
             kWeakSignatureOids.end() ||
         (text == kOidRsaPss && IsWeakPss(parameters.whole));
  return true;
}

CertificateFault Reading::Read(Bytes der) {
  if (der.size() > kCertificateBytesMax) return CertificateFault::kTooLarge;
  Element certificate;
  if (!ReadOnly(der, kSequence, certificate)) return CertificateFault::kBadEncoding;
  DerCursor fields(certificate.content);
  Element body;
  Element algorithm;
  Element signature;
  const bool shaped = fields.Next(kSequence, body) && fields.Next(kSequence, algorithm) &&
                      fields.Next(kBitString, signature) && fields.AtEnd() &&
                      !signature.content.empty() && signature.content[0] == 0 &&
                      IsWeakSignature(algorithm.content, facts_.weak_signature);
  if (!shaped) return CertificateFault::kBadEncoding;
  return ReadBody(body.content, algorithm.whole);
}

CertificateFault Reading::ReadBody(Bytes bytes, Bytes signature_algorithm) {
  DerCursor body(bytes);
  int version = 1;
  if (body.PeekTag() == ContextConstructed(0)) {
    Element tagged;
    Element number;
    if (!body.Next(tagged) || !ReadOnly(tagged.content, kInteger, number) ||
        number.content.size() != 1) {
      return CertificateFault::kBadEncoding;
    }
    if (number.content[0] != 2)
      return CertificateFault::kUnsupportedVersion;  // X.690 §11.5: 0 is left out.
    version = 3;
  }
  Element algorithm;
  if (!ReadSerial(body) || !body.Next(kSequence, algorithm)) return CertificateFault::kBadEncoding;
  // RFC 5280 §4.1.1.2: what is signed and what is claimed outside must be the same algorithm.
  if (!SameBytes(algorithm.whole, signature_algorithm)) return CertificateFault::kBadEncoding;
  CertificateFault fault = ReadName(body, /*is_subject=*/false, issuer_der_, issuer_dn_);
  if (fault != CertificateFault::kNone) return fault;
  if (!ReadValidity(body)) return CertificateFault::kBadEncoding;
  fault = ReadName(body, /*is_subject=*/true, subject_der_, subject_dn_);
  if (fault != CertificateFault::kNone) return fault;
  if (!ReadPublicKey(body)) return CertificateFault::kBadEncoding;
  return ReadTail(body, version);
}

// Unique identifiers (obsolete, skipped) and extensions.
CertificateFault Reading::ReadTail(DerCursor& body, int version) {
  Element element;
  for (const uint8_t number : {uint8_t{1}, uint8_t{2}}) {
    if (body.PeekTag() != ContextPrimitive(number)) continue;
    if (version < 3) return CertificateFault::kUnsupportedVersion;
    if (!body.Next(element)) return CertificateFault::kBadEncoding;
  }
  if (body.AtEnd()) return CertificateFault::kNone;
  Element extensions;
  if (!body.Next(ContextConstructed(3), element) || !body.AtEnd() ||
      !ReadOnly(element.content, kSequence, extensions)) {
    return CertificateFault::kBadEncoding;
  }
  if (version < 3) return CertificateFault::kUnsupportedVersion;
  return ReadExtensions(extensions.content);
}

bool Reading::ReadSerial(DerCursor& body) {
  // RFC 5280 §4.1.2.2 allows positive numbers of 20 bytes, and wants verifiers to handle others: a
  // few CAs write longer, negative and zero ones.
  constexpr size_t kSerialBytesMax = 33;
  Element serial;
  if (!body.Next(kInteger, serial) || !IsMinimalInteger(serial.content)) return false;
  if (serial.content.size() > kSerialBytesMax) return false;
  AppendNumber(serial.content, serial_hex_);
  return true;
}

bool Reading::ReadValidity(DerCursor& body) {
  Element validity;
  Element time;
  if (!body.Next(kSequence, validity)) return false;
  DerCursor times(validity.content);
  return times.Next(time) && ReadTime(time, facts_.not_before) && times.Next(time) &&
         ReadTime(time, facts_.not_after) && times.AtEnd();
}

CertificateFault Reading::ReadName(DerCursor& body, bool is_subject, Bytes& der,
                                   std::string& text) {
  Element name;
  if (!body.Next(kSequence, name)) return CertificateFault::kBadEncoding;
  der = name.whole;
  std::vector<std::string> relative_names;
  for (DerCursor sets(name.content); !sets.AtEnd();) {
    Element set;
    if (!sets.Next(kSet, set)) return CertificateFault::kBadEncoding;
    const CertificateFault fault =
        ReadRelativeName(set.content, is_subject, relative_names.emplace_back());
    if (fault != CertificateFault::kNone) return fault;
  }
  // RFC 4514 §2.1: the last comes first.
  for (size_t i = relative_names.size(); i-- > 0;) {
    text += relative_names[i];
    if (i > 0) text.push_back(',');
  }
  return CertificateFault::kNone;
}

CertificateFault Reading::ReadRelativeName(Bytes set, bool is_subject, std::string& text) {
  if (set.empty()) return CertificateFault::kBadEncoding;  // X.501: one attribute at least.
  for (DerCursor attributes(set); !attributes.AtEnd();) {
    Element attribute;
    if (!attributes.Next(kSequence, attribute)) return CertificateFault::kBadEncoding;
    if (!text.empty()) text.push_back('+');
    const CertificateFault fault = ReadAttribute(attribute.content, is_subject, text);
    if (fault != CertificateFault::kNone) return fault;
  }
  return CertificateFault::kNone;
}

CertificateFault Reading::ReadAttribute(Bytes attribute, bool is_subject, std::string& text) {
  DerCursor fields(attribute);
  Element oid;
  Element value;
  if (!fields.Next(kObjectIdentifier, oid) || !fields.Next(value) || !fields.AtEnd()) {
    return CertificateFault::kBadEncoding;
  }
  const std::string dotted = DottedOid(oid.content);
  if (dotted.empty()) return CertificateFault::kBadEncoding;
  const std::optional<std::string> string = StringValue(value);
  const bool is_common_name = AsText(oid.content) == kOidCommonName;
  if (is_subject && is_common_name) {
    if (!string.has_value() || string->find('\0') != std::string::npos)
      return CertificateFault::kBadName;
    const CertificateFault fault = AddName(NameType::kCommonName, *string);
    if (fault != CertificateFault::kNone) return fault;
  }
  const auto* const known =
      std::find_if(kAttributeNames.begin(), kAttributeNames.end(),
                   [&oid](const AttributeName& name) { return name.oid == AsText(oid.content); });
  const bool has_short_name = known != kAttributeNames.end();
  text += has_short_name ? std::string(known->text) : dotted;
  text.push_back('=');
  if (has_short_name && string.has_value()) {
    AppendEscaped(*string, text);
  } else {  // RFC 4514 §2.4: the encoded value in hexadecimal.
    text.push_back('#');
    AppendHex(value.whole, text);
  }
  return CertificateFault::kNone;
}

struct Curve {
  std::string_view oid;
  KeyAlgorithm algorithm;
  uint16_t bits;
};
constexpr std::array<Curve, 3> kCurves = {{{kOidP256, KeyAlgorithm::kEcP256, 256},
                                           {kOidP384, KeyAlgorithm::kEcP384, 384},
                                           {kOidP521, KeyAlgorithm::kEcP521, 521}}};

bool Reading::ReadPublicKey(DerCursor& body) {
  Element info;
  Element algorithm;
  Element key;
  Element oid;
  Element parameters;
  if (!body.Next(kSequence, info)) return false;
  facts_.public_key_sha256 = Sha256(info.whole);
  DerCursor fields(info.content);
  if (!fields.Next(kSequence, algorithm) || !fields.Next(kBitString, key) || !fields.AtEnd())
    return false;
  if (key.content.empty() || key.content[0] > 7) return false;
  DerCursor algorithm_fields(algorithm.content);
  if (!algorithm_fields.Next(kObjectIdentifier, oid)) return false;
  if (!algorithm_fields.AtEnd() && !algorithm_fields.Next(parameters)) return false;
  if (!algorithm_fields.AtEnd()) return false;

  const std::string_view text = AsText(oid.content);
  if (text == kOidRsa || text == kOidRsaPss) {
    facts_.key_algorithm = text == kOidRsa ? KeyAlgorithm::kRsa : KeyAlgorithm::kRsaPss;
    return ReadRsaBits(key.content);
  }
  if (text == kOidEcPublicKey) {
    facts_.key_algorithm = KeyAlgorithm::kEcOther;
    for (const Curve& curve : kCurves) {
      if (parameters.tag != kObjectIdentifier || AsText(parameters.content) != curve.oid) continue;
      facts_.key_algorithm = curve.algorithm;
      facts_.key_bits = curve.bits;
    }
  } else if (text == kOidEd25519) {
    facts_.key_algorithm = KeyAlgorithm::kEd25519;
    facts_.key_bits = 256;
  } else if (text == kOidEd448) {
    facts_.key_algorithm = KeyAlgorithm::kEd448;
    facts_.key_bits = 456;
  }
  return true;
}

// RFC 8017 §A.1.1: SEQUENCE { modulus, publicExponent }.
bool Reading::ReadRsaBits(Bytes bit_string) {
  Element key;
  Element modulus;
  Element exponent;
  if (bit_string[0] != 0 || !ReadOnly(bit_string.subspan(1), kSequence, key)) return false;
  DerCursor fields(key.content);
  if (!fields.Next(kInteger, modulus) || !fields.Next(kInteger, exponent) || !fields.AtEnd())
    return false;
  Bytes digits = modulus.content;
  if (!IsMinimalInteger(digits) || digits[0] >= 0x80) return false;
  if (digits[0] == 0) digits = digits.subspan(1);
  if (digits.empty() || digits.size() > 8192 / 8)
    return false;  // Above 8192 bits nobody verifies in time.
  size_t bits = digits.size() * 8;
  for (uint8_t mask = 0x80; (digits[0] & mask) == 0; mask = static_cast<uint8_t>(mask >> 1)) --bits;
  facts_.key_bits = static_cast<uint16_t>(bits);
  return true;
}

CertificateFault Reading::ReadExtensions(Bytes bytes) {
  if (bytes.empty()) return CertificateFault::kBadEncoding;
  std::array<std::string_view, kCertificateExtensionsMax> seen;
  size_t seen_size = 0;
  for (DerCursor extensions(bytes); !extensions.AtEnd();) {
    Element extension;
    Element oid;
    Element critical;
    Element value;
    if (!extensions.Next(kSequence, extension)) return CertificateFault::kBadEncoding;
    DerCursor fields(extension.content);
    if (!fields.Next(kObjectIdentifier, oid) || oid.content.empty())
      return CertificateFault::kBadEncoding;
    if (fields.PeekTag() == kBoolean) {
      // An explicit FALSE is not DER, but deployed CAs write it.
      const bool read = fields.Next(critical) && critical.content.size() == 1 &&
                        (critical.content[0] == 0x00 || critical.content[0] == 0xff);
      if (!read) return CertificateFault::kBadEncoding;
    }
    if (!fields.Next(kOctetString, value) || !fields.AtEnd()) return CertificateFault::kBadEncoding;
    const std::string_view text = AsText(oid.content);
    const bool is_critical = !critical.content.empty() && critical.content[0] != 0;
    facts_.has_unknown_critical |= is_critical && !IsKnownExtension(text);
    auto* const seen_end = seen.data() + seen_size;
    if (std::find(seen.data(), seen_end, text) != seen_end)
      return CertificateFault::kRepeatedExtension;
    if (seen_size == seen.size()) return CertificateFault::kTooManyExtensions;
    seen[seen_size++] = text;
    const CertificateFault fault = ReadExtension(text, value.content);
    if (fault != CertificateFault::kNone) return fault;
  }
  return CertificateFault::kNone;
}

CertificateFault Reading::ReadExtension(std::string_view oid, Bytes value) {
  bool read = true;
  if (oid == kOidSubjectAltName) return ReadSubjectAltName(value);
  if (oid == kOidKeyUsage) read = ReadKeyUsage(value);
  if (oid == kOidExtendedKeyUsage) read = ReadExtendedKeyUsage(value);
  if (oid == kOidBasicConstraints) read = ReadBasicConstraints(value);
  return read ? CertificateFault::kNone : CertificateFault::kBadEncoding;
}

CertificateFault Reading::ReadSubjectAltName(Bytes value) {
  Element names;
  if (!ReadOnly(value, kSequence, names)) return CertificateFault::kBadEncoding;
  if (names.content.empty())
    return CertificateFault::kBadName;  // RFC 5280 §4.2.1.6: one entry at least.
  facts_.has_subject_alt_name = true;
  for (DerCursor entries(names.content); !entries.AtEnd();) {
    Element general_name;
    if (!entries.Next(general_name)) return CertificateFault::kBadEncoding;
    if (++general_names_ > kCertificateNamesMax) return CertificateFault::kTooManyNames;
    const CertificateFault fault = ReadGeneralName(general_name);
    if (fault != CertificateFault::kNone) return fault;
  }
  return CertificateFault::kNone;
}

CertificateFault Reading::ReadGeneralName(const Element& general_name) {
  const Bytes content = general_name.content;
  const auto add_ia5 = [this, content](NameType type) {
    const bool sound = std::all_of(content.begin(), content.end(),
                                   [](uint8_t byte) { return byte != 0 && byte < 0x80; });
    return sound ? AddName(type, std::string(AsText(content))) : CertificateFault::kBadName;
  };
  switch (general_name.tag) {
    case ContextPrimitive(1):
      return add_ia5(NameType::kEmail);
    case ContextPrimitive(2):
      return add_ia5(NameType::kDns);
    case ContextPrimitive(6):
      return add_ia5(NameType::kUri);
    case ContextPrimitive(7):
      if (content.size() != 4 && content.size() != 16) return CertificateFault::kBadName;
      return AddName(NameType::kIpAddress, std::string(AsText(content)));
    case ContextConstructed(0):  // otherName
    case ContextConstructed(3):  // x400Address
    case ContextConstructed(4):  // directoryName
    case ContextConstructed(5):  // ediPartyName
    case ContextPrimitive(8):    // registeredID
      return CertificateFault::kNone;
    default:
      return CertificateFault::kBadEncoding;
  }
}

// RFC 5280 §4.2.1.3. Bit 0 is the highest bit of the first byte.
bool Reading::ReadKeyUsage(Bytes value) {
  Element bits;
  if (!ReadOnly(value, kBitString, bits) || bits.content.empty() || bits.content[0] > 7)
    return false;
  const Bytes octets = bits.content.subspan(1);
  facts_.key_usage.present = true;
  if (octets.empty()) return bits.content[0] == 0;  // No bit: nothing is allowed.
  if (octets.size() > 2) return false;
  const uint8_t first = octets[0];
  facts_.key_usage.digital_signature = (first & 0x80) != 0;
  facts_.key_usage.key_encipherment = (first & 0x20) != 0;
  facts_.key_usage.key_agreement = (first & 0x08) != 0;
  facts_.key_usage.key_cert_sign = (first & 0x04) != 0;
  facts_.key_usage.crl_sign = (first & 0x02) != 0;
  return true;
}

bool Reading::ReadExtendedKeyUsage(Bytes value) {
  Element purposes;
  if (!ReadOnly(value, kSequence, purposes) || purposes.content.empty()) return false;
  ExtendedKeyUsage& usage = facts_.extended_key_usage;
  usage.present = true;
  for (DerCursor entries(purposes.content); !entries.AtEnd();) {
    Element oid;
    if (!entries.Next(kObjectIdentifier, oid) || oid.content.empty()) return false;
    const std::string_view text = AsText(oid.content);
    if (text == kOidServerAuth) {
      usage.server_auth = true;
    } else if (text == kOidClientAuth) {
      usage.client_auth = true;
    } else if (text == kOidSipDomain) {
      usage.sip_domain = true;
    } else if (text == kOidAnyPurpose) {
      usage.any = true;
    } else {
      usage.other = true;
    }
  }
  return true;
}

// RFC 5280 §4.2.1.9: SEQUENCE { cA DEFAULT FALSE, pathLenConstraint OPTIONAL }.
bool Reading::ReadBasicConstraints(Bytes value) {
  Element sequence;
  Element element;
  if (!ReadOnly(value, kSequence, sequence)) return false;
  DerCursor fields(sequence.content);
  if (fields.PeekTag() == kBoolean) {
    if (!fields.Next(element) || element.content.size() != 1) return false;
    if (element.content[0] != 0x00 && element.content[0] != 0xff) return false;
    facts_.is_ca = element.content[0] == 0xff;
  }
  if (fields.PeekTag() == kInteger && (!fields.Next(element) || !IsMinimalInteger(element.content)))
    return false;
  return fields.AtEnd();
}

CertificateFault Reading::AddName(NameType type, std::string text) {
  if (names_.size() == kCertificateNamesMax) return CertificateFault::kTooManyNames;
  if (text.size() > UINT16_MAX) return CertificateFault::kBadName;
  names_.push_back({type, std::move(text)});
  return CertificateFault::kNone;
}

PeerIdentityRef Reading::Finish(const Sha256Digest& fingerprint) {
  facts_.fingerprint = fingerprint;
  std::vector<CertificateName> names;
  names.reserve(names_.size());
  for (const OwnedName& name : names_) names.push_back({name.type, name.text});
  const CertificateTexts texts = {.serial_hex = serial_hex_,
                                  .subject_dn = subject_dn_,
                                  .issuer_dn = issuer_dn_,
                                  .subject_der = AsText(subject_der_),
                                  .issuer_der = AsText(issuer_der_)};
  return PeerIdentity::Create(facts_, texts, names);
}

}  // namespace

std::string_view CertificateFaultText(CertificateFault fault) {
  switch (fault) {
    case CertificateFault::kNone:
      return "none";
    case CertificateFault::kTooLarge:
      return "certificate larger than 65535 bytes";
    case CertificateFault::kBadEncoding:
      return "not a DER certificate as RFC 5280 describes it";
    case CertificateFault::kUnsupportedVersion:
      return "certificate version that this content does not allow";
    case CertificateFault::kRepeatedExtension:
      return "extension present twice";
    case CertificateFault::kBadName:
      return "name with a NUL, a byte outside its alphabet or a wrong size, or an empty "
             "subjectAltName";
    case CertificateFault::kTooManyNames:
      return "more than 1000 names";
    case CertificateFault::kTooManyExtensions:
      return "more than 64 extensions";
  }
  UNREACHABLE();
}

CertificateReading ReadCertificate(Bytes der, const Sha256Digest& fingerprint) {
  Reading reading;
  const CertificateFault fault = reading.Read(der);
  if (fault != CertificateFault::kNone) return {fault, {}};
  return {CertificateFault::kNone, reading.Finish(fingerprint)};
}

CertificateReading ReadCertificate(Bytes der) {
  if (der.size() > kCertificateBytesMax) return {CertificateFault::kTooLarge, {}};
  return ReadCertificate(der, CertificateFingerprint(der));
}

Sha256Digest CertificateFingerprint(Bytes der) { return Sha256(der); }

}  // namespace sallyport::tls
