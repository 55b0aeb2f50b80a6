// The hot end of grammar.h: runs of one character class, 16 bytes at a time. Same results as
// SkipClass and its kin, which are the scalar twins that the tests compare with.
//
// `readable` says how far bytes may be loaded, not interpreted: a header value lies inside a
// message, so the parser may look past the value's end and saves the careful last bytes. For a text
// of its own `readable` is its end.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "sip/message/grammar.h"

#if defined(__SSSE3__)
#include <tmmintrin.h>
#endif

namespace sallyport::sip {

// Where the text that is being parsed ends, and how far beyond that memory may be read.
struct Bounds {
  const char* end;
  const char* readable;
  const char* load_end;  // Before this, 16 bytes can be loaded; nullptr: nowhere.

  constexpr explicit Bounds(std::string_view text) : Bounds(text, text.data() + text.size()) {}
  constexpr Bounds(std::string_view text, const char* readable_end)
      : end(text.data() + text.size()),
        readable(readable_end),
        load_end(readable_end - text.data() >= 16 ? readable_end - 15 : nullptr) {}
};

constexpr std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

#if defined(__SSSE3__)

namespace class_scan_internal {

// Membership of an ASCII character: bit (c >> 4) of rows[c & 15]. Bytes from 0x80 on belong to no
// class.
template <unsigned kClasses>
struct alignas(16) Rows {
  std::array<char, 16> rows{};
  constexpr Rows() {
    for (unsigned c = 0; c < 0x80; ++c) {
      if ((kCharClasses[c] & kClasses) == 0) continue;
      rows[c & 15] = static_cast<char>(rows[c & 15] | 1 << (c >> 4));
    }
  }
};

template <unsigned kClasses>
inline constexpr Rows<kClasses> kRows;

// Bit i: block[i] is outside the classes.
template <unsigned kClasses>
inline uint32_t OutsideMask(__m128i block) {
  const __m128i rows =
      _mm_load_si128(reinterpret_cast<const __m128i*>(kRows<kClasses>.rows.data()));
  const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m128i high = _mm_and_si128(_mm_srli_epi16(block, 4), _mm_set1_epi8(15));
  const __m128i member = _mm_and_si128(_mm_shuffle_epi8(rows, block), _mm_shuffle_epi8(bits, high));
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(member, _mm_setzero_si128())));
}

}  // namespace class_scan_internal

#endif

// SkipClass(begin, in.end, kClasses).
template <unsigned kClasses>
inline const char* SkipRun(const char* begin, const Bounds& in) {
#if defined(__SSSE3__)
  while (begin < in.load_end) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin));
    const uint32_t outside = class_scan_internal::OutsideMask<kClasses>(block);
    if (outside != 0) {
      begin += __builtin_ctz(outside);
      // A branch, not a conditional move: the next run must not wait for this comparison.
      if (__builtin_expect(begin > in.end, 0)) return in.end;
      return begin;
    }
    begin += 16;
    if (begin >= in.end) return in.end;
  }
#endif
  return SkipClass(begin, in.end, kClasses);
}

// SkipClassOrEscape(begin, in.end, kClasses).
template <unsigned kClasses>
inline const char* SkipRunOrEscape(const char* begin, const Bounds& in) {
  begin = SkipRun<kClasses>(begin, in);
  while (begin != in.end && *begin == '%') {
    if (in.end - begin < 3 || !IsIn(begin[1], kHexChar) || !IsIn(begin[2], kHexChar)) break;
    begin = SkipRun<kClasses>(begin + 3, in);
  }
  return begin;
}

// A short word as one number, in lower case, to compare with that of a word of letters such as
// PackWord("maddr"): against letters, c | 0x20 is exact. More than eight bytes give the number 0.
constexpr uint64_t PackWord(std::string_view word) {
  uint64_t packed = 0;
  if (word.size() > 8) return 0;
  for (size_t i = 0; i < word.size(); ++i) {
    packed |= static_cast<uint64_t>(static_cast<unsigned char>(word[i]) | 0x20) << (8 * i);
  }
  return packed;
}

inline uint64_t PackWord(const char* begin, const char* end, const Bounds& in) {
  const auto size = static_cast<size_t>(end - begin);
  if constexpr (std::endian::native == std::endian::little) {
    if (in.readable - begin >= 8 && size - 1 < 8) {
      uint64_t packed;
      std::memcpy(&packed, begin, sizeof packed);
      return (packed | 0x2020202020202020U) << (64 - 8 * size) >> (64 - 8 * size);
    }
  }
  return PackWord(Between(begin, end));
}

}  // namespace sallyport::sip
