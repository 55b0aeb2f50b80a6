#include "sip/proxy/config_values.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
#include "sip/message/host.h"
#include "sip/policy/sip_identities.h"

namespace sallyport::sip {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string PathFrom(const std::string& folder, const std::string& path) {
  if (path.empty() || path.front() == '/' || folder.empty() || folder == ".") return path;
  return folder + "/" + path;
}

bool CheckName(core::Diagnostics& diagnostics, const core::ConfigPlace& at, std::string_view what,
               std::string_view name) {
  constexpr size_t kNameBytesMax = 64;
  const bool legal = !name.empty() && name.size() <= kNameBytesMax &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
                              c == '_' || c == '.';
                     });
  if (!legal) {
    diagnostics.Error(at, std::string(what) + " is not a usable name",
                      "use 1 to 64 letters, digits, \"-\", \"_\" or \".\"; it becomes a metric "
                      "label and a log field");
  }
  return legal;
}

std::optional<std::string> ReadDomain(const core::ConfigValue& value,
                                      core::Diagnostics& diagnostics) {
  const HostKind kind = ClassifyHost(value.text);
  if (kind == HostKind::kIpv4 || kind == HostKind::kIpv6) {
    value.Reject(diagnostics, "an address, not a name",
                 "write the DNS name that our certificate proves (RFC 5922)");
    return std::nullopt;
  }
  std::string name = NormalDnsName(value.text);
  if (kind != HostKind::kName || name.empty()) {
    value.Reject(diagnostics, "not a DNS name",
                 "write a name such as \"edge.example\", without scheme, port or wildcard");
    return std::nullopt;
  }
  return name;
}

std::optional<size_t> FindNamed(const core::ConfigValue& value,
                                const std::vector<std::string_view>& names,
                                std::string_view problem, std::string_view remedy,
                                core::Diagnostics& diagnostics) {
  const auto found = std::find(names.begin(), names.end(), value.text);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  const std::string_view nearest = core::NearestName(value.text, names);
  value.Reject(
      diagnostics, problem,
      nearest.empty() ? std::string(remedy) : "did you mean \"" + std::string(nearest) + "\"?");
  return std::nullopt;
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  if (text.empty() || error != std::errc() || rest != end) return std::nullopt;
  return port;
}

std::optional<HostPort> ParseHostPort(std::string_view text) {
  HostPort parsed;
  const size_t bracket = text.rfind(']');
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    parsed.port = ParsePort(text.substr(colon + 1));
    if (!parsed.port.has_value()) return std::nullopt;
    text = text.substr(0, colon);
  }
  const HostKind kind = ClassifyHost(text);
  if (kind == HostKind::kInvalid) return std::nullopt;
  parsed.host = kind == HostKind::kName ? NormalDnsName(text) : std::string(text);
  if (parsed.host.empty()) return std::nullopt;
  return parsed;
}

}  // namespace sallyport::sip
