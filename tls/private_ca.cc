#include "tls/private_ca.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "core/file_descriptor.h"
#include "core/regular_file.h"
#include "tls/certificate_reader.h"

namespace sallyport::tls {
namespace {

constexpr int64_t kSecondsPerDay = 24 * 60 * 60;
constexpr int64_t kClockSkewSeconds = 60 * 60;
constexpr size_t kCommonNameBytesMax = 64;  // RFC 5280 appendix A, ub-common-name.
constexpr size_t kPemFileBytesMax = 64 * 1024;

// --- DER out (X.690). A value is a byte string; nesting is a call.
// ------------------------------------------------------

using Der = std::string;

std::string_view AsText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Der Tagged(uint8_t tag, std::initializer_list<std::string_view> parts) {
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  Der der(1, static_cast<char>(tag));
  if (size < 0x80) {
    der.push_back(static_cast<char>(size));
  } else {
    int length_bytes = 1;
    while (size >> (8 * length_bytes) != 0) ++length_bytes;
    der.push_back(static_cast<char>(0x80 | length_bytes));
    for (int i = length_bytes - 1; i >= 0; --i)
      der.push_back(static_cast<char>(size >> (8 * i) & 0xff));
  }
  for (const std::string_view part : parts) der.append(part);
  return der;
}

Der Sequence(std::initializer_list<std::string_view> parts) { return Tagged(0x30, parts); }
Der OctetString(std::string_view content) { return Tagged(0x04, {content}); }
Der BitString(std::string_view content) {
  return Tagged(0x03, {std::string_view("\0", 1), content});
}

// A non-negative number, big-endian.
Der Integer(std::string_view digits) {
  while (digits.size() > 1 && digits[0] == '\0') digits.remove_prefix(1);
  const bool needs_sign_byte = static_cast<uint8_t>(digits[0]) >= 0x80;
  return Tagged(0x02, {std::string_view("\0", needs_sign_byte ? 1 : 0), digits});
}

template <size_t kSize>
constexpr std::string_view Content(const char (&bytes)[kSize]) {
  return {bytes, kSize - 1};
}

template <size_t kSize>
Der Oid(const char (&bytes)[kSize]) {
  return Tagged(0x06, {Content(bytes)});
}

// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime after.
Der Time(int64_t unix_seconds) {
  const absl::CivilSecond civil =
      absl::ToCivilSecond(absl::FromUnixSeconds(unix_seconds), absl::UTCTimeZone());
  const bool utc_time = civil.year() < 2050;
  const char* const format = utc_time ? "%y%m%d%H%M%SZ" : "%Y%m%d%H%M%SZ";
  const std::string text =
      absl::FormatTime(format, absl::FromUnixSeconds(unix_seconds), absl::UTCTimeZone());
  return Tagged(utc_time ? 0x17 : 0x18, {text});
}

// RDNSequence of one CN.
Der NameOf(std::string_view common_name) {
  const Der attribute = Sequence({Oid("\x55\x04\x03"), Tagged(0x0c, {common_name})});
  return Sequence({Tagged(0x31, {attribute})});
}

Der Extension(std::string_view oid, bool critical, std::string_view value) {
  const std::string_view critical_true = critical ? Content("\x01\x01\xff") : std::string_view();
  return Sequence({oid, critical_true, OctetString(value)});
}

Der EcdsaWithSha256() { return Sequence({Oid("\x2a\x86\x48\xce\x3d\x04\x03\x02")}); }

Der EcP256() {
  return Sequence({Oid("\x2a\x86\x48\xce\x3d\x02\x01"), Oid("\x2a\x86\x48\xce\x3d\x03\x01\x07")});
}

// --- PEM (RFC 7468)
// ----------------------------------------------------------------------------------------------------

std::string ToPem(std::string_view label, std::string_view der) {
  std::string base64;
  absl::Base64Escape({der.data(), der.size()}, &base64);
  const std::string name(label);
  std::string pem = "-----BEGIN " + name + "-----\n";
  for (size_t i = 0; i < base64.size(); i += 64) pem += base64.substr(i, 64) + "\n";
  return pem + "-----END " + name + "-----\n";
}

// The first block with this label.
std::optional<Der> FromPem(std::string_view label, std::string_view pem) {
  const std::string begin = "-----BEGIN " + std::string(label) + "-----";
  const std::string end = "-----END " + std::string(label) + "-----";
  const size_t from = pem.find(begin);
  const size_t to = pem.find(end);
  if (from == std::string_view::npos || to == std::string_view::npos || to < from + begin.size())
    return std::nullopt;
  const std::string_view base64 = pem.substr(from + begin.size(), to - from - begin.size());
  Der der;
  if (!absl::Base64Unescape({base64.data(), base64.size()}, &der)) return std::nullopt;
  return der;
}

// --- Keys: P-256 by wolfCrypt
// ------------------------------------------------------------------------------------------

class Random {
 public:
  Random() : ready_(wc_InitRng(&rng_) == 0) {}
  ~Random() {
    if (ready_) wc_FreeRng(&rng_);
  }
  Random(const Random&) = delete;
  Random& operator=(const Random&) = delete;

  bool ready() const { return ready_; }
  WC_RNG* get() { return &rng_; }

 private:
  WC_RNG rng_{};
  const bool ready_;
};

class EcKey {
 public:
  EcKey() : ready_(wc_ecc_init(&key_) == 0) {}
  ~EcKey() {
    if (ready_) wc_ecc_free(&key_);
  }
  EcKey(const EcKey&) = delete;
  EcKey& operator=(const EcKey&) = delete;

  bool Generate(Random& random) {
    return ready_ && wc_ecc_make_key_ex(random.get(), kScalarBytes, &key_, ECC_SECP256R1) == 0;
  }

  // SEC 1 or PKCS#8.
  bool Load(std::string_view der) {
    word32 index = 0;
    const auto* const bytes = reinterpret_cast<const byte*>(der.data());
    if (!ready_ ||
        wc_EccPrivateKeyDecode(bytes, &index, &key_, static_cast<word32>(der.size())) != 0)
      return false;
    // SEC 1 may leave the public half out.
    if (key_.type == ECC_PRIVATEKEY_ONLY && wc_ecc_make_pub(&key_, nullptr) != 0) return false;
    return wc_ecc_get_curve_id(key_.idx) == ECC_SECP256R1;
  }

  // Uncompressed point, SEC 1 §2.3.3; empty on failure.
  Der Point() {
    std::array<byte, 2 * kScalarBytes + 1> point{};
    auto size = static_cast<word32>(point.size());
    if (wc_ecc_export_x963(&key_, point.data(), &size) != 0 || size != point.size()) return {};
    return Der(AsText(point));
  }

  // PKCS#8 (RFC 5958) around ECPrivateKey (RFC 5915); empty on failure.
  Der PrivateDer() {
    std::array<byte, kScalarBytes> scalar{};
    auto size = static_cast<word32>(scalar.size());
    if (wc_ecc_export_private_only(&key_, scalar.data(), &size) != 0 || size != scalar.size())
      return {};
    const Der public_part = Tagged(0xa1, {BitString(Point())});
    const Der sec1 = Sequence({Integer("\x01"), OctetString(AsText(scalar)), public_part});
    return Sequence({Integer(std::string_view("\0", 1)), EcP256(), OctetString(sec1)});
  }

  // ECDSA-Sig-Value over SHA-256 of `bytes`; empty on failure.
  Der Sign(std::string_view bytes, Random& random) {
    const Sha256Digest digest = CertificateFingerprint(AsBytes(bytes));
    std::array<byte, ECC_MAX_SIG_SIZE> signature{};
    auto size = static_cast<word32>(signature.size());
#ifdef ECC_TIMING_RESISTANT
    if (wc_ecc_set_rng(&key_, random.get()) != 0) return {};
#endif
    if (wc_ecc_sign_hash(digest.data(), static_cast<word32>(digest.size()), signature.data(), &size,
                         random.get(), &key_) != 0) {
      return {};
    }
    return Der(AsText(std::span(signature).first(size)));
  }

 private:
  static constexpr int kScalarBytes = 32;

  ecc_key key_{};
  const bool ready_;
};

// --- Certificates
// ------------------------------------------------------------------------------------------------------

// What differs between the CA's certificate and a leaf.
struct CertificatePlan {
  Der issuer;
  Der subject;
  int64_t not_before;
  int64_t not_after;
  Der extensions;  // Already in sequence, without the enclosing SEQUENCE.
};

// RFC 7093 §2 method 1: the leftmost 160 bits of SHA-256 over the public key; SHA-1 is not needed
// for a mere label.
Der KeyIdentifier(std::string_view point) {
  const Sha256Digest digest = CertificateFingerprint(AsBytes(point));
  return Der(AsText(std::span(digest).first(20)));
}

Der SubjectKeyIdentifier(std::string_view point) {
  return Extension(Oid("\x55\x1d\x0e"), false, OctetString(KeyIdentifier(point)));
}

Der AuthorityKeyIdentifier(std::string_view issuer_point) {
  return Extension(Oid("\x55\x1d\x23"), false,
                   Sequence({Tagged(0x80, {KeyIdentifier(issuer_point)})}));
}

absl::Status CryptoFailed() {
  return absl::InternalError("wolfCrypt refused to work: is the system's random source available?");
}

absl::StatusOr<Der> SignCertificate(const CertificatePlan& plan, std::string_view subject_point,
                                    EcKey& issuer, Random& random) {
  std::array<byte, 16> serial{};
  if (wc_RNG_GenerateBlock(random.get(), serial.data(), static_cast<word32>(serial.size())) != 0)
    return CryptoFailed();
  const Der version = Tagged(0xa0, {Integer("\x02")});
  const Der public_key = Sequence({EcP256(), BitString(subject_point)});
  const Der body = Sequence({version, Integer(AsText(serial)), EcdsaWithSha256(), plan.issuer,
                             Sequence({Time(plan.not_before), Time(plan.not_after)}), plan.subject,
                             public_key, Tagged(0xa3, {Sequence({plan.extensions})})});
  const Der signature = issuer.Sign(body, random);
  if (signature.empty()) return CryptoFailed();
  return Sequence({body, EcdsaWithSha256(), BitString(signature)});
}

// What goes into a certificate as IA5String or into a CN: printable, so that no reader sees another
// end than we wrote.
bool IsPrintable(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char byte) { return byte >= 0x20 && byte < 0x7f; });
}

absl::Status CheckText(std::string_view what, std::string_view text) {
  if (IsPrintable(text) && text.size() <= 1024) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(what), " \"", absl::CHexEscape(std::string(text)),
                   "\": expected printable ASCII, 1 to 1024 characters"));
}

absl::Status CheckCommonName(std::string_view text) {
  if (const absl::Status status = CheckText("common name", text); !status.ok()) return status;
  if (text.size() <= kCommonNameBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("common name \"", std::string(text), "\": expected at most ",
                   kCommonNameBytesMax, " characters; give a shorter one (for a leaf: --device)"));
}

absl::Status CheckDays(int days) {
  if (days >= 1 && days <= kCertificateDaysMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("days = ", days, ": expected 1 to ", kCertificateDaysMax));
}

std::string_view WithoutScheme(std::string_view user) {
  if (user.starts_with("sip:")) user.remove_prefix(4);
  return user;
}

absl::Status CheckLeafRequest(const LeafRequest& request) {
  for (const auto& [what, texts] :
       {std::pair("domain", &request.domains), std::pair("user", &request.users),
        std::pair("DNS name", &request.dns_names)}) {
    for (const std::string& text : *texts) {
      if (const absl::Status status = CheckText(what, text); !status.ok()) return status;
    }
  }
  if (request.purposes.empty())
    return absl::InvalidArgumentError("no key purpose: expected at least one");
  return CheckDays(request.days);
}

// The most telling name that the request has.
std::string_view CommonNameOf(const LeafRequest& request) {
  if (!request.device_name.empty()) return request.device_name;
  if (!request.domains.empty()) return request.domains[0];
  if (!request.users.empty()) return WithoutScheme(request.users[0]);
  return request.dns_names.empty() ? std::string_view() : request.dns_names[0];
}

// RFC 5922 §4.1, RFC 5280 §4.2.1.6; empty without names.
Der SubjectAltName(const LeafRequest& request) {
  constexpr uint8_t kDnsName = 0x82;
  constexpr uint8_t kUri = 0x86;
  Der names;
  for (const std::string& domain : request.domains) {
    names += Tagged(kUri, {"sip:", domain});
    names += Tagged(kDnsName, {domain});
  }
  for (const std::string& user : request.users)
    names += Tagged(kUri, {"sip:", WithoutScheme(user)});
  for (const std::string& name : request.dns_names) names += Tagged(kDnsName, {name});
  if (names.empty()) return {};
  return Extension(Oid("\x55\x1d\x11"), false, Sequence({names}));
}

Der ExtendedKeyUsageOf(const LeafRequest& request) {
  Der oids;
  for (const IssuedPurpose purpose : request.purposes) {
    switch (purpose) {
      case IssuedPurpose::kServerAuth:
        oids += Oid("\x2b\x06\x01\x05\x05\x07\x03\x01");
        break;
      case IssuedPurpose::kClientAuth:
        oids += Oid("\x2b\x06\x01\x05\x05\x07\x03\x02");
        break;
      case IssuedPurpose::kSipDomain:
        oids += Oid("\x2b\x06\x01\x05\x05\x07\x03\x14");
        break;
    }
  }
  return Extension(Oid("\x55\x1d\x25"), false, Sequence({oids}));
}

Der LeafExtensions(const LeafRequest& request, std::string_view point,
                   std::string_view issuer_point) {
  Der extensions = Extension(Oid("\x55\x1d\x13"), true, Sequence({}));  // No CA.
  extensions +=
      Extension(Oid("\x55\x1d\x0f"), true, Content("\x03\x02\x07\x80"));  // digitalSignature.
  extensions += ExtendedKeyUsageOf(request);
  extensions += SubjectAltName(request);
  extensions += SubjectKeyIdentifier(point);
  extensions += AuthorityKeyIdentifier(issuer_point);
  return extensions;
}

Der CaExtensions(std::string_view point) {
  const Der constraints =
      Sequence({Content("\x01\x01\xff"), Integer(std::string_view("\0", 1))});  // CA, pathlen 0.
  Der extensions = Extension(Oid("\x55\x1d\x13"), true, constraints);
  extensions +=
      Extension(Oid("\x55\x1d\x0f"), true, Content("\x03\x02\x01\x06"));  // keyCertSign, cRLSign.
  extensions += SubjectKeyIdentifier(point);
  extensions += AuthorityKeyIdentifier(point);
  return extensions;
}

absl::StatusOr<PemPair> ToPair(std::string_view certificate, EcKey& key) {
  const Der private_key = key.PrivateDer();
  if (private_key.empty()) return CryptoFailed();
  return PemPair{ToPem("CERTIFICATE", certificate), ToPem("PRIVATE KEY", private_key)};
}

// A CA that was read back and found whole.
struct LoadedCa {
  Der subject;
  Der point;
  int64_t not_after = 0;
};

absl::StatusOr<LoadedCa> LoadCa(const PemPair& ca, EcKey& key) {
  const std::optional<Der> certificate = FromPem("CERTIFICATE", ca.certificate);
  const std::optional<Der> private_key = FromPem("PRIVATE KEY", ca.key);
  if (!certificate.has_value())
    return absl::InvalidArgumentError("ca.pem: no certificate in PEM form");
  if (!private_key.has_value() || !key.Load(*private_key)) {
    return absl::InvalidArgumentError(
        "ca.key: no P-256 private key in PEM form (BEGIN PRIVATE KEY)");
  }
  const CertificateReading reading = ReadCertificate(AsBytes(*certificate));
  if (reading.fault != CertificateFault::kNone) {
    return absl::InvalidArgumentError(
        absl::StrCat("ca.pem: ", std::string(CertificateFaultText(reading.fault))));
  }
  LoadedCa loaded = {.subject = Der(reading.identity->subject_der()),
                     .point = key.Point(),
                     .not_after = reading.identity->facts().not_after};
  const Der public_key = Sequence({EcP256(), BitString(loaded.point)});
  if (CertificateFingerprint(AsBytes(public_key)) != reading.identity->facts().public_key_sha256) {
    return absl::InvalidArgumentError("ca.key is not the key of ca.pem");
  }
  // Leaves name their issuer's key by the identifier that `ca init` writes; under another one the
  // chain would not build.
  const bool ours = reading.identity->facts().is_ca &&
                    reading.identity->facts().key_usage.key_cert_sign &&
                    certificate->find(SubjectKeyIdentifier(loaded.point)) != Der::npos;
  if (!ours)
    return absl::InvalidArgumentError(
        "ca.pem was not made by `sallyport ca init`: use the tool that made it");
  return loaded;
}

// --- Files
// -------------------------------------------------------------------------------------------------------------

constexpr mode_t kPublicMode = 0644;
constexpr mode_t kSecretMode = 0600;

absl::Status FileError(const std::string& path, int error, std::string_view remedy) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": ", std::strerror(error), std::string(remedy)));
}

bool Exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

absl::Status RefuseExisting(const std::string& path) {
  if (!Exists(path)) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat(path, " exists: nothing is overwritten; choose another name or move it away"));
}

bool WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    content.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(fd) == 0;
}

// Complete or absent, and never over something: written aside, then linked, which fails if the name
// is taken.
absl::Status WriteNewFile(const std::string& path, std::string_view content, mode_t mode) {
  const std::string aside = absl::StrCat(path, ".", getpid(), ".new");
  {
    const core::FileDescriptor file(
        open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (file.get() < 0) return FileError(aside, errno, "");
    if (!WriteAll(file.get(), content)) {
      const int error = errno;
      unlink(aside.c_str());
      return FileError(aside, error, "");
    }
  }
  const bool linked = link(aside.c_str(), path.c_str()) == 0;
  const int error = errno;
  unlink(aside.c_str());
  return linked ? absl::OkStatus() : FileError(path, error, ": nothing is overwritten");
}

// `remedy` is for a file that does not exist.
absl::StatusOr<std::string> ReadFile(const std::string& path, std::string_view remedy) {
  absl::StatusOr<core::FileContent> content = core::ReadRegularFile(path, kPemFileBytesMax);
  if (absl::IsNotFound(content.status())) return FileError(path, ENOENT, remedy);
  if (!content.ok()) return content.status();
  return std::move(content->text);
}

// Key first: a certificate without its key would look usable.
absl::Status WritePair(const std::string& stem, const PemPair& pair) {
  if (absl::Status status = WriteNewFile(stem + ".key", pair.key, kSecretMode); !status.ok())
    return status;
  absl::Status status = WriteNewFile(stem + ".pem", pair.certificate, kPublicMode);
  if (!status.ok()) unlink((stem + ".key").c_str());
  return status;
}

constexpr std::string_view kNoCaRemedy = ": make the CA first: sallyport ca init DIR --name CN";

// Also refuses "ca" itself and everything that would leave the folder.
bool IsFileStem(std::string_view name) {
  const bool characters = std::all_of(name.begin(), name.end(), [](char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-' ||
           byte == '@' || byte == '+';
  });
  return characters && !name.empty() && name.size() <= 100 && name[0] != '.' && name[0] != '-' &&
         name != "ca";
}

}  // namespace

absl::StatusOr<PemPair> MintCa(std::string_view common_name, int days, int64_t now) {
  if (absl::Status status = CheckCommonName(common_name); !status.ok()) return status;
  if (absl::Status status = CheckDays(days); !status.ok()) return status;
  Random random;
  EcKey key;
  if (!random.ready() || !key.Generate(random)) return CryptoFailed();
  const Der point = key.Point();
  const CertificatePlan plan = {.issuer = NameOf(common_name),
                                .subject = NameOf(common_name),
                                .not_before = now - kClockSkewSeconds,
                                .not_after = now + days * kSecondsPerDay,
                                .extensions = CaExtensions(point)};
  const absl::StatusOr<Der> certificate = SignCertificate(plan, point, key, random);
  if (!certificate.ok()) return certificate.status();
  return ToPair(*certificate, key);
}

absl::StatusOr<PemPair> MintLeaf(const PemPair& ca, const LeafRequest& request, int64_t now) {
  if (absl::Status status = CheckLeafRequest(request); !status.ok()) return status;
  const std::string_view common_name = CommonNameOf(request);
  if (common_name.empty()) {
    return absl::InvalidArgumentError(
        "nothing to certify: give --domain, --user, --dns or --device");
  }
  if (absl::Status status = CheckCommonName(common_name); !status.ok()) return status;
  EcKey ca_key;
  const absl::StatusOr<LoadedCa> issuer = LoadCa(ca, ca_key);
  if (!issuer.ok()) return issuer.status();
  const int64_t not_after = now + request.days * kSecondsPerDay;
  if (not_after > issuer->not_after) {
    const int64_t days_left = std::max<int64_t>(0, (issuer->not_after - now) / kSecondsPerDay);
    return absl::InvalidArgumentError(absl::StrCat("days = ", request.days,
                                                   ": the CA itself ends in ", days_left,
                                                   " days; ask for fewer, or make a new CA"));
  }
  Random random;
  EcKey key;
  if (!random.ready() || !key.Generate(random)) return CryptoFailed();
  const Der point = key.Point();
  const CertificatePlan plan = {.issuer = issuer->subject,
                                .subject = NameOf(common_name),
                                .not_before = now - kClockSkewSeconds,
                                .not_after = not_after,
                                .extensions = LeafExtensions(request, point, issuer->point)};
  const absl::StatusOr<Der> certificate = SignCertificate(plan, point, ca_key, random);
  if (!certificate.ok()) return certificate.status();
  return ToPair(*certificate, key);
}

absl::Status InitCa(const std::string& folder, std::string_view common_name, int days,
                    int64_t now) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return FileError(folder, errno, ": create the folder above it first");
  }
  for (const char* const file : {"/ca.key", "/ca.pem"}) {
    if (absl::Status status = RefuseExisting(folder + file); !status.ok()) return status;
  }
  const absl::StatusOr<PemPair> ca = MintCa(common_name, days, now);
  if (!ca.ok()) return ca.status();
  return WritePair(folder + "/ca", *ca);
}

absl::Status IssueLeaf(const std::string& folder, std::string_view name, const LeafRequest& request,
                       int64_t now) {
  if (!IsFileStem(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(std::string(name)),
                     "\": expected a file name of letters, digits and . _ - @ +, not \"ca\""));
  }
  const std::string stem = absl::StrCat(folder, "/", std::string(name));
  for (const char* const suffix : {".key", ".pem"}) {
    if (absl::Status status = RefuseExisting(stem + suffix); !status.ok()) return status;
  }
  const absl::StatusOr<std::string> certificate = ReadFile(folder + "/ca.pem", kNoCaRemedy);
  if (!certificate.ok()) return certificate.status();
  const absl::StatusOr<std::string> key = ReadFile(folder + "/ca.key", kNoCaRemedy);
  if (!key.ok()) return key.status();
  const absl::StatusOr<PemPair> leaf = MintLeaf({*certificate, *key}, request, now);
  if (!leaf.ok()) return leaf.status();
  return WritePair(stem, *leaf);
}

absl::StatusOr<std::string> ExportCa(const std::string& folder) {
  return ReadFile(folder + "/ca.pem", kNoCaRemedy);
}

}  // namespace sallyport::tls
