// Requests over long-lived connections: either a window (each connection keeps so many in flight)
// or a schedule (so many a second, whatever the server does). With a schedule a latency counts from
// the time the request was due, so a server that stalls cannot hide it by slowing the generator
// down (coordinated omission). Thread: one load belongs to one loop and one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/sipbench/event_loop.h"
#include "bench/sipbench/latency_histogram.h"
#include "bench/sipbench/request_template.h"
#include "bench/sipbench/sip_text.h"
#include "bench/sipbench/tls_client.h"

namespace sallyport::bench {

// One peer of the server. The connections take the senders of a plan in turn.
struct RequestSender {
  const TlsClient* client = nullptr;  // Borrowed.
  std::string from;                   // URI of From.
  uint32_t source_host = 0;           // Host order; 0: the kernel's choice.
};

struct RequestPlan {
  sockaddr_in target;
  std::vector<RequestSender> senders;  // At least one.
  RequestShape shape;                  // Its From is the sender's.
  uint32_t connections = 8;
  uint32_t window = 16;   // In flight per connection; with a rate the bound of it.
  double rate = 0;        // Requests a second over all connections; 0: as the window allows.
  bool coalesce = false;  // Requests of one turn share a TLS record; else each has its own.
};

struct RequestCounts {
  uint64_t sent = 0;
  uint64_t completed = 0;
  uint64_t provisional = 0;
  uint64_t connections_lost = 0;
  std::map<int, uint64_t> codes;  // Of final responses.
  std::map<std::string, uint64_t>
      faults;  // Responses that were wrong, and why connections were lost.
  LatencyHistogram latency;
};

class RequestLoad final : public TlsConnectionOwner {
 public:
  // `loop` is borrowed.
  RequestLoad(EventLoop* loop, const RequestPlan& plan);

  // False when a connection cannot even be begun.
  bool Connect();
  bool all_open() const { return open_ == plan_.connections; }

  void Start();                      // The schedule begins now.
  void Stop() { running_ = false; }  // Sends no more; answers are still counted.

  // Sends what is due. Call once after each turn of the loop. Returns how long the loop may sleep.
  int64_t Turn();

  uint64_t in_flight() const { return in_flight_; }
  const RequestCounts& counts() const { return counts_; }
  void ResetCounts() { counts_ = RequestCounts(); }

  void OnOpen(TlsConnection& connection) override;
  void OnTicket(TlsConnection&) override {}
  void OnData(TlsConnection& connection, std::string_view plaintext) override;
  void OnClosed(TlsConnection& connection, const std::string& reason) override;

 private:
  struct Slot {
    uint32_t sequence = 0;
    int64_t due = 0;
    bool in_flight = false;
  };
  struct Peer {
    const RequestSender* sender = nullptr;
    const RequestTemplate* request = nullptr;
    std::unique_ptr<TlsConnection> connection;
    std::vector<Slot> slots;
    std::vector<uint32_t> free_slots;
    std::string unread;    // Start of a response whose end has not come.
    std::string outgoing;  // Of this turn, when coalescing.
  };

  void Send(Peer& peer, int64_t due);
  void Put(Peer& peer, const std::string& message);
  void OnResponse(Peer& peer, std::string_view message);
  void Fault(const char* what) { ++counts_.faults[what]; }
  Peer* NextPeerWithRoom();

  EventLoop* const loop_;
  const RequestPlan plan_;
  std::vector<RequestTemplate> templates_;  // One for each sender.
  std::vector<Peer> peers_;
  std::string scratch_;
  RequestCounts counts_;
  bool running_ = false;
  uint32_t open_ = 0;
  uint64_t in_flight_ = 0;
  size_t next_peer_ = 0;
  int64_t schedule_start_ = 0;
  uint64_t scheduled_ = 0;
};

}  // namespace sallyport::bench
