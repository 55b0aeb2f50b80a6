#include "tls/credentials.h"

#include <sys/stat.h>
#include <unistd.h>
#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/regular_file.h"
#include "tls/certificate_reader.h"
#include "tls/cipher_names.h"
#include "tls/context.h"
#include "tls/keyed_mac.h"
#include "tls/library_internals.h"
#include "tls/verify.h"
#include "tls/wall_clock.h"

namespace sallyport::tls {
namespace {

constexpr size_t kFileBytesMax = 4 * 1024 * 1024;
constexpr size_t kFolderFilesMax = 4096;
constexpr size_t kFolderBytesMax = size_t{64} * 1024 * 1024;
constexpr int64_t kExpiryWarningSeconds = 30 * 24 * 60 * 60;
constexpr std::string_view kCertificateLabel = "CERTIFICATE";
constexpr std::string_view kInline = "(inline)";

absl::Status Refuse(std::string_view place, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(place), ": ", std::string(what)));
}

// ---- PEM (RFC 7468) -----------------------------------------------------------------------------

struct PemBlock {
  std::string_view label;
  std::string_view text;  // With both boundary lines.
  std::string_view body;
};

// The next block at or after `offset`, which moves behind it. Label empty: there is none.
PemBlock NextPemBlock(std::string_view pem, size_t& offset) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kDashes = "-----";
  const size_t begin = pem.find(kBegin, offset);
  if (begin == std::string_view::npos) return {};
  const size_t label_at = begin + kBegin.size();
  const size_t label_end = pem.find(kDashes, label_at);
  if (label_end == std::string_view::npos) return {};
  PemBlock block;
  block.label = pem.substr(label_at, label_end - label_at);
  const std::string end_line = absl::StrCat("-----END ", std::string(block.label), "-----");
  const size_t body_at = label_end + kDashes.size();
  const size_t end = pem.find(end_line, body_at);
  if (end == std::string_view::npos) return {};
  block.body = pem.substr(body_at, end - body_at);
  offset = end + end_line.size();
  block.text = pem.substr(begin, offset - begin);
  return block;
}

std::vector<uint8_t> DecodeBody(std::string_view body) {
  std::string compact;
  for (const char c : body) {
    if (!absl::ascii_isspace(static_cast<unsigned char>(c))) compact += c;
  }
  std::string der;
  if (!absl::Base64Unescape(compact, &der)) return {};
  return {der.begin(), der.end()};
}

std::vector<PemBlock> Certificates(std::string_view pem) {
  std::vector<PemBlock> blocks;
  size_t offset = 0;
  for (PemBlock block = NextPemBlock(pem, offset); !block.label.empty();
       block = NextPemBlock(pem, offset)) {
    if (block.label == kCertificateLabel) blocks.push_back(block);
  }
  return blocks;
}

bool IsKeyLabel(std::string_view label) {
  constexpr std::string_view kSuffix = "PRIVATE KEY";
  return label.size() >= kSuffix.size() && label.substr(label.size() - kSuffix.size()) == kSuffix;
}

absl::StatusOr<std::string> FindKey(std::string_view pem, std::string_view place) {
  size_t offset = 0;
  for (PemBlock block = NextPemBlock(pem, offset); !block.label.empty();
       block = NextPemBlock(pem, offset)) {
    if (!IsKeyLabel(block.label)) continue;
    if (block.label == "ENCRYPTED PRIVATE KEY" ||
        block.body.find("ENCRYPTED") != std::string_view::npos) {
      return Refuse(place,
                    "the private key is encrypted; nobody is there to type a pass phrase. "
                    "Decrypt it (openssl pkey -in KEY -out PLAIN) and protect the file instead");
    }
    return absl::StrCat(std::string(block.text), "\n");
  }
  return Refuse(place, "holds no private key (-----BEGIN PRIVATE KEY-----)");
}

std::string FaultText(CertificateFault fault) { return std::string(CertificateFaultText(fault)); }

// As the library will store it.
bool SignerDigestOf(const std::vector<uint8_t>& der, Sha256Digest& digest) {
  DecodedCert certificate;
  wc_InitDecodedCert(&certificate, der.data(), static_cast<word32>(der.size()), nullptr);
  const bool parsed = wc_ParseCert(&certificate, CA_TYPE, NO_VERIFY, nullptr) == 0;
  if (parsed) {
    digest = SignerDigest(certificate.subjectHash, {certificate.publicKey, certificate.pubKeySize});
  }
  wc_FreeDecodedCert(&certificate);
  return parsed;
}

}  // namespace

// Works through one profile; each step leaves its result in credentials_.
class CredentialsLoader {
 public:
  CredentialsLoader(const Profile& profile, int64_t now_seconds)
      : credentials_(new Credentials()), now_(now_seconds), profile_(profile) {}

  absl::StatusOr<std::unique_ptr<const Credentials>> Load() {
    for (const auto step : {&CredentialsLoader::LoadSuites, &CredentialsLoader::LoadCertificate,
                            &CredentialsLoader::LoadAnchors, &CredentialsLoader::TryInLibrary}) {
      if (absl::Status status = (this->*step)(); !status.ok()) return status;
    }
    return std::unique_ptr<const Credentials>(std::move(credentials_));
  }

 private:
  absl::Status LoadSuites();
  absl::Status LoadCertificate();
  absl::Status JudgeOwnLeaf(const std::string& place);
  absl::Status LoadKey(core::FileContent content);
  absl::Status LoadAnchors();
  absl::Status LoadAnchorFolder();
  absl::Status AddAnchors(std::string_view pem, const std::string& place, bool must_be_good);
  absl::Status AddAnchor(std::vector<uint8_t> der, const std::string& place);
  void DigestAnchors();
  absl::Status TryInLibrary();
  void Warn(std::string_view place, std::string_view what) {
    credentials_->warnings_.push_back(absl::StrCat(std::string(place), ": ", std::string(what)));
  }
  std::string CertificatePlace() const {
    return profile_.certificate_pem.empty() ? profile_.certificate_file : std::string(kInline);
  }

  std::unique_ptr<Credentials> credentials_;
  const int64_t now_;
  const Profile& profile_;
};

absl::Status CredentialsLoader::LoadSuites() {
  Profile& kept = credentials_->profile_;
  kept = profile_;
  kept.certificate_pem.clear();
  kept.key_pem.clear();
  kept.trusted_ca_pem.clear();
  const absl::StatusOr<std::string> tls12 = TranslateCipherList(profile_.cipher_list);
  if (!tls12.ok()) return Refuse("cipher-list", std::string(tls12.status().message()));
  const absl::StatusOr<std::string> tls13 = TranslateCiphersuites(profile_.ciphersuites);
  if (!tls13.ok()) return Refuse("ciphersuites", std::string(tls13.status().message()));
  switch (profile_.sec_protocol) {
    case SecProtocol::kTls12Only:
      credentials_->library_suites_ = *tls12;
      break;
    case SecProtocol::kTls13Only:
      credentials_->library_suites_ = *tls13;
      break;
    case SecProtocol::kTls12AndLater:
      // Without a TLS 1.3 suite in the list the library would refuse clients that offer 1.3, not
      // negotiate 1.2.
      credentials_->library_suites_ = absl::StrCat(*tls13, ":", *tls12);
      break;
  }
  return absl::OkStatus();
}

absl::Status CredentialsLoader::LoadCertificate() {
  core::FileContent content{profile_.certificate_pem, 0};
  if (content.text.empty()) {
    if (profile_.certificate_file.empty()) return absl::OkStatus();
    absl::StatusOr<core::FileContent> file =
        core::ReadRegularFile(profile_.certificate_file, kFileBytesMax);
    if (!file.ok()) return file.status();
    content = *std::move(file);
  }
  const std::string place = CertificatePlace();
  const std::vector<PemBlock> blocks = Certificates(content.text);
  if (blocks.empty()) return Refuse(place, "holds no certificate (-----BEGIN CERTIFICATE-----)");
  std::string_view expected_subject;
  PeerIdentityRef previous;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const CertificateReading reading = ReadCertificate(DecodeBody(blocks[i].body));
    if (reading.fault != CertificateFault::kNone) {
      return Refuse(place, absl::StrCat("certificate ", i + 1, ": ", FaultText(reading.fault)));
    }
    if (i == 0) credentials_->certificate_ = reading.identity;
    if (i > 0 && reading.identity->subject_der() != expected_subject) {
      Warn(place, absl::StrCat("certificate ", i + 1,
                               " did not issue the one before it; the order is leaf first"));
    }
    previous = reading.identity;
    expected_subject = previous->issuer_der();
    absl::StrAppend(&credentials_->chain_pem_, std::string(blocks[i].text), "\n");
  }
  if (absl::Status status = JudgeOwnLeaf(place); !status.ok()) return status;
  return LoadKey(std::move(content));
}

absl::Status CredentialsLoader::JudgeOwnLeaf(const std::string& place) {
  const CertificateFacts& leaf = credentials_->certificate_->facts();
  if (now_ > leaf.not_after) {
    Warn(place, "has expired: peers will refuse it; renew it");
  } else if (now_ < leaf.not_before) {
    Warn(place, "is not valid yet: peers will refuse it; check the clock");
  } else if (now_ + kExpiryWarningSeconds > leaf.not_after) {
    Warn(place, "expires within 30 days; renew it");
  }
  if (leaf.weak_signature) Warn(place, "is signed with SHA-1 or MD5: peers may refuse it");
  CertificateFacts key_only = leaf;
  key_only.weak_signature = false;
  if (IsWeak(key_only)) {
    return Refuse(
        place, "key not supported: use ECDSA P-256 or P-384, RSA of 2048 bits or more, or Ed25519");
  }
  if (leaf.key_usage.present && !leaf.key_usage.digital_signature) {
    return Refuse(place, "keyUsage lacks digitalSignature, which TLS needs; have it issued anew");
  }
  if (!EkuAllows(leaf.extended_key_usage, EkuPolicy::kTls, PeerRole::kServer)) {
    Warn(place, "extendedKeyUsage has no serverAuth: many peers will refuse it");
  }
  if (leaf.is_ca) Warn(place, "is a CA certificate; a leaf is expected here");
  return absl::OkStatus();
}

// `content` is the certificate's file, where the key is unless the profile says otherwise.
absl::Status CredentialsLoader::LoadKey(core::FileContent content) {
  std::string place = CertificatePlace();
  if (!profile_.key_pem.empty()) {
    content = {profile_.key_pem, 0};
    place = kInline;
  } else if (!profile_.key_file.empty()) {
    absl::StatusOr<core::FileContent> file =
        core::ReadRegularFile(profile_.key_file, kFileBytesMax);
    if (!file.ok()) return file.status();
    content = *std::move(file);
    place = profile_.key_file;
  }
  if ((content.mode & S_IRWXO) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        place, ": everybody on this machine may read the private key; do: chmod 600 ", place));
  }
  if ((content.mode & S_IRWXG) != 0) {
    Warn(place, absl::StrCat("the group may read the private key; better: chmod 600 ", place));
  }
  absl::StatusOr<std::string> key = FindKey(content.text, place);
  explicit_bzero(content.text.data(), content.text.size());
  if (!key.ok()) return key.status();
  credentials_->key_pem_ = *std::move(key);
  return absl::OkStatus();
}

absl::Status CredentialsLoader::LoadAnchors() {
  absl::Status status;
  if (!profile_.trusted_ca_pem.empty()) {
    status = AddAnchors(profile_.trusted_ca_pem, std::string(kInline), true);
  } else if (!profile_.trusted_ca.empty()) {
    struct stat info {};
    if (stat(profile_.trusted_ca.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      status = LoadAnchorFolder();
    } else {
      const absl::StatusOr<core::FileContent> file =
          core::ReadRegularFile(profile_.trusted_ca, kFileBytesMax);
      status = file.ok() ? AddAnchors(file->text, profile_.trusted_ca, true) : file.status();
    }
  }
  if (!status.ok()) return status;
  const bool asked_for = !profile_.trusted_ca.empty() || !profile_.trusted_ca_pem.empty();
  if (asked_for && credentials_->anchors_.empty()) {
    return Refuse(profile_.trusted_ca.empty() ? kInline : std::string_view(profile_.trusted_ca),
                  "no usable CA certificate in it");
  }
  DigestAnchors();
  return absl::OkStatus();
}

// Files *.pem, *.crt and *.cer. Where root_cert_*.pem files are (reSIProcate's layout), only those
// are CAs.
absl::Status CredentialsLoader::LoadAnchorFolder() {
  const absl::StatusOr<std::vector<std::string>> listed =
      core::ListFolder(profile_.trusted_ca, {".pem", ".crt", ".cer"}, kFolderFilesMax);
  if (!listed.ok()) return listed.status();
  const std::vector<std::string>& names = *listed;
  const auto is_root = [](const std::string& name) { return absl::StartsWith(name, "root_cert_"); };
  const bool roots_only = std::any_of(names.begin(), names.end(), is_root);
  size_t folder_bytes = 0;
  for (const std::string& name : names) {
    if (roots_only && !is_root(name)) continue;
    const std::string path = absl::StrCat(profile_.trusted_ca, "/", name);
    const absl::StatusOr<core::FileContent> file = core::ReadRegularFile(path, kFileBytesMax);
    if (!file.ok()) {
      credentials_->warnings_.emplace_back(file.status().message());
      continue;
    }
    folder_bytes += file->text.size();
    if (folder_bytes > kFolderBytesMax) {
      return Refuse(profile_.trusted_ca, "its files are longer than 64 MiB together");
    }
    if (absl::Status status = AddAnchors(file->text, path, false); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CredentialsLoader::AddAnchors(std::string_view pem, const std::string& place,
                                           bool must_be_good) {
  const std::vector<PemBlock> blocks = Certificates(pem);
  if (blocks.empty()) {
    if (must_be_good) return Refuse(place, "holds no certificate (-----BEGIN CERTIFICATE-----)");
    Warn(place, "holds no certificate; left out");
    return absl::OkStatus();
  }
  for (const PemBlock& block : blocks) {
    if (credentials_->anchors_.size() == kTrustAnchorsMax) {
      return Refuse(place, "more than 1024 trusted CAs");
    }
    const absl::Status status = AddAnchor(DecodeBody(block.body), place);
    if (status.ok()) continue;
    if (must_be_good && blocks.size() == 1) return status;
    credentials_->warnings_.push_back(absl::StrCat(std::string(status.message()), "; left out"));
  }
  return absl::OkStatus();
}

absl::Status CredentialsLoader::AddAnchor(std::vector<uint8_t> der, const std::string& place) {
  const CertificateReading reading = ReadCertificate(der);
  if (reading.fault != CertificateFault::kNone) return Refuse(place, FaultText(reading.fault));
  const CertificateFacts& facts = reading.identity->facts();
  const std::string subject(reading.identity->subject_dn());
  if (!facts.is_ca) {
    return Refuse(place,
                  absl::StrCat("\"", subject,
                               "\" is not a CA certificate (basicConstraints); "
                               "trusted-ca takes the CA that issued the peers' certificates"));
  }
  if (facts.key_usage.present && !facts.key_usage.key_cert_sign) {
    return Refuse(place, absl::StrCat("\"", subject, "\" may not sign certificates (keyUsage)"));
  }
  if (now_ > facts.not_after) return Refuse(place, absl::StrCat("\"", subject, "\" has expired"));
  if (now_ < facts.not_before)
    return Refuse(place, absl::StrCat("\"", subject, "\" is not valid yet"));
  CertificateFacts key_only = facts;
  key_only.weak_signature =
      false;  // An anchor is trusted because it is here, not because of its signature.
  if (IsWeak(key_only))
    return Refuse(place, absl::StrCat("\"", subject, "\" has a weak or unknown key"));
  TrustAnchor anchor;
  if (!SignerDigestOf(der, anchor.signer_sha256)) {
    return Refuse(place, absl::StrCat("\"", subject, "\" cannot be read by the TLS library"));
  }
  for (const TrustAnchor& known : credentials_->anchors_) {
    if (known.der == der) return absl::OkStatus();  // Twice the same: once is enough.
  }
  anchor.der = std::move(der);
  anchor.public_key_sha256 = facts.public_key_sha256;
  anchor.subject = subject;
  anchor.source = place;
  anchor.not_after = facts.not_after;
  credentials_->anchors_.push_back(std::move(anchor));
  return absl::OkStatus();
}

void CredentialsLoader::DigestAnchors() {
  std::vector<Sha256Digest> digests;
  for (const TrustAnchor& anchor : credentials_->anchors_) {
    digests.push_back(Sha256(std::as_bytes(std::span(anchor.der))));
  }
  std::sort(digests.begin(), digests.end());
  credentials_->anchor_set_sha256_ = Sha256(std::as_bytes(std::span(digests)));
}

// What only the library can say: that it takes the key, and that the key is the certificate's.
absl::Status CredentialsLoader::TryInLibrary() {
  if (!credentials_->has_certificate()) return absl::OkStatus();
  const std::string place = CertificatePlace();
  const std::unique_ptr<WOLFSSL_CTX, void (*)(WOLFSSL_CTX*)> ctx(
      wolfSSL_CTX_new(wolfSSLv23_server_method()), &wolfSSL_CTX_free);
  if (ctx == nullptr) return absl::ResourceExhaustedError("out of memory");
  const std::string& chain = credentials_->chain_pem_;
  const std::string& key = credentials_->key_pem_;
  if (wolfSSL_CTX_use_certificate_chain_buffer(
          ctx.get(), reinterpret_cast<const unsigned char*>(chain.data()),
          static_cast<long>(chain.size())) != WOLFSSL_SUCCESS) {
    return Refuse(place, "the TLS library cannot read the certificate chain");
  }
  if (wolfSSL_CTX_use_PrivateKey_buffer(
          ctx.get(), reinterpret_cast<const unsigned char*>(key.data()),
          static_cast<long>(key.size()), WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS) {
    return Refuse(profile_.key_file.empty() ? place : profile_.key_file,
                  "the private key cannot be used: it is damaged, of an unknown kind, or not the "
                  "certificate's key");
  }
  if (wolfSSL_CTX_check_private_key(ctx.get()) != WOLFSSL_SUCCESS) {
    return Refuse(profile_.key_file.empty() ? place : profile_.key_file,
                  absl::StrCat("the private key is not the key of ", place));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<const Credentials>> Credentials::Load(const Profile& profile,
                                                                     int64_t now_seconds) {
  const WallClock clock{[](void* now) { return *static_cast<int64_t*>(now) * 1000; }, &now_seconds};
  const ScopedWallClock library_clock(clock);
  InitializeLibrary();
  return CredentialsLoader(profile, now_seconds).Load();
}

Credentials::~Credentials() { explicit_bzero(key_pem_.data(), key_pem_.size()); }

}  // namespace sallyport::tls
