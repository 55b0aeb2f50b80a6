#include "sip/message/params.h"

#include "sip/message/grammar.h"
#include "sip/message/host.h"
#include "sip/message/quoted_string.h"

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

}  // namespace

const char* SkipParamValue(const char* begin, const Bounds& in, bool& is_token) {
  const char* const token_end = SkipRun<kTokenChar>(begin, in);
  if (token_end != in.end && (*token_end == ':' || *token_end == '['))
    return SkipIpv6Value(begin, in.end);
  is_token = token_end != begin;
  if (is_token) return token_end;
  return begin != in.end && *begin == '"' ? SkipQuotedString(begin, in) : nullptr;
}

bool ParamReader::Next(Param& param) {
  at_ = SkipLws(at_, in_.end);
  if (at_ == in_.end || malformed_) return false;
  const char* const after = *at_ == ';' ? ReadParam(at_, in_, param) : nullptr;
  malformed_ = after == nullptr;
  if (malformed_) return false;
  at_ = after;
  return true;
}

const char* PassQuotes(const char* begin, const char* end) {
  for (const char* at = begin + 1; at != end; ++at) {
    if (*at == '"') return at + 1;
    if (*at == '\\' && ++at == end) break;
  }
  return nullptr;
}

const char* PassParam(const char* begin, const char* end, std::string_view& name,
                      std::string_view& value) {
  const auto pass = [end](const char* at, std::string_view stops) {
    while (at != end && stops.find(*at) == std::string_view::npos) ++at;
    return at;
  };
  const char* const name_begin = SkipLws(begin + 1, end);
  const char* at = pass(name_begin, ";=,<>\" \t\r");
  name = Between(name_begin, at);
  value = {};
  const char* const equals = SkipLws(at, end);
  if (equals == end || *equals != '=') return at;
  if (name.empty()) return nullptr;
  const char* const value_begin = SkipLws(equals + 1, end);
  const bool is_quoted = value_begin != end && *value_begin == '"';
  at = is_quoted ? PassQuotes(value_begin, end) : pass(value_begin, ";=,<>\" \t\r");
  if (at != nullptr) value = Between(value_begin, at);
  return at;
}

bool PassedParams::Next(std::string_view& whole) {
  const char* const end = rest_.data() + rest_.size();
  const char* const begin = SkipLws(rest_.data(), end);
  if (begin == end || *begin != ';') return false;
  std::string_view name;
  std::string_view value;
  const char* const after = PassParam(begin, end, name, value);
  if (after == nullptr) return false;
  whole = name.empty() ? Between(begin, begin + 1) : Between(begin, after);
  rest_ = Between(after, end);
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
        const char* const quote_end = SkipQuotedString(at, Bounds(params));
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
