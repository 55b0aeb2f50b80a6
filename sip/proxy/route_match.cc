#include "sip/proxy/route_match.h"

#include "core/socket_address.h"
#include "sip/message/host.h"

namespace sallyport::sip {
namespace {

// An IPv6 address has many spellings.
bool IsDomainOf(const Uri& uri, const std::string& domain) {
  if (!uri.is_sip_or_sips()) return false;
  if (EqualsHost(domain, uri.host)) return true;
  if (!uri.host_is_ip) return false;
  const auto address = core::SocketAddress::FromHost(uri.host, 0);
  return address.has_value() && address == core::SocketAddress::FromHost(domain, 0);
}

bool Takes(const RouteConfig& route, Zone from, const MessageView& request) {
  const Uri& uri = request.parsed_request_uri();
  return (!route.zone.has_value() || route.zone == from) &&
         (route.method.empty() || route.method == request.method_text()) &&
         (route.domain.empty() || IsDomainOf(uri, route.domain)) && route.user.Matches(uri);
}

}  // namespace

const RouteConfig* MatchRoute(std::span<const RouteConfig> routes, Zone from,
                              const MessageView& request) {
  for (const RouteConfig& route : routes) {
    if (Takes(route, from, request)) return &route;
  }
  return nullptr;
}

}  // namespace sallyport::sip
