// The read-only HTTP page of an operator: GET /metrics, /livez, /readyz and / (a status page).
// Content comes from callbacks that run on the server's own threads and so may read snapshots only.
// Slow or broken clients hold one of a few threads for a few seconds, nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/socket_address.h"
#include "core/status_page.h"

namespace sallyport::core {

enum class AdminEndpoint : uint8_t { kMetrics, kLivez, kReadyz, kStatus, kOther };
const char* AdminEndpointName(AdminEndpoint endpoint);  // "metrics", ..., a label value.

// Called from several server threads at once.
struct AdminContent {
  std::function<std::string()> metrics;  // Prometheus text format 0.0.4.
  std::function<Readiness()> readiness;
  std::function<StatusPage()> status;
  std::function<void(AdminEndpoint, int http_status)> on_request;  // May be empty.
};

class AdminServer {
 public:
  // Binds and starts serving. Port 0: the kernel chooses; see port(). Unavailable with the address
  // and the cause if it cannot be bound.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const SocketAddress& address,
                                                            AdminContent content);
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;
  ~AdminServer();  // Stops accepting and joins; waits for requests in progress (seconds at most).

  uint16_t port() const;

 private:
  class Http;  // cpp-httplib, which only the .cc sees.
  explicit AdminServer(std::unique_ptr<Http> http);

  const std::unique_ptr<Http> http_;
};

}  // namespace sallyport::core
