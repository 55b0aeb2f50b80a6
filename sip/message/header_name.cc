#include "sip/message/header_name.h"

#include <cstring>

#include "sip/message/grammar.h"
#include "sip/message/header_name_table.h"

namespace sallyport::sip {
namespace {

using header_name_internal::kKnown;
using header_name_internal::kNameBytesMax;
using header_name_internal::LastWordAt;
using header_name_internal::Match;
using header_name_internal::Word;

// Some next hops map '_' and '-' to the same name, so both spellings of our own headers are ours.
bool IsSallyportName(std::string_view name) {
  constexpr std::string_view kPrefix = "x-sallyport-";
  if (name.size() < kPrefix.size()) return false;
  for (size_t i = 0; i < kPrefix.size(); ++i) {
    const char c = name[i] == '_' ? '-' : ToLower(name[i]);
    if (c != kPrefix[i]) return false;
  }
  return true;
}

HeaderId LookUpUnknown(std::string_view name) {
  return IsSallyportName(name) ? HeaderId::kSallyport : HeaderId::kOther;
}

// The rest of a line's name once the colon is known: trim, check the token, look up.
NameAtLine FinishScalar(const char* line, size_t colon) {
  size_t size = colon;
  while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\t')) --size;
  const std::string_view name(line, size);
  if (!IsToken(name)) return {static_cast<uint32_t>(colon), 0, HeaderId::kOther};
  return {static_cast<uint32_t>(colon), static_cast<uint32_t>(size), LookUpHeader(name)};
}

}  // namespace

HeaderId LookUpHeader(std::string_view name) {
  if (name.empty()) return HeaderId::kOther;
  if (name.size() <= kNameBytesMax) {
    const uint64_t second = name.size() > 16 ? Word(name.substr(8)) : 0;
    const HeaderId id =
        Match(Word(name), second, Word(name.substr(LastWordAt(name.size()))), name.size());
    if (id != HeaderId::kOther) return id;
  }
  return LookUpUnknown(name);
}

NameAtLine ReadNameAtLineScalar(const char* line, size_t line_bytes) {
  const void* const found = std::memchr(line, ':', line_bytes);
  if (found == nullptr) return {static_cast<uint32_t>(line_bytes), 0, HeaderId::kOther};
  return FinishScalar(line, static_cast<size_t>(static_cast<const char*>(found) - line));
}

NameAtLine ReadNameAtLine(const char* line, size_t line_bytes, size_t readable) {
  const header_name_internal::KnownName known = header_name_internal::FindKnownName(line, readable);
  if (known.id == HeaderId::kOther) return ReadNameAtLineScalar(line, line_bytes);
  const auto bytes = static_cast<uint32_t>(known.bytes);
  return {bytes, bytes, known.id};
}

std::string_view HeaderText(HeaderId id) {
  const auto index = static_cast<size_t>(id);
  return index == 0 || index > kKnown.size() ? std::string_view() : kKnown[index - 1].text;
}

}  // namespace sallyport::sip
