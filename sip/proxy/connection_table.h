// All connections of one shard, accepted and dialled, by id: a response finds the way back, a flow
// token its flow.
#pragma once

#include "core/slot_map.h"
#include "sip/proxy/connection.h"

namespace sallyport::sip {

using ConnectionTable = core::SlotMap<Connection, ConnectionId>;

}  // namespace sallyport::sip
