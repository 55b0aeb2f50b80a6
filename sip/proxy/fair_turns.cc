#include "sip/proxy/fair_turns.h"

#include <algorithm>
#include <bit>

namespace sallyport::sip {

FairTurns::FairTurns(const FairTurnsOptions& options)
    : options_(options),
      place_mask_(std::bit_ceil(2 * std::max<size_t>(options.identities_max, 1)) - 1),
      places_(std::make_unique<Place[]>(place_mask_ + 1)) {}

bool FairTurns::Take(uint64_t peer_key, uint64_t turn, core::MonotonicTime now) {
  if (turn != turn_) BeginTurn(turn);
  Stop(now);
  if (peer_key != last_peer_ && last_peer_ != 0) others_until_ = now;
  last_peer_ = peer_key;
  const bool is_alone = now - others_until_ >= options_.alone_after;
  const TurnShare& share = is_alone ? options_.share_alone : options_.share;
  Place* const place = PlaceOf(peer_key);
  if (place == nullptr || place->messages >= share.messages_max || place->time >= share.time_max) {
    return false;
  }
  ++place->messages;
  served_ = place;
  served_since_ = now;
  return true;
}

void FairTurns::Stop(core::MonotonicTime now) {
  if (served_ != nullptr) served_->time += now - served_since_;
  served_ = nullptr;
}

// Null: no room.
FairTurns::Place* FairTurns::PlaceOf(uint64_t peer_key) {
  size_t index = peer_key & place_mask_;
  while (places_[index].epoch == epoch_ && places_[index].peer_key != peer_key) {
    index = (index + 1) & place_mask_;  // Ends: half of the places are empty.
  }
  Place& place = places_[index];
  if (place.epoch != epoch_) {
    if (identities_ == options_.identities_max) return nullptr;
    ++identities_;
    place = {peer_key, epoch_, 0, absl::ZeroDuration()};
  }
  return &place;
}

void FairTurns::BeginTurn(uint64_t turn) {
  turn_ = turn;
  identities_ = 0;
  served_ = nullptr;
  if (++epoch_ != 0) return;
  std::fill_n(places_.get(), place_mask_ + 1, Place{});  // Once in 2^32 turns.
  epoch_ = 1;
}

}  // namespace sallyport::sip
