#include "core/datagram_socket.h"

#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"

namespace sallyport::core {

DatagramSocket::DatagramSocket(Reactor& reactor, DatagramHandler& handler, int fd)
    : reactor_(reactor),
      handler_(handler),
      fd_(fd),
      retry_(Timer::Calling<&DatagramSocket::ArmReceive>(this)) {
  for (uint32_t tag = 0; tag < kSendsMax; ++tag) tags_[tag] = static_cast<uint8_t>(tag);
}

DatagramSocket::~DatagramSocket() {
  if (fd_ < 0) return;
  CHECK(id_ == HandlerId{} || reactor_.kernel_gone());
  if (id_ != HandlerId{}) reactor_.Detach(id_);
  reactor_.io().Close(fd_);
}

bool DatagramSocket::Start() {
  id_ = reactor_.Attach(*this);
  if (id_ == HandlerId{}) return false;
  ArmReceive();
  return true;
}

bool DatagramSocket::Send(const SocketAddress& to,
                          std::span<const std::span<const std::byte>> pieces) {
  DCHECK(!closing_);
  size_t total = 0;
  for (const std::span<const std::byte> piece : pieces) total += piece.size();
  if (total > kDatagramBytesMax) return false;
  BufferLease lease;
  if (free_tags_ > 0) lease = reactor_.buffers().Lease(static_cast<uint32_t>(total));
  if (!lease) {
    ++counters_.send_queue_full;
    return false;
  }
  std::byte* end = lease.data();
  for (const std::span<const std::byte> piece : pieces) {
    if (piece.empty()) continue;
    std::memcpy(end, piece.data(), piece.size());
    end += piece.size();
  }
  const iovec whole{lease.data(), total};
  const uint8_t tag = tags_[--free_tags_];
  in_flight_[tag] = std::move(lease);
  reactor_.io().SendDatagram(fd_, to, {&whole, 1}, id_, tag);
  return true;
}

void DatagramSocket::Close() {
  if (closing_ || fd_ < 0) return;
  closing_ = true;
  retry_.Cancel();
  if (receive_armed_) reactor_.io().Cancel(id_, Operation::kReceiveDatagram);
  reactor_.AtEndOfTurn(*this);
}

SocketAddress DatagramSocket::LocalAddress() const { return reactor_.io().LocalAddress(fd_); }

void DatagramSocket::OnCompletion(const Completion& done) {
  if (done.operation == Operation::kSendDatagram) {
    OnSendDone(done);
  } else {
    DCHECK(done.operation == Operation::kReceiveDatagram);
    OnReceiveDone(done);
  }
  if (closing_) reactor_.AtEndOfTurn(*this);
}

void DatagramSocket::OnReceiveDone(const Completion& done) {
  if (!done.more) receive_armed_ = false;
  if (done.buffer.present()) {
    if (done.result >= 0 && !closing_) Deliver(done);
    reactor_.io().Recycle(done.buffer);
  }
  if (receive_armed_ || closing_) return;
  if (done.result >= 0 || done.result == -ENOBUFS || done.result == -EINTR) return ArmReceive();
  ++counters_.receive_errors;
  reactor_.timers().Schedule(retry_, reactor_.now() + kRetryDelay);  // Never spins on an error.
}

void DatagramSocket::Deliver(const Completion& done) {
  const DatagramView datagram = reactor_.io().ReceivedDatagram(done);
  if (datagram.truncated) {
    ++counters_.truncated;
    return;
  }
  ++counters_.received;
  handler_.OnDatagram(datagram.bytes, datagram.source);
}

void DatagramSocket::OnSendDone(const Completion& done) {
  in_flight_[done.tag].Reset();
  tags_[free_tags_++] = done.tag;
  if (done.result >= 0) {
    ++counters_.sent;
    return;
  }
  ++counters_.send_errors;
  if (!closing_) handler_.OnSendError(-done.result);
}

void DatagramSocket::ArmReceive() {
  receive_armed_ = true;
  reactor_.io().ReceiveDatagram(fd_, id_);
}

void DatagramSocket::OnTurnEnd() {
  if (!closing_ || receive_armed_ || free_tags_ != kSendsMax) return;
  if (id_ != HandlerId{}) reactor_.Detach(id_);
  id_ = {};
  reactor_.io().Close(fd_);
  fd_ = -1;
  handler_.OnDatagramSocketClosed();  // May destroy this.
}

}  // namespace sallyport::core
