#include "tls/cipher_names.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace sallyport::tls {
namespace {

struct Suite {
  unsigned char first;
  unsigned char second;
  std::string_view iana;
  std::string_view library;  // For TLS 1.2 also OpenSSL's name.
};

// RFC 8446 §B.4, in the order of preference that is our default, then the rest.
constexpr std::array<Suite, 5> kTls13 = {{
    {0x13, 0x02, "TLS_AES_256_GCM_SHA384", "TLS13-AES256-GCM-SHA384"},
    {0x13, 0x03, "TLS_CHACHA20_POLY1305_SHA256", "TLS13-CHACHA20-POLY1305-SHA256"},
    {0x13, 0x01, "TLS_AES_128_GCM_SHA256", "TLS13-AES128-GCM-SHA256"},
    {0x13, 0x04, "TLS_AES_128_CCM_SHA256", "TLS13-AES128-CCM-SHA256"},
    {0x13, 0x05, "TLS_AES_128_CCM_8_SHA256", "TLS13-AES128-CCM-8-SHA256"},
}};

// The default of TLS 1.2 (RFC 9325 §4.2): forward secrecy and AEAD.
constexpr size_t kTls12Default = 6;
// Behind the default: what old equipment may need, never on unless it is written down.
constexpr std::array<Suite, 14> kTls12 = {{
    {0xc0, 0x2b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {0xc0, 0x2f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {0xc0, 0x2c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {0xc0, 0x30, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
    {0xcc, 0xa9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {0xcc, 0xa8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"},
    {0xc0, 0x23, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"},
    {0xc0, 0x27, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"},
    {0xc0, 0x24, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", "ECDHE-ECDSA-AES256-SHA384"},
    {0xc0, 0x28, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "ECDHE-RSA-AES256-SHA384"},
    {0xc0, 0x09, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"},
    {0xc0, 0x13, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"},
    {0xc0, 0x0a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"},
    {0xc0, 0x14, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"},
}};

const Suite* Find(std::span<const Suite> suites, std::string_view name) {
  const auto found = std::find_if(suites.begin(), suites.end(), [name](const Suite& suite) {
    return suite.iana == name || suite.library == name;
  });
  return found == suites.end() ? nullptr : &*found;
}

std::string KnownNames(std::span<const Suite> suites, bool iana) {
  return absl::StrJoin(suites, ", ", [iana](std::string* out, const Suite& suite) {
    const std::string_view name = iana ? suite.iana : suite.library;
    out->append(name);
  });
}

std::string LibraryNames(std::span<const Suite> suites) {
  return absl::StrJoin(suites, ":",
                       [](std::string* out, const Suite& suite) { out->append(suite.library); });
}

// Says what is wrong with a name that is on no list.
std::string Objection(std::string_view name, std::span<const Suite> suites, bool iana) {
  const bool keyword = name.find_first_of("!+@-") == 0 || name.find('-') == std::string_view::npos;
  const std::string_view why = !iana && keyword && name.find('_') == std::string_view::npos
                                   ? "is an OpenSSL keyword; write the suites out"
                               : name.find("DHE") == std::string_view::npos && !iana
                                   ? "has no forward secrecy or is not known"
                                   : "is not known";
  return absl::StrCat("\"", std::string(name), "\" ", std::string(why),
                      "; known: ", KnownNames(suites, iana));
}

absl::StatusOr<std::string> Translate(std::string_view text, std::span<const Suite> suites,
                                      bool iana) {
  std::vector<std::string> names;
  for (const auto part : absl::StrSplit(absl::string_view(text.data(), text.size()),
                                        absl::ByAnyChar(":, "), absl::SkipEmpty())) {
    const std::string_view name(part.data(), part.size());
    const Suite* const suite = Find(suites, name);
    if (suite == nullptr) return absl::InvalidArgumentError(Objection(name, suites, iana));
    if (std::find(names.begin(), names.end(), suite->library) != names.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", std::string(name), "\" stands there twice"));
    }
    names.emplace_back(suite->library);
  }
  if (names.empty()) return absl::InvalidArgumentError("names no suite");
  return absl::StrJoin(names, ":");
}

}  // namespace

absl::StatusOr<std::string> TranslateCiphersuites(std::string_view text) {
  return Translate(text.empty() ? kDefaultCiphersuites : text, kTls13, true);
}

absl::StatusOr<std::string> TranslateCipherList(std::string_view text) {
  if (text.empty()) return LibraryNames(std::span(kTls12).first(kTls12Default));
  return Translate(text, kTls12, false);
}

std::string_view CipherName(unsigned char first, unsigned char second) {
  for (const std::span<const Suite> suites :
       {std::span<const Suite>(kTls13), std::span<const Suite>(kTls12)}) {
    for (const Suite& suite : suites) {
      if (suite.first == first && suite.second == second) return suite.iana;
    }
  }
  return "unknown";
}

}  // namespace sallyport::tls
