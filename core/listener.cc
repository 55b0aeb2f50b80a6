#include "core/listener.h"

#include <cerrno>

#include "core/check.h"

namespace sallyport::core {
namespace {

bool IsOutOfDescriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// accept(2): errors of the connection, not of the listening socket. Take the next one.
bool IsConnectionsOwnError(int error) {
  return error == ECONNABORTED || error == EPROTO || error == EPERM || error == EINTR ||
         error == EAGAIN || error == ENETDOWN || error == EHOSTDOWN || error == EHOSTUNREACH ||
         error == ENETUNREACH || error == ENONET || error == ENOPROTOOPT || error == ETIMEDOUT;
}

}  // namespace

Listener::Listener(Reactor& reactor, AcceptHandler& handler, int fd)
    : reactor_(reactor),
      handler_(handler),
      fd_(fd),
      retry_(Timer::Calling<&Listener::OnRetry>(this)) {}

Listener::~Listener() {
  if (fd_ < 0) return;
  CHECK(id_ == HandlerId{} || reactor_.kernel_gone());
  if (id_ != HandlerId{}) reactor_.Detach(id_);
  reactor_.io().Close(fd_);
}

bool Listener::Start() {
  id_ = reactor_.Attach(*this);
  if (id_ == HandlerId{}) return false;
  Arm();
  return true;
}

void Listener::Pause() {
  paused_ = true;
  Disarm();
}

void Listener::Resume() {
  paused_ = false;
  Arm();  // Or when the cancel that is under way has come back.
}

void Listener::Drain() {
  if (draining_ || fd_ < 0) return;
  draining_ = true;
  retry_.Cancel();
  Disarm();
  reactor_.AtEndOfTurn(*this);
}

SocketAddress Listener::LocalAddress() const { return reactor_.io().LocalAddress(fd_); }

void Listener::OnCompletion(const Completion& done) {
  DCHECK(done.operation == Operation::kAccept);
  if (!done.more) armed_ = cancelled_ = false;
  if (done.result >= 0) {
    HandOver(done.result);
  } else if (done.result != -ECANCELED) {
    OnFailed(-done.result);
  }
  if (draining_) return reactor_.AtEndOfTurn(*this);
  Arm();
}

void Listener::OnTurnEnd() {
  if (draining_ && !armed_) EmptyBacklog();
}

void Listener::Arm() {
  if (armed_ || paused_ || draining_ || retry_.scheduled() || id_ == HandlerId{}) return;
  armed_ = true;
  reactor_.io().Accept(fd_, id_);
}

void Listener::Disarm() {
  if (!armed_ || cancelled_) return;
  cancelled_ = true;
  reactor_.io().Cancel(id_, Operation::kAccept);
}

void Listener::OnFailed(int error) {
  if (IsConnectionsOwnError(error)) {
    ++counters_.accept_errors;
    return;
  }
  if (IsOutOfDescriptors(error)) {
    ++counters_.out_of_descriptors;
    for (uint32_t left = kRefusedPerRetryMax; left > 0; --left) {
      if (!reactor_.io().RefuseOne(fd_)) break;
    }
  } else {
    ++counters_.accept_errors;
  }
  reactor_.timers().Schedule(retry_, reactor_.now() + kRetryDelay);
}

void Listener::OnRetry() {
  if (draining_) return EmptyBacklog();
  Arm();
}

void Listener::HandOver(int fd) {
  ++counters_.accepted;
  handler_.OnAccepted(fd, reactor_.io().PeerAddress(fd));
}

// The accept is disarmed: take what waits, a bounded number per turn, then close.
void Listener::EmptyBacklog() {
  for (uint32_t left = kDrainedPerTurnMax; left > 0; --left) {
    const int fd = reactor_.io().AcceptNow(fd_);
    if (fd >= 0) {
      HandOver(fd);
      continue;
    }
    if (fd == -EAGAIN) {
      retry_.Cancel();
      if (id_ != HandlerId{}) reactor_.Detach(id_);
      id_ = {};
      reactor_.io().Close(fd_);
      fd_ = -1;
      return handler_.OnDrained();  // May destroy this.
    }
    if (!IsConnectionsOwnError(-fd)) {
      OnFailed(-fd);  // Comes back here by its timer.
      return;
    }
    ++counters_.accept_errors;
  }
  reactor_.timers().Schedule(retry_, reactor_.now());
}

}  // namespace sallyport::core
