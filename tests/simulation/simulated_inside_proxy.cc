#include "tests/simulation/simulated_inside_proxy.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace sallyport::sip::test {
namespace {

SimulatedMessage ResponseTo(const SimulatedMessage& request, const std::string& status) {
  SimulatedMessage response;
  response.start = "SIP/2.0 " + status;
  for (const std::string& via : request.All("Via")) response.Append("Via", via);
  for (const char* const name : {"From", "To", "Call-ID", "CSeq"}) {
    response.Append(name, request.First(name));
  }
  if (TagOf(request.First("To")).empty()) response.Set("To", request.First("To") + ";tag=proxy");
  return response;
}

void SetUri(SimulatedMessage& request, const std::string& uri) {
  request.start = absl::StrCat(request.method(), " ", uri, " SIP/2.0");
}

// ACK and CANCEL of a request that it sent, with the Via of that.
SimulatedMessage Following(const SimulatedMessage& sent, const std::string& method) {
  SimulatedMessage follower;
  follower.start = absl::StrCat(method, " ", sent.uri(), " SIP/2.0");
  follower.Append("Via", sent.First("Via"));
  for (const std::string& route : sent.All("Route")) follower.Append("Route", route);
  for (const char* const name : {"Max-Forwards", "From", "To", "Call-ID"}) {
    follower.Append(name, sent.First(name));
  }
  const std::string cseq = sent.First("CSeq");
  follower.Append("CSeq", cseq.substr(0, cseq.find(' ') + 1) + method);
  return follower;
}

}  // namespace

SimulatedInsideProxy::SimulatedInsideProxy(SimulatedWorld& world,
                                           SimulatedInsideProxyOptions options)
    : world_(world), options_(std::move(options)) {
  const auto add = [this](const std::string& address) {
    world_.AddInside(address, options_.transport, *this, options_.certificate);
  };
  add(options_.address);
  for (const std::string& source : options_.sources) add(source);
  if (!options_.shared_address.empty()) add(options_.shared_address);
}

std::string SimulatedInsideProxy::Name() const {
  return options_.shared_address.empty() ? options_.address : options_.shared_address;
}

std::string SimulatedInsideProxy::OwnUri(const std::string& user) const {
  const std::string transport(TransportName(options_.transport));
  return absl::StrCat("sip:", user, user.empty() ? "" : "@", Name(),
                      transport == "udp" ? "" : ";transport=" + transport);
}

bool SimulatedInsideProxy::IsOwn(const std::string& uri) const {
  const std::string place = HostOf(uri) + ":" + (PortOf(uri).empty() ? "5060" : PortOf(uri));
  const auto holds = [&place](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), place) != names.end();
  };
  return place == options_.address || place == options_.shared_address || holds(options_.sources) ||
         holds(options_.aliases);
}

void SimulatedInsideProxy::OnMessage(const std::string& text, const Reply& reply) {
  SimulatedMessage message = SimulatedMessage::Of(text);
  seen_.push_back(message);
  if (message.is_response()) return OnResponse(std::move(message));
  OnRequest(std::move(message), reply);
}

// -- Requests ------------------------------------------------------------------------------------

void SimulatedInsideProxy::OnRequest(SimulatedMessage request, const Reply& reply) {
  const std::string method = request.method();
  const std::string branch = BranchOf(request.First("Via"));
  const std::string key = method + " " + branch;
  if (method == "CANCEL") return Cancel(request, reply);
  if (server_of_.contains(key)) return;  // Again.
  // The ACK of a failure ends at the hop that sent the failure.
  if (method == "ACK" && server_of_.contains("INVITE " + branch)) return;
  while (IsOwn(UriIn(request.First("Route"))) && !request.First("Route").empty()) {
    request.DropFirst("Route");
  }
  if (request.First("Max-Forwards") == "0") {
    return reply(ResponseTo(request, "483 Too Many Hops").Text());
  }
  if (method == "REGISTER") return Register(request, reply);
  if (method == "INVITE") {
    SimulatedMessage trying = ResponseTo(request, "100 Trying");
    trying.Set("To", request.First("To"));
    reply(trying.Text());
  }
  const size_t index = servers_.size();
  server_of_[key] = index;
  Server& server = servers_.emplace_back();
  server.request = request;
  server.reply = reply;
  const auto retarget = retargets_.find(UserAndHost(request.uri()));
  const bool leads = request.First("Route").empty() && TagOf(request.First("To")).empty();
  if (leads && retarget != retargets_.end()) {
    server.waiting = retarget->second.uris;
    server.next = retarget->second.next;
    if (server.waiting.empty()) server.waiting = {request.uri()};
    const size_t at_once = retarget->second.is_parallel ? server.waiting.size() : 1;
    for (size_t i = 0; i < at_once; ++i) StartNext(index);
    return;
  }
  server.waiting = {request.uri()};
  StartNext(index);
}

void SimulatedInsideProxy::Register(const SimulatedMessage& request, const Reply& reply) {
  Binding& binding = bindings_[UserAndHost(UriIn(request.First("To")))];
  binding.contact = UriIn(request.First("Contact"));
  binding.path = request.All("Path");
  reply(ResponseTo(request, "200 OK").Text());
}

void SimulatedInsideProxy::Cancel(const SimulatedMessage& request, const Reply& reply) {
  const auto found = server_of_.find("INVITE " + BranchOf(request.First("Via")));
  if (found == server_of_.end()) return reply(ResponseTo(request, "481 No Call").Text());
  reply(ResponseTo(request, "200 OK").Text());
  servers_[found->second].is_cancelled = true;
  for (const auto& [name, branch] : branches_) {
    if (branch.server != found->second || !branch.is_open) continue;
    world_.SendFrom(options_.address, branch.place, Following(branch.request, "CANCEL").Text());
  }
}

// The next hop of a request with its final Route and Request-URI.
std::string SimulatedInsideProxy::PlaceFor(const SimulatedMessage& request) const {
  const std::string route = request.First("Route");
  const std::string place = world_.PlaceOf(route.empty() ? request.uri() : UriIn(route));
  return place.empty() ? options_.edge : place;
}

void SimulatedInsideProxy::Release() {
  holds_ = false;
  for (const size_t index : std::exchange(held_, {})) StartNext(index);
}

void SimulatedInsideProxy::StartNext(size_t index) {
  if (holds_) return held_.push_back(index);
  Server& server = servers_[index];
  SimulatedMessage request = server.request;
  SetUri(request, server.waiting.front());
  server.waiting.erase(server.waiting.begin());
  const bool forms_dialog = TagOf(request.First("To")).empty() && request.method() == "INVITE";
  if (options_.hides_record_route) Hide(request, forms_dialog);
  std::string place = server.next;
  if (place.empty() && request.First("Route").empty()) {
    const auto binding = bindings_.find(UserAndHost(request.uri()));
    if (binding != bindings_.end()) {
      SetUri(request, binding->second.contact);
      for (const std::string& path : binding->second.path) request.Append("Route", path);
    } else if (HostOf(request.uri()) == options_.domain) {
      ++server.open;
      return Finish(server, ResponseTo(server.request, "404 Not Found"));
    }
  }
  if (place.empty()) place = PlaceFor(request);
  Forward(index, std::move(request), place);
}

void SimulatedInsideProxy::Forward(size_t index, SimulatedMessage request,
                                   const std::string& place) {
  const std::vector<std::string>& recorded = options_.records_route_of;
  // A NOTIFY may make a dialog (RFC 6665 §4.4.1), whatever tags it has.
  const bool is_recorded =
      options_.records_route &&
      (TagOf(request.First("To")).empty() || request.method() == "NOTIFY") &&
      std::find(recorded.begin(), recorded.end(), request.method()) != recorded.end();
  if (is_recorded) {
    request.PutOnTop("Record-Route", "<" + OwnUri("") + ";lr>");
  }
  if (options_.hides_via) request.Drop("Via");
  const std::string branch =
      absl::StrCat("z9hG4bKk-", absl::StrReplaceAll(options_.address, {{":", "."}}), "-", ++count_);
  const std::string transport =
      absl::AsciiStrToUpper(std::string(TransportName(options_.transport)));
  request.PutOnTop("Via", absl::StrCat("SIP/2.0/", transport, " ", Name(), ";branch=", branch));
  const int hops =
      request.First("Max-Forwards").empty() ? 71 : std::stoi(request.First("Max-Forwards"));
  request.Set("Max-Forwards", absl::StrCat(hops - 1));
  std::string source = options_.address;
  if (!options_.sources.empty()) {
    source = options_.sources[next_source_++ % options_.sources.size()];
  }
  ++servers_[index].open;
  branches_[branch] = {index, place, request};
  world_.SendFrom(source, place, request.Text());
}

// -- Responses -----------------------------------------------------------------------------------

void SimulatedInsideProxy::OnResponse(SimulatedMessage response) {
  const auto found = branches_.find(BranchOf(response.First("Via")));
  if (found == branches_.end() || response.method() == "CANCEL") return;
  Branch& branch = found->second;
  Server& server = servers_[branch.server];
  const int status = response.status();
  response.DropFirst("Via");
  if (options_.hides_via) {
    const std::vector<std::string> vias = server.request.All("Via");
    for (size_t i = vias.size(); i-- > 0;) response.PutOnTop("Via", vias[i]);
  }
  if (options_.hides_record_route) Restore(response);
  if (status == 100) return;
  if (status < 200) return server.reply(response.Text());
  if (status >= 300 && response.method() == "INVITE") {
    SimulatedMessage ack = Following(branch.request, "ACK");
    ack.Set("To", response.First("To"));
    world_.SendFrom(options_.address, branch.place, ack.Text());
  }
  if (!std::exchange(branch.is_open, false) && status >= 300) return;
  Finish(server, response);
  if (status >= 300 || response.method() != "INVITE") return;
  for (const auto& [name, other] : branches_) {  // §16.7 step 10.
    if (other.server != branch.server || !other.is_open) continue;
    world_.SendFrom(options_.address, other.place, Following(other.request, "CANCEL").Text());
  }
}

// One of its branches has ended.
void SimulatedInsideProxy::Finish(Server& server, const SimulatedMessage& response) {
  const int status = response.status();
  --server.open;
  if (status < 300) {
    server.is_answered = true;
    server.waiting.clear();
    return server.reply(response.Text());
  }
  if (server.is_answered) return;
  if (server.best.empty() || status != 487) server.best = response.Text();
  if (!server.waiting.empty() && !server.is_cancelled) {
    return StartNext(static_cast<size_t>(&server - servers_.data()));
  }
  if (server.open == 0) {
    server.is_answered = true;
    server.reply(server.best);
  }
}

// -- Topology hiding -----------------------------------------------------------------------------

void SimulatedInsideProxy::Hide(SimulatedMessage& request, bool forms_dialog) {
  const std::string contact = request.First("Contact");
  if (forms_dialog) {
    Hidden& hidden = hidden_[{request.First("Call-ID"), TagOf(request.First("From"))}];
    hidden.record_routes = request.All("Record-Route");
    hidden.contacts[0] = contact;
    request.Drop("Record-Route");
    return request.Set("Contact", "<" + OwnUri("caller") + ">");
  }
  const auto found = FindHidden(request);
  if (found == hidden_.end()) return;
  Hidden& hidden = found->second;
  const bool is_from_caller = TagOf(request.First("From")) == found->first.second;
  if (!contact.empty()) {
    hidden.contacts[is_from_caller ? 0 : 1] = contact;
    request.Set("Contact", "<" + OwnUri(is_from_caller ? "caller" : "callee") + ">");
  }
  if (!IsOwn(request.uri())) return;
  SetUri(request, UriIn(hidden.contacts[is_from_caller ? 1 : 0]));
  if (is_from_caller) return;
  for (const std::string& route : hidden.record_routes) request.Append("Route", route);
}

// A dialog is its Call-ID and both its tags: whoever takes a Call-ID or a tag again has another
// one.
SimulatedInsideProxy::HiddenDialogs::iterator SimulatedInsideProxy::FindHidden(
    const SimulatedMessage& message) {
  const std::string call_id = message.First("Call-ID");
  const std::string from = TagOf(message.First("From"));
  const std::string to = TagOf(message.First("To"));
  const auto callees = hidden_.find({call_id, to});
  if (callees != hidden_.end() && callees->second.callee_tags.contains(from)) return callees;
  const auto callers = hidden_.find({call_id, from});
  if (callers == hidden_.end()) return callers;
  if (message.is_response()) callers->second.callee_tags.insert(to);
  return callers->second.callee_tags.contains(to) ? callers : hidden_.end();
}

void SimulatedInsideProxy::Restore(SimulatedMessage& response) {
  const auto found = FindHidden(response);
  if (found == hidden_.end()) return;
  Hidden& hidden = found->second;
  const bool is_from_callee = TagOf(response.First("From")) == found->first.second;
  const std::string contact = response.First("Contact");
  if (!contact.empty()) {
    hidden.contacts[is_from_callee ? 1 : 0] = contact;
    response.Set("Contact", "<" + OwnUri(is_from_callee ? "callee" : "caller") + ">");
  }
  if (response.First("Record-Route").empty() || !is_from_callee) return;
  for (const std::string& value : hidden.record_routes) response.Append("Record-Route", value);
}

}  // namespace sallyport::sip::test
