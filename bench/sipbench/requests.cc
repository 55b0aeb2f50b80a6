// sipbench requests: what does a relayed request with its response cost the server, and how long
// does it take, also while other clients handshake without pause?
#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "bench/sipbench/client_flags.h"
#include "bench/sipbench/clock.h"
#include "bench/sipbench/handshake_load.h"
#include "bench/sipbench/report.h"
#include "bench/sipbench/request_load.h"
#include "bench/sipbench/slices.h"
#include "bench/sipbench/subcommands.h"

namespace sallyport::bench {
namespace {

constexpr int64_t kConnectDeadline = 30 * kNanosecondsPerSecond;
constexpr int64_t kLastAnswersDeadline = 2 * kNanosecondsPerSecond;
constexpr uint32_t kFirstSource = 0x7F000101;  // 127.0.1.1

struct Flags {
  ClientFlags client;
  SliceFlags slices;
  RequestShape shape;
  int64_t connections = 8;
  int64_t window = 16;
  double rate = 0;
  double seconds = 3;
  double warmup = 0.5;
  int64_t storm = 0;
  int64_t body_bytes = 100;
  std::string identities;
  bool coalesce = false;
  bool tcp = false;

  void AddTo(CommandLine* line) {
    client.AddTo(line);
    slices.AddTo(line);
    line->Add("--method", &shape.method, "MESSAGE, OPTIONS or INVITE (which is acknowledged)");
    line->Add("--from", &shape.from, "URI of From");
    line->Add("--identities", &identities,
              "directory of DOMAIN.pem (and DOMAIN.key, else --key): the connections take them in "
              "turn, each with its domain in From and a loopback address of its own");
    line->Add("--to", &shape.to, "URI of To");
    line->Add("--ruri", &shape.request_uri, "Request-URI");
    line->Add("--tcp", &tcp, "plain TCP instead of TLS: the load plays a server inside");
    line->Add("--sent-by", &shape.sent_by, "HOST:PORT of Via and Contact; empty: From's host");
    line->Add("--body-bytes", &body_bytes, "size of the body");
    line->Add("--connections", &connections, "in parallel");
    line->Add("--window", &window, "requests in flight per connection");
    line->Add("--rate", &rate,
              "requests a second over all connections, on a schedule; 0: as the window allows");
    line->Add("--seconds", &seconds, "length of the run");
    line->Add("--warmup", &warmup, "seconds before it that are not counted");
    line->Add("--coalesce", &coalesce, "requests of one turn share a TLS record");
    line->Add(
        "--storm", &storm,
        "after the run, run again while so many clients handshake without pause, and report both");
  }
};

struct Measured {
  double seconds = 0;
  double cpu_seconds = 0;
  uint64_t unanswered = 0;
  RequestCounts counts;
};

// The generator must not wait for the storm that it measures, nor for the sink, on the core that
// they share.
void PreferThisThread() {
  sched_param parameter{};
  parameter.sched_priority = 1;
  if (sched_setscheduler(0, SCHED_FIFO, &parameter) != 0) {
    std::fprintf(stderr,
                 "sipbench: no real-time priority; latencies include our own waiting for a core\n");
  }
}

bool TryToConnect(EventLoop* loop, RequestLoad* load) {
  const int64_t deadline = MonotonicNanoseconds() + kConnectDeadline;
  if (!load->Connect()) return false;
  while (!load->all_open()) {
    if (MonotonicNanoseconds() > deadline || load->counts().connections_lost > 0) return false;
    loop->RunTurn(kNanosecondsPerSecond / 10);
  }
  return true;
}

bool ConnectAll(EventLoop* loop, RequestLoad* load) {
  if (TryToConnect(loop, load)) return true;
  std::fprintf(stderr, "sipbench: could not open all connections\n");
  for (const auto& [reason, count] : load->counts().faults) {
    std::fprintf(stderr, "  %s x %lu\n", reason.c_str(), static_cast<unsigned long>(count));
  }
  return false;
}

int64_t After(double seconds) {
  return MonotonicNanoseconds() + static_cast<int64_t>(seconds * kNanosecondsPerSecond);
}

void RunUntil(EventLoop* loop, RequestLoad* load, int64_t end) {
  for (int64_t now = MonotonicNanoseconds(); now < end; now = MonotonicNanoseconds()) {
    const int64_t wait = load->Turn();
    loop->RunTurn(std::min(wait, end - now));
  }
}

// Sends no more and waits for the answers to what was sent.
void Drain(EventLoop* loop, RequestLoad* load) {
  load->Stop();
  const int64_t patience = MonotonicNanoseconds() + kLastAnswersDeadline;
  while (load->in_flight() > 0 && MonotonicNanoseconds() < patience) {
    load->Turn();
    loop->RunTurn(kNanosecondsPerSecond / 100);
  }
  load->Turn();  // The last ACKs.
}

Measured Measure(const Flags& flags, EventLoop* loop, RequestLoad* load,
                 const ServerProcess& server) {
  load->Start();
  RunUntil(loop, load, After(flags.warmup));
  load->ResetCounts();
  Measured measured;
  const double cpu_before = server.CpuSeconds();
  const int64_t begin = MonotonicNanoseconds();
  RunUntil(loop, load, After(flags.seconds));
  measured.seconds = static_cast<double>(MonotonicNanoseconds() - begin) / kNanosecondsPerSecond;
  measured.cpu_seconds = server.CpuSeconds() - cpu_before;
  const uint64_t completed_in_time = load->counts().completed;
  Drain(loop, load);
  measured.counts = load->counts();  // The late answers belong to the latencies and codes,
  measured.counts.completed = completed_in_time;  // but not to the CPU time taken before them.
  measured.unanswered = load->in_flight();
  return measured;
}

// A thread of its own at the lowest priority: its cryptography must not delay the measuring thread.
class Storm {
 public:
  Storm(const TlsClient* client, const sockaddr_in& target, size_t clients) {
    thread_ = std::thread([this, client, target, clients] {
      const sched_param none{};
      sched_setscheduler(0, SCHED_OTHER, &none);
      setpriority(PRIO_PROCESS, 0, 19);
      EventLoop loop;
      HandshakePlan plan{};
      plan.target = target;
      plan.identities = {client};
      plan.slots = clients;
      HandshakeLoad load(&loop, plan);
      while (!stop_.load(std::memory_order_relaxed)) {
        load.Turn();
        loop.RunTurn(kNanosecondsPerSecond / 20);
      }
      handshakes_ = load.counts().successes();
    });
  }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;

  // Ends the storm; how many handshakes it made.
  uint64_t Finish() {
    stop_.store(true, std::memory_order_relaxed);
    thread_.join();
    return handshakes_;
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
  uint64_t handshakes_ = 0;  // Written before the join that precedes its reading.
};

void DescribeCounts(const std::string& prefix, const RequestCounts& counts, uint64_t unanswered,
                    Report* report) {
  std::map<std::string, uint64_t> codes;
  for (const auto& [code, count] : counts.codes) codes[absl::StrCat(code)] = count;
  report->Add(prefix + "sent", counts.sent);
  report->Add(prefix + "completed", counts.completed);
  report->Add(prefix + "unanswered", unanswered);
  report->Add(prefix + "provisional", counts.provisional);
  report->Add(prefix + "codes", codes);
  report->Add(prefix + "faults", counts.faults);
}

void Describe(const std::string& prefix, const Measured& measured, bool server_known,
              Report* report) {
  const RequestCounts& counts = measured.counts;
  DescribeCounts(prefix, counts, measured.unanswered, report);
  report->Add(prefix + "seconds", measured.seconds);
  report->Add(prefix + "requests_per_second",
              static_cast<double>(counts.completed) / measured.seconds);
  report->AddLatency(prefix + "latency", counts.latency);
  if (!server_known) return;
  report->Add(prefix + "server_cpu_share", measured.cpu_seconds / measured.seconds);
  report->Add(prefix + "server_cpu_us_per_op",
              measured.cpu_seconds * 1e6 / static_cast<double>(counts.completed));
}

bool Sound(const Measured& measured) {
  return measured.counts.completed > 0 && measured.counts.faults.empty() &&
         measured.unanswered == 0;
}

int MeasureAndPrint(const Flags& flags, const RequestPlan& plan, const ServerProcess& server,
                    const TlsClient* storm_client) {
  EventLoop loop;
  RequestLoad load(&loop, plan);
  if (!ConnectAll(&loop, &load)) return 1;
  PreferThisThread();
  Report report;
  const Measured calm = Measure(flags, &loop, &load, server);
  Describe("", calm, server.known(), &report);
  bool sound = Sound(calm);
  if (storm_client != nullptr) {
    Storm storm(storm_client, plan.target, static_cast<size_t>(flags.storm));
    const Measured stormy = Measure(flags, &loop, &load, server);
    report.Add("storm_handshakes", storm.Finish());
    Describe("storm_", stormy, server.known(), &report);
    sound = sound && Sound(stormy);
  }
  report.Print(flags.client.json);
  return sound ? 0 : 1;
}

class RequestSlices final : public SlicedLoad {
 public:
  RequestSlices(const Flags& flags, EventLoop* loop, RequestLoad* load)
      : loop_(loop), load_(load), seconds_(flags.slices.seconds) {}

  uint64_t RunSlice() override { return Run(seconds_); }

  uint64_t Run(double seconds) {
    const uint64_t before = load_->counts().completed;
    load_->Start();
    RunUntil(loop_, load_, After(seconds));
    Drain(loop_, load_);
    const bool is_sound = load_->in_flight() == 0 && load_->counts().faults.empty();
    return is_sound ? load_->counts().completed - before : 0;
  }

 private:
  EventLoop* const loop_;
  RequestLoad* const load_;
  const double seconds_;
};

int MeasureInTurn(const Flags& flags, const RequestPlan& plan, const ServerProcess& server) {
  const auto target = flags.slices.Target(server);
  if (!target.ok()) return Complain(target.status());
  RequestPlan second_plan = plan;
  second_plan.target = *target;
  EventLoop loop;
  RequestLoad first_load(&loop, plan);
  RequestLoad second_load(&loop, second_plan);
  if (!ConnectAll(&loop, &first_load) || !ConnectAll(&loop, &second_load)) return 1;
  PreferThisThread();
  RequestSlices first_slices(flags, &loop, &first_load);
  RequestSlices second_slices(flags, &loop, &second_load);
  first_slices.Run(flags.warmup);
  second_slices.Run(flags.warmup);
  SlicedServer first{&first_slices, server, {}};
  SlicedServer second{&second_slices, ServerProcess({static_cast<pid_t>(flags.slices.pid)}), {}};
  const bool is_complete = MeasureSlices(flags.slices.quartets, &first, &second);
  Report report;
  DescribeSlices(first, second, &report);
  DescribeCounts("first_", first_load.counts(), first_load.in_flight(), &report);
  DescribeCounts("second_", second_load.counts(), second_load.in_flight(), &report);
  report.Print(flags.client.json);
  return is_complete ? 0 : 1;
}

// From of the peer with the certificate in `file`: the user of `from` at the domain that names it.
std::string FromOf(const std::string& file, const std::string& from) {
  const std::string user = from.substr(0, from.find('@'));
  return absl::StrCat(user, "@", std::filesystem::path(file).stem().string());
}

// Fills `senders`, which borrow from `clients`.
absl::Status MakeSenders(const Flags& flags, std::vector<std::unique_ptr<TlsClient>>* clients,
                         std::vector<RequestSender>* senders) {
  const auto identities = flags.client.Identities(flags.identities);
  if (!identities.ok()) return identities.status();
  for (const TlsIdentity& identity : *identities) {
    auto client = flags.tcp ? TlsClient::CreateClear() : flags.client.MakeClient(identity);
    if (!client.ok()) return client.status();
    RequestSender sender{client->get(), flags.shape.from};
    if (!flags.identities.empty()) {
      sender.from = FromOf(identity.certificate, flags.shape.from);
      sender.source_host = kFirstSource + static_cast<uint32_t>(senders->size());
    }
    senders->push_back(std::move(sender));
    clients->push_back(*std::move(client));
  }
  return absl::OkStatus();
}

}  // namespace

int RunRequests(const std::vector<std::string>& arguments) {
  Flags flags;
  CommandLine line;
  flags.AddTo(&line);
  if (!ParseOrExplain(&line, arguments,
                      "sipbench requests: SIP requests over long-lived connections"))
    return 2;
  const auto target = flags.client.Target();
  if (!target.ok()) return Complain(target.status());
  const auto server = flags.client.Server();
  if (!server.ok()) return Complain(server.status());
  RequestPlan plan{};
  std::vector<std::unique_ptr<TlsClient>> clients;
  const absl::Status made = MakeSenders(flags, &clients, &plan.senders);
  if (!made.ok()) return Complain(made);
  // Contexts are not shared between threads: the storm has its own.
  const auto storm_client = flags.client.MakeClient(flags.client.identity);
  if (!storm_client.ok()) return Complain(storm_client.status());

  if (flags.tcp) flags.shape.transport = "TCP";
  flags.shape.body_bytes = static_cast<size_t>(flags.body_bytes);
  plan.target = *target;
  plan.shape = flags.shape;
  plan.connections = static_cast<uint32_t>(flags.connections);
  plan.window = static_cast<uint32_t>(flags.window);
  plan.rate = flags.rate;
  plan.coalesce = flags.coalesce;
  RaiseDescriptorLimit();
  if (flags.slices.wanted()) return MeasureInTurn(flags, plan, *server);
  return MeasureAndPrint(flags, plan, *server, flags.storm > 0 ? storm_client->get() : nullptr);
}

}  // namespace sallyport::bench
