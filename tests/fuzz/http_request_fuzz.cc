// What a client sends to the admin page: bounded, and a request stands within its own bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/check.h"
#include "core/http_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sallyport::core::HttpRequest request;
  if (sallyport::core::ReadHttpRequest(text, request) != sallyport::core::HttpOutcome::kRequest) {
    return 0;
  }
  CHECK(request.bytes <= size && request.bytes <= sallyport::core::kHttpHeadBytesMax);
  CHECK(request.path.starts_with('/'));
  for (const std::string_view part : {request.method, request.path, request.host}) {
    CHECK(part.empty() ||
          (part.data() >= text.data() && part.data() + part.size() <= text.data() + request.bytes));
  }
  return 0;
}
