// sipbench handshakes: what does a mutual-TLS handshake cost the server, and how many a second are
// there?
#include <cstdio>

#include "bench/sipbench/client_flags.h"
#include "bench/sipbench/clock.h"
#include "bench/sipbench/handshake_load.h"
#include "bench/sipbench/report.h"
#include "bench/sipbench/subcommands.h"

namespace sallyport::bench {
namespace {

struct Flags {
  ClientFlags client;
  bool resume = false;
  bool probe = false;
  int64_t connections = 16;
  int64_t count = 0;
  double seconds = 3;
  std::string identities;

  void AddTo(CommandLine* line) {
    client.AddTo(line);
    line->Add("--resume", &resume,
              "resume with the newest ticket; the first, full handshakes are not counted");
    line->Add("--probe", &probe,
              "prove by a keep-alive answer instead of the ticket (servers without tickets)");
    line->Add("--connections", &connections, "in parallel");
    line->Add("--count", &count, "stop after so many handshakes instead of --seconds");
    line->Add("--seconds", &seconds, "length of the run");
    line->Add("--identities", &identities,
              "directory of NAME.pem (and NAME.key, else --key): each connection takes the next "
              "one, so that with "
              "--count of their number the server never sees a certificate twice");
  }
};

struct Measured {
  double seconds = 0;
  double cpu_seconds = 0;
  bool warmed_up = false;
};

Measured Measure(const Flags& flags, EventLoop* loop, HandshakeLoad* load,
                 const ServerProcess& server) {
  constexpr int64_t kTurn = kNanosecondsPerSecond / 20;
  const int64_t warm_up_end = MonotonicNanoseconds() + 10 * kNanosecondsPerSecond;
  while (!load->warmed_up() && MonotonicNanoseconds() < warm_up_end) {
    load->Turn();
    loop->RunTurn(kTurn);
  }
  Measured measured;
  measured.warmed_up = load->warmed_up();
  if (!measured.warmed_up) return measured;
  load->ResetCounts();
  const double cpu_before = server.CpuSeconds();
  const int64_t begin = MonotonicNanoseconds();
  const int64_t end = flags.count > 0
                          ? INT64_MAX
                          : begin + static_cast<int64_t>(flags.seconds * kNanosecondsPerSecond);
  while (MonotonicNanoseconds() < end && !load->exhausted()) {
    load->Turn();
    loop->RunTurn(kTurn);
  }
  measured.seconds = static_cast<double>(MonotonicNanoseconds() - begin) / kNanosecondsPerSecond;
  measured.cpu_seconds = server.CpuSeconds() - cpu_before;
  return measured;
}

int Print(const Flags& flags, const HandshakeCounts& counts, const Measured& measured,
          bool server_known) {
  const double done = static_cast<double>(counts.successes());
  Report report;
  report.Add("tls", flags.client.tls);
  report.Add("full", counts.full);
  report.Add("resumed", counts.resumed);
  report.Add("failures", counts.failures);
  report.Add("seconds", measured.seconds);
  report.Add("handshakes_per_second", done / measured.seconds);
  report.AddLatency("latency", counts.latency);
  if (server_known) {
    report.Add("server_cpu_share", measured.cpu_seconds / measured.seconds);
    report.Add("server_cpu_us_per_op", measured.cpu_seconds * 1e6 / done);
  }
  report.Print(flags.client.json);
  return counts.successes() > 0 ? 0 : 1;
}

}  // namespace

int RunHandshakes(const std::vector<std::string>& arguments) {
  Flags flags;
  CommandLine line;
  flags.AddTo(&line);
  if (!ParseOrExplain(&line, arguments, "sipbench handshakes: mutual-TLS handshakes without pause"))
    return 2;
  const auto target = flags.client.Target();
  if (!target.ok()) return Complain(target.status());
  const auto server = flags.client.Server();
  if (!server.ok()) return Complain(server.status());
  const auto identities = flags.client.Identities(flags.identities);
  if (!identities.ok()) return Complain(identities.status());

  HandshakePlan plan{};
  plan.target = *target;
  plan.slots = static_cast<size_t>(flags.connections);
  plan.resume = flags.resume;
  plan.proof = flags.probe ? HandshakeProof::kKeepAlive : HandshakeProof::kTicket;
  if (flags.count > 0) plan.count_max = static_cast<uint64_t>(flags.count);
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (const TlsIdentity& identity : *identities) {
    auto client = flags.client.MakeClient(identity);
    if (!client.ok()) return Complain(client.status());
    plan.identities.push_back(client->get());
    clients.push_back(*std::move(client));
  }
  RaiseDescriptorLimit();
  EventLoop loop;
  HandshakeLoad load(&loop, std::move(plan));
  const Measured measured = Measure(flags, &loop, &load, *server);
  if (!measured.warmed_up) {
    std::fprintf(stderr, "sipbench: no session to resume after 10 s\n");
    for (const auto& [reason, count] : load.counts().failures) {
      std::fprintf(stderr, "  %s x %lu\n", reason.c_str(), static_cast<unsigned long>(count));
    }
    return 1;
  }
  return Print(flags, load.counts(), measured, server->known());
}

}  // namespace sallyport::bench
