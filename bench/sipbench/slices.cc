#include "bench/sipbench/slices.h"

#include <unistd.h>

#include "bench/sipbench/socket_address.h"

namespace sallyport::bench {
namespace {

// After its last answer a server still has something to do; and the kernel adds to a process's CPU
// time when the process stops running, or at the next tick, which may be a fifth of a slice away.
constexpr useconds_t kPauseMicroseconds = 500;

// One server with the CPU time that it had used at the end of its last slice. What it puts off
// until after a slice is so counted with the next one.
class Side {
 public:
  explicit Side(SlicedServer* server)
      : server_(server),
        processes_(server->process.WithDescendants()),
        cpu_seconds_(ServerProcess::CpuSecondsOf(processes_)) {}

  bool RunSlice() {
    const uint64_t operations = server_->load->RunSlice();
    usleep(kPauseMicroseconds);
    const double now = ServerProcess::CpuSecondsOf(processes_);
    const double used = now - cpu_seconds_;
    cpu_seconds_ = now;
    if (operations == 0 || used <= 0) return false;
    server_->cpu_us_per_op.push_back(used * 1e6 / static_cast<double>(operations));
    return true;
  }

 private:
  SlicedServer* const server_;
  // Looked up once: a look through /proc takes as long as a good part of a slice.
  const std::vector<pid_t> processes_;
  double cpu_seconds_;
};

}  // namespace

void SliceFlags::AddTo(CommandLine* command_line) {
  command_line->Add("--versus", &target,
                    "second server, IPv4:PORT: both are measured in turn, in slices");
  command_line->Add("--versus-pid", &pid, "its process");
  command_line->Add("--quartets", &quartets, "of slices, two of each server");
  command_line->Add("--slice", &seconds, "length of a slice");
}

absl::StatusOr<sockaddr_in> SliceFlags::Target(const ServerProcess& first) const {
  if (!first.known() || pid <= 0) {
    return absl::InvalidArgumentError("--versus needs --server-pid and --versus-pid");
  }
  return ParseSocketAddress(target);
}

bool MeasureSlices(int64_t quartets, SlicedServer* first, SlicedServer* second) {
  Side first_side(first);
  Side second_side(second);
  for (int64_t quartet = 0; quartet < quartets; ++quartet) {
    const bool second_leads = quartet % 2 == 1;
    for (const bool is_outer : {true, false, false, true}) {
      Side& side = is_outer == second_leads ? second_side : first_side;
      if (!side.RunSlice()) return false;
    }
  }
  return true;
}

void DescribeSlices(const SlicedServer& first, const SlicedServer& second, Report* report) {
  report->Add("first_cpu_us_per_op", first.cpu_us_per_op);
  report->Add("second_cpu_us_per_op", second.cpu_us_per_op);
}

}  // namespace sallyport::bench
