#include "sip/proxy/srv_order.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace sallyport::sip {
namespace {

// A hundredth of weight 1: RFC 2782 wants weight 0 to have "a very small chance".
constexpr double kWeightOfZero = 0.01;

// FNV-1a, then the finaliser of SplitMix64. Nothing secret: it must only be the same everywhere.
uint64_t HashBytes(uint64_t seed, std::string_view bytes) {
  uint64_t hash = 0xCBF29CE484222325 ^ seed;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  return hash;
}
uint64_t Mix(uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9;
  value = (value ^ value >> 27) * 0x94D049BB133111EB;
  return value ^ value >> 31;
}

double WaitingTime(uint64_t selector, uint64_t server, double weight) {
  const uint64_t drawn = Mix(Mix(server) ^ selector);
  const double uniform = (static_cast<double>(drawn >> 11) + 0.5) * 0x1p-53;  // Within (0, 1).
  return -std::log(uniform) / weight;
}

struct Ranked {
  SrvServer server;
  double wait = 0;
};

}  // namespace

SrvServers OrderServers(const core::DnsAnswer& answer, uint64_t selector) {
  std::array<Ranked, core::DnsAnswer::kRecordsMax> ranked;
  size_t size = 0;
  for (const core::DnsRecord& record : answer.records()) {
    const auto& srv = std::get<core::DnsSrv>(record);
    const std::string_view target = answer.text(srv.target);
    if (target.empty() || srv.port == 0) continue;
    const double weight = srv.weight == 0 ? kWeightOfZero : srv.weight;
    ranked[size++] = {{srv.priority, srv.weight, srv.port, target},
                      WaitingTime(selector, HashBytes(srv.port, target), weight)};
  }
  std::sort(ranked.begin(), ranked.begin() + static_cast<ptrdiff_t>(size),
            [](const Ranked& a, const Ranked& b) {
              return std::tie(a.server.priority, a.wait, a.server.target, a.server.port) <
                     std::tie(b.server.priority, b.wait, b.server.target, b.server.port);
            });
  SrvServers ordered;
  ordered.size = size;
  for (size_t index = 0; index < size; ++index) ordered.servers[index] = ranked[index].server;
  return ordered;
}

void OrderAddresses(std::span<core::SocketAddress> addresses, uint64_t selector) {
  const auto wait = [selector](const core::SocketAddress& address) {
    const auto& bytes = address.address_bytes();
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return WaitingTime(selector, HashBytes(0, text), 1);
  };
  std::sort(addresses.begin(), addresses.end(),
            [&wait](const core::SocketAddress& a, const core::SocketAddress& b) {
              const double wait_a = wait(a);
              const double wait_b = wait(b);
              return wait_a < wait_b || (wait_a == wait_b && a < b);
            });
}

}  // namespace sallyport::sip
