// A back-to-back user agent of the inside: each call that comes becomes another call, to a URI of
// its choice, with its own Call-ID, tags and Contact. Headers that it does not know are copied.
#pragma once

#include <map>
#include <string>

#include "tests/simulation/simulated_phone.h"
#include "tests/simulation/simulated_world.h"

namespace sallyport::sip::test {

class SimulatedB2bua : public SimulatedElement {
 public:
  // Calls go to `target` by that proxy; `to` is their To, or "" for the target.
  SimulatedB2bua(SimulatedWorld& world, const std::string& address, const std::string& proxy,
                 const std::string& target, const std::string& to);

  void OnMessage(const std::string& text, const Reply& reply) override;

 private:
  void Forward(const SimulatedMessage& invite);

  SimulatedPhone in_;
  SimulatedPhone out_;
  const std::string target_;
  const std::string to_;
  std::map<std::string, std::string> other_;  // Call-ID of the other side.
};

}  // namespace sallyport::sip::test
