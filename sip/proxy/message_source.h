// Where a message came from, and for a request, where its answer goes. Borrows; lives for the
// handling of one message.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/datagram_socket.h"
#include "core/socket_address.h"
#include "sip/policy/judge.h"
#include "sip/proxy/connection.h"

namespace sallyport::sip {

struct MessageSource {
  Zone zone = Zone::kOutside;
  core::SocketAddress address;
  uint32_t listener = 0;             // Where it came in; of a dialled connection, the one it names.
  Connection* connection = nullptr;  // Or:
  core::DatagramSocket* socket = nullptr;

  [[nodiscard]] PeerKey peer() const {
    if (zone == Zone::kInside) return kInsidePeer;
    return connection == nullptr ? kAnonymousPeer : connection->peer_key();
  }
};

// What of it decides whether a response counts. Travels by mail.
struct ResponseSource {
  core::SocketAddress address;
  PeerKey peer = 0;
  ConnectionId connection;  // Zero: a datagram.
  uint32_t shard = 0;       // Of the connection.
  Zone zone = Zone::kOutside;
};

// A CANCEL that the shard it came to cannot place: the INVITE may have come on another connection
// of the peer. It asks one shard after the other and comes home with what to answer.
struct CancelMail {
  enum class State : uint8_t { kWanted, kFound, kNowhere, kNoRoom };

  ResponseSource source;  // `shard` is home.
  uint32_t listener = 0;
  State state = State::kWanted;
};

// How a peer that proved no single domain is named in a dialog token (dialog_token.h).
class PeerKeyText {
 public:
  explicit PeerKeyText(PeerKey peer) {
    text_[0] = '#';
    for (size_t i = text_.size() - 1; i > 0; --i, peer >>= 4)
      text_[i] = "0123456789abcdef"[peer & 15];
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, 17> text_;
};

}  // namespace sallyport::sip
