// Parameters after ';': of a header field value (generic-param, RFC 3261 §25.1) and, as a subset of
// the same shape, of a URI. Borrows: all views point into the text that was given.
#pragma once

#include <optional>
#include <string_view>

#include "sip/message/class_scan.h"

namespace sallyport::sip {

struct Param {
  std::string_view name;
  std::string_view value;  // Quotes included if it was quoted; empty if there was none.
  std::string_view whole;  // From ';' to the end of the value: what an edit removes.
  bool has_value = false;
  bool value_is_token = false;  // Not quoted, not an IPv6 address.
};

// gen-value = token / host / quoted-string. Returns its end, or nullptr.
[[nodiscard]] const char* SkipParamValue(const char* begin, const Bounds& in, bool& is_token);

// One  SEMI name [ EQUAL value ]  at `begin`, which must be its ';'. Strict: a name is a token, a
// value is a token, a quoted string or an IPv6 address (with brackets, or without as in
// `received`). Returns what follows the value without skipping LWS, or nullptr: malformed.
inline const char* ReadParam(const char* begin, const Bounds& in, Param& param) {
  const char* const name = SkipLws(begin + 1, in.end);
  const char* const name_end = SkipRun<kTokenChar>(name, in);
  if (name_end == name) return nullptr;
  param.name = Between(name, name_end);
  param.value = {};
  param.has_value = param.value_is_token = false;
  const char* after = name_end;
  const char* const equals = SkipLws(name_end, in.end);
  if (equals != in.end && *equals == '=') {
    const char* const value = SkipLws(equals + 1, in.end);
    after = SkipParamValue(value, in, param.value_is_token);
    if (after == nullptr) return nullptr;
    param.value = Between(value, after);
    param.has_value = true;
  }
  param.whole = Between(begin, after);
  return after;
}

// Walks  *( SEMI name [ EQUAL value ] )  to the end of a header value.
class ParamReader {
 public:
  explicit ParamReader(std::string_view params) : at_(params.data()), in_(params) {}

  // True: `param` is the next one. False: the end, or malformed (`malformed()` tells which).
  [[nodiscard]] bool Next(Param& param);
  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  const char* at_;
  const Bounds in_;
  bool malformed_ = false;
};

// The value of the first parameter called `name` (any case): empty if it has none, nullopt if it is
// absent. For header parameters and URI parameters that a parser here has accepted before.
[[nodiscard]] std::optional<std::string_view> FindParam(std::string_view params,
                                                        std::string_view name);

// For what decides nothing and only has to be passed: quotes and separators alone are read.

// One past the DQUOTE that closes the one at `begin`, whatever stands between them; nullptr: none.
[[nodiscard]] const char* PassQuotes(const char* begin, const char* end);
// ";" [ name [ "=" value ] ] at `begin`, of any characters that separate nothing. Returns its end,
// or nullptr: where it ends is not plain.
[[nodiscard]] const char* PassParam(const char* begin, const char* end, std::string_view& name,
                                    std::string_view& value);

// Walks parameters that PassParam has passed before.
class PassedParams {
 public:
  explicit PassedParams(std::string_view params) : rest_(params) {}

  // True: `whole` is the next one from its ';' on, without LWS behind it; ";" alone: an empty one.
  [[nodiscard]] bool Next(std::string_view& whole);

 private:
  std::string_view rest_;
};

}  // namespace sallyport::sip
