#include "sip/proxy/edge_sockets.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/listening_sockets.h"

namespace sallyport::sip {
namespace {

core::SocketKind KindOf(const ListenerConfig& listener) {
  return listener.transport == TransportProtocol::kUdp ? core::SocketKind::kDatagram
                                                       : core::SocketKind::kStream;
}

// Whether a wildcard listener of ours covers this address.
bool IsCovered(const ListenerConfig& listener, const std::vector<ListenerConfig>& all) {
  if (listener.address.IsUnspecified() || listener.address.port() == 0) return false;
  return std::any_of(all.begin(), all.end(), [&listener](const ListenerConfig& other) {
    return other.address.IsUnspecified() && other.address.port() == listener.address.port() &&
           other.address.family() == listener.address.family() && KindOf(other) == KindOf(listener);
  });
}

// Wildcards first: what they keep others from, an address that they cover need not.
std::vector<size_t> OpeningOrder(const std::vector<ListenerConfig>& listeners) {
  std::vector<size_t> order(listeners.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_partition(order.begin(), order.end(), [&listeners](size_t index) {
    return !IsCovered(listeners[index], listeners);
  });
  return order;
}

std::string CannotListen(const ListenerConfig& listener, const absl::Status& status) {
  return absl::StrCat("listener \"", listener.name, "\" cannot listen on ",
                      listener.address.ToString(), " (",
                      std::string(TransportName(listener.transport)), "): ", status.message());
}

// The kernel lets go of the sockets of a process that was killed a little after it is gone.
constexpr int kAttemptsMax = 6;
constexpr absl::Duration kBetweenAttempts = absl::Milliseconds(200);

bool IsInUse(const EdgeSockets& sockets) {
  return std::any_of(sockets.errors.begin(), sockets.errors.end(), [](const std::string& error) {
    return absl::StrContains(error, std::strerror(EADDRINUSE));
  });
}

void OpenAdmin(const core::SocketAddress& address, EdgeSockets& sockets) {
  if (address.family() == core::AddressFamily::kNone) return;
  auto opened = core::OpenListeningSockets(address, core::SocketKind::kStream, 1, false);
  if (opened.ok()) {
    sockets.admin = std::move(opened->front());
  } else {
    sockets.errors.push_back(absl::StrCat("the admin page cannot listen on ", address.ToString(),
                                          " (edge.admin): ", opened.status().message()));
  }
}

EdgeSockets TryToOpen(const EdgeConfig& config, uint32_t shards) {
  const std::vector<ListenerConfig>& listeners = config.listeners;
  EdgeSockets sockets;
  sockets.by_shard.resize(shards);
  for (std::vector<core::FileDescriptor>& one : sockets.by_shard) one.resize(listeners.size());
  std::vector<std::string> errors(listeners.size());
  for (const size_t index : OpeningOrder(listeners)) {
    const ListenerConfig& listener = listeners[index];
    auto opened = core::OpenListeningSockets(listener.address, KindOf(listener), shards,
                                             IsCovered(listener, listeners));
    if (!opened.ok()) {
      errors[index] = CannotListen(listener, opened.status());
      continue;
    }
    for (uint32_t shard = 0; shard < shards; ++shard) {
      sockets.by_shard[shard][index] = std::move((*opened)[shard]);
    }
  }
  for (std::string& error : errors) {
    if (!error.empty()) sockets.errors.push_back(std::move(error));
  }
  OpenAdmin(config.admin, sockets);
  return sockets;
}

}  // namespace

EdgeSockets OpenEdgeSockets(const EdgeConfig& config, uint32_t shards) {
  EdgeSockets sockets = TryToOpen(config, shards);
  for (int attempt = 1; attempt < kAttemptsMax && IsInUse(sockets); ++attempt) {
    sockets = {};  // What was opened would be in the way.
    absl::SleepFor(kBetweenAttempts);
    sockets = TryToOpen(config, shards);
  }
  return sockets;
}

}  // namespace sallyport::sip
