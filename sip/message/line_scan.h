// Finds line ends, 64 bytes at a time. SIMD with a scalar twin that must agree (tests and a fuzz
// target compare them).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sallyport::sip {

// One bit per byte, bit 0 first.
struct ControlMasks {
  uint64_t line_feeds = 0;
  uint64_t controls = 0;  // All of %x00-1F, line feeds included.
};

// Masks of exactly 64 bytes.
[[nodiscard]] ControlMasks ScanBlock(const char* block);
[[nodiscard]] ControlMasks ScanBlockScalar(const char* block);

// Masks of the first `size` (< 64) bytes; never reads beyond them.
[[nodiscard]] ControlMasks ScanTail(const char* block, size_t size);

// One past the empty line that ends a header block ("\r\n\r\n"), looking at text[from - 3] and
// later only; 0: not there.
[[nodiscard]] size_t FindHeaderEnd(std::string_view text, size_t from);
[[nodiscard]] size_t FindHeaderEndScalar(std::string_view text, size_t from);

}  // namespace sallyport::sip
