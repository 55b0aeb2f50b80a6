#include "sip/proxy/dialog_token.h"

#include <algorithm>
#include <limits>

#include "sip/message/grammar.h"
#include "sip/proxy/octets.h"

namespace sallyport::sip {
namespace {

constexpr size_t kTimeBytes = 4;  // Until 2106.
constexpr size_t kPeerKeyDigits = 16;
constexpr std::string_view kVisualSeparators = "-.()";  // RFC 3966 §5.1.1.

std::span<const uint8_t> Octets(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// A length before each part: two lists of parts never give the same octets.
void AddPart(std::string_view part, OctetWriter& writer) {
  writer.AddNumber(part.size(), 2);
  writer.Add(Octets(part));
}

void AddLowered(std::string_view part, OctetWriter& writer) {
  writer.AddNumber(part.size(), 2);
  for (const char c : part) writer.AddNumber(static_cast<uint8_t>(ToLower(c)), 1);
}

void AddSipUri(const Uri& uri, OctetWriter& writer) {
  std::array<char, TokenSeal::kContextBytesMax> user;
  if (uri.user.size() > user.size()) {
    static_cast<void>(writer.Take(uri.user.size()));  // Notes that it does not fit.
    return;
  }
  writer.AddNumber('s', 1);
  AddPart({user.data(), Unescape(uri.user, user)}, writer);
  AddLowered(uri.host, writer);
  writer.AddNumber(uri.port, 2);
}

void AddTelUri(const Uri& uri, OctetWriter& writer) {
  writer.AddNumber('t', 1);
  for (const char c : uri.user) {
    if (kVisualSeparators.find(c) != std::string_view::npos) continue;
    writer.AddNumber(static_cast<uint8_t>(ToLower(c)), 1);
  }
  // No ';' in a number, so the parameters begin where they begin.
  for (const char c : uri.params) writer.AddNumber(static_cast<uint8_t>(ToLower(c)), 1);
}

// What the MAC covers beside the token. False: no token can be about this.
bool WriteContext(std::string_view call_id, std::string_view tag, const Uri& uri,
                  OctetWriter& writer) {
  if (call_id.empty() || tag.empty()) return false;
  // The length of a part has two octets.
  if (call_id.size() > TokenSeal::kContextBytesMax || tag.size() > TokenSeal::kContextBytesMax ||
      uri.whole.size() > TokenSeal::kContextBytesMax) {
    return false;
  }
  AddPart(call_id, writer);
  AddPart(tag, writer);
  if (uri.is_sip_or_sips() && !uri.has_password) {
    AddSipUri(uri, writer);
  } else if (uri.scheme == Uri::Scheme::kTel) {
    AddTelUri(uri, writer);
  } else {
    return false;
  }
  return writer.fits();
}

bool IsLowerHexDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool IsIdentity(std::string_view text) {
  if (text.starts_with('#')) {
    text.remove_prefix(1);
    return text.size() == kPeerKeyDigits && std::ranges::all_of(text, IsLowerHexDigit);
  }
  return !text.empty() && text.size() <= DialogTokenSigner::kIdentityBytesMax &&
         std::ranges::all_of(text,
                             [](char c) { return IsIn(c, kHostnameChar) && ToLower(c) == c; });
}

}  // namespace

DialogTokenSigner::DialogTokenSigner(const tls::Secret& secret)
    : seal_(secret, tls::kDialogTokenLabel, TokenKind::kDialog) {}

size_t DialogTokenSigner::Write(const DialogClaim& claim, int64_t now_seconds,
                                std::span<char> out) const {
  std::array<uint8_t, TokenSeal::kContextBytesMax> context_room;
  OctetWriter context(context_room);
  const size_t text_bytes = TokenSeal::TextBytes(kTimeBytes + claim.identity.size());
  if (!IsIdentity(claim.identity) || text_bytes > out.size() || now_seconds < 0 ||
      now_seconds > std::numeric_limits<uint32_t>::max() ||
      !WriteContext(claim.call_id, claim.local_tag, *claim.remote, context)) {
    return 0;
  }
  std::array<uint8_t, kTimeBytes + kIdentityBytesMax> field_room;
  OctetWriter fields(field_room);
  fields.AddNumber(static_cast<uint64_t>(now_seconds), kTimeBytes);
  fields.Add(Octets(claim.identity));
  seal_.Write(fields.written(), context.written(), out.data());
  return text_bytes;
}

std::optional<DialogTokenSigner::Identity> DialogTokenSigner::Check(std::string_view text,
                                                                    std::string_view call_id,
                                                                    std::string_view to_tag,
                                                                    const Uri& from,
                                                                    int64_t now_seconds) const {
  std::array<uint8_t, TokenSeal::kContextBytesMax> context_room;
  OctetWriter context(context_room);
  if (!WriteContext(call_id, to_tag, from, context)) return std::nullopt;
  std::array<uint8_t, TokenSeal::kFieldBytesMax> fields;
  const std::optional<size_t> size = seal_.Read(text, context.written(), fields);
  if (!size.has_value()) return std::nullopt;
  OctetReader reader({fields.data(), *size});
  const int64_t age_seconds = now_seconds - static_cast<int64_t>(reader.Number(kTimeBytes));
  if (age_seconds > kLifetimeSeconds || age_seconds < -kClockSkewSeconds) return std::nullopt;
  const std::string_view identity(reinterpret_cast<const char*>(reader.rest().data()),
                                  reader.rest().size());
  if (!IsIdentity(identity)) return std::nullopt;  // Signed, and still not one of ours.
  Identity found;
  std::ranges::copy(identity, found.text.begin());
  found.size = static_cast<uint8_t>(identity.size());
  return found;
}

}  // namespace sallyport::sip
