#include "core/admin_server.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "core/check.h"
#include "core/kernel_sockets.h"

namespace sallyport::core {
namespace {

constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";
constexpr const char* kJsonType = "application/json";
constexpr const char* kHtmlType = "text/html; charset=utf-8";

AdminEndpoint EndpointOf(std::string_view path) {
  if (path == "/metrics") return AdminEndpoint::kMetrics;
  if (path == "/livez") return AdminEndpoint::kLivez;
  if (path == "/readyz") return AdminEndpoint::kReadyz;
  if (path == "/") return AdminEndpoint::kStatus;
  return AdminEndpoint::kOther;
}

HttpResponse Words(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(text);
  return response;
}

std::vector<std::string> HostsOf(const SocketAddress& address, std::vector<std::string> hosts) {
  const std::string own = address.HostToString();
  hosts.push_back(address.is_ipv6() ? "[" + own + "]" : own);
  if (address.IsLoopback()) hosts.emplace_back("localhost");
  return hosts;
}

class AdminPages {
 public:
  AdminPages(std::vector<std::string> hosts, AdminContent content)
      : hosts_(std::move(hosts)), content_(std::move(content)) {}

  HttpResponse Answer(HttpOutcome outcome, const HttpRequest& request) const {
    HttpResponse response = Page(outcome, request);
    content_.on_request(EndpointOf(request.path), response.status);
    return response;
  }

  void OnDrop(HttpDrop drop) const { content_.on_drop(drop); }

 private:
  HttpResponse Page(HttpOutcome outcome, const HttpRequest& request) const {
    if (outcome == HttpOutcome::kTooLarge) return Words(431, "the head is too large\n");
    if (outcome == HttpOutcome::kMalformed) return Words(400, "not an HTTP/1.1 request for us\n");
    if (!request.host.empty() && !IsOurs(request.host)) {
      return Words(421, "this Host is not ours; list it in admin-hosts of [edge]\n");
    }
    const bool is_read = request.method == "GET" || request.method == "HEAD";
    return PageOf(is_read ? EndpointOf(request.path) : AdminEndpoint::kOther);
  }

  HttpResponse PageOf(AdminEndpoint endpoint) const {
    switch (endpoint) {
      case AdminEndpoint::kMetrics:
        return {200, kMetricsType, content_.metrics()};
      case AdminEndpoint::kLivez:
        // It answers, so it lives: a drain or a bad certificate is no reason to be restarted.
        return Words(200, "ok\n");
      case AdminEndpoint::kReadyz: {
        const Readiness readiness = content_.readiness();
        return {readiness.ready ? 200 : 503, kJsonType, RenderReadiness(readiness)};
      }
      case AdminEndpoint::kStatus:
        return {200, kHtmlType, RenderStatusPage(content_.status())};
      case AdminEndpoint::kOther:
        return Words(404, "GET /metrics, /livez, /readyz or /\n");
    }
    UNREACHABLE();
  }

  bool IsOurs(std::string_view host) const {
    return std::any_of(hosts_.begin(), hosts_.end(), [host](const std::string& ours) {
      return absl::EqualsIgnoreCase(ours, {host.data(), host.size()});
    });
  }

  const std::vector<std::string> hosts_;
  const AdminContent content_;
};

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

AdminServer::AdminServer(uint16_t port, std::unique_ptr<HttpServer> http)
    : port_(port), http_(std::move(http)) {}
AdminServer::~AdminServer() = default;

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(
    FileDescriptor listener, const std::vector<std::string>& hosts, AdminContent content) {
  CHECK(content.metrics && content.readiness && content.status && content.on_request &&
        content.on_drop);
  const SocketAddress address = LocalAddressOf(listener.get());
  const auto pages =
      std::make_shared<const AdminPages>(HostsOf(address, hosts), std::move(content));
  HttpServerOptions options;
  options.answer = [pages](HttpOutcome outcome, const HttpRequest& request) {
    return pages->Answer(outcome, request);
  };
  options.on_drop = [pages](HttpDrop drop) { pages->OnDrop(drop); };
  auto http = HttpServer::Start(std::move(listener), std::move(options));
  if (!http.ok()) return http.status();
  return std::unique_ptr<AdminServer>(new AdminServer(address.port(), *std::move(http)));
}

}  // namespace sallyport::core
