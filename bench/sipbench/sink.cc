// sipbench sink: a fast next hop, over UDP, TCP and TLS. Answers every request, or says what it
// saw.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bench/sipbench/client_flags.h"
#include "bench/sipbench/clock.h"
#include "bench/sipbench/event_loop.h"
#include "bench/sipbench/sip_text.h"
#include "bench/sipbench/socket_address.h"
#include "bench/sipbench/subcommands.h"
#include "bench/sipbench/tls_server.h"

namespace sallyport::bench {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kPartialBytesMax = 1024 * 1024;
constexpr unsigned kDatagramsPerTurn = 32;
constexpr size_t kDatagramBytes = 65536;

std::atomic<bool> stop_requested{false};

struct Behaviour {
  int64_t answer = 200;
  int64_t invite_answer = 0;  // 0: as any other request.
  bool ring = false;          // 180 before the final response of an INVITE.
  bool log = false;
};

struct Counters {
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> invites{0};
  std::atomic<uint64_t> record_route_bytes{0};  // Of INVITEs: whole lines.
  std::atomic<uint64_t> acks{0};
  std::atomic<uint64_t> cancels{0};
  std::atomic<uint64_t> unreadable{0};
};

void AppendResponse(std::string_view request, int64_t code, std::string_view phrase,
                    std::string_view contact, std::string* out) {
  absl::StrAppend(out, "SIP/2.0 ", code, " ", std::string(phrase), "\r\n");
  ForEachHeader(request, [&](std::string_view name, std::string_view value) {
    const bool to = IsHeader(name, "To", 't');
    const bool record_route = IsHeader(name, "Record-Route", 0);
    if (!to && !record_route && !IsHeader(name, "Via", 'v') && !IsHeader(name, "From", 'f') &&
        !IsHeader(name, "Call-ID", 'i') && !IsHeader(name, "CSeq", 0)) {
      return;
    }
    out->append(name).append(": ").append(value);
    if (to && value.find(";tag=") == std::string_view::npos) out->append(";tag=sink");
    out->append("\r\n");
  });
  if (request.starts_with("INVITE ")) out->append(contact);
  out->append("Content-Length: 0\r\n\r\n");
}

void LogRequest(std::string_view request) {
  std::string text =
      absl::StrCat("sink received: ", std::string(request.substr(0, request.find("\r\n"))), "\n");
  ForEachHeader(request, [&](std::string_view name, std::string_view value) {
    if (IsHeader(name, "Via", 'v') || IsHeader(name, "From", 'f') ||
        IsHeader(name, "Max-Forwards", 0) || IsHeader(name, "P-Asserted-Identity", 0) ||
        IsHeader(name, "P-Preferred-Identity", 0) || IsHeader(name, "Record-Route", 0) ||
        IsHeader(name, "Path", 0)) {
      text.append("    ").append(name).append(": ").append(value).append("\n");
    }
  });
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

class Answering {
 public:
  // `contact` is the whole header line: where the requests of a dialog are to reach this socket.
  Answering(const Behaviour& behaviour, std::string contact, Counters* counters)
      : behaviour_(behaviour), contact_(std::move(contact)), counters_(counters) {}

  // Appends the responses to `request`, none for an ACK or a response.
  void Answer(std::string_view request, std::string* out) {
    if (request.starts_with("SIP/2.0")) return Count(counters_->unreadable);
    if (behaviour_.log) LogRequest(request);
    if (request.starts_with("ACK ")) return Count(counters_->acks);
    if (request.starts_with("CANCEL ")) {
      Count(counters_->cancels);
      return AppendResponse(request, 200, "OK", contact_, out);
    }
    Count(counters_->requests);
    const bool is_invite = request.starts_with("INVITE ");
    if (is_invite) CountRecordRoute(request);
    if (behaviour_.ring && is_invite) AppendResponse(request, 180, "Ringing", contact_, out);
    const int64_t code =
        is_invite && behaviour_.invite_answer != 0 ? behaviour_.invite_answer : behaviour_.answer;
    AppendResponse(request, code, code == 200 ? "OK" : "Answer", contact_, out);
  }

  void CountUnreadable() { Count(counters_->unreadable); }

 private:
  static void Count(std::atomic<uint64_t>& counter) {
    counter.fetch_add(1, std::memory_order_relaxed);
  }

  void CountRecordRoute(std::string_view invite) {
    uint64_t bytes = 0;
    ForEachHeader(invite, [&](std::string_view name, std::string_view value) {
      constexpr size_t kAround = 4;  // ": " and the line's end.
      if (IsHeader(name, "Record-Route", 0)) bytes += name.size() + value.size() + kAround;
    });
    Count(counters_->invites);
    counters_->record_route_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }

  const Behaviour behaviour_;
  const std::string contact_;
  Counters* const counters_;
};

class TcpPeer final : public EventHandler {
 public:
  // `tls` is null where the peer speaks plain TCP.
  TcpPeer(EventLoop* loop, int socket, const TlsServer* tls, Answering* answering)
      : socket_(socket),
        answering_(answering),
        session_(tls == nullptr ? nullptr : std::make_unique<TlsServerSession>(*tls)) {
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    loop->Watch(socket_, EPOLLIN, this);
  }
  ~TcpPeer() { Close(); }
  TcpPeer(const TcpPeer&) = delete;
  TcpPeer& operator=(const TcpPeer&) = delete;

  bool closed() const { return socket_ < 0; }

  void OnEvents(uint32_t) override {
    if (closed()) return;
    static thread_local std::array<char, kReadBytes> buffer;
    const ssize_t received = recv(socket_, buffer.data(), buffer.size(), 0);
    if (received < 0 && errno == EAGAIN) return;
    if (received <= 0) return Close();
    const std::string_view bytes(buffer.data(), static_cast<size_t>(received));
    const bool goes_on = session_ == nullptr || session_->Receive(bytes, &unread_);
    if (session_ == nullptr) unread_.append(bytes);
    AnswerAll();
    if (session_ != nullptr) SealAnswers();
    if (!SendAll() || !goes_on) Close();
  }

 private:
  // Answers and, in front of them, what is left of a handshake.
  void SealAnswers() {
    if (!out_.empty()) session_->Seal(out_);
    out_.swap(session_->outgoing());
    session_->outgoing().clear();
  }

  bool SendAll() {
    // The answers of one turn go out together. The generator's window bounds them, so blocking here
    // is not waiting.
    size_t sent = 0;
    while (sent < out_.size()) {
      const ssize_t result = send(socket_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
      if (result < 0) return false;
      sent += static_cast<size_t>(result);
    }
    out_.clear();
    return true;
  }

  void AnswerAll() {
    std::string_view bytes = unread_;
    for (;;) {
      while (bytes.starts_with("\r\n")) bytes.remove_prefix(2);  // Keep-alives.
      const size_t length = MessageLength(bytes);
      if (length == 0) break;
      answering_->Answer(bytes.substr(0, length), &out_);
      bytes.remove_prefix(length);
    }
    unread_.erase(0, unread_.size() - bytes.size());
    if (unread_.size() > kPartialBytesMax) {
      answering_->CountUnreadable();
      Close();
    }
  }

  void Close() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }

  int socket_;
  Answering* const answering_;
  const std::unique_ptr<TlsServerSession> session_;
  std::string unread_;
  std::string out_;
};

class TcpListener final : public EventHandler {
 public:
  // `tls` is null for plain TCP, else borrowed.
  TcpListener(EventLoop* loop, int socket, const TlsServer* tls, Answering* answering)
      : loop_(loop), socket_(socket), tls_(tls), answering_(answering) {
    loop_->Watch(socket_, EPOLLIN, this);
  }

  void OnEvents(uint32_t) override {
    const int accepted =
        accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);  // Blocking: see TcpPeer.
    if (accepted < 0) return;
    peers_.push_back(std::make_unique<TcpPeer>(loop_, accepted, tls_, answering_));
  }

  // Only between turns: a turn may still call a handler that closed within it.
  void ForgetClosed() {
    std::erase_if(peers_, [](const std::unique_ptr<TcpPeer>& peer) { return peer->closed(); });
  }

 private:
  EventLoop* const loop_;
  const int socket_;
  const TlsServer* const tls_;
  Answering* const answering_;
  std::vector<std::unique_ptr<TcpPeer>> peers_;
};

class UdpSocket final : public EventHandler {
 public:
  UdpSocket(EventLoop* loop, int socket, Answering* answering)
      : socket_(socket), answering_(answering), storage_(kDatagramsPerTurn * kDatagramBytes, '\0') {
    loop->Watch(socket_, EPOLLIN, this);
  }

  void OnEvents(uint32_t) override {
    for (unsigned i = 0; i < kDatagramsPerTurn; ++i) {
      vectors_[i] = {&storage_[i * kDatagramBytes], kDatagramBytes};
      headers_[i] = {};
      headers_[i].msg_hdr.msg_iov = &vectors_[i];
      headers_[i].msg_hdr.msg_iovlen = 1;
      headers_[i].msg_hdr.msg_name = &sources_[i];
      headers_[i].msg_hdr.msg_namelen = sizeof sources_[i];
    }
    const int count = recvmmsg(socket_, headers_.data(), kDatagramsPerTurn, MSG_DONTWAIT, nullptr);
    unsigned answers = 0;
    for (unsigned i = 0; i < static_cast<unsigned>(std::max(count, 0)); ++i) {
      if (AnswerOne(i, answers)) ++answers;
    }
    if (answers > 0) sendmmsg(socket_, answer_headers_.data(), answers, 0);
  }

 private:
  // Answers datagram `received` in place `place`; false when there is nothing to say.
  bool AnswerOne(unsigned received, unsigned place) {
    const std::string_view datagram(&storage_[received * kDatagramBytes],
                                    headers_[received].msg_len);
    std::string& out = answers_[place];
    out.clear();
    if (MessageLength(datagram) == 0) {
      if (datagram.find_first_not_of("\r\n") != std::string_view::npos)
        answering_->CountUnreadable();
      return false;
    }
    answering_->Answer(datagram, &out);
    // A 180 and its final response are two datagrams; the first goes out alone, and at once.
    const size_t first = MessageLength(out);
    if (first != 0 && first < out.size()) {
      sendto(socket_, out.data(), first, 0, reinterpret_cast<const sockaddr*>(&sources_[received]),
             headers_[received].msg_hdr.msg_namelen);
      out.erase(0, first);
    }
    answer_vectors_[place] = {out.data(), out.size()};
    answer_headers_[place] = {};
    answer_headers_[place].msg_hdr.msg_iov = &answer_vectors_[place];
    answer_headers_[place].msg_hdr.msg_iovlen = 1;
    answer_headers_[place].msg_hdr.msg_name = &sources_[received];
    answer_headers_[place].msg_hdr.msg_namelen = headers_[received].msg_hdr.msg_namelen;
    return !out.empty();
  }

  const int socket_;
  Answering* const answering_;
  std::string storage_;
  std::array<iovec, kDatagramsPerTurn> vectors_{};
  std::array<mmsghdr, kDatagramsPerTurn> headers_{};
  std::array<sockaddr_in, kDatagramsPerTurn> sources_{};
  std::array<std::string, kDatagramsPerTurn> answers_;
  std::array<iovec, kDatagramsPerTurn> answer_vectors_{};
  std::array<mmsghdr, kDatagramsPerTurn> answer_headers_{};
};

// A bound socket, -1 with errno otherwise. Several threads share the address. Listening sockets do
// not block, so that an accept that another thread won returns.
int Bind(const sockaddr_in& address, int type, bool shared) {
  const int descriptor = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  if (type == SOCK_STREAM) setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  const int buffer_bytes = 4 * 1024 * 1024;
  if (type == SOCK_DGRAM)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  const bool bound =
      bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (bound && (type == SOCK_DGRAM || listen(descriptor, 4096) == 0)) return descriptor;
  close(descriptor);
  return -1;
}

struct Sockets {
  int udp = -1;
  int tcp = -1;
  int tls = -1;
};

std::string ContactHeader(int socket, std::string_view parameters) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  std::array<char, INET_ADDRSTRLEN> host{};
  inet_ntop(AF_INET, &address.sin_addr, host.data(), host.size());
  return absl::StrCat("Contact: <sip:sink@", host.data(), ":", ntohs(address.sin_port),
                      std::string(parameters), ">\r\n");
}

// `tls` is this thread's own, null where nothing needs it.
void Serve(const Sockets& sockets, const TlsServer* tls, const Behaviour& behaviour,
           Counters* counters) {
  EventLoop loop;
  Answering datagrams(behaviour, ContactHeader(sockets.udp, ""), counters);
  Answering streams(behaviour, ContactHeader(sockets.tcp, ";transport=tcp"), counters);
  Answering sealed(behaviour, ContactHeader(sockets.tls, ";transport=tls"), counters);
  std::unique_ptr<UdpSocket> udp;
  std::vector<std::unique_ptr<TcpListener>> listeners;
  if (sockets.udp >= 0) udp = std::make_unique<UdpSocket>(&loop, sockets.udp, &datagrams);
  if (sockets.tcp >= 0) {
    listeners.push_back(std::make_unique<TcpListener>(&loop, sockets.tcp, nullptr, &streams));
  }
  if (sockets.tls >= 0) {
    listeners.push_back(std::make_unique<TcpListener>(&loop, sockets.tls, tls, &sealed));
  }
  while (!stop_requested.load(std::memory_order_relaxed)) {
    loop.RunTurn(kNanosecondsPerSecond / 10);
    for (const std::unique_ptr<TcpListener>& listener : listeners) listener->ForgetClosed();
  }
}

struct Addresses {
  std::string udp;
  std::string tcp;
  std::string tls;

  bool empty() const { return udp.empty() && tcp.empty() && tls.empty(); }
};

// Sockets of every thread, or what is wrong with the addresses.
absl::StatusOr<std::vector<Sockets>> BindAll(const Addresses& addresses, size_t threads) {
  std::vector<Sockets> all(threads);
  for (Sockets& sockets : all) {
    for (const auto& [text, type, bound] :
         {std::tuple(&addresses.udp, SOCK_DGRAM, &sockets.udp),
          std::tuple(&addresses.tcp, SOCK_STREAM, &sockets.tcp),
          std::tuple(&addresses.tls, SOCK_STREAM, &sockets.tls)}) {
      if (text->empty()) continue;
      const auto address = ParseSocketAddress(*text);
      if (!address.ok()) return address.status();
      *bound = Bind(*address, type, threads > 1);
      if (*bound < 0) return absl::UnavailableError(absl::StrCat(*text, ": ", strerror(errno)));
    }
  }
  return all;
}

// One for each thread; none at all where no address is for TLS.
absl::StatusOr<std::vector<std::unique_ptr<TlsServer>>> TlsServers(const Addresses& addresses,
                                                                   const TlsIdentity& identity,
                                                                   size_t threads) {
  std::vector<std::unique_ptr<TlsServer>> servers(threads);
  if (addresses.tls.empty()) return servers;
  for (std::unique_ptr<TlsServer>& server : servers) {
    auto created = TlsServer::Create(identity);
    if (!created.ok()) return created.status();
    server = *std::move(created);
  }
  return servers;
}

void PrintCounters(const Counters& counters) {
  const auto count = [](const std::atomic<uint64_t>& counter) {
    return static_cast<unsigned long>(counter.load());
  };
  std::printf("sink: %lu requests, %lu ACK, %lu CANCEL, %lu unreadable", count(counters.requests),
              count(counters.acks), count(counters.cancels), count(counters.unreadable));
  if (counters.invites > 0) {
    std::printf(
        ", %.1f bytes of Record-Route in an INVITE",
        static_cast<double>(counters.record_route_bytes) / static_cast<double>(counters.invites));
  }
  std::printf("\n");
}

}  // namespace

int RunSink(const std::vector<std::string>& arguments) {
  Addresses addresses;
  TlsIdentity identity;
  int64_t threads = 1;
  bool realtime = false;
  Behaviour behaviour;
  CommandLine line;
  line.Add("--udp", &addresses.udp, "IPv4:PORT to receive datagrams on");
  line.Add("--tcp", &addresses.tcp, "IPv4:PORT to accept streams on");
  line.Add("--tls", &addresses.tls, "IPv4:PORT to accept TLS on, with these:");
  line.Add("--ca", &identity.ca, "PEM of the CA that clients must chain to; empty: none is asked");
  line.Add("--cert", &identity.certificate, "PEM of our certificate, leaf first");
  line.Add("--key", &identity.key, "PEM of its key");
  line.Add("--threads", &threads, "how many share the addresses");
  line.Add("--answer", &behaviour.answer, "status code of final responses");
  line.Add("--invite-answer", &behaviour.invite_answer,
           "the same of an INVITE; 0: as --answer says");
  line.Add("--ring", &behaviour.ring, "180 before the final response of an INVITE");
  line.Add("--log", &behaviour.log,
           "print each request: first line, Via, From, routes and the identity headers");
  line.Add("--realtime", &realtime,
           "real-time priority, so that a busy generator on the same core delays nothing");
  if (!ParseOrExplain(&line, arguments, "sipbench sink: a next hop that answers everything"))
    return 2;
  if (addresses.empty())
    return Complain(absl::InvalidArgumentError("sink needs --udp, --tcp or --tls"));
  const auto worker_count = static_cast<size_t>(std::max<int64_t>(threads, 1));
  const auto tls = TlsServers(addresses, identity, worker_count);
  if (!tls.ok()) return Complain(tls.status());
  const auto sockets = BindAll(addresses, worker_count);
  if (!sockets.ok()) return Complain(sockets.status());

  RaiseDescriptorLimit();
  sched_param parameter{};
  parameter.sched_priority = 2;
  if (realtime && sched_setscheduler(0, SCHED_FIFO, &parameter) != 0) {
    std::fprintf(stderr, "sipbench: no real-time priority\n");
  }
  for (const int number : {SIGINT, SIGTERM}) {
    signal(number, [](int) { stop_requested.store(true, std::memory_order_relaxed); });
  }
  Counters counters;
  std::vector<std::thread> workers;
  for (size_t i = 0; i < worker_count; ++i) {
    workers.emplace_back(Serve, (*sockets)[i], (*tls)[i].get(), behaviour, &counters);
  }
  for (std::thread& worker : workers) worker.join();
  PrintCounters(counters);
  return 0;
}

}  // namespace sallyport::bench
