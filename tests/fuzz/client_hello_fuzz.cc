// The first bytes of a connection. A longer prefix never takes an answer back, and the name is
// always a host name.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tls/client_hello.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using sallyport::tls::ServerNameOutcome;
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto whole = sallyport::tls::ReadServerName(bytes);
  if ((whole.outcome == ServerNameOutcome::kName) == whole.name.empty()) std::abort();
  const auto half = sallyport::tls::ReadServerName(bytes.first(size / 2));
  if (half.outcome == ServerNameOutcome::kName && half.name.text() != whole.name.text())
    std::abort();
  if (half.outcome == ServerNameOutcome::kNone && whole.outcome != ServerNameOutcome::kNone)
    std::abort();
  return 0;
}
