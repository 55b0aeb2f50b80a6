#include "sip/proxy/admission.h"

#include "sip/proxy/source_key.h"

namespace sallyport::sip {
namespace {

// Of each table of rates: 1 MiB, of which only what is used becomes memory. Enough for 16 thousand
// that send at the same time; beyond, the table forgets and limits nobody (rate_table.h).
constexpr uint32_t kRateKeys = 65536;

// Long turns carry more per system call, short ones let others in sooner: beside a flood p99 is 0.7
// to 1.2 times that without with 8 messages, 1.2 to 1.8 times with 16, and 1.1 to 3.5 times with 32
// (bench/fairness); but with 8 a request relayed for one peer alone costs half as much again
// (bench/compare). The times are what those take here: with a build that takes 300 us for a
// message, p99 beside a flood went from 2.5 to 51 ms while only messages were counted.
constexpr TurnShare kTurnShare{.messages_max = 8, .time_max = absl::Microseconds(60)};
constexpr TurnShare kTurnShareAlone{.messages_max = 32, .time_max = absl::Microseconds(250)};
constexpr absl::Duration kAloneAfter = absl::Seconds(10);

// Of ACKs for each request. A 2xx that is sent again asks for another.
constexpr uint32_t kAcknowledgementsMax = 4;
// Tells the ACKs of a source from its requests in the same table.
constexpr uint64_t kAcknowledgements = 0xAC4AC4AC4AC4AC4A;

// A second's worth may come at once.
std::optional<core::RateLimit> PerSecond(uint32_t rate_max) {
  if (rate_max == 0) return std::nullopt;
  return core::RateLimit::PerSecond(rate_max, rate_max);
}

}  // namespace

Admission::Admission(const tls::MacKey& key, uint32_t connections_max, const LimitsConfig& limits,
                     core::MonotonicTime now)
    : key_(key),
      connections_(connections_max),
      handshakes_(kRateKeys),
      source_messages_(kRateKeys),
      identity_messages_(kRateKeys),
      fair_turns_(
          {.share = kTurnShare, .share_alone = kTurnShareAlone, .alone_after = kAloneAfter}),
      overload_({.queue_delay_max = limits.queue_delay_max}, now) {
  SetLimits(limits);
}

void Admission::SetLimits(const LimitsConfig& limits) {
  source_connections_max_ = limits.source_connections_max;
  handshake_limit_ = PerSecond(limits.source_handshakes_per_second_max);
  source_limit_ = PerSecond(limits.source_messages_per_second_max);
  identity_limit_ = PerSecond(limits.identity_messages_per_second_max);
  source_ack_limit_ = PerSecond(kAcknowledgementsMax * limits.source_messages_per_second_max);
  identity_ack_limit_ = PerSecond(kAcknowledgementsMax * limits.identity_messages_per_second_max);
  overload_.set_queue_delay_max(limits.queue_delay_max);
}

uint64_t Admission::KeyOf(const core::SocketAddress& source) const {
  return SourceKey(key_, source);
}

std::optional<ConnectionRejectReason> Admission::MayConnect(const AdmissionSource& source,
                                                            bool speaks_tls,
                                                            core::MonotonicTime now) {
  if (source.zone == Zone::kInside) return std::nullopt;
  const uint64_t key = KeyOf(source.address);
  const uint32_t count_max = source_connections_max_ == 0 ? UINT32_MAX : source_connections_max_;
  if (!connections_.Increment(key, count_max)) return ConnectionRejectReason::kLimit;
  if (speaks_tls && handshake_limit_.has_value() &&
      !handshakes_.Admit(key, now, *handshake_limit_)) {
    connections_.Decrement(key);
    return ConnectionRejectReason::kRate;
  }
  return std::nullopt;
}

void Admission::OnConnectionClosed(const AdmissionSource& source) {
  if (source.zone == Zone::kOutside) connections_.Decrement(KeyOf(source.address));
}

bool Admission::MayServe(const AdmissionSource& source, uint64_t turn, core::MonotonicTime now) {
  if (source.zone == Zone::kInside) return true;
  return fair_turns_.Take(source.identity != 0 ? source.identity : KeyOf(source.address), turn,
                          now);
}

// The rates first: what they refuse costs nobody else's share of an overloaded shard.
std::optional<ReasonCode> Admission::RefusalOf(const AdmissionSource& source,
                                               RequestClass request_class,
                                               const AdmissionTurn& turn) {
  if (source.zone == Zone::kOutside) {
    if (source_limit_.has_value() &&
        !source_messages_.Admit(KeyOf(source.address), turn.now, *source_limit_)) {
      return ReasonCode::kLimit;
    }
    if (identity_limit_.has_value() && source.identity != 0 &&
        !identity_messages_.Admit(source.identity, turn.now, *identity_limit_)) {
      return ReasonCode::kLimit;
    }
  }
  ObserveDelay(turn);
  if (!overload_.Admit(request_class)) return ReasonCode::kOverload;
  return std::nullopt;
}

bool Admission::MayAcknowledge(const AdmissionSource& source, core::MonotonicTime now) {
  if (source.zone == Zone::kInside) return true;
  if (source_ack_limit_.has_value() &&
      !source_messages_.Admit(KeyOf(source.address) ^ kAcknowledgements, now, *source_ack_limit_)) {
    return false;
  }
  return !identity_ack_limit_.has_value() || source.identity == 0 ||
         identity_messages_.Admit(source.identity ^ kAcknowledgements, now, *identity_ack_limit_);
}

void Admission::ObserveDelay(const AdmissionTurn& turn) {
  if (turn.number == observed_turn_) return;
  observed_turn_ = turn.number;
  overload_.OnDelay(turn.now, turn.queue_delay);
}

}  // namespace sallyport::sip
