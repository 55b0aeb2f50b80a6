// [[route]]: which requests go to which next hop. Plain values; read and checked by ReadRoutes,
// immutable afterwards. The first that matches wins (route_match.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/config_document.h"
#include "sip/proxy/listener_config.h"
#include "sip/proxy/next_hop_config.h"
#include "sip/proxy/user_pattern.h"

namespace sallyport::sip {

inline constexpr size_t kRoutesMax = 1024;

struct RouteConfig {
  core::ConfigPlace at;
  // Where the request came from; nothing: either. Never nothing or outside unless next_hop is an
  // inside one: what comes from outside is neither resolved nor sent outside again.
  std::optional<Zone> zone;
  std::string domain;  // Of the Request-URI; "": any. A name in lower case, or an IP literal.
  UserPattern user;    // Of the Request-URI.
  std::string method;  // "": any. As SIP methods are: case-sensitive.
  std::optional<size_t> next_hop;  // Index into EdgeConfig::next_hops; nothing: RFC 3263.
};

// Reads every [[route]]; `next_hops` are those already read.
std::vector<RouteConfig> ReadRoutes(core::ConfigTable& root,
                                    const std::vector<NextHopConfig>& next_hops);

}  // namespace sallyport::sip
