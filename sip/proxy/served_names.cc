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
  const auto one = core::SocketAddress::FromHost(a, 0);
  const auto other = core::SocketAddress::FromHost(b, 0);
  return one.has_value() && other.has_value() && one->Unmapped() == other->Unmapped();
}

// The outside knows the names of outside listeners only.
bool IsKnownTo(Zone from, Zone listener) {
  return from == Zone::kInside || listener == Zone::kOutside;
}

}  // namespace

ServedNames::ServedNames(std::vector<std::string> domains, std::vector<Advertised> advertised,
                         std::vector<Listening> listening,
                         std::vector<core::SocketAddress> own_hosts)
    : domains_(std::move(domains)),
      advertised_(std::move(advertised)),
      listening_(std::move(listening)),
      own_hosts_(std::move(own_hosts)) {}

bool ServedNames::IsDomain(std::string_view host) const {
  return std::any_of(domains_.begin(), domains_.end(),
                     [host](const std::string& domain) { return IsSameHost(domain, host); });
}

bool ServedNames::Serves(const Uri& uri, Zone from) const {
  if (!uri.is_sip_or_sips() || (from == Zone::kOutside && IsInsideAlone(uri))) return false;
  return IsDomain(uri.host) ||
         std::any_of(advertised_.begin(), advertised_.end(), [&](const Advertised& name) {
           return IsKnownTo(from, name.zone) && EqualsHost(name.host, uri.host);
         });
}

bool ServedNames::IsAdvertised(std::string_view host, uint16_t port, Zone from) const {
  return std::any_of(advertised_.begin(), advertised_.end(), [=](const Advertised& name) {
    return IsKnownTo(from, name.zone) && (port == 0 || port == name.port) &&
           IsSameHost(name.host, host);
  });
}

uint16_t ServedNames::EffectivePort(const Uri& uri) {
  if (uri.port != 0) return uri.port;
  const std::optional<std::string_view> transport = FindParam(uri.params, "transport");
  const bool is_tls = uri.scheme == Uri::Scheme::kSips ||
                      (transport.has_value() && TransportOf(*transport) == TransportProtocol::kTls);
  return is_tls ? 5061 : 5060;
}

// Without a port it is the standard one: another program may have the other on this machine.
bool ServedNames::IsListening(const Uri& uri, Zone from) const {
  if (!MayBeAddress(uri.host)) return false;
  const auto address = core::SocketAddress::FromHost(uri.host, EffectivePort(uri));
  return address.has_value() &&
         std::any_of(listening_.begin(), listening_.end(), [&](const Listening& one) {
           return IsKnownTo(from, one.zone) && one.address.Unmapped() == address->Unmapped();
         });
}

bool ServedNames::LeadsToUs(const Uri& uri) const {
  return uri.is_sip_or_sips() &&
         (IsDomain(uri.host) || IsAdvertised(uri.host, EffectivePort(uri), Zone::kInside) ||
          IsListening(uri, Zone::kInside));
}

// With a port that is written: a domain without one is the domain, wherever the inside listens.
bool ServedNames::IsInsideAlone(const Uri& uri) const {
  if (uri.port == 0) return false;
  const auto names_it = [this, &uri](Zone from) {
    return IsAdvertised(uri.host, uri.port, from) || IsListening(uri, from);
  };
  return names_it(Zone::kInside) && !names_it(Zone::kOutside);
}

bool ServedNames::IsEdgeHost(const Uri& uri, Zone from) const {
  return uri.is_sip_or_sips() && (IsAdvertised(uri.host, uri.port, from) || IsListening(uri, from));
}

bool ServedNames::IsOwnRoute(const Uri& uri, Zone from) const {
  return uri.is_sip_or_sips() && (IsOwnAddress(uri.host, uri.port, from) || IsListening(uri, from));
}

bool ServedNames::IsOwnAddress(std::string_view host, uint16_t port, Zone from) const {
  return IsAdvertised(host, port, from) || (port == 0 && IsDomain(host));
}

bool ServedNames::IsListeningOn(const core::SocketAddress& address) const {
  const core::SocketAddress plain = address.Unmapped();
  return std::any_of(listening_.begin(), listening_.end(),
                     [&plain](const Listening& one) { return one.address.Unmapped() == plain; });
}

bool ServedNames::IsOwnHost(const core::SocketAddress& address) const {
  const core::SocketAddress plain = address.Unmapped();
  const auto is_it = [&plain](const core::SocketAddress& own) {
    return own.Unmapped().HasSameHost(plain);
  };
  return std::any_of(own_hosts_.begin(), own_hosts_.end(), is_it) ||
         std::any_of(listening_.begin(), listening_.end(),
                     [&is_it](const Listening& one) { return is_it(one.address); });
}

}  // namespace sallyport::sip
