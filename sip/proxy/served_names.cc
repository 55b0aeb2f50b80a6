#include "sip/proxy/served_names.h"

#include <algorithm>
#include <utility>

#include "core/socket_address.h"
#include "sip/message/grammar.h"
#include "sip/message/host.h"

namespace sallyport::sip {
namespace {

// Most hosts are names, and that is cheaply seen: no colon (IPv6) and no digit at the end (IPv4).
bool MayBeAddress(std::string_view host) {
  return host.find(':') != std::string_view::npos ||
         (!host.empty() && IsIn(host.back(), kDigitChar));
}

// Names as DNS compares them, addresses by value: an IPv6 address has many spellings.
bool IsSameHost(std::string_view a, std::string_view b) {
  if (EqualsHost(a, b)) return true;
  if (!MayBeAddress(a) || !MayBeAddress(b)) return false;
  const auto address = core::SocketAddress::FromHost(a, 0);
  return address.has_value() && address == core::SocketAddress::FromHost(b, 0);
}

}  // namespace

ServedNames::ServedNames(std::vector<std::string> domains, std::vector<Advertised> advertised)
    : domains_(std::move(domains)), advertised_(std::move(advertised)) {}

bool ServedNames::IsDomain(std::string_view host) const {
  return std::any_of(domains_.begin(), domains_.end(),
                     [host](const std::string& domain) { return IsSameHost(domain, host); });
}

bool ServedNames::Serves(const Uri& uri) const {
  if (!uri.is_sip_or_sips()) return false;
  return IsDomain(uri.host) ||
         std::any_of(advertised_.begin(), advertised_.end(),
                     [&uri](const Advertised& name) { return EqualsHost(name.host, uri.host); });
}

bool ServedNames::IsAdvertised(std::string_view host, uint16_t port) const {
  return std::any_of(advertised_.begin(), advertised_.end(), [=](const Advertised& name) {
    return (port == 0 || port == name.port) && IsSameHost(name.host, host);
  });
}

bool ServedNames::IsEdge(const Uri& uri) const { return uri.user.empty() && IsEdgeHost(uri); }

bool ServedNames::IsEdgeHost(const Uri& uri) const {
  return uri.is_sip_or_sips() && IsAdvertised(uri.host, uri.port);
}

bool ServedNames::IsOwnRoute(const Uri& uri) const {
  return uri.is_sip_or_sips() && IsOwnAddress(uri.host, uri.port);
}

bool ServedNames::IsOwnAddress(std::string_view host, uint16_t port) const {
  return IsAdvertised(host, port) || (port == 0 && IsDomain(host));
}

}  // namespace sallyport::sip
