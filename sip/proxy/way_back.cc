#include "sip/proxy/way_back.h"

#include <algorithm>
#include <array>
#include <span>

#include "absl/container/inlined_vector.h"
#include "sip/message/grammar.h"
#include "sip/message/header_name.h"
#include "sip/message/value_list.h"
#include "sip/message/via.h"
#include "sip/proxy/octets.h"

namespace sallyport::sip {
namespace {

using Values = absl::InlinedVector<std::string_view, 8>;

void AddValues(std::string_view field_value, Values& all) {
  ValueList values(field_value);
  for (std::string_view value; values.Next(value);) all.push_back(value);
}

Values ValuesOf(const SentVias& sent) {
  Values all;
  std::string_view text = sent.text;
  for (size_t left = sent.via_lines; left > 0 && !text.empty();) {
    const std::string_view line = text.substr(0, text.find("\r\n"));
    text.remove_prefix(std::min(text.size(), line.size() + 2));
    if (line.empty()) break;
    if (ToLower(line.front()) != 'v') continue;
    const NameAtLine name = ReadNameAtLine(line.data(), line.size(), line.size());
    if (name.id != HeaderId::kVia) continue;
    AddValues(TrimLws(line.substr(name.colon + 1)), all);
    --left;
  }
  return all;
}

// Below the topmost, which is ours.
Values ValuesBelow(const MessageView& response) {
  Values all;
  if (!response.top_via_rest().empty()) AddValues(response.top_via_rest(), all);
  const HeaderField* line = response.First(HeaderId::kVia);
  while ((line = response.NextSame(line)) != nullptr) AddValues(line->value, all);
  return all;
}

bool LeadsToSame(std::string_view answered, std::string_view sent) {
  if (answered == sent) return true;
  Via one;
  Via other;
  return IsPlainVia(answered) && ParseVia(answered, one) && ParseVia(sent, other) &&
         one.branch == other.branch && EqualsIgnoreCase(one.host, other.host) &&
         one.port == other.port && EqualsIgnoreCase(one.transport, other.transport) &&
         one.received == other.received && one.has_rport == other.has_rport &&
         one.rport == other.rport && one.maddr == other.maddr;
}

// Nearly always: the same lines, the first ones of the request. False: look closer.
bool HasLinesAsSent(const MessageView& response, const SentVias& sent) {
  constexpr std::string_view kName = "Via: ";
  if (!response.top_via_rest().empty()) return false;
  const HeaderField* line = response.NextSame(response.First(HeaderId::kVia));
  std::string_view text = sent.text;
  for (size_t left = sent.via_lines; left > 0; --left) {
    const size_t end = text.find("\r\n");
    if (line == nullptr || end == std::string_view::npos || !text.starts_with(kName) ||
        text.substr(kName.size(), end - kName.size()) != line->value) {
      return false;
    }
    text.remove_prefix(end + 2);
    line = response.NextSame(line);
  }
  return line == nullptr;
}

uint64_t HashOfValues(std::span<const std::string_view> values, const tls::MacKey& key) {
  std::array<uint8_t, 1024> room;
  uint64_t hash = 1;
  for (size_t i = 0; i < values.size();) {
    OctetWriter octets(room);
    octets.AddNumber(hash, 8);
    while (i < values.size()) {
      const std::span<const uint8_t> value(reinterpret_cast<const uint8_t*>(values[i].data()),
                                           std::min<size_t>(values[i].size(), 512));
      if (octets.written().size() + value.size() + 4 > room.size()) break;
      octets.AddNumber(values[i].size(), 4);
      octets.Add(value);
      ++i;
    }
    hash = tls::KeyedMac64(key, std::as_bytes(octets.written()));
  }
  return hash == 0 ? 1 : hash;
}

}  // namespace

bool HasViasAsSent(const MessageView& response, const SentVias& sent) {
  if (HasLinesAsSent(response, sent)) return true;
  return std::ranges::equal(ValuesBelow(response), ValuesOf(sent), LeadsToSame);
}

uint64_t HashOfVias(const SentVias& sent, const tls::MacKey& key) {
  return HashOfValues(ValuesOf(sent), key);
}

uint64_t HashOfVias(const MessageView& response, const tls::MacKey& key) {
  return HashOfValues(ValuesBelow(response), key);
}

}  // namespace sallyport::sip
