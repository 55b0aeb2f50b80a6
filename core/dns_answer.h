// What a DNS server said about one name and type: records and how long they hold, as a value of
// fixed size; and the reader that makes it from the bytes of a response (RFC 1035 §4, 2782, 3403,
// 3596; negative answers RFC 2308).
//
// The reader is a pure function of its bytes. It takes nothing but the answer to the question that
// was asked: a CNAME chain is followed inside the answer section, and the additional section is
// never looked at. Whatever could be learned there (SRV glue) is asked for by name instead, so a
// server can only speak about what it was asked.
// Bounds: records, text and what is read of a message have limits; what lies beyond is ignored.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "absl/time/time.h"
#include "core/dns_name.h"
#include "core/socket_address.h"

namespace sallyport::core {

enum class DnsType : uint8_t { kA, kAaaa, kSrv, kNaptr };
inline constexpr size_t kDnsTypes = 4;
std::string_view DnsTypeName(DnsType type);  // "A", "AAAA", "SRV", "NAPTR"

enum class DnsStatus : uint8_t {
  kOk,             // At least one record.
  kNoData,         // The name exists, records of this type do not.
  kNoName,         // NXDOMAIN.
  kTimeout,        // No server answered.
  kServerFailure,  // SERVFAIL, REFUSED and the like, or no server could be reached.
  kMalformed,      // An answer that is none.
  kTooMany,        // Not asked: the bound of outstanding questions was reached.
};

// A text that lives in the answer's own memory.
struct DnsText {
  uint16_t begin = 0;
  uint16_t size = 0;
};

struct DnsSrv {  // RFC 2782.
  uint16_t priority = 0;
  uint16_t weight = 0;
  uint16_t port = 0;
  DnsText target;  // Empty: ".", the service is decidedly not available.
};

struct DnsNaptr {  // RFC 3403 §4.1.
  uint16_t order = 0;
  uint16_t preference = 0;
  char flag = 0;  // Lower case; 0 if the field is not exactly one letter.
  bool has_regexp = false;
  DnsText services;     // As it was written.
  DnsText replacement;  // Empty: ".".
};

using DnsRecord = std::variant<SocketAddress, DnsSrv, DnsNaptr>;  // Addresses have port 0.

class DnsAnswer {
 public:
  static constexpr size_t kRecordsMax = 24;
  static constexpr size_t kTextBytesMax = 1024;

  DnsAnswer() = default;
  explicit DnsAnswer(DnsStatus status) : status_(status) {}

  DnsStatus status() const { return status_; }
  // kOk: the shortest TTL along the way. kNoData, kNoName: by the SOA of RFC 2308 §5, zero if there
  // was none. As the server wants it: the caller clamps.
  absl::Duration ttl() const { return absl::Seconds(ttl_seconds_); }
  // All of the type that was asked; none unless kOk.
  std::span<const DnsRecord> records() const { return {records_.data(), size_}; }
  std::string_view text(DnsText text) const { return {text_.data() + text.begin, text.size}; }

  void set_status(DnsStatus status) { status_ = status; }
  void set_ttl_seconds(uint32_t seconds) { ttl_seconds_ = seconds; }
  // False: the bound is reached.
  [[nodiscard]] bool Add(const DnsRecord& record);
  // The bytes behind the text so far. Nothing: no room.
  [[nodiscard]] std::optional<DnsText> AddText(std::string_view text);

 private:
  DnsStatus status_ = DnsStatus::kMalformed;
  uint8_t size_ = 0;
  uint16_t text_bytes_ = 0;
  uint32_t ttl_seconds_ = 0;
  std::array<DnsRecord, kRecordsMax> records_{};
  std::array<char, kTextBytesMax> text_{};
};

// `message` is a whole response to the one question `name`, `type`, IN. Records that cannot name a
// server (a target with odd characters, an overlong text) are left out; a message that breaks its
// own framing, or answers another question, is kMalformed.
[[nodiscard]] DnsAnswer ReadDnsAnswer(std::span<const std::byte> message, DnsType type,
                                      const DnsName& name);

// The number of the type in the DNS protocol.
[[nodiscard]] uint16_t DnsTypeNumber(DnsType type);

}  // namespace sallyport::core
