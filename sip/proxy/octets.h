// Fields of a token as octets, most significant first, the same on every instance. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sallyport::sip {

// Appends to a fixed buffer; remembers if something did not fit.
class OctetWriter {
 public:
  explicit OctetWriter(std::span<uint8_t> out) : out_(out) {}

  // The `octets` low octets of `value`.
  void AddNumber(uint64_t value, size_t octets) {
    const std::span<uint8_t> room = Take(octets);
    for (size_t i = room.size(); i-- > 0; value >>= 8) room[i] = static_cast<uint8_t>(value);
  }
  void Add(std::span<const uint8_t> octets) {
    const std::span<uint8_t> room = Take(octets.size());
    if (!room.empty()) std::memcpy(room.data(), octets.data(), room.size());
  }
  // The next `octets` for the caller to fill; empty if they do not fit.
  [[nodiscard]] std::span<uint8_t> Take(size_t octets) {
    fits_ = fits_ && octets <= out_.size() - used_;
    if (!fits_) return {};
    used_ += octets;
    return out_.subspan(used_ - octets, octets);
  }

  [[nodiscard]] bool fits() const { return fits_; }
  [[nodiscard]] std::span<const uint8_t> written() const { return out_.first(used_); }

 private:
  const std::span<uint8_t> out_;
  size_t used_ = 0;
  bool fits_ = true;
};

// Reads in the same order; remembers if something was missing, and reads zeros then.
class OctetReader {
 public:
  explicit OctetReader(std::span<const uint8_t> in) : rest_(in) {}

  uint64_t Number(size_t octets) {
    uint64_t value = 0;
    for (const uint8_t octet : Take(octets)) value = value << 8 | octet;
    return value;
  }
  std::span<const uint8_t> Take(size_t octets) {
    complete_ = complete_ && octets <= rest_.size();
    if (!complete_) return {};
    const std::span<const uint8_t> taken = rest_.first(octets);
    rest_ = rest_.subspan(octets);
    return taken;
  }

  [[nodiscard]] std::span<const uint8_t> rest() const { return rest_; }
  [[nodiscard]] bool complete() const { return complete_; }  // Nothing was missing.
  // Nothing was missing and nothing is left.
  [[nodiscard]] bool exhausted() const { return complete_ && rest_.empty(); }

 private:
  std::span<const uint8_t> rest_;
  bool complete_ = true;
};

}  // namespace sallyport::sip
