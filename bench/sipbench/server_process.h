// What the server under test costs: the given processes and all that descend from them, so that the
// workers of nginx, HAProxy and Kamailio are counted.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace sallyport::bench {

struct ServerMemory {
  uint64_t rss_bytes = 0;  // Pages shared between processes count once for each.
  uint64_t pss_bytes = 0;  // Shared pages divided among their users: the figure to compare.
};

class ServerProcess {
 public:
  explicit ServerProcess(std::vector<pid_t> roots) : roots_(std::move(roots)) {}

  bool known() const { return !roots_.empty(); }

  // User plus system time so far, of all threads, in the nanoseconds of the scheduler: /proc counts
  // in hundredths of a second. What a thread that is running has used since the last tick is
  // missing, and a process that has exited takes its share with it.
  double CpuSeconds() const { return CpuSecondsOf(WithDescendants()); }
  static double CpuSecondsOf(const std::vector<pid_t>& processes);

  // From smaps_rollup; zero where it may not be read.
  ServerMemory Memory() const;

  // The given processes first.
  std::vector<pid_t> WithDescendants() const;

 private:
  std::vector<pid_t> roots_;
};

}  // namespace sallyport::bench
