#include "core/admin_server.h"

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "core/check.h"

// These describe Debian's build of the library; its classes are laid out by them.
#ifndef CPPHTTPLIB_OPENSSL_SUPPORT
#define CPPHTTPLIB_OPENSSL_SUPPORT
#endif
#ifndef CPPHTTPLIB_ZLIB_SUPPORT
#define CPPHTTPLIB_ZLIB_SUPPORT
#endif
#ifndef CPPHTTPLIB_BROTLI_SUPPORT
#define CPPHTTPLIB_BROTLI_SUPPORT
#endif
#include <httplib.h>

namespace sallyport::core {
namespace {

constexpr size_t kThreads = 4;
constexpr time_t kReadSeconds = 2;
constexpr time_t kWriteSeconds = 2;
constexpr time_t kKeepAliveSeconds = 1;  // Between requests; a kept connection holds a thread.
constexpr size_t kRequestsPerConnectionMax = 100;
constexpr size_t kRequestBodyBytesMax = 1024;  // Nothing here takes a body.

constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";
constexpr const char* kTextType = "text/plain; charset=utf-8";
constexpr const char* kJsonType = "application/json";
constexpr const char* kHtmlType = "text/html; charset=utf-8";

AdminEndpoint EndpointOf(const std::string& path) {
  if (path == "/metrics") return AdminEndpoint::kMetrics;
  if (path == "/livez") return AdminEndpoint::kLivez;
  if (path == "/readyz") return AdminEndpoint::kReadyz;
  if (path == "/") return AdminEndpoint::kStatus;
  return AdminEndpoint::kOther;
}

}  // namespace

const char* AdminEndpointName(AdminEndpoint endpoint) {
  switch (endpoint) {
    case AdminEndpoint::kMetrics:
      return "metrics";
    case AdminEndpoint::kLivez:
      return "livez";
    case AdminEndpoint::kReadyz:
      return "readyz";
    case AdminEndpoint::kStatus:
      return "status";
    case AdminEndpoint::kOther:
      return "other";
  }
  UNREACHABLE();
}

class AdminServer::Http {
 public:
  explicit Http(AdminContent content) : content_(std::move(content)) {
    Bound();
    Route();
  }

  ~Http() {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }

  absl::Status Start(const SocketAddress& address) {
    const std::string host = address.HostToString();
    if (address.port() == 0) {
      port_ = server_.bind_to_any_port(host);
    } else if (server_.bind_to_port(host, address.port())) {
      port_ = address.port();
    }
    if (port_ <= 0) {
      return absl::UnavailableError("cannot listen on the admin address " + address.ToString() +
                                    ": it is in use by another process or not one of ours");
    }
    thread_ = std::thread([this] { Serve(); });
    // stop() is lost if it comes before the loop runs, so Start ends when it does.
    while (!server_.is_running() && !ended_.load(std::memory_order_acquire)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (!server_.is_running()) return absl::ResourceExhaustedError("no thread for admin HTTP");
    return absl::OkStatus();
  }

  uint16_t port() const { return static_cast<uint16_t>(port_); }

 private:
  void Bound() {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_read_timeout(kReadSeconds, 0);
    server_.set_write_timeout(kWriteSeconds, 0);
    server_.set_keep_alive_timeout(kKeepAliveSeconds);
    server_.set_keep_alive_max_count(kRequestsPerConnectionMax);
    server_.set_payload_max_length(kRequestBodyBytesMax);
    // The library's default is SO_REUSEPORT: a second process would take half of the scrapes.
    server_.set_socket_options([](socket_t descriptor) {
      const int yes = 1;
      setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    server_.set_default_headers(
        {{"Cache-Control", "no-store"},
         {"X-Content-Type-Options", "nosniff"},
         {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"}});
  }

  void Route() {
    server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(content_.metrics(), kMetricsType);
    });
    // Alive is who answers: a drain or a bad certificate is no reason to be restarted.
    server_.Get("/livez", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("ok\n", kTextType);
    });
    server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      const Readiness readiness = content_.readiness();
      response.status = readiness.ready ? 200 : 503;
      response.set_content(RenderReadiness(readiness), kJsonType);
    });
    server_.Get("/", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(RenderStatusPage(content_.status()), kHtmlType);
    });
    // Only where no handler answered: /readyz with 503 has its own text.
    server_.set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (response.body.empty()) {
        response.set_content("GET /metrics, /livez, /readyz or /\n", kTextType);
      }
    });
    server_.set_exception_handler(
        [](const httplib::Request&, httplib::Response& response, const std::exception_ptr&) {
          response.status = 500;
          response.set_content("no memory or an internal error\n", kTextType);
        });
    server_.set_logger([this](const httplib::Request& request, const httplib::Response& response) {
      if (content_.on_request) content_.on_request(EndpointOf(request.path), response.status);
    });
  }

  void Serve() {
    try {
      server_.listen_after_bind();
    } catch (const std::exception&) {
      // No thread or no memory for the pool: Start reports it.
    }
    ended_.store(true, std::memory_order_release);
  }

  const AdminContent content_;
  httplib::Server server_;
  int port_ = 0;
  std::atomic<bool> ended_{false};  // Release in Serve pairs with the acquire in Start.
  std::thread thread_;
};

AdminServer::AdminServer(std::unique_ptr<Http> http) : http_(std::move(http)) {}
AdminServer::~AdminServer() = default;

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const SocketAddress& address,
                                                                AdminContent content) {
  CHECK(content.metrics && content.readiness && content.status);
  try {
    auto http = std::make_unique<Http>(std::move(content));
    if (absl::Status status = http->Start(address); !status.ok()) return status;
    return std::unique_ptr<AdminServer>(new AdminServer(std::move(http)));
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(std::string("cannot start admin HTTP: ") + error.what());
  }
}

uint16_t AdminServer::port() const { return http_->port(); }

}  // namespace sallyport::core
