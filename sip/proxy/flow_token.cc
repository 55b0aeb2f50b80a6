#include "sip/proxy/flow_token.h"

#include <algorithm>
#include <string>

#include "core/check.h"
#include "sip/proxy/octets.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {
namespace {

constexpr uint8_t kFallsBack = 1;

std::array<uint8_t, 8> ProcessHash(std::string_view instance, uint64_t boot_epoch) {
  std::array<uint8_t, 8> epoch;
  OctetWriter(epoch).AddNumber(boot_epoch, epoch.size());
  std::string text(epoch.begin(), epoch.end());  // First, because its length is fixed.
  text.append(instance);
  const std::array<uint8_t, 32> digest = tls::Sha256(std::as_bytes(std::span(text)));
  std::array<uint8_t, 8> hash;
  std::copy_n(digest.begin(), hash.size(), hash.begin());
  return hash;
}

}  // namespace

FlowTokenSigner::FlowTokenSigner(const tls::Secret& secret, std::string_view instance,
                                 uint64_t boot_epoch)
    : seal_(secret, tls::kFlowTokenLabel, TokenKind::kFlow),
      process_(ProcessHash(instance, boot_epoch)) {}

void FlowTokenSigner::Write(const FlowToken& token, char* out) const {
  std::array<uint8_t, kFieldBytes> fields;
  OctetWriter writer(fields);
  writer.Add(process_);
  writer.AddNumber(token.shard, 1);
  writer.AddNumber(token.connection.slot, 4);
  writer.AddNumber(token.connection.generation, 4);
  writer.AddNumber(token.listener, 1);
  writer.AddNumber(token.peer_key, 8);
  writer.AddNumber(token.falls_back ? kFallsBack : 0, 1);
  DCHECK(writer.fits() && writer.written().size() == fields.size());
  seal_.Write(fields, {}, out);
}

FlowTokenSigner::Outcome FlowTokenSigner::Read(std::string_view text, FlowToken& token) const {
  std::array<uint8_t, TokenSeal::kFieldBytesMax> fields;
  if (text.size() != kTextBytes || !seal_.Read(text, {}, fields).has_value()) {
    return Outcome::kForged;
  }
  OctetReader reader({fields.data(), kFieldBytes});
  const bool is_here = std::ranges::equal(reader.Take(process_.size()), process_);
  token.shard = static_cast<uint8_t>(reader.Number(1));
  token.connection.slot = static_cast<uint32_t>(reader.Number(4));
  token.connection.generation = static_cast<uint32_t>(reader.Number(4));
  token.listener = static_cast<uint8_t>(reader.Number(1));
  token.peer_key = reader.Number(8);
  token.falls_back = (reader.Number(1) & kFallsBack) != 0;
  return is_here ? Outcome::kOk : Outcome::kElsewhere;
}

}  // namespace sallyport::sip
