#include "sip/proxy/branch.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "core/check.h"

namespace sallyport::sip {
namespace {

constexpr uint32_t kSlotBits = 24;
constexpr uint64_t kFromOutside = 0;
constexpr uint64_t kFromInside = 1;

char* WriteHex(uint64_t value, int digits, char* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (int i = digits - 1; i >= 0; --i) {
    out[i] = kDigits[value & 15];
    value >>= 4;
  }
  return out + digits;
}

constexpr uint8_t kNoDigit = 16;

// Lower case only: what we wrote has one spelling.
constexpr std::array<uint8_t, 256> MakeDigits() {
  std::array<uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (uint8_t i = 0; i < 10; ++i) digits[static_cast<size_t>('0' + i)] = i;
  for (uint8_t i = 10; i < 16; ++i) digits[static_cast<size_t>('a' + i - 10)] = i;
  return digits;
}
constexpr std::array<uint8_t, 256> kDigits = MakeDigits();

// By a table: whether a digit of a MAC is a letter, no processor can guess.
class HexReader {
 public:
  explicit HexReader(const char* in) : in_(in) {}

  uint64_t Number(int digits) {
    uint64_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const uint8_t digit = kDigits[static_cast<unsigned char>(*in_++)];
      seen_ |= digit;
      value = value << 4 | (digit & 15);
    }
    return value;
  }
  [[nodiscard]] bool ok() const { return (seen_ & kNoDigit) == 0; }

 private:
  const char* in_;
  uint8_t seen_ = 0;
};

struct ReadBranch {
  Branch branch;
  uint64_t mac = 0;
};

std::optional<ReadBranch> ReadFields(std::string_view text) {
  if (text.size() != BranchSigner::kTextBytes || !text.starts_with(kBranchCookie)) {
    return std::nullopt;
  }
  HexReader in(text.data() + kBranchCookie.size());
  ReadBranch read;
  read.branch.process = static_cast<uint32_t>(in.Number(8));
  read.branch.shard = static_cast<uint8_t>(in.Number(2));
  read.branch.slot = static_cast<uint32_t>(in.Number(6));
  read.branch.generation = static_cast<uint32_t>(in.Number(8));
  read.branch.attempt = static_cast<uint8_t>(in.Number(1));
  const uint64_t origin = in.Number(1);
  read.branch.origin = origin == kFromInside ? Zone::kInside : Zone::kOutside;
  read.branch.loop_hash = static_cast<uint32_t>(in.Number(8));
  read.mac = in.Number(16);
  if (!in.ok() || origin > kFromInside) return std::nullopt;
  return read;
}

}  // namespace

BranchSigner::BranchSigner(const tls::Secret& secret, uint32_t process)
    : key_count_(secret.size()), process_(process) {
  CHECK(key_count_ <= keys_.size());
  for (size_t i = 0; i < key_count_; ++i) keys_[i] = secret.DeriveMacKey(i, tls::kBranchLabel);
}

uint64_t BranchSigner::Mac(const tls::MacKey& key, const Branch& branch) {
  std::array<std::byte, 19> fields;
  std::memcpy(&fields[0], &branch.process, 4);
  std::memcpy(&fields[4], &branch.slot, 4);
  std::memcpy(&fields[8], &branch.generation, 4);
  std::memcpy(&fields[12], &branch.loop_hash, 4);
  fields[16] = std::byte{branch.shard};
  fields[17] = std::byte{branch.attempt};
  fields[18] = static_cast<std::byte>(branch.origin);
  return tls::KeyedMac64(key, fields);
}

void BranchSigner::Write(const Branch& branch, char* out) const {
  DCHECK(branch.slot < 1u << kSlotBits && branch.attempt < 16);
  Branch own = branch;
  own.process = process_;
  std::memcpy(out, kBranchCookie.data(), kBranchCookie.size());
  out += kBranchCookie.size();
  out = WriteHex(process_, 8, out);
  out = WriteHex(branch.shard, 2, out);
  out = WriteHex(branch.slot, 6, out);
  out = WriteHex(branch.generation, 8, out);
  out = WriteHex(branch.attempt, 1, out);
  out = WriteHex(branch.origin == Zone::kInside ? kFromInside : kFromOutside, 1, out);
  out = WriteHex(branch.loop_hash, 8, out);
  WriteHex(Mac(keys_[0], own), 16, out);
}

std::optional<Branch> BranchSigner::Read(std::string_view text) const {
  const std::optional<ReadBranch> read = ReadFields(text);
  if (!read.has_value()) return std::nullopt;
  for (size_t i = 0; i < key_count_; ++i) {
    // One comparison of whole words: no early exit.
    if ((read->mac ^ Mac(keys_[i], read->branch)) == 0) return read->branch;
  }
  return std::nullopt;
}

std::optional<Branch> BranchSigner::ReadOwn(std::string_view text) const {
  const std::optional<Branch> branch = Read(text);
  return branch.has_value() && branch->process == process_ ? branch : std::nullopt;
}

bool BranchSigner::HasSameKeys(const BranchSigner& other) const {
  return key_count_ == other.key_count_ &&
         std::equal(keys_.begin(), keys_.begin() + key_count_, other.keys_.begin());
}

bool BranchSigner::HasForm(std::string_view text) { return ReadFields(text).has_value(); }

}  // namespace sallyport::sip
