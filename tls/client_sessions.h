// TLS sessions that we may continue as a client (RFC 8446 §2.2, RFC 5077): what a server's ticket
// is worth, together with what the full handshake proved about that server. Resumption shows only
// that the server is the one of that handshake, so both are kept and taken as one, and what was
// proved is judged again before a session is offered (Handshaking::MayOffer). The library's own
// cache stays off: it is one table for the process and mixes servers up (CVE-2026-94419).
// Keys:   the caller names what it dials (address, port, expected identity); the session adds the
//         profile, our own certificate, the rules and the SNI, so nothing resumes under another.
// Use:    a session is taken out when it is offered; the ticket of the new connection takes its
//         place. So no ticket is sent twice (RFC 8446 App. C.4), and one that the server chokes on
//         is gone after one attempt.
// Bounds: `entries_max` sessions, each of at most kClientTicketBytesMax of ticket and
//         kClientLeafBytesMax of certificate; the one stored longest ago makes room.
// Shard:  one thread. Outlives the tls::Sessions that were given it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tls/peer_result.h"

struct WOLFSSL_SESSION;

namespace sallyport::tls {

inline constexpr size_t kClientTicketBytesMax = 8 * 1024;
inline constexpr size_t kClientLeafBytesMax = 8 * 1024;

// One session of the library; freeing it wipes its secret.
struct LibrarySessionDeleter {
  void operator()(WOLFSSL_SESSION* session) const;
};
using LibrarySession = std::unique_ptr<WOLFSSL_SESSION, LibrarySessionDeleter>;

// The server as its certificate proved it. `peer.leaf_der` is `leaf`; moving keeps that.
struct VerifiedServer {
  PeerResult peer;
  std::unique_ptr<uint8_t[]> leaf;
};

struct ResumableSession {
  LibrarySession library_session;
  VerifiedServer server;
  int64_t expires_at = 0;  // By the ticket's own lifetime; Unix seconds.
};

// Single writer: the shard.
struct ClientSessionCounters {
  uint64_t stored = 0;
  uint64_t evicted = 0;  // To make room for another.
  uint64_t offered = 0;
  uint64_t refused = 0;  // Taken, judged, and not offered.
};

class ClientSessions {
 public:
  explicit ClientSessions(size_t entries_max);
  ClientSessions(const ClientSessions&) = delete;
  ClientSessions& operator=(const ClientSessions&) = delete;
  ~ClientSessions();

  // Replaces what was there under this key.
  void Put(const Sha256Digest& key, ResumableSession session);
  // Removes and returns it.
  [[nodiscard]] std::optional<ResumableSession> Take(const Sha256Digest& key);
  void Clear();

  size_t size() const { return entries_.size(); }
  ClientSessionCounters& counters() { return counters_; }

 private:
  struct Entry {
    Sha256Digest key;
    uint64_t stored;  // Counts up: the smallest is the oldest.
    ResumableSession session;
  };

  const size_t entries_max_;
  std::vector<Entry> entries_;  // In no order: it is searched once per connection that we dial.
  ClientSessionCounters counters_;
};

// What a client session resumes from and puts its ticket into. Null: always a full handshake, and
// tickets are dropped.
struct ClientResumption {
  ClientSessions* sessions = nullptr;
  Sha256Digest key{};
};

}  // namespace sallyport::tls
