#include "tls/client_hello.h"

#include <algorithm>

namespace sallyport::tls {
namespace {

using Bytes = std::span<const std::byte>;

bool IsHostNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The handshake message, read across record boundaries (RFC 8446 §5.1). Reading past what was
// received sets `short_`; bytes that no ClientHello has set `bad_`. Either stops the walk, and both
// are sticky.
class HandshakeBytes {
 public:
  explicit HandshakeBytes(Bytes stream) : stream_(stream) {}

  uint32_t Number(int bytes) {
    uint32_t value = 0;
    while (bytes-- > 0 && ok()) value = value << 8 | Next();
    return value;
  }
  void Skip(uint32_t bytes) {
    while (bytes-- > 0 && ok()) Next();
  }
  uint8_t Next() {
    if (record_left_ == 0) EnterRecord();
    if (!ok() || position_ >= stream_.size()) {
      short_ = short_ || !bad_;
      return 0;
    }
    --record_left_;
    ++taken_;
    return static_cast<uint8_t>(stream_[position_++]);
  }

  void Refuse() { bad_ = true; }
  bool ok() const { return !short_ && !bad_; }
  bool needs_more() const { return short_; }
  uint32_t taken() const { return taken_; }

 private:
  void EnterRecord() {
    constexpr size_t kHeader = 5;
    constexpr auto kHandshake = std::byte{22};
    if (!ok()) return;
    if (position_ < stream_.size() && stream_[position_] != kHandshake) return Refuse();
    if (position_ + kHeader > stream_.size()) {
      short_ = true;
      return;
    }
    if (stream_[position_ + 1] != std::byte{3}) return Refuse();
    record_left_ = static_cast<uint32_t>(stream_[position_ + 3]) << 8 |
                   static_cast<uint32_t>(stream_[position_ + 4]);
    position_ += kHeader;
    if (record_left_ == 0) Refuse();  // RFC 8446 §5.1: no empty handshake records.
  }

  const Bytes stream_;
  size_t position_ = 0;
  uint32_t record_left_ = 0;
  uint32_t taken_ = 0;
  bool short_ = false;
  bool bad_ = false;
};

// RFC 6066 §3: a list of (type, name); type 0 is a host name. The extension's bytes end at `end`.
ServerName ReadServerNameList(HandshakeBytes& hello, uint32_t end) {
  const uint32_t list_end = hello.Number(2) + hello.taken();
  if (list_end != end) hello.Refuse();
  const uint32_t type = hello.Number(1);
  const uint32_t bytes = hello.Number(2);
  if (type != 0 || bytes == 0 || bytes > ServerName::kBytesMax || hello.taken() + bytes != end) {
    hello.Refuse();
  }
  std::array<char, ServerName::kBytesMax> text;
  for (uint32_t i = 0; i < bytes && hello.ok(); ++i) text[i] = static_cast<char>(hello.Next());
  if (!hello.ok()) return {};
  return ServerName(std::string_view(text.data(), bytes));
}

// RFC 8446 §4.1.2. `found` stays empty where there is no name.
void ReadClientHello(HandshakeBytes& hello, ServerName& found) {
  constexpr uint32_t kClientHello = 1;
  constexpr uint32_t kServerName = 0;
  if (hello.Number(1) != kClientHello && hello.ok()) return hello.Refuse();
  const uint32_t end = hello.Number(3) + hello.taken();
  if (end > kClientHelloBytesMax && hello.ok()) return hello.Refuse();
  hello.Skip(2 + 32);           // legacy_version, random
  hello.Skip(hello.Number(1));  // legacy_session_id
  hello.Skip(hello.Number(2));  // cipher_suites
  hello.Skip(hello.Number(1));  // legacy_compression_methods
  if (!hello.ok() || hello.taken() >= end) return;
  const uint32_t extensions_end = hello.Number(2) + hello.taken();
  if (extensions_end != end && hello.ok()) return hello.Refuse();
  while (hello.ok() && hello.taken() < extensions_end) {
    const uint32_t type = hello.Number(2);
    const uint32_t bytes = hello.Number(2);
    const uint32_t extension_end = hello.taken() + bytes;
    if (extension_end > extensions_end && hello.ok()) return hello.Refuse();
    if (type == kServerName) {
      found = ReadServerNameList(hello, extension_end);
      return;
    }
    hello.Skip(bytes);
  }
}

}  // namespace

ServerName::ServerName(std::string_view name) {
  if (name.size() > kBytesMax) return;
  for (size_t i = 0; i < name.size(); ++i) {
    text_[i] = ToLower(name[i]);
    if (!IsHostNameByte(text_[i])) return;
  }
  size_ = static_cast<uint8_t>(name.size());
}

ServerNameReading ReadServerName(std::span<const std::byte> stream) {
  // Record headers included, a ClientHello of full size still fits; beyond it nothing may be left
  // undecided.
  const bool last_chance = stream.size() >= kClientHelloBytesMax;
  ServerNameReading reading;
  HandshakeBytes hello(stream);
  ReadClientHello(hello, reading.name);
  if (hello.needs_more()) {
    reading.outcome = last_chance ? ServerNameOutcome::kNone : ServerNameOutcome::kNeedMore;
    return reading;
  }
  reading.outcome = reading.name.empty() ? ServerNameOutcome::kNone : ServerNameOutcome::kName;
  return reading;
}

}  // namespace sallyport::tls
