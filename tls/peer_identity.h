// Facts read from the bytes of one leaf certificate (RFC 5280). No meaning: which names are SIP
// identities is decided in sip/policy (RFC 5922 §7.1); which anchor verified the certificate
// belongs to the connection and its ticket, because one leaf may be trusted on one listener and not
// on another. Memory:  one allocation holds the facts, the name table and every text; views borrow
// it and die with the last reference. Threads: immutable after Create, so any thread may read. The
// reference count is atomic; it is touched when a connection
//          begins and ends and by the cache, never per message.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/check.h"

namespace sallyport::tls {

using Sha256Digest = std::array<uint8_t, 32>;

// Names per certificate, of all types together. The reader refuses a certificate with more.
inline constexpr size_t kCertificateNamesMax = 1000;

// kCommonName comes from the subject (UTF-8, in certificate order, so the most specific is last);
// the others from subjectAltName. kIpAddress is 4 or 16 raw bytes. Names of the other GeneralName
// forms are not kept.
enum class NameType : uint8_t { kCommonName, kDns, kUri, kEmail, kIpAddress };

struct CertificateName {
  NameType type;
  std::string_view text;
};

enum class KeyAlgorithm : uint8_t {
  kRsa,
  kRsaPss,
  kEcP256,
  kEcP384,
  kEcP521,
  kEcOther,
  kEd25519,
  kEd448,
  kOther
};

// RFC 5280 §4.2.1.3. Without the extension every use is open.
struct KeyUsage {
  bool present : 1 = false;
  bool digital_signature : 1 = false;
  bool key_encipherment : 1 = false;
  bool key_agreement : 1 = false;
  bool key_cert_sign : 1 = false;
  bool crl_sign : 1 = false;
};

// RFC 5280 §4.2.1.12, RFC 5924 §3. `other` is any purpose that has no bit here.
struct ExtendedKeyUsage {
  bool present : 1 = false;
  bool server_auth : 1 = false;
  bool client_auth : 1 = false;
  bool any : 1 = false;
  bool sip_domain : 1 = false;
  bool other : 1 = false;
};

// The part of fixed size.
struct CertificateFacts {
  Sha256Digest fingerprint{};        // SHA-256 of the whole DER.
  Sha256Digest public_key_sha256{};  // SHA-256 of SubjectPublicKeyInfo, header included.
  int64_t not_before = 0;            // Unix seconds, both inclusive (RFC 5280 §4.1.2.5).
  int64_t not_after = 0;
  KeyUsage key_usage{};
  ExtendedKeyUsage extended_key_usage{};
  KeyAlgorithm key_algorithm = KeyAlgorithm::kOther;
  uint16_t key_bits = 0;
  bool weak_signature = false;  // Signed with MD2, MD5 or SHA-1.
  bool is_ca = false;
  bool has_subject_alt_name = false;  // The extension is there, whatever it holds.
  bool has_unknown_critical = false;  // A critical extension that RFC 5280 does not describe.

  bool ValidAt(int64_t unix_seconds) const {
    return not_before <= unix_seconds && unix_seconds <= not_after;
  }
};

// What PeerIdentity::Create copies.
struct CertificateTexts {
  std::string_view serial_hex;  // Lower case, two digits per byte, without the sign byte: "0a1b";
                                // of a negative number "-" and its amount.
  std::string_view subject_dn;  // RFC 4514 §2 string.
  std::string_view issuer_dn;
  std::string_view subject_der;  // The Name as encoded, for comparison by value.
  std::string_view issuer_der;
};

class PeerIdentityRef;

class PeerIdentity {
 public:
  PeerIdentity(const PeerIdentity&) = delete;
  PeerIdentity& operator=(const PeerIdentity&) = delete;

  // Copies everything into one allocation. At most kCertificateNamesMax names.
  static PeerIdentityRef Create(const CertificateFacts& facts, const CertificateTexts& texts,
                                const std::vector<CertificateName>& names);

  const CertificateFacts& facts() const { return facts_; }
  const Sha256Digest& fingerprint() const { return facts_.fingerprint; }
  std::string_view serial_hex() const { return Text(serial_hex_); }
  std::string_view subject_dn() const { return Text(subject_dn_); }
  std::string_view issuer_dn() const { return Text(issuer_dn_); }
  std::string_view subject_der() const { return Text(subject_der_); }
  std::string_view issuer_der() const { return Text(issuer_der_); }

  // In the order of the certificate: common names first, then subjectAltName.
  size_t names_size() const { return names_size_; }
  CertificateName name(size_t index) const {
    DCHECK(index < names_size_);
    const NameEntry entry = name_table()[index];
    return {entry.type, Text({entry.offset, entry.bytes})};
  }

  // What the allocation costs, for the cache's accounting.
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  friend class PeerIdentityRef;

  struct Extent {
    uint32_t offset = 0;
    uint32_t bytes = 0;
  };
  struct NameEntry {
    uint32_t offset;
    uint16_t bytes;
    NameType type;
  };

  explicit PeerIdentity(const CertificateFacts& facts) : facts_(facts) {}
  ~PeerIdentity() = default;

  // The allocation is this object, then names_size_ entries, then the texts.
  const NameEntry* name_table() const { return reinterpret_cast<const NameEntry*>(this + 1); }
  NameEntry* name_table() { return reinterpret_cast<NameEntry*>(this + 1); }
  const char* text_begin() const {
    return reinterpret_cast<const char*>(name_table() + names_size_);
  }
  std::string_view Text(Extent extent) const {
    return {text_begin() + extent.offset, extent.bytes};
  }
  Extent Append(std::string_view text, uint32_t& used);

  void AddReference() const {
    // Relaxed: whoever adds a reference holds one already, or is inside a read side that keeps the
    // cache's alive.
    references_.fetch_add(1, std::memory_order_relaxed);
  }
  void DropReference() const;

  mutable std::atomic<uint32_t> references_{1};
  uint32_t names_size_ = 0;
  uint32_t memory_bytes_ = 0;
  Extent serial_hex_;
  Extent subject_dn_;
  Extent issuer_dn_;
  Extent subject_der_;
  Extent issuer_der_;
  CertificateFacts facts_;
};

// One reference. Empty after default construction or a move.
class PeerIdentityRef {
 public:
  PeerIdentityRef() = default;
  PeerIdentityRef(const PeerIdentityRef& other) : identity_(other.identity_) {
    if (identity_ != nullptr) identity_->AddReference();
  }
  PeerIdentityRef(PeerIdentityRef&& other) noexcept
      : identity_(std::exchange(other.identity_, nullptr)) {}
  PeerIdentityRef& operator=(PeerIdentityRef other) noexcept {
    std::swap(identity_, other.identity_);
    return *this;
  }
  ~PeerIdentityRef() {
    if (identity_ != nullptr) identity_->DropReference();
  }

  const PeerIdentity* get() const { return identity_; }
  const PeerIdentity& operator*() const { return *identity_; }
  const PeerIdentity* operator->() const { return identity_; }
  explicit operator bool() const { return identity_ != nullptr; }

  // For a holder that keeps the bare pointer in an atomic: Release hands out this reference, Adopt
  // takes it back, Share adds one to an identity that somebody else keeps alive.
  const PeerIdentity* Release() { return std::exchange(identity_, nullptr); }
  static PeerIdentityRef Adopt(const PeerIdentity* identity) { return PeerIdentityRef(identity); }
  static PeerIdentityRef Share(const PeerIdentity* identity) {
    if (identity != nullptr) identity->AddReference();
    return PeerIdentityRef(identity);
  }

 private:
  explicit PeerIdentityRef(const PeerIdentity* identity) : identity_(identity) {}

  const PeerIdentity* identity_ = nullptr;
};

inline void PeerIdentity::DropReference() const {
  // Release pairs with the acquire of the last drop: all reads through other references happen
  // before the memory goes.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~PeerIdentity();
  ::operator delete(const_cast<PeerIdentity*>(this));
}

inline PeerIdentity::Extent PeerIdentity::Append(std::string_view text, uint32_t& used) {
  const Extent extent{used, static_cast<uint32_t>(text.size())};
  if (!text.empty()) std::memcpy(const_cast<char*>(text_begin()) + used, text.data(), text.size());
  used += extent.bytes;
  return extent;
}

inline PeerIdentityRef PeerIdentity::Create(const CertificateFacts& facts,
                                            const CertificateTexts& texts,
                                            const std::vector<CertificateName>& names) {
  CHECK(names.size() <= kCertificateNamesMax);
  size_t bytes = sizeof(PeerIdentity) + names.size() * sizeof(NameEntry);
  for (const std::string_view text :
       {texts.serial_hex, texts.subject_dn, texts.issuer_dn, texts.subject_der, texts.issuer_der}) {
    bytes += text.size();
  }
  for (const CertificateName& name : names) {
    CHECK(name.text.size() <= UINT16_MAX);
    bytes += name.text.size();
  }
  CHECK(bytes <= UINT32_MAX);

  auto* const identity = new (::operator new(bytes)) PeerIdentity(facts);
  identity->memory_bytes_ = static_cast<uint32_t>(bytes);
  identity->names_size_ = static_cast<uint32_t>(names.size());
  uint32_t used = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const Extent extent = identity->Append(names[i].text, used);
    new (identity->name_table() + i)
        NameEntry{extent.offset, static_cast<uint16_t>(extent.bytes), names[i].type};
  }
  identity->serial_hex_ = identity->Append(texts.serial_hex, used);
  identity->subject_dn_ = identity->Append(texts.subject_dn, used);
  identity->issuer_dn_ = identity->Append(texts.issuer_dn, used);
  identity->subject_der_ = identity->Append(texts.subject_der, used);
  identity->issuer_der_ = identity->Append(texts.issuer_der, used);
  return PeerIdentityRef::Adopt(identity);
}

}  // namespace sallyport::tls
