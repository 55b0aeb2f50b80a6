#include "tests/support/simulated_backend.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "core/check.h"

namespace sallyport::core {
namespace {

constexpr std::byte kRecycled{0xDD};
constexpr int kFirstDescriptor = 100;
constexpr int kDescriptorsPerBackend = 1'000'000;  // So that no fd means two things.

size_t TotalBytes(std::span<const iovec> pieces) {
  size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  return total;
}

std::string CopyOut(std::span<const iovec> pieces, size_t bytes) {
  std::string text;
  for (const iovec& piece : pieces) {
    text.append(static_cast<const char*>(piece.iov_base),
                std::min(piece.iov_len, bytes - text.size()));
  }
  return text;
}

}  // namespace

// -- The network.

SimulatedNetwork::SimulatedNetwork(uint64_t seed) : random_(seed) {}

void SimulatedNetwork::Advance(absl::Duration duration) {
  now_ = now_ + duration;
  wall_now_ += duration;
}

bool SimulatedNetwork::Chance(double probability) {
  // Nothing is drawn for what never happens, so that a fault switched off changes nothing else.
  return probability > 0 && static_cast<double>(random_() >> 11) * 0x1.0p-53 < probability;
}

uint64_t SimulatedNetwork::Draw(uint64_t bound) { return random_() % bound; }

RemoteConnection* SimulatedNetwork::NewConnection(const SocketAddress& remote,
                                                  const SocketAddress& backend) {
  RemoteConnection* const made =
      connections_.emplace_back(std::make_unique<RemoteConnection>()).get();
  made->address_ = remote;
  made->backend_address_ = backend;
  return made;
}

RemoteConnection* SimulatedNetwork::Connect(const SocketAddress& to) {
  return Connect(to, SocketAddress::Loopback(to.family(), NextPort()));
}

RemoteConnection* SimulatedNetwork::Connect(const SocketAddress& to, const SocketAddress& from) {
  std::vector<SimulatedBackend::Socket*> listeners;
  for (SimulatedBackend* const backend : backends_) {
    for (auto& [fd, socket] : backend->sockets_) {
      const bool listens = socket.kind == SimulatedBackend::SocketKind::kListener;
      if (listens && socket.local == to) listeners.push_back(&socket);
    }
  }
  if (listeners.empty()) return nullptr;
  RemoteConnection* const made = NewConnection(from, to);
  listeners[Draw(listeners.size())]->backlog.push_back(made);
  return made;
}

RemoteConnection* SimulatedNetwork::Accept(const SocketAddress& at) {
  const auto server = servers_.find(at);
  if (server == servers_.end() || server->second.waiting.empty()) return nullptr;
  RemoteConnection* const accepted = server->second.waiting.front();
  server->second.waiting.pop_front();
  return accepted;
}

void SimulatedNetwork::SendDatagram(const SocketAddress& from, const SocketAddress& to,
                                    std::string_view bytes) {
  if (Chance(faults_.datagram_loss)) return;
  const int copies = Chance(faults_.datagram_twice) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    if (const auto endpoint = endpoints_.find(to); endpoint != endpoints_.end()) {
      endpoint->second.received.push_back({from, std::string(bytes)});
      continue;
    }
    // The kernel picks one of the sockets that share the address by the sender's address.
    std::vector<SimulatedBackend::Socket*> sockets;
    for (SimulatedBackend* const backend : backends_) {
      for (auto& [fd, socket] : backend->sockets_) {
        const bool bound = socket.kind == SimulatedBackend::SocketKind::kDatagram;
        if (bound && socket.local == to) sockets.push_back(&socket);
      }
    }
    if (sockets.empty()) return;
    sockets[from.port() % sockets.size()]->datagrams.push_back({from, std::string(bytes)});
  }
}

std::optional<RemoteDatagram> SimulatedNetwork::ReceiveDatagram(const SocketAddress& at) {
  const auto endpoint = endpoints_.find(at);
  CHECK(endpoint != endpoints_.end());  // Bind it first.
  if (endpoint->second.received.empty()) return std::nullopt;
  RemoteDatagram datagram = std::move(endpoint->second.received.front());
  endpoint->second.received.pop_front();
  return datagram;
}

// -- The backend: sockets.

SimulatedBackend::SimulatedBackend(SimulatedNetwork& network, const SimulatedOptions& options)
    : network_(network),
      options_(options),
      wake_name_(static_cast<int>(network.backends_.size())),
      next_fd_(kFirstDescriptor + wake_name_ * kDescriptorsPerBackend) {
  network_.backends_.push_back(this);
  const auto fill = [](Buffers& buffers, uint32_t count, uint32_t bytes) {
    buffers.memory.assign(count, std::vector<std::byte>(bytes, kRecycled));
    buffers.filled.assign(count, 0);
    buffers.datagrams.resize(count);
    for (uint32_t id = 0; id < count; ++id) buffers.free.push_back(static_cast<uint16_t>(id));
  };
  fill(stream_buffers_, options.stream_buffers, options.stream_buffer_bytes);
  fill(datagram_buffers_, options.datagram_buffers, options.datagram_buffer_bytes);
}

SimulatedBackend::~SimulatedBackend() { std::erase(network_.backends_, this); }

uint32_t SimulatedBackend::buffers_out() const {
  return static_cast<uint32_t>(stream_buffers_.memory.size() - stream_buffers_.free.size() +
                               datagram_buffers_.memory.size() - datagram_buffers_.free.size());
}

int SimulatedBackend::NewDescriptor(const Socket& socket) {
  if (sockets_.size() >= options_.descriptors_max) return -EMFILE;
  sockets_.emplace(next_fd_, socket);
  return next_fd_++;
}

SimulatedBackend::Socket& SimulatedBackend::SocketOf(int fd) {
  const auto found = sockets_.find(fd);
  CHECK(found != sockets_.end());  // EBADF: our own mistake.
  return found->second;
}

absl::StatusOr<int> SimulatedBackend::OpenListener(const SocketAddress& address,
                                                   const ListenerOptions&) {
  Socket socket;
  socket.kind = SocketKind::kListener;
  socket.local = address.port() != 0 ? address : address.WithPort(network_.NextPort());
  const int fd = NewDescriptor(socket);
  if (fd < 0) return absl::ResourceExhaustedError("no descriptors");
  return fd;
}

absl::StatusOr<int> SimulatedBackend::OpenDatagram(const SocketAddress& address,
                                                   const DatagramOptions&) {
  Socket socket;
  socket.kind = SocketKind::kDatagram;
  socket.local = address.port() != 0 ? address : address.WithPort(network_.NextPort());
  const int fd = NewDescriptor(socket);
  if (fd < 0) return absl::ResourceExhaustedError("no descriptors");
  return fd;
}

int SimulatedBackend::OpenStreamSocket(AddressFamily family,
                                       const std::optional<SocketAddress>& local) {
  Socket socket;
  socket.local = local.value_or(SocketAddress::Loopback(family, 0));
  if (socket.local.port() == 0) socket.local = socket.local.WithPort(network_.NextPort());
  return NewDescriptor(socket);
}

SocketAddress SimulatedBackend::LocalAddress(int fd) { return SocketOf(fd).local; }
SocketAddress SimulatedBackend::PeerAddress(int fd) { return SocketOf(fd).peer; }

int SimulatedBackend::TakeFromBacklog(Socket& listener) {
  if (listener.backlog.empty()) return -EAGAIN;
  RemoteConnection* const remote = listener.backlog.front();
  Socket socket;
  socket.local = listener.local;
  socket.peer = remote->address_;
  socket.remote = remote;
  const int fd = NewDescriptor(socket);
  if (fd >= 0) listener.backlog.pop_front();
  return fd;
}

int SimulatedBackend::AcceptNow(int listener_fd) { return TakeFromBacklog(SocketOf(listener_fd)); }

bool SimulatedBackend::RefuseOne(int listener_fd) {
  Socket& listener = SocketOf(listener_fd);
  if (listener.backlog.empty()) return false;
  listener.backlog.front()->saw_reset_ = true;
  listener.backlog.pop_front();
  ++counters_.accepts_refused;
  return true;
}

void SimulatedBackend::ShutdownSend(int fd) {
  Socket& socket = SocketOf(fd);
  socket.send_shut = true;
  if (socket.remote != nullptr) socket.remote->saw_end_ = true;
}

void SimulatedBackend::Close(int fd) { CloseSocket(fd, /*reset=*/false); }
void SimulatedBackend::CloseWithReset(int fd) { CloseSocket(fd, /*reset=*/true); }

void SimulatedBackend::CloseSocket(int fd, bool reset) {
  Socket& socket = SocketOf(fd);
  CHECK(quiesced_ || !HasOperations(fd));  // They would keep the socket alive: cancel them first.
  if (RemoteConnection* const remote = socket.remote; remote != nullptr) {
    // Unread bytes make the kernel send a reset instead of a FIN.
    const bool unread = !remote->to_backend_.bytes.empty();
    (reset || unread ? remote->saw_reset_ : remote->saw_end_) = true;
  }
  for (RemoteConnection* const waiting : socket.backlog) waiting->saw_reset_ = true;
  sockets_.erase(fd);
}

bool SimulatedBackend::HasOperations(int fd) const {
  const auto of_fd = [fd](const Pending& pending) { return pending.fd == fd; };
  return std::any_of(operations_.begin(), operations_.end(), of_fd) ||
         std::any_of(submissions_.begin(), submissions_.end(), of_fd);
}

// -- Operations.

void SimulatedBackend::Queue(Operation operation, int fd, HandlerId owner, uint8_t tag) {
  CHECK(!quiesced_);
  static_cast<void>(SocketOf(fd));
  Pending pending;
  pending.key = {operation, tag, owner};
  pending.fd = fd;
  pending.not_before = network_.now();
  submissions_.push_back(std::move(pending));
}

void SimulatedBackend::Accept(int listener_fd, HandlerId owner) {
  Queue(Operation::kAccept, listener_fd, owner);
}
void SimulatedBackend::Receive(int fd, HandlerId owner) { Queue(Operation::kReceive, fd, owner); }
void SimulatedBackend::ReceiveDatagram(int fd, HandlerId owner) {
  Queue(Operation::kReceiveDatagram, fd, owner);
}
void SimulatedBackend::Send(int fd, std::span<const iovec> pieces, HandlerId owner) {
  CHECK(!pieces.empty() && pieces.size() <= kGatherPiecesMax);
  Queue(Operation::kSend, fd, owner);
  submissions_.back().pieces.assign(pieces.begin(), pieces.end());
}
void SimulatedBackend::SendDatagram(int fd, const SocketAddress& to, std::span<const iovec> pieces,
                                    HandlerId owner, uint8_t tag) {
  Queue(Operation::kSendDatagram, fd, owner, tag);
  submissions_.back().pieces.assign(pieces.begin(), pieces.end());
  submissions_.back().to = to;
}
void SimulatedBackend::Connect(int fd, const SocketAddress& to, HandlerId owner) {
  Queue(Operation::kConnect, fd, owner);
  submissions_.back().to = to;
}

void SimulatedBackend::Poll(int fd, uint32_t, HandlerId owner) {
  Pending pending;  // Of any descriptor, not only of our sockets.
  pending.key = {Operation::kPoll, 0, owner};
  pending.fd = fd;
  submissions_.push_back(std::move(pending));
}

void SimulatedBackend::CompletePoll(int fd, uint32_t events) {
  TakeSubmissions();
  for (auto pending = operations_.begin(); pending != operations_.end(); ++pending) {
    if (pending->fd != fd || pending->key.operation != Operation::kPoll) continue;
    Complete(pending->key, static_cast<int32_t>(events));
    operations_.erase(pending);
    return;
  }
}

void SimulatedBackend::Cancel(HandlerId owner, Operation operation) {
  CHECK(!quiesced_);
  Pending pending;
  pending.key = {Operation::kCancel, static_cast<uint8_t>(operation), owner};
  submissions_.push_back(std::move(pending));
}

void SimulatedBackend::Wake(int wake_name) {
  for (SimulatedBackend* const backend : network_.backends_) {
    if (backend->wake_name_ == wake_name) backend->woken_ = true;
  }
}

void SimulatedBackend::TakeSubmissions() {
  for (Pending& pending : submissions_) {
    if (pending.key.operation == Operation::kCancel) {
      CancelPending({static_cast<Operation>(pending.key.tag), 0, pending.key.owner});
      continue;
    }
    for (const Pending& held : operations_) CHECK(!(held.key == pending.key));
    operations_.push_back(std::move(pending));
  }
  counters_.submitted += submissions_.size();
  submissions_.clear();
}

void SimulatedBackend::CancelPending(const OperationKey& target) {
  for (Pending& pending : operations_) {
    if (pending.key == target) pending.cancelled = true;
  }
}

void SimulatedBackend::Submit() {
  ++counters_.submit_calls;
  TakeSubmissions();
}

void SimulatedBackend::SubmitAndWait(absl::Duration timeout) {
  last_timeout_ = timeout;
  woken_ = false;
  Submit();
  Progress();
}

// -- Progress: what the kernel does with the operations that it holds.

void SimulatedBackend::Progress() {
  // Bytes that waited for a peer that reads again.
  for (auto& [fd, socket] : sockets_) {
    RemoteConnection* const remote = socket.remote;
    if (remote != nullptr && remote->reading_)
      remote->received_ += std::exchange(remote->in_window_, {});
  }
  for (size_t index = 0; index < operations_.size();) {
    if (ProgressOne(operations_[index])) {
      operations_.erase(operations_.begin() + static_cast<ptrdiff_t>(index));
    } else {
      ++index;
    }
  }
}

bool SimulatedBackend::ProgressOne(Pending& pending) {
  switch (pending.key.operation) {
    case Operation::kConnect:
      if (pending.cancelled) break;
      return ProgressConnect(pending);
    case Operation::kAccept:
      if (pending.cancelled) break;
      return ProgressAccept(pending);
    case Operation::kReceive:
      if (pending.cancelled) break;
      return ProgressReceive(pending);
    case Operation::kReceiveDatagram:
      if (pending.cancelled) break;
      return ProgressReceiveDatagram(pending);
    case Operation::kSend:
      if (ProgressSend(pending)) return true;  // A cancel may come too late.
      break;
    case Operation::kSendDatagram:
      return ProgressSendDatagram(pending);
    case Operation::kPoll:
      break;
    case Operation::kNone:
    case Operation::kCancel:
    case Operation::kWake:
      UNREACHABLE();
  }
  if (!pending.cancelled) return false;
  Complete(pending.key, -ECANCELED);
  return true;
}

bool SimulatedBackend::EndsMultishot(const OperationKey& key) {
  const bool full = results_.size() + 1 >= options_.completion_entries;
  const bool ends = full || network_.Chance(network_.faults_.multishot_end);
  if (ends && key.operation != Operation::kAccept) ++counters_.multishot_ended_early;
  return ends;
}

bool SimulatedBackend::ProgressAccept(const Pending& pending) {
  Socket& listener = SocketOf(pending.fd);
  while (!listener.backlog.empty()) {
    const int fd = TakeFromBacklog(listener);
    const bool ended = fd < 0 || EndsMultishot(pending.key);
    Complete(pending.key, fd, !ended);
    if (ended) return true;
  }
  return false;
}

bool SimulatedBackend::ProgressReceive(const Pending& pending) {
  Socket& socket = SocketOf(pending.fd);
  if (socket.remote == nullptr) return false;
  RemoteConnection& remote = *socket.remote;
  while (!remote.reset_ && !remote.to_backend_.bytes.empty()) {
    const std::optional<BufferRef> buffer = TakeBuffer(BufferGroup::kStream);
    if (!buffer) {
      ++counters_.stream_buffers_out;
      Complete(pending.key, -ENOBUFS);
      return true;
    }
    std::vector<std::byte>& memory = stream_buffers_.memory[buffer->id];
    std::string& bytes = remote.to_backend_.bytes;
    size_t count = std::min(bytes.size(), memory.size());
    if (network_.Chance(network_.faults_.partial_read)) count = 1 + network_.Draw(count);
    std::memcpy(memory.data(), bytes.data(), count);
    bytes.erase(0, count);
    stream_buffers_.filled[buffer->id] = count;
    const bool ended = EndsMultishot(pending.key);
    Complete(pending.key, static_cast<int32_t>(count), !ended, *buffer);
    if (ended) return true;
  }
  if (!remote.reset_ && !remote.to_backend_.finished) return false;
  Complete(pending.key, remote.reset_ ? -ECONNRESET : 0);
  return true;
}

bool SimulatedBackend::ProgressReceiveDatagram(const Pending& pending) {
  Socket& socket = SocketOf(pending.fd);
  while (!socket.datagrams.empty()) {
    const std::optional<BufferRef> buffer = TakeBuffer(BufferGroup::kDatagram);
    if (!buffer) {
      ++counters_.datagram_buffers_out;
      Complete(pending.key, -ENOBUFS);
      return true;
    }
    const RemoteDatagram datagram = std::move(socket.datagrams.front());
    socket.datagrams.pop_front();
    std::vector<std::byte>& memory = datagram_buffers_.memory[buffer->id];
    const size_t count = std::min(datagram.bytes.size(), memory.size());
    std::memcpy(memory.data(), datagram.bytes.data(), count);
    datagram_buffers_.datagrams[buffer->id] = {
        datagram.from, {memory.data(), count}, count < datagram.bytes.size()};
    const bool ended = EndsMultishot(pending.key);
    Complete(pending.key, static_cast<int32_t>(count), !ended, *buffer);
    if (ended) return true;
  }
  return false;
}

bool SimulatedBackend::ProgressSend(const Pending& pending) {
  Socket& socket = SocketOf(pending.fd);
  CHECK(socket.remote != nullptr);
  RemoteConnection& remote = *socket.remote;
  if (remote.reset_ || socket.send_shut) {
    Complete(pending.key, remote.reset_ ? -ECONNRESET : -EPIPE);
    return true;
  }
  const size_t room = remote.reading_ ? network_.window_bytes_
                                      : network_.window_bytes_ - std::min(network_.window_bytes_,
                                                                          remote.in_window_.size());
  if (room == 0) return false;
  size_t count = std::min(TotalBytes(pending.pieces), room);
  if (network_.Chance(network_.faults_.short_send)) count = 1 + network_.Draw(count);
  (remote.reading_ ? remote.received_ : remote.in_window_) += CopyOut(pending.pieces, count);
  Complete(pending.key, static_cast<int32_t>(count));
  return true;
}

bool SimulatedBackend::ProgressSendDatagram(const Pending& pending) {
  const size_t total = TotalBytes(pending.pieces);
  network_.reached_.insert(pending.to);
  network_.SendDatagram(SocketOf(pending.fd).local, pending.to, CopyOut(pending.pieces, total));
  Complete(pending.key, static_cast<int32_t>(total));
  return true;
}

bool SimulatedBackend::ProgressConnect(Pending& pending) {
  network_.reached_.insert(pending.to);
  const std::vector<SocketAddress>& blackholes = network_.blackholes_;
  if (std::find(blackholes.begin(), blackholes.end(), pending.to) != blackholes.end()) return false;
  const auto server = network_.servers_.find(pending.to);
  if (server == network_.servers_.end()) {
    Complete(pending.key, -ECONNREFUSED);
    return true;
  }
  Socket& socket = SocketOf(pending.fd);
  socket.peer = pending.to;
  socket.remote = network_.NewConnection(pending.to, socket.local);
  server->second.waiting.push_back(socket.remote);
  Complete(pending.key, 0);
  return true;
}

// -- Results.

void SimulatedBackend::Complete(const OperationKey& key, int32_t result, bool more,
                                BufferRef buffer) {
  Result made{{key.owner, result, key.operation, key.tag, more, buffer}, network_.now()};
  if (network_.Chance(network_.faults_.late_completion)) {
    const auto late_max = absl::ToInt64Nanoseconds(network_.faults_.late_max);
    made.ready_at =
        network_.now() +
        absl::Nanoseconds(static_cast<int64_t>(network_.Draw(static_cast<uint64_t>(late_max))));
  }
  // Results of one operation keep their order.
  for (const Result& earlier : results_) {
    if (earlier.completion.owner == key.owner && earlier.completion.operation == key.operation) {
      made.ready_at = std::max(made.ready_at, earlier.ready_at);
    }
  }
  results_.push_back(made);
}

size_t SimulatedBackend::Harvest(std::span<Completion> completions) {
  for (size_t index = 1; index < results_.size(); ++index) {
    const Completion& one = results_[index - 1].completion;
    const Completion& two = results_[index].completion;
    const bool same = one.owner == two.owner && one.operation == two.operation;
    if (!same && network_.Chance(network_.faults_.reordered)) {
      std::swap(results_[index - 1], results_[index]);
    }
  }
  size_t count = 0;
  for (auto result = results_.begin(); result != results_.end() && count < completions.size();) {
    if (result->ready_at > network_.now()) {
      ++result;
      continue;
    }
    completions[count++] = result->completion;
    result = results_.erase(result);
  }
  counters_.completions += count;
  return count;
}

// -- Buffers.

SimulatedBackend::Buffers& SimulatedBackend::BuffersOf(BufferGroup group) {
  CHECK(group != BufferGroup::kNone);
  return group == BufferGroup::kStream ? stream_buffers_ : datagram_buffers_;
}

std::optional<BufferRef> SimulatedBackend::TakeBuffer(BufferGroup group) {
  Buffers& buffers = BuffersOf(group);
  if (buffers.free.empty() || network_.Chance(network_.faults_.no_buffers)) return std::nullopt;
  const BufferRef taken{buffers.free.front(), group};
  buffers.free.pop_front();
  return taken;
}

std::span<const std::byte> SimulatedBackend::ReceivedBytes(const Completion& done) {
  CHECK(done.buffer.group == BufferGroup::kStream);
  CHECK(stream_buffers_.filled[done.buffer.id] == static_cast<size_t>(done.result));
  return {stream_buffers_.memory[done.buffer.id].data(), static_cast<size_t>(done.result)};
}

DatagramView SimulatedBackend::ReceivedDatagram(const Completion& done) {
  CHECK(done.buffer.group == BufferGroup::kDatagram);
  return datagram_buffers_.datagrams[done.buffer.id];
}

void SimulatedBackend::Recycle(BufferRef buffer) {
  Buffers& buffers = BuffersOf(buffer.group);
  CHECK(std::find(buffers.free.begin(), buffers.free.end(), buffer.id) == buffers.free.end());
  std::fill(buffers.memory[buffer.id].begin(), buffers.memory[buffer.id].end(), kRecycled);
  buffers.free.push_back(buffer.id);
}

void SimulatedBackend::Quiesce() {
  quiesced_ = true;
  submissions_.clear();
  operations_.clear();
  for (const Result& result : results_) {
    if (result.completion.buffer.present()) Recycle(result.completion.buffer);
  }
  results_.clear();
}

}  // namespace sallyport::core
