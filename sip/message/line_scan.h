// Finds control characters, and with them line ends, 64 bytes at a time. SIMD with a scalar twin
// that must agree (tests and a fuzz target compare them). SSE2 on x86-64, NEON on Arm, else the
// twin. No AVX2: all of sip/message compiled for it parsed only 5 % faster, which choosing at run
// time would eat.
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

// Masks: one bit per byte of a block, bit 0 first.

// The control characters %x00-1F of exactly kScanBlockBytes bytes.
[[nodiscard]] inline uint64_t ScanControlsScalar(const char* block) {
  uint64_t controls = 0;
  for (size_t i = 0; i < kScanBlockBytes; ++i) {
    controls |= static_cast<uint64_t>(static_cast<unsigned char>(block[i]) < 0x20) << i;
  }
  return controls;
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

[[nodiscard]] inline uint64_t ScanControls(const char* block) {
#if defined(__SSE2__)
  const auto scan = [](const char* at) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    return static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(is_control)));
  };
  return scan(block) | scan(block + 16) << 16 | scan(block + 32) << 32 | scan(block + 48) << 48;
#elif defined(__aarch64__)
  const auto scan = [block](size_t at) {
    return vcltq_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(block + at)), vdupq_n_u8(0x20));
  };
  return line_scan_internal::ToBits(scan(0), scan(16), scan(32), scan(48));
#else
  return ScanControlsScalar(block);
#endif
}

// Of the first `size` (< kScanBlockBytes) bytes; never reads beyond them.
[[nodiscard]] uint64_t ScanControlsOfTail(const char* block, size_t size);

// One past the empty line that ends a header block ("\r\n\r\n"), looking at text[from - 3] and
// later only; 0: not there.
[[nodiscard]] size_t FindHeaderEnd(std::string_view text, size_t from);
[[nodiscard]] size_t FindHeaderEndScalar(std::string_view text, size_t from);

}  // namespace sallyport::sip
