#include "sip/proxy/next_hop_pool.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/check.h"

namespace sallyport::sip {
namespace {

constexpr absl::Duration kBackoffMin = absl::Milliseconds(250);
constexpr absl::Duration kBackoffMax = absl::Seconds(8);

}  // namespace

NextHopPool::NextHopPool(ShardContext& context, NextHopHandler& handler)
    : context_(context), handler_(handler) {
  OnNewSnapshot();
}

void NextHopPool::AddSocket(size_t listener, core::DatagramSocket& socket) {
  if (sockets_.size() <= listener) sockets_.resize(listener + 1, nullptr);
  sockets_[listener] = &socket;
}

NextHopPool::Place NextHopPool::PlaceOf(const ForwardTarget& target) {
  const auto same = std::find_if(entries_.begin(), entries_.end(), [&target](const Entry& entry) {
    return entry.target.transport == target.transport && entry.target.address == target.address &&
           entry.target.listener == target.listener;
  });
  if (same != entries_.end()) {
    same->target = target;  // What is written into Via may have changed.
    return static_cast<Place>(same - entries_.begin());
  }
  entries_.emplace_back(target);
  return static_cast<Place>(entries_.size() - 1);
}

void NextHopPool::OnNewSnapshot() {
  places_.clear();
  for (const ForwardTarget& target : context_.snapshot->targets) {
    if (entries_.size() == kPlacesMax) break;  // So many different ones in one process's life.
    places_.push_back(PlaceOf(target));
  }
  for (Entry& entry : entries_) {
    const bool is_used = std::any_of(places_.begin(), places_.end(),
                                     [&](Place place) { return &entries_[place] == &entry; });
    if (!is_used && entry.connection != nullptr && entry.waiting.empty()) {
      entry.connection->Close(ConnectionCloseReason::kPolicy);
    }
  }
}

std::optional<NextHopPool::Place> NextHopPool::Pick(std::optional<Place> after) {
  bool is_candidate = !after.has_value();
  for (const Place place : places_) {
    if (is_candidate && entries_[place].retry_at <= context_.reactor().now()) return place;
    if (place == after) is_candidate = true;
  }
  return std::nullopt;
}

bool NextHopPool::Send(Place place, std::string_view message) {
  Entry& entry = entries_[place];
  if (entry.target.transport == TransportProtocol::kUdp) {
    core::DatagramSocket* const socket =
        entry.target.listener < sockets_.size() ? sockets_[entry.target.listener] : nullptr;
    return socket != nullptr &&
           socket->Send(entry.target.address, std::as_bytes(std::span(message)));
  }
  if (entry.connection == nullptr && !Dial(place)) return false;
  return entry.connection->Send(message);
}

bool NextHopPool::Dial(Place place) {
  Entry& entry = entries_[place];
  if (stopping_ || entry.retry_at > context_.reactor().now()) return false;
  ConnectionHandler& handler = *this;
  auto connection =
      std::make_unique<Connection>(context_, handler, ConnectionId{place, 0},
                                   Connection::kNoListener, Zone::kInside, entry.target.address);
  if (connection->Dial(context_.snapshot->config.timeouts.connect) != 0) {
    LeaveAlone(entry, ConnectResult::kRefused);
    return false;
  }
  entry.connection = std::move(connection);
  return true;
}

void NextHopPool::LeaveAlone(Entry& entry, ConnectResult result) {
  entry.backoff = std::clamp(2 * entry.backoff, kBackoffMin, kBackoffMax);
  entry.retry_at = context_.reactor().now() + entry.backoff;
  context_.Count(context_.metrics.next_hop_connects.Slot(0, result));
  context_.log.Write(core::LogLevel::kWarning, "next-hop-unreachable",
                     "could not connect to next hop",
                     {{"target", entry.target.address.ToString()},
                      {"retry_ms", absl::ToInt64Milliseconds(entry.backoff)}});
}

void NextHopPool::OnConnectionOpen(Connection& connection) {
  Entry& entry = entries_[connection.id().slot];
  entry.backoff = absl::ZeroDuration();
  context_.Count(context_.metrics.next_hop_connects.Slot(0, ConnectResult::kOk));
}

void NextHopPool::OnFrame(Connection& connection, const Frame& frame, std::string_view) {
  handler_.OnNextHopFrame(connection, frame);
}

void NextHopPool::OnConnectionClosing(Connection& connection) {
  Entry& entry = entries_[connection.id().slot];
  if (entry.connection.get() != &connection) return;
  if (!connection.has_opened() && !stopping_) {
    LeaveAlone(entry, connection.connect_error() == ETIMEDOUT ? ConnectResult::kTimeout
                                                              : ConnectResult::kRefused);
  }
  closing_.push_back(std::move(entry.connection));
  core::IntrusiveList<Transaction> lost;
  lost.TakeAll(entry.waiting);
  while (Transaction* const transaction = lost.PopFront()) {
    handler_.OnNextHopLost(*transaction, connection.has_opened());
  }
}

void NextHopPool::OnConnectionClosed(Connection& connection) {
  std::erase_if(closing_, [&connection](const std::unique_ptr<Connection>& closing) {
    return closing.get() == &connection;
  });
}

bool NextHopPool::IsReachable() const {
  return std::any_of(places_.begin(), places_.end(), [this](Place place) {
    return entries_[place].backoff == absl::ZeroDuration();
  });
}

void NextHopPool::Stop() {
  stopping_ = true;
  sockets_.clear();  // They close too; timers may still want to retransmit.
  for (Entry& entry : entries_) {
    if (entry.connection != nullptr) entry.connection->Close(ConnectionCloseReason::kDrain);
  }
}

bool NextHopPool::IsQuiet() const {
  return closing_.empty() && std::all_of(entries_.begin(), entries_.end(), [](const Entry& entry) {
           return entry.connection == nullptr;
         });
}

}  // namespace sallyport::sip
