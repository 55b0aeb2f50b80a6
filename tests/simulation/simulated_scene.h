// The usual company: one edge or several that share a secret, a proxy of the inside behind them,
// telephones inside, users outside with certificates of their own, and other domains.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_inside_proxy.h"
#include "tests/simulation/simulated_phone.h"
#include "tests/simulation/simulated_world.h"

namespace sallyport::sip::test {

struct SimulatedSceneOptions {
  size_t edges = 1;
  SimulatedInsideProxyOptions core = {};
  std::vector<std::string> targets = {};        // Instead of that one alone.
  std::string edge = {};                        // More lines of [edge], of every instance.
  std::string extra = {};                       // More tables.
  std::string inside = {};                      // More lines of the listener inside.
  std::map<std::string, std::string> dns = {};  // Addresses that are known from the start.
  std::string tls = {};  // The profile of the first listener, where there are several.
  std::vector<std::vector<uint8_t>> secrets = {{1}};  // The last one is of all further edges, too.
  bool numeric_names = false;  // The listener inside is advertised by its address.
  uint64_t seed = 1;
};

// A phone outside: over a connection of its own, which it can lose. What it sends to another edge,
// by Route, goes over one more.
struct SimulatedUser {
  std::unique_ptr<SimulatedPhone> phone;
  SimulatedPeer* peer = nullptr;           // Null: it has left.
  size_t edge = 0;                         // Of `peer`.
  std::map<size_t, SimulatedPeer*> peers;  // By edge.
  const sallyport::test::TestCertificate* certificate = nullptr;

  SimulatedPhone* operator->() const { return phone.get(); }
  SimulatedPhone& operator*() const { return *phone; }
};

class SimulatedScene {
 public:
  explicit SimulatedScene(const SimulatedSceneOptions& options = {});

  // Whether this version knows all that `options` configure.
  static bool Accepts(const SimulatedSceneOptions& options);
  // What instance `index` is started with: its addresses end in 61 and 70 plus 100 for each.
  [[nodiscard]] SimulatedEdgeOptions EdgeOptions(size_t index) const;
  static std::string OutsideAddress(size_t index);
  static std::string InsideAddress(size_t index);

  // A user of ours outside, "bob", with a certificate for sip:bob@edge.example: registered.
  SimulatedUser& AddUser(const std::string& name, size_t edge = 0);
  // A telephone inside, at that address: bound.
  SimulatedPhone& AddInside(const std::string& name, const std::string& address);
  // A telephone of another domain with the domain's certificate: over a connection to that edge,
  // and found by RFC 3263 at that address.
  SimulatedUser& AddPartner(const std::string& name, const std::string& domain,
                            const std::string& address, size_t edge = 0);
  // One that only calls, over a connection.
  SimulatedUser& AddCaller(const std::string& name, const std::string& domain, size_t edge = 0);
  // Another connection for it (its old one stays); what it sends takes this one from now on.
  void Connect(SimulatedUser& user, size_t edge,
               const sallyport::test::TestCertificate* certificate = nullptr);
  // Its connections end, and it opens none by itself.
  void Leave(SimulatedUser& user);
  // The instance ends and another begins. Users that were connected to it are connected again, and
  // users of ours register.
  void Restart(size_t edge);

  void Settle() { world.Settle(); }

  // The value is a line of an edge: of a listener outside, of one inside.
  [[nodiscard]] bool IsOutsideLine(const std::string& value) const;
  [[nodiscard]] bool IsInsideLine(const std::string& value) const;
  [[nodiscard]] bool IsOurs(const std::string& value) const {
    return IsOutsideLine(value) || IsInsideLine(value);
  }

  SimulatedSceneOptions options;
  SimulatedWorld world;
  SimulatedInsideProxy core;
  std::vector<std::unique_ptr<SimulatedUser>> users;
  std::vector<std::unique_ptr<SimulatedPhone>> phones;  // Inside.

 private:
  void Send(SimulatedUser& user, const std::string& text);
  [[nodiscard]] bool IsLine(const std::string& value, Zone zone) const;

  std::vector<uint64_t> epochs_;
};

// Every telephone that got a request with that header, in words; "": none.
std::string WhoGot(const SimulatedScene& scene, const std::string& header,
                   const std::string& value);

}  // namespace sallyport::sip::test
