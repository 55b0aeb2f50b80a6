#include "core/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>

namespace sallyport::core {
namespace {

constexpr std::string_view kProcessPrefix = "process_";

bool IsSnakeCase(std::string_view name) {
  if (name.empty() || !(name.front() >= 'a' && name.front() <= 'z')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// Exposition format 0.0.4: backslash and line feed in HELP, the quote too in a label value.
void AppendEscaped(std::string& out, std::string_view text, bool in_quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && in_quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

void AppendNumber(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    char text[40];
    const auto [end, error] = std::to_chars(text, text + sizeof(text), value);
    out.append(text, end);
  }
}

// Whole numbers stay whole: a counter above 2^53 loses nothing.
void AppendScaled(std::string& out, int64_t value, double divisor) {
  if (divisor == 1) {
    out += std::to_string(value);
  } else {
    AppendNumber(out, static_cast<double>(value) / divisor);
  }
}

std::string_view TypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
  }
  UNREACHABLE();
}

uint32_t SeriesCount(std::span<const MetricLabel> labels) {
  uint32_t count = 1;
  for (const MetricLabel& label : labels) count *= static_cast<uint32_t>(label.values.size());
  return count;
}

void AppendLabel(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty()) out += ',';
  out += name;
  out += "=\"";
  AppendEscaped(out, value, true);
  out += '"';
}

// The labels of the `series`-th combination, the last label varying fastest.
std::string LabelsOf(std::span<const MetricLabel> labels, uint32_t series) {
  std::vector<size_t> indexes(labels.size());
  for (size_t i = labels.size(); i-- > 0;) {
    indexes[i] = series % labels[i].values.size();
    series /= static_cast<uint32_t>(labels[i].values.size());
  }
  std::string text;
  for (size_t i = 0; i < labels.size(); ++i) {
    AppendLabel(text, labels[i].name, labels[i].values[indexes[i]]);
  }
  return text;
}

void AppendSeries(std::string& out, std::string_view name, std::string_view labels) {
  out += name;
  if (!labels.empty()) {
    out += '{';
    out += labels;
    out += '}';
  }
  out += ' ';
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::vector<MetricSample> One(double value) { return {MetricSample{{}, value}}; }

double ProcessCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

double ProcessResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double total_pages = 0;
  double resident_pages = 0;
  file >> total_pages >> resident_pages;
  return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double ProcessOpenDescriptors() {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  double count = 0;
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return std::max(0.0, count - 3);  // ".", ".." and the folder itself.
}

double ProcessDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

// proc(5): field 22 of stat is the start in clock ticks after boot, btime in /proc/stat is boot.
double ProcessStartSeconds() {
  std::ifstream stat_file("/proc/self/stat");
  std::string stat((std::istreambuf_iterator<char>(stat_file)), std::istreambuf_iterator<char>());
  const size_t after_name = stat.rfind(')');  // The name may hold spaces and brackets.
  if (after_name == std::string::npos) return 0;
  std::istringstream fields(stat.substr(after_name + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  double ticks = 0;
  fields >> ticks;
  std::ifstream boot_file("/proc/stat");
  std::string word;
  double boot = 0;
  while (boot_file >> word) {
    if (word == "btime") {
      boot_file >> boot;
      break;
    }
  }
  return boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

// ---- Slots

MetricSlots::MetricSlots(uint32_t first, std::span<const MetricLabel> labels)
    : first_(first), labels_(static_cast<uint32_t>(labels.size())) {
  CHECK(labels.size() <= kMetricLabelsMax);
  for (size_t i = 0; i < labels.size(); ++i) {
    sizes_[i] = static_cast<uint32_t>(labels[i].values.size());
  }
}

HistogramSlots::HistogramSlots(uint32_t first, std::span<const MetricLabel> labels,
                               std::span<const uint64_t> bounds)
    : first_(first), buckets_(static_cast<uint32_t>(bounds.size())), series_(0, labels) {
  CHECK(!bounds.empty() && bounds.size() <= kHistogramBucketsMax);
  CHECK(std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) == bounds.end());
  std::copy(bounds.begin(), bounds.end(), bounds_.begin());
}

SharedMetric::SharedMetric(std::span<const MetricLabel> labels)
    : series_(0, labels), values_(SeriesCount(labels)) {}

// ---- Families

struct MetricRegistry::Family {
  enum class Source : uint8_t { kSlots, kShardSlots, kShared, kCallback };

  MetricType type;
  Source source = Source::kSlots;
  std::string name;
  std::string help;
  std::vector<MetricLabel> labels;  // Of a callback: names only.
  uint32_t first_slot = 0;
  double divisor = 1;
  std::vector<uint64_t> bounds;
  std::unique_ptr<SharedMetric> shared;
  std::function<std::vector<MetricSample>()> sample;
};

MetricRegistry::MetricRegistry(std::string prefix) : prefix_(std::move(prefix)) {}
MetricRegistry::~MetricRegistry() = default;

MetricRegistry::Family& MetricRegistry::Add(MetricType type, std::string_view name,
                                            std::string_view help, std::vector<MetricLabel> labels,
                                            uint32_t slots_per_series) {
  const bool standard = name.substr(0, kProcessPrefix.size()) == kProcessPrefix;
  std::string full_name = (standard ? std::string() : prefix_) + std::string(name);
  CHECK(IsSnakeCase(full_name) && !help.empty());
  CHECK((type == MetricType::kCounter) == EndsWith(name, "_total"));
  CHECK(labels.size() <= kMetricLabelsMax);
  for (const MetricLabel& label : labels) CHECK(IsSnakeCase(label.name));
  for (const Family& other : families_) CHECK(other.name != full_name);
  Family& family = families_.emplace_back();
  family.type = type;
  family.name = std::move(full_name);
  family.help = std::string(help);
  family.labels = std::move(labels);
  family.first_slot = next_slot_;
  next_slot_ += SeriesCount(family.labels) * slots_per_series;
  return family;
}

MetricSlots MetricRegistry::AddCounter(std::string_view name, std::string_view help,
                                       std::vector<MetricLabel> labels, double divisor) {
  Family& family = Add(MetricType::kCounter, name, help, std::move(labels), 1);
  family.divisor = divisor;
  return {family.first_slot, family.labels};
}

MetricSlots MetricRegistry::AddGauge(std::string_view name, std::string_view help,
                                     std::vector<MetricLabel> labels, double divisor) {
  Family& family = Add(MetricType::kGauge, name, help, std::move(labels), 1);
  family.divisor = divisor;
  return {family.first_slot, family.labels};
}

MetricSlots MetricRegistry::AddShardCounter(std::string_view name, std::string_view help,
                                            double divisor) {
  Family& family = Add(MetricType::kCounter, name, help, {}, 1);
  family.source = Family::Source::kShardSlots;
  family.divisor = divisor;
  return {family.first_slot, family.labels};
}

MetricSlots MetricRegistry::AddShardGauge(std::string_view name, std::string_view help,
                                          double divisor) {
  Family& family = Add(MetricType::kGauge, name, help, {}, 1);
  family.source = Family::Source::kShardSlots;
  family.divisor = divisor;
  return {family.first_slot, family.labels};
}

HistogramSlots MetricRegistry::AddHistogram(std::string_view name, std::string_view help,
                                            std::vector<MetricLabel> labels,
                                            std::span<const uint64_t> bounds, double divisor) {
  Family& family = Add(MetricType::kHistogram, name, help, std::move(labels),
                       static_cast<uint32_t>(bounds.size()) + 2);
  family.divisor = divisor;
  family.bounds.assign(bounds.begin(), bounds.end());
  return {family.first_slot, family.labels, bounds};
}

SharedMetric& MetricRegistry::AddShared(MetricType type, std::string_view name,
                                        std::string_view help, std::vector<MetricLabel> labels) {
  CHECK(type != MetricType::kHistogram);
  Family& family = Add(type, name, help, std::move(labels), 0);
  family.source = Family::Source::kShared;
  family.shared = std::make_unique<SharedMetric>(family.labels);
  return *family.shared;
}

void MetricRegistry::AddCallback(MetricType type, std::string_view name, std::string_view help,
                                 std::vector<std::string> label_names,
                                 std::function<std::vector<MetricSample>()> sample) {
  CHECK(type != MetricType::kHistogram);
  std::vector<MetricLabel> labels;
  labels.reserve(label_names.size());
  for (std::string& label : label_names) labels.push_back({std::move(label), {}});
  Family& family = Add(type, name, help, std::move(labels), 0);
  family.source = Family::Source::kCallback;
  family.sample = std::move(sample);
}

void MetricRegistry::AddProcessMetrics() {
  AddCallback(MetricType::kGauge, "process_start_time_seconds",
              "Start of the process, seconds since the epoch.", {},
              [start = ProcessStartSeconds()] { return One(start); });
  AddCallback(MetricType::kCounter, "process_cpu_seconds_total",
              "User and system CPU time of the process.", {},
              [] { return One(ProcessCpuSeconds()); });
  AddCallback(MetricType::kGauge, "process_resident_memory_bytes", "Resident memory.", {},
              [] { return One(ProcessResidentBytes()); });
  AddCallback(MetricType::kGauge, "process_open_fds", "Open file descriptors.", {},
              [] { return One(ProcessOpenDescriptors()); });
  AddCallback(MetricType::kGauge, "process_max_fds", "Limit of open file descriptors.", {},
              [] { return One(ProcessDescriptorLimit()); });
}

// ---- Text

uint64_t MetricRegistry::Sum(std::span<const StatsBlock* const> blocks, uint32_t slot) {
  uint64_t sum = 0;
  for (const StatsBlock* block : blocks) sum += block->Get(slot);
  return sum;
}

void MetricRegistry::RenderSlots(const Family& family, std::span<const StatsBlock* const> blocks,
                                 std::string& out) {
  for (uint32_t series = 0; series < SeriesCount(family.labels); ++series) {
    AppendSeries(out, family.name, LabelsOf(family.labels, series));
    const auto sum = static_cast<int64_t>(Sum(blocks, family.first_slot + series));
    // Gauges are differences of two moments on several shards: below zero is not a fact.
    AppendScaled(out, family.type == MetricType::kGauge ? std::max<int64_t>(sum, 0) : sum,
                 family.divisor);
    out += '\n';
  }
}

void MetricRegistry::RenderShardSlots(const Family& family,
                                      std::span<const StatsBlock* const> blocks, std::string& out) {
  for (size_t shard = 0; shard < blocks.size(); ++shard) {
    std::string labels;
    AppendLabel(labels, "shard", std::to_string(shard));
    AppendSeries(out, family.name, labels);
    AppendScaled(out, static_cast<int64_t>(blocks[shard]->Get(family.first_slot)), family.divisor);
    out += '\n';
  }
}

void MetricRegistry::RenderHistogram(const Family& family,
                                     std::span<const StatsBlock* const> blocks, std::string& out) {
  const auto stride = static_cast<uint32_t>(family.bounds.size()) + 2;
  for (uint32_t series = 0; series < SeriesCount(family.labels); ++series) {
    const uint32_t first = family.first_slot + series * stride;
    const std::string labels = LabelsOf(family.labels, series);
    uint64_t cumulative = 0;
    for (uint32_t bucket = 0; bucket + 1 < stride; ++bucket) {
      cumulative += Sum(blocks, first + bucket);
      std::string bound;
      if (bucket < family.bounds.size()) {
        AppendNumber(bound, static_cast<double>(family.bounds[bucket]) / family.divisor);
      } else {
        bound = "+Inf";
      }
      std::string bucket_labels = labels;
      AppendLabel(bucket_labels, "le", bound);
      AppendSeries(out, family.name + "_bucket", bucket_labels);
      out += std::to_string(cumulative) + '\n';
    }
    AppendSeries(out, family.name + "_sum", labels);
    AppendNumber(out, static_cast<double>(Sum(blocks, first + stride - 1)) / family.divisor);
    out += '\n';
    // The +Inf bucket, not a third reading: the two must agree.
    AppendSeries(out, family.name + "_count", labels);
    out += std::to_string(cumulative) + '\n';
  }
}

void MetricRegistry::RenderShared(const Family& family, std::string& out) {
  for (uint32_t series = 0; series < SeriesCount(family.labels); ++series) {
    AppendSeries(out, family.name, LabelsOf(family.labels, series));
    out += std::to_string(family.shared->At(series)) + '\n';
  }
}

void MetricRegistry::RenderCallback(const Family& family, std::string& out) {
  for (const MetricSample& sample : family.sample()) {
    CHECK(sample.label_values.size() == family.labels.size());
    std::string labels;
    for (size_t i = 0; i < family.labels.size(); ++i) {
      AppendLabel(labels, family.labels[i].name, sample.label_values[i]);
    }
    AppendSeries(out, family.name, labels);
    AppendNumber(out, sample.value);
    out += '\n';
  }
}

std::string MetricRegistry::Render(std::span<const StatsBlock* const> blocks) const {
  std::string out;
  for (const Family& family : families_) {
    out += "# HELP " + family.name + ' ';
    AppendEscaped(out, family.help, false);
    out += "\n# TYPE " + family.name + ' ';
    out += TypeName(family.type);
    out += '\n';
    switch (family.source) {
      case Family::Source::kSlots:
        if (family.type == MetricType::kHistogram) {
          RenderHistogram(family, blocks, out);
        } else {
          RenderSlots(family, blocks, out);
        }
        break;
      case Family::Source::kShardSlots:
        RenderShardSlots(family, blocks, out);
        break;
      case Family::Source::kShared:
        RenderShared(family, out);
        break;
      case Family::Source::kCallback:
        RenderCallback(family, out);
        break;
    }
  }
  return out;
}

}  // namespace sallyport::core
