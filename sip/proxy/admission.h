// Who may come in and what of it is served: the bounds of one shard on each source address and each
// proven identity (limits.source-*, limits.identity-*), an identity's share of a turn (FairTurns),
// and what is refused when work waits too long (OverloadControl).
//
// The inside is our own trust domain and one address there is a whole network's: it is bounded by
// overload alone. Responses and CANCEL are nobody's business here: they end work.
//
// Each shard enforces every bound whole, by itself. A connection stays on its shard, so a source
// with one connection gets exactly its rate; one that spreads over n shards gets n times as much at
// most. Dividing by the number of shards would refuse those who use few connections, and a table
// for all shards would pass a cache line around for every message.
//
// Cost: a limit of 0 costs one comparison. Connections of the outside are always counted, so that a
// limit that a reload sets knows of all.
// Time is passed in. Shard: one thread. All memory is reserved by the constructor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "core/clock.h"
#include "core/count_table.h"
#include "core/rate_table.h"
#include "core/reactor.h"
#include "core/socket_address.h"
#include "sip/policy/judge.h"
#include "sip/policy/reason_code.h"
#include "sip/proxy/connection.h"
#include "sip/proxy/edge_metrics.h"
#include "sip/proxy/fair_turns.h"
#include "sip/proxy/limits_config.h"
#include "sip/proxy/overload_control.h"
#include "tls/keyed_mac.h"

namespace sallyport::sip {

// The turn in which something is asked (core::Reactor).
struct AdmissionTurn {
  uint64_t number = 0;
  core::MonotonicTime now;
  absl::Duration queue_delay;
};

// Whose message it is.
struct AdmissionSource {
  Zone zone = Zone::kOutside;
  core::SocketAddress address;
  PeerKey identity = 0;  // What its certificate proved; 0: nothing.
};

inline AdmissionTurn AdmissionTurnOf(const core::Reactor& reactor) {
  return {reactor.counters().turns, reactor.now(), reactor.queue_delay()};
}

inline AdmissionSource AdmissionSourceOf(const Connection& connection) {
  const bool is_known = connection.standing() != nullptr && connection.standing()->has_identity;
  return {connection.zone(), connection.peer(), is_known ? connection.peer_key() : 0};
}

class Admission {
 public:
  // `key` hashes addresses; `connections_max`: accepted ones of this shard.
  Admission(const tls::MacKey& key, uint32_t connections_max, const LimitsConfig& limits,
            core::MonotonicTime now);
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // After a reload.
  void SetLimits(const LimitsConfig& limits);

  // A connection of that source, before TLS. Nothing: let it in, and call OnConnectionClosed when
  // it is gone. Otherwise nothing was counted.
  [[nodiscard]] std::optional<ConnectionRejectReason> MayConnect(const AdmissionSource& source,
                                                                 bool speaks_tls,
                                                                 core::MonotonicTime now);
  void OnConnectionClosed(const AdmissionSource& source);

  // One more message in this turn? Who proved nothing is told apart by address. `now` is the
  // clock's reading and not the turn's: a share ends by time as well.
  [[nodiscard]] bool MayServe(const AdmissionSource& source, uint64_t turn,
                              core::MonotonicTime now);

  // Of what MayServe let pass: done.
  [[nodiscard]] bool is_serving() const { return fair_turns_.is_serving(); }
  void StopServing(core::MonotonicTime now) { fair_turns_.Stop(now); }

  // A request about to begin a transaction. Nothing, or why it is refused (503).
  [[nodiscard]] std::optional<ReasonCode> RefusalOf(const AdmissionSource& source,
                                                    RequestClass request_class,
                                                    const AdmissionTurn& turn);

  // The ACK of a 2xx: it ends work, so four times as many as requests may come.
  [[nodiscard]] bool MayAcknowledge(const AdmissionSource& source, core::MonotonicTime now);

  // RefusalOf does it, too, for the first request of a turn; without requests a tick must, or an
  // overload would never be over. Once per turn counts.
  void ObserveDelay(const AdmissionTurn& turn);
  OverloadState overload_state() const { return overload_.state(); }
  // For the 503.
  uint32_t RetryAfterSeconds() { return overload_.RetryAfterSeconds(); }

  [[nodiscard]] uint64_t KeyOf(const core::SocketAddress& source) const;
  uint32_t sources_connected() const { return connections_.keys(); }
  // Sources and identities that a table forgot while they had spent something: it is too small for
  // what is going on.
  uint64_t forgotten() const {
    return handshakes_.forgotten() + source_messages_.forgotten() + identity_messages_.forgotten();
  }

 private:
  const tls::MacKey key_;
  uint32_t source_connections_max_ = 0;  // 0: no limit.
  std::optional<core::RateLimit> handshake_limit_;
  std::optional<core::RateLimit> source_limit_;
  std::optional<core::RateLimit> identity_limit_;
  std::optional<core::RateLimit> source_ack_limit_;
  std::optional<core::RateLimit> identity_ack_limit_;
  core::CountTable connections_;
  core::RateTable handshakes_;
  core::RateTable source_messages_;
  core::RateTable identity_messages_;
  FairTurns fair_turns_;
  OverloadControl overload_;
  uint64_t observed_turn_ = UINT64_MAX;
};

inline void StopServingNow(Admission& admission, core::Reactor& reactor) {
  if (admission.is_serving()) admission.StopServing(reactor.io().MonotonicNow());
}

// MayServe in the turn that is being run.
inline bool MayServeNow(Admission& admission, const AdmissionSource& source,
                        core::Reactor& reactor) {
  return admission.MayServe(source, reactor.counters().turns, reactor.io().MonotonicNow());
}

}  // namespace sallyport::sip
