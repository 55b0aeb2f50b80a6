#include "sip/message/line_scan.h"

#include <array>
#include <bit>
#include <cstring>

namespace sallyport::sip {
namespace {

bool EndsHeaders(std::string_view text, size_t line_feed) {
  return line_feed >= 3 && text.substr(line_feed - 3, 4) == "\r\n\r\n";
}

}  // namespace

uint64_t ScanControlsOfTail(const char* block, size_t size) {
  alignas(kScanBlockBytes) std::array<char, kScanBlockBytes> padded;
  padded.fill(' ');
  if (size > 0) std::memcpy(padded.data(), block, size);
  return ScanControls(padded.data());
}

size_t FindHeaderEndScalar(std::string_view text, size_t from) {
  for (size_t i = from < 3 ? 3 : from; i < text.size(); ++i) {
    if (EndsHeaders(text, i)) return i + 1;
  }
  return 0;
}

size_t FindHeaderEnd(std::string_view text, size_t from) {
  uint64_t previous = ~uint64_t{0};  // Unknown: let EndsHeaders look at what came before.
  for (size_t base = from; base < text.size(); base += kScanBlockBytes) {
    const size_t left = text.size() - base;
    const char* const block = text.data() + base;
    const uint64_t controls =
        left >= kScanBlockBytes ? ScanControls(block) : ScanControlsOfTail(block, left);
    // The end is the fourth control character in a row.
    uint64_t ends = controls;
    for (int i = 1; i <= 3; ++i) ends &= controls << i | previous >> (64 - i);
    for (; ends != 0; ends &= ends - 1) {
      const size_t at = base + static_cast<size_t>(std::countr_zero(ends));
      if (EndsHeaders(text, at)) return at + 1;
    }
    previous = controls;
  }
  return 0;
}

}  // namespace sallyport::sip
