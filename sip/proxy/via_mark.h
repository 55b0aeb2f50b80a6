// What the Via of whoever sent a request is told about where it came from (RFC 3261 §18.2.1, RFC
// 3581 §4). Lives as long as its texts are needed. Pure.
#pragma once

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "core/socket_address.h"
#include "sip/message/via.h"

namespace sallyport::sip {

struct ViaMark {
  std::array<char, core::SocketAddress::kTextBytesMax> host;
  std::array<char, 8> port;
  std::string_view received;  // Empty: sent-by says it already and no rport asks.
  std::string_view rport;

  ViaMark(const Via& via, const core::SocketAddress& source) {
    if (via.has_rport) {
      const char* const end =
          std::to_chars(port.data(), port.data() + port.size(), source.port()).ptr;
      rport = {port.data(), static_cast<size_t>(end - port.data())};
    }
    const std::optional<core::SocketAddress> sent_by = core::SocketAddress::FromHost(via.host, 0);
    if (via.has_rport || !sent_by.has_value() || !sent_by->HasSameHost(source)) {
      received = {host.data(), source.PrintHost(host)};
    }
  }
  ViaMark(const ViaMark&) = delete;
  ViaMark& operator=(const ViaMark&) = delete;
};

}  // namespace sallyport::sip
