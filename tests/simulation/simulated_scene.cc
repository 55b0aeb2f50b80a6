#include "tests/simulation/simulated_scene.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace sallyport::sip::test {
namespace {

std::string Place(int port, size_t index) {
  return absl::StrCat("127.0.0.1:", port + 100 * static_cast<int>(index));
}

std::string Listener(const std::string& transport, const std::string& address) {
  return absl::StrCat("[[listener]]\nname = \"core-", transport,
                      "\"\nzone = \"inside\"\ntransport = \"", transport, "\"\naddress = \"",
                      address, "\"\n");
}

}  // namespace

std::string SimulatedScene::OutsideAddress(size_t index) { return Place(5061, index); }
std::string SimulatedScene::InsideAddress(size_t index) { return Place(5070, index); }

SimulatedScene::SimulatedScene(const SimulatedSceneOptions& scene)
    : options(scene), core(world, scene.core) {
  if (options.core.transport == TransportProtocol::kTcp) core.options().edge = Place(5071, 0);
  if (options.core.transport == TransportProtocol::kTls) core.options().edge = Place(5072, 0);
  world.OnEveryEdge([dns = options.dns](SimulatedEdge& edge) {
    for (const auto& [name, address] : dns) edge.dns().A(name, address);
  });
  for (size_t i = 0; i < options.edges; ++i) {
    epochs_.push_back(7 + i);
    world.AddEdge(EdgeOptions(i));
  }
}

bool SimulatedScene::Accepts(const SimulatedSceneOptions& options) {
  SimulatedEdgeOptions edge;
  edge.edge = options.edge;
  edge.extra = options.extra;
  return SimulatedEdge::Accepts(edge);
}

SimulatedEdgeOptions SimulatedScene::EdgeOptions(size_t index) const {
  SimulatedEdgeOptions edge;
  edge.seed = options.seed + index;
  edge.next_hop = NextHopKind::kOther;
  const std::string& address =
      options.core.shared_address.empty() ? options.core.address : options.core.shared_address;
  edge.targets = {absl::StrCat(std::string(TransportName(options.core.transport)), ":", address)};
  if (!options.targets.empty()) edge.targets = options.targets;
  edge.edge = absl::StrCat("instance = \"edge", index, "\"\n", options.edge);
  if (!options.tls.empty()) edge.outside_lines = "tls = \"" + options.tls + "\"\n";
  edge.outside = OutsideAddress(index);
  edge.inside = InsideAddress(index);
  edge.inside_lines = options.inside;
  if (options.numeric_names) edge.inside_lines += "advertise = \"" + edge.inside + "\"\n";
  edge.secret = SimulatedSecret(options.secrets[std::min(index, options.secrets.size() - 1)]);
  edge.boot_epoch = epochs_.at(index);
  edge.extra = options.extra;
  if (options.core.transport == TransportProtocol::kTcp)
    edge.extra += Listener("tcp", Place(5071, index));
  if (options.core.transport == TransportProtocol::kTls) {
    edge.extra += Listener("tls", Place(5072, index));
    edge.next_hop_lines = "identity = \"core.example\"\n";
  }
  return edge;
}

SimulatedUser& SimulatedScene::AddUser(const std::string& name, size_t edge) {
  SimulatedUser& user = *users.emplace_back(std::make_unique<SimulatedUser>());
  const std::string host = absl::StrCat("192.168.7.", users.size() + 10, ":5061");
  user.phone = std::make_unique<SimulatedPhone>(
      SimulatedPhoneOptions{.uri = absl::StrCat("sip:", name, "@edge.example"),
                            .contact = absl::StrCat("sip:", name, "@", host, ";transport=tls;ob"),
                            .via = "SIP/2.0/TLS " + host},
      nullptr);
  user.certificate = &SimulatedUserCertificate(name + "@edge.example");
  Connect(user, edge);
  user->Register();
  Settle();
  return user;
}

SimulatedPhone& SimulatedScene::AddInside(const std::string& name, const std::string& address) {
  SimulatedPhone& phone = *phones.emplace_back(std::make_unique<SimulatedPhone>(
      SimulatedPhoneOptions{.uri = absl::StrCat("sip:", name, "@edge.example"),
                            .contact = absl::StrCat("sip:", name, "@", address),
                            .via = "SIP/2.0/UDP " + address},
      nullptr));
  // By Route, or by its proxy.
  phone.set_send([this, &phone](const std::string& text) {
    const SimulatedMessage message = SimulatedMessage::Of(text);
    const std::string place = world.PlaceOf(UriIn(message.First("Route")));
    const std::string address_of_phone = phone.options().via.substr(12);
    world.SendFrom(address_of_phone, place.empty() ? core.options().address : place, text);
  });
  world.AddInside(address, TransportProtocol::kUdp, phone, &SimulatedCertificate("core.example"));
  core.Bind(name + "@edge.example", phone.options().contact);
  return phone;
}

SimulatedUser& SimulatedScene::AddPartner(const std::string& name, const std::string& domain,
                                          const std::string& address, size_t edge) {
  SimulatedUser& user = AddCaller(name, domain, edge);
  user->options().contact = absl::StrCat("sip:", name, "@", address, ";transport=tls");
  user->options().via = "SIP/2.0/TLS " + address;
  world.AddDomain(domain, address, *user.phone);
  return user;
}

SimulatedUser& SimulatedScene::AddCaller(const std::string& name, const std::string& domain,
                                         size_t edge) {
  SimulatedUser& user = *users.emplace_back(std::make_unique<SimulatedUser>());
  const std::string host = absl::StrCat("10.7.7.", users.size());
  user.phone = std::make_unique<SimulatedPhone>(
      SimulatedPhoneOptions{.uri = absl::StrCat("sip:", name, "@", domain),
                            .contact = absl::StrCat("sip:", name, "@", host),
                            .via = "SIP/2.0/TLS " + host},
      nullptr);
  user.certificate = &SimulatedCertificate(domain);
  Connect(user, edge);
  return user;
}

void SimulatedScene::Connect(SimulatedUser& user, size_t edge,
                             const sallyport::test::TestCertificate* certificate) {
  if (certificate != nullptr) user.certificate = certificate;
  user.peer = &world.Connect(edge, *user.certificate, *user.phone);
  user.edge = edge;
  user.peers[edge] = user.peer;
  user.phone->set_send([this, &user](const std::string& text) { Send(user, text); });
}

void SimulatedScene::Send(SimulatedUser& user, const std::string& text) {
  const std::string place = world.PlaceOf(UriIn(SimulatedMessage::Of(text).First("Route")));
  size_t edge = user.edge;
  for (size_t i = 0; i < world.edges(); ++i) {
    if (place == OutsideAddress(i)) edge = i;
  }
  SimulatedPeer*& peer = user.peers[edge];
  if (peer == nullptr) peer = &world.Connect(edge, *user.certificate, *user.phone);
  peer->Send(text);
}

void SimulatedScene::Leave(SimulatedUser& user) {
  for (const auto& [edge, peer] : user.peers) world.Leave(*peer);
  user.peers.clear();
  user.peer = nullptr;
}

void SimulatedScene::Restart(size_t edge) {
  epochs_.at(edge) += 100;
  world.Restart(edge, EdgeOptions(edge));
  for (const auto& user : users) {
    user->peers.erase(edge);
    if (user->edge != edge || user->peer == nullptr) continue;
    Connect(*user, edge);
    if (HostOf(user->phone->options().uri) == "edge.example") user->phone->Register();
  }
  Settle();
}

bool SimulatedScene::IsLine(const std::string& value, Zone zone) const {
  const std::string place = world.PlaceOf(UriIn(value));
  for (size_t i = 0; i < world.edges(); ++i) {
    const auto& listeners = world.edge(i).config().listeners;
    const bool is_one =
        std::any_of(listeners.begin(), listeners.end(), [&](const ListenerConfig& listener) {
          return listener.zone == zone && listener.address.ToString() == place;
        });
    if (is_one) return true;
  }
  return false;
}

bool SimulatedScene::IsOutsideLine(const std::string& value) const {
  return IsLine(value, Zone::kOutside);
}

bool SimulatedScene::IsInsideLine(const std::string& value) const {
  return IsLine(value, Zone::kInside);
}

std::string WhoGot(const SimulatedScene& scene, const std::string& header,
                   const std::string& value) {
  std::string who;
  const auto look = [&](const SimulatedPhone& phone) {
    for (const SimulatedMessage& request : phone.requests()) {
      if (request.First(header) != value) continue;
      absl::StrAppend(&who, phone.options().uri, " got ", request.start, "; ");
    }
  };
  for (const auto& user : scene.users) look(*user->phone);
  for (const auto& phone : scene.phones) look(*phone);
  return who;
}

}  // namespace sallyport::sip::test
