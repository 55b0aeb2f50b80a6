#include "core/mail_exchange.h"

#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

class CountingWaker final : public Waker {
 public:
  void WakeParty(int wake_name) override { woken.push_back(wake_name); }
  std::vector<int> woken;
};

class CountingHandler final : public MailHandler {
 public:
  void OnMail(uint32_t from, uint32_t, std::span<const std::byte>) override {
    senders.push_back(from);
  }
  std::vector<uint32_t> senders;
};

bool Readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  return poll(&watched, 1, 0) == 1;
}

TEST(MailExchangeTest, OnlyASleeperIsWokenAndOnlyOnce) {
  MailExchange mail(2, 4096);
  mail.SetWakeName(1, 77);
  CountingWaker waker;
  ASSERT_TRUE(mail.Post(0, 1, 20, {}, waker));
  EXPECT_TRUE(waker.woken.empty());  // It is awake and will look.
  EXPECT_FALSE(mail.PrepareToSleep(1));
  CountingHandler handler;
  EXPECT_FALSE(mail.Deliver(1, 10, handler));
  EXPECT_EQ(handler.senders.size(), 1u);
  ASSERT_TRUE(mail.PrepareToSleep(1));
  ASSERT_TRUE(mail.Post(0, 1, 20, {}, waker));
  ASSERT_TRUE(mail.Post(2, 1, 20, {}, waker));
  EXPECT_EQ(waker.woken, std::vector<int>{77});
  mail.Awake(1);
  EXPECT_FALSE(mail.Deliver(1, 10, handler));
  EXPECT_EQ(handler.senders, (std::vector<uint32_t>{0, 0, 2}));
}

TEST(MailExchangeTest, DeliveryIsBoundedAndFair) {
  MailExchange mail(3, 4096);
  CountingWaker waker;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(mail.Post(0, 2, 20, {}, waker));
    ASSERT_TRUE(mail.Post(1, 2, 20, {}, waker));
  }
  CountingHandler handler;
  EXPECT_TRUE(mail.Deliver(2, 4, handler));
  EXPECT_FALSE(mail.PrepareToSleep(2));  // Mail is left: no sleep.
  EXPECT_FALSE(mail.Deliver(2, 4, handler));
  EXPECT_EQ(handler.senders.size(), 6u);
  EXPECT_TRUE(mail.PrepareToSleep(2));
}

TEST(MailExchangeTest, AFullMailboxIsAnOutcome) {
  MailExchange mail(2, 4096);
  CountingWaker waker;
  const std::vector<std::byte> record(1000);
  int posted = 0;
  while (mail.Post(0, 1, 20, record, waker)) ++posted;
  EXPECT_EQ(posted, 4);
  EXPECT_TRUE(mail.Post(2, 1, 20, record, waker));  // Another sender has a mailbox of its own.
}

TEST(MailExchangeTest, TheControlThreadHasADescriptor) {
  MailExchange mail(1, 4096);
  CountingWaker waker;
  EXPECT_FALSE(Readable(mail.control_event_fd()));
  ASSERT_TRUE(mail.Post(0, mail.control(), 20, {}, waker));
  EXPECT_TRUE(Readable(mail.control_event_fd()));
  CountingHandler handler;
  EXPECT_FALSE(mail.Deliver(mail.control(), 10, handler));
  EXPECT_EQ(handler.senders.size(), 1u);
  EXPECT_FALSE(Readable(mail.control_event_fd()));
}

// Goal: with sleepers that really sleep, no record is left behind. Method: two parties play ping
// pong; each sleeps on a condition variable that only WakeParty signals.
class Sleeper final : public Waker, public MailHandler {
 public:
  explicit Sleeper(Sleeper** peers) : peers_(peers) {}

  void WakeParty(int wake_name) override { peers_[wake_name]->Wake(); }
  void OnMail(uint32_t, uint32_t, std::span<const std::byte>) override { ++received; }

  void Wake() {
    const std::lock_guard<std::mutex> lock(mutex_);
    woken_ = true;
    changed_.notify_one();
  }
  void Play(MailExchange& mail, uint32_t self, uint32_t rounds) {
    uint32_t answered = 0;
    while (answered < rounds) {
      mail.Deliver(self, 16, *this);
      for (; answered < received && answered < rounds; ++answered) {
        while (!mail.Post(self, 1 - self, 20, {}, *this)) std::this_thread::yield();
      }
      if (answered == rounds || !mail.PrepareToSleep(self)) continue;
      Wait();
      mail.Awake(self);
    }
  }

  uint32_t received = 0;

 private:
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    // A lost wake-up shows as a failed wait, not as a hang.
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(10), [this] { return woken_; }));
    woken_ = false;
  }

  Sleeper** const peers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

TEST(MailExchangeTest, NoRecordSleepsWithItsReceiver) {
  constexpr uint32_t kRounds = 20000;
  MailExchange mail(2, 4096);
  mail.SetWakeName(0, 0);
  mail.SetWakeName(1, 1);
  Sleeper* peers[2] = {};
  Sleeper left(peers);
  Sleeper right(peers);
  peers[0] = &left;
  peers[1] = &right;
  left.received = 3;  // Three balls in play.
  std::thread other([&] { right.Play(mail, 1, kRounds); });
  left.Play(mail, 0, kRounds);
  other.join();
}

}  // namespace
}  // namespace sallyport::core
