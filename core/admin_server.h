// The read-only HTTP page of an operator: GET /metrics, /livez, /readyz and / (a status page).
// Content comes from callbacks that run on the server's own threads and so may read snapshots only.
// Slow or broken clients hold one of a few threads for a few seconds, nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/socket_address.h"

namespace sallyport::core {

// Why the instance is not ready: short stable words such as "draining", "starting".
struct Readiness {
  bool ready = false;
  std::vector<std::string> reasons;  // Empty when ready.
};

struct StatusRow {
  std::string name;
  std::string value;
};

// A table of the status page, shown in this order; empty tables show `when_empty`.
struct StatusSection {
  std::string title;
  std::vector<StatusRow> rows;
  std::string when_empty;
};

struct StatusPage {
  std::string title;     // "edge.example"
  std::string subtitle;  // "sallyport 0.1.0, instance edge-1"
  Readiness readiness;
  bool draining = false;
  std::vector<StatusRow> tiles;  // The few figures that matter: uptime, connections, requests.
  std::vector<StatusSection> sections;
};

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
  class Listener;
  explicit AdminServer(std::unique_ptr<Listener> listener);

  std::unique_ptr<Listener> listener_;
};

// The page as text: pure, for tests. Every value is escaped.
std::string RenderStatusPage(const StatusPage& page);
// {"ready":false,"reasons":["draining"]}
std::string RenderReadiness(const Readiness& readiness);

}  // namespace sallyport::core
