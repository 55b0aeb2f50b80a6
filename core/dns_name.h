// A domain name as we ask for it and compare it: lower case, without the trailing dot, as a value
// of fixed size. Host names and the underscore labels of RFC 2782 only: what else DNS could carry
// names no SIP server, and is never asked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sallyport::core {

class DnsName {
 public:
  static constexpr size_t kTextBytesMax = 253;  // RFC 1035 §2.3.4: 255 octets on the wire.
  static constexpr size_t kLabelBytesMax = 63;

  constexpr DnsName() = default;  // The root.

  // Nothing for an empty, overlong or otherwise impossible name. One trailing dot does not count.
  static std::optional<DnsName> FromText(std::string_view text);

  // Adds one label at the end. False: it is not one of ours, or there is no room; the name is then
  // unusable.
  [[nodiscard]] bool Append(std::string_view label);
  [[nodiscard]] bool Append(const DnsName& name);

  std::string_view text() const { return {text_.data(), size_}; }
  bool is_root() const { return size_ == 0; }

  friend bool operator==(const DnsName& a, const DnsName& b) { return a.text() == b.text(); }

 private:
  std::array<char, kTextBytesMax> text_{};
  uint8_t size_ = 0;
};

}  // namespace sallyport::core
