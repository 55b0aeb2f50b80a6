// The known header names as a perfect hash table, built by the compiler. For header_name.cc and the
// parser's inner loop only.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "sip/message/grammar.h"
#include "sip/message/header_name.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sallyport::sip::header_name_internal {

struct Known {
  HeaderId id;
  std::string_view text;
  char compact = 0;
};

// In the order of the enum (checked below), kOther left out.
inline constexpr std::array<Known, kHeaderIdCount - 1> kKnown = {{
    {HeaderId::kAccept, "Accept"},
    {HeaderId::kAlertInfo, "Alert-Info"},
    {HeaderId::kAllow, "Allow"},
    {HeaderId::kAllowEvents, "Allow-Events", 'u'},
    {HeaderId::kAuthenticationInfo, "Authentication-Info"},
    {HeaderId::kAuthorization, "Authorization"},
    {HeaderId::kCallId, "Call-ID", 'i'},
    {HeaderId::kCallInfo, "Call-Info"},
    {HeaderId::kContact, "Contact", 'm'},
    {HeaderId::kContentDisposition, "Content-Disposition"},
    {HeaderId::kContentEncoding, "Content-Encoding", 'e'},
    {HeaderId::kContentLanguage, "Content-Language"},
    {HeaderId::kContentLength, "Content-Length", 'l'},
    {HeaderId::kContentType, "Content-Type", 'c'},
    {HeaderId::kCSeq, "CSeq"},
    {HeaderId::kDate, "Date"},
    {HeaderId::kDiversion, "Diversion"},
    {HeaderId::kErrorInfo, "Error-Info"},
    {HeaderId::kEvent, "Event", 'o'},
    {HeaderId::kExpires, "Expires"},
    {HeaderId::kFlowTimer, "Flow-Timer"},
    {HeaderId::kFrom, "From", 'f'},
    {HeaderId::kHistoryInfo, "History-Info"},
    {HeaderId::kIdentity, "Identity", 'y'},
    {HeaderId::kInReplyTo, "In-Reply-To"},
    {HeaderId::kMaxBreadth, "Max-Breadth"},
    {HeaderId::kMaxForwards, "Max-Forwards"},
    {HeaderId::kMinExpires, "Min-Expires"},
    {HeaderId::kMinSe, "Min-SE"},
    {HeaderId::kPAssertedIdentity, "P-Asserted-Identity"},
    {HeaderId::kPPreferredIdentity, "P-Preferred-Identity"},
    {HeaderId::kPath, "Path"},
    {HeaderId::kPrivacy, "Privacy"},
    {HeaderId::kProxyAuthenticate, "Proxy-Authenticate"},
    {HeaderId::kProxyAuthorization, "Proxy-Authorization"},
    {HeaderId::kProxyRequire, "Proxy-Require"},
    {HeaderId::kRAck, "RAck"},
    {HeaderId::kRSeq, "RSeq"},
    {HeaderId::kReason, "Reason"},
    {HeaderId::kRecordRoute, "Record-Route"},
    {HeaderId::kReferTo, "Refer-To", 'r'},
    {HeaderId::kReferredBy, "Referred-By", 'b'},
    {HeaderId::kRemotePartyId, "Remote-Party-ID"},
    {HeaderId::kReplaces, "Replaces"},
    {HeaderId::kRequire, "Require"},
    {HeaderId::kRetryAfter, "Retry-After"},
    {HeaderId::kRoute, "Route"},
    {HeaderId::kSallyport, "X-Sallyport-"},  // A prefix: never found by comparing whole names.
    {HeaderId::kServer, "Server"},
    {HeaderId::kServiceRoute, "Service-Route"},
    {HeaderId::kSessionExpires, "Session-Expires", 'x'},
    {HeaderId::kSubject, "Subject", 's'},
    {HeaderId::kSubscriptionState, "Subscription-State"},
    {HeaderId::kSupported, "Supported", 'k'},
    {HeaderId::kTimestamp, "Timestamp"},
    {HeaderId::kTo, "To", 't'},
    {HeaderId::kUnsupported, "Unsupported"},
    {HeaderId::kUserAgent, "User-Agent"},
    {HeaderId::kVia, "Via", 'v'},
    {HeaderId::kWarning, "Warning"},
    {HeaderId::kWwwAuthenticate, "WWW-Authenticate"},
}};

inline constexpr size_t kNameBytesMax = 24;  // No known name is longer: three words hold it.
inline constexpr size_t kSlots = 256;

// Eight bytes of a name as a number, the first one lowest; bytes beyond the name are 0.
constexpr uint64_t Word(std::string_view text) {
  uint64_t word = 0;
  for (size_t i = 0; i < text.size() && i < 8; ++i) {
    word |= static_cast<uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
  }
  return word;
}

// By size: 0xff for each byte of a word that a name fills.
inline constexpr std::array<uint64_t, kNameBytesMax + 1> kFilled = [] {
  std::array<uint64_t, kNameBytesMax + 1> filled{};
  for (size_t size = 0; size <= kNameBytesMax; ++size) {
    filled[size] = size >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * size)) - 1;
  }
  return filled;
}();

// From the last eight bytes and the length; case falls away. The multiplier was searched for so
// that no two known names meet, and the compiler checks that below; a new name may need another odd
// number.
constexpr size_t Hash(uint64_t last_word, size_t size) {
  const uint64_t folded = (last_word | 0x2020202020202020U) & kFilled[size];
  return ((folded + size) * 0x89f13fbff26a9ad9U) >> 56;
}

// Where the last word of a name begins.
constexpr size_t LastWordAt(size_t size) { return size > 8 ? size - 8 : 0; }

// A name in lower case, and 0x20 where a letter may come in either case: (word | fold) == text says
// "equal", no more.
struct WordPattern {
  uint64_t text = 0;
  uint64_t fold = 0;
  [[nodiscard]] constexpr uint64_t Compare(uint64_t word) const { return (word | fold) ^ text; }
};

struct alignas(64) Slot {
  WordPattern first;
  WordPattern second;  // Of names of more than 16 bytes.
  WordPattern last;
  uint64_t bytes = 0;
  HeaderId id = HeaderId::kOther;
};

constexpr WordPattern MakePattern(std::string_view text) {
  WordPattern pattern{Word(text), 0};
  for (size_t i = 0; i < text.size() && i < 8; ++i) {
    if (IsIn(text[i], kAlphaChar)) pattern.fold |= uint64_t{0x20} << (8 * i);
  }
  pattern.text |= pattern.fold;
  return pattern;
}

struct Table {
  std::array<Slot, kSlots> slots{};
  bool sound = true;

  constexpr void Add(std::string_view name, HeaderId id) {
    const std::string_view last = name.substr(LastWordAt(name.size()));
    Slot& slot = slots[Hash(Word(last), name.size())];
    if (slot.bytes != 0 || name.size() > kNameBytesMax) sound = false;
    const std::string_view second = name.size() > 16 ? name.substr(8) : std::string_view();
    slot = {MakePattern(name), MakePattern(second), MakePattern(last), name.size(), id};
  }
};

constexpr Table MakeTable() {
  Table table;
  for (size_t i = 0; i < kKnown.size(); ++i) {
    if (static_cast<size_t>(kKnown[i].id) != i + 1) table.sound = false;
    if (kKnown[i].id != HeaderId::kSallyport) table.Add(kKnown[i].text, kKnown[i].id);
    if (kKnown[i].compact != 0) table.Add({&kKnown[i].compact, 1}, kKnown[i].id);
  }
  return table;
}

inline constexpr Table kTable = MakeTable();
static_assert(kTable.sound, "two names share a slot, or kKnown is not in the order of the enum");

// The id of the name that these words hold; kOther if it is none that we know. Words beyond the
// name are 0, save `second`, which counts only for names of more than 16 bytes.
inline HeaderId Match(uint64_t first, uint64_t second, uint64_t last, size_t size) {
  const Slot& slot = kTable.slots[Hash(last, size)];
  const uint64_t differences =
      slot.last.Compare(last) | slot.first.Compare(first) | (slot.bytes ^ size);
  const bool same = differences == 0 && (size <= 16 || slot.second.Compare(second) == 0);
  return same ? slot.id : HeaderId::kOther;
}

#if defined(__SSE2__)

inline uint64_t Load(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// The offset of the first colon in 32 readable bytes; 32: none.
inline size_t FindColon(const char* line) {
  const __m128i colon = _mm_set1_epi8(':');
  const auto colons = [&colon](const char* at) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, colon)));
  };
  uint32_t mask = colons(line);
  if (mask != 0) return static_cast<size_t>(__builtin_ctz(mask));
  mask = colons(line + 16);
  return mask == 0 ? 32 : 16 + static_cast<size_t>(__builtin_ctz(mask));
}

#endif

// For inlining: is there a known name at the beginning of this line, directly before its colon?
// `readable`: how many bytes may be read from there. 0: no, or not found out here (unknown, long,
// or whitespace before the colon).
struct KnownName {
  size_t bytes;
  HeaderId id;
};
inline KnownName FindKnownName(const char* line, size_t readable) {
#if defined(__SSE2__)
  if (readable >= 32) {
    // A colon beyond the line's end does no harm: no known name holds a line end.
    const size_t at = FindColon(line);
    if (at - 1 < kNameBytesMax) {
      const uint64_t filled = kFilled[at];
      return {at,
              Match(Load(line) & filled, Load(line + 8), Load(line + LastWordAt(at)) & filled, at)};
    }
  }
#else
  static_cast<void>(line);
  static_cast<void>(readable);
#endif
  return {0, HeaderId::kOther};
}

}  // namespace sallyport::sip::header_name_internal
