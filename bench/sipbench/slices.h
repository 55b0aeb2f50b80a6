// Two servers under the same load in turn, in slices so short that what else the machine does meets
// both alike. Four slices are a quartet: first, second, second, first, or the other way round in
// every other one, so that a drift cancels.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/sipbench/command_line.h"
#include "bench/sipbench/report.h"
#include "bench/sipbench/server_process.h"

namespace sallyport::bench {

struct SliceFlags {
  std::string target;  // Of the second server; empty: no slices are wanted.
  int64_t pid = 0;
  int64_t quartets = 40;
  double seconds = 0.02;

  void AddTo(CommandLine* command_line);
  bool wanted() const { return !target.empty(); }
  // The second server's address, when both processes are known.
  absl::StatusOr<sockaddr_in> Target(const ServerProcess& first) const;
};

// The load on one server. Between slices nothing is in flight.
class SlicedLoad {
 public:
  // How many operations were completed; 0 when it failed.
  virtual uint64_t RunSlice() = 0;

 protected:
  ~SlicedLoad() = default;
};

struct SlicedServer {
  SlicedLoad* load;
  ServerProcess process;
  std::vector<double> cpu_us_per_op;  // Of each slice.
};

// False when a slice failed.
bool MeasureSlices(int64_t quartets, SlicedServer* first, SlicedServer* second);

// The figures of slices in their order: two of each server belong to a quartet.
void DescribeSlices(const SlicedServer& first, const SlicedServer& second, Report* report);

}  // namespace sallyport::bench
