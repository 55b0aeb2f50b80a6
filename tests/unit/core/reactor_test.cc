#include "core/reactor.h"

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/simulated_backend.h"

namespace sallyport::core {
namespace {

std::string* log_of_turn = nullptr;  // What ran, in order.

class LoggingFlush final : public FlushNode {
 public:
  explicit LoggingFlush(std::function<void()> then = {}) : then_(std::move(then)) {}
  void OnTurnEnd() override {
    *log_of_turn += "flush ";
    if (then_) then_();
  }

 private:
  std::function<void()> then_;
};

class LoggingStep final : public StepNode {
 public:
  explicit LoggingStep(std::function<void()> then = {}) : then_(std::move(then)) {}
  void OnStep() override {
    *log_of_turn += "step ";
    if (then_) then_();
  }

 private:
  std::function<void()> then_;
};

class LoggingHandler final : public CompletionHandler {
 public:
  void OnCompletion(const Completion&) override { *log_of_turn += "completion "; }
};

class LoggingHooks final : public TurnHooks {
 public:
  bool BeforeWait() override {
    *log_of_turn += "before-wait ";
    return may_sleep;
  }
  void AfterWait() override { *log_of_turn += "after-wait "; }
  bool DeliverMail(uint32_t) override {
    *log_of_turn += "mail ";
    return more_mail;
  }
  void AfterTurn() override { *log_of_turn += "after-turn"; }

  bool may_sleep = true;
  bool more_mail = false;
};

class ReactorTest : public testing::Test {
 protected:
  ReactorTest() : network_(1), io_(network_), reactor_(io_, Options(), &hooks_) {
    log_of_turn = &log_;
  }
  static ReactorOptions Options() {
    ReactorOptions options;
    options.handlers_max = 16;
    options.buffer_bytes_max = 1 << 20;
    options.completions_per_turn_max = 4;
    options.steps_per_turn_max = 2;
    options.deferred_per_turn_max = 2;
    return options;
  }
  std::string Turn() {
    log_.clear();
    reactor_.RunTurn();
    return log_;
  }

  SimulatedNetwork network_;
  SimulatedBackend io_;
  LoggingHooks hooks_;
  Reactor reactor_;
  std::string log_;
};

TEST_F(ReactorTest, ATurnHasItsOrder) {
  LoggingHandler handler;
  const HandlerId id = reactor_.Attach(handler);
  io_.Poll(7, 1, id);
  io_.CompletePoll(7, 1);
  LoggingFlush flush;
  reactor_.AtEndOfTurn(flush);
  reactor_.AtEndOfTurn(flush);
  LoggingFlush flush_of_step;
  LoggingStep step([&] { reactor_.AtEndOfTurn(flush_of_step); });
  reactor_.QueueStep(step);
  reactor_.QueueStep(step);
  // Something is to be done, so there is no wait; what the turn wrote goes out before the step.
  EXPECT_EQ(Turn(), "completion mail flush step flush after-turn");
  EXPECT_EQ(io_.last_timeout(), absl::ZeroDuration());
  EXPECT_EQ(Turn(), "before-wait after-wait mail after-turn");
  EXPECT_EQ(io_.last_timeout(), absl::Seconds(10));
  reactor_.Detach(id);
}

TEST_F(ReactorTest, StepsKeepToTheirBudgetAndTheirOrder) {
  std::string order;
  LoggingStep a([&] { order += 'a'; });
  LoggingStep b([&] { order += 'b'; });
  LoggingStep c([&] { order += 'c'; });
  int again = 3;
  LoggingStep d([&] {
    order += 'd';
    if (--again > 0) reactor_.QueueStep(d);
  });
  for (StepNode* step : {static_cast<StepNode*>(&d), static_cast<StepNode*>(&a),
                         static_cast<StepNode*>(&b), static_cast<StepNode*>(&c)}) {
    reactor_.QueueStep(*step);
  }
  EXPECT_EQ(reactor_.steps_queued(), 4u);
  Turn();
  EXPECT_EQ(order, "da");  // Two per turn; what goes on queues behind the others.
  EXPECT_EQ(reactor_.steps_queued(), 3u);
  Turn();
  Turn();
  EXPECT_EQ(order, "dabcdd");
  Turn();
  EXPECT_EQ(reactor_.steps_queued(), 0u);
}

// A turn that leaves nothing delays nobody by more than its own length; one that leaves something
// makes that wait.
TEST_F(ReactorTest, QueueDelayCountsFromWhenSomethingWasAlwaysLeft) {
  LoggingStep slow([&] { network_.Advance(absl::Milliseconds(3)); });
  reactor_.QueueStep(slow);
  Turn();
  EXPECT_EQ(reactor_.queue_delay(), absl::Milliseconds(3));
  hooks_.more_mail = true;
  reactor_.QueueStep(slow);
  Turn();
  EXPECT_EQ(reactor_.queue_delay(), absl::Milliseconds(3));
  reactor_.QueueStep(slow);
  Turn();
  EXPECT_EQ(reactor_.queue_delay(), absl::Milliseconds(6));
  hooks_.more_mail = false;
  Turn();
  EXPECT_EQ(reactor_.queue_delay(), absl::Milliseconds(6));  // The last of it was served here.
  network_.Advance(absl::Seconds(1));
  Turn();
  EXPECT_EQ(reactor_.queue_delay(), absl::ZeroDuration());
}

// What had its share of a turn goes on in the next: never in the same, and steps keep their budget.
TEST_F(ReactorTest, DeferredWorkRunsOncePerTurnBeforeFlushesAndSteps) {
  LoggingFlush flush;
  LoggingStep step;
  int again = 3;
  LoggingStep deferred([&] {
    reactor_.AtEndOfTurn(flush);
    if (--again > 0) reactor_.QueueDeferred(deferred);
  });
  reactor_.QueueDeferred(deferred);
  reactor_.QueueDeferred(deferred);
  reactor_.QueueStep(step);
  EXPECT_EQ(Turn(), "mail step flush step after-turn");
  EXPECT_EQ(io_.last_timeout(), absl::ZeroDuration());
  EXPECT_EQ(Turn(), "mail step flush after-turn");
  EXPECT_EQ(Turn(), "mail step flush after-turn");
  EXPECT_EQ(io_.last_timeout(), absl::ZeroDuration());
  EXPECT_EQ(Turn(), "before-wait after-wait mail after-turn");
  EXPECT_EQ(reactor_.counters().deferred, 3u);
}

TEST_F(ReactorTest, DeferredWorkKeepsToItsBoundAndItsOrder) {
  std::string order;
  LoggingStep a([&] {
    order += 'a';
    reactor_.QueueDeferred(a);
  });
  LoggingStep b([&] { order += 'b'; });
  LoggingStep c([&] { order += 'c'; });
  for (StepNode* node : {&a, &b, &c}) reactor_.QueueDeferred(*node);
  Turn();
  EXPECT_EQ(order, "ab");  // Two per turn; what goes on queues behind the others.
  Turn();
  EXPECT_EQ(order, "abca");
  { const LoggingStep destroyed; }
  a.Unlink();
  Turn();
  EXPECT_EQ(order, "abca");
}

TEST_F(ReactorTest, AStepDestroyedInTheQueueIsForgotten) {
  {
    LoggingStep step;
    reactor_.QueueStep(step);
  }
  Turn();
  EXPECT_EQ(reactor_.steps_queued(), 0u);
  EXPECT_EQ(reactor_.counters().steps, 0u);
}

TEST_F(ReactorTest, MailKeepsItAwake) {
  hooks_.may_sleep = false;
  EXPECT_EQ(Turn(), "before-wait mail after-turn");
  EXPECT_EQ(io_.last_timeout(), absl::ZeroDuration());
  hooks_.may_sleep = true;
  hooks_.more_mail = true;
  Turn();
  EXPECT_EQ(Turn(), "mail after-turn");  // More is waiting: it does not even try to sleep.
}

TEST_F(ReactorTest, SleepsUntilTheNextTimer) {
  int fired = 0;
  Timer timer([](void* count) { ++*static_cast<int*>(count); }, &fired);
  reactor_.timers().Schedule(timer, reactor_.now() + absl::Milliseconds(100));
  Turn();
  EXPECT_GT(io_.last_timeout(), absl::Milliseconds(99));
  EXPECT_LT(io_.last_timeout(), absl::Milliseconds(109));
  network_.Advance(io_.last_timeout());
  Turn();
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(reactor_.counters().timers_fired, 1u);
}

TEST_F(ReactorTest, CompletionsPerTurnAreBounded) {
  LoggingHandler handler;
  const HandlerId id = reactor_.Attach(handler);
  for (int fd = 0; fd < 6; ++fd) {
    io_.Poll(fd, 1, id);
    io_.CompletePoll(fd, 1);
  }
  EXPECT_EQ(Turn(),
            "before-wait after-wait completion completion completion completion mail after-turn");
  EXPECT_EQ(Turn(), "completion completion mail after-turn");
  EXPECT_EQ(io_.last_timeout(), absl::ZeroDuration());
  reactor_.Detach(id);
}

TEST_F(ReactorTest, LateCompletionsGiveBuffersAndSocketsBack) {
  const SocketAddress address = SocketAddress::Loopback(AddressFamily::kIpv4, 5060);
  const int listener = *io_.OpenListener(address, {});
  const int datagrams = *io_.OpenDatagram(address, {});
  LoggingHandler handler;
  const HandlerId id = reactor_.Attach(handler);
  io_.Accept(listener, id);
  io_.ReceiveDatagram(datagrams, id);
  network_.Connect(address);
  network_.SendDatagram(SocketAddress::Loopback(AddressFamily::kIpv4, 9), address, "late");
  reactor_.Detach(id);
  EXPECT_EQ(Turn(), "before-wait after-wait mail after-turn");  // Nobody was called.
  EXPECT_EQ(reactor_.counters().stale_completions, 2u);
  EXPECT_EQ(io_.buffers_out(), 0u);
  EXPECT_EQ(io_.descriptors_open(), 2u);
}

TEST_F(ReactorTest, SlotsAreBoundedAndReused) {
  LoggingHandler handler;
  std::vector<HandlerId> ids;
  for (int i = 0; i < 16; ++i) ids.push_back(reactor_.Attach(handler));
  EXPECT_NE(ids.back(), HandlerId{});
  EXPECT_EQ(reactor_.Attach(handler), HandlerId{});
  reactor_.Detach(ids[3]);
  const HandlerId again = reactor_.Attach(handler);
  EXPECT_EQ(again.slot, ids[3].slot);
  EXPECT_NE(again.generation, ids[3].generation);
}

}  // namespace
}  // namespace sallyport::core
