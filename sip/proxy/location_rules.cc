#include "sip/proxy/location_rules.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/ascii.h"
#include "core/check.h"
#include "sip/proxy/srv_order.h"

namespace sallyport::sip {
namespace {

using core::DnsAnswer;
using core::DnsName;
using core::DnsStatus;
using core::DnsType;

constexpr uint16_t kSipPort = 5060;
constexpr uint16_t kSipsPort = 5061;
constexpr size_t kServicesMax = 4;
constexpr size_t kTargetsMax = LocationList::kLocationsMax;
// Of one target among several: one with many addresses must not be all there is to try.
constexpr size_t kSharedAddressesMax = LocationList::kLocationsMax / 2;

// Most wanted first, where the domain has not said (NAPTR).
constexpr std::array kByPreference = {TransportProtocol::kTls, TransportProtocol::kTcp,
                                      TransportProtocol::kUdp};

uint16_t DefaultPort(TransportProtocol transport) {
  return transport == TransportProtocol::kTls ? kSipsPort : kSipPort;
}

std::string_view SrvPrefix(TransportProtocol transport) {
  switch (transport) {
    case TransportProtocol::kTls:
      return "_sips._tcp";
    case TransportProtocol::kTcp:
      return "_sip._tcp";
    case TransportProtocol::kUdp:
      return "_sip._udp";
  }
  UNREACHABLE();
}

// The transports that this request may use.
LocationSupport Allowed(const LocationQuery& query) {
  LocationSupport allowed = query.support;
  if (query.secure) {
    // "sips:...;transport=tcp" is TLS over TCP (RFC 3261 §26.2.2); over UDP there is nothing.
    const bool over_udp = query.transport == TransportProtocol::kUdp;
    allowed.tls = allowed.tls && !over_udp;
    allowed.tcp = allowed.udp = false;
  } else if (query.transport.has_value()) {
    allowed.tls = allowed.tls && *query.transport == TransportProtocol::kTls;
    allowed.tcp = allowed.tcp && *query.transport == TransportProtocol::kTcp;
    allowed.udp = allowed.udp && *query.transport == TransportProtocol::kUdp;
  }
  return allowed;
}

// §4.1: without NAPTR and SRV, UDP for a sip URI (TCP if we cannot), TLS for a sips URI.
std::optional<TransportProtocol> DefaultTransport(const LocationSupport& allowed) {
  if (allowed.udp) return TransportProtocol::kUdp;
  if (allowed.tcp) return TransportProtocol::kTcp;
  if (allowed.tls) return TransportProtocol::kTls;
  return std::nullopt;
}

// Where nobody can be, or where only our own host would answer: DNS may not send us there.
bool IsDestination(const core::SocketAddress& address) {
  const std::array<uint8_t, 16>& bytes = address.address_bytes();
  if (address.IsUnspecified()) return false;
  if (address.is_ipv4()) return bytes[0] != 0 && bytes[0] < 224;
  return address.is_ipv6() && bytes[0] != 0xFF && !address.Unmapped().is_ipv4();
}

struct Service {
  TransportProtocol transport = TransportProtocol::kTls;
  DnsName srv_name;
};

// Service fields are compared without case (RFC 3403 §4.1). `prefix` is in upper case.
bool BeginsWith(std::string_view service, std::string_view prefix) {
  return service.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), service.begin(), [](char a, char b) {
           return a == absl::ascii_toupper(static_cast<unsigned char>(b));
         });
}
bool Equals(std::string_view service, std::string_view name) {
  return service.size() == name.size() && BeginsWith(service, name);
}

bool IsSipService(std::string_view service) {
  return BeginsWith(service, "SIP+") || BeginsWith(service, "SIPS+");
}

// RFC 3263 §4.1: those that we speak.
std::optional<TransportProtocol> TransportOfService(std::string_view service) {
  if (Equals(service, "SIPS+D2T")) return TransportProtocol::kTls;
  if (Equals(service, "SIP+D2T")) return TransportProtocol::kTcp;
  if (Equals(service, "SIP+D2U")) return TransportProtocol::kUdp;
  return std::nullopt;
}

// An answer, and it says that there is nothing.
bool IsNegative(DnsStatus status) {
  return status == DnsStatus::kNoData || status == DnsStatus::kNoName;
}

// One run of the rules.
class Rules {
 public:
  Rules(const LocationQuery& query, DnsKnowledge& dns)
      : query_(query), allowed_(Allowed(query)), dns_(dns) {}

  LocationProgress Run();

 private:
  enum class Found : uint8_t { kYes, kNo, kUnknown, kFailed };

  Found FindServices();
  void GuessServices();
  Found SelectNaptr(const DnsAnswer& answer);
  void AddService(TransportProtocol transport, const DnsName& srv_name);
  Found TryServices();
  void AddServers(TransportProtocol transport, const DnsAnswer& answer);
  void AddTarget(TransportProtocol transport, const DnsName& name, uint16_t port,
                 size_t addresses_max);
  struct Addresses {
    std::array<core::SocketAddress, DnsAnswer::kRecordsMax> addresses;
    size_t size = 0;
  };
  bool LookUpAddresses(DnsType type, const DnsName& name, Addresses& found);
  const DnsAnswer* Look(DnsType type, const DnsName& name);
  void NoteFailure(LocationFailure failure) { failure_ = std::max(failure_, failure); }
  LocationProgress Finish();

  const LocationQuery& query_;
  const LocationSupport allowed_;
  DnsKnowledge& dns_;
  std::array<Service, kServicesMax> services_;
  size_t services_count_ = 0;
  // Where the addresses of the host itself are used (§4.2: no SRV records).
  TransportProtocol address_transport_ = TransportProtocol::kUdp;
  size_t targets_left_ = kTargetsMax;
  LocationList locations_;
  bool unknown_ = false;     // Something is.
  bool first_known_ = true;  // Nothing in front of the first location is unknown.
  LocationFailure failure_ = LocationFailure::kNone;  // The gravest.
};

LocationProgress Rules::Run() {
  const std::optional<TransportProtocol> transport = DefaultTransport(allowed_);
  if (!transport.has_value()) {
    NoteFailure(LocationFailure::kNoUsableService);
    return Finish();
  }
  address_transport_ = *transport;
  // §4.2: a port was written, so neither NAPTR (§4.1) nor SRV.
  if (query_.port != 0) {
    AddTarget(address_transport_, query_.host, query_.port, LocationList::kLocationsMax);
    return Finish();
  }
  if (FindServices() != Found::kYes) return Finish();
  if (TryServices() == Found::kNo) {
    AddTarget(address_transport_, query_.host, DefaultPort(address_transport_),
              LocationList::kLocationsMax);
  }
  return Finish();
}

Rules::Found Rules::FindServices() {
  // §4.1: a transport was written, so no NAPTR.
  if (query_.transport.has_value()) {
    GuessServices();
    return services_count_ > 0 ? Found::kYes : Found::kFailed;
  }
  const DnsAnswer* const answer = Look(DnsType::kNaptr, query_.host);
  if (answer == nullptr) return Found::kUnknown;
  switch (answer->status()) {
    case DnsStatus::kTooMany:
      NoteFailure(LocationFailure::kTooManyPending);
      return Found::kFailed;
    case DnsStatus::kTimeout:
      NoteFailure(LocationFailure::kTimeout);  // What is told if nothing else is found.
      break;
    case DnsStatus::kOk: {
      const Found selected = SelectNaptr(*answer);
      if (selected != Found::kNo) return selected;
      break;
    }
    case DnsStatus::kNoData:
    case DnsStatus::kNoName:
    case DnsStatus::kServerFailure:
    case DnsStatus::kMalformed:
      break;
  }
  GuessServices();
  return services_count_ > 0 ? Found::kYes : Found::kFailed;
}

// §4.1: no NAPTR records, so the SRV name of each transport that we may use.
void Rules::GuessServices() {
  for (const TransportProtocol transport : kByPreference) {
    if (!allowed_.has(transport)) continue;
    DnsName srv_name = *DnsName::FromText(SrvPrefix(transport));
    if (srv_name.Append(query_.host)) AddService(transport, srv_name);
  }
  // So long a name has no room for a service in front: it can only be a host.
  if (services_count_ == 0) {
    AddTarget(address_transport_, query_.host, DefaultPort(address_transport_),
              LocationList::kLocationsMax);
  }
}

// kNo: nothing about SIP that we could use, and nothing that forbids to go on.
Rules::Found Rules::SelectNaptr(const DnsAnswer& answer) {
  struct Candidate {
    const core::DnsNaptr* naptr;
    TransportProtocol transport;
  };
  std::array<Candidate, DnsAnswer::kRecordsMax> candidates;
  size_t count = 0;
  bool is_sip_domain = false;
  for (const core::DnsRecord& record : answer.records()) {
    const auto& naptr = std::get<core::DnsNaptr>(record);
    const std::string_view service = answer.text(naptr.services);
    is_sip_domain = is_sip_domain || IsSipService(service);
    const std::optional<TransportProtocol> transport = TransportOfService(service);
    if (!transport.has_value() || !allowed_.has(*transport)) continue;
    if (naptr.flag != 's' || naptr.has_regexp || naptr.replacement.size == 0) continue;
    candidates[count++] = {&naptr, *transport};
  }
  // §4.1: for sips, services that are not SIPS are discarded; going on to guess would be to ignore
  // what the domain has said.
  if (count == 0 && is_sip_domain && query_.secure) {
    NoteFailure(LocationFailure::kNoUsableService);
    return Found::kFailed;
  }
  std::sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(count),
            [&answer](const Candidate& a, const Candidate& b) {
              const auto rank = [&answer](const Candidate& candidate) {
                return std::tuple(candidate.naptr->order, candidate.naptr->preference,
                                  candidate.transport, answer.text(candidate.naptr->replacement));
              };
              return rank(a) < rank(b);
            });
  for (size_t index = 0; index < count; ++index) {
    const std::string_view replacement = answer.text(candidates[index].naptr->replacement);
    AddService(candidates[index].transport, *DnsName::FromText(replacement));
  }
  if (count == 0) return Found::kNo;
  address_transport_ = services_[0].transport;
  return Found::kYes;
}

void Rules::AddService(TransportProtocol transport, const DnsName& srv_name) {
  if (services_count_ == services_.size()) return;
  services_[services_count_++] = {transport, srv_name};
}

// kNo: every service was answered, with no SRV record.
Rules::Found Rules::TryServices() {
  Found all = Found::kNo;
  for (size_t index = 0; index < services_count_; ++index) {
    const Service& service = services_[index];
    const DnsAnswer* const answer = Look(DnsType::kSrv, service.srv_name);
    if (answer == nullptr) {
      all = Found::kUnknown;
      if (locations_.empty()) first_known_ = false;
    } else if (answer->status() == DnsStatus::kOk) {
      if (all == Found::kNo) all = Found::kYes;
      AddServers(service.transport, *answer);
    } else if (!IsNegative(answer->status()) && all == Found::kNo) {
      all = Found::kFailed;
    }
  }
  return all;
}

void Rules::AddServers(TransportProtocol transport, const DnsAnswer& answer) {
  const SrvServers ordered = OrderServers(answer, query_.selector);
  // RFC 2782: "." means that the service is decidedly not available at this domain.
  if (ordered.size == 0) NoteFailure(LocationFailure::kNoUsableService);
  const size_t addresses_max = ordered.size > 1 ? kSharedAddressesMax : LocationList::kLocationsMax;
  for (const SrvServer& server : ordered.view()) {
    if (targets_left_ == 0) return;
    --targets_left_;
    AddTarget(transport, *DnsName::FromText(server.target), server.port, addresses_max);
  }
}

// §4.2: A and AAAA of one name; each address is one location.
void Rules::AddTarget(TransportProtocol transport, const DnsName& name, uint16_t port,
                      size_t addresses_max) {
  Addresses v6;
  Addresses v4;
  const bool v6_known = !allowed_.ipv6 || LookUpAddresses(DnsType::kAaaa, name, v6);
  const bool v4_known = !allowed_.ipv4 || LookUpAddresses(DnsType::kA, name, v4);
  size_t left = addresses_max;
  for (size_t turn = 0; turn < std::max(v6.size, v4.size); ++turn) {
    for (const Addresses* family : {&v6, &v4}) {
      if (turn >= family->size || left == 0) continue;
      locations_.Add({transport, family->addresses[turn].WithPort(port)});
      --left;
    }
  }
  if (!locations_.empty()) return;
  if (!v6_known || !v4_known) {
    first_known_ = false;
  } else {
    NoteFailure(LocationFailure::kNoSuchName);
  }
}

// False: not known yet.
bool Rules::LookUpAddresses(DnsType type, const DnsName& name, Addresses& found) {
  const DnsAnswer* const answer = Look(type, name);
  if (answer == nullptr) return false;
  for (const core::DnsRecord& record : answer->records()) {
    const auto& address = std::get<core::SocketAddress>(record);
    if (IsDestination(address)) found.addresses[found.size++] = address;
  }
  OrderAddresses({found.addresses.data(), found.size}, query_.selector);
  return true;
}

// Notes what was not found for other reasons than that it is not there.
const DnsAnswer* Rules::Look(DnsType type, const DnsName& name) {
  const DnsAnswer* const answer = dns_.Look(type, name);
  if (answer == nullptr) {
    unknown_ = true;
    return nullptr;
  }
  if (type == DnsType::kNaptr) return answer;  // Judged by FindServices.
  switch (answer->status()) {
    case DnsStatus::kOk:
    case DnsStatus::kNoData:
    case DnsStatus::kNoName:
      break;
    case DnsStatus::kTimeout:
      NoteFailure(LocationFailure::kTimeout);
      break;
    case DnsStatus::kServerFailure:
    case DnsStatus::kMalformed:
      NoteFailure(LocationFailure::kServerFailure);
      break;
    case DnsStatus::kTooMany:
      NoteFailure(LocationFailure::kTooManyPending);
      break;
  }
  return answer;
}

LocationProgress Rules::Finish() {
  LocationProgress progress;
  progress.locations = locations_;
  progress.usable = !locations_.empty() && first_known_;
  progress.complete = !unknown_ || (progress.usable && locations_.full());
  if (!locations_.empty()) return progress;
  progress.failure = failure_ == LocationFailure::kNone ? LocationFailure::kNoSuchName : failure_;
  return progress;
}

}  // namespace

bool LocationSupport::has(TransportProtocol transport) const {
  switch (transport) {
    case TransportProtocol::kTls:
      return tls;
    case TransportProtocol::kTcp:
      return tcp;
    case TransportProtocol::kUdp:
      return udp;
  }
  UNREACHABLE();
}

void LocationList::Add(const Location& location) {
  const auto end = locations_.begin() + static_cast<ptrdiff_t>(size_);
  if (full() || std::find(locations_.begin(), end, location) != end) return;
  locations_[size_++] = location;
}

std::string_view LocationFailureName(LocationFailure failure) {
  switch (failure) {
    case LocationFailure::kNone:
      return "none";
    case LocationFailure::kNoSuchName:
      return "no-such-name";
    case LocationFailure::kNoUsableService:
      return "no-usable-service";
    case LocationFailure::kTimeout:
      return "timeout";
    case LocationFailure::kServerFailure:
      return "server-failure";
    case LocationFailure::kTooManyPending:
      return "too-many-pending";
  }
  UNREACHABLE();
}

LocationProgress FindLocations(const LocationQuery& query, DnsKnowledge& dns) {
  return Rules(query, dns).Run();
}

LocationProgress LocateAddress(const core::SocketAddress& host, const LocationQuery& query) {
  LocationProgress progress;
  progress.complete = true;
  const LocationSupport allowed = Allowed(query);
  const std::optional<TransportProtocol> transport = DefaultTransport(allowed);
  const bool is_reachable = host.is_ipv6() ? allowed.ipv6 : allowed.ipv4;
  if (!transport.has_value() || !is_reachable || !IsDestination(host)) {
    progress.failure = LocationFailure::kNoUsableService;
    return progress;
  }
  const uint16_t port = query.port != 0 ? query.port : DefaultPort(*transport);
  progress.locations.Add({*transport, host.WithPort(port)});
  progress.usable = true;
  return progress;
}

}  // namespace sallyport::sip
