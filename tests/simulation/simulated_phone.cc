#include "tests/simulation/simulated_phone.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace sallyport::sip::test {
namespace {

std::string KeyOf(const std::string& call_id, const std::string& local_tag,
                  const std::string& remote_tag) {
  return absl::StrCat(call_id, " ", local_tag, " ", remote_tag);
}

// For tags: of letters that a token may have.
std::string ShortName(const std::string& uri) {
  const std::string user = UserAndHost(uri);
  return user.substr(0, std::min<size_t>(user.find('@'), 3));
}

// "SIP/2.0/TLS 192.0.2.20:5061": "192.0.2.20.5061".
std::string Place(const std::string& via) {
  return absl::StrReplaceAll(via.substr(via.rfind(' ') + 1), {{":", "."}});
}

bool FormsDialog(const std::string& method) {
  return method == "INVITE" || method == "SUBSCRIBE" || method == "REFER";
}

bool RefreshesTarget(const std::string& method) {
  return method == "INVITE" || method == "UPDATE" || method == "SUBSCRIBE" || method == "NOTIFY";
}

std::string WithoutTag(const std::string& value) {
  const size_t end = value.find('>');
  return end == std::string::npos ? value.substr(0, value.find(';')) : value.substr(0, end + 1);
}

void AppendLines(SimulatedMessage& message, const std::string& lines) {
  for (const auto line : absl::StrSplit(lines, "\r\n", absl::SkipEmpty())) {
    const std::string text(line);
    const size_t colon = text.find(':');
    message.Append(text.substr(0, colon), text.substr(text.find_first_not_of(' ', colon + 1)));
  }
}

// "<sip:t@h:1;transport=tls;lr;dt=x>" as "<sip:t@h:1;dt=x;lr=on;transport=tls>".
std::string Reprinted(const std::string& value) {
  std::vector<std::string> parts = absl::StrSplit(UriIn(value), ';');
  std::reverse(parts.begin() + 1, parts.end());
  for (std::string& part : parts) {
    if (part == "lr") part = "lr=on";
  }
  return "<" + absl::StrJoin(parts, ";") + ">";
}

std::string NumberOf(const std::string& cseq) { return cseq.substr(0, cseq.find(' ')); }

// Of a dialog's peer, in the order in which it is used (RFC 3261 §12.1).
std::vector<std::string> RoutesFrom(const SimulatedMessage& message) {
  std::vector<std::string> routes = message.All("Record-Route");
  if (message.is_response()) std::reverse(routes.begin(), routes.end());
  return routes;
}

const char* ReasonOf(int status) {
  if (status < 200) return "Going On";
  return status < 300 ? "OK" : "No";
}

}  // namespace

SimulatedPhone::SimulatedPhone(SimulatedPhoneOptions options, SendText send)
    : options_(std::move(options)), send_(std::move(send)) {}

// -- Sending -------------------------------------------------------------------------------------

SimulatedMessage SimulatedPhone::Begin(const std::string& method, const std::string& uri) {
  SimulatedMessage message;
  message.start = absl::StrCat(method, " ", uri, " SIP/2.0");
  message.Append("Via", absl::StrCat(options_.via, ";branch=z9hG4bK-", Place(options_.via), "-",
                                     ShortName(options_.contact), ++count_));
  message.Append("Max-Forwards", "70");
  AppendLines(message, options_.headers);
  return message;
}

void SimulatedPhone::SendRoutes(SimulatedMessage& message,
                                const std::vector<std::string>& routes) const {
  if (!options_.outbound_proxy.empty()) message.Append("Route", options_.outbound_proxy);
  const std::vector<std::string>& own = options_.record_routes;
  for (const std::string& route : routes) {
    if (std::find(own.begin(), own.end(), route) != own.end()) continue;
    message.Append("Route", options_.reprints_routes ? Reprinted(route) : route);
  }
}

std::string SimulatedPhone::Send(const Out& request) {
  SimulatedMessage message = Begin(request.method, request.uri);
  SimulatedDialog dialog;
  dialog.call_id = absl::StrCat(ShortName(options_.uri), count_, "@", Place(options_.via));
  dialog.local = request.from.empty() ? "<" + options_.uri + ">" : request.from;
  dialog.remote = request.to.empty() ? "<" + request.uri + ">" : request.to;
  dialog.local_tag = absl::StrCat("f", count_, "-", ShortName(options_.uri));
  dialog.is_caller = true;
  dialog.cseq = 1;
  dialog.awaits_notify = request.method == "SUBSCRIBE" || request.method == "REFER";
  SendRoutes(message, request.routes);
  for (const std::string& value : options_.record_routes) message.Append("Record-Route", value);
  message.Append("From", dialog.local + ";tag=" + dialog.local_tag);
  message.Append("To", dialog.remote);
  message.Append("Call-ID", dialog.call_id);
  message.Append("CSeq", absl::StrCat(dialog.cseq, " ", request.method));
  if (request.method != "MESSAGE" && request.headers.find("Contact:") == std::string::npos) {
    message.Append("Contact", "<" + options_.contact + ">");
  }
  AppendLines(message, request.headers);
  message.body = request.body;
  if (FormsDialog(request.method)) {
    const std::string key = KeyOf(dialog.call_id, dialog.local_tag, "");
    dialogs_[key] = dialog;
    newest_.push_back(key);
  }
  sent_[BranchOf(message.First("Via")) + " " + request.method] = message;
  send_(message.Text());
  return dialog.call_id;
}

std::string SimulatedPhone::Register() {
  const std::string domain = "sip:" + HostOf(options_.uri);
  return Send({.method = "REGISTER",
               .uri = domain,
               .to = "<" + options_.uri + ">",
               .headers = absl::StrCat(
                   "Supported: path, outbound\r\nContact: <", options_.contact,
                   ">;reg-id=1;+sip.instance=\"<urn:uuid:", UserAndHost(options_.uri), ">\"\r\n")});
}

void SimulatedPhone::Send(SimulatedDialog& dialog, const In& request) {
  SimulatedMessage message =
      Begin(request.method, request.uri.empty() ? dialog.target : request.uri);
  if (request.cseq.empty()) ++dialog.cseq;
  SendRoutes(message, dialog.routes);
  message.Append("From", dialog.local + ";tag=" + dialog.local_tag);
  message.Append("To", dialog.remote + ";tag=" + dialog.remote_tag);
  message.Append("Call-ID", dialog.call_id);
  const std::string cseq = request.cseq.empty() ? absl::StrCat(dialog.cseq) : request.cseq;
  message.Append("CSeq", cseq + " " + request.method);
  if (RefreshesTarget(request.method) && request.headers.find("Contact:") == std::string::npos) {
    message.Append("Contact", "<" + options_.contact + ">");
  }
  AppendLines(message, request.headers);
  message.body = request.body;
  sent_[BranchOf(message.First("Via")) + " " + request.method] = message;
  send_(message.Text());
}

void SimulatedPhone::Cancel(const std::string& call_id) {
  for (const auto& [key, sent] : sent_) {
    if (sent.method() != "INVITE" || sent.First("Call-ID") != call_id) continue;
    SimulatedMessage cancel;
    cancel.start = absl::StrCat("CANCEL ", sent.uri(), " SIP/2.0");
    for (const char* const name : {"Via", "Max-Forwards", "From", "To", "Call-ID"}) {
      cancel.Append(name, sent.First(name));
    }
    for (const std::string& route : sent.All("Route")) cancel.Append("Route", route);
    cancel.Append("CSeq", "1 CANCEL");
    send_(cancel.Text());
    return;
  }
}

SimulatedDialog& SimulatedPhone::dialog(const std::string& call_id) {
  SimulatedDialog* newest = nullptr;
  for (const std::string& key : newest_) {
    const auto found = dialogs_.find(key);
    if (found == dialogs_.end() || found->second.call_id != call_id) continue;
    if (newest == nullptr || !newest->is_confirmed || found->second.is_confirmed) {
      newest = &found->second;
    }
  }
  if (newest != nullptr) return *newest;
  ADD_FAILURE() << options_.uri << " has no dialog of " << call_id;
  return none_ = {};
}

bool SimulatedPhone::HasDialog(const std::string& call_id) const {
  return std::any_of(dialogs_.begin(), dialogs_.end(),
                     [&](const auto& entry) { return entry.second.call_id == call_id; });
}

// -- What comes ----------------------------------------------------------------------------------

void SimulatedPhone::OnMessage(const std::string& text, const Reply& reply) {
  const SimulatedMessage message = SimulatedMessage::Of(text);
  if (message.is_response()) return OnResponse(message);
  OnRequest(message, reply);
}

SimulatedDialog* SimulatedPhone::FindDialog(const SimulatedMessage& request) {
  const std::string call_id = request.First("Call-ID");
  const std::string local = TagOf(request.First("To"));
  const std::string remote = TagOf(request.First("From"));
  const auto exact = dialogs_.find(KeyOf(call_id, local, remote));
  if (exact != dialogs_.end()) return &exact->second;
  // RFC 6665 §4.4.1: a NOTIFY may come before the answer to its SUBSCRIBE, or from another
  // notifier. Nothing else makes a dialog of one.
  const auto begun = dialogs_.find(KeyOf(call_id, local, ""));
  const bool is_subscription = begun != dialogs_.end() && begun->second.awaits_notify;
  if (!is_subscription || request.method() != "NOTIFY") return nullptr;
  SimulatedDialog made = begun->second;
  made.remote_tag = remote;
  const std::string key = KeyOf(call_id, local, remote);
  newest_.push_back(key);
  return &(dialogs_[key] = made);
}

std::string SimulatedPhone::BeginDialog(const SimulatedMessage& request) {
  SimulatedDialog dialog;
  dialog.call_id = request.First("Call-ID");
  dialog.local = WithoutTag(request.First("To"));
  dialog.remote = WithoutTag(request.First("From"));
  dialog.local_tag = absl::StrCat("t", ++count_, "-", ShortName(options_.uri));
  dialog.remote_tag = TagOf(request.First("From"));
  dialog.target = UriIn(request.First("Contact"));
  dialog.cseq = 100;
  dialog.routes = RoutesFrom(request);
  const std::string key = KeyOf(dialog.call_id, dialog.local_tag, dialog.remote_tag);
  dialogs_[key] = dialog;
  newest_.push_back(key);
  return dialog.local_tag;
}

void SimulatedPhone::OnRequest(const SimulatedMessage& request, const Reply& reply) {
  const std::string method = request.method();
  const bool is_again = std::any_of(served_.begin(), served_.end(), [&](const Served& served) {
    return served.request.First("Via") == request.First("Via") && served.request.method() == method;
  });
  if (is_again) return;
  requests_.push_back(request);
  if (method == "CANCEL") return OnCancel(request, reply);
  if (method == "ACK") return;
  Served& served = served_.emplace_back(Served{request, reply, "", 0});
  if (TagOf(request.First("To")).empty()) {
    served.tag = FormsDialog(method) ? BeginDialog(request) : absl::StrCat("t", ++count_);
  } else {
    SimulatedDialog* const dialog = FindDialog(request);
    if (dialog == nullptr) return Respond(served, 481, "");
    if (method == "NOTIFY" && std::exchange(dialog->awaits_notify, false) &&
        !request.First("Record-Route").empty()) {
      dialog->routes = RoutesFrom(request);
    }
    const std::string contact = request.First("Contact");
    if (RefreshesTarget(method) && !contact.empty()) dialog->target = UriIn(contact);
    dialog->is_confirmed |= method == "NOTIFY";
  }
  const auto statuses = answers.find(method);
  const bool is_inside = !TagOf(request.First("To")).empty();
  if (is_inside || statuses == answers.end())
    return Respond(served, method == "REFER" ? 202 : 200, "");
  for (const int status : statuses->second) Respond(served_.back(), status, "");
}

void SimulatedPhone::OnCancel(const SimulatedMessage& request, const Reply& reply) {
  Served cancel{request, reply, absl::StrCat("t", ++count_), 0};
  for (Served& served : served_) {
    const bool is_same = BranchOf(served.request.First("Via")) == BranchOf(request.First("Via"));
    if (!is_same || served.request.method() != "INVITE" || served.status >= 200) continue;
    Respond(cancel, 200, "");
    return Respond(served, 487, "");
  }
  Respond(cancel, 481, "");
}

void SimulatedPhone::Answer(const std::string& method, int status, const std::string& headers) {
  for (size_t i = served_.size(); i-- > 0;) {
    if (served_[i].request.method() == method) return Respond(served_[i], status, headers);
  }
  ADD_FAILURE() << options_.uri << " got no " << method;
}

void SimulatedPhone::Respond(Served& served, int status, const std::string& headers) {
  const SimulatedMessage& request = served.request;
  served.status = status;
  SimulatedMessage response;
  response.start = absl::StrCat("SIP/2.0 ", status, " ", ReasonOf(status));
  for (const std::string& via : request.All("Via")) response.Append("Via", via);
  const bool has_tag = !TagOf(request.First("To")).empty();
  const bool forms = FormsDialog(request.method()) && status > 100 && status < 300;
  if (forms && !has_tag) {
    for (const std::string& value : options_.record_routes) response.Append("Record-Route", value);
    for (const std::string& value : request.All("Record-Route")) {
      response.Append("Record-Route", value);
    }
  }
  const bool adds_tag = !has_tag && status > 100 && !served.tag.empty();
  response.Append("From", request.First("From"));
  response.Append("To", request.First("To") + (adds_tag ? ";tag=" + served.tag : ""));
  response.Append("Call-ID", request.First("Call-ID"));
  response.Append("CSeq", request.First("CSeq"));
  if (forms && headers.find("Contact:") == std::string::npos) {
    response.Append("Contact", "<" + options_.contact + ">");
  }
  AppendLines(response, headers);
  if (forms && !has_tag && status >= 200) {
    const std::string key =
        KeyOf(request.First("Call-ID"), served.tag, TagOf(request.First("From")));
    const auto dialog = dialogs_.find(key);
    if (dialog != dialogs_.end()) dialog->second.is_confirmed = true;
  }
  if (alter_response != nullptr) alter_response(response);
  served.reply(response.Text());
}

void SimulatedPhone::OnResponse(const SimulatedMessage& response) {
  responses_.push_back(response);
  const std::string branch = BranchOf(response.First("Via"));
  const auto found = sent_.find(branch + " " + response.method());
  if (found == sent_.end()) return;
  const int status = response.status();
  if (status > 100 && status < 300) return OnSuccess(response, found->second);
  if (status >= 300 && response.method() == "INVITE") AcknowledgeFailure(found->second, response);
}

// A 2xx, or the provisional response that makes an early dialog.
void SimulatedPhone::OnSuccess(const SimulatedMessage& response, const SimulatedMessage& sent) {
  const std::string remote_tag = TagOf(response.First("To"));
  if (!FormsDialog(response.method()) || remote_tag.empty()) return;
  const std::string call_id = response.First("Call-ID");
  const std::string local_tag = TagOf(response.First("From"));
  const std::string key = KeyOf(call_id, local_tag, remote_tag);
  const bool is_success = response.status() >= 200;
  const bool is_first = TagOf(sent.First("To")).empty();
  if (!dialogs_.contains(key)) {
    const auto begun = dialogs_.find(KeyOf(call_id, local_tag, ""));
    if (begun == dialogs_.end()) return;
    dialogs_[key] = begun->second;
    dialogs_[key].remote_tag = remote_tag;
    newest_.push_back(key);
  }
  SimulatedDialog& dialog = dialogs_[key];
  if (is_first && !dialog.is_confirmed) dialog.routes = RoutesFrom(response);
  const std::string contact = response.First("Contact");
  if (!contact.empty()) dialog.target = UriIn(contact);
  dialog.is_confirmed |= is_success;
  if (is_success && response.method() == "INVITE" && acknowledges) {
    Send(dialog, {.method = "ACK", .cseq = NumberOf(response.First("CSeq"))});
  }
}

void SimulatedPhone::AcknowledgeFailure(const SimulatedMessage& sent,
                                        const SimulatedMessage& response) {
  SimulatedMessage ack;
  ack.start = absl::StrCat("ACK ", sent.uri(), " SIP/2.0");
  for (const char* const name : {"Via", "Max-Forwards", "From"}) ack.Append(name, sent.First(name));
  for (const std::string& route : sent.All("Route")) ack.Append("Route", route);
  ack.Append("To", response.First("To"));
  ack.Append("Call-ID", sent.First("Call-ID"));
  ack.Append("CSeq", NumberOf(sent.First("CSeq")) + " ACK");
  send_(ack.Text());
}

// -- What came -----------------------------------------------------------------------------------

void SimulatedPhone::Forget() {
  requests_.clear();
  responses_.clear();
}

size_t SimulatedPhone::Count(const std::string& method) const {
  return static_cast<size_t>(
      std::count_if(requests_.begin(), requests_.end(),
                    [&](const SimulatedMessage& request) { return request.method() == method; }));
}

const SimulatedMessage* SimulatedPhone::Last(const std::string& method) const {
  for (size_t i = requests_.size(); i-- > 0;) {
    if (requests_[i].method() == method) return &requests_[i];
  }
  return nullptr;
}

int SimulatedPhone::Final(const std::string& call_id, const std::string& method) const {
  for (size_t i = responses_.size(); i-- > 0;) {
    const SimulatedMessage& response = responses_[i];
    if (response.First("Call-ID") == call_id && response.method() == method &&
        response.status() >= 200) {
      return response.status();
    }
  }
  return 0;
}

}  // namespace sallyport::sip::test
