#include "tls/secret.h"

#include <sys/stat.h>
#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/wolfcrypt/hmac.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/check.h"
#include "core/regular_file.h"
#include "tls/random.h"

namespace sallyport::tls {
namespace {

constexpr size_t kFileBytesMax = 64 * 1024;
constexpr std::string_view kRemedy =
    "; make one with: umask 077; head -c 32 /dev/urandom | base64 > FILE";

absl::Status Invalid(std::string_view place, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(place), ": ", std::string(what), std::string(kRemedy)));
}

void Wipe(std::string& text) { explicit_bzero(text.data(), text.size()); }

bool IsText(std::string_view content) {
  return std::all_of(content.begin(), content.end(), [](char c) {
    return absl::ascii_isprint(static_cast<unsigned char>(c)) ||
           absl::ascii_isspace(static_cast<unsigned char>(c));
  });
}

// Hexadecimal first: see the header.
bool DecodeLine(absl::string_view line, std::string& key) {
  const bool hexadecimal =
      line.size() % 2 == 0 && std::all_of(line.begin(), line.end(), [](char c) {
        return absl::ascii_isxdigit(static_cast<unsigned char>(c));
      });
  if (hexadecimal) {
    key = absl::HexStringToBytes(line);
    return true;
  }
  return absl::Base64Unescape(line, &key) || absl::WebSafeBase64Unescape(line, &key);
}

// Catches a key of zeros or a typed password, not a bad generator: 32 random bytes have 30
// different ones.
bool LooksRandom(std::string_view key) {
  std::array<bool, 256> seen{};
  for (const char c : key) seen[static_cast<unsigned char>(c)] = true;
  return std::count(seen.begin(), seen.end(), true) >= 12;
}

DerivedKey Extract(std::string_view key) {
  static constexpr std::string_view kSalt = "sallyport secret 1";
  DerivedKey extracted;
  CHECK(wc_HKDF_Extract(WC_SHA256, reinterpret_cast<const byte*>(kSalt.data()), kSalt.size(),
                        reinterpret_cast<const byte*>(key.data()), static_cast<word32>(key.size()),
                        extracted.data()) == 0);
  return extracted;
}

absl::StatusOr<std::string> ReadPrivateFile(const std::string& path) {
  absl::StatusOr<core::FileContent> content = core::ReadRegularFile(path, kFileBytesMax);
  if (absl::IsNotFound(content.status())) return Invalid(path, "does not exist");
  if (!content.ok()) return content.status();
  if ((content->mode & (S_IRWXG | S_IRWXO)) != 0) {
    Wipe(content->text);
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": group or others have access to the secret; do: chmod 600 ", path));
  }
  return std::move(content->text);
}

absl::StatusOr<std::string> ReadSource(std::string_view source) {
  constexpr std::string_view kFile = "file:";
  constexpr std::string_view kEnvironment = "env:";
  constexpr std::string_view kCredential = "credential:";
  if (source.substr(0, kEnvironment.size()) == kEnvironment) {
    const std::string name(source.substr(kEnvironment.size()));
    const char* const value = std::getenv(name.c_str());
    if (value == nullptr) return Invalid(source, "no such environment variable");
    return std::string(value);
  }
  if (source.substr(0, kCredential.size()) == kCredential) {
    const char* const folder = std::getenv("CREDENTIALS_DIRECTORY");
    if (folder == nullptr) {
      return absl::NotFoundError(absl::StrCat(
          std::string(source),
          ": $CREDENTIALS_DIRECTORY is not set; use LoadCredential= in the service unit"));
    }
    return ReadPrivateFile(
        absl::StrCat(folder, "/", std::string(source.substr(kCredential.size()))));
  }
  if (source.substr(0, kFile.size()) == kFile) source.remove_prefix(kFile.size());
  return ReadPrivateFile(std::string(source));
}

}  // namespace

Secret::~Secret() {
  for (DerivedKey& key : keys_) explicit_bzero(key.data(), key.size());
}

absl::StatusOr<Secret> Secret::Load(std::string_view source) {
  absl::StatusOr<std::string> content = ReadSource(source);
  if (!content.ok()) return content.status();
  absl::StatusOr<Secret> secret = Parse(*content, source);
  Wipe(*content);
  return secret;
}

absl::StatusOr<Secret> Secret::Parse(std::string_view content, std::string_view place) {
  Secret secret;
  const auto add = [&secret, place](std::string key, size_t line) {
    const std::string where =
        line == 0 ? std::string(place) : absl::StrCat(std::string(place), ":", line);
    absl::Status status;
    if (key.size() < kSecretBytesMin) {
      status = Invalid(where, absl::StrCat("has ", key.size(), " bytes, at least 32 are needed"));
    } else if (!LooksRandom(key)) {
      status = Invalid(where, "is not random");
    } else if (secret.keys_.size() == kSecretKeysMax) {
      status =
          absl::InvalidArgumentError(absl::StrCat(where, ": more than 8 keys; remove the oldest"));
    } else {
      secret.keys_.push_back(Extract(key));
    }
    Wipe(key);
    return status;
  };

  if (!IsText(content)) {
    if (absl::Status status = add(std::string(content), 0); !status.ok()) return status;
    return secret;
  }
  size_t number = 0;
  for (const auto raw : absl::StrSplit(absl::string_view(content.data(), content.size()), '\n')) {
    ++number;
    const absl::string_view line = absl::StripAsciiWhitespace(raw);
    if (line.empty() || line.front() == '#') continue;
    std::string key;
    if (!DecodeLine(line, key)) {
      return Invalid(absl::StrCat(std::string(place), ":", number),
                     "is neither hexadecimal nor base64");
    }
    if (absl::Status status = add(std::move(key), number); !status.ok()) return status;
  }
  if (secret.keys_.empty()) return Invalid(place, "holds no key");
  return secret;
}

Secret Secret::Generate() {
  Secret secret;
  RandomBytes(std::as_writable_bytes(std::span(secret.keys_.emplace_back())));
  return secret;
}

DerivedKey Secret::Derive(size_t index, std::string_view label,
                          std::span<const std::byte> context) const {
  CHECK(index < keys_.size());
  std::string info(label);
  info += '\0';  // Ends the label: no label and context run into each other.
  info.append(reinterpret_cast<const char*>(context.data()), context.size());
  DerivedKey derived;
  CHECK(wc_HKDF_Expand(WC_SHA256, keys_[index].data(), sizeof(DerivedKey),
                       reinterpret_cast<const byte*>(info.data()), static_cast<word32>(info.size()),
                       derived.data(), sizeof derived) == 0);
  return derived;
}

MacKey Secret::DeriveMacKey(size_t index, std::string_view label) const {
  const DerivedKey derived = Derive(index, label);
  MacKey key;
  std::copy_n(derived.begin(), key.size(), key.begin());
  return key;
}

}  // namespace sallyport::tls
