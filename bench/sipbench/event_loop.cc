#include "bench/sipbench/event_loop.h"

#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "bench/sipbench/clock.h"
#include "core/check.h"

namespace sallyport::bench {
namespace {
constexpr int kEventsPerTurnMax = 256;
}

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) { CHECK(epoll_ >= 0); }

EventLoop::~EventLoop() { close(epoll_); }

void EventLoop::Watch(int descriptor, uint32_t events, EventHandler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0);
}

void EventLoop::Change(int descriptor, uint32_t events, EventHandler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event) == 0);
}

void EventLoop::RunTurn(int64_t wait_max_nanoseconds) {
  std::array<epoll_event, kEventsPerTurnMax> ready;
  const int64_t wait = std::max<int64_t>(wait_max_nanoseconds, 0);
  timespec timeout{};
  timeout.tv_sec = wait / kNanosecondsPerSecond;
  timeout.tv_nsec = wait % kNanosecondsPerSecond;
  // pwait2 for its nanoseconds: a schedule of thousands of requests a second does not fit into
  // milliseconds.
  const int count = epoll_pwait2(epoll_, ready.data(), kEventsPerTurnMax, &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<size_t>(i)];
    static_cast<EventHandler*>(event.data.ptr)->OnEvents(event.events);
  }
}

}  // namespace sallyport::bench
