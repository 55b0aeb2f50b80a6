#include "bench/sipbench/request_load.h"

#include <algorithm>

#include "bench/sipbench/clock.h"

namespace sallyport::bench {
namespace {
constexpr int64_t kIdleWait = kNanosecondsPerSecond / 10;
}

RequestLoad::RequestLoad(EventLoop* loop, const RequestPlan& plan)
    : loop_(loop), plan_(plan), peers_(plan.connections) {
  templates_.reserve(plan_.senders.size());
  for (const RequestSender& sender : plan_.senders) {
    RequestShape shape = plan_.shape;
    shape.from = sender.from;
    templates_.emplace_back(shape);
  }
  for (size_t i = 0; i < peers_.size(); ++i) {
    Peer& peer = peers_[i];
    peer.sender = &plan_.senders[i % plan_.senders.size()];
    peer.request = &templates_[i % templates_.size()];
    peer.connection = std::make_unique<TlsConnection>(loop_, this, i);
    peer.slots.resize(plan_.window);
    for (uint32_t slot = plan_.window; slot > 0; --slot) peer.free_slots.push_back(slot - 1);
  }
}

bool RequestLoad::Connect() {
  return std::all_of(peers_.begin(), peers_.end(), [this](Peer& peer) {
    return peer.connection->Open(*peer.sender->client, plan_.target, peer.sender->source_host,
                                 TlsSession());
  });
}

void RequestLoad::Start() {
  running_ = true;
  schedule_start_ = MonotonicNanoseconds();
  scheduled_ = 0;
}

RequestLoad::Peer* RequestLoad::NextPeerWithRoom() {
  for (size_t tried = 0; tried < peers_.size(); ++tried) {
    Peer& peer = peers_[next_peer_];
    next_peer_ = (next_peer_ + 1) % peers_.size();
    if (peer.connection->is_open() && !peer.free_slots.empty()) return &peer;
  }
  return nullptr;
}

int64_t RequestLoad::Turn() {
  int64_t wait = kIdleWait;
  if (running_ && plan_.rate > 0) {
    const int64_t now = MonotonicNanoseconds();
    for (;;) {
      const double offset = static_cast<double>(scheduled_) / plan_.rate * kNanosecondsPerSecond;
      const int64_t due = schedule_start_ + static_cast<int64_t>(offset);
      if (due > now) {
        wait = due - now;
        break;
      }
      Peer* const peer = NextPeerWithRoom();
      if (peer == nullptr) break;  // Stays due: its latency runs.
      Send(*peer, due);
      ++scheduled_;
    }
  }
  for (Peer& peer : peers_) {
    if (!peer.connection->is_open()) continue;
    while (running_ && plan_.rate <= 0 && !peer.free_slots.empty())
      Send(peer, MonotonicNanoseconds());
    if (!peer.outgoing.empty()) {
      peer.connection->Seal(peer.outgoing);
      peer.outgoing.clear();
    }
    peer.connection->Flush();
  }
  return wait;
}

void RequestLoad::Send(Peer& peer, int64_t due) {
  const uint32_t index = peer.free_slots.back();
  peer.free_slots.pop_back();
  Slot& slot = peer.slots[index];
  ++slot.sequence;
  slot.due = due;
  slot.in_flight = true;
  scratch_.clear();
  const RequestId id{static_cast<uint32_t>(peer.connection->tag()), index, slot.sequence};
  peer.request->AppendRequest(id, &scratch_);
  Put(peer, scratch_);
  ++counts_.sent;
  ++in_flight_;
}

void RequestLoad::Put(Peer& peer, const std::string& message) {
  if (plan_.coalesce) {
    peer.outgoing.append(message);
  } else if (!peer.connection->Seal(message)) {
    Fault("request could not be sealed");
  }
}

void RequestLoad::OnOpen(TlsConnection&) { ++open_; }

void RequestLoad::OnData(TlsConnection& connection, std::string_view plaintext) {
  Peer& peer = peers_[connection.tag()];
  const bool continued = !peer.unread.empty();
  if (continued) peer.unread.append(plaintext);
  std::string_view bytes = continued ? std::string_view(peer.unread) : plaintext;
  while (!bytes.empty()) {
    const size_t length = MessageLength(bytes);
    if (length == 0) break;
    OnResponse(peer, bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  peer.unread = std::string(bytes);
}

void RequestLoad::OnResponse(Peer& peer, std::string_view message) {
  const std::optional<MessageFacts> facts = ReadFacts(message);
  RequestId id{};
  if (!facts || facts->status == 0) return Fault("not a response");
  if (!RequestTemplate::ReadBranch(facts->branch, &id)) return Fault("foreign branch");
  if (id.connection != peer.connection->tag() || id.slot >= peer.slots.size()) {
    return Fault("response on another connection");
  }
  Slot& slot = peer.slots[id.slot];
  if (id.sequence != slot.sequence || !slot.in_flight)
    return Fault("response to nothing in flight");
  if (facts->via_count != 1) Fault("not exactly one Via");
  if (facts->cseq != uint64_t{id.sequence} + 1 || facts->cseq_method != peer.request->method())
    Fault("wrong CSeq");
  if (facts->status < 200) {
    ++counts_.provisional;
    return;
  }
  if (peer.request->method() == "INVITE") {
    scratch_.clear();
    peer.request->AppendAck(id, facts->status < 300, &scratch_);
    Put(peer, scratch_);
  }
  counts_.latency.Add(MonotonicNanoseconds() - slot.due);
  ++counts_.codes[facts->status];
  ++counts_.completed;
  slot.in_flight = false;
  --in_flight_;
  peer.free_slots.push_back(id.slot);
}

void RequestLoad::OnClosed(TlsConnection& connection, const std::string& reason) {
  ++counts_.connections_lost;
  ++counts_.faults["connection: " + reason];
  for (Slot& slot : peers_[connection.tag()].slots) {
    if (slot.in_flight) --in_flight_;
    slot.in_flight = false;
  }
}

}  // namespace sallyport::bench
