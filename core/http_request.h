// The head of one HTTP/1 request as the admin page takes it (RFC 9112 §2.1, §3, RFC 9110 §7.2):
// origin form, one Host, no body. Strict: what it does not take is malformed.
// Borrows: the views point into the caller's buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sallyport::core {

inline constexpr size_t kHttpHeadBytesMax = 8192;

enum class HttpOutcome : uint8_t { kRequest, kNeedMore, kTooLarge, kMalformed };

struct HttpRequest {
  std::string_view method;
  std::string_view path;  // Without the query.
  std::string_view host;  // Without the port; empty only in HTTP/1.0, where it may be absent.
  bool keep_alive = false;
  size_t bytes = 0;  // Of the head with its empty line: what to consume.
};

// `request` is set with kRequest only. kNeedMore is no error. After kTooLarge or kMalformed close:
// the next boundary is unknown.
HttpOutcome ReadHttpRequest(std::string_view unread, HttpRequest& request);

}  // namespace sallyport::core
