// The party of a dialog outside: the one identity by which a connection may use what we sign. It is
// proved by TLS under one profile.
//
//   domain  any connection that proves the domain: partners have several nodes, and certificates
//           are renewed
//   leaf    a user, or a certificate without a SIP identity: connections with the same leaf
//           certificate only
//
// Pure; PartySealer is immutable after construction and shared by all shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sip/message/uri.h"
#include "sip/policy/judge.h"
#include "sip/proxy/seal_keys.h"
#include "tls/keyed_mac.h"
#include "tls/peer_identity.h"
#include "tls/secret.h"

namespace sallyport::sip {

enum class PartyKind : uint8_t { kNone, kDomain, kLeaf };

// In lower case. Longer domains are no domain parties: their connections count by their leaf.
class PartyDomain {
 public:
  static constexpr size_t kBytesMax = 63;

  PartyDomain() = default;
  explicit PartyDomain(std::string_view text);  // At most kBytesMax.
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }
  friend bool operator==(const PartyDomain& a, const PartyDomain& b) {
    return a.view() == b.view();
  }

 private:
  std::array<char, kBytesMax> text_;
  uint8_t size_ = 0;
};

// As a connection proves it.
struct Party {
  PartyKind kind = PartyKind::kNone;
  PartyId id{};        // Of kind, TLS profile, and domain or leaf.
  PartyDomain domain;  // kDomain.
};

// As a token holds it.
struct SealedParty {
  PartyKind kind = PartyKind::kNone;
  uint8_t key_id = 0;
  uint64_t hash = 0;   // Of the id, keyed: whoever reads a token cannot tell which leaf it names.
  PartyDomain domain;  // kDomain: where the party can be found (RFC 3263).
  friend bool operator==(const SealedParty&, const SealedParty&) = default;
};

// What PeerStanding keeps of one connection (sip/policy/judge.h).
[[nodiscard]] PartyId ProfilePartyId(std::string_view tls_profile);
[[nodiscard]] PartyId LeafPartyId(const PartyId& profile, const tls::Sha256Digest& fingerprint);

// The party that speaks for this addr-spec: the domain before the leaf. kNone: no certificate.
[[nodiscard]] Party PartyFor(const PeerStanding& standing, const Uri& addr_spec);
// The server that was dialled and has proved `domain`; without a domain, its leaf.
[[nodiscard]] Party PartyOfServer(const PeerStanding& standing, std::string_view domain);

class PartySealer {
 public:
  explicit PartySealer(const tls::Secret& secret);

  // By the secret's key of that index; 0 signs.
  [[nodiscard]] SealedParty Seal(const Party& party, size_t key = 0) const;
  [[nodiscard]] bool IsSealedNow(const SealedParty& party) const {
    return party.key_id == keys_.signing().id;
  }
  [[nodiscard]] size_t keys() const { return keys_.all().size(); }

  [[nodiscard]] bool HasSameKeys(const PartySealer& other) const;
  [[nodiscard]] bool IsSame(const SealedParty& sealed, const Party& party) const;
  // The connection proves the sealed party.
  [[nodiscard]] bool Proves(const PeerStanding& standing, const SealedParty& sealed) const;

 private:
  [[nodiscard]] static uint64_t HashOf(const SealKey& key, const PartyId& id);

  const SealKeys keys_;
};

}  // namespace sallyport::sip
