// Reads server_name (RFC 6066 §3) out of the first bytes of a connection, before a session exists,
// because it chooses the session's context. Only that: everything else about the ClientHello is the
// library's to judge. Input: hostile. The handshake message may be split over records (RFC 8446
// §5.1). Pure; any thread; no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sallyport::tls {

// A host name in lower case; 255 bytes at most (RFC 1035 §2.3.4). Empty: none.
class ServerName {
 public:
  static constexpr size_t kBytesMax = 255;

  ServerName() = default;
  // Anything longer than kBytesMax, or with bytes that no host name has, gives an empty name.
  explicit ServerName(std::string_view name);

  std::string_view text() const { return {text_.data(), size_}; }
  bool empty() const { return size_ == 0; }

 private:
  std::array<char, kBytesMax> text_;
  uint8_t size_ = 0;
};

enum class ServerNameOutcome : uint8_t {
  kNeedMore,  // Nothing decided yet. Never for more than kClientHelloBytesMax bytes.
  kNone,  // A ClientHello without a usable name, or no ClientHello at all: let the session judge
          // it.
  kName
};

// More than any client sends; beyond it the answer is kNone.
inline constexpr size_t kClientHelloBytesMax = 16 * 1024;

struct ServerNameReading {
  ServerNameOutcome outcome = ServerNameOutcome::kNone;
  ServerName name;
};

// `stream` is everything received so far, from the first byte. Cost: linear in it.
[[nodiscard]] ServerNameReading ReadServerName(std::span<const std::byte> stream);

}  // namespace sallyport::tls
