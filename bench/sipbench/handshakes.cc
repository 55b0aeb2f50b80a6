// sipbench handshakes: what does a mutual-TLS handshake cost the server, and how many a second are
// there?
#include <cstdio>

#include "bench/sipbench/client_flags.h"
#include "bench/sipbench/clock.h"
#include "bench/sipbench/handshake_load.h"
#include "bench/sipbench/report.h"
#include "bench/sipbench/slices.h"
#include "bench/sipbench/subcommands.h"

namespace sallyport::bench {
namespace {

constexpr int64_t kTurn = kNanosecondsPerSecond / 20;

struct Flags {
  ClientFlags client;
  SliceFlags slices;
  bool resume = false;
  bool probe = false;
  int64_t connections = 16;
  int64_t count = 0;
  double seconds = 3;
  std::string identities;

  void AddTo(CommandLine* line) {
    client.AddTo(line);
    slices.AddTo(line);
    line->Add("--resume", &resume,
              "resume with the newest ticket; the first, full handshakes are not counted");
    line->Add("--probe", &probe,
              "prove by a keep-alive answer instead of the ticket (servers without tickets)");
    line->Add("--connections", &connections, "in parallel");
    line->Add("--count", &count,
              "stop after so many handshakes instead of --seconds; of a slice: instead of --slice");
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
};

bool WarmUp(EventLoop* loop, HandshakeLoad* load) {
  const int64_t end = MonotonicNanoseconds() + 10 * kNanosecondsPerSecond;
  while (!load->warmed_up() && MonotonicNanoseconds() < end) {
    load->Turn();
    loop->RunTurn(kTurn);
  }
  if (load->warmed_up()) return true;
  std::fprintf(stderr, "sipbench: no session to resume after 10 s\n");
  for (const auto& [reason, count] : load->counts().failures) {
    std::fprintf(stderr, "  %s x %lu\n", reason.c_str(), static_cast<unsigned long>(count));
  }
  return false;
}

Measured Measure(const Flags& flags, EventLoop* loop, HandshakeLoad* load,
                 const ServerProcess& server) {
  Measured measured;
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

class HandshakeSlices final : public SlicedLoad {
 public:
  HandshakeSlices(const Flags& flags, EventLoop* loop, HandshakeLoad* load)
      : loop_(loop),
        load_(load),
        count_(flags.count > 0 ? static_cast<uint64_t>(flags.count) : kAnyNumber),
        nanoseconds_(flags.count > 0
                         ? kAnyTime
                         : static_cast<int64_t>(flags.slices.seconds * kNanosecondsPerSecond)) {}

  uint64_t RunSlice() override {
    const uint64_t before = load_->counts().successes();
    const int64_t end = MonotonicNanoseconds() + nanoseconds_;
    load_->Allow(count_);
    while (!load_->exhausted()) {  // Ends: what is late fails.
      if (MonotonicNanoseconds() >= end) load_->Allow(0);
      load_->Turn();
      loop_->RunTurn(kTurn);
    }
    return load_->counts().failures.empty() ? load_->counts().successes() - before : 0;
  }

 private:
  static constexpr uint64_t kAnyNumber = UINT64_MAX / 2;
  static constexpr int64_t kAnyTime = 60 * kNanosecondsPerSecond;

  EventLoop* const loop_;
  HandshakeLoad* const load_;
  const uint64_t count_;
  const int64_t nanoseconds_;
};

int MeasureInTurn(const Flags& flags, const HandshakePlan& plan, const ServerProcess& server) {
  const auto target = flags.slices.Target(server);
  if (!target.ok()) return Complain(target.status());
  HandshakePlan second_plan = plan;
  second_plan.target = *target;
  EventLoop loop;
  HandshakeLoad first_load(&loop, plan);
  HandshakeLoad second_load(&loop, std::move(second_plan));
  HandshakeSlices first_slices(flags, &loop, &first_load);
  HandshakeSlices second_slices(flags, &loop, &second_load);
  if (!WarmUp(&loop, &first_load) || !WarmUp(&loop, &second_load)) return 1;
  first_slices.RunSlice();  // The rest of the warming up: what a server does once.
  second_slices.RunSlice();
  SlicedServer first{&first_slices, server, {}};
  SlicedServer second{&second_slices, ServerProcess({static_cast<pid_t>(flags.slices.pid)}), {}};
  const bool is_complete = MeasureSlices(flags.slices.quartets, &first, &second);
  Report report;
  DescribeSlices(first, second, &report);
  report.Add("first_failures", first_load.counts().failures);
  report.Add("second_failures", second_load.counts().failures);
  report.Print(flags.client.json);
  return is_complete ? 0 : 1;
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
  if (flags.count > 0 && !flags.slices.wanted())
    plan.count_max = static_cast<uint64_t>(flags.count);
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (const TlsIdentity& identity : *identities) {
    auto client = flags.client.MakeClient(identity);
    if (!client.ok()) return Complain(client.status());
    plan.identities.push_back(client->get());
    clients.push_back(*std::move(client));
  }
  RaiseDescriptorLimit();
  if (flags.slices.wanted()) return MeasureInTurn(flags, plan, *server);
  EventLoop loop;
  HandshakeLoad load(&loop, std::move(plan));
  if (!WarmUp(&loop, &load)) return 1;
  const Measured measured = Measure(flags, &loop, &load, *server);
  return Print(flags, load.counts(), measured, server->known());
}

}  // namespace sallyport::bench
