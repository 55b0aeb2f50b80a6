// A user agent with dialog state (RFC 3261 §12), on whichever side: it sends requests, answers
// those that come, acknowledges, and remembers everything that it got.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/simulated_message.h"
#include "tests/simulation/simulated_world.h"

namespace sallyport::sip::test {

struct SimulatedPhoneOptions {
  std::string uri;      // Its address of record.
  std::string contact;  // A URI.
  std::string via;      // "SIP/2.0/TLS 192.0.2.20:5061"
  // Values that proxies between it and the edge add to Record-Route, topmost first. What it sends
  // has passed these when the edge gets it.
  std::vector<std::string> record_routes = {};
  std::string outbound_proxy = {};  // A Route value in front of every route set.
  std::string headers = {};         // Whole lines, of every request but CANCEL and a failure's ACK.
  bool reprints_routes = false;     // As PJSIP does: parameters in another order, `lr=on`.
};

struct SimulatedDialog {
  std::string call_id;
  std::string local;  // Without tag: "<sip:alice@a.example>".
  std::string remote;
  std::string local_tag;
  std::string remote_tag;  // "": nothing has come back yet.
  std::string target;
  std::vector<std::string> routes;
  uint32_t cseq = 0;
  bool is_caller = false;
  bool is_confirmed = false;   // A 2xx was sent or has come.
  bool awaits_notify = false;  // RFC 6665 §4.4.1: the first NOTIFY makes it.
};

class SimulatedPhone : public SimulatedElement {
 public:
  using SendText = std::function<void(const std::string& text)>;

  SimulatedPhone(SimulatedPhoneOptions options, SendText send);
  void set_send(SendText send) { send_ = std::move(send); }
  SimulatedPhoneOptions& options() { return options_; }
  const SimulatedPhoneOptions& options() const { return options_; }

  // -- What it does by itself.
  // By method: the statuses that a request out of a dialog is answered with, in order; missing: 200
  // (202 for a REFER, as in a dialog). An empty list: no answer.
  std::map<std::string, std::vector<int>> answers;
  bool acknowledges = true;
  // Changes each response before it is sent.
  std::function<void(SimulatedMessage& response)> alter_response;

  // -- Out of a dialog. Each returns the Call-ID. `headers`: whole lines; a From line in `from`.
  struct Out {
    std::string method = "INVITE";
    std::string uri;
    std::string to = {};    // Default: "<uri>".
    std::string from = {};  // Default: its own.
    std::string headers = {};
    std::string body = {};
    std::vector<std::string> routes = {};
  };
  std::string Send(const Out& request);
  std::string Call(const std::string& uri) { return Send({.uri = uri}); }
  std::string Register();

  // -- In a dialog.
  struct In {
    std::string method;
    std::string uri = {};  // Default: the remote target.
    std::string headers = {};
    std::string body = {};
    std::string cseq = {};  // Its number; default: the next one.
  };
  void Send(SimulatedDialog& dialog, const In& request);
  void Send(const std::string& call_id, const In& request) { Send(dialog(call_id), request); }
  // The dialog of that call; of several the one that was confirmed, or the newest. If there is none
  // the test fails, and gets an empty one.
  SimulatedDialog& dialog(const std::string& call_id);
  bool HasDialog(const std::string& call_id) const;
  std::map<std::string, SimulatedDialog>& dialogs() { return dialogs_; }
  const std::map<std::string, SimulatedDialog>& dialogs() const { return dialogs_; }

  // -- Answers of the test's own to the newest request of that method.
  void Answer(const std::string& method, int status, const std::string& headers = "");
  void Cancel(const std::string& call_id);

  void OnMessage(const std::string& text, const Reply& reply) override;

  // -- What came, since the last Forget.
  void Forget();
  const std::vector<SimulatedMessage>& requests() const { return requests_; }
  const std::vector<SimulatedMessage>& responses() const { return responses_; }
  size_t Count(const std::string& method) const;                  // Requests.
  const SimulatedMessage* Last(const std::string& method) const;  // Request; nullptr: none.
  // Of its newest request of that method in that call; 0: none yet.
  int Final(const std::string& call_id, const std::string& method) const;

 private:
  struct Served {
    SimulatedMessage request;
    Reply reply;
    std::string tag;
    int status = 0;
  };

  void OnRequest(const SimulatedMessage& request, const Reply& reply);
  void OnResponse(const SimulatedMessage& response);
  void OnCancel(const SimulatedMessage& request, const Reply& reply);
  void OnSuccess(const SimulatedMessage& response, const SimulatedMessage& sent);
  void AcknowledgeFailure(const SimulatedMessage& sent, const SimulatedMessage& response);
  SimulatedDialog* FindDialog(const SimulatedMessage& request);
  // For a request that begins a dialog: its local tag.
  std::string BeginDialog(const SimulatedMessage& request);
  void Respond(Served& served, int status, const std::string& headers);
  SimulatedMessage Begin(const std::string& method, const std::string& uri);
  void SendRoutes(SimulatedMessage& message, const std::vector<std::string>& routes) const;

  SimulatedPhoneOptions options_;
  SendText send_;
  std::map<std::string, SimulatedDialog> dialogs_;  // By Call-ID, local and remote tag.
  std::vector<std::string> newest_;                 // Keys of dialogs_, in order.
  SimulatedDialog none_;
  std::map<std::string, SimulatedMessage> sent_;  // By branch and method.
  std::vector<Served> served_;
  std::vector<SimulatedMessage> requests_;
  std::vector<SimulatedMessage> responses_;
  uint32_t count_ = 0;
};

}  // namespace sallyport::sip::test
