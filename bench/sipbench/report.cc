#include "bench/sipbench/report.h"

#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace sallyport::bench {
namespace {

// Names and reasons are our own words: quotes and backslashes are all that could occur.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

}  // namespace

void Report::Add(std::string_view name, std::string_view text) {
  entries_.push_back({std::string(name), std::string(text), Quoted(text)});
}

void Report::Add(std::string_view name, uint64_t number) {
  entries_.push_back({std::string(name), absl::StrCat(number), absl::StrCat(number)});
}

void Report::Add(std::string_view name, double number) {
  const std::string text = std::isfinite(number) ? absl::StrFormat("%.3f", number) : "null";
  entries_.push_back({std::string(name), text, text});
}

void Report::Add(std::string_view name, const std::map<std::string, uint64_t>& counts) {
  std::vector<std::string> text;
  std::vector<std::string> json;
  for (const auto& [key, count] : counts) {
    text.push_back(absl::StrCat(key, " x ", count));
    json.push_back(absl::StrCat(Quoted(key), ": ", count));
  }
  entries_.push_back({std::string(name), text.empty() ? "none" : absl::StrJoin(text, ", "),
                      absl::StrCat("{", absl::StrJoin(json, ", "), "}")});
}

void Report::Add(std::string_view name, const std::vector<double>& numbers) {
  const std::string text = absl::StrJoin(numbers, ", ", [](std::string* out, double number) {
    absl::StrAppendFormat(out, "%.4f", number);
  });
  entries_.push_back({std::string(name), text, absl::StrCat("[", text, "]")});
}

void Report::AddLatency(std::string_view prefix, const LatencyHistogram& latency) {
  const auto microseconds = [](int64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1000;
  };
  const std::string stem(prefix);
  Add(stem + "_p50_us", microseconds(latency.Percentile(0.5)));
  Add(stem + "_p90_us", microseconds(latency.Percentile(0.9)));
  Add(stem + "_p99_us", microseconds(latency.Percentile(0.99)));
  Add(stem + "_p999_us", microseconds(latency.Percentile(0.999)));
  Add(stem + "_max_us", microseconds(latency.max()));
}

void Report::Print(bool json) const {
  if (!json) {
    for (const Entry& entry : entries_)
      std::printf("%-28s %s\n", entry.name.c_str(), entry.text.c_str());
    return;
  }
  std::vector<std::string> fields;
  for (const Entry& entry : entries_)
    fields.push_back(absl::StrCat(Quoted(entry.name), ": ", entry.json));
  std::printf("{%s}\n", absl::StrJoin(fields, ", ").c_str());
}

}  // namespace sallyport::bench
