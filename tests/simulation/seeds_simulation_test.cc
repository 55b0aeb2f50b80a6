// Whole shards under chance: clients outside, senders and servers inside, servers that are dialled
// and fail in every way, on an unkind kernel and network. Each seed is one world; at its end every
// request has had its one answer and nothing is left over.
//
//   SALLYPORT_SEEDS=n   how many
//   SALLYPORT_SEED=n    only this one

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/simulation/simulated_edge.h"
#include "tests/simulation/simulated_texts.h"

namespace sallyport::sip::test {
namespace {

#ifdef SALLYPORT_SANITIZED
constexpr uint64_t kSeeds = 500;
#else
constexpr uint64_t kSeeds = 10000;
#endif
constexpr uint64_t kBlocks = 20;

constexpr char kConfig[] =
    "[[listener]]\nname = \"core-tcp\"\naddress = \"127.0.0.1:5071\"\ntransport = \"tcp\"\n"
    "zone = \"inside\"\n"
    "[[next-hop]]\nname = \"partner\"\nzone = \"outside\"\nidentity = \"p.example\"\n"
    "targets = [\"tls:192.0.2.3:5061\", \"tls:192.0.2.4:5061\"]\n"
    "[[route]]\nzone = \"inside\"\ndomain = \"p.example\"\nnext-hop = \"partner\"\n";

// Somebody who sends and gets messages over one socket or one connection at a time.
struct Agent {
  std::string name;
  std::string label;    // Whom requests are for: several may be the same to those who send.
  std::string via;      // Without the branch.
  std::string uri;      // Of its From.
  std::string contact;  // Its URI.
  bool is_reliable = true;
  std::function<void(std::string_view)> send;
  std::function<std::vector<std::string>()> take;
  std::function<core::RemoteConnection*()> connection;  // nullptr from it: none, or UDP.
  core::RemoteConnection* killed = nullptr;             // The connection that we have ended.
  int64_t lost_at = -1;

  bool is_alive() const {
    if (!is_reliable) return true;
    const core::RemoteConnection* const now = connection();
    return now != nullptr && now != killed && !now->saw_end() && !now->saw_reset();
  }
};

class World {
 public:
  explicit World(uint64_t seed)
      : random_(seed), edge_(Options(seed)), descriptors_(edge_.backend().descriptors_open()) {
    memory_ = edge_.shard().reactor().buffers().bytes_in_use();
  }

  void Play() {
    MakeOutside();
    MakeAgents();
    const uint64_t requests = 3 + Draw(9);
    for (uint64_t i = 0; i < requests; ++i) {
      At(static_cast<int64_t>(Draw(4000)), [this, i] { Begin(i); });
    }
    if (Chance(0.4)) At(static_cast<int64_t>(Draw(4000)), [this] { Disturb(); });
    Run(6000, 40);
    Run(70000, 500);
    Run(300000, 5000);
    Check();
  }

 private:
  // A request that somebody sent.
  struct Sent {
    Agent* agent = nullptr;
    RequestText text;
    bool is_refused = false;
    int64_t at = 0;
    int64_t interval = 500;
    bool is_provisional = false;
    uint16_t status = 0;  // Of the final response.
  };
  // A request that somebody got.
  struct Served {
    Agent* agent = nullptr;
    std::string request;
    std::string response;  // The last.
    uint16_t status = 0;
    bool is_acknowledged = false;
    int64_t interval = 500;
  };

  // -- Chance and time.
  uint64_t Draw(uint64_t bound) { return random_() % bound; }
  bool Chance(double probability) {
    return static_cast<double>(random_() >> 11) * 0x1.0p-53 < probability;
  }
  template <typename T>
  const T& One(const std::vector<T>& of) {
    return of[Draw(of.size())];
  }
  void At(int64_t delay, std::function<void()> action) {
    actions_.emplace(now_ + delay, std::move(action));
  }
  void Run(int64_t until, int64_t step) {
    while (now_ < until) {
      now_ += step;
      edge_.Run(absl::Milliseconds(step), absl::Milliseconds(step));
      Listen();
      while (!actions_.empty() && actions_.begin()->first <= now_) {
        const std::function<void()> action = std::move(actions_.begin()->second);
        actions_.erase(actions_.begin());
        action();
      }
      edge_.Settle();
      Listen();
    }
  }
  void Listen() {
    for (const auto& agent : agents_) {
      if (agent->is_reliable && agent->connection() != nullptr && !agent->is_alive() &&
          agent->killed != agent->connection()) {
        agent->killed = agent->connection();
        agent->lost_at = now_;
      }
      for (const std::string& message : agent->take()) {
        if (absl::StartsWith(message, "SIP/2.0 ")) {
          OnResponse(*agent, message);
        } else {
          OnRequest(*agent, message);
        }
      }
    }
  }

  SimulatedEdgeOptions Options(uint64_t seed) {
    const auto fault = [this](double most) {
      return Chance(0.5) ? 0 : most * static_cast<double>(Draw(100)) / 100;
    };
    SimulatedEdgeOptions options{
        .seed = seed, .timeouts = "target = \"4s\"\nconnect = \"2s\"\n", .extra = kConfig};
    options.faults.partial_read = fault(0.5);
    options.faults.short_send = fault(0.5);
    options.faults.late_completion = fault(0.3);
    options.faults.reordered = fault(0.3);
    options.faults.no_buffers = fault(0.1);
    options.faults.multishot_end = fault(0.2);
    options.faults.datagram_loss = fault(0.2);
    options.faults.datagram_twice = fault(0.2);
    return options;
  }

  // -- Who there is.
  void MakeOutside() {
    edge_.dns().set_latency(One(std::vector<absl::Duration>{
        absl::Milliseconds(1), absl::Milliseconds(100), absl::Seconds(3), absl::Seconds(12)}));
    edge_.dns().Srv("_sips._tcp.b.example", 10, 0, 5061, "sip1.b.example");
    edge_.dns().Srv("_sips._tcp.b.example", Chance(0.5) ? 10 : 20, 1, 5061, "sip2.b.example");
    edge_.dns().A("sip1.b.example", "192.0.2.1");
    edge_.dns().A("sip2.b.example", "192.0.2.2");
    for (const auto& [address, domain] :
         std::vector<std::pair<std::string, std::string>>{{"192.0.2.1", "b.example"},
                                                          {"192.0.2.2", "b.example"},
                                                          {"192.0.2.3", "p.example"},
                                                          {"192.0.2.4", "p.example"}}) {
      const std::string place = address + ":5061";
      switch (Draw(8)) {
        case 0:
          break;  // Refuses.
        case 1:
          edge_.network().Blackhole(*core::SocketAddress::Parse(place));
          break;
        case 2:
          wrong_.push_back(&edge_.Serve(place, &SimulatedCertificate("m.example")));
          break;
        default:
          AddServer(place, domain);
          break;
      }
    }
  }

  void AddServer(const std::string& place, const std::string& domain) {
    SimulatedServer& server = edge_.Serve(place, &SimulatedCertificate(domain));
    Agent& agent = *agents_.emplace_back(std::make_unique<Agent>());
    agent.name = place;
    agent.label = domain;
    agent.via = "SIP/2.0/TLS sip." + domain;
    agent.uri = "sip:bob@" + domain;
    agent.contact = "sip:bob@" + place + ";transport=tls";
    BeServer(server, agent);
    dialled_.push_back(&agent);
  }

  static bool IsAsking(const std::string& message) {
    return Value(message, "User-Agent") == "Sallyport";
  }

  // The edge's own OPTIONS have a connection of their own, are answered there, and tell nothing to
  // the agent. The newest other connection is the agent's.
  static void BeServer(SimulatedServer& server, Agent& agent) {
    const auto used = std::make_shared<std::optional<size_t>>();
    agent.send = [&server, used](std::string_view message) {
      if (used->has_value()) return server.SendOn(**used, message);
      server.Send(message);
    };
    agent.take = [&server, used] {
      std::vector<std::string> messages;
      for (auto& [connection, message] : server.TakeArrivals()) {
        if (IsAsking(message)) {
          server.SendOn(connection, ResponseText(message, 200, "OK"));
          continue;
        }
        *used = std::max(used->value_or(0), connection);
        messages.push_back(std::move(message));
      }
      return messages;
    };
    agent.connection = [&server, used] {
      return used->has_value() ? server.connection(**used) : server.connection();
    };
  }

  void MakeAgents() {
    for (const std::string domain : {"a.example", "c.example"}) {
      SimulatedPeer& peer = edge_.Connect(domain);
      Agent& agent = *agents_.emplace_back(std::make_unique<Agent>());
      agent.name = agent.label = domain;
      agent.via = "SIP/2.0/TLS client." + domain;
      agent.uri = "sip:alice@" + domain;
      agent.contact = "sip:alice@192.0.2.9:5061;transport=tls;ob";
      agent.send = [&peer](std::string_view message) { peer.Send(message); };
      agent.take = [&peer] { return peer.TakeMessages(); };
      agent.connection = [&peer] { return &peer.connection(); };
      clients_.push_back(&agent);
    }
    Agent& udp = *agents_.emplace_back(std::make_unique<Agent>());
    udp.name = udp.label = "core";
    udp.via = "SIP/2.0/UDP 127.0.0.1:5080";
    udp.uri = "sip:caller@edge.example";
    udp.contact = "sip:caller@127.0.0.1:5080";
    udp.is_reliable = false;
    udp.send = [this](std::string_view message) { edge_.NextHopSend(message); };
    udp.take = [this] {
      std::vector<std::string> messages;
      while (auto message = edge_.NextHopTake()) {
        if (IsAsking(*message)) {
          edge_.NextHopSend(ResponseText(*message, 200, "OK"));
        } else {
          messages.push_back(*message);
        }
      }
      return messages;
    };
    udp.connection = [] { return nullptr; };
    core_ = &udp;
    AddTcp();
  }

  // Sends on a connection of its own; what is sent to its Contact comes on one that the edge dials.
  void AddTcp() {
    SimulatedServer& listener = edge_.Serve("127.0.0.1:5090");
    core::RemoteConnection* const connection =
        edge_.network().Connect(*core::SocketAddress::Parse("127.0.0.1:5071"));
    for (const bool dials : {true, false}) {
      Agent& agent = *agents_.emplace_back(std::make_unique<Agent>());
      agent.name = "tcp";
      agent.label = "core-tcp";
      agent.via = "SIP/2.0/TCP 127.0.0.1:5090";
      agent.uri = "sip:caller@edge.example";
      agent.contact = "sip:caller@127.0.0.1:5090;transport=tcp";
      if (dials) {
        agent.send = [connection](std::string_view message) { connection->Send(message); };
        agent.take = [this, connection] {
          tcp_bytes_ += connection->TakeReceived();
          return TakeWhole(tcp_bytes_);
        };
        agent.connection = [connection] { return connection; };
        tcp_ = &agent;
      } else {
        BeServer(listener, agent);
      }
    }
  }

  // -- What they do.
  void Disturb() {
    std::vector<Agent*> candidates = dialled_;
    candidates.insert(candidates.end(), clients_.begin(), clients_.end());
    candidates.push_back(tcp_);
    Agent& agent = *One(candidates);
    core::RemoteConnection* const connection = agent.connection();
    if (connection == nullptr) return;
    if (Chance(0.4)) {
      connection->set_reading(false);
      return At(static_cast<int64_t>(500 + Draw(6000)),
                [connection] { connection->set_reading(true); });
    }
    agent.killed = connection;
    agent.lost_at = now_;
    if (Chance(0.5)) return connection->Finish();
    connection->Reset();
  }

  void Begin(uint64_t i) {
    const std::string id = absl::StrCat("r", i);
    const std::string method =
        One(std::vector<std::string>{"INVITE", "INVITE", "INVITE", "MESSAGE", "OPTIONS"});
    switch (Draw(10)) {
      case 0:
        return BeginRefused(id, method);
      case 1:
        return Register(id);
      case 2:
      case 3:
        return BeginIncoming(id, method);
      case 4:
      case 5:
        return BeginOnFlow(id, method);
      default:
        return BeginOutgoing(id, method);
    }
  }

  RequestText Blank(const Agent& from, const std::string& id, const std::string& method,
                    const std::string& to_label) {
    RequestText text;
    text.method = method;
    text.via = from.via;
    text.branch = id;
    text.from = "<" + from.uri + ">;tag=" + id;
    text.call_id = id;
    text.headers = absl::StrCat("X-To: ", to_label, "\r\nContact: <", from.contact, ">\r\n");
    return text;
  }

  void BeginIncoming(const std::string& id, const std::string& method) {
    Agent& from = *One(clients_);
    SendNew(from, Blank(from, id, method, "core"));
  }

  // Everything that the edge must not let in.
  void BeginRefused(const std::string& id, const std::string& method) {
    Agent& from = *One(clients_);
    RequestText text = Blank(from, id, method, "nobody");
    text.headers += "X-Refused: yes\r\n";
    switch (Draw(4)) {
      case 0:
        text.from = "<sip:boss@edge.example>;tag=1";
        break;
      case 1:
        text.uri = "sip:bob@elsewhere.example";
        break;
      case 2:
        text.headers += "Proxy-Require: magic\r\n";
        break;
      case 3:  // A Route of ours that is no token opens no way to what is not ours.
        text.uri = "sip:bob@10.0.0.9:5099";
        text.headers += "Route: <sip:AAAAAAAAAAAAAAAAAAAA@edge.example;lr>\r\n";
        break;
    }
    SendNew(from, text, true);
  }

  void Register(const std::string& id) {
    Agent& from = *One(clients_);
    RequestText text = Blank(from, id, "REGISTER", "core");
    text.uri = "sip:edge.example";
    text.to = "<" + from.uri + ">";
    text.headers = "X-To: core\r\nSupported: path, outbound\r\nContact: <" + from.contact +
                   ">;reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n";
    SendNew(from, text);
  }

  // From the inside down a connection that a client opened, as far as it has registered.
  void BeginOnFlow(const std::string& id, const std::string& method) {
    const Agent& to = *One(clients_);
    Agent& from = Chance(0.5) ? *core_ : *tcp_;
    const auto path = paths_.find(to.uri);
    if (path == paths_.end()) return Register(id);
    RequestText text = Blank(from, id, method, to.label);
    text.uri = to.contact;
    text.to = "<" + to.uri + ">";
    text.headers += "Route: " + path->second + "\r\n";
    SendNew(from, text);
  }

  void BeginOutgoing(const std::string& id, const std::string& method) {
    Agent& from = Chance(0.6) ? *core_ : *tcp_;
    const std::string host = One(std::vector<std::string>{
        "b.example", "b.example", "b.example", "p.example", "p.example", "n.example", "192.0.2.1"});
    RequestText text = Blank(from, id, method, host);
    text.uri = "sip:bob@" + host;
    text.to = "<sip:bob@" + host + ">";
    SendNew(from, text);
  }

  void SendNew(Agent& from, const RequestText& text, bool is_refused = false) {
    if (!from.is_alive()) return;
    const std::string key = text.branch + " " + text.method;
    Sent& sent = sent_[key];
    sent.agent = &from;
    sent.text = text;
    sent.is_refused = is_refused;
    sent.at = now_;
    from.send(text.Text());
    if (!from.is_reliable) At(500, [this, key] { Resend(key); });
    if (text.method == "INVITE" && Chance(0.3)) {
      At(static_cast<int64_t>(Draw(5000)), [this, key] { Cancel(key); });
    }
  }

  // §17.1.1.2, §17.1.2.2; but longer than Timer F, so that the edge's 408 may be lost, too.
  void Resend(const std::string& key) {
    Sent& sent = sent_.at(key);
    const bool is_over = sent.status != 0 || now_ - sent.at > 60000 ||
                         (sent.text.method == "INVITE" && sent.is_provisional);
    if (is_over) return;
    sent.agent->send(sent.text.Text());
    sent.interval = std::min<int64_t>(2 * sent.interval, 4000);
    At(sent.interval, [this, key] { Resend(key); });
  }

  void Cancel(const std::string& key) {
    const Sent& invite = sent_.at(key);
    if (invite.status != 0) return;
    RequestText text = invite.text;
    text.method = "CANCEL";
    SendNew(*invite.agent, text, invite.is_refused);
  }

  void OnResponse(Agent& agent, const std::string& message) {
    const std::string branch = TopBranch(message).substr(7);
    const std::string cseq = Value(message, "CSeq");
    const auto found = sent_.find(branch + cseq.substr(cseq.find(' ')));
    ASSERT_NE(found, sent_.end()) << agent.name << " got a response of nobody:\n" << message;
    Sent& sent = found->second;
    ASSERT_EQ(sent.agent->name, agent.name) << message;
    ASSERT_EQ(Values(message, "Via").size(), 1U) << message;
    const auto status = static_cast<uint16_t>(std::stoi(message.substr(8, 3)));
    if (status < 200) {
      sent.is_provisional = true;
      EXPECT_TRUE(sent.status == 0 || !agent.is_reliable) << message;
      return;
    }
    const bool is_first = sent.status == 0;
    const bool is_invite = sent.text.method == "INVITE";
    if (!is_first) {
      // §16.7 step 5: every 2xx of an INVITE passes, even after a failure (of a silent target that
      // had it first, say).
      const bool is_success = is_invite && status / 100 == 2;
      const bool repeats = !sent.agent->is_reliable && status == sent.status;
      EXPECT_TRUE(is_success || repeats) << sent.status << ", then\n" << message;
    }
    EXPECT_TRUE(!sent.is_refused || sent.text.method == "CANCEL" || status >= 400) << message;
    sent.status = status;
    if (is_invite) Acknowledge(sent, message, is_first);
  }

  void Acknowledge(const Sent& invite, const std::string& response, bool is_first) {
    Agent& agent = *invite.agent;
    RequestText ack = invite.text;
    ack.method = "ACK";
    ack.to = Value(response, "To");
    if (invite.status / 100 == 2) {
      const std::string contact = Value(response, "Contact");
      ack.branch += "a";
      ack.uri = contact.substr(1, contact.find('>') - 1);
      ack.headers =
          absl::StrCat("X-To: ", Value(response, "X-From"), "\r\n", RouteLinesForCaller(response));
    }
    if (agent.is_alive()) agent.send(ack.Text());
    if (invite.status / 100 != 2 || !is_first || Chance(0.5)) return;
    RequestText bye = ack;
    bye.method = "BYE";
    bye.branch += "b";
    bye.cseq = "2";
    At(static_cast<int64_t>(Draw(1000)), [this, &agent, bye] { SendNew(agent, bye); });
  }

  // -- What they answer.
  void OnRequest(Agent& agent, const std::string& message) {
    ASSERT_EQ(Value(message, "X-Refused"), "") << agent.name << " got\n" << message;
    const std::string method = message.substr(0, message.find(' '));
    const std::string key = agent.name + TopBranch(message);
    // The edge's own ACK and CANCEL are for whoever has the INVITE.
    const bool is_hop_by_hop = method == "CANCEL" || (method == "ACK" && served_.contains(key));
    ASSERT_TRUE(is_hop_by_hop ? served_.contains(key) : Value(message, "X-To") == agent.label)
        << agent.name << " got\n"
        << message;
    const std::string call = agent.name + Value(message, "Call-ID");
    if (method == "ACK") return OnAck(agent, key, call);
    if (method == "CANCEL") {
      agent.send(ResponseText(message, 200, "OK"));
      return Respond(key, 487);
    }
    if (served_.contains(key)) {
      EXPECT_FALSE(agent.is_reliable) << agent.name << " got twice\n" << message;
      if (!served_[key].response.empty()) agent.send(served_[key].response);
      return;
    }
    Served& served = served_[key];
    served.agent = &agent;
    served.request = message;
    if (method == "INVITE") calls_[call] = key;
    if (method == "REGISTER") NotePath(message);
    if (method == "REGISTER") return Respond(key, 200);
    Answer(key, method == "INVITE");
  }

  void NotePath(const std::string& message) {
    const std::string to = Value(message, "To");
    paths_[to.substr(1, to.find('>') - 1)] = Value(message, "Path");
  }

  void Answer(const std::string& key, bool is_invite) {
    const bool rings = is_invite && Chance(0.5);
    if (rings) {
      At(static_cast<int64_t>(Draw(500)),
         [this, key, status = uint16_t(Chance(0.2) ? 100 : 180)] { Respond(key, status); });
    }
    const uint16_t status =
        One(std::vector<uint16_t>{200, 200, 200, 200, 486, 404, 503, 503, 0, 603});
    const uint64_t longest = Chance(0.2) ? 8000 : 1500;  // Longer than timeouts.target, too.
    if (status == 0) return;
    At(static_cast<int64_t>((rings ? 500 : 0) + Draw(longest)),
       [this, key, status] { Respond(key, status); });
  }

  void Respond(const std::string& key, uint16_t status) {
    Served& served = served_.at(key);
    if (served.status >= 200) return;
    served.status = status;
    served.response = ResponseText(served.request, status, "So",
                                   absl::StrCat("Contact: <", served.agent->contact,
                                                ">\r\nX-From: ", served.agent->label, "\r\n"));
    if (served.agent->is_alive()) served.agent->send(served.response);
    const bool is_invite = absl::StartsWith(served.request, "INVITE ");
    const bool repeats = is_invite && status >= 200 && (status < 300 || !served.agent->is_reliable);
    if (repeats) At(500, [this, key] { Repeat(key); });
  }

  // §13.3.1.4, Timer G.
  void Repeat(const std::string& key) {
    Served& served = served_.at(key);
    served.interval = std::min<int64_t>(2 * served.interval, 4000);
    repeats_[key] += served.interval;
    if (served.is_acknowledged || repeats_[key] > 32000) return;
    if (served.agent->is_alive()) served.agent->send(served.response);
    At(served.interval, [this, key] { Repeat(key); });
  }

  void OnAck(Agent& agent, const std::string& key, const std::string& call) {
    const auto failed = served_.find(key);
    if (failed != served_.end()) {
      failed->second.is_acknowledged = true;
      return;
    }
    const auto found = calls_.find(call);
    if (found == calls_.end()) {
      // Of a late 2xx, after its server had been given up: in a group another takes its place.
      const std::string id = call.substr(agent.name.size());
      EXPECT_TRUE(std::any_of(calls_.begin(), calls_.end(),
                              [&id](const auto& known) { return known.first.ends_with(id); }))
          << agent.name << " got an ACK of no call";
      return;
    }
    Served& served = served_.at(found->second);
    if (std::exchange(served.is_acknowledged, true) || Chance(0.5)) return;
    const std::string& invite = served.request;
    const std::string contact = Value(invite, "Contact");
    RequestText bye;
    bye.method = "BYE";
    bye.uri = contact.substr(1, contact.find('>') - 1);
    bye.via = agent.via;
    bye.branch = absl::StrCat(Value(invite, "Call-ID"), "c");
    bye.from = Value(invite, "To") + ";tag=uas";
    bye.to = Value(invite, "From");
    bye.call_id = Value(invite, "Call-ID");
    bye.headers = absl::StrCat("X-To: ", OwnerOf(bye.call_id), "\r\n", RouteLinesForCallee(invite));
    if (!sent_.contains(bye.branch + " BYE")) SendNew(agent, bye);
  }

  std::string OwnerOf(const std::string& call_id) {
    return sent_.at(call_id + " INVITE").agent->label;
  }

  // A 2xx over UDP is repeated by who sent it (RFC 3261 §13.3.1.4), not by the edge: if that one is
  // gone, a lost datagram stays lost.
  bool IsLostWithItsCallee(const Sent& sent) const {
    if (sent.agent->is_reliable || sent.text.method != "INVITE") return false;
    return std::any_of(served_.begin(), served_.end(), [&sent](const auto& entry) {
      const Served& served = entry.second;
      return Value(served.request, "Call-ID") == sent.text.call_id && served.status / 100 == 2 &&
             !served.agent->is_alive();
    });
  }

  // -- What must hold in the end.
  void Check() {
    for (const auto& [key, sent] : sent_) {
      const bool may_be_lost = sent.agent->lost_at >= sent.at || IsLostWithItsCallee(sent);
      EXPECT_TRUE(sent.status != 0 || may_be_lost) << sent.agent->name << " waits for " << key;
    }
    for (SimulatedServer* const server : wrong_) EXPECT_EQ(server->Take(), "");
    EXPECT_EQ(Transactions(edge_), 0U);
    EXPECT_EQ(edge_.progress().unanswered, 0U);
    EXPECT_EQ(edge_.shard().reactor().buffers().bytes_in_use(), memory_);
    EXPECT_EQ(edge_.backend().buffers_out(), 0U);
    EXPECT_EQ(edge_.backend().descriptors_open(), descriptors_ + edge_.progress().connections);
    uint64_t open = 0;
    for (const auto& agent : agents_) open += agent->is_reliable && agent->is_alive();
    EXPECT_EQ(edge_.progress().connections, open);
  }

  std::mt19937_64 random_;
  SimulatedEdge edge_;
  const uint32_t descriptors_;
  size_t memory_ = 0;
  int64_t now_ = 0;  // Milliseconds.
  std::multimap<int64_t, std::function<void()>> actions_;
  std::vector<std::unique_ptr<Agent>> agents_;
  std::vector<Agent*> clients_;
  std::vector<Agent*> dialled_;
  Agent* core_ = nullptr;
  Agent* tcp_ = nullptr;
  std::string tcp_bytes_;
  std::vector<SimulatedServer*> wrong_;
  std::map<std::string, Sent> sent_;          // By branch and method.
  std::map<std::string, Served> served_;      // By agent and branch.
  std::map<std::string, std::string> calls_;  // Agent and Call-ID: key of its INVITE.
  std::map<std::string, int64_t> repeats_;
  std::map<std::string, std::string> paths_;  // By address of record.
};

uint64_t Environment(const char* name, uint64_t missing) {
  const char* const text = std::getenv(name);
  return text == nullptr ? missing : std::strtoull(text, nullptr, 10);
}

class SeedsSimulationTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SeedsSimulationTest, EveryRequestIsAnsweredOnceAndNothingIsLeft) {
  const uint64_t single = Environment("SALLYPORT_SEED", 0);
  const uint64_t seeds = Environment("SALLYPORT_SEEDS", kSeeds);
  for (uint64_t seed = 1 + GetParam(); seed <= seeds || single != 0; seed += kBlocks) {
    if (single != 0) {
      if (GetParam() != 0) GTEST_SKIP();
      seed = single;
    }
    SCOPED_TRACE(absl::StrCat("SALLYPORT_SEED=", seed));
    World(seed).Play();
    if (HasFailure()) {
      std::fprintf(stderr, "Again: SALLYPORT_SEED=%llu\n", static_cast<unsigned long long>(seed));
      return;
    }
    if (single != 0) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, SeedsSimulationTest, ::testing::Range(uint64_t{0}, kBlocks));

}  // namespace
}  // namespace sallyport::sip::test
