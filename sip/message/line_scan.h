// Finds line ends and control characters, 64 bytes at a time. SIMD with a scalar twin that must
// agree (tests and a fuzz target compare them). SSE2 on x86-64, NEON on Arm, else the twin. AVX2
// was measured and left out: the scan is a twentieth of a parse, and choosing at run time costs
// about what it saves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace sallyport::sip {

inline constexpr size_t kScanBlockBytes = 64;

// One bit per byte, bit 0 first.
struct ControlMasks {
  uint64_t line_feeds = 0;
  uint64_t controls = 0;  // All of %x00-1F, line feeds included.
};

[[nodiscard]] inline ControlMasks ScanBlockScalar(const char* block) {
  ControlMasks masks;
  for (size_t i = 0; i < kScanBlockBytes; ++i) {
    const auto c = static_cast<unsigned char>(block[i]);
    masks.line_feeds |= static_cast<uint64_t>(c == '\n') << i;
    masks.controls |= static_cast<uint64_t>(c < 0x20) << i;
  }
  return masks;
}

#if defined(__aarch64__)

namespace line_scan_internal {

// One bit per byte out of four vectors of 0x00 and 0xff (Arm has no movemask).
inline uint64_t ToBits(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) {
  constexpr uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vld1q_u8(kBits);
  const uint8x16_t ab = vpaddq_u8(vandq_u8(a, bits), vandq_u8(b, bits));
  const uint8x16_t cd = vpaddq_u8(vandq_u8(c, bits), vandq_u8(d, bits));
  const uint8x16_t abcd = vpaddq_u8(ab, cd);
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(abcd, abcd)), 0);
}

}  // namespace line_scan_internal

#endif

// Masks of exactly kScanBlockBytes bytes.
[[nodiscard]] inline ControlMasks ScanBlock(const char* block) {
#if defined(__SSE2__)
  const __m128i line_feed = _mm_set1_epi8('\n');
  const __m128i last_control = _mm_set1_epi8(0x1f);
  ControlMasks masks;
#pragma GCC unroll 4
  for (size_t i = 0; i < kScanBlockBytes; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + i));
    const auto feeds = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, line_feed)));
    const __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const auto controls = static_cast<uint32_t>(_mm_movemask_epi8(is_control));
    masks.line_feeds |= static_cast<uint64_t>(feeds) << i;
    masks.controls |= static_cast<uint64_t>(controls) << i;
  }
  return masks;
#elif defined(__aarch64__)
  using line_scan_internal::ToBits;
  const auto* const bytes = reinterpret_cast<const uint8_t*>(block);
  const uint8x16_t a = vld1q_u8(bytes), b = vld1q_u8(bytes + 16);
  const uint8x16_t c = vld1q_u8(bytes + 32), d = vld1q_u8(bytes + 48);
  const uint8x16_t feed = vdupq_n_u8('\n'), space = vdupq_n_u8(0x20);
  return {ToBits(vceqq_u8(a, feed), vceqq_u8(b, feed), vceqq_u8(c, feed), vceqq_u8(d, feed)),
          ToBits(vcltq_u8(a, space), vcltq_u8(b, space), vcltq_u8(c, space), vcltq_u8(d, space))};
#else
  return ScanBlockScalar(block);
#endif
}

// Masks of the first `size` (< kScanBlockBytes) bytes; never reads beyond them.
[[nodiscard]] ControlMasks ScanTail(const char* block, size_t size);

// One past the empty line that ends a header block ("\r\n\r\n"), looking at text[from - 3] and
// later only; 0: not there.
[[nodiscard]] size_t FindHeaderEnd(std::string_view text, size_t from);
[[nodiscard]] size_t FindHeaderEndScalar(std::string_view text, size_t from);

}  // namespace sallyport::sip
