#include "sip/message/line_scan.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace sallyport::sip {
namespace {

constexpr size_t kBlockBytes = 64;

// In the masks of a header block every LF follows a CR; an LF two bytes after another one ends the
// block. `previous` are the last two bits of the block before, already at bits 0 and 1.
size_t FirstEmptyLine(uint64_t line_feeds, uint64_t previous) {
  return static_cast<size_t>(std::countr_zero(line_feeds & (line_feeds << 2 | previous)));
}

bool EndsHeaders(std::string_view text, size_t line_feed) {
  return line_feed >= 3 && text.substr(line_feed - 3, 4) == "\r\n\r\n";
}

}  // namespace

ControlMasks ScanBlockScalar(const char* block) {
  ControlMasks masks;
  for (size_t i = 0; i < kBlockBytes; ++i) {
    const auto c = static_cast<unsigned char>(block[i]);
    masks.line_feeds |= static_cast<uint64_t>(c == '\n') << i;
    masks.controls |= static_cast<uint64_t>(c < 0x20) << i;
  }
  return masks;
}

#if defined(__SSE2__)

ControlMasks ScanBlock(const char* block) {
  const __m128i line_feed = _mm_set1_epi8('\n');
  const __m128i last_control = _mm_set1_epi8(0x1f);
  ControlMasks masks;
  for (size_t i = 0; i < kBlockBytes; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + i));
    const auto feeds = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, line_feed)));
    const __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const auto controls = static_cast<uint32_t>(_mm_movemask_epi8(is_control));
    masks.line_feeds |= static_cast<uint64_t>(feeds) << i;
    masks.controls |= static_cast<uint64_t>(controls) << i;
  }
  return masks;
}

#elif defined(__aarch64__)

namespace {

// One bit per byte out of four vectors of 0x00 and 0xff (Arm has no movemask).
uint64_t ToBits(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) {
  constexpr std::array<uint8_t, 16> kBits = {1, 2, 4, 8, 16, 32, 64, 128,
                                             1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vld1q_u8(kBits.data());
  const uint8x16_t ab = vpaddq_u8(vandq_u8(a, bits), vandq_u8(b, bits));
  const uint8x16_t cd = vpaddq_u8(vandq_u8(c, bits), vandq_u8(d, bits));
  const uint8x16_t abcd = vpaddq_u8(ab, cd);
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(abcd, abcd)), 0);
}

}  // namespace

ControlMasks ScanBlock(const char* block) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(block);
  const uint8x16_t a = vld1q_u8(bytes), b = vld1q_u8(bytes + 16);
  const uint8x16_t c = vld1q_u8(bytes + 32), d = vld1q_u8(bytes + 48);
  const uint8x16_t feed = vdupq_n_u8('\n'), space = vdupq_n_u8(0x20);
  return {ToBits(vceqq_u8(a, feed), vceqq_u8(b, feed), vceqq_u8(c, feed), vceqq_u8(d, feed)),
          ToBits(vcltq_u8(a, space), vcltq_u8(b, space), vcltq_u8(c, space), vcltq_u8(d, space))};
}

#else

ControlMasks ScanBlock(const char* block) { return ScanBlockScalar(block); }

#endif

ControlMasks ScanTail(const char* block, size_t size) {
  alignas(kBlockBytes) std::array<char, kBlockBytes> padded;
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
  for (size_t base = from; base < text.size(); base += kBlockBytes) {
    const size_t left = text.size() - base;
    const char* const block = text.data() + base;
    uint64_t line_feeds =
        (left >= kBlockBytes ? ScanBlock(block) : ScanTail(block, left)).line_feeds;
    const uint64_t all = line_feeds;
    for (size_t at; (at = FirstEmptyLine(line_feeds, previous | all << 2)) < kBlockBytes;) {
      if (EndsHeaders(text, base + at)) return base + at + 1;
      line_feeds &= ~(uint64_t{1} << at);
    }
    previous = all >> (kBlockBytes - 2);
  }
  return 0;
}

}  // namespace sallyport::sip
