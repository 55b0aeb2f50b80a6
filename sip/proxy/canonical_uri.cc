#include "sip/proxy/canonical_uri.h"

#include <algorithm>
#include <span>

#include "absl/container/inlined_vector.h"
#include "sip/message/grammar.h"
#include "sip/message/params.h"

namespace sallyport::sip {
namespace {

constexpr std::string_view kVisualSeparators = "-.()";  // RFC 3966 §5.1.1.
constexpr uint16_t kIsDigest = 0xFFFF;                  // No part has that length.

std::span<const uint8_t> Octets(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

using CanonicalParams = absl::InlinedVector<Param, 4>;

bool IsLessName(std::string_view a, std::string_view b) {
  return std::ranges::lexicographical_compare(
      a, b, [](char x, char y) { return ToLower(x) < ToLower(y); });
}

// False: malformed, or too many.
bool ReadParams(std::string_view text, CanonicalParams& sorted) {
  if (text.empty()) return true;
  ParamReader reader(text);
  for (Param param; reader.Next(param);) {
    if (sorted.size() == kCanonicalParamsMax) return false;
    sorted.push_back(param);
  }
  std::ranges::sort(sorted, [](const Param& a, const Param& b) {
    if (IsLessName(a.name, b.name)) return true;
    return !IsLessName(b.name, a.name) && a.value < b.value;
  });
  return !reader.malformed();
}

void AddParams(const CanonicalParams& sorted, OctetWriter& writer) {
  for (const Param& param : sorted) {
    AddLoweredPart(param.name, writer);
    const bool is_lr = EqualsIgnoreCase(param.name, "lr");
    AddPart(is_lr ? std::string_view() : param.value, writer);
  }
}

void AddUnescapedPart(std::string_view part, OctetWriter& writer) {
  std::array<char, 1024> unescaped;
  if (part.size() > unescaped.size()) {
    static_cast<void>(writer.Take(SIZE_MAX));  // Notes that it does not fit.
    return;
  }
  AddPart({unescaped.data(), Unescape(part, unescaped)}, writer);
}

void AddNumberPart(std::string_view number, OctetWriter& writer) {
  const std::span<uint8_t> length = writer.Take(2);
  size_t digits = 0;
  for (const char c : number) {
    if (kVisualSeparators.find(c) != std::string_view::npos) continue;
    writer.AddNumber(static_cast<uint8_t>(ToLower(c)), 1);
    ++digits;
  }
  if (!length.empty()) OctetWriter(length).AddNumber(digits, 2);
}

}  // namespace

void AddPart(std::string_view part, OctetWriter& writer) {
  if (part.size() > kPartBytesMax) {
    writer.AddNumber(kIsDigest, 2);
    writer.Add(tls::Sha256(std::as_bytes(std::span(part))));
    return;
  }
  writer.AddNumber(part.size(), 2);
  writer.Add(Octets(part));
}

void AddLoweredPart(std::string_view part, OctetWriter& writer) {
  writer.AddNumber(part.size(), 2);
  const std::span<uint8_t> room = writer.Take(part.size());
  for (size_t i = 0; i < room.size(); ++i) room[i] = static_cast<uint8_t>(ToLower(part[i]));
}

bool AddCanonicalUri(const Uri& uri, OctetWriter& writer) {
  CanonicalParams params;
  if (uri.has_password || !uri.headers.empty() || !ReadParams(uri.params, params)) return false;
  switch (uri.scheme) {
    case Uri::Scheme::kSip:
    case Uri::Scheme::kSips:
      writer.AddNumber(uri.scheme == Uri::Scheme::kSip ? 's' : 'S', 1);
      AddUnescapedPart(uri.user, writer);
      AddLoweredPart(uri.host, writer);
      writer.AddNumber(uri.port, 2);
      break;
    case Uri::Scheme::kTel:
      writer.AddNumber('t', 1);
      AddNumberPart(uri.user, writer);
      break;
    case Uri::Scheme::kOther:
      return false;
  }
  AddParams(params, writer);
  return writer.fits();
}

bool HasNeedlessEscape(std::string_view user) {
  for (size_t at = 0; (at = user.find('%', at)) != std::string_view::npos; ++at) {
    std::array<char, 3> octet;
    const std::string_view escape = user.substr(at, octet.size());
    if (Unescape(escape, octet) == 1 && IsIn(octet[0], kAlphaChar | kDigitChar | kSchemeChar)) {
      return true;
    }
    if (octet[0] == '_') return true;
  }
  return false;
}

bool IsSameUri(const Uri& a, const Uri& b) {
  std::array<uint8_t, 2048> a_room;
  std::array<uint8_t, 2048> b_room;
  OctetWriter a_octets(a_room);
  OctetWriter b_octets(b_room);
  return AddCanonicalUri(a, a_octets) && AddCanonicalUri(b, b_octets) &&
         std::ranges::equal(a_octets.written(), b_octets.written());
}

bool UriListDigest::Add(const Uri& uri) {
  OctetWriter writer(std::span<uint8_t>(octets_).subspan(used_));
  const std::span<uint8_t> length = writer.Take(2);
  ok_ = ok_ && count_ < kUrisMax && !length.empty() && !HasNeedlessEscape(uri.user) &&
        AddCanonicalUri(uri, writer);
  if (!ok_) return false;
  OctetWriter(length).AddNumber(writer.written().size() - length.size(), 2);
  used_ += writer.written().size();
  ++count_;
  return true;
}

std::array<uint8_t, 32> UriListDigest::digest() const {
  return tls::Sha256(std::as_bytes(std::span(octets_).first(used_)));
}

}  // namespace sallyport::sip
