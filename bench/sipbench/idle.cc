// sipbench idle: how much of the server's memory does a mutual-TLS connection hold that does
// nothing?
#include <cstdio>
#include <memory>

#include "bench/sipbench/client_flags.h"
#include "bench/sipbench/clock.h"
#include "bench/sipbench/report.h"
#include "bench/sipbench/subcommands.h"

namespace sallyport::bench {
namespace {

constexpr size_t kOpeningMax = 64;  // Handshakes in parallel.
constexpr size_t kConnectionsPerSource =
    20000;  // Loopback addresses, each with its own ephemeral ports.
constexpr uint32_t kFirstSource = 0x7F000001;  // 127.0.0.1
constexpr int64_t kStallDeadline = 10 * kNanosecondsPerSecond;
constexpr int64_t kSettle = kNanosecondsPerSecond / 2;

class IdleConnections final : public TlsConnectionOwner {
 public:
  IdleConnections(EventLoop* loop, const TlsClient* client, const sockaddr_in& target)
      : loop_(loop), client_(client), target_(target) {}

  // Opens until `wanted` are open; false when it comes to a standstill.
  bool Grow(size_t wanted) {
    int64_t last_progress = MonotonicNanoseconds();
    size_t open_before = open_;
    while (open_ < wanted) {
      while (connections_.size() - open_ - lost_ < kOpeningMax &&
             connections_.size() - lost_ < wanted) {
        if (!Begin()) return false;
      }
      loop_->RunTurn(kNanosecondsPerSecond / 10);
      const int64_t now = MonotonicNanoseconds();
      if (open_ != open_before) last_progress = now;
      open_before = open_;
      if (now - last_progress > kStallDeadline || lost_ > wanted) return false;
    }
    return true;
  }

  void Rest(int64_t nanoseconds) {
    const int64_t end = MonotonicNanoseconds() + nanoseconds;
    while (MonotonicNanoseconds() < end) loop_->RunTurn(end - MonotonicNanoseconds());
  }

  size_t lost() const { return lost_; }

  void OnOpen(TlsConnection&) override { ++open_; }
  void OnTicket(TlsConnection&) override {}
  void OnData(TlsConnection&, std::string_view) override {}
  void OnClosed(TlsConnection&, const std::string& reason) override {
    if (lost_++ == 0) std::fprintf(stderr, "sipbench: a connection was lost: %s\n", reason.c_str());
  }

 private:
  bool Begin() {
    const size_t number = connections_.size();
    connections_.push_back(std::make_unique<TlsConnection>(loop_, this, number));
    const uint32_t source = kFirstSource + static_cast<uint32_t>(number / kConnectionsPerSource);
    return connections_.back()->Open(*client_, target_, source, TlsSession());
  }

  EventLoop* const loop_;
  const TlsClient* const client_;
  const sockaddr_in target_;
  std::vector<std::unique_ptr<TlsConnection>> connections_;
  size_t open_ = 0;
  size_t lost_ = 0;
};

uint64_t PerConnection(uint64_t before, uint64_t after, int64_t connections) {
  return after > before ? (after - before) / static_cast<uint64_t>(connections) : 0;
}

}  // namespace

int RunIdle(const std::vector<std::string>& arguments) {
  ClientFlags client_flags;
  int64_t connections = 1000;
  double hold = 1;
  CommandLine line;
  client_flags.AddTo(&line);
  line.Add("--connections", &connections, "how many to hold");
  line.Add("--hold", &hold, "seconds to hold them before measuring");
  if (!ParseOrExplain(&line, arguments, "sipbench idle: memory of connections that do nothing"))
    return 2;
  const auto target = client_flags.Target();
  if (!target.ok()) return Complain(target.status());
  const auto server = client_flags.Server();
  if (!server.ok()) return Complain(server.status());
  const auto client = client_flags.MakeClient(client_flags.identity);
  if (!client.ok()) return Complain(client.status());
  if (connections < 1)
    return Complain(absl::InvalidArgumentError("--connections: expected at least 1"));

  RaiseDescriptorLimit();
  EventLoop loop;
  IdleConnections idle(&loop, client->get(), *target);
  // What the first handshakes make the server allocate once is not the price of a connection.
  constexpr int64_t kFirst = 64;
  if (!idle.Grow(kFirst)) return 1;
  idle.Rest(kSettle);
  const ServerMemory before = server->Memory();
  if (!idle.Grow(static_cast<size_t>(kFirst + connections))) return 1;
  idle.Rest(kSettle + static_cast<int64_t>(hold * kNanosecondsPerSecond));
  const ServerMemory after = server->Memory();

  Report report;
  report.Add("connections", static_cast<uint64_t>(connections));
  report.Add("lost", static_cast<uint64_t>(idle.lost()));
  if (server->known()) {
    report.Add("rss_bytes_before", before.rss_bytes);
    report.Add("rss_bytes_after", after.rss_bytes);
    report.Add("rss_bytes_per_connection",
               PerConnection(before.rss_bytes, after.rss_bytes, connections));
    report.Add("pss_bytes_per_connection",
               PerConnection(before.pss_bytes, after.pss_bytes, connections));
  }
  report.Print(client_flags.json);
  return idle.lost() == 0 ? 0 : 1;
}

}  // namespace sallyport::bench
