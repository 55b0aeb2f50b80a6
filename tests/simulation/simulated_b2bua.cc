#include "tests/simulation/simulated_b2bua.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace sallyport::sip::test {
namespace {

// Of those that it does not pass on: the rest is copied.
bool IsItsOwn(const std::string& name) {
  static constexpr const char* kOwn[] = {
      "Via", "Route",   "Record-Route", "Max-Forwards", "From",
      "To",  "Call-ID", "CSeq",         "Contact",      "Content-Length"};
  return std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn);
}

}  // namespace

SimulatedB2bua::SimulatedB2bua(SimulatedWorld& world, const std::string& address,
                               const std::string& proxy, const std::string& target,
                               const std::string& to)
    : in_({.uri = "sip:in@" + address,
           .contact = "sip:in@" + address,
           .via = "SIP/2.0/UDP " + address},
          nullptr),
      out_({.uri = "sip:out@" + address,
            .contact = "sip:out@" + address,
            .via = "SIP/2.0/UDP " + address},
           nullptr),
      target_(target),
      to_(to) {
  const auto send = [&world, address, proxy](const std::string& text) {
    const SimulatedMessage message = SimulatedMessage::Of(text);
    const std::string place = world.PlaceOf(UriIn(message.First("Route")));
    world.SendFrom(address, place.empty() ? proxy : place, text);
  };
  in_.set_send(send);
  out_.set_send(send);
  in_.answers["INVITE"] = {};
  world.AddInside(address, TransportProtocol::kUdp, *this);
}

void SimulatedB2bua::OnMessage(const std::string& text, const Reply& reply) {
  const SimulatedMessage message = SimulatedMessage::Of(text);
  const std::string call = message.First("Call-ID");
  const bool is_out = out_.HasDialog(call);
  const std::string method = message.method();
  const bool is_new = TagOf(message.First("To")).empty();
  (is_out ? out_ : in_).OnMessage(text, reply);
  if (message.is_response()) {
    if (is_out && method == "INVITE" && message.status() > 100) {
      if (message.status() < 200 || in_.dialog(other_[call]).is_confirmed) return;
      in_.Answer("INVITE", message.status());
    }
    return;
  }
  if (method == "INVITE" && is_new) return Forward(message);
  if (method == "BYE") (is_out ? in_ : out_).Send(other_[call], {.method = "BYE"});
}

void SimulatedB2bua::Forward(const SimulatedMessage& invite) {
  std::string headers;
  for (const auto& [name, value] : invite.headers) {
    if (!IsItsOwn(name)) absl::StrAppend(&headers, name, ": ", value, "\r\n");
  }
  const std::string made = out_.Send({.uri = target_,
                                      .to = to_,
                                      .from = "<" + UriIn(invite.First("From")) + ">",
                                      .headers = headers,
                                      .body = invite.body});
  other_[made] = invite.First("Call-ID");
  other_[invite.First("Call-ID")] = made;
}

}  // namespace sallyport::sip::test
