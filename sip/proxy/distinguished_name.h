// The text form of a certificate's subject, as an operator writes it (RFC 4514).
#pragma once

#include <string_view>

namespace sallyport::sip {

// Whether `text` is a distinguished name by the grammar of RFC 4514 §3, not empty: types are names
// or object identifiers, what is special in a value is escaped, no blanks around "," "+" and "=".
// Which types exist is not asked. Pure.
[[nodiscard]] bool IsDistinguishedName(std::string_view text);

}  // namespace sallyport::sip
