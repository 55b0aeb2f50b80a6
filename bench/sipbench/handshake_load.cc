#include "bench/sipbench/handshake_load.h"

#include <utility>

#include "bench/sipbench/clock.h"

namespace sallyport::bench {
namespace {

// wolfSSL's TLS 1.3 servers number the tickets of such a row in one byte and end the connection at
// the last number. A full handshake begins a new row.
constexpr uint32_t kResumptionsMax = 200;

}  // namespace

HandshakeLoad::HandshakeLoad(EventLoop* loop, HandshakePlan plan)
    : loop_(loop), plan_(std::move(plan)), begun_max_(plan_.count_max) {
  slots_.resize(plan_.slots);
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].connection = std::make_unique<TlsConnection>(loop_, this, i);
    if (!plan_.resume) slots_[i].warm = true;
  }
  if (!plan_.resume) warm_slots_ = slots_.size();
}

void HandshakeLoad::Turn() {
  const int64_t now = MonotonicNanoseconds();
  for (Slot& slot : slots_) {
    if (slot.connection->is_closed()) {
      if (begun_ < begun_max_) Begin(slot);
    } else if (now - slot.started > plan_.deadline_nanoseconds) {
      slot.connection->Close();
      Failed(slot, "no answer in time");
    }
  }
}

void HandshakeLoad::Begin(Slot& slot) {
  const TlsClient& identity = *plan_.identities[begun_ % plan_.identities.size()];
  ++begun_;
  slot.started = MonotonicNanoseconds();
  if (slot.connection->Open(identity, plan_.target, 0, slot.session)) {
    ++active_;
  } else {
    ++counts_.failures["no socket"];
  }
}

void HandshakeLoad::OnOpen(TlsConnection& connection) {
  if (plan_.proof == HandshakeProof::kKeepAlive) {
    connection.Seal("\r\n\r\n");
  } else if (plan_.identities.front()->version() == TlsVersion::k12) {
    Proven(connection);
  }
}

void HandshakeLoad::OnTicket(TlsConnection& connection) {
  if (plan_.proof == HandshakeProof::kTicket) Proven(connection);
}

void HandshakeLoad::OnData(TlsConnection& connection, std::string_view) {
  if (plan_.proof == HandshakeProof::kKeepAlive) Proven(connection);
}

void HandshakeLoad::Proven(TlsConnection& connection) {
  Slot& slot = slots_[connection.tag()];
  ++(connection.resumed() ? counts_.resumed : counts_.full);
  counts_.latency.Add(MonotonicNanoseconds() - slot.started);
  if (plan_.resume) {
    const bool is_numbered = plan_.identities.front()->version() == TlsVersion::k13;
    slot.resumptions = is_numbered && connection.resumed() ? slot.resumptions + 1 : 0;
    slot.session = slot.resumptions < kResumptionsMax ? connection.TakeSession() : TlsSession();
    if (!slot.warm) ++warm_slots_;
    slot.warm = true;
  }
  connection.Close();
  --active_;
}

void HandshakeLoad::OnClosed(TlsConnection& connection, const std::string& reason) {
  Failed(slots_[connection.tag()], reason);
}

void HandshakeLoad::Failed(Slot& slot, const std::string& reason) {
  slot.session = TlsSession();  // It may be the reason; the next attempt is a full handshake.
  ++counts_.failures[reason];
  --active_;
}

}  // namespace sallyport::bench
