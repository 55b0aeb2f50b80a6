#include "sip/message/method.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "sip/message/grammar.h"

namespace sallyport::sip {
namespace {

constexpr size_t kNamedMethods = static_cast<size_t>(Method::kOther);

// In the order of the enum.
constexpr std::array<std::string_view, kNamedMethods + 1> kTexts = {
    "INVITE", "ACK",     "BYE",  "CANCEL", "REGISTER", "OPTIONS", "PRACK", "SUBSCRIBE",
    "NOTIFY", "PUBLISH", "INFO", "REFER",  "MESSAGE",  "UPDATE",  ""};

}  // namespace

Method ParseMethod(std::string_view text) {
  if (text == "INVITE") return Method::kInvite;  // Most messages.
  for (size_t i = 0; i < kNamedMethods; ++i) {
    if (kTexts[i] == text) return static_cast<Method>(i);
  }
  return Method::kOther;
}

bool IsNamedInOtherCase(std::string_view text) {
  return ParseMethod(text) == Method::kOther &&
         std::any_of(kTexts.begin(), kTexts.end(),
                     [text](std::string_view named) { return EqualsIgnoreCase(named, text); });
}

std::string_view MethodText(Method method) { return kTexts[static_cast<size_t>(method)]; }

}  // namespace sallyport::sip
