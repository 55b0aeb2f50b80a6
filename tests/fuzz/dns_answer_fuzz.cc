// A DNS response, for each type that we ask. What comes out keeps its promises: records only with
// kOk and of the type that was asked, and names that could be asked in turn.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/dns_answer.h"

namespace {

using sallyport::core::DnsAnswer;
using sallyport::core::DnsName;
using sallyport::core::DnsRecord;
using sallyport::core::DnsStatus;
using sallyport::core::DnsType;
using sallyport::core::SocketAddress;

void Require(bool condition) {
  if (!condition) std::abort();
}

bool IsName(std::string_view text) { return text.empty() || DnsName::FromText(text).has_value(); }

void CheckRecord(const DnsAnswer& answer, const DnsRecord& record, DnsType type) {
  switch (type) {
    case DnsType::kA:
      return Require(std::get<SocketAddress>(record).is_ipv4());
    case DnsType::kAaaa:
      return Require(std::get<SocketAddress>(record).is_ipv6());
    case DnsType::kSrv:
      return Require(IsName(answer.text(std::get<sallyport::core::DnsSrv>(record).target)));
    case DnsType::kNaptr:
      return Require(IsName(answer.text(std::get<sallyport::core::DnsNaptr>(record).replacement)));
  }
}

}  // namespace

// The first byte chooses the type; the name is that of the seeds.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto type = static_cast<DnsType>(data[0] % sallyport::core::kDnsTypes);
  const std::span message(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  const DnsAnswer answer = ReadDnsAnswer(message, type, *DnsName::FromText("example.com"));
  Require((answer.status() == DnsStatus::kOk) == !answer.records().empty());
  Require(answer.ttl() >= absl::ZeroDuration());
  for (const DnsRecord& record : answer.records()) CheckRecord(answer, record, type);
  return 0;
}
