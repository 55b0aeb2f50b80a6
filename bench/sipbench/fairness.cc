// sipbench fairness: what does one peer's request cost while another peer floods? The same peer
// sends on a schedule, alone and then beside a flood of another identity over several connections
// that always has more to send than the server can take.
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

#include "bench/sipbench/client_flags.h"
#include "bench/sipbench/clock.h"
#include "bench/sipbench/report.h"
#include "bench/sipbench/request_load.h"
#include "bench/sipbench/subcommands.h"

namespace sallyport::bench {
namespace {

constexpr int64_t kConnectDeadline = 30 * kNanosecondsPerSecond;
constexpr int64_t kLastAnswersDeadline = 5 * kNanosecondsPerSecond;

struct Flags {
  ClientFlags client;
  RequestShape shape;
  TlsIdentity flooder;
  std::string flooder_from = "sip:mallory@b.example";
  int64_t connections = 2;
  double rate = 200;
  int64_t flood_connections = 4;
  int64_t flood_window = 2000;
  double seconds = 10;
  double warmup = 1;

  void AddTo(CommandLine* line) {
    client.AddTo(line);
    line->Add("--from", &shape.from, "URI of From of the peer that is measured");
    line->Add("--to", &shape.to, "URI of To");
    line->Add("--ruri", &shape.request_uri, "Request-URI");
    line->Add("--connections", &connections, "of the peer that is measured");
    line->Add("--rate", &rate, "its requests a second");
    line->Add("--flood-cert", &flooder.certificate,
              "PEM of the other peer's certificate; required");
    line->Add("--flood-key", &flooder.key, "PEM of its key");
    line->Add("--flood-from", &flooder_from, "URI of From of the other peer");
    line->Add("--flood-connections", &flood_connections, "of the other peer");
    line->Add("--flood-window", &flood_window, "its requests in flight per connection");
    line->Add("--seconds", &seconds, "length of each of the two runs");
    line->Add("--warmup", &warmup, "seconds before each that are not counted");
  }
};

void PreferThisThread() {
  sched_param parameter{};
  parameter.sched_priority = 1;
  if (sched_setscheduler(0, SCHED_FIFO, &parameter) != 0) {
    std::fprintf(stderr, "sipbench: no real-time priority; latencies include our own waiting\n");
  }
}

bool ConnectAll(EventLoop* loop, RequestLoad* load) {
  const int64_t deadline = MonotonicNanoseconds() + kConnectDeadline;
  if (!load->Connect()) return false;
  while (!load->all_open()) {
    if (MonotonicNanoseconds() > deadline || load->counts().connections_lost > 0) return false;
    loop->RunTurn(kNanosecondsPerSecond / 10);
  }
  return true;
}

void RunFor(EventLoop* loop, RequestLoad* load, double seconds) {
  const int64_t end =
      MonotonicNanoseconds() + static_cast<int64_t>(seconds * kNanosecondsPerSecond);
  for (int64_t now = MonotonicNanoseconds(); now < end; now = MonotonicNanoseconds()) {
    const int64_t wait = load->Turn();
    loop->RunTurn(std::min(wait, end - now));
  }
}

// A thread of its own, in the usual class: the measuring one is in a real-time class, so making the
// flood does not delay it.
class Flood {
 public:
  explicit Flood(const RequestPlan& plan) {
    thread_ = std::thread([this, plan] {
      EventLoop loop;
      RequestLoad load(&loop, plan);
      if (!ConnectAll(&loop, &load)) return;
      load.Start();
      while (!stop_.load(std::memory_order_relaxed)) RunFor(&loop, &load, 0.05);
      counts_ = load.counts();
    });
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;

  const RequestCounts& Finish() {
    stop_.store(true, std::memory_order_relaxed);
    thread_.join();
    return counts_;
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
  RequestCounts counts_;  // Written before the join that precedes its reading.
};

// Returns which share of a core the server used.
double Measure(const Flags& flags, const ServerProcess& server, EventLoop* loop,
               RequestLoad* load) {
  load->Start();
  RunFor(loop, load, flags.warmup);
  load->ResetCounts();
  const double cpu_before = server.CpuSeconds();
  RunFor(loop, load, flags.seconds);
  const double cpu_share = (server.CpuSeconds() - cpu_before) / flags.seconds;
  load->Stop();
  const int64_t patience = MonotonicNanoseconds() + kLastAnswersDeadline;
  while (load->in_flight() > 0 && MonotonicNanoseconds() < patience) {
    load->Turn();
    loop->RunTurn(kNanosecondsPerSecond / 100);
  }
  return cpu_share;
}

std::map<std::string, uint64_t> Codes(const RequestCounts& counts) {
  std::map<std::string, uint64_t> codes;
  for (const auto& [code, count] : counts.codes) codes[std::to_string(code)] = count;
  return codes;
}

bool Describe(const std::string& prefix, const RequestLoad& load, const ServerProcess& server,
              double cpu_share, Report* report) {
  const RequestCounts& counts = load.counts();
  report->Add(prefix + "completed", counts.completed);
  report->Add(prefix + "unanswered", load.in_flight());
  report->Add(prefix + "codes", Codes(counts));
  report->Add(prefix + "faults", counts.faults);
  report->AddLatency(prefix + "latency", counts.latency);
  if (server.known()) {
    report->Add(prefix + "server_cpu_share", cpu_share);
    report->Add(prefix + "server_pss_bytes", server.Memory().pss_bytes);
  }
  return counts.completed > 0 && counts.faults.empty() && load.in_flight() == 0;
}

int MeasureAndPrint(const Flags& flags, const RequestPlan& plan, const RequestPlan& flood_plan,
                    const ServerProcess& server) {
  EventLoop loop;
  RequestLoad load(&loop, plan);
  if (!ConnectAll(&loop, &load)) {
    std::fprintf(stderr, "sipbench: could not open all connections\n");
    return 1;
  }
  Report report;
  PreferThisThread();
  const double alone = Measure(flags, server, &loop, &load);
  bool is_sound = Describe("alone_", load, server, alone, &report);

  sched_param usual{};  // A new thread inherits the class of the one that makes it.
  sched_setscheduler(0, SCHED_OTHER, &usual);
  Flood flood(flood_plan);
  PreferThisThread();
  load.ResetCounts();
  const double flooded_share = Measure(flags, server, &loop, &load);
  is_sound = Describe("flooded_", load, server, flooded_share, &report) && is_sound;
  const RequestCounts& flooded = flood.Finish();
  report.Add("flood_sent", flooded.sent);
  report.Add("flood_completed", flooded.completed);
  report.Add("flood_codes", Codes(flooded));
  report.AddLatency("flood_latency", flooded.latency);
  report.Print(flags.client.json);
  return is_sound && flooded.completed > 0 ? 0 : 1;
}

}  // namespace

int RunFairness(const std::vector<std::string>& arguments) {
  Flags flags;
  CommandLine line;
  flags.AddTo(&line);
  if (!ParseOrExplain(&line, arguments,
                      "sipbench fairness: one peer's requests, alone and beside another's flood"))
    return 2;
  const auto target = flags.client.Target();
  if (!target.ok()) return Complain(target.status());
  const auto server = flags.client.Server();
  if (!server.ok()) return Complain(server.status());
  const auto client = flags.client.MakeClient(flags.client.identity);
  if (!client.ok()) return Complain(client.status());
  flags.flooder.ca = flags.client.identity.ca;
  const auto flooder = flags.client.MakeClient(flags.flooder);
  if (!flooder.ok()) return Complain(flooder.status());

  RequestPlan plan{};
  plan.target = *target;
  plan.senders = {{client->get(), flags.shape.from}};
  plan.shape = flags.shape;
  plan.connections = static_cast<uint32_t>(flags.connections);
  plan.window = 256;
  plan.rate = flags.rate;
  RequestPlan flood{};
  flood.target = *target;
  flood.senders = {{flooder->get(), flags.flooder_from}};
  flood.shape = flags.shape;
  flood.connections = static_cast<uint32_t>(flags.flood_connections);
  flood.window = static_cast<uint32_t>(flags.flood_window);
  flood.coalesce = true;
  RaiseDescriptorLimit();
  return MeasureAndPrint(flags, plan, flood, *server);
}

}  // namespace sallyport::bench
