// The secret that all instances share ([edge] secret), and the keys derived from it: HKDF-SHA256
// (RFC 5869), one label per use, so that no key serves two purposes. File: lines of text, one key
// each; blank lines and lines that begin with '#' are skipped. A key is hexadecimal digits (an
//   even number) or base64, and decodes to 32 bytes at least; what reads as both is hexadecimal. A
//   file with any byte that is not printable ASCII or white space is one raw key instead. The first
//   key signs, all are accepted: that is rotation.
// Immutable after loading; any thread. The bytes are wiped on destruction and never printed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tls/keyed_mac.h"

namespace sallyport::tls {

inline constexpr size_t kSecretBytesMin = 32;
inline constexpr size_t kSecretKeysMax = 8;

// Labels in use. A new use gets a new label.
inline constexpr std::string_view kTicketLabel = "sallyport ticket";
inline constexpr std::string_view kBranchLabel = "sallyport via branch";
inline constexpr std::string_view kDialogPairLabel = "sallyport record-route pair";
inline constexpr std::string_view kPathTokenLabel = "sallyport path token";
inline constexpr std::string_view kDialogTokenLabel = "sallyport dialog token of a pair";
inline constexpr std::string_view kPartyLabel = "sallyport party";
inline constexpr std::string_view kPeerKeyLabel = "sallyport peer key";
inline constexpr std::string_view kLoggedCallIdLabel = "sallyport call-id in log lines";

using DerivedKey = std::array<uint8_t, 32>;

class Secret {
 public:
  // `source` is "file:PATH" (or a bare path), "env:NAME", or "credential:NAME" (a file in
  // $CREDENTIALS_DIRECTORY). Errors name the source and the remedy. A file that group or others may
  // read is an error.
  [[nodiscard]] static absl::StatusOr<Secret> Load(std::string_view source);
  // The same for the content; `place` is for messages.
  [[nodiscard]] static absl::StatusOr<Secret> Parse(std::string_view content,
                                                    std::string_view place);
  // Random, for this process only: tickets and tokens die with it.
  static Secret Generate();

  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  Secret(Secret&&) noexcept = default;
  Secret& operator=(Secret&&) noexcept = default;
  ~Secret();

  // Number of keys; index 0 signs.
  size_t size() const { return keys_.size(); }

  // `context` separates keys of one label, such as a time slice. The same on every instance.
  DerivedKey Derive(size_t index, std::string_view label,
                    std::span<const std::byte> context = {}) const;
  MacKey DeriveMacKey(size_t index, std::string_view label) const;

 private:
  Secret() = default;

  std::vector<DerivedKey>
      keys_;  // HKDF-Extract of what was written: of equal length, whatever it was.
};

}  // namespace sallyport::tls
