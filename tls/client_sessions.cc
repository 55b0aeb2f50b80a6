#include "tls/client_sessions.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace sallyport::tls {

void LibrarySessionDeleter::operator()(WOLFSSL_SESSION* session) const {
  wolfSSL_SESSION_free(session);
}

ClientSessions::ClientSessions(size_t entries_max) : entries_max_(entries_max) {
  CHECK(entries_max > 0);
  entries_.reserve(entries_max);
}

ClientSessions::~ClientSessions() = default;

void ClientSessions::Put(const Sha256Digest& key, ResumableSession session) {
  auto place = std::find_if(entries_.begin(), entries_.end(),
                            [&key](const Entry& entry) { return entry.key == key; });
  if (place == entries_.end() && entries_.size() == entries_max_) {
    place = std::min_element(entries_.begin(), entries_.end(),
                             [](const Entry& a, const Entry& b) { return a.stored < b.stored; });
    ++counters_.evicted;
  }
  if (place == entries_.end()) place = entries_.emplace(entries_.end());
  *place = {key, counters_.stored++, std::move(session)};
}

std::optional<ResumableSession> ClientSessions::Take(const Sha256Digest& key) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&key](const Entry& entry) { return entry.key == key; });
  if (found == entries_.end()) return std::nullopt;
  std::optional<ResumableSession> session = std::move(found->session);
  if (found != entries_.end() - 1) *found = std::move(entries_.back());
  entries_.pop_back();
  return session;
}

void ClientSessions::Clear() { entries_.clear(); }

}  // namespace sallyport::tls
