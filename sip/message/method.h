// Request methods (RFC 3261 §7.1 and the extensions we name). Case-sensitive: "invite" is kOther.
#pragma once

#include <cstdint>
#include <string_view>

namespace sallyport::sip {

enum class Method : uint8_t {
  kInvite,
  kAck,
  kBye,
  kCancel,
  kRegister,
  kOptions,
  kPrack,
  kSubscribe,
  kNotify,
  kPublish,
  kInfo,
  kRefer,
  kMessage,
  kUpdate,
  kOther,  // Any other token: legal, forwarded as it is.
};

[[nodiscard]] Method ParseMethod(std::string_view text);

// One of the named methods but for the case of its letters: another method by RFC 3261 §7.1, the
// same to servers that do not look so closely.
[[nodiscard]] bool IsNamedInOtherCase(std::string_view text);

// The text on the wire; kOther is "".
[[nodiscard]] std::string_view MethodText(Method method);

}  // namespace sallyport::sip
