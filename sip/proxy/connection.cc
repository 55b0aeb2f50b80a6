#include "sip/proxy/connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "core/check.h"
#include "sip/message/host.h"
#include "sip/proxy/handshake_log.h"
#include "sip/proxy/source_key.h"

namespace sallyport::sip {
namespace {

constexpr uint32_t kPartialBytesMin = 2048;
// An unauthenticated peer's bytes: a certificate chain fits, a flood does not.
constexpr uint32_t kHandshakeBytesMax = 64 * 1024;
// Post-quantum key shares fit; padding without end does not.
constexpr uint32_t kClientHelloBytesMax = 8 * 1024;
// What the kernel may have taken of one connection before a pause reaches it.
constexpr uint32_t kBacklogBytesMax = 16 * 1024 * 1024;
// Log lines are limited by kind; this one is behind refusals and failed handshakes.
constexpr uint32_t kRenegotiationKind = kReasonCodeCount + 48;
static_assert(tls::kFailureReasons <= 48);
constexpr std::string_view kPong = "\r\n";  // RFC 5626 §4.4.1.
// Servers send their tickets right behind the handshake; nobody waits longer for one.
constexpr absl::Duration kTicketWaitMax = absl::Seconds(10);

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> AsBytes(std::span<const char> text) { return std::as_bytes(text); }

int64_t ThreadCpuNanoseconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

// RFC 6066 §3: a host name without its last dot, never an address.
tls::ServerName ServerNameFor(std::string_view host) {
  if (ClassifyHost(host) != HostKind::kName) return {};
  if (host.ends_with('.')) host.remove_suffix(1);
  return tls::ServerName(host);
}

bool SpeaksTls(const ShardContext& context, uint32_t listener) {
  return listener != Connection::kNoListener &&
         context.snapshot->config.listeners[listener].transport == TransportProtocol::kTls;
}

}  // namespace

Connection::Connection(ShardContext& context, ConnectionHandler& handler, ConnectionId id,
                       uint32_t listener, Zone zone, const core::SocketAddress& peer)
    : context_(context),
      handler_(handler),
      stream_(context.reactor(), *this,
              static_cast<uint32_t>(context.snapshot->config.limits.queue_bytes_max)),
      peer_(peer),
      id_(id),
      listener_(listener),
      framer_({context.snapshot->config.limits.header_bytes_max,
               context.snapshot->config.limits.body_bytes_max}),
      backlog_(context.reactor().buffers(), kBacklogBytesMax),
      deadline_(core::Timer::Calling<&Connection::OnDeadline>(this)),
      begun_(context.reactor().now()),
      last_activity_(begun_),
      state_(State::kConnecting),
      zone_(zone),
      is_tls_(SpeaksTls(context, listener)) {}

Connection::~Connection() {
  if (!is_dialled() && state_ != State::kConnecting) {
    context_.stats.Subtract(context_.metrics.connections_active.Slot(listener_, GaugeState()));
  }
}

bool Connection::Accept(int fd) {
  if (!stream_.Adopt(fd)) return false;
  NotePlace();
  if (is_tls()) {
    state_ = State::kHandshaking;
    context_.Count(
        context_.metrics.connections_active.Slot(listener_, ConnectionState::kHandshake));
    context_.Count(context_.metrics.tls_handshakes_in_progress.Slot());
    deadline_kind_ = Deadline::kFirstByte;
    context_.reactor().timers().Schedule(deadline_,
                                         begun_ + context_.snapshot->config.timeouts.first_byte);
    return true;
  }
  state_ = State::kOpen;
  has_opened_ = true;
  context_.Count(context_.metrics.connections_active.Slot(listener_, ConnectionState::kOpen));
  ScheduleIdle();
  handler_.OnConnectionOpen(*this);
  return true;
}

int Connection::Dial(absl::Duration timeout, DialOptions options) {
  DCHECK(state_ == State::kConnecting && is_dialled());
  const int error = stream_.Connect(peer_, options.local, timeout);
  if (error != 0 || options.tls == nullptr) return error;
  is_tls_ = true;
  dialling_ =
      std::make_unique<Dialling>(Dialling{std::move(options), context_.reactor().now() + timeout});
  return 0;
}

void Connection::OnConnected(int error) {
  if (error != 0) {
    failure_ = std::make_unique<Failure>();
    failure_->connect_error = error;
  }
  if (error != 0 || state_ != State::kConnecting) return;  // OnClosed follows.
  begun_ = context_.reactor().now();
  last_activity_ = begun_;
  if (is_tls()) return BeginDialledHandshake();
  state_ = State::kOpen;
  has_opened_ = true;
  ScheduleIdle();
  handler_.OnConnectionOpen(*this);
}

// The client speaks first, when the reactor grants the step: its keys cost CPU time too.
void Connection::BeginDialledHandshake() {
  state_ = State::kHandshaking;
  context_.Count(context_.metrics.tls_handshakes_in_progress.Slot());
  deadline_kind_ = Deadline::kHandshake;
  context_.reactor().timers().Schedule(deadline_, dialling_->deadline);
  context_.reactor().QueueStep(*this);
}

// -- In ----------------------------------------------------------------------------------------

void Connection::OnReceived(std::span<const std::byte> bytes) {
  if (is_overrun_) return;  // It ends in its next step.
  last_activity_ = context_.reactor().now();
  if (!is_deferred_) had_share_ = false;
  if (state_ == State::kHandshaking) return HoldHandshakeBytes(bytes);
  if (state_ == State::kOpen) ServeBytes(bytes);
}

void Connection::ServeBytes(std::span<const std::byte> bytes) {
  if (is_deferred_) return KeepForLater(bytes);
  if (!is_tls()) return ReceivePlain(AsText(bytes));
  const std::span<const std::byte> rest = Decrypt(bytes);
  if (state_ == State::kOpen) KeepForLater(rest);
}

// Handshake steps are expensive: the bytes wait until the reactor grants one.
void Connection::HoldHandshakeBytes(std::span<const std::byte> bytes) {
  if (partial_used_ + bytes.size() > kHandshakeBytesMax) {
    // A peer may send its Finished and a great deal behind it. Holding less matters more than its
    // turn: the step comes now.
    core::StepNode::Unlink();
    OnStep();
    if (state_ == State::kOpen) return ServeBytes(bytes);
    if (state_ != State::kHandshaking) return;
  }
  if (partial_used_ + bytes.size() > kHandshakeBytesMax) {
    return FailHandshake(tls::FailureReason::kProtocol, "more bytes than a handshake has");
  }
  if (!GrowPartial(bytes.size())) return;
  std::memcpy(partial_.data() + partial_used_, bytes.data(), bytes.size());
  partial_used_ += static_cast<uint32_t>(bytes.size());
  if (deadline_kind_ == Deadline::kFirstByte) {
    deadline_kind_ = Deadline::kHandshake;
    context_.reactor().timers().Schedule(deadline_,
                                         begun_ + context_.snapshot->config.timeouts.handshake);
  }
  context_.reactor().QueueStep(*this);
}

void Connection::OnStep() {
  if (is_overrun_) return Abort(ConnectionCloseReason::kOverload);
  if (state_ == State::kOpen) return ServeDeferred();
  if (state_ != State::kHandshaking) return;
  if (session_ == nullptr && !CreateSession()) {
    if (peer_closed_ && state_ == State::kHandshaking) LoseHandshake();
    return;
  }
  const int64_t begin = ThreadCpuNanoseconds();
  std::span<const std::byte> ciphertext = partial_.bytes().first(partial_used_);
  const tls::HandshakeOutcome outcome = session_->Handshake(ciphertext, stream_.output());
  handshake_cpu_ns_ += ThreadCpuNanoseconds() - begin;
  switch (outcome) {
    case tls::HandshakeOutcome::kNeedMore:
      ReleasePartial();
      if (peer_closed_) LoseHandshake();
      return;
    case tls::HandshakeOutcome::kFailed:
      return FailHandshake(session_->failure(), session_->failure_text());
    case tls::HandshakeOutcome::kDone:
      break;
  }
  // What came together with the client's Finished is served as soon as the peer is known.
  const core::BufferLease rest = std::move(partial_);
  partial_used_ = 0;
  NoteShare();
  BeginOpen();
  if (state_ == State::kOpen) ServeBytes(ciphertext);
  if (peer_closed_ && !is_deferred_) Close(ConnectionCloseReason::kPeer);
}

std::string_view Connection::PlaceName() const {
  if (!is_dialled()) return context_.snapshot->config.listeners[listener_].name;
  return dialling_->options.server_name;
}

void Connection::CountHandshakeFailure(tls::FailureReason reason, std::string_view text) {
  failure_ = std::make_unique<Failure>();
  failure_->tls = reason;
  failure_->tls_text = text;
  context_.Count(context_.metrics.tls_handshake_failures.Slot(direction(), reason));
}

// In TLS 1.3 a client is done before the server has judged its certificate. An alert as the first
// thing that the server says is that judgement.
void Connection::NoteLateRefusal() {
  if (!is_dialled() || has_received_ || session_->failure() != tls::FailureReason::kAlert) return;
  CountHandshakeFailure(session_->failure(), session_->failure_text());
}

// Nobody refused anybody: a balancer's probe, or a peer that gave up.
void Connection::LoseHandshake() {
  CountHandshakeFailure(tls::FailureReason::kNone, "the peer closed in mid-handshake");
  context_.log.Write(core::LogLevel::kDebug, "handshake-lost", tls_failure_text(),
                     {{PlaceKey(), PlaceName()}, {"address", peer_.ToString()}});
  EnterClosing(ConnectionCloseReason::kPeer);
  stream_.Close(context_.snapshot->config.timeouts.close);
}

bool Connection::CreateSession() {
  return is_dialled() ? CreateDialledSession() : CreateAcceptedSession();
}

bool Connection::CreateDialledSession() {
  DialOptions& options = dialling_->options;
  session_ = tls::Session::Create(std::move(options.tls), ServerNameFor(options.server_name),
                                  options.resumption);
  if (session_ != nullptr) return true;
  FailHandshake(tls::FailureReason::kInternal, "no memory for a session");
  return false;
}

// The name that the client asks for is part of what its tickets are bound to, so it is read before
// there is a session. False: not all of it is there yet, or there will be none.
bool Connection::CreateAcceptedSession() {
  const tls::ServerNameReading reading = tls::ReadServerName(partial_.bytes().first(partial_used_));
  if (reading.outcome == tls::ServerNameOutcome::kNeedMore) {
    if (partial_used_ > kClientHelloBytesMax) {
      FailHandshake(tls::FailureReason::kProtocol, "a ClientHello of more than 8 kB");
    }
    return false;
  }
  session_ = tls::Session::Create(context_.tls_contexts[listener_], reading.name);
  if (session_ != nullptr) return true;
  FailHandshake(tls::FailureReason::kInternal, "no memory for a session");
  return false;
}

void Connection::FailHandshake(tls::FailureReason reason, std::string_view text) {
  CountHandshakeFailure(reason, text);
  LogFailedHandshake(context_, {.reason = reason,
                                .text = text,
                                .listener = listener_,
                                .zone = zone_,
                                .place_key = PlaceKey(),
                                .place = PlaceName(),
                                .address = peer_,
                                .leaf = session_ == nullptr ? std::span<const uint8_t>()
                                                            : session_->refused_leaf()});
  EnterClosing(ConnectionCloseReason::kPolicy);
  stream_.Close(context_.snapshot->config.timeouts.close);  // The alert goes out first.
}

// Once in a session: the peer may have a reason that its operator should know.
void Connection::NoteRenegotiation() {
  context_.Count(context_.metrics.tls_renegotiations_refused.Slot());
  const core::LogAdmission admission = context_.log_limits.Admit(
      kRenegotiationKind, peer_key_, context_.reactor().now().nanoseconds);
  if (!admission.write) return;
  context_.log.Write(core::LogLevel::kInfo, "renegotiation-refused",
                     "the peer asked for renegotiation; the session goes on without",
                     {{"listener", is_dialled() ? std::string_view() : PlaceName()},
                      {"address", peer_.ToString()},
                      {"suppressed", admission.suppressed}});
}

void Connection::BeginOpen() {
  const EdgeMetrics& metrics = context_.metrics;
  const tls::PeerResult& peer = session_->peer();
  const HandshakeKind kind = peer.resumed ? HandshakeKind::kResumed : HandshakeKind::kFull;
  const TlsVersionLabel version =
      peer.version == tls::TlsVersion::kTls13 ? TlsVersionLabel::kTls13 : TlsVersionLabel::kTls12;
  context_.Count(metrics.tls_handshakes.Slot(direction(), version, kind, HandshakeResult::kOk));
  context_.Count(metrics.tls_handshake_cpu.Slot(kind), static_cast<uint64_t>(handshake_cpu_ns_));
  metrics.tls_handshake_duration.Observe(
      context_.stats,
      static_cast<uint64_t>(context_.reactor().now().nanoseconds - begun_.nanoseconds), direction(),
      kind);
  context_.stats.Subtract(metrics.tls_handshakes_in_progress.Slot());
  if (!is_dialled()) MoveGauge(ConnectionState::kHandshake, ConnectionState::kOpen);
  state_ = State::kOpen;
  has_opened_ = true;
  dialling_.reset();
  ScheduleIdle();
  handler_.OnConnectionOpen(*this);
  NotePlace();
}

std::span<const std::byte> Connection::Decrypt(std::span<const std::byte> ciphertext) {
  while (state_ == State::kOpen && !is_deferred_) {
    std::span<std::byte> room = std::as_writable_bytes(context_.receive_scratch);
    if (partial_) {
      if (partial_used_ == partial_.capacity() && !GrowPartial(partial_.capacity())) return {};
      room = partial_.bytes().subspan(partial_used_);
    }
    const tls::DecryptResult result = session_->Decrypt(ciphertext, room, stream_.output());
    if (result.refused_renegotiation) NoteRenegotiation();
    if (result.bytes > 0) TakePlaintext(room.first(result.bytes));
    if (state_ != State::kOpen) return {};
    switch (result.outcome) {
      case tls::DecryptOutcome::kMoreAvailable:
        break;
      case tls::DecryptOutcome::kData:
      case tls::DecryptOutcome::kNeedMore:
        return {};
      case tls::DecryptOutcome::kCloseNotify:
        OnPeerClosed();
        return {};
      case tls::DecryptOutcome::kTruncated:
      case tls::DecryptOutcome::kFailed:
        NoteLateRefusal();
        Close(ConnectionCloseReason::kError);
        return {};
    }
  }
  return ciphertext;
}

// `bytes` is at the end of the partial message, or in the scratch if there is none.
void Connection::TakePlaintext(std::span<const std::byte> bytes) {
  has_received_ = true;
  context_.Count(context_.metrics.tls_bytes.Slot(MetricDirection::kIn), bytes.size());
  if (partial_) {
    partial_used_ += static_cast<uint32_t>(bytes.size());
    return ServePartial();
  }
  ReceivePlain(AsText(bytes));
}

void Connection::ReceivePlain(std::string_view bytes) {
  if (!partial_) {
    const size_t served = ServeFrames(bytes);
    if (state_ == State::kOpen) static_cast<void>(KeepPartial(bytes.substr(served)));
    return;
  }
  if (!GrowPartial(bytes.size())) return;
  std::memcpy(partial_.data() + partial_used_, bytes.data(), bytes.size());
  partial_used_ += static_cast<uint32_t>(bytes.size());
  ServePartial();
}

void Connection::ServePartial() {
  const std::string_view text = AsText(partial_.bytes().first(partial_used_));
  const size_t served = ServeFrames(text);
  if (served == 0 || state_ != State::kOpen) return;
  const size_t rest = text.size() - served;
  if (rest == 0) return ReleasePartial();
  std::memmove(partial_.data(), partial_.data() + served, rest);
  partial_used_ = static_cast<uint32_t>(rest);
  deadline_kind_ = Deadline::kMessage;  // Another message has begun.
  context_.reactor().timers().Schedule(
      deadline_, context_.reactor().now() + context_.snapshot->config.timeouts.message);
}

size_t Connection::ServeFrames(std::string_view unread) {
  const char* const begin = unread.data();
  const absl::Cleanup served = [this] { handler_.OnServed(*this); };
  while (is_open() && !unread.empty()) {
    if (!handler_.MayServe(*this)) {
      Defer();
      break;
    }
    had_share_ = true;
    const Frame frame = framer_.Next(unread);
    switch (frame.outcome) {
      case FrameOutcome::kNeedMore:
        return static_cast<size_t>(unread.data() - begin);
      case FrameOutcome::kIgnored:
        break;
      case FrameOutcome::kKeepAlive:
        context_.Count(
            context_.metrics.sip_keepalives.Slot(MetricDirection::kIn, KeepaliveKind::kCrlf));
        Send(kPong);
        break;
      case FrameOutcome::kMessage:
      case FrameOutcome::kTooLarge:
        handler_.OnFrame(*this, frame, unread);
        break;
      case FrameOutcome::kFarTooLarge:
      case FrameOutcome::kBadFraming:
        handler_.OnFrame(*this, frame, unread);
        return static_cast<size_t>(unread.data() - begin);
    }
    unread.remove_prefix(frame.bytes.size());
  }
  return static_cast<size_t>(unread.data() - begin);
}

// -- What waits for another turn -----------------------------------------------------------------

void Connection::Defer() {
  is_deferred_ = true;
  stream_.PauseReceive();  // The peer's bytes wait in its own socket from now on.
  // Connections that share one identity's turns take turns themselves.
  if (had_share_) {
    context_.reactor().QueueDeferred(*this);
  } else {
    context_.reactor().QueueOverdue(*this);
  }
}

// In the order in which it arrived: what is decrypted, what the session holds of a record, and what
// the kernel had taken before the pause.
void Connection::ServeDeferred() {
  is_deferred_ = false;
  had_share_ = false;
  if (partial_) ServePartial();
  if (is_tls() && state_ == State::kOpen && !is_deferred_) static_cast<void>(Decrypt({}));
  ServeBacklog();
  if (state_ != State::kOpen || is_deferred_) return;
  if (peer_closed_) return Close(ConnectionCloseReason::kPeer);
  stream_.ResumeReceive();
}

void Connection::ServeBacklog() {
  while (state_ == State::kOpen && !is_deferred_ && !backlog_.empty()) {
    iovec front;
    CHECK(backlog_.Gather({&front, 1}) == 1);
    const std::span<const std::byte> piece(static_cast<const std::byte*>(front.iov_base),
                                           front.iov_len);
    std::span<const std::byte> rest;
    if (is_tls()) {
      rest = Decrypt(piece);
    } else {
      ReceivePlain(AsText(piece));
    }
    backlog_.Consume(static_cast<uint32_t>(piece.size() - rest.size()));
    NoteShare();
  }
}

void Connection::KeepForLater(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (!MakeRoom(bytes.size()) || !backlog_.Append(bytes)) {
    return Abort(ConnectionCloseReason::kOverload);
  }
  NoteShare();
}

// -- Incomplete messages -----------------------------------------------------------------------

bool Connection::GrowPartial(size_t bytes) {
  const size_t needed = partial_used_ + bytes;
  if (partial_ && needed <= partial_.capacity()) return true;
  core::BufferLease larger;
  if (needed <= core::BufferPool::kBlockBytesMax && MakeRoom(needed)) {
    larger = context_.reactor().buffers().Lease(
        std::max(kPartialBytesMin, static_cast<uint32_t>(needed)));
  }
  if (!larger) {
    Abort(ConnectionCloseReason::kOverload);
    return false;
  }
  if (partial_used_ > 0) std::memcpy(larger.data(), partial_.data(), partial_used_);
  partial_ = std::move(larger);
  NoteShare();
  return true;
}

// Connections from inside are few and carry the calls of all: none of them gives way.
void Connection::NotePlace() {
  if (is_dialled() || zone_ == Zone::kInside) return;
  context_.connection_shares.Set(place_, ShareHolder(), 1);
}

void Connection::NoteShare() {
  const uint64_t bytes = partial_.capacity() + backlog_.size();
  ByteShares& shares =
      state_ == State::kHandshaking ? context_.handshake_shares : context_.message_shares;
  if (bytes == 0) return share_.reset();
  if (share_ == nullptr) share_ = std::make_unique<ByteShares::Part>(this);
  shares.Set(*share_, ShareHolder(), bytes);
}

uint64_t Connection::ShareHolder() const {
  if (standing_ != nullptr && standing_->has_identity) return peer_key_;
  return SourceKey(context_.peer_key, peer_);
}

// Handshakes get half of the bound: what has proved nothing yet must not cost others their
// messages.
bool Connection::MakeRoom(size_t bytes) {
  const uint64_t bound =
      context_.snapshot->config.limits.partial_bytes_max / context_.shard.shards();
  const bool is_handshake = state_ == State::kHandshaking;
  ByteShares& shares = is_handshake ? context_.handshake_shares : context_.message_shares;
  while (context_.handshake_shares.total() + (is_handshake ? 0 : context_.message_shares.total()) +
             bytes >
         (is_handshake ? bound / 2 : bound)) {
    ByteShares::Part* const loser = shares.Loser(ShareHolder(), bytes);
    if (loser == nullptr || loser == share_.get()) return false;
    static_cast<Connection*>(loser->owner())->LoseShare();
  }
  return true;
}

// Others need the room now; it ends in its next step, outside of what the caller does.
void Connection::LoseShare() {
  LogShed("partial-bytes is full, and its peer holds the most", "bytes",
          share_ == nullptr ? 0 : share_->bytes());
  partial_.Reset();
  partial_used_ = 0;
  backlog_.Consume(backlog_.size());
  share_.reset();
  is_overrun_ = true;
  context_.reactor().QueueDeferred(*this);
}

void Connection::LogShed(std::string_view why, core::LogName unit, uint64_t held) {
  const core::LogAdmission admission =
      context_.log_limits.Admit(static_cast<uint32_t>(ReasonCode::kLimit), ShareHolder(),
                                context_.reactor().now().nanoseconds);
  if (!admission.write) return;
  context_.log.Write(
      core::LogLevel::kWarning, "connection-shed", why,
      {{"address", peer_.ToString()},
       {"identities", standing_ == nullptr ? std::string() : standing_->identities.List()},
       {unit, held},
       {"suppressed", admission.suppressed}});
}

void Connection::ReleasePartial() {
  partial_.Reset();
  partial_used_ = 0;
  NoteShare();
  if (deadline_kind_ == Deadline::kMessage) deadline_kind_ = Deadline::kIdle;
}

// The beginning of a message whose rest is still on its way.
bool Connection::KeepPartial(std::string_view rest) {
  if (rest.empty()) return true;
  if (!GrowPartial(rest.size())) return false;
  std::memcpy(partial_.data(), rest.data(), rest.size());
  partial_used_ = static_cast<uint32_t>(rest.size());
  deadline_kind_ = Deadline::kMessage;
  context_.reactor().timers().Schedule(
      deadline_, context_.reactor().now() + context_.snapshot->config.timeouts.message);
  return true;
}

// -- Out ---------------------------------------------------------------------------------------

bool Connection::Send(std::string_view message) {
  if (!TakesMessages()) return false;
  return SealAndSend(message);
}

bool Connection::Send(const MessageEdit& message) {
  if (!TakesMessages()) return false;
  const std::span<char> out = context_.send_scratch;
  const size_t size = message.CopyTo(out);
  return size > 0 && SealAndSend(out.first(size));
}

QueueProgress Connection::OutputProgress() {
  const core::OutputQueue& output = stream_.output();
  return {.put = output.consumed_bytes() + output.size(), .taken = output.consumed_bytes()};
}

bool Connection::HasRoomFor(PeerKey peer, size_t bytes) {
  const QueueProgress output = OutputProgress();
  if (queue_shares_ == nullptr) {
    return output.waiting() == 0 || output.waiting() + bytes <= RequestRoom();
  }
  return queue_shares_->HasRoom(peer, bytes, output, RequestRoom());
}

bool Connection::SendFor(PeerKey peer, std::string_view message) {
  const uint64_t before = OutputProgress().put;
  if (!Send(message)) return false;
  const QueueProgress output = OutputProgress();
  if (QueueShares::IsShort(output, RequestRoom())) return true;
  if (queue_shares_ == nullptr) queue_shares_ = std::make_unique<QueueShares>();
  queue_shares_->Note(peer, output.put - before, output, RequestRoom());
  return true;
}

void Connection::OnSent() {
  if (queue_shares_ == nullptr) return;
  if (QueueShares::IsShort(OutputProgress(), RequestRoom())) queue_shares_.reset();
}

bool Connection::SealAndSend(std::span<const char> message) {
  if (is_overrun_) return false;
  const bool is_queued = is_tls() ? session_->Encrypt(AsBytes(message), stream_.output())
                                  : stream_.Write(AsBytes(message));
  if (is_queued) {
    if (is_tls()) {
      context_.Count(context_.metrics.tls_bytes.Slot(MetricDirection::kOut), message.size());
    }
    return true;
  }
  // Half a record may be queued: nothing can follow it.
  context_.Count(context_.metrics.slow_peers_disconnected.Slot());
  is_overrun_ = true;
  context_.reactor().QueueDeferred(*this);
  return false;
}

// -- End ---------------------------------------------------------------------------------------

bool Connection::has_expired() const {
  return standing_ != nullptr && !standing_->IsInDate(context_.WallSeconds());
}

void Connection::OnPeerClosed() {
  if (state_ == State::kHandshaking) {
    if (!core::StepNode::linked()) return LoseHandshake();
    peer_closed_ = true;  // What it said before may be all that was missing.
    return;
  }
  if (is_deferred_) {
    peer_closed_ = true;  // What it said before is served first.
    return;
  }
  Close(ConnectionCloseReason::kPeer);
}

void Connection::OnError(int) {
  if (state_ == State::kHandshaking) {
    CountHandshakeFailure(tls::FailureReason::kNone, "the connection broke in mid-handshake");
  }
  EnterClosing(ConnectionCloseReason::kError);
}

void Connection::OnClosed() {
  EnterClosing(ConnectionCloseReason::kPeer);
  handler_.OnConnectionClosed(*this);
}

void Connection::Close(ConnectionCloseReason reason) {
  if (state_ == State::kClosing) return;
  if (is_overrun_) return Abort(reason);
  if (state_ == State::kOpen && is_tls()) session_->Close(stream_.output());
  EnterClosing(reason);
  stream_.Close(context_.snapshot->config.timeouts.close);
}

void Connection::Abort(ConnectionCloseReason reason) {
  EnterClosing(reason);
  stream_.Abort();
}

void Connection::GiveWay() {
  LogShed("connections is full, and its peer holds the most", "connections", place_.holder_bytes());
  gave_way_ = true;
  place_.Release();
  Abort(ConnectionCloseReason::kOverload);
}

void Connection::EnterClosing(ConnectionCloseReason reason) {
  if (state_ == State::kClosing) return;
  if (state_ == State::kHandshaking) {
    context_.stats.Subtract(context_.metrics.tls_handshakes_in_progress.Slot());
    context_.Count(context_.metrics.tls_handshakes.Slot(
        direction(), TlsVersionLabel::kUnknown, HandshakeKind::kFull, HandshakeResult::kFailed));
  }
  if (!is_dialled()) MoveGauge(GaugeState(), ConnectionState::kClosing);
  context_.Count(context_.metrics.connections_closed.Slot(direction(), reason));
  state_ = State::kClosing;
  was_left_by_peer_ = reason == ConnectionCloseReason::kPeer;
  deadline_.Cancel();
  core::StepNode::Unlink();
  handler_.OnConnectionClosing(*this);
}

void Connection::OnDeadline() {
  const TimeoutsConfig& timeouts = context_.snapshot->config.timeouts;
  switch (deadline_kind_) {
    case Deadline::kFirstByte:
    case Deadline::kHandshake:
      CountHandshakeFailure(tls::FailureReason::kTimeout, "the handshake took too long");
      return Abort(ConnectionCloseReason::kIdle);
    case Deadline::kMessage:
      if (!is_deferred_) return Close(ConnectionCloseReason::kPolicy);
      // It may be complete: it waits for us, and not we for the peer.
      return context_.reactor().timers().Schedule(deadline_,
                                                  context_.reactor().now() + timeouts.message);
    case Deadline::kIdle:
      if (context_.reactor().now() - last_activity_ >= timeouts.idle) {
        return Close(ConnectionCloseReason::kIdle);
      }
      if (is_dialled() && is_tls()) session_->StopAwaitingTicket();
      return ScheduleIdle();
  }
}

// Lazily: activity only notes the time, the timer looks at it when it fires.
void Connection::ScheduleIdle() {
  deadline_kind_ = Deadline::kIdle;
  core::MonotonicTime due = last_activity_ + context_.snapshot->config.timeouts.idle;
  if (is_dialled() && is_tls() && session_->awaits_ticket()) {
    due = std::min(due, begun_ + kTicketWaitMax);
  }
  context_.reactor().timers().Schedule(deadline_, due);
}

ConnectionState Connection::GaugeState() const {
  switch (state_) {
    case State::kHandshaking:
      return ConnectionState::kHandshake;
    case State::kClosing:
      return ConnectionState::kClosing;
    case State::kConnecting:
    case State::kOpen:
      return ConnectionState::kOpen;
  }
  UNREACHABLE();
}

void Connection::MoveGauge(ConnectionState from, ConnectionState to) {
  context_.stats.Subtract(context_.metrics.connections_active.Slot(listener_, from));
  context_.Count(context_.metrics.connections_active.Slot(listener_, to));
}

}  // namespace sallyport::sip
