// The domain that a certificate must prove where a URI is resolved (RFC 5922 §7.3): the URI's host,
// in lower case; nothing where that is an address.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "absl/strings/ascii.h"
#include "sip/message/uri.h"

namespace sallyport::sip {

class LocatedName {
 public:
  explicit LocatedName(const Uri& uri) {
    const std::string_view name = uri.host_is_ip ? std::string_view() : uri.host;
    size_ = std::min(name.size(), text_.size());
    std::transform(name.begin(), name.begin() + static_cast<ptrdiff_t>(size_), text_.begin(),
                   [](char c) { return absl::ascii_tolower(static_cast<unsigned char>(c)); });
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 256> text_;
  size_t size_;
};

}  // namespace sallyport::sip
