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

// Lower case only: what we wrote has one spelling.
bool ReadHex(const char*& in, int digits, uint64_t& value) {
  value = 0;
  for (int i = 0; i < digits; ++i) {
    const char c = *in++;
    if (c >= '0' && c <= '9') {
      value = value << 4 | static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value << 4 | static_cast<uint64_t>(c - 'a' + 10);
    } else {
      return false;
    }
  }
  return true;
}

struct ReadBranch {
  Branch branch;
  uint64_t mac = 0;
};

std::optional<ReadBranch> ReadFields(std::string_view text) {
  if (text.size() != BranchSigner::kTextBytes || !text.starts_with(kBranchCookie)) {
    return std::nullopt;
  }
  const char* in = text.data() + kBranchCookie.size();
  uint64_t process = 0, shard = 0, slot = 0, generation = 0, attempt = 0, origin = 0, loop_hash = 0;
  ReadBranch read;
  if (!ReadHex(in, 8, process) || !ReadHex(in, 2, shard) || !ReadHex(in, 6, slot) ||
      !ReadHex(in, 8, generation) || !ReadHex(in, 1, attempt) || !ReadHex(in, 1, origin) ||
      origin > kFromInside || !ReadHex(in, 8, loop_hash) || !ReadHex(in, 16, read.mac)) {
    return std::nullopt;
  }
  read.branch = {
      static_cast<uint32_t>(process),  static_cast<uint8_t>(shard),
      static_cast<uint32_t>(slot),     static_cast<uint32_t>(generation),
      static_cast<uint8_t>(attempt),   origin == kFromInside ? Zone::kInside : Zone::kOutside,
      static_cast<uint32_t>(loop_hash)};
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
