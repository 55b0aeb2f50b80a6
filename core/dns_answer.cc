#include "core/dns_answer.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "core/check.h"

namespace sallyport::core {
namespace {

constexpr uint16_t kTypeCname = 5;
constexpr uint16_t kTypeSoa = 6;
constexpr uint16_t kClassIn = 1;
constexpr uint32_t kCnamesMax = 8;         // Hops from the question to its records.
constexpr size_t kResourcesReadMax = 512;  // Of one section; further ones are ignored.
constexpr size_t kResourcesMax = 128;      // Of those, looked at for the answer.
constexpr uint32_t kJumpsMax = 64;         // Compression pointers within one name.
constexpr uint32_t kTtlMax = 0x7FFFFFFF;

// A reading position that remembers that it ran out.
class Cursor {
 public:
  Cursor(std::span<const std::byte> message, size_t at) : message_(message), at_(at) {}

  bool ok() const { return ok_; }
  size_t at() const { return at_; }
  std::span<const std::byte> message() const { return message_; }

  uint8_t Read8() {
    if (!Has(1)) return 0;
    return std::to_integer<uint8_t>(message_[at_++]);
  }
  uint16_t Read16() {
    const uint8_t high = Read8();
    return static_cast<uint16_t>(high << 8 | Read8());
  }
  uint32_t Read32() {
    const uint16_t high = Read16();
    return uint32_t{high} << 16 | Read16();
  }
  std::string_view ReadBytes(size_t size) {
    if (!Has(size)) return {};
    const auto* const bytes = reinterpret_cast<const char*>(message_.data() + at_);
    at_ += size;
    return {bytes, size};
  }
  // RFC 1035 §3.3: <character-string>.
  std::string_view ReadString() { return ReadBytes(Read8()); }
  // Ends reading at `end`, which lies within the message.
  void LimitTo(size_t end) { message_ = message_.first(end); }
  void MoveTo(size_t at) { at_ = at; }
  void Fail() { ok_ = false; }

 private:
  bool Has(size_t size) {
    if (size > message_.size() - at_) ok_ = false;
    return ok_;
  }

  std::span<const std::byte> message_;
  size_t at_;  // At most the size.
  bool ok_ = true;
};

// How a walk along a name ended; kStopped: well-formed, but `visit` did not want to hear it all.
enum class NameOutcome : uint8_t { kWhole, kStopped, kMalformed };

// Walks the labels of the name at `at` in `message` (RFC 1035 §4.1.4) and moves `at` behind it. A
// pointer leads strictly backwards, and their number is bounded, so this ends.
template <typename Visit>
NameOutcome WalkName(std::span<const std::byte> message, size_t& at, Visit visit) {
  size_t position = at;
  bool jumped = false;
  bool stopped = false;
  size_t wire_bytes = 1;
  for (uint32_t jumps = 0;;) {
    if (position >= message.size()) return NameOutcome::kMalformed;
    const auto head = std::to_integer<uint8_t>(message[position]);
    if (head >= 0xC0) {
      if (position + 1 >= message.size() || ++jumps > kJumpsMax) return NameOutcome::kMalformed;
      const size_t low = std::to_integer<uint8_t>(message[position + 1]);
      const size_t target = size_t{head & 0x3Fu} << 8 | low;
      if (target >= position) return NameOutcome::kMalformed;
      if (!jumped) at = position + 2;
      jumped = true;
      position = target;
      continue;
    }
    if (head > DnsName::kLabelBytesMax) return NameOutcome::kMalformed;
    ++position;
    if (head == 0) break;
    wire_bytes += size_t{head} + 1;
    if (head > message.size() - position || wire_bytes > 255) return NameOutcome::kMalformed;
    const auto* const label = reinterpret_cast<const char*>(message.data() + position);
    if (!stopped && !visit(std::string_view(label, head))) stopped = true;
    position += head;
  }
  if (!jumped) at = position;
  return stopped ? NameOutcome::kStopped : NameOutcome::kWhole;
}

// kStopped: a name that DnsName does not take.
NameOutcome ReadName(Cursor& in, std::span<const std::byte> message, DnsName& name) {
  name = {};
  size_t at = in.at();
  const NameOutcome outcome =
      WalkName(message, at, [&name](std::string_view label) { return name.Append(label); });
  // The end of the name must lie within what the cursor may read (a record's own data).
  if (outcome == NameOutcome::kMalformed || at > in.message().size()) {
    in.Fail();
    return NameOutcome::kMalformed;
  }
  in.MoveTo(at);
  return outcome;
}

bool SkipName(Cursor& in) {
  size_t at = in.at();
  if (WalkName(in.message(), at, [](std::string_view) { return true; }) ==
      NameOutcome::kMalformed) {
    in.Fail();
    return false;
  }
  in.MoveTo(at);
  return true;
}

// `text` is in lower case.
bool BeginsWithLabel(std::string_view text, std::string_view label) {
  if (label.size() > text.size()) return false;
  return std::equal(label.begin(), label.end(), text.begin(), [](char a, char b) {
    return absl::ascii_tolower(static_cast<unsigned char>(a)) == b;
  });
}

bool NameIs(std::span<const std::byte> message, size_t at, const DnsName& name) {
  std::string_view rest = name.text();
  const NameOutcome outcome = WalkName(message, at, [&rest](std::string_view label) {
    if (!BeginsWithLabel(rest, label)) return false;
    rest.remove_prefix(label.size());
    if (rest.empty()) return true;
    if (rest.front() != '.') return false;
    rest.remove_prefix(1);
    return true;
  });
  return outcome == NameOutcome::kWhole && rest.empty();
}

struct Resource {
  size_t owner = 0;  // Where its name begins.
  uint16_t type = 0;
  uint16_t record_class = 0;
  uint32_t ttl = 0;
  size_t data = 0;
  uint16_t data_bytes = 0;
};

bool ReadResource(Cursor& in, Resource& resource) {
  resource.owner = in.at();
  if (!SkipName(in)) return false;
  resource.type = in.Read16();
  resource.record_class = in.Read16();
  resource.ttl = in.Read32();
  if (resource.ttl > kTtlMax) resource.ttl = 0;  // RFC 2181 §8.
  resource.data_bytes = in.Read16();
  resource.data = in.at();
  static_cast<void>(in.ReadBytes(resource.data_bytes));
  return in.ok();
}

// The reading of one message. Stays valid only while ReadDnsAnswer runs.
class Reader {
 public:
  Reader(std::span<const std::byte> message, DnsType type, const DnsName& name)
      : message_(message), type_(type), name_(name) {}

  DnsAnswer Read();

 private:
  struct Header {
    uint16_t flags = 0;
    uint16_t questions = 0;
    uint16_t answers = 0;
    uint16_t authorities = 0;
  };

  bool ReadQuestion(Cursor& in) const;
  bool ReadAnswers(Cursor& in, uint16_t count);
  bool FollowAliases();
  const Resource* AliasOf(const DnsName& name) const;
  bool CollectRecords();
  bool Collect(const Resource& resource);
  bool CollectAddress(const Resource& resource);
  bool CollectSrv(Cursor& in);
  bool CollectNaptr(Cursor& in);
  uint32_t NegativeTtl(Cursor& in, uint16_t count) const;
  DnsAnswer Negative(DnsStatus status, Cursor& in, const Header& header);

  const std::span<const std::byte> message_;
  const DnsType type_;
  DnsName name_;  // The question's, then the end of its CNAME chain.
  std::array<Resource, kResourcesMax> resources_;
  size_t resources_count_ = 0;
  uint32_t ttl_ = kTtlMax;
  DnsAnswer answer_;
};

DnsAnswer Reader::Read() {
  Cursor in(message_, 0);
  Header header;
  in.Read16();  // The transport has matched the id.
  header.flags = in.Read16();
  header.questions = in.Read16();
  header.answers = in.Read16();
  header.authorities = in.Read16();
  in.Read16();
  const bool is_response = (header.flags & 0x8000) != 0;
  const bool is_query_opcode = (header.flags & 0x7800) == 0;
  if (!in.ok() || !is_response || !is_query_opcode) return DnsAnswer(DnsStatus::kMalformed);
  if (header.questions != 1 || !ReadQuestion(in)) return DnsAnswer(DnsStatus::kMalformed);
  // Truncated even over TCP, where the transport asks again: not to be trusted as a whole.
  const bool is_truncated = (header.flags & 0x0200) != 0;
  const unsigned code = header.flags & 0x000F;
  if (is_truncated || (code != 0 && code != 3)) return DnsAnswer(DnsStatus::kServerFailure);
  if (!ReadAnswers(in, header.answers) || !FollowAliases()) {
    return DnsAnswer(DnsStatus::kMalformed);
  }
  // RFC 2308 §2.1: behind a CNAME, NXDOMAIN is about the last name of the chain.
  if (code == 3) return Negative(DnsStatus::kNoName, in, header);
  if (!CollectRecords()) return DnsAnswer(DnsStatus::kMalformed);
  if (answer_.records().empty()) return Negative(DnsStatus::kNoData, in, header);
  answer_.set_status(DnsStatus::kOk);
  answer_.set_ttl_seconds(ttl_);
  return answer_;
}

bool Reader::ReadQuestion(Cursor& in) const {
  const size_t begin = in.at();
  if (!SkipName(in)) return false;
  const uint16_t type = in.Read16();
  const uint16_t question_class = in.Read16();
  return in.ok() && type == DnsTypeNumber(type_) && question_class == kClassIn &&
         NameIs(message_, begin, name_);
}

bool Reader::ReadAnswers(Cursor& in, uint16_t count) {
  Resource beyond;
  const size_t read_max = std::min<size_t>(count, kResourcesReadMax);
  for (size_t read = 0; read < read_max; ++read) {
    const bool has_room = resources_count_ < resources_.size();
    Resource& resource = has_room ? resources_[resources_count_] : beyond;
    if (!ReadResource(in, resource)) return false;
    if (has_room && resource.record_class == kClassIn) ++resources_count_;
  }
  return true;
}

const Resource* Reader::AliasOf(const DnsName& name) const {
  for (size_t index = 0; index < resources_count_; ++index) {
    const Resource& resource = resources_[index];
    if (resource.type == kTypeCname && NameIs(message_, resource.owner, name)) return &resource;
  }
  return nullptr;
}

// False: the chain is broken, odd, or too long (a loop is).
bool Reader::FollowAliases() {
  for (uint32_t hops = 0; hops <= kCnamesMax; ++hops) {
    const Resource* const alias = AliasOf(name_);
    if (alias == nullptr) return true;
    Cursor data(message_, alias->data);
    data.LimitTo(alias->data + alias->data_bytes);
    if (ReadName(data, message_, name_) != NameOutcome::kWhole || name_.is_root()) return false;
    if (data.at() != alias->data + alias->data_bytes) return false;
    ttl_ = std::min(ttl_, alias->ttl);
  }
  return false;
}

bool Reader::CollectRecords() {
  for (size_t index = 0; index < resources_count_; ++index) {
    const Resource& resource = resources_[index];
    if (resource.type != DnsTypeNumber(type_)) continue;
    if (!NameIs(message_, resource.owner, name_)) continue;
    if (!Collect(resource)) return false;
  }
  return true;
}

// False: the record's data break the framing. A record that is merely of no use is left out, but
// its TTL counts: the set was asked for as a whole.
bool Reader::Collect(const Resource& resource) {
  ttl_ = std::min(ttl_, resource.ttl);
  const size_t end = resource.data + resource.data_bytes;
  Cursor in(message_, resource.data);
  in.LimitTo(end);
  switch (type_) {
    case DnsType::kA:
    case DnsType::kAaaa:
      return CollectAddress(resource);
    case DnsType::kSrv:
      return CollectSrv(in) && in.at() == end;
    case DnsType::kNaptr:
      return CollectNaptr(in) && in.at() == end;
  }
  UNREACHABLE();
}

bool Reader::CollectAddress(const Resource& resource) {
  const auto* const data = reinterpret_cast<const uint8_t*>(message_.data()) + resource.data;
  SocketAddress address;
  if (type_ == DnsType::kA) {
    std::array<uint8_t, 4> bytes;
    if (resource.data_bytes != bytes.size()) return false;
    std::copy_n(data, bytes.size(), bytes.begin());
    address = SocketAddress::Ipv4(bytes, 0);
  } else {
    std::array<uint8_t, 16> bytes;
    if (resource.data_bytes != bytes.size()) return false;
    std::copy_n(data, bytes.size(), bytes.begin());
    address = SocketAddress::Ipv6(bytes, 0);
  }
  static_cast<void>(answer_.Add(address));
  return true;
}

bool Reader::CollectSrv(Cursor& in) {
  DnsSrv srv;
  srv.priority = in.Read16();
  srv.weight = in.Read16();
  srv.port = in.Read16();
  DnsName target;
  const NameOutcome outcome = ReadName(in, message_, target);
  if (!in.ok()) return false;
  if (outcome == NameOutcome::kStopped) return true;
  const std::optional<DnsText> text = answer_.AddText(target.text());
  if (!text.has_value()) return true;
  srv.target = *text;
  static_cast<void>(answer_.Add(srv));
  return true;
}

bool Reader::CollectNaptr(Cursor& in) {
  DnsNaptr naptr;
  naptr.order = in.Read16();
  naptr.preference = in.Read16();
  const std::string_view flags = in.ReadString();
  const std::string_view services = in.ReadString();
  naptr.has_regexp = !in.ReadString().empty();
  DnsName replacement;
  const NameOutcome outcome = ReadName(in, message_, replacement);
  if (!in.ok()) return false;
  if (outcome == NameOutcome::kStopped) return true;
  const bool is_letter =
      flags.size() == 1 && absl::ascii_isalpha(static_cast<unsigned char>(flags.front()));
  if (is_letter) naptr.flag = absl::ascii_tolower(static_cast<unsigned char>(flags.front()));
  const std::optional<DnsText> services_text = answer_.AddText(services);
  const std::optional<DnsText> replacement_text = answer_.AddText(replacement.text());
  if (!services_text.has_value() || !replacement_text.has_value()) return true;
  naptr.services = *services_text;
  naptr.replacement = *replacement_text;
  static_cast<void>(answer_.Add(naptr));
  return true;
}

// RFC 2308 §5: the lesser of the SOA's own TTL and its minimum field.
uint32_t Reader::NegativeTtl(Cursor& in, uint16_t count) const {
  const size_t left_max = std::min<size_t>(count, kResourcesReadMax);
  for (size_t left = left_max; left > 0; --left) {
    Resource resource;
    if (!ReadResource(in, resource)) return 0;
    if (resource.type != kTypeSoa || resource.record_class != kClassIn) continue;
    Cursor data(message_, resource.data);
    data.LimitTo(resource.data + resource.data_bytes);
    DnsName ignored;
    ReadName(data, message_, ignored);  // MNAME, RNAME: any octets are fine.
    if (data.ok()) ReadName(data, message_, ignored);
    if (data.ok()) data.ReadBytes(16);  // SERIAL, REFRESH, RETRY, EXPIRE.
    const uint32_t minimum = data.Read32();
    return data.ok() ? std::min(resource.ttl, std::min(minimum, kTtlMax)) : 0;
  }
  return 0;
}

DnsAnswer Reader::Negative(DnsStatus status, Cursor& in, const Header& header) {
  DnsAnswer negative(status);
  negative.set_ttl_seconds(std::min(ttl_, NegativeTtl(in, header.authorities)));
  return negative;
}

}  // namespace

std::string_view DnsTypeName(DnsType type) {
  switch (type) {
    case DnsType::kA:
      return "A";
    case DnsType::kAaaa:
      return "AAAA";
    case DnsType::kSrv:
      return "SRV";
    case DnsType::kNaptr:
      return "NAPTR";
  }
  UNREACHABLE();
}

uint16_t DnsTypeNumber(DnsType type) {
  switch (type) {
    case DnsType::kA:
      return 1;
    case DnsType::kAaaa:
      return 28;
    case DnsType::kSrv:
      return 33;
    case DnsType::kNaptr:
      return 35;
  }
  UNREACHABLE();
}

bool DnsAnswer::Add(const DnsRecord& record) {
  if (size_ == records_.size()) return false;
  records_[size_++] = record;
  return true;
}

std::optional<DnsText> DnsAnswer::AddText(std::string_view text) {
  if (text.size() > text_.size() - text_bytes_) return std::nullopt;
  const DnsText place{text_bytes_, static_cast<uint16_t>(text.size())};
  std::copy(text.begin(), text.end(), text_.begin() + text_bytes_);
  text_bytes_ = static_cast<uint16_t>(text_bytes_ + text.size());
  return place;
}

DnsAnswer ReadDnsAnswer(std::span<const std::byte> message, DnsType type, const DnsName& name) {
  return Reader(message, type, name).Read();
}

}  // namespace sallyport::core
