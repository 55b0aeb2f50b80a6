// Which open connections prove a party, across the shards of this process: where a dialog goes on
// when the connection that it began on is gone. Connections that peers opened over TLS are here
// from the end of their handshake until they close. Bounds:  flows_max of one party, the oldest
// goes first; parties_max in all, then no new party is
//          noted, and only this step of finding its connections is lost.
// Threads: any. A mutex guards the table: it is taken when a connection opens or closes, and when a
//          flow is gone, never for a message that finds its way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "sip/policy/judge.h"
#include "sip/proxy/flow_ref.h"
#include "sip/proxy/party.h"

namespace sallyport::sip {

class PartyDirectory {
 public:
  static constexpr size_t kFlowsMax = 8;     // Of one party.
  static constexpr size_t kDomainsMax = 16;  // Of one certificate; further ones are not noted.

  explicit PartyDirectory(size_t parties_max) : parties_max_(parties_max) {}
  PartyDirectory(const PartyDirectory&) = delete;
  PartyDirectory& operator=(const PartyDirectory&) = delete;

  // Every party that the connection proves, under every key of the secret.
  void Add(const FlowRef& flow, const PeerStanding& standing, const PartySealer& parties);
  void Remove(const FlowRef& flow, const PeerStanding& standing, const PartySealer& parties);
  // Of one shard, when the secret has changed: its connections are added anew.
  void RemoveShard(uint8_t shard);

  // The newest flow of that party but `not_this`.
  [[nodiscard]] std::optional<FlowRef> Find(const SealedParty& party,
                                            const FlowRef& not_this) const;

  // What was sealed, if an open connection proves it: to be sealed with the key that signs now.
  [[nodiscard]] std::optional<Party> Identify(const SealedParty& party) const;

  [[nodiscard]] size_t size() const;  // Parties.

 private:
  using Flows = absl::InlinedVector<FlowRef, 1>;  // Oldest first.
  struct Entry {
    PartyId id;
    Flows flows;
  };

  const size_t parties_max_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<uint64_t, Entry> entries_;  // By the party's hash.
};

}  // namespace sallyport::sip
