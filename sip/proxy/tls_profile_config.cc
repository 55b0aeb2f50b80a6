#include "sip/proxy/tls_profile_config.h"

#include <cstdint>
#include <string_view>

#include "absl/strings/str_join.h"
#include "sip/proxy/config_values.h"
#include "tls/cipher_names.h"

namespace sallyport::sip {
namespace {

enum class CrlPolicy : uint8_t { kOff, kSoft, kHard };

// A key that went by another name in older software. The first name wins.
struct KeyNames {
  std::string_view now;
  std::string_view before;
};
constexpr KeyNames kCertificate = {"certificate", "cert_file"};
constexpr KeyNames kCertificateKey = {"certificate-key", "priv_key_file"};
constexpr KeyNames kTrustedCa = {"trusted-ca", "ca_list_file"};

// The path under either name, from `folder`; `at` becomes its place, or the table's.
std::string ReadPath(core::ConfigTable& table, const KeyNames& names, const std::string& folder,
                     core::ConfigPlace& at) {
  const core::ConfigValue* now = table.Find(names.now);
  const core::ConfigValue* before = table.Find(names.before);
  if (now != nullptr && before != nullptr) {
    before->Warn(table.diagnostics(),
                 "not used, because " + std::string(names.now) + " says the same thing",
                 "remove " + std::string(names.before));
  }
  const std::string_view key = now != nullptr || before == nullptr ? names.now : names.before;
  const core::ConfigValue* value = now != nullptr ? now : before;
  at = value != nullptr ? value->at : table.at();
  return PathFrom(folder, table.String(key));
}

void RefuseWhatIsNotServed(core::ConfigTable& table) {
  table.NotAvailable("certificate-dir", "name one file with certificate = \"…\"", "");
  table.NotAvailable("tls-crl", "leave it out; certificates are not checked for revocation yet",
                     "");
  table.NotAvailable("ticket-keys", "leave it out; ticket keys come from edge.secret", "");
  table.NotAvailable("server-names", "use one listener, with an address of its own, per profile",
                     "");
  // Counts only where tls-crl is set, so any of its words is harmless.
  table.Choice<CrlPolicy>(
      "crl-policy",
      {{"off", CrlPolicy::kOff}, {"soft", CrlPolicy::kSoft}, {"hard", CrlPolicy::kHard}},
      CrlPolicy::kHard);
}

tls::SecProtocol ReadProtocol(core::ConfigTable& table) {
  using Protocol = tls::SecProtocol;
  const Protocol protocol = table.Choice<Protocol>("sec-protocol",
                                                   {{"", Protocol::kTls12AndLater},
                                                    {"SSLv23", Protocol::kTls12AndLater},
                                                    {"TLSv12", Protocol::kTls12Only},
                                                    {"TLSv13", Protocol::kTls13Only}},
                                                   Protocol::kTls12AndLater);
  const core::ConfigValue* written = table.Find("sec-protocol");
  if (written != nullptr && written->text == "SSLv23") {
    written->Warn(table.diagnostics(), "an old name for TLS 1.2 and up; SSL is never spoken",
                  "write sec-protocol = \"\"");
  }
  return protocol;
}

// The text as written if the library knows every name in it.
template <typename Translate>
std::string ReadSuites(core::ConfigTable& table, std::string_view key, Translate translate) {
  std::string text = table.String(key);
  const absl::StatusOr<std::string> translated = translate(text);
  if (translated.ok()) return text;
  table.Find(key)->Reject(table.diagnostics(), std::string(translated.status().message()),
                          "leave it out for the safe default");
  return std::string();
}

tls::EkuPolicy ReadEku(core::ConfigTable& table) {
  using Eku = tls::EkuPolicy;
  return table.Choice<Eku>("eku",
                           {{"tls", Eku::kTls},
                            {"tls-any-role", Eku::kTlsAnyRole},
                            {"sip-domain", Eku::kSipDomain},
                            {"ignore", Eku::kIgnore}},
                           Eku::kTls);
}

bool ReadTargetNameCheck(core::ConfigTable& table) {
  const bool is_checked =
      table.Choice<bool>("tls-target-name-check", {{"host", true}, {"no", false}}, true);
  if (!is_checked) {
    table.Find("tls-target-name-check")
        ->Warn(table.diagnostics(),
               "whoever has a certificate of trusted-ca can pose as any of our next hops",
               "write \"host\", and identity = \"…\" at a [[next-hop]] whose certificate has "
               "another name");
  }
  return is_checked;
}

TlsProfileConfig ReadProfile(core::ConfigTable& table, const std::string& folder) {
  TlsProfileConfig config;
  config.name = table.key();
  config.at = table.at();
  CheckName(table.diagnostics(), table.at(), "the name of [" + table.path() + "]", config.name);
  tls::Profile& profile = config.profile;
  profile.name = config.name;
  profile.certificate_file = ReadPath(table, kCertificate, folder, config.certificate_at);
  profile.key_file = ReadPath(table, kCertificateKey, folder, config.key_at);
  profile.trusted_ca = ReadPath(table, kTrustedCa, folder, config.trusted_ca_at);
  if (profile.certificate_file.empty()) {
    table.diagnostics().Error(config.certificate_at, table.path() + ": certificate is missing",
                              "write certificate = \"edge.pem\", the PEM file of our certificate; "
                              "\"sallyport ca issue\" makes one");
  }
  profile.sec_protocol = ReadProtocol(table);
  profile.cipher_list = ReadSuites(table, "cipher-list", tls::TranslateCipherList);
  profile.ciphersuites = ReadSuites(table, "ciphersuites", tls::TranslateCiphersuites);
  profile.eku = ReadEku(table);
  profile.resumption = table.Boolean("resumption", true);
  config.identity.use_email_as_sip = table.Boolean("use-email-as-sip", false);
  config.identity.cn_identity = table.Boolean("cn-identity", true);
  config.check_target_name = ReadTargetNameCheck(table);
  RefuseWhatIsNotServed(table);
  table.RefuseUnknown();
  return config;
}

}  // namespace

std::vector<TlsProfileConfig> ReadTlsProfiles(core::ConfigTable& root, const std::string& folder) {
  std::vector<TlsProfileConfig> profiles;
  for (core::ConfigTable& table : root.NamedTables("tls")) {
    profiles.push_back(ReadProfile(table, folder));
  }
  return profiles;
}

std::vector<std::string> ProfileNames(const std::vector<TlsProfileConfig>& profiles) {
  std::vector<std::string> names;
  for (const TlsProfileConfig& profile : profiles) names.push_back(profile.name);
  return names;
}

std::optional<size_t> FindProfile(const core::ConfigValue& value,
                                  const std::vector<std::string>& names,
                                  core::Diagnostics& diagnostics) {
  return FindNamed(value, {names.begin(), names.end()}, "there is no [tls." + value.text + "]",
                   names.empty() ? "add that table" : "profiles: " + absl::StrJoin(names, ", "),
                   diagnostics);
}

void ReportNoProfile(const core::ConfigPlace& at, std::string_view table_path,
                     std::string_view what, const std::vector<std::string>& names,
                     core::Diagnostics& diagnostics) {
  const std::string path(table_path);
  if (names.empty()) {
    diagnostics.Error(at, path + ": " + std::string(what) + ", but there is no [tls.NAME] profile",
                      "add [tls.main] with certificate, certificate-key and trusted-ca");
  } else {
    diagnostics.Error(at, path + ": tls is missing, and there are several profiles",
                      "write tls = \"NAME\" with one of: " + absl::StrJoin(names, ", "));
  }
}

}  // namespace sallyport::sip
