#include "sip/proxy/dialog_token.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "sip/proxy/canonical_uri.h"
#include "sip/proxy/octets.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
namespace {

constexpr size_t kUriOctetsMax = 2048;
// What a message is of: both are signed with the same key.
constexpr uint8_t kContactMessage = 'c';
constexpr uint8_t kClaimMessage = 'd';

bool AddUri(const Uri& uri, OctetWriter& writer) {
  const std::span<uint8_t> length = writer.Take(2);
  const size_t before = writer.written().size();
  if (length.empty() || !AddCanonicalUri(uri, writer)) return false;
  OctetWriter(length).AddNumber(writer.written().size() - before, 2);
  return true;
}

}  // namespace

DialogTokenSigner::DialogTokenSigner(const tls::Secret& secret)
    : keys_(secret, tls::kDialogTokenLabel) {}

std::optional<DialogClaim> DialogTokenSigner::ClaimOf(const DialogFacts& facts) const {
  DialogClaim claim;
  if (!ReadParties(facts, claim) || !ReadContact(keys_.signing(), facts, claim)) {
    return std::nullopt;
  }
  return claim;
}

bool DialogTokenSigner::ReadParties(const DialogFacts& facts, DialogClaim& claim) {
  std::array<uint8_t, 32 + 2 * (2 + kUriOctetsMax)> octets;
  OctetWriter parties(octets);
  parties.Add(*facts.route_set);
  if (!AddUri(*facts.near, parties) || !AddUri(*facts.far, parties)) return false;
  claim.parties = tls::Sha256(std::as_bytes(parties.written()));
  return true;
}

bool DialogTokenSigner::ReadContact(const SealKey& key, const DialogFacts& facts,
                                    DialogClaim& claim) {
  std::array<uint8_t, 1 + kUriOctetsMax> octets;
  OctetWriter contact(octets);
  contact.AddNumber(kContactMessage, 1);
  if (!AddCanonicalUri(*facts.contact, contact)) return false;
  const SealKeys::Mac mac = SealKeys::MacOf(key, contact.written());
  std::copy_n(mac.begin(), claim.contact.size(), claim.contact.begin());
  return true;
}

SealKeys::Mac DialogTokenSigner::MacOf(const SealKey& key, const DialogClaim& claim,
                                       const SealKeys::Mac& pair, std::span<const uint8_t> clear) {
  std::array<uint8_t, 1 + sizeof pair + kTimeBytes + kContactBytes + sizeof claim.parties> octets;
  OctetWriter message(octets);  // Each part is of fixed length.
  message.AddNumber(kClaimMessage, 1);
  message.Add(pair);
  message.Add(clear);
  message.Add(claim.parties);
  return SealKeys::MacOf(key, message.written());
}

bool DialogTokenSigner::Write(const DialogClaim& claim, const SealKeys::Mac& pair,
                              int64_t now_seconds, char* out) const {
  if (now_seconds < 0 || now_seconds > std::numeric_limits<uint32_t>::max()) return false;
  std::array<uint8_t, kTimeBytes + kContactBytes + SealKeys::kMacBytes> octets;
  OctetWriter token(octets);
  token.AddNumber(static_cast<uint64_t>(now_seconds), kTimeBytes);
  token.Add(claim.contact);
  token.Add(MacOf(keys_.signing(), claim, pair, token.written()));
  WriteBase64Url(token.written(), out);
  return true;
}

DialogTokenOutcome DialogTokenSigner::Check(std::string_view text, const DialogFacts& facts,
                                            const SealKeys::Mac& pair, size_t key,
                                            int64_t now_seconds) const {
  std::array<uint8_t, kTimeBytes + kContactBytes + SealKeys::kMacBytes> octets;
  const std::optional<size_t> size = ReadBase64Url(text, octets);
  if (size != octets.size() || key >= keys_.all().size()) return DialogTokenOutcome::kForged;
  const SealKey& signing = keys_.all()[key];
  const std::span<const uint8_t> clear =
      std::span<const uint8_t>(octets).first(kTimeBytes + kContactBytes);
  DialogClaim claim;
  if (!ReadParties(facts, claim) ||
      !tls::SameSecretBytes(MacOf(signing, claim, pair, clear),
                            std::span(octets).last(SealKeys::kMacBytes))) {
    return DialogTokenOutcome::kForged;
  }
  OctetReader reader(clear);
  const int64_t age_seconds = now_seconds - static_cast<int64_t>(reader.Number(kTimeBytes));
  if (age_seconds > kLifetimeSeconds || age_seconds < -kClockSkewSeconds) {
    return DialogTokenOutcome::kExpired;
  }
  const bool is_same_contact =
      ReadContact(signing, facts, claim) && tls::SameSecretBytes(claim.contact, reader.rest());
  return is_same_contact ? DialogTokenOutcome::kExact : DialogTokenOutcome::kOtherContact;
}

}  // namespace sallyport::sip
