// The comma-separated values of one header field (RFC 3261 §7.3.1): Via, Route, Record-Route,
// Contact and the like. Commas inside quoted strings and inside < > do not separate. Borrows the
// text that was given.
#pragma once

#include <string_view>

namespace sallyport::sip {

class ValueList {
 public:
  explicit ValueList(std::string_view field_value) : rest_(field_value) {}

  // True: `value` is the next one, without LWS around it. Empty values are reported, not skipped
  // (RFC 3261's grammar has none; the field's parser refuses them). An unclosed quote or bracket
  // runs to the end of the field.
  [[nodiscard]] bool Next(std::string_view& value);

  // What follows the comma after the last value that was returned, LWS included; empty after the
  // last value.
  [[nodiscard]] std::string_view rest() const { return done_ ? std::string_view() : rest_; }

 private:
  std::string_view rest_;
  bool done_ = false;
};

}  // namespace sallyport::sip
