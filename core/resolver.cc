#include "core/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/check.h"
#include "core/intrusive_list.h"
#include "core/slot_map.h"
#include "core/timer_wheel.h"

namespace sallyport::core {
namespace {

constexpr uint16_t kDnsPort = 53;
constexpr int kEdnsBytes = 1232;  // What passes every path in one piece (DNS flag day 2020).

struct ChannelCloser {
  void operator()(ares_channel channel) const { ares_destroy(channel); }
};
using Channel = std::unique_ptr<ares_channeldata, ChannelCloser>;

absl::Status AresError(const char* what, int status) {
  return absl::UnavailableError(absl::StrFormat("%s: %s", what, ares_strerror(status)));
}

// Once per process, before the first channel; the library counts, and never needs to be told the
// end.
int InitialiseLibrary() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);
  return status;
}

// What c-ares says when it has no answer to show.
DnsStatus StatusOf(int ares_status) {
  switch (ares_status) {
    case ARES_ETIMEOUT:
      return DnsStatus::kTimeout;
    case ARES_ENODATA:
      return DnsStatus::kNoData;
    case ARES_ENOTFOUND:  // Names that are never asked (.onion, RFC 7686).
    case ARES_EBADNAME:
      return DnsStatus::kNoName;
    case ARES_EBADRESP:
      return DnsStatus::kMalformed;
    default:
      return DnsStatus::kServerFailure;
  }
}

struct QuestionId {
  uint32_t slot = 0;
  uint32_t generation = 0;
};

class CaresResolver;

// Linked while its end, known inside Query, waits to be told.
struct Question : ListLink {
  CaresResolver* resolver = nullptr;
  QuestionId id;
  DnsType type = DnsType::kA;
  DnsName name;
  DnsAnswerHandler* handler = nullptr;
  uint64_t cookie = 0;
  DnsStatus failure = DnsStatus::kServerFailure;
};

// One socket of c-ares and the poll that watches it.
class PolledSocket final : public CompletionHandler {
 public:
  void OnCompletion(const Completion& done) override;

  CaresResolver* resolver = nullptr;
  int fd = -1;  // -1: this place is free.
  HandlerId id;
  uint32_t wanted = 0;     // poll(2) events that c-ares waits for.
  uint32_t armed = 0;      // Those of the poll in the kernel; 0: there is none.
  bool cancelled = false;  // That poll is on its way back.
  bool closing = false;    // To be closed when it is back.
};

class CaresResolver final : public Resolver {
 public:
  CaresResolver(Reactor& reactor, const ResolverOptions& options)
      : reactor_(reactor),
        options_(options),
        questions_(options.questions_max),
        timer_(Timer::Calling<&CaresResolver::OnTimer>(this)) {
    for (PolledSocket& socket : sockets_) socket.resolver = this;
  }
  ~CaresResolver() override;

  absl::Status SetServers(std::span<const SocketAddress> servers) override;
  bool Query(DnsType type, const DnsName& name, DnsAnswerHandler& handler,
             uint64_t cookie) override;
  uint32_t questions_outstanding() const override { return questions_.size(); }
  const ResolverCounters& counters() const override { return counters_; }

  void OnPolled(PolledSocket& socket, int32_t result);

 private:
  absl::StatusOr<Channel> OpenChannel(std::span<const SocketAddress> servers);
  void Ask(Question& question);
  void OnAnswer(Question& question, int status, std::span<const std::byte> message);
  void Tell(Question& question, const DnsAnswer& answer);
  void TellFailed();
  void Process(int readable, int writable);
  void OnTimer();
  void WakeBy(MonotonicTime deadline);

  // -- What c-ares calls.
  static void OnAresAnswer(void* question, int status, int timeouts, unsigned char* message,
                           int bytes);
  static void OnAresInterest(void* resolver, ares_socket_t fd, int readable, int writable);
  static ares_socket_t OpenSocket(int domain, int type, int protocol, void* resolver);
  static int CloseSocket(ares_socket_t fd, void* resolver);
  static int ConnectSocket(ares_socket_t fd, const sockaddr* to, ares_socklen_t length, void*);
  static ares_ssize_t ReceiveFrom(ares_socket_t fd, void* bytes, size_t size, int flags,
                                  sockaddr* from, ares_socklen_t* length, void*);
  static ares_ssize_t SendVector(ares_socket_t fd, const iovec* pieces, int count, void*);

  // -- Sockets.
  PolledSocket* FindSocket(int fd);
  void Arm(PolledSocket& socket);
  void CancelPoll(PolledSocket& socket);
  void Release(PolledSocket& socket);

  Reactor& reactor_;
  const ResolverOptions options_;
  std::array<PolledSocket, kSocketsMax> sockets_;
  SlotMap<Question, QuestionId> questions_;
  IntrusiveList<Question> failed_;
  Timer timer_;
  MonotonicTime wake_at_;   // While timer_ is scheduled.
  bool is_asking_ = false;  // Inside ares_query: an end is told later.
  bool is_moving_ = false;  // Inside SetServers or the destructor: an end is none.
  ResolverCounters counters_;
  Channel channel_;
};

void PolledSocket::OnCompletion(const Completion& done) { resolver->OnPolled(*this, done.result); }

CaresResolver::~CaresResolver() {
  is_moving_ = true;
  channel_.reset();
  for (PolledSocket& socket : sockets_) {
    // A poll holds none of our memory; detached, its completion finds nobody.
    if (socket.fd >= 0) Release(socket);
  }
}

absl::Status CaresResolver::SetServers(std::span<const SocketAddress> servers) {
  DCHECK(!is_asking_);
  absl::StatusOr<Channel> channel = OpenChannel(servers);
  if (!channel.ok()) return channel.status();
  is_moving_ = true;
  channel_ = *std::move(channel);
  is_moving_ = false;
  questions_.ForEach([this](QuestionId, Question& question) {
    if (!question.linked()) Ask(question);
  });
  return absl::OkStatus();
}

absl::StatusOr<Channel> CaresResolver::OpenChannel(std::span<const SocketAddress> servers) {
  if (const int status = InitialiseLibrary(); status != ARES_SUCCESS) {
    return AresError("c-ares", status);
  }
  if (servers.size() > kServersMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d DNS servers: at most %d", servers.size(), kServersMax));
  }
  ares_options options{};
  options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
  options.timeout = static_cast<int>(absl::ToInt64Milliseconds(options_.try_timeout));
  options.tries = options_.tries;
  options.ednspsz = kEdnsBytes;
  options.sock_state_cb = &CaresResolver::OnAresInterest;
  options.sock_state_cb_data = this;
  ares_channel raw = nullptr;
  const int status = ares_init_options(&raw, &options,
                                       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                           ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);
  if (status != ARES_SUCCESS) return AresError("c-ares", status);
  Channel channel(raw);
  static constexpr ares_socket_functions kSocketFunctions = {
      &CaresResolver::OpenSocket, &CaresResolver::CloseSocket, &CaresResolver::ConnectSocket,
      &CaresResolver::ReceiveFrom, &CaresResolver::SendVector};
  ares_set_socket_functions(raw, &kSocketFunctions, this);
  if (servers.empty()) return channel;

  std::array<ares_addr_port_node, kServersMax> nodes{};
  for (size_t index = 0; index < servers.size(); ++index) {
    const SocketAddress& server = servers[index];
    if (server.family() == AddressFamily::kNone) {
      return absl::InvalidArgumentError("a DNS server without an address");
    }
    ares_addr_port_node& node = nodes[index];
    node.next = index + 1 < servers.size() ? &nodes[index + 1] : nullptr;
    node.family = server.is_ipv6() ? AF_INET6 : AF_INET;
    std::memcpy(&node.addr, server.address_bytes().data(), server.is_ipv6() ? 16 : 4);
    node.udp_port = node.tcp_port = server.port() == 0 ? kDnsPort : server.port();
  }
  if (const int set = ares_set_servers_ports(raw, nodes.data()); set != ARES_SUCCESS) {
    return AresError("DNS servers", set);
  }
  return channel;
}

bool CaresResolver::Query(DnsType type, const DnsName& name, DnsAnswerHandler& handler,
                          uint64_t cookie) {
  QuestionId id;
  Question* const question = questions_.Emplace(&id);
  if (question == nullptr) {
    ++counters_.refused;
    return false;
  }
  ++counters_.questions;
  question->resolver = this;
  question->id = id;
  question->type = type;
  question->name = name;
  question->handler = &handler;
  question->cookie = cookie;
  Ask(*question);
  return true;
}

void CaresResolver::Ask(Question& question) {
  std::array<char, DnsName::kTextBytesMax + 1> name{};
  const std::string_view text = question.name.text();
  std::copy(text.begin(), text.end(), name.begin());
  const bool was_asking = std::exchange(is_asking_, true);
  ares_query(channel_.get(), name.data(), ns_c_in, DnsTypeNumber(question.type),
             &CaresResolver::OnAresAnswer, &question);
  is_asking_ = was_asking;
  // c-ares waits no shorter than this for anything that it has sent since.
  WakeBy(reactor_.now() + options_.try_timeout);
}

void CaresResolver::OnAresAnswer(void* question, int status, int, unsigned char* message,
                                 int bytes) {
  auto& asked = *static_cast<Question*>(question);
  const size_t size = message == nullptr || bytes < 0 ? 0 : static_cast<size_t>(bytes);
  asked.resolver->OnAnswer(asked, status, {reinterpret_cast<const std::byte*>(message), size});
}

void CaresResolver::OnAnswer(Question& question, int status, std::span<const std::byte> message) {
  if (is_moving_) return;
  if (is_asking_) {  // No server could be reached, or the name is one that is never asked.
    question.failure = StatusOf(status);
    failed_.PushBack(question);
    return WakeBy(reactor_.now());
  }
  Tell(question, message.empty() ? DnsAnswer(StatusOf(status))
                                 : ReadDnsAnswer(message, question.type, question.name));
}

void CaresResolver::Tell(Question& question, const DnsAnswer& answer) {
  DnsAnswerHandler& handler = *question.handler;
  const uint64_t cookie = question.cookie;
  questions_.Erase(question.id);
  handler.OnDnsAnswer(cookie, answer);
}

// Those that are there now; what their handlers ask in turn, and fails at once, waits for the next
// time.
void CaresResolver::TellFailed() {
  IntrusiveList<Question> now;
  now.TakeAll(failed_);
  while (Question* const question = now.PopFront()) Tell(*question, DnsAnswer(question->failure));
}

void CaresResolver::Process(int readable, int writable) {
  ares_process_fd(channel_.get(), readable, writable);
  if (questions_.size() > 0) WakeBy(reactor_.now() + options_.try_timeout);
}

void CaresResolver::OnTimer() {
  TellFailed();
  Process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  timeval left{};
  if (ares_timeout(channel_.get(), nullptr, &left) == nullptr) return;
  WakeBy(reactor_.now() + absl::DurationFromTimeval(left));
}

void CaresResolver::WakeBy(MonotonicTime deadline) {
  if (timer_.scheduled() && wake_at_ <= deadline) return;
  wake_at_ = deadline;
  reactor_.timers().Schedule(timer_, deadline);
}

void CaresResolver::OnAresInterest(void* resolver, ares_socket_t fd, int readable, int writable) {
  auto& self = *static_cast<CaresResolver*>(resolver);
  PolledSocket* const socket = self.FindSocket(fd);
  if (socket == nullptr) return;
  socket->wanted = (readable != 0 ? POLLIN : 0u) | (writable != 0 ? POLLOUT : 0u);
  self.Arm(*socket);
}

ares_socket_t CaresResolver::OpenSocket(int domain, int type, int protocol, void* resolver) {
  auto& self = *static_cast<CaresResolver*>(resolver);
  PolledSocket* const socket = self.FindSocket(-1);
  const int fd =
      socket == nullptr ? -1 : ::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  const HandlerId id = fd < 0 ? HandlerId{} : self.reactor_.Attach(*socket);
  if (id == HandlerId{}) {
    ++self.counters_.sockets_refused;
    if (fd >= 0) close(fd);
    errno = EMFILE;
    return ARES_SOCKET_BAD;
  }
  ++self.counters_.sockets_opened;
  socket->fd = fd;
  socket->id = id;
  return fd;
}

int CaresResolver::CloseSocket(ares_socket_t fd, void* resolver) {
  auto& self = *static_cast<CaresResolver*>(resolver);
  PolledSocket* const socket = self.FindSocket(fd);
  CHECK(socket != nullptr);
  socket->wanted = 0;
  socket->closing = true;
  if (socket->armed == 0) {
    self.Release(*socket);
  } else {
    self.CancelPoll(*socket);
  }
  return 0;
}

int CaresResolver::ConnectSocket(ares_socket_t fd, const sockaddr* to, ares_socklen_t length,
                                 void*) {
  return connect(fd, to, length);
}

ares_ssize_t CaresResolver::ReceiveFrom(ares_socket_t fd, void* bytes, size_t size, int flags,
                                        sockaddr* from, ares_socklen_t* length, void*) {
  return recvfrom(fd, bytes, size, flags, from, length);
}

// Not writev: a server that closes its TCP connection is no reason for SIGPIPE.
ares_ssize_t CaresResolver::SendVector(ares_socket_t fd, const iovec* pieces, int count, void*) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = static_cast<size_t>(count);
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

// `fd` -1: a free place. A socket that waits to be closed still has its number, and c-ares no
// longer knows it: numbers are not reused before they are closed, so there is no second one.
PolledSocket* CaresResolver::FindSocket(int fd) {
  for (PolledSocket& socket : sockets_) {
    if (socket.fd == fd) return &socket;
  }
  return nullptr;
}

void CaresResolver::Arm(PolledSocket& socket) {
  if (socket.armed == socket.wanted) return;
  if (socket.armed != 0) return CancelPoll(socket);  // Armed anew when it is back.
  socket.armed = socket.wanted;
  reactor_.io().Poll(socket.fd, socket.wanted, socket.id);
}

void CaresResolver::CancelPoll(PolledSocket& socket) {
  if (socket.cancelled || reactor_.kernel_gone()) return;
  socket.cancelled = true;
  reactor_.io().Cancel(socket.id, Operation::kPoll);
}

void CaresResolver::OnPolled(PolledSocket& socket, int32_t result) {
  socket.armed = 0;
  socket.cancelled = false;
  if (socket.closing) return Release(socket);
  if (result > 0) {
    const auto events = static_cast<uint32_t>(result);
    const bool readable = (events & ~uint32_t{POLLOUT}) != 0;  // Errors are read, too.
    const bool writable = (events & POLLOUT) != 0;
    Process(readable ? socket.fd : ARES_SOCKET_BAD, writable ? socket.fd : ARES_SOCKET_BAD);
  } else if (result != -ECANCELED) {
    return;  // The kernel will not watch it: its questions time out, and then it is closed.
  }
  // c-ares may have closed this one, and even opened another in its place.
  if (socket.fd >= 0 && !socket.closing) Arm(socket);
}

void CaresResolver::Release(PolledSocket& socket) {
  reactor_.Detach(socket.id);
  close(socket.fd);
  socket.fd = -1;
  socket.id = {};
  socket.wanted = socket.armed = 0;
  socket.cancelled = socket.closing = false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Resolver>> Resolver::Create(Reactor& reactor,
                                                           const ResolverOptions& options) {
  auto resolver = std::make_unique<CaresResolver>(reactor, options);
  if (const absl::Status status = resolver->SetServers(options.servers); !status.ok()) {
    return status;
  }
  return std::unique_ptr<Resolver>(std::move(resolver));
}

}  // namespace sallyport::core
