#include "sip/message/params.h"

#include "sip/message/grammar.h"
#include "sip/message/host.h"

namespace sallyport::sip {
namespace {

// A value that is neither quoted nor a token: IPv6, with brackets or without. Returns its end, or
// nullptr.
const char* SkipIpv6Value(const char* begin, const char* end) {
  const char* at = begin;
  while (at != end && (IsIn(*at, kHexChar) || *at == ':' || *at == '.' || *at == '[' || *at == ']'))
    ++at;
  const std::string_view text(begin, static_cast<size_t>(at - begin));
  if (!text.empty() && text.front() == '[')
    return ClassifyHost(text) == HostKind::kIpv6 ? at : nullptr;
  return IsIpv6Address(text) ? at : nullptr;
}

// gen-value = token / host / quoted-string. Returns its end, or nullptr.
const char* SkipValue(const char* begin, const char* end) {
  if (begin == end) return nullptr;
  if (*begin == '"') return SkipQuotedString(begin, end);
  const char* const token_end = SkipClass(begin, end, kTokenChar);
  if (token_end != end && (*token_end == ':' || *token_end == '['))
    return SkipIpv6Value(begin, end);
  return token_end == begin ? nullptr : token_end;
}

}  // namespace

bool ParamReader::Next(Param& param) {
  position_ = SkipLws(position_, end_);
  if (position_ == end_ || malformed_) return false;
  malformed_ = true;  // Until this parameter has been read to its end.
  if (*position_ != ';') return false;
  const char* const name = SkipLws(position_ + 1, end_);
  const char* const name_end = SkipClass(name, end_, kTokenChar);
  if (name_end == name) return false;
  param.name = {name, static_cast<size_t>(name_end - name)};
  param.value = {};
  param.has_value = false;
  const char* after = name_end;
  const char* const equals = SkipLws(name_end, end_);
  if (equals != end_ && *equals == '=') {
    const char* const value = SkipLws(equals + 1, end_);
    after = SkipValue(value, end_);
    if (after == nullptr) return false;
    param.value = {value, static_cast<size_t>(after - value)};
    param.has_value = true;
  }
  param.whole = {position_, static_cast<size_t>(after - position_)};
  position_ = after;
  malformed_ = false;
  return true;
}

std::optional<std::string_view> FindParam(std::string_view params, std::string_view name) {
  // Not ParamReader: URI parameters have characters of their own. Accepted text needs no second
  // check: outside quotes,
  // ';' separates and the first '=' ends the name.
  const char* at = params.data();
  const char* const end = at + params.size();
  while (at != end) {
    const char* const begin = ++at;  // After ';'.
    const char* equals = nullptr;
    for (; at != end && *at != ';'; ++at) {
      if (*at == '=' && equals == nullptr) equals = at;
      if (*at == '"') {
        const char* const quote_end = SkipQuotedString(at, end);
        if (quote_end == nullptr) return std::nullopt;
        at = quote_end - 1;
      }
    }
    const char* const name_end = equals == nullptr ? at : equals;
    if (!EqualsIgnoreCase(TrimLws({begin, static_cast<size_t>(name_end - begin)}), name)) continue;
    if (equals == nullptr) return std::string_view();
    return TrimLws({equals + 1, static_cast<size_t>(at - equals - 1)});
  }
  return std::nullopt;
}

}  // namespace sallyport::sip
