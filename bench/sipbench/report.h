// The result of one run: named figures, in order, as lines for people or as one JSON object for
// scripts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/sipbench/latency_histogram.h"

namespace sallyport::bench {

class Report {
 public:
  void Add(std::string_view name, std::string_view text);
  void Add(std::string_view name, uint64_t number);
  void Add(std::string_view name, double number);
  void Add(std::string_view name, const std::map<std::string, uint64_t>& counts);
  void Add(std::string_view name, const std::vector<double>& numbers);
  // p50, p90, p99, p99.9 and the maximum, in microseconds, as `<prefix>_p50_us` and so on.
  void AddLatency(std::string_view prefix, const LatencyHistogram& latency);

  void Print(bool json) const;

 private:
  struct Entry {
    std::string name;
    std::string text;
    std::string json;
  };

  std::vector<Entry> entries_;
};

}  // namespace sallyport::bench
