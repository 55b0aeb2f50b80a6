#include "core/http_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/kernel_sockets.h"
#include "core/socket_address.h"

namespace sallyport::core {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kAcceptsPerTurnMax = 16;
constexpr std::chrono::milliseconds kLingerMax{1000};
constexpr std::chrono::milliseconds kAcceptRetry{100};  // Out of descriptors.

// In the order in which they make room for others: the least is lost with the first.
enum class ClientState : uint8_t {
  kIdle,       // Between two requests.
  kLingering,  // Answered for the last time; its unread bytes must not reset the connection.
  kHead,       // A head is awaited.
  kAnswer,     // An answer is on its way.
};

struct Client {
  FileDescriptor socket;
  SocketAddress address;  // Port 0.
  ClientState state = ClientState::kHead;
  Clock::time_point deadline;
  std::string in;
  std::string out;
  size_t sent = 0;
  uint32_t requests = 0;
  bool is_last = false;  // Close after the answer.
};

const char* ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

std::string Render(const HttpResponse& response, bool has_body, bool is_last) {
  std::string text = absl::StrCat(
      "HTTP/1.1 ", response.status, " ", ReasonPhrase(response.status),
      "\r\nContent-Type: ", response.type, "\r\nContent-Length: ", response.body.size(),
      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
      "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n",
      is_last ? "Connection: close\r\n\r\n" : "\r\n");
  if (has_body) text += response.body;
  return text;
}

}  // namespace

class HttpServer::Loop {
 public:
  Loop(FileDescriptor listener, FileDescriptor stop, HttpServerOptions options)
      : options_(std::move(options)),
        listener_(std::move(listener)),
        stop_(std::move(stop)),
        thread_([this] { Run(); }) {}

  ~Loop() {
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }

 private:
  void Run() {
    std::vector<pollfd> waits;
    for (;;) {
      const Clock::time_point now = Clock::now();
      waits.assign(
          {{stop_.get(), POLLIN, 0}, {now < accept_again_ ? -1 : listener_.get(), POLLIN, 0}});
      for (const std::unique_ptr<Client>& client : clients_) {
        const bool is_answer = client->state == ClientState::kAnswer;
        waits.push_back(
            {client->socket.get(), static_cast<short>(is_answer ? POLLOUT : POLLIN), 0});
      }
      poll(waits.data(), waits.size(), WaitMilliseconds(now));
      if (waits[0].revents != 0) return;
      for (size_t i = 0; i + 2 < waits.size(); ++i) {
        if (waits[i + 2].revents != 0 || HasUnreadRequest(*clients_[i])) Serve(*clients_[i]);
      }
      Expire();
      if (waits[1].revents != 0) AcceptSome();
      std::erase_if(clients_, [](const auto& client) { return !client->socket.is_open(); });
    }
  }

  int WaitMilliseconds(Clock::time_point now) const {
    Clock::time_point until = now + std::chrono::seconds(60);
    if (accept_again_ > now) until = std::min(until, accept_again_);
    for (const std::unique_ptr<Client>& client : clients_) {
      if (HasUnreadRequest(*client)) return 0;
      until = std::min(until, client->deadline);
    }
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - now);
    return static_cast<int>(std::max<int64_t>(wait.count(), 0));
  }

  // It came together with the one before.
  static bool HasUnreadRequest(const Client& client) {
    return client.state == ClientState::kIdle && !client.in.empty();
  }

  void Serve(Client& client) {
    switch (client.state) {
      case ClientState::kAnswer:
        return Send(client);
      case ClientState::kLingering: {
        char ignored[4096];
        const ssize_t bytes = recv(client.socket.get(), ignored, sizeof(ignored), 0);
        if (bytes == 0 || (bytes < 0 && errno != EAGAIN)) Close(client);
        return;
      }
      case ClientState::kIdle:
      case ClientState::kHead:
        return Receive(client);
    }
    UNREACHABLE();
  }

  void Receive(Client& client) {
    char chunk[kHttpHeadBytesMax];
    const ssize_t bytes =
        recv(client.socket.get(), chunk,
             kHttpHeadBytesMax - std::min(client.in.size(), size_t{kHttpHeadBytesMax} - 1), 0);
    if (bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR)) return Close(client);
    if (bytes > 0) client.in.append(chunk, static_cast<size_t>(bytes));
    if (client.in.empty()) return;
    if (client.state == ClientState::kIdle) {
      client.state = ClientState::kHead;
      client.deadline = Clock::now() + options_.head_max;
    }
    HttpRequest request;
    const HttpOutcome outcome = ReadHttpRequest(client.in, request);
    if (outcome != HttpOutcome::kNeedMore) Answer(client, outcome, request);
  }

  void Answer(Client& client, HttpOutcome outcome, const HttpRequest& request) {
    client.is_last = !request.keep_alive || ++client.requests >= options_.requests_per_client_max;
    try {
      client.out =
          Render(options_.answer(outcome, request), request.method != "HEAD", client.is_last);
    } catch (const std::exception&) {
      return Close(client);  // No memory.
    }
    client.in.erase(0, request.bytes);
    client.sent = 0;
    client.state = ClientState::kAnswer;
    client.deadline = Clock::now() + options_.answer_max;
    Send(client);
  }

  void Send(Client& client) {
    const ssize_t bytes = send(client.socket.get(), client.out.data() + client.sent,
                               client.out.size() - client.sent, MSG_NOSIGNAL);
    if (bytes < 0) {
      if (errno != EAGAIN && errno != EINTR) Close(client);
      return;
    }
    client.sent += static_cast<size_t>(bytes);
    if (client.sent < client.out.size()) return;
    client.out.clear();
    client.state = client.is_last ? ClientState::kLingering : ClientState::kIdle;
    client.deadline = Clock::now() + (client.is_last ? kLingerMax : options_.idle_max);
    if (client.is_last) ShutdownSending(client.socket.get());
  }

  void Expire() {
    const Clock::time_point now = Clock::now();
    for (const std::unique_ptr<Client>& client : clients_) {
      if (!client->socket.is_open() || now < client->deadline) continue;
      const bool is_done =
          client->state == ClientState::kIdle || client->state == ClientState::kLingering;
      if (!is_done) options_.on_drop(HttpDrop::kSlow);
      Close(*client);
    }
  }

  void AcceptSome() {
    for (size_t left = kAcceptsPerTurnMax; left > 0; --left) {
      const int fd = AcceptWithoutWaiting(listener_.get());
      if (fd < 0) {
        if (fd != -EAGAIN) accept_again_ = Clock::now() + kAcceptRetry;
        return;
      }
      auto client = std::make_unique<Client>();
      client->socket = FileDescriptor(fd);
      client->address = PeerAddressOf(fd).WithPort(0);
      client->deadline = Clock::now() + options_.head_max;
      MakeRoomFor(client->address);
      clients_.push_back(std::move(client));
      Receive(*clients_.back());  // What is there already is answered before another makes room.
    }
  }

  void MakeRoomFor(const SocketAddress& address) {
    const auto is_open = [](const auto& client) { return client->socket.is_open(); };
    const auto is_same = [&](const auto& client) {
      return is_open(client) && client->address == address;
    };
    const auto of_address = std::count_if(clients_.begin(), clients_.end(), is_same);
    const auto all = std::count_if(clients_.begin(), clients_.end(), is_open);
    if (static_cast<size_t>(of_address) >= options_.clients_per_address_max) return Drop(is_same);
    if (static_cast<size_t>(all) >= options_.clients_max) Drop(is_open);
  }

  // The first is the oldest.
  template <typename Predicate>
  void Drop(Predicate is_candidate) {
    Client* dropped = nullptr;
    for (const std::unique_ptr<Client>& client : clients_) {
      if (!is_candidate(client)) continue;
      if (dropped == nullptr || client->state < dropped->state) dropped = client.get();
    }
    options_.on_drop(HttpDrop::kLimit);
    Close(*dropped);
  }

  static void Close(Client& client) { client.socket = FileDescriptor(); }

  const HttpServerOptions options_;
  const FileDescriptor listener_;
  const FileDescriptor stop_;
  std::vector<std::unique_ptr<Client>> clients_;  // In the order of their arrival.
  Clock::time_point accept_again_;
  std::thread thread_;  // Last: it uses all of the above.
};

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
HttpServer::~HttpServer() = default;

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(FileDescriptor listener,
                                                              HttpServerOptions options) {
  CHECK(options.answer && options.on_drop);
  FileDescriptor stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.is_open()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start the HTTP thread: ", std::strerror(errno),
                     "; raise the limit of open files (LimitNOFILE=)"));
  }
  try {
    return std::unique_ptr<HttpServer>(new HttpServer(
        std::make_unique<Loop>(std::move(listener), std::move(stop), std::move(options))));
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start the HTTP thread: ", error.what()));
  }
}

}  // namespace sallyport::core
