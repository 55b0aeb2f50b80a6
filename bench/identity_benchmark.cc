// Question: what does identity cost? Per message: the From check. Per connection: a look into the
// shared identity cache, hit and miss, with and without another thread that keeps writing; and what
// a miss adds (reading the certificate, deriving its SIP identities).
#include <benchmark/benchmark.h>

#include <atomic>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "core/check.h"
#include "core/quiet_points.h"
#include "sip/message/uri.h"
#include "sip/policy/from_check.h"
#include "sip/policy/sip_identities.h"
#include "tls/certificate_reader.h"
#include "tls/identity_cache.h"
#include "tls/private_ca.h"

namespace sallyport {
namespace {

sip::Uri UriOf(std::string_view text) {
  sip::Uri uri;
  CHECK(sip::ParseUri(text, uri) == sip::UriOutcome::kOk);
  return uri;
}

void CheckFromRepeatedly(benchmark::State& state, const sip::SipIdentities& identities,
                         std::string_view from, sip::FromVerdict expected) {
  const sip::Uri uri = UriOf(from);
  for (auto _ : state) {
    const sip::FromVerdict verdict = sip::CheckFrom(&identities, uri);
    CHECK(verdict == expected);  // A fast wrong answer is not a result.
    benchmark::DoNotOptimize(verdict);
  }
}

void BM_CheckFromDomainHit(benchmark::State& state) {
  const sip::SipIdentities identities({"edge.example"}, {});
  CheckFromRepeatedly(state, identities, "sip:alice@Edge.example",
                      sip::FromVerdict::kCoveredByDomain);
}
BENCHMARK(BM_CheckFromDomainHit);

void BM_CheckFromUserHit(benchmark::State& state) {
  const sip::SipIdentities identities({}, {{"alice", "edge.example"}});
  CheckFromRepeatedly(state, identities, "sip:alice@edge.example",
                      sip::FromVerdict::kCoveredByUser);
}
BENCHMARK(BM_CheckFromUserHit);

void BM_CheckFromMiss(benchmark::State& state) {
  const sip::SipIdentities identities({"edge.example"}, {});
  CheckFromRepeatedly(state, identities, "sip:alice@evil.example", sip::FromVerdict::kNotCovered);
}
BENCHMARK(BM_CheckFromMiss);

// A carrier's certificate: `range` domains in one certificate.
void BM_CheckFromHitAmongMany(benchmark::State& state) {
  std::vector<std::string> domains;
  for (int64_t i = 0; i < state.range(0); ++i)
    domains.push_back("d" + std::to_string(1000 + i) + ".example");
  const sip::SipIdentities identities(std::move(domains), {});
  CheckFromRepeatedly(state, identities, "sip:alice@d1001.example",
                      sip::FromVerdict::kCoveredByDomain);
}
BENCHMARK(BM_CheckFromHitAmongMany)->Arg(10)->Arg(100)->Arg(1000);

struct Leaf {
  std::string der;
  tls::Sha256Digest fingerprint;

  std::span<const uint8_t> bytes() const {
    return {reinterpret_cast<const uint8_t*>(der.data()), der.size()};
  }
};

std::string MintDer() {
  const int64_t now = static_cast<int64_t>(std::time(nullptr));
  const absl::StatusOr<tls::PemPair> ca = tls::MintCa("Benchmark CA", 10, now);
  CHECK(ca.ok());
  const absl::StatusOr<tls::PemPair> leaf =
      tls::MintLeaf(*ca, {.domains = {"edge.example"}, .days = 1}, now);
  CHECK(leaf.ok());
  const size_t begin = leaf->certificate.find('\n') + 1;
  std::string der;
  CHECK(absl::Base64Unescape(
      leaf->certificate.substr(begin, leaf->certificate.find("-----END") - begin), &der));
  return der;
}

// Distinct certificates; the signature differs, which the reader does not look at.
std::vector<Leaf> Leaves(size_t count) {
  const std::string der = MintDer();
  std::vector<Leaf> leaves(count);
  for (size_t i = 0; i < count; ++i) {
    leaves[i].der = der;
    leaves[i].der[der.size() - 1] = static_cast<char>(i & 0xff);
    leaves[i].der[der.size() - 2] = static_cast<char>(i >> 8);
    leaves[i].fingerprint = tls::CertificateFingerprint(leaves[i].bytes());
  }
  return leaves;
}

void BM_Fingerprint(benchmark::State& state) {
  const std::vector<Leaf> leaves = Leaves(1);
  for (auto _ : state) benchmark::DoNotOptimize(tls::CertificateFingerprint(leaves[0].bytes()));
}
BENCHMARK(BM_Fingerprint);

void BM_ReadCertificate(benchmark::State& state) {
  const std::vector<Leaf> leaves = Leaves(1);
  for (auto _ : state) {
    const tls::CertificateReading reading =
        tls::ReadCertificate(leaves[0].bytes(), leaves[0].fingerprint);
    CHECK(reading.fault == tls::CertificateFault::kNone);
  }
}
BENCHMARK(BM_ReadCertificate);

void BM_DeriveSipIdentities(benchmark::State& state) {
  const std::vector<Leaf> leaves = Leaves(1);
  const tls::CertificateReading reading = tls::ReadCertificate(leaves[0].bytes());
  for (auto _ : state) {
    const sip::SipIdentities identities = sip::DeriveSipIdentities(*reading.identity, {});
    CHECK(identities.domains_size() == 1);
  }
}
BENCHMARK(BM_DeriveSipIdentities);

constexpr uint32_t kReader = 0;
constexpr uint32_t kWriter = 1;
constexpr size_t kCapacity = 8192;
constexpr size_t kHot = 512;  // Peers that stay; the writer's come and go.

// A cache with kHot peers in it, and maybe a thread that inserts and evicts without pause.
class BusyCache {
 public:
  explicit BusyCache(bool with_writer)
      : leaves_(Leaves(4 * kCapacity)), cache_(kCapacity, quiet_points_) {
    quiet_points_.GoOnline(kReader);
    for (size_t i = 0; i < kHot; ++i)
      CHECK(cache_.FindOrRead(leaves_[i].bytes(), leaves_[i].fingerprint).identity);
    if (with_writer) writer_ = std::thread([this] { Write(); });
  }
  ~BusyCache() {
    stop_.store(true, std::memory_order_relaxed);
    if (writer_.joinable()) writer_.join();
    quiet_points_.GoOffline(kReader);
  }

  // One look of the reading shard; `first` is the index of the leaf.
  bool Find(size_t index) {
    if (++looks_ % 64 == 0) quiet_points_.Announce(kReader);
    return static_cast<bool>(cache_.Find(leaves_[index].fingerprint));
  }
  size_t evictions() const { return evictions_.load(std::memory_order_relaxed); }

 private:
  void Write() {
    for (size_t i = 0; !stop_.load(std::memory_order_relaxed); ++i) {
      quiet_points_.GoOnline(kWriter);
      const Leaf& leaf = leaves_[2 * kHot + i % (leaves_.size() - 2 * kHot)];
      if (cache_.FindOrRead(leaf.bytes(), leaf.fingerprint).evicted) {
        evictions_.fetch_add(1, std::memory_order_relaxed);
      }
      quiet_points_.GoOffline(kWriter);
    }
  }

  const std::vector<Leaf> leaves_;
  core::QuietPoints quiet_points_{2};
  tls::IdentityCache cache_;
  uint64_t looks_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<size_t> evictions_{0};
  std::thread writer_;
};

void BM_CacheHit(benchmark::State& state) {
  BusyCache cache(state.range(0) != 0);
  size_t hits = 0;
  size_t looks = 0;
  for (auto _ : state) hits += cache.Find(looks++ % kHot) ? 1 : 0;
  state.counters["hit_share"] = static_cast<double>(hits) / static_cast<double>(looks);
  state.counters["evictions"] = static_cast<double>(cache.evictions());
}
BENCHMARK(BM_CacheHit)->ArgName("writers")->Arg(0)->Arg(1);

void BM_CacheMiss(benchmark::State& state) {
  BusyCache cache(state.range(0) != 0);
  size_t looks = 0;
  for (auto _ : state) CHECK(!cache.Find(kHot + looks++ % kHot));  // Never inserted.
  state.counters["evictions"] = static_cast<double>(cache.evictions());
}
BENCHMARK(BM_CacheMiss)->ArgName("writers")->Arg(0)->Arg(1);

}  // namespace
}  // namespace sallyport
