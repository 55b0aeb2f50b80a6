// Handshakes without pause: each of a fixed number of slots connects, proves that the server has
// accepted its certificate, closes and starts again. Thread: one load belongs to one loop and one
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/sipbench/event_loop.h"
#include "bench/sipbench/latency_histogram.h"
#include "bench/sipbench/tls_client.h"

namespace sallyport::bench {

// How we know that the server is done with us, and not only we with it.
enum class HandshakeProof : uint8_t {
  kTicket,     // TLS 1.3: its ticket. TLS 1.2: its Finished, which follows ours.
  kKeepAlive,  // Its CRLF to our CRLFCRLF (RFC 5626 §4.4.1): for servers that issue no tickets.
};

struct HandshakePlan {
  sockaddr_in target;
  std::vector<const TlsClient*> identities;  // Taken in turn; one for each connection that is made.
  size_t slots = 16;
  bool resume = false;
  HandshakeProof proof = HandshakeProof::kTicket;
  uint64_t count_max = UINT64_MAX;  // Connections begun.
  int64_t deadline_nanoseconds = 5'000'000'000;
};

struct HandshakeCounts {
  uint64_t full = 0;
  uint64_t resumed = 0;
  std::map<std::string, uint64_t> failures;
  LatencyHistogram latency;  // From connect() to the proof.

  uint64_t successes() const { return full + resumed; }
};

class HandshakeLoad final : public TlsConnectionOwner {
 public:
  // `loop` and the identities are borrowed.
  HandshakeLoad(EventLoop* loop, HandshakePlan plan);

  // Starts what is idle and fails what is late. Call once after each turn of the loop.
  void Turn();

  // How many may begin from here on, instead of the plan's number.
  void Allow(uint64_t handshakes) { begun_max_ = begun_ + handshakes; }

  // Every slot has a session to resume (or none is wanted): counting may begin.
  bool warmed_up() const { return warm_slots_ == slots_.size(); }
  bool exhausted() const { return begun_ >= begun_max_ && active_ == 0; }

  const HandshakeCounts& counts() const { return counts_; }
  void ResetCounts() { counts_ = HandshakeCounts(); }

  void OnOpen(TlsConnection& connection) override;
  void OnTicket(TlsConnection& connection) override;
  void OnData(TlsConnection& connection, std::string_view plaintext) override;
  void OnClosed(TlsConnection& connection, const std::string& reason) override;

 private:
  struct Slot {
    std::unique_ptr<TlsConnection> connection;
    TlsSession session;
    uint32_t resumptions = 0;  // In a row, each with the ticket of the one before.
    int64_t started = 0;
    bool warm = false;
  };

  void Begin(Slot& slot);
  void Proven(TlsConnection& connection);
  void Failed(Slot& slot, const std::string& reason);

  EventLoop* const loop_;
  const HandshakePlan plan_;
  std::vector<Slot> slots_;
  HandshakeCounts counts_;
  uint64_t begun_ = 0;
  uint64_t begun_max_;
  size_t active_ = 0;
  size_t warm_slots_ = 0;
};

}  // namespace sallyport::bench
