// One connection of one process, as a token names it (RFC 5626 §5.2): whichever shard it lives on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sip/proxy/connection_id.h"
#include "sip/proxy/octets.h"

namespace sallyport::sip {

struct FlowRef {
  static constexpr size_t kOctets = 4 + 1 + 2 + 4 + 4;

  uint32_t process = 0;  // Of the process that holds it; another's is gone for us. 0: no flow.
  uint8_t shard = 0;
  uint16_t listener = 0;  // Where it came in: an index, the same as long as the process lives.
  ConnectionId connection;

  [[nodiscard]] bool is_known() const { return process != 0; }
  friend bool operator==(const FlowRef&, const FlowRef&) = default;
};

inline void WriteFlowRef(const FlowRef& flow, OctetWriter& writer) {
  writer.AddNumber(flow.process, 4);
  writer.AddNumber(flow.shard, 1);
  writer.AddNumber(flow.listener, 2);
  writer.AddNumber(flow.connection.slot, 4);
  writer.AddNumber(flow.connection.generation, 4);
}

[[nodiscard]] inline FlowRef ReadFlowRef(OctetReader& reader) {
  FlowRef flow;
  flow.process = static_cast<uint32_t>(reader.Number(4));
  flow.shard = static_cast<uint8_t>(reader.Number(1));
  flow.listener = static_cast<uint16_t>(reader.Number(2));
  flow.connection.slot = static_cast<uint32_t>(reader.Number(4));
  flow.connection.generation = static_cast<uint32_t>(reader.Number(4));
  return flow;
}

}  // namespace sallyport::sip
