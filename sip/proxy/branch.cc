#include "sip/proxy/branch.h"

#include <array>
#include <cstring>
#include <span>

#include "core/check.h"

namespace sallyport::sip {
namespace {

constexpr uint32_t kSlotBits = 24;

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

}  // namespace

uint64_t BranchSigner::Mac(const Branch& branch) const {
  std::array<std::byte, 14> fields;
  fields[0] = std::byte{branch.shard};
  std::memcpy(&fields[1], &branch.slot, 4);
  std::memcpy(&fields[5], &branch.generation, 4);
  std::memcpy(&fields[9], &branch.loop_hash, 4);
  fields[13] = std::byte{branch.attempt};
  return tls::KeyedMac64(key_, fields);
}

void BranchSigner::Write(const Branch& branch, char* out) const {
  DCHECK(branch.slot < 1u << kSlotBits && branch.attempt < 16);
  std::memcpy(out, kBranchCookie.data(), kBranchCookie.size());
  out += kBranchCookie.size();
  out = WriteHex(branch.shard, 2, out);
  out = WriteHex(branch.slot, 6, out);
  out = WriteHex(branch.generation, 8, out);
  out = WriteHex(branch.attempt, 1, out);
  out = WriteHex(branch.loop_hash, 8, out);
  WriteHex(Mac(branch), 16, out);
}

std::optional<Branch> BranchSigner::Read(std::string_view text) const {
  if (text.size() != kTextBytes || !text.starts_with(kBranchCookie)) return std::nullopt;
  const char* in = text.data() + kBranchCookie.size();
  uint64_t shard = 0, slot = 0, generation = 0, attempt = 0, loop_hash = 0, mac = 0;
  if (!ReadHex(in, 2, shard) || !ReadHex(in, 6, slot) || !ReadHex(in, 8, generation) ||
      !ReadHex(in, 1, attempt) || !ReadHex(in, 8, loop_hash) || !ReadHex(in, 16, mac)) {
    return std::nullopt;
  }
  const Branch branch{static_cast<uint8_t>(shard), static_cast<uint32_t>(slot),
                      static_cast<uint32_t>(generation), static_cast<uint8_t>(attempt),
                      static_cast<uint32_t>(loop_hash)};
  if ((mac ^ Mac(branch)) != 0)
    return std::nullopt;  // One comparison of whole words: no early exit.
  return branch;
}

}  // namespace sallyport::sip
