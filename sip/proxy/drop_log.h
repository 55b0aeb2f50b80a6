// One log line for each response and ACK that goes no further: nothing answers these, so the line
// and its counter are all that tells of them. Lines are limited as those of refusals are, for each
// reason and peer; of the inside, for each host.
// Shard: one thread. No allocation where the line is held back.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/socket_address.h"
#include "sip/proxy/connection_id.h"
#include "sip/proxy/edge_metrics.h"
#include "sip/proxy/listener_config.h"
#include "sip/proxy/shard_context.h"

namespace sallyport::sip {

// Borrowed for the call. Texts may hold any bytes: the log escapes them.
struct DroppedMessage {
  uint16_t status = 0;            // Of a response.
  std::string_view call_id = {};  // As it is written; the line shows it as [log] call-id says.
  std::string_view cseq = {};     // The value as it is written: number and method.
  Zone zone = Zone::kOutside;     // Of the other end: where it came from, or could not go.
  PeerKey peer = 0;
  core::SocketAddress address = {};
  ConnectionId connection = {};    // Zero: a datagram.
  std::string_view next_hop = {};  // Name of the [[next-hop]] that it is from or for; "": none.
  std::string_view cause = {};     // More than the reason says.
};

void LogDroppedResponse(const ShardContext& context, ResponseDropReason reason,
                        const DroppedMessage& dropped);
void LogDroppedAck(const ShardContext& context, AckDropReason reason,
                   const DroppedMessage& dropped);

}  // namespace sallyport::sip
