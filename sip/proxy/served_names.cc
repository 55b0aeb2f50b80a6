#include "sip/proxy/served_names.h"

#include <algorithm>
#include <utility>

#include "sip/message/grammar.h"
#include "sip/message/host.h"
#include "sip/message/params.h"
#include "sip/proxy/transport_parameter.h"

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

// Without a port it is the standard one: another program may have the other on this machine.
bool ServedNames::IsListening(const Uri& uri) const {
  if (!MayBeAddress(uri.host)) return false;
  const std::optional<std::string_view> transport = FindParam(uri.params, "transport");
  const bool is_tls = uri.scheme == Uri::Scheme::kSips ||
                      (transport.has_value() && TransportOf(*transport) == TransportProtocol::kTls);
  const auto port = static_cast<uint16_t>(uri.port != 0 ? uri.port : is_tls ? 5061 : 5060);
  const auto address = core::SocketAddress::FromHost(uri.host, port);
  return address.has_value() &&
         std::find(addresses_.begin(), addresses_.end(), *address) != addresses_.end();
}

bool ServedNames::IsEdgeHost(const Uri& uri) const {
  return uri.is_sip_or_sips() && (IsAdvertised(uri.host, uri.port) || IsListening(uri));
}

bool ServedNames::IsOwnRoute(const Uri& uri) const {
  return uri.is_sip_or_sips() && (IsOwnAddress(uri.host, uri.port) || IsListening(uri));
}

bool ServedNames::IsOwnAddress(std::string_view host, uint16_t port) const {
  return IsAdvertised(host, port) || (port == 0 && IsDomain(host));
}

}  // namespace sallyport::sip
