// A private CA in a folder, and RFC 5922 certificates from it: what `sallyport ca` and the tests
// use. P-256, ECDSA with SHA-256. Files: ca.pem, ca.key, NAME.pem (the leaf alone; the CA issued it
// directly), NAME.key; keys have mode 0600. Nothing is ever overwritten; a file is complete or
// absent. Threads: any; two processes issuing into one folder are told apart by exclusive creation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport::tls {

inline constexpr int kCertificateDaysMax = 36500;

enum class IssuedPurpose : uint8_t { kServerAuth, kClientAuth, kSipDomain };

// What a leaf says. At least one of domains, users, dns_names, device_name.
struct LeafRequest {
  std::vector<std::string> domains = {};  // Each: SAN URI:sip:D and DNS:D (RFC 5922 §4.1).
  std::vector<std::string> users =
      {};  // "alice@a.example" or "sip:alice@a.example": SAN URI:sip:U.
  std::vector<std::string> dns_names = {};  // Each: SAN DNS:N.
  std::string device_name = {};             // CN. Alone it gives a certificate without any SAN.
  std::vector<IssuedPurpose> purposes = {IssuedPurpose::kServerAuth, IssuedPurpose::kClientAuth};
  int days = 825;
};

struct PemPair {
  std::string certificate;
  std::string key;  // PKCS#8, not encrypted. Secret.
};

// In memory, for tests and for the commands below. `now` is Unix seconds; validity begins an hour
// earlier, because clocks differ.
[[nodiscard]] absl::StatusOr<PemPair> MintCa(std::string_view common_name, int days, int64_t now);
[[nodiscard]] absl::StatusOr<PemPair> MintLeaf(const PemPair& ca, const LeafRequest& request,
                                               int64_t now);

// In a folder. Each error names the file or the value and what to do about it. Init creates
// `folder` (0700) if it is not there.
[[nodiscard]] absl::Status InitCa(const std::string& folder, std::string_view common_name, int days,
                                  int64_t now);
[[nodiscard]] absl::Status IssueLeaf(const std::string& folder, std::string_view name,
                                     const LeafRequest& request, int64_t now);
// The CA certificate (PEM), to hand to peers.
[[nodiscard]] absl::StatusOr<std::string> ExportCa(const std::string& folder);

}  // namespace sallyport::tls
