#include "sip/proxy/queue_shares.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sallyport::sip {
namespace {

constexpr uint64_t kRoom = 100'000;
constexpr uint64_t kMessage = 1000;
constexpr PeerKey kAlice = 1;
constexpr PeerKey kBob = 2;

// A queue and its shares.
class SharedQueue {
 public:
  bool Put(PeerKey peer, uint64_t bytes = kMessage) {
    if (!shares_.HasRoom(peer, bytes, progress_, kRoom)) return false;
    progress_.put += bytes;
    shares_.Note(peer, bytes, progress_, kRoom);
    return true;
  }
  void PutOfNone(uint64_t bytes) { progress_.put += bytes; }
  int Fill(PeerKey peer) {
    int messages = 0;
    while (messages < 1000 && Put(peer)) ++messages;
    return messages;
  }
  void Take(uint64_t bytes) { progress_.taken += std::min(bytes, progress_.waiting()); }
  size_t parts() const { return shares_.parts(); }
  uint64_t waiting() const { return progress_.waiting(); }

 private:
  QueueShares shares_;
  QueueProgress progress_;
};

TEST(QueueSharesTest, EachPeerFindsLessButNoneFindsNothing) {
  SharedQueue queue;
  EXPECT_GT(queue.Fill(kAlice), 50);
  for (PeerKey peer = 2; peer < 6; ++peer) EXPECT_GT(queue.Fill(peer), 0) << peer;
  EXPECT_FALSE(queue.Put(kAlice));
  EXPECT_LE(queue.waiting(), kRoom);
}

// The share is of what waits, not of what was ever sent: under a flood that does not end, a peer
// that sends less than its part of what leaves is never refused.
TEST(QueueSharesTest, ModestPeerIsServedForAsLongAsTheFloodLasts) {
  SharedQueue queue;
  int refused = 0;
  for (int second = 0; second < 1000; ++second) {
    for (int message = 0; message < 6; ++message) {
      queue.Fill(kAlice);
      if (message == 0 && !queue.Put(kBob)) ++refused;
      queue.Take(kMessage);  // Six leave while one of bob's comes.
    }
  }
  EXPECT_EQ(refused, 0);
  EXPECT_LT(queue.Fill(kAlice), 3);
}

TEST(QueueSharesTest, PartLeavesByteForByte) {
  SharedQueue queue;
  queue.Fill(kAlice);
  EXPECT_FALSE(queue.Put(kAlice));
  queue.Take(queue.waiting() - kRoom / 4);
  EXPECT_TRUE(queue.Put(kBob));
  EXPECT_TRUE(queue.Put(kAlice));
  EXPECT_EQ(queue.parts(), 3U);
}

// Responses go by without a share; they belong to no peer's part.
TEST(QueueSharesTest, WhatIsOfNoPeerMakesNoPartLonger) {
  SharedQueue queue;
  ASSERT_TRUE(queue.Put(kAlice, 30'000));
  queue.PutOfNone(30'000);
  ASSERT_TRUE(queue.Put(kAlice, 5'000));
  queue.Take(60'000);
  queue.PutOfNone(40'000);
  EXPECT_TRUE(queue.Put(kBob, 40'000));
  EXPECT_TRUE(queue.Put(kAlice, 9'000));
}

TEST(QueueSharesTest, ManyMessagesOfOnePeerAreOnePartAndShortQueueHasNone) {
  SharedQueue queue;
  queue.Fill(kAlice);
  EXPECT_EQ(queue.parts(), 1U);
  queue.Take(queue.waiting());
  EXPECT_TRUE(queue.Put(kAlice));
  EXPECT_EQ(queue.parts(), 0U);
}

}  // namespace
}  // namespace sallyport::sip
