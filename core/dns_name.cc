#include "core/dns_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace sallyport::core {
namespace {

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
}

}  // namespace

std::optional<DnsName> DnsName::FromText(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  DnsName name;
  for (;;) {
    const size_t dot = text.find('.');
    if (!name.Append(text.substr(0, dot))) return std::nullopt;
    if (dot == std::string_view::npos) return name;
    text.remove_prefix(dot + 1);
  }
}

bool DnsName::Append(std::string_view label) {
  if (label.empty() || label.size() > kLabelBytesMax) return false;
  if (!std::all_of(label.begin(), label.end(), IsNameCharacter)) return false;
  const size_t dot = size_ == 0 ? 0 : 1;
  if (size_ + dot + label.size() > kTextBytesMax) return false;
  if (dot != 0) text_[size_++] = '.';
  for (const char c : label) text_[size_++] = absl::ascii_tolower(static_cast<unsigned char>(c));
  return true;
}

bool DnsName::Append(const DnsName& name) {
  const size_t dot = size_ == 0 || name.is_root() ? 0 : 1;
  if (size_ + dot + name.size_ > kTextBytesMax) return false;
  if (dot != 0) text_[size_++] = '.';
  std::copy_n(name.text_.begin(), name.size_, text_.begin() + size_);
  size_ = static_cast<uint8_t>(size_ + name.size_);
  return true;
}

}  // namespace sallyport::core
