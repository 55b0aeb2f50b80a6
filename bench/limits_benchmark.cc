// Question: what do limits and the choice of a target cost per message? A token of a key that is in
// the cache and of one of very many; a message of a turn; the order of a group's targets.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/count_table.h"
#include "core/rate_table.h"
#include "sip/proxy/fair_turns.h"
#include "sip/proxy/target_order.h"

namespace sallyport {
namespace {

std::vector<uint64_t> Keys(int64_t count) {
  std::mt19937_64 random(1);
  std::vector<uint64_t> keys(static_cast<size_t>(count));
  for (uint64_t& key : keys) key = random();
  return keys;
}

// Argument: keys, in a table of four times as many places.
void BM_RateTableAdmit(benchmark::State& state) {
  const std::vector<uint64_t> keys = Keys(state.range(0));
  core::RateTable table(static_cast<uint32_t>(4 * keys.size()));
  const core::RateLimit limit = core::RateLimit::PerSecond(1e6, 100);
  core::MonotonicTime now{1'000'000'000};
  size_t next = 0;
  uint64_t admitted = 0;
  for (auto _ : state) {
    now.nanoseconds += 1000;
    admitted += table.Admit(keys[next], now, limit);
    next = next + 1 == keys.size() ? 0 : next + 1;
  }
  CHECK(admitted == static_cast<uint64_t>(state.iterations()));
}
BENCHMARK(BM_RateTableAdmit)->Arg(16)->Arg(16384)->Arg(262144);

void BM_CountTableUpAndDown(benchmark::State& state) {
  const std::vector<uint64_t> keys = Keys(state.range(0));
  core::CountTable table(static_cast<uint32_t>(keys.size()));
  for (size_t index = 0; index < keys.size() / 2; ++index) CHECK(table.Increment(keys[index], 1));
  size_t next = keys.size() / 2;
  for (auto _ : state) {
    CHECK(table.Increment(keys[next], 1));
    table.Decrement(keys[next]);
    next = next + 1 == keys.size() ? keys.size() / 2 : next + 1;
  }
}
BENCHMARK(BM_CountTableUpAndDown)->Arg(20000);

void BM_FairTurnsTake(benchmark::State& state) {
  const std::vector<uint64_t> keys = Keys(state.range(0));
  sip::FairTurns turns({});
  uint64_t turn = 1;
  size_t next = 0;
  for (auto _ : state) {
    CHECK(turns.Take(keys[next], turn, {}));
    if (++next == keys.size()) {
      next = 0;
      ++turn;
    }
  }
}
BENCHMARK(BM_FairTurnsTake)->Arg(1)->Arg(512);

void BM_OrderTargets(benchmark::State& state) {
  std::vector<sip::OrderedTarget> targets(static_cast<size_t>(state.range(0)));
  for (size_t index = 0; index < targets.size(); ++index) {
    targets[index].hash_id = sip::TargetHashId(std::to_string(index));
  }
  uint64_t selector = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sip::OrderTargets(targets, ++selector));
  }
}
BENCHMARK(BM_OrderTargets)->Arg(2)->Arg(8);

}  // namespace
}  // namespace sallyport
