// A proxy and registrar behind the edge, as RFC 3261 §16 and RFC 3327 describe one: it takes its
// own Route off, finds the bindings of its users, forks, forwards what is for other domains to the
// edge, and takes responses back.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/simulated_message.h"
#include "tests/simulation/simulated_world.h"

namespace sallyport::sip::test {

struct SimulatedInsideProxyOptions {
  std::string address = "127.0.0.1:5080";
  TransportProtocol transport = TransportProtocol::kUdp;
  const sallyport::test::TestCertificate* certificate = nullptr;  // For TLS.
  std::string edge = "127.0.0.1:5070";  // Where requests for other domains go.
  std::string domain = "edge.example";
  bool records_route = true;
  // It adds Record-Route to the first request of these methods.
  std::vector<std::string> records_route_of = {"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"};
  bool hides_via = false;           // It sends requests on with its own Via alone.
  bool hides_record_route = false;  // And without the values of others; it keeps these, and puts
                                    // its own Contact in.
  // Requests leave from these addresses in turn, which are its own, too; empty: from `address`.
  std::vector<std::string> sources = {};
  std::string shared_address = {};  // In Via and Record-Route, and its own, too: a virtual address.
  std::vector<std::string> aliases = {};  // More names of its own in Route.
};

// What it does with the requests for one of its users instead of looking for a binding.
struct SimulatedRetarget {
  // One after the other, or all at once. Empty: the URI that came.
  std::vector<std::string> uris = {};
  bool is_parallel = false;
  std::string next = {};  // An address that these are sent to: another proxy, another edge.
};

class SimulatedInsideProxy : public SimulatedElement {
 public:
  SimulatedInsideProxy(SimulatedWorld& world, SimulatedInsideProxyOptions options);

  SimulatedInsideProxyOptions& options() { return options_; }
  // "bob@edge.example".
  void Retarget(const std::string& user, SimulatedRetarget retarget) {
    retargets_[user] = std::move(retarget);
  }
  void Bind(const std::string& user, const std::string& contact) {
    bindings_[user] = {contact, {}};
  }
  // The Path that came with the registration of that user, topmost first.
  const std::vector<std::string>& PathOf(const std::string& user) { return bindings_[user].path; }

  // What comes from now on waits for Release before it is sent on.
  void Hold() { holds_ = true; }
  void Release();

  void OnMessage(const std::string& text, const Reply& reply) override;
  // Every request and response that it got.
  const std::vector<SimulatedMessage>& seen() const { return seen_; }

 private:
  struct Binding {
    std::string contact;
    std::vector<std::string> path;
  };
  // A request that came, and what has become of it.
  struct Server {
    SimulatedMessage request;
    Reply reply;
    std::vector<std::string> waiting;  // URIs to try when the others have failed.
    std::string next;
    size_t open = 0;
    bool is_answered = false;
    bool is_cancelled = false;
    std::string best;  // The failure to answer with when all have failed.
  };
  // One that it sent for it.
  struct Branch {
    size_t server;
    std::string place;
    SimulatedMessage request;
    bool is_open = true;
  };
  // What it keeps of a dialog while it hides Record-Route.
  struct Hidden {
    std::set<std::string> callee_tags;
    std::vector<std::string> record_routes;
    std::string contacts[2];  // Of the caller and of the callee.
  };
  // By Call-ID and the caller's tag.
  using HiddenDialogs = std::map<std::pair<std::string, std::string>, Hidden>;

  void OnRequest(SimulatedMessage request, const Reply& reply);
  void OnResponse(SimulatedMessage response);
  void Register(const SimulatedMessage& request, const Reply& reply);
  void Cancel(const SimulatedMessage& request, const Reply& reply);
  void StartNext(size_t server);
  void Forward(size_t server, SimulatedMessage request, const std::string& place);
  void Finish(Server& server, const SimulatedMessage& response);
  void Hide(SimulatedMessage& request, bool forms_dialog);
  [[nodiscard]] HiddenDialogs::iterator FindHidden(const SimulatedMessage& message);
  void Restore(SimulatedMessage& response);
  [[nodiscard]] bool IsOwn(const std::string& uri) const;
  [[nodiscard]] std::string PlaceFor(const SimulatedMessage& request) const;
  [[nodiscard]] std::string OwnUri(const std::string& user) const;
  [[nodiscard]] std::string Name() const;

  SimulatedWorld& world_;
  SimulatedInsideProxyOptions options_;
  std::map<std::string, SimulatedRetarget> retargets_;
  std::map<std::string, Binding> bindings_;
  std::vector<Server> servers_;
  std::map<std::string, size_t> server_of_;  // By method and the branch that it came with.
  std::map<std::string, Branch> branches_;   // By the branch that it was sent with.
  HiddenDialogs hidden_;
  std::vector<SimulatedMessage> seen_;
  std::vector<size_t> held_;  // Of servers_.
  bool holds_ = false;
  uint32_t count_ = 0;
  size_t next_source_ = 0;
};

}  // namespace sallyport::sip::test
