// Readiness of sockets, by epoll. Level-triggered, so a handler that reads once and not to the end
// is called again. Thread: one loop per thread; nothing here may be called from another one.
#pragma once

#include <cstdint>

namespace sallyport::bench {

class EventHandler {
 public:
  // `events` are epoll's. May be called once more for a descriptor that was closed earlier in the
  // same turn and whose handler already watches another, so act on what the socket says and not on
  // `events` alone.
  virtual void OnEvents(uint32_t events) = 0;

 protected:
  ~EventHandler() = default;
};

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // `handler` is borrowed until the descriptor is closed (which ends the watch).
  void Watch(int descriptor, uint32_t events, EventHandler* handler);
  void Change(int descriptor, uint32_t events, EventHandler* handler);

  // Waits for events for `wait_max_nanoseconds` at most (0: only looks) and calls their handlers.
  void RunTurn(int64_t wait_max_nanoseconds);

 private:
  const int epoll_;
};

}  // namespace sallyport::bench
