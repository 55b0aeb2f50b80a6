#include "sip/message/header_name.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "sip/message/grammar.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace sallyport::sip {
namespace {

struct Known {
  HeaderId id;
  std::string_view text;
  char compact = 0;
};

// In the order of the enum (checked below), kOther left out.
constexpr std::array<Known, kHeaderIdCount - 1> kKnown = {{
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

constexpr size_t kNameBytesMax = 24;  // No known name is longer.
constexpr size_t kSlots = 256;

// First, middle and last character and the length: case falls away. The multiplier was searched for
// so that no two known names meet, and the compiler checks that below; a new name may need another
// odd number.
constexpr size_t Hash(const char* name, size_t size) {
  const auto at = [name](size_t i) {
    return static_cast<uint32_t>(static_cast<unsigned char>(name[i])) & 0x1f;
  };
  const uint32_t key =
      at(0) | at(size / 2) << 5 | at(size - 1) << 10 | static_cast<uint32_t>(size) << 15;
  return (key * 1407635603U) >> 24;
}
static_assert((0xffffffffU >> 24) == kSlots - 1);

// A name in lower case, and 0x20 where a letter may come in either case: (c | fold) == text says
// "equal" and nothing else.
struct alignas(32) Slot {
  std::array<char, 32> text{};
  std::array<char, 32> fold{};
};

struct Table {
  std::array<uint8_t, kSlots> slot_of_hash{};  // 0: none.
  std::array<Slot, 80> slots{};
  std::array<uint8_t, 80> bytes{};
  std::array<HeaderId, 80> ids{};
  size_t used = 1;
  bool sound = true;

  constexpr void Add(std::string_view name, HeaderId id) {
    const size_t hash = Hash(name.data(), name.size());
    if (slot_of_hash[hash] != 0 || name.size() > kNameBytesMax) sound = false;
    slot_of_hash[hash] = static_cast<uint8_t>(used);
    for (size_t i = 0; i < name.size(); ++i) {
      slots[used].text[i] = ToLower(name[i]);
      slots[used].fold[i] = IsIn(name[i], kAlphaChar) ? 0x20 : 0;
    }
    bytes[used] = static_cast<uint8_t>(name.size());
    ids[used++] = id;
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

constexpr Table kTable = MakeTable();
static_assert(kTable.sound, "two names share a slot, or kKnown is not in the order of the enum");

// Some next hops map '_' and '-' to the same name, so both spellings of our own headers are ours.
bool IsSallyportName(std::string_view name) {
  constexpr std::string_view kPrefix = "x-sallyport-";
  if (name.size() < kPrefix.size()) return false;
  for (size_t i = 0; i < kPrefix.size(); ++i) {
    const char c = name[i] == '_' ? '-' : ToLower(name[i]);
    if (c != kPrefix[i]) return false;
  }
  return true;
}

HeaderId LookUpUnknown(std::string_view name) {
  return IsSallyportName(name) ? HeaderId::kSallyport : HeaderId::kOther;
}

// The rest of a line's name once the colon is known: trim, check the token, look up.
NameAtLine FinishScalar(const char* line, size_t colon) {
  size_t size = colon;
  while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\t')) --size;
  const std::string_view name(line, size);
  if (!IsToken(name)) return {static_cast<uint32_t>(colon), 0, HeaderId::kOther};
  return {static_cast<uint32_t>(colon), static_cast<uint32_t>(size), LookUpHeader(name)};
}

#if defined(__SSE2__)

// Windows of this slide over the ramp give a mask of the first n bytes.
alignas(64) constexpr std::array<char, 64> kRamp = [] {
  std::array<char, 64> ramp{};
  for (size_t i = 0; i < 32; ++i) ramp[i] = static_cast<char>(0xff);
  return ramp;
}();

struct Window {
  __m128i low;
  __m128i high;
};

// Compares the first `size` bytes of `window` with a known name.
bool IsName(const Window& window, size_t size, size_t slot) {
  const auto load = [](const char* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  };
  const char* const mask = kRamp.data() + 32 - size;
  const Slot& known = kTable.slots[slot];
  const __m128i low = _mm_or_si128(_mm_and_si128(window.low, load(mask)), load(known.fold.data()));
  const __m128i high =
      _mm_or_si128(_mm_and_si128(window.high, load(mask + 16)), load(known.fold.data() + 16));
  const __m128i same = _mm_and_si128(_mm_cmpeq_epi8(low, load(known.text.data())),
                                     _mm_cmpeq_epi8(high, load(known.text.data() + 16)));
  return _mm_movemask_epi8(same) == 0xffff;
}

#endif

}  // namespace

HeaderId LookUpHeader(std::string_view name) {
  if (name.empty()) return HeaderId::kOther;
  if (name.size() <= kNameBytesMax) {
    const size_t slot = kTable.slot_of_hash[Hash(name.data(), name.size())];
    const std::string_view text(kTable.slots[slot].text.data(), kTable.bytes[slot]);
    if (slot != 0 && EqualsIgnoreCase(name, text)) return kTable.ids[slot];
  }
  return LookUpUnknown(name);
}

NameAtLine ReadNameAtLineScalar(const char* line, size_t line_bytes) {
  const void* const found = std::memchr(line, ':', line_bytes);
  if (found == nullptr) return {static_cast<uint32_t>(line_bytes), 0, HeaderId::kOther};
  return FinishScalar(line, static_cast<size_t>(static_cast<const char*>(found) - line));
}

NameAtLine ReadNameAtLine(const char* line, size_t line_bytes, size_t readable) {
#if defined(__SSE2__)
  if (readable >= 32) {
    const Window window = {_mm_loadu_si128(reinterpret_cast<const __m128i*>(line)),
                           _mm_loadu_si128(reinterpret_cast<const __m128i*>(line + 16))};
    const __m128i colon = _mm_set1_epi8(':');
    const auto low = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(window.low, colon)));
    const auto high = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(window.high, colon)));
    const uint32_t colons = low | high << 16;
    const auto at = static_cast<size_t>(std::countr_zero(colons));
    if (colons != 0 && at != 0 && at < line_bytes) {
      const size_t slot = kTable.slot_of_hash[Hash(line, at)];
      if (slot != 0 && IsName(window, at, slot)) {
        return {static_cast<uint32_t>(at), static_cast<uint32_t>(at), kTable.ids[slot]};
      }
      return FinishScalar(line, at);
    }
  }
#else
  static_cast<void>(readable);
#endif
  return ReadNameAtLineScalar(line, line_bytes);
}

std::string_view HeaderText(HeaderId id) {
  const auto index = static_cast<size_t>(id);
  return index == 0 || index > kKnown.size() ? std::string_view() : kKnown[index - 1].text;
}

}  // namespace sallyport::sip
