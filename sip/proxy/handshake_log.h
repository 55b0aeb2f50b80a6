// The line `handshake-failed`: why there is no session, and what the certificate says that the peer
// has shown. That is not verified, and any of it may be a stranger's invention; the log bounds and
// escapes it.
// Shard: one thread. Where the line is held back nothing of the certificate is read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/log_record.h"
#include "core/socket_address.h"
#include "sip/proxy/listener_config.h"
#include "sip/proxy/shard_context.h"
#include "tls/failure_reason.h"
#include "tls/peer_identity.h"

namespace sallyport::sip {

// Borrowed for the call.
struct FailedHandshake {
  tls::FailureReason reason = tls::FailureReason::kNone;
  std::string_view text = {};
  uint32_t listener = 0;  // Lines are limited for each, and each reason.
  Zone zone = Zone::kOutside;
  core::LogName place_key = "listener";  // Or "server_name", where we have dialled.
  std::string_view place = {};
  core::SocketAddress address = {};
  std::span<const uint8_t> leaf = {};  // The certificate, DER; empty: none was shown.
};

void LogFailedHandshake(const ShardContext& context, const FailedHandshake& failed);

// The names of subjectAltName as they stand there: "URI:sip:a.example, DNS:a.example,
// IP:192.0.2.1". Not many more of them than a log line shows.
[[nodiscard]] std::string SanText(const tls::PeerIdentity& certificate);

}  // namespace sallyport::sip
