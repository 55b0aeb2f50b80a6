// This shard's ways to the next hops: for each target of the configuration one TCP connection that
// is dialled when it is needed, or the UDP socket of the listener it is sent from.
// A target that could not be reached is left alone for a moment, doubling up to a bound, so that
// its requests are refused at once instead of piling up behind a connect that will fail. Shard: one
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/datagram_socket.h"
#include "core/intrusive_list.h"
#include "sip/proxy/connection.h"
#include "sip/proxy/edge_snapshot.h"
#include "sip/proxy/shard_context.h"
#include "sip/proxy/transaction_table.h"

namespace sallyport::sip {

class NextHopHandler {
 public:
  // One frame from a connection that we dialled.
  virtual void OnNextHopFrame(Connection& connection, const Frame& frame) = 0;
  // The connection that this transaction waits for is gone; it is in no list any more. `was_open`:
  // the next hop may have got the request.
  virtual void OnNextHopLost(Transaction& transaction, bool was_open) = 0;

 protected:
  ~NextHopHandler() = default;
};

class NextHopPool final : private ConnectionHandler {
 public:
  // A target keeps its place as long as the process lives, whatever reloads do.
  using Place = uint8_t;
  static constexpr size_t kPlacesMax = 255;

  NextHopPool(ShardContext& context, NextHopHandler& handler);
  NextHopPool(const NextHopPool&) = delete;
  NextHopPool& operator=(const NextHopPool&) = delete;

  // UDP targets are sent to from here. `listener` is an index of the configuration.
  void AddSocket(size_t listener, core::DatagramSocket& socket);

  // The snapshot in the context has been replaced: finds each of its targets its place.
  void OnNewSnapshot();

  // The first target that is not being left alone; `after` those up to that place, when it failed.
  // Nothing: all are.
  [[nodiscard]] std::optional<Place> Pick(std::optional<Place> after = std::nullopt);
  [[nodiscard]] const ForwardTarget& target(Place place) const { return entries_[place].target; }
  [[nodiscard]] bool is_reliable(Place place) const {
    return entries_[place].target.transport != TransportProtocol::kUdp;
  }

  // Sends, dialling if need be. False: unreachable now, or more waits for it already than limits
  // allow; nothing was sent.
  [[nodiscard]] bool Send(Place place, std::string_view message);
  // From now on OnNextHopLost will come for it. Reliable targets only.
  void Await(Place place, Transaction& transaction) {
    entries_[place].waiting.PushBack(transaction);
  }

  // Some target has not failed since it last worked. UDP cannot tell and counts as reachable.
  [[nodiscard]] bool IsReachable() const;

  // Closes everything; IsQuiet once it is done.
  void Stop();
  [[nodiscard]] bool IsQuiet() const;

 private:
  struct Entry {
    explicit Entry(ForwardTarget forward_target) : target(std::move(forward_target)) {}
    ForwardTarget target;
    std::unique_ptr<Connection> connection;  // Connecting or open.
    core::IntrusiveList<Transaction> waiting;
    core::MonotonicTime retry_at{INT64_MIN};
    absl::Duration backoff = absl::ZeroDuration();
  };

  void OnConnectionOpen(Connection& connection) override;
  void OnFrame(Connection& connection, const Frame& frame, std::string_view unread) override;
  void OnConnectionClosing(Connection& connection) override;
  void OnConnectionClosed(Connection& connection) override;

  bool Dial(Place place);
  void LeaveAlone(Entry& entry, ConnectResult result);
  [[nodiscard]] Place PlaceOf(const ForwardTarget& target);

  ShardContext& context_;
  NextHopHandler& handler_;
  std::vector<core::DatagramSocket*> sockets_;  // By listener; null where there is none.
  std::deque<Entry> entries_;                   // By place; entries never move.
  std::vector<Place> places_;                   // By target of the snapshot.
  std::vector<std::unique_ptr<Connection>> closing_;
  bool stopping_ = false;
};

}  // namespace sallyport::sip
