// The read-only HTTP page of an operator: GET /metrics, /livez, /readyz and / (a status page).
// Content comes from callbacks that run on the server's own thread and so may read snapshots only.
// A request with a Host that is not ours is refused: a page of another site that has its name
// resolved to our address (DNS rebinding) reads nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/file_descriptor.h"
#include "core/http_server.h"
#include "core/socket_address.h"
#include "core/status_page.h"

namespace sallyport::core {

enum class AdminEndpoint : uint8_t { kMetrics, kLivez, kReadyz, kStatus, kOther };
const char* AdminEndpointName(AdminEndpoint endpoint);  // "metrics", ..., a label value.

// All on the server's thread.
struct AdminContent {
  std::function<std::string()> metrics;  // Prometheus text format 0.0.4.
  std::function<Readiness()> readiness;
  std::function<StatusPage()> status;
  std::function<void(AdminEndpoint, int http_status)> on_request;  // Refused ones, too.
  std::function<void(HttpDrop)> on_drop;
};

class AdminServer {
 public:
  // Serves on `listener` (core/listening_sockets.h). `hosts` are names that Host may say besides
  // the listener's address and, on loopback, "localhost"; compared without case and port.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(FileDescriptor listener,
                                                            const std::vector<std::string>& hosts,
                                                            AdminContent content);
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;
  ~AdminServer();  // Closes every connection and joins.

  uint16_t port() const { return port_; }

 private:
  AdminServer(uint16_t port, std::unique_ptr<HttpServer> http);

  const uint16_t port_;
  const std::unique_ptr<HttpServer> http_;
};

}  // namespace sallyport::core
