#include "sip/message/line_scan.h"

#include <array>
#include <bit>
#include <cstring>

namespace sallyport::sip {
namespace {

// In the masks of a header block every LF follows a CR; an LF two bytes after another one ends the
// block. `previous` are the last two bits of the block before, already at bits 0 and 1.
size_t FirstEmptyLine(uint64_t line_feeds, uint64_t previous) {
  return static_cast<size_t>(std::countr_zero(line_feeds & (line_feeds << 2 | previous)));
}

bool EndsHeaders(std::string_view text, size_t line_feed) {
  return line_feed >= 3 && text.substr(line_feed - 3, 4) == "\r\n\r\n";
}

}  // namespace

ControlMasks ScanTail(const char* block, size_t size) {
  alignas(kScanBlockBytes) std::array<char, kScanBlockBytes> padded;
  padded.fill(' ');
  if (size > 0) std::memcpy(padded.data(), block, size);
  return ScanBlock(padded.data());
}

size_t FindHeaderEndScalar(std::string_view text, size_t from) {
  for (size_t i = from < 3 ? 3 : from; i < text.size(); ++i) {
    if (EndsHeaders(text, i)) return i + 1;
  }
  return 0;
}

size_t FindHeaderEnd(std::string_view text, size_t from) {
  uint64_t previous = 3;  // Unknown: let EndsHeaders look at the first two.
  for (size_t base = from; base < text.size(); base += kScanBlockBytes) {
    const size_t left = text.size() - base;
    const char* const block = text.data() + base;
    uint64_t line_feeds =
        (left >= kScanBlockBytes ? ScanBlock(block) : ScanTail(block, left)).line_feeds;
    const uint64_t all = line_feeds;
    for (size_t at; (at = FirstEmptyLine(line_feeds, previous | all << 2)) < kScanBlockBytes;) {
      if (EndsHeaders(text, base + at)) return base + at + 1;
      line_feeds &= ~(uint64_t{1} << at);
    }
    previous = all >> (kScanBlockBytes - 2);
  }
  return 0;
}

}  // namespace sallyport::sip
