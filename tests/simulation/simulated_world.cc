#include "tests/simulation/simulated_world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

constexpr absl::Duration kStep = absl::Milliseconds(6);  // DNS answers after 5.
constexpr int kStepsMax = 400;
constexpr int kQuietSteps = 3;

core::SocketAddress Address(const std::string& text) { return *core::SocketAddress::Parse(text); }

}  // namespace

// -- Edges ---------------------------------------------------------------------------------------

SimulatedEdge& SimulatedWorld::AddEdge(const SimulatedEdgeOptions& options) {
  Instance& instance = *edges_.emplace_back(std::make_unique<Instance>());
  instance.edge = std::make_unique<SimulatedEdge>(options);
  SetUp(instance);
  return *instance.edge;
}

SimulatedEdge& SimulatedWorld::Restart(size_t index, const SimulatedEdgeOptions& options) {
  Instance& instance = *edges_.at(index);
  const absl::Time now = instance.edge->network().wall_now();
  for (const std::string& asked : instance.edge->dns().asked()) past_asked_.push_back(asked);
  for (const core::SocketAddress& place : instance.edge->network().reached()) {
    past_reached_.push_back(place.ToString());
  }
  instance.servers.clear();
  instance.peers.clear();
  instance.dialled.clear();
  instance.edge.reset();
  ++instance.starts;
  instance.edge = std::make_unique<SimulatedEdge>(options);
  instance.edge->network().SetWallTime(now);
  SetUp(instance);
  return *instance.edge;
}

void SimulatedWorld::SetUp(Instance& instance) {
  for (const auto& [address, inside] : inside_) Show(address, inside, instance);
  for (const auto& setup : setups_) setup(*instance.edge);
  for (const auto& service : services_) service(instance);
}

void SimulatedWorld::OnEveryEdge(std::function<void(SimulatedEdge&)> setup) {
  for (const auto& instance : edges_) setup(*instance->edge);
  setups_.push_back(std::move(setup));
}

// -- The inside ----------------------------------------------------------------------------------

void SimulatedWorld::AddInside(const std::string& address, TransportProtocol transport,
                               SimulatedElement& element,
                               const sallyport::test::TestCertificate* certificate) {
  const Inside& inside = inside_[address] = {transport, &element, certificate};
  for (const auto& instance : edges_) Show(address, inside, *instance);
}

void SimulatedWorld::Show(const std::string& address, const Inside& inside, Instance& instance) {
  if (inside.is_dead) return;
  if (inside.transport == TransportProtocol::kUdp) {
    return instance.edge->network().Bind(Address(address));
  }
  const bool is_tls = inside.transport == TransportProtocol::kTls;
  const auto* const certificate = is_tls ? inside.certificate : nullptr;
  instance.servers.push_back({&instance.edge->Serve(address, certificate), inside.element});
}

void SimulatedWorld::Kill(const std::string& address) {
  Disconnect(address);
  inside_.at(address).is_dead = true;
  for (const auto& instance : edges_) instance->edge->network().StopListening(Address(address));
}

void SimulatedWorld::Disconnect(const std::string& address) {
  for (const auto& instance : edges_) {
    for (const Served& served : instance->servers) {
      if (served.server->address() != Address(address)) continue;
      if (served.server->connection() != nullptr) served.server->connection()->Finish();
    }
    for (auto& [ends, dialled] : instance->dialled) {
      if (ends.first == address) dialled.connection()->Finish();
    }
  }
}

void SimulatedWorld::SendFrom(const std::string& address, const std::string& to,
                              const std::string& text) {
  parcels_.push_back({address, to, text});
}

std::string SimulatedWorld::PlaceOf(const std::string& uri) const {
  const std::string maddr = UriParameter(uri, "maddr");
  const std::string host = maddr.empty() ? HostOf(uri) : maddr;
  const bool is_secured = uri.starts_with("sips:") || UriParameter(uri, "transport") == "tls";
  const std::string port = PortOf(uri).empty() ? (is_secured ? "5061" : "5060") : PortOf(uri);
  if (core::SocketAddress::FromHost(host, 0).has_value()) return host + ":" + port;
  for (const auto& instance : edges_) {
    for (const ListenerConfig& listener : instance->edge->config().listeners) {
      if (listener.advertise_host == host && absl::StrCat(listener.advertise_port) == port) {
        return listener.address.ToString();
      }
    }
  }
  return {};
}

SimulatedWorld::Instance* SimulatedWorld::FindListener(const std::string& address,
                                                       const ListenerConfig** listener) {
  for (const auto& instance : edges_) {
    for (const ListenerConfig& each : instance->edge->config().listeners) {
      if (each.address.ToString() != address) continue;
      *listener = &each;
      return instance.get();
    }
  }
  return nullptr;
}

// Without a certificate nothing speaks TLS.
bool SimulatedWorld::MayReach(const Parcel& parcel, const ListenerConfig& listener) const {
  return listener.transport != TransportProtocol::kTls ||
         inside_.at(parcel.from).certificate != nullptr;
}

SimulatedWorld::Dialled& SimulatedWorld::DialledBy(Instance& instance,
                                                   const ListenerConfig& listener,
                                                   const Parcel& parcel) {
  Dialled& dialled = instance.dialled[{parcel.from, parcel.to}];
  if (dialled.plain != nullptr || dialled.secured != nullptr) {
    const core::RemoteConnection& old = *dialled.connection();
    if (!old.saw_end() && !old.saw_reset()) return dialled;
  }
  dialled = {};
  if (listener.transport == TransportProtocol::kTls) {
    dialled.secured = &instance.edge->Connect(*inside_.at(parcel.from).certificate, parcel.to);
  } else {
    const core::SocketAddress from = Address(parcel.from).WithPort(next_port_++);
    dialled.plain = instance.edge->network().Connect(listener.address, from);
    CHECK(dialled.plain != nullptr);
  }
  return dialled;
}

void SimulatedWorld::SendToListener(Instance& instance, const ListenerConfig& listener,
                                    const Parcel& parcel) {
  if (listener.transport == TransportProtocol::kUdp) {
    return instance.edge->network().SendDatagram(Address(parcel.from), listener.address,
                                                 parcel.text);
  }
  Dialled& dialled = DialledBy(instance, listener, parcel);
  if (dialled.plain != nullptr) return dialled.plain->Send(parcel.text);
  dialled.secured->Send(parcel.text);
}

// -- The outside ---------------------------------------------------------------------------------

SimulatedPeer& SimulatedWorld::Connect(size_t index,
                                       const sallyport::test::TestCertificate& certificate,
                                       SimulatedElement& element, const std::string& to) {
  Instance& instance = *edges_.at(index);
  SimulatedPeer& peer =
      to.empty() ? instance.edge->Connect(certificate) : instance.edge->Connect(certificate, to);
  instance.peers.push_back({&peer, &element});
  return peer;
}

void SimulatedWorld::Leave(SimulatedPeer& peer) {
  peer.connection().Finish();
  Settle();
}

void SimulatedWorld::Serve(const std::string& address,
                           const sallyport::test::TestCertificate& certificate,
                           SimulatedElement& element) {
  const auto service = [address, &certificate, &element](Instance& instance) {
    instance.servers.push_back({&instance.edge->Serve(address, &certificate), &element});
  };
  for (const auto& instance : edges_) service(*instance);
  services_.emplace_back(service);
}

void SimulatedWorld::AddDomain(const std::string& domain, const std::string& address,
                               SimulatedElement& element) {
  Serve(address, SimulatedCertificate(domain), element);
  OnEveryEdge([domain, place = Address(address)](SimulatedEdge& edge) {
    edge.dns().Srv("_sips._tcp." + domain, 10, 0, place.port(), "sip." + domain);
    edge.dns().A("sip." + domain, place.HostToString());
  });
}

// -- Time ----------------------------------------------------------------------------------------

void SimulatedWorld::Settle() {
  int quiet = 0;
  for (int step = 0; step < kStepsMax && quiet < kQuietSteps; ++step) {
    quiet = Step(kStep) ? 0 : quiet + 1;
  }
}

void SimulatedWorld::Run(absl::Duration duration) {
  const absl::Duration step = std::max(duration / 100, kStep);
  for (absl::Duration passed; passed < duration; passed += step) Step(step);
  Settle();
}

bool SimulatedWorld::Step(absl::Duration duration) {
  bool moved = CarryParcels();
  for (const auto& instance : edges_) {
    const uint64_t before = instance->edge->backend().counters().completions;
    instance->edge->Run(duration, duration);
    moved |= Listen(*instance);
    moved |= instance->edge->dns().outstanding() > 0;
    moved |= instance->edge->backend().counters().completions != before;
  }
  return CarryParcels() || moved;
}

bool SimulatedWorld::CarryParcels() {
  const bool moved = !parcels_.empty();
  for (int count = 0; count < 1000 && !parcels_.empty(); ++count) {
    const Parcel parcel = std::move(parcels_.front());
    parcels_.pop_front();
    const auto inside = inside_.find(parcel.to);
    const ListenerConfig* listener = nullptr;
    if (inside != inside_.end()) {
      if (inside->second.is_dead) continue;
      inside->second.element->OnMessage(parcel.text, [this, parcel](const std::string& text) {
        SendFrom(parcel.to, parcel.from, text);
      });
    } else if (Instance* const instance = FindListener(parcel.to, &listener);
               instance != nullptr && MayReach(parcel, *listener)) {
      SendToListener(*instance, *listener, parcel);
    } else {
      strays_.push_back({parcel.from, parcel.to, parcel.text});
    }
  }
  return moved;
}

bool SimulatedWorld::Listen(Instance& instance) {
  bool moved = false;
  const auto lives = [&instance, starts = instance.starts] { return instance.starts == starts; };
  for (auto& [address, inside] : inside_) moved |= ListenAt(instance, address, inside);
  for (size_t i = 0; i < instance.servers.size(); ++i) {
    const Served served = instance.servers[i];
    for (const SimulatedServer::Arrival& arrival : served.server->TakeArrivals()) {
      moved = true;
      served.element->OnMessage(arrival.message,
                                [lives, served, on = arrival.connection](const std::string& text) {
                                  if (lives()) served.server->SendOn(on, text);
                                });
    }
  }
  for (size_t i = 0; i < instance.peers.size(); ++i) {
    const Joined joined = instance.peers[i];
    for (const std::string& message : joined.peer->TakeMessages()) {
      moved = true;
      joined.element->OnMessage(message, [lives, peer = joined.peer](const std::string& text) {
        if (lives()) peer->Send(text);
      });
    }
  }
  return moved;
}

// Datagrams, and what came on connections that this element opened.
bool SimulatedWorld::ListenAt(Instance& instance, const std::string& address, Inside& inside) {
  bool moved = false;
  core::SimulatedNetwork& network = instance.edge->network();
  if (inside.transport == TransportProtocol::kUdp) {
    while (const auto datagram = network.ReceiveDatagram(Address(address))) {
      if (inside.is_dead) continue;
      moved = true;
      inside.element->OnMessage(datagram->bytes,
                                [this, address, to = datagram->from.ToString()](
                                    const std::string& text) { SendFrom(address, to, text); });
    }
  }
  for (auto& [ends, dialled] : instance.dialled) {
    if (ends.first != address || inside.is_dead) continue;
    dialled.received +=
        dialled.plain != nullptr ? dialled.plain->TakeReceived() : dialled.secured->Take();
    for (const std::string& message : TakeWhole(dialled.received)) {
      moved = true;
      inside.element->OnMessage(message, [&instance, ends = ends](const std::string& text) {
        const auto found = instance.dialled.find(ends);  // It may have ended meanwhile.
        if (found == instance.dialled.end()) return;
        if (found->second.plain != nullptr) return found->second.plain->Send(text);
        found->second.secured->Send(text);
      });
    }
  }
  return moved;
}

// -- What happened -------------------------------------------------------------------------------

std::vector<std::string> SimulatedWorld::AskedNames() const {
  std::vector<std::string> asked = past_asked_;
  for (const auto& instance : edges_) {
    const std::vector<std::string>& own = instance->edge->dns().asked();
    asked.insert(asked.end(), own.begin(), own.end());
  }
  return asked;
}

std::vector<std::string> SimulatedWorld::ReachedPlaces() const {
  std::vector<std::string> reached = past_reached_;
  for (const auto& instance : edges_) {
    for (const core::SocketAddress& place : instance->edge->network().reached()) {
      reached.push_back(place.ToString());
    }
  }
  return reached;
}

}  // namespace sallyport::sip::test
