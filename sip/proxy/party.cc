#include "sip/proxy/party.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "core/check.h"
#include "sip/message/grammar.h"
#include "sip/proxy/octets.h"

namespace sallyport::sip {
namespace {

constexpr size_t kIdMessageBytesMax = 1 + sizeof(PartyId) + 64;

PartyId IdOf(char use, std::span<const uint8_t> profile, std::span<const uint8_t> name) {
  std::array<uint8_t, kIdMessageBytesMax> message;
  OctetWriter writer(message);
  writer.AddNumber(static_cast<uint8_t>(use), 1);
  writer.Add(profile);
  writer.Add(name);
  CHECK(writer.fits());
  const std::array<uint8_t, 32> digest = tls::Sha256(std::as_bytes(writer.written()));
  PartyId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

std::span<const uint8_t> Octets(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Party LeafParty(const PeerStanding& standing) {
  return {.kind = PartyKind::kLeaf, .id = standing.leaf_id, .domain = {}};
}

Party DomainParty(const PeerStanding& standing, std::string_view domain) {
  const PartyDomain name(domain);
  return {.kind = PartyKind::kDomain,
          .id = IdOf('d', standing.profile_id, Octets(name.view())),
          .domain = name};
}

bool FitsDomain(std::string_view domain) {
  return !domain.empty() && domain.size() <= PartyDomain::kBytesMax;
}

}  // namespace

PartyDomain::PartyDomain(std::string_view text) : size_(static_cast<uint8_t>(text.size())) {
  CHECK(text.size() <= text_.size());
  std::ranges::transform(text, text_.begin(), ToLower);
}

PartyId ProfilePartyId(std::string_view tls_profile) {
  const std::array<uint8_t, 32> digest = tls::Sha256(std::as_bytes(std::span(tls_profile)));
  return IdOf('p', digest, {});
}

PartyId LeafPartyId(const PartyId& profile, const tls::Sha256Digest& fingerprint) {
  return IdOf('l', profile, fingerprint);
}

Party PartyFor(const PeerStanding& standing, const Uri& addr_spec) {
  if (!standing.has_identity) return {};
  if (addr_spec.is_sip_or_sips() && FitsDomain(addr_spec.host) &&
      standing.identities.CoversDomain(addr_spec.host)) {
    return DomainParty(standing, addr_spec.host);
  }
  return LeafParty(standing);
}

Party PartyOfServer(const PeerStanding& standing, std::string_view domain) {
  if (!standing.has_identity) return {};
  if (FitsDomain(domain) && standing.identities.CoversDomain(domain)) {
    return DomainParty(standing, domain);
  }
  return LeafParty(standing);
}

PartySealer::PartySealer(const tls::Secret& secret) : keys_(secret, tls::kPartyLabel) {}

uint64_t PartySealer::HashOf(const SealKey& key, const PartyId& id) {
  tls::MacKey mac_key;
  std::copy_n(key.bytes.begin(), mac_key.size(), mac_key.begin());
  return tls::KeyedMac64(mac_key, std::as_bytes(std::span(id)));
}

SealedParty PartySealer::Seal(const Party& party, size_t key) const {
  if (party.kind == PartyKind::kNone) return {};
  const SealKey& with = keys_.all()[key];
  return {.kind = party.kind,
          .key_id = with.id,
          .hash = HashOf(with, party.id),
          .domain = party.domain};
}

bool PartySealer::HasSameKeys(const PartySealer& other) const {
  return std::ranges::equal(keys_.all(), other.keys_.all(), [](const SealKey& a, const SealKey& b) {
    return tls::SameSecretBytes(a.bytes, b.bytes);
  });
}

bool PartySealer::IsSame(const SealedParty& sealed, const Party& party) const {
  if (sealed.kind != party.kind || sealed.domain != party.domain) return false;
  if (sealed.kind == PartyKind::kNone) return true;
  return std::ranges::any_of(keys_.all(), [&](const SealKey& key) {
    return key.id == sealed.key_id && HashOf(key, party.id) == sealed.hash;
  });
}

bool PartySealer::Proves(const PeerStanding& standing, const SealedParty& sealed) const {
  if (!standing.has_identity) return false;
  switch (sealed.kind) {
    case PartyKind::kNone:
      return false;
    case PartyKind::kDomain:
      return standing.identities.CoversDomain(sealed.domain.view()) &&
             IsSame(sealed, DomainParty(standing, sealed.domain.view()));
    case PartyKind::kLeaf:
      return IsSame(sealed, LeafParty(standing));
  }
  return false;
}

}  // namespace sallyport::sip
