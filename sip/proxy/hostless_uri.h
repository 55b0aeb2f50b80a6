// Request-URIs that name no host: telephone numbers (RFC 3966) and URNs (RFC 8141), of which
// "urn:service:sos" calls for help (RFC 5031). Nothing resolves them: a [[route]] takes them, or
// they are answered 416. Pure.
#pragma once

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "sip/message/uri.h"

namespace sallyport::sip {

[[nodiscard]] inline bool IsUrn(const Uri& uri) {
  return uri.scheme == Uri::Scheme::kOther &&
         absl::EqualsIgnoreCase({uri.scheme_text.data(), uri.scheme_text.size()},
                                absl::string_view("urn"));
}

[[nodiscard]] inline bool IsHostless(const Uri& uri) {
  return uri.scheme == Uri::Scheme::kTel || IsUrn(uri);
}

}  // namespace sallyport::sip
