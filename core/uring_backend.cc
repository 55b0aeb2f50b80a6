#include "core/uring_backend.h"

#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/check.h"
#include "core/kernel_sockets.h"
#include "core/uring_buffers.h"

namespace sallyport::core {
namespace {

constexpr uint16_t kStreamGroup = 1;
constexpr uint16_t kDatagramGroup = 2;
constexpr uint32_t kGatheredPiecesMax = 4096;  // Between two submissions.
constexpr int kSubmitAttemptsAtOnce = 1000;
constexpr absl::Duration kSubmitPause = absl::Milliseconds(1);
constexpr int kQuiesceTurnsMax = 200;
constexpr uint64_t kQuiesceMark = UINT64_MAX;

// What the kernel reads while it takes submissions, and not after (IORING_FEAT_SUBMIT_STABLE):
// message headers, gather lists and addresses. Emptied by each complete submission.
class SubmissionScratch {
 public:
  explicit SubmissionScratch(uint32_t messages)
      : messages_(messages), addresses_(messages), pieces_(kGatheredPiecesMax) {}

  bool HasRoom(size_t pieces) const {
    return messages_used_ < messages_.size() && pieces_used_ + pieces <= pieces_.size();
  }

  msghdr* AddMessage(std::span<const iovec> pieces) {
    iovec* const first = &pieces_[pieces_used_];
    std::copy(pieces.begin(), pieces.end(), first);
    pieces_used_ += pieces.size();
    msghdr& message = messages_[messages_used_++];
    message = {};
    message.msg_iov = first;
    message.msg_iovlen = pieces.size();
    return &message;
  }

  sockaddr* AddAddress(const SocketAddress& address, socklen_t* length) {
    sockaddr_storage& storage = addresses_[addresses_used_++];
    *length = address.ToSockaddr(storage);
    return reinterpret_cast<sockaddr*>(&storage);
  }
  bool HasAddressRoom() const { return addresses_used_ < addresses_.size(); }

  void Clear() { messages_used_ = addresses_used_ = pieces_used_ = 0; }

 private:
  std::vector<msghdr> messages_;
  std::vector<sockaddr_storage> addresses_;
  std::vector<iovec> pieces_;
  size_t messages_used_ = 0;
  size_t addresses_used_ = 0;
  size_t pieces_used_ = 0;
};

class Backend final : public UringBackend {
 public:
  explicit Backend(const UringOptions& options)
      : scratch_(options.submission_entries),
        stream_buffers_(kStreamGroup, options.stream_buffers, options.stream_buffer_bytes),
        datagram_buffers_(kDatagramGroup, options.datagram_buffers, options.datagram_buffer_bytes) {
    // The source address stands before the payload in each datagram buffer.
    datagram_layout_.msg_namelen = sizeof(sockaddr_in6);
  }
  ~Backend() override { Quiesce(); }

  absl::Status Open(const UringOptions& options);

  absl::StatusOr<int> OpenListener(const SocketAddress& address,
                                   const ListenerOptions& options) override {
    return OpenListenerSocket(address, options);
  }
  absl::StatusOr<int> OpenDatagram(const SocketAddress& address,
                                   const DatagramOptions& options) override {
    return OpenDatagramSocket(address, options);
  }
  int OpenStreamSocket(AddressFamily family, const std::optional<SocketAddress>& local) override {
    return OpenConnectSocket(family, local);
  }
  SocketAddress LocalAddress(int fd) override { return LocalAddressOf(fd); }
  SocketAddress PeerAddress(int fd) override { return PeerAddressOf(fd); }
  int AcceptNow(int listener_fd) override { return AcceptWithoutWaiting(listener_fd); }
  bool RefuseOne(int listener_fd) override {
    const bool refused = reserve_.RefuseOne(listener_fd);
    if (refused) ++counters_.accepts_refused;
    return refused;
  }
  void ShutdownSend(int fd) override { ShutdownSending(fd); }
  void Close(int fd) override { CloseSocket(fd); }
  void CloseWithReset(int fd) override { ResetSocket(fd); }

  void Accept(int listener_fd, HandlerId owner) override;
  void Receive(int fd, HandlerId owner) override;
  void ReceiveDatagram(int fd, HandlerId owner) override;
  void Send(int fd, std::span<const iovec> pieces, HandlerId owner) override;
  void SendDatagram(int fd, const SocketAddress& to, std::span<const iovec> pieces, HandlerId owner,
                    uint8_t tag) override;
  void Connect(int fd, const SocketAddress& to, HandlerId owner) override;
  void Poll(int fd, uint32_t events, HandlerId owner) override;
  void Cancel(HandlerId owner, Operation operation) override;

  int wake_name() const override { return ring_.ring_fd; }
  void Wake(int wake_name) override;

  void Submit() override;
  void SubmitAndWait(absl::Duration timeout) override;
  size_t Harvest(std::span<Completion> completions) override;

  std::span<const std::byte> ReceivedBytes(const Completion& done) override {
    DCHECK(done.buffer.group == BufferGroup::kStream);
    return {stream_buffers_.bytes(done.buffer.id), static_cast<size_t>(done.result)};
  }
  DatagramView ReceivedDatagram(const Completion& done) override;
  void Recycle(BufferRef buffer) override;
  void Quiesce() override;

  MonotonicTime MonotonicNow() override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return {int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec};
  }
  absl::Time WallNow() override { return absl::Now(); }

 private:
  io_uring_sqe* NextEntry();
  void SubmitInMidTurn();
  void Account(int submitted);
  bool Translate(const io_uring_cqe& entry, Completion& done);
  void CountTrouble(const Completion& done);

  io_uring ring_{};
  bool ring_open_ = false;
  SubmissionScratch scratch_;
  UringBuffers stream_buffers_;
  UringBuffers datagram_buffers_;
  msghdr datagram_layout_{};
  ReserveDescriptor reserve_;
};

absl::Status Backend::Open(const UringOptions& options) {
  io_uring_params params{};
  // One thread submits; the kernel runs completions only when that thread asks, so that nothing
  // interrupts a turn; one bad operation does not stop the rest of its batch.
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                 IORING_SETUP_SUBMIT_ALL;
  params.cq_entries = options.completion_entries;
  int error = io_uring_queue_init_params(options.submission_entries, &ring_, &params);
  if (error < 0) {
    return absl::UnavailableError(absl::StrCat("io_uring_setup: ", std::strerror(-error)));
  }
  ring_open_ = true;
  error = stream_buffers_.Register(ring_);
  if (error == 0) error = datagram_buffers_.Register(ring_);
  if (error < 0) {
    return absl::UnavailableError(
        absl::StrCat("io_uring provided buffers: ", std::strerror(-error)));
  }
  // Saves a descriptor look-up per system call; nothing depends on it.
  static_cast<void>(io_uring_register_ring_fd(&ring_));
  return absl::OkStatus();
}

// A place in the submission queue; hands over what is there if it is full.
io_uring_sqe* Backend::NextEntry() {
  CHECK(ring_open_);
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    SubmitInMidTurn();
    entry = io_uring_get_sqe(&ring_);
    CHECK(entry != nullptr);
  }
  return entry;
}

void Backend::SubmitInMidTurn() {
  ++counters_.submission_queue_full;
  for (int attempt = 0; io_uring_sq_ready(&ring_) > 0; ++attempt) {
    // The kernel takes everything at once unless it lacks memory. Memory comes back, and without
    // the kernel there is nothing else to do meanwhile.
    if (attempt >= kSubmitAttemptsAtOnce) absl::SleepFor(kSubmitPause);
    Account(io_uring_submit(&ring_));
  }
}

void Backend::Account(int submitted) {
  ++counters_.submit_calls;
  if (submitted > 0) counters_.submitted += static_cast<uint64_t>(submitted);
  if (submitted < 0 && submitted != -ETIME && submitted != -EINTR) {
    // Anything else is our own mistake (wrong thread, closed ring) and would only spin.
    CHECK(submitted == -EAGAIN || submitted == -EBUSY || submitted == -ENOMEM);
    ++counters_.submit_retries;
  }
  if (io_uring_sq_ready(&ring_) == 0) scratch_.Clear();
}

void Backend::Accept(int listener_fd, HandlerId owner) {
  io_uring_sqe* const entry = NextEntry();
  // No address: one place for all results of a multishot would be overwritten.
  io_uring_prep_multishot_accept(entry, listener_fd, nullptr, nullptr, SOCK_CLOEXEC);
  io_uring_sqe_set_data64(entry, PackUserData({Operation::kAccept, 0, owner}));
}

void Backend::Receive(int fd, HandlerId owner) {
  io_uring_sqe* const entry = NextEntry();
  io_uring_prep_recv_multishot(entry, fd, nullptr, 0, 0);
  io_uring_sqe_set_flags(entry, IOSQE_BUFFER_SELECT);
  entry->buf_group = kStreamGroup;
  io_uring_sqe_set_data64(entry, PackUserData({Operation::kReceive, 0, owner}));
}

void Backend::ReceiveDatagram(int fd, HandlerId owner) {
  io_uring_sqe* const entry = NextEntry();
  io_uring_prep_recvmsg_multishot(entry, fd, &datagram_layout_, MSG_TRUNC);
  io_uring_sqe_set_flags(entry, IOSQE_BUFFER_SELECT);
  entry->buf_group = kDatagramGroup;
  io_uring_sqe_set_data64(entry, PackUserData({Operation::kReceiveDatagram, 0, owner}));
}

void Backend::Send(int fd, std::span<const iovec> pieces, HandlerId owner) {
  DCHECK(!pieces.empty() && pieces.size() <= kGatherPiecesMax);
  if (!scratch_.HasRoom(pieces.size())) SubmitInMidTurn();
  io_uring_sqe* const entry = NextEntry();
  if (pieces.size() == 1) {
    io_uring_prep_send(entry, fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
  } else {
    io_uring_prep_sendmsg(entry, fd, scratch_.AddMessage(pieces), MSG_NOSIGNAL);
  }
  io_uring_sqe_set_data64(entry, PackUserData({Operation::kSend, 0, owner}));
}

void Backend::SendDatagram(int fd, const SocketAddress& to, std::span<const iovec> pieces,
                           HandlerId owner, uint8_t tag) {
  DCHECK(!pieces.empty() && pieces.size() <= kGatherPiecesMax);
  if (!scratch_.HasRoom(pieces.size()) || !scratch_.HasAddressRoom()) SubmitInMidTurn();
  io_uring_sqe* const entry = NextEntry();
  msghdr* const message = scratch_.AddMessage(pieces);
  message->msg_name = scratch_.AddAddress(to, &message->msg_namelen);
  io_uring_prep_sendmsg(entry, fd, message, MSG_NOSIGNAL);
  io_uring_sqe_set_data64(entry, PackUserData({Operation::kSendDatagram, tag, owner}));
}

void Backend::Connect(int fd, const SocketAddress& to, HandlerId owner) {
  if (!scratch_.HasAddressRoom()) SubmitInMidTurn();
  io_uring_sqe* const entry = NextEntry();
  socklen_t length = 0;
  const sockaddr* const address = scratch_.AddAddress(to, &length);
  io_uring_prep_connect(entry, fd, address, length);
  io_uring_sqe_set_data64(entry, PackUserData({Operation::kConnect, 0, owner}));
}

void Backend::Poll(int fd, uint32_t events, HandlerId owner) {
  io_uring_sqe* const entry = NextEntry();
  io_uring_prep_poll_add(entry, fd, events);
  io_uring_sqe_set_data64(entry, PackUserData({Operation::kPoll, 0, owner}));
}

void Backend::Cancel(HandlerId owner, Operation operation) {
  io_uring_sqe* const entry = NextEntry();
  io_uring_prep_cancel64(entry, PackUserData({operation, 0, owner}), 0);
  io_uring_sqe_set_data64(entry, PackUserData({Operation::kCancel, 0, {}}));
}

void Backend::Wake(int wake_name) {
  io_uring_sqe* const entry = NextEntry();
  const uint64_t mark = PackUserData({Operation::kWake, 0, {}});
  io_uring_prep_msg_ring(entry, wake_name, 0, mark, 0);
  io_uring_sqe_set_flags(entry, IOSQE_CQE_SKIP_SUCCESS);
  io_uring_sqe_set_data64(entry, mark);  // A failure (its shard is gone) is dropped like a wake.
}

void Backend::Submit() {
  if (io_uring_sq_ready(&ring_) > 0) Account(io_uring_submit(&ring_));
}

void Backend::SubmitAndWait(absl::Duration timeout) {
  if (timeout <= absl::ZeroDuration()) {
    // Deferred task work runs only when asked for: also without waiting.
    return Account(io_uring_submit_and_get_events(&ring_));
  }
  const timespec limit = absl::ToTimespec(timeout);
  __kernel_timespec kernel_limit{limit.tv_sec, limit.tv_nsec};
  io_uring_cqe* first = nullptr;
  Account(io_uring_submit_and_wait_timeout(&ring_, &first, 1, &kernel_limit, nullptr));
}

size_t Backend::Harvest(std::span<Completion> completions) {
  size_t count = 0;
  while (count < completions.size()) {
    if (io_uring_cq_ready(&ring_) == 0) {
      if (!io_uring_cq_has_overflow(&ring_)) break;
      ++counters_.completion_overflows;  // The kernel kept the rest for us: fetch it.
      if (io_uring_get_events(&ring_) < 0 || io_uring_cq_ready(&ring_) == 0) break;
    }
    uint32_t head = 0;
    uint32_t taken = 0;
    io_uring_cqe* entry = nullptr;
    io_uring_for_each_cqe(&ring_, head, entry) {
      if (count == completions.size()) break;
      ++taken;
      if (Translate(*entry, completions[count])) ++count;
    }
    io_uring_cq_advance(&ring_, taken);
  }
  counters_.completions += count;
  return count;
}

// False: nothing for a handler.
bool Backend::Translate(const io_uring_cqe& entry, Completion& done) {
  const OperationKey key = UnpackUserData(entry.user_data);
  if (key.operation == Operation::kCancel || key.operation == Operation::kWake) return false;
  done.owner = key.owner;
  done.operation = key.operation;
  done.tag = key.tag;
  done.result = entry.res;
  done.more = (entry.flags & IORING_CQE_F_MORE) != 0;
  done.buffer = {};
  if ((entry.flags & IORING_CQE_F_BUFFER) != 0) {
    done.buffer.id = static_cast<uint16_t>(entry.flags >> IORING_CQE_BUFFER_SHIFT);
    done.buffer.group = key.operation == Operation::kReceiveDatagram ? BufferGroup::kDatagram
                                                                     : BufferGroup::kStream;
  }
  if (!done.more) CountTrouble(done);
  return true;
}

void Backend::CountTrouble(const Completion& done) {
  const bool receive = done.operation == Operation::kReceive;
  const bool datagram = done.operation == Operation::kReceiveDatagram;
  if (done.result == -ENOBUFS && receive) ++counters_.stream_buffers_out;
  if (done.result == -ENOBUFS && datagram) ++counters_.datagram_buffers_out;
  // Happens when the completion queue is full: the rest waits in the socket.
  const bool multishot = receive || datagram || done.operation == Operation::kAccept;
  if (multishot && done.result > 0) ++counters_.multishot_ended_early;
}

DatagramView Backend::ReceivedDatagram(const Completion& done) {
  DCHECK(done.buffer.group == BufferGroup::kDatagram);
  DatagramView view;
  auto* const buffer = const_cast<std::byte*>(datagram_buffers_.bytes(done.buffer.id));
  io_uring_recvmsg_out* const out =
      io_uring_recvmsg_validate(buffer, done.result, &datagram_layout_);
  if (out == nullptr) {
    view.truncated = true;
    return view;
  }
  view.source = SocketAddress::FromSockaddr(
      static_cast<const sockaddr*>(io_uring_recvmsg_name(out)), out->namelen);
  view.bytes = {static_cast<const std::byte*>(io_uring_recvmsg_payload(out, &datagram_layout_)),
                io_uring_recvmsg_payload_length(out, done.result, &datagram_layout_)};
  view.truncated = (out->flags & MSG_TRUNC) != 0 || out->payloadlen > view.bytes.size();
  return view;
}

void Backend::Recycle(BufferRef buffer) {
  DCHECK(buffer.present());
  UringBuffers& buffers =
      buffer.group == BufferGroup::kStream ? stream_buffers_ : datagram_buffers_;
  buffers.Recycle(buffer.id);
}

void Backend::Quiesce() {
  if (!ring_open_) return;
  io_uring_sqe* const entry = NextEntry();
  io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
  io_uring_sqe_set_data64(entry, kQuiesceMark);
  bool marked = false;
  // Results of the cancelled operations come at once; the mark itself after all of them.
  for (int turn = 0; turn < kQuiesceTurnsMax && !marked; ++turn) {
    __kernel_timespec limit{0, 5'000'000};
    io_uring_cqe* first = nullptr;
    static_cast<void>(io_uring_submit_and_wait_timeout(&ring_, &first, 1, &limit, nullptr));
    uint32_t head = 0;
    uint32_t taken = 0;
    io_uring_for_each_cqe(&ring_, head, first) {
      ++taken;
      if (first->user_data == kQuiesceMark) marked = true;
      const OperationKey key = UnpackUserData(first->user_data);
      const bool accepted = key.operation == Operation::kAccept && first->res >= 0;
      if (accepted) CloseSocket(first->res);
    }
    io_uring_cq_advance(&ring_, taken);
  }
  io_uring_queue_exit(&ring_);
  ring_open_ = false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<UringBackend>> UringBackend::Create(const UringOptions& options) {
  auto backend = std::make_unique<Backend>(options);
  if (absl::Status status = backend->Open(options); !status.ok()) return status;
  return std::unique_ptr<UringBackend>(std::move(backend));
}

}  // namespace sallyport::core
