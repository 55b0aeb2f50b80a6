// A small HTTP/1.1 server on a thread of its own, for pages that are made from memory. It never
// waits for a client: each has a deadline for its head, for its silence and for taking an answer,
// and where too many are connected the one that has been waited for longest makes room.
// Knows nothing of shards; blocks nothing but its own thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/file_descriptor.h"
#include "core/http_request.h"

namespace sallyport::core {

struct HttpResponse {
  int status = 200;
  const char* type = "text/plain; charset=utf-8";
  std::string body;
};

enum class HttpDrop : uint8_t {
  kSlow,   // The head did not come, or the answer was not taken, in time.
  kLimit,  // It made room for another client.
};

struct HttpServerOptions {
  // With kRequest, what was asked; with kTooLarge and kMalformed `request` is empty. On the
  // server's thread.
  std::function<HttpResponse(HttpOutcome, const HttpRequest& request)> answer;
  std::function<void(HttpDrop)> on_drop;
  size_t clients_max = 128;
  size_t clients_per_address_max = 96;
  uint32_t requests_per_client_max = 100;
  std::chrono::milliseconds head_max{2000};    // From the connection or a head's first byte.
  std::chrono::milliseconds idle_max{5000};    // Between requests.
  std::chrono::milliseconds answer_max{5000};  // For taking an answer.
};

class HttpServer {
 public:
  // `listener` listens, without blocking. ResourceExhausted if the system gives no thread
  // or descriptor.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(FileDescriptor listener,
                                                           HttpServerOptions options);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();  // Closes every connection and joins.

 private:
  class Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);

  const std::unique_ptr<Loop> loop_;
};

}  // namespace sallyport::core
