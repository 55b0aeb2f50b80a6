// Goal: the text is what Prometheus reads, complete from the first scrape, and sums over shards.
#include "core/metrics.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsTest, EverySeriesIsThereFromTheStart) {
  MetricRegistry registry("sallyport_");
  registry.AddCounter("connections_total", "Connections.",
                      {{"listener", {"a", "b"}}, {"state", {"open", "closed"}}});
  const StatsBlock block(registry.slots());
  const StatsBlock* const blocks[] = {&block};
  EXPECT_EQ(registry.Render(blocks),
            "# HELP sallyport_connections_total Connections.\n"
            "# TYPE sallyport_connections_total counter\n"
            "sallyport_connections_total{listener=\"a\",state=\"open\"} 0\n"
            "sallyport_connections_total{listener=\"a\",state=\"closed\"} 0\n"
            "sallyport_connections_total{listener=\"b\",state=\"open\"} 0\n"
            "sallyport_connections_total{listener=\"b\",state=\"closed\"} 0\n");
}

TEST(MetricsTest, SlotsOfLabelsAndFamiliesDoNotOverlap) {
  MetricRegistry registry("x_");
  const MetricSlots one = registry.AddCounter("one_total", "One.");
  const MetricSlots grid =
      registry.AddCounter("grid_total", "Grid.", {{"a", {"0", "1", "2"}}, {"b", {"0", "1"}}});
  const MetricSlots last = registry.AddGauge("last", "Last.");
  std::vector<uint32_t> slots = {one.Slot()};
  for (uint32_t a = 0; a < 3; ++a) {
    for (uint32_t b = 0; b < 2; ++b) slots.push_back(grid.Slot(a, b));
  }
  slots.push_back(last.Slot());
  for (uint32_t i = 0; i < slots.size(); ++i) EXPECT_EQ(slots[i], i);
  EXPECT_EQ(registry.slots(), slots.size());
}

TEST(MetricsTest, ShardsAreSummedAndGaugesMayMoveBetweenThem) {
  MetricRegistry registry("x_");
  const MetricSlots count = registry.AddCounter("count_total", "Count.");
  const MetricSlots level = registry.AddGauge("level", "Level.");
  const MetricSlots busy = registry.AddShardCounter("busy_seconds_total", "Busy.", 1e9);
  StatsBlock first(registry.slots());
  StatsBlock second(registry.slots());
  first.Add(count.Slot(), 2);
  second.Add(count.Slot(), 3);
  first.Add(level.Slot(), 5);
  second.Subtract(level.Slot(), 4);  // Handed over: added here, removed there.
  second.Add(busy.Slot(), 1'500'000'000);
  const StatsBlock* const blocks[] = {&first, &second};
  const std::string text = registry.Render(blocks);
  EXPECT_THAT(text, HasSubstr("\nx_count_total 5\n"));
  EXPECT_THAT(text, HasSubstr("\nx_level 1\n"));
  EXPECT_THAT(text, HasSubstr("\nx_busy_seconds_total{shard=\"0\"} 0\n"
                              "x_busy_seconds_total{shard=\"1\"} 1.5\n"));
  EXPECT_EQ(MetricRegistry::Sum(blocks, count.Slot()), 5u);
}

TEST(MetricsTest, LargeCountersLoseNothing) {
  MetricRegistry registry("x_");
  const MetricSlots count = registry.AddCounter("count_total", "Count.");
  StatsBlock block(registry.slots());
  block.Add(count.Slot(), (uint64_t{1} << 60) + 1);
  const StatsBlock* const blocks[] = {&block};
  EXPECT_THAT(registry.Render(blocks), HasSubstr(" 1152921504606846977\n"));
}

TEST(MetricsTest, HistogramsAreCumulativeInSeconds) {
  MetricRegistry registry("x_");
  const std::vector<uint64_t> bounds = {1'000'000, 10'000'000};
  const HistogramSlots wait =
      registry.AddHistogram("wait_seconds", "Wait.", {{"kind", {"a", "b"}}}, bounds, 1e9);
  StatsBlock block(registry.slots());
  wait.Observe(block, 1'000'000, 1);  // On the bound: inside it.
  wait.Observe(block, 1'000'001, 1);
  wait.Observe(block, 99'000'000'000, 1);
  const StatsBlock* const blocks[] = {&block};
  EXPECT_THAT(registry.Render(blocks),
              HasSubstr("x_wait_seconds_bucket{kind=\"b\",le=\"0.001\"} 1\n"
                        "x_wait_seconds_bucket{kind=\"b\",le=\"0.01\"} 2\n"
                        "x_wait_seconds_bucket{kind=\"b\",le=\"+Inf\"} 3\n"
                        "x_wait_seconds_sum{kind=\"b\"} 99.002000001\n"
                        "x_wait_seconds_count{kind=\"b\"} 3\n"));
}

TEST(MetricsTest, CallbacksAndSharedCountersAreAskedAtScrape) {
  MetricRegistry registry("x_");
  double value = 1;
  registry.AddCallback(MetricType::kGauge, "info", "Back\\slash\nline.", {"version"}, [&value] {
    return std::vector<MetricSample>{{{"a\"b\\c\nd"}, value}};
  });
  SharedMetric& reloads = registry.AddShared(MetricType::kCounter, "reloads_total", "Reloads.",
                                             {{"result", {"ok", "rejected"}}});
  reloads.Add(2, 1);
  value = 2.5;
  EXPECT_EQ(registry.Render({}),
            "# HELP x_info Back\\\\slash\\nline.\n# TYPE x_info gauge\n"
            "x_info{version=\"a\\\"b\\\\c\\nd\"} 2.5\n"
            "# HELP x_reloads_total Reloads.\n# TYPE x_reloads_total counter\n"
            "x_reloads_total{result=\"ok\"} 0\nx_reloads_total{result=\"rejected\"} 2\n");
  EXPECT_EQ(reloads.Value(1), 2);
}

TEST(MetricsTest, ProcessMetricsHaveStandardNamesAndSaneValues) {
  MetricRegistry registry("x_");
  registry.AddProcessMetrics();
  const std::string text = registry.Render({});
  for (const char* name :
       {"process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes",
        "process_open_fds", "process_max_fds"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name + " "));
    EXPECT_THAT(text, Not(HasSubstr(std::string("\n") + name + " 0\n")));
  }
}

TEST(MetricsDeathTest, NamesThatBreakTheRulesAreOurMistake) {
  MetricRegistry registry("x_");
  EXPECT_DEATH(registry.AddCounter("requests", "No _total."), "CHECK");
  EXPECT_DEATH(registry.AddGauge("level_total", "A gauge."), "CHECK");
  EXPECT_DEATH(registry.AddGauge("Level", "Capital."), "CHECK");
  registry.AddGauge("level", "Level.");
  EXPECT_DEATH(registry.AddGauge("level", "Again."), "CHECK");
}

}  // namespace
}  // namespace sallyport::core
