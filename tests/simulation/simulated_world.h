// Several edges, the elements of the inside that they share, and the elements outside, with
// messages carried between them in bounded steps.
//
//   SimulatedWorld world;
//   world.AddEdge({});
//   SimulatedInsideProxy core(world, {});
//   ...
//   world.Settle();
//
// Every edge has a network of its own; an address of the inside exists in each of them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_message.h"

namespace sallyport::sip::test {

// What takes messages: a proxy, a telephone.
class SimulatedElement {
 public:
  // Sends a response back the way that the request came.
  using Reply = std::function<void(const std::string& text)>;

  virtual ~SimulatedElement() = default;
  virtual void OnMessage(const std::string& text, const Reply& reply) = 0;
};

// What an element of the inside sent to a place that it cannot reach, or where nothing is.
struct StrayMessage {
  std::string from;
  std::string to;
  std::string text;
};

class SimulatedWorld {
 public:
  SimulatedWorld() = default;
  SimulatedWorld(const SimulatedWorld&) = delete;
  SimulatedWorld& operator=(const SimulatedWorld&) = delete;

  // -- Edges.
  SimulatedEdge& AddEdge(const SimulatedEdgeOptions& options);
  // The process ends, and another one begins: connections are gone.
  SimulatedEdge& Restart(size_t index, const SimulatedEdgeOptions& options);
  SimulatedEdge& edge(size_t index = 0) const { return *edges_.at(index)->edge; }
  size_t edges() const { return edges_.size(); }
  // For every edge there is and will be, such as entries of DNS.
  void OnEveryEdge(std::function<void(SimulatedEdge&)> setup);

  // -- The inside. An element may have several addresses ("127.0.0.1:5080"). `certificate` is for
  // TLS.
  void AddInside(const std::string& address, TransportProtocol transport, SimulatedElement& element,
                 const sallyport::test::TestCertificate* certificate = nullptr);
  // Its connections end, and nothing reaches it any more.
  void Kill(const std::string& address);
  // Ends its connections; new ones may come.
  void Disconnect(const std::string& address);
  void SendFrom(const std::string& address, const std::string& to, const std::string& text);
  // Where an element inside sends what is for this URI: an address; "" if it cannot tell.
  std::string PlaceOf(const std::string& uri) const;

  // -- The outside. Connect: to that edge's first listener, or to one of its addresses.
  SimulatedPeer& Connect(size_t index, const sallyport::test::TestCertificate& certificate,
                         SimulatedElement& element, const std::string& to = "");
  void Leave(SimulatedPeer& peer);  // The connection ends.
  // Of this domain, at an address that the edges dial ("192.0.2.1:5061"); DNS leads there.
  void AddDomain(const std::string& domain, const std::string& address, SimulatedElement& element);
  void Serve(const std::string& address, const sallyport::test::TestCertificate& certificate,
             SimulatedElement& element);

  // -- Time. Settle: until nothing moves; timers of more than some milliseconds do not fire.
  void Settle();
  void Run(absl::Duration duration);

  // -- What happened.
  const std::vector<StrayMessage>& strays() const { return strays_; }
  // Of every edge, all that were asked and tried since the start.
  std::vector<std::string> AskedNames() const;
  std::vector<std::string> ReachedPlaces() const;

 private:
  struct Served {
    SimulatedServer* server;
    SimulatedElement* element;
  };
  struct Joined {
    SimulatedPeer* peer;
    SimulatedElement* element;
  };
  // A connection that an element of the inside opened to a listener of an edge.
  struct Dialled {
    core::RemoteConnection* plain = nullptr;
    SimulatedPeer* secured = nullptr;
    std::string received = {};

    core::RemoteConnection* connection() const { return plain ? plain : &secured->connection(); }
  };
  struct Instance {
    std::unique_ptr<SimulatedEdge> edge;
    std::vector<Served> servers;
    std::vector<Joined> peers;
    std::map<std::pair<std::string, std::string>, Dialled> dialled;  // From and to.
    uint64_t starts = 0;  // What an element answers later may find another process.
  };
  struct Inside {
    TransportProtocol transport;
    SimulatedElement* element;
    const sallyport::test::TestCertificate* certificate;
    bool is_dead = false;
  };
  struct Parcel {
    std::string from;
    std::string to;
    std::string text;
  };

  void SetUp(Instance& instance);
  static void Show(const std::string& address, const Inside& inside, Instance& instance);
  Instance* FindListener(const std::string& address, const ListenerConfig** listener);
  [[nodiscard]] bool MayReach(const Parcel& parcel, const ListenerConfig& listener) const;
  void SendToListener(Instance& instance, const ListenerConfig& listener, const Parcel& parcel);
  Dialled& DialledBy(Instance& instance, const ListenerConfig& listener, const Parcel& parcel);
  bool Step(absl::Duration duration);
  bool Listen(Instance& instance);
  bool ListenAt(Instance& instance, const std::string& address, Inside& inside);
  bool CarryParcels();

  std::vector<std::unique_ptr<Instance>> edges_;
  std::map<std::string, Inside> inside_;
  std::vector<std::function<void(SimulatedEdge&)>> setups_;
  std::vector<std::function<void(Instance&)>> services_;
  std::deque<Parcel> parcels_;
  std::vector<StrayMessage> strays_;
  std::vector<std::string> past_asked_;  // Of instances that have ended.
  std::vector<std::string> past_reached_;
  uint16_t next_port_ = 40000;
};

}  // namespace sallyport::sip::test
