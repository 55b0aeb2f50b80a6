#include "sip/proxy/served_names.h"

#include <algorithm>
#include <utility>

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

ServedNames::ServedNames(std::vector<std::string> domains, std::vector<Advertised> advertised,
                         std::vector<core::SocketAddress> addresses)
    : domains_(std::move(domains)),
      advertised_(std::move(advertised)),
      addresses_(std::move(addresses)) {}

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

// Without a port it is the one of the scheme or of the transport.
bool ServedNames::IsListening(std::string_view host, uint16_t port) const {
  if (!MayBeAddress(host)) return false;
  const auto address = core::SocketAddress::FromHost(host, port);
  if (!address.has_value()) return false;
  return std::ranges::any_of(addresses_, [&](const core::SocketAddress& own) {
    return port != 0 ? own == *address
                     : own.HasSameHost(*address) && (own.port() == 5060 || own.port() == 5061);
  });
}

bool ServedNames::IsEdgeHost(const Uri& uri) const {
  return uri.is_sip_or_sips() &&
         (IsAdvertised(uri.host, uri.port) || IsListening(uri.host, uri.port));
}

bool ServedNames::IsOwnRoute(const Uri& uri) const {
  return uri.is_sip_or_sips() && IsOwnAddress(uri.host, uri.port);
}

bool ServedNames::IsOwnAddress(std::string_view host, uint16_t port) const {
  return IsAdvertised(host, port) || (port == 0 && IsDomain(host)) || IsListening(host, port);
}

}  // namespace sallyport::sip
