// Kinds of values that several tables of the configuration share: names, host names, paths.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config_document.h"

namespace sallyport::sip {

// The folder that holds `path`; "." at the least.
std::string FolderOf(const std::string& path);

// `path` from `folder` unless it is absolute or empty.
std::string PathFrom(const std::string& folder, const std::string& path);

// Names become metric labels and log fields: 1 to 64 of letters, digits, "-", "_", ".". `what`
// begins the report, such as "listener[0].name".
bool CheckName(core::Diagnostics& diagnostics, const core::ConfigPlace& at, std::string_view what,
               std::string_view name);

// The value as a DNS name in lower case. Anything else is reported.
std::optional<std::string> ReadDomain(const core::ConfigValue& value,
                                      core::Diagnostics& diagnostics);

// The position of the value's text among `names`. What is not there is reported as `problem`, with
// the nearest name as the remedy, or with `remedy` where none is near.
std::optional<size_t> FindNamed(const core::ConfigValue& value,
                                const std::vector<std::string_view>& names,
                                std::string_view problem, std::string_view remedy,
                                core::Diagnostics& diagnostics);

// "host:port", "192.0.2.1:5061", "[2001:db8::1]:5061"; the port may be left out.
struct HostPort {
  std::string host;  // Lower case, IPv6 in brackets.
  std::optional<uint16_t> port;
};
std::optional<HostPort> ParseHostPort(std::string_view text);

// A decimal number up to `max`, without sign or blanks.
std::optional<uint16_t> ParsePort(std::string_view text);

}  // namespace sallyport::sip
