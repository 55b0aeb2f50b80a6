// Who has had enough of this turn: how many messages of one identity a turn of the shard's loop
// still serves, and for how long. A peer that sends ten times what we can handle gets its share of
// each turn and waits in its own socket; a turn stays short, and others are served in the next one
// at the latest. Who is alone for a while has more.
//
//   if (!fair_turns.Take(peer_key, turn, now)) ... the connection stops serving, and goes on next
//   turn.
//
// What passes until the next Take, or until Stop, is time of who took. Everybody gets one message
// of a turn, however long it takes.
//
// An open-addressed table, emptied by the number of the turn. Bounds: at most identities_max times
// messages_max messages in one turn; an identity for which there is no room waits for the next.
// Shard: one thread. All memory is reserved by the constructor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "core/clock.h"

namespace sallyport::sip {

struct TurnShare {
  uint32_t messages_max = 32;
  absl::Duration time_max = absl::InfiniteDuration();
};

struct FairTurnsOptions {
  TurnShare share = {};  // Of one identity in one turn.
  // The same while nobody else has come for `alone_after`: long turns carry more per system call,
  // and who is alone keeps nobody waiting.
  TurnShare share_alone = {};
  absl::Duration alone_after = absl::InfiniteDuration();
  uint32_t identities_max = 1024;  // Served in one turn: completions of a turn, and those deferred.
};

class FairTurns {
 public:
  explicit FairTurns(const FairTurnsOptions& options);
  FairTurns(const FairTurns&) = delete;
  FairTurns& operator=(const FairTurns&) = delete;

  // One message of `peer_key` (a keyed hash) in this turn; numbers of turns only grow. `now` is the
  // clock's reading and not the turn's. False: not in this turn any more.
  [[nodiscard]] bool Take(uint64_t peer_key, uint64_t turn, core::MonotonicTime now);

  // What happens from here on is nobody's.
  [[nodiscard]] bool is_serving() const { return served_ != nullptr; }
  void Stop(core::MonotonicTime now);

 private:
  struct Place {
    uint64_t peer_key;
    uint32_t epoch;  // Of another turn: empty.
    uint32_t messages;
    absl::Duration time;
  };

  void BeginTurn(uint64_t turn);
  Place* PlaceOf(uint64_t peer_key);

  const FairTurnsOptions options_;
  const size_t place_mask_;
  const std::unique_ptr<Place[]> places_;
  uint64_t turn_ = 0;
  uint64_t last_peer_ = 0;            // Who took last; 0: nobody yet.
  core::MonotonicTime others_until_;  // When that was last somebody else than before.
  uint32_t epoch_ = 1;                // Counts turns in which somebody took something.
  uint32_t identities_ = 0;
  Place* served_ = nullptr;  // Whose message is being served, since:
  core::MonotonicTime served_since_;
};

}  // namespace sallyport::sip
