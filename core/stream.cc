#include "core/stream.h"

#include <array>
#include <cerrno>

#include "core/check.h"

namespace sallyport::core {

Stream::Stream(Reactor& reactor, StreamHandler& handler, uint32_t output_bytes_max)
    : reactor_(reactor),
      handler_(handler),
      output_(reactor.buffers(), output_bytes_max),
      deadline_(Timer::Calling<&Stream::OnDeadline>(this)) {}

Stream::~Stream() {
  CHECK(state_ == State::kClosed || reactor_.kernel_gone());
  if (state_ == State::kClosed) return;
  reactor_.Detach(id_);
  reactor_.io().Close(fd_);
}

bool Stream::Adopt(int fd) {
  CHECK(state_ == State::kClosed);
  if (!Attach(fd)) return false;
  state_ = State::kOpen;
  ArmReceive();
  return true;
}

int Stream::Connect(const SocketAddress& peer, const std::optional<SocketAddress>& local,
                    absl::Duration timeout) {
  CHECK(state_ == State::kClosed);
  const int fd = reactor_.io().OpenStreamSocket(peer.family(), local);
  if (fd < 0) return -fd;
  if (!Attach(fd)) {
    reactor_.io().Close(fd);
    return ENFILE;
  }
  state_ = State::kConnecting;
  connect_in_flight_ = true;
  reactor_.io().Connect(fd, peer, id_);
  reactor_.timers().Schedule(deadline_, reactor_.now() + timeout);
  return 0;
}

bool Stream::Attach(int fd) {
  id_ = reactor_.Attach(*this);
  if (id_ == HandlerId{}) return false;
  fd_ = fd;
  lingered_bytes_ = 0;
  receive_paused_ = false;
  peer_closed_ = false;
  connect_timed_out_ = false;
  reset_ = false;
  return true;
}

void Stream::PauseReceive() {
  receive_paused_ = true;
  if (!receive_armed_ || receive_cancelled_) return;
  receive_cancelled_ = true;
  reactor_.io().Cancel(id_, Operation::kReceive);
}

void Stream::ResumeReceive() {
  receive_paused_ = false;
  ArmReceive();  // Or when the cancel that is under way has come back.
}

OutputQueue& Stream::output() {
  DCHECK(state_ == State::kOpen || state_ == State::kConnecting);
  reactor_.AtEndOfTurn(*this);
  return output_;
}

void Stream::Close(absl::Duration deadline) {
  if (state_ == State::kConnecting) return BeginCancel(/*reset=*/false);
  if (state_ != State::kOpen) return;
  state_ = State::kFlushing;
  reactor_.timers().Schedule(deadline_, reactor_.now() + deadline);
  ResumeReceive();  // To see the peer's FIN; what comes before it is discarded.
  reactor_.AtEndOfTurn(*this);
}

void Stream::Abort() {
  if (state_ != State::kClosed) BeginCancel(/*reset=*/true);
}

void Stream::OnCompletion(const Completion& done) {
  switch (done.operation) {
    case Operation::kReceive:
      return OnReceiveDone(done);
    case Operation::kSend:
      return OnSendDone(done);
    case Operation::kConnect:
      return OnConnectDone(done);
    case Operation::kNone:
    case Operation::kAccept:
    case Operation::kReceiveDatagram:
    case Operation::kSendDatagram:
    case Operation::kPoll:
    case Operation::kCancel:
    case Operation::kWake:
      UNREACHABLE();
  }
  UNREACHABLE();
}

void Stream::OnConnectDone(const Completion& done) {
  connect_in_flight_ = false;
  if (state_ == State::kCancelling) return reactor_.AtEndOfTurn(*this);
  DCHECK(state_ == State::kConnecting);
  deadline_.Cancel();
  if (done.result < 0) {
    const int error = connect_timed_out_ ? ETIMEDOUT : -done.result;
    BeginCancel(/*reset=*/false);
    return handler_.OnConnected(error);
  }
  state_ = State::kOpen;
  ArmReceive();
  reactor_.AtEndOfTurn(*this);  // What was appended meanwhile.
  handler_.OnConnected(0);
}

void Stream::OnReceiveDone(const Completion& done) {
  if (!done.more) receive_armed_ = receive_cancelled_ = false;
  if (done.result > 0) {
    if (state_ == State::kOpen) {
      handler_.OnReceived(reactor_.io().ReceivedBytes(done));
    } else {
      DiscardReceived(static_cast<uint32_t>(done.result));
    }
  }
  if (done.buffer.present()) reactor_.io().Recycle(done.buffer);
  if (state_ == State::kCancelling) return reactor_.AtEndOfTurn(*this);
  if (done.result == 0) {
    peer_closed_ = true;
    if (state_ == State::kLingering) return BeginCancel(/*reset=*/false);
    if (state_ == State::kOpen) return handler_.OnPeerClosed();
    return;
  }
  const bool harmless = done.result > 0 || done.result == -ENOBUFS || done.result == -ECANCELED ||
                        done.result == -EAGAIN || done.result == -EINTR;
  if (!harmless) return Fail(-done.result);
  ArmReceive();
}

void Stream::OnSendDone(const Completion& done) {
  send_in_flight_ = false;
  if (done.result > 0) output_.Consume(static_cast<uint32_t>(done.result));
  if (state_ == State::kCancelling) return reactor_.AtEndOfTurn(*this);
  if (done.result <= 0 && done.result != -EAGAIN && done.result != -EINTR) {
    return Fail(done.result == 0 ? EPIPE : -done.result);
  }
  if (!output_.empty() || state_ == State::kFlushing) reactor_.AtEndOfTurn(*this);
  if (state_ == State::kOpen && done.result > 0) handler_.OnSent();
}

void Stream::OnDeadline() {
  if (state_ != State::kConnecting) return BeginCancel(/*reset=*/true);
  connect_timed_out_ = true;
  reactor_.io().Cancel(id_, Operation::kConnect);
}

void Stream::DiscardReceived(uint32_t bytes) {
  if (state_ == State::kCancelling) return;
  lingered_bytes_ += bytes;
  if (lingered_bytes_ > kLingerBytesMax) BeginCancel(/*reset=*/true);
}

void Stream::ArmReceive() {
  const bool wanted =
      state_ == State::kOpen || state_ == State::kFlushing || state_ == State::kLingering;
  if (!wanted || receive_armed_ || receive_paused_ || peer_closed_) return;
  receive_armed_ = true;
  reactor_.io().Receive(fd_, id_);
}

void Stream::OnTurnEnd() {
  switch (state_) {
    case State::kOpen:
    case State::kFlushing:
      return Flush();
    case State::kCancelling:
      if (Quiet()) FinishClose();  // May destroy this.
      return;
    case State::kClosed:
    case State::kConnecting:
    case State::kLingering:
      return;
  }
}

void Stream::Flush() {
  if (send_in_flight_) return;  // Its completion comes back here.
  if (output_.empty()) {
    if (state_ == State::kFlushing) BeginLinger();
    return;
  }
  std::array<iovec, IoBackend::kGatherPiecesMax> pieces;
  const size_t count = output_.Gather(pieces);
  send_in_flight_ = true;
  reactor_.io().Send(fd_, {pieces.data(), count}, id_);
}

void Stream::BeginLinger() {
  if (peer_closed_) return BeginCancel(/*reset=*/false);
  state_ = State::kLingering;
  reactor_.io().ShutdownSend(fd_);
}

void Stream::Fail(int error) {
  const bool report = state_ == State::kOpen;
  BeginCancel(/*reset=*/false);
  if (report) handler_.OnError(error);
}

void Stream::BeginCancel(bool reset) {
  reset_ = reset_ || reset;
  if (state_ == State::kCancelling) return;
  state_ = State::kCancelling;
  deadline_.Cancel();
  if (receive_armed_ && !receive_cancelled_) reactor_.io().Cancel(id_, Operation::kReceive);
  if (send_in_flight_) reactor_.io().Cancel(id_, Operation::kSend);
  if (connect_in_flight_) reactor_.io().Cancel(id_, Operation::kConnect);
  reactor_.AtEndOfTurn(*this);
}

void Stream::FinishClose() {
  output_.Clear();
  reactor_.Detach(id_);
  id_ = {};
  if (reset_) {
    reactor_.io().CloseWithReset(fd_);
  } else {
    reactor_.io().Close(fd_);
  }
  fd_ = -1;
  state_ = State::kClosed;
  handler_.OnClosed();
}

}  // namespace sallyport::core
