#include "sip/proxy/party_directory.h"

#include <algorithm>

namespace sallyport::sip {
namespace {

// A connection speaks as a domain where it proves one; its leaf counts for users, and where it
// proves nothing else.
template <typename Visit>
void ForEachParty(const PeerStanding& standing, const PartySealer& parties, Visit visit) {
  if (!standing.has_identity) return;
  const SipIdentities& identities = standing.identities;
  const size_t domains = std::min(identities.domains_size(), PartyDirectory::kDomainsMax);
  for (size_t key = 0; key < parties.keys(); ++key) {
    for (size_t i = 0; i < domains; ++i) {
      const Party party = PartyOfServer(standing, identities.domain(i));
      visit(parties.Seal(party, key).hash, party.id);
    }
    if (domains > 0 && identities.users_size() == 0) continue;
    const Party leaf = PartyOfServer(standing, {});
    visit(parties.Seal(leaf, key).hash, leaf.id);
  }
}

}  // namespace

void PartyDirectory::Add(const FlowRef& flow, const PeerStanding& standing,
                         const PartySealer& parties) {
  const std::lock_guard lock(mutex_);
  ForEachParty(standing, parties, [&](uint64_t hash, const PartyId& id) {
    auto found = entries_.find(hash);
    if (found == entries_.end()) {
      if (entries_.size() == parties_max_) return;
      found = entries_.emplace(hash, Entry{id, {}}).first;
    }
    Flows& flows = found->second.flows;
    if (flows.size() == kFlowsMax) flows.erase(flows.begin());
    flows.push_back(flow);
  });
}

void PartyDirectory::Remove(const FlowRef& flow, const PeerStanding& standing,
                            const PartySealer& parties) {
  const std::lock_guard lock(mutex_);
  ForEachParty(standing, parties, [&](uint64_t hash, const PartyId&) {
    const auto found = entries_.find(hash);
    if (found == entries_.end()) return;
    Flows& flows = found->second.flows;
    flows.erase(std::remove(flows.begin(), flows.end(), flow), flows.end());
    if (flows.empty()) entries_.erase(found);
  });
}

void PartyDirectory::RemoveShard(uint8_t shard) {
  const std::lock_guard lock(mutex_);
  absl::erase_if(entries_, [shard](auto& entry) {
    Flows& flows = entry.second.flows;
    const auto is_there = [shard](const FlowRef& flow) { return flow.shard == shard; };
    flows.erase(std::remove_if(flows.begin(), flows.end(), is_there), flows.end());
    return flows.empty();
  });
}

std::optional<FlowRef> PartyDirectory::Find(const SealedParty& party,
                                            const FlowRef& not_this) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(party.hash);
  if (party.kind == PartyKind::kNone || found == entries_.end()) return std::nullopt;
  const Flows& flows = found->second.flows;
  const auto newest = std::find_if(flows.rbegin(), flows.rend(),
                                   [&not_this](const FlowRef& flow) { return flow != not_this; });
  if (newest == flows.rend()) return std::nullopt;
  return *newest;
}

std::optional<Party> PartyDirectory::Identify(const SealedParty& party) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(party.hash);
  if (party.kind == PartyKind::kNone || found == entries_.end()) return std::nullopt;
  return Party{.kind = party.kind, .id = found->second.id, .domain = party.domain};
}

size_t PartyDirectory::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace sallyport::sip
